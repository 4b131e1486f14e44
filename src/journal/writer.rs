//! Appends to a run's journal.
//!
//! *Prefix rule:* entries may wait in memory, but whatever batch reaches the store carries every entry before it. A
//! row is written under the number of its first entry, on the condition that nothing stands there, so two owners of
//! one run cannot both append.
//!
//! *Output commit:* [`Writer::flush`] with `Now` is what everything that leaves the host waits for. An answer that speaks
//! of nothing but what was read waits for that alone: [`Writer::end_after_reads`].

use std::borrow::Cow;
use std::time::Duration;

use super::entry::{Answer, Begun, Entry, INLINE_BYTES_MAX};
use super::row::{Mark, Packed};
use super::run::RunRecord;
use crate::id::{RunId, StepNo};
use crate::store::tx::Ground;
use crate::store::{Batch, CommitNo, Durability, Precondition, StoreError, keys};
use crate::value::Value;

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
    waiting: Packed,
    /// When the oldest waiting entry was appended, in milliseconds of the run.
    waiting_since_ms: u64,
    /// Puts that must not reach the store after the entries they belong to: versions of scripts and prompts.
    attached: Batch,
    /// The run's first record, until a batch has carried it, or the last one.
    announced: Option<RunRecord>,
    /// The highest commit that this run has written, or that what it has read depends on.
    seen: CommitNo,
}

impl Writer {
    /// A journal of which the store already holds `stored` entries.
    pub fn new(run: RunId, stored: u64) -> Writer {
        Writer {
            run,
            stored,
            waiting: Packed::default(),
            waiting_since_ms: 0,
            attached: Batch::new(),
            announced: None,
            seen: CommitNo::default(),
        }
    }

    /// Adds an entry; it waits in memory until a batch carries it.
    pub fn append(&mut self, entry: &Entry) {
        self.waiting.push(entry);
    }

    /// Adds the beginning of the run. The next batch carries `record` along and marks the run as open, unless it is the
    /// run's last.
    pub fn append_begun(&mut self, begun: &Begun, record: RunRecord) {
        self.waiting.push_begun(begun);
        self.announced = Some(record);
    }

    /// Adds an effect's outcome.
    pub fn append_answer(&mut self, answer: &Answer) {
        if self.waiting.is_empty() {
            self.waiting_since_ms = answer.at_ms;
        }
        self.waiting.push_answer(answer);
    }

    /// Adds puts that the next batch carries along.
    pub fn attach(&mut self, batch: Batch) {
        self.attached.append(batch);
    }

    /// Remembers a commit that what the run has read depends on.
    pub fn saw(&mut self, commit: CommitNo) {
        self.seen = self.seen.max(commit);
    }

    /// Whether no batch has carried anything of this run: the store does not know that there is one.
    pub fn is_unwritten(&self) -> bool {
        self.stored == 0 && self.attached.is_empty()
    }

    /// Whether what waits has become too much, or too old to be lost lightly.
    pub fn is_due(&self, now_ms: u64) -> bool {
        !self.waiting.is_empty()
            && (self.waiting.len() >= WAITING_ENTRIES_MAX
                || self.waiting.bytes() >= WAITING_BYTES_MAX
                || now_ms.saturating_sub(self.waiting_since_ms) >= WAITING_AGE_MAX.as_millis() as u64)
    }

    /// Commits `change` with every entry that waits and `last`, the entry of the change itself. On a conflict nothing
    /// happened, and the entries go on waiting.
    pub fn commit(
        &mut self,
        ground: &Ground,
        change: Batch,
        last: Option<&Entry>,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let before = self.waiting.mark();
        if let Some(entry) = last {
            self.waiting.push(entry);
        }
        self.carry(ground, self.first(), change, before, durability)
    }

    /// The same, of a local effect's outcome and the change that it made.
    pub fn commit_answer(&mut self, ground: &Ground, change: Batch, answer: &Answer) -> Result<(), StoreError> {
        let before = self.waiting.mark();
        self.append_answer(answer);
        self.carry(ground, self.first(), change, before, Durability::Soon)
    }

    /// What a batch carries along before its own change.
    fn first(&self) -> Batch {
        let Some(record) = &self.announced else {
            return self.attached.clone();
        };
        let mut batch = Batch::new();
        batch.put(keys::run(self.run), record.encode());
        batch.put(keys::open(self.run), Vec::new());
        batch.append(self.attached.clone());
        batch
    }

    /// Commits `first`, `change` and what waits; goes back to `before` when that fails.
    fn carry(
        &mut self,
        ground: &Ground,
        first: Batch,
        change: Batch,
        before: Mark,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let mut batch = first;
        batch.append(change);
        if !self.waiting.is_empty() {
            let key = keys::journal(self.run, self.stored);
            batch.require(key.clone(), Precondition::Absent);
            batch.put(key, self.waiting.row());
        }
        match ground.store.commit(batch, durability) {
            Ok(commit) => {
                self.stored += self.waiting.len() as u64;
                self.waiting = Packed::default();
                self.attached = Batch::new();
                self.announced = None;
                self.saw(commit);
                Ok(())
            }
            Err(error) => {
                self.waiting.cut(before);
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

    /// Writes the run's last entry together with its record and `change`. Nobody may be told before the commit is on disk that
    /// this gives.
    pub fn end(
        &mut self,
        ground: &Ground,
        ended: &Entry,
        record: &RunRecord,
        change: Batch,
    ) -> Result<CommitNo, StoreError> {
        self.write_end(ground, ended, record, change)?;
        Ok(self.seen)
    }

    /// Writes all of a run of which nothing was written before. What may be told of it must not be before what it has read is
    /// on disk: the commit that this gives. The run itself comes there within the time that `Soon` allows, whole or not at
    /// all: what a crash leaves is never the beginning of a run whose answer is known, to be gone on with and to end
    /// otherwise.
    pub fn end_after_reads(
        &mut self,
        ground: &Ground,
        ended: &Entry,
        record: &RunRecord,
    ) -> Result<CommitNo, StoreError> {
        let read = self.seen;
        self.write_end(ground, ended, record, Batch::new())?;
        Ok(read)
    }

    fn write_end(
        &mut self,
        ground: &Ground,
        ended: &Entry,
        record: &RunRecord,
        change: Batch,
    ) -> Result<(), StoreError> {
        let mut batch = change;
        batch.put(keys::run(self.run), record.encode());
        if self.stored > 0 {
            batch.delete(keys::open(self.run));
        }
        let before = self.waiting.mark();
        self.waiting.push(ended);
        // Nobody has seen it open, and nobody will.
        self.carry(ground, self.attached.clone(), batch, before, Durability::Soon)
    }

    /// Forgets what waits of the steps after `step`.
    pub fn forget_after(&mut self, step: StepNo) {
        self.waiting.forget_after(step);
    }
}

/// `answer` as the journal keeps it: a large value lies in a file of its own.
pub fn kept<'a>(ground: &Ground, answer: &'a Answer) -> Result<Cow<'a, Answer>, StoreError> {
    if answer.value.size() <= INLINE_BYTES_MAX {
        return Ok(Cow::Borrowed(answer));
    }
    let file = ground.content.put(&answer.value.to_bytes())?;
    Ok(Cow::Owned(Answer {
        file: Some(file),
        value: Value::Unit,
        ..answer.clone()
    }))
}
