//! The append-only record of a run's effects.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`audit`] | who did what: one chain for the whole host |
//! | [`entry`] | what is recorded |
//! | [`row`] | how entries lie in rows of the store |
//! | [`writer`] | appends; keeps the store holding a prefix |
//! | [`reader`] | a recorded journal, as it answers and as people read it |
//! | [`life`] | entries about the run itself: owners, waits, decisions |
//! | [`event`], [`question`] | what runs wait for from outside |
//! | [`intake`] | what services sent |
//! | [`follow`] | playbooks that are started by the ends of others |
//! | [`unstarted`] | what a trigger did not start, and why |
//! | [`run`] | the one row per run that lists it: status, mode, outcome |
//! | [`edition`] | what the host ran, and what it refused to run |
//! | [`epoch`] | the lives of the store, and what is held since it was restored |
//! | [`incident`] | runs that are held, with what people found out about them |
//!
//! On disk a journal is a row of rows: `journal/<run>/<number of its first entry>`, each holding a format version and
//! every entry that reached the store in that batch. A reader that finds a gap between rows refuses the journal.

pub mod audit;
pub mod cause;
pub mod edition;
pub mod entry;
pub mod epoch;
pub mod event;
pub mod follow;
pub mod incident;
#[cfg(test)]
mod incident_tests;
pub mod intake;
pub mod life;
pub mod question;
pub mod reader;
pub mod row;
pub mod run;
pub mod unstarted;
pub mod writer;

pub use cause::Cause;
pub use entry::{Answer, Asked, Attempt, Begun, Entry, Intent, Parent};
pub use incident::Incident;
pub use life::{Awaited, Lease, Owner, Suspended, Wake};
pub use reader::{CarryOver, Recorded, Step};
pub use run::{Outcome, RunError, RunRecord, Status, Waits};
pub use writer::Writer;

/// What a journal cannot be read for.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    #[error("the journal of run {run} cannot be read at entry {entry}: {reason}; restore the store from a backup")]
    Corrupt {
        run: crate::id::RunId,
        entry: u64,
        reason: String,
    },
    #[error("the journal of run {run} has format {found}, this host knows up to {known}: use the newer host")]
    NewerFormat {
        run: crate::id::RunId,
        found: u8,
        known: u8,
    },
    #[error("no run begins with {0:?}: `host runs` lists them")]
    NoSuchRun(String),
    #[error("{prefix:?} could be any of these runs: {candidates}; type more of the id")]
    Ambiguous { prefix: String, candidates: String },
}

impl JournalError {
    pub fn code(&self) -> &'static str {
        match self {
            JournalError::Store(error) => error.code(),
            JournalError::Corrupt { .. } => "JOURNAL_CORRUPT",
            JournalError::NewerFormat { .. } => "JOURNAL_NEWER_FORMAT",
            JournalError::NoSuchRun(_) => "RUN_NOT_FOUND",
            JournalError::Ambiguous { .. } => "RUN_AMBIGUOUS",
        }
    }
}
