//! `host next`

use serde_json::json;

use crate::project::Project;

const DAILY: &str = "const PLAYBOOK = #{ schedule: \"0 7 * * *\", timezone: \"America/New_York\" };\n1";

#[test]
fn the_next_ticks_are_told_with_what_the_clocks_do() {
    let project = Project::bare().file("playbooks/daily/publish.rhai", DAILY);
    let from = ["--from", "2027-03-12T12:00", "--count", "3", "--explain"];
    let text = project.ok(&[&["next", "daily/publish"], &from[..]].concat());
    assert_eq!(
        text,
        "0 7 * * *  America/New_York    missed: latest · overlap: skip\n\
         \x20 Sat 13 Mar 07:00 EST   12:00 UTC\n\
         \x20 Sun 14 Mar 07:00 EDT   11:00 UTC    clocks go forward at 02:00; this run comes 23 h after the last\n\
         \x20 Mon 15 Mar 07:00 EDT   11:00 UTC\n"
    );
    let json = project.json(&[&["next", "daily/publish"], &from[..]].concat());
    assert_eq!(
        json,
        json!([
            "2027-03-13T07:00:00-05:00",
            "2027-03-14T07:00:00-04:00",
            "2027-03-15T07:00:00-04:00"
        ])
    );
    assert!(!project.store().exists(), "looking makes no store");
}

#[test]
fn a_crontab_line_can_be_tried_without_a_playbook() {
    let project = Project::none();
    let next = |line: &str| {
        project.json(&[
            "next",
            "--cron",
            line,
            "--timezone",
            "Asia/Tokyo",
            "--from",
            "2027-01-01",
            "--count",
            "2",
        ])
    };
    assert_eq!(
        next("30 9 * * mon-fri"),
        json!(["2027-01-01T09:30:00+09:00", "2027-01-04T09:30:00+09:00"])
    );
    assert_eq!(next("30 2 31 2 *"), json!([]));
    let text = project.ok(&["next", "--cron", "30 2 31 2 *"]);
    assert_eq!(text, "30 2 31 2 * never fires\n");
    for (line, said) in [
        ("0 25 * * *", "\"25\" is no hour: from 0 to 23"),
        ("@reboot", "write `startup: true` instead"),
        ("* * *", "has 3 fields"),
    ] {
        let answer = project.host(&["next", "--cron", line]);
        assert_eq!(answer.code, 2);
        assert!(
            answer.stderr.contains("SCHEDULE_INVALID") && answer.stderr.contains(said),
            "{answer:?}"
        );
    }
    let zone = project.host(&["next", "--cron", "@daily", "--timezone", "New York"]);
    assert!(zone.stderr.contains("did you mean \"America/New_York\"?"), "{zone:?}");
    let time = project.host(&["next", "--cron", "@daily", "--from", "tomorrow"]);
    assert!(time.stderr.contains("\"tomorrow\" is no time"), "{time:?}");
}

#[test]
fn all_playbooks_are_listed_by_time_and_broken_ones_are_named() {
    let project = Project::bare()
        .file(
            "playbooks/b.rhai",
            "const PLAYBOOK = #{ schedule: [\"0 8 * * *\", #{ cron: \"0 6 * * *\", name: \"early\" }] };\n1",
        )
        .file("playbooks/a.rhai", "const PLAYBOOK = #{ schedule: \"0 7 * * *\" };\n1")
        .file(
            "playbooks/broken.rhai",
            "const PLAYBOOK = #{ schedule: \"0 7 * *\" };\n1",
        )
        .file("playbooks/none.rhai", "1");
    let text = project.ok(&["next", "--from", "2027-01-01", "--count", "3"]);
    let order: Vec<&str> = text
        .lines()
        .skip(1)
        .take(3)
        .map(|line| if line.contains(" a ") { "a" } else { "b" })
        .collect();
    assert_eq!(order, ["b", "a", "b"], "{text}");
    assert!(
        text.contains("broken does not compile: `host check broken` tells why"),
        "{text}"
    );
    let json = project.json(&["next", "--from", "2027-01-01", "--count", "1"]);
    assert_eq!(
        json,
        json!([{ "playbook": "b", "schedule": "early", "at": "2027-01-01T06:00:00+00:00" }])
    );
    let none = project.ok(&["next", "none"]);
    assert!(none.starts_with("none has no schedule"), "{none}");
}

#[test]
fn a_header_that_means_nothing_is_refused_at_its_place() {
    let project = Project::bare().file(
        "playbooks/a.rhai",
        "const PLAYBOOK = #{\n    schedule: [\n        \"0 7 * * *\",\n        #{ cron: \"0 8 * * *\", timezone: \"Berlin\" },\n    ],\n};\n1",
    );
    let answer = project.host(&["run", "a"]);
    assert_eq!(answer.code, 2, "{answer:?}");
    assert!(
        answer.stderr.contains("error[TIME_ZONE]: \"Berlin\" is no zone"),
        "{answer:?}"
    );
    assert!(answer.stderr.contains("a.rhai:4:41"), "{answer:?}");
    assert!(answer.stderr.contains("did you mean \"Europe/Berlin\"?"), "{answer:?}");
}
