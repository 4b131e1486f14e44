//! Is there room on the disk for what goes on beside?
//!
//! A store whose disk is full takes nothing more until it is opened anew. So whatever is written beside it for the sake of
//! upkeep is given up before it takes the last of the disk.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::io::disk;
use crate::store::StoreError;
use crate::store::backup::BackupError;

/// What is left to the store, at most.
const LEFT_BYTES: u64 = 64 << 20;

/// Of a small disk: one part of so many.
const LEFT_PART: u64 = 20;

/// The disk of a data folder.
pub struct Room {
    data: PathBuf,
    is_full: bool,
}

impl Room {
    pub fn of(data: &Path) -> Room {
        let data = data.to_owned();
        Room { data, is_full: false }
    }

    /// The room for a file at `path`; `None` where it takes nothing from that disk.
    pub fn for_file(data: &Path, path: &Path) -> Option<Room> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        disk::is_same(data, folder.unwrap_or(Path::new("."))).then(|| Room::of(data))
    }

    /// Says no when the disk is about to be full, and else what `told` says.
    pub fn look(&mut self, told: ControlFlow<()>) -> ControlFlow<()> {
        self.is_full = disk::space(&self.data).is_some_and(is_scarce);
        match self.is_full {
            true => ControlFlow::Break(()),
            false => told,
        }
    }

    /// What became of something that was given up for it.
    pub fn explain(&self, error: BackupError) -> BackupError {
        match error {
            BackupError::Cancelled if self.is_full => self.full().into(),
            error => error,
        }
    }

    fn full(&self) -> StoreError {
        StoreError::Full {
            path: self.data.clone(),
        }
    }
}

/// Whether so many free bytes of so many are too few.
fn is_scarce((free, all): (u64, u64)) -> bool {
    free < LEFT_BYTES.min(all / LEFT_PART)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_is_left_to_the_store_of_a_large_disk_and_of_a_small_one() {
        assert!(is_scarce(((64 << 20) - 1, 1 << 40)) && !is_scarce((64 << 20, 1 << 40)));
        assert!(is_scarce((1 << 20, 40 << 20)) && !is_scarce((2 << 20, 40 << 20)));
        assert!(is_scarce((0, 20)));
    }

    #[test]
    fn what_is_given_up_for_a_full_disk_says_so_and_what_a_person_breaks_off_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut room = Room::of(folder.path());
        assert!(room.look(ControlFlow::Break(())).is_break());
        assert_eq!(room.explain(BackupError::Cancelled).code(), "BACKUP_CANCELLED");
        room.is_full = true;
        assert_eq!(room.explain(BackupError::Cancelled).code(), "STORE_FULL");
        assert!(Room::for_file(folder.path(), &folder.path().join("a")).is_some());
        assert!(
            Room::for_file(folder.path(), Path::new("/proc/a")).is_none(),
            "another disk"
        );
    }
}
