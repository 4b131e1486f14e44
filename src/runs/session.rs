//! Lines of a script, one after the other, over an overlay: variables, functions and imports stay from one to the next.
//!
//! Each line is a run of its own, so that each has its limits to itself and one that is stopped or fails leaves the
//! others alone. What it keeps lies in the overlay, where the next line finds it. A line does not wait: what a run
//! would sleep through or be told later ends it.
//!
//! Every line stands at its own place in one growing text, so that an error in a function is shown where the function
//! was written. Rhai forgets imports between two evaluations; they are made again on the text's first line, which
//! belongs to no later one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rhai::{AST, Dynamic, EvalAltResult, Position, Scope};

use super::plan::all_simulated;
use super::runner::{Order, Runner};
use super::{Library, judge, pool};
use crate::effect::{Failure, RunMode};
use crate::gate::panic::words_of;
use crate::gate::{Halt, Observer};
use crate::io::signals::Interruptible;
use crate::journal::{Outcome, Status};
use crate::script::limits::Meter;
use crate::script::source::Text;
use crate::script::value::{from_dynamic, to_dynamic};
use crate::script::{Diagnosis, RunHandle, Script};
use crate::store::StoreError;
use crate::value::{Map, Value};

/// What the session's text is called in places.
const NAME: &str = "repl";

/// Lines of a session's text: places count them in 16 bits.
const LINES_MAX: usize = 60_000;

/// A session.
pub struct Session {
    runner: Runner,
    library: Library,
    mode: RunMode,
    /// Everything that was entered, each entry on lines of its own.
    text: String,
    lines: usize,
    /// The imports that were made, as they are made again.
    imports: Vec<String>,
    held: Arc<Mutex<Held>>,
}

/// What stays between two entries.
struct Held {
    scope: Scope<'static>,
    functions: AST,
}

/// What came of an entry.
pub struct Entered {
    pub outcome: Outcome,
    /// The place of its error.
    pub diagnosis: Option<Diagnosis>,
    /// What its value is, where that is no plain data.
    pub kind: Option<String>,
    /// What it would wait for.
    pub waits: Option<String>,
}

/// Why nothing was entered.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    #[error("{}", .0.message)]
    Script(Box<Diagnosis>),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the session has more than {LINES_MAX} lines; `:reset` begins another")]
    TooLong,
}

impl EnterError {
    pub fn code(&self) -> &str {
        match self {
            EnterError::Script(diagnosis) => &diagnosis.code,
            EnterError::Store(error) => error.code(),
            EnterError::TooLong => "SCRIPT_TOO_LARGE",
        }
    }
}

impl Session {
    /// A session on a gate that stands on an overlay, in a world where nothing leaves.
    pub fn begin(runner: Runner, library: Library, mode: RunMode) -> Session {
        Session {
            runner,
            library,
            mode: all_simulated(mode),
            text: String::new(),
            lines: 0,
            imports: Vec::new(),
            held: Arc::new(Mutex::new(Held {
                scope: Scope::new(),
                functions: AST::empty(),
            })),
        }
    }

    /// The line at which the next entry will stand.
    pub fn next_line(&self) -> usize {
        self.lines + 1
    }

    /// The names of variables and functions that entries made.
    pub fn names(&self) -> Vec<String> {
        let held = lock(&self.held);
        let variables = held.scope.iter().map(|(name, ..)| name.to_owned());
        let functions = held.functions.iter_functions();
        let functions = functions.filter(|function| !function.name.starts_with("anon$"));
        let mut names: Vec<String> = variables
            .chain(functions.map(|function| format!("{}(", function.name)))
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Runs `text` to its end. While it does, Ctrl-C stops it and nothing else.
    pub fn enter(&mut self, text: &str, observer: Arc<dyn Observer>) -> Result<Entered, EnterError> {
        let script = Arc::new(self.compile(text)?);
        let order = Order {
            script: script.clone(),
            input: Value::Map(Map::new()),
            mode: self.mode.clone(),
            trigger: NAME.to_owned(),
            by: None,
            retry_of: None,
            corr: None,
            observer,
        };
        let run = self.runner.begin(&order)?;
        let interruptible = Interruptible::by(&run.stop_flag());
        if let Err(error) = &interruptible {
            tracing::warn!(%error, "Ctrl-C will end host at once");
        }
        let (runner, held, handle, entered) = (self.runner.clone(), self.held.clone(), run.clone(), script.clone());
        let stack_bytes = self.runner.language.limits.stack_bytes();
        let evaluated = pool::run(stack_bytes, move || {
            evaluate(&runner, &handle, &entered, &mut lock(&held))
        });
        drop(interruptible);
        let (outcome, kind) =
            evaluated.unwrap_or_else(|lost| (judge::failed(Failure::new(lost.code(), lost.to_string())), None));
        self.lines += text.lines().count().max(1);
        self.text = script.source.text.to_string();
        if outcome.error.is_none() {
            self.imports.extend(
                script
                    .imports()
                    .iter()
                    .map(|(path, name)| format!("import {path:?} as {name};")),
            );
        }
        let halted = run.tape().halted().cloned();
        let waits = match halted {
            Some(Halt::Suspended(waits)) => Some(waits.what),
            _ => {
                // What it kept is in the overlay with this, for the next entry to find.
                let gate = &self.runner.gate;
                let ending = run.tape().end_run(gate, &outcome, None)?;
                ending.told(&*gate.ground.store, &gate.ready)?;
                None
            }
        };
        Ok(Entered {
            diagnosis: outcome
                .error
                .as_ref()
                .map(|error| Diagnosis::of_run_error(error, &script)),
            outcome,
            kind,
            waits,
        })
    }

    /// The script of one entry, at its place in the session's text.
    fn compile(&self, text: &str) -> Result<Script, EnterError> {
        if self.lines + text.lines().count() > LINES_MAX {
            return Err(EnterError::TooLong);
        }
        let whole = Text::new(NAME, format!("{}{text}\n", self.text));
        let padded = format!("{}{}{text}", self.imports.join(" "), "\n".repeat(self.lines));
        let find = |module: &str| {
            let found = self.library.files.module(module).map_err(|fault| fault.to_string())?;
            Ok(Text::new(found.file, found.text))
        };
        let held = lock(&self.held);
        let language = &self.library.language;
        let compiled = Script::compile_within(language, NAME, Text::new(NAME, padded), &held.scope, &find);
        let shown = |text: Text| if text.file == NAME { whole.clone() } else { text };
        match compiled {
            Ok(script) => Ok(script.shown_within(whole)),
            Err(diagnosis) => Err(EnterError::Script(Box::new(Diagnosis {
                text: shown(diagnosis.text),
                ..diagnosis
            }))),
        }
    }
}

/// What came of the entry, and what its value is where it is no plain data.
fn evaluate(runner: &Runner, run: &RunHandle, script: &Script, held: &mut Held) -> (Outcome, Option<String>) {
    let meter = {
        let tape = run.tape();
        let limits = &runner.language.limits;
        let active = Duration::from_secs(limits.active_s);
        let clock = runner.gate.world.clock.clone();
        Meter::start(
            limits,
            active,
            Duration::ZERO,
            clock,
            tape.stop_flag(),
            tape.operations(),
        )
    };
    let mut engine = runner
        .language
        .engine_for(run, to_dynamic(Value::Map(Map::new())), meter);
    engine.set_module_resolver(script.resolver());
    let Held { scope, functions } = held;
    let result = catch_unwind(AssertUnwindSafe(|| script.evaluate_within(&engine, scope, functions)));
    let mut kind = None;
    let mut outcome = match result {
        Ok(Ok(value)) if from_dynamic(&value).is_err() => {
            kind = Some(value.type_name().to_owned());
            judge::outcome(run, &Ok(Dynamic::UNIT), &runner.language)
        }
        Ok(result) => judge::placed(judge::outcome(run, &result, &runner.language), &result, script),
        Err(_) if run.tape().halted().is_some() => {
            let terminated = EvalAltResult::ErrorTerminated(Dynamic::UNIT, Position::NONE);
            judge::outcome(run, &Err(terminated.into()), &runner.language)
        }
        Err(panic) => judge::failed(Failure::new(
            "PANIC",
            format!("the script's engine gave up: {}", words_of(&*panic)),
        )),
    };
    let gate = &runner.gate;
    outcome.value = gate.masks.mask(outcome.value);
    outcome.error = outcome.error.map(|mut error| {
        error.failure = gate.clean(error.failure);
        error
    });
    if outcome.status == Status::Suspended {
        kind = None;
    }
    (outcome, kind)
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
