//! Puts an unpacked store in the place of the one that there was, which is moved aside and never deleted.
//!
//! *Invariant:* at every moment the store's name leads to a whole store: the old one until a single rename, and the new one
//! after it. Files are added before; those that the old store names stay where they are.
#![expect(clippy::disallowed_methods, reason = "the store moves its own files")]

use std::fs;
use std::io::ErrorKind;
use std::ops::{Bound, ControlFlow};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::form::BackupError;
use super::unpack::Unpacked;
use crate::store::content::{Content, FileContent};
use crate::store::crash_point;
use crate::store::engine::{Engine, EngineOptions};
use crate::store::open::{make_folder, open_file, sync_folder};
use crate::store::{Store, StoreError};

/// How the name of a store begins that was moved aside.
pub const ASIDE: &str = "store.redb.before-restore-";

/// Stores of one second that may lie aside.
const ASIDE_MAX: u32 = 100;

/// What became of the store that was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    pub aside: Option<PathBuf>,
}

/// Whether the store at `path` holds anything, or cannot be read and may.
pub fn holds_something(path: &Path, options: EngineOptions) -> Result<bool, StoreError> {
    let store = match Engine::open_read_only(path, options) {
        Ok(store) => store,
        Err(StoreError::Missing { .. }) => return Ok(false),
        Err(StoreError::Locked { path }) => return Err(StoreError::Locked { path }),
        Err(_) => return Ok(true),
    };
    let mut found = false;
    let looked = store.visit((Bound::Unbounded, Bound::Unbounded), &mut |_, _, _| {
        found = true;
        ControlFlow::Break(())
    });
    Ok(found || looked.is_err())
}

/// Moves `unpacked` into the data folder `data`. The store that is there, if any, gets the name [`ASIDE`] and `stamp`.
pub fn install(unpacked: &Unpacked, data: &Path, stamp: &str) -> Result<Installed, BackupError> {
    make_folder(data)?;
    let place = data.join("store.redb");
    // While this is held, nobody else opens the store; a store that cannot be read can still be held.
    let held = match open_file(&place) {
        Ok(held) => Some(lock(held, &place)?),
        Err(StoreError::Missing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let from = FileContent::new(&unpacked.content);
    let to = FileContent::new(data.join("content"));
    crash_point::at("restore: unpacked");
    for hash in from.list()? {
        if let Some(path) = from.path(&hash) {
            to.adopt(&path)?;
        }
    }
    crash_point::at("restore: files adopted");
    let failed = |error: std::io::Error| BackupError::io(&place, &error);
    let aside = match &held {
        None => None,
        Some(_) => {
            forget_second_names(data, &place).map_err(failed)?;
            Some(put_aside(data, &place, stamp)?)
        }
    };
    crash_point::at("restore: put aside");
    sync_folder(data).map_err(failed)?;
    match held {
        Some(_) => fs::rename(&unpacked.store, &place),
        // Somebody may have made a store by now, and gone on with it.
        None => match fs::hard_link(&unpacked.store, &place) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(BackupError::Exists(place)),
            Err(error) if lacks_second_names(&error) && place.symlink_metadata().is_err() => {
                fs::rename(&unpacked.store, &place)
            }
            linked => linked,
        },
    }
    .map_err(failed)?;
    crash_point::at("restore: renamed");
    sync_folder(data).map_err(failed)?;
    drop(held);
    Ok(Installed { aside })
}

/// Gives the store a second name, under which it stays.
fn put_aside(data: &Path, place: &Path, stamp: &str) -> Result<PathBuf, BackupError> {
    let mut aside = data.join(format!("{ASIDE}{stamp}"));
    for number in 2..ASIDE_MAX {
        match fs::hard_link(place, &aside) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                aside = data.join(format!("{ASIDE}{stamp}-{number}"));
            }
            Err(error) if lacks_second_names(&error) && aside.symlink_metadata().is_err() => {
                copy(place, &aside).map_err(|error| BackupError::io(&aside, &error))?;
                return Ok(aside);
            }
            linked => {
                linked.map_err(|error| BackupError::io(&aside, &error))?;
                return Ok(aside);
            }
        }
    }
    Err(BackupError::Exists(aside))
}

/// Copies a file, whole or not at all.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let part = to.with_extension("copying");
    fs::copy(from, &part)?;
    fs::File::open(&part)?.sync_all()?;
    fs::rename(part, to)
}

/// Some file systems know no second names.
fn lacks_second_names(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied)
}

/// Removes second names of the store that is there: a restore was killed before it took the first.
fn forget_second_names(data: &Path, place: &Path) -> std::io::Result<()> {
    let own = fs::metadata(place)?;
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        let other = entry.metadata()?;
        let is_same = (other.dev(), other.ino()) == (own.dev(), own.ino());
        if is_same && entry.file_name().to_string_lossy().starts_with(ASIDE) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Keeps everybody else from opening the store at `place`, as long as this lives.
fn lock(held: FileBackend, place: &Path) -> Result<FileBackend, StoreError> {
    match held.try_lock_range(Bound::Unbounded, Bound::Unbounded) {
        Ok(true) => Ok(held),
        Ok(false) => Err(StoreError::Locked { path: place.to_owned() }),
        Err(error) => Err(StoreError::Io {
            path: place.to_owned(),
            reason: error.to_string(),
        }),
    }
}

/// Whether a store lies beside the one in `data` that was moved aside: the files that it names must stay.
pub fn has_aside(data: &Path) -> Result<bool, StoreError> {
    let failed = |error: std::io::Error| StoreError::io(data, &error);
    let entries = match fs::read_dir(data) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        if entry.map_err(failed)?.file_name().to_string_lossy().starts_with(ASIDE) {
            return Ok(true);
        }
    }
    Ok(false)
}
