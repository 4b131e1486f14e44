//! What the host ran, and what it refused to run: versions of the set of playbooks, prompts and settings.
//!
//! A version is a row of its own: what it changes of another, as hashes of texts that the store holds. Beside these stands
//! the list of what is live. So each version can be put together again, and whoever asks needs no server's memory.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::id::{ContentHash, RunId};
use crate::store::keys::{self, Space};
use crate::store::{Batch, Precondition, Store, StoreError};
use crate::value::ENCODED_DEPTH_MAX;

/// The version of the form that is written.
const FORMAT: u8 = 1;

/// Versions that are kept.
pub const VERSIONS_MAX: u64 = 1_000;
/// Mistakes that are kept of one version.
pub const FAULTS_MAX: usize = 20;

const LIVE: &str = "live";
const VERSION: &str = "version";
const INTENT: &str = "intent";

/// What became of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Live,
    /// It was live, and a later one is.
    Past,
    /// It was live, and was taken back.
    RolledBack,
    /// It changes what recent runs come to, and waits for somebody's word.
    Held,
    /// Somebody said that it may go live.
    Accepted,
    Discarded,
    /// It does not compile.
    Broken,
    /// It was held or broken, and a later save took its place.
    Superseded,
    /// It was on the disk when somebody rolled back, and never live.
    Kept,
}

impl State {
    /// As JSON names it.
    pub fn code(self) -> &'static str {
        match self {
            State::Live => "live",
            State::Past => "past",
            State::RolledBack => "rolled_back",
            State::Held => "held",
            State::Accepted => "accepted",
            State::Discarded => "discarded",
            State::Broken => "broken",
            State::Superseded => "superseded",
            State::Kept => "kept",
        }
    }

    /// Whether it is, or was, live: the next live one was made of it.
    pub fn was_live(self) -> bool {
        matches!(self, State::Live | State::Past | State::RolledBack)
    }
}

/// In words, for people.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            State::RolledBack => "rolled back",
            other => other.code(),
        })
    }
}

/// Files by path, each as the hash of its text.
pub type Hashes = BTreeMap<String, ContentHash>;

/// What became of one file; without a hash it is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<ContentHash>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ContentHash>,
}

/// The files that differ.
pub fn changes(before: &Hashes, after: &Hashes) -> Vec<Change> {
    let gone = before.keys().filter(|path| !after.contains_key(*path));
    let mut paths: Vec<&String> = after.keys().chain(gone).collect();
    paths.sort();
    let change = |path: &String| Change {
        path: path.clone(),
        before: before.get(path).copied(),
        after: after.get(path).copied(),
    };
    let all = paths.into_iter().map(change);
    all.filter(|change| change.before != change.after).collect()
}

/// One mistake, with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub code: String,
    pub message: String,
    pub file: String,
    /// Counted from 1; 0 when unknown.
    pub line: u32,
    pub column: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The text it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<ContentHash>,
}

/// `playbooks/daily.rhai:3:5: there is no variable `x``
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if self.line > 0 && self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// What a version would have made of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    pub run: RunId,
    pub playbook: String,
    /// An incident holds the run.
    pub is_pinned: bool,
    /// `outcome_changed`, `effects_changed` or `not_answered`.
    pub fate: String,
    /// In words.
    pub before: String,
    pub now: String,
    /// The first effect that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    pub number: u64,
    /// Unix milliseconds.
    pub at_ms: i64,
    pub state: State,
    /// What brought it: a save, a start, somebody who rolled back.
    pub by: String,
    /// The version that was live when it came, of which it is a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<u64>,
    pub changes: Vec<Change>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// How many there are beyond those that are kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_faults: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Effect>,
    /// Why it is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Who accepted, discarded or took it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What is live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveSet {
    pub number: u64,
    pub since_ms: i64,
    pub files: Hashes,
}

/// What somebody has just written to the disk, to be named as theirs when it goes live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    pub by: String,
    /// The version that was gone back to.
    pub to: u64,
    /// What then lies on the disk.
    pub files: Hashes,
}

/// Why a version is not found, not readable or not changed.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{what} cannot be read: {reason}; restore the store from a backup")]
    Corrupt { what: String, reason: String },
    #[error("{what} has format {found}, this host knows up to {FORMAT}: use the newer host")]
    NewerFormat { what: String, found: u8 },
    #[error("there is no version {0}: `host versions list` shows them")]
    NotFound(u64),
    #[error("version {number} is {state}, and only one that is held can be accepted or discarded")]
    NotHeld { number: u64, state: State },
    #[error("version {0} cannot be put together any more: versions between it and the live one are not kept")]
    TooOld(u64),
}

impl VersionError {
    pub fn code(&self) -> &'static str {
        match self {
            VersionError::Store(error) => error.code(),
            VersionError::Corrupt { .. } => "VERSION_CORRUPT",
            VersionError::NewerFormat { .. } => "VERSION_NEWER_FORMAT",
            VersionError::NotFound(_) => "VERSION_NOT_FOUND",
            VersionError::NotHeld { .. } => "VERSION_NOT_HELD",
            VersionError::TooOld(_) => "VERSION_TOO_OLD",
        }
    }
}

fn key(number: u64) -> Vec<u8> {
    keys::named(Space::Edition, &[VERSION, &format!("{number:010}")])
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    let mut row = vec![FORMAT];
    let mut serializer = rmp_serde::Serializer::new(&mut row).with_struct_map();
    value.serialize(&mut serializer).expect("versions are plain data");
    row
}

fn decode<T: DeserializeOwned>(what: &str, row: &[u8]) -> Result<T, VersionError> {
    let corrupt = |reason: String| VersionError::Corrupt {
        what: what.to_owned(),
        reason,
    };
    let mut body = match row.split_first() {
        Some((&FORMAT, body)) => body,
        Some((&found, _)) if found > FORMAT => {
            return Err(VersionError::NewerFormat {
                what: what.to_owned(),
                found,
            });
        }
        _ => return Err(corrupt("its row has no format".to_owned())),
    };
    let mut deserializer = rmp_serde::Deserializer::new(&mut body);
    deserializer.set_max_depth(ENCODED_DEPTH_MAX);
    T::deserialize(&mut deserializer).map_err(|error| corrupt(error.to_string()))
}

fn read<T: DeserializeOwned>(store: &dyn Store, name: &str) -> Result<Option<T>, VersionError> {
    let row = store.get(&keys::named(Space::Edition, &[name]))?;
    row.map(|row| decode(name, &row.value)).transpose()
}

impl Version {
    /// Its row.
    pub fn key(number: u64) -> Vec<u8> {
        key(number)
    }

    pub fn get(store: &dyn Store, number: u64) -> Result<Version, VersionError> {
        let row = store.get(&key(number))?.ok_or(VersionError::NotFound(number))?;
        decode(&format!("version {number}"), &row.value)
    }

    /// The latest versions, the last first.
    pub fn latest(store: &dyn Store, limit: usize) -> Result<Vec<Version>, VersionError> {
        let all = keys::prefix_range(keys::named(Space::Edition, &[VERSION]));
        let rows = store.scan(all, limit, true)?;
        rows.iter().map(|(_, row)| decode("a version", &row.value)).collect()
    }

    /// Adds to `batch` what makes this a new version, on the condition that there is none of its number. The oldest goes.
    pub fn create(&self, batch: &mut Batch) {
        batch.require(key(self.number), Precondition::Absent);
        batch.put(key(self.number), encode(self));
        if self.number > VERSIONS_MAX {
            batch.delete(key(self.number - VERSIONS_MAX));
        }
    }

    /// Adds to `batch` what writes this anew.
    pub fn update(&self, batch: &mut Batch) {
        batch.put(key(self.number), encode(self));
    }
}

impl LiveSet {
    pub fn get(store: &dyn Store) -> Result<Option<LiveSet>, VersionError> {
        read(store, LIVE)
    }

    pub fn put(&self, batch: &mut Batch) {
        batch.put(keys::named(Space::Edition, &[LIVE]), encode(self));
    }
}

impl Intent {
    pub fn get(store: &dyn Store) -> Result<Option<Intent>, VersionError> {
        read(store, INTENT)
    }

    pub fn put(&self, batch: &mut Batch) {
        batch.put(keys::named(Space::Edition, &[INTENT]), encode(self));
    }

    pub fn forget(batch: &mut Batch) {
        batch.delete(keys::named(Space::Edition, &[INTENT]));
    }
}

/// The number of the next version.
pub fn next_number(store: &dyn Store) -> Result<u64, VersionError> {
    let latest = Version::latest(store, 1)?.first().map_or(0, |version| version.number);
    let live = LiveSet::get(store)?.map_or(0, |live| live.number);
    Ok(latest.max(live) + 1)
}

/// The files of version `number`.
pub fn files_of(store: &dyn Store, number: u64) -> Result<Hashes, VersionError> {
    let wanted = Version::get(store, number)?;
    let was_live = match (wanted.state.was_live(), wanted.base) {
        (true, _) => Some(number),
        (false, base) => base,
    };
    let mut files = match was_live {
        Some(number) => live_files_of(store, number)?,
        None => Hashes::new(),
    };
    if !wanted.state.was_live() {
        for change in &wanted.changes {
            match change.after {
                Some(hash) => files.insert(change.path.clone(), hash),
                None => files.remove(&change.path),
            };
        }
    }
    Ok(files)
}

/// The files of a version that was live: those that are, with every later change taken back.
fn live_files_of(store: &dyn Store, number: u64) -> Result<Hashes, VersionError> {
    let live = LiveSet::get(store)?.ok_or(VersionError::NotFound(number))?;
    let mut files = live.files;
    let mut at = live.number;
    for version in Version::latest(store, VERSIONS_MAX as usize)? {
        if at <= number {
            break;
        }
        if version.number != at {
            continue;
        }
        for change in &version.changes {
            match change.before {
                Some(hash) => files.insert(change.path.clone(), hash),
                None => files.remove(&change.path),
            };
        }
        at = version.base.unwrap_or(0);
    }
    if at == number {
        Ok(files)
    } else {
        Err(VersionError::TooOld(number))
    }
}

/// What `host status` says of the versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadStatus {
    /// The version that is live, and since when.
    pub live: Option<(u64, i64)>,
    /// The last save, where it does not compile.
    pub broken: Option<Version>,
    /// The last save, where it waits for somebody's word.
    pub held: Option<Version>,
}

impl ReloadStatus {
    pub fn read(store: &dyn Store) -> Result<ReloadStatus, VersionError> {
        let live = LiveSet::get(store)?;
        let latest = Version::latest(store, 1)?.pop();
        let is = |state: State| latest.clone().filter(|version| version.state == state);
        Ok(ReloadStatus {
            live: live.map(|live| (live.number, live.since_ms)),
            broken: is(State::Broken),
            held: is(State::Held),
        })
    }
}
