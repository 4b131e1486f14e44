//! `host plan` leaves everything as it was, and reaches nothing, even when everything is live.

use std::process::Command;

use host::testing::HttpStub;

use crate::project::{Project, answer};

const PLAYBOOK: &str = r#"
const PLAYBOOK = #{ title: "Everything", uses: ["acme", "http_writes", "slack", "openai"] };
let page = http::get("http://HOST/page");
http::post("http://HOST/form", #{ a: 1 });
let post = acme::post("/posts", #{ text: "hello" });
openai::chat(#{ model: "m", prompt: "hello" });
slack::post("hello");
kv::put("posted", post.json.id);
store::put("posts", "a", #{ id: post.json.id });
"#;

/// A project in which every provider is live, publishing is allowed, and all lead to `stub`.
fn all_live(stub: &HttpStub) -> Project {
    let host = stub.host();
    let toml = format!(
        "[http]\nhosts = [\"{host}\"]\ndry_read = [\"{host}\"]\n\
         [providers.openai]\nbase_url = \"http://{host}/v1\"\n\
         [providers.acme]\nbase_url = \"http://{host}\"\npublish = true\n"
    );
    let mut project = Project::none()
        .file("host.toml", &toml)
        .file("playbooks/everything.rhai", &PLAYBOOK.replace("HOST", &host));
    let on = ["OPENAI_ENABLED", "SLACK_ENABLED", "HTTP_WRITES_ENABLED", "ACME_ENABLED"];
    let signals = [
        "ALLOW_AUTONOMOUS_PUBLISH",
        "PUBLISH_APPROVAL_GRANTED",
        "GOVERNANCE_APPROVED",
    ];
    for name in on.into_iter().chain(signals) {
        project = project.env(name, "true");
    }
    project
        .env("DRY_RUN", "false")
        .env("OPENAI_API_KEY", "sk-test-123456")
        .env("SLACK_WEBHOOK_URL", &format!("http://{host}/services/T000/B000/secret"))
}

#[test]
fn a_plan_opens_no_socket_though_all_is_live() {
    let stub = HttpStub::start();
    stub.on("GET", "/page").answer(200, "page");
    stub.on("POST", "/*").json(200, serde_json::json!({ "id": "p1" }));
    let project = all_live(&stub);
    project.ok(&["kv", "set", "before", "1"]);
    let before = project.files();

    let traces = tempfile::TempDir::new().expect("a folder beside the project");
    let trace = traces.path().join("network");
    let mut traced = Command::new("strace");
    traced.args(["-f", "-e", "trace=network", "-o"]).arg(&trace);
    let planned = answer(project.through(&mut traced, &["plan", "everything", "--json"]));
    assert_eq!(
        planned.code, 0,
        "strace must be installed; `make test` does so: {planned:?}"
    );
    let calls = std::fs::read_to_string(&trace).expect("strace writes its trace");
    assert!(calls.contains("+++ exited with 0 +++"), "the trace is whole: {calls}");
    let sockets: Vec<&str> = calls.lines().filter(|line| line.contains("AF_INET")).collect();
    assert!(sockets.is_empty(), "{sockets:?}");

    assert_eq!(stub.connections(), 0);
    assert_eq!(project.files(), before, "every file is as it was");
    let plan: serde_json::Value = serde_json::from_str(&planned.stdout).expect("JSON");
    let names: Vec<&str> = plan["effects"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|effect| effect["name"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "http.get",
            "http.post",
            "acme.post",
            "openai.chat",
            "slack.post",
            "kv.put",
            "store.put"
        ]
    );
    let publish = plan["gate"]
        .as_array()
        .and_then(|gate| gate.iter().find(|entry| entry["publish"] == true));
    assert_eq!(
        publish.map(|entry| &entry["decision"]),
        Some(&serde_json::json!("would be allowed"))
    );
    assert_eq!(plan["store_changes"].as_array().map(Vec::len), Some(2));
}

#[test]
fn the_same_playbook_run_does_open_sockets() {
    // The test above could not fail if the trace or the playbook were wrong; this one shows that both are right.
    let stub = HttpStub::start();
    stub.on("GET", "/page").answer(200, "page");
    stub.on("POST", "/*").json(200, serde_json::json!({ "id": "p1" }));
    let project = all_live(&stub);
    let run = answer(&mut project.command(&["run", "everything", "--json"]));
    assert!(stub.connections() > 0, "{run:?}");
    assert!(!run.stdout.contains("B000/secret"), "{run:?}");
}

#[test]
fn a_file_size_limit_is_an_error_that_says_so_and_loses_nothing() {
    let project = Project::bare().file(
        "playbooks/fill.rhai",
        r#"let text = "x"; for i in 0..14 { text += text; } for i in 0..200 { kv::put("k" + i, text + i); }"#,
    );
    project.ok(&["kv", "set", "kept", "1"]);
    let mut shell = Command::new("bash");
    // In blocks of 1 KiB: a little more than the new store needs.
    shell.args(["-c", "ulimit -f 2048; exec \"$@\"", "bash"]);
    let full = answer(project.through(&mut shell, &["run", "fill"]));
    assert_eq!(full.code, 4, "{full:?}");
    assert!(full.stderr.contains("STORE_FULL"), "{full:?}");
    assert_eq!(answer(&mut project.command(&["store", "repair"])).code, 0);
    assert_eq!(project.json(&["kv", "get", "kept"])["value"], 1);
}
