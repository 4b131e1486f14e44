//! What a journal holds, entry by entry.
//!
//! An entry is a MessagePack map with one field, its kind, and named fields below. A reader ignores fields it does not
//! know, and refuses kinds it does not know. Times are milliseconds since the run began, so that a local step stays
//! small. How entries lie in rows is [`row`](super::row)'s.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use super::row::{DecodeError, FORMAT, PLAIN, decode, encode, encode_begun};
use crate::effect::{Class, Failure, Place, RunMode};
use crate::id::{ContentHash, RunId, StepNo};
use crate::value::Value;

use super::life;

/// Answers larger than this lie in a file of their own, named by their hash.
pub const INLINE_BYTES_MAX: usize = 64 * 1024;

/// One thing that happened, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// Always the first: everything the run is pinned to.
    Begun(Box<Begun>),
    /// A write is about to be sent. On disk before its first byte leaves.
    Intent(Intent),
    /// What came of one attempt that was not the last word.
    Attempt(Attempt),
    /// An effect has its outcome.
    Answer(Box<Answer>),
    /// A new owner goes on.
    Resumed(life::Resumed),
    /// The script was unwound until something happens.
    Suspended(Box<life::Suspended>),
    /// A person has said what became of a write in doubt.
    Resolved(Box<life::Resolved>),
    /// The end before this does not hold any more.
    Reopened(life::Reopened),
    /// The run goes on with another script.
    Edited(Box<life::Edited>),
    /// The script is over, and its clean-up begins.
    Cleanup(Box<life::Cleanup>),
    /// The run is over, unless it is reopened.
    Ended(Ended),
}

/// What a run is: its playbook, its input, its mode, all fixed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    pub run: RunId,
    pub playbook: String,
    /// The playbook's file, for people and for code frames.
    pub file: String,
    pub version: ContentHash,
    /// Imported modules by name, each pinned to its content.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub modules: BTreeMap<String, ContentHash>,
    /// The version of the functions that scripts see.
    pub api: u32,
    pub mode: RunMode,
    pub input: Value,
    /// Unix milliseconds; every other time counts from here.
    pub at_ms: i64,
    /// Who started it and how: `by hand`.
    pub trigger: String,
    /// Counts the owners a run has had; an intent of an earlier owner is not sent any more.
    pub epoch: u32,
    /// The run that started this one, and its step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// The run that this one does once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<RunId>,
    /// The person who started it, or started the run that did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Follows it through logs and traces: the request's that started it. `None`: its own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corr: Option<String>,
    /// What it answers to, when a trigger started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<super::Cause>,
    /// The version of the project whose prompts it renders and whose playbooks it starts, where a server began it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<u64>,
}

impl Begun {
    /// What follows the run through logs and traces, and every run that it starts.
    pub fn corr(&self) -> String {
        self.corr.clone().unwrap_or_else(|| self.run.to_string())
    }

    /// The moment `at_ms` of the run, in Unix milliseconds.
    pub fn unix_ms(&self, at_ms: u64) -> i64 {
        self.at_ms.saturating_add(i64::try_from(at_ms).unwrap_or(i64::MAX))
    }

    /// Whether a prompt is to blame that the run keeps: mending its file does not reach this run.
    pub fn keeps_cause_of(&self, failure: &Failure) -> bool {
        self.edition.is_some() && failure.code.starts_with("PROMPT_")
    }
}

/// Where a run was started by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    pub run: RunId,
    pub step: StepNo,
}

/// What was asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    pub step: StepNo,
    pub name: String,
    #[serde(default, skip_serializing_if = "is_local")]
    pub class: Class,
    #[serde(default, skip_serializing_if = "is_empty")]
    pub args: Value,
    pub place: Place,
}

/// The promise to send a write, with all that is needed to find out later whether it landed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    pub asked: Asked,
    /// Counted from 1.
    pub attempt: u32,
    /// The same for every attempt of the step.
    pub key: String,
    pub at_ms: u64,
    /// When the request is no longer sent, if it has not been by then.
    pub send_deadline_ms: u64,
    pub epoch: u32,
    /// What governance said, for a publish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
}

/// What came of one attempt, when it was not the effect's outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    pub step: StepNo,
    pub attempt: u32,
    pub error: Failure,
    pub at_ms: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub took_ms: u64,
    /// How long the gate waits before the next attempt.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub wait_ms: u64,
    /// A write of which nobody knows whether it landed: the next attempt goes out under the same key.
    #[serde(default, skip_serializing_if = "is_false")]
    pub in_doubt: bool,
    /// Nobody could tell whether it landed, and it is sent again all the same.
    #[serde(default, skip_serializing_if = "is_false")]
    pub perhaps_landed: bool,
}

/// An effect's outcome: the last word on its step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub asked: Asked,
    /// The value, when there is one and it is small.
    #[serde(default, skip_serializing_if = "Value::is_unit")]
    pub value: Value,
    /// The file that holds the value, when it is large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<ContentHash>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// When it was asked.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub at_ms: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub took_ms: u64,
    /// Why the answer is a simulation, when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated: Option<String>,
    /// What governance said, for a publish that was never sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// In US dollars, where the provider charges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// How often it was attempted, when more than once.
    #[serde(default, skip_serializing_if = "is_zero_32")]
    pub attempts: u32,
    /// Nobody could tell whether the write landed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub in_doubt: bool,
    /// The step before an edit whose answer this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<StepNo>,
}

impl Answer {
    /// This answer, with an error for an outcome.
    pub fn failed(self, failure: Failure) -> Answer {
        Answer {
            error: Some(failure),
            ..self
        }
    }
}

/// How the run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    pub status: super::Status,
    #[serde(default, skip_serializing_if = "Value::is_unit")]
    pub value: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<ContentHash>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<super::run::RunError>,
    pub at_ms: u64,
    /// The steps that the interpreter took.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub operations: u64,
    /// Whether it was stopped, after so many steps, by what no entry tells: a limit, the disk, a person.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stopped: bool,
    /// What went wrong in the clean-up after the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleanup_error: Option<Box<super::run::RunError>>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_zero_32(number: &u32) -> bool {
    *number == 0
}

fn is_false(truth: &bool) -> bool {
    !truth
}

fn is_local(class: &Class) -> bool {
    *class == Class::Local
}

fn is_empty(args: &Value) -> bool {
    matches!(args, Value::Unit) || args.as_map().is_some_and(|map| map.is_empty())
}
