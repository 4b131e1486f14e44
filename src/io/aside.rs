//! Folders beside the store in which backups are unpacked.
//!
//! Each belongs to one process, which holds it locked and removes it when it is done. What a process left that was killed
//! holds nobody; whoever comes next removes it ([`sweep`]).
#![expect(
    clippy::disallowed_methods,
    reason = "this is the door to folders in which backups are unpacked"
)]

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// How their names begin.
const BEGIN: &str = ".unpacked-";

/// Folders of one process at the same time.
const FOLDERS_MAX: u32 = 100;

/// A folder of this process.
#[derive(Debug)]
pub struct Aside {
    path: PathBuf,
    /// Locked, where the disk knows locks.
    _held: File,
}

impl Aside {
    /// Makes an empty one in `parent`, and removes what others left there that are gone.
    pub fn make(parent: &Path) -> io::Result<Aside> {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        sweep(parent)?;
        for number in 0..FOLDERS_MAX {
            let path = parent.join(format!("{BEGIN}{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            // Somebody who sweeps may take it for one that nobody holds, until it is.
            if let Some(held) = hold(&path)? {
                return Ok(Aside { path, _held: held });
            }
        }
        Err(io::Error::new(
            ErrorKind::AlreadyExists,
            "too many backups are being unpacked beside it",
        ))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(folder = %self.path.display(), %error, "what was unpacked could not be removed");
        }
    }
}

/// The folder at `path`, locked; `None` when it is gone, or somebody else holds it.
fn hold(path: &Path) -> io::Result<Option<File>> {
    let folder = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        folder => folder?,
    };
    match folder.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(None),
        // Where there are no locks, nobody sweeps either.
        Err(TryLockError::Error(_)) | Ok(()) => {}
    }
    let own = folder.metadata()?;
    let is_there = fs::metadata(path).is_ok_and(|now| (now.dev(), now.ino()) == (own.dev(), own.ino()));
    Ok(is_there.then_some(folder))
}

/// Removes the folders in `parent` that nobody holds any more; gives how many.
pub fn sweep(parent: &Path) -> io::Result<u32> {
    let listed = match fs::read_dir(parent) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        listed => listed?,
    };
    let mut swept = 0;
    for entry in listed {
        let entry = entry?;
        let is_one = entry.file_name().to_string_lossy().starts_with(BEGIN) && entry.file_type()?.is_dir();
        if !is_one {
            continue;
        }
        let Ok(folder) = File::open(entry.path()) else { continue };
        if folder.try_lock().is_ok() {
            match fs::remove_dir_all(entry.path()) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => swept += 1,
            }
        }
    }
    Ok(swept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_swept_and_what_somebody_holds_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(".unpacked-1-0");
        fs::create_dir_all(left.join("content")).unwrap();
        fs::create_dir(folder.path().join("mine")).unwrap();
        let held = Aside::make(folder.path()).unwrap();
        assert!(!left.exists());
        let other = Aside::make(folder.path()).unwrap();
        assert_ne!(held.path(), other.path());
        assert_eq!(sweep(folder.path()).unwrap(), 0);
        assert!(held.path().is_dir() && other.path().is_dir());
        drop((held, other));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "what is not theirs");
    }
}
