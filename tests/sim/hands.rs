//! People who do not leave a run alone: they stop it, cancel it, start it over, or go on with an edited script.
//!
//! Sometimes they name what is to become of each write that landed, as `host resume --with` demands; sometimes they
//! pass by it, and the run itself must halt before it does anything a second time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use host::gate::Silent;
use host::id::RunId;
use host::io::clock::Clock as _;
use host::journal::{Recorded, RunRecord, Status, Step};
use host::runs::edit::{self, Amendment};
use host::runs::resolve::retry;
use host::runs::resume::ResumeError;
use host::runs::whatif::Options;
use host::runs::{Runner, recovery};
use host::value::{Map, Value};

use crate::clock::SimClock;
use crate::life::Life;
use crate::net::label_of;
use crate::product;
use crate::providers::KINDS;
use crate::rng::Rng;
use crate::scenario::{Scenario, edited, whole};
use crate::world::{Handle, tail};

/// Edits and retries of one scenario: in the end all must come to rest.
const EDITS_MAX: u64 = 6;
const RETRIES_MAX: u64 = 3;

/// Acts on the cut-off runs that were `left`, and then on others, if the life lasts.
pub fn look_in(life: &Arc<Life>, handle: &Handle, scenario: &Scenario, left: Vec<RunId>) {
    let runner = product::runner(handle, &life.library, life.chance(handle));
    let hands = Person {
        life,
        handle,
        scenario,
        runner: &runner,
    };
    for run in left {
        match hands.draw(3) {
            Some(0) => hands.cancel(run),
            Some(1) => hands.edit(run),
            Some(_) => {}
            None => return,
        }
        life.clone().take_up(handle, run, false);
    }
    if handle.life as usize > scenario.crashes.len() + 2 {
        return;
    }
    let clock = SimClock(handle.clone());
    for _ in 0..scenario.hands {
        let Some(pause_ms) = hands.draw(90_000) else { return };
        clock.sleep(Duration::from_millis(pause_ms + 1));
        let (Some(deed), Some(chosen)) = (hands.draw(10), hands.draw(1_000)) else {
            return;
        };
        if deed == 0 {
            hands.stop(chosen as usize);
            continue;
        }
        let wanted = |record: &RunRecord| match deed {
            1 | 2 => !record.status.is_over(),
            3..=5 => matches!(record.status, Status::Failed | Status::Cancelled),
            _ => record.status != Status::Succeeded,
        };
        let ground = &runner.gate.ground;
        let all = RunRecord::latest(&*ground.store, RunId::from_bytes([0xFF; 16]), 1000).unwrap_or_default();
        let some: Vec<_> = all.iter().filter(|record| wanted(record)).collect();
        let Some(record) = some.get(chosen as usize % some.len().max(1)) else {
            continue;
        };
        match deed {
            1 | 2 => hands.cancel(record.run),
            3..=5 => hands.retry(record.run),
            _ => hands.edit(record.run),
        }
    }
}

/// An edited script says which providers it writes to.
fn header() -> String {
    let uses: Vec<_> = KINDS.iter().map(|kind| format!("{:?}", kind.name)).collect();
    let input = "inputs: #{ name: #{ type: \"string\", required: true } }";
    format!(
        "const PLAYBOOK = #{{ title: \"edited\", uses: [{}], {input} }};",
        uses.join(", ")
    )
}

struct Person<'l> {
    life: &'l Arc<Life>,
    handle: &'l Handle,
    scenario: &'l Scenario,
    runner: &'l Runner,
}

/// The label of a write.
pub fn written(step: &Step) -> Option<String> {
    label_of(&step.asked()?.args).map(str::to_owned)
}

impl Person<'_> {
    fn draw(&self, below: u64) -> Option<u64> {
        Some(self.handle.alive()?.rng.below(below))
    }

    /// Whether it was started over: then it is left alone, since both would do the same.
    fn is_replaced(&self, run: RunId) -> bool {
        self.handle
            .alive()
            .is_none_or(|state| state.deeds.retries.contains_key(&run))
    }

    /// As Ctrl-C does.
    fn stop(&self, chosen: usize) {
        let at_work = self.life.at_work();
        let Some((run, flag)) = at_work.get(chosen % at_work.len().max(1)) else {
            return;
        };
        if let Some(mut state) = self.handle.cross(|| format!("stops {}", tail(*run))) {
            state.deeds.handled.insert(*run);
            state.deeds.hands.stopped += 1;
            flag.store(true, Ordering::Relaxed);
        }
    }

    fn cancel(&self, run: RunId) {
        if !self.life.claim(run) {
            return;
        }
        let Some(mut state) = self.handle.cross(|| format!("cancels {}", tail(run))) else {
            return;
        };
        state.deeds.handled.insert(run);
        drop(state);
        let done = self.runner.cancel(&self.life.library, run, &product::by_hand());
        self.handle.note(|| match &done {
            Ok(finished) => format!("{} is {} now", tail(run), finished.record.status.code()),
            Err(error) => format!("{} is not cancelled: {error}", tail(run)),
        });
        let again = self.life.release(run);
        if let Ok(finished) = done {
            if let Some(mut state) = self.handle.alive() {
                state.deeds.hands.cancelled += 1;
            }
            self.life.clone().at_rest(self.handle, self.runner, finished);
        }
        if again {
            self.life.clone().take_up(self.handle, run, false);
        }
    }

    /// The writes of `run` and of all that it started, and whether one of these may still move.
    fn writes(&self, run: RunId) -> Option<(BTreeSet<String>, bool)> {
        let ground = &self.runner.gate.ground;
        let recorded = Recorded::load(ground, run).ok()?;
        let past = recorded.past.iter().map(|(_, step)| step);
        let mut labels: BTreeSet<_> = recorded.steps.values().chain(past).filter_map(written).collect();
        let status = RunRecord::get(&*ground.store, run).ok()?.status;
        let mut moves = !status.is_over() || status == Status::NeedsAttention;
        for child in recovery::children(&*ground.store, run).ok()? {
            let (more, one_moves) = self.writes(child)?;
            labels.extend(more);
            moves |= one_moves;
        }
        Some((labels, moves))
    }

    fn retry(&self, run: RunId) {
        let enough = |state: &crate::world::State| state.deeds.retries.len() as u64 >= RETRIES_MAX;
        if self.is_replaced(run) || self.handle.alive().is_none_or(|state| enough(&state)) {
            return;
        }
        let ground = &self.runner.gate.ground;
        let (Some(names), Some((labels, moves)), Ok(recorded)) =
            (self.draw(1000), self.writes(run), Recorded::load(ground, run))
        else {
            return;
        };
        // Of what was started over already, and of what another run may start over, only one is.
        if recorded.begun.retry_of.is_some() || recorded.begun.parent.is_some() {
            return;
        }
        let names_all = names < 300;
        if names_all && moves {
            return;
        }
        let past = recorded.past.iter().map(|(number, _)| *number);
        let again: Vec<_> = recorded.steps.keys().copied().chain(past).collect();
        let again = if names_all { again } else { Vec::new() };
        let order = retry(
            &self.life.library,
            &self.runner.gate,
            run,
            &again,
            None,
            Arc::new(Silent),
        );
        let Some(mut state) = self.handle.cross(|| format!("starts {} over", tail(run))) else {
            return;
        };
        let order = match order {
            Ok(order) => order,
            Err(error) => {
                state.deeds.hands.not_retried += 1;
                state.note(format!("          {} is not started over: {error}", tail(run)));
                return;
            }
        };
        if !names_all {
            let out: Vec<_> = labels
                .iter()
                .filter(|label| state.net.truth(label) != Some(false))
                .collect();
            if !out.is_empty() {
                let run = tail(run);
                state.violation(format!(
                    "{run} may be started over, and it or what it started has written {out:?}"
                ));
                return;
            }
        }
        let may = if names_all { labels } else { BTreeSet::new() };
        state.deeds.retries.insert(run, may);
        state.deeds.handled.insert(run);
        state.deeds.hands.retried += 1;
        drop(state);
        if let Ok(finished) = self.runner.run(&order) {
            self.life.clone().at_rest(self.handle, self.runner, finished);
        }
    }

    fn edit(&self, run: RunId) {
        let ground = &self.runner.gate.ground;
        let Ok(recorded) = Recorded::load(ground, run) else {
            return;
        };
        let name = recorded
            .begun
            .input
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let wanted = self.scenario.wanted.iter().find(|wanted| wanted.name == name);
        let (Some(wanted), false) = (wanted, self.is_replaced(run)) else {
            return;
        };
        let Some((bits, edits)) = self
            .handle
            .alive()
            .map(|mut state| (state.rng.bits(), state.deeds.hands.edited))
        else {
            return;
        };
        if edits >= EDITS_MAX || !self.life.claim(run) {
            return;
        }
        let mut rng = Rng::new(bits);
        // A label is never used by two edits.
        let number = bits % 100_000;
        let parts = edited(&wanted.parts, number, &mut rng);
        let mut amendment = Amendment {
            script: product::script(&format!("{}\n{}", header(), whole(&parts))),
            input: Map::new(),
            keep: BTreeSet::new(),
            again: BTreeSet::new(),
        };
        if rng.hits(600) {
            self.name(&recorded, &mut amendment, &mut rng);
        }
        self.amend(run, &amendment, &recorded);
        if self.life.release(run) {
            self.life.clone().take_up(self.handle, run, false);
        }
    }

    /// Says of each write that would be touched what is to become of it.
    fn name(&self, recorded: &Recorded, amendment: &mut Amendment, rng: &mut Rng) {
        let library = &self.life.library;
        let Ok(preview) = edit::preview(self.runner, library, recorded, amendment, &Options::new()) else {
            return;
        };
        let steps: Vec<_> = preview
            .undecided(amendment)
            .iter()
            .filter_map(|diff| diff.old_step())
            .collect();
        for step in steps {
            let named = if rng.hits(500) {
                &mut amendment.keep
            } else {
                &mut amendment.again
            };
            named.insert(step);
        }
    }

    fn amend(&self, run: RunId, amendment: &Amendment, recorded: &Recorded) {
        let named = format!("keep {:?} again {:?}", amendment.keep, amendment.again);
        let Some(mut state) = self.handle.cross(|| format!("edits {}: {named}", tail(run))) else {
            return;
        };
        state.note(format!("          {:?}", amendment.script.source.text));
        state.deeds.handled.insert(run);
        state.deeds.hands.edited += 1;
        state.deeds.hands.kept += amendment.keep.len() as u64;
        state.deeds.hands.named_again += amendment.again.len() as u64;
        drop(state);
        // From here on it may have gone on.
        let told = |outcome| match outcome {
            Some(outcome) => self.told().insert(run, outcome),
            None => self.told().remove(&run),
        };
        let before = told(None);
        let library = &self.life.library;
        let begun = self.runner.amend(library, run, amendment, &product::by_hand());
        let (begun, script) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                self.handle.note(|| {
                    format!(
                        "{} is not edited: {error}; it had {} entries",
                        tail(run),
                        recorded.entries
                    )
                });
                if let (Some(mut state), false) = (self.handle.alive(), matches!(error, ResumeError::Store(_))) {
                    state.deeds.hands.not_edited += 1;
                    drop(state);
                    drop(before.map(|outcome| told(Some(outcome))));
                }
                return;
            }
        };
        self.life.watch(run, begun.stop_flag());
        let Ok(finished) = self.runner.finish(&begun, &script) else {
            return;
        };
        let error = finished.outcome.error.as_ref();
        let is_halted = error.is_some_and(|error| error.failure.code == "LANDED_WRITE_CHANGED");
        self.handle
            .note(|| format!("edited {} rests as {}", tail(run), finished.record.status.code()));
        if let Some(mut state) = self.handle.alive() {
            state.deeds.hands.halted += u64::from(is_halted);
        }
        self.life.clone().at_rest(self.handle, self.runner, finished);
    }

    fn told(&self) -> std::sync::MutexGuard<'_, BTreeMap<RunId, host::journal::Outcome>> {
        self.life.told.lock().expect("no thread panics with it")
    }
}
