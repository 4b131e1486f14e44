//! Who is held to account for what is asked of runs through the socket.

use crate::gate::Gate;
use crate::id::RunId;
use crate::journal::audit::{self, Act, Actor, Via};
use crate::store::{Durability, StoreError};

/// The act by which a person starts a run.
pub fn start_act(run: RunId, playbook: &str, trigger: &str, retry_of: Option<RunId>, is_live: bool) -> Act {
    let what = if retry_of.is_some() { "run.retry" } else { "run.start" };
    Act::new(what, run.to_string())
        .with("playbook", playbook)
        .with("trigger", trigger)
        .with("of", retry_of.map(|run| run.to_string()))
        .with("live", is_live)
}

/// Writes down what somebody on the other side of the socket has this server do. Nothing of the run has left yet: what
/// makes its first effect durable makes this durable before it.
pub(super) fn record(gate: &Gate, by: &str, act: Act) -> Result<(), StoreError> {
    let now_ms = gate.world.clock.unix_ms();
    let corr = format!("cmd_{now_ms}_{:06x}", gate.world.chance.bits() & 0xFF_FFFF);
    let mask = |text: String| gate.masks.mask_text(text);
    let who = mask(by.strip_prefix("by ").unwrap_or(by).to_owned());
    let act = act.masked(&mask);
    audit::record(
        &*gate.ground.store,
        Durability::Soon,
        &Actor::new(who, Via::Socket, corr),
        &act,
        now_ms,
    )
    .map(drop)
}
