//! What all cases of a session share. Nothing in it changes while they run, but for scripts that are compiled once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::effect::Failure;
use crate::gate::{Masks, Policies};
use crate::io::World;
use crate::io::scratch::Scratch;
use crate::runs::Library;
use crate::runs::library::LibraryError;
use crate::script::error::nearest;
use crate::script::reference;
use crate::script::{Diagnosis, Script};
use crate::store::content::{Content, ScratchContent};
use crate::store::documents::Indexes;

/// What a session of tests stands on.
pub struct Setting {
    pub library: Library,
    /// Doors to what lies in the project. Those to the network are shut, and cases bring their own clock and chance.
    world: World,
    /// All that the project knows.
    pub providers: Vec<String>,
    pub policies: Policies,
    pub masks: Arc<Masks>,
    pub indexes: Arc<Indexes>,
    pub content: Arc<dyn Content>,
    /// What playbooks can ask for, by the names of effects.
    effects: Arc<BTreeSet<String>>,
    scripts: Mutex<BTreeMap<String, Compiled>>,
    /// Files that cases make lie here, until this is dropped.
    scratch: Arc<Scratch>,
}

type Compiled = Result<Arc<Script>, Arc<LibraryError>>;

impl Setting {
    pub fn new(
        library: Library,
        world: World,
        providers: Vec<String>,
        policies: Policies,
        masks: Arc<Masks>,
        indexes: Arc<Indexes>,
    ) -> std::io::Result<Setting> {
        let scratch = Scratch::new(&*world.chance)?;
        let content = ScratchContent::in_folder(scratch.path().join("content"), None);
        let functions = reference::functions(&library.language);
        Ok(Setting {
            effects: Arc::new(
                functions
                    .iter()
                    .map(|function| function.name.replace("::", "."))
                    .collect(),
            ),
            library,
            // Prompts and inputs are read as they stand; nothing else of the world is real.
            world: World {
                files: world.files.clone(),
                ffmpeg: world.ffmpeg.clone(),
                ..world.shut()
            },
            providers,
            policies: Policies {
                switched_off: BTreeMap::new(),
                signals: Default::default(),
                ..policies
            },
            masks,
            indexes,
            content: Arc::new(content),
            scripts: Mutex::default(),
            scratch: Arc::new(scratch),
        })
    }

    /// The same with another library, such as one in which a playbook reads otherwise.
    pub fn with_library(&self, library: Library) -> Setting {
        Setting {
            library,
            world: self.world.clone(),
            providers: self.providers.clone(),
            policies: self.policies.clone(),
            masks: self.masks.clone(),
            indexes: self.indexes.clone(),
            content: self.content.clone(),
            effects: self.effects.clone(),
            scripts: Mutex::default(),
            scratch: self.scratch.clone(),
        }
    }

    /// The doors of the case with this number.
    pub fn world(&self, case: usize) -> World {
        World {
            work_dir: self.scratch.path().join(format!("case-{case}")),
            ..self.world.clone()
        }
    }

    /// The playbook called `name`, compiled once.
    pub fn playbook(&self, name: &str) -> Result<Arc<Script>, Failure> {
        let compiled = {
            let mut scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
            match scripts.get(name) {
                Some(compiled) => compiled.clone(),
                None => {
                    let compiled = self.library.playbook(name).map_err(Arc::new);
                    scripts.insert(name.to_owned(), compiled.clone());
                    compiled
                }
            }
        };
        compiled.map_err(|error| match &*error {
            LibraryError::Script(diagnosis) => uncompiled(diagnosis),
            error => Failure::new(error.code(), error.to_string()),
        })
    }

    /// That playbooks can ask for an effect of this name.
    pub fn check_effect(&self, name: &str) -> Result<(), Failure> {
        if self.effects.contains(name) {
            return Ok(());
        }
        let near = nearest(name, self.effects.iter().map(String::as_str));
        let hint = match near {
            Some(near) => format!("; did you mean {near:?}?"),
            None => ": they are called as their functions are, with a dot, such as \"slack.post\"".to_owned(),
        };
        Err(Failure::new(
            "UNKNOWN_EFFECT",
            format!("no playbook can ask for {name:?}{hint}"),
        ))
    }

    pub fn check_provider(&self, name: &str) -> Result<(), Failure> {
        if self.providers.iter().any(|known| known == name) {
            return Ok(());
        }
        let near = nearest(name, self.providers.iter().map(String::as_str));
        let hint = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        Err(Failure::new(
            "UNKNOWN_PROVIDER",
            format!("no provider has the name {name:?}{hint}"),
        ))
    }
}

fn uncompiled(diagnosis: &Diagnosis) -> Failure {
    let Diagnosis {
        code,
        message,
        text,
        place,
        ..
    } = diagnosis;
    Failure::new(code.clone(), format!("{}:{}: {message}", text.file, place.line))
}
