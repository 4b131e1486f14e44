//! A run's own folder: where its media is made, and where people find it under readable names.
//!
//! What has a readable name here lies among the content-addressed files too. Both names mean one file where the disk
//! allows it, and the file is made read-only, so that whoever edits it in place does not alter what other runs rely on.
#![expect(clippy::disallowed_methods, reason = "this is the door to the runs' own folders")]

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::id::{ContentHash, RunId};

/// How many names are tried for one file.
const NAMES_MAX: u32 = 1000;

/// Why a file could not be made visible.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceFault {
    #[error("{name:?} is the name of another file of this run already; choose another name")]
    Taken { name: String },
    #[error("the run's folder {} cannot be used: {source}", .path.display())]
    Unusable { path: PathBuf, source: io::Error },
}

impl WorkspaceFault {
    /// The stable name of this fault.
    pub fn code(&self) -> &'static str {
        match self {
            WorkspaceFault::Taken { .. } => "MEDIA_NAME_TAKEN",
            WorkspaceFault::Unusable { .. } => "WORKSPACE_UNUSABLE",
        }
    }
}

/// Removes the folder of a run that is gone; it may be gone already.
pub fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// The runs that have a folder below `folder`.
pub fn runs_below(folder: &Path) -> io::Result<Vec<RunId>> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut runs = Vec::new();
    for entry in listed {
        let name = entry?.file_name();
        let run = name.to_str().and_then(|name| name.parse::<RunId>().ok());
        // Whoever wrote it otherwise is somebody else.
        runs.extend(run.filter(|run| name.to_str() == Some(run.to_string().as_str())));
    }
    runs.sort();
    Ok(runs)
}

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct Workspace(PathBuf);

impl Workspace {
    /// The folder at `path`, made if it is not there.
    pub fn open(path: PathBuf) -> Result<Workspace, WorkspaceFault> {
        match DirBuilder::new().recursive(true).mode(0o700).create(&path) {
            Ok(()) => Ok(Workspace(path)),
            Err(source) => Err(WorkspaceFault::Unusable { path, source }),
        }
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file that is nothing yet but its bytes, under a name that nobody sees, and returns where it lies.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, WorkspaceFault> {
        let path = self.0.join(format!(".{name}.part"));
        let written = fs::write(&path, bytes);
        written.map(|()| path).map_err(|source| self.unusable(source))
    }

    /// Gives the file at `path` a second name here, and returns it: `name`, or where another file has that one and
    /// `numbered` allows it, `name` with a number before its ending. A file that is here already stays as it is.
    pub fn show(&self, path: &Path, name: &str, numbered: bool) -> Result<String, WorkspaceFault> {
        let mut tried = name.to_owned();
        for number in 2..NAMES_MAX {
            let visible = self.0.join(&tried);
            match fs::hard_link(path, &visible) {
                Ok(()) => return Ok(tried),
                Err(_) if visible.exists() => {
                    if self.is_same(path, &visible)? {
                        return Ok(tried);
                    }
                    if !numbered {
                        break;
                    }
                    tried = with_number(name, number);
                }
                // Another disk, or one that knows no second names.
                Err(_) => {
                    let copied = copy_whole(path, &visible);
                    return copied.map(|()| tried).map_err(|source| self.unusable(source));
                }
            }
        }
        Err(WorkspaceFault::Taken { name: name.to_owned() })
    }

    /// Makes what `show` has named read-only.
    pub fn protect(&self, name: &str) -> Result<(), WorkspaceFault> {
        let protected = fs::set_permissions(self.0.join(name), Permissions::from_mode(0o400));
        protected.map_err(|source| self.unusable(source))
    }

    /// The file called `name`, if its content is `hash`.
    pub fn find(&self, name: &str, hash: ContentHash) -> Option<PathBuf> {
        let path = self.0.join(name);
        (hash_of(&path).ok()? == hash).then_some(path)
    }

    /// Removes a file that came to nothing.
    pub fn discard(&self, path: &Path) {
        // It lies in the run's own folder, where at worst it takes up room.
        fs::remove_file(path).ok();
    }

    fn is_same(&self, a: &Path, b: &Path) -> Result<bool, WorkspaceFault> {
        let same = || {
            let sizes = (fs::metadata(a)?.len(), fs::metadata(b)?.len());
            Ok(sizes.0 == sizes.1 && hash_of(a)? == hash_of(b)?)
        };
        same().map_err(|source| self.unusable(source))
    }

    fn unusable(&self, source: io::Error) -> WorkspaceFault {
        WorkspaceFault::Unusable {
            path: self.0.clone(),
            source,
        }
    }
}

/// Copies under another name first, so that what has its name is whole.
fn copy_whole(from: &Path, to: &Path) -> io::Result<()> {
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    fs::copy(from, &part)?;
    fs::rename(&part, to)
}

/// The hash of the file at `path`.
pub fn hash_of(path: &Path) -> io::Result<ContentHash> {
    ContentHash::read(File::open(path)?).map(|(hash, _)| hash)
}

/// The whole file at `path`, refused where it has more than `bytes_max` bytes.
pub fn read_bytes(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::other(format!("it has more than {bytes_max} bytes")));
    }
    Ok(bytes)
}

/// `clip.mp4` as `clip-2.mp4`.
fn with_number(name: &str, number: u32) -> String {
    match name.rsplit_once('.') {
        Some((stem, ending)) => format!("{stem}-{number}.{ending}"),
        None => format!("{name}-{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(workspace: &Workspace, name: &str, text: &str) -> PathBuf {
        let path = workspace.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn another_file_of_the_same_name_gets_a_number_and_the_same_file_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(dir.path().join("runs/a")).unwrap();
        let (one, two) = (made(&workspace, "1.tmp", "one"), made(&workspace, "2.tmp", "two"));
        assert_eq!(workspace.show(&one, "clip.mp4", true).unwrap(), "clip.mp4");
        assert_eq!(workspace.show(&two, "clip.mp4", true).unwrap(), "clip-2.mp4");
        let again = made(&workspace, "3.tmp", "two");
        assert_eq!(workspace.show(&again, "clip.mp4", true).unwrap(), "clip-2.mp4");
        assert_eq!(
            workspace.show(&two, "clip.mp4", false).unwrap_err().code(),
            "MEDIA_NAME_TAKEN"
        );
        assert_eq!(fs::read_to_string(workspace.path().join("clip.mp4")).unwrap(), "one");
    }

    #[test]
    fn a_copy_is_whole_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(dir.path().to_owned()).unwrap();
        let one = made(&workspace, "1.tmp", "one");
        copy_whole(&one, &dir.path().join("clip.mp4")).unwrap();
        assert!(workspace.find("clip.mp4", ContentHash::of(b"one")).is_some());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_shown_is_read_only_and_found_by_name_and_content() {
        let dir = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(dir.path().to_owned()).unwrap();
        let one = made(&workspace, "1.tmp", "one");
        let name = workspace.show(&one, "clip.mp4", true).unwrap();
        workspace.protect(&name).unwrap();
        assert_eq!(fs::metadata(&one).unwrap().permissions().mode() & 0o777, 0o400);
        assert!(workspace.find("clip.mp4", ContentHash::of(b"one")).is_some());
        assert!(workspace.find("clip.mp4", ContentHash::of(b"two")).is_none());
        assert!(workspace.find("clap.mp4", ContentHash::of(b"one")).is_none());
    }
}
