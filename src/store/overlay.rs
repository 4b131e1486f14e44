//! A copy-on-write view over a store, or over nothing.
//!
//! Reads see the base with the overlay's own changes on top; commits stay in memory and die with the overlay. So a plan
//! or a replay runs the same code as a live run and changes nothing. Preconditions hold as they do in the base.
//!
//! An overlay's commit numbers lie above all that its base can ever give out, so a row written here is never taken for
//! one written there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::layered::{VisitLayered, cut_layer, scan_layered};
use super::{Batch, CommitNo, Durability, KeyBounds, KeyRange, Row, Store, StoreError, StoreStats, VisitRow, is_empty};

/// Where the numbers of overlays over an engine begin; an engine would need ten thousand years to come here.
const FIRST_COMMIT: u64 = 1 << 63;

/// The distance to the base's numbers when that is an overlay itself.
const ROOM_FOR_BASE: u64 = 1 << 40;

/// Whether a row written by `version` lies below the overlay whose last commit is `last`: nobody may change what it
/// speaks of. Never true of a store that is no overlay.
pub fn is_below(version: CommitNo, last: CommitNo) -> bool {
    last.0 >= FIRST_COMMIT && version.0 < FIRST_COMMIT
}

/// A store whose changes are kept apart from its base.
pub struct Overlay {
    base: Option<Arc<dyn Store>>,
    state: Mutex<State>,
}

struct State {
    changes: BTreeMap<Vec<u8>, Entry>,
    last: CommitNo,
    batches: u64,
}

struct Entry {
    /// The base's row when the overlay first touched the key.
    before: Option<Row>,
    after: Option<Row>,
}

/// One key that an overlay has touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub key: Vec<u8>,
    /// The base's row, when the key was first touched.
    pub before: Option<Row>,
    /// The value now, or `None` when it was deleted.
    pub after: Option<Vec<u8>>,
}

impl Overlay {
    pub fn over(base: Arc<dyn Store>) -> Overlay {
        let first = FIRST_COMMIT.max(base.stats().last_commit.0.saturating_add(ROOM_FOR_BASE));
        Overlay::new(Some(base), CommitNo(first))
    }

    /// Over an empty store.
    pub fn empty() -> Overlay {
        Overlay::new(None, CommitNo(FIRST_COMMIT))
    }

    fn new(base: Option<Arc<dyn Store>>, last: CommitNo) -> Overlay {
        Overlay {
            base,
            state: Mutex::new(State {
                changes: BTreeMap::new(),
                last,
                batches: 0,
            }),
        }
    }

    /// What was changed, in key order. A key that was created and deleted again, or given the value it had, is none.
    pub fn changes(&self) -> Vec<Change> {
        let state = self.state();
        let changes = state.changes.iter().map(|(key, entry)| Change {
            key: key.clone(),
            before: entry.before.clone(),
            after: entry.after.as_ref().map(|row| row.value.clone()),
        });
        changes
            .filter(|change| change.before.as_ref().map(|row| &row.value) != change.after.as_ref())
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn base_row(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.base.as_ref().map_or(Ok(None), |base| base.get(key))
    }

    fn merged_row(&self, state: &State, key: &[u8]) -> Result<Option<Row>, StoreError> {
        match state.changes.get(key) {
            Some(entry) => Ok(entry.after.clone()),
            None => self.base_row(key),
        }
    }
}

impl Store for Overlay {
    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.merged_row(&self.state(), key)
    }

    fn scan(&self, range: KeyRange, limit: usize, reverse: bool) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        if is_empty(&range) {
            return Ok(Vec::new());
        }
        let state = self.state();
        let own = state
            .changes
            .range(range.clone())
            .map(|(key, entry)| (key, entry.after.as_ref()));
        let layer = if reverse {
            cut_layer(own.rev(), limit)
        } else {
            cut_layer(own, limit)
        };
        scan_layered(layer, limit, reverse, |limit| match &self.base {
            Some(base) => base.scan(range, limit, reverse),
            None => Ok(Vec::new()),
        })
    }

    fn visit(&self, range: KeyRange, visit: &mut VisitRow<'_>) -> Result<(), StoreError> {
        if is_empty(&range) {
            return Ok(());
        }
        let state = self.state();
        let own = state.changes.range(range.clone());
        let own = own.map(|(key, entry)| (key, entry.after.as_ref()));
        let mut layered = VisitLayered::new(cut_layer(own, usize::MAX), visit);
        let mut has_enough = false;
        if let Some(base) = &self.base {
            base.visit(range, &mut |key, value, version| {
                let flow = layered.base(key, value, version);
                has_enough = flow.is_break();
                flow
            })?;
        }
        if !has_enough {
            layered.rest();
        }
        Ok(())
    }

    fn commit(&self, batch: Batch, _durability: Durability) -> Result<CommitNo, StoreError> {
        let mut state = self.state();
        for (key, precondition) in &batch.preconditions {
            let found = self.merged_row(&state, key)?.map(|row| row.version);
            if !precondition.holds(found) {
                return Err(StoreError::Conflict { key: key.clone() });
            }
        }
        if batch.is_empty() {
            return Ok(state.last);
        }
        let version = CommitNo(state.last.0 + 1);
        let deletes = batch.deletes.into_iter().map(|key| (key, None));
        let puts = batch
            .puts
            .into_iter()
            .map(|(key, value)| (key, Some(Row { value, version })));
        let mut written = Vec::new();
        for (key, after) in deletes.chain(puts) {
            // Read before anything is applied: a failure of the base must leave no half of a batch.
            let before = match state.changes.get(&key) {
                Some(entry) => entry.before.clone(),
                None => self.base_row(&key)?,
            };
            written.push((key, Entry { before, after }));
        }
        state.changes.extend(written);
        state.last = version;
        state.batches += 1;
        Ok(version)
    }

    fn wait_durable(&self, _commit: CommitNo) -> Result<(), StoreError> {
        Ok(())
    }

    /// Nothing of it is ever on a disk, and nobody waits for that.
    fn unsettled(&self, _range: KeyBounds<'_>) -> CommitNo {
        CommitNo::default()
    }

    fn stats(&self) -> StoreStats {
        let state = self.state();
        StoreStats {
            durable_commits: 0,
            batches: state.batches,
            last_commit: state.last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Precondition;
    use crate::store::engine::Engine;

    fn put(key: &str, value: &str) -> Batch {
        let mut batch = Batch::new();
        batch.put(key.into(), value.into());
        batch
    }

    #[test]
    fn the_base_is_never_written_and_changes_tell_what_would_be() {
        let base = Arc::new(Engine::in_memory().unwrap());
        base.commit(put("a", "1"), Durability::Soon).unwrap();
        base.commit(put("b", "1"), Durability::Soon).unwrap();
        let last = base.commit(put("c", "1"), Durability::Soon).unwrap();
        let overlay = Overlay::over(base.clone());

        let mut batch = put("a", "2");
        batch.delete(b"b".to_vec());
        batch.put(b"c".to_vec(), b"1".to_vec());
        batch.put(b"d".to_vec(), b"1".to_vec());
        assert!(overlay.commit(batch, Durability::Now).unwrap() > last);
        overlay.commit(put("e", "1"), Durability::Soon).unwrap();
        let mut batch = Batch::new();
        batch.delete(b"e".to_vec());
        overlay.commit(batch, Durability::Soon).unwrap();

        let changes = overlay.changes();
        let told: Vec<_> = changes
            .iter()
            .map(|change| {
                (
                    change.key.as_slice(),
                    change.before.as_ref().map(|row| row.value.as_slice()),
                    change.after.as_deref(),
                )
            })
            .collect();
        let (one, two) = (Some(b"1".as_slice()), Some(b"2".as_slice()));
        let expected: [(&[u8], _, _); 3] = [(b"a", one, two), (b"b", one, None), (b"d", None, one)];
        assert_eq!(told, expected);
        assert_eq!(base.stats().last_commit, last);
        assert_eq!(base.get(b"b").unwrap().unwrap().value, b"1");
    }

    #[test]
    fn an_overlay_over_an_overlay_numbers_its_commits_above_both() {
        let lower = Arc::new(Overlay::empty());
        let low = lower.commit(put("a", "1"), Durability::Soon).unwrap();
        let upper = Overlay::over(lower.clone());
        let high = upper.commit(put("a", "2"), Durability::Soon).unwrap();
        let later = lower.commit(put("a", "3"), Durability::Soon).unwrap();
        assert!(low < later && later < high);
        assert_eq!(upper.get(b"a").unwrap().unwrap().value, b"2");
    }

    #[test]
    fn a_precondition_on_the_base_holds_until_the_overlay_writes_the_key() {
        let base = Arc::new(Engine::in_memory().unwrap());
        let version = base.commit(put("a", "1"), Durability::Soon).unwrap();
        let overlay = Overlay::over(base);
        let guarded = || {
            let mut batch = put("a", "2");
            batch.require(b"a".to_vec(), Precondition::At(version));
            batch
        };
        overlay.commit(guarded(), Durability::Soon).unwrap();
        assert_eq!(
            overlay.commit(guarded(), Durability::Soon),
            Err(StoreError::Conflict { key: b"a".to_vec() })
        );
    }
}
