//! What a test's functions ask of whoever runs the test.

use std::sync::Arc;
use std::time::Duration;

use super::played::Played;
use crate::effect::Failure;
use crate::gate::{Signals, Stage};
use crate::value::{Map, Value};

/// One case of a test file, while it runs.
pub trait Trial: Send + Sync {
    /// Where its answers stand.
    fn stage(&self) -> &Stage;

    /// That playbooks can ask for an effect of this name.
    fn check_effect(&self, name: &str) -> Result<(), Failure>;

    /// Runs a playbook until it is at rest.
    fn run(&self, playbook: &str, input: Map) -> Result<Played, Failure>;

    /// What a playbook's header says.
    fn header(&self, playbook: &str) -> Result<Value, Failure>;

    fn set_time(&self, unix_ms: i64);

    fn advance(&self, by: Duration);

    fn seed(&self, seed: u64);

    /// Makes a provider live, or all of them.
    fn live(&self, provider: Option<&str>) -> Result<(), Failure>;

    fn signals(&self, given: Signals);

    fn switch_off(&self, provider: &str, why: &str) -> Result<(), Failure>;

    /// What somebody answers to the next question.
    fn reply(&self, text: &str) -> Result<(), Failure>;

    fn event(&self, name: &str, data: Value) -> Result<(), Failure>;

    /// A text in the place of a file of the project.
    fn file(&self, path: &str, text: String) -> Result<(), Failure>;

    /// Puts a document into the store as it was after so many changes.
    fn document(&self, collection: &str, id: &str, data: Map, version: u64) -> Result<(), Failure>;

    /// The id of the run that is played next; the clock is set to when that began.
    fn id(&self, id: &str) -> Result<(), Failure>;

    /// Compares `text` with what is kept under the case's name, and `name`.
    fn snapshot(&self, name: Option<&str>, text: String) -> Result<(), Failure>;
}

/// The case that a test's script runs for: stands beside its run.
pub struct InTrial(pub Arc<dyn Trial>);
