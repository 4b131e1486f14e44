//! The simulated world and its scheduler: of all threads of a process, one moves at a time.
//!
//! A thread that reaches a door — store, network, a sleep — *crosses*: it stands still until the scheduler picks it, by
//! chance from the seed. Each crossing has a number and a line in the trace. At one of them the process may die: from
//! then on none of its doors does anything, its threads unwind, and what it had not made durable is lost as the seed
//! says. Time passes only at crossings, and when all threads sleep.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::disk::Disk;
use crate::net::Net;
use crate::people::Deeds;
use crate::rng::Rng;

/// 2026-11-21 12:00:00 UTC.
pub const START_MS: i64 = 1_795_262_400_000;
/// A life with more crossings is taken for one that never ends.
pub const CROSSINGS_MAX: u64 = 30_000;

/// How unkind the world is, in cases of 1,000.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unkindness {
    /// A request or a look-up meets with trouble.
    pub net: u64,
    /// A sync takes longer than a send deadline.
    pub stall: u64,
}

/// The end of a run's id: here all begin alike.
pub fn tail(run: host::id::RunId) -> String {
    run.to_string()[20..].to_owned()
}

/// What a crash leaves of the commits that were not durable: always a beginning of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    Nothing,
    Everything,
    /// As the seed says.
    Some,
}

/// When a life ends early: at this crossing of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    pub at: u64,
    pub keep: Keep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Ready,
    AsleepUntil(u64),
    Gone,
}

struct Task {
    standing: Standing,
    turn: Arc<Condvar>,
}

/// Everything, behind one lock.
pub struct State {
    pub rng: Rng,
    pub unkindness: Unkindness,
    /// True time, which nobody in the world knows.
    pub now_us: u64,
    pub life: u32,
    pub life_began_us: u64,
    /// How far the clock on the wall is off.
    pub wall_off_ms: i64,
    /// Crossings of this life.
    pub crossings: u64,
    pub crash: Option<Crash>,
    pub is_dead: bool,
    pub trace: Vec<String>,
    /// What must not be, and was seen on the way.
    pub violations: Vec<String>,
    pub disk: Disk,
    pub net: Net,
    pub deeds: Deeds,
    tasks: Vec<Task>,
    running: Option<usize>,
}

pub struct World {
    state: Mutex<State>,
}

/// A thread's own way into the world, for one life.
#[derive(Clone)]
pub struct Handle {
    pub world: Arc<World>,
    pub life: u32,
    pub task: usize,
}

impl World {
    pub fn new(seed: u64, unkindness: Unkindness, disk: Disk, net: Net) -> Arc<World> {
        Arc::new(World {
            state: Mutex::new(State {
                rng: Rng::new(seed),
                unkindness,
                now_us: 0,
                life: 0,
                life_began_us: 0,
                wall_off_ms: 0,
                crossings: 0,
                crash: None,
                is_dead: true,
                trace: Vec::new(),
                violations: Vec::new(),
                disk,
                net,
                deeds: Deeds::default(),
                tasks: Vec::new(),
                running: None,
            }),
        })
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a process. The handle is that of its first thread, which is the caller and moves first.
    pub fn boot(self: &Arc<World>, crash: Option<Crash>) -> Handle {
        let mut state = self.lock();
        state.life += 1;
        state.life_began_us = state.now_us;
        state.crossings = 0;
        state.crash = crash;
        state.is_dead = false;
        state.tasks = vec![Task {
            standing: Standing::Ready,
            turn: Arc::default(),
        }];
        state.running = Some(0);
        let life = state.life;
        state.note(format!("life {life} begins"));
        Handle {
            world: self.clone(),
            life,
            task: 0,
        }
    }
}

impl State {
    pub fn note(&mut self, line: String) {
        self.trace.push(format!("{:>9.3} {line}", self.now_us as f64 / 1e6));
    }

    pub fn violation(&mut self, what: String) {
        self.note(format!("VIOLATION {what}"));
        self.violations.push(what);
    }

    /// Lets time pass: requests arrive, and the disk writes what has become old.
    pub fn pass(&mut self, until_us: u64) {
        self.now_us = self.now_us.max(until_us);
        self.disk.grow_old(self.now_us);
        let lines = self.net.deliver(self.now_us, &mut self.rng);
        lines.into_iter().for_each(|line| self.note(line));
    }

    /// Whose turn it is. Sleeping is skipped when nobody is awake.
    fn choose(&mut self) {
        let ready = |state: &State| -> Vec<usize> {
            let awake = |task: &Task| match task.standing {
                Standing::Ready => true,
                Standing::AsleepUntil(until_us) => until_us <= state.now_us,
                Standing::Gone => false,
            };
            let tasks = state.tasks.iter().enumerate();
            tasks
                .filter(|(_, task)| awake(task))
                .map(|(number, _)| number)
                .collect()
        };
        let mut candidates = ready(self);
        if candidates.is_empty() {
            let wakes = self.tasks.iter().filter_map(|task| match task.standing {
                Standing::AsleepUntil(until_us) => Some(until_us),
                _ => None,
            });
            if let Some(next_us) = wakes.min() {
                self.pass(next_us);
                candidates = ready(self);
            }
        }
        self.running = match candidates.as_slice() {
            [] => None,
            several => Some(*self.rng.pick(several)),
        };
        if let Some(task) = self.running {
            self.tasks[task].turn.notify_all();
        }
    }

    fn die(&mut self, keep: Keep) {
        self.is_dead = true;
        let lost = {
            let State { disk, rng, .. } = self;
            disk.crash(keep, rng)
        };
        self.note(format!("life {} dies; {lost}", self.life));
        for task in &self.tasks {
            task.turn.notify_all();
        }
    }
}

impl Handle {
    /// Crosses a door; `None` when the process is dead by then.
    pub fn cross(&self, what: impl FnOnce() -> String) -> Option<MutexGuard<'_, State>> {
        self.cross_after(0, what)
    }

    /// Crosses not before `delay_us` from now.
    pub fn cross_after(&self, delay_us: u64, what: impl FnOnce() -> String) -> Option<MutexGuard<'_, State>> {
        let mut state = self.alive()?;
        let until_us = state.now_us + delay_us;
        state.tasks[self.task].standing = if delay_us > 0 {
            Standing::AsleepUntil(until_us)
        } else {
            Standing::Ready
        };
        state.choose();
        let mut state = self.wait_for_turn(state)?;
        state.tasks[self.task].standing = Standing::Ready;
        state.crossings += 1;
        let number = state.crossings;
        let line = format!("{number:>4} t{} {}", self.task, what());
        state.note(line);
        if let Some(crash) = state.crash.filter(|crash| crash.at == number) {
            state.die(crash.keep);
            return None;
        }
        if number >= CROSSINGS_MAX {
            state.violation(format!("life {} does not come to an end", self.life));
            state.die(Keep::Everything);
            return None;
        }
        // A little time passes with everything.
        let tick_us = state.rng.below(2_000);
        let until_us = state.now_us + tick_us;
        state.pass(until_us);
        Some(state)
    }

    fn wait_for_turn<'s>(&self, mut state: MutexGuard<'s, State>) -> Option<MutexGuard<'s, State>> {
        let turn = state.tasks[self.task].turn.clone();
        while state.running != Some(self.task) && !state.is_dead {
            state = turn.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        (!state.is_dead).then_some(state)
    }

    /// The state, if this life is still on.
    pub fn alive(&self) -> Option<MutexGuard<'_, State>> {
        let state = self.world.lock();
        (state.life == self.life && !state.is_dead).then_some(state)
    }

    pub fn is_dead(&self) -> bool {
        self.alive().is_none()
    }

    /// A line in the trace, without a crossing.
    pub fn note(&self, line: impl FnOnce() -> String) {
        if let Some(mut state) = self.alive() {
            let line = format!("     t{} {}", self.task, line());
            state.note(line);
        }
    }

    /// Starts another thread of this process. It moves when it is picked.
    pub fn spawn(&self, work: impl FnOnce(Handle) + Send + 'static) -> JoinHandle<()> {
        let handle = {
            let mut state = self.world.lock();
            state.tasks.push(Task {
                standing: Standing::Ready,
                turn: Arc::default(),
            });
            Handle {
                task: state.tasks.len() - 1,
                ..self.clone()
            }
        };
        std::thread::spawn(move || {
            let state = handle.world.lock();
            // Dead or alive, it is the work that finds out.
            drop(handle.wait_for_turn(state));
            work(handle.clone());
            handle.leave();
        })
    }

    /// This thread is over; another one may move.
    pub fn leave(&self) {
        if let Some(mut state) = self.alive() {
            state.tasks[self.task].standing = Standing::Gone;
            state.choose();
        }
    }

    /// The process ends in order, once all its threads are over: what is not durable becomes it.
    pub fn end(&self) {
        if let Some(mut state) = self.alive() {
            state.disk.sync_all();
            state.is_dead = true;
            let line = format!("life {} ends", self.life);
            state.note(line);
        }
    }
}
