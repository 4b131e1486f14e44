//! Events, and what runs leave behind that are over: what goes of them, and what stays because somebody may still ask.

#![expect(clippy::disallowed_methods, reason = "a test makes folders of runs")]

use std::collections::BTreeSet;
use std::time::Duration;

use super::retention_tests::{DAY, DAY_MS, Kept, by_age, rows};
use super::settings::Limits;
use crate::id::RunId;
use crate::io::clock::Clock;
use crate::journal::event::{self, Cursor};
use crate::store::keys::{self, Place as Key, Space};
use crate::store::{Batch, Durability, Realm, Tx};
use crate::value::Value;

fn emit(kept: &Kept, name: &str, count: i64) {
    for number in 0..count {
        let (host, data) = (&kept.host, Value::from(number));
        let now_ms = host.clock.unix_ms();
        event::emit(&host.ground, Realm::Dry, name, &data, now_ms, Durability::Soon).unwrap();
    }
}

fn events_by_age(days: i64) -> Limits {
    Limits {
        events_ms: Some(days * DAY_MS),
        ..Limits::default()
    }
}

/// How many rows of `space` have `name` for one of their names.
fn count(kept: &Kept, space: Space, name: &str) -> usize {
    let is_it = |key: &Vec<u8>| match keys::parse(key) {
        Some(Key::Named { space: of, names }) => of == space && names.iter().any(|of| of == name),
        _ => false,
    };
    rows(&*kept.host.ground.store).keys().filter(|key| is_it(key)).count()
}

fn named(space: Space, names: &[&str], value: Vec<u8>, kept: &Kept) {
    let mut batch = Batch::new();
    batch.put(keys::named(space, names), value);
    kept.host.ground.store.commit(batch, Durability::Now).unwrap();
}

#[test]
fn a_run_that_waited_for_an_event_of_a_name_that_never_comes_again_goes_with_what_it_left() {
    let kept = Kept::new();
    let host = &kept.host;
    let run = host.start(r#"run::wait_event("order-1.paid")"#).id();
    emit(&kept, "order-1.paid", 1);
    host.clock.advance(Duration::from_secs(1));
    host.resume(run).unwrap();
    assert_eq!(count(&kept, Space::Waiter, "order-1.paid"), 1);
    host.clock.advance(DAY * 60);
    let preview = kept.retain(by_age(30), true);
    let swept = kept.retain(by_age(30), false);
    assert_eq!((swept.runs, swept.traces, swept.kept), (1, 1, 0), "{swept:?}");
    assert_eq!(
        (preview.runs, preview.traces, preview.bytes_left),
        (1, 1, swept.bytes_left)
    );
    assert_eq!(count(&kept, Space::Waiter, "order-1.paid"), 0);
    assert_eq!(kept.runs(), BTreeSet::new());
}

#[test]
fn what_kept_runs_apart_keeps_none_of_them_when_it_is_over() {
    let kept = Kept::new();
    let host = &kept.host;
    let (run, other) = (host.run("1").id(), host.run("2").id());
    let busy = host.start("run::sleep(\"3000d\")").id();
    let now_ms = host.clock.unix_ms();
    let claim = |owner: RunId, until_ms: i64| {
        let row = Value::Map(
            [
                ("owner".to_owned(), Value::from(owner.to_string())),
                ("until_ms".to_owned(), Value::from(until_ms)),
            ]
            .into_iter()
            .collect(),
        );
        rmp_serde::to_vec_named(&row).unwrap()
    };
    named(
        Space::Claim,
        &["openai.image", "left"],
        claim(run, now_ms + 1000),
        &kept,
    );
    named(
        Space::Claim,
        &["openai.image", "held"],
        claim(other, now_ms + 100 * DAY_MS),
        &kept,
    );
    named(Space::Idempotency, &["key", "passed"], claim(run, now_ms + 1000), &kept);
    named(
        Space::Idempotency,
        &["key", "holds"],
        claim(busy, now_ms + 100 * DAY_MS),
        &kept,
    );
    let last = |run: RunId| rmp_serde::to_vec_named(&std::collections::BTreeMap::from([("runs", vec![run])])).unwrap();
    named(Space::Overlap, &["publish", "video", "7"], last(run), &kept);
    named(Space::Overlap, &["publish", "video", "8"], last(busy), &kept);
    host.clock.advance(DAY * 60);
    let swept = kept.retain(by_age(30), false);
    assert_eq!((swept.runs, swept.traces), (2, 2), "{swept:?}");
    let left = [
        count(&kept, Space::Idempotency, "passed"),
        count(&kept, Space::Idempotency, "holds"),
        count(&kept, Space::Claim, "left"),
        count(&kept, Space::Claim, "held"),
        count(&kept, Space::Overlap, "7"),
        count(&kept, Space::Overlap, "8"),
    ];
    assert_eq!(left, [0, 1, 0, 1, 1, 1], "the run is gone only now");
    assert_eq!(kept.retain(by_age(30), false).traces, 1);
    assert_eq!(
        (count(&kept, Space::Overlap, "7"), count(&kept, Space::Overlap, "8")),
        (0, 1)
    );
    assert_eq!(kept.runs(), BTreeSet::from([busy]));
}

#[test]
fn old_events_go_with_the_count_of_their_name_and_young_ones_stay() {
    let kept = Kept::new();
    emit(&kept, "order-1.paid", 3);
    emit(&kept, "daily", 3);
    kept.host.clock.advance(DAY * 40);
    emit(&kept, "daily", 2);
    assert_eq!(kept.retain(by_age(30), false).events, 0, "nobody has said how long");
    let preview = kept.retain(events_by_age(30), true);
    let swept = kept.retain(events_by_age(30), false);
    assert_eq!(
        (preview.events, swept.events),
        (7, 7),
        "six events, and the count of a name"
    );
    assert_eq!(preview.bytes_left, swept.bytes_left);
    assert_eq!(count(&kept, Space::Event, "order-1.paid"), 0);
    assert_eq!(count(&kept, Space::Event, "daily"), 3);
    let mut tx = Tx::new(&kept.host.ground, Realm::Dry, kept.host.clock.unix_ms());
    assert_eq!(event::next_number(&mut tx, "daily").unwrap(), 5, "it goes on counting");
    assert_eq!(kept.retain(events_by_age(30), false).events, 0);
    emit(&kept, "order-1.paid", 1);
    assert_eq!(count(&kept, Space::Event, "order-1.paid"), 2, "and begins anew");
}

#[test]
fn an_event_stays_as_long_as_a_run_may_ask_for_it() {
    let kept = Kept::new();
    let host = &kept.host;
    emit(&kept, "go", 1);
    host.clock.advance(Duration::from_secs(60));
    let waits = host.start(r#"run::sleep("50d"); run::wait_event("go")"#).id();
    let fails = host.start(r#"run::sleep("39d"); throw "down""#).id();
    host.clock.advance(Duration::from_secs(60));
    emit(&kept, "go", 2);
    host.clock.advance(DAY * 40);
    host.resume(fails).unwrap();
    assert_eq!(
        kept.retain(events_by_age(30), false).events,
        1,
        "the one before both were born"
    );
    host.clock.advance(DAY * 11);
    let waited = host.resume(waits).unwrap();
    assert_eq!(waited.value(), &Value::from(0), "the first that came after its birth");
    let swept = kept.retain(events_by_age(30), false);
    assert_eq!((swept.events, swept.traces), (0, 1), "one that failed may go on");
    host.clock.advance(DAY * 31);
    assert_eq!(kept.retain(events_by_age(30), false).events, 3, "and the count");
    assert_eq!(count(&kept, Space::Event, "go"), 0);
}

#[test]
fn an_event_stays_until_every_playbook_that_it_starts_has_come_past_it() {
    let kept = Kept::new();
    emit(&kept, "posted", 5);
    let cursor = |playbook: &str, next: u64| {
        let mut batch = Batch::new();
        batch.put(
            Cursor::key(playbook, Realm::Dry, "posted"),
            Cursor { next, lost: 0 }.encode(),
        );
        kept.host.ground.store.commit(batch, Durability::Now).unwrap();
    };
    cursor("quick", 5);
    cursor("paused", 2);
    kept.host.clock.advance(DAY * 40);
    assert_eq!(kept.retain(events_by_age(30), false).events, 2);
    let mut tx = Tx::new(&kept.host.ground, Realm::Dry, 0);
    let since = event::since(&mut tx, "posted", 2, 10).unwrap();
    assert_eq!((since.events.len(), since.next, since.lost), (3, 5, 0));
    cursor("paused", 5);
    assert_eq!(kept.retain(events_by_age(30), false).events, 3);
    assert_eq!(
        count(&kept, Space::Event, "posted"),
        1,
        "its count stays: they reckon from it"
    );
    emit(&kept, "posted", 1);
    let mut tx = Tx::new(&kept.host.ground, Realm::Dry, 0);
    let since = event::since(&mut tx, "posted", 5, 10).unwrap();
    assert_eq!((since.events[0].number, since.next, since.lost), (5, 6, 0));
}

#[test]
fn a_row_that_changes_while_others_go_keeps_none_of_them() {
    let kept = Kept::new();
    emit(&kept, "go", 20);
    kept.host.run("kv::put(\"short\", 1, #{ ttl: \"1h\" })");
    kept.host.clock.advance(DAY * 40);
    let store = &*kept.host.ground.store;
    let key = keys::named(Space::Event, &["dry", "go", &format!("{:020}", 7)]);
    let value = store.get(&key).unwrap().unwrap().value;
    let mut is_first = true;
    let swept = kept.retain_telling(events_by_age(30), false, &mut |what| {
        // It is told after the pairs, which come first.
        if what == "removing rows" && std::mem::take(&mut is_first) {
            let mut batch = Batch::new();
            batch.put(key.clone(), value.clone());
            store.commit(batch, Durability::Now).unwrap();
        }
    });
    assert_eq!((swept.pairs, swept.events), (1, 20), "19 events and their count");
    assert!(store.get(&key).unwrap().is_some());
}

#[test]
fn how_far_a_run_had_come_with_events_that_failed_stays_with_it_and_goes_with_it() {
    let kept = Kept::new();
    let host = &kept.host;
    let run = host.start(r#"run::wait_event("go"); throw "down""#).id();
    emit(&kept, "go", 1);
    host.clock.advance(Duration::from_secs(1));
    host.resume(run).unwrap();
    host.clock.advance(DAY * 20);
    assert_eq!(kept.retain(by_age(30), false).traces, 0, "it may go on");
    assert_eq!(count(&kept, Space::Waiter, "go"), 1);
    host.clock.advance(DAY * 20);
    assert_eq!(kept.retain(by_age(30), false).runs, 1);
    assert_eq!(kept.retain(by_age(30), false).traces, 1);
    assert_eq!(count(&kept, Space::Waiter, "go"), 0);
}

#[test]
fn a_run_that_the_host_itself_notes_stays_and_so_does_a_delivery_that_may_come_again() {
    let kept = Kept::new();
    let host = &kept.host;
    let (noted, other) = (host.run("1").id(), host.run("2").id());
    named(Space::Meta, &["x"], format!("last {noted}").into_bytes(), &kept);
    host.clock.advance(DAY * 40);
    let arrival = crate::journal::intake::Arrival {
        path: "/hooks/a",
        playbook: "a",
        sent_id: "1",
        by_body: true,
        sent_ms: None,
        headers: Default::default(),
        body: b"x",
        corr: "c",
    };
    arrival.take(&host.ground, host.clock.unix_ms(), 1).unwrap();
    let space = || keys::prefix_range(keys::named(Space::Webhook, &[]));
    let rows = || host.ground.store.scan(space(), 100, false).unwrap().len();
    let before = rows();
    host.clock.advance(DAY * 29);
    kept.retain(by_age(30), false);
    assert!(before > 0 && rows() == before);
    assert!(kept.runs().contains(&noted) && !kept.runs().contains(&other));
    host.clock.advance(DAY * 2);
    kept.retain(by_age(30), false);
    assert_eq!(rows(), 0);
}

#[test]
fn a_file_that_only_a_large_value_names_stays_as_long_as_that() {
    let kept = Kept::new();
    let host = &kept.host;
    let content = &*host.ground.content;
    let clip = content.put(&[7; 100_000]).unwrap();
    let large = format!(r#"let text = "{clip} "; for i in 0..11 {{ text += text; }} kv::put("list", text)"#);
    host.run(&large);
    host.clock.advance(DAY * 365 * 60);
    kept.retain(by_age(30), false);
    assert!(content.path(&clip).is_some(), "it is named in turn");
    assert_eq!(content.list().unwrap().len(), 2);
    host.run(r#"kv::remove("list")"#);
    host.clock.advance(DAY * 60);
    kept.retain(by_age(30), false);
    assert!(content.list().unwrap().is_empty());
}

#[test]
fn a_text_with_which_a_run_begins_while_it_goes_is_put_back() {
    let kept = Kept::new();
    let host = &kept.host;
    host.run("1 + 41");
    let store = &*host.ground.store;
    let texts = || {
        let keys = rows(store).into_keys();
        let text = |key: Vec<u8>| match keys::parse(&key) {
            Some(Key::Version(hash)) => Some(hash),
            _ => None,
        };
        keys.filter_map(text).collect::<Vec<_>>()
    };
    let [text] = texts()[..] else { panic!("one text") };
    // So many rows that somebody is asked in the middle of them.
    for part in 0..3 {
        let mut batch = Batch::new();
        for number in 0..1000 {
            batch.put(
                keys::named(Space::Meta, &["x", &format!("{part}-{number}")]),
                Vec::new(),
            );
        }
        store.commit(batch, Durability::Soon).unwrap();
    }
    host.clock.advance(DAY * 60);
    let begun = RunId::new(host.clock.unix_ms(), 9);
    let swept = kept.retain_telling(by_age(30), false, &mut |what| {
        if what == "looking for names" {
            let mut batch = Batch::new();
            batch.put(keys::journal(begun, 0), text.to_string().into_bytes());
            store.commit(batch, Durability::Now).unwrap();
        }
    });
    assert_eq!((swept.runs, swept.texts), (1, 0), "{swept:?}");
    assert_eq!(texts(), [text]);
}

#[test]
fn folders_of_runs_that_are_there_or_young_stay() {
    let kept = Kept::new();
    let host = &kept.host;
    let there = host.start("run::sleep(\"3000d\")").id();
    let gone = RunId::new(host.clock.unix_ms(), 9);
    host.clock.advance(DAY * 60);
    let young = RunId::new(host.clock.unix_ms(), 9);
    let folder = |run: RunId| kept.folder.path().join("runs").join(run.to_string());
    [there, gone, young]
        .iter()
        .for_each(|run| std::fs::create_dir_all(folder(*run)).unwrap());
    assert_eq!(kept.retain(by_age(30), false).folders, 1);
    assert!(folder(there).is_dir() && folder(young).is_dir() && !folder(gone).exists());
}
