//! The playbooks, prompts and settings that new runs get, as one set. A save makes another set; runs keep theirs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::app::{App, AppError};
use crate::effect::RunMode;
use crate::runs::Runner;
use crate::runs::creation::Pinned;
use crate::script::triggers::Triggers;

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

impl Edition {
    /// The mode of a run of `playbook` that begins now.
    pub fn mode(&self, playbook: &Listed) -> Result<RunMode, AppError> {
        self.app.mode(&playbook.pinned.header.uses)
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
