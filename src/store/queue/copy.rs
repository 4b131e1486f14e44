//! A queue carried over to another realm.
//!
//! A copy of a job has never been tried: whoever works on the original has nothing to do with it. So it is in nobody's
//! hands and may be taken at once; one that was to wait still waits, and a dead one stays dead. Keys that are only
//! remembered, of jobs that are done, stay behind.

use super::job::Job;
use super::push::{hold, now};
use super::{check_queue, job, put_job, tally};
use crate::store::keys::{self, Place, QueueRow};
use crate::store::large::{content_of, damaged};
use crate::store::{StoreError, Tx};

/// How far a copy has come.
#[derive(Debug, Default)]
pub struct Copying {
    after: Option<u64>,
    jobs: u64,
    parts: u32,
}

/// What one part puts into the store, about.
const PART_BYTES: usize = 24 << 20;

impl Copying {
    /// Whether one part was made, or none: then nothing is left of a copy whose commit was refused.
    pub fn is_first(&self) -> bool {
        self.parts <= 1
    }

    /// How many jobs were copied.
    pub fn jobs(&self) -> u64 {
        self.jobs
    }
}

/// Whether `queue` has ever held a job in the realm of `tx`.
pub fn is_known(tx: &mut Tx<'_>, queue: &str) -> Result<bool, StoreError> {
    check_queue(queue)?;
    tally::is_known(tx, queue)
}

/// Copies up to `most` jobs of `queue`, and no more than one commit carries well, from the realm of `from` to that of `to`, in which the queue must not be known;
/// returns whether all are copied. Until then the queue is not known there, so that a copy that breaks off is begun anew.
pub fn copy_some(
    from: &mut Tx<'_>,
    to: &mut Tx<'_>,
    queue: &str,
    most: usize,
    copying: &mut Copying,
) -> Result<bool, StoreError> {
    check_queue(queue)?;
    copying.parts += 1;
    let rows = from.scan(keys::queue_jobs(from.realm, queue, copying.after), most, false)?;
    let mut bytes = 0;
    for (key, row) in &rows {
        if bytes > PART_BYTES {
            return Ok(false);
        }
        bytes += key.len() + row.value.len();
        let Some(Place::Queue {
            row: QueueRow::Job(number),
            ..
        }) = keys::parse(key)
        else {
            return Err(damaged(keys::describe(key), "its key is unknown"));
        };
        copying.after = Some(number);
        let Some((original, _)) = job(from, queue, number)? else {
            continue;
        };
        let left_over = job(to, queue, number)?.map(|(job, _)| job);
        let copy = original.copied(now(from));
        copying.jobs += 1;
        to.batch.contents.extend(content_of(&copy.payload));
        put_job(to, queue, number, left_over.as_ref(), Some(&copy));
        if let Some(key) = &copy.key {
            hold(to, queue, key, number, None);
        }
    }
    if rows.len() == most {
        return Ok(false);
    }
    tally::carry_over(from, to, queue, copying.jobs)?;
    Ok(true)
}

impl Job {
    /// As it is copied at `now_ms`.
    fn copied(&self, now_ms: u64) -> Job {
        let due_ms = match self.leased || self.held {
            true => now_ms,
            false => self.due_ms,
        };
        Job {
            leased: false,
            held: false,
            run: None,
            runs: 0,
            attempts: 0,
            due_ms,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Wanted, done, list, names, push, stats, take};
    use super::*;
    use crate::store::test_ground::ground;
    use crate::store::tx::Ground;
    use crate::store::{Durability, Realm};
    use crate::value::Value;

    fn in_realm<T>(
        ground: &Ground,
        realm: Realm,
        now_ms: i64,
        work: impl Fn(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> T {
        let mut tx = Tx::new(ground, realm, now_ms);
        let result = work(&mut tx).expect("it is done");
        ground.store.commit(tx.batch, Durability::Soon).expect("committed");
        result
    }

    fn copy(ground: &Ground, queue: &str, now_ms: i64, most: usize) -> u64 {
        let mut copying = Copying::default();
        loop {
            let mut from = Tx::new(ground, Realm::Dry, now_ms);
            let mut to = Tx::new(ground, Realm::Live, now_ms);
            let is_done = copy_some(&mut from, &mut to, queue, most, &mut copying).expect("it is copied");
            assert!(from.batch.is_empty(), "the original is only read");
            ground.store.commit(to.batch, Durability::Soon).expect("committed");
            if is_done {
                return copying.jobs();
            }
        }
    }

    #[test]
    fn a_job_in_somebodys_hands_is_copied_as_one_that_nobody_has_taken() {
        let ground = ground(&[]);
        let wanted = |key: &str, delay_ms| Wanted {
            key: (!key.is_empty()).then(|| key.to_owned()),
            delay_ms,
            remember_ms: 1_000_000,
            attempts_max: 2,
            ..Wanted::default()
        };
        for (number, (key, delay_ms)) in [("taken", 0), ("", 50_000), ("done", 0), ("free", 0)]
            .iter()
            .enumerate()
        {
            let payload = Value::from(number as i64);
            in_realm(&ground, Realm::Dry, 0, |tx| {
                push(tx, "work", &payload, &wanted(key, *delay_ms))
            });
        }
        in_realm(&ground, Realm::Dry, 1, |tx| take(tx, "work", 60_000));
        in_realm(&ground, Realm::Dry, 1, |tx| take(tx, "work", 60_000));
        in_realm(&ground, Realm::Dry, 2, |tx| done(tx, "work", 2, 1));
        for most in [1, 100] {
            // One at a time, and over what a copy left that broke off.
            in_realm(&ground, Realm::Live, 2, |tx| {
                tx.batch.delete(keys::queue(tx.realm, "work", &QueueRow::Head));
                Ok(())
            });
            assert_eq!(copy(&ground, "work", 10, most), 3);
        }
        let jobs = in_realm(&ground, Realm::Live, 10, |tx| list(tx, "work", None, 10));
        let told: Vec<_> = jobs
            .iter()
            .map(|taken| (taken.number, taken.job.leased, taken.job.attempts, taken.job.due_ms))
            .collect();
        assert_eq!(told, [(3, false, 0, 0), (0, false, 0, 10), (1, false, 0, 50_000)]);
        let counted = in_realm(&ground, Realm::Live, 10, |tx| stats(tx, "work"));
        assert_eq!((counted.ready, counted.later, counted.dead), (2, 1, 0));
        // The original is still in the hands of its taker, and its taker can end it.
        in_realm(&ground, Realm::Dry, 11, |tx| done(tx, "work", 0, 1));
        // Keys are held by the copies, and what is only remembered stayed behind.
        let again = |key: &'static str| {
            in_realm(&ground, Realm::Live, 12, |tx| {
                push(tx, "work", &Value::Unit, &wanted(key, 0))
            })
        };
        assert!(!again("taken").is_new);
        assert!(again("done").is_new);
        assert_eq!(again("other").job, 5, "numbers go on where the original's did");
        assert_eq!(in_realm(&ground, Realm::Live, 12, names), ["work"]);
        assert!(in_realm(&ground, Realm::Live, 12, |tx| is_known(tx, "work")));
    }
}
