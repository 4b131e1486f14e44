//! Large values and media as files named by the hash of what they hold.
//!
//! A file is complete or absent: it is written under another name, synced, renamed, and its folder synced, all before
//! `put` or `adopt` returns. So a batch that names a hash cannot become durable before the file it names, and nothing
//! has to be done at commit. What a batch that failed leaves behind is found by retention, since no row names it.
//!
//! Reading checks the hash. Whoever asks for an altered file learns that it is altered, never what it says now; storing
//! the content again replaces the altered file.
#![expect(clippy::disallowed_methods, reason = "the store opens its own files")]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::StoreError;
use super::open::{make_folder, sync_folder};
use crate::id::ContentHash;

/// The most that is read into memory at once; larger files are used by their path.
pub const CONTENT_GET_BYTES_MAX: u64 = 64 << 20;

/// How the names of files end that are being removed.
const GOING: &str = ".going";

/// A body of contents, each under its hash.
pub trait Content: Send + Sync {
    /// Keeps `bytes`. When this returns they are on disk, if this content outlives the process at all.
    fn put(&self, bytes: &[u8]) -> Result<ContentHash, StoreError>;

    /// What has this hash, or `None`. Fails with [`StoreError::Corrupt`] when it was altered.
    fn get(&self, hash: &ContentHash) -> Result<Option<Vec<u8>>, StoreError>;

    /// Moves the finished file at `path` in; returns its hash and how many bytes it has.
    fn adopt(&self, path: &Path) -> Result<(ContentHash, u64), StoreError>;

    /// Where the content lies as a file, if it does. Not checked against its hash.
    fn path(&self, hash: &ContentHash) -> Option<PathBuf>;

    /// The hash of each that is there, in order. Not checked. What is kept in memory only is not listed.
    fn list(&self) -> Result<Vec<ContentHash>, StoreError> {
        Ok(Vec::new())
    }

    /// Whether the file holds what its name says, and its bytes; `None` when there is none.
    fn is_intact(&self, hash: &ContentHash) -> Result<Option<(bool, u64)>, StoreError> {
        Ok(self.get(hash)?.map(|bytes| (true, bytes.len() as u64)))
    }

    /// Removes a file that no row names, if it was put there before `before`; gives its bytes.
    fn remove(&self, _hash: &ContentHash, _before: SystemTime) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    /// Removes what was left unfinished before `before`, and undoes a removal that was. Nobody removes meanwhile.
    fn tidy(&self, _before: SystemTime) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Contents in a folder: `ab/abcdef…`.
pub struct FileContent {
    folder: PathBuf,
}

impl FileContent {
    /// The folder is made when the first content comes.
    pub fn new(folder: impl Into<PathBuf>) -> FileContent {
        FileContent { folder: folder.into() }
    }

    fn place(&self, hash: &ContentHash) -> PathBuf {
        let name = hash.to_string();
        self.folder.join(&name[..2]).join(name)
    }

    /// Puts a file in its place that `make` creates under the name it is given.
    fn settle(&self, hash: &ContentHash, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), StoreError> {
        // Distinguishes the threads of this process; processes differ by their ids.
        static ATTEMPT: AtomicU64 = AtomicU64::new(0);

        let place = self.place(hash);
        let folder = place
            .parent()
            .expect("a content lies in a folder of the content folder")
            .to_owned();
        if !folder.is_dir() {
            make_folder(&folder)?;
            sync_folder(&self.folder).map_err(|error| StoreError::io(&self.folder, &error))?;
        }
        if is_kept(&place, hash) {
            // Perhaps renamed a moment ago by another thread that has not yet synced the folder.
            return sync_folder(&folder).map_err(|error| StoreError::io(&folder, &error));
        }
        let attempt = ATTEMPT.fetch_add(1, Ordering::Relaxed);
        let unfinished = folder.join(format!(".{}.new-{}-{attempt}", hash.short(), std::process::id()));
        let settled = make(&unfinished)
            .and_then(|()| fs::rename(&unfinished, &place))
            .and_then(|()| sync_folder(&folder));
        if settled.is_err() && unfinished.exists() {
            fs::remove_file(&unfinished).map_err(|error| StoreError::io(&unfinished, &error))?;
        }
        settled.map_err(|error| StoreError::io(&place, &error))
    }
}

impl Content for FileContent {
    fn put(&self, bytes: &[u8]) -> Result<ContentHash, StoreError> {
        let hash = ContentHash::of(bytes);
        self.settle(&hash, |unfinished| {
            let mut file = create_private(unfinished)?;
            file.write_all(bytes)?;
            file.sync_all()
        })?;
        Ok(hash)
    }

    fn get(&self, hash: &ContentHash) -> Result<Option<Vec<u8>>, StoreError> {
        let place = self.place(hash);
        let file = match File::open(&place) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io(&place, &error)),
        };
        let failed = |error| StoreError::io(&place, &error);
        let bytes_len = file.metadata().map_err(failed)?.len();
        if bytes_len > CONTENT_GET_BYTES_MAX {
            let what = format!("the content {}", hash.short());
            return Err(StoreError::TooLarge {
                what,
                bytes: bytes_len,
                bytes_max: CONTENT_GET_BYTES_MAX,
            });
        }
        let mut bytes = Vec::with_capacity(bytes_len as usize);
        file.take(CONTENT_GET_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        if ContentHash::of(&bytes) != *hash {
            return Err(StoreError::corrupt(
                &place,
                "its content does not have the hash it is named by",
            ));
        }
        Ok(Some(bytes))
    }

    fn adopt(&self, path: &Path) -> Result<(ContentHash, u64), StoreError> {
        let failed = |error| StoreError::io(path, &error);
        let kind = fs::symlink_metadata(path).map_err(failed)?.file_type();
        if !kind.is_file() {
            return Err(failed(io::Error::new(
                ErrorKind::InvalidInput,
                "only a regular file can be kept",
            )));
        }
        let (hash, bytes) = hash_file(path).map_err(failed)?;
        self.settle(&hash, |unfinished| {
            File::open(path)?.sync_all()?;
            fs::set_permissions(path, PermissionsExt::from_mode(0o600))?;
            match fs::rename(path, unfinished) {
                Err(error) if error.kind() == ErrorKind::CrossesDevices => copy_synced(path, unfinished),
                renamed => renamed,
            }
        })?;
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(error)),
            _ => Ok((hash, bytes)),
        }
    }

    fn path(&self, hash: &ContentHash) -> Option<PathBuf> {
        let place = self.place(hash);
        place.is_file().then_some(place)
    }

    fn list(&self) -> Result<Vec<ContentHash>, StoreError> {
        let mut found = Vec::new();
        for folder in entries(&self.folder)? {
            if !folder.is_dir() {
                continue;
            }
            let names = entries(&folder)?.into_iter();
            // What is unfinished begins with a dot, and is no hash.
            found.extend(names.filter_map(|path| path.file_name()?.to_str()?.parse::<ContentHash>().ok()));
        }
        found.sort();
        Ok(found)
    }

    fn is_intact(&self, hash: &ContentHash) -> Result<Option<(bool, u64)>, StoreError> {
        let place = self.place(hash);
        match hash_file(&place) {
            Ok((found, bytes)) => Ok(Some((found == *hash, bytes))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io(&place, &error)),
        }
    }

    fn remove(&self, hash: &ContentHash, before: SystemTime) -> Result<Option<u64>, StoreError> {
        let place = self.place(hash);
        let failed = |error: io::Error| StoreError::io(&place, &error);
        let is_young = |data: &fs::Metadata| data.modified().is_ok_and(|modified| modified >= before);
        let data = match fs::metadata(&place) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            data => data.map_err(failed)?,
        };
        if is_young(&data) {
            return Ok(None);
        }
        // Under another name first: whoever is about to name it makes it young, and looks whether it is still there.
        let going = place.with_file_name(format!(".{hash}{GOING}"));
        fs::rename(&place, &going).map_err(failed)?;
        let data = fs::metadata(&going).map_err(failed)?;
        if is_young(&data) {
            fs::rename(&going, &place).map_err(failed)?;
            return Ok(None);
        }
        fs::remove_file(&going).map_err(failed)?;
        Ok(Some(data.len()))
    }

    fn tidy(&self, before: SystemTime) -> Result<(), StoreError> {
        for folder in entries(&self.folder)?.iter().filter(|folder| folder.is_dir()) {
            tidy(folder, before).map_err(|error| StoreError::io(folder, &error))?;
        }
        Ok(())
    }
}

/// Clears a folder of what whoever was killed left there: what is unfinished goes, and what was being removed is as it was.
fn tidy(folder: &Path, before: SystemTime) -> io::Result<()> {
    for path in fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())) {
        let path = path?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(name) = name.strip_prefix('.') else { continue };
        let is_old = fs::metadata(&path).and_then(|data| data.modified());
        match name.strip_suffix(GOING) {
            Some(hash) if !folder.join(hash).exists() => fs::rename(&path, folder.join(hash))?,
            Some(_) => fs::remove_file(&path)?,
            None if is_old.is_ok_and(|modified| modified < before) => fs::remove_file(&path)?,
            None => {}
        }
    }
    Ok(())
}

/// Whether the file at `place` holds what its name says, and stays: it is as young as a new one from now on, so that
/// nobody removes it before a row names it.
fn is_kept(place: &Path, hash: &ContentHash) -> bool {
    let Ok(file) = File::open(place) else { return false };
    if !matches!(ContentHash::read(&file), Ok((present, _)) if present == *hash) {
        return false;
    }
    let touched = file.set_modified(SystemTime::now());
    let own = file.metadata().map(|data| (data.dev(), data.ino()));
    // It may have been taken away before it was young.
    let now = fs::metadata(place).map(|data| (data.dev(), data.ino()));
    touched.is_ok() && matches!((own, now), (Ok(own), Ok(now)) if own == now)
}

/// What lies in `folder`, in order; nothing when it is not there.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let failed = |error: io::Error| StoreError::io(folder, &error);
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(failed)?,
    };
    let paths: io::Result<Vec<PathBuf>> = listed.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(failed)?;
    paths.sort();
    Ok(paths)
}

/// Contents of a rehearsal: new ones go to a place of their own, old ones are read from the base, if there is one.
/// The base is never written.
pub struct ScratchContent {
    base: Option<Arc<dyn Content>>,
    own: Own,
}

enum Own {
    Memory(Mutex<BTreeMap<ContentHash, Vec<u8>>>),
    Files(FileContent),
}

impl ScratchContent {
    pub fn in_memory(base: Option<Arc<dyn Content>>) -> ScratchContent {
        ScratchContent {
            base,
            own: Own::Memory(Mutex::default()),
        }
    }

    /// Writes to `folder`, which the caller removes when the rehearsal is over.
    pub fn in_folder(folder: impl Into<PathBuf>, base: Option<Arc<dyn Content>>) -> ScratchContent {
        ScratchContent {
            base,
            own: Own::Files(FileContent::new(folder)),
        }
    }
}

impl Content for ScratchContent {
    fn put(&self, bytes: &[u8]) -> Result<ContentHash, StoreError> {
        match &self.own {
            Own::Files(files) => files.put(bytes),
            Own::Memory(memory) => {
                let hash = ContentHash::of(bytes);
                memory
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(hash, bytes.to_vec());
                Ok(hash)
            }
        }
    }

    fn get(&self, hash: &ContentHash) -> Result<Option<Vec<u8>>, StoreError> {
        let own = match &self.own {
            Own::Files(files) => files.get(hash)?,
            Own::Memory(memory) => memory.lock().unwrap_or_else(PoisonError::into_inner).get(hash).cloned(),
        };
        match (own, &self.base) {
            (None, Some(base)) => base.get(hash),
            (own, _) => Ok(own),
        }
    }

    fn adopt(&self, path: &Path) -> Result<(ContentHash, u64), StoreError> {
        let failed = |error| StoreError::io(path, &error);
        match &self.own {
            Own::Files(files) => files.adopt(path),
            Own::Memory(_) => {
                let bytes = fs::metadata(path).map_err(failed)?.len();
                if bytes > CONTENT_GET_BYTES_MAX {
                    let what = "a content kept in memory".to_owned();
                    return Err(StoreError::TooLarge {
                        what,
                        bytes,
                        bytes_max: CONTENT_GET_BYTES_MAX,
                    });
                }
                let hash = self.put(&fs::read(path).map_err(failed)?)?;
                fs::remove_file(path).map_err(failed)?;
                Ok((hash, bytes))
            }
        }
    }

    fn path(&self, hash: &ContentHash) -> Option<PathBuf> {
        let own = match &self.own {
            Own::Files(files) => files.path(hash),
            Own::Memory(_) => None,
        };
        own.or_else(|| self.base.as_ref()?.path(hash))
    }
}

fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

fn copy_synced(from: &Path, to: &Path) -> io::Result<()> {
    let mut file = create_private(to)?;
    io::copy(&mut File::open(from)?, &mut file)?;
    file.sync_all()
}

/// The hash and length of a file of any size.
fn hash_file(path: &Path) -> io::Result<(ContentHash, u64)> {
    ContentHash::read(File::open(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files_below(folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(files_below(&path));
            } else {
                found.push(path);
            }
        }
        found
    }

    #[test]
    fn content_comes_back_under_its_hash_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let content = FileContent::new(folder.path().join("deep/content"));
        let hash = content.put(b"clip").unwrap();
        assert_eq!(content.put(b"clip").unwrap(), hash);
        assert_eq!(content.get(&hash).unwrap().as_deref(), Some(b"clip".as_slice()));
        assert_eq!(content.get(&ContentHash::of(b"other")).unwrap(), None);

        let files = files_below(folder.path());
        assert_eq!(files, [content.path(&hash).unwrap()]);
        assert!(files[0].ends_with(format!("{}/{hash}", &hash.to_string()[..2])));
        assert_eq!(files[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            folder.path().join("deep").metadata().unwrap().permissions().mode() & 0o777,
            0o700
        );
    }

    #[test]
    fn altered_content_is_an_error_until_it_is_stored_again() {
        let folder = tempfile::tempdir().unwrap();
        let content = FileContent::new(folder.path());
        let hash = content.put(b"clip").unwrap();
        fs::write(content.path(&hash).unwrap(), b"clap").unwrap();
        assert_eq!(content.get(&hash).unwrap_err().code(), "STORE_CORRUPT");
        content.put(b"clip").unwrap();
        assert_eq!(content.get(&hash).unwrap().as_deref(), Some(b"clip".as_slice()));
    }

    #[test]
    fn an_adopted_file_is_moved_and_a_link_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let content = FileContent::new(folder.path().join("content"));
        for _twice in 0..2 {
            let made = folder.path().join("made.mp4");
            fs::write(&made, b"video").unwrap();
            assert_eq!(content.adopt(&made).unwrap(), (ContentHash::of(b"video"), 5));
            assert!(!made.exists());
        }
        let secret = folder.path().join("secret");
        fs::write(&secret, b"secret").unwrap();
        let link = folder.path().join("link.mp4");
        std::os::unix::fs::symlink(&secret, &link).unwrap();
        assert_eq!(content.adopt(&link).unwrap_err().code(), "STORE_IO");
        assert_eq!(files_below(&folder.path().join("content")).len(), 1);
    }

    #[test]
    fn a_file_that_is_put_again_is_young_and_is_not_removed_before_a_row_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let content = FileContent::new(folder.path());
        let hash = content.put(b"clip").unwrap();
        let old = SystemTime::now() - std::time::Duration::from_secs(7 * 86_400);
        let before = SystemTime::now() - std::time::Duration::from_secs(86_400);
        let age = || {
            let file = File::options().write(true).open(content.path(&hash).unwrap()).unwrap();
            file.set_modified(old).unwrap();
        };
        age();
        content.put(b"clip").unwrap();
        assert_eq!(content.remove(&hash, before).unwrap(), None);
        assert!(content.get(&hash).unwrap().is_some());
        age();
        assert_eq!(content.remove(&hash, before).unwrap(), Some(4));
        assert!(files_below(folder.path()).is_empty());

        // Killed in the middle of that.
        let hash = content.put(b"clip").unwrap();
        let place = content.path(&hash).unwrap();
        fs::rename(&place, place.with_file_name(format!(".{hash}.going"))).unwrap();
        fs::write(place.with_file_name(".abc.new-1-0"), b"cl").unwrap();
        content.tidy(before).unwrap();
        assert_eq!(files_below(folder.path()).len(), 2, "it may be under way");
        content
            .tidy(SystemTime::now() + std::time::Duration::from_secs(1))
            .unwrap();
        assert_eq!(files_below(folder.path()), [place]);
        assert!(content.get(&hash).unwrap().is_some());
    }

    #[test]
    fn a_file_that_is_removed_while_it_is_put_is_there_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let content = FileContent::new(folder.path());
        let bytes = vec![3; 200_000];
        let hash = content.put(&bytes).unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let old = SystemTime::now() - std::time::Duration::from_secs(7 * 86_400);
                    if let Ok(file) = File::options().write(true).open(content.place(&hash)) {
                        file.set_modified(old).unwrap();
                    }
                    let before = SystemTime::now() - std::time::Duration::from_secs(86_400);
                    content.remove(&hash, before).unwrap_or_default();
                }
            });
            // The other thread makes it old again at once, so that only what lies within one put is told here: it never fails.
            for _ in 0..200 {
                assert_eq!(content.put(&bytes).unwrap(), hash);
            }
            stop.store(true, Ordering::Relaxed);
        });
        content.put(&bytes).unwrap();
        assert_eq!(content.get(&hash).unwrap(), Some(bytes));
    }

    #[test]
    fn content_put_by_many_threads_at_once_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let content = FileContent::new(folder.path());
        let bytes = vec![7; 100_000];
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| content.put(&bytes).unwrap());
            }
        });
        assert_eq!(content.get(&ContentHash::of(&bytes)).unwrap(), Some(bytes));
        assert_eq!(files_below(folder.path()).len(), 1);
    }

    #[test]
    fn scratch_content_reads_the_base_and_never_writes_it() {
        let folder = tempfile::tempdir().unwrap();
        let base = Arc::new(FileContent::new(folder.path().join("base")));
        let old = base.put(b"old").unwrap();
        let before = files_below(folder.path());
        let scratch = tempfile::tempdir().unwrap();
        let scratches = [
            ScratchContent::in_memory(Some(base.clone())),
            ScratchContent::in_folder(scratch.path().join("new"), Some(base.clone())),
        ];
        for content in scratches {
            let made = scratch.path().join("made");
            fs::write(&made, b"made").unwrap();
            let (adopted, _) = content.adopt(&made).unwrap();
            let put = content.put(b"new").unwrap();
            assert_eq!(content.get(&old).unwrap().as_deref(), Some(b"old".as_slice()));
            assert_eq!(content.path(&old), base.path(&old));
            assert_eq!(content.get(&put).unwrap().as_deref(), Some(b"new".as_slice()));
            assert_eq!(content.get(&adopted).unwrap().as_deref(), Some(b"made".as_slice()));
            assert_eq!(base.get(&put).unwrap(), None);
        }
        assert_eq!(files_below(folder.path()), before);
    }
}
