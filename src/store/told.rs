//! A store that tells somebody of what was committed.

use std::sync::Arc;

use super::effort::Effort;
use super::engine::Compacted;
use super::{Batch, CommitNo, Durability, KeyBounds, KeyRange, Row, Store, StoreError, StoreStats, VisitRow};

/// Hears which of the keys that it wants were put, with the commit.
pub trait Hears: Send + Sync {
    fn wants(&self, key: &[u8]) -> bool;

    /// Is told after the commit and before whoever made it goes on; so it keeps nobody waiting.
    fn hear(&self, commit: CommitNo, put: Vec<Vec<u8>>);

    /// Is told whether the store takes changes: why not, when one could not be made that nothing was wrong with.
    fn takes_changes(&self, failed: Option<&StoreError>);
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
        let commit = match self.store.commit(batch, durability) {
            Ok(commit) => commit,
            Err(error) => {
                if !error.is_callers() && !matches!(error, StoreError::Conflict { .. }) {
                    self.hears.takes_changes(Some(&error));
                }
                return Err(error);
            }
        };
        self.hears.takes_changes(None);
        if !put.is_empty() {
            self.hears.hear(commit, put);
        }
        Ok(commit)
    }

    fn wait_durable(&self, commit: CommitNo) -> Result<(), StoreError> {
        let on_disk = self.store.wait_durable(commit);
        if let Err(error) = &on_disk {
            self.hears.takes_changes(Some(error));
        }
        on_disk
    }

    fn unsettled(&self, range: KeyBounds<'_>) -> CommitNo {
        self.store.unsettled(range)
    }

    fn stats(&self) -> StoreStats {
        self.store.stats()
    }

    fn effort(&self) -> Effort {
        self.store.effort()
    }

    fn compact(&self, go_on: &mut dyn FnMut() -> bool) -> Result<Option<Compacted>, StoreError> {
        self.store.compact(go_on)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::Precondition;
    use super::super::engine::Engine;
    use super::*;

    #[derive(Default)]
    struct Notes(Mutex<Vec<String>>);

    impl Hears for Notes {
        fn wants(&self, key: &[u8]) -> bool {
            key.starts_with(b"a")
        }

        fn hear(&self, _: CommitNo, put: Vec<Vec<u8>>) {
            let put: Vec<String> = put.into_iter().map(|key| String::from_utf8(key).unwrap()).collect();
            self.0.lock().unwrap().push(put.join(" "));
        }

        fn takes_changes(&self, failed: Option<&StoreError>) {
            if let Some(error) = failed {
                self.0.lock().unwrap().push(error.code().to_owned());
            }
        }
    }

    #[test]
    fn what_was_committed_is_told_and_what_was_not_is_not() {
        let notes: Arc<Notes> = Arc::default();
        let store = Told {
            store: Arc::new(Engine::in_memory().unwrap()),
            hears: notes.clone(),
        };
        let put = |keys: &[&str], condition: Option<Precondition>| {
            let mut batch = Batch::new();
            keys.iter().for_each(|key| batch.put(key.as_bytes().to_vec(), vec![1]));
            if let Some(condition) = condition {
                batch.require(keys[0].as_bytes().to_vec(), condition);
            }
            store.commit(batch, Durability::Soon)
        };
        put(&["a1", "b1", "a2"], None).unwrap();
        put(&["b2"], None).unwrap();
        put(&["a1"], Some(Precondition::Absent)).unwrap_err();
        assert_eq!(*notes.0.lock().unwrap(), ["a1 a2"]);
        assert!(store.get(b"b2").unwrap().is_some());
    }

    /// A server that answers over HTTP has such a store; `host store compact` was refused there.
    #[test]
    fn it_is_compacted_like_the_one_below() {
        let folder = tempfile::TempDir::new().unwrap();
        let store = Told {
            store: Arc::new(Engine::open(&folder.path().join("store.redb"), Default::default()).unwrap()),
            hears: Arc::<Notes>::default(),
        };
        assert!(store.compact(&mut || true).unwrap().is_some());
    }
}
