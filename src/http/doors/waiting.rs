//! Those who wait for a run: told on the run's thread when it comes to rest.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::id::RunId;
use crate::journal::Outcome;
use crate::runs::ResumeError;
use crate::runs::conductor::{AtRest, Crew};

/// How soon it is seen that the host stops.
const SEEN_WITHIN: Duration = Duration::from_millis(100);

/// How a run came to rest, or the code of what kept it from being taken up.
pub(super) type Rested = Result<Outcome, String>;

/// Those who wait for each run, by their places.
type Runs = BTreeMap<RunId, Vec<(u64, SyncSender<Rested>)>>;

/// Who waits for which run.
#[derive(Default)]
pub struct Waiting {
    runs: Mutex<Runs>,
    /// Places so far.
    places: AtomicU64,
}

impl Waiting {
    /// Has `crew` tell of every run that comes to rest, beside whom it tells already.
    pub fn attach(self: &Arc<Self>, crew: &mut Crew) {
        let told = std::mem::replace(&mut crew.on_rest, Box::new(|_| ()));
        let waiting = self.clone();
        crew.on_rest = Box::new(move |at_rest| {
            waiting.rests(at_rest);
            told(at_rest);
        });
    }

    fn rests(&self, at_rest: &AtRest) {
        let mut runs = self.lock();
        if !runs.contains_key(&at_rest.run) || is_others(at_rest) {
            return;
        }
        let rested = match &at_rest.outcome {
            Ok(finished) => Ok(finished.outcome.clone()),
            Err(error) => Err(error.code().to_owned()),
        };
        for (_, sender) in runs.remove(&at_rest.run).unwrap_or_default() {
            // Who is gone does not hear it.
            sender.try_send(rested.clone()).unwrap_or_default();
        }
    }

    /// A place among those who wait for `run`, until it is dropped.
    pub(super) fn place(&self, run: RunId) -> Place<'_> {
        let (sender, told) = sync_channel(1);
        let number = self.places.fetch_add(1, Ordering::Relaxed);
        self.lock().entry(run).or_default().push((number, sender));
        Place {
            waiting: self,
            run,
            number,
            told,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a run that was carried out here came to rest.
pub(super) fn rested(at_rest: AtRest) -> Option<Rested> {
    match at_rest.outcome {
        _ if is_others(&at_rest) => None,
        Ok(finished) => Some(Ok(finished.outcome)),
        Err(error) => Some(Err(error.code().to_owned())),
    }
}

/// Somebody else has it, who tells of it.
fn is_others(at_rest: &AtRest) -> bool {
    matches!(at_rest.outcome, Err(ResumeError::Over { .. } | ResumeError::Busy(_)))
}

pub(super) struct Place<'a> {
    waiting: &'a Waiting,
    run: RunId,
    number: u64,
    told: Receiver<Rested>,
}

impl Place<'_> {
    /// How the run comes to rest, if that is soon enough.
    pub fn wait(&self, left: impl Fn() -> Duration, is_over: impl Fn() -> bool) -> Option<Rested> {
        loop {
            let patience = left();
            match self.told.recv_timeout(patience.min(SEEN_WITHIN)) {
                Ok(rested) => return Some(rested),
                Err(RecvTimeoutError::Timeout) if patience > SEEN_WITHIN && !is_over() => {}
                Err(_) => return None,
            }
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut runs = self.waiting.lock();
        if let Some(places) = runs.get_mut(&self.run) {
            places.retain(|(number, _)| *number != self.number);
            if places.is_empty() {
                runs.remove(&self.run);
            }
        }
    }
}
