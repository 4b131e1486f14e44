//! May this be published?
//!
//! A live publish needs three signals, all given from outside the playbook: that autonomous publishing is allowed,
//! that this release is approved, and that governance agreed (S2-01). Without all three it is simulated, and says why.

use super::Gate;
use crate::effect::{Effect, Failure, RunMode};
use crate::journal::epoch::Epoch;

/// The environment variables that carry the signals.
pub const SIGNAL_NAMES: [&str; 3] = [
    "ALLOW_AUTONOMOUS_PUBLISH",
    "PUBLISH_APPROVAL_GRANTED",
    "GOVERNANCE_APPROVED",
];

/// The signals as given at start, in the order of [`SIGNAL_NAMES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals(pub [bool; 3]);

impl Signals {
    /// The names of those that are missing.
    pub fn missing(&self) -> Vec<&'static str> {
        SIGNAL_NAMES
            .into_iter()
            .zip(self.0)
            .filter(|(_, given)| !given)
            .map(|(name, _)| name)
            .collect()
    }
}

/// What governance says of one publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    refused: Option<String>,
}

impl Verdict {
    /// The refusal as an error, with the reason.
    pub fn refusal(&self) -> Option<Failure> {
        self.refused
            .as_ref()
            .map(|why| Failure::new("PUBLISH_REFUSED", why.clone()).landed(Some(false)))
    }

    /// In the conditional, for what is simulated anyhow.
    pub fn would(&self) -> String {
        match &self.refused {
            Some(why) => format!("would be refused: {why}"),
            None => "would be allowed".to_owned(),
        }
    }

    /// As the intent of a publish records it.
    pub fn recorded(&self) -> String {
        match &self.refused {
            Some(why) => format!("refused: {why}"),
            None => format!("allowed: {} are given", SIGNAL_NAMES.join(", ")),
        }
    }
}

/// Decides on `effect`; `None` for what publishes nothing. What was not given where the run was started counts as
/// missing here, too.
pub(super) fn decide(gate: &Gate, mode: &RunMode, effect: &Effect<'_>) -> Option<Verdict> {
    effect.publication.as_ref()?;
    let frozen = match Epoch::read(&*gate.ground.store) {
        Ok(epoch) if epoch.frozen => {
            Some("publishing is frozen since the store was restored: `host restore` tells what is held".to_owned())
        }
        Ok(_) => None,
        Err(error) => Some(format!("whether publishing is frozen cannot be read: {error}")),
    };
    if frozen.is_some() {
        return Some(Verdict { refused: frozen });
    }
    let given_there = |name: &&str| !mode.unsigned.iter().any(|unsigned| unsigned == name);
    let lacks = gate.policies.signals.missing();
    let mut missing = SIGNAL_NAMES.to_vec();
    missing.retain(|name| lacks.contains(name) || !given_there(name));
    let refused = match missing.as_slice() {
        [] => None,
        [one] => Some(format!("{one} is missing")),
        [others @ .., last] => Some(format!("{} and {last} are missing", others.join(", "))),
    };
    Some(Verdict { refused })
}
