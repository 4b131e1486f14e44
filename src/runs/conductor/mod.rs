//! Keeps runs moving until all are at rest: those that can go on get a thread, those that wait have none.
//!
//! A run that is suspended is taken up again when its time comes or when somebody says that it is ready; runs that a
//! run starts are taken up as they are created. What waits longer than the conductor's patience, or for somebody
//! outside, is left as it is, on disk.
//!
//! [`Conductor`] drives runs until they are at rest, [`Crew`] for as long as a host lives.

mod crew;
#[cfg(test)]
mod crew_tests;
mod endings;
mod hand;
mod lanes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use crew::{AtRest, Crew, Shift};
use hand::Hand;
pub use lanes::{Offer, What};

use super::library::Library;
use super::pool::{self, Started};
use super::resume::ResumeError;
use super::runner::{Finished, Runner};
use crate::effect::Failure;
use crate::gate::Observer;
use crate::gate::panic::words_of;
use crate::id::RunId;
use crate::journal::Status;
use crate::script::{RunHandle, Script};

/// Runs that have a thread at the same time.
const THREADS_MAX: usize = 32;

/// How soon the conductor sees that it is to stop.
const SEEN_WITHIN: Duration = Duration::from_millis(100);

/// Drives runs.
pub struct Conductor {
    pub runner: Runner,
    pub library: Library,
    /// Said of every run that is taken up again.
    pub by: String,
    /// Who watches a run.
    pub observe: Box<dyn Fn(RunId) -> Arc<dyn Observer> + Send + Sync>,
    /// How long to wait for the time of a suspended run.
    pub patience: Duration,
    /// Told of every run that begins to wait; it may answer, and say that the run is ready.
    pub on_wait: Box<dyn Fn(&Finished) + Send + Sync>,
    /// Set to cancel what is at work, and to wait for nothing more.
    pub stop: Arc<AtomicBool>,
}

/// A run to be driven.
pub enum Task {
    Begun(RunHandle, Arc<Script>),
    /// To be taken over, if it can go on.
    Resume(RunId),
}

impl Task {
    fn run(&self) -> RunId {
        match self {
            Task::Begun(handle, _) => handle.tape().run,
            Task::Resume(run) => *run,
        }
    }
}

/// What came of it.
#[derive(Default)]
pub struct Driven {
    /// Every run that was driven, as it came to rest last.
    pub finished: BTreeMap<RunId, Finished>,
    pub failed: BTreeMap<RunId, ResumeError>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Task>,
    /// Runs at work, with the flag that stops them.
    active: BTreeMap<RunId, Option<Arc<AtomicBool>>>,
    /// Runs at work of which was said that they can go on.
    again: BTreeSet<RunId>,
    /// Runs that the caller named, and not somebody in passing, until they are taken up.
    named: BTreeSet<RunId>,
    /// Suspended runs by when they go on, in Unix milliseconds.
    timers: BTreeSet<(i64, RunId)>,
    driven: Driven,
}

impl Conductor {
    /// Drives `tasks`, and whatever comes of them, until nothing moves any more.
    pub fn drive(self: &Arc<Self>, tasks: impl IntoIterator<Item = Task>) -> Driven {
        let queue: VecDeque<Task> = tasks.into_iter().collect();
        let named = |task: &Task| match task {
            Task::Begun(..) => None,
            Task::Resume(run) => Some(*run),
        };
        let state = Arc::new(Mutex::new(State {
            named: queue.iter().filter_map(named).collect(),
            queue,
            ..State::default()
        }));
        let clock = &self.runner.gate.world.clock;
        let mut started = BTreeMap::new();
        loop {
            let stopping = self.stop.load(Ordering::Relaxed);
            let mut now = lock(&state);
            self.take_ready(&mut now, stopping);
            while now.active.len() < self.threads_max()
                && let Some(task) = now.queue.pop_front()
            {
                if self.begin(&mut now, &task) {
                    self.start(task, &mut now, &state, &mut started);
                }
            }
            let at_work = now.active.len();
            let next_ms = now.timers.first().map(|(at_ms, _)| *at_ms);
            drop(now);
            let left = next_ms.map(|at_ms| Duration::from_millis((at_ms - clock.unix_ms()).max(0) as u64));
            match left {
                // Told at once when something moves; the rest only sees flags.
                _ if at_work > 0 => self.wait_for_change(&state, left, at_work),
                Some(left) if left <= self.patience && !stopping => clock.sleep(left.min(self.slice())),
                _ => break,
            }
        }
        // They still hold the store for a moment, which the caller may want to close.
        started.into_values().for_each(|job| drop(job.wait()));
        std::mem::take(&mut lock(&state).driven)
    }

    /// Gives `task` a thread that can lend its stack to the script.
    fn start(
        self: &Arc<Self>,
        task: Task,
        now: &mut State,
        state: &Arc<Mutex<State>>,
        started: &mut BTreeMap<RunId, Started<()>>,
    ) {
        if started.len() >= 2 * THREADS_MAX {
            let (stay, over) = std::mem::take(started)
                .into_iter()
                .partition(|(run, _)| now.active.contains_key(run));
            *started = stay;
            let over: BTreeMap<RunId, Started<()>> = over;
            over.into_values().for_each(|job| drop(job.wait()));
        }
        let run = task.run();
        let (conductor, shared) = (self.clone(), state.clone());
        let job = move || {
            let carried = catch_unwind(AssertUnwindSafe(|| conductor.carry(task, &shared)));
            if let Err(panic) = carried {
                lock(&shared).lose(run, Failure::new("PANIC", words_of(&*panic)));
                conductor.runner.gate.ready.stir();
            }
        };
        match pool::start(self.runner.language.limits.stack_bytes(), job) {
            Ok(job) => {
                if let Some(before) = started.insert(run, job) {
                    drop(before.wait());
                }
            }
            Err(lost) => now.lose(run, Failure::new(lost.code(), lost.to_string())),
        }
    }

    /// Where no time passes, runs take turns: what they draw of chance and do to the store must not depend on threads.
    fn threads_max(&self) -> usize {
        if self.patience == Duration::MAX { 1 } else { THREADS_MAX }
    }

    /// A clock that does not wait is not kept waiting in pieces.
    fn slice(&self) -> Duration {
        if self.patience == Duration::MAX {
            Duration::MAX
        } else {
            SEEN_WITHIN
        }
    }

    /// Waits until fewer than `active` runs are at work, as many as there were when that was looked at, or until one
    /// can go on.
    fn wait_for_change(&self, state: &Mutex<State>, left: Option<Duration>, active: usize) {
        let ready = &self.runner.gate.ready;
        let patience = left.map_or(SEEN_WITHIN, |left| left.clamp(Duration::from_millis(1), SEEN_WITHIN));
        let runs = ready.take(patience, || lock(state).active.len() < active);
        let mut now = lock(state);
        for run in runs {
            now.wake(run);
        }
    }

    /// Moves what can go on to the queue.
    fn take_ready(&self, now: &mut State, stopping: bool) {
        for run in self.runner.gate.ready.take(Duration::ZERO, || true) {
            now.wake(run);
        }
        if stopping {
            now.queue.retain(|task| matches!(task, Task::Begun(..)));
            now.timers.clear();
            for flag in now.active.values().flatten() {
                flag.store(true, Ordering::Relaxed);
            }
            return;
        }
        let now_ms = self.runner.gate.world.clock.unix_ms();
        while let Some(&(at_ms, run)) = now.timers.first().filter(|(at_ms, _)| *at_ms <= now_ms) {
            now.timers.remove(&(at_ms, run));
            now.wake(run);
        }
    }

    /// Notes that a task has a thread; `false` when its run has one already.
    fn begin(&self, now: &mut State, task: &Task) -> bool {
        let (run, flag) = match task {
            Task::Begun(handle, _) => (handle.tape().run, Some(handle.stop_flag())),
            Task::Resume(run) => (*run, None),
        };
        if now.active.contains_key(&run) {
            now.again.insert(run);
            return false;
        }
        now.active.insert(run, flag);
        true
    }

    fn carry(&self, task: Task, state: &Mutex<State>) {
        let (run, is_named, finished) = match task {
            Task::Begun(handle, script) => {
                let run = handle.tape().run;
                let finished = self.runner.finish(&handle, &script).map_err(ResumeError::from);
                (run, false, finished)
            }
            Task::Resume(run) => {
                // Only once: whatever makes the run ready later does not mean to reopen it.
                let is_named = lock(state).named.remove(&run);
                (run, is_named, self.resume(run, is_named, state))
            }
        };
        match &finished {
            Ok(finished) if finished.record.status == Status::Suspended => (self.on_wait)(finished),
            Ok(finished) if finished.record.status == Status::Cancelled => self.cancel_children(run, state),
            _ => {}
        }
        let mut now = lock(state);
        now.active.remove(&run);
        now.at_rest(run, finished, is_named);
        drop(now);
        self.runner.gate.ready.stir();
    }

    /// Hands a cancellation down: what is at work is stopped, the rest ended where it stands.
    fn cancel_children(&self, run: RunId, state: &Mutex<State>) {
        self.hand(run).cancel_children(run, |child| {
            if let Some(Some(flag)) = lock(state).active.get(&child) {
                flag.store(true, Ordering::Relaxed);
            }
        });
    }

    fn hand(&self, run: RunId) -> Hand<'_> {
        Hand {
            runner: &self.runner,
            library: &self.library,
            by: &self.by,
            observer: (self.observe)(run),
        }
    }

    /// Goes on with `run`.
    fn resume(&self, run: RunId, is_named: bool, state: &Mutex<State>) -> Result<Finished, ResumeError> {
        let (handle, script) = self.hand(run).take_up(run, None, is_named)?;
        lock(state).active.insert(run, Some(handle.stop_flag()));
        Ok(self.runner.finish(&handle, &script)?)
    }
}

impl State {
    /// Puts `run` into the queue, or remembers that it has to be looked at again.
    fn wake(&mut self, run: RunId) {
        if self.active.contains_key(&run) {
            self.again.insert(run);
        } else {
            self.queue.push_back(Task::Resume(run));
        }
    }

    /// Notes that nothing came of a task.
    fn lose(&mut self, run: RunId, failure: Failure) {
        self.active.remove(&run);
        self.at_rest(run, Err(ResumeError::Refused(failure)), true);
    }

    fn at_rest(&mut self, run: RunId, finished: Result<Finished, ResumeError>, is_named: bool) {
        self.timers.retain(|(_, timed)| *timed != run);
        match finished {
            Ok(finished) => {
                let suspended = finished.record.status == Status::Suspended;
                if let Some(until_ms) = finished.record.waits.as_ref().and_then(|waits| waits.until_ms) {
                    self.timers.insert((until_ms, run));
                }
                if self.again.remove(&run) && suspended {
                    self.queue.push_back(Task::Resume(run));
                }
                self.driven.failed.remove(&run);
                self.driven.finished.insert(run, finished);
            }
            // It was said to be ready when it was not: it is over, or somebody else has it.
            Err(ResumeError::Over { .. } | ResumeError::Busy(_)) if !is_named => {
                self.again.remove(&run);
            }
            Err(error) => {
                self.again.remove(&run);
                self.driven.failed.insert(run, error);
            }
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
