//! A store that cannot be used: what is said, and that nothing is lost.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use host::store::engine::{Engine, EngineOptions};

use crate::project::Project;

fn project() -> Project {
    let project = Project::bare().file("playbooks/a.rhai", "kv::put(\"a\", 1)");
    project.ok(&["kv", "set", "kept", "safe"]);
    project
}

#[test]
fn a_store_in_use_is_named_by_every_command_that_needs_it() {
    let project = project();
    let owner = Engine::open(&project.store(), EngineOptions::default()).expect("nobody else has it");
    for arguments in [
        vec!["run", "a"],
        vec!["kv", "get", "kept"],
        vec!["kv", "set", "b", "1"],
        vec!["store", "repair"],
    ] {
        let answer = project.host(&[arguments.clone(), vec!["--json"]].concat());
        assert_eq!(
            (answer.code, answer.error_code().as_str()),
            (4, "STORE_LOCKED"),
            "{arguments:?}"
        );
    }
    // What needs no store goes on, and says what it could not see.
    assert_eq!(project.host(&["providers"]).code, 0);
    drop(owner);
    assert_eq!(project.json(&["kv", "get", "kept"])["value"], "safe");
}

/// Writes another format number into the store, as another host would have.
fn set_format(project: &Project, format: u64) {
    let table = redb::TableDefinition::<&str, u64>::new("format");
    let database = redb::Database::open(project.store()).expect("it opens");
    let transaction = database.begin_write().expect("a transaction");
    transaction
        .open_table(table)
        .expect("the table")
        .insert("store", format)
        .expect("a row");
    transaction.commit().expect("on disk");
}

#[test]
fn a_store_of_a_newer_host_is_not_touched() {
    let project = project();
    set_format(&project, 7);
    let refused = |arguments: &[&str]| {
        let answer = project.host(&[arguments, &["--json"]].concat());
        assert_eq!(
            (answer.code, answer.error_code().as_str()),
            (4, "STORE_NEWER_FORMAT"),
            "{arguments:?}"
        );
        assert!(answer.stdout.contains("format 7"), "{answer:?}");
    };
    let before = project.files();
    for reader in [
        ["kv", "get", "kept"].as_slice(),
        &["plan", "a"],
        &["store", "list"],
        &["store", "repair"],
    ] {
        refused(reader);
    }
    assert_eq!(project.files(), before);
    for writer in [
        ["run", "a"].as_slice(),
        &["kv", "set", "kept", "lost"],
        &["store", "put", "c", "a", "{}"],
    ] {
        refused(writer);
    }
    set_format(&project, host::store::engine::FORMAT);
    let kept = project.json(&["kv", "list"]);
    assert_eq!(kept["pairs"], serde_json::json!([{ "key": "kept", "value": "safe" }]));
}

#[test]
fn a_file_that_is_no_store_is_neither_used_nor_overwritten() {
    let project = Project::bare()
        .file("playbooks/a.rhai", "1")
        .file("data/store.redb", &"not a store\n".repeat(2000));
    let before = project.files();
    for arguments in [
        vec!["run", "a"],
        vec!["kv", "get", "a"],
        vec!["kv", "set", "a", "1"],
        vec!["store", "repair"],
    ] {
        let answer = project.host(&[arguments.clone(), vec!["--json"]].concat());
        assert_eq!(
            (answer.code, answer.error_code().as_str()),
            (4, "STORE_CORRUPT"),
            "{arguments:?}: {answer:?}"
        );
    }
    assert_eq!(project.files(), before);
}

#[test]
fn a_damaged_store_is_told_by_the_repair() {
    let project = project();
    // Long enough that its text stands alone on a page of the file.
    let value = "the value that is damaged ".repeat(400);
    project.ok(&["kv", "set", "big", &value]);
    let mut bytes = std::fs::read(project.store()).expect("the store");
    let needle = b"the value that is damaged the value";
    let at = bytes
        .windows(needle.len())
        .position(|window| window == needle)
        .expect("it is in the file")
        + 200;
    bytes[at] ^= 0x20;
    std::fs::write(project.store(), &bytes).expect("written back");
    let answer = project.host(&["store", "repair", "--json"]);
    assert_eq!(
        (answer.code, answer.error_code().as_str()),
        (4, "STORE_CORRUPT"),
        "{answer:?}"
    );
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    // Not even root makes files there.
    let project = Project::none()
        .file("host.toml", "[store]\nfolder = \"/sys\"\n")
        .file("playbooks/a.rhai", "1");
    for arguments in [vec!["run", "a"], vec!["kv", "set", "a", "1"]] {
        let answer = project.host(&[arguments.clone(), vec!["--json"]].concat());
        assert_eq!(
            (answer.code, answer.error_code().as_str()),
            (4, "STORE_READ_ONLY"),
            "{arguments:?}: {answer:?}"
        );
        assert!(answer.stdout.contains("/sys"), "{answer:?}");
    }
}

#[test]
fn after_a_kill_reading_commands_name_the_repair_and_the_repair_keeps_everything() {
    let project = project().file(
        "playbooks/busy.rhai",
        "kv::put(\"busy\", 1);\nlog::info(\"under way\");\nloop { }\n",
    );
    let mut busy = project
        .command(&["run", "busy"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let lines = BufReader::new(busy.stdout.take().expect("a pipe")).lines();
    let under_way = lines
        .map(|line| line.expect("text"))
        .any(|line| line.contains("under way"));
    busy.kill().expect("it is killed");
    busy.wait().expect("it is gone");
    assert!(under_way);

    let before = project.files();
    for arguments in [
        vec!["kv", "get", "kept"],
        vec!["plan", "a"],
        vec!["store", "list"],
        vec!["runs"],
    ] {
        let answer = project.host(&[arguments.clone(), vec!["--json"]].concat());
        assert_eq!(
            (answer.code, answer.error_code().as_str()),
            (4, "STORE_NEEDS_REPAIR"),
            "{arguments:?}"
        );
        assert!(answer.stdout.contains("host store repair"), "{answer:?}");
    }
    assert_eq!(project.files(), before, "who only reads repairs nothing");

    assert_eq!(project.json(&["store", "repair"])["was_needed"], true);
    assert_eq!(project.json(&["kv", "get", "kept"])["value"], "safe");
    assert_eq!(project.json(&["store", "repair"])["was_needed"], false);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let project = Project::none();
    let mut child = project
        .command(&["functions"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let status = child.wait().expect("it ends");
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .expect("a pipe")
        .read_to_string(&mut stderr)
        .expect("text");
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}
