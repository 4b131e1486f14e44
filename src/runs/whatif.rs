//! An edited script, prompt or input over a recorded world: what would have been different?
//!
//! The script runs on a gate of its own: its store is what the record shows, its clock stands in the recorded time, its
//! chance has a fixed seed, and no door leads out. So a what-if reaches nothing, keeps nothing, and says the same
//! whenever it is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::diff::{self, Diff, Verdict};
use super::library::{Library, LibraryError};
use super::past;
use super::runner::Runner;
use super::subsequence::common;
use crate::effect::Failure;
use crate::gate::{Aligned, Gate, Missing, Past, Rendering, Silent, Sites, Tape};
use crate::id::ContentHash;
use crate::io::World;
use crate::io::chance::SeededChance;
use crate::io::clock::RecordedClock;
use crate::io::files::ProjectFiles;
use crate::journal::{Asked, JournalError, Outcome, Recorded};
use crate::namespaces::prompt;
use crate::script::source::Text;
use crate::script::{RunHandle, Script, inputs};
use crate::store::content::{Content, ScratchContent};
use crate::store::{Store, StoreError, keys};
use crate::value::{Map, Value};

/// How long a what-if may compute when nothing else is said. It waits for nothing: what took the run hours is on record.
const ACTIVE_MAX: Duration = Duration::from_secs(60);

/// What is changed beside the script, and what happens where the record has no answer.
#[derive(Clone)]
pub struct Options {
    pub missing: Missing,
    /// Inputs in place of the recorded ones.
    pub input: Map,
    /// Texts of prompts by name, in place of the recorded ones.
    pub prompts: BTreeMap<String, String>,
    /// The project's files as they are now, for prompts that the record has no text of.
    pub files: Arc<ProjectFiles>,
    /// How long it may compute.
    pub active_max: Duration,
}

impl Options {
    /// Nothing but the script is changed, and what is missing is simulated.
    pub fn new() -> Options {
        Options {
            missing: Missing::Simulate,
            input: Map::new(),
            prompts: BTreeMap::new(),
            files: Arc::new(ProjectFiles::shut()),
            active_max: ACTIVE_MAX,
        }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options::new()
    }
}

/// What would have been different.
#[derive(Clone, Debug)]
pub struct WhatIf {
    pub recorded: Recorded,
    /// The version of the script that was asked.
    pub script: ContentHash,
    pub input: Value,
    /// Every effect, then and now, in an order that reads like both.
    pub steps: Vec<Diff>,
    /// `None` when the run has no end on record.
    pub before: Option<Outcome>,
    pub now: Outcome,
}

/// How many effects there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub kept: usize,
    pub changed: usize,
    pub new: usize,
    pub gone: usize,
    pub reordered: usize,
    /// Answers that are not from the record.
    pub unrecorded: usize,
}

impl WhatIf {
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for diff in &self.steps {
            match diff.verdict {
                Verdict::Kept => counts.kept += 1,
                Verdict::Changed => counts.changed += 1,
                Verdict::New => counts.new += 1,
                Verdict::Gone => counts.gone += 1,
            }
            counts.reordered += usize::from(diff.reordered);
            counts.unrecorded += usize::from(diff.is_unrecorded());
        }
        counts
    }

    /// Whether it ends as the run did. Where an error stands in the script does not matter: lines move.
    pub fn same_outcome(&self) -> bool {
        self.before.as_ref().is_some_and(|before| same_end(before, &self.now))
    }

    pub fn same_effects(&self) -> bool {
        self.steps.iter().all(|diff| !diff.is_difference())
    }

    /// The first effect that differs.
    pub fn first_difference(&self) -> Option<&Diff> {
        self.steps.iter().find(|diff| diff.is_difference())
    }

    /// Whether it could not go on because the record had no answer.
    pub fn is_stuck(&self) -> bool {
        let error = self.now.error.as_ref();
        error.is_some_and(|error| error.failure.code == "NOT_RECORDED")
    }
}

/// Whether both end the same.
pub fn same_end(a: &Outcome, b: &Outcome) -> bool {
    let essence = |outcome: &Outcome| {
        let error = outcome.error.as_ref();
        let failure = error.map(|error| (error.failure.code.clone(), error.failure.message.clone()));
        (outcome.status, outcome.value.clone(), failure)
    };
    essence(a) == essence(b)
}

/// Why a what-if cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum WhatIfError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Library(#[from] LibraryError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{}", .0.message)]
    Input(Failure),
}

impl WhatIfError {
    pub fn code(&self) -> &str {
        match self {
            WhatIfError::Journal(error) => error.code(),
            WhatIfError::Library(error) => error.code(),
            WhatIfError::Store(error) => error.code(),
            WhatIfError::Input(failure) => &failure.code,
        }
    }
}

/// Asks what `script` would have done in the place of `recorded`. `gate` must be one whose world is shut; its store is
/// only read.
pub fn whatif(
    library: &Library,
    gate: &Gate,
    recorded: Recorded,
    script: &Script,
    options: &Options,
) -> Result<WhatIf, WhatIfError> {
    let mut begun = recorded.begun.clone();
    let input = input(script, &recorded.begun.input, &options.input).map_err(WhatIfError::Input)?;
    begun.input = gate.masks.mask(input);
    begun.mode.uses.clone_from(&script.header.uses);
    begun.version = script.source.hash;
    let before = library.pinned(&*gate.ground.store, &recorded.begun).ok();
    let sites = before.map(|before| sites(&before, script)).unwrap_or_default();

    let content: Arc<dyn Content> = Arc::new(ScratchContent::in_memory(Some(gate.ground.content.clone())));
    let remembered = past::remember(&recorded, &content)?;
    let clock = Arc::new(RecordedClock::new(gate.world.clock.clone(), begun.at_ms));
    let texts = Texts::collect(&recorded, &*gate.ground.store, script, options)?;
    let shut = gate.world.shut();
    let own = Arc::new(Gate {
        ground: past::over(&remembered.store, &content),
        world: World {
            clock: clock.clone(),
            chance: Arc::new(SeededChance::new(seed(&recorded))),
            files: texts.files(),
            ..shut
        },
        masks: gate.masks.clone(),
        policies: gate.policies.clone(),
        owner: gate.owner.clone(),
        ready: Arc::default(),
        parks: Arc::default(),
        lookout: Arc::default(),
        playbooks: Arc::new(library.clone()),
        stage: None,
        edition: None,
    });
    let past = Past {
        then: past::over(&remembered.store, &content),
        writes: remembered.writes,
        blind: remembered.blind,
    };
    let rendering = texts.rendering();
    let aligned = Aligned::new(recorded.clone(), sites, options.missing.clone(), past, clock, rendering);
    let handle = RunHandle::new(
        own.clone(),
        Tape::what_if(&own, begun.clone(), aligned, Arc::new(Silent)),
    );
    let runner = Runner {
        gate: own,
        language: library.language.clone(),
    };
    let script = Arc::new(bounded(script, options.active_max));
    let now = runner.execute(&handle, &script);
    let (now, _) = runner.clean_up(&handle, &script, now);
    let given = handle.tape().take_given();
    Ok(WhatIf {
        steps: diff::compare(&recorded, given),
        before: recorded.outcome().or_else(|| recorded.waiting()),
        now,
        script: script.source.hash,
        input: begun.input,
        recorded,
    })
}

/// The recorded input with `changed` in it, as the edited script takes it. What the script does not know any more is
/// left out; what it has come to know has its preset.
pub(super) fn input(script: &Script, recorded: &Value, changed: &Map) -> Result<Value, Failure> {
    let mut given = recorded.as_map().cloned().unwrap_or_default();
    if script.header.is_present {
        // `()` stands for an input that was not given.
        given.retain(|name, value| script.header.inputs.contains_key(name) && !value.is_unit());
    }
    given.extend(changed.clone());
    inputs::complete(&script.header, given)
}

/// The script with the time limit of what-ifs.
fn bounded(script: &Script, active_max: Duration) -> Script {
    let mut script = script.clone();
    let limit = script
        .header
        .timeout
        .map_or(active_max, |timeout| timeout.min(active_max));
    script.header.timeout = Some(limit);
    script
}

/// The same for the same run.
fn seed(recorded: &Recorded) -> u64 {
    let hash = ContentHash::of(&recorded.begun.run.to_bytes());
    let head = hash.as_bytes().first_chunk::<8>().expect("a digest has 32 bytes");
    u64::from_be_bytes(*head)
}

/// Which lines of `now` are lines of `before`. How far a line is indented does not matter.
pub(super) fn sites(before: &Script, now: &Script) -> Sites {
    fn lines(text: &Text) -> Vec<&str> {
        text.text.lines().map(str::trim).collect()
    }
    fn indents(text: &Text) -> Vec<i64> {
        let indent = |line: &str| line.chars().count() as i64 - line.trim_start().chars().count() as i64;
        text.text.lines().map(indent).collect()
    }
    let mut sites = Sites::default();
    let mut compare = |module: Option<&str>, before: &Text, now: &Text| {
        let (before_indents, now_indents) = (indents(before), indents(now));
        for (old, new) in common(&lines(before), &lines(now)) {
            let moved = now_indents[new] - before_indents[old];
            sites.stays(module, old as u32 + 1, new as u32 + 1, moved);
        }
    };
    compare(None, &before.source, &now.source);
    for (name, text) in &now.modules {
        if let Some(before) = before.modules.get(name) {
            compare(Some(name), before, text);
        }
    }
    sites
}

/// The texts of prompts that a what-if may render.
struct Texts {
    /// By name without ending: those that were given, those the record shows, those that lie in the project.
    by_name: BTreeMap<String, String>,
    edited: BTreeSet<String>,
    recorded: BTreeSet<String>,
    /// Prompts on record that were made of an edited one.
    touched: BTreeSet<String>,
}

/// Stands between a prompt's own text and those it included, in what is kept of a rendering.
const INCLUDED: &str = "\n+++ included: ";

impl Texts {
    fn collect(
        recorded: &Recorded,
        store: &dyn Store,
        script: &Script,
        options: &Options,
    ) -> Result<Texts, StoreError> {
        let mut texts = Texts {
            by_name: BTreeMap::new(),
            edited: options
                .prompts
                .keys()
                .map(|name| prompt::bare(name).to_owned())
                .collect(),
            recorded: BTreeSet::new(),
            touched: BTreeSet::new(),
        };
        let sources = std::iter::once(&script.source).chain(script.modules.values());
        if !sources.into_iter().any(|text| text.text.contains("prompt::")) {
            return Ok(texts);
        }
        texts.by_name = prompt::texts(&options.files);
        for answer in recorded.steps.values().filter_map(|step| step.answer.as_ref()) {
            let version = answer.value.get("version").and_then(Value::as_str);
            let name = answer.value.get("name").and_then(Value::as_str);
            if answer.asked.name == "prompt.render"
                && let (Some(name), Some(version)) = (name, version)
                && let Some(kept) = kept_version(store, version)?
            {
                texts.restore(name, &kept);
            }
        }
        for (name, text) in &options.prompts {
            texts.by_name.insert(prompt::bare(name).to_owned(), text.clone());
        }
        Ok(texts)
    }

    /// Takes apart what was kept of a rendering of `name`.
    fn restore(&mut self, name: &str, kept: &str) {
        let mut parts = kept.split(INCLUDED);
        let main = parts.next().unwrap_or_default();
        let mut names = vec![name.to_owned()];
        self.by_name.insert(name.to_owned(), main.to_owned());
        for part in parts {
            let (included, text) = part.split_once('\n').unwrap_or((part, ""));
            let included = prompt::bare(included);
            names.push(included.to_owned());
            self.by_name.insert(included.to_owned(), text.to_owned());
        }
        if names.iter().any(|name| self.edited.contains(name)) {
            self.touched.insert(name.to_owned());
        }
        self.recorded.extend(names);
    }

    fn files(&self) -> Arc<ProjectFiles> {
        Arc::new(ProjectFiles::of_texts(prompt::as_files(&self.by_name)))
    }

    fn rendering(self) -> Box<dyn Fn(&Asked) -> Rendering + Send> {
        Box::new(move |asked| {
            let name = asked.args.get("name").and_then(Value::as_str).unwrap_or_default();
            let name = prompt::bare(name);
            if self.edited.contains(name) || self.touched.contains(name) {
                Rendering::Edited
            } else if self.recorded.contains(name) || !self.by_name.contains_key(name) {
                Rendering::Recorded
            } else {
                Rendering::OnDisk
            }
        })
    }
}

/// The text whose hash begins with `short`, if exactly one is kept.
fn kept_version(store: &dyn Store, short: &str) -> Result<Option<String>, StoreError> {
    let Some(range) = keys::versions_of(short) else {
        return Ok(None);
    };
    Ok(match store.scan(range, 2, false)?.as_slice() {
        [(_, row)] => String::from_utf8(row.value.clone()).ok(),
        _ => None,
    })
}
