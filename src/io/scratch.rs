//! A folder for files that nobody needs afterwards: gone when dropped.
#![expect(clippy::disallowed_methods, reason = "this is the door to scratch folders")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::chance::Chance;
use super::clock::Clock;

/// A page: about what a small commit writes.
const SYNCED_BYTES: usize = 4096;

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

    /// Writes a file in it, and makes the folders above that.
    pub fn put(&self, name: &str, text: &str) -> std::io::Result<()> {
        let path = self.0.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, text)
    }

    /// The text of a file in it; nothing where there is none yet.
    pub fn text_of(&self, name: &str) -> std::io::Result<String> {
        match std::fs::read_to_string(self.0.join(name)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            text => text,
        }
    }

    /// The bytes of a file in it.
    pub fn size_of(&self, name: &Path) -> std::io::Result<u64> {
        self.0.join(name).metadata().map(|metadata| metadata.len())
    }

    /// How long this folder's disk takes to keep a small write, `times` times, shortest first.
    pub fn sync_times(&self, times: usize, clock: &dyn Clock) -> std::io::Result<Vec<Duration>> {
        use std::os::unix::fs::FileExt;
        let file = std::fs::File::create_new(self.0.join("sync"))?;
        file.set_len(SYNCED_BYTES as u64)?;
        file.sync_all()?;
        let mut taken = Vec::with_capacity(times);
        for round in 0..times {
            file.write_all_at(&[round as u8; SYNCED_BYTES], 0)?;
            let before = clock.monotonic();
            file.sync_data()?;
            taken.push(clock.monotonic().saturating_sub(before));
        }
        taken.sort();
        Ok(taken)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "a scratch folder could not be removed");
        }
    }
}
