//! What a local effect's closure reads and fills.
//!
//! A transaction reads the store and collects changes in a batch; it commits nothing itself. The gate commits the
//! batch together with the effect's journal entry, and calls the closure again when another run was quicker.

use std::sync::Arc;

use super::content::Content;
use super::documents::Indexes;
use super::{Batch, CommitNo, KeyRange, Precondition, Realm, Row, Store, StoreError, VisitRow};

/// The store and the files beside it, as one body of data.
#[derive(Clone)]
pub struct Ground {
    pub store: Arc<dyn Store>,
    pub content: Arc<dyn Content>,
    /// The declared secondary indexes of document collections.
    pub indexes: Arc<Indexes>,
}

/// A view of the store at work, and the changes made to it so far.
pub struct Tx<'a> {
    pub ground: &'a Ground,
    pub realm: Realm,
    /// Unix milliseconds, fixed for the whole transaction.
    pub now_ms: i64,
    pub batch: Batch,
    /// The highest commit that anything read here came from.
    pub seen: CommitNo,
}

impl<'a> Tx<'a> {
    pub fn new(ground: &'a Ground, realm: Realm, now_ms: i64) -> Tx<'a> {
        Tx {
            ground,
            realm,
            now_ms,
            batch: Batch::new(),
            seen: CommitNo::default(),
        }
    }

    /// The row under `key` as committed; changes of this transaction are not seen.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        let row = self.ground.store.get(key)?;
        if let Some(row) = &row {
            self.seen = self.seen.max(row.version);
        }
        Ok(row)
    }

    /// Rows as committed, see [`Store::scan`].
    pub fn scan(&mut self, range: KeyRange, limit: usize, reverse: bool) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        let rows = self.ground.store.scan(range, limit, reverse)?;
        for (_, row) in &rows {
            self.seen = self.seen.max(row.version);
        }
        Ok(rows)
    }

    /// Shows rows as committed, see [`Store::visit`].
    pub fn visit(&mut self, range: KeyRange, visit: &mut VisitRow<'_>) -> Result<(), StoreError> {
        let seen = &mut self.seen;
        self.ground.store.visit(range, &mut |key, value, version| {
            *seen = (*seen).max(version);
            visit(key, value, version)
        })
    }

    /// Demands that `key` be as `row` says when the batch is applied.
    pub fn unchanged(&mut self, key: &[u8], row: Option<&Row>) {
        let precondition = row.map_or(Precondition::Absent, |row| Precondition::At(row.version));
        self.batch.require(key.to_vec(), precondition);
    }
}
