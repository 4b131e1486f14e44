//! Runs that events, ends of runs, files and the host's start begin: each once.

use std::time::Duration;

use super::after::After;
use super::edition_tests::{edition, turn};
use super::events::{Events, cursor};
use super::files::Files;
use super::start::GENERATIONS_MAX;
use super::startup::Startup;
use super::{Trigger, Turn};
use crate::id::RunId;
use crate::io::clock::Clock;
use crate::journal::{RunRecord, Status, event, unstarted};
use crate::script::triggers::{Awaits, Follows, Overlap, Policy, Triggers};
use crate::serve::Edition;
use crate::store::ticks::Resumed;
use crate::store::ticks::pause::{self, ALL, Pause};
use crate::store::{Batch, Durability, Realm, Tx};
use crate::testing::TestHost;
use crate::value::Value;

fn host(playbooks: &[(&str, &str)]) -> TestHost {
    let host = TestHost::default().file("host.toml", "");
    playbooks.iter().fold(host, |host, (name, script)| {
        host.file(&format!("playbooks/{name}.rhai"), script)
    })
}

fn look(host: &TestHost, edition: &Edition, trigger: &mut dyn Trigger, room: usize) -> Turn {
    trigger
        .turn(edition, host.clock.unix_ms(), room)
        .expect("the store takes it")
}

fn emit(host: &TestHost, name: &str, data: Value) {
    event::emit(
        &host.ground,
        Realm::Dry,
        name,
        &data,
        host.clock.unix_ms(),
        Durability::Soon,
    )
    .expect("it happens");
}

fn kv(host: &TestHost, key: &str) -> String {
    let mut tx = Tx::new(&host.ground, Realm::Dry, 0);
    let value = crate::store::kv::get(&mut tx, key).expect("the store answers");
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

fn on_event(name: &str) -> Triggers {
    Triggers {
        events: vec![name.to_owned()],
        ..Triggers::default()
    }
}

const NOTES_CLIP: &str = r#"const PLAYBOOK = #{ inputs: #{ clip: #{ type: "string" } } };
kv::put("seen", (kv::get("seen") ?? "") + input.clip);"#;

#[test]
fn each_event_from_the_first_look_on_starts_one_run_with_what_is_declared_of_its_data() {
    let host = host(&[("note", NOTES_CLIP)]);
    let edition = edition(&host, &[("note", on_event("posted"))]);
    let clip = |name: &str| Value::from([("clip", name.into()), ("views", Value::Int(7))]);
    emit(&host, "posted", clip("before"));
    let mut events = Events::default();
    assert_eq!(look(&host, &edition, &mut events, 8), Turn::default());
    for name in ["a", "b", "c"] {
        emit(&host, "posted", clip(name));
    }
    let (first, _) = turn(&host, &edition, &mut events, 2);
    assert_eq!((first.runs.len(), first.has_more), (2, true));
    // Another process goes on where this one was.
    let (second, _) = turn(&host, &edition, &mut Events::default(), 2);
    assert_eq!((second.runs.len(), second.has_more), (1, false));
    assert_eq!(kv(&host, "seen"), r#""abc""#);
    assert_eq!(look(&host, &edition, &mut events, 8), Turn::default());
}

#[test]
fn events_that_are_not_kept_any_more_are_counted() {
    let host = host(&[("note", "1")]);
    let edition = edition(&host, &[("note", on_event("posted"))]);
    let mut events = Events::default();
    look(&host, &edition, &mut events, 8);
    for _ in 0..1005 {
        emit(&host, "posted", Value::Unit);
    }
    assert_eq!(look(&host, &edition, &mut events, 2000).runs.len(), 1000);
    let cursor = cursor(&*host.ground.store, "note", Realm::Dry, "posted")
        .unwrap()
        .unwrap();
    assert_eq!((cursor.next, cursor.lost), (1005, 5));
}

#[test]
fn a_playbook_that_an_event_starts_again_later_does_not_meet_what_came_meanwhile() {
    let host = host(&[("note", "1"), ("other", "1")]);
    let notes = || edition(&host, &[("note", on_event("posted")), ("other", on_event("posted"))]);
    let mut first = notes();
    look(&host, &first, &mut Events::default(), 8);
    emit(&host, "posted", Value::Unit);
    // While no host was there, the header of one was mended and mended again.
    let mut events = Events::default();
    let without = edition(&host, &[("other", on_event("posted"))]);
    assert_eq!(look(&host, &without, &mut events, 8).runs.len(), 1, "the other goes on");
    first.number = without.number + 1;
    assert_eq!(look(&host, &first, &mut events, 8).runs, []);
    emit(&host, "posted", Value::Unit);
    assert_eq!(look(&host, &first, &mut events, 8).runs.len(), 2);
    // One that is only broken meets it.
    let mut broken = notes();
    broken.playbooks.remove("note");
    broken.number = first.number + 1;
    look(&host, &broken, &mut events, 8);
    emit(&host, "posted", Value::Unit);
    assert_eq!(look(&host, &broken, &mut events, 8).runs.len(), 1, "the other goes on");
    first.number = broken.number + 1;
    assert_eq!(look(&host, &first, &mut events, 8).runs.len(), 1);
}

fn after(playbook: &str, status: Option<Status>) -> Triggers {
    Triggers {
        after: vec![Follows {
            playbook: playbook.to_owned(),
            status,
        }],
        ..Triggers::default()
    }
}

#[test]
fn a_playbook_that_follows_is_started_once_by_each_end_that_it_asked_for() {
    let follower = r#"const PLAYBOOK = #{ inputs: #{ run: #{ type: "string" }, status: #{ type: "string" }, result: #{ type: "int" } } };
        kv::put("told", [input.run, input.status, input.result]);"#;
    let host = host(&[("test", "1"), ("follower", follower)]);
    let edition = edition(&host, &[("follower", after("test", Some(Status::Succeeded)))]);
    let mut trigger = After::default();
    assert_eq!(look(&host, &edition, &mut trigger, 8), Turn::default());
    // Runs of the playbook called `test`, as somebody starts them while no server is there.
    host.run("throw 1");
    let followed = host.run("41 + 1");
    let (begun, driven) = turn(&host, &edition, &mut After::default(), 8);
    assert_eq!(begun.runs.len(), 1);
    let ended = &driven.finished[&begun.runs[0].run];
    assert_eq!(ended.record.status, Status::Succeeded, "{:?}", ended.record.error);
    assert_eq!(kv(&host, "told"), format!(r#"["{}","succeeded",42]"#, followed.id()));
    assert_eq!(look(&host, &edition, &mut trigger, 8), Turn::default());
}

#[test]
fn nobody_is_told_who_does_not_follow_any_more() {
    let host = host(&[("follower", "1")]);
    let follows = edition(&host, &[("follower", after("test", None))]);
    look(&host, &follows, &mut After::default(), 8);
    host.run("1");
    let without = edition(&host, &[]);
    assert_eq!(look(&host, &without, &mut After::default(), 8), Turn::default());
    host.run("2");
    let follows = edition(&host, &[("follower", after("test", None))]);
    assert_eq!(look(&host, &follows, &mut After::default(), 8), Turn::default());
}

#[test]
fn playbooks_that_follow_each_other_in_a_circle_come_to_an_end() {
    let host = host(&[("a", "1"), ("b", "2")]);
    let edition = edition(&host, &[("a", after("b", None)), ("b", after("a", None))]);
    let mut trigger = After::default();
    look(&host, &edition, &mut trigger, 8);
    let mut begin = Startup::default();
    let starts = Triggers {
        startup: true,
        ..after("b", None)
    };
    let first = self::edition(&host, &[("a", starts), ("b", after("a", None))]);
    turn(&host, &first, &mut begin, 1);
    let mut started = 0;
    for _ in 0..100 {
        host.clock.advance(Duration::from_secs(1));
        started += turn(&host, &edition, &mut trigger, 8).0.runs.len();
    }
    assert_eq!(started, GENERATIONS_MAX as usize);
}

#[test]
fn playbooks_that_start_each_other_by_events_come_to_an_end_and_that_is_told() {
    let emits = r#"event::emit("ping")"#;
    let to_child = r#"playbook::run("child", #{})"#;
    let alone: &[(&str, &str)] = &[("echo", emits)];
    let by_child: &[(&str, &str)] = &[("echo", to_child), ("child", emits)];
    for playbooks in [alone, by_child] {
        let host = host(playbooks);
        let edition = edition(&host, &[("echo", on_event("ping"))]);
        let mut events = Events::default();
        look(&host, &edition, &mut events, 8);
        emit(&host, "ping", Value::Unit);
        let mut started = 0;
        for _ in 0..100 {
            host.clock.advance(Duration::from_secs(1));
            started += turn(&host, &edition, &mut events, 8).0.runs.len();
        }
        assert_eq!(started, 1 + GENERATIONS_MAX as usize, "{playbooks:?}");
        let refused = unstarted::since(&*host.ground.store, 0).unwrap();
        let (playbook, last) = &refused[0];
        assert_eq!(
            (playbook.as_str(), last.code.as_str(), last.count),
            ("echo", "FOLLOWED_TOO_FAR", 1)
        );
        assert_eq!(last.trigger, "by event ping");
        assert_eq!(unstarted::since(&*host.ground.store, last.at_ms + 1).unwrap(), []);
        // Somebody outside begins a new chain.
        emit(&host, "ping", Value::Unit);
        assert_eq!(turn(&host, &edition, &mut events, 8).0.runs.len(), 1);
    }
}

#[test]
fn a_chain_of_ends_and_events_is_one_chain() {
    let host = host(&[("a", "1"), ("b", r#"event::emit("ping")"#)]);
    let edition = edition(&host, &[("a", on_event("ping")), ("b", after("a", None))]);
    let (mut events, mut follows) = (Events::default(), After::default());
    look(&host, &edition, &mut events, 8);
    look(&host, &edition, &mut follows, 8);
    emit(&host, "ping", Value::Unit);
    let mut started = 0;
    for _ in 0..100 {
        host.clock.advance(Duration::from_secs(1));
        started += turn(&host, &edition, &mut events, 8).0.runs.len();
        started += turn(&host, &edition, &mut follows, 8).0.runs.len();
    }
    assert_eq!(started, 1 + GENERATIONS_MAX as usize);
}

#[test]
fn what_is_paused_is_started_by_nothing_and_what_came_meanwhile_is_there_when_it_is_resumed() {
    let mut host = host(&[("test", "1"), ("all", "1")]).file("inbox/a.mp4", "1");
    let triggers = Triggers {
        events: vec!["posted".to_owned()],
        startup: true,
        after: after("test", None).after,
        ..awaits("inbox/*.mp4")
    };
    for name in ["all", ALL] {
        let edition = edition(&host, &[("all", triggers.clone())]);
        let (mut events, mut files) = (Events::default(), Files::default());
        look(&host, &edition, &mut events, 8);
        look(&host, &edition, &mut After::default(), 8);
        let mut batch = Batch::new();
        let pause = Pause {
            since_ms: 0,
            by: None,
            why: String::new(),
        };
        pause::pause(&mut batch, name, &pause);
        host.ground.store.commit(batch, Durability::Soon).unwrap();
        emit(&host, "posted", Value::Unit);
        host.run("1");
        host = host.file("inbox/b.mp4", name);
        let mut startup = Startup::default();
        let mut started = |host: &TestHost| -> Vec<usize> {
            let mut count = Vec::new();
            for trigger in [
                &mut events as &mut dyn Trigger,
                &mut After::default(),
                &mut startup,
                &mut files,
            ] {
                host.clock.advance(Duration::from_secs(61));
                let first = look(host, &edition, trigger, 8).runs.len();
                host.clock.advance(Duration::from_secs(61));
                count.push(first + look(host, &edition, trigger, 8).runs.len());
            }
            count
        };
        assert_eq!(started(&host), [0; 4], "{name}");
        let mut batch = Batch::new();
        pause::resume(&mut batch, name, host.clock.unix_ms(), Resumed::None);
        host.ground.store.commit(batch, Durability::Soon).unwrap();
        let files = if name == ALL { 1 } else { 2 };
        assert_eq!(started(&host), [1, 1, 1, files], "{name}");
    }
}

#[test]
fn the_start_of_the_host_starts_a_playbook_once() {
    let host = host(&[("begin", r#"kv::increment("starts")"#)]);
    let starts = Triggers {
        startup: true,
        ..Triggers::default()
    };
    let edition = edition(&host, &[("begin", starts.clone())]);
    let mut startup = Startup::default();
    for _ in 0..3 {
        turn(&host, &edition, &mut startup, 8);
    }
    // The same process looks again with nothing in memory.
    host.clock.advance(Duration::from_secs(1));
    turn(&host, &edition, &mut Startup::default(), 8);
    assert_eq!(kv(&host, "starts"), "1");
    let next = self::edition(&host, &[("begin", starts)]);
    turn(&host, &next, &mut Startup::default(), 8);
    assert_eq!(kv(&host, "starts"), "2");
}

fn awaits(pattern: &str) -> Triggers {
    Triggers {
        files: Some(Awaits {
            pattern: pattern.to_owned(),
            settle: Duration::from_secs(5),
        }),
        ..Triggers::default()
    }
}

/// Looks twice, with so much time in between that a file that stays as it is has come.
fn arrivals(host: &TestHost, edition: &Edition, files: &mut Files) -> Vec<RunId> {
    let mut runs = Vec::new();
    for _ in 0..3 {
        host.clock.advance(Duration::from_secs(61));
        let (turn, _) = turn(host, edition, files, 8);
        runs.extend(turn.runs.iter().map(|started| started.run));
    }
    runs
}

const NOTES_FILE: &str = r#"const PLAYBOOK = #{ inputs: #{ file: #{ type: "string" } } };
kv::put("seen", (kv::get("seen") ?? "") + input.file + " ");"#;

#[test]
fn a_file_starts_one_run_when_it_does_not_change_any_more_and_another_when_it_changed() {
    let host = host(&[("take", NOTES_FILE)])
        .file("inbox/a.mp4", "1")
        .file("inbox/b.txt", "1");
    let host = host
        .file("inbox/.hidden.mp4", "1")
        .file("inbox/c.mp4.part", "1")
        .file("inbox/~d.mp4~", "1");
    let edition = edition(&host, &[("take", awaits("inbox/*.mp4"))]);
    let mut files = Files::default();
    let first = look(&host, &edition, &mut files, 8);
    assert_eq!((first.runs.len(), first.next_ms.is_some()), (0, true));
    let host = host.file("inbox/a.mp4", "12");
    host.clock.advance(Duration::from_secs(61));
    assert_eq!(look(&host, &edition, &mut files, 8).runs, [], "it has changed since");
    assert_eq!(arrivals(&host, &edition, &mut files).len(), 1);
    // After the host was down, it finds what came meanwhile and knows what it has seen.
    let host = host.file("inbox/e.mp4", "1");
    assert_eq!(arrivals(&host, &edition, &mut Files::default()).len(), 1);
    let host = host.file("inbox/a.mp4", "123");
    assert_eq!(arrivals(&host, &edition, &mut files).len(), 1);
    assert_eq!(kv(&host, "seen"), r#""inbox/a.mp4 inbox/e.mp4 inbox/a.mp4 ""#);
}

#[test]
fn a_file_that_must_wait_for_the_run_before_it_is_not_looked_at_all_the_time() {
    let script = r#"const PLAYBOOK = #{ inputs: #{ file: #{ type: "string" } } }; run::sleep("1h")"#;
    let host = host(&[("take", script)])
        .file("inbox/a.mp4", "1")
        .file("inbox/b.mp4", "1");
    let overlap = Overlap {
        policy: Policy::Queue,
        by: None,
    };
    let triggers = Triggers {
        overlap,
        ..awaits("inbox/*.mp4")
    };
    let edition = edition(&host, &[("take", triggers)]);
    let mut files = Files::default();
    look(&host, &edition, &mut files, 8);
    host.clock.advance(Duration::from_secs(10));
    let first = look(&host, &edition, &mut files, 8);
    assert_eq!((first.runs.len(), first.has_more), (1, false));
    let next_ms = first.next_ms.expect("it is looked at again");
    assert!(next_ms >= host.clock.unix_ms() + 1000, "{next_ms}");
    let run = first.runs[0].run;
    host.drive([run]);
    host.clock.advance(Duration::from_secs(3601));
    host.drive([run]);
    assert_eq!(look(&host, &edition, &mut files, 8).runs.len(), 1);
}

#[test]
fn a_link_that_leads_out_and_a_folder_that_is_not_declared_start_nothing() {
    let host = host(&[("take", NOTES_FILE)])
        .file("inbox/kept.txt", "1")
        .file("secret/x.mp4", "1");
    std::os::unix::fs::symlink(host.folder().join("secret/x.mp4"), host.folder().join("inbox/x.mp4")).expect("a link");
    for pattern in ["inbox/*.mp4", "secret/*.mp4", "inbox/../secret/*.mp4"] {
        let edition = edition(&host, &[("take", awaits(pattern))]);
        assert_eq!(arrivals(&host, &edition, &mut Files::default()), [], "{pattern}");
    }
}

#[test]
fn a_run_whose_inputs_do_not_fit_is_not_started_and_its_event_is_behind() {
    let script = r#"const PLAYBOOK = #{ inputs: #{ clip: #{ type: "string", required: true } } }; 1"#;
    let host = host(&[("note", script)]);
    let edition = edition(&host, &[("note", on_event("posted"))]);
    let mut events = Events::default();
    look(&host, &edition, &mut events, 8);
    emit(&host, "posted", Value::Unit);
    assert_eq!(look(&host, &edition, &mut events, 8), Turn::default());
    emit(&host, "posted", Value::from([("clip", "a".into())]));
    assert_eq!(look(&host, &edition, &mut events, 8).runs.len(), 1);
    let runs = RunRecord::latest(&*host.ground.store, RunId::from_bytes([0xff; 16]), 10).unwrap();
    assert_eq!(runs.len(), 1);
    let refused = unstarted::since(&*host.ground.store, 0).unwrap();
    assert_eq!((refused.len(), refused[0].1.code.as_str()), (1, "INPUT_MISSING"));
}

#[test]
fn what_must_not_overlap_waits_for_the_run_before_and_is_not_skipped() {
    let host = host(&[("note", r#"run::sleep("1h")"#)]);
    let with = |policy| Triggers {
        overlap: Overlap { policy, by: None },
        ..on_event("posted")
    };
    let mut events = Events::default();
    let queued = edition(&host, &[("note", with(Policy::Queue))]);
    look(&host, &queued, &mut events, 8);
    emit(&host, "posted", Value::Unit);
    emit(&host, "posted", Value::Unit);
    assert_eq!(look(&host, &queued, &mut events, 8).runs.len(), 1);
    assert_eq!(look(&host, &queued, &mut events, 8).runs, []);
    let skipping = edition(&host, &[("note", with(Policy::Skip))]);
    assert_eq!(look(&host, &skipping, &mut events, 8).runs.len(), 1);
    emit(&host, "posted", Value::Unit);
    let cancelling = edition(&host, &[("note", with(Policy::CancelPrevious))]);
    let turn = look(&host, &cancelling, &mut events, 8);
    assert_eq!((turn.runs.len(), turn.cancel.len()), (0, 1));
}
