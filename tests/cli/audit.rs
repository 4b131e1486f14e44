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
        .file("host.toml", "[monitors.busy]\nwhen = \"host_alarms > 0\"\n")
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

/// What was typed, and the act that it is to leave.
pub type Typed = (Vec<String>, String);

/// Every command that changes something, with the act it leaves; `alone`, also what needs the store for itself.
fn each_change(project: &Project, alone: bool) -> Vec<Typed> {
    let asks = run(project, "asks");
    let other = run(project, "asks");
    let fails = run(project, "fails");
    let begun = (vec!["run".to_owned()], "run.start".to_owned());
    let mut expected: Vec<Typed> = vec![begun; 3];
    let mut ok = |arguments: &[&str], what: &str| {
        let answer = project.host(arguments);
        assert!([0, 1].contains(&answer.code), "{arguments:?}: {answer:?}");
        for what in what.split('+') {
            expected.push((arguments.iter().map(ToString::to_string).collect(), what.to_owned()));
        }
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
    ok(&["incident", "run", incident, "works"], "run.start+incident.procedure");
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
    ok(&["monitors", "silence", "busy"], "monitor.silence");
    ok(&["monitors", "silence", "busy", "--off"], "monitor.unsilence");
    ok(&["backup", "one.backup"], "backup.make");
    ok(&["retention", "run"], "retention.run");
    ok(&["store", "compact"], "store.compact");
    if alone {
        ok(&["store", "repair"], "store.repair");
        ok(&["store", "downgrade"], "store.downgrade");
        ok(&["kv", "set", "a", "1"], "kv.set");
        // Whatever opens it for writing brings it forward again.
        let at = expected.len() - 1;
        expected.insert(at, (Vec::new(), "store.upgrade".to_owned()));
    }
    expected
}

#[test]
fn every_command_that_changes_something_leaves_one_act() {
    let project = project();
    let expected: Vec<String> = each_change(&project, true).into_iter().map(|(_, what)| what).collect();
    let found: Vec<String> = acts(&project).into_iter().map(|(what, _)| what).collect();
    assert_eq!(found, expected);
    assert_eq!(project.json(&["audit", "verify"])["sound"], true);
    let all = project.json(&["audit", "tail", "-n", "1000"]);
    assert!(all.as_array().expect("a list").iter().all(|entry| entry["who"]
        == if entry["what"] == "store.upgrade" {
            "(host)"
        } else {
            "ada"
        }));
}

#[test]
fn the_same_acts_are_left_while_a_server_holds_the_store() {
    let project = project();
    let _server = Server::start(&project);
    let expected: Vec<String> = each_change(&project, false).into_iter().map(|(_, what)| what).collect();
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
        vec!["retention", "preview"],
        vec!["store", "check"],
        vec!["store", "stats"],
        vec!["monitors", "list"],
        vec!["backup"],
        vec!["restore"],
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
    project.write("audit.jsonl", &format!("{}\n{}", lines[0], "x".repeat(2 << 20)));
    let found = project.host(&["audit", "verify", "--file", "audit.jsonl", "--json"]);
    assert_eq!((found.code, found.error_code().as_str()), (2, "AUDIT_FORM"));
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

/// What a command leaves on the record.
#[derive(Clone, Copy)]
enum Leaves {
    /// One of these acts, which the tests of this file see.
    Acts(&'static [&'static str]),
    /// One of these, which another test sees.
    Elsewhere(&'static [&'static str]),
    /// None: it reads, and changes nothing but files of the project or of its own.
    Nothing,
}

use Leaves::{Acts, Elsewhere, Nothing};

/// Every command there is. A new one stands here, or a test fails.
const TABLE: &[(&str, Leaves)] = &[
    ("init", Nothing),
    ("new", Nothing),
    ("check", Nothing),
    ("fmt", Nothing),
    ("lsp", Nothing),
    ("test", Nothing),
    ("run", Acts(&["run.start"])),
    ("plan", Nothing),
    ("dev", Nothing),
    ("repl", Nothing),
    // What a server does by itself is signed by the host: `retention.run`, `audit.prune`, `store.upgrade`.
    ("serve", Nothing),
    ("status", Nothing),
    ("today", Nothing),
    ("next", Nothing),
    ("ticks", Nothing),
    ("pause", Acts(&["playbook.pause"])),
    ("runs", Nothing),
    ("show", Nothing),
    ("why", Nothing),
    ("incident list", Nothing),
    ("incident show", Nothing),
    ("incident open", Acts(&["incident.open"])),
    ("incident pin", Acts(&["incident.pin"])),
    ("incident unpin", Acts(&["incident.unpin"])),
    ("incident note", Acts(&["incident.note"])),
    ("incident assign", Acts(&["incident.assign"])),
    ("incident escalate", Acts(&["incident.escalate"])),
    ("incident run", Acts(&["run.start", "incident.procedure"])),
    ("incident close", Acts(&["incident.close"])),
    ("incident export", Nothing),
    ("replay", Nothing),
    ("backtest", Nothing),
    ("versions list", Nothing),
    ("versions show", Nothing),
    ("versions diff", Nothing),
    ("versions rollback", Elsewhere(&["version.rollback"])),
    ("versions accept", Elsewhere(&["version.accept"])),
    ("versions discard", Elsewhere(&["version.discard"])),
    ("resume", Acts(&["playbook.resume", "run.amend"])),
    ("resolve", Elsewhere(&["write.resolve"])),
    ("retry", Acts(&["run.retry"])),
    ("cancel", Acts(&["run.cancel"])),
    ("answer", Acts(&["question.answer"])),
    ("emit", Acts(&["event.emit"])),
    ("functions", Nothing),
    ("explain", Nothing),
    ("store list", Nothing),
    ("store get", Nothing),
    ("store query", Nothing),
    ("store count", Nothing),
    ("store put", Acts(&["store.put"])),
    ("store delete", Acts(&["store.delete"])),
    ("store copy", Acts(&["store.copy"])),
    ("store check", Nothing),
    ("store compact", Acts(&["store.compact"])),
    ("store stats", Nothing),
    ("store downgrade", Acts(&["store.downgrade"])),
    ("store repair", Acts(&["store.repair"])),
    ("kv get", Nothing),
    ("kv set", Acts(&["kv.set"])),
    ("kv list", Nothing),
    ("kv remove", Acts(&["kv.remove"])),
    ("queue list", Nothing),
    ("queue show", Nothing),
    ("queue push", Acts(&["queue.push"])),
    ("queue retry", Elsewhere(&["queue.retry"])),
    ("queue remove", Acts(&["queue.remove"])),
    ("queue drain", Acts(&["queue.drain"])),
    ("queue pause", Acts(&["queue.pause"])),
    ("queue resume", Acts(&["queue.resume"])),
    ("monitors list", Nothing),
    ("monitors test", Nothing),
    ("monitors silence", Acts(&["monitor.silence", "monitor.unsilence"])),
    ("backup", Acts(&["backup.make"])),
    ("backup verify", Nothing),
    (
        "restore",
        Elsewhere(&["store.restore", "restore.release", "access.keep", "access.revoke"]),
    ),
    ("retention preview", Nothing),
    ("retention run", Acts(&["retention.run"])),
    ("user add", Acts(&["user.add"])),
    ("user list", Nothing),
    ("user role", Acts(&["user.role"])),
    ("user org", Acts(&["user.org"])),
    ("user password", Elsewhere(&["user.password"])),
    ("user unlock", Acts(&["user.unlock"])),
    ("user revoke", Acts(&["user.revoke"])),
    ("token add", Acts(&["token.add"])),
    ("token list", Nothing),
    ("token revoke", Acts(&["token.revoke"])),
    ("org add", Acts(&["org.add"])),
    ("org list", Nothing),
    ("audit tail", Nothing),
    ("audit verify", Nothing),
    ("audit export", Nothing),
    ("audit prune", Elsewhere(&["audit.prune"])),
    ("config", Nothing),
    ("providers", Nothing),
    ("bench steps", Nothing),
    ("bench latency", Nothing),
    ("bench replay", Nothing),
    ("bench journal", Nothing),
    ("bench queue", Nothing),
    ("bench resume", Nothing),
    ("bench http", Nothing),
    ("bench upkeep", Nothing),
    ("webhook list", Nothing),
    ("webhook show", Nothing),
    ("webhook replay", Elsewhere(&["webhook.replay"])),
    ("completions", Nothing),
    ("man", Nothing),
];

/// The commands below `path`, as its help lists them.
fn below(project: &Project, path: &[String]) -> Vec<String> {
    let mut arguments = vec!["help"];
    arguments.extend(path.iter().map(String::as_str));
    let help = project.ok(&arguments);
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let named = lines.take_while(|line| !line.is_empty()).filter_map(|line| {
        let rest = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '))?;
        rest.split(' ').next().map(str::to_owned)
    });
    named.filter(|name| name != "help").collect()
}

#[test]
fn every_command_there_is_stands_in_the_table_of_what_it_leaves() {
    let project = Project::bare();
    let (mut leaves, mut all) = (Vec::new(), Vec::new());
    let mut open: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(path) = open.pop() {
        let below = below(&project, &path);
        if below.is_empty() {
            leaves.push(path.join(" "));
        }
        all.push(path.join(" "));
        open.extend(below.into_iter().map(|name| [path.clone(), vec![name]].concat()));
    }
    assert!(all.len() > 90, "the help was not read: {all:?}");
    for leaf in &leaves {
        assert!(
            TABLE.iter().any(|(command, _)| command == leaf),
            "`host {leaf}` is new: does it change something, and what act does it leave?"
        );
    }
    for (command, _) in TABLE {
        assert!(all.iter().any(|known| known == command), "there is no `host {command}`");
    }
}

#[test]
fn the_table_of_what_commands_leave_is_true() {
    let project = project();
    let typed = each_change(&project, true);
    let command_of = |arguments: &[String]| {
        let words = |count: usize| arguments.iter().take(count).cloned().collect::<Vec<_>>().join(" ");
        let known = |words: &String| TABLE.iter().any(|(command, _)| command == words);
        [words(2), words(1)].into_iter().find(known)
    };
    let seen: Vec<(String, String)> = typed
        .iter()
        .filter_map(|(arguments, what)| Some((command_of(arguments)?, what.clone())))
        .collect();
    for (command, leaves) in TABLE {
        let left: Vec<&str> = seen
            .iter()
            .filter(|(known, _)| known == command)
            .map(|(_, what)| what.as_str())
            .collect();
        match leaves {
            Acts(acts) => {
                for act in *acts {
                    assert!(left.contains(act), "`host {command}` leaves {left:?}, and not {act}");
                }
                assert!(left.iter().all(|what| acts.contains(what)), "{command}: {left:?}");
            }
            Elsewhere(acts) => assert!(left.is_empty() && !acts.is_empty(), "{command}: {left:?}"),
            Nothing => assert!(left.is_empty(), "{command}: {left:?}"),
        }
    }
}
