//! Taking jobs out of a queue, on lease.

use std::collections::BTreeSet;

use super::job::{Job, State};
use super::push::now;
use super::{check_queue, job, put_job, turns};
use crate::store::keys::{self, QueueRow};
use crate::store::large::{damaged, load_bytes};
use crate::store::{StoreError, Tx};
use crate::value::Value;

/// How many jobs one call declares dead, at most.
const BURIED_MAX: usize = 100;

/// How often one call looks again because others were quicker.
const RACES_MAX: usize = 1000;

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
    let mut found = None;
    let mut buried = BTreeSet::new();
    // Nearly always the first can be taken.
    let mut limit = 1;
    'search: for _ in 0..RACES_MAX {
        let numbers = turns::due(tx, queue, limit)?;
        let is_all = numbers.len() < limit;
        let mut raced = false;
        for number in numbers {
            if buried.contains(&number) {
                continue;
            }
            // Somebody may have taken it since its turn was read.
            let Some((before, row)) = job(tx, queue, number)?.filter(|(job, _)| job.state(now_ms) == State::Ready)
            else {
                raced = true;
                continue;
            };
            let mut taken = before.taken(lease_ms, now_ms);
            let loaded = match payload(tx, queue, number, &before) {
                Ok(payload) => payload,
                // Nobody will ever be able to do it, and those behind it must not wait for that.
                Err(error @ StoreError::Corrupt { .. }) => {
                    taken = before.dead(format!("{}: {error}", error.code()), now_ms);
                    Value::Unit
                }
                Err(error) => return Err(error),
            };
            let key = keys::queue(tx.realm, queue, &QueueRow::Job(number));
            tx.unchanged(&key, Some(&row));
            put_job(tx, queue, number, Some(&before), Some(&taken));
            if taken.died_ms.is_none() {
                found = Some((number, taken, loaded));
                break 'search;
            }
            buried.insert(number);
            if buried.len() == BURIED_MAX {
                break 'search;
            }
        }
        if is_all && !raced {
            break;
        }
        limit = BURIED_MAX + 1;
    }
    Ok(found.map(|(number, job, payload)| Taken { number, job, payload }))
}

/// The job for people, with what is wrong with its payload where that cannot be read: they must be able to take it out.
pub(super) fn shown(tx: &Tx<'_>, queue: &str, number: u64, job: Job) -> Result<Taken, StoreError> {
    let payload = match payload(tx, queue, number, &job) {
        Err(error @ StoreError::Corrupt { .. }) => Value::from(format!("{}: {error}", error.code())),
        read => read?,
    };
    Ok(Taken { number, job, payload })
}

pub(super) fn payload(tx: &Tx<'_>, queue: &str, number: u64, job: &Job) -> Result<Value, StoreError> {
    let name = || format!("job {number} of queue {queue}");
    let bytes = load_bytes(&*tx.ground.content, &job.payload, name)?;
    Value::from_bytes(&bytes).map_err(|error| damaged(name(), &error.to_string()))
}
