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
use crate::journal::{Asked, Attempt, Entry, Intent, JournalError};
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
    if effect.declaration.class != Class::Write {
        return Ok(());
    }
    // Before the first of this life: an earlier owner has noted the same already.
    let noted = tape.recorded_step(asked.step);
    let is_noted = noted.is_some_and(|step| step.intents.first().is_some_and(|intent| intent.attempt == 0));
    let is_open = history.cut_off.is_some() || history.doubt.is_some();
    if is_open && !is_noted {
        return Ok(());
    }
    let looked = look(gate, tape, asked.step);
    let Some(suspicion) = tape.persist(looked)? else {
        return Ok(());
    };
    // It was sent no earlier than the backup: as old as that, as far as the provider's memory goes. A run that was made
    // anew, under the same name, began after that.
    let age_ms = suspicion.since_ms.saturating_sub(tape.begun.at_ms);
    history.before_ms = u64::try_from(age_ms.saturating_neg()).unwrap_or(0);
    if is_open || suspicion.is_settled {
        return Ok(());
    }
    let since_ms = u64::try_from(age_ms).unwrap_or(0);
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

/// That a step may have been sent of which there is no record.
struct Suspicion {
    /// No earlier than this, Unix milliseconds.
    since_ms: i64,
    /// It was looked into in this life, and nothing came of it.
    is_settled: bool,
}

/// Whether `step` may have been sent after a backup.
fn look(gate: &Gate, tape: &Tape, step: StepNo) -> Result<Option<Suspicion>, StoreError> {
    let store = &*gate.ground.store;
    let epoch = Epoch::read(store)?;
    if epoch.origin.is_none() || tape.is_settled(step) {
        return Ok(None);
    }
    let parent = tape.begun.parent.map(|parent| parent.run);
    let since_ms = match epoch.sent_since(store, tape.run, parent) {
        Ok(since_ms) => since_ms,
        Err(JournalError::Store(error)) => return Err(error),
        // A parent that cannot be read vouches for nothing.
        Err(_) => epoch.all_lost().iter().map(|lost| lost.backup_ms).min(),
    };
    let began_ms = epoch.began_ms - tape.begun.at_ms;
    let is_of_this_life = |attempt: &&Attempt| {
        let over_ms = attempt.at_ms.saturating_add(attempt.took_ms);
        attempt.error.code == "RESTORED" && i64::try_from(over_ms).is_ok_and(|over_ms| over_ms >= began_ms)
    };
    let mut attempts = tape.recorded_step(step).into_iter().flat_map(|step| &step.attempts);
    let is_settled = attempts.any(|attempt| is_of_this_life(&attempt));
    Ok(since_ms.map(|since_ms| Suspicion { since_ms, is_settled }))
}
