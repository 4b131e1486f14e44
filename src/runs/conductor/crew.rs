//! Keeps runs moving for as long as a host lives: a bounded number of threads, playbooks in turn.
//!
//! A thread takes the next run when it has done with the last one, so nobody has to be told in between; there are
//! threads only while there is work. What came of a run is told once, when that is on disk ([`endings`](super::endings)),
//! and not kept. Without threads, whoever owns the crew takes its [steps](Crew::step): for tests in which a seed decides
//! everything.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::endings::{Brought, Ended, Endings};
use super::hand::Hand;
use super::lanes::{Lanes, Offer, What};
use crate::effect::Failure;
use crate::gate::panic::words_of;
use crate::gate::{Observer, Ready};
use crate::id::RunId;
use crate::io::clock::thread_worked;
use crate::journal::{RunRecord, Status};
use crate::runs::creation::Created;
use crate::runs::library::Library;
use crate::runs::pool;
use crate::runs::resume::ResumeError;
use crate::runs::runner::{Finished, Rest, Runner};
use crate::script::{RunHandle, Script};

/// A thread that worked longer than this at one run, waits left out, leaves its place to another, and its stack to the
/// system.
const WORN_AFTER: Duration = Duration::from_millis(20);

/// Runs that are kept as they were created; the others are read when their turn comes.
const CREATED_MAX: usize = 2048;

/// With fewer threads, ends of runs do not wait for others to go to the disk with.
const GATHERS_FROM: usize = 8;

/// What runs go on with now.
#[derive(Clone)]
pub struct Shift {
    pub runner: Runner,
    pub library: Library,
}

/// A run that has come to rest, or could not be taken up.
pub struct AtRest {
    pub run: RunId,
    pub playbook: String,
    pub outcome: Result<Finished, ResumeError>,
}

/// Who watches a run that is taken up.
pub type Observe = Box<dyn Fn(&Offer) -> Arc<dyn Observer> + Send + Sync>;

/// Drives runs for as long as a host lives.
pub struct Crew {
    /// Runs that have a thread at the same time; 0: whoever owns the crew takes its steps.
    pub threads_max: usize,
    /// Said of every run that is taken up.
    pub by: String,
    pub shift: Box<dyn Fn() -> Shift + Send + Sync>,
    /// Who watches a run.
    pub observe: Observe,
    /// Told of every run that comes to rest, on the run's thread.
    pub on_rest: Box<dyn Fn(&AtRest) + Send + Sync>,
    /// Stirred when a run has come to rest.
    pub ready: Arc<Ready>,
    pub(super) endings: Endings,
    state: Mutex<State>,
    rested: Condvar,
}

#[derive(Default)]
struct State {
    lanes: Lanes,
    threads: usize,
    /// Runs at work on threads of those who asked for them.
    here: usize,
    /// Runs that somebody has taken over already, until they have a thread.
    taken: BTreeMap<RunId, (Runner, RunHandle, Arc<Script>)>,
    /// Who asked for a run that waits for a thread, where it was not the host.
    asked: BTreeMap<RunId, String>,
    /// Runs as they were created, until they have a thread.
    created: BTreeMap<RunId, Created>,
    /// Nothing more is begun.
    is_closed: bool,
    /// The earliest moment at which one wants to go on that came to rest since this was asked last.
    wakes_ms: Option<i64>,
}

impl Crew {
    pub fn new(threads_max: usize, ready: Arc<Ready>, shift: impl Fn() -> Shift + Send + Sync + 'static) -> Crew {
        Crew {
            threads_max,
            by: "the host".to_owned(),
            shift: Box::new(shift),
            observe: Box::new(|_| Arc::new(crate::gate::Silent)),
            on_rest: Box::new(|_| ()),
            ready,
            endings: Endings::default(),
            state: Mutex::default(),
            rested: Condvar::new(),
        }
    }

    /// Gives runs a thread as soon as there is one. One that has a thread is looked at again when it comes to rest.
    pub fn offer(self: &Arc<Self>, offers: impl IntoIterator<Item = Offer>) {
        let mut now = self.lock();
        for offer in offers {
            now.lanes.push(offer);
        }
        self.staff(now);
    }

    /// Keeps a run that was just created until it is offered and has a thread, which need not read it then.
    pub fn remember(&self, created: Created) {
        let mut now = self.lock();
        if now.created.len() < CREATED_MAX {
            now.created.insert(created.0.run, created);
        }
    }

    /// Notes who wants `run` to be offered: its journal names him when it is taken up.
    pub fn asked_by(&self, run: RunId, by: &str) {
        self.lock().asked.insert(run, by.to_owned());
    }

    /// Gives a thread to a run that the caller has begun or taken over with `runner`.
    pub fn adopt(self: &Arc<Self>, runner: Runner, handle: RunHandle, script: Arc<Script>) {
        let (run, playbook) = (handle.tape().run, script.name.clone());
        self.lock().taken.insert(run, (runner, handle, script));
        let what = What::GoOn;
        self.offer([Offer { run, playbook, what }]);
    }

    /// Carries a run out on this thread, where one more may be at work and nobody waits for that: to hand a small run over,
    /// and its end back, costs more than to carry it out. `None`, and nothing has happened, where it has to be offered.
    pub fn carry_here(
        self: &Arc<Self>,
        offer: &Offer,
        begun: Option<(Runner, RunHandle, Arc<Script>)>,
    ) -> Option<AtRest> {
        let mut now = self.lock();
        let has_room = !now.is_closed && now.lanes.open() == 0 && now.threads + now.here < self.threads_max;
        if !has_room || !now.lanes.begin(offer) {
            return None;
        }
        now.here += 1;
        if let Some(begun) = begun {
            now.taken.insert(offer.run, begun);
        }
        drop(now);
        let runner = (self.shift)().runner;
        let rested = catching(|| Ok(runner.on_disk(self.go_on(offer)?)?));
        // Whoever breaks down when he is told does so on this thread; the place is given back all the same.
        let at_rest = catch_unwind(AssertUnwindSafe(|| self.rest(offer.clone(), rested)));
        self.have_rested();
        let mut now = self.lock();
        now.here -= 1;
        self.staff(now);
        Some(at_rest.unwrap_or_else(|panic| resume_unwind(panic)))
    }

    /// Cancels a run that was adopted and may not be on disk yet.
    pub fn cancel_adopted(self: &Arc<Self>, run: RunId) {
        let mut now = self.lock();
        if let Some((_, handle, _)) = now.taken.get(&run) {
            handle.stop_flag().store(true, Ordering::Relaxed);
        }
        now.lanes.stop(run);
    }

    /// Runs of one playbook that may be at work at once.
    pub fn set_limits(self: &Arc<Self>, limits: BTreeMap<String, usize>) {
        let mut now = self.lock();
        now.lanes.set_limits(limits);
        self.staff(now);
    }

    /// Takes one step, on this thread; `false` when there is nothing to do.
    pub fn step(&self) -> bool {
        let next = {
            let mut now = self.lock();
            if now.is_closed { None } else { now.lanes.next() }
        };
        let Some(offer) = next else { return false };
        self.carry(offer);
        true
    }

    /// Runs that wait for a thread and are not kept back by their own playbook.
    pub fn open(&self) -> usize {
        self.lock().lanes.open()
    }

    pub fn waiting(&self) -> usize {
        self.lock().lanes.waiting()
    }

    pub fn at_work(&self) -> usize {
        self.lock().lanes.at_work()
    }

    pub fn runs_at_work(&self) -> BTreeSet<RunId> {
        self.lock().lanes.runs_at_work()
    }

    /// The earliest moment at which one wants to go on that came to rest since this was asked last.
    pub fn take_wake(&self) -> Option<i64> {
        self.lock().wakes_ms.take()
    }

    /// From here on nothing is begun; what is at work goes on.
    pub fn close(&self) {
        let mut now = self.lock();
        now.is_closed = true;
        // They are on disk, as far as they came.
        let taken = (std::mem::take(&mut now.taken), std::mem::take(&mut now.created));
        drop(now);
        drop(taken);
    }

    pub fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Waits until nothing is at work; `false` when that took longer than `patience`.
    pub fn wait(&self, patience: Duration) -> bool {
        let now = self.lock();
        let waits = |now: &mut State| now.lanes.at_work() > 0 || now.threads > 0;
        let waited = self.rested.wait_timeout_while(now, patience, waits);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// As many threads as there is work for.
    fn staff(self: &Arc<Self>, mut now: MutexGuard<'_, State>) {
        if now.is_closed {
            return;
        }
        let free = self.threads_max.saturating_sub(now.threads + now.here);
        let wanted = free.min(now.lanes.open());
        now.threads += wanted;
        drop(now);
        for _ in 0..wanted {
            self.hire();
        }
    }

    fn hire(self: &Arc<Self>) {
        let crew = self.clone();
        let stack_bytes = (self.shift)().runner.language.limits.stack_bytes();
        if let Err(lost) = pool::start(stack_bytes, move || crew.work()) {
            // Those that are there go on; the next offer tries again.
            self.lock().threads -= 1;
            tracing::error!(error = %lost, code = lost.code(), "no thread for runs that wait");
        }
    }

    fn work(self: Arc<Self>) {
        loop {
            let next = {
                let mut now = self.lock();
                let next = if now.is_closed { None } else { now.lanes.next() };
                if next.is_none() {
                    now.threads -= 1;
                }
                next
            };
            let Some(offer) = next else {
                self.endings.hurry();
                self.rested.notify_all();
                return;
            };
            let begun = thread_worked();
            self.carry(offer);
            if thread_worked().saturating_sub(begun) > WORN_AFTER {
                self.hire();
                return;
            }
        }
    }

    fn carry(&self, offer: Offer) {
        let rested = match catching(|| self.go_on(&offer)) {
            Ok(Rest::Whole(finished)) => Ok(finished),
            Err(error) => Err(error),
            Ok(Rest::Ending(ending, outcome)) => {
                let ended = Ended { offer, ending, outcome };
                match self.endings.bring(ended) {
                    Brought::Left => {}
                    // What goes wrong there, whoever tells of it says.
                    Brought::Full(until) => drop((self.shift)().runner.gate.ground.store.wait_durable(until)),
                    Brought::Tell => self.tell(),
                }
                return;
            }
        };
        drop(self.rest(offer, rested));
        self.have_rested();
    }

    /// Tells of runs that have ended, as soon as that is on disk.
    fn tell(&self) {
        let gate = (self.shift)().runner.gate;
        // A few threads have better to do than to wait for company.
        let may_gather = self.threads_max >= GATHERS_FROM;
        loop {
            if may_gather && self.open() > 0 {
                self.endings.gather();
            }
            let ended = self.endings.take();
            let Some(until) = ended.iter().map(|ended| ended.ending.until).max() else {
                return;
            };
            let on_disk = gate.ground.store.wait_durable(until);
            for Ended { offer, ending, outcome } in ended {
                let finished = catching(|| {
                    on_disk.clone()?;
                    let record = ending.tell(&gate.ready);
                    Ok(Finished { record, outcome })
                });
                // Whoever breaks down when he is told keeps nobody else from it: the hook of panics says so.
                drop(catch_unwind(AssertUnwindSafe(|| self.rest(offer, finished))));
            }
            self.have_rested();
        }
    }

    /// Tells those who look at what the crew does.
    fn have_rested(&self) {
        self.rested.notify_all();
        self.ready.stir();
    }

    /// Notes that a run has come to rest, and tells so.
    fn rest(&self, offer: Offer, outcome: Result<Finished, ResumeError>) -> AtRest {
        let Offer { run, playbook, .. } = offer;
        let at_rest = AtRest { run, playbook, outcome };
        (self.on_rest)(&at_rest);
        let record = at_rest.outcome.as_ref().ok().map(|finished| &finished.record);
        let waits = record.filter(|record| record.status == Status::Suspended);
        let mut now = self.lock();
        let is_cancelled = now.lanes.is_cancelled(run);
        let again = now.lanes.rests(run);
        // It had suspended itself already, and nothing was left to stop.
        if is_cancelled && waits.is_some() {
            now.lanes.push(Offer {
                run,
                playbook: at_rest.playbook.clone(),
                what: What::Cancel,
            });
        } else {
            now.asked.remove(&run);
        }
        if let Some(record) = waits {
            let until_ms = record.waits.as_ref().and_then(|waits| waits.until_ms);
            now.wakes_ms = now.wakes_ms.into_iter().chain(until_ms).min();
        }
        drop(now);
        // One that has ended may have been reopened before it was at rest here: by the next attempt at its job.
        if again && (waits.is_some() || self.is_open(run)) {
            self.lock().lanes.push(Offer {
                run,
                playbook: at_rest.playbook.clone(),
                what: What::GoOn,
            });
        }
        at_rest
    }

    fn go_on(&self, offer: &Offer) -> Result<Rest, ResumeError> {
        let (run, what) = (offer.run, offer.what);
        let Shift { runner, library } = (self.shift)();
        let (asked, taken, created) = {
            let mut now = self.lock();
            (now.asked.remove(&run), now.taken.remove(&run), now.created.remove(&run))
        };
        let hand = Hand {
            runner: &runner,
            library: &library,
            by: asked.as_deref().unwrap_or(&self.by),
            observer: (self.observe)(offer),
        };
        let rest = match (what, taken) {
            (_, Some((runner, handle, script))) => {
                if what == What::Cancel {
                    handle.stop_flag().store(true, Ordering::Relaxed);
                }
                self.lock().lanes.has_flag(run, handle.stop_flag());
                runner.work(&handle, &script)?
            }
            (What::Cancel, None) => Rest::Whole(runner.cancel(&library, run, &hand.how())?),
            (What::GoOn | What::Reopen, None) => {
                let (handle, script) = hand.take_up(run, created, what == What::Reopen)?;
                self.lock().lanes.has_flag(run, handle.stop_flag());
                runner.work(&handle, &script)?
            }
        };
        if rest.status() != Status::Cancelled {
            return Ok(rest);
        }
        // Those that it started hear of it when it is on disk.
        let finished = runner.on_disk(rest)?;
        hand.cancel_children(run, |child| {
            self.lock().lanes.stop(child);
        });
        Ok(Rest::Whole(finished))
    }

    fn is_open(&self, run: RunId) -> bool {
        let store = (self.shift)().runner.gate.ground.store.clone();
        RunRecord::get(&*store, run).is_ok_and(|record| !record.status.is_over())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A panic ends the run that it comes of, and nothing else.
fn catching<T>(work: impl FnOnce() -> Result<T, ResumeError>) -> Result<T, ResumeError> {
    let caught = catch_unwind(AssertUnwindSafe(work));
    caught.unwrap_or_else(|panic| Err(ResumeError::Refused(Failure::new("PANIC", words_of(&*panic)))))
}
