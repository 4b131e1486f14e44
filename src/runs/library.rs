//! Playbooks by name or path, and the versions of them that runs are pinned to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};

use super::editions::Editions;
use crate::effect::{Failure, RunMode};
use crate::gate::{Birth, Born, Playbooks};
use crate::id::ContentHash;
use crate::io::scripts::{ScriptFault, ScriptFiles, is_test};
use crate::journal::{Begun, Parent};
use crate::namespaces::test;
use crate::script::coverage::Coverage;
use crate::script::source::Text;
use crate::script::{API_VERSION, Diagnosis, Language, Script, inputs};
use crate::store::{Batch, Store, StoreError, keys};
use crate::value::{Map, Value};

/// How many compiled scripts are kept for the runs that are pinned to them, at most twice over,
const PINNED_MAX: usize = 512;
/// and how large their texts may be together; compiled, they take some twenty times as much.
const PINNED_BYTES_MAX: usize = 1 << 20;
/// Scripts of which is remembered that they were asked for.
const ONCE_MAX: usize = 4096;

/// Finds and compiles playbooks.
#[derive(Clone)]
pub struct Library {
    pub files: ScriptFiles,
    pub language: Arc<Language>,
    /// That of tests, made when it is first asked for.
    tests: Arc<OnceLock<Arc<Language>>>,
    pinned: Arc<Mutex<Kept>>,
    /// For runs that began with another.
    pub(super) editions: Arc<Editions>,
}

/// Compiled scripts by all that they are pinned to, once they are asked for again: of ten thousand playbooks that begin at
/// one moment none is. Those that nobody asked for while the younger became too many go.
#[derive(Default)]
struct Kept {
    /// What was asked for lately and is not kept.
    once: BTreeSet<ContentHash>,
    younger: BTreeMap<ContentHash, Arc<Script>>,
    younger_bytes: usize,
    older: BTreeMap<ContentHash, Arc<Script>>,
}

impl Kept {
    fn get(&mut self, pins: &ContentHash) -> Option<Arc<Script>> {
        if let Some(script) = self.younger.get(pins) {
            return Some(script.clone());
        }
        let script = self.older.remove(pins)?;
        // Seldom is there anything to be dropped.
        drop(self.put(*pins, script.clone()));
        Some(script)
    }

    /// Takes a script that was compiled just now, if it was asked for before. Gives what is not kept any more, to be dropped
    /// where nobody waits.
    fn add(&mut self, pins: ContentHash, script: &Arc<Script>) -> BTreeMap<ContentHash, Arc<Script>> {
        if self.once.remove(&pins) {
            return self.put(pins, script.clone());
        }
        if self.once.len() >= ONCE_MAX {
            self.once.clear();
        }
        self.once.insert(pins);
        BTreeMap::new()
    }

    fn put(&mut self, pins: ContentHash, script: Arc<Script>) -> BTreeMap<ContentHash, Arc<Script>> {
        let mut outdated = BTreeMap::new();
        let bytes: usize = script.texts().map(|text| text.text.len()).sum();
        if self.younger.len() >= PINNED_MAX || self.younger_bytes + bytes > PINNED_BYTES_MAX {
            outdated = std::mem::replace(&mut self.older, std::mem::take(&mut self.younger));
            self.younger_bytes = 0;
        }
        self.younger_bytes += bytes;
        self.younger.insert(pins, script);
        outdated
    }
}

/// What names a script exactly, for whoever has the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins {
    pub playbook: String,
    pub file: String,
    pub version: ContentHash,
    pub modules: BTreeMap<String, ContentHash>,
}

impl Pins {
    pub fn of(script: &Script) -> Pins {
        Pins {
            playbook: script.name.clone(),
            file: script.source.file.clone(),
            version: script.source.hash,
            modules: script.module_hashes(),
        }
    }
}

/// Why there is no script to run.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    #[error(transparent)]
    File(#[from] ScriptFault),
    #[error("{}", .0.message)]
    Script(Box<Diagnosis>),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0} holds tests, and is no playbook: `host test` runs them")]
    Test(String),
    #[error("the text of {file} as this run had it ({}) is not in the store any more", .hash.short())]
    VersionMissing { file: String, hash: ContentHash },
}

impl From<Diagnosis> for LibraryError {
    fn from(diagnosis: Diagnosis) -> LibraryError {
        LibraryError::Script(Box::new(diagnosis))
    }
}

impl LibraryError {
    pub fn code(&self) -> &str {
        match self {
            LibraryError::File(fault) => fault.code(),
            LibraryError::Script(diagnosis) => &diagnosis.code,
            LibraryError::Store(error) => error.code(),
            LibraryError::Test(_) => "PLAYBOOK_IS_TEST",
            LibraryError::VersionMissing { .. } => "VERSION_MISSING",
        }
    }
}

impl Library {
    pub fn new(files: ScriptFiles, language: Arc<Language>) -> Library {
        Library {
            files,
            language,
            tests: Arc::default(),
            pinned: Arc::default(),
            editions: Arc::default(),
        }
    }

    /// The same, noting which lines are run.
    pub fn watched(&self, coverage: Arc<Coverage>) -> Library {
        let mut language = (*self.language).clone();
        language.coverage = Some(coverage);
        Library {
            language: Arc::new(language),
            pinned: Arc::default(),
            ..self.clone()
        }
    }

    /// The same over other files.
    pub fn with_files(&self, files: ScriptFiles) -> Library {
        Library { files, ..self.clone() }
    }

    /// The language of tests: that of playbooks, and `test::`.
    pub fn tests(&self) -> Arc<Language> {
        // Which lines of tests are run is nobody's question.
        let make = || {
            let mut language = self.language.with(test::NAME, test::module, test::methods);
            language.coverage = None;
            Arc::new(language)
        };
        self.tests.get_or_init(make).clone()
    }

    /// The language of the script called `name`.
    pub fn language_of(&self, name: &str) -> Arc<Language> {
        if is_test(name) {
            self.tests()
        } else {
            self.language.clone()
        }
    }

    /// The playbook called `name`, or the script at that path, as it stands on disk.
    pub fn load(&self, name: &str) -> Result<Arc<Script>, LibraryError> {
        let found = self.files.playbook(name)?;
        let find = |module: &str| {
            let found = self.files.module(module).map_err(|fault| fault.to_string())?;
            Ok(Text::new(found.file, found.text))
        };
        let language = self.language_of(&found.name);
        let script = Script::compile(&language, &found.name, Text::new(found.file, found.text), &find)?;
        Ok(Arc::new(script))
    }

    /// The playbook called `name`, to be run: no file of tests.
    pub fn playbook(&self, name: &str) -> Result<Arc<Script>, LibraryError> {
        let script = self.load(name)?;
        match is_test(&script.name) {
            true => Err(LibraryError::Test(script.name.clone())),
            false => Ok(script),
        }
    }

    /// The script at `path`, or the playbook of that name, edited after the run that `begun` describes. Modules are
    /// those on disk, as a new run would have them; what is not there any more is as the run had it.
    pub fn edited(&self, store: &dyn Store, path: &str, begun: &Begun) -> Result<Arc<Script>, LibraryError> {
        // A file is meant, even where a playbook has the same name.
        let as_path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("./{path}")
        };
        let found = match self.files.playbook(&as_path) {
            Ok(found) => crate::io::scripts::Found {
                file: path.to_owned(),
                ..found
            },
            Err(_) => self.files.playbook(path)?,
        };
        let find = |module: &str| match (self.files.module(module), begun.modules.get(module)) {
            (Ok(found), _) => Ok(Text::new(found.file, found.text)),
            (Err(_), Some(hash)) => version(store, &format!("{module}.rhai"), *hash).map_err(|error| error.to_string()),
            (Err(fault), None) => Err(fault.to_string()),
        };
        let script = Script::compile(&self.language, &found.name, Text::new(found.file, found.text), &find)?;
        Ok(Arc::new(script))
    }

    /// The script exactly as the run that `begun` describes had it.
    pub fn pinned(&self, store: &dyn Store, begun: &Begun) -> Result<Arc<Script>, LibraryError> {
        let pins = Pins {
            playbook: begun.playbook.clone(),
            file: begun.file.clone(),
            version: begun.version,
            modules: begun.modules.clone(),
        };
        self.of_pins(store, &pins)
    }

    /// The script that `begun` names; its texts are in the store.
    pub fn of_pins(&self, store: &dyn Store, begun: &Pins) -> Result<Arc<Script>, LibraryError> {
        let pins = ContentHash::of(format!("{} {} {:?}", begun.playbook, begun.version, begun.modules).as_bytes());
        let kept = || self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(script) = kept().get(&pins) {
            return Ok(script);
        }
        let script = self.compile_pinned(store, begun)?;
        let outdated = kept().add(pins, &script);
        drop(outdated);
        Ok(script)
    }

    /// Lets go of what is kept for runs: nothing has moved for a while.
    pub fn forget_pinned(&self) {
        *self.pinned.lock().unwrap_or_else(PoisonError::into_inner) = Kept::default();
        self.editions.forget();
    }

    fn compile_pinned(&self, store: &dyn Store, begun: &Pins) -> Result<Arc<Script>, LibraryError> {
        let source = version(store, &begun.file, begun.version)?;
        let find = |module: &str| {
            let hash = begun
                .modules
                .get(module)
                .ok_or_else(|| format!("the run knew no module {module:?}"))?;
            version(store, &format!("{module}.rhai"), *hash).map_err(|error| error.to_string())
        };
        Ok(Arc::new(Script::compile_for_run(
            &self.language,
            &begun.playbook,
            source,
            &find,
        )?))
    }
}

impl Playbooks for Library {
    fn born(&self, birth: &Birth<'_>) -> Result<Born, Failure> {
        let refused = |error: LibraryError| Failure::new(error.code(), error.to_string());
        let script = self.playbook(birth.playbook).map_err(refused)?;
        let given = match &birth.input {
            Value::Unit => Map::new(),
            input => input.as_map().cloned().ok_or_else(|| {
                let kind = input.kind();
                Failure::new(
                    "INPUT",
                    format!("the inputs of a playbook are a map, and this is {kind}"),
                )
            })?,
        };
        let begun = Begun {
            run: birth.child,
            playbook: script.name.clone(),
            file: script.source.file.clone(),
            version: script.source.hash,
            modules: script.module_hashes(),
            api: API_VERSION,
            mode: RunMode {
                uses: script.header.uses.clone(),
                ..birth.mode.clone()
            },
            input: inputs::complete(&script.header, given)?,
            at_ms: birth.at_ms,
            trigger: format!("by run {} at step {}", birth.parent.run.short(), birth.step),
            epoch: 1,
            parent: Some(Parent {
                run: birth.parent.run,
                step: birth.step,
            }),
            cause: None,
            retry_of: None,
            corr: Some(birth.parent.corr()),
            by: birth.parent.by.clone(),
            edition: birth.edition,
        };
        let mut versions = Batch::new();
        for text in script.texts() {
            versions.put(keys::version(&text.hash), text.text.as_bytes().to_vec());
        }
        Ok(Born { begun, versions })
    }
}

/// The texts of `script` that the store does not hold yet.
pub fn unknown_versions(store: &dyn Store, script: &Script) -> Result<Batch, StoreError> {
    let mut batch = Batch::new();
    for text in script.texts() {
        let key = keys::version(&text.hash);
        if store.get(&key)?.is_none() {
            batch.put(key, text.text.as_bytes().to_vec());
        }
    }
    Ok(batch)
}

fn version(store: &dyn Store, file: &str, hash: ContentHash) -> Result<Text, LibraryError> {
    let missing = || LibraryError::VersionMissing {
        file: file.to_owned(),
        hash,
    };
    let row = store.get(&keys::version(&hash))?.ok_or_else(missing)?;
    let text = String::from_utf8(row.value).map_err(|_| missing())?;
    Ok(Text::new(file, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestHost;

    #[test]
    fn a_script_is_kept_once_it_is_asked_for_again() {
        let host = TestHost::default();
        let script = host.compile("40 + 2");
        let store = &*host.ground.store;
        let versions = unknown_versions(store, &script).unwrap();
        store.commit(versions, crate::store::Durability::Now).unwrap();
        let (library, pins) = (host.library(), Pins::of(&script));
        let [first, second, third] = [(); 3].map(|()| library.of_pins(store, &pins).unwrap());
        assert!(!Arc::ptr_eq(&first, &second));
        assert!(Arc::ptr_eq(&second, &third));
        library.forget_pinned();
        assert!(!Arc::ptr_eq(&third, &library.of_pins(store, &pins).unwrap()));
    }
}
