//! The door to what somebody typed before: one entry a line, in a file that nobody else can read.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the door to the history of typed lines"
)]

use std::fs::{DirBuilder, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// The longest file that is read; of a longer one its end.
const BYTES_MAX: u64 = 1 << 20;

/// The newest entries of `path`, oldest first, at most `entries_max`.
pub fn load(path: &Path, entries_max: usize) -> Vec<String> {
    let read = || -> std::io::Result<Vec<u8>> {
        use std::io::{Seek, SeekFrom};
        let mut file = std::fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(BYTES_MAX)))?;
        let mut bytes = Vec::new();
        file.take(BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    // An entry may have several lines, and what is cut or not ours is passed over.
    let entries: Vec<String> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let left_out = entries.len().saturating_sub(entries_max);
    entries.into_iter().skip(left_out).collect()
}

/// Adds `entry` to `path`, which is made for this user alone.
pub fn append(path: &Path, entry: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.is_dir()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    // It may have been made by somebody else, or copied.
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    let line = serde_json::to_string(entry)?;
    file.write_all(format!("{line}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::chance::SystemChance;
    use crate::io::scratch::Scratch;

    #[test]
    fn entries_come_back_in_order_and_only_their_user_can_read_them() {
        let scratch = Scratch::new(&SystemChance).expect("a folder");
        let path = scratch.path().join("data/history");
        for entry in ["one", "two\nlines", "three"] {
            append(&path, entry).expect("written");
        }
        assert_eq!(load(&path, 10), ["one", "two\nlines", "three"]);
        assert_eq!(load(&path, 2), ["two\nlines", "three"]);
        let mode = path.metadata().expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_is_no_entry_is_passed_over() {
        let scratch = Scratch::new(&SystemChance).expect("a folder");
        let path = scratch.path().join("history");
        std::fs::write(&path, b"not quoted\n\xff\xfe\n\"good\"\n").expect("written");
        assert_eq!(load(&path, 10), ["good"]);
        assert!(load(&scratch.path().join("none"), 10).is_empty());
    }
}
