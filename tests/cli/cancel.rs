//! `host cancel`: runs that are ended from outside, their clean-up and what they started.

use host::testing::HttpStub;
use serde_json::json;

use crate::incident::{live, run};
use crate::project::Project;

const PARENT: &str = r#"let one = playbook::start("waits", #{});
let two = playbook::start("middle", #{});
playbook::wait(one);
playbook::wait(two);
fn cleanup(end) { kv::put("cleaned", end.status); }
"#;

fn place() -> Project {
    Project::bare()
        .file("playbooks/parent.rhai", PARENT)
        .file("playbooks/middle.rhai", "playbook::run(\"waits\", #{})")
        .file("playbooks/waits.rhai", "run::wait_event(\"never\")")
}

#[test]
fn the_tree_below_a_run_is_shown_and_cancelled_with_it() {
    let project = place();
    let parent = run(&project, "parent");
    let shown = project.ok(&["show", &parent]);
    let tree = shown.split("runs that it started\n").nth(1).expect("a tree");
    let indents: Vec<usize> = tree
        .lines()
        .take(3)
        .map(|line| line.len() - line.trim_start().len())
        .collect();
    assert_eq!(indents, [2, 2, 4], "{shown}");
    let why = project.ok(&["why", &parent]);
    assert!(
        why.contains("ask         host why "),
        "it names whom it waits for: {why}"
    );

    let said = project.ok(&["cancel", &parent]);
    assert!(said.contains("is cancelled, with what it started"), "{said}");
    let runs = project.json(&["runs"]);
    let states: Vec<_> = runs
        .as_array()
        .expect("runs")
        .iter()
        .map(|run| &run["status"])
        .collect();
    assert_eq!(states, [&json!("cancelled"); 4]);
    assert_eq!(project.json(&["kv", "get", "cleaned"])["value"], "cancelled");
    project.ok(&["emit", "never"]);
    let after = project.ok(&["resume", "--all"]);
    assert!(after.starts_with("nothing to go on with"), "{after}");
    assert_eq!(project.host(&["cancel", &parent, "--json"]).error_code(), "RUN_OVER");
}

/// Once the first child that could not be ended left all later ones at work.
#[test]
fn a_child_in_doubt_keeps_no_other_from_being_cancelled() {
    let stub = HttpStub::start();
    stub.on("POST", "/posts").cut();
    let uses = "const PLAYBOOK = #{ uses: [\"acme\"] };\n";
    let project = live(&stub)
        .file("playbooks/posts.rhai", &format!("{uses}acme::post(\"/posts\", #{{}});"))
        .file(
            "playbooks/waits.rhai",
            &format!("{uses}run::wait_event(\"go\"); acme::post(\"/late\", #{{}});"),
        )
        .file(
            "playbooks/parent.rhai",
            &format!(
                "{uses}let a = playbook::start(\"posts\", #{{}}); let b = playbook::start(\"waits\", #{{}});\n\
                      playbook::wait(a); playbook::wait(b);"
            ),
        );
    let parent = run(&project, "parent");
    let refused = project.host(&["cancel", &parent]);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(
        refused.stderr.contains("error[STEP_IN_DOUBT]") && refused.stderr.contains("the run itself is cancelled"),
        "{refused:?}"
    );
    assert_eq!(
        project.json(&["runs", "--playbook", "parent"])[0]["status"],
        "cancelled"
    );
    assert_eq!(project.json(&["runs", "--playbook", "waits"])[0]["status"], "cancelled");
    assert_eq!(
        project.json(&["runs", "--playbook", "posts"])[0]["status"],
        "needs_attention"
    );
    project.ok(&["emit", "go"]);
    project.ok(&["resume", "--all"]);
    assert_eq!(stub.count("POST", "/late"), 0);
}
