//! The door to scripts: playbooks by name or path, and modules below `playbooks/`.
#![expect(clippy::disallowed_methods, reason = "this is the door to playbooks")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::pinned::{PLAYBOOKS, PinnedFiles};

/// The longest script that is read at all.
const BYTES_MAX: u64 = 1 << 20;

/// Folders below folders that are searched for playbooks.
const DEPTH_MAX: usize = 8;

/// Where playbooks lie.
#[derive(Clone, Debug)]
pub struct ScriptFiles {
    /// The project's `playbooks/`, if there is a project.
    playbooks: Option<PathBuf>,
    /// Texts that stand for what lies on the disk, by name below `playbooks/`.
    instead: Arc<BTreeMap<String, String>>,
    /// As they were at one moment, in place of what lies on the disk.
    pinned: Option<PinnedFiles>,
}

/// How the names of test files end.
pub const TEST_ENDING: &str = "_test";

/// Whether a script of this name holds tests, and is no playbook.
pub fn is_test(name: &str) -> bool {
    name.strip_suffix(".rhai").unwrap_or(name).ends_with(TEST_ENDING)
}

/// A script as found on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// `fantasy/weekly`.
    pub name: String,
    /// As a person would write it: `playbooks/fantasy/weekly.rhai`.
    pub file: String,
    pub text: String,
}

/// Why there is no script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptFault {
    #[error("there is no playbook {name:?}{hint}")]
    NotFound { name: String, hint: String },
    #[error("{file} cannot be read: {reason}")]
    Unreadable { file: String, reason: String },
    #[error("{name:?} leads out of playbooks/; modules are imported from there only")]
    Outside { name: String },
    #[error("modules are imported from the project's playbooks/, and this is no project: `host init` makes one")]
    NoProject,
}

impl ScriptFault {
    pub fn code(&self) -> &'static str {
        match self {
            ScriptFault::NotFound { .. } => "PLAYBOOK_NOT_FOUND",
            ScriptFault::Unreadable { .. } => "PLAYBOOK_UNREADABLE",
            ScriptFault::Outside { .. } => "IMPORT_OUTSIDE",
            ScriptFault::NoProject => "IMPORT_NO_PROJECT",
        }
    }

    /// The script, as people name it.
    pub fn file(&self) -> &str {
        match self {
            ScriptFault::NotFound { name, .. } | ScriptFault::Outside { name } => name,
            ScriptFault::Unreadable { file, .. } => file,
            ScriptFault::NoProject => "",
        }
    }
}

impl ScriptFiles {
    pub fn new(playbooks: Option<PathBuf>) -> ScriptFiles {
        ScriptFiles {
            playbooks,
            instead: Arc::default(),
            pinned: None,
        }
    }

    /// The same names, answered from `pinned` alone: nothing is read from the disk any more.
    pub fn pinned(&self, pinned: PinnedFiles) -> ScriptFiles {
        ScriptFiles {
            pinned: Some(pinned),
            ..self.clone()
        }
    }

    /// What these names are answered from, if it is not the disk.
    pub fn pins(&self) -> Option<&PinnedFiles> {
        self.pinned.as_ref()
    }

    /// The same, with `text` in the place of the script called `name`.
    pub fn with_text(&self, name: &str, text: &str) -> ScriptFiles {
        let mut instead = (*self.instead).clone();
        instead.insert(name.to_owned(), text.to_owned());
        ScriptFiles {
            instead: Arc::new(instead),
            ..self.clone()
        }
    }

    /// Where the script called `name` lies, or would lie.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        let folder = self.playbooks.as_ref()?;
        is_plain(name).then(|| folder.join(format!("{name}.rhai")))
    }

    fn given(&self, name: &str) -> Option<Found> {
        let text = self.instead.get(name)?;
        Some(Found {
            name: name.to_owned(),
            file: format!("playbooks/{name}.rhai"),
            text: text.clone(),
        })
    }

    /// A playbook by its name below `playbooks/`, or any script by its path.
    pub fn playbook(&self, name: &str) -> Result<Found, ScriptFault> {
        let stem = name.strip_suffix(".rhai").unwrap_or(name);
        if let Some(found) = self.given(stem) {
            return Ok(found);
        }
        if let Some(pinned) = &self.pinned {
            let not_found = || ScriptFault::NotFound {
                name: name.to_owned(),
                hint: self.hint(stem),
            };
            return from_pinned(pinned, stem).unwrap_or_else(|| Err(not_found()));
        }
        if let Some(folder) = &self.playbooks
            && is_plain(stem)
        {
            let path = folder.join(format!("{stem}.rhai"));
            if path.is_file() {
                return read(&path, stem.to_owned(), format!("playbooks/{stem}.rhai"));
            }
        }
        let path = Path::new(name);
        if path.is_file() {
            return read(path, self.name_of(path), name.to_owned());
        }
        Err(ScriptFault::NotFound {
            name: name.to_owned(),
            hint: self.hint(stem),
        })
    }

    /// The same by a name that [`list`](Self::list) has just told: if it is gone it cannot be read, and is not unknown.
    pub fn listed(&self, name: &str) -> Result<Found, ScriptFault> {
        self.playbook(name).map_err(|fault| match fault {
            ScriptFault::NotFound { .. } => ScriptFault::Unreadable {
                file: format!("playbooks/{name}.rhai"),
                reason: match is_plain(name) {
                    true => "it is gone, or a link that leads to no file".to_owned(),
                    false => "its name has a `:` or `\\` in it, or is too long: rename it".to_owned(),
                },
            },
            other => other,
        })
    }

    /// A module by the name in its import.
    pub fn module(&self, name: &str) -> Result<Found, ScriptFault> {
        let folder = self.playbooks.as_ref().ok_or(ScriptFault::NoProject)?;
        let outside = || ScriptFault::Outside { name: name.to_owned() };
        if !is_plain(name) {
            return Err(outside());
        }
        if let Some(found) = self.given(name) {
            return Ok(found);
        }
        if let Some(pinned) = &self.pinned {
            if pinned.get(&file_of(name)).is_some_and(|file| file.is_outside) {
                return Err(outside());
            }
            let not_found = || ScriptFault::NotFound {
                name: name.to_owned(),
                hint: self.hint(name),
            };
            return from_pinned(pinned, name).unwrap_or_else(|| Err(not_found()));
        }
        let path = folder.join(format!("{name}.rhai"));
        if !path.is_file() {
            return Err(ScriptFault::NotFound {
                name: name.to_owned(),
                hint: self.hint(name),
            });
        }
        // A link may lead anywhere.
        let real = (path.canonicalize().ok()).zip(folder.canonicalize().ok());
        if !real.is_some_and(|(path, folder)| path.starts_with(folder)) {
            return Err(outside());
        }
        read(&path, name.to_owned(), format!("playbooks/{name}.rhai"))
    }

    /// Puts `text` in place of `before`, as which the script in `file` was read. Whoever looks sees one of both.
    pub fn rewrite(&self, file: &str, before: &str, text: &str) -> Result<(), String> {
        let below = file.strip_prefix("playbooks/").zip(self.playbooks.as_ref());
        let path = below
            .map(|(file, folder)| folder.join(file))
            .filter(|path| path.is_file());
        let path = path.unwrap_or_else(|| PathBuf::from(file));
        let told = |error: std::io::Error| error.to_string();
        // What a link leads to is rewritten, not the link.
        let path = path.canonicalize().map_err(told)?;
        if std::fs::read(&path).map_err(told)? != before.as_bytes() {
            return Err("it was changed meanwhile".to_owned());
        }
        super::whole::rewrite(&path, text.as_bytes()).map_err(told)
    }

    /// The names of all playbooks and modules, sorted.
    pub fn list(&self) -> Vec<String> {
        let mut names = self.all();
        names.retain(|name| !is_test(name));
        names
    }

    /// The names of all files of tests, sorted.
    pub fn tests(&self) -> Vec<String> {
        let mut names = self.all();
        names.retain(|name| is_test(name));
        names
    }

    fn all(&self) -> Vec<String> {
        let mut names: Vec<String> = self.instead.keys().cloned().collect();
        if let Some(pinned) = &self.pinned {
            let stems = pinned.below(PLAYBOOKS).filter_map(|(path, _)| name_of_file(path));
            names.extend(stems.map(str::to_owned));
        } else if let Some(folder) = &self.playbooks {
            collect(folder, "", DEPTH_MAX, &mut names);
        }
        names.sort();
        names.dedup();
        names
    }

    fn name_of(&self, path: &Path) -> String {
        let below = self.playbooks.as_ref().and_then(|folder| {
            let below = path
                .canonicalize()
                .ok()?
                .strip_prefix(folder.canonicalize().ok()?)
                .ok()?
                .with_extension("");
            Some(below.to_string_lossy().into_owned())
        });
        below.unwrap_or_else(|| {
            path.file_stem()
                .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
        })
    }

    fn hint(&self, name: &str) -> String {
        let names = self.list();
        let near = names
            .iter()
            .map(|known| (strsim::damerau_levenshtein(name, known), known))
            .min();
        match near {
            Some((distance, near)) if distance <= 3 => format!("; did you mean {near:?}?"),
            _ if names.is_empty() => ": give the path of a script, or make a project with `host init`".to_owned(),
            _ => format!("; playbooks/ has {}", names.join(", ")),
        }
    }
}

/// The name of the script in `file`, if it is one.
pub fn name_of_file(file: &str) -> Option<&str> {
    file.strip_prefix(PLAYBOOKS)?.strip_suffix(".rhai")
}

/// The file of the script called `name`.
pub fn file_of(name: &str) -> String {
    format!("{PLAYBOOKS}{name}.rhai")
}

fn from_pinned(pinned: &PinnedFiles, name: &str) -> Option<Result<Found, ScriptFault>> {
    let file = file_of(name);
    let found = match pinned.text(&file)? {
        Ok(text) => Ok(Found {
            name: name.to_owned(),
            file,
            text,
        }),
        Err(reason) => Err(ScriptFault::Unreadable { file, reason }),
    };
    Some(found)
}

/// Only names below the folder: no root, no `..`, no hidden files.
fn is_plain(name: &str) -> bool {
    let word = |word: &str| !word.is_empty() && !word.starts_with('.') && !word.contains(['\\', '\0', ':']);
    name.len() <= 200 && name.split('/').all(word)
}

fn read(path: &Path, name: String, file: String) -> Result<Found, ScriptFault> {
    let unreadable = |reason: String| ScriptFault::Unreadable {
        file: file.clone(),
        reason,
    };
    let bytes = std::fs::metadata(path)
        .map_err(|error| unreadable(error.to_string()))?
        .len();
    if bytes > BYTES_MAX {
        return Err(unreadable(format!(
            "it has {bytes} bytes; at most {BYTES_MAX} are read"
        )));
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    let text = decode(bytes).map_err(unreadable)?;
    Ok(Found { name, file, text })
}

/// What a file holds as text, or why it is none.
pub(super) fn decode(bytes: Vec<u8>) -> Result<String, String> {
    if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] = bytes.as_slice() {
        return Err("it is UTF-16; save it as UTF-8".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("it is not UTF-8 text at line {line}; save it as UTF-8")
    })
}

/// A text of at most `bytes_max` bytes that somebody names on the command line.
pub fn read_text(path: &str, bytes_max: u64) -> Result<String, String> {
    use std::io::Read;
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    if !file.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("it is no file".to_owned());
    }
    let mut bytes = Vec::new();
    let read = file.take(bytes_max + 1).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("it is longer than {bytes_max} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

/// Writes a report where somebody wants it, in place of what is there.
pub fn write_text(path: &str, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| error.to_string())
}

/// Removes a file that was written here.
pub fn remove(path: &str) -> Result<(), String> {
    std::fs::remove_file(path).map_err(|error| error.to_string())
}

fn collect(folder: &Path, prefix: &str, depth_left: usize, names: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let file_name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        if file_name.starts_with('.') {
            continue;
        }
        if path.is_dir() && depth_left > 0 {
            collect(&path, &format!("{prefix}{file_name}/"), depth_left - 1, names);
        } else if let Some(stem) = file_name.strip_suffix(".rhai") {
            names.push(format!("{prefix}{stem}"));
        }
    }
}
