//! Opening, making and repairing the file.
//!
//! A new store is built under another name and linked into place when it is complete, so a store either exists or does
//! not: a kill during the first start leaves nothing half made. Its format number stands in a table of its own that no
//! later format will move.
#![expect(clippy::disallowed_methods, reason = "the store opens its own files")]

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use redb::backends::FileBackend;
use redb::{Builder, Database, ReadOnlyDatabase, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};

use super::StoreError;
use super::engine::{ROWS, guard};
use super::row::read_version;
use super::{crash_point, swap, upgrade};

/// The format that this host writes.
///
/// | format | since |
/// | --- | --- |
/// | 1 | rows with a checksum each |
/// | 2 | a store may be held since a restore, which a host of format 1 does not know and would go on |
pub const FORMAT: u64 = 2;

/// The earliest format that is read, and brought up to [`FORMAT`] when it is opened for writing.
pub const FORMAT_MIN: u64 = 1;

pub(super) const FORMAT_TABLE: TableDefinition<'static, &'static str, u64> = TableDefinition::new("format");
pub(super) const FORMAT_ROW: &str = "store";

/// How an engine is opened.
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    /// The memory for pages of the file.
    pub cache_bytes: usize,
}

impl Default for EngineOptions {
    fn default() -> EngineOptions {
        EngineOptions { cache_bytes: 16 << 20 }
    }
}

/// What a repair found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// Whether the store had not been closed cleanly.
    pub was_needed: bool,
    /// The rows that were read and found as they were written.
    pub rows: u64,
}

/// What a compaction gave back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// The bytes of the file.
    pub before: u64,
    pub after: u64,
}

/// Moves the pages of the store at `path` together and gives the rest of its file back to the disk. Nobody else may have
/// it open. A kill leaves a store that is whole, compacted or not.
pub fn compact(path: &Path, options: EngineOptions) -> Result<Compacted, StoreError> {
    let bytes = || fs::metadata(path).map(|file| file.len());
    let io = |error| StoreError::io(path, &error);
    let file = open_file(path)?;
    let before = bytes().map_err(io)?;
    let mut database = create_with(&builder(options), file, path)?;
    check_format(&database, path)?;
    // Each call moves what the last one made room for.
    while guard(path, || database.compact())?.map_err(|error| explain(path, error.into()))? {}
    guard(path, || database.close())?.map_err(|error| explain(path, error.into()))?;
    Ok(Compacted {
        before,
        after: bytes().map_err(io)?,
    })
}

/// Opens the store at `path` for writing, checks every page and every row of it, and closes it cleanly.
pub fn repair(path: &Path, options: EngineOptions) -> Result<Repaired, StoreError> {
    let was_needed = match open_read_only(path, options) {
        Ok(database) => {
            drop(database);
            false
        }
        Err(StoreError::NeedsRepair { .. }) => true,
        Err(error) => return Err(error),
    };
    let mut builder = builder(options);
    builder.set_check_integrity_on_open(true);
    let database = create_with(&builder, open_file(path)?, path)?;
    check_format(&database, path)?;
    let rows = guard(path, || check_rows(&database, path))?.map_err(|error| explain(path, error))??;
    guard(path, || database.close())?.map_err(|error| explain(path, error.into()))?;
    Ok(Repaired { was_needed, rows })
}

/// Opens the store, and makes it when there is none; with the format from which it was brought to this host's, if it was.
pub(super) fn open_or_create(path: &Path, options: EngineOptions) -> Result<(Database, Option<u64>), StoreError> {
    let missing = match fs::metadata(path) {
        Ok(_) => false,
        Err(error) if error.kind() == ErrorKind::NotFound => true,
        Err(error) => return Err(StoreError::io(path, &error)),
    };
    if missing {
        create(path, options)?;
    }
    let mut upgraded_from = None;
    loop {
        let database = create_with(&builder(options), open_file(path)?, path)?;
        match prepare(&database, path)? {
            FORMAT => {
                swap::forget_part(path)?;
                return Ok((database, upgraded_from));
            }
            found => {
                upgrade::keep_copy(database, path, options, found)?;
                upgraded_from = Some(found);
            }
        }
        let database = create_with(&builder(options), open_file(path)?, path)?;
        // Somebody else may have been quicker, who kept a copy too.
        if prepare(&database, path)? < FORMAT {
            crash_point::at("upgrade: copy kept");
            upgrade::write_format(&database, path, FORMAT)?;
            crash_point::at("upgrade: format written");
        }
        guard(path, || database.close())?.map_err(|error| explain(path, error.into()))?;
    }
}

pub(super) fn open_backend(
    backend: impl StorageBackend,
    path: &Path,
    options: EngineOptions,
) -> Result<Database, StoreError> {
    let database = create_with(&builder(options), backend, path)?;
    prepare(&database, path)?;
    Ok(database)
}

pub(super) fn open_read_only(path: &Path, options: EngineOptions) -> Result<ReadOnlyDatabase, StoreError> {
    let missing = || StoreError::Missing { path: path.to_owned() };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(missing()),
        Err(error) => return Err(StoreError::io(path, &error)),
    };
    if file.metadata().map_err(|error| StoreError::io(path, &error))?.len() == 0 {
        return Err(missing());
    }
    let database = guard(path, || {
        builder(options).open_read_only_with_backend(FileBackend::new(file)?)
    })?
    .map_err(|error| explain(path, error.into()))?;
    check_format(&database, path)?;
    Ok(database)
}

pub(super) fn builder(options: EngineOptions) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(options.cache_bytes);
    builder
}

pub(super) fn open_file(path: &Path) -> Result<FileBackend, StoreError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => StoreError::Missing { path: path.to_owned() },
            _ => StoreError::io(path, &error),
        })?;
    FileBackend::new(file).map_err(|error| explain(path, error.into()))
}

pub(super) fn create_with(
    builder: &Builder,
    backend: impl StorageBackend,
    path: &Path,
) -> Result<Database, StoreError> {
    guard(path, || builder.create_with_backend(backend))?.map_err(|error| explain(path, error.into()))
}

/// Makes an empty store. Another process may do the same at this moment; then theirs is used.
fn create(path: &Path, options: EngineOptions) -> Result<(), StoreError> {
    // Distinguishes the threads of this process; processes differ by their ids.
    static ATTEMPT: AtomicU64 = AtomicU64::new(0);

    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    make_folder(&folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let attempt = ATTEMPT.fetch_add(1, Ordering::Relaxed);
    let unfinished = folder.join(format!(".{name}.new-{}-{attempt}", std::process::id()));
    let made = build(&unfinished, options).and_then(|()| {
        let linked = link(&unfinished, path).and_then(|()| sync_folder(&folder));
        linked.map_err(|error| StoreError::io(path, &error))
    });
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io(&unfinished, &error)),
        _ => made,
    }
}

/// Writes a complete, cleanly closed, empty store to `path`.
fn build(path: &Path, options: EngineOptions) -> Result<(), StoreError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| StoreError::io(path, &error))?;
    let backend = FileBackend::new(file).map_err(|error| explain(path, error.into()))?;
    let database = create_with(&builder(options), backend, path)?;
    prepare(&database, path)?;
    guard(path, || database.close())?.map_err(|error| explain(path, error.into()))
}

/// Gives `unfinished` its name, unless something has it already.
fn link(unfinished: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(unfinished, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        // Some file systems know no second names.
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
            fs::rename(unfinished, path)
        }
        linked => linked,
    }
}

/// Makes `folder` and those above it that do not exist, closed to other users.
pub(super) fn make_folder(folder: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| StoreError::io(folder, &error))
}

/// Puts the names in `folder` on disk.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Writes the format number to a new file, checks it in an old one; gives it.
pub(super) fn prepare(database: &Database, path: &Path) -> Result<u64, StoreError> {
    let is_new = guard(path, || -> Result<bool, redb::Error> {
        let snapshot = database.begin_read()?;
        Ok(snapshot.list_tables()?.next().is_none() && snapshot.list_multimap_tables()?.next().is_none())
    })?;
    if !is_new.map_err(|error| explain(path, error))? {
        return check_format(database, path);
    }
    let written = guard(path, || -> Result<(), redb::Error> {
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(true);
        transaction.open_table(FORMAT_TABLE)?.insert(FORMAT_ROW, FORMAT)?;
        transaction.open_table(ROWS)?;
        Ok(transaction.commit()?)
    })?;
    written.map_err(|error| explain(path, error))?;
    Ok(FORMAT)
}

pub(super) fn check_format(database: &impl ReadableDatabase, path: &Path) -> Result<u64, StoreError> {
    let found = guard(path, || -> Result<Option<u64>, redb::Error> {
        let table = match database.begin_read()?.open_table(FORMAT_TABLE) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            table => table?,
        };
        Ok(table.get(FORMAT_ROW)?.map(|format| format.value()))
    })?;
    match found.map_err(|error| explain(path, error))? {
        Some(found @ FORMAT_MIN..=FORMAT) => Ok(found),
        Some(found) if found > FORMAT => Err(StoreError::NewerFormat {
            path: path.to_owned(),
            found,
            known: FORMAT,
        }),
        Some(found) => Err(StoreError::corrupt(path, format!("it says that it has format {found}"))),
        None => Err(StoreError::corrupt(path, "it is the database of another program")),
    }
}

/// Reads every row.
fn check_rows(database: &Database, path: &Path) -> Result<Result<u64, StoreError>, redb::Error> {
    let table = database.begin_read()?.open_table(ROWS)?;
    let mut rows = 0;
    for entry in table.iter()? {
        let (key, stored) = entry?;
        if read_version(key.value(), stored.value()).is_none() {
            let reason = format!("{} is not as it was written", super::keys::describe(key.value()));
            return Ok(Err(StoreError::corrupt(path, reason)));
        }
        rows += 1;
    }
    Ok(Ok(rows))
}

/// What redb's error means for those who asked.
pub(super) fn explain(path: &Path, error: redb::Error) -> StoreError {
    match error {
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
            StoreError::Locked { path: path.to_owned() }
        }
        redb::Error::RepairAborted => StoreError::NeedsRepair { path: path.to_owned() },
        redb::Error::Io(error) => match error.kind() {
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => StoreError::corrupt(path, error.to_string()),
            _ => StoreError::io(path, &error),
        },
        redb::Error::PreviousIo | redb::Error::DatabaseClosed | redb::Error::Unsupported => StoreError::Io {
            path: path.to_owned(),
            reason: error.to_string(),
        },
        // Whatever else redb can say comes from pages that do not hold what was written to them.
        error => StoreError::corrupt(path, error.to_string()),
    }
}
