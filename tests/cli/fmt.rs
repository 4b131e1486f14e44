//! `host fmt`: one style, nothing lost.

use crate::project::Project;

const UNTIDY: &str = "//! A.\r\nlet   x=1; // one\r\n\r\n\r\nlet m=#{a:x,};\r\nm.a\r\n";
const TIDY: &str = "//! A.\r\nlet x = 1; // one\r\n\r\nlet m = #{ a: x };\r\nm.a\r\n";

#[test]
fn files_are_rewritten_and_the_second_time_there_is_nothing_to_do() {
    let project = Project::bare()
        .file("playbooks/a.rhai", UNTIDY)
        .file("playbooks/b.rhai", "1 + 1\n")
        .file("playbooks/c_test.rhai", "fn   test_c( ) { }\n");
    assert_eq!(
        project.ok(&["fmt"]),
        "~ playbooks/a.rhai  changed\n~ playbooks/c_test.rhai  changed\n✓ 3 playbooks looked at, 2 changed\n"
            .replace('✓', mark(&project))
    );
    let now = std::fs::read_to_string(project.path("playbooks/a.rhai")).expect("it is there");
    assert_eq!(now, TIDY);
    assert!(
        project
            .ok(&["fmt"])
            .ends_with("3 playbooks looked at, nothing to change\n")
    );
    project.ok(&["fmt", "--check"]);
}

/// The mark of success as this terminal shows it.
fn mark(project: &Project) -> &'static str {
    match project.ok(&["fmt", "b"]).starts_with('✓') {
        true => "✓",
        false => "ok",
    }
}

#[test]
fn check_and_diff_change_nothing_and_say_what_would_be() {
    let project = Project::bare().file("playbooks/a.rhai", UNTIDY);
    let before = project.files();
    let answer = project.host(&["fmt", "--check"]);
    assert_eq!(answer.code, 2);
    assert!(
        answer.stdout.contains("~ playbooks/a.rhai  is to be changed"),
        "{answer:?}"
    );
    let diff = project.ok(&["fmt", "--diff", "a"]);
    for line in [
        "--- playbooks/a.rhai",
        "+++ playbooks/a.rhai",
        "-let   x=1; // one",
        "+let x = 1; // one",
        " //! A.",
    ] {
        assert!(diff.lines().any(|shown| shown == line), "{line:?} is missing: {diff}");
    }
    assert_eq!(project.files(), before);
    let json = project.host(&["fmt", "--check", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(json["changed"], serde_json::json!(["playbooks/a.rhai"]));
    assert_eq!(
        (json["ok"].as_bool(), json["written"].as_bool()),
        (Some(false), Some(false))
    );
}

#[test]
fn a_file_that_does_not_parse_is_left_alone_and_shown_with_its_line() {
    let project = Project::bare()
        .file("playbooks/a.rhai", "let   x = ;\n")
        .file("playbooks/b.rhai", "1+1\n");
    let answer = project.host(&["fmt"]);
    assert_eq!(answer.code, 2);
    assert!(
        answer.stdout.contains("error[SYNTAX]") && answer.stdout.contains("playbooks/a.rhai:1:"),
        "{answer:?}"
    );
    assert!(
        answer
            .stdout
            .ends_with("2 playbooks looked at, 1 changed, 1 left alone\n"),
        "{answer:?}"
    );
    let left = std::fs::read_to_string(project.path("playbooks/a.rhai")).expect("it is there");
    assert_eq!(left, "let   x = ;\n");
}

#[test]
fn permissions_and_links_stay_and_a_file_that_may_not_be_written_is_told() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let project = Project::bare()
        .file("real.rhai", UNTIDY)
        .file("playbooks/b.rhai", "1\n");
    symlink(project.path("real.rhai"), project.path("playbooks/a.rhai")).expect("a link");
    let allowed = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(project.path("real.rhai"), allowed).expect("they are set");
    project.ok(&["fmt"]);
    let real = std::fs::metadata(project.path("real.rhai")).expect("it is there");
    assert_eq!(real.permissions().mode() & 0o777, 0o640);
    assert!(project.path("playbooks/a.rhai").is_symlink());
    assert_eq!(
        std::fs::read_to_string(project.path("real.rhai")).expect("a text"),
        TIDY
    );
    let answer = project.host(&["fmt", "nothing"]);
    assert!(answer.stderr.contains("PLAYBOOK_NOT_FOUND"), "{answer:?}");
}

#[test]
fn shipped_playbooks_are_in_the_one_style() {
    let project = Project::made();
    let answer = project.host(&["fmt", "--check"]);
    assert_eq!(answer.code, 0, "run `cargo run -- fmt`: {}", answer.shown());
}
