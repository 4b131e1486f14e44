//! `host kv`

use serde_json::json;

use crate::project::Project;

#[test]
fn a_value_is_set_shown_listed_and_forgotten() {
    let project = Project::bare();
    project.ok(&["kv", "set", "a", "{\"n\": [1, 2.5]}"]);
    project.ok(&["kv", "set", "b", "hello"]);
    assert_eq!(project.ok(&["kv", "get", "a"]), "{\"n\":[1,2.5]}\n");
    let all = project.json(&["kv", "list"]);
    assert_eq!(
        all["pairs"],
        json!([{ "key": "a", "value": { "n": [1, 2.5] } }, { "key": "b", "value": "hello" }])
    );
    assert_eq!(
        project.json(&["kv", "list", "b"])["pairs"].as_array().map(Vec::len),
        Some(1)
    );
    project.ok(&["kv", "remove", "a"]);
    assert_eq!(project.host(&["kv", "get", "a"]).code, 2);
}

#[test]
fn what_looks_like_json_can_be_set_as_text() {
    let project = Project::bare();
    project.ok(&["kv", "set", "a", "5"]);
    assert_eq!(project.json(&["kv", "get", "a"])["value"], 5);
    project.ok(&["kv", "set", "a", "5", "--text"]);
    assert_eq!(project.json(&["kv", "get", "a"])["value"], "5");
    project.ok(&["kv", "set", "a", "-5"]);
    assert_eq!(project.json(&["kv", "get", "a"])["value"], -5);
}

#[test]
fn a_playbook_reads_what_was_set_in_its_realm() {
    let project = Project::bare().file("playbooks/a.rhai", "kv::get(\"a\")");
    project.ok(&["kv", "set", "a", "for live", "--realm", "live"]);
    assert_eq!(project.json(&["run", "a"])["outcome"], json!(null));
    project.ok(&["kv", "set", "a", "for dry"]);
    assert_eq!(project.json(&["run", "a"])["outcome"], "for dry");
    assert_eq!(project.json(&["kv", "get", "a", "--live"])["value"], "for live");
}

#[test]
fn live_is_the_realm_when_dry_run_is_off() {
    let project = Project::bare().env("DRY_RUN", "false");
    assert_eq!(project.json(&["kv", "set", "a", "1"])["realm"], "live");
    let text = project.ok(&["kv", "set", "a", "2"]);
    assert!(text.contains("in the LIVE realm"), "{text}");
}

#[test]
fn a_missing_key_is_looked_for_in_the_other_realm_and_among_its_neighbours() {
    let project = Project::bare();
    project.ok(&["kv", "set", "last_video", "a1", "--realm", "live"]);
    let elsewhere = project.host(&["kv", "get", "last_video"]);
    assert_eq!(elsewhere.code, 2);
    assert!(
        elsewhere.stderr.contains("the LIVE realm has it: add --realm live"),
        "{elsewhere:?}"
    );
    let near = project.host(&["kv", "get", "last_vidoe", "--live"]);
    assert!(near.stderr.contains("did you mean \"last_video\"?"), "{near:?}");
}

#[test]
fn every_change_prints_the_command_that_undoes_it() {
    let nasty = [
        "it's \"quoted\" $HOME `x` \\ \u{1b}[2J\u{202e}",
        "-5",
        "{\"a\": [1, \"'\"]}",
        "plain",
    ];
    for key in ["a", "it's", "-x", "b\u{1b}[1m'c"] {
        let project = Project::bare();
        for value in nasty {
            let set = ["kv", "set", "--text", "--", key, value];
            let before = project.json(&["kv", "list"]);
            let printed = project.ok(&set);
            assert_ne!(project.json(&["kv", "list"]), before);
            project.undo(&printed);
            assert_eq!(project.json(&["kv", "list"]), before, "{printed}");
            project.ok(&set);
        }
        let before = project.json(&["kv", "list"]);
        let printed = project.ok(&["kv", "remove", "--", key]);
        project.undo(&printed);
        assert_eq!(project.json(&["kv", "list"]), before, "{printed}");
    }
}

#[test]
fn reading_before_anything_ran_makes_no_store() {
    let project = Project::bare();
    assert!(project.ok(&["kv", "list"]).contains("no keys in the DRY realm"));
    assert_eq!(project.host(&["kv", "get", "a"]).code, 2);
    assert_eq!(project.host(&["kv", "remove", "a"]).code, 2);
    assert!(!project.store().exists());
}
