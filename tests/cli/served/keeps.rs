//! Runs that go on while other prompts and playbooks are live than they began with.

use host::testing::HttpStub;
use serde_json::{Value, json};

use super::ended;
use super::server::Server;
use crate::incident::{live, run};
use crate::project::Project;

const USES: &str = "const PLAYBOOK = #{ uses: [\"acme\"] };\n";

/// A project whose `waits` tells what it renders and starts after its wait, and then posts.
fn project(stub: &HttpStub) -> Project {
    let waits = format!(
        "{USES}run::wait_event(\"go\");\n\
         kv::put(\"said\", prompt::render(\"word\").text + \" \" + playbook::run(\"child\", #{{}}));\n\
         acme::post(\"/after\", #{{}}).status"
    );
    live(stub)
        .file("playbooks/waits.rhai", &waits)
        .file("playbooks/child.rhai", "\"of the first child\"")
        .file("playbooks/tells.rhai", "prompt::render(\"word\").text")
        .file("prompts/word.md", "one")
}

fn save_others(project: &Project) {
    project.write("prompts/word.md", "two");
    project.write("playbooks/child.rhai", "\"of the second child\"");
}

fn said(project: &Project) -> Value {
    project.json(&["kv", "get", "said"])["value"].clone()
}

fn until_live(project: &Project, word: &str) {
    for _ in 0..200 {
        let told = project.host(&["run", "tells", "--json"]).stdout;
        if told.contains(&format!("\"outcome\":\"{word}\"")) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("the prompt never goes live");
}

#[test]
fn a_run_that_waits_in_a_server_keeps_its_prompts_across_saves_and_restarts_and_by_hand() {
    let stub = HttpStub::start();
    stub.on("POST", "/after").json(201, json!({}));
    let project = project(&stub);
    let server = Server::start(&project);
    let ids = [(); 3].map(|()| run(&project, "waits"));
    save_others(&project);
    until_live(&project, "two");
    server.kill();
    project.ok(&["emit", "go"]);
    assert_eq!(project.json(&["resume", &ids[0]])["outcome"], 201, "without a server");
    assert_eq!(said(&project), "one of the first child");
    project.ok(&["kv", "remove", "said"]);
    let _server = Server::start(&project);
    for id in &ids[1..] {
        assert_eq!(ended(&project, id)["run"]["outcome"], 201);
        assert_eq!(said(&project), "one of the first child");
        assert_eq!(project.json(&["replay", id])["same"], true);
    }
    let new = run(&project, "waits");
    project.ok(&["emit", "go"]);
    assert_eq!(ended(&project, &new)["run"]["outcome"], 201);
    assert_eq!(said(&project), "two of the second child");
}

#[test]
fn what_was_switched_off_meanwhile_is_refused_to_a_run_that_keeps_its_prompts() {
    let stub = HttpStub::start();
    stub.on("POST", "/after").json(201, json!({}));
    let project = project(&stub);
    let server = Server::start(&project);
    let id = run(&project, "waits");
    server.kill();
    save_others(&project);
    let _server = Server::with(&project, &[("ACME_ENABLED", "false")]);
    until_live(&project, "two");
    project.ok(&["emit", "go"]);
    let shown = ended(&project, &id);
    assert_eq!(shown["run"]["error"]["code"], "SWITCHED_OFF", "{shown}");
    assert_eq!(said(&project), "one of the first child");
    assert_eq!(stub.count("POST", "/after"), 0);
}

#[test]
fn a_run_that_is_given_a_mended_script_goes_on_with_the_prompts_of_now() {
    let project = Project::bare()
        .file("playbooks/tells.rhai", "kv::get(\"n\"); prompt::render(\"word\").text")
        .file("prompts/word.md", "{{ missing }}");
    let _server = Server::start(&project);
    let id = run(&project, "tells");
    project.write("prompts/word.md", "two");
    until_live(&project, "two");
    assert_eq!(
        project.host(&["resume", &id, "--json"]).error_code(),
        "RESUME_NEEDS_EDIT"
    );
    project.write(
        "mended.rhai",
        "kv::get(\"n\"); run::wait_event(\"go\"); prompt::render(\"word\").text",
    );
    assert_eq!(
        project.host(&["resume", &id, "--with", "mended.rhai"]).code,
        7,
        "it waits"
    );
    project.write("prompts/word.md", "three");
    until_live(&project, "three");
    project.ok(&["emit", "go"]);
    assert_eq!(ended(&project, &id)["run"]["outcome"], "two", "of then, from there on");
}
