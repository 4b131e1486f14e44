//! What a local effect's closure reads and fills.
//!
//! A transaction reads the store and collects changes in a batch; it commits nothing itself. The gate commits the
//! batch together with the effect's journal entry, and calls the closure again when another run was quicker.

use std::ops::Bound;
use std::sync::Arc;

use super::content::Content;
use super::documents::Indexes;
use super::{Batch, CommitNo, KeyBounds, KeyRange, Precondition, Realm, Row, Store, StoreError, VisitRow, bounds};

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
    /// The highest commit that what was read here depends on: that it is there, or that it is there no more.
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
        match &row {
            Some(row) => self.saw(row.version),
            None => self.saw_all((Bound::Included(key), Bound::Included(key))),
        }
        Ok(row)
    }

    /// Rows as committed, see [`Store::scan`].
    pub fn scan(&mut self, range: KeyRange, limit: usize, reverse: bool) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        let rows = self.ground.store.scan(range.clone(), limit, reverse)?;
        rows.iter().for_each(|(_, row)| self.saw(row.version));
        // Nothing was said of what lies behind the last one.
        let last = rows.last().filter(|_| rows.len() == limit);
        let last = last.map(|(key, _)| Bound::Included(key.as_slice()));
        let (low, high) = bounds(&range);
        self.saw_all(match reverse {
            true => (last.unwrap_or(low), high),
            false => (low, last.unwrap_or(high)),
        });
        Ok(rows)
    }

    /// Shows rows as committed, see [`Store::visit`].
    pub fn visit(&mut self, range: KeyRange, visit: &mut VisitRow<'_>) -> Result<(), StoreError> {
        let seen = &mut self.seen;
        let mut last = None;
        self.ground.store.visit(range.clone(), &mut |key, value, version| {
            *seen = (*seen).max(version);
            let flow = visit(key, value, version);
            if flow.is_break() {
                last = Some(key.to_vec());
            }
            flow
        })?;
        let (low, high) = bounds(&range);
        self.saw_all((low, last.as_deref().map_or(high, Bound::Included)));
        Ok(())
    }

    fn saw(&mut self, commit: CommitNo) {
        self.seen = self.seen.max(commit);
    }

    /// Remembers what it depends on that nothing else stands in `range`. Asked after reading: what is deleted in between
    /// is waited for in vain, and nothing is overlooked.
    fn saw_all(&mut self, range: KeyBounds<'_>) {
        self.saw(self.ground.store.unsettled(range));
    }

    /// Demands that `key` be as `row` says when the batch is applied.
    pub fn unchanged(&mut self, key: &[u8], row: Option<&Row>) {
        let precondition = row.map_or(Precondition::Absent, |row| Precondition::At(row.version));
        self.batch.require(key.to_vec(), precondition);
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::super::Durability;
    use super::super::engine_tests::{open_disk, put};
    use super::super::test_disk::TestDisk;
    use super::super::test_ground::ground_on;
    use super::*;

    /// Whether what `read` reads depends on the deletion of "c", which is not on disk.
    fn depends(read: impl FnOnce(&mut Tx<'_>) -> Result<(), StoreError>) -> bool {
        let disk = TestDisk::default();
        let engine = Arc::new(open_disk(&disk));
        for key in ["a", "b", "c", "d", "e"] {
            engine.commit(put(key, "1"), Durability::Now).unwrap();
        }
        disk.hold();
        let mut batch = Batch::new();
        batch.delete(b"c".to_vec());
        let deleted = engine.commit(batch, Durability::Soon).unwrap();
        let ground = ground_on(engine, &[]);
        let mut tx = Tx::new(&ground, Realm::Live, 0);
        read(&mut tx).unwrap();
        let seen = tx.seen;
        disk.release();
        assert!(seen <= deleted);
        seen == deleted
    }

    /// A count of documents could be told while the document that it counted was in memory alone.
    #[test]
    fn what_is_there_counts_as_read_however_it_is_looked_at() {
        type Read = fn(&mut Tx<'_>) -> Result<(), StoreError>;
        let reads: [(Read, bool); 6] = [
            (|tx| tx.get(b"b").map(drop), true),
            (|tx| tx.get(b"a").map(drop), false),
            (|tx| tx.scan(range("a", "c"), 9, false).map(drop), true),
            (|tx| tx.scan(range("a", "c"), 1, false).map(drop), false),
            (
                |tx| tx.visit(range("a", "c"), &mut |_, _, _| ControlFlow::Continue(())),
                true,
            ),
            (
                |tx| tx.visit(range("a", "c"), &mut |_, _, _| ControlFlow::Break(())),
                false,
            ),
        ];
        for (at, (read, is_read)) in reads.into_iter().enumerate() {
            let disk = TestDisk::default();
            let engine = Arc::new(open_disk(&disk));
            engine.commit(put("a", "1"), Durability::Now).unwrap();
            disk.hold();
            let written = engine.commit(put("b", "1"), Durability::Soon).unwrap();
            let ground = ground_on(engine, &[]);
            let mut tx = Tx::new(&ground, Realm::Live, 0);
            read(&mut tx).unwrap();
            let seen = tx.seen;
            disk.release();
            assert_eq!(seen == written, is_read, "{at}");
        }
    }

    fn range(low: &str, high: &str) -> KeyRange {
        (Bound::Included(low.into()), Bound::Included(high.into()))
    }

    #[test]
    fn that_something_is_gone_counts_as_read_as_far_as_it_was_looked_for() {
        let get = |key: &'static str| depends(move |tx| tx.get(key.as_bytes()).map(drop));
        assert_eq!([get("b"), get("c"), get("cc")], [false, true, false]);
        let scan = |low, high, limit, reverse| depends(move |tx| tx.scan(range(low, high), limit, reverse).map(drop));
        assert!(scan("a", "e", 9, false) && scan("a", "e", 3, false) && scan("a", "e", 3, true));
        assert!(!scan("a", "e", 2, false), "behind the last row that was wanted");
        assert!(!scan("a", "e", 2, true), "before it");
        assert!(!scan("a", "b", 9, false) && !scan("e", "a", 9, false));
        let visit = |until: &'static [u8]| {
            depends(move |tx| {
                tx.visit(range("a", "e"), &mut |key, _, _| match key == until {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                })
            })
        };
        assert_eq!([visit(b"b"), visit(b"d"), visit(b"")], [false, true, true]);
    }
}
