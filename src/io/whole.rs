//! Files that are read whole, up to a limit, and written whole or not at all.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the door to files that go to other machines"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The first `bytes` of the regular file at `path`; fewer when it is shorter, `None` when there is no such file.
pub fn head(path: &Path, bytes: usize) -> io::Result<Option<Vec<u8>>> {
    // Looked at before it is opened: opening a pipe would wait for somebody to write.
    if !path.is_file() {
        return Ok(None);
    }
    let mut head = Vec::new();
    File::open(path)?.take(bytes as u64).read_to_end(&mut head)?;
    Ok(Some(head))
}

/// What a file looks like from outside: whether it is the same as before, as far as that can be told without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    bytes: u64,
    modified: Option<std::time::SystemTime>,
}

/// The stamp of the regular file at `path`, if there is one.
pub fn stamp(path: &Path) -> Option<Stamp> {
    let data = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some(Stamp {
        bytes: data.len(),
        modified: data.modified().ok(),
    })
}

/// The regular file at `path`, or `None` when it has more than `bytes_max` bytes.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    if !path.is_file() {
        return Err(io::Error::new(ErrorKind::NotFound, "there is no such file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= bytes_max).then_some(bytes))
}

/// The lines of the regular file at `path`, one after the other and without their ends; one of more than `bytes_max` bytes
/// is an error.
pub fn lines(path: &Path, bytes_max: u64) -> io::Result<impl Iterator<Item = io::Result<Vec<u8>>>> {
    if !path.is_file() {
        return Err(io::Error::new(ErrorKind::NotFound, "there is no such file"));
    }
    let mut file = BufReader::new(File::open(path)?);
    Ok(std::iter::from_fn(move || {
        let mut line = Vec::new();
        match file.by_ref().take(bytes_max + 1).read_until(b'\n', &mut line) {
            Ok(0) => return None,
            Err(error) => return Some(Err(error)),
            Ok(_) => {}
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() as u64 > bytes_max {
            let reason = format!("a line has more than {bytes_max} bytes");
            return Some(Err(io::Error::new(ErrorKind::InvalidData, reason)));
        }
        Some(Ok(line))
    }))
}

/// Writes `bytes` to `path`, for its owner only. Whoever looks sees all of it or what was there before. Returns `false`,
/// and changes nothing, when something is there already and is not to be replaced.
pub fn write(path: &Path, bytes: &[u8], replace: bool) -> io::Result<bool> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "this is no name of a file"))?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut part = std::ffi::OsString::from(".");
    part.push(name);
    part.push(format!(".part-{}", std::process::id()));
    let part = folder.join(part);
    let written = write_part(&part, bytes).and_then(|()| settle(&part, path, replace));
    match (&written, fs::remove_file(&part)) {
        // It has its name, or another fault is told already.
        (Ok(true), _) | (Err(_), _) => {}
        (Ok(false), removed) => removed?,
    }
    if matches!(written, Ok(true)) {
        File::open(&folder)?.sync_all()?;
    }
    written
}

/// Writes `bytes` in place of the file at `path`, which keeps its permissions. Whoever looks sees all of it or what was
/// there before.
pub fn rewrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let permissions = fs::metadata(path)?.permissions();
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".part-{}", std::process::id()));
    let part = PathBuf::from(part);
    let written = write_part(&part, bytes)
        .and_then(|()| fs::set_permissions(&part, permissions))
        .and_then(|()| fs::rename(&part, path));
    if written.is_err() && part.exists() {
        fs::remove_file(&part)?;
    }
    written
}

fn write_part(part: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(part)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn settle(part: &Path, path: &Path, replace: bool) -> io::Result<bool> {
    if replace {
        fs::rename(part, path)?;
        return Ok(true);
    }
    // Not "look first, then rename": between the two somebody may make the file.
    match fs::hard_link(part, path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_only_when_that_is_asked_for_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bundle");
        assert!(write(&path, b"one", false).unwrap());
        assert!(!write(&path, b"two", false).unwrap());
        assert_eq!(read(&path, 3).unwrap().unwrap(), b"one");
        assert!(write(&path, b"three", true).unwrap());
        assert_eq!(read(&path, 4).unwrap(), None);
        assert_eq!(head(&path, 2).unwrap().unwrap(), b"th");
        assert!(write(&folder.path().join("none/a"), b"", false).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(head(folder.path(), 2).unwrap(), None, "a folder is no file");
    }
}
