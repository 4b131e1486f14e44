//! What the closures of reads and writes are given, and what they promise.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::mask::Masks;
use super::observer::{Notice, Observer};
use crate::effect::{Failure, Fault};
use crate::id::{ContentHash, StepNo};
use crate::io::World;
use crate::journal::Intent;
use crate::store::content::Content;
use crate::store::{Batch, StoreError, keys};
use crate::value::Value;

/// Carries out one kind of effect. It speaks to the outside through the doors it is handed, and never to the store.
pub trait Act {
    /// The provider's own deterministic answer: the same for the same arguments, everywhere.
    fn simulate(&self, simulation: &Simulation<'_>) -> Result<Value, Failure>;

    /// One attempt.
    fn carry_out(&self, errand: &mut Errand<'_>) -> Result<Value, Fault>;

    /// Asks the provider whether a write whose answer was lost has landed.
    fn look_up(&self, _errand: &mut Errand<'_>, _intent: &Intent) -> Result<Sighting, Fault> {
        Ok(Sighting::CannotTell)
    }
}

/// What a provider says of a write whose answer was lost.
#[derive(Clone, Debug, PartialEq)]
pub enum Sighting {
    /// It is there, and this would have been its answer.
    Landed(Value),
    /// It is not there, for now.
    NotThere,
    /// The provider has no way of telling.
    CannotTell,
}

/// What a simulation may depend on: the effect and its arguments, nothing else.
pub struct Simulation<'a> {
    pub name: &'a str,
    pub args: &'a Value,
    seed: ContentHash,
}

impl<'a> Simulation<'a> {
    pub fn of(name: &'a str, args: &'a Value) -> Simulation<'a> {
        let mut bytes = name.as_bytes().to_vec();
        bytes.push(0);
        bytes.extend(args.to_bytes());
        Simulation {
            name,
            args,
            seed: ContentHash::of(&bytes),
        }
    }

    /// A made-up id: the same for the same arguments.
    pub fn id(&self, prefix: &str) -> String {
        format!("{prefix}{}", &self.seed.to_string()[..16])
    }

    /// A number in `0..below`, the same for the same arguments and `salt`.
    pub fn pick(&self, salt: &str, below: u64) -> u64 {
        let mut bytes = self.seed.as_bytes().to_vec();
        bytes.extend(salt.as_bytes());
        let digest = ContentHash::of(&bytes);
        let head = digest.as_bytes().first_chunk::<8>().expect("a digest has 32 bytes");
        u64::from_be_bytes(*head) % below.max(1)
    }
}

/// One attempt under way: the doors, and what the attempt brings back beside its value.
pub struct Errand<'a> {
    pub world: &'a World,
    /// The step's idempotency key, the same for every attempt.
    pub key: &'a str,
    /// How long this attempt may take.
    pub timeout: std::time::Duration,
    pub(super) step: StepNo,
    pub(super) content: &'a dyn Content,
    pub(super) observer: &'a dyn Observer,
    pub(super) workspace: &'a Path,
    pub(super) masks: &'a Masks,
    pub(super) cost_usd: Option<f64>,
    pub(super) kept: Batch,
    pub(super) stop: &'a AtomicBool,
    pub(super) parks: Option<&'a AtomicBool>,
}

impl Errand<'_> {
    /// Shows how far it has come.
    pub fn progress(&self, fraction: Option<f64>, text: impl Into<String>) {
        self.observer.notice(Notice::Progress {
            step: self.step,
            fraction,
            text: self.masks.mask_text(text.into()),
        });
    }

    /// Whether to give up: the run is being stopped.
    pub fn is_halted(&self) -> bool {
        let is_set = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        is_set(self.stop) || self.parks.is_some_and(is_set)
    }

    /// Records what this attempt cost.
    pub fn cost(&mut self, usd: f64) {
        self.cost_usd = Some(self.cost_usd.unwrap_or(0.0) + usd);
    }

    /// `text` as the journal would keep it: for foreign words that are cut short, since half a secret is not found later.
    pub fn masked(&self, text: String) -> String {
        self.masks.mask_text(text)
    }

    /// The run's own folder for files under way and for people to look into.
    pub fn workspace(&self) -> PathBuf {
        self.workspace.to_owned()
    }

    /// Moves a finished file in among the content-addressed ones.
    pub fn keep_file(&self, path: &Path) -> Result<(ContentHash, u64), StoreError> {
        self.content.adopt(path)
    }

    /// Where the content `hash` lies, if it is here.
    pub fn kept_file(&self, hash: ContentHash) -> Option<PathBuf> {
        self.content.path(&hash)
    }

    /// Keeps a text that the run depends on, such as a prompt, under its hash.
    pub fn keep_version(&mut self, bytes: &[u8]) -> ContentHash {
        let hash = ContentHash::of(bytes);
        self.kept.put(keys::version(&hash), bytes.to_vec());
        hash
    }
}
