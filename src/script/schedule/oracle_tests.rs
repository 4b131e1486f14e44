//! Ticks against two others that know: `croner`, an independent crontab, and a walk through every minute that applies the
//! documented Vixie rules word by word.
//!
//! Where `croner` differs from Vixie cron, and is not asked:
//! - It takes a line for one of fixed times only if second, minute and hour are a single number each. Vixie asks whether
//!   minute or hour begins with `*`. So lines with lists or ranges of numbers there are not compared near changes.
//! - It lets either day field suffice where one is `*/n`. Vixie wants both wherever one begins with `*`. So lines with a
//!   step in one day field and a restriction in the other are not compared.
//! - It knows no corrections: changes of more than three hours are not compared.
#![expect(
    clippy::disallowed_methods,
    reason = "the chance of these tests comes from their seeds"
)]

use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::Schedule;
use super::parse::Line;
use super::zones;

const ZONES: [&str; 14] = [
    "America/New_York",
    "Europe/Berlin",
    "Europe/London",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Beirut",
    "America/Santiago",
    "America/Havana",
    "Asia/Kolkata",
    "Pacific/Chatham",
    "Antarctica/Troll",
    "UTC",
];

fn number(random: &mut StdRng, low: u32, high: u32) -> u32 {
    random.random_range(low..=high)
}

/// A field; `many` says how often it is `*`, of ten.
fn field(random: &mut StdRng, low: u32, high: u32, many: u32) -> String {
    if number(random, 0, 9) < many {
        return "*".to_owned();
    }
    match number(random, 0, 7) {
        0..=2 => number(random, low, high).to_string(),
        3 => format!("*/{}", number(random, 2, high.min(20))),
        4 => {
            let from = number(random, low, high);
            format!("{from}-{}", number(random, from, high))
        }
        5 => {
            let from = number(random, low, high);
            format!(
                "{from}-{}/{}",
                number(random, from, high),
                number(random, 1, high.min(9))
            )
        }
        _ => format!("{},{}", number(random, low, high), number(random, low, high)),
    }
}

fn line(random: &mut StdRng) -> String {
    let fields = [
        field(random, 0, 59, 2),
        // Most changes of clocks are in these hours.
        match number(random, 0, 2) {
            0 => number(random, 0, 3).to_string(),
            _ => field(random, 0, 23, 4),
        },
        field(random, 1, 31, 6),
        field(random, 1, 12, 7),
        field(random, 0, 7, 6),
    ];
    fields.join(" ")
}

/// A moment near a change of the zone's clocks, where there is one, in the years 2000 to 2037.
fn moment(random: &mut StdRng, zone: Tz) -> DateTime<Utc> {
    let start = DateTime::from_timestamp(random.random_range(946_684_800..2_145_916_800), 0).unwrap();
    if number(random, 0, 3) == 0 {
        return start;
    }
    let change = zones::changes(start, start + TimeDelta::days(370), zone).next();
    change.map_or(start, |change| {
        change.at + TimeDelta::seconds(random.random_range(-10_000..10_000))
    })
}

fn offset(at: DateTime<Utc>, zone: Tz) -> i64 {
    zone.offset_from_utc_datetime(&at.naive_utc())
        .fix()
        .local_minus_utc()
        .into()
}

/// Whether the bits of `line` fit the minute, by its own reading of the rules.
fn fits(line: &Line, wall: NaiveDateTime) -> bool {
    let has = |bits: u64, number: u32| bits >> number & 1 == 1;
    let day = has(line.days, wall.day());
    let weekday = has(line.weekdays, wall.weekday().num_days_from_sunday());
    let by_day = match line.is_by_day && line.is_by_weekday {
        true => day || weekday,
        false => day && weekday,
    };
    by_day && has(line.months, wall.month()) && has(line.hours, wall.hour()) && has(line.minutes, wall.minute())
}

/// The ticks in the `minutes` minutes after `after`, by walking them. cron(8): "Local time changes of less than three hours
/// are handled specially. This only applies to jobs that run at a specific time: if time has moved forward, those jobs that
/// would have run in the interval that has been skipped will be run immediately. Conversely, if time has moved backward,
/// care is taken to avoid running jobs twice. Changes of more than 3 hours are corrections, and the new time is used."
fn walked(line: &Line, zone: Tz, after: DateTime<Utc>, minutes: i64) -> Vec<i64> {
    let first = after.timestamp().div_euclid(60) + 1;
    // Rules of the last hours reach into the first minute.
    let lead = 30 * 60;
    let wall = |minute: i64| {
        let at = DateTime::from_timestamp(minute * 60, 0).unwrap();
        (at, at.naive_utc() + TimeDelta::seconds(offset(at, zone)))
    };
    let mut ticks = Vec::new();
    let (_, mut last) = wall(first - lead - 1);
    // Up to where the wall clock has been already, while it is set back.
    let mut seen = last;
    for minute in first - lead..first + minutes {
        let (at, now) = wall(minute);
        let step = now - last;
        let mut runs = fits(line, now);
        if line.is_fixed {
            if step > TimeDelta::minutes(1) && step - TimeDelta::minutes(1) <= TimeDelta::hours(3) {
                let mut skipped = last + TimeDelta::minutes(1);
                while skipped < now {
                    runs |= fits(line, skipped);
                    skipped += TimeDelta::minutes(1);
                }
            }
            if step <= TimeDelta::zero() && TimeDelta::minutes(1) - step > TimeDelta::hours(3) {
                seen = now - TimeDelta::minutes(1);
            }
            if now <= seen {
                runs = false;
            }
        }
        seen = seen.max(now);
        last = now;
        if runs && minute >= first {
            ticks.push(at.timestamp_millis());
        }
    }
    ticks
}

fn ours(schedule: &Schedule, zone: Tz, after: DateTime<Utc>, until_ms: i64) -> Vec<i64> {
    let mut ticks = Vec::new();
    let mut at = after.timestamp_millis();
    while let Some(next) = schedule.next_after(at, zone).filter(|next| next.at_ms <= until_ms) {
        assert!(next.at_ms > at, "it goes on");
        at = next.at_ms;
        ticks.push(at);
    }
    ticks
}

fn agrees_with_a_walk(text: &str, zone: Tz, after: DateTime<Utc>, minutes: i64) -> usize {
    let (schedule, line) = (Schedule::parse(text).unwrap(), Line::read(text).unwrap());
    let until = (after.timestamp().div_euclid(60) + minutes) * 60_000;
    let expected = walked(&line, zone, after, minutes);
    assert_eq!(
        ours(&schedule, zone, after, until),
        expected,
        "{text} in {zone} after {after}"
    );
    expected.len()
}

#[test]
fn ticks_are_those_of_a_walk_through_every_minute() {
    let mut random = StdRng::seed_from_u64(7);
    let mut ticks = 0;
    for _ in 0..3000 {
        let zone: Tz = ZONES[random.random_range(0..ZONES.len())].parse().unwrap();
        let after = moment(&mut random, zone);
        ticks += agrees_with_a_walk(&line(&mut random), zone, after, 3 * 24 * 60);
    }
    assert!(ticks > 20_000, "{ticks}");
}

#[test]
fn ticks_at_every_change_of_every_zone_since_1972_are_those_of_a_walk() {
    let mut random = StdRng::seed_from_u64(11);
    let lines = [
        "30 2 * * *",
        "0 0 * * *",
        "*/20 * * * *",
        "15 1-3 * * *",
        "0 */2 * * *",
        "59 23 * * *",
    ];
    let mut changes = 0;
    for zone in chrono_tz::TZ_VARIANTS {
        let start = DateTime::from_timestamp(random.random_range(63_072_000..2_000_000_000), 0).unwrap();
        for change in zones::changes(start, start + TimeDelta::days(250), zone).take(2) {
            changes += 1;
            let text = lines[random.random_range(0..lines.len())];
            // A zone's clock had odd seconds long ago; a walk by minutes says nothing of these.
            if offset(change.at, zone) % 60 == 0 && offset(change.at - TimeDelta::seconds(1), zone) % 60 == 0 {
                agrees_with_a_walk(text, zone, change.at - TimeDelta::hours(5), 30 * 60);
            }
        }
    }
    assert!(changes > 100, "{changes}");
}

#[test]
fn corrections_of_more_than_three_hours_are_those_of_a_walk() {
    let corrected = [("Pacific/Apia", 1_325_239_200), ("Pacific/Kwajalein", 745_934_400)];
    let mut random = StdRng::seed_from_u64(13);
    for (zone, near) in corrected {
        let zone: Tz = zone.parse().unwrap();
        for _ in 0..200 {
            let after = DateTime::from_timestamp(near + random.random_range(-200_000..100_000), 0).unwrap();
            agrees_with_a_walk(&line(&mut random), zone, after, 4 * 24 * 60);
        }
    }
}

#[test]
fn ticks_are_those_of_an_independent_crontab() {
    let mut random = StdRng::seed_from_u64(17);
    let (mut compared, mut near_changes) = (0, 0);
    for _ in 0..6000 {
        let zone: Tz = ZONES[random.random_range(0..ZONES.len())].parse().unwrap();
        let (text, after) = (line(&mut random), moment(&mut random, zone));
        let (Ok(schedule), Ok(other)) = (Schedule::parse(&text), croner::Cron::from_str(&text)) else {
            panic!("both read {text}");
        };
        let fields: Vec<&str> = text.split(' ').collect();
        let is_stepped = |at: usize, other: usize| fields[at].starts_with("*/") && fields[other] != "*";
        if !schedule.ever_fires() || is_stepped(2, 4) || is_stepped(4, 2) {
            continue;
        }
        let is_single = fields[..2].iter().all(|field| field.parse::<u32>().is_ok());
        let mut at = after.with_timezone(&zone);
        for _ in 0..8 {
            let Ok(next) = other.find_next_occurrence(&at, false) else {
                break;
            };
            let changes = zones::changes(
                at.to_utc() - TimeDelta::hours(4),
                at.to_utc() + TimeDelta::days(2),
                zone,
            );
            let is_near = changes.count() > 0;
            if schedule.is_fixed() && !is_single && is_near {
                break;
            }
            // The last tick that the crate reckons with is in the year 2100.
            if next.year() > 2100 {
                break;
            }
            let ours = schedule.next_after(at.timestamp_millis(), zone).map(|next| next.at_ms);
            assert_eq!(
                ours,
                Some(next.timestamp_millis()),
                "{text} in {zone} after {at}: {next}"
            );
            compared += 1;
            near_changes += usize::from(is_near);
            at = next;
        }
    }
    assert!(
        compared > 20_000 && near_changes > 4_000,
        "{compared}, {near_changes} near changes"
    );
}
