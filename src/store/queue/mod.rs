//! Queues of work: jobs that wait for somebody to take them, durable like everything else in the store.
//!
//! A job that is taken is leased: it stays in the queue, due again when its lease ends, so one whose taker was lost comes
//! back by itself and none is ever in two hands that both may say it is done. One index carries it all: a *turn* holds a
//! job's priority and when it is due, whether it is new, delayed, held back after a failure, or leased. A job that a run
//! of a consuming playbook does has no turn: it is held until that run is over, and the run's end says what becomes of it.
//!
//! Only pushing writes the head row, for the next number. Whoever ends a job adds to one of some tallies of those that
//! left, so that many can be ended at the same time; how full a queue is, is counted when it may have become full.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`job`] | a job as it is stored, and the rules of its life: pure |
//! | [`push`], [`take`], [`settle`] | functions over a transaction, as in [`kv`](super::kv) |
//! | [`hold`] | jobs that runs do |
//! | [`pause`] | queues whose jobs no run is given |
//! | [`turns`] | whose turn it is |
//! | [`tally`] | how many jobs there are |
//! | [`look`] | what is in a queue |
//! | [`copy`] | a queue carried over to another realm |

pub mod copy;
pub mod hold;
pub mod job;
pub mod look;
pub mod pause;
pub mod push;
pub mod settle;
pub mod take;
mod tally;
mod turns;

#[cfg(test)]
mod model_tests;

pub use job::{Job, State, Wanted};
pub use look::{Stats, list, names, stats};
pub use push::{Pushed, push};
pub use settle::{Failed, done, extend, fail, remove, requeue};
pub use take::{Taken, take};

use serde::Serialize;

use super::keys::{self, QueueRow};
use super::large::damaged;
use super::{Row, StoreError, Tx};

/// The longest name of a queue, in bytes.
pub const QUEUE_BYTES_MAX: usize = 64;

/// The most jobs in a queue, dead ones included.
pub const JOBS_MAX: u64 = 1_000_000;

fn refused(reason: String) -> StoreError {
    StoreError::Refused {
        code: "QUEUE_INVALID",
        reason,
    }
}

fn check_queue(name: &str) -> Result<(), StoreError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !name.is_empty() && name.len() <= QUEUE_BYTES_MAX && name.bytes().all(allowed) {
        return Ok(());
    }
    let shown: String = name.chars().take(100).collect();
    Err(refused(format!(
        "{shown:?} is no name of a queue: it needs 1 to {QUEUE_BYTES_MAX} letters, digits, \"_\", \"-\" or \".\""
    )))
}

fn write(row: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(row).expect("it is plain data")
}

fn read<T: serde::de::DeserializeOwned>(key: &[u8], row: &Row) -> Result<T, StoreError> {
    rmp_serde::from_slice(&row.value).map_err(|error| damaged(keys::describe(key), &error.to_string()))
}

/// The job `number`, with its row.
fn job(tx: &mut Tx<'_>, queue: &str, number: u64) -> Result<Option<(Job, Row)>, StoreError> {
    let key = keys::queue(tx.realm, queue, &QueueRow::Job(number));
    let Some(row) = tx.get(&key)? else { return Ok(None) };
    Ok(Some((read(&key, &row)?, row)))
}

/// Puts `job` in place of `before`, with its turn.
fn put_job(tx: &mut Tx<'_>, queue: &str, number: u64, before: Option<&Job>, job: Option<&Job>) {
    let realm = tx.realm;
    let turn = |job: &Job| keys::queue(realm, queue, &job.turn(number));
    if let Some(before) = before {
        tx.batch.delete(turn(before));
    }
    let key = keys::queue(realm, queue, &QueueRow::Job(number));
    match job {
        Some(job) => {
            tx.batch.put(turn(job), Vec::new());
            tx.batch.put(key, write(job));
        }
        None => tx.batch.delete(key),
    }
}
