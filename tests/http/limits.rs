//! Where limits lie, to the byte; and figures and filters that must not stand still.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use host::identity::Role;
use host::identity::role::Grant;
use serde_json::{Value, json};

use crate::asking::{Project, scope};
use crate::inside::Inside;

#[test]
fn a_body_may_be_as_long_and_as_deep_as_the_limit_and_no_more() {
    let host = Inside::start(&[]);
    let long = |bytes: usize| {
        let frame = r#"{"name": "go", "data": ""}"#;
        format!(r#"{{"name": "go", "data": "{}"}}"#, "x".repeat(bytes - frame.len()))
    };
    assert_eq!(host.post("/api/v1/events", &long(20_000)).status, 202);
    host.post("/api/v1/events", &long(20_001)).is(413, "BODY_TOO_LARGE");
    let deep = |levels: usize| {
        format!(
            r#"{{"name": "go", "data": {}{}}}"#,
            "[".repeat(levels),
            "]".repeat(levels)
        )
    };
    assert_eq!(host.post("/api/v1/events", &deep(63)).status, 202);
    host.post("/api/v1/events", &deep(64)).is(400, "BODY_DEPTH");
}

#[test]
fn a_query_may_be_as_long_as_the_limit_and_no_more() {
    let host = Inside::start(&[]);
    let query = |bytes: usize| format!("/api/v1/runs?{}", "x".repeat(bytes));
    host.get(&query(8192)).is(400, "QUERY_INVALID");
    host.get(&query(8193)).is(414, "PATH_TOO_LONG");
    let path = |bytes: usize| format!("/{}", "x".repeat(bytes - 1));
    host.get(&path(4096)).is(404, "NOT_FOUND");
    host.get(&path(4097)).is(414, "PATH_TOO_LONG");
}

#[test]
fn what_is_counted_is_counted_again_and_lists_keep_to_the_mode_that_is_asked_for() {
    let host = Inside::start(&[("playbooks/waits.rhai", "run::wait_event(\"go\")")]);
    let waiting = || host.get("/status").data()["runs"]["waiting"].clone();
    assert_eq!(waiting(), 0);
    let run = host.post("/api/v1/runs", r#"{"playbook": "waits"}"#).data();
    host.run_when(run["run_id"].as_str().expect("an id"), &["suspended"]);
    let give_up_at = Instant::now() + Duration::from_secs(20);
    while waiting() != 1 {
        assert!(Instant::now() < give_up_at, "it is not counted");
        std::thread::sleep(Duration::from_millis(100));
    }
    let count = |query: &str| {
        host.get(&format!("/api/v1/runs?{query}")).data()["items"]
            .as_array()
            .map(Vec::len)
    };
    assert_eq!((count("mode=dry"), count("mode=live")), (Some(1), Some(0)));
    assert_eq!((count("status=suspended"), count("status=failed")), (Some(1), Some(0)));
    assert_eq!((count("playbook=waits"), count("playbook=wait")), (Some(1), Some(0)));
}

#[test]
fn pages_of_short_lists_hold_each_once_and_a_full_last_page_has_no_next() {
    let names: Vec<String> = (0..6).map(|at| format!("playbooks/p{at}.rhai")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let host = Inside::start(&files);
    for at in 0..6 {
        host.post("/api/v1/pauses", &json!({"playbook": format!("p{at}")}).to_string());
        host.post(&format!("/api/v1/queues/q{at}/jobs"), r#"{"payload": 1}"#);
    }
    for (list, field) in [("playbooks", "playbook"), ("pauses", "playbook"), ("queues", "queue")] {
        let (mut seen, mut pages, mut path) = (Vec::new(), 0, format!("/api/v1/{list}?limit=3"));
        loop {
            let page: Value = host.get(&path).data();
            let items = page["items"].as_array().expect("items").iter();
            seen.extend(items.map(|item| item[field].as_str().expect("a name").to_owned()));
            pages += 1;
            match page["next"].as_str() {
                Some(next) => path = format!("/api/v1/{list}?limit=3&cursor={next}"),
                None => break,
            }
            assert!(pages < 5, "{list} has no end");
        }
        let unique: BTreeSet<&String> = seen.iter().collect();
        assert_eq!((seen.len(), unique.len(), pages), (6, 6, 2), "{list}: {seen:?}");
        assert!(seen.is_sorted(), "{list}: {seen:?}");
    }
}

#[test]
fn what_began_live_does_not_go_on_live_where_nothing_is_to_leave() {
    let project = Project::new();
    project.write("playbooks/waits.rhai", "run::wait_event(\"go\")");
    project.write(".env", "DRY_RUN=false\n");
    let run = project.host(&["run", "waits"])["run_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    project.write(".env", "DRY_RUN=true\n");
    project.user("root", Role::Admin);
    let bearer = format!("Bearer {}", project.token("root", scope(Grant::Admin), None));
    let server = project.serve();
    let headers = [("authorization", bearer.as_str())];
    let refused = server.ask("POST", &format!("/api/v1/runs/{run}/resume"), &headers, None);
    assert_eq!((refused.status, refused.code()), (409, "RUN_NOT_DRY"), "{refused:?}");
    let shown = server.ask("GET", &format!("/api/v1/runs/{run}"), &headers, None);
    assert_eq!(shown.body["data"]["status"], "suspended");
}
