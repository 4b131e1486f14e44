//! A run's mode: fixed when the run is created, journaled, and only ever narrowed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::store::Realm;

/// What a run may do outside, decided once at its creation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunMode {
    /// Whether `DRY_RUN` is off: the realm is `live`, and providers may be.
    pub live: bool,
    /// One state per provider, with the reason when it is simulated.
    pub providers: BTreeMap<String, ProviderMode>,
    /// The providers whose live writes the playbook may make, from its header.
    pub uses: Vec<String>,
    /// Signals for publishing that whoever started the run had not, while the host that runs it may have them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsigned: Vec<String>,
}

/// How one provider's effects are answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderMode {
    Live,
    Simulated { why: String },
}

impl RunMode {
    /// Nothing leaves: every provider is simulated for the reason `why`.
    pub fn dry() -> RunMode {
        RunMode::default()
    }

    /// The body of data that scripts of this mode see.
    pub fn realm(&self) -> Realm {
        if self.live { Realm::Live } else { Realm::Dry }
    }

    pub fn as_str(&self) -> &'static str {
        if self.live { "live" } else { "dry" }
    }

    /// The providers that a run of this mode may write to.
    pub fn live_providers(&self) -> impl Iterator<Item = &str> {
        let names = self.providers.keys().map(String::as_str);
        names.filter(|name| self.live && self.uses(name) && self.why_simulated(name).is_none())
    }

    /// The reason to simulate `provider`, or `None` when it is live. A provider nobody has heard of is simulated.
    pub fn why_simulated(&self, provider: &str) -> Option<&str> {
        match self.providers.get(provider) {
            Some(ProviderMode::Live) => None,
            Some(ProviderMode::Simulated { why }) => Some(why),
            None if self.live => Some("it was not configured when the run was created"),
            None => Some("DRY_RUN is on"),
        }
    }

    /// Whether the playbook's `uses` names `provider`, with or without an account (`instagram:main`).
    pub fn uses(&self, provider: &str) -> bool {
        self.uses.iter().any(|used| used.split(':').next() == Some(provider))
    }
}
