//! Appends to a run's journal.
//!
//! *Prefix rule:* entries may wait in memory, but whatever batch reaches the store carries every entry before it. A
//! row is written under the number of its first entry, on the condition that nothing stands there, so two owners of
//! one run cannot both append.
//!
//! *Output commit:* [`Writer::flush`] with `Now` is what everything that leaves the host waits for.

use std::time::Duration;

use super::entry::{Answer, Entry, INLINE_BYTES_MAX, encode};
use super::run::RunRecord;
use crate::id::{RunId, StepNo};
use crate::store::tx::Ground;
use crate::store::{Batch, CommitNo, Durability, Precondition, StoreError, keys};

/// Entries that wait in memory are written when they become this many,
const WAITING_ENTRIES_MAX: usize = 1024;
/// this large,
const WAITING_BYTES_MAX: usize = 4 << 20;
/// or this old.
const WAITING_AGE_MAX: Duration = Duration::from_millis(100);

/// The end of one run's journal.
pub struct Writer {
    run: RunId,
    /// The number of entries that the store holds.
    stored: u64,
    waiting: Vec<Entry>,
    waiting_bytes: usize,
    /// When the oldest waiting entry was appended, in milliseconds of the run.
    waiting_since_ms: u64,
    /// Puts that must not reach the store after the entries they belong to: versions of scripts and prompts.
    attached: Batch,
    /// The highest commit this run has written or read.
    seen: CommitNo,
}

impl Writer {
    /// A journal of which the store already holds `stored` entries.
    pub fn new(run: RunId, stored: u64) -> Writer {
        Writer {
            run,
            stored,
            waiting: Vec::new(),
            waiting_bytes: 0,
            waiting_since_ms: 0,
            attached: Batch::new(),
            seen: CommitNo::default(),
        }
    }

    /// Adds an entry; it waits in memory until a batch carries it.
    pub fn append(&mut self, entry: Entry) {
        if let Entry::Answer(answer) = &entry {
            self.waiting_bytes += answer.value.size() + answer.asked.args.size();
            if self.waiting.is_empty() {
                self.waiting_since_ms = answer.at_ms;
            }
        }
        self.waiting.push(entry);
    }

    /// Adds puts that the next batch carries along.
    pub fn attach(&mut self, batch: Batch) {
        self.attached.append(batch);
    }

    /// Remembers a commit that the run has read from.
    pub fn saw(&mut self, commit: CommitNo) {
        self.seen = self.seen.max(commit);
    }

    /// Whether what waits has become too much, or too old to be lost lightly.
    pub fn is_due(&self, now_ms: u64) -> bool {
        !self.waiting.is_empty()
            && (self.waiting.len() >= WAITING_ENTRIES_MAX
                || self.waiting_bytes >= WAITING_BYTES_MAX
                || now_ms.saturating_sub(self.waiting_since_ms) >= WAITING_AGE_MAX.as_millis() as u64)
    }

    /// Commits `change` with every entry that waits and `last`, the entry of the change itself. On a conflict nothing
    /// happened, and the entries go on waiting.
    pub fn commit(
        &mut self,
        ground: &Ground,
        change: Batch,
        last: Option<Entry>,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let mut batch = self.attached.clone();
        batch.append(change);
        let added = usize::from(last.is_some());
        self.waiting.extend(last);
        if !self.waiting.is_empty() {
            let key = keys::journal(self.run, self.stored);
            batch.require(key.clone(), Precondition::Absent);
            batch.put(key, encode(&self.waiting));
        }
        match ground.store.commit(batch, durability) {
            Ok(commit) => {
                self.stored += self.waiting.len() as u64;
                self.waiting.clear();
                self.waiting_bytes = 0;
                self.attached = Batch::new();
                self.saw(commit);
                Ok(())
            }
            Err(error) => {
                self.waiting.truncate(self.waiting.len() - added);
                Err(error)
            }
        }
    }

    /// Writes what waits. With `Now`, everything this run has written or read is on disk when this returns.
    pub fn flush(&mut self, ground: &Ground, durability: Durability) -> Result<(), StoreError> {
        if !self.waiting.is_empty() || !self.attached.is_empty() {
            self.commit(ground, Batch::new(), None, durability)?;
        } else if durability == Durability::Now {
            ground.store.wait_durable(self.seen)?;
        }
        Ok(())
    }

    /// Writes the run's last entry together with its record and `change`, durably.
    pub fn end(&mut self, ground: &Ground, ended: Entry, record: &RunRecord, change: Batch) -> Result<(), StoreError> {
        let mut batch = change;
        batch.put(keys::run(self.run), record.encode());
        let open = keys::open(self.run);
        if self.stored == 0 {
            // Nobody has seen it open, and nobody will.
            self.attached.puts.retain(|(key, _)| *key != open);
        } else {
            batch.delete(open);
        }
        self.commit(ground, batch, Some(ended), Durability::Now)
    }

    /// Forgets what waits of the steps after `step`.
    pub fn forget_after(&mut self, step: StepNo) {
        self.waiting.retain(|entry| match entry {
            Entry::Answer(answer) => answer.asked.step <= step,
            Entry::Attempt(attempt) => attempt.step <= step,
            _ => true,
        });
    }
}

/// Moves a large value out of `answer` into a file of its own.
pub fn store_large(ground: &Ground, answer: &mut Answer) -> Result<(), StoreError> {
    if answer.value.size() > INLINE_BYTES_MAX {
        answer.file = Some(ground.content.put(&answer.value.to_bytes())?);
        answer.value = crate::value::Value::Unit;
    }
    Ok(())
}
