//! Published tools on the document and the routes: a validator, and a fuzzer that makes cases from the schemas. Each runs where
//! it is found: `openapi-spec-validator` and `schemathesis` on the path, or in the folder that `HOST_HTTP_TOOLS` names.

use std::path::{Path, PathBuf};
use std::process::Command;

use host::identity::Role;
use host::identity::role::Grant;
use serde_json::Value;

use crate::asking::{Project, Server, scope};

/// The same cases each time.
const SEED: &str = "7";

fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::var_os("HOST_HTTP_TOOLS").map(PathBuf::from).into_iter();
    let found = folders
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        println!("not done: there is no {name} here");
    }
    found
}

fn served() -> (Server, String) {
    let project = Project::new();
    for (file, text) in [
        (
            "adds",
            "const PLAYBOOK = #{ inputs: #{ n: #{ type: \"int\", required: true } } };\nkv::put(\"n\", input.n); input.n + 1",
        ),
        ("asks", "run::ask(\"ok?\", #{ choices: [\"yes\", \"no\"] }).answer"),
        ("daily", "const PLAYBOOK = #{ schedule: \"0 7 * * *\" };\n1"),
    ] {
        project.write(&format!("playbooks/{file}.rhai"), text);
    }
    for playbook in ["adds", "asks"] {
        // One that asks is not over, and says so with its exit code.
        let run = project.host(&["run", playbook, "--input", "n=1"]);
        drop(run);
    }
    project.user("root", Role::Admin);
    let token = project.token("root", scope(Grant::Admin), None);
    (project.serve(), token)
}

#[test]
fn the_document_is_one_by_the_rules_of_openapi() {
    let Some(validator) = tool("openapi-spec-validator") else {
        return;
    };
    let (server, token) = served();
    let bearer = format!("Bearer {token}");
    let document: Value = server
        .ask("GET", "/openapi.json", &[("authorization", &bearer)], None)
        .body;
    let file = server.project.path().join("openapi.json");
    std::fs::write(&file, document.to_string()).expect("a file");
    let output = Command::new(validator).arg(&file).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("OK"), "{said}");
}

/// Asks as the document says and as it does not; whatever is answered must be in the document, and none of it a 5xx.
fn fuzzed(fuzzer: &Path, server: &Server, token: Option<&str>, document: &Path, phases: &str, cases: &str) {
    let mut command = Command::new(fuzzer);
    command
        .arg("run")
        .arg(document)
        .args(["--url", &format!("http://{}", server.address)])
        .args([
            "--seed",
            SEED,
            "--max-examples",
            cases,
            "--phases",
            phases,
            "--workers",
            "1",
        ])
        .args([
            "--generation-deterministic",
            "--continue-on-failure",
            "--no-color",
            "--request-timeout",
            "30",
        ])
        // It never ends by itself.
        .args(["--exclude-operation-id", "events.stream"])
        // `fuzzing.py` has one that knows our codes.
        .args(["--exclude-checks", "positive_data_acceptance"])
        .env("SCHEMATHESIS_HOOKS", "fuzzing")
        .env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(server.project.path());
    if let Some(token) = token {
        command.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let generated = said.lines().find(|line| line.contains(" generated, "));
    println!("{}", generated.unwrap_or_default().trim());
    assert_eq!(server.ask("GET", "/healthz", &[], None).status, 200);
}

#[test]
fn a_fuzzer_finds_nothing_that_breaks_and_no_answer_that_is_not_in_the_document() {
    let Some(fuzzer) = tool("schemathesis") else { return };
    let (server, token) = served();
    let bearer = format!("Bearer {token}");
    let document = server
        .ask("GET", "/openapi.json", &[("authorization", &bearer)], None)
        .body;
    let file = server.project.path().join("openapi.json");
    std::fs::write(&file, document.to_string()).expect("a file");
    fuzzed(&fuzzer, &server, None, &file, "fuzzing", "5");
    fuzzed(
        &fuzzer,
        &server,
        Some(&token),
        &file,
        "examples,coverage,fuzzing,stateful",
        "10",
    );
}
