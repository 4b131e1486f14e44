//! Is this provider live in this run?

use super::Policies;
use crate::effect::{Class, Effect, Failure, RunMode};

/// The reason to answer `effect` by simulation; `None` when it may go out, or has no provider.
pub(super) fn why_simulated<'m>(mode: &'m RunMode, effect: &Effect<'_>) -> Option<&'m str> {
    mode.why_simulated(effect.declaration.provider.as_deref()?)
}

/// Refuses live writes to providers that the playbook's header does not name.
pub(super) fn check_uses(mode: &RunMode, effect: &Effect<'_>) -> Result<(), Failure> {
    match effect.declaration.provider.as_deref() {
        Some(provider) if effect.declaration.class == Class::Write && !mode.uses(provider) => Err(Failure::new(
            "NOT_IN_USES",
            format!(
                "the playbook writes to {provider} live, but its header does not say so; add {provider:?} to `uses` in PLAYBOOK"
            ),
        )
        .provider(provider)
        .landed(Some(false))),
        _ => Ok(()),
    }
}

/// Refuses providers that were live when the run began and are not now: a mode is narrowed at once, never widened.
pub(super) fn check_switch(policies: &Policies, effect: &Effect<'_>) -> Result<(), Failure> {
    let Some(provider) = effect.declaration.provider.as_deref() else {
        return Ok(());
    };
    match policies.switched_off.get(provider) {
        Some(why) => Err(Failure::new(
            "SWITCHED_OFF",
            format!("{provider} was live when this run began and is not any more: {why}"),
        )
        .provider(provider)
        .landed(Some(false))),
        None => Ok(()),
    }
}
