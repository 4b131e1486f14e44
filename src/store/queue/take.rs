//! Taking jobs out of a queue, on lease.

use std::ops::Bound;

use super::job::{Job, PRIORITY_MAX};
use super::push::now;
use super::{check_queue, head, job, put_head, put_job};
use crate::store::keys::{self, Place, QueueRow};
use crate::store::large::{damaged, load_bytes};
use crate::store::{StoreError, Tx};
use crate::value::Value;

/// How many jobs one call declares dead, at most.
const BURIED_MAX: usize = 100;

/// A job in somebody's hands.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    pub number: u64,
    pub job: Job,
    pub payload: Value,
}

/// The job whose turn it is, leased for so long: of those that are due the first of the greatest priority. Jobs that were
/// taken as often as they may, and came back by themselves, are dead on the way.
pub fn take(tx: &mut Tx<'_>, queue: &str, lease_ms: u64) -> Result<Option<Taken>, StoreError> {
    check_queue(queue)?;
    let now_ms = now(tx);
    let mut buried = 0;
    let mut found = None;
    'search: for priority in (0..=PRIORITY_MAX).rev() {
        for number in due(tx, queue, priority, now_ms)? {
            let Some((before, row)) = job(tx, queue, number)? else {
                return Err(damaged(
                    format!("job {number} of queue {queue}"),
                    "it has a turn and is not there",
                ));
            };
            let taken = before.taken(lease_ms, now_ms);
            let key = keys::queue(tx.realm, queue, &QueueRow::Job(number));
            tx.unchanged(&key, Some(&row));
            put_job(tx, queue, number, Some(&before), Some(&taken));
            if taken.died_ms.is_none() {
                found = Some((number, taken));
                break 'search;
            }
            buried += 1;
            if buried == BURIED_MAX {
                break 'search;
            }
        }
    }
    if buried > 0 {
        let (mut counters, row) = head(tx, queue)?;
        counters.live = counters.live.saturating_sub(buried as u64);
        counters.dead += buried as u64;
        put_head(tx, queue, &counters, row.as_ref());
    }
    let Some((number, job)) = found else { return Ok(None) };
    let payload = payload(tx, queue, number, &job)?;
    Ok(Some(Taken { number, job, payload }))
}

/// The numbers of the first jobs of `priority` that are due.
fn due(tx: &mut Tx<'_>, queue: &str, priority: u8, now_ms: u64) -> Result<Vec<u64>, StoreError> {
    let (low, _) = keys::queue_turns(tx.realm, queue, Some(priority));
    let last = QueueRow::Due {
        priority,
        due_ms: now_ms,
        job: u64::MAX,
    };
    let high = Bound::Included(keys::queue(tx.realm, queue, &last));
    let rows = tx.scan((low, high), BURIED_MAX + 1, false)?;
    let number = |key: &[u8]| match keys::parse(key) {
        Some(Place::Queue {
            row: QueueRow::Due { job, .. },
            ..
        }) => Ok(job),
        _ => Err(damaged(keys::describe(key), "its key is unknown")),
    };
    rows.iter().map(|(key, _)| number(key)).collect()
}

pub(super) fn payload(tx: &Tx<'_>, queue: &str, number: u64, job: &Job) -> Result<Value, StoreError> {
    let name = || format!("job {number} of queue {queue}");
    let bytes = load_bytes(&*tx.ground.content, &job.payload, name)?;
    Value::from_bytes(&bytes).map_err(|error| damaged(name(), &error.to_string()))
}
