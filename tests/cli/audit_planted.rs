//! Somebody has been at the store's file: `host audit verify` says so. And ends of the log that are noted outside of it.

use std::time::{Duration, Instant};

use host::journal::audit::{Entry, GENESIS, Head, hash};
use host::store::engine::{Engine, EngineOptions};
use host::store::keys::{self, Space};
use host::store::{Batch, Durability, Store};

use crate::project::Project;
use crate::served::server::Server;

/// Acts that each project begins with.
const ACTS: u64 = 6;

/// A project with some acts, and their end.
fn project() -> (Project, String) {
    let project = Project::bare().env("HOST_USER", "ada");
    for number in 1..=ACTS {
        project.ok(&["kv", "set", &format!("key-{number}"), "1"]);
    }
    let verdict = project.json(&["audit", "verify"]);
    assert_eq!(
        (&verdict["sound"], verdict["acts"].as_u64()),
        (&true.into(), Some(ACTS))
    );
    let head = verdict["head"].as_str().expect("a head").to_owned();
    (project, head)
}

fn row_key(number: u64) -> Vec<u8> {
    keys::named(Space::Audit, &["act", &format!("{number:020}")])
}

/// The store's file, as somebody has it who may write it.
fn at_file<T>(project: &Project, work: impl FnOnce(&dyn Store) -> T) -> T {
    let store = Engine::open(&project.store(), EngineOptions::default()).expect("a store");
    let done = work(&store);
    store.close().expect("it is on the disk");
    done
}

fn line(store: &dyn Store, number: u64) -> Vec<u8> {
    store
        .get(&row_key(number))
        .expect("it is read")
        .expect("it is there")
        .value
}

fn put(store: &dyn Store, rows: Vec<(Vec<u8>, Option<Vec<u8>>)>) {
    let mut batch = Batch::new();
    for (key, value) in rows {
        match value {
            Some(value) => batch.put(key, value),
            None => batch.delete(key),
        }
    }
    store.commit(batch, Durability::Now).expect("it is committed");
}

fn head_row(head: &Head) -> (Vec<u8>, Option<Vec<u8>>) {
    let value = serde_json::to_vec(head).expect("JSON");
    (keys::named(Space::Audit, &["head"]), Some(value))
}

/// Writes `entries` as a chain of its own, each with the hash of the one before, and a head that fits.
fn forge(store: &dyn Store, mut entries: Vec<Entry>) {
    let mut rows = Vec::new();
    let mut before = GENESIS.to_owned();
    let mut number = 0;
    for entry in &mut entries {
        number += 1;
        (entry.number, entry.prev) = (number, before);
        let line = serde_json::to_vec(entry).expect("JSON");
        before = hash(&line);
        rows.push((row_key(number), Some(line)));
    }
    rows.push(head_row(&Head { number, hash: before }));
    put(store, rows);
}

fn entries(store: &dyn Store) -> Vec<Entry> {
    let all = 1..=ACTS;
    all.map(|number| serde_json::from_slice(&line(store, number)).expect("an act"))
        .collect()
}

/// What `host audit verify` finds; `None` when it finds nothing.
fn found(project: &Project, more: &[&str]) -> Option<String> {
    let answer = project.host(&[&["audit", "verify"], more].concat());
    match answer.code {
        0 => None,
        1 => Some(answer.stdout),
        _ => panic!("{answer:?}"),
    }
}

type Tamper = (&'static str, fn(&dyn Store), &'static str);

#[test]
fn an_altered_removed_swapped_or_inserted_act_in_the_file_is_found_and_named() {
    let cases: [Tamper; 7] = [
        (
            "altered",
            |store| {
                let text = String::from_utf8(line(store, 3)).expect("text").replace("ada", "eve");
                put(store, vec![(row_key(3), Some(text.into_bytes()))]);
            },
            "act 3: act 3 is not as it was written",
        ),
        (
            "removed",
            |store| put(store, vec![(row_key(3), None)]),
            "acts 3 to 3 are missing",
        ),
        (
            "removed at the end",
            |store| put(store, vec![(row_key(ACTS), None)]),
            "acts 6 to 6 are missing",
        ),
        (
            "removed at the beginning",
            |store| put(store, vec![(row_key(1), None)]),
            "acts 1 to 1 are missing",
        ),
        (
            "swapped",
            |store| {
                let (two, five) = (line(store, 2), line(store, 5));
                put(store, vec![(row_key(2), Some(five)), (row_key(5), Some(two))]);
            },
            "act 2 stands where 5 belongs",
        ),
        (
            "inserted",
            |store| {
                // In the place of another, with its number and the right hash before it.
                let mut entry: Entry = serde_json::from_slice(&line(store, 4)).expect("an act");
                entry.who = "eve".to_owned();
                put(
                    store,
                    vec![(row_key(4), Some(serde_json::to_vec(&entry).expect("JSON")))],
                );
            },
            "act 4 is not as it was written",
        ),
        (
            "added at the end",
            |store| {
                let mut entry: Entry = serde_json::from_slice(&line(store, ACTS)).expect("an act");
                (entry.number, entry.prev) = (ACTS + 1, hash(&line(store, ACTS)));
                put(
                    store,
                    vec![(row_key(ACTS + 1), Some(serde_json::to_vec(&entry).expect("JSON")))],
                );
            },
            "acts stand beyond the head",
        ),
    ];
    for (name, tamper, says) in cases {
        let (project, _) = project();
        at_file(&project, tamper);
        let found = found(&project, &[]).unwrap_or_else(|| panic!("{name}: it is not found"));
        assert!(found.contains(says), "{name}: {found}");
        let checked = project.host(&["store", "check"]);
        assert!(
            checked.code == 1 && checked.stdout.contains("the audit log"),
            "{name}: {checked:?}"
        );
    }
}

#[test]
fn a_tail_that_was_cut_off_with_the_head_and_a_log_written_anew_are_found_by_the_head_that_was_noted() {
    let cut = |store: &dyn Store| {
        let head = Head {
            number: 4,
            hash: hash(&line(store, 4)),
        };
        put(store, vec![(row_key(5), None), (row_key(6), None), head_row(&head)]);
    };
    let inserted = |store: &dyn Store| {
        let mut all = entries(store);
        let mut one = all[2].clone();
        one.who = "eve".to_owned();
        all.insert(3, one);
        forge(store, all);
    };
    let removed = |store: &dyn Store| {
        let mut all = entries(store);
        all.remove(2);
        put(store, vec![(row_key(ACTS), None)]);
        forge(store, all);
    };
    let altered = |store: &dyn Store| {
        let mut all = entries(store);
        all[0].who = "eve".to_owned();
        forge(store, all);
    };
    type Tamper<'t> = (&'t str, &'t dyn Fn(&dyn Store));
    let each: [Tamper<'_>; 4] = [
        ("cut", &cut),
        ("inserted", &inserted),
        ("removed", &removed),
        ("altered", &altered),
    ];
    for (name, tamper) in each {
        let (project, head) = project();
        assert_eq!(found(&project, &["--head", &head]), None);
        at_file(&project, tamper);
        assert_eq!(found(&project, &[]), None, "{name}: in itself it is without fault");
        assert!(found(&project, &["--head", &head]).is_some(), "{name}");
    }
}

#[test]
fn a_backup_of_a_log_that_somebody_was_at_says_so_and_is_restored_with_a_warning() {
    let (project, _) = project();
    at_file(&project, |store| put(store, vec![(row_key(3), None)]));
    project.ok(&["backup", "a.backup"]);
    let verified = project.host(&["backup", "verify", "a.backup"]);
    assert!(
        verified.code == 1 && verified.stdout.contains("acts 3 to 3 are missing"),
        "{verified:?}"
    );
    let restored = project.ok(&["restore", "a.backup", "--replace"]);
    assert!(restored.contains("are not as they were written"), "{restored}");
    let act = &project.json(&["audit", "tail", "--what", "store.restore"])[0];
    assert_eq!(act["details"]["wrong_acts"], 1, "{act}");
}

#[test]
fn a_server_notes_the_end_of_the_log_in_a_file_and_tells_when_it_does_not_hold_it_any_more() {
    let (project, _) = project();
    project.write("host.toml", "[audit]\nhead_file = \"heads\"\nhead_every = \"1s\"\n");
    let server = Server::start(&project);
    let heads = project.path("heads");
    let give_up_at = Instant::now() + Duration::from_secs(30);
    while !std::fs::read_to_string(&heads).is_ok_and(|text| text.contains(" 6:")) {
        assert!(Instant::now() < give_up_at, "nothing is noted");
        std::thread::sleep(Duration::from_millis(50));
    }
    project.ok(&["kv", "set", "late", "1"]);
    assert_eq!(server.stop(), 0);
    let noted = std::fs::read_to_string(&heads).expect("text");
    assert!(
        noted.lines().last().is_some_and(|line| line.contains(" 7:")),
        "as it ends: {noted}"
    );
    let verified = project.ok(&["audit", "verify"]);
    assert!(verified.contains("ends of it stand in"), "{verified}");
    at_file(&project, |store| forge(store, entries(store)[..5].to_vec()));
    at_file(&project, |store| {
        put(store, vec![(row_key(6), None), (row_key(7), None)])
    });
    let found = found(&project, &[]).expect("it is found without a flag");
    assert!(found.contains("the log does not hold what was noted in"), "{found}");
    let _server = Server::start(&project);
    let give_up_at = Instant::now() + Duration::from_secs(30);
    while !project.host(&["status"]).stdout.contains("does not hold act 7:") {
        assert!(Instant::now() < give_up_at, "{:?}", project.host(&["status"]));
        std::thread::sleep(Duration::from_millis(200));
    }
    let incidents = project.ok(&["incident", "list"]);
    assert!(
        incidents.contains("the audit log was cut off or altered"),
        "{incidents}"
    );
}

#[test]
fn acts_that_are_old_enough_are_pruned_by_hand_with_an_act() {
    let (project, _) = project();
    at_file(&project, |store| {
        let mut all = entries(store);
        all[..2].iter_mut().for_each(|entry| entry.at_ms = 1000);
        forge(store, all);
    });
    project.ok(&["audit", "prune", "--yes"]);
    let verdict = project.json(&["audit", "verify"]);
    assert_eq!(
        (&verdict["sound"], verdict["first"].as_u64()),
        (&true.into(), Some(3)),
        "{verdict}"
    );
    let act = &project.json(&["audit", "tail", "--what", "audit.prune"])[0];
    assert_eq!(
        (act["who"].as_str(), act["details"]["acts"].as_u64()),
        (Some("ada"), Some(2))
    );
}

#[test]
fn a_store_that_is_brought_to_another_format_says_so_once() {
    let project = Project::bare().env("HOST_USER", "ada");
    let old = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/store-v1.redb");
    std::fs::create_dir_all(project.path("data")).expect("a folder");
    std::fs::copy(old, project.store()).expect("a copy");
    for key in ["a", "b"] {
        project.ok(&["kv", "set", key, "1"]);
    }
    let acts = project.json(&["audit", "tail"]);
    let acts: Vec<_> = acts
        .as_array()
        .expect("a list")
        .iter()
        .map(|act| act["what"].clone())
        .collect();
    assert_eq!(acts, ["store.upgrade", "kv.set", "kv.set"]);
    assert_eq!(project.json(&["audit", "verify"])["sound"], true);
}
