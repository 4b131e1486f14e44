//! A file that is being downloaded: what has come of it, and which version of it that was.
//!
//! Both lie in the run's own folder under names that follow from the step, so that a later attempt, also one of a later
//! process, goes on where this one stops. The note about the version is written before the first byte of it.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the door to files that are being downloaded"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The largest note that is read.
const NOTE_BYTES_MAX: u64 = 64 * 1024;

/// Which version of a file has been coming.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    pub url: String,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    /// How many bytes it has in all, where the server said so.
    pub total: Option<u64>,
}

/// A file on its way.
#[derive(Debug)]
pub struct Partial {
    path: PathBuf,
    note: PathBuf,
    version: Option<Version>,
    have: u64,
    file: Option<File>,
}

impl Partial {
    /// What is in `folder` under `name`; nothing, when no version of it is known.
    pub fn open(folder: &Path, name: &str) -> Partial {
        let path = folder.join(format!(".{name}.part"));
        let note = folder.join(format!(".{name}.json"));
        let version = read_note(&note);
        let size = fs::metadata(&path)
            .ok()
            .filter(fs::Metadata::is_file)
            .map(|about| about.len());
        let have = size.filter(|_| version.is_some()).unwrap_or(0);
        Partial {
            path,
            note,
            version: version.filter(|_| have > 0),
            have,
            file: None,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes have come.
    pub fn have(&self) -> u64 {
        self.have
    }

    /// Of which version they are.
    pub fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// Begins `version` at its first byte; what has come of another is thrown away.
    pub fn begin(&mut self, version: Version) -> io::Result<()> {
        self.file = None;
        self.have = 0;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        self.file = Some(options.open(&self.path)?);
        let note = serde_json::to_vec(&version).map_err(io::Error::other)?;
        options.open(&self.note)?.write_all(&note)?;
        self.version = Some(version);
        Ok(())
    }

    /// Goes on after the bytes that have come.
    pub fn go_on(&mut self) -> io::Result<()> {
        let file = OpenOptions::new().append(true).open(&self.path)?;
        if file.metadata()?.len() != self.have {
            return Err(io::Error::other("it was changed by somebody else"));
        }
        self.file = Some(file);
        Ok(())
    }

    pub fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        let file = self.file.as_mut().ok_or_else(|| io::Error::other("it was not begun"))?;
        file.write_all(piece)?;
        self.have += piece.len() as u64;
        Ok(())
    }

    /// Ends with everything here; the file stays under [`path`](Partial::path), for whoever keeps it.
    pub fn finish(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            // Nothing had to come any more, or it is empty.
            self.file = Some(
                OpenOptions::new()
                    .create(true)
                    .append(true)
                    .mode(0o600)
                    .open(&self.path)?,
            );
        }
        if let Some(file) = self.file.take() {
            file.sync_all()?;
        }
        fs::remove_file(&self.note).or_else(ignore_missing)
    }

    /// Throws away what has come.
    pub fn discard(&mut self) {
        self.file = None;
        self.have = 0;
        self.version = None;
        // They lie in the run's own folder, where at worst they take up room.
        fs::remove_file(&self.path).ok();
        fs::remove_file(&self.note).ok();
    }
}

fn read_note(path: &Path) -> Option<Version> {
    let size = fs::metadata(path).ok()?.len();
    if size > NOTE_BYTES_MAX {
        return None;
    }
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn ignore_missing(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_come_is_found_again_with_its_version_and_not_without() {
        let dir = tempfile::tempdir().unwrap();
        let version = Version {
            etag: Some("\"a\"".to_owned()),
            total: Some(6),
            ..Version::default()
        };
        let mut partial = Partial::open(dir.path(), "7");
        assert_eq!((partial.have(), partial.version()), (0, None));
        partial.begin(version.clone()).unwrap();
        partial.write(b"abc").unwrap();
        drop(partial);
        let mut partial = Partial::open(dir.path(), "7");
        assert_eq!((partial.have(), partial.version()), (3, Some(&version)));
        partial.go_on().unwrap();
        partial.write(b"def").unwrap();
        partial.finish().unwrap();
        assert_eq!(fs::read(partial.path()).unwrap(), b"abcdef");
        assert_eq!(
            Partial::open(dir.path(), "7").have(),
            0,
            "bytes of an unknown version are nothing"
        );
    }
}
