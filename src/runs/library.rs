//! Playbooks by name or path, and the versions of them that runs are pinned to.

use std::sync::Arc;

use crate::id::ContentHash;
use crate::io::scripts::{ScriptFault, ScriptFiles};
use crate::journal::Begun;
use crate::script::source::Text;
use crate::script::{Diagnosis, Language, Script};
use crate::store::{Store, StoreError, keys};

/// Finds and compiles playbooks.
#[derive(Clone)]
pub struct Library {
    pub files: ScriptFiles,
    pub language: Arc<Language>,
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
            LibraryError::VersionMissing { .. } => "VERSION_MISSING",
        }
    }
}

impl Library {
    /// The playbook called `name`, or the script at that path, as it stands on disk.
    pub fn load(&self, name: &str) -> Result<Arc<Script>, LibraryError> {
        let found = self.files.playbook(name)?;
        let find = |module: &str| {
            let found = self.files.module(module).map_err(|fault| fault.to_string())?;
            Ok(Text::new(found.file, found.text))
        };
        let script = Script::compile(&self.language, &found.name, Text::new(found.file, found.text), &find)?;
        Ok(Arc::new(script))
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
        let source = version(store, &begun.file, begun.version)?;
        let find = |module: &str| {
            let hash = begun
                .modules
                .get(module)
                .ok_or_else(|| format!("the run knew no module {module:?}"))?;
            version(store, &format!("{module}.rhai"), *hash).map_err(|error| error.to_string())
        };
        Ok(Arc::new(Script::compile(
            &self.language,
            &begun.playbook,
            source,
            &find,
        )?))
    }
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
