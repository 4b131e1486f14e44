//! Nothing that is printed can drive a terminal, and colour is only where it was asked for.

use crate::project::Project;

const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}\r\u{8}";

fn hostile() -> Project {
    let script = r#"
        const PLAYBOOK = #{ title: "EVIL" };
        kv::put("EVIL", "EVIL");
        store::put("clips", "a", #{ title: "EVIL", "EVIL": 1 });
        log::info("EVIL");
        print("EVIL");
        run::note("EVIL");
        if input.fail ?? false { throw #{ code: "EVIL", message: "EVIL" }; }
        #{ title: "EVIL" }
    "#;
    // Real characters in the text itself, as somebody hostile would write them.
    Project::bare()
        .file("playbooks/a.rhai", &script.replace("EVIL", HOSTILE))
        .file("playbooks/b.rhai", &format!("let a = ; // {HOSTILE}"))
}

#[track_caller]
fn assert_harmless(text: &str) {
    let found = text
        .chars()
        .find(|letter| (letter.is_control() && *letter != '\n') || matches!(letter, '\u{202a}'..='\u{202e}'));
    assert_eq!(found, None, "{text:?}");
}

#[test]
fn control_characters_are_shown_and_not_obeyed() {
    let project = hostile();
    let commands: Vec<Vec<&str>> = vec![
        vec!["run", "a"],
        vec!["run", "a", "--help"],
        vec!["run", "a", "--input", "fail=true"],
        vec!["run", HOSTILE],
        vec!["plan", "a"],
        vec!["runs"],
        vec!["check"],
        vec!["kv", "list"],
        vec!["kv", "list", "--full"],
        vec!["kv", "get", HOSTILE],
        vec!["kv", "get", "\u{1b}[2J"],
        vec!["kv", "set", HOSTILE, HOSTILE],
        vec!["store", "query", "clips"],
        vec!["store", "get", "clips", "a"],
        vec!["store", "get", HOSTILE, HOSTILE],
        vec!["store", "delete", "clips", "a"],
        vec!["functions", HOSTILE],
        vec!["show", HOSTILE],
    ];
    for arguments in commands {
        let answer = project.host(&arguments);
        assert!(!answer.shown().is_empty(), "{arguments:?}");
        assert_harmless(&answer.shown());
    }
    let run = project.json(&["runs"])[0]["run_id"].as_str().expect("a run").to_owned();
    assert_harmless(&project.host(&["show", &run]).shown());
}

#[test]
fn colour_is_only_where_it_was_asked_for() {
    let project = Project::bare().file("playbooks/a.rhai", "kv::get(\"a\")");
    for arguments in [
        vec!["run", "a"],
        vec!["runs"],
        vec!["providers"],
        vec!["functions"],
        vec!["config"],
    ] {
        assert!(
            !project.host(&arguments).shown().contains('\u{1b}'),
            "{arguments:?} is piped"
        );
        let always = project.host(&[arguments.clone(), vec!["--color", "always"]].concat());
        assert!(
            always.stdout.contains('\u{1b}') || arguments == ["run", "a"],
            "{arguments:?} in colour"
        );
        let json = project.host(&[arguments.clone(), vec!["--json"]].concat());
        assert!(!json.stdout.contains('\u{1b}'), "{arguments:?} as JSON");
    }
}

#[test]
fn a_list_of_more_than_a_screen_goes_to_the_pager_and_nothing_else_does() {
    use std::process::{Command, Stdio};
    // A terminal of its own, and a pager that keeps what it is given.
    if Command::new("script").arg("--version").output().is_err() {
        return;
    }
    let project = Project::bare();
    let binary = env!("CARGO_BIN_EXE_host");
    let on_terminal = |words: &str, pager: &str| {
        let paged = project.path("paged");
        if paged.exists() {
            std::fs::remove_file(&paged).expect("it is there");
        }
        let ended = Command::new("script")
            .args(["-qec", &format!("stty rows 24 cols 80; {binary} {words}"), "/dev/null"])
            .current_dir(project.folder())
            .env("PAGER", pager)
            .env("TERM", "xterm")
            .env_remove("HOST_PAGER")
            .stdin(Stdio::null())
            .output()
            .expect("it ends");
        let shown = String::from_utf8_lossy(&ended.stdout).into_owned();
        (shown, std::fs::read_to_string(paged).ok())
    };
    let (_, paged) = on_terminal("functions", "tee paged");
    assert!(paged.expect("a pager was started").contains("increment(key)"));
    for (words, pager) in [
        ("functions --no-pager", "tee paged"),
        ("functions", "cat"),
        ("functions hash::crc32", "tee paged"),
        ("functions", "no-such-pager-anywhere"),
    ] {
        let (shown, paged) = on_terminal(words, pager);
        assert_eq!(paged, None, "{words} with {pager}");
        assert!(shown.contains("crc32("), "{words} with {pager}: {shown}");
    }
    // A program and its words, and no shell: nothing else is run.
    let (shown, _) = on_terminal("functions", "cat; touch paged");
    assert!(shown.contains("crc32(") && !project.path("paged").exists(), "{shown}");
}
