//! An incident as one file that replays anywhere: without its project, its store or a network.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`form`] | the file: parts, their hashes, and the limits of a reader |
//! | [`pack`] | from a store to parts, masked once more |
//! | this one | from parts to a ground that runs replay on |
//!
//! A bundle comes from somebody else. No name in it is ever used as a path, nothing in it is believed before its hash
//! and its meaning are checked, and what it unpacks to lives in memory and ends with the command.

#[cfg(test)]
mod bundle_tests;
mod form;
mod pack;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::form::{Kind, Part, as_written};
use crate::id::{ContentHash, IncidentId, RunId};
use crate::journal::entry::{self, DecodeError, Entry};
use crate::journal::incident::{Incident, IncidentError};
use crate::journal::{JournalError, Recorded, RunRecord};
use crate::script::ScriptLimits;
use crate::store::content::{Content, ScratchContent};
use crate::store::documents::Indexes;
use crate::store::overlay::Overlay;
use crate::store::tx::Ground;
use crate::store::{Batch, Durability, StoreError, keys};

pub use pack::pack;

/// What its host was configured to, without secrets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub dry_run: bool,
    /// Each provider's state when the bundle was made: `live`, or why not.
    pub providers: BTreeMap<String, String>,
    /// The variables with secrets, and whether they were set.
    pub secrets: BTreeMap<String, bool>,
    /// The sections of `host.toml` that declare providers: without them, scripts that call these do not compile.
    pub declared: BTreeMap<String, serde_json::Value>,
    pub limits: ScriptLimits,
    /// The indexed fields of each collection.
    pub collections: BTreeMap<String, Vec<String>>,
}

/// An opened bundle.
pub struct Bundle {
    pub incident: Incident,
    /// Oldest first.
    pub runs: Vec<RunRecord>,
    /// Everything its runs need, in memory.
    pub ground: Ground,
    pub settings: Settings,
    /// The version of the host that made it.
    pub host: String,
}

/// Why a bundle cannot be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("this is no incident bundle: `host incident export` makes one")]
    NotOne,
    #[error(
        "the bundle has format {found}, this host knows up to {}: use the newer host",
        form::FORMAT
    )]
    NewerFormat { found: u32 },
    #[error("{what} is not what was exported: its SHA-256 is {found} and should be {expected}; fetch the bundle again")]
    Altered {
        what: String,
        found: ContentHash,
        expected: ContentHash,
    },
    #[error("the bundle was not made by `host incident export`: {0}")]
    Broken(String),
    #[error("{what} has {found} bytes; at most {most} are allowed")]
    TooLarge { what: String, found: u64, most: u64 },
    #[error("{what} of run {} is missing, so it would not replay", .run.short())]
    Incomplete { run: RunId, what: String },
    #[error("the bundle cannot be read: {0}")]
    Unreadable(std::io::Error),
    #[error("the bundle holds {0}")]
    Run(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Incident(#[from] IncidentError),
}

impl BundleError {
    pub fn code(&self) -> &'static str {
        match self {
            BundleError::NotOne => "BUNDLE_NOT_ONE",
            BundleError::NewerFormat { .. } => "BUNDLE_NEWER_FORMAT",
            BundleError::Altered { .. } => "BUNDLE_ALTERED",
            BundleError::Broken(_) => "BUNDLE_BROKEN",
            BundleError::TooLarge { .. } => "BUNDLE_TOO_LARGE",
            BundleError::Incomplete { .. } => "BUNDLE_INCOMPLETE",
            BundleError::Unreadable(_) => "BUNDLE_UNREADABLE",
            BundleError::Run(_) => "BUNDLE_RUN",
            BundleError::Store(error) => error.code(),
            BundleError::Journal(error) => error.code(),
            BundleError::Incident(error) => error.code(),
        }
    }
}

fn broken(reason: impl Into<String>) -> BundleError {
    BundleError::Broken(reason.into())
}

impl Bundle {
    /// Whether the file at `path` begins as a bundle does.
    pub fn is_one(path: &Path) -> bool {
        let head = crate::io::whole::head(path, form::MAGIC.len());
        matches!(head, Ok(Some(head)) if head == form::MAGIC)
    }

    pub fn open(path: &Path) -> Result<Bundle, BundleError> {
        let bytes = crate::io::whole::read(path, form::FILE_BYTES_MAX).map_err(BundleError::Unreadable)?;
        let bytes = bytes.ok_or_else(|| BundleError::TooLarge {
            what: "the bundle".to_owned(),
            found: form::FILE_BYTES_MAX + 1,
            most: form::FILE_BYTES_MAX,
        })?;
        Bundle::read(&bytes)
    }

    /// From the bytes of a file.
    pub fn read(bytes: &[u8]) -> Result<Bundle, BundleError> {
        let (host, parts) = form::unseal(bytes)?;
        let mut loading = Loading::default();
        for part in parts {
            loading.take(part)?;
        }
        let (incident, settings) = match (loading.incident.take(), loading.settings.take()) {
            (Some(incident), Some(settings)) => (incident, settings),
            _ => return Err(broken("its incident or its configuration is missing")),
        };
        let indexes = Indexes::declare(&settings.collections).map_err(|error| broken(error.to_string()))?;
        loading.check(&incident)?;
        let ground = Ground {
            store: Arc::new(Overlay::empty()),
            content: Arc::new(loading.content),
            indexes: Arc::new(indexes),
        };
        ground.store.commit(loading.rows, Durability::Soon)?;
        Ok(Bundle {
            incident,
            runs: loading.runs.into_values().collect(),
            ground,
            settings,
            host,
        })
    }

    /// The run whose id begins with `prefix`; without one, the one that opened the incident, or else the only one.
    pub fn run(&self, prefix: Option<&str>) -> Result<&RunRecord, BundleError> {
        let all = || {
            let names = self
                .runs
                .iter()
                .map(|record| format!("{} ({})", record.run.short(), record.playbook));
            names.collect::<Vec<_>>().join(", ")
        };
        let Some(prefix) = prefix else {
            let own = self
                .runs
                .iter()
                .find(|record| IncidentId::of_run(record.run) == self.incident.id);
            return match (own, self.runs.as_slice()) {
                (Some(own), _) => Ok(own),
                (None, [only]) => Ok(only),
                (None, []) => Err(BundleError::Run("no run".to_owned())),
                (None, _) => Err(BundleError::Run(format!("several runs, name one: {}", all()))),
            };
        };
        let shown: String = prefix.chars().take(40).collect();
        let unknown = || BundleError::Run(format!("no run that begins with {shown:?}, but {}", all()));
        let (low, high) = RunId::range_of(prefix).ok_or_else(unknown)?;
        let mut found = self.runs.iter().filter(|record| (low..=high).contains(&record.run));
        match (found.next(), found.next()) {
            (Some(record), None) => Ok(record),
            (None, _) => Err(unknown()),
            (Some(_), Some(_)) => Err(BundleError::Run(format!(
                "several runs that begin with {shown:?}; type more of the id"
            ))),
        }
    }
}

impl Settings {
    /// The limits that a replay of somebody else's run may have: those of its host, within reason.
    pub fn bounded_limits(&self) -> ScriptLimits {
        let (preset, given) = (ScriptLimits::default(), &self.limits);
        let most = 8;
        ScriptLimits {
            operations: given.operations.min(preset.operations * most),
            memory_mib: given.memory_mib.min(preset.memory_mib * most),
            active_s: given.active_s.min(preset.active_s),
            string_bytes: given.string_bytes.min(preset.string_bytes * most as usize),
            array_items: given.array_items.min(preset.array_items * most as usize),
            map_fields: given.map_fields.min(preset.map_fields * most as usize),
            call_levels: given.call_levels.min(preset.call_levels),
        }
    }
}

/// Parts on their way into a ground.
struct Loading {
    incident: Option<Incident>,
    settings: Option<Settings>,
    runs: BTreeMap<RunId, RunRecord>,
    journals: BTreeMap<RunId, Recorded>,
    versions: BTreeSet<ContentHash>,
    content: ScratchContent,
    rows: Batch,
}

impl Default for Loading {
    fn default() -> Loading {
        Loading {
            incident: None,
            settings: None,
            runs: BTreeMap::new(),
            journals: BTreeMap::new(),
            versions: BTreeSet::new(),
            content: ScratchContent::in_memory(None),
            rows: Batch::new(),
        }
    }
}

impl Loading {
    /// Checks that a part is what its name says. Names are in order and none comes twice; [`form::unseal`] sees to it.
    fn take(&mut self, part: Part) -> Result<(), BundleError> {
        let Part { kind, name, bytes } = part;
        match kind {
            Kind::Incident => {
                let id: IncidentId = as_written(&name).ok_or_else(|| misnamed(kind, &name))?;
                if self.incident.replace(Incident::decode(id, &bytes)?).is_some() {
                    return Err(broken("it holds two incidents"));
                }
            }
            Kind::Config => {
                let settings = serde_json::from_slice(&bytes);
                self.settings = Some(settings.map_err(|error| broken(format!("its configuration: {error}")))?);
            }
            Kind::Run => {
                let run: RunId = as_written(&name).ok_or_else(|| misnamed(kind, &name))?;
                let record = RunRecord::decode(run, &bytes)?;
                if record.run != run {
                    return Err(misnamed(kind, &name));
                }
                self.push(keys::run(run), bytes);
                self.runs.insert(run, record);
            }
            Kind::Journal => {
                let run: RunId = as_written(&name).ok_or_else(|| misnamed(kind, &name))?;
                let entries = entry::decode(&bytes).map_err(|error| match error {
                    DecodeError::Newer(found) => BundleError::NewerFormat { found: found.into() },
                    DecodeError::Corrupt(reason) => broken(format!("the journal of {run}: {reason}")),
                })?;
                self.journals.insert(run, journal(run, entries)?);
                self.push(keys::journal(run, 0), bytes);
            }
            Kind::Version => {
                let hash = named_by_hash(kind, &name, &bytes)?;
                self.versions.insert(hash);
                self.push(keys::version(&hash), bytes);
            }
            Kind::Content => {
                named_by_hash(kind, &name, &bytes)?;
                self.content.put(&bytes)?;
            }
        }
        Ok(())
    }

    /// Keys come in order and none comes twice, so that looking for an earlier one would only cost time.
    fn push(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.rows.puts.push((key, value));
    }

    /// Checks that each run has all that a replay of it needs.
    fn check(&self, incident: &Incident) -> Result<(), BundleError> {
        if !self.runs.keys().eq(&incident.runs) || !self.journals.keys().eq(&incident.runs) {
            return Err(broken("its runs are not those of its incident"));
        }
        for (run, recorded) in &self.journals {
            let lacks = |what: String| BundleError::Incomplete { run: *run, what };
            let begun = &recorded.begun;
            let texts = std::iter::once((&begun.playbook, &begun.version)).chain(&begun.modules);
            for (name, hash) in texts {
                if !self.versions.contains(hash) {
                    return Err(lacks(format!("the text of {}", name.escape_debug())));
                }
            }
            for hash in large_values(recorded) {
                if self.content.get(&hash)?.is_none() {
                    return Err(lacks(format!("the large value {}", hash.short())));
                }
            }
        }
        Ok(())
    }
}

/// The journal that `entries` are, if they are one of `run`.
fn journal(run: RunId, entries: Vec<Entry>) -> Result<Recorded, BundleError> {
    let recorded = Recorded::from_entries(run, entries).map_err(|error| broken(error.to_string()))?;
    if recorded.begun.run != run {
        return Err(misnamed(Kind::Journal, &run.to_string()));
    }
    Ok(recorded)
}

/// The files that hold values of this run.
fn large_values(recorded: &Recorded) -> impl Iterator<Item = ContentHash> {
    let steps = recorded
        .steps
        .values()
        .chain(recorded.past.iter().map(|(_, step)| step));
    let answers = steps.filter_map(|step| step.answer.as_ref()?.file);
    answers.chain(recorded.ended.as_ref().and_then(|ended| ended.file))
}

fn named_by_hash(kind: Kind, name: &str, bytes: &[u8]) -> Result<ContentHash, BundleError> {
    let expected: ContentHash = as_written(name).ok_or_else(|| misnamed(kind, name))?;
    let found = ContentHash::of(bytes);
    if found != expected {
        let what = format!("a part of the bundle ({})", kind.as_str());
        return Err(BundleError::Altered { what, found, expected });
    }
    Ok(expected)
}

fn misnamed(kind: Kind, name: &str) -> BundleError {
    let name: String = name.chars().take(80).collect();
    broken(format!("a part ({}) is not what its name {name:?} says", kind.as_str()))
}
