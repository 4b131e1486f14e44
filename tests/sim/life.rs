//! One scenario from its first life to rest: processes are started, die where the scenario says, and are started again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use host::id::RunId;
use host::io::clock::Clock as _;
use host::journal::{Outcome, Status};
use host::runs::{Finished, Library, Runner, recovery};

use crate::check;
use crate::clock::SimClock;
use crate::disk::Disk;
use crate::hands;
use crate::net::Net;
use crate::people::{self, Deeds};
use crate::plant::Plant;
use crate::product;
use crate::scenario::{Scenario, Wanted};
use crate::world::{Handle, World, tail};

/// Lives in order after the last crash, in which everything must come to rest.
const LIVES_MAX: u32 = 12;

/// What was told to whoever asked for a run.
pub type Told = BTreeMap<RunId, Outcome>;

/// What came of a scenario.
pub struct Played {
    pub trace: Vec<String>,
    pub violations: Vec<String>,
    /// Crossings of each life.
    pub crossings: Vec<u64>,
    /// What people did, and were told to be done.
    pub deeds: Deeds,
    /// Writes that landed, and those of them that landed more than once.
    pub landed: (usize, usize),
}

impl Played {
    pub fn trace_text(&self) -> String {
        self.trace.join("\n")
    }
}

/// Plays `scenario` in a world with `plant` in it.
pub fn play(scenario: &Scenario, plant: Option<Plant>) -> Played {
    let world = World::new(scenario.seed, scenario.unkindness, Disk::new(plant), Net::new(plant));
    let told = Arc::new(Mutex::new(Told::new()));
    let mut crossings = Vec::new();
    loop {
        let life = crossings.len() as u32 + 1;
        if life > 1 {
            pause(&world, scenario.jumps);
        }
        live(&world, scenario, life, &told);
        crossings.push(world.lock().crossings);
        let told = told.lock().expect("no thread panics with it");
        let seen = check::after_life(&world, scenario, &told);
        let is_over = life as usize > scenario.crashes.len() && seen.is_at_rest;
        let is_stuck = life > scenario.crashes.len() as u32 + LIVES_MAX;
        let mut state = world.lock();
        if is_stuck {
            state.violation(format!("not at rest after {life} lives: {}", seen.at_work.join(", ")));
        }
        if is_over || is_stuck || !state.violations.is_empty() {
            break;
        }
    }
    if world.lock().violations.is_empty() {
        check::at_the_end(&world);
    }
    let mut state = world.lock();
    Played {
        trace: std::mem::take(&mut state.trace),
        violations: std::mem::take(&mut state.violations),
        crossings,
        deeds: state.deeds.clone(),
        landed: state.net.landed_counts(),
    }
}

/// The time between two lives, and what somebody does to the clock on the wall.
fn pause(world: &World, jumps: bool) {
    const HOUR_MS: u64 = 3_600_000;
    let mut state = world.lock();
    let down_us = match state.rng.below(3) {
        0 => state.rng.below(1_000_000),
        1 => state.rng.below(120_000_000),
        _ => state.rng.below(3_600_000_000),
    };
    let until_us = state.now_us + down_us;
    state.pass(until_us);
    if jumps {
        let jump_ms = match state.rng.below(3) {
            // As if hardly any time had passed.
            0 => state.rng.below(20_000) as i64 - (down_us / 1000) as i64,
            1 => -(state.rng.below(2 * HOUR_MS) as i64),
            _ => state.rng.below(2 * HOUR_MS) as i64,
        };
        state.wall_off_ms += jump_ms;
        state.note(format!("the clock on the wall is moved by {jump_ms} ms"));
    }
}

/// What the threads of one life share.
pub struct Life {
    seed: u64,
    pub library: Arc<Library>,
    pub told: Arc<Mutex<Told>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Runs that have a thread.
    active: Mutex<BTreeMap<RunId, Active>>,
}

/// A run at work.
#[derive(Default)]
struct Active {
    /// It was said to be ready meanwhile.
    again: bool,
    /// Cancels it.
    flag: Option<Arc<AtomicBool>>,
}

fn live(world: &Arc<World>, scenario: &Scenario, life: u32, told: &Arc<Mutex<Told>>) {
    let handle = world.boot(scenario.crashes.get(life as usize - 1).copied());
    let life = Arc::new(Life {
        seed: scenario.seed.wrapping_mul(1_000_003) ^ (u64::from(life) << 32),
        library: product::library(),
        told: told.clone(),
        threads: Mutex::default(),
        active: Mutex::default(),
    });
    let (ready, later) = product::unfinished(&handle).unwrap_or_default();
    let known = product::names(&handle);
    let mut left = Vec::new();
    for run in ready {
        if scenario.hands > 0 && handle.alive().is_some_and(|mut state| state.rng.hits(300)) {
            left.push(run);
            continue;
        }
        life.clone().take_up(&handle, run, false);
    }
    for (run, until_ms) in later {
        life.clone().take_up_at(&handle, run, until_ms);
    }
    let due = |wanted: &&Wanted| wanted.from_life <= handle.life && !known.contains(&wanted.name);
    for wanted in scenario.wanted.iter().filter(due) {
        let wanted = wanted.clone();
        let this = life.clone();
        let thread = handle.spawn(move |handle| {
            let runner = product::runner(&handle, &this.library, this.chance(&handle));
            if let Ok(finished) = product::start(&runner, &wanted) {
                this.at_rest(&handle, &runner, finished);
            }
        });
        life.threads.lock().expect("no thread panics with it").push(thread);
    }
    let (this, times, jumps) = (life.clone(), scenario.people, scenario.jumps);
    let people = handle.spawn(move |handle| people::look_in(&this, &handle, times, jumps));
    life.threads.lock().expect("no thread panics with it").push(people);
    if scenario.hands > 0 {
        let (this, scenario) = (life.clone(), scenario.clone());
        let hands = handle.spawn(move |handle| hands::look_in(&this, &handle, &scenario, left));
        life.threads.lock().expect("no thread panics with it").push(hands);
    }
    handle.leave();
    loop {
        let thread = life.threads.lock().expect("no thread panics with it").pop();
        let Some(thread) = thread else { break };
        thread.join().expect("a thread of the simulation");
    }
    handle.end();
}

impl Life {
    /// For the doors of the thread `handle`.
    pub fn chance(&self, handle: &Handle) -> u64 {
        self.seed ^ handle.task as u64
    }

    /// Goes on with `run` on a thread of its own, unless it has one.
    pub fn take_up(self: Arc<Life>, handle: &Handle, run: RunId, by_hand: bool) {
        if !self.claim(run) {
            return;
        }
        let this = self.clone();
        let thread = handle.spawn(move |handle| {
            let runner = product::runner(&handle, &this.library, this.chance(&handle));
            let mut by_hand = by_hand;
            loop {
                let by_hand = std::mem::take(&mut by_hand);
                let finished = product::take_over(&runner, &this.library, run, by_hand).and_then(|(begun, script)| {
                    this.watch(run, begun.stop_flag());
                    Ok(runner.finish(&begun, &script)?)
                });
                handle.note(|| match &finished {
                    Ok(finished) => format!("{} rests as {}", tail(run), finished.record.status.code()),
                    Err(error) => format!("{} does not go on: {error}", tail(run)),
                });
                if let Ok(finished) = finished {
                    this.clone().at_rest(&handle, &runner, finished);
                }
                if !this.release(run) || handle.is_dead() || !this.claim(run) {
                    break;
                }
            }
        });
        self.threads.lock().expect("no thread panics with it").push(thread);
    }

    /// Has `run` for the caller alone; one that is at work is noted to be looked at again.
    pub fn claim(&self, run: RunId) -> bool {
        let mut active = self.active.lock().expect("no thread panics with it");
        if let Some(at_work) = active.get_mut(&run) {
            at_work.again = true;
            return false;
        }
        active.insert(run, Active::default());
        true
    }

    /// Whether it has to be looked at again.
    pub fn release(&self, run: RunId) -> bool {
        let mut active = self.active.lock().expect("no thread panics with it");
        active.remove(&run).is_some_and(|at_work| at_work.again)
    }

    /// `flag` cancels `run`, which the caller has.
    pub fn watch(&self, run: RunId, flag: Arc<AtomicBool>) {
        let mut active = self.active.lock().expect("no thread panics with it");
        if let Some(at_work) = active.get_mut(&run) {
            at_work.flag = Some(flag);
        }
    }

    /// The runs at work that can be stopped.
    pub fn at_work(&self) -> Vec<(RunId, Arc<AtomicBool>)> {
        let active = self.active.lock().expect("no thread panics with it");
        let flags = active.iter();
        flags
            .filter_map(|(run, at_work)| Some((*run, at_work.flag.clone()?)))
            .collect()
    }

    /// Hands a cancellation down, as the conductor does.
    fn cancel_children(&self, runner: &Runner, run: RunId) {
        let children = recovery::children(&*runner.gate.ground.store, run).unwrap_or_default();
        for (_, flag) in self.at_work().iter().filter(|(run, _)| children.contains(run)) {
            flag.store(true, Ordering::Relaxed);
        }
        // One that is in doubt is left to whoever decides.
        drop(runner.cancel_children(&self.library, run, &product::by_hand()));
    }

    /// A run is at rest: whoever waits for it is told, and whatever it made ready goes on.
    pub fn at_rest(self: Arc<Life>, handle: &Handle, runner: &Runner, finished: Finished) {
        let run = finished.record.run;
        let status = finished.outcome.status;
        if handle
            .cross(|| format!("told {} {}", tail(run), status.code()))
            .is_none()
        {
            return;
        }
        let mut told = self.told.lock().expect("no thread panics with it");
        told.insert(run, finished.outcome);
        drop(told);
        if status == Status::Cancelled {
            self.cancel_children(runner, run);
        }
        for ready in runner.gate.ready.take(Duration::ZERO, || true) {
            self.clone().take_up(handle, ready, false);
        }
        if let Some(until_ms) = finished.record.waits.as_ref().and_then(|waits| waits.until_ms) {
            self.take_up_at(handle, run, until_ms);
        }
    }

    /// Goes on with `run` at a time of the clock on the wall.
    fn take_up_at(self: Arc<Life>, handle: &Handle, run: RunId, until_ms: i64) {
        let this = self.clone();
        let thread = handle.spawn(move |handle| {
            let clock = SimClock(handle.clone());
            let left_ms = (until_ms - clock.unix_ms()).max(0) as u64;
            clock.sleep(Duration::from_millis(left_ms));
            this.take_up(&handle, run, false);
        });
        self.threads.lock().expect("no thread panics with it").push(thread);
    }
}
