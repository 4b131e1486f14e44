//! Has come what the run waits for?
//!
//! A wait is an effect. As long as it has not come, what it waits for is written to the journal, the script is unwound
//! and its thread is free; when the run is resumed the script comes here again and looks once more. What is looked at
//! is a precondition of the suspension, so that nothing can come unseen between the look and the unwinding.

use super::ready::Playbooks;
use super::stop::Stop;
use super::tape::Tape;
use super::{Gate, Halt};
use crate::effect::{Failure, RunMode};
use crate::id::{RunId, StepNo};
use crate::journal::{Asked, Begun, Suspended, Wake};
use crate::store::{StoreError, Tx};
use crate::value::Value;

/// How often a look is repeated because something moved in between.
const CONFLICTS_MAX: u32 = 10_000;

/// Something to wait for.
pub trait Waiting {
    /// What is waited for, when it is asked for the first time.
    fn begin(&self, watch: &mut Watch<'_>) -> Result<Wake, Stop>;

    /// Whether it has come. May fill the batch that is committed with the answer or the suspension.
    fn look(&self, wake: &Wake, watch: &mut Watch<'_>) -> Result<Look, Stop>;
}

/// What a look has found.
pub enum Look {
    /// It is over: this is the effect's outcome.
    Come(Result<Value, Failure>),
    /// Not yet: this is what to wait for now.
    NotYet(Wake),
}

/// What a wait may look at.
pub struct Watch<'a> {
    pub tx: Tx<'a>,
    pub begun: &'a Begun,
    pub mode: &'a RunMode,
    pub step: StepNo,
    pub generation: u32,
    /// The run's time.
    pub now_ms: u64,
    /// Whether the time that was set for the wait has passed.
    pub is_over: bool,
    pub playbooks: &'a dyn Playbooks,
    /// The version of the project that they are of.
    pub edition: Option<u64>,
    /// Runs that were created here, and can begin once this is committed.
    pub created: Vec<RunId>,
}

/// Gives what has come, or unwinds the script.
pub(super) fn perform(gate: &Gate, tape: &mut Tape, asked: Asked, waiting: &dyn Waiting) -> Result<Value, Stop> {
    let mut conflicts = 0;
    loop {
        let unix_ms = tape.now_ms(gate);
        let before = tape
            .recorded_step(asked.step)
            .and_then(|step| step.suspended.as_ref())
            .map(|suspended| suspended.wake.clone());
        let mut watch = Watch {
            tx: Tx::new(&gate.ground, tape.mode.realm(), unix_ms),
            begun: &tape.begun,
            mode: &tape.mode,
            step: asked.step,
            generation: tape.generation,
            now_ms: tape.elapsed_ms(gate),
            is_over: false,
            playbooks: &*gate.playbooks,
            edition: gate.edition,
            created: Vec::new(),
        };
        let wake = match before {
            Some(wake) => Ok(wake),
            None => waiting.begin(&mut watch),
        };
        let looked = wake.and_then(|wake| {
            watch.is_over = wake.at_ms.is_some_and(|at_ms| tape.is_due(gate, at_ms));
            waiting.look(&wake, &mut watch)
        });
        let Watch { tx, created, .. } = watch;
        tape.writer.saw(tx.seen);
        let looked = match looked {
            Err(Stop::Failed(failure)) => Look::Come(Err(failure)),
            other => other?,
        };
        let written = match looked {
            Look::Come(outcome) => {
                let answer = gate.settle(tape.answer_to(gate, asked.clone()), outcome);
                if answer.error.is_some() || tx.batch.is_empty() {
                    return tape.conclude(gate, answer);
                }
                tape.conclude_with(gate, &answer, tx.batch).map(|()| Ok(answer))
            }
            Look::NotYet(wake) => {
                let suspended = tape.suspended(gate, asked.clone(), wake);
                tape.suspend(gate, suspended, tx.batch).map(Err)
            }
        };
        match written {
            Ok(outcome) => {
                for run in created {
                    gate.ready.tell(run);
                }
                return match outcome {
                    Ok(answer) => tape.give(answer),
                    Err(halt) => Err(tape.stop(halt)),
                };
            }
            Err(StoreError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
            Err(error) => return tape.persist(Err(error)),
        }
    }
}

impl Tape {
    /// Whether the moment `at_ms` of the run has come, by the clock that does not jump or by that on the wall.
    pub(super) fn is_due(&self, gate: &Gate, at_ms: u64) -> bool {
        let wall_ms = gate.world.clock.unix_ms() - self.begun.at_ms;
        self.elapsed_ms(gate) >= at_ms || wall_ms >= i64::try_from(at_ms).unwrap_or(i64::MAX)
    }

    pub(super) fn suspended(&self, gate: &Gate, asked: Asked, wake: Wake) -> Suspended {
        Suspended {
            asked,
            wake,
            at_ms: self.elapsed_ms(gate),
            active_ms: self.active_ms(gate),
        }
    }

    /// Unwinds the script for what its store has nothing to do with.
    pub(super) fn suspend_for(&mut self, gate: &Gate, asked: Asked, wake: Wake) -> Stop {
        let suspended = self.suspended(gate, asked, wake);
        match self.suspend(gate, suspended, Default::default()) {
            Ok(halt) => self.stop(halt),
            Err(error) => self.stop(Halt::Store(Failure::new(error.code(), error.to_string()))),
        }
    }
}
