//! What started a run, as far as more must be known of it than words.

use serde::{Deserialize, Serialize};

use super::Entry;
use super::row::decode;
use crate::id::RunId;
use crate::store::{Store, StoreError, keys};

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
    Event {
        name: String,
        number: u64,
        /// The run that said so; `None` when somebody outside did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<RunId>,
    },
    /// Another run of a playbook that this one follows has ended.
    After { run: RunId },
    /// A file came.
    File { path: String },
    /// A request over HTTP.
    Request {
        method: String,
        /// As the header writes it, with the names of its parameters.
        path: String,
        /// The request's correlation id.
        corr: String,
    },
    /// What a service sent.
    Webhook {
        path: String,
        /// The record of what was taken in.
        intake: String,
        /// The request's correlation id.
        corr: String,
        /// How often a run had been made of it before.
        #[serde(default)]
        again: u32,
    },
    /// The host was started.
    Startup { boot: String },
}

impl Cause {
    /// The correlation id of the request that it came with.
    pub fn corr(&self) -> Option<&str> {
        match self {
            Cause::Request { corr, .. } | Cause::Webhook { corr, .. } => Some(corr),
            _ => None,
        }
    }
}

/// The most runs that are looked at for one step of a chain: each may have been started by another, so deep.
const PARENTS_MAX: u32 = 32;

/// How many runs led to `run`, each of which started the next by its end or by an event that it emitted; counted up to
/// `limit`. A run that was started by a run belongs to it. A job of a queue begins anew: a queue has bounds of its own.
pub fn generations(store: &dyn Store, run: RunId, limit: u32) -> Result<u32, StoreError> {
    let (mut count, mut run) = (0, run);
    for _ in 0..limit.saturating_mul(PARENTS_MAX) {
        if count >= limit {
            break;
        }
        let Some(row) = store.get(&keys::journal(run, 0))? else {
            break;
        };
        let entries = decode(&row.value).unwrap_or_default();
        let Some(Entry::Begun(begun)) = entries.into_iter().next() else {
            break;
        };
        run = match (begun.cause, begun.parent) {
            (Some(Cause::After { run: before } | Cause::Event { by: Some(before), .. }), _) => {
                count += 1;
                before
            }
            (None, Some(parent)) => parent.run,
            _ => break,
        };
    }
    Ok(count)
}
