//! The project's scripts and prompts as they were at one moment: each file as the hash of its text, which the store holds.
//!
//! What is asked of them afterwards is answered from there, and the disk is left alone: a save in the middle of a run
//! changes nothing for it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::id::ContentHash;
use crate::store::{Store, keys};

/// How the names of prompts end, in the order in which they are looked for.
pub const PROMPT_ENDINGS: [&str; 3] = [".md", ".txt", ".j2"];

/// The folder of scripts and that of prompts, as paths begin.
pub const PLAYBOOKS: &str = "playbooks/";
pub const PROMPTS: &str = "prompts/";

/// One file as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedFile {
    pub hash: ContentHash,
    pub bytes: u64,
    /// Unix milliseconds of its last change.
    pub modified_ms: i64,
    /// It is a link that leads out of its folder.
    pub is_outside: bool,
    /// Why it is no text, if so.
    pub fault: Option<Box<str>>,
}

impl PinnedFile {
    /// What a store holds under `hash`.
    pub fn stored(hash: ContentHash) -> PinnedFile {
        PinnedFile {
            hash,
            bytes: 0,
            modified_ms: 0,
            is_outside: false,
            fault: None,
        }
    }
}

/// Files by their path below the project.
pub type Files = BTreeMap<String, PinnedFile>;

/// Some files, and where their texts lie.
#[derive(Clone)]
pub struct PinnedFiles {
    store: Arc<dyn Store>,
    pub files: Arc<Files>,
}

impl fmt::Debug for PinnedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PinnedFiles").field(&self.files.len()).finish()
    }
}

impl PinnedFiles {
    pub fn new(store: Arc<dyn Store>, files: Files) -> PinnedFiles {
        PinnedFiles {
            store,
            files: Arc::new(files),
        }
    }

    /// The same of files that others have as well.
    pub fn shared(store: Arc<dyn Store>, files: Arc<Files>) -> PinnedFiles {
        PinnedFiles { store, files }
    }

    pub fn get(&self, path: &str) -> Option<&PinnedFile> {
        self.files.get(path)
    }

    /// The text of the file at `path`, or why it has none; `None` when there is no such file.
    pub fn text(&self, path: &str) -> Option<Result<String, String>> {
        let file = self.files.get(path)?;
        if let Some(fault) = &file.fault {
            return Some(Err(fault.to_string()));
        }
        Some(text(&*self.store, &file.hash))
    }

    /// The files whose paths begin with `prefix`.
    pub fn below(&self, prefix: &str) -> impl Iterator<Item = (&str, &PinnedFile)> {
        let from = self
            .files
            .range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded));
        let prefix = prefix.to_owned();
        from.take_while(move |(path, _)| path.starts_with(&prefix))
            .map(|(path, file)| (path.as_str(), file))
    }
}

/// The text that `store` holds under `hash`.
pub fn text(store: &dyn Store, hash: &ContentHash) -> Result<String, String> {
    let row = store.get(&keys::version(hash)).map_err(|error| error.to_string())?;
    let text = row.and_then(|row| String::from_utf8(row.value).ok());
    text.ok_or_else(|| format!("its text ({}) is not in the store any more", hash.short()))
}

/// Whether `path` is that of a prompt: whether there is one is for the pinned files to say.
pub fn is_prompt(path: &str) -> bool {
    path.starts_with(PROMPTS) && PROMPT_ENDINGS.iter().any(|ending| path.ends_with(ending))
}
