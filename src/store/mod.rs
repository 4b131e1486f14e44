//! Everything persistent: an ordered space of keys and values with atomic batches.
//!
//! [`Store`] is the seam: redb stands behind it here ([`engine`]), a shared engine can stand behind it elsewhere.
//! What is built on it is written once for all engines: documents, key-value, large values. Nothing above the
//! engine relies on a lock of this process; whoever must not be overtaken says so with a [`Precondition`].
//!
//! | module | what it is |
//! | --- | --- |
//! | [`batch`] | puts, deletes and preconditions that succeed or fail together |
//! | [`conditions`] | whether the preconditions of a batch hold |
//! | [`effort`] | how long commits took, for figures |
//! | [`engine`] | redb, with commits gathered in memory and one thread that takes them to the disk |
//! | [`remote`] | the store of a server, through its local socket |
//! | [`overlay`] | a copy-on-write view, for `plan`, `replay` and tests |
//! | [`content`] | large values as files named by their hash |
//! | [`large`] | a value in a row, or in a content file that the row names |
//! | [`keys`] | the layout of every key, versioned |
//! | [`order`] | values as bytes that sort as they do |
//! | [`tx`] | what a local effect's closure reads and fills |
//! | [`documents`], [`kv`], [`queue`], [`metrics`], [`lines`] | what playbooks keep, and show |
//! | [`told`] | a store that tells somebody of what was committed |
//! | [`ticks`] | what is planned of schedules, what became of it, and what is paused |
//! | [`metrics_copy`] | a metric carried over to another realm |
//! | [`backup`] | a store in one file, to be kept elsewhere |
//! | [`upgrade`] | files of earlier formats, and the way back |
//! | `swap` | compaction while a store is used |
//! | [`build`] | a store's file made of rows that exist already |

pub mod backup;
pub mod batch;
pub mod build;
mod conditions;
pub mod content;
pub mod documents;
pub mod effort;
pub mod engine;
pub mod error;
pub mod keys;
pub mod kv;
pub mod large;
mod layered;
pub mod lines;
pub mod metrics;
pub mod metrics_copy;
mod open;
pub mod order;
pub mod overlay;
mod pending;
pub mod queue;
pub mod remote;
mod row;
mod swap;
pub mod ticks;
pub mod told;
pub mod tx;
pub mod upgrade;
mod writer;

#[cfg(test)]
mod engine_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod open_tests;
#[cfg(test)]
mod swap_tests;
#[cfg(test)]
pub mod test_disk;
#[cfg(test)]
pub mod test_ground;

use std::ops::{Bound, ControlFlow};

pub use batch::{Batch, Precondition};
pub use error::StoreError;
pub use keys::Realm;
pub use tx::Tx;

/// The number of a commit: each is greater than every earlier one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommitNo(pub u64);

impl CommitNo {
    /// After every other: who waits for it waits for all that there is.
    pub const LAST: CommitNo = CommitNo(u64::MAX);
}

/// A value and the commit that wrote it, which serves as its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub value: Vec<u8>,
    pub version: CommitNo,
}

/// How long a commit may wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Visible when `commit` returns, on disk within 100 ms. A later `Now` makes it durable too, in order.
    Soon,
    /// On disk when `commit` returns.
    Now,
}

/// A range of keys, either end open or closed.
pub type KeyRange = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// The same, borrowed.
pub type KeyBounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// `range`, borrowed.
pub fn bounds(range: &KeyRange) -> KeyBounds<'_> {
    (range.0.as_ref().map(Vec::as_slice), range.1.as_ref().map(Vec::as_slice))
}

/// Is shown rows: key, value, commit.
pub type VisitRow<'a> = dyn FnMut(&[u8], &[u8], CommitNo) -> ControlFlow<()> + 'a;

/// How many rows a store reads at a time that cannot lend them.
const VISITED_AT_ONCE: usize = 256;

/// Whether no key can lie in `range`; maps and redb take some of these for mistakes.
fn is_empty(range: &KeyRange) -> bool {
    is_nothing(bounds(range))
}

fn is_nothing(bounds: KeyBounds<'_>) -> bool {
    match bounds {
        (Bound::Included(a), Bound::Included(b)) => a > b,
        (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => a >= b,
        _ => false,
    }
}

/// An ordered space of keys. Reads see every commit that has returned, whatever its durability.
pub trait Store: Send + Sync {
    /// The row under `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError>;

    /// At most `limit` rows of `range` in key order, or against it, all of one moment.
    fn scan(&self, range: KeyRange, limit: usize, reverse: bool) -> Result<Vec<(Vec<u8>, Row)>, StoreError>;

    /// Shows the rows of `range` to `visit` in key order until it breaks: its key, its value, the commit it came from.
    /// They are only lent, which costs a fraction of what [`scan`](Store::scan) does. All are of one moment where the
    /// engine can do that; `visit` must not call this store.
    fn visit(&self, range: KeyRange, visit: &mut VisitRow<'_>) -> Result<(), StoreError> {
        let mut range = range;
        loop {
            let rows = self.scan(range.clone(), VISITED_AT_ONCE, false)?;
            for (key, row) in &rows {
                if visit(key, &row.value, row.version).is_break() {
                    return Ok(());
                }
            }
            match rows.into_iter().nth(VISITED_AT_ONCE - 1) {
                Some((last, _)) => range.0 = Bound::Excluded(last),
                None => return Ok(()),
            }
        }
    }

    /// Applies `batch` whole, or leaves everything as it was. A precondition that does not hold fails this batch with
    /// [`StoreError::Conflict`] and touches no other.
    fn commit(&self, batch: Batch, durability: Durability) -> Result<CommitNo, StoreError>;

    /// Returns when every commit up to `commit` is on disk; at once if it already is.
    fn wait_durable(&self, commit: CommitNo) -> Result<(), StoreError>;

    /// A commit that must be on disk before it is certain that no more stands in `range` than reads see: one that deleted
    /// something there, which a crash would undo. [`CommitNo::LAST`] from a store that cannot tell.
    fn unsettled(&self, _range: KeyBounds<'_>) -> CommitNo {
        CommitNo::LAST
    }

    /// What the engine has done since it was opened.
    fn stats(&self) -> StoreStats;

    /// How much work that was, where somebody counts it.
    fn effort(&self) -> effort::Effort {
        effort::Effort::default()
    }

    /// Gives back what the file holds of the disk and does not use, while reads and commits go on. `go_on` is asked now and
    /// then; `None` when it said no.
    fn compact(&self, go_on: &mut dyn FnMut() -> bool) -> Result<Option<engine::Compacted>, StoreError> {
        go_on();
        Err(not_a_file())
    }
}

fn not_a_file() -> StoreError {
    StoreError::Refused {
        code: "STORE_NO_FILE",
        reason: "this store is not a file of this process, and cannot be compacted".to_owned(),
    }
}

/// Figures of an open store, for `host bench` and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Commits that waited for the disk.
    pub durable_commits: u64,
    /// Batches applied, durable or not.
    pub batches: u64,
    /// The last commit that reads see.
    pub last_commit: CommitNo,
}
