//! A store whose first change is signed: the act goes into the same batch.
//!
//! It stands where any store stands, so what changes rows need not know that somebody is held to account for it. A
//! change of many batches is signed in the first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Act, Actor, chain};
use crate::store::effort::Effort;
use crate::store::engine::Compacted;
use crate::store::tx::Ground;
use crate::store::{Batch, CommitNo, Durability, KeyBounds, KeyRange, Row, Store, StoreError, StoreStats, VisitRow};

pub struct Signed {
    store: Arc<dyn Store>,
    actor: Actor,
    act: Act,
    at_ms: i64,
    is_signed: AtomicBool,
}

impl Signed {
    pub fn new(store: Arc<dyn Store>, actor: Actor, act: Act, at_ms: i64) -> Signed {
        Signed {
            store,
            actor,
            act,
            at_ms,
            is_signed: AtomicBool::new(false),
        }
    }

    /// `ground`, whose first change is signed.
    pub fn ground(ground: &Ground, actor: Actor, act: Act, at_ms: i64) -> Ground {
        Ground {
            store: Arc::new(Signed::new(ground.store.clone(), actor, act, at_ms)),
            ..ground.clone()
        }
    }
}

impl Store for Signed {
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
        let changes_something = !batch.puts.is_empty() || !batch.deletes.is_empty();
        if !changes_something || self.is_signed.load(Ordering::Acquire) {
            return self.store.commit(batch, durability);
        }
        let committed = chain::commit(&*self.store, batch, durability, &self.actor, &self.act, self.at_ms)?;
        self.is_signed.store(true, Ordering::Release);
        Ok(committed)
    }

    fn wait_durable(&self, commit: CommitNo) -> Result<(), StoreError> {
        self.store.wait_durable(commit)
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
