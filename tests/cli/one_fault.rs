//! One fault gives one error, whatever command meets it, and its code has a page.

use crate::project::{Answer, Project};

/// The codes of the errors that a person sees.
fn codes(answer: &Answer) -> Vec<String> {
    let shown = answer.shown();
    let code = |rest: &str| rest.split(']').next().unwrap_or_default().to_owned();
    shown.split("error[").skip(1).map(code).collect()
}

#[track_caller]
fn assert_one(project: &Project, arguments: &[&str], code: &str) {
    let answer = project.host(arguments);
    assert_eq!(codes(&answer), [code], "{arguments:?}: {answer:?}");
    assert!(!answer.shown().contains("WARN"), "{arguments:?}: {answer:?}");
    assert_ne!(answer.code, 0, "{arguments:?}: {answer:?}");
    project.ok(&["explain", code]);
}

#[test]
fn a_broken_script() {
    let project = Project::bare().file("playbooks/a.rhai", "let a = ;\n");
    for command in ["run", "plan", "check"] {
        assert_one(&project, &[command, "a"], "SYNTAX");
    }
    let called = Project::bare()
        .file("playbooks/a.rhai", "let a = ;\n")
        .file("playbooks/b.rhai", "import \"a\" as a;\na::f();\n");
    for command in ["run", "plan"] {
        assert_one(&called, &[command, "b"], "SYNTAX");
    }
    assert_one(&called, &["check"], "SYNTAX");
}

#[test]
fn a_script_that_fails() {
    let project = Project::bare()
        .file("playbooks/a.rhai", "let list = [1];\nlist[7];\n")
        .file("playbooks/b.rhai", "file::read_text(\"inbox/none\");\n");
    for command in ["run", "plan"] {
        assert_one(&project, &[command, "a"], "INDEX");
        assert_one(&project, &[command, "b"], "FILE_NOT_FOUND");
    }
}

#[test]
fn what_is_not_there() {
    let project = Project::bare();
    for command in ["run", "plan", "check", "dev"] {
        assert_one(&project, &[command, "none"], "PLAYBOOK_NOT_FOUND");
    }
    for command in ["show", "why", "replay", "resume", "retry", "cancel"] {
        assert_one(&project, &[command, "01K9XQ4T"], "RUN_NOT_FOUND");
    }
    assert_one(&project, &["functions", "no::such"], "UNKNOWN_FUNCTION");
    assert_one(&project, &["explain", "NO_SUCH"], "UNKNOWN_CODE");
}

#[test]
fn settings_that_cannot_be_used_are_shown_with_their_place_and_what_is_meant() {
    let project = Project::bare().file("host.toml", "# mine\n[limits]\noperation = 1000\n");
    assert_one(&project, &["runs"], "CONFIG");
    let shown = project.host(&["runs"]).stderr;
    assert!(
        shown.contains("host.toml:3:1") && shown.contains("3 │ operation = 1000"),
        "{shown}"
    );
    assert!(
        shown.contains("did you mean `operations`?") && !shown.contains("\\n"),
        "{shown}"
    );
    for (text, place) in [
        ("[limits\n", "host.toml:1:"),
        ("a = \n", "host.toml:1:"),
        ("[limits]\noperations = \"many\"\n", "host.toml:2:14"),
    ] {
        project.write("host.toml", text);
        assert_one(&project, &["runs"], "CONFIG");
        let shown = project.host(&["runs"]).stderr;
        assert!(shown.contains(place), "{text:?}: {shown}");
    }
}

#[test]
fn a_store_that_another_command_holds() {
    let project = Project::bare().file("playbooks/a.rhai", "kv::put(\"a\", 1);\n");
    project.ok(&["run", "a"]);
    let held = host::store::engine::Engine::open(&project.store(), Default::default()).expect("the store");
    for arguments in [["run", "a"], ["plan", "a"]] {
        assert_one(&project, &arguments, "STORE_LOCKED");
    }
    assert_one(&project, &["runs"], "STORE_LOCKED");
    drop(held);
}
