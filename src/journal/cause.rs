//! What started a run, as far as more must be known of it than words.

use serde::{Deserialize, Serialize};

use crate::id::RunId;

/// What a run answers to. It is written with the run's first entry and never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The tick of a schedule of the run's playbook.
    Tick {
        /// Which of its schedules.
        schedule: String,
        /// Unix milliseconds, without jitter.
        planned_ms: i64,
    },
    /// A job of a queue in the run's realm. The run's end says what becomes of the job, in one batch.
    Job { queue: String, job: u64 },
    /// The event with this number of that name, in the run's realm.
    Event { name: String, number: u64 },
    /// Another run of a playbook that this one follows has ended.
    After { run: RunId },
    /// A file came.
    File { path: String },
    /// The host was started.
    Startup { boot: String },
}
