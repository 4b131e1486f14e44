//! `host resolve`: a person says what became of a write.

use host::testing::HttpStub;
use serde_json::json;

use crate::incident::{live, run};
use crate::project::Project;

const WRITES: &str = r#"const PLAYBOOK = #{ uses: ["acme"] };
acme::post("/uploads", #{ clip: "c" });
let post = acme::post("/posts", #{ clip: "c" });
kv::put("posted", true);
if post == () { "no answer" } else { post.json.id }
"#;

/// A run whose second write is in doubt; were it sent again, it would be answered.
fn in_doubt(stub: &HttpStub) -> (Project, String) {
    stub.on("POST", "/uploads").json(201, json!({ "id": "u1" }));
    stub.on("POST", "/posts").once().cut();
    stub.on("POST", "/posts").json(201, json!({ "id": "p2" }));
    let project = live(stub).file("playbooks/writes.rhai", WRITES);
    let id = run(&project, "writes");
    assert_eq!(project.json(&["show", &id])["run"]["status"], "needs_attention");
    (project, id)
}

#[test]
fn nothing_goes_on_before_it_is_decided() {
    let stub = HttpStub::start();
    let (project, id) = in_doubt(&stub);
    for command in ["resume", "cancel"] {
        let refused = project.host(&[command, &id, "--json"]);
        assert_eq!(
            (refused.code, refused.error_code()),
            (3, "STEP_IN_DOUBT".to_owned()),
            "{command}"
        );
    }
    let shown = project.host(&["resume", &id]);
    assert_eq!(shown.stdout, "", "it is refused before anything is said: {shown:?}");
    let all = project.ok(&["resume", "--all"]);
    assert!(all.starts_with("nothing to go on with"), "{all}");
    assert_eq!(stub.count("POST", "/posts"), 1);
}

#[test]
fn what_landed_is_not_sent_again_and_the_script_gets_the_value_it_is_given() {
    let stub = HttpStub::start();
    let (project, id) = in_doubt(&stub);
    let value = r#"{"status": 201, "json": {"id": "p1"}}"#;
    let said = project.ok(&[
        "resolve",
        &id,
        "2",
        "--landed",
        "--value",
        value,
        "--reason",
        "it is on the wall",
    ]);
    assert!(said.contains("goes on after it"), "{said}");
    let why = project.ok(&["why", &id]);
    assert!(
        why.contains("it landed: it is on the wall") && why.contains("it is decided"),
        "{why}"
    );
    assert!(!why.contains("host resolve"), "{why}");
    assert_eq!(project.json(&["resume", &id])["outcome"], "p1");
    assert_eq!(stub.count("POST", "/posts"), 1);
    assert_eq!(project.json(&["replay", &id])["same"], true);
}

#[test]
fn what_landed_without_a_value_gives_the_script_nothing_and_that_is_said() {
    let stub = HttpStub::start();
    let (project, id) = in_doubt(&stub);
    let said = project.ok(&["resolve", &id, "2", "--landed", "--reason", "seen"]);
    assert!(said.contains("The script is given () for its answer"), "{said}");
    assert_eq!(project.json(&["resume", &id])["outcome"], "no answer");
}

#[test]
fn what_did_not_land_is_sent_again() {
    let stub = HttpStub::start();
    let (project, id) = in_doubt(&stub);
    project.ok(&["resolve", &id, "2", "--not-landed", "--reason", "it is not there"]);
    assert_eq!(project.json(&["resume", &id])["outcome"], "p2");
    assert_eq!((stub.count("POST", "/uploads"), stub.count("POST", "/posts")), (1, 2));
}

/// Once `--value` went unheard beside `--not-landed`.
#[test]
fn a_decision_that_makes_no_sense_changes_nothing() {
    let stub = HttpStub::start();
    let (project, id) = in_doubt(&stub);
    let before = project.json(&["show", &id]);
    let long = "x".repeat(5000);
    for (arguments, code) in [
        (vec!["1", "--landed", "--reason", "x"], Some("NOT_IN_DOUBT")),
        (vec!["9", "--landed", "--reason", "x"], Some("NOT_IN_DOUBT")),
        (vec!["2", "--landed", "--reason", " "], Some("REASON_INVALID")),
        (vec!["2", "--landed", "--reason", &long], Some("REASON_INVALID")),
        (vec!["2", "--landed", "--value", "{x", "--reason", "x"], Some("USAGE")),
        (vec!["2", "--not-landed", "--value", "1", "--reason", "x"], None),
        (vec!["2", "--not-landed", "--landed", "--reason", "x"], None),
        (vec!["2", "--landed"], None),
        (vec!["2", "--reason", "x"], None),
    ] {
        let refused = project.host(&[vec!["resolve", &id], arguments.clone(), vec!["--json"]].concat());
        assert_eq!(refused.code, 2, "{arguments:?}: {refused:?}");
        if let Some(code) = code {
            assert_eq!(refused.error_code(), code, "{arguments:?}");
        }
    }
    assert_eq!(project.json(&["show", &id]), before);
}
