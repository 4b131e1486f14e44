//! What the desk needs of the host that it stands in: what is live, and somebody who drives runs.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::gate::Observer;
use crate::id::RunId;
use crate::runs::{Driven, Finished, ResumeError, Task};
use crate::script::{RunHandle, Script};
use crate::serve::edition::Edition;
use crate::serve::keeper::Refused;
use crate::upkeep::{Chore, Kept, Tell};

/// A run that waits longer than this is not waited for by whoever asked for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Who asked for what is driven, and how he follows it.
pub struct Watch {
    /// As a journal names him.
    pub by: String,
    /// Shown step by step.
    pub run: Option<RunId>,
    pub observer: Arc<dyn Observer>,
    /// Set to cancel it.
    pub stop: Arc<AtomicBool>,
}

/// The host that a desk stands in.
pub trait Driver: Send + Sync {
    /// What new runs get now.
    fn current(&self) -> Arc<Edition>;

    /// Drives `tasks`, and returns when all of them are at rest: over, put aside because the host stops, or waiting for
    /// longer than [`PATIENCE`] or for somebody outside. What is told to stop (`watch.stop`) is at rest soon.
    fn drive(&self, tasks: Vec<Task>, watch: Watch) -> Driven;

    /// Has `handle`, which was taken over with the runner of `edition`, driven; nobody waits for it.
    fn adopt(&self, edition: &Edition, handle: RunHandle, script: Arc<Script>);

    /// Ends `run`, at work or not, for `by`, and says how it is then; `None` when it was told to stop, and is not at rest within
    /// `patience`.
    fn cancel(&self, run: RunId, by: &str, patience: Duration) -> Option<Result<Finished, ResumeError>>;

    /// Does a chore, unless another is under way.
    fn keep(&self, chore: &Chore, tell: &mut Tell<'_>) -> Result<Kept, Refused>;
}
