//! Compaction while a store is used: nothing is lost, the file becomes smaller, and readers go on.
#![expect(clippy::disallowed_methods, reason = "these tests look at files and measure time")]

use std::ops::Bound;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::engine::{Engine, EngineOptions};
use super::keys::{Realm, kv};
use super::test_ground::all;
use super::{Batch, Durability, Store};

fn put(key: &str, bytes: usize, byte: u8) -> Batch {
    let mut batch = Batch::new();
    batch.put(kv(Realm::Live, key), vec![byte; bytes]);
    batch
}

/// A store with a file far larger than what it holds.
fn hollow(path: &Path) -> Engine {
    let store = Engine::open(path, EngineOptions::default()).unwrap();
    for number in 0..400 {
        store
            .commit(put(&format!("old-{number:04}"), 40_000, 1), Durability::Soon)
            .unwrap();
    }
    store.commit(put("kept", 1000, 2), Durability::Now).unwrap();
    let mut batch = Batch::new();
    batch.deletes = (0..400)
        .map(|number| kv(Realm::Live, &format!("old-{number:04}")))
        .collect();
    store.commit(batch, Durability::Now).unwrap();
    store
}

#[test]
fn a_store_that_is_used_becomes_smaller_and_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = hollow(&path);
    let acknowledged = Mutex::new(Vec::new());
    let stop = AtomicBool::new(false);
    let longest_ms = AtomicU64::new(0);
    let compacted = std::thread::scope(|scope| {
        for writer in 0..3 {
            let (store, acknowledged, stop, longest_ms) = (&store, &acknowledged, &stop, &longest_ms);
            scope.spawn(move || {
                let mut number = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    let key = format!("new-{writer}-{:03}", number % 50);
                    let begun = std::time::Instant::now();
                    let commit = store.commit(put(&key, 500, number as u8), Durability::Now).unwrap();
                    longest_ms.fetch_max(begun.elapsed().as_millis() as u64, Ordering::Relaxed);
                    acknowledged.lock().unwrap().push((key, number as u8, commit));
                    assert!(store.get(&kv(Realm::Live, "kept")).unwrap().is_some(), "readers go on");
                    number += 1;
                }
            });
        }
        let compacted: Vec<_> = (0..3).map(|_| store.compact(&mut || true).unwrap().unwrap()).collect();
        stop.store(true, Ordering::Relaxed);
        compacted
    });
    assert!(compacted[0].before > 16_000_000, "{compacted:?}");
    assert!(compacted[0].after < compacted[0].before / 8, "{compacted:?}");
    eprintln!("the longest commit took {} ms", longest_ms.load(Ordering::Relaxed));
    let before = all(&store);
    store.close().unwrap();
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing unfinished is left"
    );
    let store = Engine::open(&path, EngineOptions::default()).unwrap();
    assert_eq!(all(&store), before);
    for (key, byte, commit) in acknowledged.into_inner().unwrap() {
        let row = store.get(&kv(Realm::Live, &key)).unwrap().expect("it was acknowledged");
        assert!(row.version >= commit, "{key}");
        assert!(row.version > commit || row.value[0] == byte, "{key}");
    }
    let next = store.commit(put("next", 1, 1), Durability::Now).unwrap();
    assert!(
        before.iter().all(|(_, _, version)| *version < next),
        "numbers of commits go on"
    );
}

#[test]
fn a_compaction_that_is_broken_off_leaves_the_store_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = hollow(&path);
    for number in 0..3000 {
        store
            .commit(put(&format!("row-{number}"), 10, 1), Durability::Soon)
            .unwrap();
    }
    let before = all(&store);
    assert_eq!(store.compact(&mut || false).unwrap(), None);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(all(&store), before);
    assert!(store.compact(&mut || true).unwrap().is_some(), "it can be tried again");
    assert_eq!(all(&store), before);
}

#[test]
fn one_that_looks_on_sees_the_rows_of_his_moment_across_a_swap() {
    let folder = tempfile::tempdir().unwrap();
    let store = hollow(&folder.path().join("store.redb"));
    for number in 0..1000 {
        store
            .commit(put(&format!("row-{number:04}"), 100, 1), Durability::Soon)
            .unwrap();
    }
    let before = all(&store);
    let (began, go_on) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
    std::thread::scope(|scope| {
        let looking = scope.spawn({
            let (store, began, go_on) = (&store, &began, &go_on);
            move || {
                let mut seen = Vec::new();
                let visit: &mut super::VisitRow<'_> = &mut |key, value, version| {
                    if seen.is_empty() {
                        began.wait();
                        go_on.wait();
                    }
                    seen.push((key.to_vec(), value.to_vec(), version));
                    std::ops::ControlFlow::Continue(())
                };
                store.visit((Bound::Unbounded, Bound::Unbounded), visit).unwrap();
                seen
            }
        });
        began.wait();
        store.compact(&mut || true).unwrap().unwrap();
        store.commit(put("row-0500", 100, 9), Durability::Now).unwrap();
        go_on.wait();
        assert_eq!(looking.join().unwrap(), before);
    });
    let row = store.get(&kv(Realm::Live, "row-0500")).unwrap().unwrap();
    assert_eq!(row.value[0], 9);
}

#[test]
fn a_store_that_is_no_file_cannot_be_compacted() {
    let store = Engine::in_memory().unwrap();
    assert_eq!(store.compact(&mut || true).unwrap_err().code(), "STORE_NO_FILE");
}
