//! What is in a queue.

use super::job::State;
use super::push::now;
use super::take::{Taken, shown};
use super::{check_queue, job, refused};
use crate::store::keys::{self, Place, QueueRow};
use crate::store::large::damaged;
use crate::store::{KeyRange, StoreError, Tx};

/// The most jobs that are listed.
pub const LIST_MAX: usize = 1000;

/// The most queues that are named.
pub const NAMES_MAX: usize = 10_000;

/// How many turns are looked at to list jobs of one state.
const LOOKED_AT_MAX: usize = 100_000;

/// How many jobs are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub ready: u64,
    /// Delayed or leased: their turn comes later.
    pub later: u64,
    /// In the hands of runs.
    pub held: u64,
    pub dead: u64,
    /// How long the job has been due that has been due longest.
    pub waits_ms: u64,
}

/// Counts the jobs of `queue`.
pub fn stats(tx: &mut Tx<'_>, queue: &str) -> Result<Stats, StoreError> {
    check_queue(queue)?;
    let now_ms = now(tx);
    let mut stats = Stats {
        held: count(tx, keys::queue_held(tx.realm, queue))?,
        dead: count(tx, keys::queue_dead(tx.realm, queue))?,
        ..Stats::default()
    };
    let range = keys::queue_turns(tx.realm, queue, None);
    tx.visit(range, &mut |key, _, _| {
        if let Some(Place::Queue {
            row: QueueRow::Due { due_ms, .. },
            ..
        }) = keys::parse(key)
        {
            if due_ms <= now_ms {
                stats.ready += 1;
                stats.waits_ms = stats.waits_ms.max(now_ms - due_ms);
            } else {
                stats.later += 1;
            }
        }
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(stats)
}

fn count(tx: &mut Tx<'_>, range: KeyRange) -> Result<u64, StoreError> {
    let mut rows = 0;
    tx.visit(range, &mut |_, _, _| {
        rows += 1;
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(rows)
}

/// The first jobs of `queue`, of one state alone if there is one: first those that runs hold, then the others in the order
/// of their turns, dead ones last.
pub fn list(tx: &mut Tx<'_>, queue: &str, state: Option<State>, limit: usize) -> Result<Vec<Taken>, StoreError> {
    check_queue(queue)?;
    if !(1..=LIST_MAX).contains(&limit) {
        return Err(refused(format!("the limit is {limit}; 1 to {LIST_MAX} are allowed")));
    }
    let mut jobs = Vec::new();
    if state.is_none_or(|state| state == State::Held) {
        let range = keys::queue_held(tx.realm, queue);
        collect(tx, queue, range, state, limit, &mut jobs)?;
    }
    if !matches!(state, Some(State::Dead | State::Held)) {
        let range = keys::queue_turns(tx.realm, queue, None);
        collect(tx, queue, range, state, limit, &mut jobs)?;
    }
    if state.is_none_or(|state| state == State::Dead) {
        let range = keys::queue_dead(tx.realm, queue);
        collect(tx, queue, range, state, limit, &mut jobs)?;
    }
    Ok(jobs)
}

fn collect(
    tx: &mut Tx<'_>,
    queue: &str,
    range: KeyRange,
    state: Option<State>,
    limit: usize,
    jobs: &mut Vec<Taken>,
) -> Result<(), StoreError> {
    let now_ms = now(tx);
    let at_most = if state.is_some() { LOOKED_AT_MAX } else { limit };
    let mut numbers = Vec::new();
    tx.visit(range, &mut |key, _, _| {
        numbers.push(match keys::parse(key) {
            Some(Place::Queue {
                row: QueueRow::Due { job, .. } | QueueRow::Dead { job, .. } | QueueRow::Held(job),
                ..
            }) => Ok(job),
            _ => Err(damaged(keys::describe(key), "its key is unknown")),
        });
        if numbers.len() < at_most {
            std::ops::ControlFlow::Continue(())
        } else {
            std::ops::ControlFlow::Break(())
        }
    })?;
    for number in numbers {
        if jobs.len() == limit {
            return Ok(());
        }
        let number = number?;
        // It may have gone since its turn was read.
        let Some((job, _)) = job(tx, queue, number)? else {
            continue;
        };
        if state.is_none_or(|state| job.state(now_ms) == state) {
            jobs.push(shown(tx, queue, number, job)?);
        }
    }
    Ok(())
}

/// The names of all queues that have ever held a job, in order.
pub fn names(tx: &mut Tx<'_>) -> Result<Vec<String>, StoreError> {
    let rows = tx.scan(keys::queue_heads(tx.realm), NAMES_MAX, false)?;
    let name = |key: &[u8]| match keys::parse(key) {
        Some(Place::Queue { queue, .. }) => Ok(queue),
        _ => Err(damaged(keys::describe(key), "its key is unknown")),
    };
    rows.iter().map(|(key, _)| name(key)).collect()
}
