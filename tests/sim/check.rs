//! What must hold, whatever happened: see `docs/design/0005-simulation.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use host::effect::Class;
use host::journal::{Recorded, RunRecord, Status, Step};
use host::store::keys::{self, Place};
use host::store::tx::Ground;
use host::store::{Realm, Tx, kv};
use host::value::Value;

use crate::disk::Disk;
use crate::life::Told;
use crate::net::{Net, label_of};
use crate::product;
use crate::providers::kind;
use crate::scenario::Scenario;
use crate::world::{Handle, Unkindness, World};

/// How far the runs are after a life.
pub struct Seen {
    pub is_at_rest: bool,
    pub at_work: Vec<String>,
}

/// A quiet world of its own that holds what is on the disk now: looking at it moves nothing in the other.
fn inspect(world: &World) -> (Arc<World>, Handle) {
    let disk: Disk = {
        let mut disk = world.lock().disk.clone();
        disk.plant = None;
        disk
    };
    let quiet = World::new(0, Unkindness::default(), disk, Net::new(None));
    let handle = quiet.boot(None);
    (quiet, handle)
}

/// The runs on disk, oldest first; what cannot be read is a violation.
fn runs(world: &World, ground: &Ground) -> Vec<(RunRecord, Recorded)> {
    let everything = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    let rows = ground.store.scan(everything, usize::MAX, false).expect("a quiet disk");
    let (mut listed, mut journaled) = (BTreeSet::new(), BTreeSet::new());
    for (key, _) in rows {
        match keys::parse(&key) {
            Some(Place::Run(run)) => drop(listed.insert(run)),
            Some(Place::Journal { run, .. }) => drop(journaled.insert(run)),
            _ => {}
        }
    }
    let mut violations = Vec::new();
    if listed != journaled {
        violations.push(format!("runs {listed:?} are listed, and {journaled:?} have journals"));
    }
    let mut found = Vec::new();
    for run in listed {
        match Recorded::load(ground, run) {
            Ok(recorded) => {
                let steps: BTreeSet<_> = recorded.steps.keys().copied().collect();
                let last = steps.last().copied().unwrap_or(0);
                let missing: Vec<_> = (1..=last).filter(|step| !steps.contains(step)).collect();
                // What a poll tried may be on record before the poll itself is.
                let open_polls = usize::from(recorded.ended.is_none());
                if missing.len() > open_polls {
                    violations.push(format!("the journal of {run} has a hole: {missing:?} of {last} steps"));
                }
                let record = RunRecord::find(&*ground.store, &run.to_string()).expect("it is listed");
                let says = recorded.ended.as_ref().map(|ended| ended.status);
                let is_over = record.status.is_over();
                if is_over != says.is_some() || says.is_some_and(|says| says != record.status) {
                    violations.push(format!(
                        "{run} is listed as {:?}, its journal says {says:?}",
                        record.status
                    ));
                }
                found.push((record, recorded));
            }
            Err(error) => violations.push(format!("a journal has a hole: {error}")),
        }
    }
    let mut state = world.lock();
    violations.into_iter().for_each(|what| state.violation(what));
    found
}

/// What must hold of every disk that a crash or an end leaves behind.
pub fn after_life(world: &Arc<World>, scenario: &Scenario, told: &Told) -> Seen {
    let (_quiet, handle) = inspect(world);
    let ground = product::ground(&handle);
    let runs = runs(world, &ground);
    let mut state = world.lock();
    for (run, outcome) in told {
        let kept = runs.iter().find(|(record, _)| record.run == *run);
        let kept = kept.map(|(record, recorded)| (record.status, recorded.outcome()));
        let holds = match outcome.status {
            // It may have gone on since.
            Status::Suspended | Status::NeedsAttention => kept.is_some(),
            status => kept == Some((status, Some(outcome.clone()))),
        };
        if !holds {
            state.violation(format!("{run} was told as {:?}, and is {kept:?} now", outcome.status));
        }
    }
    let mut at_work = Vec::new();
    for wanted in &scenario.wanted {
        if !runs.iter().any(|(_, recorded)| recorded.begun.trigger == wanted.name) {
            at_work.push(wanted.name.clone());
        }
    }
    for (record, _) in &runs {
        if !record.status.is_over() || record.status == Status::NeedsAttention {
            at_work.push(format!("{} ({})", record.run, record.status));
        }
    }
    Seen {
        is_at_rest: at_work.is_empty(),
        at_work,
    }
}

/// What must hold when all runs are over.
pub fn at_the_end(world: &Arc<World>) {
    {
        // What is still under way may land yet.
        let mut state = world.lock();
        if let Some(quiet_us) = state.net.quiet_at_us() {
            state.pass(quiet_us);
        }
    }
    let (_quiet, handle) = inspect(world);
    let ground = product::ground(&handle);
    let runs = runs(world, &ground);
    let mut violations = Vec::new();
    counters(&ground, &runs, &mut violations);
    writes(world, &runs, &mut violations);
    deeds(world, &runs, &mut violations);
    for (record, recorded) in &runs {
        if recorded.ended.is_none() {
            continue;
        }
        match product::replay(&handle, record.run) {
            Ok(replayed) if replayed.same => {}
            Ok(replayed) => violations.push(format!(
                "{} ended as {:?} and replays as {:?}",
                record.run,
                recorded.outcome(),
                replayed.outcome
            )),
            Err(error) => violations.push(format!("{} does not replay: {error}", record.run)),
        }
    }
    let mut state = world.lock();
    violations.into_iter().for_each(|what| state.violation(what));
}

/// Each counter was incremented once for each answer that says so.
fn counters(ground: &Ground, runs: &[(RunRecord, Recorded)], violations: &mut Vec<String>) {
    let mut said: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
    let answers = runs.iter().flat_map(|(_, recorded)| recorded.steps.values());
    for answer in answers.filter_map(|step| step.answer.as_ref()) {
        if answer.asked.name != "kv.increment" || answer.error.is_some() {
            continue;
        }
        let key = answer
            .asked
            .args
            .get("key")
            .and_then(Value::as_str)
            .expect("a key")
            .to_owned();
        let value = answer.value.as_int().expect("a number");
        if !said.entry(key.clone()).or_default().insert(value) {
            violations.push(format!("two increments of {key} gave {value}"));
        }
    }
    for (key, values) in said {
        let mut tx = Tx::new(ground, Realm::Live, 0);
        let kept = kv::get(&mut tx, &key)
            .expect("it is readable")
            .and_then(|value| value.as_int());
        let count = values.len() as i64;
        if kept != Some(count) || values != (1..=count).collect() {
            violations.push(format!("{key} was incremented to {values:?} and is {kept:?}"));
        }
        if key != "shared" && count != 1 {
            violations.push(format!("the step of {key} changed the store {count} times"));
        }
    }
}

/// What the journals say of writes against what the providers did.
fn writes(world: &World, runs: &[(RunRecord, Recorded)], violations: &mut Vec<String>) {
    let landed = world.lock().net.landed.clone();
    let mut told_of = BTreeSet::new();
    for step in runs.iter().flat_map(|(_, recorded)| recorded.steps.values()) {
        let Some(asked) = step.asked().filter(|asked| asked.class == Class::Write) else {
            continue;
        };
        let Some(label) = label_of(&asked.args) else { continue };
        told_of.insert(label.to_owned());
        let landings = landed.get(label).map_or(0, Vec::len);
        violations.extend(write(label, step, landings));
    }
    for label in landed.keys().filter(|label| !told_of.contains(*label)) {
        violations.push(format!("{label} landed, and no journal knows of it"));
    }
}

/// What is wrong about a write that landed so often.
fn write(label: &str, step: &Step, landings: usize) -> Option<String> {
    let name = label.rsplit('-').next().expect("a last part");
    if landings > kind(name).lands_max {
        return Some(format!("{label} landed {landings} times"));
    }
    if landings > step.intents.len() {
        return Some(format!(
            "{label} landed {landings} times with {} intents",
            step.intents.len()
        ));
    }
    let answer = step.answer.as_ref()?;
    let assumed = answer.value.get("assumed").is_some();
    match &answer.error {
        None if landings == 0 && answer.simulated.is_none() && !assumed => {
            Some(format!("{label} is said to have landed, and did not"))
        }
        Some(failure) if failure.landed == Some(false) && landings > 0 => {
            Some(format!("{label} is said not to have landed ({failure}), and did"))
        }
        Some(failure) if failure.landed == Some(true) && landings == 0 => {
            Some(format!("{label} is said to have landed ({failure}), and did not"))
        }
        _ => None,
    }
}

/// What people said, as the runs heard it: each event once and in order, and the answer that was taken.
fn deeds(world: &World, runs: &[(RunRecord, Recorded)], violations: &mut Vec<String>) {
    let deeds = world.lock().deeds.clone();
    for (record, recorded) in runs {
        let answers = recorded.steps.values().filter_map(|step| step.answer.as_ref());
        let mut last = 0;
        for answer in answers.filter(|answer| answer.asked.name == "run.wait_event") {
            let Some(number) = answer.value.as_int() else { continue };
            if number <= last || number > deeds.events {
                violations.push(format!("{} heard event {number} after {last}", record.run));
            }
            last = number;
        }
    }
    for ((run, step), text) in &deeds.answers {
        let recorded = runs
            .iter()
            .find(|(record, _)| record.run == *run)
            .map(|(_, recorded)| recorded);
        let answer = recorded.and_then(|recorded| recorded.steps.get(step)?.answer.as_ref());
        let heard = answer.and_then(|answer| answer.value.get("answer")?.as_str());
        if heard != Some(text) {
            violations.push(format!(
                "{run} was answered {text:?} at step {step}, and heard {heard:?}"
            ));
        }
    }
}
