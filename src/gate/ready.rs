//! Which runs can go on, and where runs that start others get playbooks from.
//!
//! Whoever makes a run ready — a child that ended, an event, an answer — says so here; whoever keeps runs moving waits
//! here. Nothing is lost with it: the store holds the same as rows, and this only spares looking there all the time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::effect::{Failure, RunMode};
use crate::id::{RunId, StepNo};
use crate::journal::Begun;
use crate::store::Batch;
use crate::value::Value;

/// The runs of this process that can go on.
#[derive(Default)]
pub struct Ready {
    runs: Mutex<VecDeque<RunId>>,
    told: Condvar,
    /// How often somebody stirred.
    stirs: AtomicU64,
}

impl Ready {
    /// Says that `run` may be able to go on.
    pub fn tell(&self, run: RunId) {
        self.lock().push_back(run);
        self.told.notify_all();
    }

    /// Wakes whoever waits, without a run: one is at rest, or what starts runs has changed.
    pub fn stir(&self) {
        let runs = self.lock();
        self.stirs.fetch_add(1, Ordering::Relaxed);
        drop(runs);
        self.told.notify_all();
    }

    /// All that were told of, in order; waits up to `patience` for the first unless `enough` says otherwise.
    pub fn take(&self, patience: Duration, enough: impl Fn() -> bool) -> Vec<RunId> {
        let runs = self.lock();
        let waits = |runs: &mut VecDeque<RunId>| runs.is_empty() && !enough();
        let (mut runs, _) = self
            .told
            .wait_timeout_while(runs, patience, waits)
            .unwrap_or_else(PoisonError::into_inner);
        runs.drain(..).collect()
    }

    /// How often somebody stirred.
    pub fn stirs(&self) -> u64 {
        self.stirs.load(Ordering::Relaxed)
    }

    /// Waits up to `patience` for a run that can go on, or until somebody has stirred more often than `seen`.
    pub fn wait(&self, patience: Duration, seen: u64) {
        let waits = |runs: &mut VecDeque<RunId>| runs.is_empty() && self.stirs() == seen;
        let waited = self.told.wait_timeout_while(self.lock(), patience, waits);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<RunId>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run that another is about to start.
pub struct Birth<'a> {
    pub parent: &'a Begun,
    pub step: StepNo,
    pub child: RunId,
    pub playbook: &'a str,
    pub input: Value,
    pub mode: &'a RunMode,
    pub at_ms: i64,
    /// The version of the project that the playbook is of.
    pub edition: Option<u64>,
}

/// A run that can be started: what it is pinned to, and the texts it is pinned to.
pub struct Born {
    pub begun: Begun,
    pub versions: Batch,
}

/// Finds playbooks for runs that start others.
pub trait Playbooks: Send + Sync {
    /// Pins a playbook as it stands now, with its inputs checked. A child is never more live than its parent.
    fn born(&self, birth: &Birth<'_>) -> Result<Born, Failure>;
}

/// Where there are none.
pub struct NoPlaybooks;

impl Playbooks for NoPlaybooks {
    fn born(&self, birth: &Birth<'_>) -> Result<Born, Failure> {
        let message = format!("there is no playbook {:?} here", birth.playbook);
        Err(Failure::new("PLAYBOOK_NOT_FOUND", message))
    }
}
