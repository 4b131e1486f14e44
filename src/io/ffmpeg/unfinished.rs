//! A file being written under a temporary name.
#![expect(clippy::disallowed_methods, reason = "this is the door to ffmpeg")]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::fault::FfmpegFault;

/// How many taken names are skipped.
const TRIES_MAX: usize = 10_000;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A complete output that has not got its name yet. It is removed when dropped, unless [`Unfinished::finish`] was
/// called; so a file without `.part` at its end is always whole.
#[derive(Debug)]
pub struct Unfinished {
    part: PathBuf,
    whole: PathBuf,
}

impl Unfinished {
    /// An empty file in `dir`, under a name that nothing else has.
    pub(super) fn reserve(dir: &Path, extension: &str) -> Result<Unfinished, FfmpegFault> {
        let dir = dir.canonicalize().map_err(FfmpegFault::output)?;
        for _ in 0..TRIES_MAX {
            // The process's id alone does not do: in a container it is the same after every start.
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let whole = dir.join(format!("{}-{number}.{extension}", std::process::id()));
            let part = dir.join(format!("{}-{number}.{extension}.part", std::process::id()));
            if whole.exists() {
                continue;
            }
            match OpenOptions::new().write(true).create_new(true).open(&part) {
                Ok(_) => return Ok(Unfinished { part, whole }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(FfmpegFault::output(error)),
            }
        }
        let taken = io::Error::new(
            io::ErrorKind::AlreadyExists,
            "the output folder is full of unfinished files",
        );
        Err(FfmpegFault::Output(taken))
    }

    /// Where it is while it is unfinished.
    pub fn path(&self) -> &Path {
        &self.part
    }

    /// Puts this behind `before`, and returns both as one.
    pub fn put_behind(self, before: Unfinished) -> Result<Unfinished, FfmpegFault> {
        let append = || {
            let mut whole = OpenOptions::new().append(true).open(&before.part)?;
            io::copy(&mut File::open(&self.part)?, &mut whole)
        };
        append().map(|_| before).map_err(FfmpegFault::output)
    }

    /// Gives the file its name, and returns it.
    pub fn finish(self) -> Result<PathBuf, FfmpegFault> {
        fs::rename(&self.part, &self.whole).map_err(FfmpegFault::output)?;
        Ok(self.whole.clone())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After `finish` there is nothing under this name. That removing fails can only leave a `.part` behind.
        fs::remove_file(&self.part).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finished_is_removed_and_what_is_stays() {
        let dir = tempfile::tempdir().unwrap();
        let count = || fs::read_dir(dir.path()).unwrap().count();
        drop(Unfinished::reserve(dir.path(), "mp4").unwrap());
        assert_eq!(count(), 0);
        let whole = Unfinished::reserve(dir.path(), "mp4").unwrap().finish().unwrap();
        assert!(whole.extension().is_some_and(|extension| extension == "mp4"));
        assert_eq!(count(), 1);
    }

    #[test]
    fn two_become_one_and_nothing_of_them_is_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let made = |text: &str| {
            let unfinished = Unfinished::reserve(dir.path(), "ts").unwrap();
            fs::write(unfinished.path(), text).unwrap();
            unfinished
        };
        let whole = made("two").put_behind(made("one ")).unwrap();
        let whole = made(" three").put_behind(whole).unwrap();
        assert_eq!(fs::read_to_string(whole.path()).unwrap(), "one two three");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        drop(whole);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named_as_the_trouble() {
        let fault = Unfinished::reserve(Path::new("/nowhere/at/all"), "mp4").unwrap_err();
        assert_eq!(fault.code(), "OUTPUT_NOT_WRITTEN");
    }
}
