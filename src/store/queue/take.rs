//! Taking jobs out of a queue, on lease.

use super::job::Job;
use super::push::now;
use super::{check_queue, existing, put_job, turns};
use crate::store::keys::{self, QueueRow};
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
    // Nearly always the first can be taken.
    let mut found = None;
    let mut tried = 0;
    while found.is_none() && tried < BURIED_MAX {
        let limit = if tried == 0 { 1 } else { BURIED_MAX + 1 };
        let numbers = turns::due(tx, queue, limit)?;
        if numbers.len() <= tried {
            break;
        }
        for number in numbers.into_iter().skip(tried).take(BURIED_MAX - tried) {
            let (before, row) = existing(tx, queue, number)?;
            let taken = before.taken(lease_ms, now_ms);
            let key = keys::queue(tx.realm, queue, &QueueRow::Job(number));
            tx.unchanged(&key, Some(&row));
            put_job(tx, queue, number, Some(&before), Some(&taken));
            if taken.died_ms.is_none() {
                found = Some((number, taken));
                break;
            }
            tried += 1;
        }
    }
    let Some((number, job)) = found else { return Ok(None) };
    let payload = payload(tx, queue, number, &job)?;
    Ok(Some(Taken { number, job, payload }))
}

pub(super) fn payload(tx: &Tx<'_>, queue: &str, number: u64, job: &Job) -> Result<Value, StoreError> {
    let name = || format!("job {number} of queue {queue}");
    let bytes = load_bytes(&*tx.ground.content, &job.payload, name)?;
    Value::from_bytes(&bytes).map_err(|error| damaged(name(), &error.to_string()))
}
