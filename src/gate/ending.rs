//! A run whose end is written and may not be on disk yet.
//!
//! *Output commit:* nobody hears of the end before it is on disk, and then everybody who waits for it does. Between the
//! two, the thread of the run is free for another: the ends of many runs go to the disk together.

use std::sync::Arc;

use super::observer::{Notice, Observer};
use super::ready::Ready;
use crate::id::RunId;
use crate::journal::RunRecord;
use crate::store::{CommitNo, Store, StoreError};

/// The end of a run, before anybody is told.
#[must_use = "nobody is told of the end otherwise"]
pub struct Ending {
    pub record: RunRecord,
    /// The run is over once this commit is on disk.
    pub until: CommitNo,
    pub(super) parent: Option<RunId>,
    pub(super) observer: Arc<dyn Observer>,
    /// What every line of the log says of the run.
    pub(super) span: tracing::Span,
}

impl Ending {
    /// Waits until the end is on disk, and tells of it.
    pub fn told(self, store: &dyn Store, ready: &Ready) -> Result<RunRecord, StoreError> {
        store.wait_durable(self.until)?;
        Ok(self.tell(ready))
    }

    /// Tells those who wait for the run, or watch it. The caller has waited until the end is on disk.
    pub fn tell(self, ready: &Ready) -> RunRecord {
        if let Some(parent) = self.parent {
            ready.tell(parent);
        }
        let record = &self.record;
        self.span.in_scope(|| self.observer.notice(Notice::Rested { record }));
        self.record
    }
}
