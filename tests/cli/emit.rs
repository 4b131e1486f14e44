//! `host emit`: events from outside, and the runs that wait for them.

use serde_json::json;

use crate::incident::run;
use crate::project::Project;

fn place() -> Project {
    Project::bare()
        .file(
            "playbooks/event.rhai",
            "run::wait_event(\"review.done\", #{ timeout: \"2d\" })",
        )
        .file(
            "playbooks/later.rhai",
            "run::wait_event(\"go\"); run::wait_event(\"review.done\")",
        )
}

#[test]
fn an_event_wakes_the_runs_that_wait_for_it_and_no_other() {
    let project = place();
    let (event, later) = (run(&project, "event"), run(&project, "later"));
    let said = project.ok(&["emit", "other"]);
    assert!(said.contains("no run waits for it now"), "{said}");
    let nothing = project.ok(&["resume", "--all"]);
    assert!(nothing.starts_with("nothing to go on with"), "{nothing}");

    let woken = project.json(&["emit", "review.done", "--data", "{\"stars\": 5}"]);
    assert_eq!(woken["woken"], json!([event]));
    let resumed = project.json(&["resume", "--all"]);
    assert_eq!(resumed["runs"][0]["run_id"], json!(event));
    assert_eq!(project.json(&["show", &event])["run"]["outcome"]["stars"], 5);

    // The event came before the second run asked for it, and is there when it does.
    project.ok(&["emit", "go"]);
    assert_eq!(project.json(&["resume", &later])["outcome"]["stars"], 5);
}

#[test]
fn an_event_without_a_name_or_with_broken_data_is_none() {
    let project = place();
    let event = run(&project, "event");
    let long = "x".repeat(300);
    for (arguments, code) in [
        (vec!["emit", "", "--json"], "EVENT_INVALID"),
        (vec!["emit", &long, "--json"], "EVENT_INVALID"),
        (vec!["emit", "review.done", "--data", "{stars", "--json"], "USAGE"),
    ] {
        let refused = project.host(&arguments);
        assert_eq!(
            (refused.code, refused.error_code()),
            (2, code.to_owned()),
            "{arguments:?}"
        );
    }
    assert_eq!(project.host(&["resume", &event]).code, 7);
}

#[test]
fn a_long_sleep_leaves_the_run_on_disk_and_an_early_resume_says_until_when() {
    let project = Project::bare().file(
        "playbooks/sleeps.rhai",
        "kv::put(\"a\", 1); run::sleep(\"61s\"); kv::put(\"b\", 1)",
    );
    let started = std::time::Instant::now();
    let slept = project.host(&["run", "sleeps"]);
    assert_eq!(slept.code, 7, "{slept:?}");
    assert!(
        slept.stdout.contains("suspended at step 2: it waits until 20"),
        "{}",
        slept.stdout
    );
    let id = project.json(&["runs", "--status", "suspended"])[0]["run_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let early = project.host(&["resume", &id]);
    assert_eq!(early.code, 7, "{early:?}");
    assert!(early.stdout.contains("it waits until 20"), "{}", early.stdout);
    assert!(started.elapsed().as_secs() < 50, "nobody waited for it");
    assert_eq!(project.host(&["kv", "get", "b", "--json"]).error_code(), "KV_NOT_FOUND");
    for arguments in [vec!["show", &id], vec!["why", &id], vec!["replay", &id]] {
        project.json(&arguments);
    }
}

#[test]
fn what_happened_before_a_run_began_is_not_for_it() {
    let project = place();
    project.ok(&["emit", "review.done"]);
    let event = run(&project, "event");
    assert_eq!(project.json(&["show", &event])["run"]["status"], "suspended");
}

#[test]
fn an_event_of_a_plan_wakes_no_run_of_the_store() {
    let project = place().file(
        "playbooks/emits.rhai",
        "[event::emit(\"go\", #{ n: 1 }), event::emit(\"go\", #{ n: 2 })]\n",
    );
    project.write(
        "playbooks/waits.rhai",
        "let it = run::wait_event(\"go\", #{ timeout: \"30d\" }); kv::put(\"came\", it.n); it\n",
    );
    let waiting = run(&project, "waits");
    let shown = |run: &str| project.json(&["show", run]);
    let (before, of_run) = (project.files(), shown(&waiting));
    let planned = project.json(&["plan", "emits"]);
    // Of the runs outside none is counted, and none is told.
    assert_eq!(planned["outcome"], json!([0, 0]), "{planned:#}");
    assert_eq!(project.files(), before);
    assert_eq!(shown(&waiting), of_run);
    project.host(&["resume", &waiting]);
    assert_eq!(shown(&waiting)["run"]["status"], "suspended");
    // A run that is none of a plan is heard.
    project.ok(&["emit", "go", "--data", "{\"n\": 7}"]);
    assert_eq!(project.json(&["resume", &waiting])["outcome"]["n"], 7);
}
