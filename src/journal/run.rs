//! The one row per run that lists it: its status, mode and outcome.
//!
//! Everything here can be computed from the journal; the row is written in the same batch as the entry it follows
//! from, so that lists need not read journals.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::JournalError;
use super::entry::{self, Begun, Parent};
use super::life::Lease;
use crate::effect::{Failure, Place};
use crate::id::{ContentHash, RunId, StepNo};
use crate::store::{Batch, Precondition, Store, keys};
use crate::value::{ENCODED_DEPTH_MAX, Value};

/// The version of the form in which a record is written.
const FORMAT: u8 = 1;

/// Where a run is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Created, and waiting for a thread.
    Queued,
    Running,
    /// Waiting for a time, an event, a person or another run; it has no thread.
    Suspended,
    Succeeded,
    Failed,
    Cancelled,
    /// A write is in doubt and a person must decide.
    NeedsAttention,
}

impl Status {
    /// Whether the run is over, until somebody reopens it.
    pub fn is_over(self) -> bool {
        !matches!(self, Status::Queued | Status::Running | Status::Suspended)
    }

    /// As JSON and queries name it.
    pub fn code(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Running => "running",
            Status::Suspended => "suspended",
            Status::Succeeded => "succeeded",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
            Status::NeedsAttention => "needs_attention",
        }
    }
}

/// In words, for people.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Status::NeedsAttention => "needs attention",
            other => other.code(),
        })
    }
}

/// Why a run did not succeed, and where in its playbook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    pub failure: Failure,
    pub place: Place,
    /// The effect that failed, when one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<crate::id::StepNo>,
}

/// Ends of runs that come with a step, and come again however often it is asked.
const NOT_MENDED_BY_TIME: [&str; 2] = ["NONDETERMINISM", "NOT_RECORDED"];

impl RunError {
    /// Whether the run may end otherwise when it is gone on with as it is.
    pub fn is_mended_by_time(&self) -> bool {
        let code = self.failure.code.as_str();
        match self.step {
            Some(_) => !NOT_MENDED_BY_TIME.contains(&code),
            // The disk was full, or broken: nothing of the run itself is wrong.
            None => code.starts_with("STORE_"),
        }
    }
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub status: Status,
    pub value: Value,
    pub error: Option<RunError>,
}

/// One line of `host runs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    pub run: RunId,
    pub playbook: String,
    pub file: String,
    pub version: ContentHash,
    pub status: Status,
    pub live: bool,
    pub begun_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<i64>,
    pub effects: u32,
    pub simulated: u32,
    pub cost_usd: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RunError>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// Who runs it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// What it waits for, while it is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waits>,
    /// Follows it through logs and traces; `None`: its own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corr: Option<String>,
}

/// What a suspended run waits for, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    pub step: StepNo,
    /// Unix milliseconds, when it goes on whatever else comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
    /// In words, after "waiting for".
    pub what: String,
}

impl RunRecord {
    /// The record of a run that was created and has no thread yet.
    pub fn queued(begun: &Begun) -> RunRecord {
        RunRecord {
            run: begun.run,
            playbook: begun.playbook.clone(),
            file: begun.file.clone(),
            version: begun.version,
            status: Status::Queued,
            live: begun.mode.live,
            begun_ms: begun.at_ms,
            ended_ms: None,
            effects: 0,
            simulated: 0,
            cost_usd: 0.0,
            error: None,
            parent: begun.parent,
            lease: None,
            waits: None,
            corr: begun.corr.clone(),
        }
    }

    /// What follows the run through logs and traces.
    pub fn corr(&self) -> String {
        self.corr.clone().unwrap_or_else(|| self.run.to_string())
    }

    /// Fills `batch` with a run that is ready to begin, on the condition that there is none of its id.
    pub fn create(batch: &mut Batch, begun: &Begun) {
        let run = begun.run;
        batch.require(keys::run(run), Precondition::Absent);
        batch.put(keys::run(run), RunRecord::queued(begun).encode());
        batch.put(keys::journal(run, 0), entry::encode_begun(begun));
        batch.put(keys::open(run), Vec::new());
    }

    /// The record as its row holds it: a version byte and MessagePack.
    pub fn encode(&self) -> Vec<u8> {
        let mut row = vec![FORMAT];
        let mut serializer = rmp_serde::Serializer::new(&mut row).with_struct_map();
        self.serialize(&mut serializer).expect("a record is plain data");
        row
    }

    /// From its row.
    pub fn decode(run: RunId, row: &[u8]) -> Result<RunRecord, JournalError> {
        match row.split_first() {
            Some((&FORMAT, mut body)) => {
                let mut deserializer = rmp_serde::Deserializer::new(&mut body);
                deserializer.set_max_depth(ENCODED_DEPTH_MAX);
                RunRecord::deserialize(&mut deserializer).map_err(|error| JournalError::Corrupt {
                    run,
                    entry: 0,
                    reason: error.to_string(),
                })
            }
            Some((&found, _)) => Err(JournalError::NewerFormat {
                run,
                found,
                known: FORMAT,
            }),
            None => Err(JournalError::Corrupt {
                run,
                entry: 0,
                reason: "the row is empty".to_owned(),
            }),
        }
    }

    /// The record of `run`.
    pub fn get(store: &dyn Store, run: RunId) -> Result<RunRecord, JournalError> {
        let row = store.get(&keys::run(run))?;
        let row = row.ok_or_else(|| JournalError::NoSuchRun(run.to_string()))?;
        RunRecord::decode(run, &row.value)
    }

    /// The latest runs, newest first, created at or before `before`.
    pub fn latest(store: &dyn Store, before: RunId, limit: usize) -> Result<Vec<RunRecord>, JournalError> {
        let rows = store.scan(keys::runs(RunId::from_bytes([0; 16]), before), limit, true)?;
        rows.iter()
            .map(|(key, row)| RunRecord::decode(run_of(key), &row.value))
            .collect()
    }

    /// The one run whose id begins with `prefix`.
    pub fn find(store: &dyn Store, prefix: &str) -> Result<RunRecord, JournalError> {
        let (low, high) =
            RunId::range_of(prefix).ok_or_else(|| JournalError::NoSuchRun(prefix.chars().take(40).collect()))?;
        let rows = store.scan(keys::runs(low, high), 6, false)?;
        match rows.as_slice() {
            [] => Err(JournalError::NoSuchRun(prefix.to_owned())),
            [(key, row)] => RunRecord::decode(run_of(key), &row.value),
            several => Err(JournalError::Ambiguous {
                prefix: prefix.to_owned(),
                candidates: several
                    .iter()
                    .map(|(key, _)| run_of(key).to_string())
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }
}

/// The run whose record stands under `key`.
fn run_of(key: &[u8]) -> RunId {
    match keys::parse(key) {
        Some(keys::Place::Run(run)) => run,
        _ => unreachable!("the range holds records of runs and nothing else"),
    }
}
