//! Forty and more typical mistakes of people who write playbooks, each with what is said about it.
//!
//! `NN-name.rhai` is the mistake, `NN-name.txt` beside it what `host check` prints, word for word: place, frame, help.
//! Where there are fixes, the text with them made must have nothing wrong with it any more, and where all of them are
//! safe `host check --fix` must make it so. With `INSTA_UPDATE=always` the texts are written anew: look at them.
#![expect(clippy::disallowed_methods, reason = "this test reads its cases and runs the binary")]

#[path = "../cli/project.rs"]
#[expect(dead_code, reason = "the commands' tests use more of it")]
mod project;

use std::path::{Path, PathBuf};

use project::Project;
use serde_json::Value;

/// At most so often are fixes made, until nothing is left.
const ROUNDS_MAX: usize = 5;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes")
}

/// The project around every mistake, with `text` as the playbook `name`.
fn around(name: &str, text: &str) -> Project {
    fn copy(folder: &Path, below: &str, project: &Project) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = format!("{below}{}", path.file_name().expect("a name").to_string_lossy());
            match path.is_dir() {
                true => copy(&path, &format!("{name}/"), project),
                false => project.write(&name, &std::fs::read_to_string(&path).expect("a text")),
            }
        }
    }
    let project = Project::none();
    copy(&folder().join("project"), "", &project);
    project.write(&format!("playbooks/{name}.rhai"), text);
    project
}

fn problems(project: &Project, name: &str) -> Vec<Value> {
    let checked = project.host(&["check", name, "--json"]);
    let json: Value = serde_json::from_str(&checked.stdout).unwrap_or_else(|error| panic!("{error}: {checked:?}"));
    json["problems"].as_array().expect("a list").clone()
}

/// The text with the first fix of every problem made; `None` when one has none.
fn with_fixes(text: &str, problems: &[Value]) -> Option<String> {
    let mut edits: Vec<(usize, usize, String)> = Vec::new();
    for problem in problems {
        let fix = problem["fixes"].as_array()?.first()?;
        for edit in fix["edits"].as_array().expect("a list") {
            let number = |key: &str| edit[key].as_u64().expect("a number") as usize;
            edits.push((
                number("start"),
                number("end"),
                edit["text"].as_str().expect("a text").to_owned(),
            ));
        }
    }
    edits.sort();
    edits.dedup();
    let mut fixed = text.to_owned();
    let mut before = usize::MAX;
    for (start, end, new) in edits.into_iter().rev() {
        // The next round makes what touches.
        if end <= before {
            fixed.replace_range(start..end, &new);
            before = start;
        }
    }
    Some(fixed)
}

/// What is wrong with one case, if anything is.
fn wrong_with(path: &Path, update: bool) -> Option<String> {
    let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).expect("a text");
    let project = around(&name, &text);
    let said = project.host(&["check", &name]);
    if said.code != 2 || !said.stderr.is_empty() {
        return Some(format!("nothing is said: {said:?}"));
    }
    let expected = path.with_extension("txt");
    if update {
        std::fs::write(&expected, &said.stdout).expect("written");
    }
    let wanted = std::fs::read_to_string(&expected).unwrap_or_default();
    if wanted != said.stdout {
        return Some(format!("it should say\n{wanted}\nand says\n{}", said.stdout));
    }
    let first = problems(&project, &name);
    if first.iter().any(|problem| problem["line"].is_null()) {
        return Some("a finding has no place".to_owned());
    }
    let mut fixed = text.clone();
    let mut left = first.clone();
    for _ in 0..ROUNDS_MAX {
        let Some(next) = with_fixes(&fixed, &left) else { break };
        fixed = next;
        left = problems(&around(&name, &fixed), &name);
        if left.is_empty() {
            break;
        }
    }
    let has_fix = |problem: &Value| problem["fixes"].as_array().is_some_and(|fixes| !fixes.is_empty());
    if first.iter().all(has_fix) && !left.is_empty() {
        return Some(format!("with its fixes made it is\n{fixed}\nand still has {left:#?}"));
    }
    let is_safe = |problem: &Value| problem["fixes"][0]["is_safe"] == true;
    if first.iter().all(is_safe) {
        let repaired = project.host(&["check", &name, "--fix"]);
        let again = project.host(&["check", &name]);
        if again.code != 0 || !repaired.stdout.contains("was changed") {
            return Some(format!("--fix leaves it wrong: {repaired:?} {again:?}"));
        }
    }
    None
}

#[test]
fn each_mistake_is_told_as_a_person_would_hope_and_its_fix_mends_it() {
    let update = std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(folder())
        .expect("the cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rhai"))
        .collect();
    cases.sort();
    assert!(cases.len() >= 40, "{} cases", cases.len());
    let failed: Vec<String> = cases
        .iter()
        .filter_map(|path| Some(format!("--- {}\n{}", path.display(), wrong_with(path, update)?)))
        .collect();
    assert!(
        failed.is_empty(),
        "{} of {} fail\n{}",
        failed.len(),
        cases.len(),
        failed.join("\n")
    );
}

/// What check calls right must be read by a run, and what a run cannot read check must call an error.
#[test]
fn check_and_run_agree_about_what_can_be_read() {
    for entry in std::fs::read_dir(folder()).expect("the cases") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "rhai") {
            continue;
        }
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let project = around(&name, &std::fs::read_to_string(&path).expect("a text"));
        let planned = project.host(&["plan", &name, "--json"]);
        const UNREADABLE: [&str; 7] = [
            "SYNTAX",
            "HEADER",
            "UNKNOWN_VARIABLE",
            "UNKNOWN_NAMESPACE",
            "IMPORT_NOT_FOUND",
            "IMPORT_CYCLE",
            "INPUT_SHADOWED",
        ];
        let json: Value = serde_json::from_str(&planned.stdout).unwrap_or_default();
        let refused = json["error"]["code"]
            .as_str()
            .is_some_and(|code| UNREADABLE.contains(&code));
        let errors = problems(&project, &name);
        let has_error = errors.iter().any(|problem| problem["level"] == "error");
        assert!(
            !refused || has_error,
            "{name}: a run is refused, and check says {errors:#?}"
        );
    }
}
