//! `host bench`: the shape of its answers; never how fast this machine is.

use crate::project::Project;

#[test]
fn steps_are_counted_and_timed_on_a_real_store_that_is_gone_afterwards() {
    let project = Project::bare();
    let before = project.files();
    let bench = project.json(&["bench", "steps", "--runs", "12", "--steps", "10", "--concurrency", "4"]);
    assert_eq!((&bench["runs"], &bench["steps"]), (&12.into(), &10.into()));
    for field in ["steps_per_s", "run_p50_ms", "run_p99_ms", "commits", "fsync_p50_ms"] {
        assert!(
            bench[field].as_f64().is_some_and(|value| value > 0.0),
            "{field}: {bench}"
        );
    }
    assert_eq!(project.files(), before);
}

#[test]
fn latency_is_told_in_percentiles() {
    let bench = Project::none().json(&["bench", "latency", "--runs", "9"]);
    let (half, most) = (bench["p50_ms"].as_f64(), bench["p99_ms"].as_f64());
    assert!(half > Some(0.0) && half <= most, "{bench}");
}

#[test]
fn a_run_of_ten_local_effects_takes_one_commit() {
    let bench = Project::bare().json(&["bench", "steps", "--runs", "20", "--steps", "10", "--concurrency", "1"]);
    assert_eq!(bench["commits"], 20, "{bench}");
}
