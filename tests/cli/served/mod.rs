//! Every command while a server holds the store: what it reads, what it writes, and runs that the server carries out.

mod backup;
mod environments;
mod hostile;
mod keeps;
mod persons;
mod runs;
pub mod server;
mod stopping;

use host::testing::HttpStub;
use serde_json::json;

use crate::incident::{live, run};
use crate::project::{Project, keys};
use server::Server;

/// A project with a little of everything in its store.
fn full() -> (Project, Vec<String>) {
    let project = Project::bare()
        .file(
            "playbooks/works.rhai",
            "kv::put(\"n\", 7); store::put(\"posts\", \"a\", #{ title: \"x\" }); kv::get(\"n\")",
        )
        .file(
            "playbooks/asks.rhai",
            "run::ask(\"ok?\", #{ choices: [\"yes\", \"no\"] })",
        )
        .file("playbooks/fails.rhai", "kv::get(\"n\"); throw \"no\"")
        .env("USER", "ada");
    let ids = ["works", "asks", "fails"].map(|playbook| run(&project, playbook));
    (project, ids.to_vec())
}

#[test]
fn reading_commands_say_the_same_while_a_server_runs() {
    let (project, ids) = full();
    let (works, fails) = (&*ids[0], &*ids[2]);
    project.ok(&["incident", "open", fails, "--title", "It failed"]);
    let commands: Vec<Vec<&str>> = vec![
        vec!["runs", "--json"],
        vec!["show", works],
        vec!["show", fails, "--json"],
        vec!["why", works],
        vec!["why", fails],
        vec!["replay", works],
        vec!["replay", works, "--with", "playbooks/works.rhai"],
        vec!["answer", "--json"],
        vec!["kv", "list"],
        vec!["kv", "get", "n"],
        vec!["store", "list"],
        vec!["store", "get", "posts", "a"],
        vec!["incident", "list", "--json"],
        vec!["check"],
        vec!["kv", "get", "missing"],
        vec!["show", "nobody"],
    ];
    let alone: Vec<_> = commands.iter().map(|command| project.host(command)).collect();
    let _server = Server::start(&project);
    for (command, alone) in commands.iter().zip(alone) {
        let served = project.host(command);
        assert_eq!(
            (served.code, served.stdout, served.stderr),
            (alone.code, alone.stdout, alone.stderr),
            "{command:?}"
        );
    }
    let backtest = project.ok(&["backtest", "works"]);
    assert!(backtest.contains("1 run · 1 same"), "{backtest}");
    let plan = project.json(&["plan", "works"]);
    assert_eq!(plan["status"], "succeeded", "{plan}");
    assert_eq!(
        project.json(&["runs"]).as_array().expect("runs").len(),
        3,
        "a plan leaves nothing"
    );
}

#[test]
fn small_writes_are_made_through_the_server_and_woken_runs_go_on_at_once() {
    let (project, ids) = full();
    let project = project.file("playbooks/waits.rhai", "run::wait_event(\"go\").n");
    let waits = run(&project, "waits");
    let server = Server::start(&project);
    project.ok(&["kv", "set", "m", "8"]);
    project.ok(&["store", "put", "posts", "b", "{\"title\": \"y\"}"]);
    let woken = project.ok(&["emit", "go", "--data", "{\"n\": 5}"]);
    assert!(
        woken.contains("1 run was waiting for it") && woken.contains("the server goes on"),
        "{woken}"
    );
    let answered = project.ok(&["answer", &ids[1], "yes"]);
    assert!(answered.contains("the server goes on with it"), "{answered}");
    assert_eq!(ended(&project, &waits)["run"]["outcome"], 5);
    assert_eq!(ended(&project, &ids[1])["run"]["outcome"]["answer"], "yes");
    server.kill();
    project.ok(&["resume", "--all"]);
    assert_eq!(
        project.json(&["kv", "get", "m"])["value"],
        8,
        "what was said to be done is on the disk"
    );
}

/// The run when it is over.
pub fn ended(project: &Project, id: &str) -> serde_json::Value {
    for _ in 0..200 {
        let shown = project.json(&["show", id]);
        if !matches!(
            shown["run"]["status"].as_str(),
            Some("queued" | "running" | "suspended")
        ) {
            return shown;
        }
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
    panic!("run {id} does not end");
}

#[test]
fn what_needs_the_file_says_who_has_it_and_what_to_do() {
    let project = Project::bare();
    project.ok(&["kv", "set", "a", "1"]);
    let server = Server::start(&project);
    let refused = project.host(&["store", "repair"]);
    assert_eq!(refused.code, 4, "{refused:?}");
    let pid = server.pid().to_string();
    for part in ["STORE_SERVED", &pid, "stop the server"] {
        assert!(refused.stderr.contains(part), "{part}: {refused:?}");
    }
}

#[test]
fn a_run_says_the_same_and_ends_with_the_same_code_as_without_a_server() {
    let stub = HttpStub::start();
    stub.on("POST", "/fine").json(201, json!({}));
    stub.on("POST", "/bad").status(422);
    stub.on("POST", "/cut").cut();
    let uses = "const PLAYBOOK = #{ uses: [\"acme\"], inputs: #{ n: #{ type: \"int\", preset: 1 } } };\n";
    let project = live(&stub)
        .file(
            "playbooks/fine.rhai",
            &format!("{uses}log::info(\"begun\"); acme::post(\"/fine\", #{{}}).status + input.n"),
        )
        .file("playbooks/bad.rhai", &format!("{uses}acme::post(\"/bad\", #{{}})"))
        .file("playbooks/cut.rhai", &format!("{uses}acme::post(\"/cut\", #{{}})"))
        .file("playbooks/waits.rhai", "run::wait_event(\"go\")")
        .file("playbooks/naps.rhai", "run::sleep(\"1s\"); 3")
        .file("playbooks/calls.rhai", "playbook::run(\"naps\", #{})")
        .file("other/file.rhai", "1 + 1");
    let commands: [(&[&str], i32); 9] = [
        (&["run", "fine", "--n", "4"], 0),
        (&["run", "bad"], 1),
        (&["run", "cut"], 3),
        (&["run", "waits"], 7),
        (&["run", "calls"], 0),
        (&["run", "other/file.rhai"], 0),
        (&["run", "fine", "--n", "x"], 2),
        (&["run", "missing"], 2),
        (&["run", "fine", "--help"], 0),
    ];
    let alone: Vec<_> = commands.iter().map(|(command, _)| project.host(command)).collect();
    let _server = Server::start(&project);
    for ((command, code), alone) in commands.iter().zip(alone) {
        let served = project.host(command);
        assert_eq!(
            (served.code, alone.code),
            (*code, *code),
            "{command:?} {served:?} {alone:?}"
        );
        let told = |text: &str| -> Vec<String> { text.lines().map(gist).filter(|line| !line.is_empty()).collect() };
        let without_server = |line: &String| !line.contains("the server");
        let served_lines: Vec<_> = told(&served.shown()).into_iter().filter(without_server).collect();
        let mut alone_lines = told(&alone.shown());
        alone_lines.retain(|line| !line.contains("goes on, when it has come"));
        assert_eq!(served_lines, alone_lines, "{command:?}");
    }
    let shown = project.ok(&["run", "fine"]);
    assert!(shown.contains("carries it out"), "{shown}");
    let served = project.json(&["run", "fine"]);
    assert_eq!(
        (&served["status"], &served["outcome"]),
        (&json!("succeeded"), &json!(202))
    );
    assert!(keys(&served).contains(&"run_id"), "{served}");
}

/// A line without what differs between two runs: ids, times, versions, and what gives way to a longer time.
fn gist(line: &str) -> String {
    let words = line
        .split_whitespace()
        .filter(|word| !word.chars().any(|letter| letter.is_ascii_digit()));
    words
        .filter(|word| !["ms", "s"].contains(word) && !word.ends_with('…'))
        .collect::<Vec<_>>()
        .join(" ")
}
