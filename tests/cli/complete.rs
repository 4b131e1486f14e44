//! Completions and manual pages, with the shells themselves where they are installed.

use std::process::Command;

use crate::project::{Project, answer};

fn project() -> Project {
    let project = Project::bare()
        .file(
            "playbooks/daily/publish.rhai",
            "const PLAYBOOK = #{ inputs: #{ topic_name: #{ preset: \"a\", help: \"what about\" } } };",
        )
        .file("playbooks/weekly.rhai", "kv::put(\"a\", 1);")
        .file("prompts/daily/caption.md", "Hello");
    project.ok(&["run", "weekly"]);
    project
}

/// What the binary answers a shell that asks about `words`, the last of which is being typed.
fn candidates(project: &Project, words: &[&str]) -> Vec<String> {
    let mut command = project.command(&[]);
    command.arg("--").arg("host").args(words).env("COMPLETE", "fish");
    let answer = answer(&mut command);
    assert_eq!(answer.code, 0, "{answer:?}");
    let value = |line: &str| line.split('\t').next().unwrap_or_default().to_owned();
    answer.stdout.lines().map(value).collect()
}

#[test]
fn runs_playbooks_prompts_and_incidents_of_the_project_are_offered() {
    let project = project();
    let run = project.json(&["runs"])[0]["run_id"].as_str().expect("a run").to_owned();
    let short = run.get(..8).expect("an id");
    let shown = candidates(&project, &["show", ""]);
    assert!(
        shown.iter().any(|candidate| run.starts_with(candidate.as_str())),
        "{shown:?}"
    );
    let typed = short[..3].to_lowercase();
    let shown = candidates(&project, &["show", &typed]);
    assert!(
        shown.iter().any(|candidate| run.starts_with(candidate.as_str())),
        "{shown:?}"
    );
    assert_eq!(candidates(&project, &["run", "da"]), ["daily/publish"]);
    assert_eq!(candidates(&project, &["check", "we"]), ["weekly"]);
    let flags = candidates(&project, &["run", "daily/publish", "--to"]);
    assert_eq!(flags, ["--topic-name"]);
    let prompts = candidates(&project, &["replay", &run, "--prompt", ""]);
    assert_eq!(prompts, ["daily/caption="]);
    assert_eq!(candidates(&project, &["explain", "http_timeo"]), ["HTTP_TIMEOUT"]);
    assert!(candidates(&project, &["functions", "kv::g"]).contains(&"kv::get".to_owned()));
    let incident = project.json(&["incident", "open", &run]);
    let id = incident["incident_id"]
        .as_str()
        .unwrap_or_else(|| panic!("no id: {incident}"))
        .to_owned();
    let shown = candidates(&project, &["incident", "show", ""]);
    assert!(
        shown.iter().any(|candidate| id.contains(candidate.as_str())),
        "{shown:?} {id}"
    );
    assert!(candidates(&project, &["new", "a", "--template", "pub"]).contains(&"publish".to_owned()));
}

#[test]
fn a_shell_is_answered_at_once_and_with_nothing_where_there_is_nothing() {
    let broken = Project::none().file("host.toml", "[[[");
    assert!(
        candidates(&broken, &["show", ""])
            .iter()
            .all(|line| line.starts_with('-'))
    );
    let none = Project::none();
    assert!(
        candidates(&none, &["show", ""])
            .iter()
            .all(|line| line.starts_with('-'))
    );
    assert!(!none.path(".host").exists(), "completion makes no store");
    // While the store is locked, as while a run goes on.
    let project = project();
    let held = host::store::engine::Engine::open(&project.store(), Default::default()).expect("the store");
    let began = std::time::Instant::now();
    assert!(
        candidates(&project, &["show", ""])
            .iter()
            .all(|line| line.starts_with('-'))
    );
    assert!(began.elapsed().as_millis() < 1500, "it does not wait for the lock");
    drop(held);
}

#[test]
fn each_shell_loads_its_script_and_completes_with_it() {
    let project = project();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = project.ok(&["completions", shell]);
        assert!(script.contains("COMPLETE"), "{shell}: {script}");
        project.write(&format!("completions.{shell}"), &script);
    }
    let run = |shell: &str, script: &str| {
        let mut command = Command::new(shell);
        command.current_dir(project.folder());
        match shell {
            "bash" => command.args(["--norc", "-c", script]),
            "zsh" => command.args(["-f", "-c", script]),
            _ => command.args(["--no-config", "-c", script]),
        };
        answer(&mut command)
    };
    let bash = "source completions.bash; COMP_WORDS=(host run da); COMP_CWORD=2; COMP_TYPE=9; \
                fn=$(complete -p host | sed 's/.*-F \\([^ ]*\\).*/\\1/'); $fn host da run; echo \"${COMPREPLY[*]}\"";
    let said = run("bash", bash);
    assert_eq!(said.stdout.trim(), "daily/publish", "{said:?}");
    let fish = "source completions.fish; complete -C 'host run da'";
    let said = run("fish", fish);
    assert!(said.stdout.contains("daily/publish"), "{said:?}");
    let zsh = "autoload -U compinit; compinit -u -D; source completions.zsh; print -r -- $_comps[host]";
    let said = run("zsh", zsh);
    assert!(!said.stdout.trim().is_empty(), "{said:?}");
    assert!(!said.stderr.contains("parse error"), "{said:?}");
}

#[test]
fn there_is_a_manual_page_for_each_command_that_programs_can_read() {
    let project = Project::none();
    let said = project.json(&["man", "pages"]);
    let made: Vec<&str> = said["made"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|file| file.as_str())
        .collect();
    for page in ["host.1", "host-run.1", "host-incident-open.1", "host-explain.1"] {
        assert!(made.contains(&page), "{made:?}");
    }
    for page in &made {
        let text = std::fs::read_to_string(project.path("pages").join(page)).expect("a page");
        assert!(text.contains(".SH NAME"), "{page}: {text}");
    }
    let mut command = Command::new("man");
    let shown = answer(command.args(["-P", "cat", "-l"]).arg(project.path("pages/host-run.1")));
    assert!(
        shown.stdout.contains("host-run") && shown.stdout.contains("NAME"),
        "{shown:?}"
    );
}
