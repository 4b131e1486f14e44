//! Writes a backup: under another name, synced, and then renamed. What is cut off leaves no file of that name.
//!
//! Rows come from one look at the store, which waits for nobody and keeps nobody waiting; then the files, which are named by
//! what they hold and never altered. What was written goes to the disk in small parts, so that no commit waits behind
//! much of it, and from a thread of its own ([`pour`](super::pour)), so that the next blocks are made meanwhile. A few
//! megabytes are in memory at a time, whatever the store holds.
#![expect(clippy::disallowed_methods, reason = "the store writes its own backups")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::ops::{Bound, ControlFlow};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::form::{BackupError, DIGEST_BYTES, FILE, FORMAT, HEADER, Header, MAGIC, ROWS, TRAILER, Trailer, encode};
use super::pour::{Output, pour};
use super::seal::Key;
use crate::id::ContentHash;
use crate::store::content::Content;
use crate::store::crash_point;
use crate::store::open::sync_folder;
use crate::store::{CommitNo, Store, StoreError, keys};

/// Rows of one block, and pieces of files.
const BLOCK_BYTES: usize = 1 << 20;

/// What stands in the names of files under way, before who writes them.
const PART: &str = ".part-";

/// Files of one name that one process may have under way.
const PARTS_MAX: u32 = 100;

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

/// Writes what `store` and `content` hold now to a new file at `path`. The salt beside the key is drawn by chance.
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
    let (part, file) = begin(path).map_err(|error| BackupError::io(path, &error))?;
    let made = write_part(store, content, (&part, &file), header, seal, tell).and_then(|made| {
        settle(&part, path)?;
        Ok(Made {
            path: path.to_owned(),
            ..made
        })
    });
    if made.is_err()
        && let Err(error) = fs::remove_file(&part)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(file = %part.display(), %error, "what was begun of a backup could not be removed");
    }
    made
}

/// Makes the file to write to, beside `path`, so that it can be renamed; locked, so that everybody sees that it is used.
/// What others left of the same name goes.
fn begin(path: &Path) -> io::Result<(PathBuf, File)> {
    let no_name = || io::Error::new(io::ErrorKind::InvalidInput, "this is no name of a file");
    let name = path.file_name().ok_or_else(no_name)?.to_string_lossy();
    sweep(folder_of(path), &|of| of == name)?;
    for number in 0..PARTS_MAX {
        let part = path.with_file_name(format!(".{name}{PART}{}-{number}", std::process::id()));
        let mut options = OpenOptions::new();
        match options.write(true).create_new(true).mode(0o600).open(&part) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            made => {
                let file = made?;
                // Where the disk knows no locks, nobody takes it for one that was left.
                drop(file.try_lock());
                return Ok((part, file));
            }
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Removes what was begun in `folder` of backups with such names by processes that are gone.
pub fn sweep(folder: &Path, is_one: &dyn Fn(&str) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let of = name.to_str().and_then(|name| name.strip_prefix('.')?.rsplit_once(PART));
        if !of.is_some_and(|(of, _)| is_one(of)) || !entry.file_type()?.is_file() {
            continue;
        }
        let Ok(left) = File::open(entry.path()) else { continue };
        // One that was made a moment ago is not locked yet.
        let is_new = left.metadata()?.len() == 0;
        if !is_new && left.try_lock().is_ok() {
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Gives the finished file its name, unless another has it by now.
fn settle(part: &Path, path: &Path) -> Result<(), BackupError> {
    crash_point::at("backup: written");
    let linked = match fs::hard_link(part, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(BackupError::Exists(path.to_owned())),
        // Some file systems know no second names.
        Err(_) if path.symlink_metadata().is_ok() => return Err(BackupError::Exists(path.to_owned())),
        Err(_) => fs::rename(part, path),
        Ok(()) => {
            crash_point::at("backup: named");
            fs::remove_file(part)
        }
    };
    let synced = linked.and_then(|()| sync_folder(folder_of(path)));
    synced.map_err(|error| BackupError::io(path, &error))
}

fn write_part(
    store: &dyn Store,
    content: &dyn Content,
    (part, file): (&Path, &File),
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
    let encoded = encode(&header);
    let lock = lock.map(|lock| lock.under(&encoded));
    let ((trailer, bytes), digest) = pour(part, file, lock, |out| {
        out.raw([MAGIC.as_slice(), &FORMAT.to_be_bytes()].concat())?;
        out.plain(HEADER, &encoded)?;
        let mut trailer = Trailer::default();
        rows(store, out, &mut trailer, tell)?;
        files(content, out, &mut trailer, tell)?;
        out.sealed(TRAILER, encode(&trailer))?;
        Ok((trailer, out.bytes + DIGEST_BYTES as u64))
    })?;
    Ok(Made {
        path: part.to_owned(),
        bytes,
        header,
        trailer,
        sha256: hex::encode(digest),
    })
}

fn rows(store: &dyn Store, out: &mut Output, trailer: &mut Trailer, tell: &mut Tell<'_>) -> Result<(), BackupError> {
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
    out: &mut Output,
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
    out: &mut Output,
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
