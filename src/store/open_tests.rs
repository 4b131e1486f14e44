//! What opening a store promises: one owner at a time, kills, newer formats, foreign and damaged files.
#![expect(clippy::disallowed_methods, reason = "tests damage and measure files")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redb::TableDefinition;

use super::engine::{Engine, FORMAT, repair};
use super::engine_tests::{OPTIONS, Rows, all_rows, batches_held, nth_batch, nth_state, put};
use super::test_disk::TestDisk;
use super::{Batch, Durability, Store, StoreError};

#[test]
fn a_second_opener_is_told_that_the_store_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let engine = Engine::open(&path, OPTIONS).unwrap();
    let locked = Err(StoreError::Locked { path: path.clone() });
    assert_eq!(Engine::open(&path, OPTIONS).map(drop), locked);
    assert_eq!(Engine::open_read_only(&path, OPTIONS).map(drop), locked);
    assert_eq!(repair(&path, OPTIONS).map(drop), locked);
    drop(engine);
    let reader = Engine::open_read_only(&path, OPTIONS).unwrap();
    assert!(
        Engine::open_read_only(&path, OPTIONS).is_ok(),
        "readers do not exclude one another"
    );
    assert_eq!(Engine::open(&path, OPTIONS).map(drop), locked);
    drop(reader);
    assert!(Engine::open(&path, OPTIONS).is_ok());
}

#[test]
fn openers_at_the_same_moment_make_one_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/store.redb");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let path = &path;
            scope.spawn(move || {
                loop {
                    match Engine::open(path, OPTIONS) {
                        Ok(engine) => {
                            engine.commit(put(&format!("{thread}"), ""), Durability::Now).unwrap();
                            return;
                        }
                        Err(error) => assert_eq!(error.code(), "STORE_LOCKED"),
                    }
                }
            });
        }
    });
    assert_eq!(all_rows(&Engine::open(&path, OPTIONS).unwrap()).unwrap().len(), 4);
    let names: Vec<_> = fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["store.redb"]);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        path.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777,
        0o700
    );
}

/// A file as a kill leaves it: it was open, and its last commit is in it.
fn killed(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("store.redb");
    let engine = Engine::open(&path, OPTIONS).unwrap();
    engine.commit(nth_batch(1), Durability::Now).unwrap();
    let copy = folder.join("killed.redb");
    fs::copy(&path, &copy).unwrap();
    copy
}

#[test]
fn readers_refuse_a_store_that_was_killed_and_leave_every_byte_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = killed(folder.path());
    let before = fs::read(&path).unwrap();
    let error = Engine::open_read_only(&path, OPTIONS).map(drop).unwrap_err();
    assert_eq!(error, StoreError::NeedsRepair { path: path.clone() });
    assert!(error.to_string().ends_with("run `host store repair`"));
    assert_eq!(fs::read(&path).unwrap(), before);

    let repaired = repair(&path, OPTIONS).unwrap();
    assert!(repaired.was_needed);
    assert_eq!(repaired.rows, nth_state(1).len() as u64 + 1);
    assert!(!repair(&path, OPTIONS).unwrap().was_needed);

    let before = fs::read(&path).unwrap();
    let reader = Engine::open_read_only(&path, OPTIONS).unwrap();
    assert_eq!(batches_held(&reader), 1);
    assert_eq!(
        reader.commit(nth_batch(2), Durability::Now).unwrap_err().code(),
        "STORE_READ_ONLY"
    );
    reader.close().unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_writer_repairs_by_itself_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(&killed(folder.path()), OPTIONS).unwrap();
    assert_eq!(batches_held(&engine), 1);
    engine.commit(nth_batch(2), Durability::Now).unwrap();
    assert_eq!(batches_held(&engine), 2);
}

#[test]
fn a_store_that_is_not_there_is_missing_and_reading_does_not_make_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let missing = StoreError::Missing { path: path.clone() };
    assert_eq!(Engine::open_read_only(&path, OPTIONS).map(drop), Err(missing.clone()));
    assert_eq!(repair(&path, OPTIONS), Err(missing));
    assert!(!path.exists());
}

#[test]
fn a_newer_format_and_a_foreign_file_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    drop(Engine::open(&path, OPTIONS).unwrap());
    let write = |path: &Path, table: &str, number| {
        let database = redb::Database::create(path).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction
            .open_table(TableDefinition::<&str, u64>::new(table))
            .unwrap()
            .insert("store", number)
            .unwrap();
        transaction.commit().unwrap();
    };
    write(&path, "format", FORMAT + 1);
    let newer = StoreError::NewerFormat {
        path: path.clone(),
        found: FORMAT + 1,
        known: FORMAT,
    };
    assert_eq!(Engine::open(&path, OPTIONS).map(drop), Err(newer.clone()));
    assert_eq!(Engine::open_read_only(&path, OPTIONS).map(drop), Err(newer.clone()));
    assert_eq!(repair(&path, OPTIONS).map(drop), Err(newer));

    let foreign = folder.path().join("foreign.redb");
    write(&foreign, "songs", 1);
    let text = folder.path().join("text.redb");
    fs::write(&text, "no database\n".repeat(1000)).unwrap();
    let short = folder.path().join("short.redb");
    fs::write(&short, "x").unwrap();
    for path in [foreign, text, short] {
        let before = fs::read(&path).unwrap();
        let opened = [
            Engine::open(&path, OPTIONS).map(drop),
            Engine::open_read_only(&path, OPTIONS).map(drop),
        ];
        for error in opened.map(Result::unwrap_err) {
            assert_eq!(error.code(), "STORE_CORRUPT", "{error}");
        }
        assert!(path.ends_with("foreign.redb") || fs::read(&path).unwrap() == before);
    }
}

/// Reads everything and writes something; what can be read must be what was written.
fn use_damaged(engine: &Engine, written: &Rows) -> Result<(), StoreError> {
    let mut result = all_rows(engine).map(|rows| {
        for (key, value) in rows {
            assert_eq!(written.get(&key), Some(&value));
        }
    });
    for (key, value) in written {
        match engine.get(key) {
            Ok(row) => assert!(row.is_none_or(|row| row.value == *value)),
            Err(error) => result = Err(error),
        }
    }
    for n in 0..20 {
        let durability = if n % 10 == 9 { Durability::Now } else { Durability::Soon };
        let committed = engine.commit(put(&format!("row {}", n * 9), "changed"), durability);
        result = result.and(committed.map(drop));
    }
    result
}

#[test]
fn damaged_bytes_are_an_error_and_never_a_panic_or_another_value() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let engine = Engine::open(&path, OPTIONS).unwrap();
    let mut written = Rows::new();
    for n in 0..200 {
        let (key, value) = (format!("row {n}"), vec![n as u8; 40 * (n % 11)]);
        let mut batch = Batch::new();
        batch.put(key.clone().into(), value.clone());
        engine.commit(batch, Durability::Soon).unwrap();
        written.insert(key.into(), value);
    }
    drop(engine);
    let intact = fs::read(&path).unwrap();
    let used = intact.iter().rposition(|byte| *byte != 0).unwrap() + 1;

    let mut noticed = 0;
    for seed in 0..150 {
        let mut chance = StdRng::seed_from_u64(seed);
        let mut bytes = intact.clone();
        match seed % 5 {
            0 => bytes.truncate(chance.random_range(1..intact.len())),
            1 => {
                let page = chance.random_range(0..used / 4096) * 4096;
                chance.fill(&mut bytes[page..page + 4096]);
            }
            2 => bytes[chance.random_range(0..320)] ^= 1 << chance.random_range(0..8),
            _ => bytes[chance.random_range(320..used)] ^= chance.random_range(1..=255),
        }
        fs::write(&path, &bytes).unwrap();
        let read = Engine::open_read_only(&path, OPTIONS).and_then(|engine| all_rows(&engine));
        if let Ok(rows) = &read {
            assert!(
                rows.iter().all(|(key, value)| written.get(key) == Some(value)),
                "seed {seed}"
            );
        }
        assert_eq!(fs::read(&path).unwrap(), bytes);
        // The same as opening the file, without its syncs.
        let disk = TestDisk::holding(bytes.clone());
        let opened = Engine::with_backend(disk, OPTIONS).and_then(|engine| use_damaged(&engine, &written));
        noticed += u32::from(read.is_err() || opened.is_err());
        if let Err(error) = opened {
            assert!(
                matches!(error.code(), "STORE_CORRUPT" | "STORE_IO"),
                "seed {seed}: {error}"
            );
        }
        if seed % 10 < 5
            && let Err(error) = repair(&path, OPTIONS)
        {
            assert!(
                matches!(error.code(), "STORE_CORRUPT" | "STORE_IO"),
                "seed {seed}: {error}"
            );
        }
    }
    assert!(noticed > 40, "only {noticed} of 150 were noticed");
}

#[test]
fn limits_are_told_and_the_engines_own_rows_are_hidden() {
    let engine = Engine::in_memory().unwrap();
    engine.commit(put("a", "1"), Durability::Now).unwrap();
    assert_eq!(all_rows(&engine).unwrap().len(), 1);
    assert_eq!(engine.get(&[0]).unwrap(), None);
    let refused = |key: Vec<u8>, value: Vec<u8>| {
        let mut batch = Batch::new();
        batch.put(key, value);
        engine.commit(batch, Durability::Soon).unwrap_err().to_string()
    };
    assert_eq!(
        refused(vec![0], vec![]),
        r#""00" is no key: it must begin with a byte other than 0"#
    );
    assert_eq!(
        refused(vec![1; 5000], vec![]),
        "the key has 5000 bytes; at most 4096 are allowed"
    );
    assert_eq!(
        refused(b"k".to_vec(), vec![0; (16 << 20) + 1]),
        "key 6b has 16777217 bytes; at most 16777216 are allowed"
    );
}

/// The kept file of a format, in a folder of its own.
fn kept(format: u64) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let file = format!("{}/tests/data/store-v{format}.redb", env!("CARGO_MANIFEST_DIR"));
    std::fs::copy(file, &path).unwrap();
    (folder, path)
}

#[test]
fn a_store_of_every_earlier_format_is_read_as_it_is_and_brought_forward_after_a_copy_of_it() {
    use std::ops::Bound;

    use super::engine::{EngineOptions, FORMAT_MIN, compact};

    let all = |store: &Engine| {
        store
            .scan((Bound::Unbounded, Bound::Unbounded), usize::MAX, false)
            .unwrap()
    };
    for format in FORMAT_MIN..FORMAT {
        let (folder, path) = kept(format);
        let bytes = std::fs::read(&path).unwrap();
        let looking = Engine::open_read_only(&path, EngineOptions::default()).unwrap();
        let rows = all(&looking);
        drop(looking);
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "who only reads changes nothing");
        assert!(rows.len() > 10);
        for (key, row) in &rows {
            if let Some(super::keys::Place::Run(run)) = super::keys::parse(key) {
                crate::journal::RunRecord::decode(run, &row.value).unwrap();
            }
        }
        let store = Engine::open(&path, EngineOptions::default()).unwrap();
        assert_eq!(all(&store), rows);
        store.commit(put("a", "1"), Durability::Now).unwrap();
        store.close().unwrap();
        let copy = folder.path().join(format!("store.redb.format-{format}"));
        let before = Engine::open_read_only(&copy, EngineOptions::default()).unwrap();
        assert_eq!(all(&before), rows, "the way back");
        drop(before);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        // It is done once.
        drop(Engine::open(&path, EngineOptions::default()).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        assert_eq!(
            super::upgrade::downgrade(&path, EngineOptions::default()).unwrap(),
            FORMAT - 1
        );
        compact(&path, EngineOptions::default()).unwrap();
        let again = Engine::open(&path, EngineOptions::default()).unwrap();
        assert_eq!(
            again
                .scan((Bound::Unbounded, Bound::Unbounded), usize::MAX, false)
                .unwrap()
                .len(),
            rows.len() + 1
        );
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            3,
            "a copy of its own"
        );
    }
}
