//! The demo, as somebody sees it who has just cloned the project. It needs ffmpeg, and no key.

use serde_json::json;

use crate::project::{Project, answer};

#[test]
fn the_demo_runs_without_keys_and_everything_it_did_is_on_record() {
    let project = Project::made();
    let run = project.json(&["run", "demo", "--seconds", "1", "--fit", "crop"]);
    assert_eq!(
        (&run["status"], &run["mode"], &run["cost"]),
        (&json!("succeeded"), &json!("dry"), &json!(0.0)),
        "{run}"
    );
    assert_eq!(run["outcome"]["clip"], "2026-11-21-a", "the newest of the feed");

    let id = run["run_id"].as_str().expect("an id");
    let shown = project.json(&["show", id]);
    let entries = shown["entries"].as_array().expect("a list");
    let simulated: Vec<&str> = entries
        .iter()
        .filter(|entry| entry["mode"] == "simulated")
        .filter_map(|entry| entry["name"].as_str())
        .collect();
    assert_eq!(
        simulated,
        ["openai.chat", "slack.post"],
        "S0-01: what would leave is simulated"
    );
    assert!(
        entries
            .iter()
            .all(|entry| entry["mode"] != "simulated" || entry["simulated"] == "DRY_RUN is on")
    );

    // The clip is real: as long and as shaped as was asked.
    let made = entries
        .iter()
        .find(|entry| entry["name"] == "media.reframe")
        .expect("it was reframed");
    assert_eq!(
        (&made["outcome"]["width"], &made["outcome"]["height"]),
        (&json!(720), &json!(1280))
    );
    assert!(
        made["outcome"]["seconds"]
            .as_f64()
            .is_some_and(|seconds| (seconds - 1.0).abs() < 0.2),
        "{made}"
    );

    let clip = project.json(&["store", "get", "clips", "2026-11-21-a"]);
    assert_eq!(clip["data"]["video"], made["outcome"]["sha256"]);
    assert_eq!(clip["data"]["simulated"], true);
    assert_eq!(project.json(&["kv", "get", "clips_made"])["value"], 1);

    // A plan changes nothing.
    let before = project.files();
    let plan = project.json(&["plan", "demo", "--seconds", "1", "--fit", "crop"]);
    assert_eq!(project.files(), before);
    assert_eq!(plan["effects"].as_array().map(Vec::len), Some(entries.len()));
    let counter = plan["store_changes"]
        .as_array()
        .and_then(|all| all.iter().find(|change| change["name"] == "clips_made"));
    assert_eq!(counter.map(|change| &change["after"]), Some(&json!(2)));

    // A replay needs neither ffmpeg nor the inputs.
    std::fs::remove_dir_all(project.path("inbox")).expect("the inputs are gone");
    std::fs::remove_dir_all(project.path("prompts")).expect("the prompts are gone");
    let replayed = answer(project.command(&["replay", id, "--json"]).env("PATH", ""));
    assert_eq!(replayed.code, 0, "{replayed:?}");
    assert!(replayed.stdout.contains("\"same\": true"), "{replayed:?}");
}
