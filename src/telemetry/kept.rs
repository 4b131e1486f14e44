//! What takes a walk through the store to know: runs that wait, queues. It is kept for a while that grows with the walk.
//!
//! *Invariant:* nobody who asks waits for a long walk, but the first: the thread that looks on takes it meanwhile, as long as
//! somebody goes on asking.

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

/// A walk that takes no longer than this is taken by whoever asks.
const QUICK: Duration = Duration::from_millis(3);

/// The part of the time that longer walks may take, behind the back of those who ask.
const BEHIND_PART: u32 = 50;

/// How long somebody counts as asking, and how old what is shown may be then.
const AGE_MAX: Duration = Duration::from_secs(90);

/// Queues that are shown, and rows of turns that are looked at.
pub const QUEUES_MAX: usize = 1_000;

const HOUR_MS: i64 = 3_600_000;

/// What was found; `None` for what could not be read.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub suspended: Option<u64>,
    pub in_doubt: Option<u64>,
    pub questions: Option<u64>,
    pub open_incidents: Option<u64>,
    pub queues: BTreeMap<String, Stats>,
    /// Runs that ended in each of the last 24 hours, the present one last: those that succeeded, and all others.
    pub hours: [[u64; 2]; 24],
    pub due: Option<Due>,
    /// Something that could not be read.
    pub failed: bool,
}

/// Since when the tick waits that is due longest, in Unix milliseconds; future, when none is due; `None`, when there is none.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    pub next_ms: Option<i64>,
}

#[derive(Default)]
pub(super) struct Keeper(Mutex<Option<Kept>>);

struct Kept {
    found: Found,
    realm: Realm,
    at: Duration,
    took: Duration,
    /// When somebody asked last.
    asked: Duration,
}

impl Keeper {
    /// What is found now, or was found a while ago.
    pub(super) fn found(&self, store: &dyn Store, realm: Realm, clock: &dyn Clock) -> Found {
        // Others wait for whoever walks, and find what that one found.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock.monotonic();
        if let Some(kept) = kept.as_mut().filter(|kept| kept.realm == realm) {
            let age = now.saturating_sub(kept.at);
            kept.asked = now;
            let is_behind = kept.took > QUICK && age < AGE_MAX.max(kept.took * BEHIND_PART * 2);
            if is_behind || age < kept.took * PART {
                return kept.found.clone();
            }
        }
        kept.insert(Kept::walk(store, realm, clock, now)).found.clone()
    }

    /// Takes the walk for those who asked lately and would have to wait long for it.
    pub(super) fn freshen(&self, store: &dyn Store, realm: Realm, clock: &dyn Clock) {
        let now = clock.monotonic();
        let asked = {
            let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let wants = |kept: &&Kept| {
                let is_old = now.saturating_sub(kept.at) >= kept.took * BEHIND_PART;
                kept.realm == realm && kept.took > QUICK && is_old && now.saturating_sub(kept.asked) < AGE_MAX
            };
            match kept.as_ref().filter(wants) {
                Some(kept) => kept.asked,
                None => return,
            }
        };
        let new = Kept::walk(store, realm, clock, asked);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(new);
    }
}

impl Kept {
    fn walk(store: &dyn Store, realm: Realm, clock: &dyn Clock, asked: Duration) -> Kept {
        let began = clock.monotonic();
        let found = walk(store, realm, clock.unix_ms());
        let at = clock.monotonic();
        Kept {
            found,
            realm,
            at,
            took: at.saturating_sub(began),
            asked,
        }
    }
}

fn walk(store: &dyn Store, realm: Realm, now_ms: i64) -> Found {
    let mut found = Found::default();
    let (mut suspended, mut in_doubt) = (0, 0);
    let seen = operation::each_run(store, i64::MIN, &mut |record| {
        match record.status {
            Status::Suspended => suspended += 1,
            Status::NeedsAttention => in_doubt += 1,
            _ => {}
        }
        if let Some(ended_ms) = record.ended_ms {
            let ago = (now_ms - ended_ms).div_euclid(HOUR_MS);
            if let Ok(ago @ 0..24) = usize::try_from(ago) {
                found.hours[23 - ago][usize::from(record.status != Status::Succeeded)] += 1;
            }
        }
    });
    match seen {
        Ok(_) => (found.suspended, found.in_doubt) = (Some(suspended), Some(in_doubt)),
        Err(_) => found.failed = true,
    }
    match question::open(store, operation::RUNS_MAX) {
        Ok(questions) => found.questions = Some(questions.len() as u64),
        Err(_) => found.failed = true,
    }
    match incident::list(store) {
        Ok(incidents) => {
            let open = incidents.iter().filter(|incident| incident.state == State::Open);
            found.open_incidents = Some(open.count() as u64);
        }
        Err(_) => found.failed = true,
    }
    match queues(store, realm, now_ms) {
        Ok(queues) => found.queues = queues,
        Err(_) => found.failed = true,
    }
    match operation::next_due(store) {
        Ok(next_ms) => found.due = Some(Due { next_ms }),
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::store::queue::{self, Wanted};
    use crate::store::test_ground::{ground, transact};
    use crate::value::Value;

    /// A clock that goes on by 10 ms whenever it is read, so that every walk takes that long.
    struct Slow(AtomicU64);

    impl Clock for Slow {
        fn unix_ms(&self) -> i64 {
            1_000_000
        }

        fn monotonic(&self) -> Duration {
            Duration::from_millis(self.0.fetch_add(10, Ordering::Relaxed))
        }

        fn sleep(&self, duration: Duration) {
            self.0.fetch_add(duration.as_millis() as u64, Ordering::Relaxed);
        }
    }

    #[test]
    fn nobody_but_the_first_waits_for_a_long_walk_and_it_is_taken_meanwhile() {
        let ground = ground(&[]);
        let push = || {
            let pushed = transact(&ground, 0, |tx| {
                queue::push(tx, "q", &Value::Int(1), &Wanted::default())
            });
            pushed.expect("there is room");
        };
        let clock = Slow(AtomicU64::new(0));
        let keeper = Keeper::default();
        let jobs = || keeper.found(&*ground.store, Realm::Live, &clock).queues["q"].ready;
        push();
        assert_eq!(jobs(), 1, "the first walks");
        push();
        clock.sleep(Duration::from_secs(15));
        assert_eq!(jobs(), 1, "what was found before");
        keeper.freshen(&*ground.store, Realm::Live, &clock);
        assert_eq!(jobs(), 2);
        push();
        clock.sleep(AGE_MAX);
        keeper.freshen(&*ground.store, Realm::Live, &clock);
        let kept = keeper
            .0
            .lock()
            .expect("no panic")
            .as_ref()
            .map(|kept| kept.found.queues["q"].ready);
        assert_eq!(kept, Some(2), "nobody asks any more");
        assert_eq!(jobs(), 3, "it is too old to be shown");
    }
}
