//! Folders in which the host keeps files for itself, such as backups.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the door to folders that the host keeps files in"
)]

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Makes `folder` and those above it, closed to other users.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// The names of the regular files in `folder`, in order; none when it is not there.
pub fn names(folder: &Path) -> io::Result<Vec<String>> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut names = Vec::new();
    for entry in listed {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort();
    Ok(names)
}

/// Removes a file; it may be gone already.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Adds `bytes` to the end of the file at `path`, which is made for its owner only when it is not there; they are on the disk
/// when this returns.
pub fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.append(true).create(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The same for a line. Where the last one was cut off, by a crash or a full disk, `cut` ends it first: it stays what it is,
/// and no line begins in its middle.
pub fn append_line(path: &Path, line: &str, cut: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.read(true).append(true).create(true).mode(0o600).open(path)?;
    let mut last = [b'\n'];
    if file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    let cut = if last == *b"\n" { "" } else { cut };
    file.write_all(format!("{cut}{line}\n").as_bytes())?;
    file.sync_all()
}

/// The bytes of the file at `path`.
pub fn bytes(path: &Path) -> io::Result<u64> {
    fs::metadata(path).map(|data| data.len())
}
