//! What a set makes live, said once in the log when it begins to be so: not at each run that begins.

use std::collections::BTreeSet;

use super::edition::Edition;
use crate::effect::RunMode;

/// Says what is live in `now` and was not in `before`.
pub(super) fn tell_live(before: Option<&Edition>, now: &Edition) {
    let known = before.map(live_providers).unwrap_or_default();
    for provider in live_providers(now).difference(&known) {
        tell_provider(provider);
    }
    let is_live = |edition: &Edition| !edition.app.config.dry_run().unwrap_or(true);
    match (before.map(is_live), is_live(now)) {
        (Some(false), true) => tracing::warn!("DRY_RUN is off now: runs that begin from here on are live"),
        (Some(true), false) => tracing::warn!("DRY_RUN is on now: runs that begin from here on are dry"),
        _ => {}
    }
}

/// The providers whose live writes some playbook may make.
fn live_providers(edition: &Edition) -> BTreeSet<String> {
    let used = edition.playbooks.values().flat_map(|listed| &listed.pinned.header.uses);
    let mode = RunMode {
        live: !edition.app.config.dry_run().unwrap_or(true),
        providers: edition.app.provider_modes().unwrap_or_default(),
        uses: used.cloned().collect(),
        unsigned: Vec::new(),
    };
    mode.live_providers().map(str::to_owned).collect()
}

/// The line that nobody should overlook.
pub fn tell_provider(provider: &str) {
    tracing::warn!(provider, "{} LIVE MODE ENABLED", provider.to_uppercase());
}
