//! What services sent makes runs: each once, in order, also when that has to wait.

use std::collections::BTreeMap;

use super::Trigger;
use super::edition_tests::{edition, turn};
use super::webhooks::Webhooks;
use crate::io::clock::Clock;
use crate::journal::intake::{Arrival, Intake, Taken};
use crate::script::triggers::webhook::{Hook, Says};
use crate::script::triggers::{Overlap, Policy, Triggers};
use crate::store::keys::{self, Space};
use crate::store::ticks::pause::{self, Pause};
use crate::store::{Batch, Durability, Realm, Tx};
use crate::testing::TestHost;

const KEEPS: &str = r#"const PLAYBOOK = #{ inputs: #{ webhook: #{ type: "map" } } };
let sent = input.webhook;
kv::put("seen", (kv::get("seen") ?? "") + sent.body);
kv::put("last", sent);"#;

fn host() -> TestHost {
    TestHost::default()
        .file("host.toml", "")
        .file("playbooks/keeps.rhai", KEEPS)
}

fn hooked(policy: Policy) -> Triggers {
    Triggers {
        overlap: Overlap { policy, by: None },
        webhook: Some(Box::new(Hook {
            path: "/hooks/keeps".to_owned(),
            says: Says::default(),
            headers: Vec::new(),
            status: 200,
            text: String::new(),
        })),
        ..Triggers::default()
    }
}

fn send(host: &TestHost, sent_id: &str, body: &[u8]) -> String {
    let arrival = Arrival {
        path: "/hooks/keeps",
        playbook: "keeps",
        sent_id,
        by_body: false,
        sent_ms: Some(host.clock.unix_ms()),
        headers: BTreeMap::from([("content-type".to_owned(), "x/y".to_owned())]),
        body,
        corr: "c",
    };
    let chance = u128::from_str_radix(&crate::journal::intake::digest(sent_id.as_bytes())[..20], 16).expect("digits");
    match arrival
        .take(&host.ground, host.clock.unix_ms(), chance)
        .expect("the store takes it")
    {
        Taken::New { id, .. } => id,
        other => panic!("{other:?}"),
    }
}

fn kv(host: &TestHost, key: &str) -> serde_json::Value {
    let mut tx = Tx::new(&host.ground, Realm::Dry, 0);
    let value = crate::store::kv::get(&mut tx, key).expect("the store answers");
    value.unwrap_or_default().to_json()
}

#[test]
fn each_makes_one_run_that_is_told_all_of_it() {
    let host = host();
    let edition = edition(&host, &[("keeps", hooked(Policy::Skip))]);
    let first = send(&host, "1", b"{\"a\":[1]}");
    host.clock.advance(std::time::Duration::from_millis(5));
    send(&host, "2", b"b");
    let (made, _) = turn(&host, &edition, &mut Webhooks::default(), 1);
    assert_eq!((made.runs.len(), made.has_more), (1, true));
    let told = kv(&host, "last");
    assert_eq!(
        (
            &told["id"],
            &told["intake"],
            &told["json"]["a"][0],
            &told["headers"]["content-type"]
        ),
        (&"1".into(), &first.as_str().into(), &1.into(), &"x/y".into())
    );
    assert_eq!(
        (&told["encoding"], &told["path"]),
        (&"text".into(), &"/hooks/keeps".into())
    );
    // Another process goes on where this one was.
    let (made, _) = turn(&host, &edition, &mut Webhooks::default(), 8);
    assert_eq!(made.runs.len(), 1);
    let (made, _) = turn(&host, &edition, &mut Webhooks::default(), 8);
    assert_eq!(made.runs, []);
    assert_eq!(kv(&host, "seen"), "{\"a\":[1]}b");
    let (intake, _) = Intake::get(&*host.ground.store, &first).unwrap().unwrap();
    let recorded = crate::journal::Recorded::load(&host.ground, intake.runs[0]).unwrap();
    assert_eq!(
        recorded.begun.corr.as_deref(),
        Some("c"),
        "the request is told in the logs of its run"
    );
    assert_eq!(
        (intake.runs.len(), intake.waits(&*host.ground.store).unwrap()),
        (1, None)
    );
}

#[test]
fn what_is_no_text_comes_as_base64_and_what_nests_too_deep_or_is_too_much_has_no_json() {
    let host = host();
    let edition = edition(&host, &[("keeps", hooked(Policy::Skip))]);
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let long = format!("[{}1]", "1,".repeat(110_000));
    for (body, text, encoding) in [
        (&b"\xff\xfe"[..], "//4=", "base64"),
        (deep.as_bytes(), deep.as_str(), "text"),
        (long.as_bytes(), long.as_str(), "text"),
    ] {
        send(&host, &text[..4], body);
        let (_, driven) = turn(&host, &edition, &mut Webhooks::default(), 8);
        assert!(driven.failed.is_empty());
        let told = kv(&host, "last");
        assert_eq!(
            (told["body"] == text, &told["encoding"]),
            (true, &encoding.into()),
            "{encoding}"
        );
        assert_eq!(told["json"], serde_json::Value::Null);
    }
}

#[test]
fn while_a_playbook_is_paused_what_comes_waits() {
    let host = host();
    let edition = edition(&host, &[("keeps", hooked(Policy::Skip))]);
    let pause_it = |is_paused: bool| {
        let store = &*host.ground.store;
        let mut batch = Batch::new();
        match is_paused {
            true => {
                let paused = Pause {
                    since_ms: 0,
                    by: None,
                    why: String::new(),
                };
                pause::pause(&mut batch, "keeps", &paused);
            }
            false => pause::resume(&mut batch, "keeps", 0, pause::Resumed::None),
        }
        store.commit(batch, Durability::Soon).expect("it is written");
    };
    pause_it(true);
    send(&host, "1", b"a");
    let mut webhooks = Webhooks::default();
    assert_eq!(webhooks.turn(&edition, host.clock.unix_ms(), 8).unwrap().runs, []);
    pause_it(false);
    turn(&host, &edition, &mut webhooks, 8);
    assert_eq!(kv(&host, "seen"), "a");
}

#[test]
fn runs_that_must_not_overlap_come_one_after_another_in_the_order_in_which_they_were_sent() {
    let host = host();
    let edition = edition(&host, &[("keeps", hooked(Policy::Queue))]);
    for body in ["a", "b", "c"] {
        send(&host, body, body.as_bytes());
        host.clock.advance(std::time::Duration::from_millis(5));
    }
    let mut webhooks = Webhooks::default();
    let first = webhooks.turn(&edition, host.clock.unix_ms(), 8).unwrap();
    assert_eq!(first.runs.len(), 1);
    assert_eq!(webhooks.turn(&edition, host.clock.unix_ms(), 8).unwrap().runs, []);
    host.drive(first.runs.iter().map(|started| started.run));
    for _ in 0..3 {
        turn(&host, &edition, &mut webhooks, 8);
    }
    assert_eq!(kv(&host, "seen"), "abc");
}

#[test]
fn one_that_is_damaged_keeps_no_other_from_its_run() {
    let host = host();
    let edition = edition(&host, &[("keeps", hooked(Policy::Skip))]);
    let broken = send(&host, "1", b"a");
    let mut batch = Batch::new();
    batch.delete(keys::named(Space::Webhook, &["body", &broken]));
    host.ground.store.commit(batch, Durability::Soon).expect("it is gone");
    send(&host, "2", b"b");
    let (made, _) = turn(&host, &edition, &mut Webhooks::default(), 8);
    assert_eq!((made.runs.len(), kv(&host, "seen")), (1, "b".into()));
    let (intake, _) = Intake::get(&*host.ground.store, &broken).unwrap().unwrap();
    assert!(intake.refused.is_some_and(|why| why.code == "STORE_CORRUPT"));
}

#[test]
fn one_that_is_wanted_once_more_makes_a_run_that_says_so() {
    let host = host();
    let edition = edition(&host, &[("keeps", hooked(Policy::Skip))]);
    let id = send(&host, "1", b"a");
    turn(&host, &edition, &mut Webhooks::default(), 8);
    let (intake, _) = Intake::get(&*host.ground.store, &id).unwrap().unwrap();
    let mut batch = Batch::new();
    intake.again(&mut batch, Some("by ada".to_owned()));
    host.ground
        .store
        .commit(batch, Durability::Soon)
        .expect("it is written");
    let (made, _) = turn(&host, &edition, &mut Webhooks::default(), 8);
    assert_eq!(kv(&host, "seen"), "aa");
    let recorded = crate::journal::Recorded::load(&host.ground, made.runs[0].run).unwrap();
    let trigger = recorded.begun.trigger;
    assert!(trigger.ends_with("once more, by ada"), "{trigger}");
    let (intake, _) = Intake::get(&*host.ground.store, &id).unwrap().unwrap();
    assert_eq!(intake.runs.len(), 2);
}
