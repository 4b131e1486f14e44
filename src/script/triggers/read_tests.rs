//! What headers say of triggers, and what is said of their mistakes.

use std::time::Duration;

use super::complaint::Step;
use super::{Complaint, Missed, Policy, Triggers, When, read};
use crate::journal::Status;
use crate::script::inputs::{InputSpec, Inputs};
use crate::value::Value;

fn reading(json: serde_json::Value) -> (Triggers, Vec<Complaint>) {
    let inputs = serde_json::json!({ "account": {}, "top": { "type": "int", "max": 9 } });
    let inputs: Inputs = Value::from_json(inputs)
        .as_map()
        .unwrap()
        .iter()
        .map(|(name, spec)| (name.clone(), Box::new(InputSpec::read(name, spec).unwrap())))
        .collect();
    let header = Value::from_json(json);
    read(header.as_map().unwrap(), Some(&inputs))
}

fn good(json: serde_json::Value) -> Triggers {
    let (triggers, complaints) = reading(json);
    assert_eq!(complaints, []);
    triggers
}

fn said(json: serde_json::Value) -> String {
    let (_, complaints) = reading(json);
    let said: Vec<String> = complaints.into_iter().map(|complaint| complaint.message).collect();
    said.join(" | ")
}

#[test]
fn schedules_are_read_with_what_holds_for_all_and_for_each() {
    let triggers = good(serde_json::json!({
        "schedule": ["0 7 * * *", { "every": "15m", "name": "quick", "timezone": "Asia/Tokyo", "missed": "all",
            "horizon": "2h", "jitter": "30s", "inputs": { "account": "main", "top": 3 } }],
        "every": "1h", "timezone": "Europe/Berlin", "missed": "none", "horizon": "7d", "jitter": "1m",
    }));
    let keys: Vec<&str> = triggers.schedules.iter().map(|one| one.key.as_str()).collect();
    assert_eq!(keys, ["1", "quick", "every"]);
    let [first, quick, every] = triggers.schedules.as_slice() else {
        panic!("three");
    };
    assert_eq!(
        (first.zone.name(), first.missed, first.written.as_str()),
        ("Europe/Berlin", Missed::None, "0 7 * * *")
    );
    assert_eq!((first.horizon.as_secs(), first.jitter.as_secs()), (7 * 86_400, 60));
    assert_eq!((quick.zone.name(), quick.missed), ("Asia/Tokyo", Missed::All));
    assert_eq!((quick.horizon.as_secs(), quick.jitter.as_secs()), (7200, 30));
    assert_eq!(quick.when, When::Every(Duration::from_secs(900)));
    assert_eq!(quick.input.get("top"), Some(&Value::Int(3)));
    assert_eq!(
        (every.written.as_str(), every.zone.name()),
        ("every 1h", "Europe/Berlin")
    );
    let plain = good(serde_json::json!({ "schedule": "@daily" }));
    let only = &plain.schedules[0];
    assert_eq!(
        (only.zone.name(), only.missed, only.horizon.as_secs()),
        ("UTC", Missed::Latest, 86_400)
    );
}

#[test]
fn lengths_of_time_are_counted_from_the_anchor() {
    let triggers = good(serde_json::json!({ "every": "15m" }));
    let next = |after, anchor| triggers.schedules[0].next_after(after, anchor).unwrap().at_ms;
    assert_eq!(next(1000, 1000), 901_000);
    assert_eq!(next(901_000, 901_000), 1_801_000);
    assert_eq!(next(2_000_000, 1000), 2_701_000);
    assert_eq!(next(0, 1000), 901_000, "never before it was first seen");
    assert_eq!(triggers.schedules[0].next_after(i64::MAX, 0), None);
}

#[test]
fn the_other_triggers_are_read_short_and_long() {
    let triggers = good(serde_json::json!({
        "overlap": { "policy": "queue", "by": "account" }, "concurrency": 3, "queue": { "name": "up.loads", "concurrency": 4 },
        "event": ["a", "b"], "files": { "pattern": "inbox/new/*.mp4", "settle": "5s" }, "startup": true,
        "after": ["fetch", { "playbook": "b", "status": "failed" }, { "playbook": "c.rhai", "status": "any" }],
    }));
    assert_eq!(
        (triggers.overlap.policy, triggers.overlap.by.as_deref()),
        (Policy::Queue, Some("account"))
    );
    assert_eq!(triggers.concurrency, Some(3));
    assert_eq!(
        triggers.queue.map(|queue| (queue.name, queue.concurrency)),
        Some(("up.loads".into(), 4))
    );
    assert_eq!(triggers.events, ["a", "b"]);
    assert_eq!(triggers.files.map(|files| files.settle.as_secs()), Some(5));
    assert!(triggers.startup);
    let after: Vec<_> = triggers
        .after
        .iter()
        .map(|one| (one.playbook.as_str(), one.status))
        .collect();
    assert_eq!(
        after,
        [
            ("fetch", Some(Status::Succeeded)),
            ("b", Some(Status::Failed)),
            ("c", None)
        ]
    );
    let short = good(
        serde_json::json!({ "overlap": "cancel_previous", "queue": "q", "event": "e", "files": "inbox/*", "after": "x" }),
    );
    assert_eq!(short.overlap.policy, Policy::CancelPrevious);
    assert_eq!((short.events.len(), short.after.len()), (1, 1));
    assert_eq!(good(serde_json::json!({})), Triggers::default());
}

#[test]
fn each_mistake_names_its_key_and_what_was_meant() {
    let tell = |json: serde_json::Value| said(json);
    assert_eq!(
        tell(serde_json::json!({ "schedule": "0 7 * * *", "missed": "lates" })),
        "`missed` must be one of \"all\", \"latest\", \"none\", not \"lates\"; did you mean \"latest\"?"
    );
    assert_eq!(
        tell(serde_json::json!({ "schedule": { "corn": "0 7 * * *" } })),
        "`schedule` has no key `corn`; did you mean `cron`? | a schedule needs `cron: \"0 7 * * *\"` or `every: \"15m\"`"
    );
    assert_eq!(
        tell(serde_json::json!({ "every": "500ms" })),
        "`every` is \"500ms\"; from 1.0 s to 366 d 0 h is allowed"
    );
    assert_eq!(
        tell(serde_json::json!({ "every": 15 })),
        "`every` must be a length of time, such as \"15m\", and this is int"
    );
    assert!(tell(serde_json::json!({ "every": "15 minutes" })).contains("15 minutes"));
    assert_eq!(
        tell(serde_json::json!({ "overlap": { "by": "acount" } })),
        "`by` of `overlap` names the input \"acount\", and none is declared; did you mean \"account\"?"
    );
    assert_eq!(
        tell(serde_json::json!({ "schedule": [{ "every": "1h", "inputs": { "top": 12 } }] })),
        "input `top` is 12 ; at most 9 is allowed".replace(" ;", ";")
    );
    assert_eq!(
        tell(serde_json::json!({ "schedule": [{ "every": "1h", "inputs": { "topp": 1 } }] })),
        "the playbook declares no input `topp`; did you mean `top`?"
    );
    assert!(tell(serde_json::json!({ "schedule": vec!["0 7 * * *"; 21] })).contains("has 21 items; at most 20"));
    assert!(tell(serde_json::json!({ "schedule": [] })).contains("is an empty array"));
    for never in [
        "inbox/*/x.mp4",
        "in?ox/x.mp4",
        "inbox/.*",
        "inbox/*.part",
        "*.TMP",
        "inbox/*~",
    ] {
        let said = tell(serde_json::json!({ "files": never }));
        assert!(
            said.starts_with(&format!("{never:?} is no pattern of files: ")),
            "{said}"
        );
    }
    assert!(tell(serde_json::json!({ "timezone": "UTC" })).contains("and there is no `schedule`"));
    assert!(
        tell(serde_json::json!({ "schedule": [{ "every": "1h", "name": "a" }, { "every": "2h", "name": "a" }] }))
            .contains("two schedules are named \"a\"")
    );
    assert!(
        tell(serde_json::json!({ "schedule": { "every": "1h", "cron": "@daily" } }))
            .contains("either `cron` or `every`")
    );
    for outside in ["/etc/*", "../a", "inbox//a", "C:\\a", "", "a\u{7}"] {
        assert!(
            tell(serde_json::json!({ "files": outside })).contains("is no pattern of files"),
            "{outside}"
        );
    }
    for wrong in [
        serde_json::json!(0),
        serde_json::json!(1001),
        serde_json::json!("4"),
        serde_json::json!(-1),
    ] {
        assert!(tell(serde_json::json!({ "concurrency": wrong })).contains("from 1 to 1000"));
    }
    assert!(tell(serde_json::json!({ "queue": "a b" })).contains("letters, digits"));
    assert!(tell(serde_json::json!({ "queue": {} })).contains("needs the queue's `name`"));
    assert!(tell(serde_json::json!({ "startup": "yes" })).contains("true or false"));
    assert!(tell(serde_json::json!({ "after": { "playbook": "a", "status": "success" } })).contains("\"succeeded\""));
}

#[test]
fn complaints_lead_to_the_place_they_are_about() {
    let (_, complaints) =
        reading(serde_json::json!({ "schedule": ["0 7 * * *", { "every": "1h", "timezone": "berlin" }] }));
    let [zone] = complaints.as_slice() else {
        panic!("{complaints:?}");
    };
    let path = [
        Step::Key("schedule".into()),
        Step::Index(1),
        Step::Key("timezone".into()),
    ];
    assert_eq!((zone.code, zone.path.as_slice()), ("TIME_ZONE", &path[..]));
    assert_eq!(zone.fix.as_deref(), Some("\"Europe/Berlin\""));
    assert!(zone.is_fatal);
}

#[test]
fn a_schedule_that_does_not_give_what_is_required_is_told_but_the_playbook_still_runs_by_hand() {
    let spec = Value::from_json(serde_json::json!({ "required": true }));
    let inputs = Inputs::from([("topic".to_owned(), Box::new(InputSpec::read("topic", &spec).unwrap()))]);
    let header = Value::from_json(serde_json::json!({ "schedule": "@daily" }));
    let (triggers, complaints) = read(header.as_map().unwrap(), Some(&inputs));
    assert_eq!(triggers.schedules.len(), 1);
    assert!(complaints[0].message.contains("`topic` is required") && !complaints[0].is_fatal);
}
