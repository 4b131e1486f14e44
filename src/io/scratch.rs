//! A folder for files that nobody needs afterwards: gone when dropped.
#![expect(clippy::disallowed_methods, reason = "this is the door to scratch folders")]

use std::path::{Path, PathBuf};

use super::chance::Chance;

/// A new, empty folder that only this user can enter.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one among the system's temporary files.
    pub fn new(chance: &dyn Chance) -> std::io::Result<Scratch> {
        Scratch::below(&std::env::temp_dir(), chance)
    }

    /// Makes one in `folder`.
    pub fn below(folder: &Path, chance: &dyn Chance) -> std::io::Result<Scratch> {
        use std::os::unix::fs::DirBuilderExt;
        let path = folder.join(format!("host-{:016x}", chance.bits()));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Scratch(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "a scratch folder could not be removed");
        }
    }
}
