//! One scenario from its first life to rest: processes are started, die where the scenario says, and are started again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use host::id::RunId;
use host::journal::Outcome;

use crate::check;
use crate::disk::Disk;
use crate::net::Net;
use crate::plant::Plant;
use crate::product;
use crate::scenario::{Scenario, Wanted};
use crate::world::World;

/// Lives in order after the last crash, in which everything must come to rest.
const LIVES_MAX: u32 = 12;

/// What was told to whoever asked for a run.
pub type Told = BTreeMap<RunId, (String, Outcome)>;

/// What came of a scenario.
pub struct Played {
    pub trace: Vec<String>,
    pub violations: Vec<String>,
    /// Crossings of each life.
    pub crossings: Vec<u64>,
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
    }
}

/// The time between two lives, and what somebody does to the clock on the wall.
fn pause(world: &World, jumps: bool) {
    let mut state = world.lock();
    let down_us = match state.rng.below(3) {
        0 => state.rng.below(1_000_000),
        1 => state.rng.below(120_000_000),
        _ => state.rng.below(3_600_000_000),
    };
    let until_us = state.now_us + down_us;
    state.pass(until_us);
    if jumps {
        let jump_ms = state.rng.below(4 * 3_600_000) as i64 - 2 * 3_600_000;
        state.wall_off_ms += jump_ms;
        state.note(format!("the clock on the wall is moved by {jump_ms} ms"));
    }
}

fn live(world: &Arc<World>, scenario: &Scenario, life: u32, told: &Arc<Mutex<Told>>) {
    let crash = scenario.crashes.get(life as usize - 1).copied();
    let handle = world.boot(crash);
    let chance = |task: u64| scenario.seed.wrapping_mul(1_000_003) ^ (u64::from(life) << 32) ^ task;
    let mut threads = Vec::new();
    for (number, run) in product::unfinished(&handle).into_iter().enumerate() {
        let (told, chance) = (told.clone(), chance(100 + number as u64));
        threads.push(handle.spawn(move |handle| {
            if let Ok(Some(outcome)) = product::resume(&handle, chance, run) {
                tell(&handle, &told, run, "", outcome);
            }
        }));
    }
    let known = product::names(&handle);
    let due = |wanted: &&Wanted| wanted.from_life <= life && !known.contains(&wanted.name);
    for (number, wanted) in scenario.wanted.iter().filter(due).enumerate() {
        let (told, wanted, chance) = (told.clone(), wanted.clone(), chance(number as u64));
        threads.push(handle.spawn(move |handle| {
            let runner = product::runner(&handle, chance);
            if let Ok((run, outcome)) = product::start(&runner, &wanted) {
                tell(&handle, &told, run, &wanted.name, outcome);
            }
        }));
    }
    handle.leave();
    for thread in threads {
        thread.join().expect("a thread of the simulation");
    }
    handle.end();
}

/// Whoever asked is told how the run ended: from here on it must not be lost.
fn tell(handle: &crate::world::Handle, told: &Mutex<Told>, run: RunId, name: &str, outcome: Outcome) {
    if handle
        .cross(|| format!("told {} {}", run.short(), outcome.status.code()))
        .is_some()
    {
        told.lock()
            .expect("no thread panics with it")
            .insert(run, (name.to_owned(), outcome));
    }
}
