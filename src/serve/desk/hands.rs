//! Runs that people ask for, in the hands of the host's crew: with its limits, and in turn with all others.
//!
//! The crew asks [`Followed`] who watches a run, and tells it of every run that comes to rest. Whoever asked for a run
//! waits here until it is at rest; a run that waits for runs which it started is not, as long as one of those moves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::driver::{Driver, PATIENCE, Watch};
use super::said::Refusal;
use crate::gate::{Notice, Observer, Silent};
use crate::id::RunId;
use crate::io::clock::Clock;
use crate::journal::{Outcome, RunRecord, Status};
use crate::runs::conductor::{AtRest, Crew, Offer, What};
use crate::runs::{Driven, Finished, ResumeError, Task, recovery};
use crate::script::{RunHandle, Script};
use crate::serve::edition::{Edition, Live};
use crate::serve::keeper::{Keeper, Refused};
use crate::store::{Store, keys};
use crate::upkeep::{Chore, Kept, Tell};
use crate::value::Value;

/// How soon it is seen that somebody wants to stop, or that the host does.
const SEEN_WITHIN: Duration = Duration::from_millis(50);

/// How often runs that others started are looked at.
const LOOKED_EVERY: Duration = Duration::from_millis(250);

/// How deep runs start runs, as far as they are waited for.
const DEPTH_MAX: usize = 16;

/// The runs that somebody follows.
pub struct Followed {
    clock: Arc<dyn Clock>,
    runs: Mutex<BTreeMap<RunId, Follower>>,
    rested: Condvar,
}

struct Follower {
    observer: Arc<dyn Observer>,
    /// As it came to rest last.
    rested: Option<Result<Finished, Refusal>>,
}

impl Followed {
    pub fn new(clock: Arc<dyn Clock>) -> Followed {
        Followed {
            clock,
            runs: Mutex::default(),
            rested: Condvar::new(),
        }
    }

    /// Has `crew` ask here who watches a run, and tell of every run that comes to rest, beside whom it asks and tells
    /// already.
    pub fn attach(self: &Arc<Self>, crew: &mut Crew) {
        let asked = std::mem::replace(&mut crew.observe, Box::new(|_| Arc::new(Silent)));
        let told = std::mem::replace(&mut crew.on_rest, Box::new(|_| ()));
        let (followed, watched) = (self.clone(), self.clone());
        crew.observe = Box::new(move |offer| watched.observer(offer.run).unwrap_or_else(|| asked(offer)));
        crew.on_rest = Box::new(move |at_rest| {
            told(at_rest);
            followed.rests(at_rest);
        });
    }

    /// Who watches `run`.
    fn observer(&self, run: RunId) -> Option<Arc<dyn Observer>> {
        self.lock().get(&run).map(|follower| follower.observer.clone())
    }

    /// Takes note of a run at rest.
    fn rests(&self, at_rest: &AtRest) {
        let mut runs = self.lock();
        let Some(follower) = runs.get_mut(&at_rest.run) else {
            return;
        };
        let rested = match &at_rest.outcome {
            Ok(finished) => Ok(finished.clone()),
            // It was offered by somebody else, too, who came too late.
            Err(ResumeError::Over { .. } | ResumeError::Busy(_)) if follower.rested.is_some() => return,
            Err(error) => Err(Refusal::from(error)),
        };
        let observer = follower.observer.clone();
        let waits = rested.as_ref().ok().and_then(|finished| finished.record.waits.clone());
        follower.rested = Some(rested);
        drop(runs);
        self.rested.notify_all();
        let until_ms = waits.as_ref().and_then(|waits| waits.until_ms);
        if let (Some(waits), Some(wait)) = (waits, until_ms.and_then(|until_ms| self.soon(until_ms))) {
            observer.notice(Notice::Waiting {
                step: waits.step,
                why: waits.what,
                wait_ms: wait.as_millis() as u64,
            });
        }
    }

    /// How long it is until then, if that is waited for.
    fn soon(&self, until_ms: i64) -> Option<Duration> {
        let wait = Duration::from_millis((until_ms - self.clock.unix_ms()).max(0) as u64);
        (wait <= PATIENCE).then_some(wait)
    }

    fn follow(&self, run: RunId, observer: Arc<dyn Observer>) {
        self.lock().insert(run, Follower { observer, rested: None });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RunId, Follower>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A driver over the crew of a host.
pub struct Hands {
    pub live: Arc<Live>,
    pub crew: Arc<Crew>,
    pub followed: Arc<Followed>,
    pub keeper: Arc<Keeper>,
}

impl Driver for Hands {
    fn keep(&self, chore: &Chore, tell: &mut Tell<'_>) -> Result<Kept, Refused> {
        self.keeper.perform(chore, tell)
    }

    fn current(&self) -> Arc<Edition> {
        self.live.current()
    }

    fn drive(&self, tasks: Vec<Task>, watch: Watch) -> Driven {
        let edition = self.live.current();
        let store = &*edition.runner.gate.ground.store;
        let mut driven = Driven::default();
        let runs = self.take_up(tasks, &edition, &watch, &mut driven);
        let mut is_stopped = false;
        let mut looked = self.followed.clock.monotonic();
        loop {
            if watch.stop.load(Ordering::Relaxed) && !is_stopped {
                is_stopped = true;
                runs.iter()
                    .for_each(|run| self.offer(store, *run, What::Cancel, &watch.by));
            }
            let now = self.followed.clock.monotonic();
            let looks = now.saturating_sub(looked) >= LOOKED_EVERY;
            if looks {
                looked = now;
            }
            if self.are_at_rest(&runs, store, looks) {
                break;
            }
            let waiting = self.followed.lock();
            let waited = self.followed.rested.wait_timeout(waiting, SEEN_WITHIN);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
        let mut followed = self.followed.lock();
        for run in runs {
            match followed.remove(&run).and_then(|follower| follower.rested) {
                Some(Ok(finished)) => drop(driven.finished.insert(run, finished)),
                Some(Err(refusal)) => drop(driven.failed.insert(run, refusal.into())),
                // The host stops before it had a thread.
                None => {}
            }
        }
        driven
    }

    fn adopt(&self, edition: &Edition, handle: RunHandle, script: Arc<Script>) {
        self.crew.adopt(edition.runner.clone(), handle, script);
    }

    /// By the crew, also what is not at work: the end of a run that it started would wake it in between.
    fn cancel(&self, run: RunId, by: &str, patience: Duration) -> Option<Result<Finished, ResumeError>> {
        let edition = self.live.current();
        let store = &*edition.runner.gate.ground.store;
        let is_others = self.followed.lock().contains_key(&run);
        if !is_others {
            self.followed.follow(run, Arc::new(Silent));
        }
        self.offer(store, run, What::Cancel, by);
        let give_up_at = self.followed.clock.monotonic() + patience;
        let ended = loop {
            let followed = self.followed.lock();
            match followed.get(&run).map(|follower| &follower.rested) {
                Some(Some(Ok(finished))) if finished.record.status.is_over() => break Some(Ok(finished.clone())),
                Some(Some(Err(refusal))) => break Some(Err(refusal.clone().into())),
                Some(_) => {}
                // Whoever followed it has gone with the news.
                None => break over(store, run),
            }
            if self.followed.clock.monotonic() >= give_up_at {
                break None;
            }
            let waited = self.followed.rested.wait_timeout(followed, SEEN_WITHIN);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        };
        if !is_others {
            self.followed.lock().remove(&run);
        }
        ended
    }
}

/// `run` as its record says that it ended, if it has.
fn over(store: &dyn Store, run: RunId) -> Option<Result<Finished, ResumeError>> {
    let record = match RunRecord::get(store, run) {
        Ok(record) => record,
        Err(error) => return Some(Err(error.into())),
    };
    let outcome = Outcome {
        status: record.status,
        value: Value::Unit,
        error: record.error.clone(),
    };
    record.status.is_over().then_some(Ok(Finished { record, outcome }))
}

impl Hands {
    /// Hands `tasks` to the crew. What cannot be taken up is told in `driven`.
    fn take_up(&self, tasks: Vec<Task>, edition: &Edition, watch: &Watch, driven: &mut Driven) -> BTreeSet<RunId> {
        let mut runs = BTreeSet::new();
        for task in tasks {
            match task {
                Task::Begun(handle, script) => {
                    let run = handle.tape().run;
                    let observer = match watch.run == Some(run) {
                        true => watch.observer.clone(),
                        false => Arc::new(Silent),
                    };
                    self.followed.follow(run, observer);
                    runs.insert(run);
                    self.crew.adopt(edition.runner.clone(), handle, script);
                }
                // It goes on by itself, as long as that takes.
                Task::Resume(run) if self.crew.runs_at_work().contains(&run) => {
                    driven.failed.insert(run, ResumeError::Busy(run));
                }
                Task::Resume(run) => {
                    self.followed.follow(run, Arc::new(Silent));
                    runs.insert(run);
                    self.offer(&*edition.runner.gate.ground.store, run, What::GoOn, &watch.by);
                }
            }
        }
        runs
    }

    /// Offers `run` because `by` asked for it.
    fn offer(&self, store: &dyn Store, run: RunId, what: What, by: &str) {
        match RunRecord::get(store, run) {
            Ok(record) => {
                self.crew.asked_by(run, by);
                self.crew.offer([Offer {
                    run,
                    playbook: record.playbook,
                    what,
                }]);
            }
            // One that has not taken its first step: it is not on disk yet, and known to the crew.
            Err(_) if what == What::Cancel => self.crew.cancel_adopted(run),
            Err(error) => self.followed.rests(&AtRest {
                run,
                playbook: String::new(),
                outcome: Err(error.into()),
            }),
        }
    }

    fn are_at_rest(&self, runs: &BTreeSet<RunId>, store: &dyn Store, looks: bool) -> bool {
        let at_work = self.crew.runs_at_work();
        let is_closed = self.crew.is_closed();
        let mut waiting = Vec::new();
        let followed = self.followed.lock();
        for run in runs.iter().filter(|run| followed.contains_key(run)) {
            if at_work.contains(run) {
                return false;
            }
            match &followed[run].rested {
                None if is_closed => {}
                None => return false,
                Some(Ok(finished)) if finished.record.status == Status::Suspended && !is_closed => {
                    let waits = finished.record.waits.as_ref();
                    let until_ms = waits.and_then(|waits| waits.until_ms);
                    if until_ms.is_some_and(|until_ms| self.followed.soon(until_ms).is_some()) {
                        return false;
                    }
                    waiting.push(*run);
                }
                Some(_) => {}
            }
        }
        drop(followed);
        if waiting.is_empty() {
            return true;
        }
        looks
            && !waiting
                .into_iter()
                .any(|run| is_told(store, run) || self.moves_below(store, run, DEPTH_MAX))
    }

    /// Whether a run that `run` started is at work, or will be soon. What cannot be read is not waited for.
    fn moves_below(&self, store: &dyn Store, run: RunId, depth: usize) -> bool {
        let children = recovery::children(store, run).unwrap_or_default();
        children.into_iter().any(|child| {
            let Ok(record) = RunRecord::get(store, child) else {
                return false;
            };
            match record.status {
                Status::Queued | Status::Running => true,
                Status::Suspended => {
                    let until_ms = record.waits.and_then(|waits| waits.until_ms);
                    until_ms.is_some_and(|until_ms| self.followed.soon(until_ms).is_some())
                        || is_told(store, child)
                        || (depth > 0 && self.moves_below(store, child, depth - 1))
                }
                _ => false,
            }
        })
    }
}

/// Whether something has come for a run that waits, such as the end of one that it started: then it goes on, though nobody
/// may have taken it up yet.
fn is_told(store: &dyn Store, run: RunId) -> bool {
    store.get(&keys::wake(0, run)).is_ok_and(|row| row.is_some())
}
