//! `host store`

use serde_json::json;

use crate::project::{Project, keys};

fn clips() -> Project {
    let project = Project::bare();
    for (id, score) in [("a", 3), ("b", 5), ("c", 4)] {
        project.ok(&["store", "put", "clips", id, &format!("{{\"score\": {score}}}")]);
    }
    project
}

#[test]
fn documents_are_listed_shown_found_counted_and_deleted() {
    let project = clips();
    let list = project.json(&["store", "list"]);
    assert_eq!(
        list,
        json!({ "realm": "dry", "collections": [{ "name": "clips", "documents": 3, "indexes": [] }] })
    );
    let one = project.json(&["store", "get", "clips", "b"]);
    assert_eq!(keys(&one), ["collection", "data", "id", "realm", "version"]);
    assert_eq!((&one["version"], &one["data"]), (&json!(1), &json!({ "score": 5 })));
    let found = project.json(&[
        "store",
        "query",
        "clips",
        "--where",
        "{\"score\": {\"gte\": 4}}",
        "--order",
        "-score",
    ]);
    assert_eq!(keys(&found), ["collection", "documents", "next", "realm"]);
    let ids: Vec<_> = found["documents"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|document| document["id"].clone())
        .collect();
    assert_eq!(ids, ["b", "c"]);
    assert_eq!(project.json(&["store", "count", "clips"])["count"], 3);
    assert_eq!(
        project.json(&["store", "count", "clips", "--where", "{\"score\": 3}"])["count"],
        1
    );
    project.ok(&["store", "delete", "clips", "a"]);
    assert_eq!(project.json(&["store", "count", "clips"])["count"], 2);
}

#[test]
fn a_cursor_leads_to_the_next_page() {
    let project = clips();
    let first = project.ok(&["store", "query", "clips", "--limit", "2"]);
    let cursor = first.split("--cursor ").nth(1).expect("there is more").trim();
    let second = project.json(&["store", "query", "clips", "--limit", "2", "--cursor", cursor]);
    assert_eq!(second["documents"][0]["id"], "c");
    assert_eq!(second["next"], json!(null));
}

#[test]
fn every_change_prints_the_command_that_undoes_it() {
    let project = clips();
    let all = |project: &Project| {
        let mut page = project.json(&["store", "query", "clips"]);
        for document in page["documents"].as_array_mut().expect("a list") {
            document["version"] = json!(null);
        }
        page
    };
    let before = all(&project);
    let nasty = "{\"title\": \"it's \\u001b[2J \\u202e `x` $HOME\"}";
    for change in [
        vec!["put", "clips", "a", nasty],
        vec!["put", "clips", "new one's", nasty],
        vec!["delete", "clips", "b"],
    ] {
        let printed = project.ok(&[vec!["store"], change].concat());
        assert_ne!(all(&project), before);
        project.undo(&printed);
        assert_eq!(all(&project), before, "{printed}");
    }
}

#[test]
fn mistakes_name_what_was_wrong_and_exit_with_two() {
    let project = clips();
    for (arguments, code) in [
        (vec!["store", "put", "clips", "x", "{oops"], "JSON_INVALID"),
        (vec!["store", "put", "clips", "x", "[1]"], "TYPE"),
        (vec!["store", "put", "no such name", "x", "{}"], "STORE_BAD_NAME"),
        (vec!["store", "get", "clips", "zzz"], "STORE_NOT_FOUND"),
        (vec!["store", "delete", "clips", "zzz"], "STORE_NOT_FOUND"),
        (
            vec!["store", "query", "clips", "--where", "{\"score\": {\"gtee\": 4}}"],
            "STORE_BAD_QUERY",
        ),
        (vec!["store", "query", "clips", "--cursor", "x"], "STORE_BAD_QUERY"),
        (vec!["store", "query", "clips", "--limit", "0"], "STORE_BAD_QUERY"),
    ] {
        let answer = project.host(&[arguments.clone(), vec!["--json"]].concat());
        assert_eq!((answer.code, answer.error_code().as_str()), (2, code), "{arguments:?}");
    }
}

#[test]
fn a_repair_of_a_sound_store_says_that_there_was_nothing_to_do() {
    let project = clips();
    let repaired = project.json(&["store", "repair"]);
    assert_eq!(keys(&repaired), ["rows", "store", "was_needed"]);
    assert_eq!(repaired["was_needed"], false);
    assert_eq!(project.json(&["store", "count", "clips"])["count"], 3);
}

#[test]
fn a_repair_needs_a_store() {
    let project = Project::bare();
    let answer = project.host(&["store", "repair", "--json"]);
    assert_eq!((answer.code, answer.error_code().as_str()), (4, "STORE_MISSING"));
    assert!(!project.store().exists());
}

const FILL: &str = r#"
store::put("clips", "a", #{ n: 1 });
store::put("clips", "b", #{ n: 2 });
kv::put("best", "a");
kv::put("brief", 1, #{ ttl: "10d" });
queue::push("work", #{ n: 1 });
queue::push("work", #{ n: 2 }, #{ key: "two" });
queue::take("work").number;
metrics::increment("clips_total", #{ platform: "x" });
"#;

#[test]
fn what_a_realm_holds_is_carried_over_and_nothing_that_is_there_is_lost() {
    let project = Project::bare().file("playbooks/fill.rhai", FILL).file(
        "playbooks/look.rhai",
        "[queue::list(\"work\", #{}).map(|job| [job.state, job.attempt]), metrics::read(\"clips_total\")]",
    );
    project.ok(&["run", "fill"]);
    project.ok(&["store", "put", "clips", "b", "{\"n\": 99}", "--live"]);
    let copied = project.json(&["store", "copy", "dry"]);
    assert_eq!((&copied["from"], &copied["to"]), (&json!("dry"), &json!("live")));
    let row = |kind: &str, name: &str, copied: u64, kept: u64| json!({ "kind": kind, "name": name, "copied": copied, "kept": kept });
    assert_eq!(
        copied["rows"],
        json!([
            row("documents", "clips", 1, 1),
            row("pairs", "(all)", 2, 0),
            row("queues", "work", 2, 0),
            row("metrics", "clips_total", 1, 0),
        ])
    );
    let of =
        |collection: &str, id: &str| project.json(&["store", "get", collection, id, "--live"])["data"]["n"].clone();
    assert_eq!((of("clips", "a"), of("clips", "b")), (json!(1), json!(99)));
    assert_eq!(project.json(&["kv", "get", "best", "--live"])["value"], "a");
    // The original is as it was, and its job still in somebody's hands.
    let look = |dry: &str| {
        let mut command = project.command(&["run", "look", "--json"]);
        let answer = crate::project::answer(command.env("DRY_RUN", dry));
        serde_json::from_str::<serde_json::Value>(&answer.stdout).expect("JSON")["outcome"].clone()
    };
    let (dry, live) = (look("true"), look("false"));
    assert_eq!(dry[0], json!([["ready", 0], ["leased", 1]]), "{dry}");
    assert_eq!(live[0], json!([["ready", 0], ["ready", 0]]), "{live}");
    assert_eq!(dry[1], live[1]);
    // Once more: what is there stays, unless it is to be replaced.
    let again = project.ok(&["store", "copy", "dry"]);
    assert!(again.contains("the queue was there, and stays as it is"), "{again}");
    assert!(again.contains("--replace puts documents and pairs in place"), "{again}");
    assert_eq!(of("clips", "b"), json!(99));
    let only = project.json(&["store", "copy", "dry", "--replace", "--only", "documents"]);
    assert_eq!(only["rows"], json!([row("documents", "clips", 2, 0)]));
    assert_eq!(of("clips", "b"), json!(2));
    assert_eq!(look("false")[0], live[0], "no job came a second time");
}

#[test]
fn a_realm_that_holds_nothing_is_said_to() {
    let project = Project::bare();
    assert_eq!(
        project.ok(&["store", "copy", "live"]),
        "the LIVE realm holds nothing to copy\n"
    );
    assert_eq!(project.host(&["store", "copy", "other"]).code, 2);
}
