//! The embedded engine: redb, with one writer thread that commits in groups.
//!
//! All rows live in one table, because each table touched costs a commit more than many rows do. Reads use a snapshot
//! for the length of one call and never wait for the writer. Files named by a batch are on disk before the batch is
//! made, because [`Content::put`](super::content::Content::put) syncs them; so the engine itself never looks at
//! [`Batch::contents`].
//!
//! *Invariant:* no foreign byte makes this module panic. redb trusts a file that was closed cleanly and may panic over
//! a damaged one, so every call into it is [guarded](guard).

use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::{Database, ReadOnlyDatabase, ReadOnlyTable, ReadableDatabase, StorageBackend, TableDefinition};

use super::keys::KEY_BYTES_MAX;
use super::row::read_row;
use super::writer::Writer;
use super::{Batch, CommitNo, Durability, KeyRange, Row, Store, StoreError, StoreStats, open};

pub use super::open::{EngineOptions, FORMAT, Repaired, repair};

/// The one table: keys to rows.
pub(super) const ROWS: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("rows");

/// The engine's own row: the number of the last commit.
pub(super) const LAST_COMMIT_KEY: &[u8] = &[0];

/// The first key that is not the engine's own.
const FIRST_KEY: &[u8] = &[1];

/// The largest value in one row. Larger ones are content files, see [`large`](super::large).
pub const VALUE_BYTES_MAX: usize = 16 << 20;

/// The most one batch may carry.
pub const BATCH_BYTES_MAX: usize = 64 << 20;

/// An open store file.
pub struct Engine {
    shared: Arc<Shared>,
    /// `None` when the store was opened for reading only.
    writer: Option<Writer>,
}

impl Engine {
    /// Opens the store at `path` for reading and writing; makes it, and the folders above it, when there is none.
    /// A store that was not closed cleanly is repaired.
    pub fn open(path: &Path, options: EngineOptions) -> Result<Engine, StoreError> {
        let database = open::open_or_create(path, options)?;
        Engine::start(database, path.to_owned())
    }

    /// Opens the store at `path` without changing a byte of it: a store that needs repair is refused.
    pub fn open_read_only(path: &Path, options: EngineOptions) -> Result<Engine, StoreError> {
        let database = open::open_read_only(path, options)?;
        let shared = Shared::new(Handle::Reading(database), path.to_owned())?;
        Ok(Engine {
            shared: Arc::new(shared),
            writer: None,
        })
    }

    /// A store that is forgotten when it is dropped.
    pub fn in_memory() -> Result<Engine, StoreError> {
        Engine::with_backend(redb::backends::InMemoryBackend::new(), EngineOptions::default())
    }

    /// A store on a backend of the caller's, as tests use that count, fail or forget.
    pub fn with_backend(backend: impl StorageBackend, options: EngineOptions) -> Result<Engine, StoreError> {
        let path = PathBuf::from("(backend)");
        let database = open::open_backend(backend, &path, options)?;
        Engine::start(database, path)
    }

    fn start(database: Database, path: PathBuf) -> Result<Engine, StoreError> {
        let shared = Arc::new(Shared::new(Handle::Writing(database), path)?);
        let writer = Writer::start(Arc::clone(&shared))?;
        Ok(Engine {
            shared,
            writer: Some(writer),
        })
    }

    /// Makes everything durable and closes the file, as dropping does, but says whether it went well.
    pub fn close(mut self) -> Result<(), StoreError> {
        if let Some(writer) = self.writer.take() {
            writer.stop();
        }
        self.shared.failure.get().map_or(Ok(()), |failure| Err(failure.clone()))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.stop();
        }
    }
}

impl Store for Engine {
    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        if key < FIRST_KEY {
            return Ok(None);
        }
        self.shared.read(|table| {
            let Some(stored) = table.get(key)? else {
                return Ok(Ok(None));
            };
            Ok(self.shared.row(key, stored.value()).map(Some))
        })
    }

    fn scan(&self, range: KeyRange, limit: usize, reverse: bool) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        let Some(range) = checked_range(&range) else {
            return Ok(Vec::new());
        };
        self.shared.read(|table| {
            let mut entries = table.range::<&[u8]>(range)?;
            let mut rows = Vec::new();
            while rows.len() < limit {
                let Some(entry) = (if reverse { entries.next_back() } else { entries.next() }) else {
                    break;
                };
                let (key, stored) = entry?;
                match self.shared.row(key.value(), stored.value()) {
                    Ok(row) => rows.push((key.value().to_vec(), row)),
                    Err(error) => return Ok(Err(error)),
                }
            }
            Ok(Ok(rows))
        })
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<CommitNo, StoreError> {
        let Some(writer) = &self.writer else {
            let reason = "it was opened for reading only".to_owned();
            return Err(StoreError::ReadOnly {
                path: self.shared.path.clone(),
                reason,
            });
        };
        check_limits(&batch)?;
        if batch.is_empty() {
            let last = CommitNo(self.shared.visible.load(Ordering::Acquire));
            if durability == Durability::Now {
                self.wait_durable(last)?;
            }
            return Ok(last);
        }
        writer
            .commit(batch, durability)
            .unwrap_or_else(|| Err(self.shared.stopped()))
    }

    fn wait_durable(&self, commit: CommitNo) -> Result<(), StoreError> {
        if self.shared.durable.load(Ordering::Acquire) >= commit.0 {
            return Ok(());
        }
        let Some(writer) = &self.writer else { return Ok(()) };
        writer.sync().unwrap_or_else(|| Err(self.shared.stopped()))
    }

    fn stats(&self) -> StoreStats {
        StoreStats {
            durable_commits: self.shared.durable_commits.load(Ordering::Relaxed),
            batches: self.shared.batches.load(Ordering::Relaxed),
            last_commit: CommitNo(self.shared.visible.load(Ordering::Acquire)),
        }
    }
}

fn check_limits(batch: &Batch) -> Result<(), StoreError> {
    let puts = batch.puts.iter().map(|(key, _)| key);
    let checked = batch.preconditions.iter().map(|(key, _)| key);
    for key in puts.chain(&batch.deletes).chain(checked) {
        StoreError::check_size("the key", key.len(), KEY_BYTES_MAX)?;
        if key.as_slice() < FIRST_KEY {
            let name = hex::encode(key);
            return Err(StoreError::BadName {
                what: "key",
                name,
                rule: "it must begin with a byte other than 0",
            });
        }
    }
    for (key, value) in &batch.puts {
        if value.len() > VALUE_BYTES_MAX {
            StoreError::check_size(&super::keys::describe(key), value.len(), VALUE_BYTES_MAX)?;
        }
    }
    let bytes = batch.puts.iter().map(|(key, value)| key.len() + value.len()).sum();
    StoreError::check_size("the batch", bytes, BATCH_BYTES_MAX)
}

type BorrowedRange<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// `range` without the engine's own rows; `None` when nothing is left, which redb would take for a mistake.
fn checked_range(range: &KeyRange) -> Option<BorrowedRange<'_>> {
    let low = match range.0.as_ref().map(Vec::as_slice) {
        Bound::Unbounded => Bound::Included(FIRST_KEY),
        Bound::Included(key) | Bound::Excluded(key) if key < FIRST_KEY => Bound::Included(FIRST_KEY),
        bound => bound,
    };
    let high = range.1.as_ref().map(Vec::as_slice);
    let empty = match (low, high) {
        (Bound::Included(a), Bound::Included(b)) => a > b,
        (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => a >= b,
        _ => false,
    };
    (!empty).then_some((low, high))
}

/// What readers and the writer share.
pub(super) struct Shared {
    /// Taken when it is closed.
    handle: Option<Handle>,
    pub(super) path: PathBuf,
    /// The last commit that reads see.
    pub(super) visible: AtomicU64,
    /// The last commit on disk.
    pub(super) durable: AtomicU64,
    pub(super) durable_commits: AtomicU64,
    pub(super) batches: AtomicU64,
    /// The first failure of the storage, after which redb takes no more.
    pub(super) failure: OnceLock<StoreError>,
}

/// The file as redb has it open.
pub(super) enum Handle {
    Writing(Database),
    Reading(ReadOnlyDatabase),
}

impl Shared {
    fn new(handle: Handle, path: PathBuf) -> Result<Shared, StoreError> {
        let mut shared = Shared {
            handle: Some(handle),
            path,
            visible: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            durable_commits: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            failure: OnceLock::new(),
        };
        let last = shared.read(|table| {
            let Some(stored) = table.get(LAST_COMMIT_KEY)? else {
                return Ok(Ok(0));
            };
            Ok(shared.row(LAST_COMMIT_KEY, stored.value()).map(|row| row.version.0))
        })?;
        shared.visible = AtomicU64::new(last);
        shared.durable = AtomicU64::new(last);
        Ok(shared)
    }

    /// The database, for the writer.
    pub(super) fn database(&self) -> &Database {
        match &self.handle {
            Some(Handle::Writing(database)) => database,
            _ => unreachable!("only a store opened for writing has a writer, and it ends before the store is closed"),
        }
    }

    /// Runs `look` on a snapshot of this moment.
    fn read<T>(
        &self,
        look: impl FnOnce(&ReadOnlyTable<&'static [u8], &'static [u8]>) -> Result<Result<T, StoreError>, redb::Error>,
    ) -> Result<T, StoreError> {
        let outcome = guard(&self.path, || {
            let snapshot = match &self.handle {
                Some(Handle::Writing(database)) => database.begin_read()?,
                Some(Handle::Reading(database)) => database.begin_read()?,
                None => unreachable!("the handle is taken when the last owner is dropped"),
            };
            look(&snapshot.open_table(ROWS)?)
        })?;
        outcome.map_err(|error| self.explain(error))?
    }

    /// The row stored under `key`.
    pub(super) fn row(&self, key: &[u8], stored: &[u8]) -> Result<Row, StoreError> {
        read_row(key, stored).ok_or_else(|| self.altered(key))
    }

    pub(super) fn altered(&self, key: &[u8]) -> StoreError {
        StoreError::corrupt(
            &self.path,
            format!("{} is not as it was written", super::keys::describe(key)),
        )
    }

    /// What redb's error means for those who asked.
    pub(super) fn explain(&self, error: redb::Error) -> StoreError {
        match (error, self.failure.get()) {
            (redb::Error::PreviousIo, Some(failure)) => failure.clone(),
            (error, _) => open::explain(&self.path, error),
        }
    }

    fn stopped(&self) -> StoreError {
        let reason = "its writer has stopped".to_owned();
        self.failure.get().cloned().unwrap_or(StoreError::Io {
            path: self.path.clone(),
            reason,
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let handle = self.handle.take();
        // Closing writes; over a damaged file redb may panic here too. Nobody is left to be told.
        drop(guard(&self.path, move || drop(handle)));
    }
}

/// Runs a call into redb, and takes a panic there for what it is: a damaged file.
pub(super) fn guard<T>(path: &Path, call: impl FnOnce() -> T) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        StoreError::corrupt(
            path,
            text.unwrap_or_else(|| "the engine cannot make sense of it".to_owned()),
        )
    })
}
