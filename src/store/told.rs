//! A store that tells somebody of what was committed.

use std::sync::Arc;

use super::{Batch, CommitNo, Durability, KeyRange, Row, Store, StoreError, StoreStats, VisitRow};

/// Hears which of the keys that it wants were put, with the commit.
pub trait Hears: Send + Sync {
    fn wants(&self, key: &[u8]) -> bool;

    /// Is told after the commit and before whoever made it goes on; so it keeps nobody waiting.
    fn hear(&self, commit: CommitNo, put: Vec<Vec<u8>>);
}

/// The same store, whose commits are heard of.
pub struct Told {
    pub store: Arc<dyn Store>,
    pub hears: Arc<dyn Hears>,
}

impl Store for Told {
    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.store.get(key)
    }

    fn scan(&self, range: KeyRange, limit: usize, reverse: bool) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        self.store.scan(range, limit, reverse)
    }

    fn visit(&self, range: KeyRange, visit: &mut VisitRow<'_>) -> Result<(), StoreError> {
        self.store.visit(range, visit)
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<CommitNo, StoreError> {
        let keys = batch.puts.iter().map(|(key, _)| key);
        let put: Vec<Vec<u8>> = keys.filter(|key| self.hears.wants(key)).cloned().collect();
        let commit = self.store.commit(batch, durability)?;
        if !put.is_empty() {
            self.hears.hear(commit, put);
        }
        Ok(commit)
    }

    fn wait_durable(&self, commit: CommitNo) -> Result<(), StoreError> {
        self.store.wait_durable(commit)
    }

    fn stats(&self) -> StoreStats {
        self.store.stats()
    }
}
