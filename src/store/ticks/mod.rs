//! The ledger of ticks: what is planned of each schedule, what became of each tick, and what is paused.
//!
//! A schedule's row says which tick comes next; it is written before that tick is due. A row of [due](due_until) ticks in
//! the past is therefore a tick that nobody has looked at: what waits or is held has none.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`tick`] | a tick's fate, and why |
//! | [`pause`] | what starts nothing until somebody resumes it |

pub mod pause;
pub mod tick;

pub use pause::{Pause, Pauses, Resumed};
pub use tick::{Fate, Tick, Why};

use std::ops::ControlFlow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::keys::{self, Place};
use super::large::damaged;
use super::{Batch, CommitNo, Store, StoreError};
use crate::id::RunId;

/// The version of the form in which rows are written.
const FORMAT: u8 = 1;

/// Names a schedule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScheduleId {
    pub playbook: String,
    pub schedule: String,
}

/// What is planned of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// As the header writes it.
    pub written: String,
    pub zone: String,
    /// From where lengths of time are counted: when it was first seen, or its last tick.
    pub anchor_ms: i64,
    /// The last tick that has a fate other than superseded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ms: Option<i64>,
    /// `None` when it never fires again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
    #[serde(default)]
    pub state: State,
    /// How ticks up to a moment are judged, where not by the header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
}

/// The tick that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    pub planned_ms: i64,
    /// With its jitter.
    pub due_ms: i64,
}

/// What stands in the way of the next tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing but the time.
    #[default]
    Ready,
    /// It is paused.
    Held,
    /// This run is not over.
    Waiting(RunId),
}

/// Ticks up to `until_ms` are judged so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub until_ms: i64,
    pub how: Judged,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judged {
    /// They came due while an earlier run was not over.
    Queued,
    /// They were planned for a time in which nothing was started.
    Paused(Resumed),
}

impl Ledger {
    /// Whether somebody must look at it at a certain time: its row among those due.
    pub fn due_ms(&self) -> Option<i64> {
        match self.state {
            State::Ready => self.next.map(|next| next.due_ms),
            State::Held | State::Waiting(_) => None,
        }
    }

    /// Fills `batch` with this in place of `before`.
    pub fn put(&self, batch: &mut Batch, id: &ScheduleId, before: Option<&Ledger>) {
        id.forget_due(batch, before.and_then(Ledger::due_ms));
        batch.put(keys::schedule(&id.playbook, &id.schedule), encode(self));
        if let Some(due_ms) = self.due_ms() {
            batch.put(keys::due(due_ms, &id.playbook, &id.schedule), Vec::new());
        }
    }
}

impl ScheduleId {
    /// Fills `batch` with the end of what is planned of it. Its ticks stay.
    pub fn remove(&self, batch: &mut Batch, before: &Ledger) {
        self.forget_due(batch, before.due_ms());
        batch.delete(keys::schedule(&self.playbook, &self.schedule));
    }

    fn forget_due(&self, batch: &mut Batch, due_ms: Option<i64>) {
        if let Some(due_ms) = due_ms {
            batch.delete(keys::due(due_ms, &self.playbook, &self.schedule));
        }
    }
}

/// Every schedule, those of one playbook alone when there is one, with the commit that wrote each.
pub fn schedules(store: &dyn Store, playbook: Option<&str>) -> Result<Vec<(ScheduleId, Ledger, CommitNo)>, StoreError> {
    let mut found = Vec::new();
    each(store, keys::schedules(playbook), |place, value, version| {
        if let Place::Schedule { playbook, schedule } = place {
            let ledger = decode(value, || format!("schedule {schedule} of {playbook}"))?;
            found.push((ScheduleId { playbook, schedule }, ledger, version));
        }
        Ok(())
    })?;
    Ok(found)
}

/// A tick that is due, and nobody has looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    pub id: ScheduleId,
    pub due_ms: i64,
}

/// The first `limit` ticks that were due at `until_ms` and have no fate, the earliest first.
pub fn due_until(store: &dyn Store, until_ms: i64, limit: usize) -> Result<Vec<Unseen>, StoreError> {
    let mut found = Vec::new();
    store.visit(keys::all_due(), &mut |key, _, _| match keys::parse(key) {
        Some(Place::Due {
            due_ms,
            playbook,
            schedule,
        }) if due_ms <= until_ms && found.len() < limit => {
            let id = ScheduleId { playbook, schedule };
            found.push(Unseen { id, due_ms });
            ControlFlow::Continue(())
        }
        _ => ControlFlow::Break(()),
    })?;
    Ok(found)
}

/// Shows rows to `see`, and stops at the first that cannot be read.
fn each(
    store: &dyn Store,
    range: super::KeyRange,
    mut see: impl FnMut(Place, &[u8], CommitNo) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut seen = Ok(());
    store.visit(range, &mut |key, value, version| {
        if let Some(place) = keys::parse(key) {
            seen = see(place, value, version);
        }
        match seen {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    seen
}

fn encode(row: &impl Serialize) -> Vec<u8> {
    let mut bytes = vec![FORMAT];
    let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
    row.serialize(&mut serializer).expect("a row is plain data");
    bytes
}

fn decode<T: DeserializeOwned>(bytes: &[u8], name: impl FnOnce() -> String) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&FORMAT, body)) => rmp_serde::from_slice(body).map_err(|error| damaged(name(), &error.to_string())),
        _ => Err(damaged(name(), "it was written by a newer host")),
    }
}
