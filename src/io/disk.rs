//! How full the disk is.

use std::path::Path;

/// The free bytes of the disk that `path` lies on, for whoever is not root, and all it has; `None` where nobody can tell.
pub fn space(path: &Path) -> Option<(u64, u64)> {
    let stat = rustix::fs::statvfs(path).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Some((bytes(stat.f_bavail), bytes(stat.f_blocks)))
}
