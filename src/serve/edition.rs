//! The playbooks, prompts and settings that new runs get, as one set. A save makes another set; runs keep theirs.
//!
//! A set reads nothing from the disk once it is made: its scripts and prompts are hashes, and the store has their texts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::draft::Draft;
use crate::app::{App, AppError};
use crate::effect::RunMode;
use crate::gate::Gate;
use crate::id::ContentHash;
use crate::io::pinned::PinnedFiles;
use crate::io::survey::{Survey, survey};
use crate::journal::edition::Hashes;
use crate::runs::Runner;
use crate::runs::creation::Pinned;
use crate::runs::library::LibraryError;
use crate::script::check::metrics::Placed;
use crate::script::check::routes::Route;
use crate::script::triggers::Triggers;
use crate::store::tx::Ground;

/// What is live.
#[derive(Clone)]
pub struct Edition {
    /// Counts the sets that this store has seen, those among them that never became live.
    pub number: u64,
    pub app: Arc<App>,
    /// On the server's store, with the gate that the settings of this set make.
    pub runner: Runner,
    /// By name; files of tests and scripts that do not compile are not among them.
    pub playbooks: BTreeMap<String, Arc<Listed>>,
    pub(super) parts: Parts,
}

/// What the next set is compared with.
#[derive(Clone)]
pub(super) struct Parts {
    pub files: PinnedFiles,
    pub routes: BTreeMap<String, Vec<Route>>,
    /// What playbooks declare to record, with its places.
    pub metrics: BTreeMap<String, Vec<Placed>>,
    /// Files that do not compile, and did not when the host began to serve.
    pub left_out: BTreeSet<String>,
    /// Of `.env`.
    pub secrets: Option<ContentHash>,
}

/// A playbook that can be started.
#[derive(Clone, Debug)]
pub struct Listed {
    pub pinned: Pinned,
    pub triggers: Triggers,
}

/// A playbook that does not compile.
#[derive(Debug)]
pub struct Broken {
    pub playbook: String,
    pub error: LibraryError,
}

impl Edition {
    /// What lies on the disk now, after `before`, and what of it does not compile. The texts are in the store when this
    /// returns. Nothing is written down of it: see [`super::reload::open`].
    pub fn load(app: Arc<App>, ground: &Ground, before: Option<&Edition>) -> Result<(Edition, Vec<Broken>), AppError> {
        let found = survey(&app.config.root, &Survey::default(), app.clock.unix_ms());
        let found = found.map_err(|reason| crate::config::ConfigError::File {
            file: "the project".to_owned(),
            reason,
        })?;
        super::draft::keep_texts(&*ground.store, &found.texts)?;
        let draft = Draft {
            before,
            app,
            ground,
            files: PinnedFiles::new(ground.store.clone(), found.files()),
            secrets: found.secrets,
        };
        let (mut edition, faults) = draft.build()?;
        edition.number = before.map_or(1, |edition| edition.number + 1);
        let broken = faults.into_iter().map(|fault| Broken {
            playbook: crate::io::scripts::name_of_file(&fault.text.file)
                .unwrap_or(&fault.text.file)
                .to_owned(),
            error: fault.into(),
        });
        Ok((edition, broken.collect()))
    }

    /// These playbooks, which lie on no disk.
    pub fn of(app: Arc<App>, runner: Runner, playbooks: BTreeMap<String, Arc<Listed>>) -> Edition {
        let files = PinnedFiles::new(runner.gate.ground.store.clone(), BTreeMap::new());
        Edition {
            number: 1,
            app,
            runner,
            playbooks,
            parts: Parts {
                files,
                routes: BTreeMap::new(),
                metrics: BTreeMap::new(),
                left_out: BTreeSet::new(),
                secrets: None,
            },
        }
    }

    /// The same as version `number`: runs that begin with it know it by that.
    pub(super) fn numbered(mut self, number: u64) -> Edition {
        self.number = number;
        self.runner.gate = Arc::new(Gate {
            edition: Some(number),
            ..(*self.runner.gate).clone()
        });
        self
    }

    /// The mode of a run of `playbook` that begins now.
    pub fn mode(&self, playbook: &Listed) -> Result<RunMode, AppError> {
        self.app.mode(&playbook.pinned.header.uses)
    }

    /// Its files, as versions write them down.
    pub fn hashes(&self) -> Hashes {
        hashes(&self.parts.files)
    }
}

/// `files` as versions write them down.
pub(super) fn hashes(files: &PinnedFiles) -> Hashes {
    let files = files.files.iter();
    files.map(|(path, file)| (path.clone(), file.hash)).collect()
}

/// The set that is live now.
pub struct Live(Mutex<Arc<Edition>>);

impl Live {
    pub fn new(edition: Edition) -> Live {
        Live(Mutex::new(Arc::new(edition)))
    }

    pub fn current(&self) -> Arc<Edition> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From here on new runs are of `edition`.
    pub fn replace(&self, edition: Edition) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(edition);
    }
}
