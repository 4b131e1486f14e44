//! Putting jobs into a queue.

use serde::{Deserialize, Serialize};

use super::job::{Job, Wanted};
use super::tally::next_number;
use super::{check_queue, put_job, read, refused, write};
use crate::store::keys::{self, QueueRow};
use crate::store::large::store_bytes;
use crate::store::{StoreError, Tx};
use crate::value::Value;

/// The largest payload, encoded.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// The longest key, in bytes.
pub const DEDUPE_BYTES_MAX: usize = 512;

/// What came of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushed {
    pub job: u64,
    /// `false` when a job with the same key is there, or was done so recently that it is remembered.
    pub is_new: bool,
}

/// Who holds a key.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Holder {
    pub(super) job: u64,
    /// `None` as long as the job is in the queue.
    pub(super) until_ms: Option<u64>,
}

/// Puts a job into `queue`, unless one with its key is known.
pub fn push(tx: &mut Tx<'_>, queue: &str, payload: &Value, wanted: &Wanted) -> Result<Pushed, StoreError> {
    check_queue(queue)?;
    let now_ms = now(tx);
    if let Some(key) = &wanted.key {
        if key.is_empty() {
            return Err(refused(
                "the key of a job is empty; leave it out when there is none".to_owned(),
            ));
        }
        StoreError::check_size("the key of the job", key.len(), DEDUPE_BYTES_MAX)?;
        let at = keys::queue(tx.realm, queue, &QueueRow::Dedupe(key.clone()));
        let row = tx.get(&at)?;
        if let Some(row) = &row {
            let holder: Holder = read(&at, row)?;
            if holder.until_ms.is_none_or(|until_ms| until_ms > now_ms) {
                return Ok(Pushed {
                    job: holder.job,
                    is_new: false,
                });
            }
        }
        tx.unchanged(&at, row.as_ref());
    }
    let bytes = payload.to_bytes();
    StoreError::check_size("the job", bytes.len(), PAYLOAD_BYTES_MAX)?;
    let held = store_bytes(&*tx.ground.content, &mut tx.batch, &bytes)?;
    let number = next_number(tx, queue)?;
    put_job(tx, queue, number, None, Some(&Job::new(wanted, held, now_ms)));
    if let Some(key) = &wanted.key {
        hold(tx, queue, key, number, None);
    }
    Ok(Pushed {
        job: number,
        is_new: true,
    })
}

/// Notes who holds `key`, and how long.
pub(super) fn hold(tx: &mut Tx<'_>, queue: &str, key: &str, job: u64, until_ms: Option<u64>) {
    let at = keys::queue(tx.realm, queue, &QueueRow::Dedupe(key.to_owned()));
    tx.batch.put(at, write(&Holder { job, until_ms }));
}

/// Lets go of the key of a job that leaves the queue, at once or when it need not be remembered any more.
pub(super) fn release(tx: &mut Tx<'_>, queue: &str, number: u64, job: &Job, remember_ms: u64) {
    let Some(key) = &job.key else { return };
    if remember_ms > 0 {
        let until_ms = now(tx).saturating_add(remember_ms);
        hold(tx, queue, key, number, Some(until_ms));
    } else {
        let at = keys::queue(tx.realm, queue, &QueueRow::Dedupe(key.clone()));
        tx.batch.delete(at);
    }
}

pub(super) fn now(tx: &Tx<'_>) -> u64 {
    u64::try_from(tx.now_ms).unwrap_or(0)
}
