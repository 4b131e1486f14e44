//! What starts runs by itself. Each trigger looks at the store and at what is live now, and creates the runs that are due,
//! each in one batch with the row that says so: so none is started twice, however the host ends.
//!
//! | module | what starts a run |
//! | --- | --- |
//! | [`ticks`] | the tick of a schedule |
//! | [`jobs`] | a job of a queue |
//! | [`events`] | an event |
//! | [`after`] | the end of a run of another playbook |
//! | [`files`] | a file that came |
//! | [`startup`] | the start of the host |
//!
//! [`overlap`] tells whether an earlier run stands in the way; [`start`] is what the last four have in common.

pub mod after;
#[cfg(test)]
mod arrivals_tests;
#[cfg(test)]
mod edition_tests;
pub mod events;
pub mod files;
pub mod jobs;
#[cfg(test)]
mod jobs_tests;
mod modes;
pub mod overlap;
mod start;
pub mod startup;
pub mod ticks;

pub use jobs::Jobs;
pub use ticks::Ticks;

use crate::id::RunId;
use crate::runs::creation::Created;
use crate::serve::Edition;
use crate::store::StoreError;
use crate::store::ticks::tick::Fate;

/// Something that starts runs.
pub trait Trigger: Send {
    /// For logs and figures: `ticks`, `queues`.
    fn name(&self) -> &'static str;

    /// Creates runs that are due at `now_ms`, `room` at most. Those of `edition` are live now.
    fn turn(&mut self, edition: &Edition, now_ms: i64, room: usize) -> Result<Turn, StoreError>;
}

/// Everything that starts runs, in the order in which it is asked.
pub fn all() -> Vec<Box<dyn Trigger>> {
    vec![
        Box::<startup::Startup>::default(),
        Box::<Ticks>::default(),
        Box::<after::After>::default(),
        Box::<events::Events>::default(),
        Box::<files::Files>::default(),
        Box::<Jobs>::default(),
    ]
}

/// What came of a turn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turn {
    /// On disk as queued, or to be gone on with; in the order in which they are to begin.
    pub runs: Vec<Started>,
    /// Runs to be cancelled.
    pub cancel: Vec<RunId>,
    /// When to ask again at the latest, in Unix milliseconds; before, if the store changes or a run ends.
    pub next_ms: Option<i64>,
    /// Whether more was due than there was room for.
    pub has_more: bool,
    /// Fates of ticks that are on record now, for figures.
    pub fates: Vec<Fated>,
}

/// What became of ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fated {
    pub fate: Fate,
    /// How long after it was due the tick ran, where it did.
    pub late_ms: Option<i64>,
    /// How many share this.
    pub count: u64,
}

impl Turn {
    /// This turn, once it is over. What was committed has happened whatever came after it: its runs are handed over, and what
    /// stood in the way is met again by the next turn, which has nothing to lose.
    fn over(mut self, looked: Result<(), StoreError>) -> Result<Turn, StoreError> {
        match looked {
            Ok(()) => Ok(self),
            Err(error) if !self.runs.is_empty() => {
                tracing::debug!(%error, "a turn was cut short");
                self.has_more = true;
                Ok(self)
            }
            Err(error) => Err(error),
        }
    }
}

/// A run that wants a thread.
#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    pub run: RunId,
    pub playbook: String,
    /// It was ended by an error before, and is to be reopened: the next attempt at a job.
    pub reopen: bool,
    /// As it was made, where it was made just now.
    pub created: Option<Created>,
}
