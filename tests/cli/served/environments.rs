//! A command and a server in two environments: the stricter holds, and it is said which.

use host::testing::HttpStub;
use serde_json::json;

use super::server::Server;
use crate::incident::{live, run};
use crate::project::{Answer, Project, answer};

const POSTS: &str = "const PLAYBOOK = #{ uses: [\"acme\"] };\nacme::post(\"/posts\", #{}).status\n";

fn place(stub: &HttpStub) -> Project {
    stub.on("POST", "/posts").json(201, json!({}));
    live(stub).file("playbooks/posts.rhai", POSTS)
}

fn with(project: &Project, env: &[(&str, &str)], arguments: &[&str]) -> Answer {
    answer(project.command(arguments).envs(env.iter().copied()))
}

#[test]
fn a_live_command_and_a_dry_server_make_a_dry_run() {
    let stub = HttpStub::start();
    let project = place(&stub);
    let _server = Server::with(&project, &[("DRY_RUN", "true")]);
    let shown = project.ok(&["run", "posts"]);
    assert!(
        shown.contains("DRY_RUN is off here and on in the server: this run is dry"),
        "{shown}"
    );
    assert!(shown.contains("DRY") && !shown.contains("LIVE"), "{shown}");
    assert_eq!(stub.connections(), 0);
    assert_eq!(project.json(&["runs"])[0]["mode"], "dry");
}

#[test]
fn a_dry_command_and_a_live_server_make_a_dry_run() {
    let stub = HttpStub::start();
    let project = place(&stub);
    let _server = Server::start(&project);
    let dry = [("DRY_RUN", "true")];
    let shown = with(&project, &dry, &["run", "posts"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(
        shown.stdout.contains("DRY_RUN is on here and off in the server"),
        "{shown:?}"
    );
    assert_eq!(stub.connections(), 0);
    assert!(project.ok(&["run", "posts"]).contains("LIVE"), "both are live");
    assert_eq!(stub.count("POST", "/posts"), 1);
}

#[test]
fn a_provider_is_live_only_where_both_have_it_live() {
    let stub = HttpStub::start();
    let project = place(&stub);
    let off = [("ACME_ENABLED", "false")];
    {
        let _server = Server::with(&project, &off);
        let shown = project.ok(&["run", "posts"]);
        assert!(
            shown.contains("acme is simulated: ACME_ENABLED is off (in the server)"),
            "{shown}"
        );
    }
    project.ok(&["resume", "--all"]);
    let _server = Server::start(&project);
    let shown = with(&project, &off, &["run", "posts"]);
    assert!(
        shown.stdout.contains("acme is simulated: ACME_ENABLED is off (here)"),
        "{shown:?}"
    );
    assert_eq!(stub.connections(), 0);
}

#[test]
fn the_secrets_of_a_server_serve_whoever_types_commands_and_switches_hold_in_both_places() {
    let stub = HttpStub::start();
    let project = place(&stub);
    let none = [("ACME_TOKEN", "")];
    let alone = with(&project, &none, &["run", "posts", "--json"]);
    assert_eq!((alone.code, alone.error_code()), (5, "CREDENTIALS_MISSING".to_owned()));
    {
        let _server = Server::start(&project);
        let shown = with(&project, &none, &["run", "posts"]);
        assert!(shown.code == 0 && shown.stdout.contains("LIVE"), "{shown:?}");
        assert_eq!(stub.count("POST", "/posts"), 1);
        assert_eq!(stub.requests()[0].header("x-key"), Some(crate::incident::SECRET));
        let off = [("ACME_TOKEN", ""), ("ACME_ENABLED", "false")];
        let shown = with(&project, &off, &["run", "posts"]);
        assert!(
            shown.stdout.contains("acme is simulated: ACME_ENABLED is off (here)"),
            "{shown:?}"
        );
        let shown = with(&project, &none, &["providers"]).stdout;
        assert!(shown.contains("with the same environment"), "{shown}");
    }
    let _server = Server::with(&project, &none);
    let refused = project.host(&["run", "posts", "--json"]);
    assert_eq!(refused.error_code(), "CREDENTIALS_MISSING", "{refused:?}");
    assert_eq!(stub.count("POST", "/posts"), 1);
}

#[test]
fn who_is_dry_takes_up_no_live_run() {
    let stub = HttpStub::start();
    let project = place(&stub).file(
        "playbooks/waits.rhai",
        "const PLAYBOOK = #{ uses: [\"acme\"] };\nrun::sleep(\"1h\"); acme::post(\"/posts\", #{});",
    );
    let (waits, posts) = (run(&project, "waits"), run(&project, "posts"));
    let _server = Server::start(&project);
    let dry = [("DRY_RUN", "true")];
    for arguments in [
        vec!["resume", &waits, "--json"],
        vec!["resume", &waits, "--with", "playbooks/posts.rhai", "--json"],
        vec!["retry", &posts, "--again", "1", "--json"],
    ] {
        let refused = with(&project, &dry, &arguments);
        assert_eq!(
            (refused.code, refused.error_code()),
            (2, "RUN_NOT_DRY".to_owned()),
            "{arguments:?}"
        );
    }
    assert_eq!(stub.count("POST", "/posts"), 1);
    assert_eq!(
        with(&project, &dry, &["cancel", &waits]).code,
        0,
        "to end it is no less strict"
    );
}

#[test]
fn what_shows_the_environment_says_how_that_of_the_server_differs() {
    let stub = HttpStub::start();
    let project = place(&stub);
    let server = Server::with(&project, &[("ACME_ENABLED", "false"), ("GOVERNANCE_APPROVED", "true")]);
    for command in ["providers", "config"] {
        let shown = project.ok(&[command]);
        for part in [
            &*format!("process {}", server.pid()),
            "acme is simulated: ACME_ENABLED is off (in the server)",
            "GOVERNANCE_APPROVED is not given here",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let json = project.json(&[command]);
        assert_eq!(json["server"]["pid"], server.pid());
        assert_eq!(
            json["server"]["differences"].as_array().expect("a list").len(),
            2,
            "{json}"
        );
    }
}

#[test]
fn the_servers_version_of_a_playbook_is_run_and_a_path_means_the_disk() {
    let project = Project::bare().file("playbooks/says.rhai", "1");
    let _server = Server::start(&project);
    project.write("playbooks/says.rhai", "let x = ;");
    let by_name = project.ok(&["run", "says"]);
    assert!(
        by_name.contains("the server has another version of it than the disk"),
        "{by_name}"
    );
    assert_eq!(project.json(&["run", "says"])["outcome"], 1);
    assert_eq!(
        project.host(&["run", "playbooks/says.rhai", "--json"]).error_code(),
        "SYNTAX"
    );
    project.write("playbooks/new.rhai", "3");
    assert_eq!(
        project.json(&["run", "new"])["outcome"],
        3,
        "one that the server has not taken over"
    );
}
