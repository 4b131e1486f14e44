//! A ground for tests, in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::content::ScratchContent;
use super::documents::Indexes;
use super::overlay::Overlay;
use super::tx::Ground;
use super::{CommitNo, Durability, Realm, Store, StoreError, Tx};

/// An empty ground with indexes declared and not yet built.
pub fn ground(indexes: &[(&str, &[&str])]) -> Ground {
    ground_on(Arc::new(Overlay::empty()), indexes)
}

pub fn ground_on(store: Arc<dyn Store>, indexes: &[(&str, &[&str])]) -> Ground {
    let names = |fields: &[&str]| fields.iter().map(|field| (*field).to_owned()).collect();
    let declared: BTreeMap<_, _> = indexes
        .iter()
        .map(|(name, fields)| ((*name).to_owned(), names(fields)))
        .collect();
    let indexes = Arc::new(Indexes::declare(&declared).unwrap());
    Ground {
        store,
        content: Arc::new(ScratchContent::in_memory(None)),
        indexes,
    }
}

/// Does `work` in a transaction of the live realm at `now_ms`, and commits it.
pub fn transact<T>(
    ground: &Ground,
    now_ms: i64,
    work: impl Fn(&mut Tx<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut tx = Tx::new(ground, Realm::Live, now_ms);
    let result = work(&mut tx)?;
    ground.store.commit(tx.batch, Durability::Soon)?;
    Ok(result)
}

/// A row as it is stored: its key, its value, and the commit that wrote it.
pub type Stored = (Vec<u8>, Vec<u8>, CommitNo);

/// Every row of `store`, in order.
pub fn all(store: &dyn Store) -> Vec<Stored> {
    let everything = (Bound::Unbounded, Bound::Unbounded);
    let rows = store.scan(everything, usize::MAX, false).unwrap();
    rows.into_iter()
        .map(|(key, row)| (key, row.value, row.version))
        .collect()
}
