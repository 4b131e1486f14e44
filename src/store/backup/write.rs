//! Writes a backup: under another name, synced, and then renamed. What is cut off leaves no file of that name.
//!
//! Rows come from one look at the store, which waits for nobody and keeps nobody waiting; then the files, which are named by
//! what they hold and never altered. What was written goes to the disk in small parts, so that no commit waits behind
//! much of it. A megabyte or two is in memory at a time, whatever the store holds.
#![expect(clippy::disallowed_methods, reason = "the store writes its own backups")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::ops::{Bound, ControlFlow};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::form::{BackupError, FILE, FORMAT, HEADER, Header, MAGIC, ROWS, TRAILER, Trailer, checksum, encode};
use super::seal::{Key, Lock};
use crate::id::ContentHash;
use crate::store::content::Content;
use crate::store::open::sync_folder;
use crate::store::{CommitNo, Store, StoreError, keys};

/// Rows of one block, and pieces of files.
const BLOCK_BYTES: usize = 1 << 20;

/// How much is written between two syncs.
const SYNC_BYTES: u64 = 4 << 20;

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub rows: u64,
    pub files: u64,
    /// Bytes of the backup.
    pub bytes: u64,
    /// How many there will be, where that is known.
    pub of: Option<u64>,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    pub path: PathBuf,
    pub bytes: u64,
    pub header: Header,
    pub trailer: Trailer,
    /// Of the whole file but this.
    pub sha256: String,
}

/// Is told how it goes, and may break it off.
pub type Tell<'a> = dyn FnMut(Progress) -> ControlFlow<()> + 'a;

/// Writes what `store` and `content` hold now to a new file at `path`. `salt` is drawn by chance.
pub fn write(
    store: &dyn Store,
    content: &dyn Content,
    path: &Path,
    header: Header,
    seal: Option<(&Key, [u8; 32])>,
    tell: &mut Tell<'_>,
) -> Result<Made, BackupError> {
    if path.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(path.to_owned()));
    }
    let part = part_of(path)?;
    let made = write_part(store, content, &part, header, seal, tell).and_then(|made| {
        settle(&part, path)?;
        Ok(Made {
            path: path.to_owned(),
            ..made
        })
    });
    if made.is_err() && part.exists() {
        fs::remove_file(&part).map_err(|error| BackupError::io(&part, &error))?;
    }
    made
}

/// Beside `path`, so that it can be renamed. One that an earlier process of this number left is written over.
fn part_of(path: &Path) -> Result<PathBuf, BackupError> {
    let no_name = || io::Error::new(io::ErrorKind::InvalidInput, "this is no name of a file");
    let name = path.file_name().ok_or_else(|| BackupError::io(path, &no_name()))?;
    let name = format!(".{}.part-{}", name.to_string_lossy(), std::process::id());
    Ok(path.with_file_name(name))
}

/// Gives the finished file its name, unless another has it by now.
fn settle(part: &Path, path: &Path) -> Result<(), BackupError> {
    let linked = match fs::hard_link(part, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(BackupError::Exists(path.to_owned())),
        Err(_) => fs::rename(part, path),
        Ok(()) => fs::remove_file(part),
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let synced = linked.and_then(|()| sync_folder(folder));
    synced.map_err(|error| BackupError::io(path, &error))
}

fn write_part(
    store: &dyn Store,
    content: &dyn Content,
    part: &Path,
    mut header: Header,
    seal: Option<(&Key, [u8; 32])>,
    tell: &mut Tell<'_>,
) -> Result<Made, BackupError> {
    let lock = seal.map(|(key, salt)| {
        let (sealed, lock) = key.seal_with(salt);
        header.sealed = Some(sealed);
        lock
    });
    // What was acknowledged before is in it, and little is left to be copied out of memory.
    let last = store.stats().last_commit;
    store.wait_durable(last)?;
    header.last_commit = last.0;
    let mut out = Output::create(part, lock)?;
    out.raw(MAGIC)?;
    out.raw(&FORMAT.to_be_bytes())?;
    out.plain(HEADER, &encode(&header))?;
    let mut trailer = Trailer::default();
    rows(store, &mut out, &mut trailer, tell)?;
    files(content, &mut out, &mut trailer, tell)?;
    out.plain(TRAILER, &encode(&trailer))?;
    let (bytes, sha256) = out.end()?;
    Ok(Made {
        path: part.to_owned(),
        bytes,
        header,
        trailer,
        sha256,
    })
}

fn rows(
    store: &dyn Store,
    out: &mut Output<'_>,
    trailer: &mut Trailer,
    tell: &mut Tell<'_>,
) -> Result<(), BackupError> {
    let mut block = Vec::with_capacity(BLOCK_BYTES + (BLOCK_BYTES >> 2));
    let mut ended: Result<(), BackupError> = Ok(());
    // The last space seen, and how many rows it had by then: rows come in key order.
    let mut at: Option<(u8, u64)> = None;
    store.visit((Bound::Unbounded, Bound::Unbounded), &mut |key, value, version| {
        let space = key.first().copied().unwrap_or_default();
        at = match at {
            Some((same, count)) if same == space => Some((same, count + 1)),
            other => {
                count_space(trailer, other);
                Some((space, 1))
            }
        };
        put_row(&mut block, key, value, version);
        trailer.rows += 1;
        trailer.row_bytes += (key.len() + value.len()) as u64;
        if block.len() >= BLOCK_BYTES {
            ended = flush(out, ROWS, &mut block, trailer, tell);
        }
        match ended {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    ended?;
    count_space(trailer, at);
    if !block.is_empty() {
        flush(out, ROWS, &mut block, trailer, tell)?;
    }
    Ok(())
}

fn count_space(trailer: &mut Trailer, counted: Option<(u8, u64)>) {
    if let Some((space, count)) = counted {
        *trailer.spaces.entry(keys::space_name(space)).or_default() += count;
    }
}

fn put_row(block: &mut Vec<u8>, key: &[u8], value: &[u8], CommitNo(version): CommitNo) {
    block.extend((key.len() as u32).to_be_bytes());
    block.extend((value.len() as u32).to_be_bytes());
    block.extend(version.to_be_bytes());
    block.extend(key);
    block.extend(value);
}

fn flush(
    out: &mut Output<'_>,
    kind: u8,
    block: &mut Vec<u8>,
    trailer: &Trailer,
    tell: &mut Tell<'_>,
) -> Result<(), BackupError> {
    out.pressed(kind, block)?;
    block.clear();
    let progress = Progress {
        rows: trailer.rows,
        files: trailer.files,
        bytes: out.bytes,
        of: None,
    };
    match tell(progress) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(BackupError::Cancelled),
    }
}

fn files(
    content: &dyn Content,
    out: &mut Output<'_>,
    trailer: &mut Trailer,
    tell: &mut Tell<'_>,
) -> Result<(), BackupError> {
    let mut piece = vec![0; BLOCK_BYTES];
    for hash in content.list()? {
        // One that retention has just removed is named by no row.
        let Some(path) = content.path(&hash) else { continue };
        let failed = |error: io::Error| BackupError::io(&path, &error);
        let (found, bytes) = match File::open(&path).and_then(ContentHash::read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            read => read.map_err(failed)?,
        };
        if found != hash {
            trailer.left_out.push(hash.to_string());
            continue;
        }
        let mut file = File::open(&path).map_err(failed)?;
        let mut offset = 0_u64;
        loop {
            let read = (&mut file).take(BLOCK_BYTES as u64).read(&mut piece).map_err(failed)?;
            if read == 0 && (offset > 0 || bytes > 0) {
                break;
            }
            let mut block = Vec::with_capacity(48 + read);
            block.extend(hash.as_bytes());
            block.extend(offset.to_be_bytes());
            block.extend(bytes.to_be_bytes());
            block.extend(&piece[..read]);
            offset += read as u64;
            flush(out, FILE, &mut block, trailer, tell)?;
            if read == 0 {
                break;
            }
        }
        if offset != bytes {
            let reason = "it changed while it was copied".to_owned();
            return Err(StoreError::Io { path, reason }.into());
        }
        trailer.files += 1;
        trailer.file_bytes += bytes;
    }
    Ok(())
}

/// The file under way.
struct Output<'a> {
    path: &'a Path,
    file: File,
    lock: Option<Lock>,
    hasher: Sha256,
    bytes: u64,
    unsynced: u64,
    /// The number of the next block.
    number: u64,
}

impl Output<'_> {
    fn create(path: &Path, lock: Option<Lock>) -> Result<Output<'_>, BackupError> {
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(path).map_err(|error| BackupError::io(path, &error))?;
        Ok(Output {
            path,
            file,
            lock,
            hasher: Sha256::new(),
            bytes: 0,
            unsynced: 0,
            number: 0,
        })
    }

    fn raw(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.hasher.update(bytes);
        let failed = |error| BackupError::io(self.path, &error);
        self.file.write_all(bytes).map_err(failed)?;
        self.bytes += bytes.len() as u64;
        self.unsynced += bytes.len() as u64;
        if self.unsynced >= SYNC_BYTES {
            self.unsynced = 0;
            self.file.sync_data().map_err(failed)?;
        }
        Ok(())
    }

    /// A block as it is.
    fn plain(&mut self, kind: u8, body: &[u8]) -> Result<(), BackupError> {
        let mut head = vec![kind];
        head.extend((body.len() as u32).to_be_bytes());
        self.raw(&head)?;
        self.raw(body)?;
        self.raw(&checksum(kind, body).to_be_bytes())?;
        self.number += 1;
        Ok(())
    }

    /// A block that is pressed and, where there is a key, sealed.
    fn pressed(&mut self, kind: u8, body: &[u8]) -> Result<(), BackupError> {
        let mut body = lz4_flex::block::compress_prepend_size(body);
        if let Some(lock) = &self.lock {
            lock.close(self.number, kind, &mut body);
        }
        self.plain(kind, &body)
    }

    fn end(mut self) -> Result<(u64, String), BackupError> {
        let digest = self.hasher.clone().finalize();
        self.raw(&digest)?;
        self.file
            .sync_all()
            .map_err(|error| BackupError::io(self.path, &error))?;
        Ok((self.bytes, hex::encode(digest)))
    }
}
