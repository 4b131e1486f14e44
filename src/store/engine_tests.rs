//! What the engine promises while commits go to the disk: order, group commit, power cuts, full disks.
#![expect(clippy::disallowed_methods, reason = "tests damage and measure files")]

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::engine::{Engine, EngineOptions};
use super::test_disk::TestDisk;
use super::{Batch, CommitNo, Durability, Precondition, Row, Store, StoreError};

pub(super) const OPTIONS: EngineOptions = EngineOptions { cache_bytes: 1 << 20 };

pub(super) type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

pub(super) fn put(key: &str, value: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(key.into(), value.into());
    batch
}

pub(super) fn open_disk(disk: &TestDisk) -> Engine {
    Engine::with_backend(disk.clone(), OPTIONS).unwrap()
}

pub(super) fn all_rows(store: &dyn Store) -> Result<Rows, StoreError> {
    let rows = store.scan((Bound::Unbounded, Bound::Unbounded), usize::MAX, false)?;
    Ok(rows.into_iter().map(|(key, row)| (key, row.value)).collect())
}

/// Batch number `n` of a history in which every later batch covers some of the earlier ones.
pub(super) fn nth_batch(n: u64) -> Batch {
    let mut batch = put("n", &n.to_string());
    batch.put(format!("key {}", n % 5).into(), vec![n as u8; 300 * (n as usize % 7)]);
    batch.delete(format!("key {}", (n + 2) % 5).into());
    batch
}

/// The rows after batches 1 to `n`.
pub(super) fn nth_state(n: u64) -> Rows {
    let mut rows = Rows::new();
    for batch in (1..=n).map(nth_batch) {
        for key in batch.deletes {
            rows.remove(&key);
        }
        rows.extend(batch.puts);
    }
    rows
}

/// How many batches of the history the store holds; fails unless these are its beginning, whole.
pub(super) fn batches_held(store: &dyn Store) -> u64 {
    let rows = all_rows(store).unwrap();
    let n = rows
        .get(b"n".as_slice())
        .map_or(0, |n| std::str::from_utf8(n).unwrap().parse().unwrap());
    assert_eq!(rows, nth_state(n), "the store holds no beginning of the history");
    n
}

#[test]
fn commits_of_many_threads_share_syncs_and_each_is_numbered_once() {
    let engine = open_disk(&TestDisk::with_slow_sync(Duration::from_millis(1)));
    let numbers: Vec<CommitNo> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let engine = &engine;
                scope.spawn(move || {
                    let commit = |n| {
                        engine
                            .commit(put(&format!("{thread}/{n}"), ""), Durability::Now)
                            .unwrap()
                    };
                    let numbers: Vec<_> = (0..20).map(commit).collect();
                    assert!(numbers.is_sorted());
                    numbers
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let stats = engine.stats();
    assert_eq!(stats.batches, 160);
    assert!(
        stats.durable_commits < 160,
        "{} syncs for 160 commits",
        stats.durable_commits
    );
    let mut sorted = numbers;
    sorted.sort();
    assert_eq!(sorted, (1..=160).map(CommitNo).collect::<Vec<_>>());
    assert_eq!(all_rows(&engine).unwrap().len(), 160);
}

#[test]
fn a_history_of_many_threads_that_wait_and_do_not_reaches_the_disk_in_order() {
    let disk = TestDisk::with_slow_sync(Duration::from_micros(100));
    let engine = open_disk(&disk);
    let sum_in =
        |row: Option<&Row>| -> u64 { row.map_or(0, |row| String::from_utf8_lossy(&row.value).parse().unwrap()) };
    let sum_of = |engine: &Engine| sum_in(engine.get(b"sum").unwrap().as_ref());
    let acknowledged = AtomicU64::new(0);
    let (engine, acknowledged) = (&engine, &acknowledged);
    std::thread::scope(|scope| {
        for thread in 0..6 {
            scope.spawn(move || {
                for n in 0..150 {
                    let durability = if (thread + n) % 3 == 0 {
                        Durability::Now
                    } else {
                        Durability::Soon
                    };
                    let sum = loop {
                        let row = engine.get(b"sum").unwrap();
                        let sum = sum_in(row.as_ref()) + 1;
                        let mut batch = put("sum", &sum.to_string());
                        batch.put(format!("at {sum}").into(), vec![]);
                        batch.require(
                            "sum".into(),
                            row.map_or(Precondition::Absent, |row| Precondition::At(row.version)),
                        );
                        match engine.commit(batch, durability) {
                            Ok(_) => break sum,
                            Err(error) => assert_eq!(error.code(), "STORE_CONFLICT"),
                        }
                    };
                    if durability == Durability::Now {
                        acknowledged.fetch_max(sum, Ordering::SeqCst);
                    }
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..40 {
                let at_least = acknowledged.load(Ordering::SeqCst);
                let cut = open_disk(&disk.after_power_cut(|| false));
                let sum = sum_of(&cut);
                assert!(sum >= at_least, "{sum} of {at_least} acknowledged");
                assert_eq!(all_rows(&cut).unwrap().len() as u64, sum + u64::from(sum > 0));
            }
        });
    });
    assert_eq!(sum_of(engine), 900);
}

#[test]
fn one_who_takes_his_commit_to_a_failing_disk_himself_tells_everybody() {
    let disk = TestDisk::default();
    let engine = open_disk(&disk);
    disk.hold();
    std::thread::scope(|scope| {
        let alone = scope.spawn(|| engine.commit(nth_batch(1), Durability::Now));
        disk.wait_for_sync();
        engine.commit(nth_batch(2), Durability::Soon).unwrap();
        let behind = [
            scope.spawn(|| engine.commit(nth_batch(3), Durability::Now).map(drop)),
            scope.spawn(|| engine.wait_durable(CommitNo(2))),
        ];
        while engine.stats().batches < 3 {
            std::thread::yield_now();
        }
        disk.fill();
        disk.release();
        assert_eq!(alone.join().unwrap().unwrap_err().code(), "STORE_FULL");
        for outcome in behind.map(|thread| thread.join().unwrap()) {
            assert_eq!(outcome.unwrap_err().code(), "STORE_FULL");
        }
    });
    assert_eq!(batches_held(&engine), 3, "what was seen stays visible");
    for durability in [Durability::Now, Durability::Soon] {
        assert_eq!(
            engine.commit(nth_batch(4), durability).unwrap_err().code(),
            "STORE_FULL"
        );
    }
    assert_eq!(engine.close().unwrap_err().code(), "STORE_FULL");
}

#[test]
fn readers_see_each_commit_whole_and_never_step_back() {
    let engine = open_disk(&TestDisk::with_slow_sync(Duration::from_micros(50)));
    // Each commit makes a row and deletes another, so that a scan that mixes two moments shows it.
    let nth_commit = |n: u64| {
        let mut batch = put("a", &n.to_string());
        batch.put(format!("row {}", n % 1000).into(), n.to_string().into());
        batch.delete(format!("row {}", (n + 500) % 1000).into());
        engine.commit(batch, Durability::Soon).unwrap();
    };
    let nth_state = |n: u64| -> Rows {
        let rows = (n - 499..=n).map(|n| (format!("row {}", n % 1000).into_bytes(), n.to_string().into_bytes()));
        rows.chain([(b"a".to_vec(), n.to_string().into_bytes())]).collect()
    };
    (1..=500).for_each(nth_commit);
    let reading = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in (501..).take_while(|_| reading.load(Ordering::Relaxed)) {
                nth_commit(n);
                // Else every generation touches every row, and no answer needs the file.
                std::thread::sleep(Duration::from_micros(20));
            }
        });
        scope.spawn(|| {
            while reading.load(Ordering::Relaxed) {
                engine.wait_durable(CommitNo(u64::MAX)).unwrap();
            }
        });
        let mut seen = 0;
        let mut read = |reverse| {
            let rows = engine.scan((Bound::Unbounded, Bound::Unbounded), 501, reverse).unwrap();
            let rows: Rows = rows.into_iter().map(|(key, row)| (key, row.value)).collect();
            let number = |value: &[u8]| -> u64 { std::str::from_utf8(value).unwrap().parse().unwrap() };
            let n = number(&rows[b"a".as_slice()]);
            let later = number(&engine.get(b"a").unwrap().unwrap().value);
            let rises = seen <= n && n <= later;
            seen = later;
            rises && rows == nth_state(n)
        };
        let all_right = (0..200).all(|n| read(n % 2 == 0));
        reading.store(false, Ordering::Relaxed);
        assert!(
            all_right,
            "a read mixed two moments, or was of an earlier one than the read before"
        );
    });
}

#[test]
fn commits_go_on_and_are_seen_while_earlier_ones_are_on_their_way_to_the_disk() {
    let disk = TestDisk::default();
    let engine = open_disk(&disk);
    disk.hold();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| engine.commit(nth_batch(1), Durability::Now));
        disk.wait_for_sync();
        for n in 2..=9 {
            engine.commit(nth_batch(n), Durability::Soon).unwrap();
            assert_eq!(batches_held(&engine), n);
        }
        disk.release();
        assert_eq!(first.join().unwrap(), Ok(CommitNo(1)));
    });
    assert_eq!(batches_held(&engine), 9);
}

#[test]
fn a_deletion_is_unsettled_where_it_was_made_until_it_is_on_disk() {
    let disk = TestDisk::default();
    let engine = open_disk(&disk);
    for key in ["a", "b", "c"] {
        engine.commit(put(key, "1"), Durability::Now).unwrap();
    }
    let unsettled = |low: &str, high: &str| {
        let (low, high) = (low.as_bytes(), high.as_bytes());
        engine.unsettled((Bound::Included(low), Bound::Included(high)))
    };
    let delete = |key: &str| {
        let mut batch = Batch::new();
        batch.delete(key.into());
        batch
    };
    let none = CommitNo::default();
    assert_eq!(unsettled("a", "z"), none);
    disk.hold();
    std::thread::scope(|scope| {
        let deleted = engine.commit(delete("b"), Durability::Soon).unwrap();
        assert_eq!([unsettled("b", "b"), unsettled("a", "z")], [deleted; 2]);
        assert_eq!(
            [unsettled("a", "a"), unsettled("c", "z"), unsettled("z", "a")],
            [none; 3]
        );
        engine.commit(put("b", "2"), Durability::Soon).unwrap();
        assert_eq!(unsettled("b", "b"), none, "there is a row again, which says it all");
        let last = scope.spawn(|| engine.commit(delete("c"), Durability::Now).unwrap());
        disk.wait_for_sync();
        while engine.stats().batches < 6 {
            std::thread::yield_now();
        }
        assert!(unsettled("c", "c") > deleted, "also while it is on its way");
        disk.release();
        last.join().unwrap();
    });
    assert_eq!(unsettled("a", "z"), none);
}

#[test]
fn whoever_waits_is_told_when_the_disk_fills_up_also_behind_others() {
    let disk = TestDisk::default();
    let engine = open_disk(&disk);
    disk.hold();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| engine.commit(nth_batch(1), Durability::Now));
        disk.wait_for_sync();
        let second = scope.spawn(|| engine.commit(nth_batch(2), Durability::Now));
        while engine.stats().batches < 2 {
            std::thread::yield_now();
        }
        disk.fill();
        disk.release();
        for outcome in [first, second].map(|thread| thread.join().unwrap()) {
            assert_eq!(outcome.unwrap_err().code(), "STORE_FULL");
        }
    });
    assert_eq!(
        engine.commit(nth_batch(3), Durability::Soon).unwrap_err().code(),
        "STORE_FULL"
    );
}

#[test]
fn what_waits_for_a_slow_disk_is_bounded() {
    let disk = TestDisk::default();
    let engine = open_disk(&disk);
    disk.hold();
    let large = |n: u64| {
        let mut batch = Batch::new();
        batch.put(format!("{n}").into(), vec![0; 12 << 20]);
        batch
    };
    let engine = &engine;
    std::thread::scope(|scope| {
        let first = scope.spawn(|| engine.commit(large(0), Durability::Now));
        disk.wait_for_sync();
        let others = scope.spawn(|| (1..=4).try_for_each(|n| engine.commit(large(n), Durability::Soon).map(drop)));
        while engine.stats().batches < 4 {
            std::thread::yield_now();
        }
        // More would be taken within a millisecond, were there no limit.
        std::thread::sleep(Duration::from_millis(100));
        let taken = engine.stats().batches;
        disk.release();
        assert_eq!(taken, 4, "three are 36 MiB, on top of the one on its way");
        others.join().unwrap().unwrap();
        first.join().unwrap().unwrap();
    });
    assert_eq!(engine.stats().batches, 5);
}

#[test]
fn of_racing_increments_none_is_lost() {
    let engine = open_disk(&TestDisk::default());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut done = 0;
                while done < 50 {
                    let row = engine.get(b"sum").unwrap();
                    let sum: u64 = row
                        .as_ref()
                        .map_or(0, |row| String::from_utf8_lossy(&row.value).parse().unwrap());
                    let mut batch = put("sum", &(sum + 1).to_string());
                    let seen = row.map_or(Precondition::Absent, |row| Precondition::At(row.version));
                    batch.require(b"sum".to_vec(), seen);
                    match engine.commit(batch, Durability::Soon) {
                        Ok(_) => done += 1,
                        Err(error) => assert_eq!(error, StoreError::Conflict { key: b"sum".to_vec() }),
                    }
                }
            });
        }
    });
    assert_eq!(engine.get(b"sum").unwrap().unwrap().value, b"200");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn after_a_power_cut_the_history_is_whole_up_to_the_last_now_at_least(
        history in proptest::collection::vec(prop_oneof![4 => Just(Durability::Soon), 1 => Just(Durability::Now)], 1..40),
        seed: u64,
    ) {
        let disk = TestDisk::default();
        let engine = open_disk(&disk);
        let mut acknowledged = 0;
        for (n, durability) in (1..).zip(&history) {
            engine.commit(nth_batch(n), *durability).unwrap();
            if *durability == Durability::Now {
                acknowledged = n;
            }
        }
        let mut chance = StdRng::seed_from_u64(seed);
        let kept = chance.random_range(0.0..=1.0);
        let cut = disk.after_power_cut(|| chance.random_bool(kept));
        let held = batches_held(&open_disk(&cut));
        prop_assert!(acknowledged <= held && held <= history.len() as u64);
    }
}

#[test]
fn soon_is_lost_when_nothing_was_synced_and_kept_once_it_is_waited_for() {
    let disk = TestDisk::default();
    let engine = open_disk(&disk);
    engine.commit(nth_batch(1), Durability::Now).unwrap();
    let soon = engine.commit(nth_batch(2), Durability::Soon).unwrap();
    let cut = disk.after_power_cut(|| false);
    engine.wait_durable(soon).unwrap();
    assert_eq!(batches_held(&open_disk(&disk.after_power_cut(|| false))), 2);
    assert_eq!(batches_held(&open_disk(&cut)), 1);

    let syncs = disk.operations();
    engine.wait_durable(soon).unwrap();
    assert_eq!(disk.operations(), syncs, "what is durable already is not synced again");
}

#[test]
fn soon_is_synced_by_itself_and_by_a_close() {
    let disk = TestDisk::default();
    let engine = open_disk(&disk);
    engine.commit(nth_batch(1), Durability::Soon).unwrap();
    let is_synced = || {
        std::thread::sleep(Duration::from_millis(5));
        engine.stats().durable_commits == 1
    };
    assert!((0..400).any(|_| is_synced()), "not even after two seconds");
    assert_eq!(batches_held(&open_disk(&disk.after_power_cut(|| false))), 1);
    engine.commit(nth_batch(2), Durability::Soon).unwrap();
    engine.close().unwrap();
    assert_eq!(batches_held(&open_disk(&disk.after_power_cut(|| false))), 2);
}

#[test]
fn a_close_that_could_not_keep_everything_says_so() {
    let disk = TestDisk::default();
    let engine = open_disk(&disk);
    engine.commit(nth_batch(1), Durability::Soon).unwrap();
    disk.fill();
    assert_eq!(engine.close().unwrap_err().code(), "STORE_FULL");
}

#[test]
fn numbers_go_on_rising_after_a_reopening() {
    let disk = TestDisk::default();
    let engine = open_disk(&disk);
    let before = engine.commit(nth_batch(1), Durability::Soon).unwrap();
    drop(engine);
    let engine = open_disk(&disk.after_kill());
    assert_eq!(engine.stats().last_commit, before);
    assert!(engine.commit(nth_batch(2), Durability::Soon).unwrap() > before);
}

#[test]
fn wherever_the_disk_fills_up_everybody_is_told_and_the_store_reopens_whole() {
    let history = |disk: &TestDisk| -> Result<Engine, (u64, StoreError)> {
        let engine = Engine::with_backend(disk.clone(), OPTIONS).map_err(|error| (0, error))?;
        for n in 1..=6 {
            let durability = if n % 3 == 0 { Durability::Now } else { Durability::Soon };
            let acknowledged = n / 3 * 3;
            if let Err(error) = engine.commit(nth_batch(n), durability) {
                let later = engine.commit(nth_batch(n), durability).unwrap_err();
                assert_eq!(later.code(), "STORE_FULL");
                assert_eq!(
                    engine.wait_durable(CommitNo(u64::MAX)).unwrap_err().code(),
                    "STORE_FULL"
                );
                return Err((if n % 3 == 0 { n - 3 } else { acknowledged }, error));
            }
        }
        Ok(engine)
    };
    let healthy = TestDisk::default();
    let engine = history(&healthy).map_err(|(_, error)| error).unwrap();
    let operations = healthy.operations();
    drop(engine);
    assert!(operations > 20);

    for full_from in 1..=operations {
        let disk = TestDisk::full_from(full_from);
        // A commit that only became visible asks nothing of the disk; it then fails when the store is closed.
        let (acknowledged, error) = match history(&disk) {
            Err(failed) => failed,
            Ok(engine) => (6, engine.close().expect_err("the disk is full")),
        };
        assert_eq!(error.code(), "STORE_FULL", "operation {full_from}: {error}");
        // A disk that fills up while the file is made leaves no store; every other one is whole.
        if let Ok(engine) = Engine::with_backend(disk.after_kill(), OPTIONS) {
            assert!(batches_held(&engine) >= acknowledged, "operation {full_from}");
        } else {
            assert_eq!(acknowledged, 0, "operation {full_from}");
        }
        let cut = disk.after_power_cut(|| false);
        if acknowledged > 0 {
            assert!(batches_held(&open_disk(&cut)) >= acknowledged, "operation {full_from}");
        }
    }
}
