//! What is in a queue.

use std::ops::Bound;

use super::job::State;
use super::push::now;
use super::take::{Taken, shown};
use super::{check_queue, job, refused};
use crate::store::keys::{self, Place, QueueRow};
use crate::store::large::damaged;
use crate::store::{KeyRange, StoreError, Tx};

/// The most jobs that are listed.
pub const LIST_MAX: usize = 1000;

/// The most queues that are named.
pub const NAMES_MAX: usize = 10_000;

/// How many turns are looked at to list jobs of one state.
const LOOKED_AT_MAX: usize = 100_000;

/// How many jobs are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub ready: u64,
    /// Delayed or leased: their turn comes later.
    pub later: u64,
    /// In the hands of runs.
    pub held: u64,
    pub dead: u64,
    /// How long the job has been due that has been due longest.
    pub waits_ms: u64,
}

/// Counts the jobs of `queue`.
pub fn stats(tx: &mut Tx<'_>, queue: &str) -> Result<Stats, StoreError> {
    check_queue(queue)?;
    let now_ms = now(tx);
    let mut stats = Stats {
        held: count(tx, keys::queue_held(tx.realm, queue))?,
        dead: count(tx, keys::queue_dead(tx.realm, queue))?,
        ..Stats::default()
    };
    let range = keys::queue_turns(tx.realm, queue, None);
    tx.visit(range, &mut |key, _, _| {
        if let Some(Place::Queue {
            row: QueueRow::Due { due_ms, .. },
            ..
        }) = keys::parse(key)
        {
            if due_ms <= now_ms {
                stats.ready += 1;
                stats.waits_ms = stats.waits_ms.max(now_ms - due_ms);
            } else {
                stats.later += 1;
            }
        }
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(stats)
}

fn count(tx: &mut Tx<'_>, range: KeyRange) -> Result<u64, StoreError> {
    let mut rows = 0;
    tx.visit(range, &mut |_, _, _| {
        rows += 1;
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(rows)
}

/// The first jobs of `queue`, of one state alone if there is one: first those that runs hold, then the others in the order
/// of their turns, dead ones last.
pub fn list(tx: &mut Tx<'_>, queue: &str, state: Option<State>, limit: usize) -> Result<Vec<Taken>, StoreError> {
    Ok(page(tx, queue, state, None, limit, LOOKED_AT_MAX)?.jobs)
}

/// A part of the list of a queue's jobs.
#[derive(Debug, Default)]
pub struct Page {
    pub jobs: Vec<Taken>,
    /// The row behind which the list goes on; `None`: this is its end.
    pub next: Option<QueueRow>,
}

/// Jobs as [`list`] gives them, those behind the row `after`. However long the queue is, at most `looked_at_max` rows are
/// looked at: there may be few jobs, or none, and yet more of them further on.
pub fn page(
    tx: &mut Tx<'_>,
    queue: &str,
    state: Option<State>,
    after: Option<&QueueRow>,
    limit: usize,
    looked_at_max: usize,
) -> Result<Page, StoreError> {
    check_queue(queue)?;
    if !(1..=LIST_MAX).contains(&limit) {
        return Err(refused(format!("the limit is {limit}; 1 to {LIST_MAX} are allowed")));
    }
    let now_ms = now(tx);
    let begins = after.map_or(Some(0), part_of);
    let begins = begins.ok_or_else(|| refused("the list of jobs does not go on there".to_owned()))?;
    let parts = [
        (
            keys::queue_held(tx.realm, queue),
            state.is_none_or(|state| state == State::Held),
        ),
        (
            keys::queue_turns(tx.realm, queue, None),
            !matches!(state, Some(State::Dead | State::Held)),
        ),
        (
            keys::queue_dead(tx.realm, queue),
            state.is_none_or(|state| state == State::Dead),
        ),
    ];
    let mut found = Page::default();
    let (mut last, mut looked_at) = (None, 0);
    for (part, (mut range, is_wanted)) in parts.into_iter().enumerate() {
        if part < begins || !is_wanted {
            continue;
        }
        if let Some(after) = after.filter(|_| part == begins) {
            range.0 = Bound::Excluded(keys::queue(tx.realm, queue, after));
        }
        // One more than fits tells whether there is more.
        let at_most = match state {
            Some(_) => looked_at_max - looked_at + 1,
            None => limit - found.jobs.len() + 1,
        };
        for (row, number) in rows(tx, range, at_most)? {
            if found.jobs.len() == limit || looked_at == looked_at_max {
                found.next = last;
                return Ok(found);
            }
            looked_at += 1;
            last = Some(row);
            // It may have gone since its turn was read.
            if let Some((job, _)) = job(tx, queue, number)?
                && state.is_none_or(|state| job.state(now_ms) == state)
            {
                found.jobs.push(shown(tx, queue, number, job)?);
            }
        }
    }
    Ok(found)
}

/// Which part of the list a row belongs to.
fn part_of(row: &QueueRow) -> Option<usize> {
    match row {
        QueueRow::Held(_) => Some(0),
        QueueRow::Due { .. } => Some(1),
        QueueRow::Dead { .. } => Some(2),
        _ => None,
    }
}

/// The first rows of `range`, each with the job that it is about.
fn rows(tx: &mut Tx<'_>, range: KeyRange, at_most: usize) -> Result<Vec<(QueueRow, u64)>, StoreError> {
    let mut rows = Vec::new();
    tx.visit(range, &mut |key, _, _| {
        rows.push(match keys::parse(key) {
            Some(Place::Queue { row, .. }) => match row {
                QueueRow::Due { job, .. } | QueueRow::Dead { job, .. } | QueueRow::Held(job) => Ok((row, job)),
                _ => Err(damaged(keys::describe(key), "its key is unknown")),
            },
            _ => Err(damaged(keys::describe(key), "its key is unknown")),
        });
        match rows.len() < at_most {
            true => std::ops::ControlFlow::Continue(()),
            false => std::ops::ControlFlow::Break(()),
        }
    })?;
    rows.into_iter().collect()
}

/// Whether `queue` has ever held a job. What cannot be the name of a queue has not.
pub fn is_known(tx: &mut Tx<'_>, queue: &str) -> Result<bool, StoreError> {
    match check_queue(queue) {
        Ok(()) => Ok(tx.get(&keys::queue(tx.realm, queue, &QueueRow::Head))?.is_some()),
        Err(_) => Ok(false),
    }
}

/// The names of all queues that have ever held a job, in order.
pub fn names(tx: &mut Tx<'_>) -> Result<Vec<String>, StoreError> {
    let rows = tx.scan(keys::queue_heads(tx.realm), NAMES_MAX, false)?;
    let name = |key: &[u8]| match keys::parse(key) {
        Some(Place::Queue { queue, .. }) => Ok(queue),
        _ => Err(damaged(keys::describe(key), "its key is unknown")),
    };
    rows.iter().map(|(key, _)| name(key)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Wanted, hold, push};
    use super::*;
    use crate::id::RunId;
    use crate::store::Realm;
    use crate::store::test_ground::{ground, transact};
    use crate::store::tx::Ground;
    use crate::value::Value;

    /// Longer than any list that is given at once.
    const JOBS: u64 = 2_300;

    /// Jobs that are due at one moment, of three priorities, the first of them in the hands of a run, some of them dead.
    fn filled() -> Ground {
        let ground = ground(&[]);
        for n in 0..JOBS {
            let wanted = Wanted {
                priority: (n % 3) as u8,
                delay_ms: if n % 7 == 6 { 1000 } else { 0 },
                ..Wanted::default()
            };
            transact(&ground, 0, |tx| push(tx, "q", &Value::from(n as i64), &wanted)).expect("there is room");
        }
        transact(&ground, 0, |tx| push(tx, "r", &Value::Unit, &Wanted::default())).expect("there is room");
        transact(&ground, 0, |tx| {
            for (at, due) in hold::due(tx, "q", 120)?.iter().enumerate() {
                match at {
                    0..20 => hold::give(tx, "q", due, RunId::new(0, at as u128)),
                    _ => hold::bury(tx, "q", due, "nobody wants it"),
                }
            }
            Ok(())
        })
        .expect("it is written");
        ground
    }

    /// What all pages together hold, and how many they were.
    fn pages(ground: &Ground, state: Option<State>, limit: usize, looked_at_max: usize) -> (Vec<u64>, usize) {
        let (mut numbers, mut after, mut count) = (Vec::new(), None, 0);
        loop {
            let mut tx = Tx::new(ground, Realm::Live, 0);
            let found = page(&mut tx, "q", state, after.as_ref(), limit, looked_at_max).expect("a page");
            assert!(found.jobs.len() <= limit);
            numbers.extend(found.jobs.iter().map(|job| job.number));
            count += 1;
            match found.next {
                Some(next) => after = Some(next),
                None => return (numbers, count),
            }
        }
    }

    #[test]
    fn pages_of_jobs_hold_each_once_however_many_and_however_alike_they_are() {
        let ground = filled();
        let (all, _) = pages(&ground, None, 97, 1_000_000);
        let mut sorted = all.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!((all.len() as u64, sorted.len() as u64), (JOBS, JOBS));
        let first = |state, limit| {
            let found = list(&mut Tx::new(&ground, Realm::Live, 0), "q", state, limit).expect("a list");
            found.into_iter().map(|job| job.number).collect::<Vec<_>>()
        };
        assert_eq!(all[..1000], first(None, 1000), "in the same order");
        for (limit, state) in [
            (1, State::Held),
            (7, State::Dead),
            (100, State::Delayed),
            (200, State::Ready),
        ] {
            let (some, count) = pages(&ground, Some(state), limit, 1_000_000);
            assert_eq!(some[..some.len().min(1000)], first(Some(state), 1000), "{state:?}");
            assert_eq!(
                count,
                some.len().div_ceil(limit),
                "no empty page at the end of {state:?}"
            );
        }
        let (few, count) = pages(&ground, Some(State::Delayed), 50, 30);
        assert_eq!(few, pages(&ground, Some(State::Delayed), 50, 1_000_000).0);
        assert!(count > 60, "of few rows each: {count}");
    }

    #[test]
    fn a_list_goes_on_nowhere_but_in_itself() {
        let ground = filled();
        let from = |row: QueueRow| page(&mut Tx::new(&ground, Realm::Live, 0), "q", None, Some(&row), 10, 10);
        assert_eq!(
            from(QueueRow::Job(1)).expect_err("no row of the list").code(),
            "QUEUE_INVALID"
        );
        let end = QueueRow::Dead {
            died_ms: u64::MAX,
            job: u64::MAX,
        };
        assert!(from(end).expect("a page").jobs.is_empty());
    }
}
