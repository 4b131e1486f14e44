//! Incidents: runs that are held, with what people found out about them.
//!
//! An incident is one row: a format version and MessagePack. It is changed under the version it was read at, so two
//! people who write to it at once both get through, one after the other. Beside it stands one *pin* for each of its
//! runs, written in the same batch; whoever clears away old runs asks [`is_pinned`]. A closed incident still holds its
//! runs, until they are unpinned.
//!
//! A run that ends with a write in doubt, or fails under a playbook that says so, opens an incident in the batch of
//! its end ([`open_in`]). That one bears the run's own letters, so a run that is resumed and ends so again finds it.

mod duty;
mod opening;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::duty::{Duty, Ladder, Level, Overdue, Rung};
pub use self::opening::{note_in, open_in};
use super::JournalError;
use crate::id::{IncidentId, RunId};
use crate::store::{Batch, CommitNo, Precondition, Store, StoreError, keys};
use crate::value::ENCODED_DEPTH_MAX;

/// The version of the form that is written.
const FORMAT: u8 = 1;

/// Runs that one incident holds.
pub const RUNS_MAX: usize = 500;
/// What one incident remembers of itself.
pub const EVENTS_MAX: usize = 2_000;
/// The longest note, and the longest reason for closing.
pub const NOTE_BYTES_MAX: usize = 8 << 10;
/// The longest title.
pub const TITLE_CHARS_MAX: usize = 200;
/// The longest name of somebody who writes.
const AUTHOR_CHARS_MAX: usize = 80;
/// Incidents that are listed at once.
pub const LISTED_MAX: usize = 10_000;

/// Who opens incidents when no person does.
pub const HOST: &str = "host";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Open,
    Closed,
}

/// What opened an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenedBy {
    /// The playbook says `on_failure: "incident"`, and its run failed.
    Rule,
    /// A write is in doubt.
    InDoubt,
    Hand,
    /// The host's watchdog saw that something did not happen.
    Watchdog,
    /// A rule of `[monitors]` held.
    Monitor,
}

/// One line of an incident's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Unix milliseconds.
    pub at_ms: i64,
    pub by: String,
    pub what: Happened,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    Opened {
        why: String,
    },
    Pinned {
        runs: Vec<RunId>,
    },
    Unpinned {
        runs: Vec<RunId>,
    },
    Noted {
        text: String,
    },
    Closed {
        reason: String,
    },
    /// The run that opened it has been resumed, and ended badly again.
    Again {
        run: RunId,
        why: String,
    },
    /// Somebody has it in hand now.
    Assigned {
        owner: String,
        /// When that person expects it to be solved, in Unix milliseconds.
        eta_ms: Option<i64>,
    },
    Escalated {
        from: Level,
        to: Level,
        why: String,
    },
    /// A playbook was run to solve it.
    Procedure {
        playbook: String,
        run: RunId,
    },
}

/// Runs that are held, and their story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    pub id: IncidentId,
    pub title: String,
    pub state: State,
    pub opened_by: OpenedBy,
    pub opened_ms: i64,
    pub runs: BTreeSet<RunId>,
    /// Who has it in hand, and how high it has risen.
    #[serde(default)]
    pub duty: Duty,
    /// Oldest first; the first is always that it was opened.
    pub events: Vec<Event>,
}

/// Why an incident is not found, not readable or not changed.
#[derive(Debug, thiserror::Error)]
pub enum IncidentError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("incident {id} cannot be read: {reason}; restore the store from a backup")]
    Corrupt { id: IncidentId, reason: String },
    #[error("incident {id} has format {found}, this host knows up to {FORMAT}: use the newer host")]
    NewerFormat { id: IncidentId, found: u8 },
    #[error("no incident begins with {0:?}: `host incident list` shows them")]
    NotFound(String),
    #[error("{prefix:?} could be any of these incidents: {candidates}; type more of the id")]
    Ambiguous { prefix: String, candidates: String },
    #[error("{what} has {found}; at most {most} are allowed")]
    Limit {
        what: &'static str,
        found: usize,
        most: usize,
    },
    #[error("{0} is empty: write what you know")]
    Empty(&'static str),
    #[error("incident {} does not hold run {}", .id.short(), .run.short())]
    NotPinned { id: IncidentId, run: RunId },
    #[error("incident {} is closed already", .0.short())]
    Closed(IncidentId),
    #[error("incident {} is at {level} already{}", .id.short(), if *.level == Level::HIGHEST { ", and there is none above" } else { "" })]
    Level { id: IncidentId, level: Level },
    #[error("the time at which it shall be solved has passed: {0}")]
    EtaPassed(String),
}

impl IncidentError {
    pub fn code(&self) -> &'static str {
        match self {
            IncidentError::Store(error) => error.code(),
            IncidentError::Journal(error) => error.code(),
            IncidentError::Corrupt { .. } => "INCIDENT_CORRUPT",
            IncidentError::NewerFormat { .. } => "INCIDENT_NEWER_FORMAT",
            IncidentError::NotFound(_) => "INCIDENT_NOT_FOUND",
            IncidentError::Ambiguous { .. } => "INCIDENT_AMBIGUOUS",
            IncidentError::Limit { .. } => "INCIDENT_LIMIT",
            IncidentError::Empty(_) => "INCIDENT_EMPTY",
            IncidentError::NotPinned { .. } => "INCIDENT_NOT_PINNED",
            IncidentError::Closed(_) => "INCIDENT_CLOSED",
            IncidentError::Level { .. } => "INCIDENT_LEVEL",
            IncidentError::EtaPassed(_) => "INCIDENT_ETA_PASSED",
        }
    }
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Closed => "closed",
        }
    }
}

impl OpenedBy {
    /// As JSON names it.
    pub fn code(self) -> &'static str {
        match self {
            OpenedBy::Rule => "rule",
            OpenedBy::InDoubt => "in_doubt",
            OpenedBy::Hand => "hand",
            OpenedBy::Watchdog => "watchdog",
            OpenedBy::Monitor => "monitor",
        }
    }
}

/// In words, for people.
impl fmt::Display for OpenedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            OpenedBy::Rule => "by its playbook's rule",
            OpenedBy::InDoubt => "by a write in doubt",
            OpenedBy::Hand => "by hand",
            OpenedBy::Watchdog => "by the watchdog",
            OpenedBy::Monitor => "by a monitor",
        })
    }
}

fn within(what: &'static str, found: usize, most: usize) -> Result<(), IncidentError> {
    if found > most {
        return Err(IncidentError::Limit { what, found, most });
    }
    Ok(())
}

impl Incident {
    /// One that `by` opens.
    pub fn open(
        id: IncidentId,
        title: &str,
        opened_by: OpenedBy,
        by: &str,
        at_ms: i64,
    ) -> Result<Incident, IncidentError> {
        let title = title.trim();
        if title.is_empty() {
            return Err(IncidentError::Empty("the title"));
        }
        within("the title (in characters)", title.chars().count(), TITLE_CHARS_MAX)?;
        let mut incident = Incident {
            id,
            title: title.to_owned(),
            state: State::Open,
            opened_by,
            opened_ms: at_ms,
            runs: BTreeSet::new(),
            duty: Duty::since(at_ms),
            events: Vec::new(),
        };
        let why = opened_by.to_string();
        incident.happened(Happened::Opened { why }, by, at_ms)?;
        Ok(incident)
    }

    /// Holds `runs`; those it holds already are left out.
    pub fn pin(&mut self, runs: &[RunId], by: &str, at_ms: i64) -> Result<Vec<RunId>, IncidentError> {
        let new: BTreeSet<RunId> = runs.iter().filter(|run| !self.runs.contains(run)).copied().collect();
        within("the incident (in runs)", self.runs.len() + new.len(), RUNS_MAX)?;
        let runs: Vec<RunId> = new.into_iter().collect();
        if !runs.is_empty() {
            self.runs.extend(&runs);
            self.happened(Happened::Pinned { runs: runs.clone() }, by, at_ms)?;
        }
        Ok(runs)
    }

    /// Lets go of `runs`.
    pub fn unpin(&mut self, runs: &[RunId], by: &str, at_ms: i64) -> Result<(), IncidentError> {
        for run in runs {
            if !self.runs.remove(run) {
                return Err(IncidentError::NotPinned { id: self.id, run: *run });
            }
        }
        self.happened(Happened::Unpinned { runs: runs.to_vec() }, by, at_ms)
    }

    /// The run that is held and whose id begins with `prefix`; it may be gone from the store.
    pub fn held(&self, prefix: &str) -> Result<RunId, IncidentError> {
        let unknown = || JournalError::NoSuchRun(prefix.chars().take(40).collect());
        let (low, high) = RunId::range_of(prefix).ok_or_else(unknown)?;
        let found: Vec<&RunId> = self.runs.range(low..=high).collect();
        match found.as_slice() {
            [] => Err(IncidentError::NotPinned { id: self.id, run: low }),
            [run] => Ok(**run),
            several => Err(JournalError::Ambiguous {
                prefix: prefix.to_owned(),
                candidates: several.iter().map(|run| run.to_string()).collect::<Vec<_>>().join(", "),
            }
            .into()),
        }
    }

    pub fn note(&mut self, text: &str, by: &str, at_ms: i64) -> Result<(), IncidentError> {
        if text.trim().is_empty() {
            return Err(IncidentError::Empty("the note"));
        }
        within("the note (in bytes)", text.len(), NOTE_BYTES_MAX)?;
        let text = text.trim().to_owned();
        self.happened(Happened::Noted { text }, by, at_ms)
    }

    pub fn close(&mut self, reason: &str, by: &str, at_ms: i64) -> Result<(), IncidentError> {
        if self.state == State::Closed {
            return Err(IncidentError::Closed(self.id));
        }
        within("the reason (in bytes)", reason.len(), NOTE_BYTES_MAX)?;
        self.state = State::Closed;
        let reason = reason.trim().to_owned();
        self.happened(Happened::Closed { reason }, by, at_ms)
    }

    fn happened(&mut self, what: Happened, by: &str, at_ms: i64) -> Result<(), IncidentError> {
        within("the incident's history (in lines)", self.events.len() + 1, EVENTS_MAX)?;
        let by = by.chars().take(AUTHOR_CHARS_MAX).collect();
        self.events.push(Event { at_ms, by, what });
        Ok(())
    }

    /// What people wrote, oldest first.
    pub fn notes(&self) -> impl Iterator<Item = (&Event, &str)> {
        self.events.iter().filter_map(|event| match &event.what {
            Happened::Noted { text } => Some((event, text.as_str())),
            _ => None,
        })
    }

    /// When it was closed, if it is.
    pub fn closed_ms(&self) -> Option<i64> {
        let closed = |event: &&Event| matches!(event.what, Happened::Closed { .. });
        let last = self.events.iter().rev().find(closed)?;
        (self.state == State::Closed).then_some(last.at_ms)
    }

    /// As its row holds it.
    pub fn encode(&self) -> Vec<u8> {
        let mut row = vec![FORMAT];
        let mut serializer = rmp_serde::Serializer::new(&mut row).with_struct_map();
        self.serialize(&mut serializer).expect("an incident is plain data");
        row
    }

    /// From its row, which must be that of `id`.
    pub fn decode(id: IncidentId, row: &[u8]) -> Result<Incident, IncidentError> {
        let corrupt = |reason: String| IncidentError::Corrupt { id, reason };
        let mut body = match row.split_first() {
            Some((&FORMAT, body)) => body,
            Some((&found, _)) if found > FORMAT => return Err(IncidentError::NewerFormat { id, found }),
            _ => return Err(corrupt("its row has no format".to_owned())),
        };
        let mut deserializer = rmp_serde::Deserializer::new(&mut body);
        deserializer.set_max_depth(ENCODED_DEPTH_MAX);
        let incident = Incident::deserialize(&mut deserializer).map_err(|error| corrupt(error.to_string()))?;
        if incident.id != id || !body.is_empty() {
            return Err(corrupt("its row does not hold what its key says".to_owned()));
        }
        Ok(incident)
    }
}

/// An incident as it was read, to be changed on the condition that nobody else did.
#[derive(Clone, Debug)]
pub struct Stored {
    pub incident: Incident,
    version: CommitNo,
}

/// The incident `id`, if there is one.
pub fn load(store: &dyn Store, id: IncidentId) -> Result<Option<Stored>, IncidentError> {
    let Some(row) = store.get(&keys::incident(id))? else {
        return Ok(None);
    };
    Ok(Some(Stored {
        incident: Incident::decode(id, &row.value)?,
        version: row.version,
    }))
}

/// The one incident whose id begins with `prefix`.
pub fn find(store: &dyn Store, prefix: &str) -> Result<Stored, IncidentError> {
    let unknown = || IncidentError::NotFound(prefix.chars().take(40).collect());
    let (low, high) = IncidentId::range_of(prefix).ok_or_else(unknown)?;
    let rows = store.scan(keys::incidents(low, high), 6, false)?;
    match rows.as_slice() {
        [] => Err(unknown()),
        [(key, row)] => Ok(Stored {
            incident: Incident::decode(incident_of(key), &row.value)?,
            version: row.version,
        }),
        several => Err(IncidentError::Ambiguous {
            prefix: prefix.to_owned(),
            candidates: several
                .iter()
                .map(|(key, _)| incident_of(key).to_string())
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}

/// All incidents, the one opened last first.
pub fn list(store: &dyn Store) -> Result<Vec<Incident>, IncidentError> {
    let (low, high) = (IncidentId::from_bytes([0; 16]), IncidentId::from_bytes([0xff; 16]));
    let rows = store.scan(keys::incidents(low, high), LISTED_MAX, true)?;
    let mut found = rows
        .iter()
        .map(|(key, row)| Incident::decode(incident_of(key), &row.value))
        .collect::<Result<Vec<_>, _>>()?;
    found.sort_by_key(|incident| std::cmp::Reverse((incident.opened_ms, incident.id)));
    Ok(found)
}

/// The incidents that hold `run`.
pub fn of_run(store: &dyn Store, run: RunId) -> Result<Vec<IncidentId>, StoreError> {
    let rows = store.scan(keys::pins_of(run), LISTED_MAX, false)?;
    let incident = |key: &[u8]| match keys::parse(key) {
        Some(keys::Place::Pin { incident, .. }) => Some(incident),
        _ => None,
    };
    Ok(rows.iter().filter_map(|(key, _)| incident(key)).collect())
}

/// Whether an incident holds `run`: then its journal, scripts, prompts and large values stay.
pub fn is_pinned(store: &dyn Store, run: RunId) -> Result<bool, StoreError> {
    Ok(!store.scan(keys::pins_of(run), 1, false)?.is_empty())
}

/// Adds to `batch` what makes `before` into `after`; every run that is newly held must still be there then.
pub fn save_in(
    batch: &mut Batch,
    store: &dyn Store,
    before: Option<&Stored>,
    after: &Incident,
) -> Result<(), IncidentError> {
    let none = BTreeSet::new();
    let held = before.map_or(&none, |before| &before.incident.runs);
    for run in after.runs.difference(held) {
        let row = store
            .get(&keys::run(*run))?
            .ok_or_else(|| JournalError::NoSuchRun(run.to_string()))?;
        batch.require(keys::run(*run), Precondition::At(row.version));
    }
    write_in(batch, before, after);
    Ok(())
}

fn write_in(batch: &mut Batch, before: Option<&Stored>, after: &Incident) {
    let none = BTreeSet::new();
    let held = before.map_or(&none, |before| &before.incident.runs);
    let key = keys::incident(after.id);
    let unchanged = before.map_or(Precondition::Absent, |before| Precondition::At(before.version));
    batch.require(key.clone(), unchanged);
    batch.put(key, after.encode());
    for run in after.runs.difference(held) {
        batch.put(keys::pin(*run, after.id), Vec::new());
    }
    for run in held.difference(&after.runs) {
        batch.delete(keys::pin(*run, after.id));
    }
}

/// The incident whose row stands under `key`.
fn incident_of(key: &[u8]) -> IncidentId {
    match keys::parse(key) {
        Some(keys::Place::Incident(id)) => id,
        _ => unreachable!("the range holds incidents and nothing else"),
    }
}
