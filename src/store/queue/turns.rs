//! Whose turn it is: the jobs that may be taken, in order, and when the next ones may be.

use std::ops::Bound;

use super::push::now;
use crate::store::keys::{self, Place, QueueRow};
use crate::store::large::damaged;
use crate::store::{StoreError, Tx};

/// A job's place in the order.
struct Turn {
    priority: u8,
    due_ms: u64,
    job: u64,
}

/// The numbers of the first jobs that are due, `limit` at most: those of the greatest priority, then those due first.
pub(super) fn due(tx: &mut Tx<'_>, queue: &str, limit: usize) -> Result<Vec<u64>, StoreError> {
    let now_ms = now(tx);
    let mut numbers = Vec::new();
    each_priority(tx, queue, &mut |tx, first| {
        if first.due_ms > now_ms {
            return Ok(true);
        }
        let left = limit - numbers.len();
        if left == 1 {
            numbers.push(first.job);
            return Ok(false);
        }
        let last = QueueRow::Due {
            priority: first.priority,
            due_ms: now_ms,
            job: u64::MAX,
        };
        let (low, _) = keys::queue_turns(tx.realm, queue, Some(first.priority));
        let high = Bound::Included(keys::queue(tx.realm, queue, &last));
        for (key, _) in tx.scan((low, high), left, false)? {
            numbers.push(read(&key)?.job);
        }
        Ok(numbers.len() < limit)
    })?;
    Ok(numbers)
}

/// When the next job will be due that is not due yet.
pub(super) fn next_due_ms(tx: &mut Tx<'_>, queue: &str) -> Result<Option<u64>, StoreError> {
    let now_ms = now(tx);
    let mut next: Option<u64> = None;
    each_priority(tx, queue, &mut |tx, first| {
        let mut due_ms = Some(first.due_ms);
        if first.due_ms <= now_ms {
            let after = QueueRow::Due {
                priority: first.priority,
                due_ms: now_ms,
                job: u64::MAX,
            };
            let low = Bound::Excluded(keys::queue(tx.realm, queue, &after));
            let (_, high) = keys::queue_turns(tx.realm, queue, Some(first.priority));
            let rows = tx.scan((low, high), 1, false)?;
            let later = rows.first().map(|(key, _)| read(key)).transpose()?;
            due_ms = later.map(|turn| turn.due_ms);
        }
        next = next.into_iter().chain(due_ms).min();
        Ok(true)
    })?;
    Ok(next)
}

/// Shows the first turn of each priority that has one, the greatest first, until `see` says that it is enough.
fn each_priority(
    tx: &mut Tx<'_>,
    queue: &str,
    see: &mut dyn FnMut(&mut Tx<'_>, Turn) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let (mut low, high) = keys::queue_turns(tx.realm, queue, None);
    loop {
        let rows = tx.scan((low, high.clone()), 1, false)?;
        let Some((key, _)) = rows.first() else { return Ok(()) };
        let turn = read(key)?;
        let last = QueueRow::Due {
            priority: turn.priority,
            due_ms: u64::MAX,
            job: u64::MAX,
        };
        low = Bound::Excluded(keys::queue(tx.realm, queue, &last));
        if !see(tx, turn)? {
            return Ok(());
        }
    }
}

fn read(key: &[u8]) -> Result<Turn, StoreError> {
    match keys::parse(key) {
        Some(Place::Queue {
            row: QueueRow::Due { priority, due_ms, job },
            ..
        }) => Ok(Turn { priority, due_ms, job }),
        _ => Err(damaged(keys::describe(key), "its key is unknown")),
    }
}
