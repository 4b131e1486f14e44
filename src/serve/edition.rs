//! The playbooks, prompts and settings that new runs get, as one set. A save makes another set; runs keep theirs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::app::{App, AppError};
use crate::effect::RunMode;
use crate::io::scripts::is_test;
use crate::runs::Runner;
use crate::runs::creation::Pinned;
use crate::runs::library::{LibraryError, unknown_versions};
use crate::script::triggers::Triggers;
use crate::store::tx::Ground;
use crate::store::{Durability, StoreError};

/// What is live.
pub struct Edition {
    /// Counts the sets that were live on this store.
    pub number: u64,
    pub app: Arc<App>,
    /// On the server's store, with the gate that the settings of this set make.
    pub runner: Runner,
    /// By name; files of tests and scripts that do not compile are not among them.
    pub playbooks: BTreeMap<String, Arc<Listed>>,
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
    /// What lies on the disk now, after `before`, and what of it does not compile. Every playbook is compiled once, and
    /// only what it is pinned to is kept. The texts are in the store when this returns.
    pub fn load(app: Arc<App>, ground: &Ground, before: Option<&Edition>) -> Result<(Edition, Vec<Broken>), AppError> {
        let runner = app.runner_after(ground.clone(), before.map(|edition| &*edition.runner.gate))?;
        let mut playbooks = BTreeMap::new();
        let mut broken = Vec::new();
        for name in app.library.files.list().into_iter().filter(|name| !is_test(name)) {
            match Listed::load(&app, ground, &name) {
                Ok(listed) => {
                    playbooks.insert(name, Arc::new(listed));
                }
                Err(LibraryError::Store(error)) => return Err(error.into()),
                Err(error) => broken.push(Broken { playbook: name, error }),
            }
        }
        let edition = Edition {
            number: before.map_or(1, |edition| edition.number + 1),
            app,
            runner,
            playbooks,
        };
        Ok((edition, broken))
    }

    /// The mode of a run of `playbook` that begins now.
    pub fn mode(&self, playbook: &Listed) -> Result<RunMode, AppError> {
        self.app.mode(&playbook.pinned.header.uses)
    }
}

impl Listed {
    fn load(app: &App, ground: &Ground, name: &str) -> Result<Listed, LibraryError> {
        let script = app.library.playbook(name)?;
        let keep = || -> Result<(), StoreError> {
            let texts = unknown_versions(&*ground.store, &script)?;
            if !texts.is_empty() {
                ground.store.commit(texts, Durability::Soon)?;
            }
            Ok(())
        };
        keep()?;
        Ok(Listed {
            pinned: Pinned::of(&script),
            triggers: Triggers::default(),
        })
    }
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
