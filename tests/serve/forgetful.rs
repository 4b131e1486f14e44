//! A store in memory whose process dies: what was not on the disk by then is lost, but for a beginning of it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard};

use host::store::{Batch, CommitNo, Durability, KeyRange, Row, Store, StoreError, StoreStats};

/// The row of a key before a commit.
type Before = (Vec<u8>, Option<Row>);

#[derive(Default)]
struct State {
    rows: BTreeMap<Vec<u8>, Row>,
    /// Commits that are not on the disk yet, with what they replaced.
    volatile: Vec<(CommitNo, Vec<Before>)>,
    last: CommitNo,
    /// Commits until the process dies.
    left: Option<u64>,
    is_dead: bool,
}

#[derive(Default)]
pub struct Forgetful(Mutex<State>);

fn died() -> StoreError {
    StoreError::Refused {
        code: "DIED",
        reason: "the process died".to_owned(),
    }
}

impl Forgetful {
    /// The process dies after so many more commits.
    pub fn die_after(&self, commits: u64) {
        self.state().left = Some(commits);
    }

    /// It does not die after all.
    pub fn live_on(&self) {
        self.state().left = None;
    }

    pub fn is_dead(&self) -> bool {
        self.state().is_dead
    }

    /// The process is gone, and another begins; of what was not on the disk only the first `keep` per mille are left.
    pub fn begin_anew(&self, keep: u64) {
        let mut state = self.state();
        let kept = state.volatile.len() * keep as usize / 1000;
        let lost = state.volatile.split_off(kept);
        for (_, before) in lost.into_iter().rev() {
            for (key, row) in before.into_iter().rev() {
                match row {
                    Some(row) => state.rows.insert(key, row),
                    None => state.rows.remove(&key),
                };
            }
        }
        state.volatile.clear();
        (state.left, state.is_dead) = (None, false);
    }

    /// Everything is on the disk: some time has passed.
    pub fn settle(&self) {
        self.state().volatile.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic while it is held")
    }
}

impl Store for Forgetful {
    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        Ok(self.state().rows.get(key).cloned())
    }

    fn scan(&self, range: KeyRange, limit: usize, reverse: bool) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        let is_empty = match (&range.0, &range.1) {
            (Bound::Included(low), Bound::Included(high)) => low > high,
            (Bound::Included(low) | Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) => low >= high,
            _ => false,
        };
        if is_empty {
            return Ok(Vec::new());
        }
        let state = self.state();
        let rows = state.rows.range(range).map(|(key, row)| (key.clone(), row.clone()));
        Ok(match reverse {
            true => rows.rev().take(limit).collect(),
            false => rows.take(limit).collect(),
        })
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<CommitNo, StoreError> {
        let mut state = self.state();
        if state.is_dead {
            return Err(died());
        }
        for (key, precondition) in &batch.preconditions {
            if !precondition.holds(state.rows.get(key).map(|row| row.version)) {
                return Err(StoreError::Conflict { key: key.clone() });
            }
        }
        let mut before = Vec::new();
        let version = CommitNo(state.last.0 + 1);
        state.last = version;
        for key in batch.deletes {
            let row = state.rows.remove(&key);
            before.push((key, row));
        }
        for (key, value) in batch.puts {
            let row = state.rows.insert(key.clone(), Row { value, version });
            before.push((key, row));
        }
        state.volatile.push((version, before));
        state.left = state.left.map(|left| left.saturating_sub(1));
        if state.left == Some(0) {
            // It is made, and whoever made it does not hear of it.
            state.is_dead = true;
            return Err(died());
        }
        if durability == Durability::Now {
            state.volatile.clear();
        }
        Ok(version)
    }

    fn wait_durable(&self, commit: CommitNo) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.is_dead {
            return Err(died());
        }
        state.volatile.retain(|(number, _)| *number > commit);
        Ok(())
    }

    fn stats(&self) -> StoreStats {
        StoreStats {
            last_commit: self.state().last,
            ..StoreStats::default()
        }
    }
}
