//! `host run`, `runs`, `show` and `replay`

use crate::project::{Project, keys};

#[test]
fn a_script_anywhere_runs_with_presets() {
    let project = Project::none().file("script.rhai", "kv::put(\"a\", 1); 40 + 2");
    let run = project.json(&["run", "script.rhai"]);
    assert_eq!(run["outcome"], 42);
    assert_eq!(run["mode"], "dry");
    assert!(project.path(".host/store.redb").is_file());
    assert!(!project.path("data").exists());
}

#[test]
fn the_exit_code_says_whose_fault_it_was() {
    let project = Project::bare()
        .file("playbooks/good.rhai", "1")
        .file("playbooks/bad.rhai", "throw \"no\"")
        .file("playbooks/syntax.rhai", "let a = ;")
        .file(
            "playbooks/strict.rhai",
            "const PLAYBOOK = #{ inputs: #{ n: #{ type: \"int\", required: true } } };\ninput.n",
        );
    for (arguments, code) in [
        (vec!["run", "good"], 0),
        (vec!["run", "bad"], 1),
        (vec!["run", "syntax"], 2),
        (vec!["run", "strict"], 2),
        (vec!["run", "strict", "--n", "seven"], 2),
        (vec!["run", "strict", "--n", "7"], 0),
        (vec!["run", "strict", "--m", "7"], 2),
        (vec!["run"], 2),
        (vec!["no-such-command"], 2),
        (vec!["show", "01ZZZ"], 2),
        (vec!["--help"], 0),
        (vec!["--version"], 0),
    ] {
        let answer = project.host(&arguments);
        assert_eq!(answer.code, code, "{arguments:?}: {answer:?}");
    }
}

#[test]
fn the_json_of_a_run_has_its_stable_fields() {
    let project = Project::bare().file(
        "playbooks/bad.rhai",
        "let a = kv::get(\"a\");\nthrow #{ code: \"MINE\", message: \"no\" };\n",
    );
    let answer = project.host(&["run", "bad", "--json"]);
    let run: serde_json::Value = serde_json::from_str(answer.stdout.lines().last().expect("a line")).expect("JSON");
    for field in [
        "run_id",
        "playbook",
        "version",
        "status",
        "mode",
        "outcome",
        "error",
        "effects",
        "cost",
        "duration_ms",
    ] {
        assert!(keys(&run).contains(&field), "{field}: {run}");
    }
    let error = &run["error"];
    assert_eq!((&error["code"], &error["message"]), (&"MINE".into(), &"no".into()));
    assert_eq!(
        (&error["file"], &error["line"]),
        (&"playbooks/bad.rhai".into(), &2.into())
    );
    assert_eq!((&run["status"], &run["effects"]), (&"failed".into(), &1.into()));
}

#[test]
fn help_with_a_name_tells_of_the_playbook_and_without_of_the_command() {
    let header =
        "const PLAYBOOK = #{ title: \"Weekly\", inputs: #{ max_age: #{ type: \"int\", preset: 7, help: \"days\" } } };";
    let project = Project::bare().file("playbooks/a.rhai", header);
    for command in ["run", "plan"] {
        for arguments in [[command, "a", "--help"], [command, "--help", "a"], [command, "a", "-h"]] {
            let help = project.ok(&arguments);
            assert!(
                help.contains("Weekly") && help.contains("--max-age") && help.contains("days"),
                "{help}"
            );
        }
        let help = project.ok(&[command, "--help"]);
        assert!(help.contains(&format!("Usage: host {command}")), "{help}");
    }
    assert!(!project.store().exists());
}

#[test]
fn an_unknown_playbook_is_answered_with_the_nearest() {
    let project = Project::bare().file("playbooks/daily/publish.rhai", "1");
    let missing = project.host(&["run", "daily/publsh"]);
    assert_eq!(missing.code, 2);
    assert!(
        missing.stderr.contains("did you mean \"daily/publish\"?"),
        "{missing:?}"
    );
}

#[test]
fn the_beginning_of_an_id_is_enough_in_either_case() {
    let project = Project::bare().file("playbooks/a.rhai", "kv::put(\"a\", 1)");
    let first = project.json(&["run", "a"])["run_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    project.ok(&["run", "a"]);
    let shown = project.json(&["show", &first[..20].to_lowercase()]);
    assert_eq!(shown["run"]["run_id"], first.as_str());
    let entries = shown["entries"].as_array().expect("a list");
    for field in [
        "step", "name", "class", "mode", "args", "outcome", "error", "at", "took_ms",
    ] {
        assert!(keys(&entries[0]).contains(&field), "{field}: {shown}");
    }
    let both = project.host(&["show", &first[..2], "--json"]);
    assert_eq!(both.code, 2);
    assert!(both.stdout.contains("AMBIGUOUS"), "{both:?}");
}

#[test]
fn a_replay_gives_what_the_run_gave_with_nothing_on_the_path() {
    let project = Project::bare().file(
        "playbooks/a.rhai",
        "[random::int(0, 1000000), time::now(), kv::increment(\"n\")]",
    );
    let run = project.json(&["run", "a"]);
    project.ok(&["run", "a"]);
    project.write("playbooks/a.rhai", "\"edited since\"");
    let id = run["run_id"].as_str().expect("an id");
    let answer = crate::project::answer(project.command(&["replay", id, "--json"]).env("PATH", ""));
    assert_eq!(answer.code, 0, "{answer:?}");
    let replayed: serde_json::Value = serde_json::from_str(&answer.stdout).expect("JSON");
    assert_eq!(replayed["same"], true);
    assert_eq!(replayed["recorded"]["value"], run["outcome"]);
}

#[test]
fn a_plan_leaves_every_file_as_it_was() {
    let project = Project::bare().file(
        "playbooks/a.rhai",
        "kv::increment(\"n\"); store::put(\"c\", \"a\", #{ x: 1 });",
    );
    let before = project.files();
    let first = project.json(&["plan", "a"]);
    assert_eq!(project.files(), before, "no store is made");
    for field in ["effects", "gate", "store_changes"] {
        assert!(first[field].is_array(), "{field}: {first}");
    }
    project.ok(&["run", "a"]);
    let before = project.files();
    let second = project.json(&["plan", "a"]);
    assert_eq!(project.files(), before);
    let counted = second["store_changes"]
        .as_array()
        .and_then(|all| all.iter().find(|change| change["kind"] == "kv").cloned());
    assert_eq!(
        counted.map(|change| (change["before"].clone(), change["after"].clone())),
        Some((1.into(), 2.into()))
    );
}
