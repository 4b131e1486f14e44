//! Which runs are not over, after a host was stopped or in its normal life.

use std::ops::Bound;

use crate::id::RunId;
use crate::journal::{JournalError, RunRecord, Status};
use crate::store::keys::{self, Place};
use crate::store::tx::Ground;
use crate::store::{Batch, Durability, KeyRange, Store, StoreError};

/// Rows read at a time: no snapshot is held for long.
const ROWS_AT_ONCE: usize = 1024;

/// The runs that have a thread, had one when their host was stopped, or wait for one; oldest first.
pub fn unfinished(ground: &Ground) -> Result<Vec<RunId>, JournalError> {
    let mut runs = Vec::new();
    each_key(&*ground.store, keys::all_open(), |place| {
        if let Place::Open(run) = place {
            runs.push(run);
        }
    })?;
    Ok(runs)
}

/// The suspended runs whose time has come, or for whom something else has.
pub fn due(ground: &Ground, now_ms: i64) -> Result<Vec<RunId>, JournalError> {
    due_in(ground, keys::wakes_until(now_ms))
}

/// The suspended runs for whom something has come, whatever the time.
pub fn told(ground: &Ground) -> Result<Vec<RunId>, JournalError> {
    due_in(ground, keys::wakes_until(0))
}

/// The suspended runs whose time came after `after_ms` and until `now_ms`.
pub fn due_after(ground: &Ground, after_ms: i64, now_ms: i64) -> Result<Vec<RunId>, JournalError> {
    let (_, until) = keys::wakes_until(now_ms);
    due_in(ground, (keys::wakes_after(after_ms), until))
}

/// When the next suspended run goes on, if not before `after_ms`.
pub fn next_wake(store: &dyn Store, after_ms: i64) -> Result<Option<i64>, StoreError> {
    let (_, until) = keys::wakes_until(i64::MAX);
    let rows = store.scan((keys::wakes_after(after_ms), until), 1, false)?;
    let first = rows.first().and_then(|(key, _)| keys::parse(key));
    Ok(match first {
        Some(Place::Wake { at_ms, .. }) => Some(at_ms),
        _ => None,
    })
}

fn due_in(ground: &Ground, range: KeyRange) -> Result<Vec<RunId>, JournalError> {
    let mut rows = Vec::new();
    each_key(&*ground.store, range, |place| {
        if let Place::Wake { at_ms, run } = place {
            rows.push((at_ms, run));
        }
    })?;
    let mut runs = Vec::new();
    for (at_ms, run) in rows {
        let waits = match RunRecord::get(&*ground.store, run) {
            Ok(record) => record.status == Status::Suspended,
            Err(JournalError::NoSuchRun(_)) => false,
            Err(JournalError::Store(error)) => return Err(error.into()),
            // One that cannot be read is for the caller to tell of; it keeps no other from going on.
            Err(_) => true,
        };
        if waits {
            runs.push(run);
        } else {
            // It was woken by something else, and left this behind.
            let mut batch = Batch::new();
            batch.delete(keys::wake(at_ms, run));
            ground.store.commit(batch, Durability::Soon)?;
        }
    }
    runs.sort();
    runs.dedup();
    Ok(runs)
}

/// The runs that `parent` started, oldest first.
pub fn children(store: &dyn Store, parent: RunId) -> Result<Vec<RunId>, JournalError> {
    let mut runs = Vec::new();
    each_key(store, keys::children(parent), |place| {
        if let Place::Child { child, .. } = place {
            runs.push(child);
        }
    })?;
    Ok(runs)
}

fn each_key(store: &dyn Store, range: KeyRange, mut see: impl FnMut(Place)) -> Result<(), JournalError> {
    let (mut low, high) = range;
    loop {
        let rows = store.scan((low, high.clone()), ROWS_AT_ONCE, false)?;
        for (key, _) in &rows {
            if let Some(place) = keys::parse(key) {
                see(place);
            }
        }
        match rows.last() {
            Some((key, _)) if rows.len() == ROWS_AT_ONCE => low = Bound::Excluded(key.clone()),
            _ => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestHost;

    #[test]
    fn a_run_that_cannot_be_read_keeps_no_other_from_going_on() {
        let host = TestHost::default();
        let (damaged, well) = (host.run("1").id(), host.run("2").id());
        let mut batch = Batch::new();
        for run in [damaged, well] {
            let record = RunRecord::get(&*host.ground.store, run).unwrap();
            let waits = RunRecord {
                status: Status::Suspended,
                ..record
            };
            batch.put(keys::run(run), waits.encode());
            batch.put(keys::wake(5, run), Vec::new());
        }
        batch.put(keys::run(damaged), b"no record".to_vec());
        host.ground.store.commit(batch, Durability::Soon).unwrap();
        let due = due(&host.ground, 5).unwrap();
        assert!(due.contains(&well), "{due:?}");
        assert!(due.contains(&damaged), "somebody must tell of it");
    }
}
