//! Commits that are visible and not yet on disk.
//!
//! A commit is made in memory: its preconditions are checked and its rows laid over those of the file, under one lock,
//! in about a microsecond. They gather in an open generation; the [writer](super::writer) takes it, writes it in one
//! transaction, and commits go on in the next. Generations reach the disk whole and in order, so what a crash leaves
//! is always a beginning of history.
//!
//! This is what makes many small commits cheap: redb has one writer, which a sync keeps busy; laid over it, a `Soon`
//! waits neither for that nor for a switch of threads.
#![expect(
    clippy::disallowed_methods,
    reason = "the deadline is about the store's own disk, and nothing that scripts see follows from it"
)]

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use super::effort::Effort;
use super::engine::Rows;
use super::layered::{Layer, cut_layer};
use super::swap::Tail;
use super::{Batch, CommitNo, KeyBounds, KeyRange, Row, StoreError, is_nothing};

/// How many bytes may gather before they are written without anybody's asking.
const FLUSH_BYTES: usize = 8 << 20;

/// Commits that go to disk together.
pub(super) struct Generation {
    /// The latest row of each key, `None` when it was deleted.
    pub(super) rows: BTreeMap<Vec<u8>, Option<Row>>,
    /// The bytes of all that was put, including what was put over.
    pub(super) bytes: usize,
    pub(super) last: CommitNo,
    /// When its first commit was made.
    pub(super) since: Option<Instant>,
    pub(super) end: Arc<End>,
}

/// What became of a generation, for those who wait for it.
#[derive(Default)]
pub(super) struct End {
    outcome: Mutex<Option<Result<(), StoreError>>>,
    told: Condvar,
}

impl End {
    pub(super) fn tell(&self, outcome: Result<(), StoreError>) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        self.told.notify_all();
    }

    pub(super) fn wait(&self) -> Result<(), StoreError> {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*outcome {
                Some(outcome) => return outcome.clone(),
                None => outcome = self.told.wait(outcome).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl Generation {
    fn after(last: CommitNo) -> Generation {
        Generation {
            rows: BTreeMap::new(),
            bytes: 0,
            last,
            since: None,
            end: Arc::default(),
        }
    }
}

/// All that is not yet on disk.
pub(super) struct Pending {
    /// Takes new commits.
    pub(super) open: Generation,
    /// Is on its way to the disk, or failed on it; then nobody may begin with another.
    pub(super) flushing: Option<Arc<Generation>>,
    /// What the file holds below the two, once somebody has looked. It must not outlive the flush of a generation:
    /// who finds a key in neither would take an older row for the latest.
    pub(super) snapshot: Option<Arc<Rows>>,
    /// How many wait for the open generation to be on disk.
    waiting: u32,
    /// How many waited for the last one that went.
    waited: u32,
    pub(super) is_closing: bool,
    /// Another file takes the place of this one: nothing may begin on its way to the disk.
    pub(super) is_swapping: bool,
    /// While the file is copied: what goes to the disk meanwhile.
    pub(super) tail: Option<Tail>,
    pub(super) durable: CommitNo,
    pub(super) batches: u64,
    pub(super) durable_commits: u64,
    pub(super) effort: Effort,
}

impl Pending {
    /// Nothing yet, after the commits that the file holds.
    pub(super) fn after(last: CommitNo) -> Pending {
        Pending {
            open: Generation::after(last),
            flushing: None,
            snapshot: None,
            waiting: 0,
            waited: 0,
            is_closing: false,
            is_swapping: false,
            tail: None,
            durable: last,
            batches: 0,
            durable_commits: 0,
            effort: Effort::default(),
        }
    }

    /// The row of `key`, or that it was deleted; `None` when the file knows.
    pub(super) fn find(&self, key: &[u8]) -> Option<Option<&Row>> {
        let flushing = self.flushing.as_ref().and_then(|flushing| flushing.rows.get(key));
        self.open.rows.get(key).or(flushing).map(Option::as_ref)
    }

    /// A commit that is on disk only with the deletions made in `range`; the first one when there are none.
    pub(super) fn deleted_in(&self, range: KeyBounds<'_>) -> CommitNo {
        let has_deleted = |generation: &Generation| {
            let rows = || generation.rows.range::<[u8], _>(range);
            !is_nothing(range) && rows().any(|(_, row)| row.is_none())
        };
        match &self.flushing {
            // A generation is on the disk whole or not at all.
            _ if has_deleted(&self.open) => self.open.last,
            Some(flushing) if has_deleted(flushing) => flushing.last,
            _ => CommitNo::default(),
        }
    }

    /// What lies over `limit` rows of a scan of the file.
    pub(super) fn layer(&self, range: &KeyRange, limit: usize, reverse: bool) -> Layer {
        let none = BTreeMap::new();
        let flushing = self.flushing.as_ref().map_or(&none, |flushing| &flushing.rows);
        let upper = Directed {
            rows: self.open.rows.range::<Vec<u8>, _>(range.clone()),
            reverse,
        };
        let lower = Directed {
            rows: flushing.range::<Vec<u8>, _>(range.clone()),
            reverse,
        };
        let (mut upper, mut lower) = (upper.peekable(), lower.peekable());
        let merged = std::iter::from_fn(|| match (upper.peek(), lower.peek()) {
            (Some((a, _)), Some((b, _))) if a == b => {
                lower.next();
                upper.next()
            }
            (Some((a, _)), Some((b, _))) if (a < b) == reverse => lower.next(),
            (None, Some(_)) => lower.next(),
            _ => upper.next(),
        });
        cut_layer(merged.map(|(key, row)| (key, row.as_ref())), limit)
    }

    /// Lays the rows of `batch`, whose preconditions hold, over what is there.
    pub(super) fn apply(&mut self, batch: Batch) -> CommitNo {
        let version = CommitNo(self.open.last.0 + 1);
        let open = &mut self.open;
        open.rows.extend(batch.deletes.into_iter().map(|key| (key, None)));
        for (key, value) in batch.puts {
            open.bytes += key.len() + value.len();
            open.rows.insert(key, Some(Row { value, version }));
        }
        open.last = version;
        open.since.get_or_insert_with(Instant::now);
        self.batches += 1;
        version
    }

    /// Has the open generation go to the disk as soon as can be; returns its end, to wait for.
    pub(super) fn want_open(&mut self) -> Arc<End> {
        self.waiting += 1;
        Arc::clone(&self.open.end)
    }

    /// The open generation, for its only waiter to take to the disk himself; `None` when another is on its way, or the
    /// writer has been asked, or others are likely to come until the writer wakes up: then they go together.
    pub(super) fn take_open(&mut self) -> Option<Arc<Generation>> {
        let is_free = self.flushing.is_none() && !self.is_swapping;
        (is_free && self.waiting == 0 && self.waited <= 1).then(|| self.begin_flush())
    }

    /// Whether the open generation should go to the disk without waiting for more.
    pub(super) fn is_due(&self) -> bool {
        self.waiting > 0 || self.is_closing || self.open.bytes >= FLUSH_BYTES
    }

    /// Closes the open generation, for the caller to take it to the disk.
    pub(super) fn begin_flush(&mut self) -> Arc<Generation> {
        let next = Generation::after(self.open.last);
        let flushing = Arc::new(std::mem::replace(&mut self.open, next));
        self.flushing = Some(Arc::clone(&flushing));
        self.waited = std::mem::take(&mut self.waiting);
        flushing
    }
}

/// Rows forwards or backwards.
struct Directed<'a> {
    rows: btree_map::Range<'a, Vec<u8>, Option<Row>>,
    reverse: bool,
}

impl<'a> Iterator for Directed<'a> {
    type Item = (&'a Vec<u8>, &'a Option<Row>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.reverse {
            self.rows.next_back()
        } else {
            self.rows.next()
        }
    }
}
