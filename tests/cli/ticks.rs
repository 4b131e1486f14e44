//! `host ticks`, `host pause` and `host resume` of what is paused.

use serde_json::json;

use crate::project::Project;

const MINUTELY: &str = "const PLAYBOOK = #{ schedule: \"* * * * *\" };\n1";

#[test]
fn without_a_server_nothing_was_seen_yet() {
    let project = Project::bare().file("playbooks/a.rhai", MINUTELY);
    assert!(
        project
            .ok(&["ticks"])
            .contains("`host serve` starts playbooks by their schedules")
    );
    assert_eq!(project.json(&["ticks", "a"]), json!({ "ticks": [], "planned": [] }));
    let unknown = project.host(&["ticks", "b"]);
    assert!(unknown.stderr.contains("PLAYBOOK_NOT_FOUND"), "{unknown:?}");
    let fate = project.host(&["ticks", "--fate", "skiped"]);
    assert!(fate.stderr.contains("did you mean skipped?"), "{fate:?}");
    assert!(!project.store().exists());
}

#[test]
fn a_playbook_is_paused_and_resumed_by_its_name() {
    let project = Project::bare().file("playbooks/daily/a.rhai", MINUTELY);
    let printed = project.ok(&["pause", "daily/a", "--why", "the feed is broken"]);
    assert!(printed.contains("daily/a is paused"), "{printed}");
    assert!(project.ok(&["pause", "daily/a"]).contains("is paused already"));
    assert_eq!(project.json(&["pause", "--list"])[0]["why"], "the feed is broken");
    assert!(project.ok(&["next", "daily/a"]).contains("it is paused since"));
    project.undo(&printed);
    assert_eq!(project.ok(&["pause", "--list"]), "nothing is paused\n");
    let again = project.host(&["resume", "daily/a", "--missed", "all"]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("NOT_PAUSED"), "{again:?}");
}

#[test]
fn everything_is_paused_and_resumed_at_once() {
    let project = Project::bare().file("playbooks/a.rhai", MINUTELY);
    let printed = project.ok(&["pause"]);
    project.ok(&["pause", "a"]);
    assert_eq!(project.json(&["pause", "--list"]).as_array().map(Vec::len), Some(2));
    let one = project.ok(&["resume", "a", "--missed", "latest"]);
    assert!(
        one.contains("the latest is caught up") && one.contains("everything is still paused"),
        "{one}"
    );
    project.undo(&printed);
    assert_eq!(project.json(&["pause", "--list"]), json!([]));
    assert_eq!(project.ok(&["resume", "--all-paused"]), "nothing is paused\n");
    assert_eq!(project.host(&["pause", "nobody"]).code, 2);
}
