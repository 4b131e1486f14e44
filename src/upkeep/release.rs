//! What is held since a restore goes on: a run by itself, or everything.
//!
//! A run that is released asks the provider before it sends what is not on its record (`gate/restored.rs`); that is the
//! look-up, and it comes before the first byte. Jobs and ticks that had not begun when the backup was made leave no such
//! trace: what becomes of them is said by whoever releases everything.

use serde::Serialize;

use crate::id::RunId;
use crate::identity::restored::{self, Access};
use crate::journal::epoch::{self, Epoch, Held, Released};
use crate::store::keys::Realm;
use crate::store::queue::pause as queue_pause;
use crate::store::ticks::pause::{self, ALL};
use crate::store::ticks::{self, Resumed};
use crate::store::tx::Ground;
use crate::store::{Batch, Durability, Store, StoreError, Tx, queue};

/// What is held.
#[derive(Clone, Debug, Serialize)]
pub struct Hold {
    pub epoch: u64,
    pub frozen: bool,
    pub restored_ms: i64,
    pub backup_ms: i64,
    pub runs: Vec<Held>,
    /// Schedules whose next tick was planned for a moment that has passed.
    pub ticks: Vec<DueTick>,
    /// Queues with jobs that nobody had done.
    pub queues: Vec<WaitingJobs>,
    /// Passwords and tokens of the backup, which let nobody in.
    pub access: Access,
}

impl Hold {
    pub fn is_over(&self) -> bool {
        !self.frozen && self.runs.is_empty() && self.access.is_empty()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DueTick {
    pub playbook: String,
    pub schedule: String,
    pub due_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WaitingJobs {
    pub queue: String,
    pub realm: String,
    pub jobs: u64,
}

/// Ticks that are listed.
const TICKS_MAX: usize = 1000;

/// What is held in `store`; `None` when it was never restored.
pub fn hold(ground: &Ground, now_ms: i64) -> Result<Option<Hold>, StoreError> {
    let store = &*ground.store;
    let epoch = Epoch::read(store)?;
    let Some(origin) = &epoch.origin else { return Ok(None) };
    let mut due = Vec::new();
    let mut queues = Vec::new();
    if epoch.frozen {
        for (id, ledger, _) in ticks::schedules(store, None)? {
            if let Some(next) = ledger.next.filter(|next| next.due_ms <= now_ms)
                && due.len() < TICKS_MAX
            {
                due.push(DueTick {
                    playbook: id.playbook,
                    schedule: id.schedule,
                    due_ms: next.due_ms,
                });
            }
        }
        queues = waiting_jobs(ground, now_ms)?;
    }
    Ok(Some(Hold {
        epoch: epoch.number,
        frozen: epoch.frozen,
        restored_ms: epoch.began_ms,
        backup_ms: origin.at_ms,
        runs: epoch::held(store)?,
        ticks: due,
        queues,
        access: restored::held(store, now_ms)?,
    }))
}

fn waiting_jobs(ground: &Ground, now_ms: i64) -> Result<Vec<WaitingJobs>, StoreError> {
    let mut found = Vec::new();
    for realm in Realm::ALL {
        let mut tx = Tx::new(ground, realm, now_ms);
        for name in queue::names(&mut tx)? {
            let stats = queue::stats(&mut tx, &name)?;
            let jobs = stats.ready + stats.later;
            let is_paused = queue_pause::get(&mut tx, &name)?.is_some();
            if jobs > 0 && !is_paused {
                found.push(WaitingJobs {
                    queue: name,
                    realm: realm.to_string(),
                    jobs,
                });
            }
        }
    }
    Ok(found)
}

/// What becomes of jobs that had not been done at the backup, when everything is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jobs {
    /// They are done.
    Run,
    /// Their queues are paused, until somebody has looked.
    Pause,
}

/// Releases runs alone. Triggers and publishing stay as they are.
pub fn release_runs(store: &dyn Store, runs: &[RunId]) -> Result<Vec<Held>, StoreError> {
    let mut held = epoch::held(store)?;
    held.retain(|held| runs.contains(&held.run));
    let mut batch = Batch::new();
    for held in &held {
        held.release(&mut batch);
    }
    if !held.is_empty() {
        store.commit(batch, Durability::Now)?;
    }
    Ok(held)
}

/// Releases everything: runs, triggers and publishing, in one commit.
pub fn release_all(
    ground: &Ground,
    now_ms: i64,
    by: Option<String>,
    ticks: Resumed,
    jobs: Jobs,
) -> Result<Vec<Held>, StoreError> {
    let store = &*ground.store;
    let (epoch, version) = Epoch::read_at(store)?;
    let held = epoch::held(store)?;
    let mut batch = Batch::new();
    for held in &held {
        held.release(&mut batch);
    }
    if jobs == Jobs::Pause {
        for waiting in waiting_jobs(ground, now_ms)? {
            let realm = Realm::ALL.into_iter().find(|realm| realm.to_string() == waiting.realm);
            let paused = queue_pause::Paused {
                since_ms: now_ms,
                by: by.clone().unwrap_or_else(|| "the restore".to_owned()),
                why: "the store was restored: its jobs may have been done after the backup".to_owned(),
            };
            let mut tx = Tx::new(ground, realm.unwrap_or(Realm::Live), now_ms);
            queue_pause::put(&mut tx, &waiting.queue, Some(&paused))?;
            batch.append(tx.batch);
        }
    }
    if !epoch.was_paused {
        pause::resume(&mut batch, ALL, now_ms, ticks);
    }
    let released = Epoch {
        frozen: false,
        released: Some(Released { at_ms: now_ms, by }),
        ..epoch
    };
    released.put(&mut batch, version);
    store.commit(batch, Durability::Now)?;
    Ok(held)
}
