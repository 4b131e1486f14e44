//! The documented rules at changes of the clocks, one by one.

use chrono::{DateTime, SecondsFormat};
use chrono_tz::Tz;

use super::Schedule;
use super::explain::explain;
use super::next::Shift;

/// The next ticks after `from`, with the offset of their zone.
fn ticks(line: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
    let (schedule, zone) = (Schedule::parse(line).unwrap(), zone.parse::<Tz>().unwrap());
    let mut at_ms = DateTime::parse_from_rfc3339(from).unwrap().timestamp_millis();
    let mut found = Vec::new();
    while found.len() < count {
        let Some(next) = schedule.next_after(at_ms, zone) else {
            break;
        };
        assert!(next.at_ms > at_ms);
        at_ms = next.at_ms;
        let local = DateTime::from_timestamp_millis(at_ms).unwrap().with_timezone(&zone);
        found.push(local.to_rfc3339_opts(SecondsFormat::Secs, true));
    }
    found
}

#[test]
fn a_time_that_does_not_exist_runs_right_after_and_one_that_comes_twice_runs_once() {
    let new_york = |line, from| ticks(line, "America/New_York", from, 3);
    assert_eq!(
        new_york("30 2 * * *", "2027-03-13T00:00:00-05:00"),
        [
            "2027-03-13T02:30:00-05:00",
            "2027-03-14T03:00:00-04:00",
            "2027-03-15T02:30:00-04:00"
        ]
    );
    assert_eq!(
        new_york("30 1 * * *", "2027-11-06T12:00:00-04:00"),
        [
            "2027-11-07T01:30:00-04:00",
            "2027-11-08T01:30:00-05:00",
            "2027-11-09T01:30:00-05:00"
        ]
    );
    assert_eq!(
        new_york("0 7 * * *", "2027-03-13T00:00:00-05:00"),
        [
            "2027-03-13T07:00:00-05:00",
            "2027-03-14T07:00:00-04:00",
            "2027-03-15T07:00:00-04:00"
        ]
    );
}

#[test]
fn two_ticks_that_fall_on_the_moment_after_a_gap_are_one() {
    // 02:00, 02:30 and 03:00 are all at 03:00.
    assert_eq!(
        ticks("0,30 2,3 * * *", "America/New_York", "2027-03-14T01:00:00-05:00", 3),
        [
            "2027-03-14T03:00:00-04:00",
            "2027-03-14T03:30:00-04:00",
            "2027-03-15T02:00:00-04:00"
        ]
    );
}

#[test]
fn what_has_a_star_in_minute_or_hour_follows_real_time() {
    assert_eq!(
        ticks("*/30 * * * *", "America/New_York", "2027-03-14T01:00:00-05:00", 3),
        [
            "2027-03-14T01:30:00-05:00",
            "2027-03-14T03:00:00-04:00",
            "2027-03-14T03:30:00-04:00"
        ]
    );
    assert_eq!(
        ticks("*/30 * * * *", "America/New_York", "2027-11-07T00:45:00-04:00", 5),
        [
            "2027-11-07T01:00:00-04:00",
            "2027-11-07T01:30:00-04:00",
            "2027-11-07T01:00:00-05:00",
            "2027-11-07T01:30:00-05:00",
            "2027-11-07T02:00:00-05:00"
        ]
    );
    // Its hour is left out: nothing runs in its place.
    assert_eq!(
        ticks("*/30 2 * * *", "America/New_York", "2027-03-14T00:00:00-05:00", 1),
        ["2027-03-15T02:00:00-04:00"]
    );
}

#[test]
fn clocks_that_change_by_half_an_hour_or_at_midnight_are_no_exception() {
    assert_eq!(
        ticks("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00+10:30", 2),
        ["2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"]
    );
    assert_eq!(
        ticks("*/15 1-2 * * *", "Australia/Lord_Howe", "2026-04-05T01:15:00+11:00", 4),
        [
            "2026-04-05T01:30:00+11:00",
            "2026-04-05T01:45:00+11:00",
            "2026-04-05T01:30:00+10:30",
            "2026-04-05T01:45:00+10:30"
        ]
    );
    for zone in ["Africa/Cairo", "Asia/Beirut"] {
        let days = ticks("0 0 * * *", zone, "2026-03-01T00:00:00Z", 365);
        let moved: Vec<_> = days.iter().filter(|day| !day.contains("T00:00:00")).collect();
        assert_eq!(moved.len(), 1, "{zone}: {moved:?}");
        assert!(moved[0].contains("T01:00:00+03:00"), "{moved:?}");
    }
}

#[test]
fn changes_of_more_than_three_hours_are_corrections() {
    // 30 December 2011 did not exist on Samoa.
    assert_eq!(
        ticks("0 7 * * *", "Pacific/Apia", "2011-12-29T00:00:00-10:00", 2),
        ["2011-12-29T07:00:00-10:00", "2011-12-31T07:00:00+14:00"]
    );
    assert_eq!(
        ticks("0 */12 * * *", "Pacific/Kwajalein", "1993-08-20T00:00:00-12:00", 3),
        [
            "1993-08-20T12:00:00-12:00",
            "1993-08-22T00:00:00+12:00",
            "1993-08-22T12:00:00+12:00"
        ]
    );
}

#[test]
fn days_fit_by_either_field_unless_one_begins_with_a_star() {
    let utc = |line, count| ticks(line, "UTC", "2027-01-01T00:00:00Z", count);
    assert_eq!(
        utc("0 0 13 * fri", 4),
        [
            "2027-01-08T00:00:00Z",
            "2027-01-13T00:00:00Z",
            "2027-01-15T00:00:00Z",
            "2027-01-22T00:00:00Z"
        ]
    );
    assert_eq!(
        utc("0 0 */10 * fri", 3),
        ["2027-05-21T00:00:00Z", "2027-06-11T00:00:00Z", "2027-10-01T00:00:00Z"],
        "days 1, 11, 21 and 31, if they are Fridays"
    );
    assert_eq!(utc("0 0 * * sun", 1), ["2027-01-03T00:00:00Z"]);
    assert_eq!(utc("0 0 * * 7", 1), ["2027-01-03T00:00:00Z"]);
    assert_eq!(utc("0 0 * * sat", 1), ["2027-01-02T00:00:00Z"]);
}

#[test]
fn leap_days_are_found_and_days_that_never_come_are_not_looked_for() {
    assert_eq!(
        ticks("0 0 29 2 *", "Europe/Berlin", "2097-01-01T00:00:00Z", 1),
        Vec::<String>::new(),
        "2100 is no leap year"
    );
    assert_eq!(
        ticks("0 0 29 2 */7", "UTC", "2027-01-01T00:00:00Z", 1),
        ["2032-02-29T00:00:00Z"]
    );
    assert!(ticks("30 2 31 2 *", "America/New_York", "2027-01-01T00:00:00Z", 1).is_empty());
    for wild in [i64::MIN, i64::MAX, 253_402_300_800_000, -62_135_596_800_000] {
        let schedule = Schedule::parse("* * * * * *").unwrap();
        assert!(schedule.next_after(wild, Tz::UTC).is_none_or(|next| next.at_ms > wild));
    }
}

#[test]
fn a_change_of_the_clocks_is_told_in_words() {
    let said = |line: &str, from: &str| {
        let (schedule, zone) = (Schedule::parse(line).unwrap(), Tz::America__New_York);
        let from = DateTime::parse_from_rfc3339(from).unwrap().timestamp_millis();
        let first = schedule.next_after(from, zone).unwrap();
        let second = schedule.next_after(first.at_ms, zone).unwrap();
        assert_eq!(explain(&first, None, zone), None);
        explain(&second, Some(first.at_ms), zone)
    };
    assert_eq!(
        said("0 7 * * *", "2027-03-13T00:00:00-05:00").unwrap(),
        "clocks go forward at 02:00; this run comes 23 h after the last"
    );
    assert_eq!(
        said("30 2 * * *", "2027-03-13T00:00:00-05:00").unwrap(),
        "clocks go forward at 02:00; its time does not exist, it runs right after"
    );
    assert_eq!(
        said("30 1 * * *", "2027-11-06T00:00:00-04:00").unwrap(),
        "its time comes twice as clocks go back; it runs the first time"
    );
    assert_eq!(
        said("0 7 * * *", "2027-11-06T00:00:00-04:00").unwrap(),
        "clocks go back at 02:00; this run comes 1 d 1 h after the last"
    );
    assert_eq!(
        said("0 * * * *", "2027-11-07T00:30:00-04:00").unwrap(),
        "clocks go back at 02:00; this is its time for the second time"
    );
    assert_eq!(said("0 7 * * *", "2027-05-13T00:00:00-04:00"), None);
    let schedule = Schedule::parse("30 2 * * *").unwrap();
    let from = DateTime::parse_from_rfc3339("2027-03-14T00:00:00-05:00").unwrap();
    let moved = schedule
        .next_after(from.timestamp_millis(), Tz::America__New_York)
        .unwrap();
    assert_eq!(moved.shift, Shift::Moved);
}

#[test]
fn ten_thousand_schedules_are_reckoned_at_once() {
    let zones = [
        "America/New_York",
        "Europe/Berlin",
        "Australia/Lord_Howe",
        "Asia/Kolkata",
    ];
    let lines = [
        "0 7 * * *",
        "*/5 * * * *",
        "30 2 29 2 *",
        "0 0 13 * fri",
        "15 10 * * mon-fri",
    ];
    let mut reckoned = 0;
    for turn in 0..10_000 {
        let schedule = Schedule::parse(lines[turn % lines.len()]).unwrap();
        let zone = zones[turn % zones.len()].parse().unwrap();
        reckoned += usize::from(schedule.next_after(1_790_000_000_000, zone).is_some());
    }
    assert_eq!(reckoned, 10_000);
}
