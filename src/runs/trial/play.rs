//! One playbook, played in the world of a case until it is at rest.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::effect::Failure;
use crate::gate::{Gate, Notice, Observer};
use crate::id::RunId;
use crate::journal::{Answer, Parent};
use crate::namespaces::test::played::{Inner, Played};
use crate::runs::plan::answering;
use crate::runs::{Conductor, Finished, Library, Order, Runner, Task};
use crate::script::coverage::Coverage;
use crate::value::Value;

/// The most lines of log that are kept of one run.
const LOGS_MAX: usize = 10_000;

/// What is played on.
pub struct Scene {
    pub library: Library,
    pub gate: Arc<Gate>,
    /// What people answer, one question after the other.
    pub replies: Arc<dyn Fn() -> Option<String> + Send + Sync>,
    /// Set to end it.
    pub stop: Arc<AtomicBool>,
}

/// Plays what `order` says; its observer is replaced. `on_begin` is told the flag that stops the run at once.
pub fn play(scene: Scene, order: Order, on_begin: impl FnOnce(Arc<AtomicBool>)) -> Result<Played, Failure> {
    let Scene {
        library,
        gate,
        replies,
        stop,
    } = scene;
    let seen: Arc<Mutex<BTreeMap<RunId, Arc<Seen>>>> = Arc::default();
    let own = Arc::new(Seen::default());
    let order = Order {
        observer: own.clone(),
        ..order
    };
    let coverage = library.language.coverage.clone();
    let runner = Runner {
        gate: gate.clone(),
        language: library.language.clone(),
    };
    let began = gate.world.clock.monotonic();
    let store_failure = |error: crate::store::StoreError| Failure::new(error.code(), error.to_string());
    let handle = runner.begin(&order).map_err(store_failure)?;
    let run = handle.tape().run;
    lock(&seen).insert(run, own);
    on_begin(handle.stop_flag());
    let watched = seen.clone();
    let conductor = Arc::new(Conductor {
        runner: runner.clone(),
        library,
        by: "test".to_owned(),
        observe: Box::new(move |run| lock(&watched).entry(run).or_default().clone()),
        // Time passes as fast as it can be counted.
        patience: Duration::MAX,
        on_wait: answering(runner, move || replies()),
        stop: stop.clone(),
    });
    let mut driven = conductor.drive([Task::Begun(handle, order.script.clone())]);
    if stop.load(Ordering::Relaxed) {
        return Err(Failure::new("CANCELLED", "the test was stopped"));
    }
    if let Some(error) = driven.failed.remove(&run) {
        return Err(Failure::new(error.code(), error.to_string()));
    }
    let finished = driven.finished.remove(&run);
    let finished = finished.ok_or_else(|| Failure::new("RUN_BUSY", "the run did not come to rest"))?;
    let took = gate.world.clock.monotonic().saturating_sub(began);
    let mut family = Family {
        coverage,
        seen: std::mem::take(&mut *lock(&seen)),
        rest: driven.finished,
        inputs: BTreeMap::from([(run, order.input)]),
        took_ms: took.as_millis() as u64,
    };
    Ok(family.played(finished))
}

/// A run and those that it started.
struct Family {
    coverage: Option<Arc<Coverage>>,
    seen: BTreeMap<RunId, Arc<Seen>>,
    rest: BTreeMap<RunId, Finished>,
    inputs: BTreeMap<RunId, Value>,
    took_ms: u64,
}

impl Family {
    fn played(&mut self, finished: Finished) -> Played {
        let Finished { record, mut outcome } = finished;
        let (mut effects, logs) = self
            .seen
            .remove(&record.run)
            .map(|seen| seen.take())
            .unwrap_or_default();
        // Marks stand in the lines that were run; people see them without.
        if let Some(coverage) = &self.coverage {
            let places = effects.iter_mut().map(|effect| &mut effect.asked.place);
            for place in places.chain(outcome.error.as_mut().map(|error| &mut error.place)) {
                coverage.restore(&record.file, place);
            }
        }
        let is_child =
            |finished: &Finished| matches!(finished.record.parent, Some(Parent { run, .. }) if run == record.run);
        let mut children: Vec<Finished> = self.rest.values().filter(|one| is_child(one)).cloned().collect();
        children.sort_by_key(|child| child.record.parent.map(|parent| parent.step));
        let children = children
            .into_iter()
            .map(|child| {
                self.rest.remove(&child.record.run);
                let child = self.played(child);
                // Whoever started it answers for it.
                child.see();
                child
            })
            .collect();
        Played::new(Inner {
            playbook: record.playbook,
            file: record.file,
            input: self.inputs.remove(&record.run).unwrap_or_default(),
            effects,
            logs,
            outcome,
            waits: record.waits.map(|waits| waits.what),
            took_ms: self.took_ms,
            children,
            seen: AtomicBool::new(false),
        })
    }
}

/// What was seen of one run.
#[derive(Default)]
pub struct Seen(Mutex<(Vec<Answer>, Vec<Value>)>);

impl Seen {
    pub fn take(&self) -> (Vec<Answer>, Vec<Value>) {
        std::mem::take(&mut *lock(&self.0))
    }
}

impl Observer for Seen {
    fn notice(&self, notice: Notice<'_>) {
        match notice {
            Notice::Answered { answer } => lock(&self.0).0.push(answer.clone()),
            Notice::Log { level, message, fields } => {
                let logs = &mut lock(&self.0).1;
                if logs.len() < LOGS_MAX {
                    let level = format!("{level:?}").to_lowercase();
                    logs.push(Value::from([
                        ("level", level.into()),
                        ("message", message.into()),
                        ("fields", fields.clone()),
                    ]));
                }
            }
            _ => {}
        }
    }
}

pub(super) fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
