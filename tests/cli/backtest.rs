//! `host backtest PLAYBOOK`: which runs of the last days an edit would have changed.

use serde_json::json;

use crate::project::{Project, keys};

const PLAYBOOK: &str = r#"const PLAYBOOK = #{ inputs: #{ n: #{ type: "int", required: true } } };
kv::put("n", input.n);
if input.n > 2 { throw #{ code: "TOO_MANY", message: `${input.n} are too many` }; }
kv::get("n") * 2
"#;

/// Three runs that succeed, one that fails, and one of another playbook.
fn history() -> Project {
    let project = Project::bare()
        .file("playbooks/double.rhai", PLAYBOOK)
        .file("playbooks/other.rhai", "1");
    for n in ["0", "1", "2"] {
        project.ok(&["run", "double", "--n", n]);
    }
    assert_eq!(project.host(&["run", "double", "--n", "3"]).code, 1);
    project.ok(&["run", "other"]);
    project
}

#[test]
fn nothing_changed_is_said_and_is_exit_code_0() {
    let project = history();
    let before = project.files();
    let tested = project.host(&["backtest", "double"]);
    assert_eq!(tested.code, 0, "{tested:?}");
    assert!(tested.stdout.contains("4 runs · 4 same"), "{tested:?}");
    let with = project.host(&["backtest", "double", "--with", "playbooks/double.rhai", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&with.stdout).expect("JSON");
    assert_eq!((with.code, &json["same"], &json["runs"]), (0, &json!(4), &json!(4)));
    assert_eq!(project.files(), before, "every file is as it was");
}

#[test]
fn a_changed_outcome_is_told_run_by_run_and_is_exit_code_1() {
    let project = history();
    project.write("fix.rhai", &PLAYBOOK.replace("input.n > 2", "input.n > 1"));
    let tested = project.host(&["backtest", "double", "--with", "fix.rhai"]);
    assert_eq!(tested.code, 1, "{tested:?}");
    for said in [
        "outcome changed",
        "before   succeeded 4",
        "now      failed: TOO_MANY — 2 are too many",
        "− kv.get gone",
        "4 runs · 3 same · 1 outcome changed",
        "--with fix.rhai",
    ] {
        assert!(tested.stdout.contains(said), "{said}: {}", tested.stdout);
    }
    let only_failed = project.host(&["backtest", "double", "--with", "fix.rhai", "--where", "status=failed"]);
    assert_eq!(only_failed.code, 0, "{only_failed:?}");
    assert!(only_failed.stdout.contains("1 run · 1 same"), "{only_failed:?}");
}

#[test]
fn other_effects_and_missing_answers_have_exit_codes_of_their_own() {
    let project = history();
    project.write(
        "more.rhai",
        &PLAYBOOK.replace("kv::get(\"n\") * 2", "kv::put(\"m\", 1); kv::get(\"n\") * 2"),
    );
    let effects = project.host(&["backtest", "double", "--with", "more.rhai"]);
    assert_eq!(effects.code, 8, "{effects:?}");
    assert!(
        effects.stdout.contains("4 runs · 1 same · 3 only effects changed"),
        "{effects:?}"
    );
    project.write(
        "blind.rhai",
        &PLAYBOOK.replace("kv::get(\"n\") * 2", "kv::get(\"x\"); kv::get(\"n\") * 2"),
    );
    let stuck = project.host(&["backtest", "double", "--with", "blind.rhai", "--missing", "stop"]);
    assert_eq!(stuck.code, 9, "{stuck:?}");
    assert!(stuck.stdout.contains("3 could not be answered"), "{stuck:?}");
    let guessed = project.host(&["backtest", "double", "--with", "blind.rhai"]);
    assert_eq!(guessed.code, 8, "{guessed:?}");
    assert!(
        guessed.stdout.contains("3 with answers that are not from the record"),
        "{guessed:?}"
    );
}

#[test]
fn the_shape_of_its_json_is_stable() {
    let project = history();
    project.write("fix.rhai", &PLAYBOOK.replace("input.n > 2", "input.n > 1"));
    let tested = project.host(&["backtest", "double", "--with", "fix.rhai", "--json", "--limit", "2"]);
    let json: serde_json::Value = serde_json::from_str(&tested.stdout).expect("JSON");
    assert_eq!(
        keys(&json),
        [
            "effects_changed",
            "errors",
            "more",
            "not_answered",
            "not_asked",
            "outcome_changed",
            "playbook",
            "results",
            "runs",
            "same",
            "since",
            "with",
            "with_unrecorded_answers"
        ]
    );
    assert_eq!((&json["runs"], &json["more"]), (&json!(2), &json!(true)));
    let fates: Vec<&str> = json["results"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|run| run["fate"].as_str())
        .collect();
    assert_eq!(fates, ["same", "outcome_changed"], "newest first");
    assert_eq!(
        keys(&json["results"][1]),
        [
            "before",
            "begun",
            "error",
            "fate",
            "first_difference",
            "now",
            "run_id",
            "unrecorded"
        ]
    );
}

#[test]
fn bad_questions_are_refused() {
    let project = history();
    project.write("broken.rhai", "let a = ;");
    let refusals: [(&[&str], &str); 6] = [
        (&["double", "--with", "broken.rhai"], "SYNTAX"),
        (&["nobody"], "PLAYBOOK_NOT_FOUND"),
        (&["double", "--since", "yesterday"], "USAGE"),
        (&["double", "--where", "status=fine"], "USAGE"),
        (&["double", "--where", "colour=red"], "USAGE"),
        (&["double", "--missing", "ask"], "USAGE"),
    ];
    for (words, code) in refusals {
        let refused = project.host(&[&["backtest", "--json"], words].concat());
        assert_eq!(
            (refused.code, refused.error_code().as_str()),
            (2, code),
            "{words:?} {refused:?}"
        );
    }
    let none = project.host(&["backtest", "double", "--where", "status=cancelled"]);
    assert_eq!(none.code, 0, "{none:?}");
    assert!(none.stdout.contains("no run of double that is cancelled"), "{none:?}");
    // A run that cannot take the inputs any more is one that could not be answered for.
    project.write("typed.rhai", &PLAYBOOK.replace("type: \"int\"", "type: \"string\""));
    let refused = project.host(&["backtest", "double", "--with", "typed.rhai"]);
    assert_eq!(refused.code, 9, "{refused:?}");
    assert!(
        refused.stdout.contains("INPUT: input `n` must be of type string"),
        "{refused:?}"
    );
}
