//! A run over an overlay: what it would do, while nothing leaves and nothing stays.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::conductor::{Conductor, Task};
use super::library::Library;
use super::resume::ResumeError;
use super::runner::{Finished, Order, Runner};
use crate::effect::{ProviderMode, RunMode};
use crate::gate::{Notice, Observer};
use crate::id::RunId;
use crate::journal::question::{self, Question};
use crate::journal::{Answer, Outcome, Waits, event};
use crate::script::Script;
use crate::store::keys::{self, Place};
use crate::store::overlay::{Change, Overlay};
use crate::store::tx::Ground;
use crate::store::{Durability, Realm, StoreError, Tx, documents, kv};
use crate::value::Value;

/// What a playbook would do.
#[derive(Clone, Debug)]
pub struct Plan {
    pub effects: Vec<Answer>,
    /// What the runs would do that it would start.
    pub children: Vec<PlannedChild>,
    pub outcome: Outcome,
    /// What it would wait for in the end, if nothing comes.
    pub waits: Option<Waits>,
    pub store_changes: Vec<StoreChange>,
}

/// A run that a planned run would start.
#[derive(Clone, Debug)]
pub struct PlannedChild {
    pub playbook: String,
    pub effects: Vec<Answer>,
    pub outcome: Outcome,
}

/// What comes from outside while a plan is made.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Answers to questions, in the order in which they are asked.
    pub answers: Vec<String>,
    /// Events by name, with their data.
    pub events: Vec<(String, Value)>,
    /// Set by whoever wants the plan no more.
    pub stop: Arc<AtomicBool>,
}

/// What a plan is made on.
pub struct Stage<'a> {
    pub runner: &'a Runner,
    pub library: &'a Library,
    /// What lies below the overlay.
    pub before: &'a Ground,
    pub overlay: &'a Overlay,
}

/// One document or key that would change.
#[derive(Clone, Debug)]
pub struct StoreChange {
    pub realm: Realm,
    /// `collection/id` of a document, or the key of a pair.
    pub name: String,
    pub kind: &'static str,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// Runs `script` on `stage` as if `by` had started it, whose gate stands on the overlay and on a world without a network.
pub fn plan(
    stage: &Stage<'_>,
    script: Arc<Script>,
    input: Value,
    mode: RunMode,
    by: Option<String>,
    given: Given,
) -> Result<Plan, ResumeError> {
    let runner = stage.runner;
    let seen = Arc::new(Seen::default());
    let order = Order {
        script,
        input,
        mode: all_simulated(mode),
        trigger: "plan".to_owned(),
        by,
        retry_of: None,
        corr: None,
        observer: seen.clone(),
    };
    for (name, data) in &given.events {
        // Whenever it is waited for, it comes.
        let ground = &runner.gate.ground;
        event::emit(ground, order.mode.realm(), name, data, i64::MAX, Durability::Soon)?;
    }
    let handle = runner.begin(&order)?;
    let run = handle.tape().run;
    let others: Arc<Mutex<BTreeMap<RunId, Arc<Seen>>>> = Arc::default();
    let (own, watched) = (seen.clone(), others.clone());
    let conductor = Arc::new(Conductor {
        runner: runner.clone(),
        library: stage.library.clone(),
        by: "plan".to_owned(),
        observe: Box::new(move |of| match of {
            of if of == run => own.clone(),
            of => lock(&watched).entry(of).or_default().clone(),
        }),
        // Time passes as fast as it can be counted.
        patience: Duration::MAX,
        on_wait: answering(runner.clone(), in_order(given.answers)),
        stop: given.stop,
    });
    let mut driven = conductor.drive([Task::Begun(handle, order.script.clone())]);
    if let Some(error) = driven.failed.remove(&run) {
        return Err(error);
    }
    let finished = driven.finished.remove(&run).ok_or(ResumeError::Busy(run))?;
    let child = |(of, child): (RunId, Finished)| PlannedChild {
        playbook: child.record.playbook,
        effects: lock(&others).get(&of).map(|seen| seen.take()).unwrap_or_default(),
        outcome: child.outcome,
    };
    let mut store_changes = Vec::new();
    for change in stage.overlay.changes() {
        let now_ms = runner.gate.world.clock.unix_ms();
        store_changes.extend(store_change(&change, stage.before, &runner.gate.ground, now_ms)?);
    }
    Ok(Plan {
        effects: seen.take(),
        children: driven.finished.into_iter().map(child).collect(),
        outcome: finished.outcome,
        waits: finished.record.waits,
        store_changes,
    })
}

fn in_order(answers: Vec<String>) -> impl Fn() -> Option<String> + Send + Sync {
    let answers = Mutex::new(VecDeque::from(answers));
    move || lock(&answers).pop_front()
}

/// Answers questions, as they are asked, with what `next` gives.
pub(super) fn answering(
    runner: Runner,
    next: impl Fn() -> Option<String> + Send + Sync + 'static,
) -> Box<dyn Fn(&Finished) + Send + Sync> {
    Box::new(move |finished| {
        let gate = &runner.gate;
        let Some(waits) = &finished.record.waits else { return };
        let run = finished.record.run;
        let Ok(Some(row)) = gate.ground.store.get(&keys::question(run, waits.step)) else {
            return;
        };
        let Ok(asked) = Question::decode(&row) else { return };
        let Some(answer) = next() else { return };
        let given = question::Given {
            answer,
            by: "somebody".to_owned(),
            at_ms: gate.world.clock.unix_ms(),
        };
        let roles: Vec<String> = asked.role.into_iter().collect();
        match question::answer(&gate.ground, run, waits.step, given, &roles) {
            Ok(Ok(())) => gate.ready.tell(run),
            Ok(Err(refusal)) => tracing::warn!(%refusal, "the answer given to a question is refused"),
            Err(error) => tracing::warn!(%error, "a question cannot be answered"),
        }
    })
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The mode with nothing live in it, and for each provider the reason that a run would have, if any.
pub(super) fn all_simulated(mut mode: RunMode) -> RunMode {
    for provider in mode.providers.values_mut() {
        if *provider == ProviderMode::Live {
            *provider = ProviderMode::Simulated {
                why: PLANNED.to_owned(),
            };
        }
    }
    mode
}

/// The reason of a simulation that only a plan makes.
pub const PLANNED: &str = "this is a plan: a run would do it live";

/// Collects the effects in order.
#[derive(Default)]
struct Seen(Mutex<Vec<Answer>>);

impl Seen {
    fn take(&self) -> Vec<Answer> {
        std::mem::take(&mut *lock(&self.0))
    }
}

impl Observer for Seen {
    fn notice(&self, notice: Notice<'_>) {
        if let Notice::Answered { answer } = notice {
            lock(&self.0).push(answer.clone());
        }
    }
}

/// A change of what scripts see, if it is one.
fn store_change(
    change: &Change,
    before: &Ground,
    after: &Ground,
    now_ms: i64,
) -> Result<Option<StoreChange>, StoreError> {
    let shown = |ground: &Ground, place: &Place| -> Result<Option<Value>, StoreError> {
        match place {
            Place::Document { realm, collection, id } => {
                let document = documents::get(&mut Tx::new(ground, *realm, now_ms), collection, id)?;
                Ok(document.map(|document| Value::Map(document.data)))
            }
            Place::Kv { realm, key } => kv::get(&mut Tx::new(ground, *realm, now_ms), key),
            _ => Ok(None),
        }
    };
    let Some(place @ (Place::Document { .. } | Place::Kv { .. })) = keys::parse(&change.key) else {
        return Ok(None);
    };
    let (before, after) = (shown(before, &place)?, shown(after, &place)?);
    Ok(match place {
        Place::Document { realm, collection, id } => Some(StoreChange {
            realm,
            name: format!("{collection}/{id}"),
            kind: "document",
            before,
            after,
        }),
        Place::Kv { realm, key } => Some(StoreChange {
            realm,
            name: key,
            kind: "kv",
            before,
            after,
        }),
        _ => None,
    })
}

impl StoreChange {
    /// What happens to it: added, changed or removed.
    pub fn word(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "added",
            (Some(_), Some(_)) => "changed",
            (Some(_), None) => "removed",
        }
    }
}
