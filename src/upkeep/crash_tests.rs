//! A process that dies between any two steps of a compaction, an upgrade, a restore or a backup: what was acknowledged is
//! there, what has a name is whole, and what was left is gone as soon as somebody comes by.
#![expect(clippy::disallowed_methods, reason = "these tests start processes and look at files")]

use std::collections::BTreeSet;
use std::fs;
use std::ops::{Bound, ControlFlow};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use super::chore::Place;
use super::restore::Restore;
use super::rota;
use super::settings::{BackupSettings, Limits, When};
use crate::io::aside;
use crate::io::chance::SeededChance;
use crate::io::clock::SystemClock;
use crate::journal::epoch::Epoch;
use crate::store::backup::{Part, Reader};
use crate::store::content::FileContent;
use crate::store::documents::Indexes;
use crate::store::engine::{Engine, EngineOptions};
use crate::store::keys::{Realm, kv};
use crate::store::tx::Ground;
use crate::store::upgrade::downgrade;
use crate::store::{Batch, Durability, Store};

fn open(folder: &Path) -> Engine {
    Engine::open(&folder.join("store.redb"), EngineOptions::default()).unwrap()
}

fn put(store: &dyn Store, key: &str, value: &[u8]) {
    let mut batch = Batch::new();
    // A pair that never expires, with its value in the row.
    batch.put(kv(Realm::Live, key), [&[1], [0x7F; 8].as_slice(), &[0], value].concat());
    store.commit(batch, Durability::Now).unwrap();
}

fn get(store: &dyn Store, key: &str) -> Option<Vec<u8>> {
    let row = store.get(&kv(Realm::Live, key)).unwrap();
    row.map(|row| row.value[10..].to_vec())
}

fn place(folder: &Path) -> Place {
    Place {
        ground: Ground {
            store: Arc::new(open(folder)),
            content: Arc::new(FileContent::new(folder.join("content"))),
            indexes: Arc::new(Indexes::none()),
        },
        data: folder.to_owned(),
        node: "local".to_owned(),
        needs: Vec::new(),
        variable: Box::new(|_| None),
        limits: Limits::default(),
        clock: Arc::new(SystemClock::new()),
        chance: Arc::new(SeededChance::new(1)),
    }
}

fn restore(folder: &Path, now_ms: i64) -> u64 {
    let restore = Restore {
        file: &folder.join("a.backup"),
        key: None,
        data: &folder.join("data"),
        options: EngineOptions::default(),
        replace: true,
        as_it_is: false,
        by: crate::journal::audit::Actor::new("anna", crate::journal::audit::Via::Cli, ""),
        now_ms,
    };
    restore.perform(&mut |_, _| ControlFlow::Continue(())).unwrap().epoch
}

fn turn(folder: &Path, now_ms: i64) {
    let settings = BackupSettings {
        latest: 1,
        daily: 0,
        weekly: 0,
        monthly: 0,
        ..BackupSettings::default()
    };
    let place = place(&folder.join("data"));
    let when = When::Every { ms: 1 };
    let turn = rota::turn(&place, &folder.join("kept"), &when, &settings, now_ms, &mut |_, _| {
        ControlFlow::Continue(())
    });
    turn.unwrap().made.unwrap().unwrap();
}

/// The process that dies. Without a parent it has nothing to do.
#[test]
fn child() {
    let (Ok(task), Ok(folder)) = (std::env::var("HOST_CRASH_TASK"), std::env::var("HOST_CRASH_FOLDER")) else {
        return;
    };
    let folder = PathBuf::from(folder);
    match task.as_str() {
        "compact" => compact(&folder),
        "upgrade" => drop(open(&folder)),
        "restore" => drop(restore(&folder, 7_000)),
        "turn" => turn(&folder, 9_000),
        task => panic!("{task} is no task"),
    }
}

fn compact(folder: &Path) {
    let store = open(folder);
    for number in 0..60 {
        put(&store, &format!("old-{number}"), &[1; 40_000]);
    }
    for number in 0..60 {
        let mut batch = Batch::new();
        batch.delete(kv(Realm::Live, &format!("old-{number}")));
        store.commit(batch, Durability::Soon).unwrap();
    }
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let store = &store;
            scope.spawn(move || {
                for number in 0_u64.. {
                    put(store, &format!("w{writer}-{number}"), &number.to_be_bytes());
                    println!("\nACK w{writer}-{number}");
                }
            });
        }
        loop {
            store.compact(&mut || true).unwrap();
        }
    });
}

/// Has a child do `task` until it dies at `moment`; what it said.
fn die(task: &str, moment: &str, folder: &Path) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "upkeep::crash_tests::child",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("HOST_CRASH_TASK", task)
        .env("HOST_CRASH_FOLDER", folder)
        .env("HOST_CRASH_AT", moment)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.signal(),
        Some(6),
        "{moment}: it dies there: {text}{errors}"
    );
    text
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_compaction_that_dies_anywhere_loses_nothing_that_was_acknowledged() {
    for moment in ["copied", "settled", "caught up", "renamed"] {
        let folder = tempfile::tempdir().unwrap();
        let said = die("compact", &format!("compact: {moment}"), folder.path());
        let readable = Engine::open_read_only(&folder.path().join("store.redb"), EngineOptions::default());
        assert_eq!(
            readable.err().map(|error| error.code()),
            Some("STORE_NEEDS_REPAIR"),
            "{moment}: it was killed"
        );
        let store = open(folder.path());
        let mut acknowledged = 0;
        for key in said.lines().filter_map(|line| line.strip_prefix("ACK ")) {
            let number: u64 = key.split_once('-').unwrap().1.parse().unwrap();
            assert_eq!(get(&store, key), Some(number.to_be_bytes().to_vec()), "{moment}: {key}");
            acknowledged += 1;
        }
        assert!(moment == "copied" || acknowledged > 0, "{moment}: there was load");
        assert_eq!(
            names(folder.path()),
            BTreeSet::from(["store.redb".to_owned()]),
            "{moment}"
        );
        store.compact(&mut || true).unwrap().unwrap();
    }
}

#[test]
fn an_upgrade_that_dies_anywhere_keeps_one_copy_of_the_store_as_it_was() {
    for moment in ["copied", "copy named", "copy kept", "format written"] {
        let folder = tempfile::tempdir().unwrap();
        put(&open(folder.path()), "a", b"1");
        let path = folder.path().join("store.redb");
        assert_eq!(downgrade(&path, EngineOptions::default()).unwrap(), 1);
        die("upgrade", &format!("upgrade: {moment}"), folder.path());
        if matches!(moment, "copied" | "copy kept") {
            // Once more: there is no second copy.
            die("upgrade", &format!("upgrade: {moment}"), folder.path());
        }
        let store = open(folder.path());
        assert_eq!(get(&store, "a").as_deref(), Some(b"1".as_slice()), "{moment}");
        assert_eq!(
            names(folder.path()),
            BTreeSet::from(["store.redb".to_owned(), "store.redb.format-1".to_owned()]),
            "{moment}"
        );
        // The way back: the copy is the older host's own store, and has its format.
        let copy = folder.path().join("store.redb.format-1");
        let kept = Engine::open_read_only(&copy, EngineOptions::default()).unwrap();
        assert_eq!(get(&kept, "a").as_deref(), Some(b"1".as_slice()), "{moment}");
        drop(kept);
        fs::create_dir(folder.path().join("again")).unwrap();
        fs::rename(&copy, folder.path().join("again/store.redb")).unwrap();
        drop(open(&folder.path().join("again")));
        assert!(
            folder.path().join("again/store.redb.format-1").exists(),
            "{moment}: it was not brought forward"
        );
    }
}

#[test]
fn a_restore_that_dies_anywhere_leaves_the_old_store_or_the_new_one_and_can_be_made_again() {
    for moment in ["unpacked", "files adopted", "put aside", "renamed"] {
        let folder = tempfile::tempdir().unwrap();
        let (data, other) = (folder.path().join("data"), folder.path().join("other"));
        {
            let other = place(&other);
            put(&*other.ground.store, "theirs", b"1");
            let hash = other.ground.content.put(&[7; 3 << 20]).unwrap();
            put(&*other.ground.store, "file", hash.as_bytes());
            let file = folder.path().join("a.backup");
            other
                .backup(&file, None, &mut |_, _| ControlFlow::Continue(()))
                .unwrap();
            put(&open(&data), "mine", b"1");
        }
        die("restore", &format!("restore: {moment}"), folder.path());
        let store = open(&data);
        let is_new = moment == "renamed";
        assert_eq!(get(&store, "mine").is_some(), !is_new, "{moment}");
        assert_eq!(get(&store, "theirs").is_some(), is_new, "{moment}");
        assert_eq!(
            Epoch::read(&store).unwrap().frozen,
            is_new,
            "{moment}: no store of a backup goes on by itself"
        );
        drop(store);
        assert!(
            names(&data).iter().any(|name| name.starts_with(".unpacked-")),
            "{moment}"
        );
        restore(folder.path(), 8_000);
        let store = open(&data);
        let hash = get(&store, "file").unwrap();
        let file = data
            .join("content")
            .join(hex::encode(&hash[..1]))
            .join(hex::encode(&hash));
        assert_eq!(fs::read(file).unwrap(), [7; 3 << 20], "{moment}");
        assert!(
            names(&data).iter().all(|name| !name.starts_with('.')),
            "{moment}: {:?}",
            names(&data)
        );
        let asides: Vec<PathBuf> = names(&data)
            .iter()
            .filter(|name| name.contains("before-restore"))
            .map(|name| data.join(name))
            .collect();
        assert_eq!(asides.len(), if is_new { 2 } else { 1 }, "{moment}: {asides:?}");
        let mine = asides.iter().filter(|path| {
            let old = Engine::open(path, EngineOptions::default()).unwrap();
            get(&old, "mine").is_some()
        });
        assert_eq!(mine.count(), 1, "{moment}: the old store is there once");
    }
}

#[test]
fn what_a_killed_restore_left_is_swept_without_another_one() {
    let folder = tempfile::tempdir().unwrap();
    put(&open(&folder.path().join("data")), "mine", b"1");
    let place = place(&folder.path().join("data"));
    place
        .backup(&folder.path().join("a.backup"), None, &mut |_, _| {
            ControlFlow::Continue(())
        })
        .unwrap();
    drop(place);
    die("restore", "restore: unpacked", folder.path());
    assert_eq!(aside::sweep(&folder.path().join("data")).unwrap(), 1);
    assert!(
        names(&folder.path().join("data"))
            .iter()
            .all(|name| !name.starts_with('.'))
    );
}

#[test]
fn a_backup_by_itself_that_dies_anywhere_leaves_whole_ones_and_the_next_clears_up() {
    for moment in ["written", "named"] {
        let folder = tempfile::tempdir().unwrap();
        put(&open(&folder.path().join("data")), "a", &[5; 30_000]);
        turn(folder.path(), 1_000);
        let kept = folder.path().join("kept");
        let first = names(&kept);
        die("turn", &format!("backup: {moment}"), folder.path());
        assert!(names(&kept).is_superset(&first), "{moment}: the one before is there");
        assert!(names(&kept).iter().any(|name| name.starts_with('.')), "{moment}");
        turn(folder.path(), 11_000);
        let left = names(&kept);
        assert_eq!(left.len(), 1, "{moment}: the latest: {left:?}");
        for name in left {
            let mut reader = Reader::open(&kept.join(&name), None).unwrap();
            while !matches!(reader.next_part().unwrap(), Part::End(_)) {}
        }
        let store = open(&folder.path().join("data"));
        let mut rows = 0;
        let all = (Bound::Unbounded, Bound::Unbounded);
        store
            .visit(all, &mut |_, _, _| {
                rows += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(rows, 2, "{moment}: what was put, and the state of backups");
    }
}
