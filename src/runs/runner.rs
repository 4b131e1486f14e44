//! Starts a script on a thread of its own and writes down how it ended.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rhai::{Dynamic, EvalAltResult, Position};

use super::{judge, pool};
use crate::effect::{Failure, RunMode};
use crate::gate::panic::words_of;
use crate::gate::{Ending, Gate, Halt, Observer, Tape};
use crate::id::RunId;
use crate::journal::{Begun, Outcome, RunError, RunRecord, Status};
use crate::script::limits::Meter;
use crate::script::value::to_dynamic;
use crate::script::{API_VERSION, Language, RunHandle, Script};
use crate::store::{Batch, StoreError};
use crate::value::Value;

/// How long the clean-up after a run may take.
const CLEANUP_TIME: Duration = Duration::from_secs(60);

/// The steps of the interpreter that a clean-up may take.
const CLEANUP_OPERATIONS: u64 = 1_000_000;

/// What a run needs beside its script: the gate it passes and the language it speaks.
#[derive(Clone)]
pub struct Runner {
    pub gate: Arc<Gate>,
    pub language: Arc<Language>,
}

/// A run to be started.
pub struct Order {
    pub script: Arc<Script>,
    /// Checked against the playbook's inputs.
    pub input: Value,
    pub mode: RunMode,
    /// Who started it and how.
    pub trigger: String,
    /// The person who started it, where there is one.
    pub by: Option<String>,
    /// The run that this one does once more.
    pub retry_of: Option<RunId>,
    /// Follows it through logs and traces; `None`: its own id.
    pub corr: Option<String>,
    pub observer: Arc<dyn Observer>,
}

/// A run that is at rest, over, suspended or parked, and on disk.
#[derive(Clone, Debug)]
pub struct Finished {
    pub record: RunRecord,
    pub outcome: Outcome,
}

/// A run that its thread has done with.
pub(super) enum Rest {
    Whole(Finished),
    /// It has ended, and nobody has been told: that may not be on disk yet.
    Ending(Ending, Outcome),
}

/// What is to be run of a script.
enum Part {
    Playbook,
    /// The clean-up, with what became of the run.
    Cleanup(Value),
    /// A function of a test file, after what stands outside functions.
    Case(String),
}

impl Runner {
    /// A handle to a run that has begun but not yet taken its first step.
    pub fn begin(&self, order: &Order) -> Result<RunHandle, StoreError> {
        let gate = &self.gate;
        let script = &order.script;
        let at_ms = gate.world.clock.unix_ms();
        let begun = Begun {
            run: RunId::new(at_ms, gate.world.chance.wide_bits()),
            playbook: script.name.clone(),
            file: script.source.file.clone(),
            version: script.source.hash,
            modules: script.module_hashes(),
            api: API_VERSION,
            mode: order.mode.clone(),
            input: gate.masks.mask(order.input.clone()),
            at_ms,
            trigger: order.trigger.clone(),
            epoch: 1,
            parent: None,
            cause: None,
            retry_of: order.retry_of,
            corr: order.corr.clone(),
            by: order.by.clone(),
            edition: gate.edition,
        };
        // Before the first note: a histogram keeps the bounds that it begins with.
        crate::script::metrics::make_known(&gate.ground, begun.mode.realm(), at_ms, &script.header.metrics)?;
        let versions = super::library::unknown_versions(&*gate.ground.store, script)?;
        Ok(RunHandle::new(
            gate.clone(),
            Tape::begin_run(gate, begun, versions, order.observer.clone()),
        ))
    }

    /// A handle to the run that `begun` describes, for somebody who waits for what it gives. The store has what the script
    /// is made of; it hears of the run itself when that changes something, reaches outside, takes long, or ends.
    pub fn begin_answering(&self, begun: Begun, observer: Arc<dyn Observer>) -> RunHandle {
        let mut tape = Tape::begin_run(&self.gate, begun, Batch::new(), observer);
        tape.answers_reads = true;
        RunHandle::new(self.gate.clone(), tape)
    }

    /// Runs `script` until it is at rest, and answers when that is on disk.
    pub fn finish(&self, run: &RunHandle, script: &Arc<Script>) -> Result<Finished, StoreError> {
        self.on_disk(self.work(run, script)?)
    }

    /// Waits until the end of a run is on disk, and tells of it.
    pub(super) fn on_disk(&self, rest: Rest) -> Result<Finished, StoreError> {
        match rest {
            Rest::Whole(finished) => Ok(finished),
            Rest::Ending(ending, outcome) => {
                let gate = &self.gate;
                let record = ending.told(&*gate.ground.store, &gate.ready)?;
                Ok(Finished { record, outcome })
            }
        }
    }

    /// The same, but does not wait until its end is on disk.
    pub(super) fn work(&self, run: &RunHandle, script: &Arc<Script>) -> Result<Rest, StoreError> {
        span(run).in_scope(|| self.work_in_span(run, script))
    }

    fn work_in_span(&self, run: &RunHandle, script: &Arc<Script>) -> Result<Rest, StoreError> {
        let recorded = run.tape().recorded_cleanup().cloned();
        let outcome = match recorded {
            Some(cleanup) => Outcome {
                status: cleanup.status,
                value: Value::Unit,
                error: cleanup.error,
            },
            None => self.execute(run, script),
        };
        let halted = run.tape().halted().cloned();
        if let Some(Halt::Suspended(waits)) = halted {
            let record = run.tape().suspended_record(&waits);
            return Ok(Rest::Whole(Finished { record, outcome }));
        }
        if halted == Some(Halt::Parked) {
            return self.park(run, outcome).map(Rest::Whole);
        }
        let (outcome, cleanup_error) = self.clean_up(run, script, outcome);
        if run.tape().halted() == Some(&Halt::Parked) {
            return self.park(run, outcome).map(Rest::Whole);
        }
        let ending = run.tape().end_run(&self.gate, &outcome, cleanup_error)?;
        Ok(Rest::Ending(ending, outcome))
    }

    fn park(&self, run: &RunHandle, outcome: Outcome) -> Result<Finished, StoreError> {
        let record = run.tape().park(&self.gate)?;
        let outcome = Outcome {
            status: record.status,
            error: None,
            ..outcome
        };
        Ok(Finished { record, outcome })
    }

    /// Begins a run, and runs it until it is at rest.
    pub fn run(&self, order: &Order) -> Result<Finished, StoreError> {
        let run = self.begin(order)?;
        self.finish(&run, &order.script)
    }

    /// Runs the script on a large stack of its own; what it returns is the run's outcome, of which
    /// nothing is written yet.
    pub(crate) fn execute(&self, run: &RunHandle, script: &Arc<Script>) -> Outcome {
        self.execute_part(run, script, Part::Playbook)
    }

    /// Calls the case `name` of a test file. Nothing is written of how it ends.
    pub(super) fn execute_case(&self, run: &RunHandle, script: &Arc<Script>, name: &str) -> Outcome {
        self.execute_part(run, script, Part::Case(name.to_owned()))
    }

    /// Calls the playbook's clean-up, if it has one and `outcome` asks for it. What goes wrong there is told beside
    /// the outcome; only a write in doubt changes it.
    pub(super) fn clean_up(
        &self,
        run: &RunHandle,
        script: &Arc<Script>,
        outcome: Outcome,
    ) -> (Outcome, Option<RunError>) {
        if !script.has_cleanup() || !wants_cleanup(run, &outcome) {
            return (outcome, None);
        }
        run.tape().begin_cleanup(&self.gate, &outcome);
        let failure = outcome.error.as_ref().map(|error| &error.failure);
        let end = Value::from([
            ("status", outcome.status.code().into()),
            ("code", failure.map(|failure| failure.code.clone()).into()),
            ("message", failure.map(|failure| failure.message.clone()).into()),
            (
                "step",
                outcome
                    .error
                    .as_ref()
                    .and_then(|error| error.step.map(i64::from))
                    .into(),
            ),
        ]);
        let cleaned = self.execute_part(run, script, Part::Cleanup(end));
        match cleaned.status {
            Status::NeedsAttention => (cleaned, None),
            _ => (outcome, cleaned.error),
        }
    }

    fn execute_part(&self, run: &RunHandle, script: &Arc<Script>, part: Part) -> Outcome {
        let (runner, handle, script) = (self.clone(), run.clone(), script.clone());
        // It may get a thread of its own.
        let span = tracing::Span::current();
        pool::run(self.language.limits.stack_bytes(), move || {
            span.in_scope(|| runner.evaluate(&handle, &script, part))
        })
        .unwrap_or_else(|lost| judge::failed(Failure::new(lost.code(), lost.to_string())))
    }

    fn evaluate(&self, run: &RunHandle, script: &Script, part: Part) -> Outcome {
        let (input, meter) = {
            let mut tape = run.tape();
            tape.incident_on_failure = script.header.incident_on_failure;
            if let Some(deadline) = script.header.deadline {
                tape.set_deadline(deadline.as_millis() as u64);
            }
            (tape.begun().input.clone(), self.meter(&tape, script, &part))
        };
        let mut engine = self.language.engine_for(run, to_dynamic(input), meter);
        engine.set_module_resolver(script.resolver());
        let result = catch_unwind(AssertUnwindSafe(|| match part {
            Part::Playbook => script.evaluate(&engine),
            Part::Cleanup(end) => script.clean_up(&engine, to_dynamic(end)),
            Part::Case(name) => script.call(&engine, &name),
        }));
        let outcome = match result {
            Ok(result) => judge::placed(judge::outcome(run, &result, &self.language), &result, script),
            // A function has unwound a halted run.
            Err(_) if run.tape().halted().is_some() => {
                let terminated = EvalAltResult::ErrorTerminated(Dynamic::UNIT, Position::NONE);
                judge::outcome(run, &Err(terminated.into()), &self.language)
            }
            Err(panic) => judge::failed(Failure::new(
                "PANIC",
                format!("the script's engine gave up: {}", words_of(&*panic)),
            )),
        };
        let gate = &self.gate;
        Outcome {
            value: gate.masks.mask(outcome.value),
            error: outcome.error.map(|mut error| {
                error.failure = gate.clean(error.failure);
                error
            }),
            ..outcome
        }
    }

    fn meter(&self, tape: &Tape, script: &Script, part: &Part) -> Meter {
        let limits = &self.language.limits;
        let active = Duration::from_secs(limits.active_s);
        let active = script.header.timeout.map_or(active, |timeout| timeout.min(active));
        let spent = Duration::from_millis(tape.active_ms(&self.gate));
        let clock = self.gate.world.clock.clone();
        let meter = Meter::start(limits, active, spent, clock, tape.stop_flag(), tape.operations());
        let meter = meter.parked_by(self.gate.parks.clone());
        match (part, tape.recorded_end()) {
            (Part::Cleanup(_), _) => meter.allow(CLEANUP_TIME, CLEANUP_OPERATIONS),
            (Part::Playbook | Part::Case(_), Some(end)) => meter.replaying(&end),
            (Part::Playbook | Part::Case(_), None) => meter,
        }
    }
}

/// What every line of the log says that is written while the run is at work.
fn span(run: &RunHandle) -> tracing::Span {
    let tape = run.tape();
    let begun = tape.begun();
    tracing::error_span!("run", run = %begun.run.short(), playbook = begun.playbook, corr = begun.corr())
}

/// Whether a run that ends so has anything to clean up: not one that succeeded, or waits for a decision, or whose
/// journal cannot be written or believed.
fn wants_cleanup(run: &RunHandle, outcome: &Outcome) -> bool {
    let tape = run.tape();
    let may = match tape.halted() {
        None | Some(Halt::Cancelled | Halt::Limit(_) | Halt::Recorded { .. }) => true,
        Some(_) => tape.recorded_cleanup().is_some(),
    };
    may && matches!(outcome.status, Status::Failed | Status::Cancelled)
}

/// Cancels `run` from another thread: it stops at its next operation or effect. An effect under way sees it too.
pub fn cancel(run: &RunHandle) {
    run.stop_flag().store(true, Ordering::Relaxed);
}

impl Rest {
    pub(super) fn status(&self) -> Status {
        match self {
            Rest::Whole(finished) => finished.record.status,
            Rest::Ending(ending, _) => ending.record.status,
        }
    }
}

impl Finished {
    pub fn succeeded(&self) -> bool {
        self.outcome.status == Status::Succeeded
    }
}
