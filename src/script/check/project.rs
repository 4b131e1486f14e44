//! What the checks must know of the project around a text, as plain data.
//!
//! The floors above fill it in: prompts, providers and settings come from files and `host.toml`, which this floor does
//! not know. What they leave out is not checked. Modules are read through `find` and kept, by the hash of their text.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::summary::Summary;
use crate::id::ContentHash;
use crate::script::Language;
use crate::script::findings::Settings;
use crate::script::signatures::Signatures;
use crate::script::source::Text;

/// Summaries of modules that are kept.
const KEPT_MAX: usize = 4096;

/// Finds the text of a module by its name; the error says why there is none.
pub type Find = dyn Fn(&str) -> Result<Text, String> + Send + Sync;

/// Everything around a text.
pub struct Project {
    pub language: Arc<Language>,
    pub signatures: Arc<Signatures>,
    pub settings: Settings,
    /// By name without its ending; `None` where nobody knows them.
    pub prompts: Option<BTreeMap<String, Prompt>>,
    /// The names that `uses` may give; none where nobody knows them.
    pub providers: BTreeSet<String>,
    /// The functions that write to a provider, with its name.
    pub writers: BTreeMap<String, String>,
    /// The functions whose writes the public sees.
    pub publishers: BTreeSet<String>,
    /// The names of all playbooks and modules; `None` where nobody knows them.
    pub playbooks: Option<BTreeSet<String>>,
    /// The modules that anything imports.
    pub imported: BTreeSet<String>,
    /// The same around files of tests, which can call more.
    pub tests: Option<Box<Project>>,
    find: Box<Find>,
    summaries: Mutex<BTreeMap<ContentHash, Arc<Summary>>>,
}

/// A prompt's variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Its file: `prompts/demo/caption.md`.
    pub file: String,
    /// All that it speaks of.
    pub variables: BTreeSet<String>,
    /// Those without which it cannot be rendered.
    pub required: BTreeSet<String>,
    /// It includes what is not known before it is rendered, so it may use any.
    pub is_open: bool,
}

impl Project {
    /// The project of which nothing is known but its language and its modules.
    pub fn new(
        language: Arc<Language>,
        find: impl Fn(&str) -> Result<Text, String> + Send + Sync + 'static,
    ) -> Project {
        Project {
            signatures: Arc::new(Signatures::of(&language)),
            language,
            settings: Settings::default(),
            prompts: None,
            providers: BTreeSet::new(),
            writers: BTreeMap::new(),
            publishers: BTreeSet::new(),
            playbooks: None,
            imported: BTreeSet::new(),
            tests: None,
            find: Box::new(find),
            summaries: Mutex::default(),
        }
    }

    /// What is around the text of `file`.
    pub fn around(&self, file: &str) -> &Project {
        let tests = self.tests.as_deref().filter(|_| file.ends_with("_test.rhai"));
        tests.unwrap_or(self)
    }

    /// The text of a module, or why there is none.
    pub fn text_of(&self, module: &str) -> Result<Text, String> {
        (self.find)(module)
    }

    /// What a module offers and does, or why it cannot be had.
    pub fn module(&self, name: &str) -> Result<Arc<Summary>, String> {
        let text = self.text_of(name)?;
        let kept = || self.summaries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(summary) = kept().get(&text.hash) {
            return Ok(summary.clone());
        }
        let summary = Arc::new(Summary::of(self, &text.text));
        let mut kept = kept();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(text.hash, summary.clone());
        Ok(summary)
    }
}
