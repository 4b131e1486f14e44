//! From a store at work to a backup to another folder, and what is held there.
#![expect(clippy::disallowed_methods, reason = "these tests damage files")]

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::chore::Place;
use super::release::{self, Jobs};
use super::restore::{Restore, RestoreError, Restored, verify};
use super::settings::Limits;
use crate::effect::Class;
use crate::io::chance::SeededChance;
use crate::io::clock::Clock;
use crate::journal::audit::{Actor, Via};
use crate::journal::epoch::{self, Epoch};
use crate::journal::{Asked, Entry, Intent, Recorded, Status, entry};
use crate::runs::ResumeError;
use crate::store::backup::unpack::quietly;
use crate::store::backup::{install, unpack};
use crate::store::content::FileContent;
use crate::store::documents::Indexes;
use crate::store::engine::{Engine, EngineOptions};
use crate::store::keys::{self, Space};
use crate::store::ticks::pause::ALL;
use crate::store::ticks::{Pauses, Resumed};
use crate::store::tx::Ground;
use crate::store::{Batch, Durability, Realm, Tx, queue};
use crate::testing::TestHost;
use crate::value::Value;

fn ground(data: &Path) -> Ground {
    Ground {
        store: Arc::new(Engine::open(&data.join("store.redb"), EngineOptions::default()).unwrap()),
        content: Arc::new(FileContent::new(data.join("content"))),
        indexes: Arc::new(Indexes::none()),
    }
}

/// A host on a store in `data`.
fn host(data: &Path) -> TestHost {
    let mut host = TestHost::default();
    host.ground = ground(data);
    host
}

fn place(host: &TestHost, data: &Path) -> Place {
    Place {
        ground: host.ground.clone(),
        data: data.to_owned(),
        node: "local".to_owned(),
        needs: vec!["ACME_TOKEN".to_owned()],
        variable: Box::new(|_| None),
        limits: Limits::default(),
        clock: host.clock.clone(),
        chance: Arc::new(SeededChance::new(1)),
    }
}

fn restore_as_it_is(file: &Path, data: &Path) -> Restored {
    let restore = Restore {
        file,
        key: None,
        data,
        options: EngineOptions::default(),
        replace: false,
        as_it_is: true,
        by: Actor::new("ada", Via::Cli, "c"),
        now_ms: 1,
    };
    restore.perform(&mut |_, _| ControlFlow::Continue(())).unwrap()
}

fn restore(file: &Path, data: &Path, replace: bool, now_ms: i64) -> Result<Restored, RestoreError> {
    let restore = Restore {
        file,
        key: None,
        data,
        options: EngineOptions::default(),
        replace,
        as_it_is: false,
        now_ms,
        by: Actor::new("ada", Via::Cli, "c"),
    };
    restore.perform(&mut |_, _| ControlFlow::Continue(()))
}

/// A run that waits, one that is over, a large value and a job, backed up; the moment of the backup.
fn backed_up(folder: &Path) -> (crate::id::RunId, crate::id::RunId, i64) {
    let data = folder.join("old");
    let host = host(&data);
    let over = host
        .run("let text = \"x\"; for i in 0..17 { text += text; } kv::put(\"large\", text); kv::get(\"large\").len()")
        .id();
    let waits = host
        .start("kv::put(\"before\", 1); run::sleep(\"1h\"); kv::put(\"after\", 1); 7")
        .id();
    let mut tx = Tx::new(&host.ground, Realm::Dry, host.clock.unix_ms());
    queue::push(&mut tx, "videos", &Value::from("a"), &queue::Wanted::default()).unwrap();
    host.ground.store.commit(tx.batch, Durability::Now).unwrap();
    let now_ms = host.clock.unix_ms();
    let file = folder.join("a.backup");
    place(&host, &data)
        .backup(&file, None, &mut |_, _| ControlFlow::Continue(()))
        .unwrap();
    (over, waits, now_ms)
}

#[test]
fn what_was_not_over_is_held_until_it_is_released_and_then_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (over, waits, backup_ms) = backed_up(folder.path());
    let data = folder.path().join("new");
    let restored = restore(&folder.path().join("a.backup"), &data, false, backup_ms + 1000).unwrap();
    assert_eq!(
        (restored.epoch, restored.needs.as_slice()),
        (2, ["ACME_TOKEN".to_owned()].as_slice())
    );
    assert_eq!(restored.held.len(), 1);
    assert_eq!(
        (restored.held[0].run, restored.held[0].status),
        (waits, Status::Suspended)
    );

    let host = host(&data);
    let store = &*host.ground.store;
    host.clock.advance(std::time::Duration::from_secs(2));
    assert_eq!(host.run("kv::get(\"large\").len()").value(), &Value::from(1 << 17));
    let hold = release::hold(&host.ground, backup_ms + 1000).unwrap().unwrap();
    assert!(hold.frozen);
    assert_eq!((hold.queues[0].queue.as_str(), hold.queues[0].jobs), ("videos", 1));
    assert!(Pauses::load(store).unwrap().on.contains_key(ALL));
    host.clock.advance(std::time::Duration::from_secs(7200));
    assert!(matches!(host.resume(waits), Err(ResumeError::Held(run)) if run == waits));

    assert!(
        release::release_runs(store, &[over]).unwrap().is_empty(),
        "it is not held"
    );
    assert_eq!(release::release_runs(store, &[waits]).unwrap().len(), 1);
    assert_eq!(host.resume(waits).unwrap().value(), &Value::from(7));
    assert!(Epoch::read(store).unwrap().frozen, "triggers and publishing still wait");

    release::release_all(&host.ground, host.clock.unix_ms(), None, Resumed::None, Jobs::Pause).unwrap();
    assert!(!Epoch::read(store).unwrap().frozen);
    assert!(!Pauses::load(store).unwrap().on.contains_key(ALL));
    let mut tx = Tx::new(&host.ground, Realm::Dry, 0);
    assert!(
        queue::pause::get(&mut tx, "videos").unwrap().is_some(),
        "somebody looks at its jobs first"
    );
}

#[test]
fn a_pause_that_somebody_made_before_the_backup_outlives_the_release() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("old");
    let host = host(&data);
    let mut batch = Batch::new();
    let pause = crate::store::ticks::Pause {
        since_ms: 1,
        by: Some("anna".to_owned()),
        why: "holidays".to_owned(),
    };
    crate::store::ticks::pause::pause(&mut batch, ALL, &pause);
    host.ground.store.commit(batch, Durability::Now).unwrap();
    let file = folder.path().join("a.backup");
    place(&host, &data)
        .backup(&file, None, &mut |_, _| ControlFlow::Continue(()))
        .unwrap();
    let data = folder.path().join("new");
    restore(&file, &data, false, 5).unwrap();
    let restored = ground(&data);
    release::release_all(&restored, 9, None, Resumed::None, Jobs::Run).unwrap();
    assert_eq!(Pauses::load(&*restored.store).unwrap().on[ALL], pause);
}

#[test]
fn nothing_is_restored_over_a_store_that_holds_something_and_with_replace_it_is_moved_aside() {
    let folder = tempfile::tempdir().unwrap();
    let (.., now_ms) = backed_up(folder.path());
    let (file, data) = (folder.path().join("a.backup"), folder.path().join("new"));
    {
        let other = host(&data);
        other.run("kv::put(\"mine\", 1)");
    }
    let before = fs::read(data.join("store.redb")).unwrap();
    let refused = restore(&file, &data, false, now_ms).unwrap_err();
    assert_eq!(refused.code(), "RESTORE_NOT_EMPTY");
    assert_eq!(fs::read(data.join("store.redb")).unwrap(), before);
    let restored = restore(&file, &data, true, now_ms).unwrap();
    let aside = restored.aside.unwrap();
    assert_eq!(fs::read(&aside).unwrap(), before);
    let old = Engine::open(&aside, EngineOptions::default()).unwrap();
    drop(old);
    let names = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(
        names.into_iter().all(|name| !name.to_string_lossy().starts_with('.')),
        "nothing unpacked is left"
    );
    // A store that nobody can read is in nobody's way either.
    fs::write(data.join("store.redb"), b"rubbish").unwrap();
    assert_eq!(
        restore(&file, &data, false, now_ms).unwrap_err().code(),
        "RESTORE_NOT_EMPTY"
    );
    restore(&file, &data, true, now_ms + 1000).unwrap();
    ground(&data);
}

#[test]
fn a_store_that_somebody_has_open_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (.., now_ms) = backed_up(folder.path());
    let (file, data) = (folder.path().join("a.backup"), folder.path().join("new"));
    let held = ground(&data);
    assert_eq!(restore(&file, &data, true, now_ms).unwrap_err().code(), "STORE_LOCKED");
    drop(held);
    restore(&file, &data, true, now_ms).unwrap();
}

#[test]
fn a_backup_that_cannot_be_read_to_its_end_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (.., now_ms) = backed_up(folder.path());
    let (file, data) = (folder.path().join("a.backup"), folder.path().join("new"));
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() - 40]).unwrap();
    assert_eq!(
        restore(&file, &data, false, now_ms).unwrap_err().code(),
        "BACKUP_CUT_OFF"
    );
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 1;
    fs::write(&file, &altered).unwrap();
    assert_eq!(
        restore(&file, &data, false, now_ms).unwrap_err().code(),
        "BACKUP_DAMAGED"
    );
    assert!(!data.join("store.redb").exists());
}

#[test]
fn a_file_that_was_missing_in_the_store_already_is_told_with_the_row_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("old");
    let host = host(&data);
    host.run("let text = \"x\"; for i in 0..17 { text += text; } kv::put(\"large\", text)");
    let hash = host.ground.content.list().unwrap()[0];
    fs::remove_file(host.ground.content.path(&hash).unwrap()).unwrap();
    let file = folder.path().join("a.backup");
    place(&host, &data)
        .backup(&file, None, &mut |_, _| ControlFlow::Continue(()))
        .unwrap();
    let aside = folder.path().join("aside");
    let verified = verify(&file, None, &aside, EngineOptions::default(), &mut |_, _| {
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(verified.checked.wrong >= 1);
    let told = format!("{:?}", verified.checked.problems);
    assert!(told.contains("kv large (dry)") && told.contains("is missing"), "{told}");
    let data = folder.path().join("new");
    let refused = restore(&file, &data, false, 1).unwrap_err();
    assert_eq!(refused.code(), "RESTORE_UNSOUND");
    assert!(!data.join("store.redb").exists());
    let restored = restore_as_it_is(&file, &data);
    assert_eq!(restored.wrong, verified.checked.wrong, "and it is told");
    ground(&data);
}

#[test]
fn a_run_whose_journal_cannot_be_read_is_held_when_it_is_restored_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("old");
    let host = host(&data);
    let waits = host.start("run::sleep(\"1h\")").id();
    let mut batch = Batch::new();
    batch.put(keys::journal(waits, 0), b"rubbish".to_vec());
    host.ground.store.commit(batch, Durability::Now).unwrap();
    let file = folder.path().join("a.backup");
    place(&host, &data)
        .backup(&file, None, &mut |_, _| ControlFlow::Continue(()))
        .unwrap();
    let data = folder.path().join("new");
    assert_eq!(restore(&file, &data, false, 1).unwrap_err().code(), "RESTORE_UNSOUND");
    let restored = restore_as_it_is(&file, &data);
    assert_eq!(restored.held[0].run, waits);
}

#[test]
fn a_store_that_somebody_makes_while_a_backup_is_unpacked_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (.., now_ms) = backed_up(folder.path());
    let (file, data) = (folder.path().join("a.backup"), folder.path().join("new"));
    let restoring = |replace| Restore {
        file: &file,
        key: None,
        data: &data,
        options: EngineOptions::default(),
        replace,
        as_it_is: false,
        by: Actor::new("ada", Via::Cli, "c"),
        now_ms,
    };
    let mut is_made = false;
    let made = restoring(false).perform(&mut |what, _| {
        if what == "checking" && !is_made {
            host(&data).run("kv::put(\"mine\", 1)");
            is_made = true;
        }
        ControlFlow::Continue(())
    });
    assert!(is_made, "it came in between");
    assert_eq!(made.unwrap_err().code(), "RESTORE_NOT_EMPTY");
    let theirs = host(&data);
    theirs.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(theirs.run("kv::get(\"mine\")").value(), &Value::from(1));
    drop(theirs);
    // The last moment: between the last look and the name.
    let unpacked = unpack(
        &file,
        None,
        &folder.path().join("unpacked"),
        EngineOptions::default(),
        &|last| last,
        &mut quietly,
    )
    .unwrap();
    let other = folder.path().join("other");
    let theirs = ground(&other);
    assert_eq!(install(&unpacked, &other, "x").unwrap_err().code(), "STORE_LOCKED");
    drop(theirs);
    assert!(unpacked.store.exists(), "it can be tried again");
}

#[test]
fn two_restores_at_once_do_not_touch_what_the_other_unpacks() {
    let folder = tempfile::tempdir().unwrap();
    let (.., now_ms) = backed_up(folder.path());
    let (file, data) = (folder.path().join("a.backup"), folder.path().join("new"));
    let mut other = None;
    let restoring = Restore {
        file: &file,
        key: None,
        data: &data,
        options: EngineOptions::default(),
        replace: true,
        as_it_is: false,
        by: Actor::new("ada", Via::Cli, "c"),
        now_ms,
    };
    let first = restoring.perform(&mut |what, _| {
        if what == "checking" && other.is_none() {
            other = Some(restore(&file, &data, true, now_ms + 1000));
        }
        ControlFlow::Continue(())
    });
    assert!(other.unwrap().unwrap().aside.is_none());
    assert!(first.unwrap().aside.is_some(), "the one that ended first is aside");
    ground(&data);
}

#[test]
fn browsers_log_in_again_and_backups_begin_anew_after_a_restore() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("old");
    let host = host(&data);
    let store = &*host.ground.store;
    let rows = [
        keys::named(Space::Session, &["a"]),
        keys::named(Space::Meta, &["backup"]),
    ];
    let mut batch = Batch::new();
    for row in &rows {
        batch.put(row.clone(), vec![1]);
    }
    store.commit(batch, Durability::Now).unwrap();
    let file = folder.path().join("a.backup");
    place(&host, &data)
        .backup(&file, None, &mut |_, _| ControlFlow::Continue(()))
        .unwrap();
    let data = folder.path().join("new");
    restore(&file, &data, false, 5).unwrap();
    let restored = ground(&data);
    let left = rows.map(|row| restored.store.get(&row).unwrap().is_some());
    assert_eq!(left, [false, false]);
}

#[test]
fn each_restore_begins_another_epoch_and_what_was_held_stays_held() {
    let folder = tempfile::tempdir().unwrap();
    let (_, waits, now_ms) = backed_up(folder.path());
    let data = folder.path().join("new");
    restore(&folder.path().join("a.backup"), &data, false, now_ms).unwrap();
    let second = folder.path().join("b.backup");
    {
        let host = host(&data);
        place(&host, &data)
            .backup(&second, None, &mut |_, _| ControlFlow::Continue(()))
            .unwrap();
    }
    let again = restore(&second, &data, true, now_ms + 5000).unwrap();
    assert_eq!(again.epoch, 3);
    let ground = ground(&data);
    let epoch = Epoch::read(&*ground.store).unwrap();
    assert_eq!(
        epoch.all_lost().len(),
        2,
        "what may have been sent before the first is not forgotten"
    );
    let first_ms = epoch.all_lost()[0].backup_ms;
    assert_eq!(epoch.sent_since(&*ground.store, waits, None).unwrap(), Some(first_ms));
    assert!(epoch::is_held(&*ground.store, waits).unwrap());
    assert!(
        !Epoch::read(&*ground.store).unwrap().was_paused,
        "the restore's own pause was nobody's"
    );
}

#[test]
fn no_commit_of_a_life_has_a_number_that_another_life_used_after_the_backup() {
    let folder = tempfile::tempdir().unwrap();
    let (.., backup_ms) = backed_up(folder.path());
    let file = folder.path().join("a.backup");
    let lost = {
        let store = ground(&folder.path().join("old")).store;
        let commit = |_| {
            let mut batch = Batch::new();
            batch.put(keys::named(Space::Pause, &["lost"]), Vec::new());
            store.commit(batch, Durability::Now).unwrap().0
        };
        (0..50).map(commit).last().unwrap()
    };
    let life = |name: &str, now_ms: i64| {
        let data = folder.path().join(name);
        restore(&file, &data, false, now_ms).unwrap();
        let store = ground(&data).store;
        let mut batch = Batch::new();
        batch.put(keys::named(Space::Pause, &["x"]), Vec::new());
        let first = store.commit(batch, Durability::Now).unwrap().0;
        (Epoch::read(&*store).unwrap(), first)
    };
    let (one, one_first) = life("one", backup_ms + 1000);
    let (two, two_first) = life("two", backup_ms + 3000);
    // The clock of whoever restores may stand anywhere.
    let (early, early_first) = life("early", 5);
    assert!(
        early.began_ms >= backup_ms,
        "no run of the backup is younger than its restore"
    );
    let kept = one.origin.as_ref().unwrap().last_commit;
    assert!(kept < lost && lost < early_first && early_first < one_first && one_first < two_first);
    assert!(two_first - one_first >= 1 << 20, "{one_first} and {two_first}");
    for (epoch, first) in [(&one, one_first), (&two, two_first), (&early, early_first)] {
        assert!(
            epoch.has_lost(lost) && !epoch.has_lost(kept) && !epoch.has_lost(first),
            "{epoch:?}"
        );
    }
}

#[test]
fn what_the_lost_life_used_is_known_to_be_lost_after_another_restore_too() {
    let folder = tempfile::tempdir().unwrap();
    let (.., now_ms) = backed_up(folder.path());
    let data = folder.path().join("new");
    restore(&folder.path().join("a.backup"), &data, false, now_ms).unwrap();
    let second = folder.path().join("b.backup");
    let lost = {
        let host = host(&data);
        place(&host, &data)
            .backup(&second, None, &mut |_, _| ControlFlow::Continue(()))
            .unwrap();
        Epoch::read(&*host.ground.store).unwrap().origin.unwrap().last_commit + 1
    };
    restore(&second, &data, true, now_ms + 5000).unwrap();
    let epoch = Epoch::read(&*ground(&data).store).unwrap();
    assert!(epoch.has_lost(lost), "{epoch:?}");
}

#[test]
fn a_write_that_was_under_way_is_named_with_the_run_that_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("old");
    let host = host(&data);
    let waits = host.start("run::sleep(\"1h\"); 7").id();
    let recorded = Recorded::load(&host.ground, waits).unwrap();
    let step = recorded.steps.keys().last().unwrap() + 1;
    let asked = Asked {
        step,
        name: "acme.send".to_owned(),
        class: Class::Write,
        ..Asked::default()
    };
    let intent = Intent {
        asked,
        attempt: 1,
        key: "k".to_owned(),
        at_ms: recorded.last_ms,
        send_deadline_ms: recorded.last_ms,
        epoch: recorded.epoch,
        decision: None,
    };
    let mut batch = Batch::new();
    let row = entry::encode(&[Entry::Intent(intent)]);
    batch.put(keys::journal(waits, recorded.entries), row);
    host.ground.store.commit(batch, Durability::Now).unwrap();
    let file = folder.path().join("a.backup");
    place(&host, &data)
        .backup(&file, None, &mut |_, _| ControlFlow::Continue(()))
        .unwrap();
    let restored = restore(&file, &folder.path().join("new"), false, host.clock.unix_ms()).unwrap();
    let writes = &restored.held[0].writes;
    assert_eq!(writes.len(), 1);
    assert_eq!(
        (writes[0].step, writes[0].name.as_str(), writes[0].attempt),
        (step, "acme.send", 1)
    );
    let shown = release::hold(&ground(&folder.path().join("new")), 0).unwrap().unwrap();
    assert_eq!(&shown.runs[0].writes, writes, "also later");
}

#[test]
fn a_release_wakes_what_waits_and_leaves_ticks_and_paused_queues_as_it_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let (_, waits, now_ms) = backed_up(folder.path());
    let data = folder.path().join("new");
    restore(&folder.path().join("a.backup"), &data, false, now_ms).unwrap();
    let ground = ground(&data);
    let store = &*ground.store;
    let mut tx = Tx::new(&ground, Realm::Dry, now_ms);
    let paused = queue::pause::Paused {
        since_ms: 1,
        by: "anna".to_owned(),
        why: String::new(),
    };
    queue::pause::put(&mut tx, "videos", Some(&paused)).unwrap();
    store.commit(tx.batch, Durability::Now).unwrap();
    let hold = release::hold(&ground, now_ms).unwrap().unwrap();
    assert!(hold.queues.is_empty(), "nobody takes its jobs: {hold:?}");
    release::release_all(&ground, now_ms, None, Resumed::Latest, Jobs::Pause).unwrap();
    assert!(
        store.get(&keys::wake(0, waits)).unwrap().is_some(),
        "whoever drives runs looks at it"
    );
    assert_eq!(
        Pauses::load(store).unwrap().resumed("any"),
        Some((now_ms, Resumed::Latest))
    );
    let mut tx = Tx::new(&ground, Realm::Dry, 0);
    let still = queue::pause::get(&mut tx, "videos").unwrap().unwrap();
    assert_eq!(still.by, "anna", "her pause is hers");
}
