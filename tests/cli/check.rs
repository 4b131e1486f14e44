//! `host check`

use crate::project::{Project, keys};

fn broken() -> Project {
    Project::bare()
        .file("playbooks/good.rhai", "kv::get(\"a\")")
        .file("playbooks/typo.rhai", "let a = 1;\nkv::gett(\"a\");\n")
        .file("playbooks/syntax.rhai", "let a = ;\n")
        .file("playbooks/header.rhai", "const PLAYBOOK = #{ titel: \"x\" };\n")
}

#[test]
fn each_mistake_has_its_place_its_frame_and_the_way_out() {
    let checked = broken().host(&["check"]);
    assert_eq!(checked.code, 2);
    insta::assert_snapshot!(checked.stdout);
}

#[test]
fn json_lists_every_mistake_with_its_place() {
    let checked = broken().host(&["check", "--json"]);
    assert_eq!(checked.code, 2);
    let json: serde_json::Value = serde_json::from_str(&checked.stdout).expect("JSON");
    assert_eq!(keys(&json), ["checked", "ok", "problems"]);
    assert_eq!(json["ok"], false);
    assert_eq!(json["checked"].as_array().map(Vec::len), Some(4));
    let problems = json["problems"].as_array().expect("a list");
    assert_eq!(problems.len(), 3, "{problems:?}");
    let typo = problems
        .iter()
        .find(|problem| problem["code"] == "UNKNOWN_FUNCTION")
        .expect("the typo");
    assert_eq!(keys(typo), ["code", "column", "file", "help", "line", "message"]);
    assert_eq!(
        (&typo["file"], &typo["line"]),
        (&"playbooks/typo.rhai".into(), &2.into())
    );
}

#[test]
fn only_the_named_playbooks_are_checked() {
    let project = broken();
    assert_eq!(project.host(&["check", "good"]).code, 0);
    assert_eq!(project.host(&["check", "good", "typo"]).code, 2);
    let unknown = project.host(&["check", "goood"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("did you mean \"good\"?"), "{unknown:?}");
}

#[test]
fn a_mistake_in_a_module_is_told_once() {
    let project = Project::bare()
        .file("playbooks/lib.rhai", "fn f() { kv::gett(\"a\") }\n")
        .file("playbooks/a.rhai", "import \"lib\" as lib;\nlib::f()")
        .file("playbooks/b.rhai", "import \"lib\" as lib;\nlib::f()");
    let checked = project.host(&["check"]);
    assert_eq!(
        checked.stdout.matches("UNKNOWN_FUNCTION").count(),
        1,
        "{}",
        checked.stdout
    );
    assert!(checked.stdout.contains("1 mistake"), "{}", checked.stdout);
}

#[test]
fn prompts_are_checked_with_the_project() {
    let project = Project::bare()
        .file("playbooks/a.rhai", "1")
        .file("prompts/broken.md", "Hello {{ name }\n");
    let checked = project.host(&["check"]);
    assert_eq!(checked.code, 2);
    assert!(checked.stdout.contains("prompts/broken.md:1"), "{}", checked.stdout);
    assert_eq!(project.host(&["check", "a"]).code, 0, "a prompt is not the playbook's");
}

#[test]
fn what_uses_names_and_what_it_forgets_are_told() {
    let script = "const PLAYBOOK = #{ uses: [\"slak\"] };\nslack::post(\"hello\")";
    let checked = Project::bare().file("playbooks/a.rhai", script).host(&["check"]);
    assert_eq!(checked.code, 2);
    assert!(checked.stdout.contains("did you mean \"slack\"?"), "{}", checked.stdout);
    assert!(checked.stdout.contains("NOT_IN_USES"), "{}", checked.stdout);
}

#[test]
fn outside_a_project_a_path_is_needed() {
    let project = Project::none().file("a.rhai", "kv::get(\"a\")");
    let nothing = project.host(&["check", "--json"]);
    assert_eq!((nothing.code, nothing.error_code().as_str()), (2, "NO_PROJECT"));
    assert_eq!(project.host(&["check", "a.rhai"]).code, 0);
}

#[test]
fn checking_makes_nothing() {
    let project = broken();
    let before = project.files();
    project.host(&["check"]);
    assert_eq!(project.files(), before);
}
