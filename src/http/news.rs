//! What happens, for those who listen: which rows were written, and what they say now.
//!
//! The store tells of every commit; what is remembered of it is the key alone. One thread makes a message of each, once,
//! when somebody listens, and only after it is on the disk: nobody hears of what a crash could undo. Who was cut off goes
//! on after the last id they have: from what is remembered, or after a restart from the rows of the store, which know the
//! commits that they are from. A message says how a thing is, not how it came to be: of several changes in a row the last
//! may stand for all.

use std::collections::{BTreeMap, VecDeque};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{broadcast, oneshot};

use super::server::Server;
use super::stream::{Message, Stream};
use crate::id::{IncidentId, RunId};
use crate::identity::{self, Proof};
use crate::journal::RunRecord;
use crate::journal::epoch::Epoch;
use crate::journal::incident::Incident;
use crate::report::entries::timestamp;
use crate::report::incident::incident_json;
use crate::report::summary::record_json;
use crate::store::keys::{self, Place, Space};
use crate::store::told::Hears;
use crate::store::{CommitNo, KeyRange, Store, StoreError};

/// What news can be about; `gap`, beside these, is always told.
pub const KINDS: &[&str] = &["run", "question", "incident", "tick", "version", "event", "pause"];

/// Changes that are remembered.
const REMEMBERED_MAX: usize = 4096;

/// Messages that wait for the slowest listener.
const WAITING_MAX: usize = 1024;

/// The most that is told of what has been.
const PAST_MAX: usize = 2000;

/// Rows of each kind that are looked at after a restart.
const LOOKED_AT_MAX: usize = 2000;

/// Two commits may be heard of in another order than they were made: so many are told once more after a restart.
const OVERLAP: u64 = 64;

/// What happens within this time is told together.
const GATHERS: Duration = Duration::from_millis(20);

/// How often it is looked whether those who listen still may.
const LOOKS_AT_PROOFS_EVERY: Duration = Duration::from_secs(1);

/// How often it is looked whether the host stops.
const LOOKS_EVERY: Duration = Duration::from_millis(500);

/// The place of a change: its commit, and which of that commit's it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    commit: u64,
    index: u32,
}

impl FromStr for Id {
    type Err = ();

    fn from_str(text: &str) -> Result<Id, ()> {
        let (commit, index) = text.split_once('-').ok_or(())?;
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match is_number(commit) && is_number(index) {
            true => Ok(Id {
                commit: commit.parse().map_err(|_| ())?,
                index: index.parse().map_err(|_| ())?,
            }),
            false => Err(()),
        }
    }
}

/// A change that is remembered.
#[derive(Clone)]
struct Noted {
    id: Id,
    number: u64,
    key: Vec<u8>,
}

pub struct News {
    heard: Mutex<Heard>,
    stirred: Condvar,
    sender: broadcast::Sender<Arc<Message>>,
    /// The code with which the last commit failed.
    failing: Mutex<Option<&'static str>>,
    is_failing: AtomicBool,
    /// After a restart many come at once: the rows are read for one after the other.
    reading: Mutex<()>,
    /// By the first byte of a key: whether it is news.
    spaces: [bool; 256],
    /// By what those who listen came in, each with what ends their stream when it is dropped.
    known: Mutex<Vec<(Proof, oneshot::Sender<()>)>>,
}

#[derive(Default)]
struct Heard {
    noted: VecDeque<Noted>,
    /// Of the next change.
    number: u64,
    /// The first that was not told.
    untold: u64,
}

impl Default for News {
    fn default() -> News {
        let mut spaces = [false; 256];
        let (run, incident) = (RunId::from_bytes([0; 16]), IncidentId::from_bytes([0; 16]));
        let named = [Space::Event, Space::Pause, Space::Edition].map(|space| keys::named(space, &[]));
        let keys = [
            keys::run(run),
            keys::question(run, 0),
            keys::incident(incident),
            keys::tick("", "", 0),
        ];
        for key in keys.into_iter().chain(named) {
            spaces[usize::from(key[0])] = true;
        }
        News {
            heard: Mutex::default(),
            stirred: Condvar::new(),
            failing: Mutex::default(),
            is_failing: AtomicBool::new(false),
            reading: Mutex::default(),
            sender: broadcast::Sender::new(WAITING_MAX),
            spaces,
            known: Mutex::default(),
        }
    }
}

impl Hears for News {
    fn wants(&self, key: &[u8]) -> bool {
        key.first().is_some_and(|space| self.spaces[usize::from(*space)])
    }

    fn takes_changes(&self, failed: Option<&StoreError>) {
        let is_as_before = self.is_failing.load(Ordering::Relaxed) == failed.is_some();
        if !is_as_before {
            self.is_failing.store(failed.is_some(), Ordering::Relaxed);
            *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = failed.map(StoreError::code);
        }
    }

    fn hear(&self, commit: CommitNo, put: Vec<Vec<u8>>) {
        let mut heard = self.lock();
        for (index, key) in put.into_iter().enumerate() {
            let number = heard.number;
            heard.number += 1;
            let id = Id {
                commit: commit.0,
                index: index as u32,
            };
            heard.noted.push_back(Noted { id, number, key });
        }
        let over = heard.noted.len().saturating_sub(REMEMBERED_MAX);
        heard.noted.drain(..over);
        // Who comes to listen is told of what comes after; for nobody the thread that tells is not woken.
        match self.sender.receiver_count() {
            0 => heard.untold = heard.number,
            _ => self.stirred.notify_one(),
        }
    }
}

impl News {
    /// The code with which the last change of the store failed.
    pub fn store_fails(&self) -> Option<&'static str> {
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for changes that were not told; none: look whether the host stops.
    fn untold(&self) -> Vec<Noted> {
        let heard = self.lock();
        let is_told = |heard: &mut Heard| heard.untold == heard.number;
        let waited = self.stirred.wait_timeout_while(heard, LOOKS_EVERY, is_told);
        let (mut heard, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let (from, number) = (heard.untold, heard.number);
        heard.untold = number;
        match self.sender.receiver_count() {
            0 => Vec::new(),
            _ => heard
                .noted
                .iter()
                .filter(|noted| noted.number >= from)
                .cloned()
                .collect(),
        }
    }

    /// Tells what happens until the host stops.
    pub(super) fn tell(&self, server: &Server) {
        let mut looked = Duration::ZERO;
        while !server.is_stopping() {
            let now = server.app.clock.monotonic();
            if now.saturating_sub(looked) >= LOOKS_AT_PROOFS_EVERY {
                looked = now;
                self.let_go(&*server.store, server.now_ms());
            }
            let noted = self.untold();
            for message in messages(&*server.store, &noted) {
                // Without listeners it is told to nobody.
                self.sender.send(message).unwrap_or_default();
            }
            if !noted.is_empty() {
                server.app.clock.sleep(GATHERS);
            }
        }
    }

    /// Ends the streams of those whose token or session has ended, or who were revoked.
    fn let_go(&self, store: &dyn Store, now_ms: i64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(proof, ends)| {
            let is_let_in = || identity::still(store, now_ms, proof);
            !ends.is_closed()
                && is_let_in().unwrap_or_else(|error| {
                    tracing::error!(%error, code = error.code(), "who listens cannot be looked up");
                    false
                })
        });
    }

    /// What came after `after` and is `about` that, and then what comes, as long as `known` is let in.
    pub(super) fn listen(
        &self,
        store: &dyn Store,
        after: Option<Id>,
        about: Option<&str>,
        known: Option<&Proof>,
    ) -> Stream {
        let ended = known.map(|proof| {
            let (ends, ended) = oneshot::channel();
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.push((proof.clone(), ends));
            ended
        });
        let heard = self.lock();
        let then = self.sender.subscribe();
        let first_to_come = heard.number;
        let known = after.and_then(|after| heard.noted.iter().position(|noted| noted.id == after));
        let past: Option<Vec<Noted>> = match (after, known) {
            (None, _) => Some(Vec::new()),
            (Some(_), Some(at)) => Some(heard.noted.iter().skip(at + 1).cloned().collect()),
            (Some(_), None) => None,
        };
        drop(heard);
        let (noted, mut has_gap) = match (past, after) {
            (Some(noted), _) => (noted, false),
            (None, after) => {
                let _one = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
                let after = after.map_or(0, |after| after.commit);
                since(store, after).unwrap_or_else(|error| {
                    tracing::error!(%error, code = error.code(), "what has been cannot be told");
                    (Vec::new(), true)
                })
            }
        };
        let skipped = noted.len().saturating_sub(PAST_MAX);
        has_gap |= skipped > 0;
        let about = about.map(str::to_owned);
        let is_wanted = move |message: &Message| about.as_ref().is_none_or(|about| *about == message.event);
        let mut first: VecDeque<Arc<Message>> = messages(store, &noted[skipped..]).into();
        first.retain(|message| is_wanted(message));
        if has_gap {
            first.push_front(Arc::new(Message {
                id: String::new(),
                event: "gap".to_owned(),
                data: json!({"message": "more has happened than is remembered"}).to_string(),
                number: 0,
            }));
        }
        Stream {
            first,
            then,
            wanted: Box::new(move |message| message.number >= first_to_come && is_wanted(message)),
            ended,
        }
    }
}

/// What rows say that were written after `commit`, and whether there may be more: than was looked at, or of another past, where
/// the store knows no commit as late as that, since it was restored from a backup.
fn since(store: &dyn Store, commit: u64) -> Result<(Vec<Noted>, bool), StoreError> {
    let (low, high) = (RunId::from_bytes([0; 16]), RunId::from_bytes([0xff; 16]));
    let all = |space: Space| keys::prefix_range(keys::named(space, &[]));
    let incidents = keys::incidents(IncidentId::from_bytes([0; 16]), IncidentId::from_bytes([0xff; 16]));
    let ranges: [KeyRange; 7] = [
        keys::runs(low, high),
        keys::questions(),
        incidents,
        keys::all_ticks(),
        all(Space::Edition),
        all(Space::Event),
        all(Space::Pause),
    ];
    let (mut found, mut has_more, mut last) = (Vec::new(), false, 0);
    let from = commit.saturating_sub(OVERLAP);
    for range in ranges {
        let rows = store.scan(range, LOOKED_AT_MAX, true)?;
        has_more |= rows.len() == LOOKED_AT_MAX;
        last = rows.iter().map(|(_, row)| row.version.0).fold(last, u64::max);
        let rows = rows.into_iter().filter(|(_, row)| row.version.0 > from);
        found.extend(rows.map(|(key, row)| (row.version.0, key)));
    }
    found.sort();
    let mut noted: Vec<Noted> = Vec::with_capacity(found.len());
    for (commit, key) in found {
        let index = match noted.last() {
            Some(last) if last.id.commit == commit => last.id.index + 1,
            _ => 0,
        };
        let id = Id { commit, index };
        noted.push(Noted { id, number: 0, key });
    }
    let is_lost = last < commit || Epoch::read(store)?.has_lost(commit);
    Ok((noted, has_more || is_lost))
}

/// What the rows of `noted` say now, each once, in order; they are on the disk.
fn messages(store: &dyn Store, noted: &[Noted]) -> Vec<Arc<Message>> {
    let Some(last) = noted.iter().map(|noted| noted.id.commit).max() else {
        return Vec::new();
    };
    let mut latest: BTreeMap<&[u8], u64> = BTreeMap::new();
    for (at, noted) in noted.iter().enumerate() {
        latest.insert(&noted.key, at as u64);
    }
    let told = store.wait_durable(CommitNo(last)).and_then(|()| {
        let mut told = Vec::new();
        for (at, noted) in noted.iter().enumerate() {
            if latest.get(noted.key.as_slice()) == Some(&(at as u64))
                && let Some((event, data)) = said(store, &noted.key)?
            {
                told.push(Arc::new(Message {
                    id: format!("{}-{}", noted.id.commit, noted.id.index),
                    event: event.to_owned(),
                    data: data.to_string(),
                    number: noted.number,
                }));
            }
        }
        Ok(told)
    });
    told.unwrap_or_else(|error| {
        tracing::error!(%error, code = error.code(), "what happens cannot be told");
        Vec::new()
    })
}

/// What is told of the row under `key`, as it is now. A row that nobody can read is told elsewhere.
fn said(store: &dyn Store, key: &[u8]) -> Result<Option<(&'static str, Value)>, StoreError> {
    let Some(place) = keys::parse(key) else {
        return Ok(None);
    };
    let Some(row) = store.get(key)? else {
        return Ok(None);
    };
    Ok(match place {
        Place::Run(run) => {
            let record = RunRecord::decode(run, &row.value).ok();
            record.map(|record| ("run", record_json(&record)))
        }
        Place::Question { run, step } => Some(("question", json!({"run_id": run.to_string(), "step": step}))),
        Place::Incident(id) => {
            let incident = Incident::decode(id, &row.value).ok();
            incident.map(|incident| ("incident", incident_json(&incident, &[])))
        }
        Place::Tick {
            playbook,
            schedule,
            planned_ms,
        } => Some((
            "tick",
            json!({"playbook": playbook, "schedule": schedule, "planned": timestamp(planned_ms, 0)}),
        )),
        Place::Named { space, names } => match (space, names.as_slice()) {
            (Space::Event, [realm, name, number]) => {
                let number: u64 = number.parse().unwrap_or(0);
                Some(("event", json!({"realm": realm, "name": name, "number": number})))
            }
            (Space::Pause, [_, name]) => Some(("pause", json!({"name": name, "paused": false}))),
            (Space::Pause, [name]) => Some(("pause", json!({"name": name, "paused": true}))),
            (Space::Edition, [_, number]) => {
                let number = number.parse().ok();
                number.map(|number: u64| ("version", json!({"version": number})))
            }
            _ => None,
        },
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::epoch::Origin;
    use crate::store::engine::Engine;
    use crate::store::{Batch, Durability};

    #[test]
    fn who_has_news_of_a_commit_that_a_restore_has_lost_is_told_that_there_is_a_gap() {
        let store = Engine::in_memory().unwrap();
        let put = |number: usize| {
            let mut batch = Batch::new();
            batch.put(keys::named(Space::Pause, &[&number.to_string()]), Vec::new());
            store.commit(batch, Durability::Soon).unwrap();
        };
        let epoch = Epoch {
            origin: Some(Origin {
                last_commit: 3,
                next_commit: 6,
                ..Origin::default()
            }),
            ..Epoch::default()
        };
        let mut batch = Batch::new();
        epoch.put(&mut batch, None);
        store.commit(batch, Durability::Soon).unwrap();
        (0..8).for_each(put);
        let gaps: Vec<bool> = (1..9).map(|commit| since(&store, commit).unwrap().1).collect();
        assert_eq!(gaps, [false, false, false, true, true, false, false, false]);
        assert!(since(&store, 10).unwrap().1, "later than any");
    }
}
