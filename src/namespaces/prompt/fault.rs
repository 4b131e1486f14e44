//! What can be wrong with a prompt, and where.

use crate::effect::{Failure, Place};
use crate::script::Diagnosis;
use crate::script::source::Text;
use crate::value::Value;

/// A place in a prompt's file, and what is said about it.
#[derive(Clone, Debug)]
pub struct Spot {
    pub text: Text,
    /// Counted from 1; 0 when unknown.
    pub line: usize,
    /// Counted from 1; 0 when unknown.
    pub column: usize,
    pub reason: String,
}

/// Why a prompt was not rendered.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PromptFault {
    #[error("{name:?} is no name of a prompt: {reason}")]
    Name { name: String, reason: &'static str },
    #[error("there is no prompt {name:?} (looked for {}){hint}", looked_for.join(", "))]
    NotFound {
        name: String,
        looked_for: Vec<String>,
        hint: String,
    },
    #[error("{what} has more than {bytes_max} bytes; shorten it, or give it less to say")]
    TooLarge { what: String, bytes_max: usize },
    /// The door to the files refused.
    #[error("{}", .0.message)]
    File(Failure),
    /// The text itself is wrong.
    #[error("{}", shown(.0))]
    Broken(Spot),
    /// It uses what it was not given.
    #[error("{}", shown(.0))]
    Variable(Spot),
}

impl PromptFault {
    /// The stable name of this fault.
    pub fn code(&self) -> &str {
        match self {
            PromptFault::Name { .. } | PromptFault::NotFound { .. } => "PROMPT_NOT_FOUND",
            PromptFault::TooLarge { .. } => "PROMPT_TOO_LARGE",
            PromptFault::File(failure) => &failure.code,
            PromptFault::Broken(_) => "PROMPT_BROKEN",
            PromptFault::Variable(_) => "PROMPT_VARIABLE",
        }
    }

    /// The same, ready to be shown with its code frame. `text` is the prompt that was asked for.
    pub fn diagnosis(&self, text: &Text) -> Diagnosis {
        match self {
            PromptFault::Broken(spot) | PromptFault::Variable(spot) => {
                let place = Place {
                    line: spot.line as u32,
                    column: spot.column as u32,
                    module: None,
                };
                Diagnosis::new(self.code(), spot.reason.clone(), spot.text.clone()).at(place)
            }
            other => Diagnosis::new(other.code(), other.to_string(), text.clone()),
        }
    }
}

impl From<PromptFault> for Failure {
    fn from(fault: PromptFault) -> Failure {
        let failure = Failure::new(fault.code(), fault.to_string());
        match fault {
            PromptFault::Broken(spot) | PromptFault::Variable(spot) => failure.details(Value::from([
                ("file", spot.text.file.as_str().into()),
                ("line", (spot.line as i64).into()),
                ("source", spot.source_line().into()),
            ])),
            _ => failure,
        }
    }
}

impl Spot {
    /// The place `at` bytes into `text`.
    pub fn at(text: &Text, at: usize, reason: impl Into<String>) -> Spot {
        let before = text.text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        Spot {
            text: text.clone(),
            line,
            column,
            reason: reason.into(),
        }
    }

    fn source_line(&self) -> String {
        const CHARS_MAX: usize = 120;
        let line = self
            .line
            .checked_sub(1)
            .and_then(|line| self.text.text.lines().nth(line));
        line.unwrap_or_default().trim().chars().take(CHARS_MAX).collect()
    }
}

/// File and line, what is wrong, and the line itself.
fn shown(spot: &Spot) -> String {
    let Spot { text, line, reason, .. } = spot;
    match (line, spot.source_line()) {
        (0, _) => format!("{}: {reason}", text.file),
        (line, source) if source.is_empty() => format!("{}:{line}: {reason}", text.file),
        (line, source) => format!("{}:{line}: {reason}, in: {source}", text.file),
    }
}
