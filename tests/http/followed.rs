//! One request, followed by its correlation id through everything that it causes.

use host::testing::HttpStub;
use serde_json::Value;

use crate::client::ask;
use crate::watched::Watched;

const CORR: &str = "order-4711";

fn playbooks(stub: &HttpStub) -> Vec<(&'static str, String)> {
    let start = format!(
        "const PLAYBOOK = #{{ http: #{{ path: \"/start\" }} }};\nlog::info(\"start says so\", #{{ dl_ms: 42 }});\n\
         http::get(\"{}\");\nplaybook::run(\"child\", #{{}});\nqueue::push(\"work\", #{{ n: 1 }});\n\
         event::emit(\"made\", #{{ n: 1 }});\n\"done\"",
        stub.url("/flaky")
    );
    let says = |header: &str, name: &str| format!("const PLAYBOOK = #{{ {header} }};\nlog::info(\"{name} says so\");");
    vec![
        ("playbooks/start.rhai", start),
        ("playbooks/child.rhai", says("", "child")),
        (
            "playbooks/worker.rhai",
            says("queue: \"work\", inputs: #{ n: #{ type: \"int\" } }", "worker"),
        ),
        ("playbooks/heeds.rhai", says("event: \"made\"", "heeds")),
        ("playbooks/follows.rhai", says("after: \"start\"", "follows")),
        ("playbooks/other.rhai", says("http: #{ path: \"/other\" }", "other")),
    ]
}

fn of<'l>(lines: &'l [Value], message: &str) -> Vec<&'l Value> {
    lines.iter().filter(|line| line["message"] == message).collect()
}

#[test]
fn what_a_request_causes_bears_its_correlation_id_in_every_line_of_the_log() {
    let stub = HttpStub::start();
    stub.on("GET", "/flaky").once().status(503);
    stub.on("GET", "/flaky").status(200);
    let settings = format!(
        "[http]\nhosts = [\"{}\"]\n[gate]\nbackoff_base = \"1ms\"\n",
        stub.host()
    );
    let files = playbooks(&stub);
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let env = [("DRY_RUN", "false"), ("LOG_FORMAT", "json"), ("LOG_LEVEL", "debug")];
    let mut server = Watched::start(&settings, &files, &env);
    let operator = server.host(&["user", "add", "root", "--role", "admin", "--no-password", "--json"]);
    let token = server.host(&["token", "add", "root", "--scope", "admin", "--json"]);
    let token: Value = serde_json::from_str(token.trim()).unwrap_or_else(|error| panic!("{error}: {token} {operator}"));
    let bearer = format!("Bearer {}", token["token"].as_str().expect("a token"));
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("x-correlation-id", CORR),
    ];
    let started = ask(server.address, "POST", "/start", &headers, "{}");
    assert!([200, 202].contains(&started.status), "{started:?}");
    assert_eq!(started.headers["x-correlation-id"], CORR);
    let other = ask(
        server.address,
        "POST",
        "/other",
        &[("authorization", bearer.as_str()), ("content-type", "application/json")],
        "{}",
    );
    assert_eq!(other.status, 200, "{other:?}");
    let said = ["start", "child", "worker", "heeds", "follows", "other"].map(|name| format!("{name} says so"));
    server.wait("what was caused", || {
        let lines = server.lines();
        said.iter().all(|message| !of(&lines, message).is_empty()) && of(&lines, "succeeded").len() >= 6
    });
    server.stop();
    let lines = server.lines();
    for message in &said[..5] {
        for line in of(&lines, message) {
            assert_eq!(line["corr"], CORR, "{line}");
            assert!(line["run"].is_string(), "{line}");
        }
    }
    assert_ne!(of(&lines, "other says so")[0]["corr"], CORR, "what it did not cause");
    assert_eq!(of(&lines, "start says so")[0]["dl_ms"], 42);
    let failed = of(&lines, "an attempt failed");
    assert_eq!(failed.len(), 1);
    let shown = ["corr", "effect", "attempt", "step", "playbook"].map(|name| failed[0][name].clone());
    assert_eq!(
        shown,
        [
            CORR.into(),
            "http.get".into(),
            1.into(),
            shown[3].clone(),
            "start".into()
        ]
    );
    let answered = of(&lines, "an attempt was answered");
    assert!(
        answered.iter().any(|line| line["attempt"] == 2 && line["corr"] == CORR),
        "{answered:?}"
    );
    let requests = of(&lines, "answered");
    assert!(
        requests
            .iter()
            .any(|line| line["corr"] == CORR && line["status"] == started.status),
        "{requests:?}"
    );
    for (message, least) in [("at work", 5), ("succeeded", 5)] {
        let found = of(&lines, message);
        assert!(
            found.iter().filter(|line| line["corr"] == CORR).count() >= least,
            "{message}: {found:?}"
        );
        assert!(found.iter().all(|line| line["corr"].is_string()), "{found:?}");
    }
    // Nothing else bears it: what is found by it belongs together.
    let playbooks: std::collections::BTreeSet<&str> = lines
        .iter()
        .filter(|line| line["corr"] == CORR)
        .filter_map(|line| line["playbook"].as_str())
        .collect();
    assert_eq!(
        playbooks.into_iter().collect::<Vec<_>>(),
        ["child", "follows", "heeds", "start", "worker"]
    );
}
