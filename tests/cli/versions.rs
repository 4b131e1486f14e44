//! `host versions`: what was live, what was refused, and going back, with no server there.

use std::sync::Arc;

use host::app::App;
use host::journal::edition::Effect;
use host::serve::Reloader;
use host::serve::versions::{News, is_held};

use crate::project::Project;

/// A host begins to serve, judges what lies on the disk, and ends.
fn served(project: &Project) {
    let app = Arc::new(App::new(project.folder()).expect("a project"));
    let ground = app.writer().expect("a store");
    drop(Reloader::open(app, ground).expect("a version"));
}

/// What a command that fails with `code` says.
#[track_caller]
fn refused(project: &Project, arguments: &[&str], code: i32) -> String {
    let answer = project.host(arguments);
    assert_eq!(answer.code, code, "{arguments:?}: {answer:?}");
    answer.shown()
}

/// Three versions: a first, a second that is live, and a third that does not compile.
fn project() -> Project {
    let project = Project::bare()
        .env("USER", "ada")
        .file(
            "playbooks/daily.rhai",
            "let greeting = \"hello\";\ngreeting + \" world\"\n",
        )
        .file("playbooks/other.rhai", "1\n")
        .file("prompts/voice.md", "Be brief.\n");
    served(&project);
    project.write(
        "playbooks/daily.rhai",
        "let greeting = \"good morning\";\ngreeting + \" world\"\n",
    );
    project.write("prompts/voice.md", "Be kind.\n");
    served(&project);
    project.write("playbooks/other.rhai", "let x = ;\n");
    served(&project);
    project
}

#[test]
fn versions_are_listed_with_what_became_of_them() {
    let project = project();
    let listed = project.json(&["versions", "list"]);
    assert_eq!(listed["live"], 2);
    let states: Vec<&str> = listed["versions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|version| version["state"].as_str().expect("a state"))
        .collect();
    assert_eq!(states, ["broken", "live", "past"]);
    assert_eq!(listed["versions"][0]["faults"][0]["file"], "playbooks/other.rhai");
    assert_eq!(listed["versions"][1]["changes"][1]["path"], "prompts/voice.md");
    let shown = project.ok(&["versions", "list"]);
    let lines: Vec<String> = shown
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(lines[0], "version state when by what");
    assert!(
        lines[1].starts_with("3 broken just now start playbooks/other.rhai:1:8: a value"),
        "{shown}"
    );
    assert!(
        lines[2].ends_with("start playbooks/daily.rhai and prompts/voice.md"),
        "{shown}"
    );
    assert!(lines[3].ends_with("first start 4 files"), "{shown}");
    assert!(
        shown.contains("host versions show 3    what is wrong with it"),
        "{shown}"
    );
}

#[test]
fn a_broken_version_is_shown_with_its_code_frame() {
    let project = project();
    let shown = project.ok(&["versions", "show"]);
    assert!(shown.starts_with("version 3  broken  "), "{shown}");
    assert!(shown.contains("~ playbooks/other.rhai"), "{shown}");
    assert!(
        shown.contains("playbooks/other.rhai:1:8") && shown.contains("let x = ;"),
        "{shown}"
    );
    let said = refused(&project, &["versions", "show", "9"], 2);
    assert!(said.contains("VERSION_NOT_FOUND"), "{said}");
}

#[test]
fn what_a_version_changed_is_shown_line_by_line() {
    let project = project();
    let shown = project.ok(&["versions", "diff", "2", "--playbook", "daily"]);
    assert_eq!(
        shown,
        "version 1 → version 2\n\n--- a/playbooks/daily.rhai\n+++ b/playbooks/daily.rhai\n@@ -1,2 +1,2 @@\n\
         -let greeting = \"hello\";\n+let greeting = \"good morning\";\n greeting + \" world\"\n"
    );
    let diff = project.json(&["versions", "diff", "1", "2"]);
    let paths: Vec<&str> = diff["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["playbooks/daily.rhai", "prompts/voice.md"]);
    assert!(
        diff["files"][1]["diff"]
            .as_str()
            .unwrap()
            .contains("-Be brief.\n+Be kind.\n")
    );
    project.write("playbooks/new.rhai", "2\n");
    let disk = project.ok(&["versions", "diff", "live", "disk"]);
    assert!(
        disk.contains("--- /dev/null\n+++ b/playbooks/new.rhai\n@@ -0,0 +1 @@\n+2\n"),
        "{disk}"
    );
    assert!(
        project
            .ok(&["versions", "diff", "live", "live"])
            .ends_with("no difference\n")
    );
    // What a file holds never reaches the terminal raw.
    project.write("playbooks/new.rhai", "\"\x1b[31mred\"\n");
    assert!(!project.ok(&["versions", "diff", "disk"]).contains('\x1b'));
}

#[test]
fn going_back_needs_no_server_and_can_be_undone() {
    let project = project();
    let said = project.ok(&["versions", "rollback", "1"]);
    assert!(
        said.contains("playbooks/daily.rhai, playbooks/other.rhai and 1 more written back as in version 1"),
        "{said}"
    );
    assert!(said.ends_with("undo    host versions rollback 3\n"), "{said}");
    let text = |path: &str| std::fs::read_to_string(project.path(path)).expect("it is there");
    assert_eq!(
        text("playbooks/daily.rhai"),
        "let greeting = \"hello\";\ngreeting + \" world\"\n"
    );
    assert_eq!(text("prompts/voice.md"), "Be brief.\n");
    project.undo(&said);
    assert_eq!(text("playbooks/other.rhai"), "let x = ;\n");
    assert_eq!(text("prompts/voice.md"), "Be kind.\n");
    project.ok(&["versions", "rollback", "1"]);
    served(&project);
    let listed = project.json(&["versions", "list"]);
    assert_eq!(listed["live"], 4);
    assert_eq!(listed["versions"][0]["by"], "rollback to 1 by ada");
    assert_eq!(listed["versions"][2]["state"], "rolled_back");
    let again = project.json(&["versions", "rollback", "1"]);
    assert_eq!(again["changes"].as_array().map(Vec::len), Some(0));
    // What nobody has a version of is not lost.
    project.write("playbooks/daily.rhai", "precious\n");
    let said = refused(&project, &["versions", "rollback", "2"], 2);
    assert!(
        said.contains("VERSION_UNSAVED") && said.contains("playbooks/daily.rhai") && said.contains("--force"),
        "{said}"
    );
    assert_eq!(text("playbooks/daily.rhai"), "precious\n");
    let forced = project.json(&["versions", "rollback", "2", "--force"]);
    assert_eq!(forced["before"], 5);
    assert_eq!(text("prompts/voice.md"), "Be kind.\n");
    project.ok(&["versions", "rollback", "5"]);
    assert_eq!(text("playbooks/daily.rhai"), "precious\n");
}

#[test]
fn a_held_version_is_shown_with_its_effects_and_decided_on() {
    let project = project();
    project.write("playbooks/other.rhai", "1\n");
    served(&project);
    let said = refused(&project, &["versions", "accept", "2"], 2);
    assert!(said.contains("version 2 is live, and only one that is held"), "{said}");
    let held = {
        let app = App::new(project.folder()).expect("a project");
        let ground = app.writer().expect("a store");
        let files = host::serve::rollback::disk(&app, &*ground.store).expect("the disk");
        let news = News {
            at_ms: app.clock.unix_ms(),
            by: "save",
            files: &files,
            pending: None,
        };
        let effect = Effect {
            run: host::id::RunId::new(1_763_683_200_000, 7),
            playbook: "daily".to_owned(),
            is_pinned: true,
            fate: "outcome_changed".to_owned(),
            before: "succeeded 1".to_owned(),
            now: "failed: \x1b[31mX".to_owned(),
            first: None,
        };
        is_held(
            &*ground.store,
            &news,
            "of 3 recent runs 1 would have ended otherwise",
            vec![effect],
        )
        .expect("a row")
    };
    let number = held.to_string();
    let shown = project.ok(&["versions", "show", &number]);
    assert!(
        shown.contains("held: of 3 recent runs 1 would have ended otherwise"),
        "{shown}"
    );
    assert!(shown.contains("would end otherwise, held by an incident"), "{shown}");
    assert!(
        shown.contains("before  succeeded 1") && shown.contains("now     failed: \\u{1b}[31mX"),
        "{shown}"
    );
    assert!(shown.contains(&format!("host versions accept {number}")), "{shown}");
    let said = project.ok(&["versions", "discard", &number]);
    assert!(
        said.contains(&format!("version {number} is discarded; version 2 stays live")),
        "{said}"
    );
    let shown = project.json(&["versions", "show", &number]);
    assert_eq!(
        (shown["state"].as_str(), shown["decided_by"].as_str()),
        (Some("discarded"), Some("ada"))
    );
    refused(&project, &["versions", "accept", &number], 2);
    let acts = project.json(&["audit", "tail", "--what", "version.discard"]);
    assert_eq!(
        (acts[0]["who"].as_str(), acts[0]["target"].as_str()),
        (Some("ada"), Some(number.as_str()))
    );
}

#[test]
fn a_project_that_was_never_served_says_so() {
    let said = refused(&Project::bare(), &["versions", "list"], 2);
    assert!(
        said.contains("there are no versions yet") && said.contains("host serve"),
        "{said}"
    );
}
