//! Events: what somebody outside says has happened, for runs that wait for it.
//!
//! Events of one name are numbered. Each waiting run remembers how far it has come, so it sees every event once, in
//! order, and also one that came between its beginning and its wait. Whoever waits and whoever emits both write the
//! name's head row, each on the condition that it has not moved: so no event comes unseen between a look and a wait.

use std::ops::Bound;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{JournalError, RunRecord, Status};
use crate::id::RunId;
use crate::store::keys::{self, Place, Space};
use crate::store::overlay::is_below;
use crate::store::tx::Ground;
use crate::store::{Batch, Durability, Realm, Row, StoreError, Tx};
use crate::value::Value;

/// The longest name.
pub const NAME_BYTES_MAX: usize = 200;

/// The most that an event carries.
pub const DATA_BYTES_MAX: usize = 64 * 1024;

/// Events of one name that are kept.
const KEPT_MAX: u64 = 1000;

/// Rows read at a time.
const ROWS_AT_ONCE: usize = 1024;

const CONFLICTS_MAX: u32 = 10_000;

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Head {
    next: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Event {
    at_ms: i64,
    data: Value,
    /// The run that said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<RunId>,
    /// The correlation id of that run, or of the request that said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    corr: Option<String>,
}

/// How far a run has come with the events of a name.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Waiter {
    next: u64,
    waits: bool,
}

fn head_key(realm: Realm, name: &str) -> Vec<u8> {
    keys::named(Space::Event, &[&realm.to_string(), name])
}

fn event_key(realm: Realm, name: &str, number: u64) -> Vec<u8> {
    keys::named(Space::Event, &[&realm.to_string(), name, &format!("{number:020}")])
}

fn waiter_key(realm: Realm, name: &str, run: RunId) -> Vec<u8> {
    keys::named(Space::Waiter, &[&realm.to_string(), name, &run.to_string()])
}

/// The next event called `name` for `run`, which began at `since_ms`. Without one, `tx` registers the run as waiting.
pub fn next(tx: &mut Tx<'_>, run: RunId, name: &str, since_ms: i64) -> Result<Option<Value>, StoreError> {
    let (realm, key) = (tx.realm, waiter_key(tx.realm, name, run));
    let head_key = head_key(realm, name);
    let head_row = tx.get(&head_key)?;
    let head: Head = read(head_row.as_ref())?;
    let waiter: Waiter = read(tx.get(&key)?.as_ref())?;
    let mut number = waiter.next.max(head.next.saturating_sub(KEPT_MAX));
    while number < head.next {
        let event = tx.get(&event_key(realm, name, number))?;
        number += 1;
        let Some(event) = event else { continue };
        let event: Event = read_row(&event)?;
        if event.at_ms >= since_ms {
            let come = Waiter {
                next: number,
                waits: false,
            };
            tx.batch.put(key, write(&come));
            return Ok(Some(event.data));
        }
    }
    let waits = Waiter {
        next: number,
        waits: true,
    };
    tx.batch.put(key, write(&waits));
    tx.unchanged(&head_key, head_row.as_ref());
    tx.batch.put(head_key, write(&head));
    Ok(None)
}

/// Says that `name` has happened. Durable when this returns; gives the runs that were waiting for it.
pub fn emit(
    ground: &Ground,
    realm: Realm,
    name: &str,
    data: &Value,
    at_ms: i64,
    durability: Durability,
) -> Result<Vec<RunId>, StoreError> {
    emit_for(ground, realm, name, data, at_ms, durability, None)
}

/// The same for somebody with a correlation id, by which what comes of it is followed.
pub fn emit_for(
    ground: &Ground,
    realm: Realm,
    name: &str,
    data: &Value,
    at_ms: i64,
    durability: Durability,
    corr: Option<&str>,
) -> Result<Vec<RunId>, StoreError> {
    let mut conflicts = 0;
    loop {
        let mut tx = Tx::new(ground, realm, at_ms);
        let waiting = happen(&mut tx, name, data, None, corr)?;
        match ground.store.commit(tx.batch, durability) {
            Ok(_) => return Ok(waiting),
            Err(StoreError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
            Err(error) => return Err(error),
        }
    }
}

/// The change by which `name` happens at the time of `tx`, because the run `by` or somebody outside says so; gives the runs
/// that wait for it and are to be told once the change is made.
pub fn happen(
    tx: &mut Tx<'_>,
    name: &str,
    data: &Value,
    by: Option<RunId>,
    corr: Option<&str>,
) -> Result<Vec<RunId>, StoreError> {
    StoreError::check_size("the name of the event", name.len(), NAME_BYTES_MAX)?;
    StoreError::check_size("the event's data", data.size(), DATA_BYTES_MAX)?;
    let head_key = head_key(tx.realm, name);
    let row = tx.get(&head_key)?;
    let head: Head = read(row.as_ref())?;
    tx.unchanged(&head_key, row.as_ref());
    tx.batch.put(head_key, write(&Head { next: head.next + 1 }));
    let event = Event {
        at_ms: tx.now_ms,
        data: data.clone(),
        by,
        corr: corr.map(str::to_owned),
    };
    tx.batch.put(event_key(tx.realm, name, head.next), write(&event));
    if let Some(old) = head.next.checked_sub(KEPT_MAX) {
        tx.batch.delete(event_key(tx.realm, name, old));
    }
    let waiting = waiting(tx.ground, tx.realm, name, &mut tx.batch)?;
    for run in &waiting {
        tx.batch.put(keys::wake(0, *run), Vec::new());
    }
    Ok(waiting)
}

/// An event as a playbook sees it that it starts.
#[derive(Debug, PartialEq)]
pub struct Come {
    pub number: u64,
    pub data: Value,
    /// The run that said so; `None` when somebody outside did.
    pub by: Option<RunId>,
    /// The correlation id of that run, or of the request that said so.
    pub corr: Option<String>,
}

/// Events of one name as a playbook sees them that they start.
#[derive(Debug, Default, PartialEq)]
pub struct Since {
    /// In order.
    pub events: Vec<Come>,
    /// The number of the first that is not among them.
    pub next: u64,
    /// Those that are not kept any more.
    pub lost: u64,
}

/// How far a playbook has come with the events of a name that start it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The number of the next event.
    pub next: u64,
    /// How many it has missed, because more came than are kept.
    #[serde(default)]
    pub lost: u64,
}

/// The first of the names under which cursors lie.
pub const CURSOR: &str = "event";

impl Cursor {
    pub fn key(playbook: &str, realm: Realm, name: &str) -> Vec<u8> {
        keys::named(Space::Cursor, &[CURSOR, playbook, &realm.to_string(), name])
    }

    pub fn decode(value: &[u8]) -> Result<Cursor, StoreError> {
        rmp_serde::from_slice(value).map_err(|error| StoreError::Corrupt {
            path: "how far a playbook has come with events".into(),
            reason: error.to_string(),
        })
    }

    pub fn encode(self) -> Vec<u8> {
        write(&self)
    }
}

/// When the event came that such a row tells of; `None` when it cannot be read.
pub fn came_ms(value: &[u8]) -> Option<i64> {
    rmp_serde::from_slice(value).ok().map(|event: Event| event.at_ms)
}

/// The number that the next event called `name` will have, on the condition that `tx` is committed before it comes: what is
/// reckoned from it has no meaning when all events of the name, and with them their count, have gone meanwhile.
pub fn next_to_come(tx: &mut Tx<'_>, name: &str) -> Result<u64, StoreError> {
    let key = head_key(tx.realm, name);
    let row = tx.get(&key)?;
    tx.unchanged(&key, row.as_ref());
    let head: Head = read(row.as_ref())?;
    Ok(head.next)
}

/// The number that the next event called `name` will have.
pub fn next_number(tx: &mut Tx<'_>, name: &str) -> Result<u64, StoreError> {
    let head: Head = read(tx.get(&head_key(tx.realm, name))?.as_ref())?;
    Ok(head.next)
}

/// The events called `name` from number `from` on, `limit` at most.
pub fn since(tx: &mut Tx<'_>, name: &str, from: u64, limit: usize) -> Result<Since, StoreError> {
    let end = next_number(tx, name)?;
    let first = from.max(end.saturating_sub(KEPT_MAX));
    let mut since = Since {
        events: Vec::new(),
        next: first.min(end),
        lost: first.min(end).saturating_sub(from),
    };
    while since.next < end && since.events.len() < limit {
        match tx.get(&event_key(tx.realm, name, since.next))? {
            Some(row) => {
                let Event { data, by, corr, .. } = read_row(&row)?;
                let number = since.next;
                since.events.push(Come { number, data, by, corr });
            }
            // It has just been thrown away, to make room for later ones.
            None => since.lost += 1,
        }
        since.next += 1;
    }
    Ok(since)
}

/// The runs that wait for `name`. Runs that succeeded left their rows behind: `batch` takes them away. Over a store that
/// is only looked at, as in a plan, runs of that store are left alone.
fn waiting(ground: &Ground, realm: Realm, name: &str, batch: &mut Batch) -> Result<Vec<RunId>, StoreError> {
    let (mut low, high) = keys::prefix_range(keys::named(Space::Waiter, &[&realm.to_string(), name]));
    let last = ground.store.stats().last_commit;
    let mut runs = Vec::new();
    loop {
        let rows = ground.store.scan((low, high.clone()), ROWS_AT_ONCE, false)?;
        for (key, row) in &rows {
            let Some(Place::Named { names, .. }) = keys::parse(key) else {
                continue;
            };
            let Some(Ok(run)) = names.last().map(|name| name.parse::<RunId>()) else {
                continue;
            };
            match RunRecord::get(&*ground.store, run).map(|record| record.status) {
                Ok(Status::Suspended) if is_below(row.version, last) => {}
                Ok(Status::Suspended) if read_row::<Waiter>(row)?.waits => runs.push(run),
                Ok(Status::Succeeded) | Err(JournalError::NoSuchRun(_)) => batch.delete(key.clone()),
                // One that failed may go on, and must know then how far it had come.
                _ => {}
            }
        }
        match rows.last() {
            Some((key, _)) if rows.len() == ROWS_AT_ONCE => low = Bound::Excluded(key.clone()),
            _ => return Ok(runs),
        }
    }
}

fn write(row: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(row).expect("it is plain data")
}

fn read<T: DeserializeOwned + Default>(row: Option<&Row>) -> Result<T, StoreError> {
    row.map_or_else(|| Ok(T::default()), read_row)
}

fn read_row<T: DeserializeOwned>(row: &Row) -> Result<T, StoreError> {
    rmp_serde::from_slice(&row.value).map_err(|error| StoreError::Corrupt {
        path: "an event".into(),
        reason: error.to_string(),
    })
}
