//! What takes a walk through the store to know: runs that wait, queues. It is kept for a while that grows with the walk.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::io::clock::Clock;
use crate::journal::incident::{self, State};
use crate::journal::{Status, question};
use crate::report::operation;
use crate::store::keys::{self, Place, QueueRow};
use crate::store::queue::Stats;
use crate::store::{Realm, Store, StoreError};

/// Whoever asks again pays for the walk with no more than this part of the time.
const PART: u32 = 20;

/// Queues that are shown, and rows of turns that are looked at.
pub const QUEUES_MAX: usize = 1_000;

const HOUR_MS: i64 = 3_600_000;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub suspended: u64,
    pub in_doubt: u64,
    pub questions: u64,
    pub open_incidents: u64,
    pub queues: BTreeMap<String, Stats>,
    /// Runs that ended in each of the last 24 hours, the present one last: those that succeeded, and all others.
    pub hours: [[u64; 2]; 24],
    /// Since when the tick waits that is due longest, in Unix milliseconds; future, when none is due.
    pub next_due_ms: Option<i64>,
    /// Something that could not be read.
    pub failed: bool,
}

#[derive(Default)]
pub(super) struct Keeper(Mutex<Option<Kept>>);

struct Kept {
    found: Found,
    realm: Realm,
    at: Duration,
    took: Duration,
}

impl Keeper {
    /// What is found now, or was found a moment ago.
    pub(super) fn found(&self, store: &dyn Store, realm: Realm, clock: &dyn Clock) -> Found {
        // Others wait for whoever walks, and find what that one found.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock.monotonic();
        if let Some(kept) = kept.as_ref()
            && kept.realm == realm
            && now.saturating_sub(kept.at) < kept.took * PART
        {
            return kept.found.clone();
        }
        let found = walk(store, realm, clock.unix_ms());
        let at = clock.monotonic();
        let took = at.saturating_sub(now);
        *kept = Some(Kept {
            found: found.clone(),
            realm,
            at,
            took,
        });
        found
    }
}

fn walk(store: &dyn Store, realm: Realm, now_ms: i64) -> Found {
    let mut found = Found::default();
    let seen = operation::each_run(store, i64::MIN, &mut |record| {
        match record.status {
            Status::Suspended => found.suspended += 1,
            Status::NeedsAttention => found.in_doubt += 1,
            _ => {}
        }
        if let Some(ended_ms) = record.ended_ms {
            let ago = (now_ms - ended_ms).div_euclid(HOUR_MS);
            if let Ok(ago @ 0..24) = usize::try_from(ago) {
                found.hours[23 - ago][usize::from(record.status != Status::Succeeded)] += 1;
            }
        }
    });
    found.failed |= seen.is_err();
    match question::open(store, operation::RUNS_MAX) {
        Ok(questions) => found.questions = questions.len() as u64,
        Err(_) => found.failed = true,
    }
    match incident::list(store) {
        Ok(incidents) => {
            let open = incidents.iter().filter(|incident| incident.state == State::Open);
            found.open_incidents = open.count() as u64;
        }
        Err(_) => found.failed = true,
    }
    match queues(store, realm, now_ms) {
        Ok(queues) => found.queues = queues,
        Err(_) => found.failed = true,
    }
    match operation::next_due(store) {
        Ok(due_ms) => found.next_due_ms = due_ms,
        Err(_) => found.failed = true,
    }
    found
}

/// The jobs of each queue of `realm`, counted in one walk over their rows.
fn queues(store: &dyn Store, realm: Realm, now_ms: i64) -> Result<BTreeMap<String, Stats>, StoreError> {
    let now_ms = u64::try_from(now_ms).unwrap_or(0);
    let mut queues: BTreeMap<String, Stats> = BTreeMap::new();
    let heads = store.scan(keys::queue_heads(realm), QUEUES_MAX, false)?;
    for (key, _) in heads {
        if let Some(Place::Queue { queue, .. }) = keys::parse(&key) {
            queues.insert(queue, Stats::default());
        }
    }
    for (queue, stats) in &mut queues {
        let ranges = [
            keys::queue_turns(realm, queue, None),
            keys::queue_held(realm, queue),
            keys::queue_dead(realm, queue),
        ];
        for range in ranges {
            store.visit(range, &mut |key, _, _| {
                match keys::parse(key) {
                    Some(Place::Queue {
                        row: QueueRow::Due { due_ms, .. },
                        ..
                    }) if due_ms <= now_ms => {
                        stats.ready += 1;
                        stats.waits_ms = stats.waits_ms.max(now_ms - due_ms);
                    }
                    Some(Place::Queue {
                        row: QueueRow::Due { .. },
                        ..
                    }) => stats.later += 1,
                    Some(Place::Queue {
                        row: QueueRow::Held(_), ..
                    }) => stats.held += 1,
                    Some(Place::Queue {
                        row: QueueRow::Dead { .. },
                        ..
                    }) => stats.dead += 1,
                    _ => {}
                }
                ControlFlow::Continue(())
            })?;
        }
    }
    Ok(queues)
}
