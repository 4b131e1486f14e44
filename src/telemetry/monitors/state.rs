//! How far a rule has come, as a row; and what becomes of it at a moment. Pure, but for the reading and writing.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::rule::{Sample, Verdict};
use super::settings::{Monitor, Severity, TOLD_MAX};
use crate::id::IncidentId;
use crate::store::keys::{self, Place, Space};
use crate::store::{Batch, Precondition, Row, Store, StoreError};

/// Messages of one rule that are kept, the latest; more than a few times what one firing tells.
const NOTICES_MAX: usize = 3 * TOLD_MAX;

/// A rule that fired so often within so long goes to and fro: then it is over when it has not held for a while.
const FLAPS_MAX: usize = 3;
const FLAPS_WITHIN_MS: i64 = 3_600_000;
const FLAPS_REST_MS: i64 = 600_000;

/// Rows that are looked through for rules that are not there any more.
const KNOWN_MAX: usize = 1_000;

/// When nobody has looked for longer than this, nobody knows whether it held meanwhile.
const UNSEEN_MAX_MS: i64 = 3_600_000;

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
    /// Since when it does not hold any more, though it is not over.
    pub calm_ms: Option<i64>,
    /// When it fired within the last hour, as often as matters.
    pub firings: Vec<i64>,
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
        let looked_ms = std::mem::replace(&mut self.looked_ms, now_ms);
        self.found = verdict.to_string();
        if self.silent_until_ms.is_some_and(|until_ms| until_ms <= now_ms) {
            self.silent_until_ms = None;
        }
        if self.standing() == Standing::Pending && now_ms - looked_ms > UNSEEN_MAX_MS {
            self.since_ms = None;
        }
        if !verdict.holds {
            return self.calm(name, monitor, now_ms);
        }
        self.calm_ms = None;
        // A clock that was set back makes nothing longer than it was.
        let since_ms = self.since_ms.unwrap_or(now_ms).min(now_ms);
        self.since_ms = Some(since_ms);
        if now_ms - since_ms < monitor.lasts_ms() {
            return (self, None);
        }
        if self.is_silent(now_ms) {
            return (self, None);
        }
        match (self.fired_ms, monitor.repeat_ms()) {
            (None, _) => {
                self.fired_ms = Some(now_ms);
                self.told_ms = Some(now_ms);
                self.firings.retain(|fired_ms| now_ms - fired_ms < FLAPS_WITHIN_MS);
                self.firings.push(now_ms);
                let over = self.firings.len().saturating_sub(FLAPS_MAX);
                self.firings.drain(..over);
                self.tell(name, monitor, What::Fired, now_ms);
                let deed = monitor.opens_incident().then_some(Deed::Open);
                (self, deed)
            }
            (Some(fired_ms), Some(repeat_ms)) if now_ms - self.told_ms.unwrap_or(fired_ms) >= repeat_ms => {
                self.told_ms = Some(now_ms);
                self.tell(name, monitor, What::StillFiring, now_ms);
                (self, None)
            }
            _ => (self, None),
        }
    }

    /// What becomes of it when it does not hold.
    fn calm(mut self, name: &str, monitor: &Monitor, now_ms: i64) -> (State, Option<Deed>) {
        if self.fired_ms.is_some() {
            let calm_ms = self.calm_ms.unwrap_or(now_ms).min(now_ms);
            self.calm_ms = Some(calm_ms);
            let rest_ms = if self.goes_to_and_fro(now_ms) { FLAPS_REST_MS } else { 0 };
            if now_ms - calm_ms < monitor.recovers_ms().max(rest_ms) {
                return (self, None);
            }
            // Also while it is silenced: whoever was told that it fired waits for this.
            self.tell(name, monitor, What::Recovered, now_ms);
        }
        self.since_ms = None;
        self.told_ms = None;
        self.fired_ms = None;
        self.calm_ms = None;
        let deed = self.incident.take().map(Deed::Recover);
        (self, deed)
    }

    /// Whether it has fired so often lately that one more time says nothing new.
    pub fn goes_to_and_fro(&self, now_ms: i64) -> bool {
        let lately = self
            .firings
            .iter()
            .filter(|fired_ms| now_ms - **fired_ms < FLAPS_WITHIN_MS);
        lately.count() >= FLAPS_MAX
    }

    /// The same after the clock on the wall was set by so much: how long something lasts does not change by that.
    pub fn shifted(mut self, by_ms: i64) -> State {
        let moments = [
            &mut self.since_ms,
            &mut self.fired_ms,
            &mut self.told_ms,
            &mut self.calm_ms,
        ];
        let moments = moments.into_iter().flatten().chain(&mut self.firings);
        let samples = self.samples.iter_mut().map(|sample| &mut sample.at_ms);
        let next = self.notices.iter_mut().filter_map(|notice| notice.next_ms.as_mut());
        for moment in moments.chain(samples).chain(next).chain([&mut self.looked_ms]) {
            *moment = moment.saturating_add(by_ms);
        }
        self
    }

    /// The message whose turn it is in each channel: the first that is not over. What comes later waits for it, so that nobody
    /// is told of a recovery before the firing.
    pub fn turns(&self) -> impl Iterator<Item = &Notice> {
        let mut known = std::collections::BTreeSet::new();
        let waiting = self.notices.iter().filter(|notice| notice.next_ms.is_some());
        waiting.filter(move |notice| known.insert(notice.channel.as_str()))
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
        // What is over goes first.
        while self.notices.len() > NOTICES_MAX {
            let over = self.notices.iter().position(|notice| notice.next_ms.is_none());
            let gone = self.notices.remove(over.unwrap_or(0));
            if gone.next_ms.is_some() {
                tracing::error!(
                    monitor = name,
                    channel = gone.channel,
                    id = gone.id,
                    "too many messages wait: this one is given up"
                );
            }
        }
    }
}

/// Lets go of what is known of the rule `name`, whose row is `row`.
pub fn forget(batch: &mut Batch, name: &str, row: &Row) {
    batch.require(key(name), Precondition::At(row.version));
    batch.delete(key(name));
}

/// The rules of which something is known.
pub fn known(store: &dyn Store) -> Result<Vec<String>, StoreError> {
    let rows = store.scan(keys::prefix_range(keys::named(Space::Monitor, &[])), KNOWN_MAX, false)?;
    let names = rows.iter().filter_map(|(key, _)| match keys::parse(key)? {
        Place::Named { names, .. } => names.into_iter().next(),
        _ => None,
    });
    Ok(names.collect())
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
