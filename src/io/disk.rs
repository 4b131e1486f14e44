//! How full the disk is.

use std::path::Path;

/// The free bytes of the disk that `path` lies on, for whoever is not root, and all it has; `None` where nobody can tell.
pub fn space(path: &Path) -> Option<(u64, u64)> {
    let stat = rustix::fs::statvfs(path).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Some((bytes(stat.f_bavail), bytes(stat.f_blocks)))
}

/// Whether both lie on the same disk.
pub fn is_same(one: &Path, other: &Path) -> bool {
    let disk = |path| rustix::fs::stat(path).ok().map(|stat| stat.st_dev);
    disk(one).is_some_and(|disk_of_one| disk(other) == Some(disk_of_one))
}
