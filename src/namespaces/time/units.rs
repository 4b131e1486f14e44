//! Where hours, days, weeks, months, quarters and years begin in a zone, and rows of them. Pure.
//!
//! A day is what clocks in the zone call so: on two days of the year it has 23 or 25 hours where clocks are put forward
//! and back.

use chrono::{DateTime, Datelike, Days, Duration, Months, NaiveDate, NaiveDateTime, Timelike, Utc};
use chrono_tz::Tz;

use super::moment::{self, TimeFault};
use crate::duration;

/// The most moments or days in a row.
pub const ROW_MAX: usize = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl Unit {
    pub const NAMES: [(&'static str, Unit); 6] = [
        ("hour", Unit::Hour),
        ("day", Unit::Day),
        ("week", Unit::Week),
        ("month", Unit::Month),
        ("quarter", Unit::Quarter),
        ("year", Unit::Year),
    ];

    pub fn named(name: &str) -> Option<Unit> {
        Unit::NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, unit)| *unit)
    }

    /// What a clock showed when the unit began in which it shows `shown`.
    fn floor(self, shown: NaiveDateTime) -> Option<NaiveDateTime> {
        let date = shown.date();
        let begun = match self {
            Unit::Hour => return date.and_hms_opt(shown.hour(), 0, 0),
            Unit::Day => date,
            Unit::Week => date.checked_sub_days(Days::new(u64::from(date.weekday().num_days_from_monday())))?,
            Unit::Month => date.with_day(1)?,
            Unit::Quarter => NaiveDate::from_ymd_opt(date.year(), date.month0() / 3 * 3 + 1, 1)?,
            Unit::Year => NaiveDate::from_ymd_opt(date.year(), 1, 1)?,
        };
        begun.and_hms_opt(0, 0, 0)
    }

    /// `count` units later, by the calendar: a month after the 31st is the last of a shorter month.
    fn later(self, shown: NaiveDateTime, count: u32) -> Option<NaiveDateTime> {
        match self {
            Unit::Hour => shown.checked_add_signed(Duration::hours(i64::from(count))),
            Unit::Day => shown.checked_add_days(Days::new(u64::from(count))),
            Unit::Week => shown.checked_add_days(Days::new(7 * u64::from(count))),
            Unit::Month => shown.checked_add_months(Months::new(count)),
            Unit::Quarter => shown.checked_add_months(Months::new(count.checked_mul(3)?)),
            Unit::Year => shown.checked_add_months(Months::new(count.checked_mul(12)?)),
        }
    }
}

fn out_of_range(moment: DateTime<Utc>) -> TimeFault {
    TimeFault::Range {
        ms: moment.timestamp_millis(),
    }
}

/// The beginning of the unit in which `moment` lies.
pub fn start_of(moment: DateTime<Utc>, unit: Unit, zone: Tz) -> Result<DateTime<Utc>, TimeFault> {
    if unit == Unit::Hour {
        // By the moment, not by the clock, which may show the hour twice.
        let shown = moment.with_timezone(&zone);
        let into = i64::from(shown.minute()) * 60_000
            + i64::from(shown.second()) * 1000
            + moment.timestamp_millis().rem_euclid(1000);
        return moment::from_ms(moment.timestamp_millis() - into);
    }
    let shown = moment.with_timezone(&zone).naive_local();
    let begun = unit.floor(shown).ok_or_else(|| out_of_range(moment))?;
    moment::from_local(begun, zone)
}

/// The last millisecond of the unit in which `moment` lies.
pub fn end_of(moment: DateTime<Utc>, unit: Unit, zone: Tz) -> Result<DateTime<Utc>, TimeFault> {
    let next = if unit == Unit::Hour {
        start_of(moment, unit, zone)?.timestamp_millis() + 3_600_000
    } else {
        let shown = moment.with_timezone(&zone).naive_local();
        let next = unit.floor(shown).and_then(|begun| unit.later(begun, 1));
        match moment::from_local(next.ok_or_else(|| out_of_range(moment))?, zone) {
            Ok(next) => next.timestamp_millis(),
            // The last year ends where the next would begin.
            Err(TimeFault::Range { ms }) => ms,
            Err(fault) => return Err(fault),
        }
    };
    moment::from_ms(next - 1)
}

/// The moments from `from` up to and including `to`, a unit of the calendar or a length of time apart.
pub fn row(from: DateTime<Utc>, to: DateTime<Utc>, step: &str, zone: Tz) -> Result<Vec<DateTime<Utc>>, TimeFault> {
    let unit = Unit::named(step).filter(|unit| *unit != Unit::Hour);
    let step_ms = match unit {
        Some(_) => 0,
        None if step == "hour" => 3_600_000,
        None => duration::parse(step)?.as_millis() as i64,
    };
    if unit.is_none() && step_ms == 0 {
        return Err(TimeFault::TooMany(
            "the step is 0, and a row of moments would never end".to_owned(),
        ));
    }
    let begun = from.with_timezone(&zone).naive_local();
    let mut row = Vec::new();
    for count in 0.. {
        let next = match unit {
            // From the first each time: a row that begins on the 31st goes back to it after February.
            Some(_) if count == 0 => Ok(from),
            Some(unit) => match unit.later(begun, count) {
                Some(shown) => moment::from_local(shown, zone),
                None => break,
            },
            None => moment::from_ms(from.timestamp_millis() + i64::from(count) * step_ms),
        };
        let Ok(next) = next else { break };
        if next > to {
            break;
        }
        if row.len() == ROW_MAX {
            let message = format!("more than {ROW_MAX} moments lie from one to the other; take a longer step");
            return Err(TimeFault::TooMany(message));
        }
        row.push(next);
    }
    Ok(row)
}

/// Reads a date: `2026-11-21`.
pub fn date(text: &str) -> Result<NaiveDate, TimeFault> {
    let bad = || TimeFault::Date(moment::shorten(text));
    let date = NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d").map_err(|_| bad())?;
    Some(date)
        .filter(|date| (1..=9999).contains(&date.year()))
        .ok_or_else(bad)
}

/// The days from one to another, both included.
pub fn dates(from: NaiveDate, to: NaiveDate) -> Result<Vec<NaiveDate>, TimeFault> {
    let days = (to - from).num_days() + 1;
    if days > ROW_MAX as i64 {
        return Err(TimeFault::TooMany(format!(
            "{days} days are asked for; at most {ROW_MAX} are given"
        )));
    }
    Ok(from.iter_days().take(days.max(0) as usize).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        moment::read(text).expect("a moment")
    }

    fn new_york() -> Tz {
        moment::zone("America/New_York").expect("a zone")
    }

    #[test]
    fn units_begin_and_end_as_clocks_in_the_zone_show() {
        let shown = |moment: Result<DateTime<Utc>, TimeFault>| moment::write_in(moment.expect("a moment"), new_york());
        let now = at("2026-11-01T05:30:00.250Z"); // 01:30 on the day clocks are put back at 2
        for (unit, start, end) in [
            (
                Unit::Hour,
                "2026-11-01T01:00:00.000-04:00",
                "2026-11-01T01:59:59.999-04:00",
            ),
            (
                Unit::Day,
                "2026-11-01T00:00:00.000-04:00",
                "2026-11-01T23:59:59.999-05:00",
            ),
            (
                Unit::Week,
                "2026-10-26T00:00:00.000-04:00",
                "2026-11-01T23:59:59.999-05:00",
            ),
            (
                Unit::Month,
                "2026-11-01T00:00:00.000-04:00",
                "2026-11-30T23:59:59.999-05:00",
            ),
            (
                Unit::Quarter,
                "2026-10-01T00:00:00.000-04:00",
                "2026-12-31T23:59:59.999-05:00",
            ),
            (
                Unit::Year,
                "2026-01-01T00:00:00.000-05:00",
                "2026-12-31T23:59:59.999-05:00",
            ),
        ] {
            assert_eq!(shown(start_of(now, unit, new_york())), start, "{unit:?}");
            assert_eq!(shown(end_of(now, unit, new_york())), end, "{unit:?}");
        }
        let second = at("2026-11-01T06:30:00Z");
        assert_eq!(
            shown(start_of(second, Unit::Hour, new_york())),
            "2026-11-01T01:00:00.000-05:00"
        );
        assert!(end_of(at("9999-12-31T12:00:00Z"), Unit::Year, Tz::UTC).is_ok());
    }

    #[test]
    fn rows_follow_the_calendar_or_the_clock() {
        let dates = |from: &str, to: &str, step: &str| {
            let row = row(at(from), at(to), step, new_york()).expect("a row");
            row.into_iter()
                .map(|moment| moment::write_in(moment, new_york())[..16].to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            dates("2026-10-31T07:00:00-04:00", "2026-11-02T07:00:00-05:00", "day"),
            ["2026-10-31T07:00", "2026-11-01T07:00", "2026-11-02T07:00"]
        );
        assert_eq!(
            dates("2026-10-31T07:00:00-04:00", "2026-11-02T07:00:00-05:00", "1d"),
            ["2026-10-31T07:00", "2026-11-01T06:00", "2026-11-02T06:00"]
        );
        assert_eq!(
            dates("2026-01-31T00:00:00-05:00", "2026-04-30T12:00:00-04:00", "month"),
            [
                "2026-01-31T00:00",
                "2026-02-28T00:00",
                "2026-03-31T00:00",
                "2026-04-30T00:00"
            ]
        );
        assert_eq!(
            dates("2026-01-31T00:00:00-05:00", "2026-01-30T00:00:00-05:00", "day"),
            [""; 0]
        );
        let far = row(at("2026-01-01T00:00:00Z"), at("9999-01-01T00:00:00Z"), "1s", Tz::UTC).expect_err("refused");
        assert_eq!(
            (far.code(), far.to_string().contains("10000 moments")),
            ("TIME_TOO_MANY", true)
        );
        assert_eq!(
            row(at("9990-01-01T00:00:00Z"), at("9999-12-31T23:59:59Z"), "year", Tz::UTC)
                .expect("a row")
                .len(),
            10
        );
        assert!(row(at("2026-01-01T00:00:00Z"), at("2026-01-02T00:00:00Z"), "0s", Tz::UTC).is_err());
    }

    proptest! {
        #[test]
        fn a_moment_lies_in_its_unit_and_the_next_begins_where_it_ends(ms in 0_i64..4_000_000_000_000, unit in 0_usize..6, zone in 0_usize..600) {
            let zones = chrono_tz::TZ_VARIANTS;
            let zone = zones[zone % zones.len()];
            let (_, unit) = Unit::NAMES[unit];
            let moment = moment::from_ms(ms).unwrap();
            let (start, end) = (start_of(moment, unit, zone).unwrap(), end_of(moment, unit, zone).unwrap());
            prop_assert!(start <= moment, "{start} {moment} {zone}");
            prop_assert!(moment <= end, "{moment} {end} {zone}");
        }
    }
}
