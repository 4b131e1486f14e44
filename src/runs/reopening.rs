//! A run that was ended by an error is made ready to go on, by whoever tries it again.

use super::resume::{ResumeError, reopens};
use crate::gate::Gate;
use crate::id::RunId;
use crate::journal::life::Reopened;
use crate::journal::{Entry, Recorded, RunRecord, Status, entry};
use crate::store::{Batch, Precondition, keys};

/// How a run stands that is to be tried again.
pub enum Reopening {
    /// The change that takes its end back, on the condition that nobody goes on with it. Like a run that was just created, it
    /// waits for a thread then.
    Ready(Batch),
    /// It goes on already; the change is none, on the condition that it does.
    UnderWay(Batch),
    /// It has ended, and would end the same.
    Stays { why: String, wrote: bool },
}

/// What it takes to go on with `run`, of which `by` says who or what does. Unless somebody has asked for it, a run is left
/// that would end the same if nothing was changed.
pub fn reopen(gate: &Gate, run: RunId, by: &str, is_asked_for: bool) -> Result<Reopening, ResumeError> {
    let key = keys::run(run);
    let row = gate.ground.store.get(&key)?;
    let Some(row) = row else {
        let why = format!(
            "run {} is not there any more, and nobody knows what it has done",
            run.short()
        );
        return Ok(Reopening::Stays { why, wrote: true });
    };
    let record = RunRecord::decode(run, &row.value)?;
    let mut batch = Batch::new();
    batch.require(key.clone(), Precondition::At(row.version));
    if !record.status.is_over() {
        return Ok(Reopening::UnderWay(batch));
    }
    let recorded = Recorded::load(&gate.ground, run)?;
    let step = match reopens(&record, &recorded) {
        Ok(Some(step)) if is_asked_for || may_go_on(&record) => step,
        Ok(_) => {
            return Ok(stays(
                &recorded,
                format!("run {} is over ({})", run.short(), record.status),
            ));
        }
        Err(ResumeError::Store(error)) => return Err(error.into()),
        Err(ResumeError::Journal(error)) => return Err(error.into()),
        Err(error) => return Ok(stays(&recorded, error.to_string())),
    };
    let elapsed_ms = u64::try_from(gate.world.clock.unix_ms() - recorded.begun.at_ms).unwrap_or(0);
    let reopened = Entry::Reopened(Reopened {
        step,
        at_ms: elapsed_ms.max(recorded.last_ms),
        by: by.to_owned(),
    });
    let at = keys::journal(run, recorded.entries);
    batch.require(at.clone(), Precondition::Absent);
    batch.put(at, entry::encode(&[reopened]));
    let queued = RunRecord {
        status: Status::Queued,
        ended_ms: None,
        error: None,
        ..record
    };
    batch.put(key, queued.encode());
    batch.put(keys::open(run), Vec::new());
    Ok(Reopening::Ready(batch))
}

/// Whether it is sensible to go on without anybody's having changed something.
fn may_go_on(record: &RunRecord) -> bool {
    record.error.as_ref().is_some_and(|error| error.is_mended_by_time())
}

fn stays(recorded: &Recorded, why: String) -> Reopening {
    let past = recorded.past.iter().map(|(_, step)| step);
    let mut done = recorded.steps.values().chain(past);
    let wrote = done.any(|step| step.has_landed() || step.is_in_doubt());
    Reopening::Stays { why, wrote }
}
