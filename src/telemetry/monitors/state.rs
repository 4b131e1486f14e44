//! How far a rule has come, as a row; and what becomes of it at a moment. Pure, but for the reading and writing.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::rule::{Sample, Verdict};
use super::settings::{Monitor, Severity};
use crate::id::IncidentId;
use crate::store::keys::{self, Space};
use crate::store::{Batch, Precondition, Row, Store, StoreError};

/// Messages of one rule that are kept, the latest.
const NOTICES_MAX: usize = 20;

/// What is known of a rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Of the rule that this is about: an edited one begins anew.
    pub fingerprint: String,
    /// Since when it holds, in Unix milliseconds; `None` while it does not.
    pub since_ms: Option<i64>,
    /// When people were told first that it holds.
    pub fired_ms: Option<i64>,
    /// When they were told last.
    pub told_ms: Option<i64>,
    pub incident: Option<IncidentId>,
    /// Nobody is told before this.
    pub silent_until_ms: Option<i64>,
    pub silenced_by: String,
    pub samples: Vec<Sample>,
    /// What was found last, in words.
    pub found: String,
    pub looked_ms: i64,
    pub notices: Vec<Notice>,
    /// Counts notices.
    pub number: u64,
}

/// Something that somebody is to be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// The same however often it is sent: `dead-jobs-7`.
    pub id: String,
    pub channel: String,
    pub what: What,
    pub at_ms: i64,
    pub severity: Severity,
    /// What was found, in words.
    pub found: String,
    pub incident: Option<IncidentId>,
    pub tries: u32,
    /// When it is tried next, in Unix milliseconds; `None` when it is over.
    pub next_ms: Option<i64>,
    pub sent_ms: Option<i64>,
    /// Why it was not sent, the last time; or why it will not be.
    pub why: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Fired,
    StillFiring,
    Recovered,
}

impl What {
    pub fn as_str(self) -> &'static str {
        match self {
            What::Fired => "fired",
            What::StillFiring => "still firing",
            What::Recovered => "recovered",
        }
    }
}

/// What is to be done about the rule's incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Open,
    Recover(IncidentId),
}

/// Where a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Ok,
    /// It holds, not yet for long enough.
    Pending,
    Firing,
}

impl Standing {
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Ok => "ok",
            Standing::Pending => "pending",
            Standing::Firing => "firing",
        }
    }
}

fn key(name: &str) -> Vec<u8> {
    keys::named(Space::Monitor, &[name])
}

impl State {
    /// As its row has it, with the row; a rule of which nothing is known begins.
    pub fn read(store: &dyn Store, name: &str) -> Result<(State, Option<Row>), StoreError> {
        let row = store.get(&key(name))?;
        let state = match &row {
            Some(row) => rmp_serde::from_slice(&row.value)
                .map_err(|error| StoreError::corrupt(Path::new("monitor"), error.to_string()))?,
            None => State::default(),
        };
        Ok((state, row))
    }

    /// Adds it to `batch`, on the condition that its row is still `before`.
    pub fn put(&self, batch: &mut Batch, name: &str, before: Option<&Row>) {
        let unchanged = before.map_or(Precondition::Absent, |row| Precondition::At(row.version));
        batch.require(key(name), unchanged);
        batch.put(key(name), rmp_serde::to_vec_named(self).expect("it is plain data"));
    }

    pub fn standing(&self) -> Standing {
        match (self.fired_ms, self.since_ms) {
            (Some(_), _) => Standing::Firing,
            (None, Some(_)) => Standing::Pending,
            (None, None) => Standing::Ok,
        }
    }

    pub fn is_silent(&self, now_ms: i64) -> bool {
        self.silent_until_ms.is_some_and(|until_ms| now_ms < until_ms)
    }

    /// What becomes of the rule `name` when it comes to `verdict`: the state after, and what is to be done about incidents.
    pub fn step(mut self, name: &str, monitor: &Monitor, verdict: &Verdict, now_ms: i64) -> (State, Option<Deed>) {
        self.found = verdict.to_string();
        self.looked_ms = now_ms;
        if self.silent_until_ms.is_some_and(|until_ms| until_ms <= now_ms) {
            self.silent_until_ms = None;
        }
        if !verdict.holds {
            self.since_ms = None;
            self.told_ms = None;
            let had_fired = self.fired_ms.take().is_some();
            if had_fired {
                // Also while it is silenced: whoever was told that it fired waits for this.
                self.tell(name, monitor, What::Recovered, now_ms);
            }
            let deed = self.incident.take().map(Deed::Recover);
            return (self, deed);
        }
        // A clock that was set back makes nothing longer than it was.
        let since_ms = self.since_ms.unwrap_or(now_ms).min(now_ms);
        self.since_ms = Some(since_ms);
        if now_ms - since_ms < monitor.lasts_ms() {
            return (self, None);
        }
        if self.is_silent(now_ms) {
            return (self, None);
        }
        match (self.fired_ms, self.told_ms, monitor.repeat_ms()) {
            (None, ..) => {
                self.fired_ms = Some(now_ms);
                self.told_ms = Some(now_ms);
                self.tell(name, monitor, What::Fired, now_ms);
                let deed = monitor.opens_incident().then_some(Deed::Open);
                (self, deed)
            }
            (Some(_), Some(told_ms), Some(repeat_ms)) if now_ms - told_ms >= repeat_ms => {
                self.told_ms = Some(now_ms);
                self.tell(name, monitor, What::StillFiring, now_ms);
                (self, None)
            }
            _ => (self, None),
        }
    }

    fn tell(&mut self, name: &str, monitor: &Monitor, what: What, now_ms: i64) {
        for channel in monitor.channels() {
            self.number += 1;
            self.notices.push(Notice {
                id: format!("{name}-{}", self.number),
                channel: channel.to_owned(),
                what,
                at_ms: now_ms,
                severity: monitor.severity,
                found: self.found.clone(),
                incident: self.incident,
                tries: 0,
                next_ms: Some(now_ms),
                sent_ms: None,
                why: None,
            });
        }
        let over = self.notices.len().saturating_sub(NOTICES_MAX);
        self.notices.drain(..over);
    }
}

/// Keeps the rule `name` silent until then, or lets it speak again.
pub fn silence(store: &dyn Store, name: &str, until_ms: Option<i64>, by: &str) -> Result<(), StoreError> {
    const CONFLICTS_MAX: u32 = 100;
    let mut conflicts = 0;
    loop {
        let (mut state, row) = State::read(store, name)?;
        state.silent_until_ms = until_ms;
        state.silenced_by = by.chars().take(80).collect();
        let mut batch = Batch::new();
        state.put(&mut batch, name, row.as_ref());
        match store.commit(batch, crate::store::Durability::Now) {
            Ok(_) => return Ok(()),
            Err(StoreError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
            Err(error) => return Err(error),
        }
    }
}
