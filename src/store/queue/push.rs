//! Putting jobs into a queue.

use std::ops::Bound;

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

/// Keys that are looked at when one more is to be remembered.
const FORGOTTEN_MAX: usize = 4;

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
pub(super) fn release(
    tx: &mut Tx<'_>,
    queue: &str,
    number: u64,
    job: &Job,
    remember_ms: u64,
) -> Result<(), StoreError> {
    let Some(key) = &job.key else { return Ok(()) };
    let at = keys::queue(tx.realm, queue, &QueueRow::Dedupe(key.clone()));
    if remember_ms == 0 {
        tx.batch.delete(at);
        return Ok(());
    }
    let until_ms = now(tx).saturating_add(remember_ms);
    hold(tx, queue, key, number, Some(until_ms));
    forget_some(tx, queue, at)
}

/// Forgets some of the keys that need not be remembered any more: those next to `at`, from the first again after the last.
/// More are looked at than any job adds, so that they do not pile up.
fn forget_some(tx: &mut Tx<'_>, queue: &str, at: Vec<u8>) -> Result<(), StoreError> {
    let now_ms = now(tx);
    let (first, last) = keys::queue_dedupe(tx.realm, queue);
    let mut rows = tx.scan((Bound::Excluded(at.clone()), last), FORGOTTEN_MAX, false)?;
    if rows.len() < FORGOTTEN_MAX {
        rows.extend(tx.scan((first, Bound::Excluded(at)), FORGOTTEN_MAX - rows.len(), false)?);
    }
    for (key, row) in rows {
        let holder: Holder = read(&key, &row)?;
        if holder.until_ms.is_some_and(|until_ms| until_ms <= now_ms) {
            // Somebody may just be taking it anew.
            tx.unchanged(&key, Some(&row));
            tx.batch.delete(key);
        }
    }
    Ok(())
}

pub(super) fn now(tx: &Tx<'_>) -> u64 {
    u64::try_from(tx.now_ms).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::{done, take};
    use super::*;
    use crate::store::test_ground::{ground, transact};

    #[test]
    fn keys_that_need_not_be_remembered_any_more_do_not_pile_up() {
        let in_order = |n: u64| format!("clip-{n:05}");
        let mixed = |n: u64| format!("{:016x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        for name in [in_order as fn(u64) -> String, mixed] {
            let ground = ground(&[]);
            for n in 0..2000 {
                let wanted = Wanted {
                    key: Some(name(n)),
                    remember_ms: 20,
                    ..Wanted::default()
                };
                let now_ms = n as i64;
                assert!(
                    transact(&ground, now_ms, |tx| push(tx, "q", &Value::Unit, &wanted))
                        .unwrap()
                        .is_new
                );
                assert!(
                    !transact(&ground, now_ms, |tx| push(tx, "q", &Value::Unit, &wanted))
                        .unwrap()
                        .is_new
                );
                let taken = transact(&ground, now_ms, |tx| take(tx, "q", 1000)).unwrap().unwrap();
                transact(&ground, now_ms, |tx| done(tx, "q", taken.number, 1)).unwrap();
                assert!(
                    !transact(&ground, now_ms + 19, |tx| push(tx, "q", &Value::Unit, &wanted))
                        .unwrap()
                        .is_new
                );
            }
            let mut tx = Tx::new(&ground, crate::store::Realm::Live, 0);
            let kept = tx.scan(keys::queue_dedupe(tx.realm, "q"), 10_000, false).unwrap();
            assert!((20..60).contains(&kept.len()), "{}", kept.len());
        }
    }
}
