//! `host answer`: questions that runs ask, and who may answer them.

use serde_json::json;

use crate::incident::run;
use crate::project::{Answer, Project, answer};

const ASKS: &str = r#"kv::put("begun", true);
let said = run::ask("publish clip c?", #{ choices: ["yes", "no"], role: "editor", second_person: true, timeout: "2d" });
said.answer + " by " + said.by
"#;

fn place() -> Project {
    Project::none()
        .file(
            "host.toml",
            "[people]\nada = [\"editor\"]\neve = [\"editor\"]\nbob = [\"intern\"]\n",
        )
        .file("playbooks/asks.rhai", ASKS)
        .env("HOST_USER", "ada")
}

/// What the command answers when `user` gives it.
fn by(project: &Project, user: &str, arguments: &[&str]) -> Answer {
    answer(project.command(arguments).env("HOST_USER", user))
}

#[test]
fn a_run_that_asks_says_whom_and_ends_with_the_code_of_a_wait() {
    let project = place();
    let asked = project.host(&["run", "asks"]);
    assert_eq!(asked.code, 7, "{asked:?}");
    let lines = [
        "suspended at step 2: it waits for an answer to \"publish clip c?\" until ",
        "who may answer: role editor, not ada",
        "host answer ",
        "host cancel ",
    ];
    for line in lines {
        assert!(asked.stdout.contains(line), "{line}: {}", asked.stdout);
    }
    let listed = project.json(&["answer"]);
    assert_eq!(listed[0]["question"], "publish clip c?");
    assert_eq!(
        (&listed[0]["role"], &listed[0]["not_by"]),
        (&json!("editor"), &json!("ada"))
    );
    let runs = project.ok(&["runs"]);
    assert!(runs.contains("suspended") && runs.contains("an answer to"), "{runs}");
}

#[test]
fn only_who_may_answer_can_and_only_once_and_only_what_is_offered() {
    let project = place();
    let id = run(&project, "asks");
    for (user, text, code) in [
        ("ada", "yes", "ANSWER_NOT_ALLOWED"),
        ("bob", "yes", "ANSWER_NOT_ALLOWED"),
        ("zoe", "yes", "ANSWER_NOT_ALLOWED"),
        ("eve", "maybe", "ANSWER_INVALID"),
        ("eve", "YES", "ANSWER_INVALID"),
        ("eve", "", "ANSWER_INVALID"),
    ] {
        let refused = by(&project, user, &["answer", &id, text, "--json"]);
        assert_eq!(
            (refused.code, refused.error_code()),
            (2, code.to_owned()),
            "{user} {text}"
        );
    }
    let still = project.host(&["resume", &id, "--json"]);
    assert_eq!(still.code, 7, "a refused answer is none: {still:?}");

    assert_eq!(by(&project, "eve", &["answer", &id[..12], "yes"]).code, 0);
    let again = by(&project, "eve", &["answer", &id, "no", "--json"]);
    assert_eq!(again.error_code(), "ANSWERED_ALREADY");
    assert_eq!(project.json(&["resume", &id])["outcome"], "yes by eve");
    assert_eq!(project.ok(&["answer"]), "nobody is asked anything\n");
    assert_eq!(project.json(&["replay", &id])["same"], true);
}

#[test]
fn an_answer_that_nobody_asked_for_is_refused() {
    let project = place()
        .file("playbooks/sleeps.rhai", "run::sleep(\"2h\")")
        .file("playbooks/ends.rhai", "1");
    let (sleeps, ends) = (run(&project, "sleeps"), run(&project, "ends"));
    for (id, code) in [
        (&*sleeps, "NO_SUCH_QUESTION"),
        (&ends, "NO_SUCH_QUESTION"),
        ("7ZZZ", "RUN_NOT_FOUND"),
    ] {
        let refused = project.host(&["answer", id, "yes", "--json"]);
        assert_eq!((refused.code, refused.error_code()), (2, code.to_owned()));
    }
    assert_eq!(project.host(&["resume", &sleeps]).code, 7, "it still sleeps");
}

/// Once a plan forgot who sat there, and said that the run would fail.
#[test]
fn a_plan_asks_as_the_run_would_and_goes_on_with_the_answer_it_is_given() {
    let project = place().file("playbooks/asks.rhai", &ASKS.replace(", timeout: \"2d\"", ""));
    let plan = project.ok(&["plan", "asks"]);
    assert!(
        plan.contains("It would wait for an answer to \"publish clip c?\" at step 2"),
        "{plan}"
    );
    let plan = project.json(&["plan", "asks", "--answer", "no"]);
    assert_eq!(plan["outcome"], "no by somebody", "{plan}");
    assert_eq!(project.json(&["runs"]), json!([]));
}
