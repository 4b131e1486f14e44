//! Files of earlier formats, and the way back.
//!
//! Before a file is brought to the format of this host it is copied, byte by byte, to a name of its own beside it. It is the
//! older host's file then, closed in order, and nobody touches it again.
#![expect(clippy::disallowed_methods, reason = "the store keeps its own files")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend};

use super::StoreError;
use super::crash_point;
use super::engine::{EngineOptions, FORMAT, FORMAT_MIN, ROWS, guard};
use super::open::{
    FORMAT_ROW, FORMAT_TABLE, builder, check_format, create_with, explain, open_file, open_read_only, sync_folder,
};

/// Copies of one format that may lie beside a store.
const COPIES_MAX: u32 = 100;

/// Closes `database` and keeps a copy of its file, which has the format `found`.
pub(super) fn keep_copy(database: Database, path: &Path, options: EngineOptions, found: u64) -> Result<(), StoreError> {
    guard(path, || database.close())?.map_err(|error| explain(path, error.into()))?;
    let held = open_file(path)?;
    match held.try_lock_range(Bound::Unbounded, Bound::Unbounded) {
        Ok(true) => {}
        Ok(false) => return Err(StoreError::Locked { path: path.to_owned() }),
        Err(error) => {
            let reason = error.to_string();
            return Err(StoreError::Io {
                path: path.to_owned(),
                reason,
            });
        }
    }
    // Whoever is killed meanwhile leaves it to the next, who removes it.
    let part = path.with_extension("redb.copying");
    let copied = copy(path, &part).map_err(|error| StoreError::io(&part, &error));
    crash_point::at("upgrade: copied");
    // Still held: nobody else writes over the copy before it has its name.
    let settled = copied.and_then(|()| settle(path, &part, options, found));
    drop(held);
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io(&part, &error)),
        _ => settled,
    }
}

fn copy(path: &Path, part: &Path) -> io::Result<()> {
    // Not written over: it may have another name already, as the copy of a host that was killed there.
    match fs::remove_file(part) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut to = options.write(true).create_new(true).mode(0o600).open(part)?;
    io::copy(&mut File::open(path)?, &mut to)?;
    to.sync_all()
}

/// Gives the copy its name, if it is one of that format: somebody else may have been quicker.
fn settle(path: &Path, part: &Path, options: EngineOptions, found: u64) -> Result<(), StoreError> {
    let copied = open_read_only(part, options)?;
    let format = check_format(&copied, part)?;
    drop(copied);
    if format != found {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    for number in 1..=COPIES_MAX {
        let mark = if number == 1 {
            String::new()
        } else {
            format!("-{number}")
        };
        let copy = path.with_file_name(format!("{name}.format-{found}{mark}"));
        match give_name(part, &copy) {
            // A host that was killed before it went on has made the same one.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match is_same(part, &copy, options) {
                Ok(true) => return Ok(()),
                // Also one that cannot be read: it is left alone.
                Ok(false) | Err(_) => continue,
            },
            named => named.map_err(|error| StoreError::io(&copy, &error))?,
        }
        crash_point::at("upgrade: copy named");
        let folder: PathBuf = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        return sync_folder(&folder).map_err(|error| StoreError::io(&folder, &error));
    }
    let reason = format!("{COPIES_MAX} copies of earlier formats lie beside it; move some away");
    Err(StoreError::ReadOnly {
        path: path.to_owned(),
        reason,
    })
}

/// Gives the file at `part` another name that is free.
fn give_name(part: &Path, name: &Path) -> io::Result<()> {
    match fs::hard_link(part, name) {
        // Some file systems know no second names.
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
            match name.symlink_metadata() {
                Ok(_) => Err(ErrorKind::AlreadyExists.into()),
                Err(_) => fs::rename(part, name),
            }
        }
        linked => linked,
    }
}

/// Whether both stores have one format and the same rows. Their files may differ: to open one alters it.
fn is_same(one: &Path, other: &Path, options: EngineOptions) -> Result<bool, StoreError> {
    let (one, other) = (
        (open_read_only(one, options)?, one),
        (open_read_only(other, options)?, other),
    );
    if check_format(&one.0, one.1)? != check_format(&other.0, other.1)? {
        return Ok(false);
    }
    let same = guard(one.1, || -> Result<bool, redb::Error> {
        let (one, other) = (
            one.0.begin_read()?.open_table(ROWS)?,
            other.0.begin_read()?.open_table(ROWS)?,
        );
        let (mut one, mut other) = (one.iter()?, other.iter()?);
        loop {
            match (one.next().transpose()?, other.next().transpose()?) {
                (None, None) => return Ok(true),
                (Some(a), Some(b)) if a.0.value() == b.0.value() && a.1.value() == b.1.value() => {}
                _ => return Ok(false),
            }
        }
    })?;
    same.map_err(|error| explain(other.1, error))
}

pub(super) fn write_format(database: &Database, path: &Path, format: u64) -> Result<(), StoreError> {
    let written = guard(path, || -> Result<(), redb::Error> {
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(true);
        transaction.open_table(FORMAT_TABLE)?.insert(FORMAT_ROW, format)?;
        Ok(transaction.commit()?)
    })?;
    written.map_err(|error| explain(path, error))
}

/// Gives the store at `path` the format before the present one, which it holds no rows beyond; gives that format.
pub fn downgrade(path: &Path, options: EngineOptions) -> Result<u64, StoreError> {
    let database = create_with(&builder(options), open_file(path)?, path)?;
    let format = match check_format(&database, path)? {
        FORMAT => FORMAT - 1,
        found => found,
    };
    if format < FORMAT_MIN {
        return Err(StoreError::Refused {
            code: "STORE_FORMAT_FIRST",
            reason: format!("the store has format {FORMAT}, and there was none before"),
        });
    }
    write_format(&database, path, format)?;
    guard(path, || database.close())?.map_err(|error| explain(path, error.into()))?;
    Ok(format)
}
