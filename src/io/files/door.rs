//! Checking a path, and reading what it names.
#![expect(clippy::disallowed_methods, reason = "this is the door to the project's files")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, FileType, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::fault::FileFault;
use super::list::{self, FileInfo};
use crate::id::ContentHash;
use crate::io::pinned::{PinnedFile, PinnedFiles, is_prompt};

/// The most bytes of a text, JSON or CSV file that are read.
pub const TEXT_BYTES_MAX: u64 = 16 << 20;
/// The most bytes of any file that is hashed or handed to another door.
pub const MEDIA_BYTES_MAX: u64 = 16 << 30;
/// What a folder is called where a file is wanted.
const A_FOLDER: &str = "a folder";
/// The longest path.
const PATH_BYTES_MAX: usize = 1024;

/// The door to the project's files.
#[derive(Clone, Debug)]
pub struct ProjectFiles {
    /// `None` once the door is shut.
    root: Option<PathBuf>,
    folders: Vec<String>,
    /// Texts in memory, by path: instead of what lies on the disk, or behind a door that is shut.
    texts: Arc<BTreeMap<String, String>>,
    /// Prompts as they were at one moment, in place of those on the disk.
    pinned: Option<PinnedFiles>,
}

/// A regular file below a declared folder: proof that [`ProjectFiles::open`] has looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedPath {
    asked: String,
    absolute: PathBuf,
}

impl CheckedPath {
    /// As it was asked for, relative to the project.
    pub fn as_str(&self) -> &str {
        &self.asked
    }

    /// Where the file really lies, every link followed.
    pub fn absolute(&self) -> &Path {
        &self.absolute
    }
}

impl ProjectFiles {
    /// A door to `folders` below `root`; each is a relative path with forward slashes.
    pub fn new(root: PathBuf, folders: Vec<String>) -> ProjectFiles {
        ProjectFiles {
            root: Some(root),
            folders,
            texts: Arc::default(),
            pinned: None,
        }
    }

    /// A door that refuses everything.
    pub fn shut() -> ProjectFiles {
        ProjectFiles {
            root: None,
            folders: Vec::new(),
            texts: Arc::default(),
            pinned: None,
        }
    }

    /// A door behind which lie these texts, by path, and nothing of the disk.
    pub fn of_texts(texts: BTreeMap<String, String>) -> ProjectFiles {
        ProjectFiles {
            texts: Arc::new(texts),
            ..ProjectFiles::shut()
        }
    }

    /// The same door, with these texts in the place of the files of these paths.
    pub fn with_texts(&self, texts: BTreeMap<String, String>) -> ProjectFiles {
        ProjectFiles {
            texts: Arc::new(texts),
            ..self.clone()
        }
    }

    /// The same door, with the prompts of `pinned` and no others.
    pub fn with_prompts(&self, pinned: PinnedFiles) -> ProjectFiles {
        ProjectFiles {
            pinned: Some(pinned),
            ..self.clone()
        }
    }

    /// What the pinned prompts say of `path`, where it is for them to say.
    fn prompt(&self, path: &str) -> Option<Option<&PinnedFile>> {
        let pinned = self.pinned.as_ref().filter(|_| is_prompt(path))?;
        Some(pinned.get(path))
    }

    /// Checks that `path` names a regular file below a declared folder.
    pub fn open(&self, path: &str) -> Result<CheckedPath, FileFault> {
        if self.texts.contains_key(path) || self.root.is_none() && !self.texts.is_empty() {
            return self.open_text(path);
        }
        if let Some(prompt) = self.prompt(path) {
            check_text(path)?;
            let not_found = || FileFault::NotFound {
                path: path.to_owned(),
                near: self.near_prompts(path),
            };
            prompt.ok_or_else(not_found)?;
            return Ok(CheckedPath {
                asked: path.to_owned(),
                absolute: PathBuf::from(path),
            });
        }
        let absolute = self.resolve(path)?;
        let about = metadata(path, &absolute)?;
        if !about.is_file() {
            return Err(FileFault::NotRegular {
                path: path.to_owned(),
                kind: kind(about.file_type()),
            });
        }
        if about.len() > MEDIA_BYTES_MAX {
            return Err(too_large(path, about.len(), MEDIA_BYTES_MAX));
        }
        Ok(CheckedPath {
            asked: path.to_owned(),
            absolute,
        })
    }

    fn near_prompts(&self, path: &str) -> Vec<String> {
        let (folder, _) = path.rsplit_once('/').unwrap_or_default();
        let pinned = self.pinned.iter().flat_map(|pinned| pinned.below(folder));
        let near = pinned.filter(|(known, _)| strsim::damerau_levenshtein(known, path) <= 3);
        near.take(3).map(|(known, _)| known.to_owned()).collect()
    }

    fn open_text(&self, path: &str) -> Result<CheckedPath, FileFault> {
        check_text(path)?;
        if !self.texts.contains_key(path) {
            return Err(FileFault::NotFound {
                path: path.to_owned(),
                near: Vec::new(),
            });
        }
        Ok(CheckedPath {
            asked: path.to_owned(),
            absolute: PathBuf::from(path),
        })
    }

    /// The whole file, refused where it has more than `bytes_max` bytes.
    pub fn read_bytes(&self, path: &CheckedPath, bytes_max: u64) -> Result<Vec<u8>, FileFault> {
        if let Some(text) = self.texts.get(&path.asked) {
            return Ok(text.as_bytes().to_vec());
        }
        if let Some(text) = self.pinned.as_ref().filter(|_| is_prompt(&path.asked)) {
            let text = text.text(&path.asked).unwrap_or_else(|| Err("it is gone".to_owned()));
            let text = text.map_err(|reason| unreadable(&path.asked, io::Error::other(reason)))?;
            return match text.len() as u64 <= bytes_max {
                true => Ok(text.into_bytes()),
                false => Err(too_large(&path.asked, text.len() as u64, bytes_max)),
            };
        }
        let (file, bytes) = self.reopen(path, bytes_max)?;
        let mut content = Vec::with_capacity(bytes as usize);
        // It may have grown since it was looked at.
        file.take(bytes_max + 1)
            .read_to_end(&mut content)
            .map_err(|source| unreadable(&path.asked, source))?;
        if content.len() as u64 > bytes_max {
            return Err(too_large(&path.asked, content.len() as u64, bytes_max));
        }
        Ok(content)
    }

    /// The whole file as text, without the byte order mark that some editors put first.
    pub fn read_text(&self, path: &CheckedPath) -> Result<String, FileFault> {
        let mut text =
            String::from_utf8(self.read_bytes(path, TEXT_BYTES_MAX)?).map_err(|error| FileFault::NotText {
                path: path.asked.clone(),
                offset: error.utf8_error().valid_up_to(),
            })?;
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        Ok(text)
    }

    /// The hash of the file's content, read piece by piece.
    pub fn hash(&self, path: &CheckedPath) -> Result<ContentHash, FileFault> {
        if let Some(text) = self.texts.get(&path.asked) {
            return Ok(ContentHash::of(text.as_bytes()));
        }
        if let Some(Some(prompt)) = self.prompt(&path.asked) {
            return Ok(prompt.hash);
        }
        let (file, _) = self.reopen(path, MEDIA_BYTES_MAX)?;
        let hashed = ContentHash::read(file.take(MEDIA_BYTES_MAX));
        let (hash, _) = hashed.map_err(|error| unreadable(&path.asked, error))?;
        Ok(hash)
    }

    /// Size and age of the file at `path`.
    pub fn info(&self, path: &str) -> Result<FileInfo, FileFault> {
        let checked = self.open(path)?;
        if let Some(text) = self.texts.get(path) {
            return Ok(text_info(path, text));
        }
        if let Some(Some(prompt)) = self.prompt(path) {
            return Ok(pinned_info(path, prompt));
        }
        Ok(file_info(path.to_owned(), &metadata(path, &checked.absolute)?))
    }

    /// The regular files in `folder` whose names fit `pattern`, by path; folders within it are not entered. In a
    /// pattern `*` stands for any characters and `?` for one. Hidden files must be asked for with a leading dot, and
    /// names that are not UTF-8 cannot be.
    pub fn list(&self, folder: &str, pattern: &str) -> Result<Vec<FileInfo>, FileFault> {
        list::check_pattern(pattern)?;
        let texts = self.texts_in(folder, pattern);
        let absolute = match self.resolve(folder) {
            Ok(absolute) => absolute,
            // A folder that only texts lie in is there, whether or not the pattern fits one of them.
            Err(FileFault::NotFound { .. })
                if !texts.is_empty() || self.texts.keys().any(|path| lies_below(path, folder)) =>
            {
                return Ok(texts);
            }
            Err(fault) => return Err(fault),
        };
        if !metadata(folder, &absolute)?.is_dir() {
            return Err(FileFault::NotFolder {
                path: folder.to_owned(),
            });
        }
        let mut files = texts;
        for name in list::names(folder, &absolute, pattern)? {
            let path = format!("{folder}/{name}");
            if self.texts.contains_key(&path) || self.prompt(&path).is_some() {
                continue;
            }
            // Whatever could not be opened is no file of the project: a folder, a pipe, a link that leads out.
            let Ok(file) = self.info(&path) else { continue };
            files.push(file);
        }
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    fn texts_in(&self, folder: &str, pattern: &str) -> Vec<FileInfo> {
        let fits = |(path, text): (&String, &String)| {
            let name = path.strip_prefix(folder)?.strip_prefix('/')?;
            (!name.contains('/') && list::fits(pattern, name)).then(|| text_info(path, text))
        };
        let prompts = self
            .pinned
            .iter()
            .flat_map(|pinned| pinned.below(folder))
            .filter(|(path, _)| {
                let name = path.strip_prefix(folder).and_then(|name| name.strip_prefix('/'));
                name.is_some_and(|name| !name.contains('/') && list::fits(pattern, name))
                    && !self.texts.contains_key(*path)
            });
        let prompts = prompts.filter(|(path, _)| is_prompt(path));
        let prompts = prompts.map(|(path, prompt)| pinned_info(path, prompt));
        self.texts.iter().filter_map(fits).chain(prompts).collect()
    }

    /// The regular files in `folder` and in the folders within it, by path; hidden ones are left out.
    pub fn tree(&self, folder: &str) -> Result<Vec<FileInfo>, FileFault> {
        let (mut files, mut waiting) = (Vec::new(), vec![folder.to_owned()]);
        // Links may lead round in circles, so every real folder is entered once.
        let mut entered = BTreeSet::new();
        let prompts = self.pinned.iter().flat_map(|pinned| pinned.below(folder));
        let prompts = prompts.filter(|(path, _)| is_prompt(path) && lies_below(path, folder));
        files.extend(prompts.map(|(path, prompt)| pinned_info(path, prompt)));
        let has_prompts = !files.is_empty();
        while let Some(folder) = waiting.pop() {
            let absolute = match self.resolve(&folder) {
                // Its prompts are pinned, and the folder has gone.
                Err(FileFault::NotFound { .. }) if has_prompts => continue,
                resolved => resolved?,
            };
            if !entered.insert(absolute.clone()) {
                continue;
            }
            for name in list::names(&folder, &absolute, "*")? {
                let path = format!("{folder}/{name}");
                if self.prompt(&path).is_some() {
                    continue;
                }
                match self.info(&path) {
                    Ok(_) if files.len() == list::LISTED_MAX => return Err(list::too_many_files(&folder)),
                    Ok(file) => files.push(file),
                    Err(FileFault::NotRegular { kind: A_FOLDER, .. }) => waiting.push(path),
                    Err(_) => {}
                }
            }
        }
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// Where `path` really lies, which is below a declared folder.
    fn resolve(&self, path: &str) -> Result<PathBuf, FileFault> {
        let root = self.root.as_ref().ok_or(FileFault::Shut)?;
        check_text(path)?;
        let outside = |reason| FileFault::Outside {
            path: path.to_owned(),
            folders: self.folders.clone(),
            reason,
        };
        if path.starts_with('/') {
            return Err(outside("it is absolute"));
        }
        let mut components = path.split('/');
        if components.clone().any(|component| component == "..") {
            return Err(outside("it has `..` in it"));
        }
        if components.any(|component| component.is_empty() || component == ".") {
            return Err(FileFault::BadPath {
                path: path.to_owned(),
                reason: "it has an empty part or `.` in it",
            });
        }
        if !self.folders.iter().any(|folder| Path::new(path).starts_with(folder)) {
            return Err(outside("it begins with another folder"));
        }
        let root = root
            .canonicalize()
            .map_err(|source| unreadable("the project", source))?;
        let absolute = match root.join(path).canonicalize() {
            Ok(absolute) => absolute,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Err(FileFault::NotFound {
                    path: path.to_owned(),
                    near: self.near(&root, path),
                });
            }
            Err(error) => return Err(unreadable(path, error)),
        };
        if self.contains(&root, &absolute) {
            Ok(absolute)
        } else {
            Err(outside("a link leads out of it"))
        }
    }

    /// Whether `absolute` lies below a declared folder. A declared folder that is itself a link out of the project
    /// holds nothing: a project taken from elsewhere must not open the rest of the disk by bringing such a link.
    fn contains(&self, root: &Path, absolute: &Path) -> bool {
        self.folders
            .iter()
            .filter_map(|folder| root.join(folder).canonicalize().ok())
            .any(|folder| folder.starts_with(root) && folder != *root && absolute.starts_with(folder))
    }

    /// Names beside the one that is missing that resemble it.
    fn near(&self, root: &Path, path: &str) -> Vec<String> {
        let Some((folder, name)) = path.rsplit_once('/') else {
            return Vec::new();
        };
        match root.join(folder).canonicalize() {
            Ok(absolute) if self.contains(root, &absolute) => list::near(&absolute, name)
                .into_iter()
                .map(|name| format!("{folder}/{name}"))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Opens a checked file and looks again at what was opened, since it may have been replaced in between.
    fn reopen(&self, path: &CheckedPath, bytes_max: u64) -> Result<(File, u64), FileFault> {
        let again = self.open(&path.asked)?;
        let file = File::open(&again.absolute).map_err(|source| unreadable(&path.asked, source))?;
        let about = file.metadata().map_err(|source| unreadable(&path.asked, source))?;
        if !about.is_file() {
            return Err(FileFault::NotRegular {
                path: path.asked.clone(),
                kind: kind(about.file_type()),
            });
        }
        if about.len() > bytes_max {
            return Err(too_large(&path.asked, about.len(), bytes_max));
        }
        Ok((file, about.len()))
    }
}

/// What must be true of a path before the disk is asked about it.
fn check_text(path: &str) -> Result<(), FileFault> {
    let reason = if path.is_empty() {
        "it is empty"
    } else if path.len() > PATH_BYTES_MAX {
        "it is longer than 1,024 bytes"
    } else if path.chars().any(char::is_control) {
        "it has a control character in it"
    } else if path.contains('\\') {
        "it has a backslash in it; folders are parted by /"
    } else {
        return Ok(());
    };
    Err(FileFault::BadPath {
        path: path.to_owned(),
        reason,
    })
}

fn metadata(path: &str, absolute: &Path) -> Result<Metadata, FileFault> {
    fs::metadata(absolute).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => FileFault::NotFound {
            path: path.to_owned(),
            near: Vec::new(),
        },
        _ => unreadable(path, source),
    })
}

fn text_info(path: &str, text: &str) -> FileInfo {
    FileInfo {
        path: path.to_owned(),
        bytes: text.len() as u64,
        modified_ms: 0,
    }
}

fn pinned_info(path: &str, file: &PinnedFile) -> FileInfo {
    FileInfo {
        path: path.to_owned(),
        bytes: file.bytes,
        modified_ms: file.modified_ms,
    }
}

fn file_info(path: String, about: &Metadata) -> FileInfo {
    let modified = about.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    FileInfo {
        path,
        bytes: about.len(),
        modified_ms: modified.map_or(0, |age| age.as_millis() as i64),
    }
}

fn kind(file_type: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if file_type.is_dir() {
        A_FOLDER
    } else if file_type.is_fifo() {
        "a pipe"
    } else if file_type.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

fn too_large(path: &str, bytes: u64, bytes_max: u64) -> FileFault {
    FileFault::TooLarge {
        path: path.to_owned(),
        bytes,
        bytes_max,
    }
}

fn unreadable(path: &str, source: io::Error) -> FileFault {
    FileFault::Unreadable {
        path: path.to_owned(),
        source,
    }
}

/// Whether `path` names something in `folder` or below it.
fn lies_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    struct Project {
        dir: tempfile::TempDir,
        files: ProjectFiles,
    }

    /// A project with `inbox` and `prompts` declared, and a file beside them that is not.
    fn project() -> Project {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("project");
        for folder in ["inbox/deep", "prompts", "data"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(root.join("inbox/feed.json"), "{}").unwrap();
        fs::write(root.join("inbox/deep/clip one.mp4"), "12345").unwrap();
        fs::write(root.join("prompts/daily.md"), "hello").unwrap();
        fs::write(root.join("data/secret"), "secret").unwrap();
        fs::write(dir.path().join("beside"), "secret").unwrap();
        let files = ProjectFiles::new(root, vec!["inbox".into(), "prompts".into()]);
        Project { dir, files }
    }

    impl Project {
        fn root(&self) -> PathBuf {
            self.dir.path().join("project")
        }

        fn code(&self, path: &str) -> &'static str {
            self.files.open(path).expect_err(path).code()
        }
    }

    #[test]
    fn a_file_in_a_declared_folder_is_read_and_hashed() {
        let project = project();
        let path = project.files.open("inbox/deep/clip one.mp4").unwrap();
        assert_eq!(path.as_str(), "inbox/deep/clip one.mp4");
        assert_eq!(project.files.read_bytes(&path, 5).unwrap(), b"12345");
        assert_eq!(project.files.hash(&path).unwrap(), ContentHash::of(b"12345"));
        let info = project.files.info("inbox/feed.json").unwrap();
        assert_eq!((info.path.as_str(), info.bytes), ("inbox/feed.json", 2));
        assert!(info.modified_ms > 1_600_000_000_000);
    }

    #[test]
    fn a_path_that_leads_out_is_refused_before_the_disk_is_asked() {
        let project = project();
        let absolute = project.root().join("inbox/feed.json");
        for path in [
            "../beside",
            "inbox/../data/secret",
            "inbox/..",
            "data/secret",
            "inbox2/a",
            "/etc/passwd",
            absolute.to_str().unwrap(),
        ] {
            assert_eq!(project.code(path), "FILE_OUTSIDE", "{path}");
        }
        for path in [
            "",
            "inbox//feed.json",
            "./inbox/feed.json",
            "inbox/",
            "inbox\\feed.json",
            "inbox/a\0b",
            "inbox/\n",
        ] {
            assert_eq!(project.code(path), "FILE_PATH_INVALID", "{path:?}");
        }
        assert_eq!(
            project.code(&format!("inbox/{}", "a".repeat(2000))),
            "FILE_PATH_INVALID"
        );
    }

    #[test]
    fn a_link_is_followed_within_the_declared_folders_and_refused_out_of_them() {
        let project = project();
        let inbox = project.root().join("inbox");
        symlink("../prompts/daily.md", inbox.join("within")).unwrap();
        symlink("../data/secret", inbox.join("to-data")).unwrap();
        symlink("/etc/passwd", inbox.join("to-etc")).unwrap();
        symlink("/etc", inbox.join("etc")).unwrap();
        symlink("nowhere", inbox.join("broken")).unwrap();
        let within = project.files.open("inbox/within").unwrap();
        assert_eq!(project.files.read_text(&within).unwrap(), "hello");
        assert_eq!(project.code("inbox/to-data"), "FILE_OUTSIDE");
        assert_eq!(project.code("inbox/to-etc"), "FILE_OUTSIDE");
        assert_eq!(project.code("inbox/etc/passwd"), "FILE_OUTSIDE");
        assert_eq!(project.code("inbox/broken"), "FILE_NOT_FOUND");
    }

    #[test]
    fn a_declared_folder_that_is_a_link_out_of_the_project_opens_nothing() {
        let project = project();
        symlink("/etc", project.root().join("linked")).unwrap();
        symlink(".", project.root().join("whole")).unwrap();
        let files = ProjectFiles::new(project.root(), vec!["linked".into(), "whole".into()]);
        assert_eq!(files.open("linked/passwd").unwrap_err().code(), "FILE_OUTSIDE");
        assert_eq!(files.open("whole/data/secret").unwrap_err().code(), "FILE_OUTSIDE");
    }

    #[test]
    fn a_file_swapped_for_a_link_after_the_check_is_not_read() {
        let project = project();
        let path = project.files.open("inbox/feed.json").unwrap();
        fs::remove_file(path.absolute()).unwrap();
        symlink("/etc/passwd", path.absolute()).unwrap();
        assert_eq!(project.files.read_text(&path).unwrap_err().code(), "FILE_OUTSIDE");
    }

    #[test]
    fn pipes_sockets_and_folders_are_refused_without_waiting_for_them() {
        let project = project();
        let inbox = project.root().join("inbox");
        assert!(
            Command::new("mkfifo")
                .arg(inbox.join("pipe"))
                .status()
                .unwrap()
                .success()
        );
        let _listener = std::os::unix::net::UnixListener::bind(inbox.join("socket")).unwrap();
        for path in ["inbox/pipe", "inbox/socket", "inbox/deep", "inbox"] {
            assert_eq!(project.code(path), "FILE_NOT_REGULAR", "{path}");
        }
        let listed = project.files.list("inbox", "*").unwrap();
        assert_eq!(listed.len(), 1, "{listed:?}");
    }

    #[test]
    fn a_mistyped_name_is_answered_with_the_names_near_it() {
        let project = project();
        let message = |path: &str| project.files.open(path).unwrap_err().to_string();
        assert_eq!(
            message("inbox/fead.json"),
            r#""inbox/fead.json" was not found; did you mean "inbox/feed.json"?"#
        );
        assert_eq!(
            message("inbox/FEED.json"),
            r#""inbox/FEED.json" was not found; did you mean "inbox/feed.json"?"#
        );
        assert_eq!(
            message("inbox/something else"),
            r#""inbox/something else" was not found"#
        );
        assert_eq!(project.code("inbox/feed.json/deeper"), "FILE_NOT_FOUND");
    }

    #[test]
    fn a_file_over_the_limit_is_refused_with_both_numbers() {
        let project = project();
        let path = project.files.open("prompts/daily.md").unwrap();
        let fault = project.files.read_bytes(&path, 4).unwrap_err();
        assert_eq!(
            fault.to_string(),
            r#""prompts/daily.md" has 5 bytes; at most 4 are read"#
        );
        let large = File::create(project.root().join("inbox/large.csv")).unwrap();
        large.set_len(TEXT_BYTES_MAX + 1).unwrap();
        let path = project.files.open("inbox/large.csv").unwrap();
        assert_eq!(project.files.read_text(&path).unwrap_err().code(), "FILE_TOO_LARGE");
    }

    #[test]
    fn text_must_be_utf_8_and_loses_its_byte_order_mark() {
        let project = project();
        let inbox = project.root().join("inbox");
        fs::write(inbox.join("marked"), "\u{feff}a").unwrap();
        fs::write(inbox.join("latin"), b"caf\xe9").unwrap();
        let read = |path| project.files.read_text(&project.files.open(path).unwrap());
        assert_eq!(read("inbox/marked").unwrap(), "a");
        let fault = read("inbox/latin").unwrap_err();
        assert_eq!(
            (fault.code(), fault.to_string().contains("byte 3")),
            ("FILE_NOT_TEXT", true)
        );
    }

    #[test]
    fn a_listing_is_sorted_and_holds_what_could_be_opened() {
        let project = project();
        let inbox = project.root().join("inbox");
        for name in ["b.mp4", "a.mp4", "ä.mp4", ".hidden.mp4", "c.mov"] {
            fs::write(inbox.join(name), "x").unwrap();
        }
        symlink("/etc/passwd", inbox.join("out.mp4")).unwrap();
        let paths = |pattern| -> Vec<String> {
            let files = project.files.list("inbox", pattern).unwrap();
            files.into_iter().map(|file| file.path).collect()
        };
        assert_eq!(paths("*.mp4"), ["inbox/a.mp4", "inbox/b.mp4", "inbox/ä.mp4"]);
        assert_eq!(paths("?.mo?"), ["inbox/c.mov"]);
        assert_eq!(paths(".*"), ["inbox/.hidden.mp4"]);
        assert_eq!(
            project.files.list("inbox/feed.json", "*").unwrap_err().code(),
            "FILE_NOT_FOLDER"
        );
        assert_eq!(project.files.list("data", "*").unwrap_err().code(), "FILE_OUTSIDE");
        assert_eq!(
            project.files.list("inbox", "deep/*").unwrap_err().code(),
            "FILE_PATH_INVALID"
        );
    }

    #[test]
    fn a_shut_door_refuses_everything() {
        let files = ProjectFiles::shut();
        assert_eq!(files.open("inbox/feed.json").unwrap_err().code(), "DOOR_SHUT");
        assert_eq!(files.list("inbox", "*").unwrap_err().code(), "DOOR_SHUT");
    }

    #[test]
    fn a_tree_is_listed_whole_and_links_in_a_circle_end() {
        let project = project();
        symlink("..", project.root().join("inbox/deep/round")).unwrap();
        fs::write(project.root().join("inbox/deep/.hidden"), "x").unwrap();
        let paths: Vec<String> = project
            .files
            .tree("inbox")
            .unwrap()
            .into_iter()
            .map(|file| file.path)
            .collect();
        assert!(paths.iter().any(|path| path.starts_with("inbox/deep/")), "{paths:?}");
        assert!(
            paths.is_sorted()
                && !paths
                    .iter()
                    .any(|path| path.contains("round") || path.contains("hidden")),
            "{paths:?}"
        );
        assert_eq!(project.files.tree("data").unwrap_err().code(), "FILE_OUTSIDE");
    }

    #[test]
    fn a_hostile_name_is_escaped_in_the_message() {
        let message = project().files.open("inbox/\u{1b}[31m").unwrap_err().to_string();
        assert!(!message.contains('\u{1b}'), "{message}");
    }
}
