//! Requests of playbooks against a server on the loopback.

use std::time::Duration;

use super::{DRY_READS, READS, WRITES};
use crate::effect::Failure;
use crate::gate::CircuitSettings;
use crate::journal::Status;
use crate::testing::{HttpStub, TestHost, TestRun};
use crate::value::Value;

/// A host that may ask `stub`, live.
fn live(stub: &HttpStub) -> TestHost {
    TestHost::default().host(&stub.host()).live(READS).live(WRITES)
}

/// The failure that `run` ended with, or that its only step has.
fn failure(run: &TestRun) -> &Failure {
    run.failure()
}

fn field<'v>(value: &'v Value, path: &str) -> &'v Value {
    path.split('.').fold(value, |value, name| {
        value.get(name).unwrap_or_else(|| panic!("no {name} in {value}"))
    })
}

#[test]
fn an_answer_comes_back_with_its_data() {
    let stub = HttpStub::start();
    stub.on("GET", "/items")
        .header("x-total", "2")
        .json(200, serde_json::json!({ "items": [1, 2] }));
    let host = live(&stub);
    let run = host.run(&format!(
        r#"http::get("{}", #{{ query: #{{ q: "a b", n: 2 }}, headers: #{{ "X-Title": "t" }} }})"#,
        stub.url("/items")
    ));
    let answer = run.value();
    assert_eq!(field(answer, "status"), &Value::Int(200));
    assert_eq!(field(answer, "json.items").to_string(), "[1,2]");
    assert_eq!(field(answer, "headers.x-total"), &Value::from("2"));
    assert_eq!(field(answer, "simulated"), &Value::Bool(false));
    assert_eq!(stub.requests()[0].query, "n=2&q=a+b");
    assert_eq!(stub.requests()[0].header("x-title"), Some("t"));
}

#[test]
fn a_status_of_failure_is_an_error_unless_it_is_accepted() {
    let stub = HttpStub::start();
    stub.on("GET", "/gone").answer(404, "no such\u{1b}[31m thing\r\nhere");
    let host = live(&stub);
    let url = stub.url("/gone");
    let run = host.run(&format!(r#"http::get("{url}")"#));
    let failed = failure(&run);
    assert_eq!(
        (failed.code.as_str(), failed.status, failed.provider.as_deref()),
        ("HTTP_STATUS", Some(404), Some(READS))
    );
    assert_eq!(failed.message, format!("http://{} (GET) answered 404", stub.host()));
    assert_eq!(
        failed.details.get("body"),
        Some(&Value::from("no such[31m thing  here"))
    );
    assert_eq!(stub.count("GET", "/gone"), 1, "a refusal is not asked again");
    let run = host.run(&format!(r#"http::get("{url}", #{{ accept: [404] }}).status"#));
    assert_eq!(run.value(), &Value::Int(404));
}

#[test]
fn a_read_is_asked_again_until_it_is_answered() {
    let stub = HttpStub::start();
    stub.on("GET", "/x").once().status(502);
    stub.on("GET", "/x").once().cut();
    stub.on("GET", "/x").answer(200, "done");
    let run = live(&stub).run(&format!(r#"http::get("{}").body"#, stub.url("/x")));
    assert_eq!(run.value(), &Value::from("done"));
    assert_eq!(stub.count("GET", "/x"), 3);
    let failed: Vec<_> = run.recorded.steps[&1]
        .attempts
        .iter()
        .map(|attempt| attempt.error.code.as_str())
        .collect();
    assert_eq!(failed, ["HTTP_STATUS", "HTTP_CUT"]);
}

#[test]
fn a_write_that_was_refused_for_now_is_sent_again_when_the_server_said() {
    let stub = HttpStub::start();
    stub.on("POST", "/x").once().too_many(7);
    stub.on("POST", "/x").json(201, serde_json::json!({ "id": 1 }));
    let host = live(&stub);
    let run = host.run(&format!(r#"http::post("{}", #{{ a: 1 }}).json.id"#, stub.url("/x")));
    assert_eq!(run.value(), &Value::Int(1));
    let step = &run.recorded.steps[&1];
    assert_eq!(
        (step.intents.len(), step.attempts.len(), stub.count("POST", "/x")),
        (2, 1, 2)
    );
    assert_eq!(step.attempts[0].error.retry_after_ms, Some(7_000));
    assert!(
        host.clock.elapsed() >= Duration::from_secs(7),
        "{:?}",
        host.clock.elapsed()
    );
    assert_eq!(stub.requests()[0].header("content-type"), Some("application/json"));
    assert_eq!(stub.requests()[0].text(), r#"{"a":1}"#);
}

#[test]
fn a_write_of_which_nobody_knows_whether_it_landed_is_sent_once_and_stops_the_run() {
    for script in ["500", "503", "cut", "never"] {
        let stub = HttpStub::start();
        match script {
            "cut" => stub.on("POST", "/x").cut(),
            "never" => stub.on("POST", "/x").never(),
            status => stub
                .on("POST", "/x")
                .header("retry-after", "1")
                .status(status.parse().expect("a status")),
        }
        let run = live(&stub).run(&format!(
            r#"try {{ http::post("{}", (), #{{ timeout: "1s" }}) }} catch {{ "caught" }}"#,
            stub.url("/x")
        ));
        assert_eq!(run.outcome().status, Status::NeedsAttention, "{script}");
        assert_eq!((failure(&run).landed, stub.count("POST", "/x")), (None, 1), "{script}");
        assert!(
            run.recorded.steps[&1]
                .answer
                .as_ref()
                .is_some_and(|answer| answer.in_doubt),
            "{script}"
        );
    }
}

#[test]
fn under_a_key_that_the_server_remembers_a_write_in_doubt_is_sent_again_the_same() {
    let stub = HttpStub::start();
    stub.on("PUT", "/x").once().cut();
    stub.on("PUT", "/x").status(204);
    let run = live(&stub).run(&format!(
        r#"http::put("{}", "text", #{{ idempotency_key_header: "Idempotency-Key", idempotency_lifetime: "24h" }}).status"#,
        stub.url("/x")
    ));
    assert_eq!(run.value(), &Value::Int(204));
    let requests = stub.requests();
    let keys: Vec<_> = requests
        .iter()
        .map(|request| request.header("idempotency-key").expect("a key"))
        .collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1]);
    assert_eq!(run.recorded.steps[&1].intents[0].key, keys[0]);
}

#[test]
fn nobody_is_asked_who_is_not_listed_or_lives_inside_not_even_by_redirect() {
    let stub = HttpStub::start();
    let inside = HttpStub::start();
    stub.on("GET", "/there").redirect(302, &inside.url("/secret"));
    stub.on("GET", "/name")
        .redirect(302, &format!("http://localhost:{}/secret", inside.port()));
    stub.on("GET", "/moved").redirect(302, "/found");
    stub.on("GET", "/found").answer(200, "found");
    let host = TestHost::default().host(&stub.host()).host("*").live(READS);
    let code = |path: &str| {
        let run = host.run(&format!(r#"http::get("{path}")"#));
        (failure(&run).code.clone(), failure(&run).landed)
    };
    assert_eq!(code(&inside.url("/secret")).0, "HTTP_PRIVATE_ADDRESS");
    assert_eq!(
        code("http://169.254.169.254/latest/meta-data").0,
        "HTTP_PRIVATE_ADDRESS"
    );
    assert_eq!(code(&stub.url("/there")).0, "HTTP_PRIVATE_ADDRESS");
    assert_eq!(code(&stub.url("/name")).0, "HTTP_PRIVATE_ADDRESS");
    assert_eq!(inside.connections(), 0);
    assert_eq!(stub.count("GET", "/there"), 1, "where it leads, it leads again");
    let run = host.run(&format!(r#"http::get("{}").body"#, stub.url("/moved")));
    assert_eq!(run.value(), &Value::from("found"));
    let run = host.run(&format!(
        r#"http::get("{}", #{{ follow: false }}).status"#,
        stub.url("/moved")
    ));
    assert_eq!(run.value(), &Value::Int(302));
}

#[test]
fn a_write_follows_no_redirect() {
    let stub = HttpStub::start();
    stub.on("POST", "/x").redirect(307, "/y");
    let run = live(&stub).run(&format!(r#"http::post("{}", "a").status"#, stub.url("/x")));
    assert_eq!((run.value(), stub.requests().len()), (&Value::Int(307), 1));
}

#[test]
fn in_a_dry_run_nothing_leaves_but_reads_of_listed_hosts() {
    let stub = HttpStub::start();
    let other = HttpStub::start();
    stub.on("GET", "/x").answer(200, "real");
    stub.on("GET", "/out").redirect(302, &other.url("/x"));
    let listed = Value::from([("hosts", Value::List(vec![stub.host().into()]))]);
    let mut host =
        TestHost::default()
            .host(&stub.host())
            .host(&other.host())
            .provider(DRY_READS, &stub.url("/"), listed);
    host.mode
        .providers
        .insert(DRY_READS.to_owned(), crate::effect::ProviderMode::Live);

    let run = host.run(&format!(
        r#"let a = http::get("{}"); [a.body, a.simulated]"#,
        stub.url("/x")
    ));
    assert_eq!(run.value().to_string(), r#"["real",false]"#);
    let run = host.run(&format!(
        r#"let a = http::get("{}"); [a.status, a.simulated]"#,
        other.url("/x")
    ));
    assert_eq!(run.value().to_string(), "[200,true]");
    let run = host.run(&format!(
        r#"let a = http::post("{}", #{{ title: "t" }}); [a.json.title, a.json.id != (), a.simulated]"#,
        stub.url("/x")
    ));
    assert_eq!(run.value().to_string(), r#"["t",true,true]"#);
    let run = host.run(&format!(r#"http::get("{}")"#, stub.url("/out")));
    assert_eq!(
        failure(&run).code,
        "HTTP_NOT_ALLOWED",
        "a redirect does not lead out of the list either"
    );
    assert_eq!((stub.count("POST", "/x"), other.connections()), (0, 0));
}

#[test]
fn a_simulated_answer_depends_on_the_request_alone() {
    let script = r#"[http::post("https://a.example/x", #{ n: 1 }).json.id, http::post("https://a.example/x", #{ n: 2 }).json.id]"#;
    let first = TestHost::default().run(script);
    let second = TestHost::default().run(script);
    assert_eq!(first.value(), second.value());
    let ids = first.value().as_list().expect("an array");
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn one_sick_host_does_not_keep_http_from_the_others() {
    let stub = HttpStub::start();
    stub.on("GET", "/sick").status(500);
    stub.on("GET", "/well").answer(200, "well");
    let mut host = live(&stub);
    host.policies.circuit = CircuitSettings {
        threshold: 2,
        ..CircuitSettings::default()
    };
    let run = host.run(&format!(
        r#"for n in 0..3 {{ try {{ http::get("{}") }} catch {{ }} }} http::get("{}").body"#,
        stub.url("/sick"),
        stub.url("/well")
    ));
    assert_eq!(run.value(), &Value::from("well"));
}

#[test]
fn an_answer_larger_than_allowed_is_refused() {
    let stub = HttpStub::start();
    stub.on("GET", "/x").endless(1 << 20);
    let run = live(&stub).run(&format!(r#"http::get("{}", #{{ max_bytes: 1000 }})"#, stub.url("/x")));
    assert_eq!(
        (failure(&run).code.as_str(), stub.count("GET", "/x")),
        ("HTTP_TOO_LARGE", 1)
    );
}

#[test]
fn what_is_misspelt_is_refused_before_anything_leaves() {
    let stub = HttpStub::start();
    let host = live(&stub);
    for (options, expected) in [
        ("#{ header: #{} }", "did you mean `headers`?"),
        ("#{ json: 1 }", "has no option `json`"),
        ("#{ accept: 404 }", "an array is expected"),
    ] {
        let run = host.run(&format!(r#"http::get("{}", {options})"#, stub.url("/x")));
        assert!(failure(&run).message.contains(expected), "{}", failure(&run).message);
        assert_eq!(run.journal(), "");
    }
    assert_eq!(stub.connections(), 0);
}

#[test]
fn a_live_write_needs_its_word_in_uses() {
    let stub = HttpStub::start();
    let mut host = live(&stub);
    host.mode.uses.retain(|provider| provider != WRITES);
    let run = host.run(&format!(r#"http::post("{}")"#, stub.url("/x")));
    assert_eq!((failure(&run).code.as_str(), stub.connections()), ("NOT_IN_USES", 0));
}
