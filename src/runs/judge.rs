//! What a script's end means.
//!
//! A halted run is judged by its halt, whatever the script made of it: `try`, `sort` and their like can swallow the
//! error that unwinds it, but not the flag.

use rhai::{Dynamic, EvalAltResult};

use crate::effect::{Failure, Place};
use crate::gate::Halt;
use crate::journal::{Outcome, RunError, Status};
use crate::script::error::{diagnose, place_in};
use crate::script::reference;
use crate::script::value::from_dynamic;
use crate::script::{Language, RunHandle, Script};
use crate::value::Value;

/// The outcome of a run whose script ended with `result`.
pub(super) fn outcome(run: &RunHandle, result: &Result<Dynamic, Box<EvalAltResult>>, language: &Language) -> Outcome {
    // A flag that nobody has looked at came too late: the script was over.
    let halt = run.tape().halted().cloned();
    if let Some(Halt::Recorded { status, error }) = halt {
        return Outcome {
            status,
            value: Value::Unit,
            error: Some(error),
        };
    }
    if let Some(halt @ (Halt::Suspended(_) | Halt::Parked)) = &halt {
        return Outcome {
            status: halt.status(),
            value: Value::Unit,
            error: None,
        };
    }
    if let Some(halt) = halt {
        let mut error = RunError {
            failure: halt.failure(),
            place: Place::default(),
            step: halt.step(),
        };
        error.place = match run.last_failure() {
            Some(last) if last.failure == error.failure => last.place,
            _ => result
                .as_ref()
                .err()
                .map(|error| diagnose(error, &language.limits, &[]).place)
                .unwrap_or_default(),
        };
        return Outcome {
            status: halt.status(),
            value: Value::Unit,
            error: Some(error),
        };
    }
    match result {
        Ok(value) => match from_dynamic(value) {
            Ok(value) => Outcome {
                status: Status::Succeeded,
                value,
                error: None,
            },
            Err(error) => failed(Failure::new(error.code(), format!("the playbook's result: {error}"))),
        },
        Err(error) => Outcome {
            status: Status::Failed,
            value: Value::Unit,
            error: Some(script_error(run, error, language)),
        },
    }
}

/// The same, with the module of its error's place as the texts of `script` have it.
pub(super) fn placed(mut outcome: Outcome, result: &Result<Dynamic, Box<EvalAltResult>>, script: &Script) -> Outcome {
    if let (Some(error), Err(thrown)) = (&mut outcome.error, result) {
        let place = place_in(thrown, script);
        if (place.line, place.column) == (error.place.line, error.place.column) {
            error.place = place;
        }
    }
    outcome
}

/// A run that failed outside its script.
pub(super) fn failed(failure: Failure) -> Outcome {
    let error = RunError {
        failure,
        place: Place::default(),
        step: None,
    };
    Outcome {
        status: Status::Failed,
        value: Value::Unit,
        error: Some(error),
    }
}

fn script_error(run: &RunHandle, error: &EvalAltResult, language: &Language) -> RunError {
    let known: Vec<String> = match error {
        // The list is only needed for "did you mean".
        EvalAltResult::ErrorFunctionNotFound(..)
        | EvalAltResult::ErrorInFunctionCall(..)
        | EvalAltResult::ErrorInModule(..) => reference::functions(language)
            .into_iter()
            .map(|function| function.name)
            .collect(),
        _ => Vec::new(),
    };
    let error = diagnose(error, &language.limits, &known);
    // An effect's error that reached the end, thrown again or not, came from its effect.
    match run.last_failure() {
        Some(last) if last.failure.code == error.failure.code && last.failure.message == error.failure.message => last,
        _ => error,
    }
}
