//! `host resume`: runs that were cut off or wait, on a host that has changed meanwhile.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use host::testing::HttpStub;
use serde_json::json;

use crate::incident::{live, run};
use crate::project::{Answer, Project, answer};

/// Waits, and then writes.
const WAITS: &str = r#"const PLAYBOOK = #{ uses: ["acme"] };
acme::post("/before", #{});
run::wait_event("go");
acme::post("/after", #{}).status
"#;

fn waiting(stub: &HttpStub) -> (Project, String) {
    stub.on("POST", "/before").json(201, json!({}));
    stub.on("POST", "/after").json(201, json!({}));
    let project = live(stub).file("playbooks/waits.rhai", WAITS);
    let id = run(&project, "waits");
    (project, id)
}

fn with(project: &Project, name: &str, value: &str, arguments: &[&str]) -> Answer {
    answer(project.command(arguments).env(name, value))
}

#[test]
fn a_switch_that_went_off_under_a_waiting_run_sends_nothing_and_says_which() {
    let stub = HttpStub::start();
    let (project, id) = waiting(&stub);
    project.ok(&["emit", "go"]);
    for (name, value, says) in [
        ("DRY_RUN", "true", "DRY_RUN is on"),
        ("ACME_ENABLED", "false", "ACME_ENABLED"),
    ] {
        let stopped = with(&project, name, value, &["resume", &id]);
        assert_eq!(stopped.code, 1, "{stopped:?}");
        let shown = stopped.shown();
        assert!(shown.contains("error[SWITCHED_OFF]") && shown.contains(says), "{shown}");
        assert!(shown.contains("the write did not happen"), "{shown}");
    }
    assert_eq!(stub.count("POST", "/after"), 0);
    assert_eq!(project.json(&["resume", &id])["outcome"], 201);
    assert_eq!((stub.count("POST", "/before"), stub.count("POST", "/after")), (1, 1));
}

#[test]
fn a_switch_that_went_on_under_a_waiting_run_does_not_make_it_live() {
    let stub = HttpStub::start();
    let project = live(&stub).file("playbooks/waits.rhai", WAITS);
    let begun = with(&project, "DRY_RUN", "true", &["run", "waits", "--json"]);
    assert_eq!(begun.code, 7, "{begun:?}");
    // The event, too, is one of a world in which nothing leaves.
    let live_event = project.json(&["emit", "go"]);
    assert_eq!(
        (&live_event["realm"], &live_event["woken"]),
        (&json!("live"), &json!([]))
    );
    with(&project, "DRY_RUN", "true", &["emit", "go"]);
    let resumed = project.json(&["resume", "--all"]);
    assert_eq!(resumed["runs"][0]["status"], "succeeded", "{resumed}");
    assert_eq!(stub.connections(), 0);
}

#[test]
fn a_run_goes_on_with_the_script_it_began_with() {
    let stub = HttpStub::start();
    let (project, id) = waiting(&stub);
    project.write("playbooks/waits.rhai", "throw \"another script\"");
    project.ok(&["emit", "go"]);
    assert_eq!(project.json(&["resume", &id])["outcome"], 201);
    std::fs::remove_file(project.path("playbooks/waits.rhai")).expect("it was there");
    assert_eq!(project.json(&["replay", &id])["same"], true);
}

#[test]
fn what_is_over_is_refused_before_anything_is_said() {
    let project = Project::bare().file("playbooks/ends.rhai", "1");
    let id = run(&project, "ends");
    let refused = project.host(&["resume", &id]);
    assert_eq!((refused.code, &*refused.stdout), (2, ""), "{refused:?}");
    assert!(
        refused.stderr.contains("is over (succeeded)") && refused.stderr.contains("host retry"),
        "{refused:?}"
    );
    assert_eq!(project.host(&["resume", &id, "--json"]).error_code(), "RUN_OVER");
    assert_eq!(project.host(&["resume", "--json"]).code, 2);
    assert_eq!(project.host(&["resume", &id, "--all"]).code, 2);
}

#[test]
fn the_beginning_of_an_id_will_do_when_it_is_that_of_one_run() {
    let project = Project::bare().file("playbooks/waits.rhai", "run::wait_event(\"go\")");
    let (one, other) = (run(&project, "waits"), run(&project, "waits"));
    let common = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    for (prefix, code) in [
        (&one[..common], "RUN_AMBIGUOUS"),
        ("", "RUN_NOT_FOUND"),
        ("!", "RUN_NOT_FOUND"),
    ] {
        for command in ["resume", "cancel", "retry", "show", "why", "replay"] {
            let refused = project.host(&[command, prefix, "--json"]);
            assert_eq!(
                (refused.code, refused.error_code()),
                (2, code.to_owned()),
                "{command} {prefix:?}"
            );
        }
    }
    let lower = one[..=common].to_lowercase();
    assert_eq!(project.json(&["show", &lower])["run"]["run_id"], json!(one));
}

/// The binary at work, killed when dropped.
struct AtWork(Child);

impl AtWork {
    fn start(command: &mut Command) -> AtWork {
        AtWork(
            command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("it starts"),
        )
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        // SIGKILL: nothing of it is cleaned up.
        self.0.kill().expect("it is at work");
        self.0.wait().expect("it ends");
    }
}

/// A run at work whose first write has landed, and which waits for the answer to its second.
fn at_work(stub: &HttpStub) -> (Project, AtWork) {
    stub.on("POST", "/one").json(201, json!({}));
    stub.on("GET", "/slow")
        .once()
        .after(Duration::from_secs(30))
        .json(200, json!({}));
    stub.on("GET", "/slow").json(200, json!({ "n": 7 }));
    let project = live(stub).file(
        "playbooks/works.rhai",
        "const PLAYBOOK = #{ uses: [\"acme\"] };\nacme::post(\"/one\", #{});\nacme::get(\"/slow\").json.n",
    );
    let toml = std::fs::read_to_string(project.path("host.toml")).expect("a file");
    project.write("host.toml", &toml.replace("timeout = \"1s\"", "timeout = \"40s\""));
    let working = AtWork::start(&mut project.command(&["run", "works"]));
    assert!(stub.wait_for_requests(2, Duration::from_secs(30)), "it got so far");
    // What a write was answered is on disk within a tenth of a second.
    std::thread::sleep(Duration::from_millis(500));
    (project, working)
}

#[test]
fn a_store_that_another_process_has_is_said_to_be_so() {
    let stub = HttpStub::start();
    let (project, _working) = at_work(&stub);
    for arguments in [
        vec!["runs"],
        vec!["run", "works"],
        vec!["resume", "--all"],
        vec!["cancel", "0"],
        vec!["answer"],
        vec!["emit", "go"],
        vec!["why", "0"],
    ] {
        let refused = project.host(&[arguments.clone(), vec!["--json"]].concat());
        assert_eq!(
            (refused.code, refused.error_code()),
            (4, "STORE_LOCKED".to_owned()),
            "{arguments:?}"
        );
    }
    let shown = project.host(&["runs"]).stderr;
    assert!(
        shown.contains("help: another `host` command is at work in this project"),
        "{shown}"
    );
    assert_eq!(stub.count("POST", "/one"), 1);
}

#[test]
fn a_run_whose_process_was_killed_goes_on_where_it_was() {
    let stub = HttpStub::start();
    let (project, working) = at_work(&stub);
    drop(working);
    let shut = project.host(&["runs"]);
    assert_eq!(shut.code, 4, "{shut:?}");
    assert!(
        shut.stderr.contains("STORE_NEEDS_REPAIR") && shut.stderr.contains("host resume --all"),
        "{shut:?}"
    );

    let begun = Instant::now();
    let resumed = project.ok(&["resume", "--all"]);
    assert!(resumed.contains("works") && resumed.contains("succeeded"), "{resumed}");
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "a dead process holds no lease"
    );
    let run = project.json(&["runs"])[0].clone();
    assert_eq!(
        (&run["status"], &run["playbook"]),
        (&json!("succeeded"), &json!("works"))
    );
    assert_eq!(stub.count("POST", "/one"), 1);
    let id = run["run_id"].as_str().expect("an id");
    assert_eq!(project.json(&["replay", id])["replayed"]["value"], 7);
}

#[test]
fn what_came_of_each_run_is_one_line_with_its_error() {
    let project = Project::bare().file(
        "playbooks/fails.rhai",
        "run::wait_event(\"go\"); throw #{ code: \"NO_FEED\", message: \"no\" };",
    );
    let (one, two) = (run(&project, "fails"), run(&project, "fails"));
    project.ok(&["emit", "go"]);
    let all = project.host(&["resume", "--all"]);
    assert_eq!(all.code, 1, "{all:?}");
    for id in [one, two] {
        let line = all
            .stdout
            .lines()
            .find(|line| line.starts_with(&id[..10]))
            .expect("a line");
        assert!(line.contains("failed") && line.contains("NO_FEED"), "{line}");
    }
    let wrong = project.host(&["runs", "--status", "suspendet", "--json"]);
    assert_eq!((wrong.code, wrong.error_code()), (2, "USAGE".to_owned()));
}
