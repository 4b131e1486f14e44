//! What people do through a server stands in the journals under their names, and what they decide is taken up and said.

use std::process::Stdio;
use std::time::Duration;

use host::app::App;
use host::journal::{Entry, row};
use host::testing::HttpStub;
use serde_json::json;

use super::ended;
use super::server::Server;
use crate::incident::{live, run};
use crate::project::Project;

/// Who took runs up, as all journals of the project say it. Nobody may serve.
fn resumed_by(project: &Project) -> Vec<String> {
    let app = App::new(project.folder()).expect("a project");
    let ground = app.writer().expect("a store");
    let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    let rows = ground.store.scan(all, 100_000, false).expect("readable");
    let entries = rows
        .iter()
        .filter_map(|(key, stored)| match host::store::keys::parse(key) {
            Some(host::store::keys::Place::Journal { .. }) => row::decode(&stored.value).ok(),
            _ => None,
        });
    let resumed = entries.flatten().filter_map(|entry| match entry {
        Entry::Resumed(resumed) => Some(resumed.by),
        _ => None,
    });
    resumed.collect()
}

#[test]
fn who_cancels_or_resumes_through_a_server_is_named_in_the_journal() {
    let project = Project::bare()
        .env("USER", "ada")
        .file("playbooks/waits.rhai", "run::wait_event(\"go\")")
        .file("playbooks/starts.rhai", "playbook::run(\"waits\", #{})");
    let (waits, starts) = (run(&project, "waits"), run(&project, "starts"));
    let server = Server::start(&project);
    project.ok(&["cancel", &waits]);
    project.ok(&["cancel", &starts]);
    assert_eq!(server.stop(), 0);
    let named = resumed_by(&project);
    assert!(named.len() >= 3 && named.iter().all(|by| by == "by ada"), "{named:?}");
}

#[test]
fn who_accepts_a_version_while_it_is_served_is_told_that_it_is_live() {
    let project = Project::none()
        .env("USER", "ada")
        .file("host.toml", "[serve]\nreload = \"guarded\"\n")
        .file("playbooks/a.rhai", "kv::put(\"n\", 1); 4");
    let _server = Server::start(&project);
    run(&project, "a");
    project.write("playbooks/a.rhai", "kv::put(\"n\", 1); 5");
    for _ in 0..400 {
        if project.json(&["versions", "list"])["versions"][0]["state"] == "held" {
            break;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    let accepted = project.ok(&["versions", "accept", "2"]);
    assert!(accepted.contains("version 2 is live"), "{accepted}");
    assert_eq!(project.json(&["run", "a"])["outcome"], 5);
}

/// Once `host status` said for ever what held at the start.
#[test]
fn a_switch_that_is_saved_while_it_serves_shows_in_the_status() {
    let project = Project::bare().file("playbooks/a.rhai", "4");
    let _server = Server::start(&project);
    assert_eq!(project.json(&["status"])["live"], false);
    project.write(".env", "DRY_RUN=false\n");
    for _ in 0..400 {
        if project.json(&["status"])["live"] == true {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("{}", project.ok(&["status"]));
}

#[test]
fn that_a_provider_is_live_is_said_once_and_not_at_each_run() {
    let stub = HttpStub::start();
    stub.on("POST", "/posts").json(201, json!({}));
    let header = "const PLAYBOOK = #{ uses: [\"acme\"], every: \"1s\", missed: \"none\" };\n";
    let project = live(&stub).file(
        "playbooks/posts.rhai",
        &format!("{header}acme::post(\"/posts\", #{{}}).status"),
    );
    let child = project
        .command(&["serve"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    assert!(stub.wait_for_requests(3, Duration::from_secs(30)));
    let shown = project.host(&["run", "posts"]);
    assert_eq!(shown.stderr.matches("ACME LIVE MODE ENABLED").count(), 1, "{shown:?}");
    let plan = project.host(&["plan", "posts"]);
    assert!(!plan.stderr.contains("LIVE MODE"), "nothing leaves: {plan:?}");
    let sent = std::process::Command::new("kill").arg(child.id().to_string()).status();
    assert!(sent.expect("kill is there").success());
    let log = String::from_utf8(child.wait_with_output().expect("it ends").stderr).expect("text");
    assert_eq!(log.matches("ACME LIVE MODE ENABLED").count(), 1, "{log}");
}

/// The copy of a job that is at work is nobody's: the one does not hold the other back, and neither is lost.
#[test]
fn a_job_that_the_server_has_at_work_is_copied_as_one_that_waits() {
    let header = "const PLAYBOOK = #{ queue: \"renders\" };\n";
    let project = Project::bare().file("playbooks/renders.rhai", &format!("{header}run::wait_event(\"go\"); 5"));
    let _server = Server::start(&project);
    project.ok(&["queue", "push", "renders", "{}"]);
    let state = |realm: &str| project.json(&["queue", "show", "renders", "0", "--realm", realm])["state"].clone();
    for _ in 0..400 {
        if project.json(&["runs"])[0]["status"] == "suspended" {
            break;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    let at_work = state("dry");
    assert_ne!(at_work, "ready");
    project.ok(&["store", "copy", "dry"]);
    assert_eq!((state("dry"), state("live")), (at_work, json!("ready")));
    project.ok(&["emit", "go"]);
    let id = project.json(&["runs"])[0]["run_id"].as_str().expect("an id").to_owned();
    assert_eq!(ended(&project, &id)["run"]["outcome"], 5);
    assert_eq!(
        project.host(&["queue", "show", "renders", "0", "--realm", "dry"]).code,
        2,
        "it is done"
    );
    assert_eq!(state("live"), "ready");
}
