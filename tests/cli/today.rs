//! `host today`: what needs somebody.

use host::testing::HttpStub;
use serde_json::json;

use crate::incident::{live, run};
use crate::project::Project;

#[test]
fn where_nothing_is_wrong_it_says_so_and_ends_with_0() {
    let project = Project::bare().file("playbooks/fine.rhai", "kv::put(\"a\", 1)");
    let nothing = project.host(&["today"]);
    assert_eq!(nothing.code, 0, "{nothing:?}");
    assert!(nothing.stdout.contains("nothing has run yet"), "{nothing:?}");
    run(&project, "fine");
    let calm = project.host(&["today"]);
    assert_eq!(calm.code, 0, "{calm:?}");
    assert!(
        calm.stdout
            .starts_with("nothing needs you\nin the last 24 hours: 1 succeeded"),
        "{calm:?}"
    );
    assert_eq!(project.json(&["today"])["needs"], json!({}));
}

#[test]
fn everything_that_needs_somebody_is_told_with_what_to_do_and_ends_with_1() {
    let stub = HttpStub::start();
    stub.on("POST", "/posts").cut();
    let project = live(&stub)
        .file("playbooks/bad.rhai", "throw #{ code: \"NO\", message: \"not so\" };")
        .file(
            "playbooks/cut.rhai",
            "const PLAYBOOK = #{ uses: [\"acme\"] };\nacme::post(\"/posts\", #{})",
        )
        .file("playbooks/asks.rhai", "run::ask(\"publish it?\")")
        .file(
            "playbooks/gives_up.rhai",
            "queue::push(\"work\", 1, #{ attempts: 1 });\nlet job = queue::take(\"work\");\nqueue::fail(\"work\", job, \"no\")",
        );
    for playbook in ["bad", "cut", "asks", "gives_up"] {
        run(&project, playbook);
    }
    let told = project.host(&["today"]);
    assert_eq!(told.code, 1, "{told:?}");
    let needs = project.host(&["today", "--json"]);
    assert_eq!(needs.code, 1, "{needs:?}");
    let needs: serde_json::Value = serde_json::from_str(&needs.stdout).expect("JSON");
    let keys: Vec<&String> = needs["needs"].as_object().expect("a map").keys().collect();
    assert_eq!(keys, ["dead_jobs", "failed", "in_doubt", "incidents", "questions"]);
    assert_eq!(needs["needs"]["failed"][0]["playbook"], "bad");
    assert_eq!(
        needs["needs"]["dead_jobs"],
        json!([{ "queue": "work", "realm": "live", "dead": 1 }])
    );
    assert_eq!(
        needs["ended"],
        json!({ "failed": 1, "needs_attention": 1, "succeeded": 1 })
    );
    assert!(told.stdout.contains("NO: not so"), "{told:?}");
    assert!(told.stdout.contains("publish it?"), "{told:?}");

    // Every command that it gives exists.
    let hints = told.stdout.lines().filter_map(|line| line.split_once("  host "));
    let hints: Vec<&str> = hints.map(|(_, hint)| hint).collect();
    assert_eq!(hints.len(), 5, "{told:?}");
    for hint in hints {
        let words = hint
            .split_whitespace()
            .take_while(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()));
        let command: Vec<&str> = words.chain(["--help"]).collect();
        let help = project.host(&command);
        assert_eq!(help.code, 0, "host {hint}: {help:?}");
        assert!(
            help.stdout.contains("Usage: host") && help.stdout.contains(command[command.len() - 2]),
            "host {hint}"
        );
    }
}
