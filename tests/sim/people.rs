//! The people and programs around a host: they tell of events, answer questions, and decide what is in doubt.
//!
//! Who decides looks at the provider, and says what is true there; nobody decides while a request is still under way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use host::id::{RunId, StepNo};
use host::io::clock::Clock as _;
use host::journal::question::Given;
use host::journal::{Recorded, RunRecord, Status, event, question};
use host::runs::Runner;
use host::runs::resolve::{Decision, resolve};
use host::store::{Durability, Realm};
use host::value::Value;

use crate::clock::SimClock;
use crate::life::Life;
use crate::net::label_of;
use crate::product;
use crate::world::{Handle, tail};

/// What runs wait for.
pub const NEWS: &str = "news";

/// What people did, and were told to be done.
#[derive(Clone, Debug, Default)]
pub struct Deeds {
    pub events: i64,
    pub answers: BTreeMap<(RunId, StepNo), String>,
    pub decisions: u64,
    /// Runs that somebody cancelled, retried or edited.
    pub handled: BTreeSet<RunId>,
    /// Of each run that was done once more: the writes that might be done a second time.
    pub retries: BTreeMap<RunId, BTreeSet<String>>,
    pub hands: Hands,
}

/// What came of what people asked for, and how often.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hands {
    pub stopped: u64,
    pub cancelled: u64,
    pub retried: u64,
    /// Refused, since a write landed or may have.
    pub not_retried: u64,
    pub edited: u64,
    /// Refused, since a write is in doubt or the run is at work.
    pub not_edited: u64,
    /// An edited script was halted at a write that landed.
    pub halted: u64,
    pub named_again: u64,
    pub kept: u64,
}

/// Looks in `times`, if the life lasts.
pub fn look_in(life: &Arc<Life>, handle: &Handle, times: u32, jumps: bool) {
    let runner = product::runner(handle, &life.library, life.chance(handle));
    let clock = SimClock(handle.clone());
    for _ in 0..times {
        let Some(pause_ms) = handle.alive().map(|mut state| state.rng.between(1, 60_000)) else {
            return;
        };
        clock.sleep(Duration::from_millis(pause_ms));
        let Some(deed) = handle.alive().map(|mut state| state.rng.below(8)) else {
            return;
        };
        match deed {
            0 | 1 => tell_news(life, handle, &runner),
            2 | 3 => answer(life, handle, &runner),
            4 if jumps => set_clock(handle),
            _ => decide(life, handle, &runner),
        }
    }
}

fn set_clock(handle: &Handle) {
    if let Some(mut state) = handle.alive() {
        let jump_ms = state.rng.below(4 * 3_600_000) as i64 - 2 * 3_600_000;
        state.wall_off_ms += jump_ms;
        state.note(format!("          the clock on the wall is moved by {jump_ms} ms"));
    }
}

fn tell_news(life: &Arc<Life>, handle: &Handle, runner: &Runner) {
    let Some(number) = handle.alive().map(|mut state| {
        state.deeds.events += 1;
        state.deeds.events
    }) else {
        return;
    };
    let at_ms = SimClock(handle.clone()).unix_ms();
    let ground = &runner.gate.ground;
    let waiting = event::emit(ground, Realm::Live, NEWS, &Value::Int(number), at_ms, Durability::Now);
    for run in waiting.unwrap_or_default() {
        life.clone().take_up(handle, run, false);
    }
}

fn answer(life: &Arc<Life>, handle: &Handle, runner: &Runner) {
    let ground = &runner.gate.ground;
    let Some((run, step, _)) = question::open(&*ground.store, 100)
        .ok()
        .and_then(|open| open.into_iter().next())
    else {
        return;
    };
    let at_ms = SimClock(handle.clone()).unix_ms();
    let given = Given {
        answer: format!("yes to {}", tail(run)),
        by: "ann".to_owned(),
        at_ms,
    };
    let text = given.answer.clone();
    if let Ok(Ok(())) = question::answer(ground, run, step, given, &[]) {
        let Some(mut state) = handle.cross(|| format!("answered {} {step}", tail(run))) else {
            return;
        };
        state.deeds.answers.insert((run, step), text);
        drop(state);
        life.clone().take_up(handle, run, false);
    }
}

/// Decides what is in doubt of one run, and has it go on.
fn decide(life: &Arc<Life>, handle: &Handle, runner: &Runner) {
    let ground = &runner.gate.ground;
    let runs = RunRecord::latest(&*ground.store, RunId::from_bytes([0xFF; 16]), 1000).unwrap_or_default();
    for record in runs.iter().filter(|record| record.status == Status::NeedsAttention) {
        let Ok(recorded) = Recorded::load(ground, record.run) else {
            return;
        };
        let doubtful = recorded.steps.iter().find(|(_, step)| step.is_in_doubt());
        if let Some((number, step)) = doubtful {
            let label = step
                .asked()
                .and_then(|asked| label_of(&asked.args))
                .expect("a write")
                .to_owned();
            let Some(landed) = handle.alive().map(|state| state.net.truth(&label)) else {
                return;
            };
            let Some(landed) = landed else { continue };
            let decision = Decision {
                step: *number,
                landed,
                value: Value::from([("status", Value::Int(200))]),
                reason: "seen at the provider".to_owned(),
                by: "ann".to_owned(),
            };
            if let Err(error) = resolve(&runner.gate, record.run, decision) {
                handle.note(|| format!("{} is not decided: {error}", tail(record.run)));
                continue;
            }
            if let Some(mut state) = handle.alive() {
                state.deeds.decisions += 1;
                state.note(format!("          {label} is decided: landed {landed}"));
            }
        }
        life.clone().take_up(handle, record.run, true);
    }
}
