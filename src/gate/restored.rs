//! Was a write sent already, after the backup that the store was restored from?
//!
//! The journal of a restored run ends where the backup was taken, and the run may have gone on. A live write of it that is
//! not on record is therefore in doubt before it is sent for the first time: it is repeated under a key that the provider
//! certainly still remembers, looked up, or left to a person, in that order. What came of this is on the journal as an
//! attempt, so that a crash in between leaves the same doubt.

use super::Gate;
use super::attempts::SEND_WITHIN;
use super::history::History;
use super::stop::Stop;
use super::tape::Tape;
use crate::effect::{Class, Effect, Failure, Fault};
use crate::id::StepNo;
use crate::journal::epoch::Epoch;
use crate::journal::{Asked, Entry, Intent, JournalError};
use crate::store::StoreError;

/// Puts the attempt that may have been made after the backup before what `history` tells, if there may be one.
pub(super) fn suspect(
    gate: &Gate,
    tape: &mut Tape,
    effect: &Effect<'_>,
    asked: &Asked,
    key: &str,
    history: &mut History,
) -> Result<(), Stop> {
    if effect.declaration.class != Class::Write || history.cut_off.is_some() || history.doubt.is_some() {
        return Ok(());
    }
    let looked = may_have_been_sent(gate, tape, asked.step);
    let Some(backup_ms) = tape.persist(looked)? else {
        return Ok(());
    };
    // It was sent no earlier than the backup: as old as that, as far as the provider's memory goes.
    let since_ms = u64::try_from(backup_ms.saturating_sub(tape.begun.at_ms)).unwrap_or(0);
    let intent = Intent {
        asked: asked.clone(),
        // Before the first; or, where others are on record, after those: none of them is this one.
        attempt: if history.next == 1 { 0 } else { history.next },
        key: key.to_owned(),
        at_ms: since_ms,
        send_deadline_ms: since_ms + SEND_WITHIN.as_millis() as u64,
        // Of the owner before, who may have sent it until this one took over.
        epoch: tape.epoch.saturating_sub(1),
        decision: None,
    };
    tape.promise(gate, Entry::Intent(intent.clone()))?;
    let message = format!(
        "the store was restored, and nobody knows whether {} was sent after its backup",
        effect.name()
    );
    let fault = Fault {
        unhealthy: false,
        ..Fault::in_doubt(Failure::new("RESTORED", message))
    };
    history.first_ms = Some(history.first_ms.map_or(since_ms, |first_ms| first_ms.min(since_ms)));
    history.cut_off = Some((intent, fault));
    Ok(())
}

/// When the backup was taken after which `step` may have been sent, if it may.
fn may_have_been_sent(gate: &Gate, tape: &Tape, step: StepNo) -> Result<Option<i64>, StoreError> {
    let store = &*gate.ground.store;
    let epoch = Epoch::read(store)?;
    let Some(origin) = &epoch.origin else {
        return Ok(None);
    };
    if tape.is_settled(step) {
        return Ok(None);
    }
    let parent = tape.begun.parent.map(|parent| parent.run);
    match epoch.may_have_sent(store, tape.run, parent) {
        Ok(may) => Ok(may.then_some(origin.at_ms)),
        Err(JournalError::Store(error)) => Err(error),
        // A parent that cannot be read vouches for nothing.
        Err(_) => Ok(Some(origin.at_ms)),
    }
}
