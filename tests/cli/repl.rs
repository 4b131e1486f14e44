//! `host repl`, with lines from a pipe.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value as Json;

use crate::project::{Answer, Project};

/// What the binary answers to `lines`.
fn typed(project: &Project, arguments: &[&str], lines: &str) -> Answer {
    let mut child = project
        .command(&[&["repl"], arguments].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    child
        .stdin
        .take()
        .expect("its input")
        .write_all(lines.as_bytes())
        .expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    Answer {
        code: output.status.code().expect("it ends by itself"),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

/// The answers to `lines` as JSON, one for each entry.
fn answers(project: &Project, lines: &str) -> Vec<Json> {
    let answer = typed(project, &["--json"], lines);
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    answer.stdout.lines().map(parse).collect()
}

#[test]
fn variables_functions_and_closures_stay_from_line_to_line() {
    let lines = "let a = 20;\nfn double(x) { x * 2 }\nlet add = |x| x + a;\na += 1;\ndouble(a)\nadd.call(1)\nconst B = #{ c: [1, 2] };\nB.c\nfn double(x) { x * 3 }\ndouble(a)\n";
    let answer = typed(&Project::none(), &[], lines);
    assert_eq!(answer.code, 0, "{answer:?}");
    let shown: Vec<&str> = answer.stdout.lines().collect();
    assert_eq!(shown[0], "42", "{answer:?}");
    assert_eq!(shown[2..], ["[1,2]", "63"], "{answer:?}");
}

#[test]
fn an_entry_may_have_several_lines() {
    let answer = typed(
        &Project::none(),
        &[],
        "fn f(x) {\n    // a }\n\n    x + 1\n}\nf(\n  41\n)\n`two\nlines`\n",
    );
    assert_eq!(
        answer.stdout,
        "42\ntwo\\nlines\n".replace("two\\nlines", "\"two\\nlines\""),
        "{answer:?}"
    );
}

#[test]
fn effects_are_shown_and_nothing_of_them_stays() {
    let project = Project::bare().file("playbooks/seed.rhai", "kv::put(\"a\", 1);");
    project.ok(&["run", "seed"]);
    let before = project.files();
    let answer = typed(
        &project,
        &[],
        "kv::get(\"a\")\nkv::put(\"a\", 2);\nkv::get(\"a\")\nslack::post(\"hello\");\n:effects\n",
    );
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(answer.stdout.contains("✓ kv.put"), "{answer:?}");
    assert!(answer.stdout.lines().any(|line| line == "2"), "{answer:?}");
    assert!(
        answer.stdout.contains("~ slack.post") && answer.stdout.contains("sim (DRY_RUN is on)"),
        "{answer:?}"
    );
    assert!(answer.stdout.contains("4 effects so far"), "{answer:?}");
    assert_eq!(project.files(), before, "nothing was kept");
    assert_eq!(project.json(&["kv", "get", "a"])["value"], 1);
}

#[test]
fn nothing_leaves_even_where_everything_is_switched_on() {
    let project = Project::bare()
        .env("DRY_RUN", "false")
        .env("SLACK_ENABLED", "true")
        .env("SLACK_WEBHOOK_URL", "https://127.0.0.1:9/hook");
    let answers = answers(&project, "slack::post(\"hello\")\n");
    assert_eq!(answers[0]["value"]["simulated"], true, "{answers:?}");
}

#[test]
fn errors_have_the_place_where_the_line_or_the_function_was_written() {
    let answer = typed(
        &Project::none(),
        &[],
        "let a = 1;\nfn f(x) {\n    x.no_such()\n}\nf(a)\nlet b = ;\na + nothing\na\n",
    );
    assert_eq!(answer.code, 1, "{answer:?}");
    let text = &answer.stdout;
    assert!(
        text.contains("error[UNKNOWN_FUNCTION]") && text.contains("repl:3:7"),
        "{text}"
    );
    assert!(text.contains("3 │     x.no_such()"), "{text}");
    assert!(text.contains("error[SYNTAX]") && text.contains("let b = ;"), "{text}");
    assert!(
        text.contains("error[UNKNOWN_VARIABLE]") && text.contains("a + nothing"),
        "{text}"
    );
    assert_eq!(text.matches("error[").count(), 3, "{text}");
    assert!(text.ends_with("\n1\n"), "the session goes on: {text}");
}

#[test]
fn limits_hold_for_each_line_and_the_next_goes_on() {
    let project = Project::bare().file("host.toml", "[limits]\noperations = 20000\n");
    let loops = "let a = 0;\nloop { a += 1; }\nfor i in 0..1000 { a += 1; }\na > 1000\n";
    let answers = answers(&project, loops);
    assert_eq!(answers[1]["error"]["code"], "LIMIT_OPERATIONS", "{answers:?}");
    assert_eq!(
        (&answers[2]["ok"], &answers[3]["value"]),
        (&true.into(), &true.into()),
        "{answers:?}"
    );
}

#[test]
fn ctrl_c_stops_the_line_and_not_the_session() {
    let project = Project::none();
    let mut child = project
        .command(&["repl", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut input = child.stdin.take().expect("its input");
    input.write_all(b"let a = 7;\nloop { a += 1; }\n").expect("it reads");
    let mut said = std::io::BufReader::new(child.stdout.take().expect("its output"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).expect("the first answer");
    std::thread::sleep(Duration::from_millis(300));
    let id = child.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-INT", &id])
            .status()
            .expect("kill")
            .success()
    );
    input.write_all(b"a > 7\n").expect("it reads");
    drop(input);
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut said, &mut rest).expect("the rest");
    child.wait().expect("it ends");
    let answers: Vec<Json> = rest
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(answers[0]["error"]["code"], "CANCELLED", "{rest}");
    assert_eq!(answers[1]["value"], true, "{rest}");
}

#[test]
fn modules_are_imported_once_and_for_all_lines() {
    let project = Project::bare().file(
        "playbooks/lib/words.rhai",
        "fn greet(name) { `hello ${name}` }\nfn fail() { throw \"no\" }\n",
    );
    let answers = answers(
        &project,
        "import \"lib/words\" as words;\nlet name = \"you\";\nwords::greet(name)\nwords::fail()\n",
    );
    assert_eq!(answers[2]["value"], "hello you", "{answers:?}");
    assert_eq!(answers[3]["error"]["file"], "playbooks/lib/words.rhai", "{answers:?}");
    assert_eq!(answers[3]["error"]["line"], 2, "{answers:?}");
}

#[test]
fn commands_load_reset_and_quit() {
    let project = Project::bare().file("playbooks/a.rhai", "let a = 5;\nkv::put(\"a\", a);\n");
    let answer = typed(
        &project,
        &[],
        ":load playbooks/a.rhai\na\n:reset\na\n:lod x\n:quit\n1 + 1\n",
    );
    let text = &answer.stdout;
    assert!(text.contains("\n5\n") && text.contains("a new scratch world"), "{text}");
    assert!(text.contains("error[UNKNOWN_VARIABLE]"), "{text}");
    assert!(text.contains("did you mean `:load`?"), "{text}");
    assert!(!text.ends_with("2\n"), "nothing comes after :quit: {text}");
    let loaded = typed(&project, &["playbooks/a.rhai"], "a\n");
    assert!(loaded.stdout.ends_with("\n5\n"), "{loaded:?}");
}

#[test]
fn a_line_that_would_wait_says_so() {
    let answers = answers(&Project::none(), "run::ask(\"really?\")\n1\n");
    assert!(
        answers[0]["waits"].is_string() && answers[0]["ok"] == false,
        "{answers:?}"
    );
    assert_eq!(answers[1]["value"], 1, "{answers:?}");
}

#[test]
fn what_was_typed_cannot_drive_the_terminal() {
    let answer = typed(
        &Project::none(),
        &[],
        "\"\\x1b[2J\u{1b}[2J\"\nlet \u{1b}[2J = 1;\n:\u{1b}[2J\n",
    );
    assert!(!answer.shown().contains('\u{1b}'), "{answer:?}");
}

#[test]
fn what_a_person_types_is_remembered_without_the_secrets_of_the_project() {
    use std::process::Command;
    // A terminal of its own: lines from a pipe are not remembered.
    if Command::new("script").arg("--version").output().is_err() {
        return;
    }
    let secret = "sk-test-4f9a1c7be2d84f9a1c7be2d8";
    let project = Project::bare();
    let mut child = Command::new("script")
        .args(["-qec", concat!(env!("CARGO_BIN_EXE_host"), " repl"), "/dev/null"])
        .current_dir(project.folder())
        .env("TERM", "xterm")
        .env("OPENAI_API_KEY", secret)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    // One line: a terminal forgets what is typed before the next prompt.
    let line = format!("let key = \"{secret}\";\n");
    let mut input = child.stdin.take().expect("its input");
    input.write_all(line.as_bytes()).expect("it reads");
    let history = project.path("data/repl_history");
    let give_up = std::time::Instant::now() + Duration::from_secs(20);
    let remembered = loop {
        let text = std::fs::read_to_string(&history).unwrap_or_default();
        if text.contains("let key") || std::time::Instant::now() > give_up {
            break text;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    drop(input);
    child.wait().expect("it ends");
    assert!(remembered.contains("let key = "), "{remembered}");
    assert!(!remembered.contains(secret), "{remembered}");
}
