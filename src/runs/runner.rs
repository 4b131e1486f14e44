//! Starts a script on a thread of its own and writes down how it ended.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rhai::{Dynamic, EvalAltResult, Position};

use super::{judge, pool};
use crate::effect::{Failure, RunMode};
use crate::gate::panic::words_of;
use crate::gate::{Gate, Observer, Tape};
use crate::id::RunId;
use crate::journal::{Begun, Outcome, RunRecord, Status};
use crate::script::limits::Meter;
use crate::script::source::Text;
use crate::script::value::to_dynamic;
use crate::script::{API_VERSION, Language, RunHandle, Script};
use crate::store::{Batch, StoreError, keys};
use crate::value::Value;

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
    pub observer: Arc<dyn Observer>,
}

/// A run that is over, and on disk.
#[derive(Clone, Debug)]
pub struct Finished {
    pub record: RunRecord,
    pub outcome: Outcome,
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
            modules: script
                .modules
                .iter()
                .map(|(name, text)| (name.clone(), text.hash))
                .collect(),
            api: API_VERSION,
            mode: order.mode.clone(),
            input: gate.masks.mask(order.input.clone()),
            at_ms,
            trigger: order.trigger.clone(),
            epoch: 1,
        };
        let versions = self.unknown_versions(std::iter::once(&script.source).chain(script.modules.values()))?;
        Ok(RunHandle::new(
            gate.clone(),
            Tape::begin_run(gate, begun, versions, order.observer.clone()),
        ))
    }

    /// Runs `script` to its end, and answers when the end is on disk.
    pub fn finish(&self, run: &RunHandle, script: &Arc<Script>) -> Result<Finished, StoreError> {
        let outcome = self.execute(run, script);
        let record = run.tape().end_run(&self.gate, &outcome)?;
        Ok(Finished { record, outcome })
    }

    /// Begins and finishes a run.
    pub fn run(&self, order: &Order) -> Result<Finished, StoreError> {
        let run = self.begin(order)?;
        self.finish(&run, &order.script)
    }

    /// Runs the script on a large stack of its own; what it returns is the run's outcome.
    pub(super) fn execute(&self, run: &RunHandle, script: &Arc<Script>) -> Outcome {
        let (runner, handle, script) = (self.clone(), run.clone(), script.clone());
        pool::run(self.language.limits.stack_bytes(), move || {
            runner.evaluate(&handle, &script)
        })
        .unwrap_or_else(|lost| judge::failed(Failure::new(lost.code(), lost.to_string())))
    }

    fn evaluate(&self, run: &RunHandle, script: &Script) -> Outcome {
        let limits = &self.language.limits;
        let active = Duration::from_secs(limits.active_s);
        let active = script.header.timeout.map_or(active, |timeout| timeout.min(active));
        let (input, meter) = {
            let tape = run.tape();
            let clock = self.gate.world.clock.clone();
            let meter = Meter::start(limits, active, clock, tape.stop_flag(), tape.operations());
            let meter = match tape.recorded_end() {
                Some(end) => meter.replaying(end),
                None => meter,
            };
            (tape.begun().input.clone(), meter)
        };
        let mut engine = self.language.engine_for(run, to_dynamic(input), meter);
        engine.set_module_resolver(script.resolver());
        let result = catch_unwind(AssertUnwindSafe(|| script.evaluate(&engine)));
        let outcome = match result {
            Ok(result) => judge::outcome(run, &result, &self.language),
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

    /// The texts that the store does not hold yet.
    fn unknown_versions<'t>(&self, texts: impl Iterator<Item = &'t Text>) -> Result<Batch, StoreError> {
        let mut batch = Batch::new();
        for text in texts {
            let key = keys::version(&text.hash);
            if self.gate.ground.store.get(&key)?.is_none() {
                batch.put(key, text.text.as_bytes().to_vec());
            }
        }
        Ok(batch)
    }
}

/// Cancels `run` from another thread: it stops at its next operation or effect. An effect under way sees it too.
pub fn cancel(run: &RunHandle) {
    run.stop_flag().store(true, Ordering::Relaxed);
}

impl Finished {
    pub fn succeeded(&self) -> bool {
        self.outcome.status == Status::Succeeded
    }
}
