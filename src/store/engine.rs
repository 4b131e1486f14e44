//! The embedded engine: redb, with commits gathered in memory and taken to the disk together.
//!
//! A commit is made in memory ([`pending`](super::pending)) and written with all others that wait
//! ([`writer`](super::writer)). All rows live in one table, because each table touched costs a transaction more than
//! many rows do. Reads lay what is pending over a snapshot of the file, which they share until the next generation is in
//! the file: to take one costs more than to look up a row. They never wait for the disk to write. Files named by a batch are on disk before the batch is made, because
//! [`Content::put`](super::content::Content::put) syncs them; so the engine itself never looks at [`Batch::contents`].
//!
//! *Invariant:* no foreign byte makes this module panic. redb trusts a file that was closed cleanly and may panic over
//! a damaged one, so every call into it is [guarded](guard).

use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use redb::{Database, ReadOnlyDatabase, ReadOnlyTable, ReadableDatabase, StorageBackend, TableDefinition};

use super::effort::Effort;
use super::layered::{VisitLayered, scan_layered};
use super::pending::Pending;
use super::row::{check_row, read_row};
use super::writer::{self, Writer};
use super::{
    Batch, CommitNo, Durability, KeyBounds, KeyRange, Row, Store, StoreError, StoreStats, VisitRow, bounds, is_empty,
    open, swap,
};

pub use super::open::{Compacted, EngineOptions, FORMAT, FORMAT_MIN, Repaired, compact, repair};

/// The one table: keys to rows.
pub(super) const ROWS: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("rows");

/// The engine's own row: the number of the last commit.
pub(super) const LAST_COMMIT_KEY: &[u8] = &[0];

/// The first key that is not the engine's own.
pub(super) const FIRST_KEY: &[u8] = &[1];

/// The largest value in one row. Larger ones are content files, see [`large`](super::large).
pub const VALUE_BYTES_MAX: usize = 16 << 20;

/// The most one batch may carry.
pub const BATCH_BYTES_MAX: usize = 64 << 20;

/// How many bytes may wait for the disk; above, commits wait for room.
const PENDING_BYTES_MAX: usize = 32 << 20;

/// An open store file.
pub struct Engine {
    shared: Arc<Shared>,
    /// `None` when the store was opened for reading only.
    writer: Option<Writer>,
    /// How its file was opened, where it is one.
    options: Option<EngineOptions>,
}

impl Engine {
    /// Opens the store at `path` for reading and writing; makes it, and the folders above it, when there is none.
    /// A store that was not closed cleanly is repaired.
    pub fn open(path: &Path, options: EngineOptions) -> Result<Engine, StoreError> {
        let database = open::open_or_create(path, options)?;
        let mut engine = Engine::start(database, path.to_owned())?;
        engine.options = Some(options);
        Ok(engine)
    }

    /// Opens the store at `path` without changing a byte of it: a store that needs repair is refused.
    pub fn open_read_only(path: &Path, options: EngineOptions) -> Result<Engine, StoreError> {
        let database = open::open_read_only(path, options)?;
        let shared = Shared::new(Handle::Reading(database), path.to_owned())?;
        Ok(Engine {
            shared: Arc::new(shared),
            writer: None,
            options: None,
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
            options: None,
        })
    }

    /// Makes everything durable and closes the file, as dropping does, but says whether it went well.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.stop_writer();
        self.shared.failure.get().cloned().map_or(Ok(()), Err)
    }

    /// Returns when the open generation is on the disk.
    fn flush_open(&self, mut pending: MutexGuard<'_, Pending>) -> Result<(), StoreError> {
        if let Some(generation) = pending.take_open() {
            drop(pending);
            return writer::flush(&self.shared, &generation, &mut Vec::new());
        }
        let end = pending.want_open();
        let is_another_on_its_way = pending.flushing.is_some();
        drop(pending);
        if !is_another_on_its_way {
            self.shared.work.notify_one();
        }
        end.wait()
    }

    fn stop_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.stop(&self.shared);
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop_writer();
    }
}

impl Store for Engine {
    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        if key < FIRST_KEY {
            return Ok(None);
        }
        let snapshot = {
            let mut pending = self.shared.lock();
            if let Some(found) = pending.find(key) {
                return Ok(found.cloned());
            }
            self.shared.snapshot(&mut pending)?
        };
        self.shared.read(&snapshot, |table| {
            let Some(stored) = table.get(key)? else {
                return Ok(Ok(None));
            };
            Ok(self.shared.row(key, stored.value()).map(Some))
        })
    }

    fn scan(&self, range: KeyRange, limit: usize, reverse: bool) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        let Some(range) = checked_range(range) else {
            return Ok(Vec::new());
        };
        let (layer, snapshot) = {
            // Both of one moment: the writer cannot begin with other commits while this holds the lock.
            let mut pending = self.shared.lock();
            (
                pending.layer(&range, limit, reverse),
                self.shared.snapshot(&mut pending)?,
            )
        };
        let range = bounds(&range);
        scan_layered(layer, limit, reverse, |limit| {
            self.shared.read(&snapshot, |table| {
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
        })
    }

    fn visit(&self, range: KeyRange, visit: &mut VisitRow<'_>) -> Result<(), StoreError> {
        let Some(range) = checked_range(range) else {
            return Ok(());
        };
        let (layer, snapshot) = {
            let mut pending = self.shared.lock();
            let layer = pending.layer(&range, usize::MAX, false);
            (layer, self.shared.snapshot(&mut pending)?)
        };
        let range = bounds(&range);
        let mut layered = VisitLayered::new(layer, visit);
        self.shared.read(&snapshot, |table| {
            for entry in table.range::<&[u8]>(range)? {
                let (key, stored) = entry?;
                let Some((version, value)) = check_row(key.value(), stored.value()) else {
                    return Ok(Err(self.shared.altered(key.value())));
                };
                if layered.base(key.value(), value, version).is_break() {
                    return Ok(Ok(()));
                }
            }
            layered.rest();
            Ok(Ok(()))
        })
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<CommitNo, StoreError> {
        if self.writer.is_none() {
            let reason = "it was opened for reading only".to_owned();
            return Err(StoreError::ReadOnly {
                path: self.shared.path.clone(),
                reason,
            });
        }
        super::batch::check_limits(&batch)?;
        let looked = self.shared.look_ahead(&batch)?;
        let mut pending = self.shared.lock_for_commit()?;
        let checked = self.shared.check_preconditions(&mut pending, &batch, looked.as_ref());
        if matches!(checked, Err(StoreError::Conflict { .. })) {
            pending.effort.conflicts += 1;
        }
        checked?;
        if batch.puts.is_empty() && batch.deletes.is_empty() {
            let last = pending.open.last;
            drop(pending);
            if durability == Durability::Now {
                self.wait_durable(last)?;
            }
            return Ok(last);
        }
        let is_first = pending.open.since.is_none();
        let commit = pending.apply(batch);
        if durability == Durability::Now {
            self.flush_open(pending)?;
        } else if pending.flushing.is_none() && (is_first || pending.is_due()) {
            // The writer sleeps without end while there is nothing to write, and else until the first commit is old.
            self.shared.work.notify_one();
        }
        Ok(commit)
    }

    fn wait_durable(&self, commit: CommitNo) -> Result<(), StoreError> {
        let pending = self.shared.lock();
        if commit <= pending.durable {
            return Ok(());
        }
        if let Some(failure) = self.shared.failure.get() {
            return Err(failure.clone());
        }
        let end = match &pending.flushing {
            Some(flushing) if commit <= flushing.last || pending.open.since.is_none() => Arc::clone(&flushing.end),
            _ if pending.open.since.is_none() => return Ok(()),
            _ => return self.flush_open(pending),
        };
        drop(pending);
        end.wait()
    }

    fn unsettled(&self, range: KeyBounds<'_>) -> CommitNo {
        self.shared.lock().deleted_in(range)
    }

    fn compact(&self, go_on: &mut dyn FnMut() -> bool) -> Result<Option<Compacted>, StoreError> {
        match self.options {
            Some(options) if self.writer.is_some() => swap::compact(&self.shared, options, go_on),
            _ => Err(super::not_a_file()),
        }
    }

    fn stats(&self) -> StoreStats {
        let pending = self.shared.lock();
        StoreStats {
            durable_commits: pending.durable_commits,
            batches: pending.batches,
            last_commit: pending.open.last,
        }
    }

    fn effort(&self) -> Effort {
        self.shared.lock().effort
    }
}

/// `range` without the engine's own rows; `None` when nothing is left, which redb would take for a mistake.
fn checked_range(range: KeyRange) -> Option<KeyRange> {
    let low = match range.0 {
        Bound::Included(key) | Bound::Excluded(key) if key.as_slice() < FIRST_KEY => Bound::Unbounded,
        bound => bound,
    };
    let low = if low == Bound::Unbounded {
        Bound::Included(FIRST_KEY.to_vec())
    } else {
        low
    };
    let range = (low, range.1);
    (!is_empty(&range)).then_some(range)
}

/// What readers, committers and the writer share.
pub(super) struct Shared {
    /// Taken when it is closed. Another takes its place only under the lock of `pending`, and while nothing is on its way
    /// to the disk.
    handle: Mutex<Option<Arc<Handle>>>,
    pub(super) path: PathBuf,
    pending: Mutex<Pending>,
    /// The first failure of the storage, after which nothing more is taken.
    pub(super) failure: OnceLock<StoreError>,
    /// Told when there may be something to write.
    pub(super) work: Condvar,
    /// Told when something has been written, or will never be.
    pub(super) room: Condvar,
}

/// The file as redb has it open.
pub(super) enum Handle {
    Writing(Database),
    Reading(ReadOnlyDatabase),
}

impl Handle {
    /// The database, for the writer.
    pub(super) fn database(&self) -> &Database {
        match self {
            Handle::Writing(database) => database,
            Handle::Reading(_) => unreachable!("only a store opened for writing has a writer"),
        }
    }
}

pub(super) type Table = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// The rows of the file as they were at one moment. The file is not closed as long as somebody looks at them.
pub(super) struct Rows {
    table: Table,
    _handle: Arc<Handle>,
}

impl Shared {
    fn new(handle: Handle, path: PathBuf) -> Result<Shared, StoreError> {
        let pending = Mutex::new(Pending::after(CommitNo::default()));
        let failure = OnceLock::new();
        let shared = Shared {
            handle: Mutex::new(Some(Arc::new(handle))),
            path,
            pending,
            failure,
            work: Condvar::new(),
            room: Condvar::new(),
        };
        let snapshot = shared.snapshot(&mut shared.lock())?;
        let last = shared.read(&snapshot, |table| {
            let Some(stored) = table.get(LAST_COMMIT_KEY)? else {
                return Ok(Ok(CommitNo::default()));
            };
            Ok(shared.row(LAST_COMMIT_KEY, stored.value()).map(|row| row.version))
        })?;
        *shared.lock() = Pending::after(last);
        Ok(shared)
    }

    pub(super) fn handle(&self) -> Arc<Handle> {
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(handle.as_ref().expect("it is taken when the last owner is dropped"))
    }

    /// Puts another file in the place of the one there was, and gives that.
    pub(super) fn put_handle(&self, handle: Handle) -> Option<Arc<Handle>> {
        let mut held = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        held.replace(Arc::new(handle))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room for another commit.
    fn lock_for_commit(&self) -> Result<MutexGuard<'_, Pending>, StoreError> {
        let mut pending = self.lock();
        loop {
            match self.failure.get() {
                Some(failure) => return Err(failure.clone()),
                None if pending.open.bytes < PENDING_BYTES_MAX => return Ok(pending),
                None => {
                    pending.want_open();
                    self.work.notify_one();
                    pending = self.room.wait(pending).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// The rows of the file as they are while `pending` is as it is.
    pub(super) fn snapshot(&self, pending: &mut Pending) -> Result<Arc<Rows>, StoreError> {
        if let Some(snapshot) = &pending.snapshot {
            return Ok(Arc::clone(snapshot));
        }
        let handle = self.handle();
        let taken = guard(&self.path, || -> Result<Table, redb::Error> {
            let transaction = match &*handle {
                Handle::Writing(database) => database.begin_read()?,
                Handle::Reading(database) => database.begin_read()?,
            };
            Ok(transaction.open_table(ROWS)?)
        })?;
        let table = taken.map_err(|error| self.explain(error))?;
        let taken = Arc::new(Rows { table, _handle: handle });
        pending.snapshot = Some(Arc::clone(&taken));
        Ok(taken)
    }

    /// Runs `look` on the rows of `snapshot`.
    pub(super) fn read<T>(
        &self,
        snapshot: &Rows,
        look: impl FnOnce(&Table) -> Result<Result<T, StoreError>, redb::Error>,
    ) -> Result<T, StoreError> {
        guard(&self.path, || look(&snapshot.table))?.map_err(|error| self.explain(error))?
    }

    /// The row stored under `key`.
    fn row(&self, key: &[u8], stored: &[u8]) -> Result<Row, StoreError> {
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
            // The first failure is the cause; what redb says afterwards is only that there was one.
            (redb::Error::PreviousIo, Some(failure)) => failure.clone(),
            (error, _) => open::explain(&self.path, error),
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let snapshot = self.lock().snapshot.take();
        let handle = self.handle.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // Closing writes; over a damaged file redb may panic here too. Nobody is left to be told.
        drop(guard(&self.path, move || drop((snapshot, handle))));
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
