//! Runs that exist already, while a server holds the store: resumed, mended, done again, cancelled, decided.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use host::testing::HttpStub;
use serde_json::json;

use super::ended;
use super::server::Server;
use crate::incident::{live, run};
use crate::project::{Answer, Project};

const USES: &str = "const PLAYBOOK = #{ uses: [\"acme\"] };\n";

/// A run that the server has at work, with the command that asked for it.
fn at_work(stub: &HttpStub) -> (Project, Server, Child, String) {
    stub.on("GET", "/slow")
        .after(Duration::from_secs(20))
        .json(200, json!({ "n": 7 }));
    stub.on("POST", "/one").json(201, json!({}));
    let project = live(stub).file(
        "playbooks/works.rhai",
        &format!("{USES}acme::post(\"/one\", #{{}}); acme::get(\"/slow\").json.n;\nfn cleanup(end) {{ kv::put(\"cleaned\", end.status); }}"),
    );
    let toml = std::fs::read_to_string(project.path("host.toml")).expect("a file");
    project.write("host.toml", &toml.replace("timeout = \"1s\"", "timeout = \"30s\""));
    let server = Server::start(&project);
    let child = begun(&project, &["run", "works"]);
    assert!(stub.wait_for_requests(2, Duration::from_secs(30)), "it got so far");
    let id = newest(&project);
    (project, server, child, id)
}

/// The run that began last, when it is on record: its first read may leave before that.
fn newest(project: &Project) -> String {
    for _ in 0..100 {
        if let Some(id) = project.json(&["runs"])[0]["run_id"].as_str() {
            return id.to_owned();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no run is on record");
}

fn begun(project: &Project, arguments: &[&str]) -> Child {
    let mut command = project.command(arguments);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts")
}

fn end(child: Child) -> Answer {
    let output = child.wait_with_output().expect("it ends");
    Answer {
        code: output.status.code().expect("it ends by itself"),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.expect("kill is there").success());
}

#[test]
fn a_run_at_work_in_the_server_is_busy_for_others_and_cancelled_through_it() {
    let stub = HttpStub::start();
    let (project, _server, child, id) = at_work(&stub);
    for command in ["resume", "retry"] {
        let refused = project.host(&[command, &id, "--json"]);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(
            ["RUN_BUSY", "RUN_UNFINISHED"].contains(&&*refused.error_code()),
            "{refused:?}"
        );
    }
    let all = project.ok(&["resume", "--all"]);
    assert!(all.starts_with("nothing to go on with"), "{all}");
    let cancelled = project.ok(&["cancel", &id]);
    assert!(cancelled.contains("is cancelled"), "{cancelled}");
    let followed = end(child);
    assert_eq!(followed.code, 1, "{followed:?}");
    assert!(followed.stdout.contains("cancelled in"), "{followed:?}");
    assert_eq!(project.json(&["kv", "get", "cleaned"])["value"], "cancelled");
}

#[test]
fn ctrl_c_cancels_the_run_in_the_server() {
    let stub = HttpStub::start();
    let (project, _server, child, id) = at_work(&stub);
    interrupt(&child);
    let followed = end(child);
    assert_eq!(followed.code, 1, "{followed:?}");
    assert_eq!(ended(&project, &id)["run"]["status"], "cancelled");
}

#[test]
fn a_second_ctrl_c_leaves_the_run_to_the_server_and_says_so() {
    let stub = HttpStub::start();
    let (project, _server, child, _) = at_work(&stub);
    interrupt(&child);
    // The first one is heard: the run stops when the answer that it waits for has come.
    std::thread::sleep(Duration::from_millis(500));
    interrupt(&child);
    let left = end(child);
    assert_eq!(left.code, 7, "{left:?}");
    assert_eq!(project.json(&["runs"])[0]["status"], "running");
    assert!(
        left.stderr.contains("RUN_LEFT") && left.stderr.contains("goes on in the server"),
        "{left:?}"
    );
    assert!(left.stderr.contains("host cancel"), "{left:?}");
}

#[test]
fn a_command_that_is_killed_leaves_its_run_at_work() {
    let stub = HttpStub::start();
    stub.on("GET", "/slow")
        .after(Duration::from_secs(2))
        .json(200, json!({ "n": 7 }));
    let project = live(&stub).file("playbooks/works.rhai", &format!("{USES}acme::get(\"/slow\").json.n"));
    let toml = std::fs::read_to_string(project.path("host.toml")).expect("a file");
    project.write("host.toml", &toml.replace("timeout = \"1s\"", "timeout = \"30s\""));
    let _server = Server::start(&project);
    let mut child = begun(&project, &["run", "works"]);
    assert!(stub.wait_for_requests(1, Duration::from_secs(30)));
    child.kill().expect("it is at work");
    child.wait().expect("it ends");
    let id = newest(&project);
    let shown = ended(&project, &id);
    assert_eq!(
        (&shown["run"]["status"], &shown["run"]["outcome"]),
        (&json!("succeeded"), &json!(7))
    );
}

#[test]
fn a_server_killed_under_a_run_is_said_to_be_lost_and_the_run_goes_on_by_hand() {
    let stub = HttpStub::start();
    stub.on("POST", "/one").json(201, json!({}));
    stub.on("GET", "/slow")
        .once()
        .after(Duration::from_secs(20))
        .json(200, json!({}));
    stub.on("GET", "/slow").json(200, json!({ "n": 7 }));
    let project = live(&stub).file(
        "playbooks/works.rhai",
        &format!("{USES}acme::post(\"/one\", #{{}}); acme::get(\"/slow\").json.n"),
    );
    let toml = std::fs::read_to_string(project.path("host.toml")).expect("a file");
    project.write("host.toml", &toml.replace("timeout = \"1s\"", "timeout = \"30s\""));
    let server = Server::start(&project);
    let child = begun(&project, &["run", "works"]);
    assert!(stub.wait_for_requests(2, Duration::from_secs(30)));
    std::thread::sleep(Duration::from_millis(300));
    server.kill();
    let lost = end(child);
    assert_eq!(lost.code, 7, "{lost:?}");
    assert!(
        lost.stderr.contains("RUN_LEFT") && lost.stderr.contains("the server was lost"),
        "{lost:?}"
    );
    let resumed = project.json(&["resume", "--all"]);
    assert_eq!(resumed["runs"][0]["status"], "succeeded", "{resumed}");
    assert_eq!(stub.count("POST", "/one"), 1, "what landed is not done again");
}

#[test]
fn what_waits_is_resumed_cancelled_and_done_again_through_the_server() {
    let stub = HttpStub::start();
    stub.on("POST", "/after").json(201, json!({}));
    let project = live(&stub)
        .file(
            "playbooks/waits.rhai",
            &format!("{USES}run::wait_event(\"go\"); acme::post(\"/after\", #{{}}).status"),
        )
        .file("playbooks/ends.rhai", "kv::get(\"x\"); 5");
    let (waits, other, ends) = (run(&project, "waits"), run(&project, "waits"), run(&project, "ends"));
    let _server = Server::start(&project);
    let still = project.host(&["resume", &waits]);
    assert_eq!(still.code, 7, "{still:?}");
    assert!(
        still.stdout.contains("goes on after step") && still.stdout.contains("the server goes on"),
        "{still:?}"
    );
    let cancelled = project.json(&["cancel", &other]);
    assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
    assert_eq!(project.host(&["cancel", &other, "--json"]).error_code(), "RUN_OVER");
    project.ok(&["emit", "go"]);
    assert_eq!(ended(&project, &waits)["run"]["outcome"], 201);
    let again = project.json(&["retry", &ends]);
    assert_eq!(
        (&again["status"], &again["outcome"]),
        (&json!("succeeded"), &json!(5)),
        "{again}"
    );
    let twice = project.host(&["retry", &waits, "--json"]);
    assert_eq!(twice.error_code(), "WOULD_WRITE_TWICE");
    assert_eq!(project.json(&["retry", &ends, "--again", "1"])["status"], "succeeded");
    assert_eq!(project.host(&["resume", &ends, "--json"]).error_code(), "RUN_OVER");
}

#[test]
fn a_write_in_doubt_is_decided_and_the_run_goes_on_through_the_server() {
    let stub = HttpStub::start();
    stub.on("POST", "/posts").once().cut();
    stub.on("POST", "/posts").json(201, json!({ "id": "p2" }));
    let project = live(&stub).file(
        "playbooks/writes.rhai",
        &format!("{USES}acme::post(\"/posts\", #{{}}).json.id"),
    );
    let _server = Server::start(&project);
    let id = run(&project, "writes");
    let refused = project.host(&["resume", &id, "--json"]);
    assert_eq!((refused.code, refused.error_code()), (3, "STEP_IN_DOUBT".to_owned()));
    project.ok(&["resolve", &id, "1", "--not-landed", "--reason", "the provider has none"]);
    assert_eq!(project.json(&["resume", &id])["outcome"], "p2");
    assert_eq!(project.json(&["replay", &id])["same"], true);
}

#[test]
fn a_mended_script_goes_on_through_the_server_and_what_landed_is_not_done_again() {
    let stub = HttpStub::start();
    stub.on("POST", "/uploads").json(201, json!({ "id": "u1" }));
    stub.on("POST", "/bad").status(422);
    stub.on("POST", "/good").json(201, json!({}));
    let script = format!(
        "{USES}let up = acme::post(\"/uploads\", #{{ clip: \"c\" }}).json;\nacme::post(\"/bad\", #{{ upload: up.id }}).status\n"
    );
    let fixed = script.replace("/bad", "/good");
    let project = live(&stub)
        .file("playbooks/fails.rhai", &script)
        .file("fixed.rhai", &fixed)
        .file("changed.rhai", &fixed.replace("\"c\"", "\"d\""));
    let _server = Server::start(&project);
    let id = run(&project, "fails");
    let undecided = project.host(&["resume", &id, "--with", "changed.rhai", "--json"]);
    assert_eq!(
        (undecided.code, undecided.error_code()),
        (3, "LANDED_WRITE_CHANGED".to_owned())
    );
    let shown = project.ok(&["resume", &id, "--with", "fixed.rhai"]);
    for part in ["doors shut", "kept", "goes on with fixed.rhai", "succeeded in"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!((stub.count("POST", "/uploads"), stub.count("POST", "/good")), (1, 1));
    let replayed = project.json(&["replay", &id]);
    assert_eq!(replayed["same"], true);
}

#[test]
fn a_server_that_is_stopped_puts_the_run_aside_and_says_so() {
    let stub = HttpStub::start();
    stub.on("POST", "/one").json(201, json!({}));
    let project = live(&stub).file(
        "playbooks/works.rhai",
        &format!("{USES}acme::post(\"/one\", #{{}}); let n = 0; while kv::get(\"go\") == () {{ for i in 0..100000 {{ n += 1; }} }} 7"),
    );
    let toml = std::fs::read_to_string(project.path("host.toml")).expect("a file");
    project.write("host.toml", &format!("{toml}[serve]\ngrace = \"200ms\"\n"));
    let server = Server::start(&project);
    let child = begun(&project, &["run", "works"]);
    assert!(stub.wait_for_requests(1, Duration::from_secs(30)));
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(server.stop(), 0);
    assert!(!project.path("data/host.sock").exists(), "it has cleaned up");
    let aside = end(child);
    assert_eq!(aside.code, 7, "{aside:?}");
    assert!(
        aside.stderr.contains("RUN_LEFT") && aside.stderr.contains("put run"),
        "{aside:?}"
    );
    let id = newest(&project);
    project.ok(&["kv", "set", "go", "1"]);
    assert_eq!(project.json(&["resume", &id])["outcome"], 7);
    assert_eq!(stub.count("POST", "/one"), 1);
}
