//! Ends of runs on their way to the disk.
//!
//! A thread that has ended a run leaves the end here and takes the next run; one of them, the first that finds nobody at
//! it, waits for the disk for all that have come meanwhile, and tells of them. So a thousand runs that end at once wait
//! for a few syncs and not for a thousand, and a run alone is told of by its own thread. While more runs wait for a thread
//! than there are threads, ends wait a moment for each other: to begin comes before to be told.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::lanes::Offer;
use crate::gate::Ending;
use crate::journal::Outcome;
use crate::store::CommitNo;

/// Ends that wait while others are told of. Who brings one more waits for the disk himself.
const WAITING_MAX: usize = 1024;

/// So many ends wait for no others,
const GATHERED_MAX: usize = 256;
/// and none longer than this.
const GATHER_TIME: Duration = Duration::from_millis(20);

/// A run that has ended, before that is on disk.
pub(super) struct Ended {
    pub offer: Offer,
    pub ending: Ending,
    pub outcome: Outcome,
}

/// What whoever has brought an end is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Brought {
    /// Nothing: another tells of it.
    Left,
    /// Wait for the disk, before anything else ends.
    Full(CommitNo),
    /// Tell of all that there are, until there are none.
    Tell,
}

#[derive(Default)]
pub(super) struct Endings {
    held: Mutex<Held>,
    enough: Condvar,
}

#[derive(Default)]
struct Held {
    waiting: Vec<Ended>,
    /// Somebody tells of what comes.
    is_tended: bool,
    /// There is nothing else to do than to tell of them.
    is_hurried: bool,
}

impl Endings {
    pub fn bring(&self, ended: Ended) -> Brought {
        let until = ended.ending.until;
        let mut held = self.lock();
        held.waiting.push(ended);
        if !held.is_tended {
            held.is_tended = true;
            Brought::Tell
        } else {
            if held.waiting.len() == GATHERED_MAX {
                self.enough.notify_one();
            }
            match held.waiting.len() >= WAITING_MAX {
                true => Brought::Full(until),
                false => Brought::Left,
            }
        }
    }

    /// Waits for more ends, a moment, unless there are enough or nothing else is to be done.
    pub fn gather(&self) {
        let waits = |held: &mut Held| held.waiting.len() < GATHERED_MAX && !held.is_hurried;
        let waited = self.enough.wait_timeout_while(self.lock(), GATHER_TIME, waits);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Says that a thread has nothing else to do.
    pub fn hurry(&self) {
        let mut held = self.lock();
        if held.is_tended {
            held.is_hurried = true;
            self.enough.notify_one();
        }
    }

    /// Those that have come, in order. Without any, the caller need not tell any more.
    pub fn take(&self) -> Vec<Ended> {
        let mut held = self.lock();
        held.is_tended = !held.waiting.is_empty();
        held.is_hurried = false;
        std::mem::take(&mut held.waiting)
    }

    /// Somebody waits for the disk for all that have come.
    #[cfg(test)]
    pub fn are_being_told(&self) -> bool {
        let held = self.lock();
        held.is_tended && held.waiting.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
