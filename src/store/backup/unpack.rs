//! Makes a store and its files of a backup, in a folder of their own.
//!
//! When this returns, the whole backup was read and each part of it was as it was written.
#![expect(clippy::disallowed_methods, reason = "the store makes its own files")]

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::form::{BackupError, Header, Trailer};
use super::read::{Part, Reader};
use super::seal::Key;
use super::write::{Progress, Tell};
use crate::id::ContentHash;
use crate::store::build::Building;
use crate::store::content::{Content, FileContent};
use crate::store::engine::EngineOptions;
use crate::store::open::make_folder;
use crate::store::{CommitNo, StoreError};

/// A backup that was unpacked.
#[derive(Debug)]
pub struct Unpacked {
    pub header: Header,
    pub trailer: Trailer,
    /// The store's file.
    pub store: PathBuf,
    /// The folder of its files.
    pub content: PathBuf,
    /// The last commit that is in it.
    pub last: CommitNo,
}

/// Unpacks the backup at `path` in `folder`, which is made, and emptied of what an earlier attempt left. Commits to the new
/// store get numbers after what `beyond` makes of the last one in the backup.
pub fn unpack(
    path: &Path,
    key: Option<&Key>,
    folder: &Path,
    options: EngineOptions,
    beyond: &dyn Fn(CommitNo) -> CommitNo,
    tell: &mut Tell<'_>,
) -> Result<Unpacked, BackupError> {
    let mut reader = Reader::open(path, key)?;
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(BackupError::io(folder, &error)),
        _ => {}
    }
    make_folder(folder)?;
    let store = folder.join("store.redb");
    let content = folder.join("content");
    let mut building = Building::begin(&store, options)?;
    let mut files = Files {
        part: folder.join("part"),
        content: FileContent::new(&content),
        open: None,
    };
    let mut progress = Progress {
        of: Some(reader.bytes),
        ..Progress::default()
    };
    loop {
        match reader.next_part()? {
            Part::Rows(rows) => rows.each(|key, value, version| -> Result<(), StoreError> {
                progress.rows += 1;
                building.put(key, value, version)
            })?,
            Part::Piece {
                hash,
                offset,
                total,
                bytes,
            } => {
                progress.files += u64::from(offset == 0);
                if !files.take(hash, offset, total, &bytes)? {
                    return Err(BackupError::Damaged {
                        path: path.to_owned(),
                        at: reader.at(),
                        reason: format!("the file {} does not hold what its name says", hash.short()),
                    });
                }
            }
            Part::End(trailer) => {
                if files.open.is_some() {
                    return Err(BackupError::CutOff {
                        path: path.to_owned(),
                        at: reader.bytes,
                    });
                }
                let last = building.last().max(CommitNo(reader.header.last_commit));
                building.finish(beyond(last))?;
                return Ok(Unpacked {
                    header: reader.header,
                    trailer,
                    store,
                    content,
                    last,
                });
            }
        }
        progress.bytes = reader.at();
        if tell(progress).is_break() {
            return Err(BackupError::Cancelled);
        }
    }
}

/// Files that come piece by piece.
struct Files {
    /// Where the one under way lies.
    part: PathBuf,
    content: FileContent,
    open: Option<(ContentHash, File, u64)>,
}

impl Files {
    /// Whether the piece fits, and the file that it ends is as its name says.
    fn take(&mut self, hash: ContentHash, offset: u64, total: u64, bytes: &[u8]) -> Result<bool, BackupError> {
        let failed = |error: std::io::Error| BackupError::io(&self.part, &error);
        let (of, mut file, so_far) = match self.open.take() {
            Some(open) => open,
            None => {
                let mut options = OpenOptions::new();
                let options = options.write(true).create(true).truncate(true).mode(0o600);
                (hash, options.open(&self.part).map_err(failed)?, 0)
            }
        };
        if of != hash || so_far != offset {
            return Ok(false);
        }
        file.write_all(bytes).map_err(failed)?;
        let so_far = so_far + bytes.len() as u64;
        if so_far < total {
            self.open = Some((hash, file, so_far));
            return Ok(true);
        }
        drop(file);
        let (found, _) = self.content.adopt(&self.part)?;
        Ok(found == hash)
    }
}

/// Tells nobody, and goes on to the end.
pub fn quietly(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Removes what was unpacked, or begun to be.
pub fn clear(folder: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io(folder, &error)),
        _ => Ok(()),
    }
}
