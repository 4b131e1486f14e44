//! A store and its content files on a disk that loses what was not synced.
//!
//! Commits are visible at once and become durable in order: when somebody waits for one, when they are 100 ms old, or by
//! chance earlier. A crash keeps a beginning of those that were not durable yet.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use host::id::ContentHash;
use host::journal::entry::{Entry, decode};
use host::store::content::Content;
use host::store::keys::{self, Place};
use host::store::{Batch, CommitNo, Durability, KeyRange, Row, Store, StoreError, StoreStats};

use crate::plant::Plant;
use crate::rng::Rng;
use crate::world::{Handle, Keep, tail};

/// How old a commit may grow before it is on disk.
const SYNC_AFTER_US: u64 = 100_000;

type Rows = BTreeMap<Vec<u8>, Row>;

/// What is on the disk, and what is about to be.
#[derive(Clone, Default)]
pub struct Disk {
    visible: Rows,
    durable: Rows,
    volatile: VecDeque<Pending>,
    last: CommitNo,
    durable_to: CommitNo,
    files: BTreeMap<ContentHash, Vec<u8>>,
    pub plant: Option<Plant>,
}

#[derive(Clone)]
struct Pending {
    number: CommitNo,
    batch: Batch,
    since_us: u64,
}

fn apply(rows: &mut Rows, batch: &Batch, version: CommitNo) {
    for key in &batch.deletes {
        rows.remove(key);
    }
    for (key, value) in &batch.puts {
        let value = value.clone();
        rows.insert(key.clone(), Row { value, version });
    }
}

impl Disk {
    /// A disk that was written by a process that ended in order.
    pub fn new(plant: Option<Plant>) -> Disk {
        Disk {
            plant,
            ..Disk::default()
        }
    }

    fn check(&self, batch: &Batch) -> Result<(), StoreError> {
        for (key, precondition) in &batch.preconditions {
            if !precondition.holds(self.visible.get(key).map(|row| row.version)) {
                return Err(StoreError::Conflict { key: key.clone() });
            }
        }
        Ok(())
    }

    fn commit(&mut self, batch: Batch, now_us: u64) -> CommitNo {
        if batch.puts.is_empty() && batch.deletes.is_empty() {
            return self.last;
        }
        self.last = CommitNo(self.last.0 + 1);
        apply(&mut self.visible, &batch, self.last);
        self.volatile.push_back(Pending {
            number: self.last,
            batch,
            since_us: now_us,
        });
        self.last
    }

    fn sync(&mut self, to: CommitNo) {
        while let Some(pending) = self.volatile.front().filter(|pending| pending.number <= to) {
            apply(&mut self.durable, &pending.batch, pending.number);
            self.durable_to = pending.number;
            self.volatile.pop_front();
        }
    }

    pub fn sync_all(&mut self) {
        self.sync(self.last);
    }

    /// Syncs what has waited long enough.
    pub fn grow_old(&mut self, now_us: u64) {
        let old = self
            .volatile
            .iter()
            .take_while(|pending| pending.since_us + SYNC_AFTER_US <= now_us);
        if let Some(number) = old.last().map(|pending| pending.number) {
            self.sync(number);
        }
    }

    /// Loses what was not durable, but for a beginning of it.
    pub fn crash(&mut self, keep: Keep, rng: &mut Rng) -> String {
        let count = self.volatile.len();
        let kept = match keep {
            Keep::Nothing => 0,
            Keep::Everything => count,
            Keep::Some => rng.below(count as u64 + 1) as usize,
        };
        if self.plant == Some(Plant::MissingPrefix) && kept > 1 {
            // A disk that wrote a later row and not the one before it.
            self.volatile.remove(kept - 2);
        }
        let end = self.volatile.get(kept.wrapping_sub(1)).map(|pending| pending.number);
        if let Some(end) = end {
            self.sync(end);
        }
        self.volatile.clear();
        self.visible = self.durable.clone();
        self.last = self.durable_to;
        format!("{kept} of {count} waiting commits reached the disk")
    }

    /// The rows that a power cut would leave for certain.
    pub fn durable_rows(&self) -> impl Iterator<Item = (&Vec<u8>, &Row)> {
        self.durable.iter()
    }
}

/// What a batch does, in words.
fn words(batch: &Batch) -> String {
    let mut words = Vec::new();
    for (key, value) in &batch.puts {
        words.push(match keys::parse(key) {
            Some(Place::Journal { run, first }) => format!("journal {} {first}: {}", tail(run), entries(value)),
            _ => format!("{} = {}", keys::describe(key), ContentHash::of(value).short()),
        });
    }
    words.extend(batch.deletes.iter().map(|key| format!("no {}", keys::describe(key))));
    words.join("; ")
}

fn entries(row: &[u8]) -> String {
    let word = |entry: &Entry| match entry {
        Entry::Begun(_) => "begun".to_owned(),
        Entry::Intent(intent) => format!("intent {}.{} at {}", intent.asked.step, intent.attempt, intent.at_ms),
        Entry::Attempt(attempt) => format!("attempt {}.{} {}", attempt.step, attempt.attempt, attempt.error.code),
        Entry::Answer(answer) => match &answer.error {
            Some(failure) => format!("answer {} {} {}", answer.asked.step, answer.asked.name, failure.code),
            None => format!("answer {} {}", answer.asked.step, answer.asked.name),
        },
        Entry::Ended(ended) => format!("ended {}", ended.status.code()),
        Entry::Resumed(resumed) => format!("resumed {} at {}", resumed.epoch, resumed.at_ms),
        other => format!("{other:?}").chars().take(60).collect(),
    };
    match decode(row) {
        Ok(entries) => entries.iter().map(word).collect::<Vec<_>>().join(", "),
        Err(error) => format!("{error:?}"),
    }
}

/// Whether no key can lie in `range`, which maps take for a mistake.
fn ends_before_it_begins(range: &KeyRange) -> bool {
    use std::ops::Bound::{Excluded, Included};
    match range {
        (Included(low), Included(high)) => low > high,
        (Included(low) | Excluded(low), Included(high) | Excluded(high)) => low >= high,
        _ => false,
    }
}

fn gone() -> StoreError {
    StoreError::Io {
        path: "(disk)".into(),
        reason: "the process is dead".to_owned(),
    }
}

pub struct SimStore(pub Handle);

impl Store for SimStore {
    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        let state = self
            .0
            .cross(|| format!("get {}", keys::describe(key)))
            .ok_or_else(gone)?;
        Ok(state.disk.visible.get(key).cloned())
    }

    fn scan(&self, range: KeyRange, limit: usize, reverse: bool) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        let state = self.0.cross(|| "scan".to_owned()).ok_or_else(gone)?;
        if ends_before_it_begins(&range) {
            return Ok(Vec::new());
        }
        let rows = state.disk.visible.range(range);
        let owned = |(key, row): (&Vec<u8>, &Row)| (key.clone(), row.clone());
        Ok(match reverse {
            true => rows.rev().take(limit).map(owned).collect(),
            false => rows.take(limit).map(owned).collect(),
        })
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<CommitNo, StoreError> {
        let what = || format!("commit {durability:?} {}", words(&batch));
        let mut state = self.0.cross(what).ok_or_else(gone)?;
        if let Err(error) = state.disk.check(&batch) {
            state.note("          conflict".to_owned());
            return Err(error);
        }
        let plant = state.disk.plant;
        let now_us = state.now_us;
        let is_promise = batch.puts.iter().any(|(_, value)| promises(value));
        let number = state.disk.commit(batch, now_us);
        if durability == Durability::Soon {
            // The disk may be early.
            if state.rng.hits(60) {
                state.disk.sync(number);
            }
            return Ok(number);
        }
        drop(state);
        match plant {
            Some(Plant::IntentAfterSend | Plant::IntentAfterSendUnwatched) if is_promise => Ok(number),
            Some(Plant::EarlyDone) if !is_promise => Ok(number),
            _ => self.wait_durable(number).map(|()| number),
        }
    }

    fn wait_durable(&self, commit: CommitNo) -> Result<(), StoreError> {
        let stall_us = match self.0.alive() {
            Some(mut state) => {
                if commit <= state.disk.durable_to {
                    return Ok(());
                }
                let per_mille = state.unkindness.stall;
                if state.rng.hits(per_mille) { 11_000_000 } else { 0 }
            }
            None => return Err(gone()),
        };
        let what = || format!("sync to {}", commit.0);
        let mut state = self.0.cross_after(stall_us, what).ok_or_else(gone)?;
        state.disk.sync(commit);
        Ok(())
    }

    fn stats(&self) -> StoreStats {
        StoreStats::default()
    }
}

/// Whether a row is of a journal and ends with the promise to send a write.
fn promises(row: &[u8]) -> bool {
    decode(row).is_ok_and(|entries| matches!(entries.last(), Some(Entry::Intent(_))))
}

/// Content files: on disk when `put` returns.
pub struct SimContent(pub Handle);

impl Content for SimContent {
    fn put(&self, bytes: &[u8]) -> Result<ContentHash, StoreError> {
        let hash = ContentHash::of(bytes);
        let mut state = self.0.cross(|| format!("keep {}", hash.short())).ok_or_else(gone)?;
        state.disk.files.insert(hash, bytes.to_vec());
        Ok(hash)
    }

    fn get(&self, hash: &ContentHash) -> Result<Option<Vec<u8>>, StoreError> {
        let state = self.0.alive().ok_or_else(gone)?;
        Ok(state.disk.files.get(hash).cloned())
    }

    fn adopt(&self, path: &Path) -> Result<(ContentHash, u64), StoreError> {
        Err(StoreError::Io {
            path: path.to_owned(),
            reason: "the simulation has no files of its own".to_owned(),
        })
    }

    fn path(&self, _: &ContentHash) -> Option<PathBuf> {
        None
    }
}
