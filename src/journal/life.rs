//! Entries that tell of the run itself and not of one effect: owners, waits, decisions, other scripts.
//!
//! Each stands where it happened. What a later one makes void is not erased: it is history, and
//! [`Recorded`](super::Recorded) keeps it apart from what answers the script.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::entry::Asked;
use super::run::{RunError, Status};
use crate::id::{ContentHash, RunId, StepNo};
use crate::value::Value;

/// A new owner goes on where the journal ends. Whoever owned the run before cannot append any more: this entry stands
/// where its next one would.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resumed {
    /// Greater than that of every owner before.
    pub epoch: u32,
    /// Names the process, so that a later one knows that it is gone.
    pub boot: String,
    pub at_ms: u64,
    /// Who or what resumed it: `by hand`.
    pub by: String,
}

/// The script was unwound until something happens; its thread is free.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suspended {
    pub asked: Asked,
    pub wake: Wake,
    pub at_ms: u64,
    /// How long the run has been at work so far.
    #[serde(default)]
    pub active_ms: u64,
}

/// What a suspended run waits for. Whichever comes first wakes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wake {
    /// At this time of the run, whatever else comes: the end of a sleep, a time limit of a wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<u64>,
    pub awaited: Awaited,
}

/// What a wait is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Awaited {
    /// Nothing but the time.
    Time,
    /// The next try of an effect that failed or was kept back, for this reason.
    Attempt { why: String },
    /// The next try of a poll.
    Poll {
        /// How often it was tried.
        tries: u32,
        /// When the first try was made.
        since_ms: u64,
    },
    /// An event of this name.
    Event { name: String },
    /// A person's answer.
    Question { text: String },
    /// The end of other runs.
    Children {
        runs: Vec<RunId>,
        /// The step and the generation that their ids come from: it stays when the wait gets another number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        born: Option<(StepNo, u32)>,
    },
}

impl Awaited {
    /// In words, after "waiting for".
    pub fn in_words(&self) -> String {
        match self {
            Awaited::Time => "the time".to_owned(),
            Awaited::Attempt { why } => format!("the next attempt ({why})"),
            Awaited::Poll { tries, .. } => format!("the next try of a poll, after {tries}"),
            Awaited::Event { name } => format!("the event {name:?}"),
            Awaited::Question { text } => format!("an answer to {text:?}"),
            Awaited::Children { runs, .. } => match runs.as_slice() {
                [one] => format!("run {}", one.short()),
                several => format!("{} runs", several.len()),
            },
        }
    }
}

/// A person has said what became of a write in doubt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resolved {
    pub step: StepNo,
    pub landed: bool,
    /// What the script is given, if it landed.
    #[serde(default, skip_serializing_if = "Value::is_unit")]
    pub value: Value,
    pub reason: String,
    pub by: String,
    pub at_ms: u64,
}

/// The end that stands before this does not hold any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reopened {
    /// The effect whose error ended the run: it is asked again, and what came after it is history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepNo>,
    pub at_ms: u64,
    pub by: String,
}

/// The run goes on with another script or other inputs. All steps so far are history; those that are kept follow
/// again, under their new numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edited {
    pub file: String,
    pub version: ContentHash,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub modules: BTreeMap<String, ContentHash>,
    pub api: u32,
    /// The providers whose live writes the script may make, from its header.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<String>,
    pub input: Value,
    /// Steps before whose outcome is kept, although the script asks for something else.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub keep: BTreeSet<StepNo>,
    /// Steps before that are done once more.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub again: BTreeSet<StepNo>,
    pub at_ms: u64,
    pub by: String,
    /// The version of the project that it goes on with, where a server edits it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<u64>,
}

/// The script is over, and its clean-up begins; the run will end as this says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cleanup {
    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RunError>,
    /// The last step of the script itself.
    pub after_step: StepNo,
    pub at_ms: u64,
    /// The steps that the interpreter had taken, and whether it was stopped after them: as in the run's end.
    pub operations: u64,
    #[serde(default)]
    pub stopped: bool,
}

/// Who runs a run: nobody else may, until the claim has run out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The machine, or whatever shares its store with others under one name.
    pub node: String,
    /// The process.
    pub boot: String,
    pub epoch: u32,
    /// Unix milliseconds.
    pub until_ms: i64,
}

/// A process that owns runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub node: String,
    pub boot: String,
}

impl Owner {
    /// How long a claim holds without being renewed.
    pub const LEASE_MS: i64 = 15 * 60 * 1000;

    /// The only process on its store, named by `chance`.
    pub fn alone(chance: u64) -> Owner {
        Owner {
            node: "local".to_owned(),
            boot: format!("{chance:016x}"),
        }
    }

    pub fn lease(&self, epoch: u32, now_ms: i64) -> Lease {
        Lease {
            node: self.node.clone(),
            boot: self.boot.clone(),
            epoch,
            until_ms: now_ms + Owner::LEASE_MS,
        }
    }

    /// Whether somebody else may hold `lease` at work: another node within its time, or this very process. An earlier
    /// process of this node is gone, since a store has one owner at a time.
    pub fn is_held(&self, lease: &Lease, now_ms: i64) -> bool {
        if lease.node == self.node {
            lease.boot == self.boot
        } else {
            now_ms < lease.until_ms
        }
    }
}
