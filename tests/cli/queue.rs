//! `host queue`

use serde_json::json;

use crate::project::Project;

#[test]
fn a_job_is_pushed_listed_shown_and_taken_out() {
    let project = Project::bare();
    let pushed = project.json(&[
        "queue",
        "push",
        "renders",
        "{\"clip\": \"a\"}",
        "--key",
        "clip-a",
        "--priority",
        "9",
    ]);
    assert_eq!(
        pushed,
        json!({ "realm": "dry", "queue": "renders", "id": 0, "is_new": true })
    );
    let again = project.ok(&["queue", "push", "renders", "{\"clip\": \"a\"}", "--key", "clip-a"]);
    assert!(
        again.contains("nothing pushed: job 0 of renders has the key clip-a"),
        "{again}"
    );
    project.ok(&["queue", "push", "renders", "later", "--delay", "1h"]);

    let queues = project.json(&["queue", "list"]);
    let queue = &queues["queues"][0];
    assert_eq!(
        (&queue["queue"], &queue["ready"], &queue["later"]),
        (&json!("renders"), &json!(1), &json!(1))
    );
    assert_eq!(
        (&queue["held"], &queue["dead"], &queue["paused"]),
        (&json!(0), &json!(0), &json!(null))
    );

    let shown = project.ok(&["queue", "show", "renders"]);
    assert!(
        shown.starts_with("renders  1 ready, 1 later, 0 at work, 0 dead, in the DRY realm\n"),
        "{shown}"
    );
    assert!(
        shown.contains("delayed") && shown.contains("{\"clip\":\"a\"}"),
        "{shown}"
    );
    let job = project.json(&["queue", "show", "renders", "0"]);
    assert_eq!(
        (&job["state"], &job["payload"]),
        (&json!("ready"), &json!({ "clip": "a" }))
    );

    project.ok(&["queue", "remove", "renders", "0"]);
    assert_eq!(project.host(&["queue", "show", "renders", "0"]).code, 2);
    assert_eq!(project.json(&["queue", "list"])["queues"][0]["ready"], 0);
}

#[test]
fn dead_jobs_are_shown_with_their_reason_and_come_back() {
    let project = Project::bare().file(
        "playbooks/fails.rhai",
        "let job = queue::take(\"renders\"); queue::fail(\"renders\", job, \"no \\x1b[2Jpicture\", #{ dead: true });",
    );
    for _ in 0..3 {
        project.ok(&["queue", "push", "renders", "1"]);
        project.ok(&["run", "fails"]);
    }
    let shown = project.ok(&["queue", "show", "renders", "--state", "dead"]);
    assert!(shown.contains("picture") && !shown.contains('\u{1b}'), "{shown}");
    let one = project.ok(&["queue", "show", "renders", "1"]);
    assert!(one.contains("host queue retry renders 1"), "{one}");
    assert_eq!(project.json(&["queue", "retry", "renders", "1"])["retried"], json!([1]));
    let again = project.host(&["queue", "retry", "renders", "1"]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("JOB_NOT_DEAD"), "{}", again.stderr);
    assert_eq!(
        project.json(&["queue", "retry", "renders", "--all-dead"])["retried"],
        json!([0, 2])
    );
    assert_eq!(project.json(&["queue", "list"])["queues"][0]["ready"], 3);
}

#[test]
fn a_queue_is_drained_only_when_that_is_meant() {
    let project = Project::bare();
    for _ in 0..3 {
        project.ok(&["queue", "push", "renders", "1"]);
    }
    project.ok(&["queue", "push", "renders", "1", "--delay", "1h"]);
    let asked = project.host(&["queue", "drain", "renders"]);
    assert_eq!(asked.code, 2);
    assert!(asked.stderr.contains("4 waiting jobs of renders"), "{}", asked.stderr);
    assert_eq!(project.json(&["queue", "list"])["queues"][0]["ready"], 3);
    assert_eq!(project.json(&["queue", "drain", "renders", "--yes"])["removed"], 4);
    assert_eq!(project.json(&["queue", "list"])["queues"][0]["ready"], 0);
}

#[test]
fn a_queue_is_paused_with_a_reason_and_resumed() {
    let project = Project::bare().env("HOST_USER", "anna");
    project.ok(&["queue", "push", "renders", "1"]);
    project.ok(&["queue", "pause", "renders", "--why", "the disk is full"]);
    let shown = project.ok(&["queue", "show", "renders"]);
    assert!(
        shown.contains("paused by anna") && shown.contains(": the disk is full"),
        "{shown}"
    );
    assert!(project.ok(&["queue", "list"]).contains("paused"));
    let resumed = project.json(&["queue", "resume", "renders"]);
    assert_eq!(resumed["was_paused"], true);
    assert_eq!(project.json(&["queue", "list"])["queues"][0]["paused"], json!(null));
}

#[test]
fn a_queue_that_is_not_there_is_looked_for_among_its_neighbours_and_in_the_other_realm() {
    let project = Project::bare();
    project.ok(&["queue", "push", "renders", "1", "--live"]);
    let elsewhere = project.host(&["queue", "show", "renders"]);
    assert_eq!(elsewhere.code, 2);
    assert!(elsewhere.stderr.contains("add --realm live"), "{}", elsewhere.stderr);
    let near = project.host(&["queue", "show", "render", "--live"]);
    assert!(near.stderr.contains("did you mean \"renders\"?"), "{}", near.stderr);
    assert_eq!(project.ok(&["queue", "list"]), "no queues in the DRY realm\n");
}
