//! What a server says of itself: a row that every command can read.
//!
//! It is written when something in it changes, and at no other time. What can be read from other rows — runs at work,
//! ticks that are due, saves that are broken — does not stand in it.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::journal::epoch::Epoch;
use crate::store::keys::{self, Space};
use crate::store::{Batch, Durability, Row, Store, StoreError};

/// Problems that are kept, the latest.
const PROBLEMS_MAX: usize = 10;

/// What a server says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    pub pid: u32,
    pub since_ms: i64,
    /// When it ended in order; `None` while it is there, and after it was killed.
    pub ended_ms: Option<i64>,
    pub live: bool,
    pub threads: u32,
    /// The set that is live, counted.
    pub edition: u64,
    pub edition_since_ms: i64,
    pub playbooks: usize,
    /// Those of them that something starts by itself.
    pub started_by_themselves: usize,
    /// What went wrong in the host itself, the latest at the end.
    pub problems: Vec<Problem>,
    /// Where it is asked over HTTP, as a URL.
    pub http: Option<String>,
    /// What the watchdog sees now.
    pub alarms: Vec<Alarm>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub at_ms: i64,
    pub what: String,
    pub code: String,
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    pub since_ms: i64,
    pub what: String,
}

fn key() -> Vec<u8> {
    keys::named(Space::Meta, &["serve"])
}

impl Status {
    /// Of the server that is there, or of the last one.
    pub fn read(store: &dyn Store) -> Result<Option<Status>, StoreError> {
        let read = |row: Row| {
            rmp_serde::from_slice(&row.value)
                .map_err(|error| StoreError::corrupt(Path::new("serve"), error.to_string()))
        };
        store.get(&key())?.map(read).transpose()
    }

    /// The same, but of none that served before the store was restored from a backup: what became of it is on no record.
    pub fn of_this_life(store: &dyn Store) -> Result<Option<Status>, StoreError> {
        let lost = Epoch::read(store)?.origin.map_or(0, |origin| origin.last_commit);
        match store.get(&key())? {
            Some(row) if row.version.0 > lost => Status::read(store),
            _ => Ok(None),
        }
    }
}

/// Where the parts of a server say how they are.
pub struct Board {
    store: Arc<dyn Store>,
    status: Mutex<Status>,
}

impl Board {
    pub fn new(store: Arc<dyn Store>, status: Status) -> Board {
        let board = Board {
            store,
            status: Mutex::new(status),
        };
        board.write(&board.lock());
        board
    }

    pub fn status(&self) -> Status {
        self.lock().clone()
    }

    pub fn change(&self, change: impl FnOnce(&mut Status)) {
        let mut status = self.lock();
        let before = status.clone();
        change(&mut status);
        let over = status.problems.len().saturating_sub(PROBLEMS_MAX);
        status.problems.drain(..over);
        if *status != before {
            self.write(&status);
        }
    }

    /// Notes that something went wrong. The same once more only changes when that was.
    pub fn problem(&self, problem: Problem) {
        self.change(|status| {
            let is_same = |other: &Problem| (&other.what, &other.code) == (&problem.what, &problem.code);
            status.problems.retain(|other| !is_same(other));
            status.problems.push(problem);
        });
    }

    /// Whoever cannot write this row cannot write any, which others tell.
    fn write(&self, status: &Status) {
        let mut batch = Batch::new();
        batch.put(key(), rmp_serde::to_vec_named(status).expect("it is plain data"));
        if let Err(error) = self.store.commit(batch, Durability::Soon) {
            tracing::warn!(%error, code = error.code(), "what the server says of itself cannot be written");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::Engine;

    fn problem(what: &str, at_ms: i64) -> Problem {
        Problem {
            at_ms,
            what: what.to_owned(),
            code: "STORE_IO".to_owned(),
            message: "the disk is full".to_owned(),
        }
    }

    #[test]
    fn the_latest_problems_are_kept_and_each_once() {
        let store: Arc<dyn Store> = Arc::new(Engine::in_memory().expect("memory"));
        let board = Board::new(store.clone(), Status::default());
        for at_ms in 0..30 {
            board.problem(problem(&format!("trigger {}", at_ms % 12), at_ms));
        }
        let status = Status::read(&*store).expect("readable").expect("written");
        let times: Vec<i64> = status.problems.iter().map(|problem| problem.at_ms).collect();
        assert_eq!(times, (20..30).collect::<Vec<_>>());
    }

    #[test]
    fn a_row_is_written_only_when_something_changes() {
        let store: Arc<dyn Store> = Arc::new(Engine::in_memory().expect("memory"));
        let board = Board::new(store.clone(), Status::default());
        let before = store.stats().last_commit;
        board.change(|status| status.edition = 0);
        assert_eq!(store.stats().last_commit, before);
        board.change(|status| status.edition = 1);
        assert!(store.stats().last_commit > before);
    }
}
