//! What must hold, whatever happened: see `docs/design/0005-simulation.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use host::effect::Class;
use host::id::RunId;
use host::journal::{Answer, Entry, Recorded, RunRecord, Status, Step};
use host::store::keys::{self, Place};
use host::store::tx::Ground;
use host::store::{Realm, Tx, kv};
use host::value::Value;

use crate::disk::Disk;
use crate::hands::written;
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
                // What was asked for when the run was stopped has no answer, and the clean-up follows it.
                let stopped = 2 * usize::from(recorded.cleanup.is_some());
                if missing.len() > open_polls + stopped {
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
    writes(world, &ground, &runs, &mut violations);
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

/// Every step that was ever taken of `recorded`: those of earlier takes come first.
fn all_steps(recorded: &Recorded) -> impl Iterator<Item = &Step> {
    let past = recorded.past.iter().map(|(_, step)| step);
    past.chain(recorded.steps.values())
}

/// Each counter was incremented once for each answer that says so.
fn counters(ground: &Ground, runs: &[(RunRecord, Recorded)], violations: &mut Vec<String>) {
    let mut said: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
    for (record, recorded) in runs {
        let mut own: BTreeMap<String, u64> = BTreeMap::new();
        for answer in all_steps(recorded).filter_map(|step| step.answer.as_ref()) {
            // What an edited script kept was not done again.
            if answer.asked.name != "kv.increment" || answer.error.is_some() || answer.from.is_some() {
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
            *own.entry(key.clone()).or_default() += 1;
            if !said.entry(key.clone()).or_default().insert(value) {
                violations.push(format!("two increments of {key} gave {value}"));
            }
        }
        let twice = own.iter().filter(|(key, count)| key.contains('/') && **count > 1);
        violations.extend(twice.map(|(key, count)| {
            let run = record.run;
            format!("the step of {key} in {run} changed the store {count} times")
        }));
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
    }
}

/// What the journals say of writes against what the providers did.
fn writes(world: &World, ground: &Ground, runs: &[(RunRecord, Recorded)], violations: &mut Vec<String>) {
    let (landed, retries) = {
        let state = world.lock();
        (state.net.landed.clone(), state.deeds.retries.clone())
    };
    let allowed = allowed(ground, runs, &retries);
    let mut told_of: BTreeMap<&str, Vec<&Step>> = BTreeMap::new();
    for step in runs.iter().flat_map(|(_, recorded)| all_steps(recorded)) {
        let asked = step.asked().filter(|asked| asked.class == Class::Write);
        if let Some(label) = asked.and_then(|asked| label_of(&asked.args)) {
            told_of.entry(label).or_default().push(step);
        }
    }
    for (label, steps) in &told_of {
        let landings = landed.get(*label).map_or(0, Vec::len);
        let times = allowed.get(*label).copied().unwrap_or(1);
        violations.extend(write(label, steps, landings, times));
    }
    for label in landed.keys().filter(|label| !told_of.contains_key(label.as_str())) {
        violations.push(format!("{label} landed, and no journal knows of it"));
    }
}

/// How often the writes may be done that people named to be done again, and those of clean-ups.
fn allowed(
    ground: &Ground,
    runs: &[(RunRecord, Recorded)],
    retries: &BTreeMap<RunId, BTreeSet<String>>,
) -> BTreeMap<String, usize> {
    let mut allowed: BTreeMap<String, usize> = BTreeMap::new();
    let mut cleanups: BTreeMap<String, usize> = BTreeMap::new();
    for (record, recorded) in runs {
        for label in recorded
            .begun
            .retry_of
            .iter()
            .filter_map(|run| retries.get(run))
            .flatten()
        {
            *allowed.entry(label.clone()).or_insert(1) += 1;
        }
        let entries = Recorded::entries_of(ground, record.run).expect("it was just read");
        for (number, entry) in entries.iter().enumerate() {
            match entry {
                Entry::Edited(edited) if !edited.again.is_empty() => {
                    let before = Recorded::from_entries(record.run, entries[..number].to_vec());
                    let before = before.expect("its beginning is a journal");
                    let (steps, otherwise) = (before.keepable(), before.otherwise());
                    let again: Vec<&Step> = edited.again.iter().filter_map(|step| steps.get(step)).collect();
                    let starts_runs =
                        |step: &&Step| step.asked().is_some_and(|asked| asked.name.starts_with("playbook."));
                    let mut labels: BTreeSet<_> = again.iter().filter_map(|step| written(step)).collect();
                    let otherwise = edited.again.iter().filter_map(|step| otherwise.get(step)).flatten();
                    labels.extend(otherwise.filter_map(|asked| label_of(&asked.args).map(str::to_owned)));
                    if again.iter().any(starts_runs) {
                        below(runs, record.run, &mut labels);
                    }
                    for label in labels {
                        *allowed.entry(label).or_insert(1) += 1;
                    }
                }
                Entry::Cleanup(_) => {
                    let name = recorded.begun.input.get("name").and_then(Value::as_str);
                    let label = format!("{}-cleanup-keyed", name.unwrap_or_default());
                    *cleanups.entry(label).or_default() += 1;
                }
                _ => {}
            }
        }
    }
    allowed.extend(cleanups);
    allowed
}

/// What the runs have written that `run` started, and those that they started.
fn below(runs: &[(RunRecord, Recorded)], run: RunId, labels: &mut BTreeSet<String>) {
    let children = runs
        .iter()
        .filter(|(record, _)| record.parent.is_some_and(|parent| parent.run == run));
    for (child, recorded) in children {
        labels.extend(all_steps(recorded).filter_map(written));
        below(runs, child.run, labels);
    }
}

/// What is wrong about a write that landed so often, and may have so many `times`.
fn write(label: &str, steps: &[&Step], landings: usize, times: usize) -> Option<String> {
    let name = label.rsplit('-').next().expect("a last part");
    if landings > kind(name).lands_max * times {
        return Some(format!("{label} landed {landings} times"));
    }
    let intents: usize = steps.iter().map(|step| step.intents.len()).sum();
    if landings > intents {
        return Some(format!("{label} landed {landings} times with {intents} intents"));
    }
    let answers = steps.iter().filter_map(|step| step.answer.as_ref());
    let own: Vec<_> = answers
        .filter(|answer| answer.from.is_none() && answer.simulated.is_none() && answer.value.get("assumed").is_none())
        .collect();
    let is_said = |answer: &&&Answer| answer.error.as_ref().is_none_or(|failure| failure.landed == Some(true));
    let said = own.iter().filter(is_said).count();
    // Of what was to be done again, nobody who looks can tell the second time from the first.
    if said > landings && times == 1 {
        return Some(format!(
            "{label} is said to have landed {said} times, and did {landings} times"
        ));
    }
    match (steps, own.as_slice()) {
        ([_], [answer]) => {
            let failure = answer.error.as_ref().filter(|failure| failure.landed == Some(false))?;
            (landings > 0).then(|| format!("{label} is said not to have landed ({failure}), and did"))
        }
        _ => None,
    }
}

/// What people said, as the runs heard it: each event once and in order, and the answer that was taken.
fn deeds(world: &World, runs: &[(RunRecord, Recorded)], violations: &mut Vec<String>) {
    let deeds = world.lock().deeds.clone();
    for (record, recorded) in runs.iter().filter(|(record, _)| !deeds.handled.contains(&record.run)) {
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
    let heard = deeds.answers.iter();
    for ((run, step), text) in heard.filter(|((run, _), _)| !deeds.handled.contains(run)) {
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
