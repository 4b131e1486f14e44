//! Errors of effects, as data.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::value::{Map, Value};

/// The longest code, and the longest name of a provider, that a script can throw and find on its journal.
const CODE_CHARS_MAX: usize = 100;

/// The longest message of a failure.
const MESSAGE_CHARS_MAX: usize = 4_000;

/// The most that is kept of what else is known of a failure.
const DETAILS_BYTES_MAX: usize = 64 * 1024;

/// Why an effect has no value. It is journaled, so it is plain data with a stable code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable, for scripts and automation: `HTTP_TIMEOUT`.
    pub code: String,
    /// One sentence for people: lower case, naming value and limit.
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The HTTP status, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// For writes: whether it is known to have happened. `None` means that nobody can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landed: Option<bool>,
    /// What else is known: the provider's own words, the answer's beginning.
    #[serde(default, skip_serializing_if = "Value::is_unit")]
    pub details: Value,
}

impl Failure {
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Failure {
        Failure {
            code: code.into(),
            message: message.into(),
            ..Failure::default()
        }
    }

    pub fn provider(mut self, provider: impl Into<String>) -> Failure {
        self.provider = Some(provider.into());
        self
    }

    pub fn status(mut self, status: u16) -> Failure {
        self.status = Some(status);
        self
    }

    pub fn details(mut self, details: impl Into<Value>) -> Failure {
        self.details = details.into();
        self
    }

    pub fn landed(mut self, landed: Option<bool>) -> Failure {
        self.landed = landed;
        self
    }

    /// The map that a script's `catch` receives.
    pub fn to_value(&self) -> Value {
        let mut map = Map::from([
            ("code".to_owned(), Value::from(self.code.as_str())),
            ("message".to_owned(), Value::from(self.message.as_str())),
            ("provider".to_owned(), Value::from(self.provider.clone())),
            ("status".to_owned(), Value::from(self.status.map(i64::from))),
            (
                "retry_after".to_owned(),
                Value::from(self.retry_after_ms.map(|ms| ms as f64 / 1000.0)),
            ),
            ("landed".to_owned(), Value::from(self.landed)),
        ]);
        if !self.details.is_unit() {
            map.insert("details".to_owned(), self.details.clone());
        }
        Value::Map(map)
    }

    /// The failure that a map thrown by a script describes; `None` when the map has no code.
    pub fn from_thrown(thrown: &Value) -> Option<Failure> {
        let text = |name: &str| thrown.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Failure {
            code: text("code")?,
            message: text("message").unwrap_or_default(),
            provider: text("provider"),
            status: thrown
                .get("status")
                .and_then(Value::as_int)
                .and_then(|status| u16::try_from(status).ok()),
            retry_after_ms: thrown
                .get("retry_after")
                .and_then(Value::as_float)
                .map(|seconds| (seconds.max(0.0) * 1000.0) as u64),
            landed: thrown.get("landed").and_then(Value::as_bool),
            details: thrown.get("details").cloned().unwrap_or_default(),
        })
    }

    /// The same failure, of a length that a row can hold: a script may throw anything, and a provider may say anything.
    pub fn bounded(self) -> Failure {
        let details = match self.details.size() {
            bytes if bytes > DETAILS_BYTES_MAX => Value::from(format!("{bytes} bytes of details were left out")),
            _ => self.details,
        };
        Failure {
            code: shortened(self.code, CODE_CHARS_MAX),
            message: shortened(self.message, MESSAGE_CHARS_MAX),
            provider: self.provider.map(|provider| shortened(provider, CODE_CHARS_MAX)),
            details,
            ..self
        }
    }

    /// The same failure with every text in it passed through `change`.
    pub fn map_texts(self, change: &mut dyn FnMut(String) -> String) -> Failure {
        Failure {
            code: change(self.code),
            provider: self.provider.map(&mut *change),
            message: change(self.message),
            details: self.details.map_texts(change),
            ..self
        }
    }
}

fn shortened(text: String, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Failure {}

/// Whether a request that failed did its work all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Landed {
    /// Certainly not: it never left, or the provider documents the refusal as "nothing done".
    No,
    /// It did: the provider answered, but with nothing of use, such as a refusal to write the text that was paid for.
    Yes,
    /// Nobody can tell from here.
    Unknown,
}

/// What a door reports when it fails: the failure, and what the gate must know to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub failure: Failure,
    pub landed: Landed,
    /// Whether the same request may succeed later.
    pub passing: bool,
    /// Whether it says something about the provider's health, and so counts for the circuit.
    pub unhealthy: bool,
}

impl Fault {
    /// A refusal that will not change by asking again, and that did nothing.
    pub fn refused(failure: Failure) -> Fault {
        Fault {
            failure,
            landed: Landed::No,
            passing: false,
            unhealthy: false,
        }
    }

    /// A fault that may pass, of a request that did nothing.
    pub fn passing(failure: Failure) -> Fault {
        Fault {
            failure,
            landed: Landed::No,
            passing: true,
            unhealthy: true,
        }
    }

    /// An answer without use, of a request that did its work: asking again would do it again.
    pub fn answered(failure: Failure) -> Fault {
        Fault {
            failure,
            landed: Landed::Yes,
            passing: false,
            unhealthy: false,
        }
    }

    /// A fault after which nobody can tell whether the request did its work.
    pub fn in_doubt(failure: Failure) -> Fault {
        Fault {
            failure,
            landed: Landed::Unknown,
            passing: true,
            unhealthy: true,
        }
    }

    /// How long the provider asked to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        self.failure.retry_after_ms.map(Duration::from_millis)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        fault.failure
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Fault {
        Fault::refused(failure)
    }
}
