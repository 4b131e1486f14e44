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

#[test]
fn replayed_effects_are_counted_and_timed() {
    let bench = Project::bare().json(&["bench", "replay", "--effects", "50", "--rounds", "2"]);
    assert_eq!((&bench["effects"], &bench["rounds"]), (&50.into(), &2.into()));
    assert!(bench["effects_per_s"].as_f64() > Some(0.0), "{bench}");
}

#[test]
fn a_step_has_a_cost_in_a_small_store_and_in_a_large_one_and_a_size_on_disk() {
    let project = Project::bare();
    let before = project.files();
    let bench = project.json(&[
        "bench",
        "journal",
        "--entries",
        "20000",
        "--steps",
        "1000",
        "--runs",
        "2",
        "--laps",
        "1",
        "--concurrency",
        "2",
    ]);
    let entries = |size: &str| bench[size]["entries"].as_u64();
    assert!(
        Some(10_000) <= entries("small") && Some(20_000) <= entries("large"),
        "{bench}"
    );
    assert!(bench["large"]["us_per_step"].as_f64() > Some(0.0), "{bench}");
    let bytes = |field: &str| bench[field].as_f64();
    assert!(Some(0.0) < bytes("payload_bytes_per_step"), "{bench}");
    assert!(Some(0.0) < bytes("bytes_per_step_compacted"), "{bench}");
    assert!(bytes("bytes_per_step_compacted") <= bytes("bytes_per_step"), "{bench}");
    assert_eq!(project.files(), before);
}

#[test]
fn runs_of_a_killed_host_are_taken_up_and_timed() {
    let project = Project::bare();
    let before = project.files();
    let bench = project.json(&["bench", "resume", "--runs", "40", "--steps", "5", "--store-mib", "2"]);
    assert_eq!((&bench["runs"], &bench["steps"]), (&40.into(), &5.into()));
    let number = |field: &str| bench[field].as_f64();
    assert!(Some((2 << 20) as f64) <= number("store_bytes"), "{bench}");
    assert!(
        Some(0.0) < number("open_ms") && number("open_ms") < number("took_ms"),
        "{bench}"
    );
    assert!(Some(1.0) <= number("commits"), "{bench}");
    assert_eq!(project.files(), before);
}

#[test]
fn jobs_are_counted_both_ways_and_none_is_left() {
    let bench = Project::bare().json(&["bench", "queue", "--jobs", "50", "--concurrency", "4"]);
    assert_eq!(bench["jobs"], 50);
    for field in ["pushed_per_s", "taken_and_done_per_s", "runs_per_s"] {
        assert!(
            bench[field].as_f64().is_some_and(|value| value > 0.0),
            "{field}: {bench}"
        );
    }
}

#[test]
fn requests_are_asked_of_a_server_that_is_gone_afterwards() {
    let project = Project::bare();
    let before = project.files();
    let bench = project.json(&[
        "bench",
        "http",
        "--seconds",
        "1",
        "--connections",
        "4",
        "--streams",
        "5",
    ]);
    for kind in ["reads", "writes"] {
        for field in ["requests", "requests_per_s", "p50_ms", "p99_ms"] {
            let value = bench[kind][field].as_f64();
            assert!(value > Some(0.0), "{kind} {field}: {bench}");
        }
    }
    assert!(bench["resident_bytes_with_streams"].as_u64() > Some(0), "{bench}");
    assert_eq!(project.files(), before);
}
