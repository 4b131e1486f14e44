//! The functions of `time::` that need a calendar. The doc comments are the playbook reference.

use chrono::{DateTime, Datelike, NaiveDate, Offset, Timelike, Utc};
use chrono_tz::{OffsetComponents, Tz};
use rhai::plugin::*;
use rhai::{Array, Map};

use super::business::Calendar;
use super::units::Unit;
use super::{moment, read, units, words};
use crate::effect::Failure;
use crate::namespaces::options::Options;
use crate::script::error::nearest;
use crate::script::{ContextExt, ScriptResult};

// Rhai's macro needs the bodies inline.
#[export_module]
pub mod functions {
    /// Returns what a calendar and a clock in UTC show: `#{ year, quarter, month, day, hour, minute, second, ms, weekday,
    /// weekday_number, day_of_year, week, week_year, offset_minutes, is_dst, zone }`.
    ///
    /// See `parts` with a zone.
    ///
    /// - `time`: text with its offset, or milliseconds.
    ///
    /// Errors: `TIME_INVALID`, `TIME_RANGE`.
    ///
    /// ```rhai
    /// let month = time::parts("2026-11-21T12:00:00Z").month; // => 11
    /// ```
    #[rhai_fn(return_raw)]
    pub fn parts(ctx: NativeCallContext, time: Dynamic) -> ScriptResult {
        Ok(parts_of(read(&ctx, &time)?, Tz::UTC))
    }

    /// Returns what a calendar and a clock in `zone` show: `#{ year, quarter, month, day, hour, minute, second, ms, weekday,
    /// weekday_number, day_of_year, week, week_year, offset_minutes, is_dst, zone }`.
    ///
    /// `weekday` is `monday` to `sunday`, `weekday_number` 1 to 7; `week` and `week_year` are those of ISO 8601, where week 1
    /// has the year's first Thursday; `offset_minutes` is what the zone is ahead of UTC, `is_dst` whether clocks are put
    /// forward for summer.
    ///
    /// - `time`: text with its offset, or milliseconds.
    /// - `zone`: an IANA zone such as `America/New_York`.
    ///
    /// Errors: `TIME_ZONE`, `TIME_INVALID`, `TIME_RANGE`.
    ///
    /// ```rhai
    /// let there = time::parts("2026-07-01T03:00:00Z", "America/New_York");
    /// let shown = [there.day, there.hour, there.weekday, there.is_dst]; // => [30, 23, "tuesday", true]
    /// ```
    #[rhai_fn(name = "parts", return_raw)]
    pub fn parts_in(ctx: NativeCallContext, time: Dynamic, zone: &str) -> ScriptResult {
        let time = read(&ctx, &time)?;
        ctx.check(moment::zone(zone).map(|zone| parts_of(time, zone)))
    }

    /// Returns how many minutes clocks in `zone` are ahead of UTC at a time; below 0 where they are behind.
    ///
    /// - `time`: text with its offset, or milliseconds.
    /// - `zone`: an IANA zone such as `America/New_York`.
    ///
    /// Errors: `TIME_ZONE`, `TIME_INVALID`, `TIME_RANGE`.
    ///
    /// ```rhai
    /// let winter = time::offset("2026-01-01T00:00:00Z", "America/New_York"); // => -300
    /// let summer = time::offset("2026-07-01T00:00:00Z", "America/New_York"); // => -240
    /// ```
    #[rhai_fn(return_raw)]
    pub fn offset(ctx: NativeCallContext, time: Dynamic, zone: &str) -> ScriptResult {
        let time = read(&ctx, &time)?;
        ctx.check(moment::zone(zone).map(|zone| offset_minutes(time, zone).into()))
    }

    /// Returns what clocks in one zone show when those in another show `text`: `2026-11-21T21:00:00.000+09:00`.
    ///
    /// What clocks show twice, when they are put back, is taken for the first time; what they skip counts as if they had
    /// not been put forward yet.
    ///
    /// - `text`: a time without an offset (`2026-11-21 07:00`), or a date: its beginning.
    /// - `from`, `to`: IANA zones such as `America/New_York`.
    ///
    /// Errors: `TIME_INVALID`, `TIME_ZONE`, `TIME_RANGE`.
    ///
    /// ```rhai
    /// let there = time::convert("2026-11-21 07:00", "America/New_York", "Asia/Tokyo"); // => "2026-11-21T21:00:00.000+09:00"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn convert(ctx: NativeCallContext, text: &str, from: &str, to: &str) -> ScriptResult {
        let (from, to) = (ctx.check(moment::zone(from))?, ctx.check(moment::zone(to))?);
        let moment = ctx.check(moment::read_local(text, from))?;
        Ok(moment::write_in(moment, to).into())
    }

    /// Returns when the hour, day, week, month, quarter or year began in which a time lies, in `zone`: as text with the
    /// zone's offset when `time` is text, else in milliseconds.
    ///
    /// A day begins when clocks in the zone show midnight, or what follows where they skip it; weeks begin on Mondays.
    ///
    /// - `time`: text with its offset, or milliseconds.
    /// - `unit`: `"hour"`, `"day"`, `"week"`, `"month"`, `"quarter"` or `"year"`.
    /// - `zone`: an IANA zone such as `America/New_York`.
    ///
    /// Errors: `TIME_UNIT`, `TIME_ZONE`, `TIME_INVALID`, `TIME_RANGE`.
    ///
    /// ```rhai
    /// let monday = time::start_of("2026-11-21T12:00:00Z", "week", "America/New_York"); // => "2026-11-16T00:00:00.000-05:00"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn start_of(ctx: NativeCallContext, time: Dynamic, unit: &str, zone: &str) -> ScriptResult {
        let (moment, unit, zone) = (
            read(&ctx, &time)?,
            ctx.check(named(unit))?,
            ctx.check(moment::zone(zone))?,
        );
        let begun = ctx.check(units::start_of(moment, unit, zone))?;
        Ok(alike(&time, begun, zone))
    }

    /// Returns the last millisecond of the hour, day, week, month, quarter or year in which a time lies, in `zone`: as text
    /// with the zone's offset when `time` is text, else in milliseconds.
    ///
    /// - `time`, `unit`, `zone`: see `start_of`.
    ///
    /// Errors: `TIME_UNIT`, `TIME_ZONE`, `TIME_INVALID`, `TIME_RANGE`.
    ///
    /// ```rhai
    /// let last = time::end_of("2026-11-21T12:00:00Z", "month", "UTC"); // => "2026-11-30T23:59:59.999+00:00"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn end_of(ctx: NativeCallContext, time: Dynamic, unit: &str, zone: &str) -> ScriptResult {
        let (moment, unit, zone) = (
            read(&ctx, &time)?,
            ctx.check(named(unit))?,
            ctx.check(moment::zone(zone))?,
        );
        let ended = ctx.check(units::end_of(moment, unit, zone))?;
        Ok(alike(&time, ended, zone))
    }

    /// Returns the moments from one to another, a step apart, both ends included where the steps meet them: as texts with
    /// the zone's offset when `from` is text, else in milliseconds.
    ///
    /// - `from`, `to`: text with its offset, or milliseconds.
    /// - `step`: a unit of the calendar (`"day"`, `"week"`, `"month"`, `"quarter"`, `"year"`), at the same time of the day in
    ///   `zone` also when clocks were put forward or back, and on the last of a month that is too short; or a length
    ///   (`"90s"`, `"6h"`).
    /// - `zone`: an IANA zone such as `America/New_York`.
    ///
    /// Errors: `TIME_TOO_MANY` beyond 10,000, `TIME_DURATION`, `TIME_ZONE`, `TIME_INVALID`, `TIME_RANGE`.
    ///
    /// ```rhai
    /// let weeks = time::range("2026-11-02T09:00:00Z", "2026-11-20T00:00:00Z", "week", "UTC");
    /// let first = weeks[1]; // => "2026-11-09T09:00:00.000+00:00"
    /// let count = weeks.len(); // => 3
    /// ```
    #[rhai_fn(return_raw)]
    pub fn range(ctx: NativeCallContext, from: Dynamic, to: Dynamic, step: &str, zone: &str) -> ScriptResult {
        let (begin, end, zone) = (read(&ctx, &from)?, read(&ctx, &to)?, ctx.check(moment::zone(zone))?);
        let row = ctx.check(units::row(begin, end, step, zone))?;
        Ok(Dynamic::from_array(
            row.into_iter().map(|moment| alike(&from, moment, zone)).collect(),
        ))
    }

    /// Returns the dates from one to another, both included; none when the second is the earlier.
    ///
    /// - `from`, `to`: dates such as `2026-11-21`.
    ///
    /// Errors: `TIME_INVALID`, `TIME_TOO_MANY` beyond 10,000.
    ///
    /// ```rhai
    /// let days = time::dates("2026-02-27", "2026-03-01"); // => ["2026-02-27", "2026-02-28", "2026-03-01"]
    /// ```
    #[rhai_fn(return_raw)]
    pub fn dates(ctx: NativeCallContext, from: &str, to: &str) -> ScriptResult {
        let (from, to) = (ctx.check(units::date(from))?, ctx.check(units::date(to))?);
        let days = ctx.check(units::dates(from, to))?;
        Ok(Dynamic::from_array(
            days.into_iter().map(|day| day.to_string().into()).collect::<Array>(),
        ))
    }

    /// Returns the week of ISO 8601 in which a date lies: `2026-W47`. Weeks begin on Mondays; week 1 has the year's first
    /// Thursday.
    ///
    /// - `date`: such as `2026-11-21`; `time::date` gives that of a moment in a zone.
    ///
    /// Errors: `TIME_INVALID`.
    ///
    /// ```rhai
    /// let week = time::week("2027-01-01"); // => "2026-W53"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn week(ctx: NativeCallContext, date: &str) -> ScriptResult {
        let week = ctx.check(units::date(date))?.iso_week();
        Ok(format!("{:04}-W{:02}", week.year(), week.week()).into())
    }

    /// Returns whether a date is a business day: from Monday to Friday.
    ///
    /// - `date`: such as `2026-11-21`.
    ///
    /// Errors: `TIME_INVALID`.
    ///
    /// ```rhai
    /// let open = time::is_business_day("2026-11-21"); // => false
    /// ```
    #[rhai_fn(return_raw)]
    pub fn is_business_day(ctx: NativeCallContext, date: &str) -> ScriptResult {
        Ok(Calendar::default().is_worked(ctx.check(units::date(date))?).into())
    }

    /// Returns whether a date is a business day, with options.
    ///
    /// - `date`: such as `2026-11-21`.
    /// - `options`: `weekend`, the days of the week on which nobody works (preset `["saturday", "sunday"]`); `holidays`, up
    ///   to 1,000 dates. No holidays are known but these.
    ///
    /// Errors: `TIME_INVALID`, `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// let open = time::is_business_day("2026-12-25", #{ holidays: ["2026-12-25"] }); // => false
    /// ```
    #[rhai_fn(name = "is_business_day", return_raw)]
    pub fn is_business_day_in(ctx: NativeCallContext, date: &str, options: Map) -> ScriptResult {
        let calendar = calendar(&ctx, "time::is_business_day", &options)?;
        Ok(calendar.is_worked(ctx.check(units::date(date))?).into())
    }

    /// Returns the date so many business days after another: the next one that is open for 1, the one before for -1, and the
    /// date itself, open or not, for 0.
    ///
    /// - `date`: such as `2026-11-21`.
    /// - `days`: -10,000 to 10,000. Business days are those from Monday to Friday.
    ///
    /// Errors: `TIME_INVALID`, `TIME_BUSINESS_DAYS` beyond 10,000 days.
    ///
    /// ```rhai
    /// let due = time::add_business_days("2026-11-20", 1); // => "2026-11-23"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn add_business_days(ctx: NativeCallContext, date: &str, days: i64) -> ScriptResult {
        let date = ctx.check(units::date(date))?;
        ctx.check(Calendar::default().add(date, days).map(|date| date.to_string().into()))
    }

    /// Returns the date so many business days after another, with options.
    ///
    /// - `date`, `days`: see `add_business_days` without options.
    /// - `options`: `weekend` and `holidays`, as in `is_business_day`.
    ///
    /// Errors: `TIME_INVALID`, `TIME_BUSINESS_DAYS`, `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// let due = time::add_business_days("2026-12-24", 1, #{ holidays: ["2026-12-25"] }); // => "2026-12-28"
    /// ```
    #[rhai_fn(name = "add_business_days", return_raw)]
    pub fn add_business_days_in(ctx: NativeCallContext, date: &str, days: i64, options: Map) -> ScriptResult {
        let calendar = calendar(&ctx, "time::add_business_days", &options)?;
        let date = ctx.check(units::date(date))?;
        ctx.check(calendar.add(date, days).map(|date| date.to_string().into()))
    }

    /// Returns how many business days (Monday to Friday) come after `from`, up to and including `to`; below 0 when `to` is
    /// the earlier.
    ///
    /// - `from`, `to`: dates such as `2026-11-21`, up to 100,000 days apart.
    ///
    /// Errors: `TIME_INVALID`, `TIME_BUSINESS_DAYS`.
    ///
    /// ```rhai
    /// let left = time::business_days("2026-11-20", "2026-11-27"); // => 5
    /// ```
    #[rhai_fn(return_raw)]
    pub fn business_days(ctx: NativeCallContext, from: &str, to: &str) -> ScriptResult {
        let (from, to) = (ctx.check(units::date(from))?, ctx.check(units::date(to))?);
        ctx.check(Calendar::default().between(from, to).map(Dynamic::from))
    }

    /// Returns how many business days come after `from`, up to and including `to`, with options.
    ///
    /// - `from`, `to`: see `business_days` without options.
    /// - `options`: `weekend` and `holidays`, as in `is_business_day`.
    ///
    /// Errors: `TIME_INVALID`, `TIME_BUSINESS_DAYS`, `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// let left = time::business_days("2026-11-20", "2026-11-27", #{ holidays: ["2026-11-26"] }); // => 4
    /// ```
    #[rhai_fn(name = "business_days", return_raw)]
    pub fn business_days_in(ctx: NativeCallContext, from: &str, to: &str, options: Map) -> ScriptResult {
        let calendar = calendar(&ctx, "time::business_days", &options)?;
        let (from, to) = (ctx.check(units::date(from))?, ctx.check(units::date(to))?);
        ctx.check(calendar.between(from, to).map(Dynamic::from))
    }

    /// Returns a length of time for people, in its two largest units: `1 h 30 min`, `2 d`, `250 ms`.
    ///
    /// - `seconds`: whole or not, up to 3650 days, as `diff` gives it. One below 0 is written with `-`.
    ///
    /// Errors: `TIME_DURATION` beyond 3650 days, `TYPE`.
    ///
    /// ```rhai
    /// let length = time::humanize(5400); // => "1 h 30 min"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn humanize(ctx: NativeCallContext, seconds: Dynamic) -> ScriptResult {
        const SECONDS_MAX: f64 = 3650.0 * 86_400.0;
        let given = seconds
            .as_float()
            .or_else(|_| seconds.as_int().map(|whole| whole as f64));
        let kind = ctx.engine().map_type_name(seconds.type_name());
        let wrong = |_| {
            Failure::new(
                "TYPE",
                format!("a length of time is a number of seconds, and this is {kind}"),
            )
        };
        let given = ctx.check(given.map_err(wrong))?;
        if given.is_nan() || given.abs() > SECONDS_MAX {
            let message = format!("{given} s is no length of time; up to 3650 days are written");
            return ctx.check(Err(Failure::new("TIME_DURATION", message)));
        }
        let ms = (given.abs() * 1000.0).round() as u64;
        let sign = if given < 0.0 && ms > 0 { "-" } else { "" };
        Ok(format!("{sign}{}", words::length(ms)).into())
    }

    /// Returns how far a time lies from another, for people: `3 days ago`, `in 2 hours`, `now`. A month has 30 days here, a
    /// year 365; the count is rounded down.
    ///
    /// - `time`, `from`: each text with its offset, or milliseconds; `from` is mostly `time::now()`.
    ///
    /// Errors: `TIME_INVALID`, `TIME_RANGE`.
    ///
    /// ```rhai
    /// let posted = time::relative("2026-11-18T12:00:00Z", "2026-11-21T13:00:00Z"); // => "3 days ago"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn relative(ctx: NativeCallContext, time: Dynamic, from: Dynamic) -> ScriptResult {
        let (time, from) = (read(&ctx, &time)?, read(&ctx, &from)?);
        Ok(words::distance(time.timestamp_millis() - from.timestamp_millis()).into())
    }
}

fn calendar(ctx: &NativeCallContext<'_>, function: &'static str, options: &Map) -> ScriptResult<Calendar> {
    let mut options = ctx.check(Options::new(function, options))?;
    let calendar = ctx.check(Calendar::read(&mut options))?;
    ctx.check(options.finish())?;
    Ok(calendar)
}

fn named(unit: &str) -> Result<Unit, Failure> {
    Unit::named(unit).ok_or_else(|| {
        let names = Unit::NAMES.map(|(name, _)| name);
        let near = nearest(unit, names.into_iter());
        let hint = near.map_or(String::new(), |near| format!("; did you mean {near:?}?"));
        let shown = moment::shorten(unit);
        Failure::new(
            "TIME_UNIT",
            format!("there is no unit {shown:?}{hint}; it is one of {}", names.join(", ")),
        )
    })
}

/// A moment in the form in which `given` was: text at the offset of `zone`, or milliseconds.
fn alike(given: &Dynamic, moment: DateTime<Utc>, zone: Tz) -> Dynamic {
    if given.is_int() {
        moment.timestamp_millis().into()
    } else {
        moment::write_in(moment, zone).into()
    }
}

fn offset_minutes(moment: DateTime<Utc>, zone: Tz) -> i64 {
    i64::from(moment.with_timezone(&zone).offset().fix().local_minus_utc()).div_euclid(60)
}

fn parts_of(moment: DateTime<Utc>, zone: Tz) -> Dynamic {
    let shown = moment.with_timezone(&zone);
    let date: NaiveDate = shown.date_naive();
    let week = date.iso_week();
    let fields: [(&str, Dynamic); 16] = [
        ("year", i64::from(date.year()).into()),
        ("quarter", (i64::from(date.month0()) / 3 + 1).into()),
        ("month", i64::from(date.month()).into()),
        ("day", i64::from(date.day()).into()),
        ("hour", i64::from(shown.hour()).into()),
        ("minute", i64::from(shown.minute()).into()),
        ("second", i64::from(shown.second()).into()),
        ("ms", moment.timestamp_millis().rem_euclid(1000).into()),
        ("weekday", moment::weekday(moment, zone).into()),
        ("weekday_number", i64::from(date.weekday().number_from_monday()).into()),
        ("day_of_year", i64::from(date.ordinal()).into()),
        ("week", i64::from(week.week()).into()),
        ("week_year", i64::from(week.year()).into()),
        ("offset_minutes", offset_minutes(moment, zone).into()),
        ("is_dst", (!shown.offset().dst_offset().is_zero()).into()),
        ("zone", zone.name().into()),
    ];
    Dynamic::from_map(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
}
