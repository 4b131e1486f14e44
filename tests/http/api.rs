//! The API over what a host does, and what bodies it takes.

use serde_json::{Value, json};

use crate::client::{Client, ask};
use crate::inside::Inside;

const PLAYBOOKS: &[(&str, &str)] = &[
    (
        "playbooks/adds.rhai",
        "const PLAYBOOK = #{ inputs: #{ n: #{ type: \"int\", required: true } } };\nkv::put(\"n\", input.n); input.n + 1",
    ),
    (
        "playbooks/asks.rhai",
        "run::ask(\"ok?\", #{ choices: [\"yes\", \"no\"] }).answer",
    ),
    ("playbooks/waits.rhai", "run::wait_event(\"go\").n"),
    ("playbooks/fails.rhai", "kv::get(\"n\"); throw \"no\""),
];

fn started(host: &Inside, body: &Value) -> String {
    let answer = host.post("/api/v1/runs", &body.to_string());
    assert_eq!(answer.status, 202, "{answer:?}");
    let run = answer.data();
    let id = run["run_id"].as_str().expect("an id").to_owned();
    assert_eq!(answer.headers["location"], format!("/api/v1/runs/{id}"));
    id
}

#[test]
fn a_run_is_started_looked_at_and_its_journal_read_page_by_page() {
    let host = Inside::start(PLAYBOOKS);
    let id = started(&host, &json!({"playbook": "adds", "input": {"n": 41}}));
    let run = host.run_when(&id, &["succeeded"]);
    assert_eq!((&run["outcome"], &run["input"]["n"]), (&json!(42), &json!(41)));
    assert!(
        run["trigger"]
            .as_str()
            .expect("words")
            .starts_with("over HTTP, request "),
        "{run}"
    );
    let short = host.get(&format!("/api/v1/runs/{}", &id[..id.len() - 2])).data();
    assert_eq!(short["run_id"], id.as_str());
    let journal = host.get(&format!("/api/v1/runs/{id}/journal?limit=1")).data();
    assert_eq!(journal["items"][0]["name"], "kv.put");
    assert!(journal["next"].is_null());
    for (body, status, code) in [
        (json!({"playbook": "add"}), 404, "PLAYBOOK_NOT_FOUND"),
        (json!({"playbook": "../../etc/passwd"}), 404, "PLAYBOOK_NOT_FOUND"),
        (json!({"playbook": "adds"}), 422, "INPUT_MISSING"),
        (
            json!({"playbook": "adds", "input": {"m": 1, "n": 1}}),
            422,
            "INPUT_UNKNOWN",
        ),
        (json!({"playbook": "adds", "input": {"n": "x"}}), 422, "INPUT"),
        (json!({"playbook": "adds", "input": [1]}), 422, "BODY_INVALID"),
        (json!({"input": {"n": 1}}), 422, "BODY_INVALID"),
        (json!({"playbook": "adds", "inputs": {"n": 1}}), 422, "BODY_INVALID"),
    ] {
        host.post("/api/v1/runs", &body.to_string()).is(status, code);
    }
    assert_eq!(
        host.get("/api/v1/runs").data()["items"].as_array().expect("runs").len(),
        1
    );
}

#[test]
fn a_run_that_waits_is_answered_told_of_events_and_cancelled() {
    let host = Inside::start(PLAYBOOKS);
    let [asks, waits, ends] = ["asks", "waits", "waits"].map(|playbook| started(&host, &json!({"playbook": playbook})));
    for id in [&asks, &waits, &ends] {
        host.run_when(id, &["suspended"]);
    }
    let cancelled = host.post(&format!("/api/v1/runs/{ends}/cancel"), "");
    assert_eq!(
        (cancelled.status, cancelled.data()["status"].as_str()),
        (200, Some("cancelled"))
    );
    host.post(&format!("/api/v1/runs/{ends}/cancel"), "")
        .is(409, "RUN_OVER");
    host.post("/api/v1/runs/01ZZZZ/cancel", "").is(404, "RUN_NOT_FOUND");
    let questions = host.get("/api/v1/questions").data();
    assert_eq!(questions["items"][0]["run_id"], asks.as_str());
    let answer = format!("/api/v1/runs/{asks}/answer");
    host.post(&answer, r#"{"answer": "perhaps"}"#).is(422, "ANSWER_INVALID");
    assert_eq!(host.post(&answer, r#"{"answer": "yes"}"#).status, 200);
    assert_eq!(host.run_when(&asks, &["succeeded"])["outcome"], "yes");
    host.post(&answer, r#"{"answer": "yes"}"#).is(409, "NO_SUCH_QUESTION");
    let emitted = host.post("/api/v1/events", r#"{"name": "go", "data": {"n": 5}}"#);
    assert_eq!(
        (emitted.status, emitted.data()["woken"][0].as_str()),
        (202, Some(waits.as_str()))
    );
    assert_eq!(host.run_when(&waits, &["succeeded"])["outcome"], 5);
}

#[test]
fn a_run_is_done_once_more_as_a_new_one() {
    let host = Inside::start(PLAYBOOKS);
    let id = started(&host, &json!({"playbook": "adds", "input": {"n": 1}}));
    host.run_when(&id, &["succeeded"]);
    let waits = started(&host, &json!({"playbook": "waits"}));
    host.run_when(&waits, &["suspended"]);
    let again = host.post(&format!("/api/v1/runs/{id}/retry"), "");
    assert_eq!(again.status, 202, "{again:?}");
    let other = again.data()["run_id"].as_str().expect("an id").to_owned();
    assert_ne!(other, id);
    assert_eq!(host.run_when(&other, &["succeeded"])["outcome"], 2);
    host.post(&format!("/api/v1/runs/{waits}/retry"), "{}")
        .is(409, "RUN_UNFINISHED");
    host.post(&format!("/api/v1/runs/{id}/retry"), r#"{"again": ["x"]}"#)
        .is(422, "BODY_INVALID");
}

/// The cancellation may come between a run's last word and its rest.
#[test]
fn a_run_is_cancelled_also_while_it_is_just_coming_to_rest() {
    let host = Inside::start(PLAYBOOKS);
    for _ in 0..30 {
        let id = started(&host, &json!({"playbook": "waits"}));
        host.run_when(&id, &["suspended"]);
        let cancelled = host.post(&format!("/api/v1/runs/{id}/cancel"), "");
        assert_eq!(
            (cancelled.status, cancelled.data()["status"].as_str()),
            (200, Some("cancelled"))
        );
    }
}

#[test]
fn jobs_are_pushed_listed_and_brought_back() {
    let host = Inside::start(PLAYBOOKS);
    host.get("/api/v1/queues/mail/jobs").is(404, "QUEUE_NOT_FOUND");
    let pushed = host.post("/api/v1/queues/mail/jobs", r#"{"payload": {"to": "ann"}, "key": "a"}"#);
    assert_eq!((pushed.status, pushed.data()["is_new"].as_bool()), (201, Some(true)));
    let again = host
        .post("/api/v1/queues/mail/jobs", r#"{"payload": {"to": "ann"}, "key": "a"}"#)
        .data();
    assert_eq!(again["is_new"], false);
    let jobs = host.get("/api/v1/queues/mail/jobs").data();
    assert_eq!(jobs["items"][0]["payload"]["to"], "ann");
    let id = jobs["items"][0]["id"].as_u64().expect("a number");
    host.post(&format!("/api/v1/queues/mail/jobs/{id}/retry"), "")
        .is(409, "JOB_NOT_DEAD");
    host.post("/api/v1/queues/mail/jobs/99/retry", "")
        .is(404, "JOB_NOT_FOUND");
    host.post("/api/v1/queues/mail/jobs", r#"{"payload": 1, "priority": 10}"#)
        .is(422, "BODY_INVALID");
    let paused = host.post("/api/v1/queues/mail/pause", r#"{"why": "holidays"}"#).data();
    assert_eq!(
        (paused["paused"]["why"].as_str(), paused["paused"]["by"].as_str()),
        (Some("holidays"), Some("ada"))
    );
    assert!(host.post("/api/v1/queues/mail/resume", "").data()["paused"].is_null());
    assert_eq!(host.get("/api/v1/queues?realm=live").data()["items"], json!([]));
    assert_eq!(host.get("/api/v1/queues").data()["items"][0]["ready"], 1);
}

#[test]
fn playbooks_are_paused_and_resumed() {
    let host = Inside::start(PLAYBOOKS);
    assert_eq!(
        host.post("/api/v1/pauses", r#"{"playbook": "adds", "why": "w"}"#)
            .data()["by"],
        "ada"
    );
    host.post("/api/v1/pauses", r#"{"playbook": "none"}"#)
        .is(404, "PLAYBOOK_NOT_FOUND");
    assert!(host.post("/api/v1/pauses", "").data()["playbook"].is_null());
    assert_eq!(
        host.get("/api/v1/pauses").data()["items"]
            .as_array()
            .expect("pauses")
            .len(),
        2
    );
    assert_eq!(
        host.post("/api/v1/pauses/resume", r#"{"playbook": "adds", "missed": "latest"}"#)
            .status,
        200
    );
    host.post("/api/v1/pauses/resume", r#"{"playbook": "adds"}"#)
        .is(409, "NOT_PAUSED");
    assert_eq!(host.post("/api/v1/pauses/resume", "{}").status, 200);
    assert_eq!(host.get("/api/v1/pauses").data()["items"], json!([]));
}

#[test]
fn incidents_versions_and_ticks_are_listed() {
    let host = Inside::start(PLAYBOOKS);
    host.get("/api/v1/incidents/01ZZZZ").is(404, "INCIDENT_NOT_FOUND");
    host.get("/api/v1/versions/4711").is(404, "VERSION_NOT_FOUND");
    assert_eq!(host.get("/api/v1/versions/1").data()["state"], "live");
    host.post("/api/v1/versions/1/accept", "").is(409, "VERSION_NOT_HELD");
    for path in [
        "incidents",
        "incidents?state=open",
        "ticks",
        "ticks?fate=ran",
        "ticks/planned",
        "versions",
    ] {
        assert!(
            host.get(&format!("/api/v1/{path}")).data()["items"].is_array(),
            "{path}"
        );
    }
}

#[test]
fn bodies_are_of_the_right_kind_whole_and_of_a_size() {
    let host = Inside::start(PLAYBOOKS);
    let post = |kind: &str, body: &str| {
        ask(
            host.address,
            "POST",
            "/api/v1/events",
            &[("role", "operator"), ("content-type", kind)],
            body,
        )
    };
    post("text/plain", "{}").is(415, "CONTENT_TYPE");
    post("application/x-www-form-urlencoded", "name=go").is(415, "CONTENT_TYPE");
    post("application/json; charset=utf-8", "{\"name\": \"go\"").is(400, "BODY_JSON");
    post("application/json", "\u{feff}{}").is(400, "BODY_JSON");
    post("application/json", &"[".repeat(10_000)).is(400, "BODY_DEPTH");
    post("application/json", &format!("{}{}", "[".repeat(65), "]".repeat(65))).is(400, "BODY_DEPTH");
    post("application/json", "{\"name\": \"a\", \"name\": 1}").is(422, "BODY_INVALID");
    post("application/json", "").is(422, "BODY_INVALID");
    post(
        "application/json",
        &format!("{{\"name\": \"go\", \"data\": \"{}\"}}", "x".repeat(30_000)),
    )
    .is(413, "BODY_TOO_LARGE");
    assert_eq!(
        post("Application/JSON; charset=utf-8", "{\"name\": \"go\"}").status,
        202
    );
    let refused = post("application/json", "{\"name\": 42, \"password\": \"hunter2\"}");
    refused.is(422, "BODY_INVALID");
    assert!(
        !String::from_utf8_lossy(&refused.body).contains("hunter2"),
        "{refused:?}"
    );
    // In pieces, without saying how long it will be.
    let mut client = Client::to(host.address);
    client.send(
        "POST /api/v1/events HTTP/1.1\r\nhost: localhost\r\nrole: operator\r\ncontent-type: application/json\r\n",
    );
    client.send("transfer-encoding: chunked\r\n\r\n");
    for _ in 0..30 {
        client.send(format!("400\r\n{}\r\n", "x".repeat(1024)));
    }
    client.receive().expect("an answer").is(413, "BODY_TOO_LARGE");
    let mut slow = Client::to(host.address);
    slow.send(
        "POST /api/v1/events HTTP/1.1\r\nhost: localhost\r\nrole: operator\r\ncontent-type: application/json\r\n",
    );
    slow.send("content-length: 100\r\n\r\n{");
    slow.receive().expect("an answer").is(408, "BODY_TIMEOUT");
}

#[test]
fn nobody_who_may_not_ask_has_a_body_read() {
    let host = Inside::start(PLAYBOOKS);
    let mut client = Client::to(host.address);
    client.send(
        "POST /api/v1/events HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 19000\r\n\r\n",
    );
    client.receive().expect("an answer").is(401, "UNAUTHENTICATED");
    let mut welcome = Client::to(host.address);
    welcome.send(
        "POST /api/v1/events HTTP/1.1\r\nhost: localhost\r\nrole: operator\r\ncontent-type: application/json\r\n",
    );
    welcome.send("expect: 100-continue\r\ncontent-length: 14\r\n\r\n");
    assert_eq!(welcome.receive().expect("an answer").status, 100);
    welcome.send("{\"name\": \"go\"}");
    assert_eq!(welcome.receive().expect("an answer").status, 202);
}
