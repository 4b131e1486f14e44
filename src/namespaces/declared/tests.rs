//! A declared provider against a server on the loopback that keeps, loses and denies what it was sent.

use std::time::Duration;

use serde_json::json;

use super::{DeclaredProvider, DeclaredSettings};
use crate::journal::Status;
use crate::script::reference;
use crate::store::KeyRange;
use crate::testing::http_stub::Answer;
use crate::testing::{HttpStub, TestHost};
use crate::value::Value;

const SECRET: &str = "acme-token-0123456789";
const AUTH: &str = r#"auth = { header = "Authorization", prefix = "Bearer ", secret = "ACME_TOKEN" }"#;
const STORED_KEY: &str = r#"idempotency = { header = "Idempotency-Key" }"#;
const LOOK_UP: &str = r#"lookup = { path = "/posts?key={key}", found = "items.0" }"#;
const POST: &str = r#"acme::post("/posts", #{ text: "hi" })"#;

fn declare(stub: &HttpStub, lines: &[&str]) -> DeclaredProvider {
    let toml = format!("base_url = \"{}\"\n{}", stub.url("/v2"), lines.join("\n"));
    let settings: DeclaredSettings = toml::from_str(&toml).expect("settings");
    DeclaredProvider::new("acme", settings).expect("a provider")
}

fn live(stub: &HttpStub, lines: &[&str]) -> TestHost {
    let provider = declare(stub, lines);
    TestHost::default()
        .secret("ACME_TOKEN", SECRET)
        .provider("acme", provider.base_url.as_str(), Value::Unit)
        .modules(move || vec![("acme".to_owned(), super::module(&provider))])
        .live("acme")
}

/// A service that keeps what it is sent under its key, and loses the answer to the first `lost` writes.
fn service(stub: &HttpStub, lost: usize) {
    stub.on("POST", "/v2/posts").times(lost).cut();
    stub.on("POST", "/v2/posts").json(201, json!({ "id": "p1" }));
}

#[test]
fn a_request_carries_the_secret_and_the_answer_its_data() {
    let stub = HttpStub::start();
    stub.on("GET", "/v2/posts/1").json(200, json!({ "text": "hi" }));
    stub.on("DELETE", "/v2/posts/1").status(204);
    let host = live(&stub, &[AUTH]);
    let run = host.run(r#"let post = acme::get("/posts/1"); acme::delete("/posts/1"); acme::delete("/posts/1", #{ accept: [404] }); post.json.text"#);
    assert_eq!(run.value(), &Value::from("hi"));
    assert!(
        stub.requests()
            .iter()
            .all(|request| request.header("authorization") == Some(format!("Bearer {SECRET}").as_str()))
    );
    let names: Vec<_> = run.answers().iter().map(|answer| answer.asked.name.clone()).collect();
    assert_eq!(names, ["acme.get", "acme.delete", "acme.delete"]);
}

#[test]
fn a_write_that_a_look_up_finds_has_landed_and_was_sent_once() {
    for failure in ["cut", "500"] {
        let stub = HttpStub::start();
        match failure {
            "cut" => stub.on("POST", "/v2/posts").cut(),
            _ => stub.on("POST", "/v2/posts").status(500),
        }
        stub.on("GET", "/v2/posts")
            .json(200, json!({ "items": [{ "id": "p1" }] }));
        let run = live(&stub, &[AUTH, STORED_KEY, LOOK_UP])
            .run(&format!("let post = {POST}; [post.json.id, post.looked_up]"));
        assert_eq!(run.value().to_string(), r#"["p1",true]"#, "{failure}");
        assert_eq!(
            (stub.count("POST", "/v2/posts"), stub.count("GET", "/v2/posts")),
            (1, 1),
            "{failure}"
        );
        let requests = stub.requests();
        let key = requests[0].header("idempotency-key").expect("a key");
        assert_eq!(requests[1].query, format!("key={}", key.replace('-', "%2D")));
        assert_eq!(
            requests[1].header("authorization"),
            Some(format!("Bearer {SECRET}").as_str())
        );
        assert_eq!(run.recorded.steps[&1].intents.len(), 1);
    }
}

#[test]
fn a_write_that_is_not_there_is_sent_again_only_after_it_had_time_to_show() {
    let stub = HttpStub::start();
    service(&stub, 1);
    stub.on("GET", "/v2/posts").json(200, json!({ "items": [] }));
    let host = live(&stub, &[STORED_KEY, LOOK_UP, "settle = \"20s\"", "timeout = \"5s\""]);
    let run = host.run(&format!("{POST}.json.id"));
    assert_eq!(run.value(), &Value::from("p1"));
    assert_eq!(
        (stub.count("POST", "/v2/posts"), run.recorded.steps[&1].intents.len()),
        (2, 2)
    );
    // Ten seconds to be sent, five to be answered, twenty to show.
    assert!(
        host.clock.elapsed() >= Duration::from_secs(35),
        "{:?}",
        host.clock.elapsed()
    );
    assert!(
        stub.count("GET", "/v2/posts") > 3,
        "asked all the while, since it may turn up"
    );
}

#[test]
fn a_write_that_turns_up_late_is_not_sent_again() {
    let stub = HttpStub::start();
    stub.on("POST", "/v2/posts").cut();
    stub.on("GET", "/v2/posts").times(3).status(404);
    stub.on("GET", "/v2/posts")
        .json(200, json!({ "items": [{ "id": "p1" }] }));
    let run = live(&stub, &[STORED_KEY, LOOK_UP]).run(&format!("{POST}.json.id"));
    assert_eq!((run.value(), stub.count("POST", "/v2/posts")), (&Value::from("p1"), 1));
}

#[test]
fn a_look_up_that_fails_or_cannot_be_understood_decides_nothing() {
    for (status, body) in [(500, "{}"), (200, "<html>")] {
        let stub = HttpStub::start();
        stub.on("POST", "/v2/posts").cut();
        stub.on("GET", "/v2/posts").answer(status, body);
        let run = live(&stub, &[STORED_KEY, LOOK_UP]).run(POST);
        assert_eq!(
            (run.outcome().status, stub.count("POST", "/v2/posts")),
            (Status::NeedsAttention, 1),
            "{status}"
        );
    }
}

#[test]
fn under_a_key_that_is_remembered_the_write_is_simply_sent_again() {
    let stub = HttpStub::start();
    service(&stub, 2);
    let remembered = r#"idempotency = { header = "X-Key", lifetime = "24h" }"#;
    let run = live(&stub, &[remembered]).run(&format!("{POST}.json.id"));
    assert_eq!(run.value(), &Value::from("p1"));
    let requests = stub.requests();
    let mut keys: Vec<_> = requests
        .iter()
        .map(|request| request.header("x-key").expect("a key"))
        .collect();
    assert_eq!(keys.len(), 3);
    keys.dedup();
    assert_eq!(keys, [run.recorded.steps[&1].intents[0].key.as_str()]);
}

#[test]
fn a_key_that_may_be_forgotten_by_then_is_not_relied_upon() {
    let stub = HttpStub::start();
    service(&stub, 1);
    let forgetful = r#"idempotency = { header = "X-Key", lifetime = "10s" }"#;
    let run = live(&stub, &[forgetful, "timeout = \"10s\""]).run(POST);
    assert_eq!(
        (run.outcome().status, stub.count("POST", "/v2/posts")),
        (Status::NeedsAttention, 1)
    );
}

#[test]
fn a_key_of_the_playbooks_own_is_sent_and_looked_up() {
    let stub = HttpStub::start();
    stub.on("POST", "/v2/posts").cut();
    stub.on("GET", "/v2/posts")
        .json(200, json!({ "items": [{ "id": "p1" }] }));
    let script = r#"acme::post("/posts", #{ text: "hi" }, #{ key: "clip/7" }).json.id"#;
    let run = live(&stub, &[STORED_KEY, LOOK_UP]).run(script);
    assert_eq!(run.value(), &Value::from("p1"));
    assert_eq!(stub.requests()[0].header("idempotency-key"), Some("clip/7"));
    assert_eq!(stub.requests()[1].query, "key=clip%2F7");
}

#[test]
fn without_a_way_of_telling_the_settings_decide() {
    for (on_unknown, status, times) in [
        ("ask", Status::NeedsAttention, 1),
        ("repeat", Status::Succeeded, 2),
        ("assume_landed", Status::Succeeded, 1),
    ] {
        let stub = HttpStub::start();
        service(&stub, 1);
        let run = live(&stub, &[&format!("on_unknown = \"{on_unknown}\"")]).run(POST);
        assert_eq!(
            (run.outcome().status, stub.count("POST", "/v2/posts")),
            (status, times),
            "{on_unknown}"
        );
    }
}

#[test]
fn a_publish_needs_its_signals_and_is_simulated_without_them() {
    let stub = HttpStub::start();
    service(&stub, 0);
    let host = live(&stub, &["publish = true"]);
    let run = host.run(&format!("{POST}.simulated"));
    assert_eq!((run.value(), stub.connections()), (&Value::Bool(true), 0));
    let decision = run.answers()[0].decision.clone().expect("a decision");
    assert!(decision.contains("GOVERNANCE_APPROVED"), "{decision}");
    let run = host.run(r#"acme::post("/posts", #{ text: "hi" }, #{ strict: true })"#);
    assert_eq!(
        (run.failure().code.as_str(), stub.connections()),
        ("PUBLISH_REFUSED", 0)
    );
    let run = host.approved().run(&format!("{POST}.json.id"));
    assert_eq!(run.value(), &Value::from("p1"));
}

#[test]
fn what_would_lead_elsewhere_or_means_nothing_is_refused_before_it_is_an_effect() {
    let stub = HttpStub::start();
    let host = live(&stub, &[AUTH]);
    for (script, code) in [
        (r#"acme::get("/../admin")"#, "HTTP_BAD_URL"),
        (r#"acme::get("https://evil.example/")"#, "HTTP_BAD_URL"),
        (r#"acme::get("/x", #{ acept: [404] })"#, "UNKNOWN_OPTION"),
        (r#"acme::post("/x", 1, #{ strict: true })"#, "UNKNOWN_OPTION"),
        (r#"acme::post("/x", 1, #{ key: "a b" })"#, "BAD_OPTION"),
    ] {
        let run = host.run(script);
        assert_eq!(
            (run.failure().code.as_str(), run.journal().as_str()),
            (code, ""),
            "{script}"
        );
    }
    let run = host.run(r#"acme::get("/x", #{ acept: [404] })"#);
    assert_eq!(
        run.failure().message,
        "`acme::get` has no option `acept`; did you mean `accept`?"
    );
    assert_eq!(stub.connections(), 0);
}

#[test]
fn the_secret_reaches_neither_answer_nor_failure_nor_disk_and_no_other_host() {
    let stub = HttpStub::start();
    let other = HttpStub::start();
    let say_back = |status: u16| {
        move |request: &crate::testing::http_stub::Recorded| {
            Answer::new(status, format!("{:?}", request.headers))
                .header("x-seen", request.header("authorization").unwrap_or_default())
        }
    };
    stub.on("GET", "/v2/ok").answer_with(say_back(200));
    stub.on("POST", "/v2/no").answer_with(say_back(422));
    stub.on("GET", "/v2/away").redirect(302, &other.url("/"));
    let host = live(&stub, &[AUTH]);
    let run =
        host.run(r#"let seen = [acme::get("/ok")]; try { acme::post("/no", 1) } catch (e) { seen.push(e) } seen"#);
    let shown = run.value().to_string();
    assert!(shown.matches("[masked:ACME_TOKEN]").count() >= 3, "{shown}");
    let everything: KeyRange = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    let rows = host.ground.store.scan(everything, 10_000, false).expect("rows");
    assert!(!rows.is_empty());
    for (key, row) in rows {
        let holds = |bytes: &[u8]| bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
        assert!(!holds(&row.value) && !holds(&key), "{key:?}");
    }
    let away = host.run(r#"acme::get("/away")"#);
    assert_eq!(
        away.value().get("status"),
        Some(&Value::Int(302)),
        "no redirect is followed with a secret in hand"
    );
    assert_eq!(other.connections(), 0);
}

#[test]
fn a_dry_run_echoes_the_write_with_a_made_up_id() {
    let stub = HttpStub::start();
    let mut host = live(&stub, &[AUTH]);
    host.mode.providers.clear();
    let run = host.run(&format!(
        "let post = {POST}; [post.status, post.json.text, post.json.id, post.simulated]"
    ));
    let again = host.run(&format!("{POST}.json.id"));
    let shown = run.value().as_list().expect("an array");
    assert_eq!(
        (&shown[0], &shown[1], &shown[3]),
        (&Value::Int(200), &Value::from("hi"), &Value::Bool(true))
    );
    assert_eq!(&shown[2], again.value());
    assert_eq!(stub.connections(), 0);
}

#[test]
fn the_reference_and_the_check_know_a_declared_provider() {
    let stub = HttpStub::start();
    let provider = declare(&stub, &["publish = true"]);
    let language = crate::script::Language::new(
        || crate::namespaces::modules(std::slice::from_ref(&provider)),
        Default::default(),
    );
    let functions = reference::functions(&language);
    let signatures: Vec<_> = functions
        .iter()
        .filter(|function| function.name.starts_with("acme::"))
        .map(|function| function.signature.as_str())
        .collect();
    assert!(signatures.contains(&"acme::get(path: string)"), "{signatures:?}");
    assert!(
        signatures.contains(&"acme::post(path: string, body: any, options: map)"),
        "{signatures:?}"
    );
    assert!(
        functions.iter().all(|function| !function.doc.is_empty()),
        "every function says what it does"
    );
    let writers = crate::namespaces::writers(std::slice::from_ref(&provider));
    assert_eq!(writers.get("acme::post").map(String::as_str), Some("acme"));
    assert_eq!(writers.get("http::post").map(String::as_str), Some("http_writes"));
    for name in writers.keys() {
        assert!(
            functions.iter().any(|function| function.name == *name),
            "{name} is a function"
        );
    }
    for (name, _) in crate::namespaces::modules(&[]) {
        assert!(super::settings::is_reserved(&name), "{name} cannot be declared");
    }
}
