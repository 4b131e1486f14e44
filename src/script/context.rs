//! How a namespace's function reaches its run and the gate.
//!
//! The run travels as the engine's tag. Whatever goes wrong gets its place here, from the call's own context, because
//! Rhai leaves it out for namespaced functions. A halted run is unwound by an error that scripts cannot catch for
//! long: the flag is sticky, and seen by the gate, by every operation and by the runner.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use rhai::{Dynamic, EvalAltResult, FnPtr, NativeCallContext, Position};

use super::error::place_of;
use super::value::{from_dynamic, to_dynamic};
use crate::effect::{Declaration, Effect, Failure, Place};
use crate::gate::observer::{LogLevel, Notice};
use crate::gate::poll::{self, Pace, Poll};
use crate::gate::{Act, Gate, Halt, How, Local, Stop, Tape, Waiting, perform};
use crate::journal::RunError;
use crate::store::StoreError;
use crate::value::Value;

/// What a namespace's function gives to its script.
pub type ScriptResult<T = Dynamic> = Result<T, Box<EvalAltResult>>;

/// A run, as its script's functions see it.
#[derive(Clone)]
pub struct RunHandle(Arc<Inner>);

struct Inner {
    gate: Arc<Gate>,
    tape: Mutex<Tape>,
    /// Set with the tape's halt, and read without its lock.
    stop: Arc<AtomicBool>,
    /// The last error an effect gave to the script: if it ends the run, this is where it came from.
    last_failure: Mutex<Option<RunError>>,
    /// What a namespace finds beside the run, such as the case that a test's script runs for.
    beside: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl RunHandle {
    pub fn new(gate: Arc<Gate>, tape: Tape) -> RunHandle {
        let stop = tape.stop_flag();
        RunHandle(Arc::new(Inner {
            gate,
            tape: Mutex::new(tape),
            stop,
            last_failure: Mutex::new(None),
            beside: OnceLock::new(),
        }))
    }

    /// The same run, with something beside it for a namespace of its own. Only the first holds.
    pub fn with_beside(self, beside: Arc<dyn Any + Send + Sync>) -> RunHandle {
        self.0.beside.set(beside).unwrap_or_default();
        self
    }

    /// What was put beside the run.
    pub fn beside<T: Any>(&self) -> Option<&T> {
        self.0.beside.get()?.downcast_ref()
    }

    pub fn gate(&self) -> &Arc<Gate> {
        &self.0.gate
    }

    pub fn tape(&self) -> MutexGuard<'_, Tape> {
        self.0.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tape, if nothing has it.
    pub fn try_tape(&self) -> Option<MutexGuard<'_, Tape>> {
        match self.0.tape.try_lock() {
            Ok(tape) => Some(tape),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The flag that stops the script at its next operation.
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        self.0.stop.clone()
    }

    pub fn halt(&self, halt: Halt) {
        self.tape().halt(halt);
    }

    /// Ends the run from a function whose errors Rhai would make into something else. Nothing of the script runs any
    /// more, not even a `catch`.
    pub(super) fn unwind(&self, halt: Halt, place: Place) -> ! {
        let error = RunError {
            failure: halt.failure(),
            place,
            step: halt.step(),
        };
        *self.0.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        self.halt(halt);
        std::panic::resume_unwind(Box::new("the run was halted"))
    }

    pub fn last_failure(&self) -> Option<RunError> {
        self.0
            .last_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Shows a line of the script's, unless it was shown when the run was live.
    pub fn log(&self, level: LogLevel, message: &str) {
        self.log_with(level, message, &Value::Unit);
    }

    pub fn log_with(&self, level: LogLevel, message: &str, fields: &Value) {
        let tape = self.tape();
        if !tape.is_replaying() {
            let message = self.0.gate.masks.mask_text(message.to_owned());
            let fields = self.0.gate.masks.mask(fields.clone());
            tape.observer().notice(Notice::Log {
                level,
                message: &message,
                fields: &fields,
            });
        }
    }

    /// Performs a local effect of a call that has returned: a loop's next turn. `place` is the call's.
    pub fn local_at(
        &self,
        place: Place,
        declaration: &Declaration,
        args: impl Into<Value>,
        closure: impl Fn(&mut Local<'_>) -> Result<Value, StoreError>,
    ) -> ScriptResult<Value> {
        self.perform(Effect::new(declaration, args).at(place), How::Local(&closure))
    }

    fn perform(&self, effect: Effect<'_>, how: How<'_>) -> Result<Value, Box<EvalAltResult>> {
        let performed = perform(&self.0.gate, &mut self.tape(), &effect, how);
        self.given(performed, &effect)
    }

    /// What the gate gave for `effect`, for the script.
    fn given<T>(&self, performed: Result<T, Stop>, effect: &Effect<'_>) -> Result<T, Box<EvalAltResult>> {
        let stop = match performed {
            Ok(value) => return Ok(value),
            Err(stop) => stop,
        };
        let mut tape = self.tape();
        let position = position_of(&effect.place);
        match stop {
            Stop::Failed(failure) => {
                let error = RunError {
                    failure: failure.clone(),
                    place: effect.place.clone(),
                    step: Some(tape.step()),
                };
                *self.0.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Err(thrown(&failure, position))
            }
            Stop::Halted(halt) => {
                let error = RunError {
                    failure: halt.failure(),
                    place: effect.place.clone(),
                    step: halt.step(),
                };
                tape.halt(halt);
                self.0.stop.store(true, Ordering::Relaxed);
                let mut last = self.0.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
                *last = Some(error);
                Err(EvalAltResult::ErrorTerminated(Dynamic::UNIT, position).into())
            }
        }
    }
}

/// What a namespace's function can ask of its call.
pub trait ContextExt {
    /// The run that called.
    fn run(&self) -> ScriptResult<RunHandle>;

    /// Where in the playbook the call stands.
    fn place(&self) -> Place;

    /// The value of a check, or its error at the place of the call.
    fn check<T, E: Into<Failure>>(&self, checked: Result<T, E>) -> ScriptResult<T>;

    /// The script's value as plain data.
    fn value(&self, value: &Dynamic) -> ScriptResult<Value>;

    /// Performs a local effect: `closure` reads the store and fills the batch that is committed with its answer.
    fn local(
        &self,
        declaration: &Declaration,
        args: impl Into<Value>,
        closure: impl Fn(&mut Local<'_>) -> Result<Value, StoreError>,
    ) -> ScriptResult;

    /// Performs a read or a write through the gate.
    fn outside(&self, effect: Effect<'_>, act: &dyn Act) -> ScriptResult;

    /// Waits through the gate, without a thread.
    fn wait(&self, effect: Effect<'_>, waiting: &dyn Waiting) -> ScriptResult;

    /// Calls `attempt` at a certain pace, until it gives a value.
    fn poll(&self, effect: Effect<'_>, pace: Pace, attempt: &FnPtr) -> ScriptResult;
}

impl ContextExt for NativeCallContext<'_> {
    fn run(&self) -> ScriptResult<RunHandle> {
        let handle = self
            .tag()
            .and_then(|tag| tag.read_lock::<RunHandle>().map(|handle| handle.clone()));
        handle.ok_or_else(|| "this function can only be called in a run".into())
    }

    fn place(&self) -> Place {
        place_of(self.call_position(), self.call_source())
    }

    fn check<T, E: Into<Failure>>(&self, checked: Result<T, E>) -> ScriptResult<T> {
        checked.map_err(|error| thrown(&error.into(), self.call_position()))
    }

    fn value(&self, value: &Dynamic) -> ScriptResult<Value> {
        self.check(from_dynamic(value).map_err(|error| Failure::new(error.code(), error.to_string())))
    }

    fn local(
        &self,
        declaration: &Declaration,
        args: impl Into<Value>,
        closure: impl Fn(&mut Local<'_>) -> Result<Value, StoreError>,
    ) -> ScriptResult {
        let effect = Effect::new(declaration, args).at(self.place());
        self.run()?.perform(effect, How::Local(&closure)).map(to_dynamic)
    }

    fn outside(&self, effect: Effect<'_>, act: &dyn Act) -> ScriptResult {
        self.run()?
            .perform(effect.at(self.place()), How::Outside(act))
            .map(to_dynamic)
    }

    fn wait(&self, effect: Effect<'_>, waiting: &dyn Waiting) -> ScriptResult {
        self.run()?
            .perform(effect.at(self.place()), How::Wait(waiting))
            .map(to_dynamic)
    }

    fn poll(&self, effect: Effect<'_>, pace: Pace, attempt: &FnPtr) -> ScriptResult {
        let run = self.run()?;
        let effect = effect.at(self.place());
        let begun = poll::begin(&run.0.gate, &mut run.tape(), &effect);
        let turn = run.given(begun, &effect)?;
        let value = attempt.call_within_context::<Dynamic>(self, ());
        match turn {
            Poll::Over(Ok(())) => value,
            Poll::Over(Err(failure)) => value.and_then(|_| run.given(Err(Stop::Failed(failure)), &effect)),
            Poll::Try(turn) => {
                // What the closure throws ends the poll, too.
                let has_value = value.as_ref().map_or(true, |value| !value.is_unit());
                let ended = poll::end(&run.0.gate, &mut run.tape(), turn, has_value, pace);
                run.given(ended, &effect)?;
                value
            }
        }
    }
}

/// A failure as what a script's `catch` receives.
fn thrown(failure: &Failure, position: Position) -> Box<EvalAltResult> {
    EvalAltResult::ErrorRuntime(to_dynamic(failure.to_value()), position).into()
}

fn position_of(place: &Place) -> Position {
    match (u16::try_from(place.line), u16::try_from(place.column)) {
        (Ok(line), Ok(column)) if line > 0 => Position::new(line, column),
        _ => Position::NONE,
    }
}
