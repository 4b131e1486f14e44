//! What lies in the project now, as far as a host that serves goes by it: scripts, prompts, and its settings.
//!
//! Looking again costs one question about each file: only those are read that look otherwise than before. Whoever saves
//! twice within the clock's grain may leave a file that looks the same, so what has just been saved is read again.
#![expect(clippy::disallowed_methods, reason = "this is the door to what lies in the project")]

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::pinned::{Files, PLAYBOOKS, PROMPTS, PinnedFile, is_prompt};
use super::scripts::{decode, is_test};
use crate::id::ContentHash;

/// The longest file that is read.
const BYTES_MAX: u64 = 1 << 20;
/// Files of one project.
const FILES_MAX: usize = 20_000;
/// Folders below folders.
const DEPTH_MAX: usize = 8;
/// How long after its last change a file is read again even when it looks the same.
const RECENT_MS: i64 = 1_000;

/// The project's file, and the one beside it that holds secrets.
pub const SETTINGS: &str = "host.toml";
const SECRETS: &str = ".env";

/// How a file looks without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

#[derive(Clone, Debug)]
struct Seen {
    file: PinnedFile,
    stamp: Stamp,
    is_recent: bool,
}

/// What lies there at one moment.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    seen: BTreeMap<String, Seen>,
    /// The texts that were read now.
    pub texts: BTreeMap<ContentHash, String>,
    /// The hash of `.env`: it stays in memory, since what is in it can be guessed.
    pub secrets: Option<ContentHash>,
    /// Which folders these are: others under the same names have to be watched anew.
    pub folders: [Option<(u64, u64)>; 3],
}

impl Survey {
    /// Scripts, prompts and `host.toml`, by path.
    pub fn files(&self) -> Files {
        let files = self.seen.iter().filter(|(path, _)| path.as_str() != SECRETS);
        files.map(|(path, seen)| (path.clone(), seen.file.clone())).collect()
    }

    /// Whether something in it was changed at one of these moments, in Unix milliseconds, as far as the clocks agree.
    pub fn changed_in(&self, moments_ms: RangeInclusive<i64>) -> bool {
        self.seen.values().any(|seen| {
            let (seconds, nanos) = seen.stamp.changed;
            let changed_ms = seconds.saturating_mul(1_000).saturating_add(nanos / 1_000_000);
            moments_ms.contains(&changed_ms)
        })
    }

    /// Whether there is a folder of scripts.
    pub fn has_playbooks(&self) -> bool {
        self.folders[1].is_some()
    }
}

/// Looks at the project in `root` at `now_ms`, in Unix milliseconds; what looks as in `before` is not read again.
pub fn survey(root: &Path, before: &Survey, now_ms: i64) -> Result<Survey, String> {
    let identity = |folder: PathBuf| {
        let about = std::fs::metadata(folder).ok().filter(std::fs::Metadata::is_dir)?;
        Some((about.dev(), about.ino()))
    };
    let mut survey = Survey {
        folders: [
            identity(root.to_owned()),
            identity(root.join(PLAYBOOKS)),
            identity(root.join(PROMPTS)),
        ],
        ..Survey::default()
    };
    let mut walk = Walk {
        root,
        before,
        now_ms,
        survey: &mut survey,
    };
    let is_script = |path: &str| path.strip_suffix(".rhai").is_some_and(|stem| !is_test(stem));
    walk.folder(PLAYBOOKS, DEPTH_MAX, &is_script)?;
    walk.folder(PROMPTS, DEPTH_MAX, &is_prompt)?;
    walk.file(SETTINGS, "")?;
    // Apart from the others: a prompt may say the same as it, if both say nothing.
    let texts = std::mem::take(&mut walk.survey.texts);
    walk.file(SECRETS, "")?;
    walk.survey.texts = texts;
    survey.secrets = survey.seen.get(SECRETS).map(|seen| seen.file.hash);
    Ok(survey)
}

struct Walk<'a> {
    root: &'a Path,
    before: &'a Survey,
    now_ms: i64,
    survey: &'a mut Survey,
}

impl Walk<'_> {
    /// Everything below `folder`, which ends with a slash.
    fn folder(&mut self, folder: &str, depth_left: usize, is_wanted: &dyn Fn(&str) -> bool) -> Result<(), String> {
        let told = |error: std::io::Error| format!("{folder} cannot be read: {error}");
        let entries = match std::fs::read_dir(self.root.join(folder)) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
            Err(error) => return Err(told(error)),
        };
        for entry in entries {
            let entry = entry.map_err(told)?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            // Hidden files are those of editors and tools.
            if name.starts_with('.') {
                continue;
            }
            let path = format!("{folder}{name}");
            let is_folder = match entry.file_type() {
                Ok(kind) if kind.is_symlink() => entry.path().is_dir(),
                Ok(kind) => kind.is_dir(),
                Err(_) => false,
            };
            if is_folder && depth_left > 0 {
                self.folder(&format!("{path}/"), depth_left - 1, is_wanted)?;
            } else if !is_folder && is_wanted(&path) {
                self.file(&path, folder)?;
            }
        }
        Ok(())
    }

    /// The file at `path`, if there is one. One below `top` that is a link must lead into it.
    fn file(&mut self, path: &str, folder: &str) -> Result<(), String> {
        let absolute = self.root.join(path);
        let Ok(about) = std::fs::metadata(&absolute) else {
            return Ok(());
        };
        // A pipe would hold whoever opens it.
        if !about.is_file() {
            return Ok(());
        }
        if self.survey.seen.len() >= FILES_MAX {
            return Err(format!(
                "the project has more than {FILES_MAX} scripts and prompts; take some away"
            ));
        }
        let stamp = Stamp {
            device: about.dev(),
            inode: about.ino(),
            bytes: about.len(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        };
        let changed_ms = about.ctime().max(about.mtime()).saturating_mul(1_000);
        let is_recent = (self.now_ms - changed_ms).abs() <= RECENT_MS * 2;
        let known = self.before.seen.get(path);
        if let Some(known) = known.filter(|known| known.stamp == stamp && !known.is_recent) {
            let file = known.file.clone();
            self.survey
                .seen
                .insert(path.to_owned(), Seen { file, stamp, is_recent });
            return Ok(());
        }
        let top = folder.split('/').next().unwrap_or_default();
        let is_outside = !top.is_empty() && self.leads_out(&absolute, top);
        // A link may lead anywhere, and prompts are the project's own.
        if is_outside && top == "prompts" {
            return Ok(());
        }
        // It may have gone between the two looks.
        let Some(file) = self.read(&absolute, &about, is_outside) else {
            return Ok(());
        };
        let seen = Seen { file, stamp, is_recent };
        self.survey.seen.insert(path.to_owned(), seen);
        Ok(())
    }

    fn leads_out(&self, absolute: &Path, top: &str) -> bool {
        let is_link = |path: &Path| {
            path.symlink_metadata()
                .is_ok_and(|about| about.file_type().is_symlink())
        };
        let below = absolute.strip_prefix(self.root).unwrap_or(absolute);
        let mut at = self.root.to_owned();
        let mut has_link = false;
        // The project's folder itself may be reached over links; what lies in it decides.
        for part in below.components() {
            at.push(part);
            has_link |= is_link(&at);
        }
        if !has_link {
            return false;
        }
        let real = absolute
            .canonicalize()
            .ok()
            .zip(self.root.join(top).canonicalize().ok());
        !real.is_some_and(|(path, folder)| path.starts_with(folder))
    }

    fn read(&mut self, absolute: &Path, about: &std::fs::Metadata, is_outside: bool) -> Option<PinnedFile> {
        let mut file = PinnedFile {
            hash: ContentHash::of(format!("{} {:?}", about.len(), about.modified().ok()).as_bytes()),
            bytes: about.len(),
            modified_ms: about.mtime().saturating_mul(1_000) + about.mtime_nsec() / 1_000_000,
            is_outside,
            fault: None,
        };
        if about.len() > BYTES_MAX {
            let fault = format!("it has {} bytes; at most {BYTES_MAX} are read", about.len());
            file.fault = Some(fault.into());
            return Some(file);
        }
        let mut bytes = Vec::with_capacity(about.len() as usize);
        let read = std::fs::File::open(absolute).and_then(|file| file.take(BYTES_MAX).read_to_end(&mut bytes));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => {
                file.fault = Some(error.to_string().into());
                return Some(file);
            }
        }
        file.hash = ContentHash::of(&bytes);
        file.bytes = bytes.len() as u64;
        match decode(bytes) {
            Ok(text) => {
                self.survey.texts.insert(file.hash, text);
            }
            Err(fault) => file.fault = Some(fault.into()),
        }
        Some(file)
    }
}

/// Whether a change of what lies at `path` may matter: editors leave much beside what they save.
pub fn matters(root: &Path, path: &Path) -> bool {
    let Ok(below) = path.strip_prefix(root) else {
        return true;
    };
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return true;
    };
    let in_folders = below.starts_with("playbooks") || below.starts_with("prompts");
    if !in_folders {
        return below.as_os_str().is_empty() || name == SETTINGS || name == SECRETS;
    }
    let is_kept_aside = name.starts_with('.') && !name.starts_with("..") || name.ends_with(['~', '#']);
    // What has no ending may be a folder.
    let is_wanted = !name.contains('.') || name.starts_with("..") || name.ends_with(".rhai") || {
        let is_folder_name = super::pinned::PROMPT_ENDINGS
            .iter()
            .any(|ending| name.ends_with(ending));
        is_folder_name || path.is_dir()
    };
    !is_kept_aside && is_wanted
}
