//! What starts nothing until somebody resumes it: a playbook, all of them, a queue. Each is a row.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::store::keys::{self, Place, Space};
use crate::store::{Batch, Realm, Store, StoreError};

/// The name under which everything is paused.
pub const ALL: &str = "*";

/// The first name of a queue's row; its realm and its own name follow.
const QUEUE: &str = "queue";

/// The most rows that are looked at.
const ROWS_MAX: usize = 100_000;

/// Who has paused a queue, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    pub since_ms: i64,
    pub by: String,
    #[serde(default)]
    pub why: String,
}

/// What is paused at one moment.
#[derive(Debug, Default)]
pub struct Pauses(BTreeSet<Vec<String>>);

impl Pauses {
    pub fn read(store: &dyn Store) -> Result<Pauses, StoreError> {
        let rows = store.scan(keys::prefix_range(keys::named(Space::Pause, &[])), ROWS_MAX, false)?;
        let names = rows.iter().filter_map(|(key, _)| match keys::parse(key) {
            Some(Place::Named { names, .. }) => Some(names),
            _ => None,
        });
        Ok(Pauses(names.collect()))
    }

    /// Whether nothing starts at all.
    pub fn hold_all(&self) -> bool {
        self.0.contains([ALL.to_owned()].as_slice())
    }

    /// Whether `playbook` starts nothing.
    pub fn hold(&self, playbook: &str) -> bool {
        self.hold_all() || self.0.contains([playbook.to_owned()].as_slice())
    }

    /// Whether no job of `queue` is given to a run.
    pub fn hold_queue(&self, realm: Realm, queue: &str) -> bool {
        let names = [QUEUE.to_owned(), realm.to_string(), queue.to_owned()];
        self.0.contains(names.as_slice())
    }
}

fn queue_key(realm: Realm, queue: &str) -> Vec<u8> {
    keys::named(Space::Pause, &[QUEUE, &realm.to_string(), queue])
}

/// Who has paused `queue`, if somebody has.
pub fn of_queue(store: &dyn Store, realm: Realm, queue: &str) -> Result<Option<Paused>, StoreError> {
    let row = store.get(&queue_key(realm, queue))?;
    let read = |row: crate::store::Row| {
        rmp_serde::from_slice(&row.value).map_err(|error| StoreError::Corrupt {
            path: "the pause of a queue".into(),
            reason: error.to_string(),
        })
    };
    row.map(read).transpose()
}

/// Gives no more jobs of `queue` to runs, or does again.
pub fn pause_queue(batch: &mut Batch, realm: Realm, queue: &str, paused: Option<&Paused>) {
    match paused {
        Some(paused) => {
            let row = rmp_serde::to_vec_named(paused).expect("it is plain data");
            batch.put(queue_key(realm, queue), row);
        }
        None => batch.delete(queue_key(realm, queue)),
    }
}
