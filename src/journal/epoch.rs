//! The lives of a store. Each restore from a backup begins another, in which nothing goes on by itself at first.
//!
//! What happened after the backup is on nobody's record: a run that was not over may have sent more than its journal says,
//! and a tick or a job that had not begun may have run. So a restored store is *frozen*: no trigger starts anything, nothing
//! is published, and each run that was not over is *held* until somebody releases it. A run that was born before the store
//! was restored asks the provider before it sends ([`sent_since`](Epoch::sent_since)), for as long as it lives.

use serde::{Deserialize, Serialize};

use super::{JournalError, RunRecord, Status};
use crate::id::RunId;
use crate::store::keys::{self, Space};
use crate::store::{Batch, CommitNo, Precondition, Row, Store, StoreError};

/// How far the parents of a run are looked at.
const PARENTS_MAX: usize = 32;

/// Lost stretches that are told apart; beyond them the oldest count as one.
const LOST_MAX: usize = 64;

/// The present life of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    pub number: u64,
    /// Unix milliseconds.
    pub began_ms: i64,
    /// What it was restored from; nothing in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Whether triggers and publishing wait for somebody's release.
    #[serde(default)]
    pub frozen: bool,
    /// When that came, and from whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Released>,
    /// Whether everything was paused by somebody before the backup: then it stays so.
    #[serde(default)]
    pub was_paused: bool,
    /// What earlier restores of this store left no record of, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<Lost>,
}

/// A stretch of time of which there is no record: from a backup to the restore from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    pub backup_ms: i64,
    pub until_ms: i64,
    /// The last commit that is on record from before it.
    pub last_commit: u64,
    /// The first that can be on record from after it: no number between the two names anything any more.
    #[serde(default)]
    pub next_commit: u64,
}

/// The backup that a store was restored from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub at_ms: i64,
    pub epoch: u64,
    pub last_commit: u64,
    /// The number with which commits go on, beyond all that were made since the backup.
    #[serde(default)]
    pub next_commit: u64,
    pub file: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    pub at_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// A run that was not over when its store was backed up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub run: RunId,
    pub playbook: String,
    pub live: bool,
    pub status: Status,
    pub since_ms: i64,
    /// The last step on record: whatever comes after may have been done.
    pub last_step: u32,
    /// Writes that were under way.
    #[serde(default)]
    pub writes: Vec<HeldWrite>,
}

/// A write that had been promised, and of which no answer is on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldWrite {
    pub step: u32,
    pub name: String,
    pub attempt: u32,
}

fn now_key() -> Vec<u8> {
    keys::named(Space::Epoch, &["now"])
}

fn held_key(run: RunId) -> Vec<u8> {
    keys::named(Space::Epoch, &["held", &run.to_string()])
}

fn decode<T: serde::de::DeserializeOwned>(what: &str, row: &Row) -> Result<T, StoreError> {
    rmp_serde::from_slice(&row.value).map_err(|error| StoreError::Corrupt {
        path: what.into(),
        reason: error.to_string(),
    })
}

fn encode(row: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(row).expect("it is plain data")
}

impl Default for Epoch {
    fn default() -> Epoch {
        Epoch {
            number: 1,
            began_ms: 0,
            origin: None,
            frozen: false,
            released: None,
            was_paused: false,
            lost: Vec::new(),
        }
    }
}

impl Epoch {
    /// The present one of `store`.
    pub fn read(store: &dyn Store) -> Result<Epoch, StoreError> {
        Ok(Epoch::read_at(store)?.0)
    }

    /// The same with the commit that wrote it.
    pub fn read_at(store: &dyn Store) -> Result<(Epoch, Option<CommitNo>), StoreError> {
        match store.get(&now_key())? {
            Some(row) => Ok((decode("the epoch of the store", &row)?, Some(row.version))),
            None => Ok((Epoch::default(), None)),
        }
    }

    /// Fills `batch` with this in place of what stands there since `before`.
    pub fn put(&self, batch: &mut Batch, before: Option<CommitNo>) {
        let precondition = before.map_or(Precondition::Absent, Precondition::At);
        batch.require(now_key(), precondition);
        batch.put(now_key(), encode(self));
    }

    /// What the restores up to this life left no record of, oldest first.
    pub fn all_lost(&self) -> Vec<Lost> {
        let own = self.origin.as_ref().map(|origin| Lost {
            backup_ms: origin.at_ms,
            until_ms: self.began_ms,
            last_commit: origin.last_commit,
            next_commit: origin.next_commit,
        });
        let mut lost: Vec<Lost> = self.lost.iter().cloned().chain(own).collect();
        while lost.len() > LOST_MAX {
            let oldest = lost.remove(0);
            lost[0] = Lost {
                backup_ms: oldest.backup_ms.min(lost[0].backup_ms),
                until_ms: oldest.until_ms.max(lost[0].until_ms),
                last_commit: oldest.last_commit.max(lost[0].last_commit),
                next_commit: oldest.next_commit.max(lost[0].next_commit),
            };
        }
        lost
    }

    /// Whether the commit of that number was made after a backup and is on no record since the restore from it.
    pub fn has_lost(&self, commit: u64) -> bool {
        let is_in = |lost: &Lost| commit > lost.last_commit && commit < lost.next_commit;
        self.all_lost().iter().any(is_in)
    }

    /// Since when `run` may have sent what its record does not tell, if it may have: it, or a run above it, was there
    /// before a life began with a restore. By its birth, and by the commit that its journal begins with: the clock of
    /// whoever restored may stand before those of the backup.
    pub fn sent_since(
        &self,
        store: &dyn Store,
        run: RunId,
        parent: Option<RunId>,
    ) -> Result<Option<i64>, JournalError> {
        if self.origin.is_none() {
            return Ok(None);
        }
        let lost = self.all_lost();
        let mut since: Option<i64> = None;
        let (mut run, mut parent) = (run, parent);
        for _ in 0..PARENTS_MAX {
            let first = store.get(&keys::journal(run, 0))?.map(|row| row.version.0);
            let was_there =
                |lost: &&Lost| run.born_ms() <= lost.until_ms || first.is_some_and(|first| first <= lost.last_commit);
            let found = lost.iter().filter(was_there).map(|lost| lost.backup_ms).min();
            since = since.into_iter().chain(found).min();
            let Some(above) = parent else { return Ok(since) };
            run = above;
            parent = match RunRecord::get(store, above) {
                Ok(record) => record.parent.map(|parent| parent.run),
                Err(JournalError::NoSuchRun(_)) => None,
                Err(error) => return Err(error),
            };
        }
        // Nobody knows how far it goes up.
        Ok(lost.iter().map(|lost| lost.backup_ms).min())
    }
}

/// Whether `run` waits for its release.
pub fn is_held(store: &dyn Store, run: RunId) -> Result<bool, StoreError> {
    Ok(store.get(&held_key(run))?.is_some())
}

/// Every run that waits for its release, oldest first.
pub fn held(store: &dyn Store) -> Result<Vec<Held>, StoreError> {
    let range = keys::prefix_range(keys::named(Space::Epoch, &["held"]));
    let rows = store.scan(range, usize::MAX, false)?;
    rows.iter().map(|(_, row)| decode("a held run", row)).collect()
}

impl Held {
    /// Fills `batch` with: it is held.
    pub fn put(&self, batch: &mut Batch) {
        batch.put(held_key(self.run), encode(self));
    }

    /// Fills `batch` with its release: whoever drives runs looks at it.
    pub fn release(&self, batch: &mut Batch) {
        batch.delete(held_key(self.run));
        match self.status {
            Status::Suspended => batch.put(keys::wake(0, self.run), Vec::new()),
            _ => batch.put(keys::open(self.run), Vec::new()),
        }
    }
}
