//! The door through which `host init` writes: new files only, so that nothing anybody has is ever overwritten.
#![expect(clippy::disallowed_methods, reason = "this is the door to new files")]

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Writes `bytes` to a new file, with the folders above it; returns `false`, and writes nothing, when something is
/// there already.
pub fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<bool> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).create(folder)?;
    }
    // Not "look first, then write": between the two somebody may make the file, and a link may lead anywhere.
    let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(error),
    };
    file.write_all(bytes)?;
    Ok(true)
}
