//! Compaction by copy and swap: while reads and commits go on, the rows are copied to another file, which then takes the
//! place of the first.
//!
//! What is committed meanwhile is kept as it goes to the disk ([`Tail`]) and done again on the copy, in rounds; for the last
//! of it, and for the swap, nothing is taken to the disk for a moment. Commits that wait for no disk are not kept waiting
//! even then. *Invariant:* the store's name leads to a whole store at every moment, and to one with every commit that
//! somebody was told is durable: the copy has them all, on the disk, before it gets the name.
#![expect(clippy::disallowed_methods, reason = "the store moves its own files")]

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, PoisonError};

use redb::{Database, ReadableTable};

use super::StoreError;
use super::build::Building;
use super::crash_point;
use super::engine::{Compacted, EngineOptions, Handle, Shared, guard};
use super::open::{explain, sync_folder};
use super::pending::{Generation, Pending};
use super::row::check_row;
use super::writer::put_generation;

/// What may be committed while the rows are copied; beyond it the copy is given up.
pub(super) const TAIL_BYTES_MAX: usize = 64 << 20;

/// How much may be left for the moment in which nothing goes to the disk.
const LAST_BYTES_MAX: usize = 256 << 10;

/// Rounds in which the rest is to become so small.
const ROUNDS_MAX: usize = 50;

/// Rows between two questions whether to go on.
const ROWS_AT_ONCE: u64 = 1024;

/// And bytes.
const BYTES_AT_ONCE: usize = 4 << 20;

/// What went to the disk since the copy was begun, in order.
#[derive(Default)]
pub(super) struct Tail {
    pub(super) generations: Vec<Arc<Generation>>,
    bytes: usize,
    is_too_long: bool,
}

impl Tail {
    pub(super) fn push(&mut self, generation: &Arc<Generation>) {
        self.bytes += generation.bytes;
        if self.bytes > TAIL_BYTES_MAX {
            self.is_too_long = true;
            self.generations.clear();
        }
        if !self.is_too_long {
            self.generations.push(Arc::clone(generation));
        }
    }
}

/// Compacts the store of `shared`. `None` when `go_on` said no.
pub(super) fn compact(
    shared: &Shared,
    options: EngineOptions,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Option<Compacted>, StoreError> {
    // Where the name is a link, the file itself is replaced and not the link.
    let path = &fs::canonicalize(&shared.path).map_err(|error| StoreError::io(&shared.path, &error))?;
    let part = part_of(path);
    let before = bytes(path)?;
    {
        let mut pending = settled(shared)?;
        if pending.tail.is_some() {
            return Err(busy("another compaction is under way"));
        }
        pending.tail = Some(Tail::default());
    }
    let noted = Noted(shared);
    let swapped = remove(&part)
        .and_then(|()| copy(shared, &part, options, go_on))
        .and_then(|database| match database {
            Some(database) => swap(shared, &part, path, database).map(|()| true),
            None => Ok(false),
        });
    drop(noted);
    if !matches!(swapped, Ok(true)) {
        remove(&part)?;
    }
    match swapped? {
        true => Ok(Some(Compacted {
            before,
            after: bytes(path)?,
        })),
        false => Ok(None),
    }
}

/// What a compaction that was killed left beside the store at `path`. Whoever calls this has that store to himself.
pub(super) fn forget_part(path: &Path) -> Result<(), StoreError> {
    let path = fs::canonicalize(path).map_err(|error| StoreError::io(path, &error))?;
    remove(&part_of(&path))
}

fn part_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.compact"))
}

fn remove(part: &Path) -> Result<(), StoreError> {
    match fs::remove_file(part) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io(part, &error)),
        _ => Ok(()),
    }
}

/// As long as it lives, what goes to the disk is noted.
struct Noted<'a>(&'a Shared);

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.0.lock().tail = None;
    }
}

fn bytes(path: &Path) -> Result<u64, StoreError> {
    fs::metadata(path)
        .map(|file| file.len())
        .map_err(|error| StoreError::io(path, &error))
}

fn busy(reason: &str) -> StoreError {
    StoreError::Refused {
        code: "STORE_BUSY",
        reason: format!("the store was not compacted, and is as it was: {reason}"),
    }
}

/// The lock, while nothing is on its way to the disk; not of a store that has failed.
fn settled(shared: &Shared) -> Result<MutexGuard<'_, Pending>, StoreError> {
    let mut pending = shared.lock();
    loop {
        match shared.failure.get() {
            Some(failure) => return Err(failure.clone()),
            None if pending.flushing.is_none() => return Ok(pending),
            None => pending = shared.room.wait(pending).unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// Copies every row of the file, and what was committed since.
fn copy(
    shared: &Shared,
    part: &Path,
    options: EngineOptions,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Option<Database>, StoreError> {
    let snapshot = shared.snapshot(&mut *settled(shared)?)?;
    let mut building = Building::begin(part, options)?;
    let (mut rows, mut bytes) = (0_u64, 0);
    let is_whole = shared.read(&snapshot, |table| {
        for entry in table.iter()? {
            let (key, stored) = entry?;
            if check_row(key.value(), stored.value()).is_none() {
                return Ok(Err(shared.altered(key.value())));
            }
            if let Err(error) = building.put_stored(key.value(), stored.value().to_vec()) {
                return Ok(Err(error));
            }
            rows += 1;
            bytes += stored.value().len();
            if rows.is_multiple_of(ROWS_AT_ONCE) || bytes > BYTES_AT_ONCE {
                bytes = 0;
                if !go_on() {
                    return Ok(Ok(false));
                }
            }
        }
        Ok(Ok(true))
    })?;
    drop(snapshot);
    if !is_whole {
        return Ok(None);
    }
    crash_point::at("compact: copied");
    let database = building.settled()?;
    crash_point::at("compact: settled");
    for _ in 0..ROUNDS_MAX {
        if !go_on() {
            return Ok(None);
        }
        let (generations, is_small) = {
            let mut pending = shared.lock();
            let tail = pending.tail.as_mut().expect("it is kept until this is over");
            if tail.is_too_long {
                return Err(busy("more was written meanwhile than is kept"));
            }
            let is_small = tail.bytes <= LAST_BYTES_MAX;
            tail.bytes = 0;
            (std::mem::take(&mut tail.generations), is_small)
        };
        again(part, &database, &generations)?;
        if is_small {
            return Ok(Some(database));
        }
    }
    Err(busy("it is written to faster than it can be copied"))
}

/// Does on the copy what was committed.
fn again(part: &Path, database: &Database, generations: &[Arc<Generation>]) -> Result<(), StoreError> {
    let written = guard(part, || -> Result<(), redb::Error> {
        let mut scratch = Vec::new();
        for generation in generations {
            put_generation(database, generation, &mut scratch)?;
        }
        Ok(())
    })?;
    written.map_err(|error| explain(part, error))
}

/// Puts the copy in the place of the file.
fn swap(shared: &Shared, part: &Path, path: &Path, database: Database) -> Result<(), StoreError> {
    let generations = {
        let mut pending = settled(shared)?;
        let tail = pending.tail.as_mut().expect("it is kept until this is over");
        if tail.is_too_long {
            return Err(busy("more was written meanwhile than is kept"));
        }
        let generations = std::mem::take(&mut tail.generations);
        // From here on nothing goes to the disk; nobody else can be on the way.
        pending.is_swapping = true;
        generations
    };
    let swapped = again(part, &database, &generations).and_then(|()| {
        crash_point::at("compact: caught up");
        fs::rename(part, path).map_err(|error| StoreError::io(path, &error))?;
        crash_point::at("compact: renamed");
        Ok(Handle::Writing(database))
    });
    let (swapped, synced) = match swapped {
        Ok(handle) => (Some(handle), sync(shared, path)),
        Err(error) => (None, Err(error)),
    };
    let mut pending = shared.lock();
    pending.is_swapping = false;
    let old = swapped.map(|handle| {
        pending.snapshot = None;
        shared.put_handle(handle)
    });
    drop(pending);
    shared.work.notify_all();
    shared.room.notify_all();
    // Closed as soon as the last reader has let go of it.
    drop(guard(&shared.path, move || drop(old)));
    synced
}

/// Makes the new name durable. Nobody is told of a commit in the new file before: it could be gone with its name.
fn sync(shared: &Shared, path: &Path) -> Result<(), StoreError> {
    let folder: PathBuf = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    sync_folder(&folder).map_err(|error| {
        let failure = StoreError::io(&folder, &error);
        drop(shared.failure.set(failure.clone()));
        failure
    })
}
