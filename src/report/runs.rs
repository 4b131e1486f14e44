//! Which runs somebody wants to see: what `host runs` and the API list.

use crate::id::RunId;
use crate::journal::{JournalError, RunRecord, Status};
use crate::store::Store;

/// Records read at a time.
const AT_ONCE: usize = 256;

/// Every status, as it goes in a run's life.
pub const STATUSES: [Status; 7] = [
    Status::Queued,
    Status::Running,
    Status::Suspended,
    Status::Succeeded,
    Status::Failed,
    Status::Cancelled,
    Status::NeedsAttention,
];

/// Which runs are wanted.
pub struct Wanted<'a> {
    pub playbook: Option<&'a str>,
    pub status: Option<Status>,
    pub live: Option<bool>,
    /// The newest that may be among them.
    pub from: RunId,
    pub limit: usize,
    /// How many are looked through at most.
    pub looked_through_max: usize,
}

/// Those that fit, newest first, and where to look on for more; `None`: there are no more.
pub fn matching(store: &dyn Store, wanted: &Wanted<'_>) -> Result<(Vec<RunRecord>, Option<RunId>), JournalError> {
    let fits = |record: &RunRecord| {
        wanted.playbook.is_none_or(|playbook| record.playbook == playbook)
            && wanted.status.is_none_or(|status| record.status == status)
            && wanted.live.is_none_or(|live| record.live == live)
    };
    let (mut found, mut from, mut looked_through) = (Vec::new(), wanted.from, 0);
    loop {
        let records = RunRecord::latest(store, from, AT_ONCE)?;
        let is_last = records.len() < AT_ONCE;
        for record in records {
            if found.len() >= wanted.limit || looked_through >= wanted.looked_through_max {
                return Ok((found, Some(record.run)));
            }
            looked_through += 1;
            let Some(next) = record.run.before() else {
                return Ok((found, None));
            };
            from = next;
            if fits(&record) {
                found.push(record);
            }
        }
        if is_last {
            return Ok((found, None));
        }
    }
}
