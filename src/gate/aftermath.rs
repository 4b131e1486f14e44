//! What the end of a run means for others: for the job that it did, and for the playbooks that follow it. All of it is
//! in the batch of the end, so that nobody sees one without the other.

use super::Gate;
use crate::journal::{Begun, Cause, RunRecord, Status, follow};
use crate::store::queue::hold::{self, Settled, Verdict};
use crate::store::{Batch, StoreError, Tx};

/// Changes that go with a run's end.
#[derive(Default)]
pub(super) struct Aftermath {
    pub(super) batch: Batch,
    /// The run will be gone on with by itself: this was not its last word.
    pub(super) is_tried_again: bool,
}

/// What follows from the end that `record` tells.
pub(super) fn of(gate: &Gate, begun: &Begun, record: &RunRecord) -> Result<Aftermath, StoreError> {
    let now_ms = gate.world.clock.unix_ms();
    let mut tx = Tx::new(&gate.ground, begun.mode.realm(), now_ms);
    let mut is_tried_again = false;
    if let Some(Cause::Job { queue, job }) = &begun.cause {
        let settled = hold::settle(&mut tx, queue, *job, begun.run, &verdict(record))?;
        is_tried_again = matches!(settled, Some(Settled::Again { .. }));
    }
    if !is_tried_again {
        follow::tell(&mut tx, record)?;
    }
    Ok(Aftermath {
        batch: tx.batch,
        is_tried_again,
    })
}

fn verdict(record: &RunRecord) -> Verdict {
    let reason = || match &record.error {
        Some(error) => error.failure.to_string(),
        None => format!("its run is {}", record.status),
    };
    match record.status {
        Status::Succeeded => Verdict::Done,
        Status::NeedsAttention => Verdict::Waits,
        Status::Failed if record.error.as_ref().is_some_and(|error| error.is_mended_by_time()) => {
            Verdict::Again(reason())
        }
        _ => Verdict::Dead(reason()),
    }
}
