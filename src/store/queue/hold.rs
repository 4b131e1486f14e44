//! Jobs that runs do: from the batch that makes a run to the batch of its end.
//!
//! A job that a run holds has no turn and no lease that could end: whether it is done follows from the run alone. Only
//! the run that holds it settles it; one that somebody has made go on later settles it, too, unless another run has been
//! made for the job meanwhile.

use super::job::{Job, State};
use super::push::{now, release};
use super::settle::{REASON_BYTES_MAX, leave, replace};
use super::{check_queue, job, take, turns};
use crate::id::RunId;
use crate::store::keys::{self, QueueRow};
use crate::store::{Row, StoreError, Tx};
use crate::value::Value;

/// What the row of a hold says of one that waits for people: it takes up nobody's place.
const WAITS_FOR_PEOPLE: &[u8] = b"waits";

/// A job whose turn it is.
pub struct Due {
    pub number: u64,
    pub job: Job,
    row: Row,
}

/// What the end of a run makes of its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Done,
    /// To be tried again after its backoff, if it may be.
    Again(String),
    Dead(String),
    /// Its run waits for people.
    Waits,
}

/// What has become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    Done,
    Again { due_ms: u64 },
    Dead,
    Waits,
}

/// The first jobs that may be taken, in order, `limit` at most.
pub fn due(tx: &mut Tx<'_>, queue: &str, limit: usize) -> Result<Vec<Due>, StoreError> {
    check_queue(queue)?;
    let numbers = turns::due(tx, queue, limit)?;
    let mut jobs = Vec::with_capacity(numbers.len());
    for number in numbers {
        // It may have been taken since its turn was read.
        let found = job(tx, queue, number)?;
        if let Some((job, row)) = found.filter(|(job, _)| job.state(now(tx)) == State::Ready) {
            jobs.push(Due { number, job, row });
        }
    }
    Ok(jobs)
}

/// When the next job will be due that is not due yet.
pub fn next_due_ms(tx: &mut Tx<'_>, queue: &str) -> Result<Option<u64>, StoreError> {
    check_queue(queue)?;
    turns::next_due_ms(tx, queue)
}

/// How many jobs are in the hands of runs that are under way: those that wait for people are not counted.
pub fn under_way(tx: &mut Tx<'_>, queue: &str) -> Result<u64, StoreError> {
    let mut count = 0;
    tx.visit(keys::queue_held(tx.realm, queue), &mut |_, value, _| {
        count += u64::from(value.is_empty());
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(count)
}

/// What is to be done.
pub fn payload(tx: &Tx<'_>, queue: &str, due: &Due) -> Result<Value, StoreError> {
    take::payload(tx, queue, due.number, &due.job)
}

/// Gives the job to `run`, for one more attempt.
pub fn give(tx: &mut Tx<'_>, queue: &str, due: &Due, run: RunId) {
    let given = due.job.given_to(run, now(tx));
    replace(tx, queue, due.number, &due.job, &due.row, &given);
}

/// Leaves the job to its run, which somebody has made go on.
pub fn rejoin(tx: &mut Tx<'_>, queue: &str, due: &Due) {
    replace(tx, queue, due.number, &due.job, &due.row, &due.job.rejoined());
}

/// Says that nobody is to do the job, and why.
pub fn bury(tx: &mut Tx<'_>, queue: &str, due: &Due, reason: &str) {
    let dead = due.job.dead(cut(reason), now(tx));
    replace(tx, queue, due.number, &due.job, &due.row, &dead);
}

/// Writes down what the end of `run` makes of the job; `None` when the job is not that run's any more.
pub fn settle(
    tx: &mut Tx<'_>,
    queue: &str,
    number: u64,
    run: RunId,
    verdict: &Verdict,
) -> Result<Option<Settled>, StoreError> {
    let Some((before, row)) = job(tx, queue, number)?.filter(|(job, _)| job.run == Some(run)) else {
        return Ok(None);
    };
    let now_ms = now(tx);
    let after = match verdict {
        Verdict::Done => {
            leave(tx, queue, number, &before, &row)?;
            release(tx, queue, number, &before, before.remember_ms)?;
            return Ok(Some(Settled::Done));
        }
        Verdict::Waits => {
            replace(tx, queue, number, &before, &row, &before.rejoined());
            let key = keys::queue(tx.realm, queue, &QueueRow::Held(number));
            tx.batch.put(key, WAITS_FOR_PEOPLE.to_vec());
            return Ok(Some(Settled::Waits));
        }
        // It was dead when its run went on: once more is for whoever did that to say.
        Verdict::Again(reason) if before.died_ms.is_some() => before.dead(cut(reason), now_ms),
        Verdict::Again(reason) => before.failed(cut(reason), None, false, now_ms),
        Verdict::Dead(reason) => before.dead(cut(reason), now_ms),
    };
    replace(tx, queue, number, &before, &row, &after);
    Ok(Some(match after.died_ms {
        Some(_) => Settled::Dead,
        None => Settled::Again { due_ms: after.due_ms },
    }))
}

/// The job, for people.
pub fn get(tx: &mut Tx<'_>, queue: &str, number: u64) -> Result<Option<take::Taken>, StoreError> {
    check_queue(queue)?;
    let Some((job, _)) = job(tx, queue, number)? else {
        return Ok(None);
    };
    take::shown(tx, queue, number, job).map(Some)
}

/// As much of `reason` as is kept.
fn cut(reason: &str) -> String {
    let mut ends = (0..=reason.len().min(REASON_BYTES_MAX)).rev();
    let end = ends.find(|end| reason.is_char_boundary(*end));
    reason[..end.unwrap_or(0)].to_owned()
}
