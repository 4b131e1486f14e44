//! Queues whose jobs are given to no run until somebody resumes them. Scripts can still take them.

use serde::{Deserialize, Serialize};

use super::{check_queue, read, write};
use crate::store::keys::{self, QueueRow};
use crate::store::{StoreError, Tx};

/// Who has paused a queue, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    pub since_ms: i64,
    pub by: String,
    #[serde(default)]
    pub why: String,
}

/// Who has paused `queue`, if somebody has.
pub fn get(tx: &mut Tx<'_>, queue: &str) -> Result<Option<Paused>, StoreError> {
    let key = keys::queue(tx.realm, queue, &QueueRow::Paused);
    let row = tx.get(&key)?;
    row.map(|row| read(&key, &row)).transpose()
}

/// Gives no more jobs of `queue` to runs; does again when `paused` is `None`.
pub fn put(tx: &mut Tx<'_>, queue: &str, paused: Option<&Paused>) -> Result<(), StoreError> {
    check_queue(queue)?;
    let key = keys::queue(tx.realm, queue, &QueueRow::Paused);
    match paused {
        Some(paused) => tx.batch.put(key, write(paused)),
        None => tx.batch.delete(key),
    }
    Ok(())
}
