//! What went wrong in a playbook, and where.
//!
//! Rhai leaves out the position of errors from namespaced functions; ours put it in at one place, [`super::context`].
//! Here Rhai's errors become a code, one sentence in the user's words, a place, and a way out.

use rhai::{EvalAltResult, LexError, ParseError, ParseErrorType, Position};

use super::limits::ScriptLimits;
use super::mistake;
use super::source::{Script, Text};
use super::syntax::Lines;
use super::value::from_dynamic;
use crate::effect::{Failure, Place};
use crate::journal::RunError;
use crate::value::Value;

/// An error in a text, before or after it ran, ready to be shown with its code frame.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    pub code: String,
    pub message: String,
    pub text: Text,
    pub place: Place,
    /// The way out, where one is known.
    pub help: Option<String>,
    /// The byte at which reading the text stopped.
    pub stopped_at: Option<u32>,
}

impl Diagnosis {
    pub fn new(code: impl Into<String>, message: impl Into<String>, text: Text) -> Diagnosis {
        Diagnosis {
            code: code.into(),
            message: message.into(),
            text,
            place: Place::default(),
            help: None,
            stopped_at: None,
        }
    }

    pub fn at(mut self, place: Place) -> Diagnosis {
        self.place = place;
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Diagnosis {
        self.help = Some(help.into());
        self
    }

    pub fn of_parse_error(error: &ParseError, text: Text, module: Option<&str>) -> Diagnosis {
        let (code, message, help) = match error.err_type() {
            ParseErrorType::VariableUndefined(name) => (
                "UNKNOWN_VARIABLE",
                format!("there is no variable `{name}`"),
                Some("declare it with `let`, or read it from `input`".to_owned()),
            ),
            ParseErrorType::ModuleUndefined(name) => {
                ("UNKNOWN_NAMESPACE", format!("there is no namespace `{name}::`"), None)
            }
            ParseErrorType::ExprTooDeep => (
                "LIMIT_NESTING",
                "expressions are nested too deep here: at most 48 levels, 32 in functions".to_owned(),
                Some("give parts of it names with `let`".to_owned()),
            ),
            ParseErrorType::TooManyFunctions => (
                "LIMIT_FUNCTIONS",
                "more than 1024 functions are defined".to_owned(),
                Some("move some of them into modules, and import these".to_owned()),
            ),
            ParseErrorType::BadInput(LexError::ImproperSymbol(word, _)) if word == "eval" => forbidden(word),
            ParseErrorType::Reserved(word) if word == "eval" => forbidden(word),
            ParseErrorType::UnknownOperator(word) if word.starts_with("**") => forbidden(word),
            ParseErrorType::Reserved(word) => (
                "SYNTAX",
                format!("`{word}` is a reserved word"),
                Some(format!(
                    "as a property write it in brackets: m[\"{word}\"], and in a map as \"{word}\": …"
                )),
            ),
            other => ("SYNTAX", lower_first(&other.to_string()), None),
        };
        let lines = Lines::of(&text.text);
        let place = place_of(error.position(), module);
        let stopped_at = match place.line {
            0 => text.text.len() as u32,
            line => lines.offset(&text.text, line, place.column),
        };
        let diagnosis = Diagnosis {
            help,
            stopped_at: Some(stopped_at),
            ..Diagnosis::new(code, message, text).at(place)
        };
        match mistake::explain(&diagnosis.text.text, stopped_at).filter(|_| code == "SYNTAX") {
            Some(explained) => {
                let (line, column) = lines.place(&diagnosis.text.text, explained.span.start);
                let place = Place {
                    line,
                    column,
                    ..diagnosis.place.clone()
                };
                let fix = explained.fix.map(|(title, ..)| title);
                Diagnosis {
                    message: explained.message,
                    help: explained.help.or(fix).or(diagnosis.help),
                    place,
                    ..diagnosis
                }
            }
            None => diagnosis,
        }
    }

    /// The error of a run that failed, with the text in which it happened.
    pub fn of_run_error(error: &RunError, script: &Script) -> Diagnosis {
        let text = script.text_at(&error.place).clone();
        Diagnosis::new(error.failure.code.clone(), error.failure.message.clone(), text).at(error.place.clone())
    }
}

fn forbidden(word: &str) -> (&'static str, String, Option<String>) {
    let instead = match word {
        "eval" => "call functions by name, or through closures",
        _ => "use `pow(x, y)`",
    };
    let message = format!("`{word}` is not available in playbooks");
    ("FORBIDDEN", message, Some(instead.to_owned()))
}

/// Rhai's position as a place.
pub fn place_of(position: Position, module: Option<&str>) -> Place {
    let line = position.line().unwrap_or(0) as u32;
    let column = position.position().unwrap_or(0) as u32;
    Place {
        line,
        column: if line == 0 { 0 } else { column.max(1) },
        module: module.filter(|name| !name.is_empty()).map(str::to_owned),
    }
}

/// The place of a byte of `text`.
pub fn place_at(text: &str, offset: u32) -> Place {
    let (line, column) = super::syntax::Lines::of(text).place(text, offset);
    Place {
        line,
        column,
        module: None,
    }
}

/// What ended a script, in our words.
pub fn diagnose(error: &EvalAltResult, limits: &ScriptLimits, known: &[String]) -> RunError {
    let (inner, position, module) = innermost(error, Position::NONE, None, &|_, source| source);
    let place = place_of(position, module);
    let failure = limits.failure(inner).unwrap_or_else(|| failure_of(inner, known));
    RunError {
        failure,
        place,
        step: None,
    }
}

/// Where in `script` it went wrong. Rhai says of a function that was handed to a module that it lies in that module;
/// the texts themselves know better.
pub fn place_in(error: &EvalAltResult, script: &Script) -> Place {
    let owner = |function: &'_ str, source| script.owner_of(function, source);
    let (_, position, module) = innermost(error, Position::NONE, None, &owner);
    place_of(position, module)
}

/// The module in which a function lies, by its name and by what Rhai says.
type Owner<'o, 'e> = dyn Fn(&'e str, &'e str) -> &'e str + 'o;

/// The error that started it, the innermost place known, and the module that lies in.
fn innermost<'e>(
    error: &'e EvalAltResult,
    outer: Position,
    module: Option<&'e str>,
    owner: &Owner<'_, 'e>,
) -> (&'e EvalAltResult, Position, Option<&'e str>) {
    let position = if error.position().is_none() {
        outer
    } else {
        error.position()
    };
    match error {
        EvalAltResult::ErrorInFunctionCall(function, source, inner, _) => {
            let module = if inner.position().is_none() {
                module
            } else {
                Some(owner(function, source))
            };
            innermost(inner, position, module, owner)
        }
        EvalAltResult::ErrorInModule(name, inner, _) => {
            let module = if inner.position().is_none() {
                module
            } else {
                Some(name.as_str())
            };
            innermost(inner, position, module, owner)
        }
        other => (other, position, module),
    }
}

fn failure_of(error: &EvalAltResult, known: &[String]) -> Failure {
    match error {
        EvalAltResult::ErrorRuntime(thrown, _) => thrown_failure(thrown),
        EvalAltResult::ErrorFunctionNotFound(signature, _) => unknown_function(signature, known),
        EvalAltResult::ErrorVariableNotFound(name, _) => {
            Failure::new("UNKNOWN_VARIABLE", format!("there is no variable `{name}`"))
        }
        EvalAltResult::ErrorModuleNotFound(name, _) => {
            Failure::new("UNKNOWN_NAMESPACE", format!("there is no namespace `{name}::`"))
        }
        EvalAltResult::ErrorMismatchDataType(wanted, got, _)
        | EvalAltResult::ErrorMismatchOutputType(wanted, got, _) => {
            Failure::new("TYPE", format!("{wanted} is expected here, and this is {got}"))
        }
        EvalAltResult::ErrorArithmetic(message, _) => Failure::new("ARITHMETIC", lower_first(message)),
        EvalAltResult::ErrorAssignmentToConstant(name, _) => {
            Failure::new("CONSTANT", format!("`{name}` is constant and cannot be changed"))
        }
        EvalAltResult::ErrorArrayBounds(length, index, _) => {
            Failure::new("INDEX", format!("the array has {length} items, and none at {index}"))
        }
        EvalAltResult::ErrorParsing(kind, _) => Failure::new("SYNTAX", lower_first(&kind.to_string())),
        EvalAltResult::ErrorNonPureMethodCallOnConstant(name, _) => Failure::new(
            "CONSTANT",
            format!("`{name}` would change a constant; copy it to a variable first"),
        ),
        EvalAltResult::ErrorDataRace(..) => Failure::new(
            "IN_USE",
            "a closure given to a value's own function cannot read that value, nor can a value be put into itself; \
             copy it to another variable first",
        ),
        EvalAltResult::ErrorTerminated(..) => Failure::new("STOPPED", "the run was stopped"),
        other => {
            let mut bare = other.to_string();
            if let Some(cut) = bare.find(" (line ") {
                bare.truncate(cut);
            }
            Failure::new("SCRIPT", lower_first(&bare))
        }
    }
}

/// What a script threw: one of our maps again, or its own value.
fn thrown_failure(thrown: &rhai::Dynamic) -> Failure {
    match from_dynamic(thrown) {
        Ok(Value::Text(message)) => Failure::new("THROWN", message),
        Ok(value) => match Failure::from_thrown(&value) {
            Some(failure) => failure,
            None => Failure::new("THROWN", value.to_string()).details(value),
        },
        Err(error) => Failure::new("THROWN", error.to_string()),
    }
}

/// How Rhai's names of closures begin.
const CLOSURE: &str = "anon$";

/// Rhai names an unknown function by its signature: `kv::gett (&str | ImmutableString | String)`.
fn unknown_function(signature: &str, known: &[String]) -> Failure {
    let name = signature.split(['(', ' ']).next().unwrap_or(signature);
    let types = signature.strip_prefix(name).unwrap_or_default().trim();
    if name.starts_with(CLOSURE) {
        let message = "this closure was made in another module, and Rhai can call it only there: have that module call \
                       it, or write the closure here";
        return Failure::new("UNKNOWN_FUNCTION", message);
    }
    let exists = known.iter().any(|function| function == name);
    let mut message = if exists {
        let types = types
            .replace("&str | ImmutableString | String", "string")
            .replace("i64", "int")
            .replace("f64", "float");
        format!("`{name}` does not take {types}; `host functions {name}` shows what it takes")
    } else {
        format!("there is no function `{name}`")
    };
    if !exists && let Some(near) = nearest(name, known.iter().map(String::as_str)) {
        message.push_str(&format!("; did you mean `{near}`?"));
    }
    Failure::new(if exists { "TYPE" } else { "UNKNOWN_FUNCTION" }, message)
}

/// The name most like `name`, if one is like it at all.
pub fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    known
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= (name.chars().count() / 3).clamp(1, 4))
        .min()
        .map(|(_, candidate)| candidate)
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        // A word in capitals is a name.
        Some(first) if !letters.clone().next().is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}
