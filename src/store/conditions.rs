//! What a batch asks of the rows before it is applied.
//!
//! *Invariant:* a precondition is judged by the rows as they are when the batch is applied. What the file holds is looked up
//! before the lock is taken that everybody waits for, and counts only while the file is still the same.

use std::sync::Arc;

use super::engine::{Rows, Shared};
use super::pending::Pending;
use super::row::read_version;
use super::{Batch, CommitNo, StoreError};

/// What the file held of the keys of a batch's preconditions, of those that were not pending.
pub(super) struct Looked {
    snapshot: Arc<Rows>,
    versions: Vec<Option<Option<CommitNo>>>,
}

impl Shared {
    /// Looks up what the preconditions of `batch` ask of the file. To do that under the lock keeps everybody waiting.
    pub(super) fn look_ahead(&self, batch: &Batch) -> Result<Option<Looked>, StoreError> {
        if batch.preconditions.is_empty() {
            return Ok(None);
        }
        let (snapshot, is_pending) = {
            let mut pending = self.lock();
            let keys = batch.preconditions.iter().map(|(key, _)| key);
            let is_pending: Vec<bool> = keys.map(|key| pending.find(key).is_some()).collect();
            (self.snapshot(&mut pending)?, is_pending)
        };
        let keys = batch.preconditions.iter().map(|(key, _)| key);
        let versions = keys.zip(is_pending).map(|(key, is_pending)| match is_pending {
            true => Ok(None),
            false => self.version_of(&snapshot, key).map(Some),
        });
        let versions = versions.collect::<Result<_, _>>()?;
        Ok(Some(Looked { snapshot, versions }))
    }

    /// The version of the row under `key` in the file.
    fn version_of(&self, snapshot: &Rows, key: &[u8]) -> Result<Option<CommitNo>, StoreError> {
        self.read(snapshot, |table| {
            let Some(stored) = table.get(key)? else {
                return Ok(Ok(None));
            };
            let version = read_version(key, stored.value());
            Ok(version.ok_or_else(|| self.altered(key)).map(Some))
        })
    }

    /// Whether all preconditions of `batch` hold, for a caller who commits it under the same lock.
    pub(super) fn check_preconditions(
        &self,
        pending: &mut Pending,
        batch: &Batch,
        looked: Option<&Looked>,
    ) -> Result<(), StoreError> {
        for (at, (key, precondition)) in batch.preconditions.iter().enumerate() {
            let found = match pending.find(key) {
                Some(found) => found.map(|row| row.version),
                None => {
                    let snapshot = self.snapshot(pending)?;
                    // The file may be another by now.
                    let looked = looked.filter(|looked| Arc::ptr_eq(&looked.snapshot, &snapshot));
                    match looked.and_then(|looked| looked.versions[at]) {
                        Some(version) => version,
                        None => self.version_of(&snapshot, key)?,
                    }
                }
            };
            if !precondition.holds(found) {
                return Err(StoreError::Conflict { key: key.clone() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use crate::store::engine::Engine;
    use crate::store::{Batch, Durability, Precondition, Store, StoreError};

    #[test]
    fn of_many_who_put_a_row_where_there_is_none_one_does() {
        let engine = Engine::in_memory().unwrap();
        let (winners, keys) = (AtomicU64::new(0), 4000u64);
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    for key in 0..keys {
                        let mut batch = Batch::new();
                        let key = [b"k".as_slice(), &key.to_be_bytes()].concat();
                        batch.require(key.clone(), Precondition::Absent);
                        batch.put(key, Vec::new());
                        match engine.commit(batch, Durability::Now) {
                            Ok(_) => drop(winners.fetch_add(1, Ordering::Relaxed)),
                            Err(StoreError::Conflict { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                });
            }
        });
        assert_eq!(winners.into_inner(), keys);
    }
}
