//! The door to changes of files: it tells that something changed in some folders, and what files hold.
//!
//! What the system tells of is only a hint: an editor that saves by renaming, truncating or both makes many events of
//! one save, and some file systems tell of nothing. So whoever watches waits until it is quiet, and then compares what
//! the files hold with what they held.
#![expect(clippy::disallowed_methods, reason = "this is the door to watched files")]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use notify::event::EventKind;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::clock::Clock;
use crate::id::ContentHash;

/// Bytes of a file beyond which its size and time stand for what it holds.
const HASHED_BYTES_MAX: u64 = 4 << 20;

/// Watches some folders until it is dropped.
pub struct Watcher {
    // Dropping it ends the watch.
    _watcher: RecommendedWatcher,
    events: Receiver<()>,
}

impl Watcher {
    /// Watches `folders`; those with `true` with all below them. What is not there is passed over.
    pub fn new(folders: &[(PathBuf, bool)]) -> Result<Watcher, String> {
        Watcher::of(folders, |_| true)
    }

    /// The same, and tells of those changes only whose path `matters`.
    pub fn of(
        folders: &[(PathBuf, bool)],
        matters: impl Fn(&Path) -> bool + Send + 'static,
    ) -> Result<Watcher, String> {
        let (sender, events) = channel();
        let told = move |event: notify::Result<notify::Event>| {
            // Reading is no change. An error may mean that some were missed, so it counts as one.
            let is_change = event.map_or(true, |event| {
                let is_some = event.paths.is_empty() || event.paths.iter().any(|path| matters(path));
                is_some && !matches!(event.kind, EventKind::Access(_))
            });
            if is_change {
                // Nobody listens any more: the watch is about to end.
                sender.send(()).unwrap_or_default();
            }
        };
        let mut watcher = notify::recommended_watcher(told).map_err(|error| error.to_string())?;
        for (folder, with_below) in folders.iter().filter(|(folder, _)| folder.is_dir()) {
            let mode = if *with_below {
                RecursiveMode::Recursive
            } else {
                RecursiveMode::NonRecursive
            };
            let watched = watcher.watch(folder, mode);
            watched.map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        Ok(Watcher {
            _watcher: watcher,
            events,
        })
    }

    /// Waits until something changes, `at_most` so long; returns whether it did.
    pub fn wait(&self, at_most: Duration) -> bool {
        self.events.recv_timeout(at_most).is_ok()
    }

    /// Waits until nothing has changed for as long as `quiet`, `at_most` so long.
    pub fn settle(&self, quiet: Duration, at_most: Duration, clock: &dyn Clock) {
        let give_up_at = clock.monotonic() + at_most;
        while clock.monotonic() < give_up_at {
            match self.events.recv_timeout(quiet) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// What some files hold: of each a hash, `None` where there is no file that can be read.
pub type Contents = BTreeMap<PathBuf, Option<ContentHash>>;

/// What `paths` hold now.
pub fn contents(paths: impl IntoIterator<Item = PathBuf>) -> Contents {
    paths
        .into_iter()
        .map(|path| {
            let held = held(&path);
            (path, held)
        })
        .collect()
}

fn held(path: &Path) -> Option<ContentHash> {
    let file = std::fs::File::open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() {
        return None;
    }
    if metadata.len() > HASHED_BYTES_MAX {
        return Some(ContentHash::of(
            format!("{} {:?}", metadata.len(), metadata.modified().ok()).as_bytes(),
        ));
    }
    let (hash, _) = ContentHash::read(file.take(HASHED_BYTES_MAX)).ok()?;
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::chance::SystemChance;
    use crate::io::clock::SystemClock;
    use crate::io::scratch::Scratch;

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn a_change_is_told_and_reading_is_none() {
        let scratch = Scratch::new(&SystemChance).expect("a folder");
        let file = scratch.path().join("a.rhai");
        std::fs::write(&file, "1").expect("a file");
        let watcher = Watcher::new(&[(scratch.path().to_owned(), true)]).expect("a watch");
        let before = contents([file.clone()]);
        assert!(!watcher.wait(Duration::from_millis(50)), "reading is no change");
        std::fs::write(&file, "2").expect("a file");
        assert!(watcher.wait(LONG), "writing is one");
        watcher.settle(Duration::from_millis(20), LONG, &SystemClock::new());
        assert!(!watcher.wait(Duration::from_millis(20)), "one save is one change");
        let now = contents([file.clone()]);
        assert_ne!(before, now);
        std::fs::remove_file(&file).expect("it is there");
        assert!(watcher.wait(LONG), "removing is one, too");
        assert_eq!(contents([file.clone()])[&file], None);
    }

    #[test]
    fn folders_that_are_not_there_are_passed_over() {
        let scratch = Scratch::new(&SystemChance).expect("a folder");
        assert!(Watcher::new(&[(scratch.path().join("none"), true)]).is_ok());
    }
}
