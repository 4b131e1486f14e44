//! What becomes of a job: done, failed, held longer, removed, brought back.

use super::job::{Job, State};
use super::push::{hold, now, release};
use super::{check_queue, job, put_job, refused, tally};
use crate::store::keys::{self, QueueRow};
use crate::store::{Row, StoreError, Tx};

/// The longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 2000;

/// What came of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    Again { due_ms: u64 },
    Dead,
}

/// Says that the job is done; it leaves the queue.
pub fn done(tx: &mut Tx<'_>, queue: &str, number: u64, attempt: u32) -> Result<(), StoreError> {
    let (before, row) = held(tx, queue, number, attempt)?;
    leave(tx, queue, number, &before, &row)?;
    release(tx, queue, number, &before, before.remember_ms)?;
    Ok(())
}

/// Gives the job back: to be tried again after its backoff or `after_ms`, or never, when it `is_final` or has been tried
/// as often as it may. Then it is dead, and keeps its key until somebody removes it or brings it back.
pub fn fail(
    tx: &mut Tx<'_>,
    queue: &str,
    number: u64,
    attempt: u32,
    reason: &str,
    after_ms: Option<u64>,
    is_final: bool,
) -> Result<Failed, StoreError> {
    StoreError::check_size("the reason", reason.len(), REASON_BYTES_MAX)?;
    let (before, row) = held(tx, queue, number, attempt)?;
    let failed = before.failed(reason.to_owned(), after_ms, is_final, now(tx));
    replace(tx, queue, number, &before, &row, &failed);
    if failed.died_ms.is_none() {
        return Ok(Failed::Again { due_ms: failed.due_ms });
    }
    Ok(Failed::Dead)
}

/// Holds the job so long from now on; returns when the lease ends.
pub fn extend(tx: &mut Tx<'_>, queue: &str, number: u64, attempt: u32, lease_ms: u64) -> Result<u64, StoreError> {
    let (before, row) = held(tx, queue, number, attempt)?;
    let extended = Job {
        due_ms: now(tx).saturating_add(lease_ms.max(1)),
        ..before.clone()
    };
    replace(tx, queue, number, &before, &row, &extended);
    Ok(extended.due_ms)
}

/// Takes the job out of the queue, whatever its state; returns whether it was there.
pub fn remove(tx: &mut Tx<'_>, queue: &str, number: u64) -> Result<bool, StoreError> {
    check_queue(queue)?;
    let Some((before, row)) = job(tx, queue, number)? else {
        return Ok(false);
    };
    leave(tx, queue, number, &before, &row)?;
    release(tx, queue, number, &before, 0)?;
    Ok(true)
}

/// Brings a dead job back, to be tried as often as at first; returns whether there was such a dead job. Where a run did
/// it, that run goes on if it can.
pub fn requeue(tx: &mut Tx<'_>, queue: &str, number: u64) -> Result<bool, StoreError> {
    check_queue(queue)?;
    let Some((before, row)) = job(tx, queue, number)?.filter(|(job, _)| job.died_ms.is_some()) else {
        return Ok(false);
    };
    let revived = before.revived(now(tx));
    replace(tx, queue, number, &before, &row, &revived);
    if let Some(key) = &revived.key {
        hold(tx, queue, key, number, None);
    }
    Ok(true)
}

/// The job, if it is in the hands of him who took it for its attempt number `attempt`, and nobody else may take it yet.
fn held(tx: &mut Tx<'_>, queue: &str, number: u64, attempt: u32) -> Result<(Job, Row), StoreError> {
    check_queue(queue)?;
    let lost = |why: String| StoreError::Refused {
        code: "QUEUE_LEASE_LOST",
        reason: format!("the job {number} of {queue:?} is no longer yours: {why}; take a job again"),
    };
    if attempt == 0 {
        return Err(refused(format!(
            "the job {number} has not been taken: it has no attempt"
        )));
    }
    let Some((found, row)) = job(tx, queue, number)? else {
        return Err(lost("it is not in the queue any more".to_owned()));
    };
    match found.state(now(tx)) {
        State::Leased if found.attempts == attempt => Ok((found, row)),
        State::Leased => Err(lost("somebody else has taken it since".to_owned())),
        State::Dead => Err(lost("it is dead".to_owned())),
        State::Held => Err(lost("a run does it".to_owned())),
        State::Delayed => Err(lost("it was given back".to_owned())),
        State::Ready => Err(lost("its lease has ended".to_owned())),
    }
}

pub(super) fn replace(tx: &mut Tx<'_>, queue: &str, number: u64, before: &Job, row: &Row, after: &Job) {
    let key = keys::queue(tx.realm, queue, &QueueRow::Job(number));
    tx.unchanged(&key, Some(row));
    put_job(tx, queue, number, Some(before), Some(after));
}

pub(super) fn leave(tx: &mut Tx<'_>, queue: &str, number: u64, before: &Job, row: &Row) -> Result<(), StoreError> {
    let key = keys::queue(tx.realm, queue, &QueueRow::Job(number));
    tx.unchanged(&key, Some(row));
    put_job(tx, queue, number, Some(before), None);
    tally::leave(tx, queue, number)
}
