//! Going back to a version: its scripts and prompts are written to the disk, from where they go live like any save.
//!
//! What lies on the disk and is in no version would be lost, so it is refused, or made a version of its own first. Settings
//! stay as they are: they belong to the machine, and a `host.toml` of before may name what is not there any more.

use std::collections::BTreeSet;

use super::draft::{keep_texts, prompt_name};
use super::versions::{self, News};
use crate::app::App;
use crate::id::ContentHash;
use crate::io::pinned::{self, PinnedFile, PinnedFiles, is_prompt};
use crate::io::restore;
use crate::io::scripts::file_of;
use crate::io::survey::{Survey, survey};
use crate::journal::edition::{Change, Hashes, Intent, LiveSet, Version, VersionError, changes, files_of};
use crate::store::tx::Ground;
use crate::store::{Batch, Durability, Store};

/// Versions among which the disk is looked for.
const LOOKED_THROUGH: usize = 50;

/// Why nothing was gone back to.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    #[error(transparent)]
    Version(#[from] VersionError),
    #[error("the disk holds changes that are in no version: {}", versions::in_words(.0))]
    Unsaved(Vec<Change>),
    #[error("version {number} has no playbook {name:?}")]
    NoPlaybook { number: u64, name: String },
    #[error("{path} cannot be put back: {reason}")]
    File { path: String, reason: String },
    #[error("the project cannot be read: {0}")]
    Project(String),
}

impl RollbackError {
    pub fn code(&self) -> &'static str {
        match self {
            RollbackError::Version(error) => error.code(),
            RollbackError::Unsaved(_) => "VERSION_UNSAVED",
            RollbackError::NoPlaybook { .. } => "PLAYBOOK_NOT_FOUND",
            RollbackError::File { .. } => "VERSION_MISSING",
            RollbackError::Project(_) => "PLAYBOOK_UNREADABLE",
        }
    }
}

/// Where to go back to.
pub struct Wish<'a> {
    pub to: u64,
    /// Only this playbook, with its modules and prompts.
    pub playbook: Option<&'a str>,
    /// Whether what is in no version may be overwritten, once it is kept.
    pub force: bool,
    pub by: &'a str,
}

/// What was done.
#[derive(Debug)]
pub struct Done {
    pub changes: Vec<Change>,
    /// The version that holds what was on the disk.
    pub before: Option<u64>,
    /// Whether the version had other settings, which are not gone back to.
    pub has_other_settings: bool,
}

/// What lies on the disk now. Its texts are in the store.
pub fn disk(app: &App, store: &dyn Store) -> Result<Hashes, RollbackError> {
    let found = look(app)?;
    keep_texts(store, &found.texts).map_err(VersionError::from)?;
    Ok(hashes(&found))
}

fn look(app: &App) -> Result<Survey, RollbackError> {
    survey(&app.config.root, &Survey::default(), app.clock.unix_ms()).map_err(RollbackError::Project)
}

fn hashes(found: &Survey) -> Hashes {
    found
        .files()
        .into_iter()
        .map(|(path, file)| (path, file.hash))
        .collect()
}

/// Goes back.
pub fn rollback(app: &App, ground: &Ground, wish: &Wish<'_>) -> Result<Done, RollbackError> {
    let store = &*ground.store;
    let version = files_of(store, wish.to)?;
    let found = look(app)?;
    let on_disk = hashes(&found);
    let mut meant = wanted(app, ground, wish, &version, &on_disk)?;
    // Settings, and nothing else, lie beside the folders.
    meant.retain(|path, _| path.contains('/'));
    let settings = on_disk.iter().filter(|(path, _)| !path.contains('/'));
    meant.extend(settings.map(|(path, hash)| (path.clone(), *hash)));
    let changes = changes(&on_disk, &meant);
    // Every text is at hand before the first file is touched.
    let texts: Vec<(&Change, Option<String>)> = changes
        .iter()
        .map(|change| {
            Ok((
                change,
                change.after.map(|hash| text(store, &change.path, &hash)).transpose()?,
            ))
        })
        .collect::<Result<_, RollbackError>>()?;
    let live = LiveSet::get(store)?.ok_or(VersionError::NotFound(wish.to))?;
    let before = keep(app, store, wish, &found, &live)?;
    if meant != live.files && !changes.is_empty() {
        let intent = Intent {
            by: wish.by.to_owned(),
            to: wish.to,
            files: meant.clone(),
        };
        let mut batch = Batch::new();
        intent.put(&mut batch);
        store.commit(batch, Durability::Now).map_err(VersionError::from)?;
    }
    for (change, text) in texts {
        let root = &app.config.root;
        let written = match text {
            Some(text) => restore::put(root, &change.path, &text),
            None => restore::take_away(root, &change.path),
        };
        written.map_err(|error| RollbackError::File {
            path: change.path.clone(),
            reason: error.to_string(),
        })?;
    }
    let settings = |files: &Hashes| files.get(crate::io::survey::SETTINGS).copied();
    Ok(Done {
        has_other_settings: wish.playbook.is_none() && settings(&version) != settings(&on_disk),
        changes,
        before,
    })
}

fn text(store: &dyn Store, path: &str, hash: &ContentHash) -> Result<String, RollbackError> {
    pinned::text(store, hash).map_err(|reason| RollbackError::File {
        path: path.to_owned(),
        reason,
    })
}

/// The version that holds what is on the disk; made now, if nobody else has made it and that is wanted.
fn keep(
    app: &App,
    store: &dyn Store,
    wish: &Wish<'_>,
    found: &Survey,
    live: &LiveSet,
) -> Result<Option<u64>, RollbackError> {
    let own = |files: &Hashes| -> Hashes {
        let files = files.iter().filter(|(path, _)| path.contains('/'));
        files.map(|(path, hash)| (path.clone(), *hash)).collect()
    };
    let on_disk = hashes(found);
    if own(&live.files) == own(&on_disk) {
        return Ok(Some(live.number));
    }
    for version in Version::latest(store, LOOKED_THROUGH)? {
        if files_of(store, version.number).is_ok_and(|files| own(&files) == own(&on_disk)) {
            return Ok(Some(version.number));
        }
    }
    if !wish.force {
        return Err(RollbackError::Unsaved(changes(&own(&live.files), &own(&on_disk))));
    }
    for (path, file) in found.files() {
        if let Some(reason) = file.fault {
            let reason = format!("what is there now could not be kept: {reason}");
            return Err(RollbackError::File { path, reason });
        }
    }
    keep_texts(store, &found.texts).map_err(VersionError::from)?;
    let news = News {
        at_ms: app.clock.unix_ms(),
        by: &format!("kept before a rollback by {}", wish.by),
        files: &on_disk,
        pending: None,
    };
    Ok(Some(versions::is_kept(store, &news)?))
}

/// What is to lie on the disk.
fn wanted(
    app: &App,
    ground: &Ground,
    wish: &Wish<'_>,
    version: &Hashes,
    on_disk: &Hashes,
) -> Result<Hashes, RollbackError> {
    let Some(name) = wish.playbook else {
        return Ok(version.clone());
    };
    let mut wanted = on_disk.clone();
    for path in parts_of(app, ground, version, name).ok_or_else(|| RollbackError::NoPlaybook {
        number: wish.to,
        name: name.to_owned(),
    })? {
        if let Some(hash) = version.get(&path) {
            wanted.insert(path, *hash);
        }
    }
    Ok(wanted)
}

/// The files that make up the playbook `name` in `files`: itself, its modules, and the prompts that these name.
pub fn parts_of(app: &App, ground: &Ground, files: &Hashes, name: &str) -> Option<BTreeSet<String>> {
    let own = file_of(name.strip_suffix(".rhai").unwrap_or(name));
    files.get(&own)?;
    let stored = files.iter();
    let stored = stored
        .map(|(path, hash)| (path.clone(), PinnedFile::stored(*hash)))
        .collect();
    let stored = PinnedFiles::new(ground.store.clone(), stored);
    let library = app.library.with_files(app.library.files.pinned(stored.clone()));
    let mut parts = BTreeSet::from([own]);
    if let Ok(script) = library.playbook(name) {
        parts.extend(script.modules.keys().map(|module| file_of(module)));
    }
    let text = |path: &str| stored.text(path).and_then(Result::ok).unwrap_or_default();
    let renders = |path: &String| text(path).contains("prompt::");
    let mut naming: Vec<String> = parts
        .iter()
        .filter(|path| renders(path))
        .map(|path| text(path))
        .collect();
    while let Some(text) = naming.pop() {
        let named = stored.below(pinned::PROMPTS).map(|(path, _)| path);
        let named = named.filter(|path| is_prompt(path) && text.contains(prompt_name(path)));
        for path in named.map(str::to_owned).collect::<Vec<_>>() {
            let text = stored.text(&path).and_then(Result::ok).unwrap_or_default();
            if parts.insert(path) {
                naming.push(text);
            }
        }
    }
    Some(parts)
}
