//! The run with which one that went wrong is compared.

use crate::id::RunId;
use crate::journal::{JournalError, Recorded, RunRecord, Status};
use crate::store::Store;
use crate::store::tx::Ground;

/// Earlier runs that are looked through.
const LOOKED_THROUGH_MAX: usize = 2_000;

/// The latest run of the same playbook that began earlier and succeeded; a run that succeeded needs none.
pub fn success(ground: &Ground, record: &RunRecord) -> Result<Option<Recorded>, JournalError> {
    if record.status == Status::Succeeded {
        return Ok(None);
    }
    let found = earlier(&*ground.store, record)?;
    // One whose journal cannot be read tells nothing, and hides nothing.
    Ok(found.and_then(|record| Recorded::load(ground, record.run).ok()))
}

fn earlier(store: &dyn Store, record: &RunRecord) -> Result<Option<RunRecord>, JournalError> {
    const AT_ONCE: usize = 256;
    let mut last = record.run;
    for _ in 0..LOOKED_THROUGH_MAX.div_ceil(AT_ONCE) {
        let Some(below) = u128::from_be_bytes(last.to_bytes()).checked_sub(1) else {
            break;
        };
        let records = RunRecord::latest(store, RunId::from_bytes(below.to_be_bytes()), AT_ONCE)?;
        let Some(oldest) = records.last().map(|record| record.run) else {
            break;
        };
        let fits = |found: &RunRecord| found.playbook == record.playbook && found.status == Status::Succeeded;
        if let Some(found) = records.into_iter().find(fits) {
            return Ok(Some(found));
        }
        last = oldest;
    }
    Ok(None)
}
