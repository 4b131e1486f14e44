//! `host audit`, and that every command that changes something is on its record.

use serde_json::{Value, json};

use crate::incident::run;
use crate::project::{Project, keys};
use crate::served::server::Server;

fn project() -> Project {
    Project::bare()
        .file("playbooks/works.rhai", "kv::put(\"n\", 7); 7")
        .file(
            "playbooks/asks.rhai",
            "run::ask(\"ok?\", #{ choices: [\"yes\", \"no\"] })",
        )
        .file("playbooks/fails.rhai", "throw \"no\"")
        .env("HOST_USER", "ada")
}

/// The acts, the earliest first: what, and to what.
fn acts(project: &Project) -> Vec<(String, String)> {
    let all = project.json(&["audit", "tail", "-n", "1000"]);
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    all.as_array()
        .expect("a list")
        .iter()
        .map(|entry| (text(entry, "what"), text(entry, "target")))
        .collect()
}

/// Every command that changes something, with the act it leaves.
fn each_change(project: &Project) -> Vec<String> {
    let asks = run(project, "asks");
    let other = run(project, "asks");
    let fails = run(project, "fails");
    let mut expected: Vec<String> = ["run.start", "run.start", "run.start"].map(str::to_owned).to_vec();
    let mut ok = |arguments: &[&str], what: &str| {
        let answer = project.host(arguments);
        assert!([0, 1].contains(&answer.code), "{arguments:?}: {answer:?}");
        expected.push(what.to_owned());
        answer
    };
    ok(&["answer", &asks, "yes"], "question.answer");
    ok(&["cancel", &other], "run.cancel");
    ok(&["retry", &fails], "run.retry");
    ok(&["resume", &fails, "--with", "playbooks/works.rhai"], "run.amend");
    ok(&["emit", "go"], "event.emit");
    ok(&["pause", "works", "--why", "a look"], "playbook.pause");
    ok(&["resume", "works"], "playbook.resume");
    ok(&["kv", "set", "a", "1"], "kv.set");
    ok(&["kv", "remove", "a"], "kv.remove");
    ok(&["store", "put", "posts", "a", "{}"], "store.put");
    ok(&["store", "delete", "posts", "a"], "store.delete");
    ok(&["store", "copy", "dry"], "store.copy");
    let pushed = ok(&["queue", "push", "q", "1", "--json"], "queue.push");
    let pushed: Value = serde_json::from_str(&pushed.stdout).expect("JSON");
    ok(&["queue", "pause", "q"], "queue.pause");
    ok(&["queue", "resume", "q"], "queue.resume");
    ok(&["queue", "remove", "q", &pushed["id"].to_string()], "queue.remove");
    ok(&["queue", "push", "q", "2"], "queue.push");
    ok(&["queue", "drain", "q", "--yes"], "queue.drain");
    let opened = ok(&["incident", "open", &fails, "--json"], "incident.open");
    let opened: Value = serde_json::from_str(&opened.stdout).expect("JSON");
    let incident = opened["incident_id"].as_str().expect("an id");
    ok(&["incident", "note", incident, "seen"], "incident.note");
    ok(&["incident", "assign", incident, "ben"], "incident.assign");
    ok(
        &["incident", "escalate", incident, "--why", "late"],
        "incident.escalate",
    );
    ok(&["incident", "unpin", incident, &fails], "incident.unpin");
    ok(&["incident", "pin", incident, &fails], "incident.pin");
    ok(&["incident", "close", incident], "incident.close");
    ok(&["org", "add", "acme"], "org.add");
    ok(&["user", "add", "bot", "--no-password"], "user.add");
    ok(&["user", "role", "bot", "operator"], "user.role");
    ok(&["user", "org", "bot", "acme"], "user.org");
    ok(&["user", "unlock", "bot"], "user.unlock");
    let token = ok(&["token", "add", "bot", "--json"], "token.add");
    let token: Value = serde_json::from_str(&token.stdout).expect("JSON");
    ok(
        &["token", "revoke", token["id"].as_str().expect("an id")],
        "token.revoke",
    );
    ok(&["user", "revoke", "bot"], "user.revoke");
    expected
}

#[test]
fn every_command_that_changes_something_leaves_one_act() {
    let project = project();
    let expected = each_change(&project);
    let found: Vec<String> = acts(&project).into_iter().map(|(what, _)| what).collect();
    assert_eq!(found, expected);
    assert_eq!(project.json(&["audit", "verify"])["sound"], true);
    let all = project.json(&["audit", "tail", "-n", "1000"]);
    assert!(
        all.as_array()
            .expect("a list")
            .iter()
            .all(|entry| entry["who"] == "ada")
    );
}

#[test]
fn the_same_acts_are_left_while_a_server_holds_the_store() {
    let project = project();
    let _server = Server::start(&project);
    let expected = each_change(&project);
    let found: Vec<String> = acts(&project).into_iter().map(|(what, _)| what).collect();
    assert_eq!(found, expected);
    assert_eq!(project.json(&["audit", "verify"])["sound"], true);
    let starts = project.json(&["audit", "tail", "--what", "run.start"]);
    assert_eq!(
        (&starts[0]["who"], &starts[0]["via"]),
        (&json!("ada"), &json!("socket"))
    );
}

#[test]
fn reading_leaves_no_act() {
    let project = project();
    let works = run(&project, "works");
    for command in [
        vec!["runs"],
        vec!["show", &works],
        vec!["why", &works],
        vec!["replay", &works],
        vec!["plan", "works"],
        vec!["kv", "list"],
        vec!["store", "list"],
        vec!["audit", "verify"],
        vec!["queue", "list"],
        vec!["incident", "list"],
        vec!["user", "list"],
    ] {
        project.ok(&command);
    }
    assert_eq!(acts(&project).len(), 1);
}

#[test]
fn what_is_refused_after_it_was_written_down_says_so() {
    let project = project();
    let works = run(&project, "works");
    assert_ne!(project.host(&["cancel", &works]).code, 0);
    let found: Vec<String> = acts(&project).into_iter().map(|(what, _)| what).collect();
    assert_eq!(found, ["run.start", "run.cancel", "run.cancel.failed"]);
}

#[test]
fn an_export_is_verified_by_itself_and_an_edited_one_is_not() {
    let project = project();
    for key in ["a", "b", "c"] {
        project.ok(&["kv", "set", key, "1"]);
    }
    let export = project.ok(&["audit", "export"]);
    project.write("audit.jsonl", &export);
    let verdict = project.json(&["audit", "verify", "--file", "audit.jsonl"]);
    assert_eq!(keys(&verdict), ["acts", "faults", "first", "head", "sound"]);
    assert_eq!((&verdict["sound"], &verdict["acts"]), (&json!(true), &json!(3)));
    let head = verdict["head"].as_str().expect("a head").to_owned();
    project.ok(&["audit", "verify", "--head", &head]);
    project.write("audit.jsonl", &export.replacen("ada", "eve", 1));
    let found = project.host(&["audit", "verify", "--file", "audit.jsonl"]);
    assert_eq!(found.code, 1, "{found:?}");
    assert!(
        found.stdout.contains("act 1: act 1 is not as it was written"),
        "{found:?}"
    );
    let lines: Vec<&str> = export.lines().collect();
    project.write("audit.jsonl", &format!("{}\n{}\n", lines[0], lines[2]));
    let found = project.host(&["audit", "verify", "--file", "audit.jsonl"]);
    assert!(
        found.code == 1 && found.stdout.contains("acts 2 to 2 are missing"),
        "{found:?}"
    );
    let other = format!("3:{}", "0".repeat(64));
    let noted = project.host(&["audit", "verify", "--head", &other, "--json"]);
    assert_eq!(noted.code, 1, "{noted:?}");
}

#[test]
fn acts_can_drive_no_terminal_and_secrets_are_masked_in_them() {
    let project = project().env("OPENAI_API_KEY", "sk-planted-secret-1234");
    project.ok(&["pause", "works", "--why", "\u{1b}[2J sk-planted-secret-1234"]);
    project.ok(&["kv", "set", "sk-planted-secret-1234", "1"]);
    let shown = [project.ok(&["audit", "tail"]), project.ok(&["audit", "export"])].concat();
    assert!(
        !shown.contains('\u{1b}') && !shown.contains("sk-planted-secret"),
        "{shown}"
    );
    assert!(shown.contains("[masked:OPENAI_API_KEY]"), "{shown}");
}

#[test]
fn acts_are_kept_for_eighteen_months() {
    let project = project();
    project.ok(&["kv", "set", "a", "1"]);
    let refused = project.host(&["audit", "prune", "--older-than", "30d", "--yes", "--json"]);
    assert_eq!((refused.code, refused.error_code().as_str()), (2, "AUDIT_KEPT"));
    let told = project.ok(&["audit", "prune", "--yes"]);
    assert!(told.contains("no act is older than 548 days"), "{told}");
}
