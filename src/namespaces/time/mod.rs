//! `time::` — the present, and reckoning with times.
//!
//! Only `now` and `now_ms` are effects; within a run they never go back. All others are pure. Wherever a time is
//! taken, it may be a text with its offset (RFC 3339 or RFC 2822) or a whole number of milliseconds since 1970 UTC.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`calendar`] | the functions that need a calendar: days, weeks, months, business days |
//! | [`moment`] | reading, writing and shifting moments |
//! | [`units`] | where days, weeks and months begin, and rows of them |
//! | [`business`] | days on which people work |
//! | [`words`] | lengths of time for people |

pub mod business;
pub mod calendar;
pub mod moment;
pub mod units;
pub mod words;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use rhai::plugin::*;

use crate::effect::{Declaration, Failure};
use crate::script::{ContextExt, ScriptResult};
use crate::store::StoreError;
use crate::value::Value;

pub fn module() -> Module {
    let mut module = exported_module!(functions);
    combine_with_exported_module!(&mut module, "calendar", calendar::functions);
    module
}

static NOW: Declaration = Declaration::local("time.now");
static NOW_MS: Declaration = Declaration::local("time.now_ms");

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Returns the present as text in UTC: `2026-11-21T12:00:00.000Z`.
    ///
    /// Errors: none.
    ///
    /// ```rhai
    /// store::put("posts", id::ulid(), #{ posted_at: time::now() });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn now(ctx: NativeCallContext) -> ScriptResult {
        ctx.local(&NOW, Value::Unit, |local| {
            let now = moment::from_ms(local.tx.now_ms);
            let now = now.map_err(|fault| StoreError::BadQuery {
                reason: format!("the clock: {fault}"),
            })?;
            Ok(moment::write(now).into())
        })
    }

    /// Returns the present in milliseconds since 1970-01-01 UTC.
    ///
    /// Errors: none.
    ///
    /// ```rhai
    /// let begun = time::now_ms();
    /// ```
    #[rhai_fn(return_raw)]
    pub fn now_ms(ctx: NativeCallContext) -> ScriptResult {
        ctx.local(&NOW_MS, Value::Unit, |local| Ok(local.tx.now_ms.into()))
    }

    /// Returns the milliseconds since 1970-01-01 UTC at the time that `text` names.
    ///
    /// - `text`: a time with its offset, as RFC 3339 (`2026-11-21T07:00:00-05:00`) or RFC 2822
    ///   (`Sat, 21 Nov 2026 12:00:00 GMT`) write it.
    ///
    /// Errors: `TIME_INVALID`, `TIME_RANGE` outside the years 1 to 9999.
    ///
    /// ```rhai
    /// let age_ms = time::now_ms() - time::parse("2026-11-21T07:00:00-05:00");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn parse(ctx: NativeCallContext, text: &str) -> ScriptResult {
        ctx.check(moment::read(text).map(|moment| moment.timestamp_millis().into()))
    }

    /// Returns the milliseconds since 1970-01-01 UTC when clocks in `zone` show what `text` says.
    ///
    /// What clocks show twice, when they are put back, is taken for the first time; what they skip counts as if they had
    /// not been put forward yet.
    ///
    /// - `text`: a time without an offset (`2026-11-21 07:00`, seconds may follow), or a date: its beginning.
    /// - `zone`: an IANA zone such as `America/New_York`.
    ///
    /// Errors: `TIME_INVALID`, `TIME_ZONE`, `TIME_RANGE`.
    ///
    /// ```rhai
    /// let begin = time::parse("2026-11-21 07:00", "America/New_York");
    /// ```
    #[rhai_fn(name = "parse", return_raw)]
    pub fn parse_in(ctx: NativeCallContext, text: &str, zone: &str) -> ScriptResult {
        let moment = moment::zone(zone).and_then(|zone| moment::read_local(text, zone));
        ctx.check(moment.map(|moment| moment.timestamp_millis().into()))
    }

    /// Returns the milliseconds since 1970-01-01 UTC at the time that `text` names, written after a pattern.
    ///
    /// - `text`: up to 128 bytes.
    /// - `zone`: an IANA zone such as `America/New_York`, where the clock shows this; not looked at when `text` has an offset
    ///   (`%z`). What clocks show twice or never is taken as in `parse` without a pattern.
    /// - `pattern`: as in `format`. Without a time of day it is the day's beginning.
    ///
    /// Errors: `TIME_INVALID` when the text is not written so, `TIME_PATTERN`, `TIME_ZONE`, `TIME_RANGE`.
    ///
    /// ```rhai
    /// let begin = time::parse("21.11.2026 07:00", "Europe/Berlin", "%d.%m.%Y %H:%M");
    /// let begin = time::in_zone(begin, "UTC"); // => "2026-11-21T06:00:00.000+00:00"
    /// ```
    #[rhai_fn(name = "parse", return_raw)]
    pub fn parse_as(ctx: NativeCallContext, text: &str, zone: &str, pattern: &str) -> ScriptResult {
        let moment = moment::zone(zone).and_then(|zone| moment::read_as(text, zone, pattern));
        ctx.check(moment.map(|moment| moment.timestamp_millis().into()))
    }

    /// Returns a time in UTC after a pattern.
    ///
    /// - `time`: text with its offset, or milliseconds.
    /// - `pattern`: as for strftime, in up to 128 bytes: `%Y` year, `%m` month, `%d` day, `%H` hour, `%M` minute, `%S`
    ///   second, `%A` weekday, `%B` month's name, `%j` day of the year, `%V` week, `%z` offset.
    ///
    /// Errors: `TIME_PATTERN`, `TIME_INVALID`, `TIME_RANGE`.
    ///
    /// ```rhai
    /// let folder = time::format(time::now(), "%Y/%m");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn format(ctx: NativeCallContext, time: Dynamic, pattern: &str) -> ScriptResult {
        let time = read(&ctx, &time)?;
        ctx.check(moment::format(time, pattern, Tz::UTC).map(Dynamic::from))
    }

    /// Returns a time as clocks in `zone` show it, after a pattern.
    ///
    /// - `time`: text with its offset, or milliseconds.
    /// - `pattern`: as in `format` without a zone; `%Z` is the zone's abbreviation.
    /// - `zone`: an IANA zone such as `America/New_York`.
    ///
    /// Errors: `TIME_PATTERN`, `TIME_ZONE`, `TIME_INVALID`, `TIME_RANGE`.
    ///
    /// ```rhai
    /// log::info(time::format(time::now(), "%A, %H:%M %Z", "America/New_York"));
    /// ```
    #[rhai_fn(name = "format", return_raw)]
    pub fn format_in(ctx: NativeCallContext, time: Dynamic, pattern: &str, zone: &str) -> ScriptResult {
        let time = read(&ctx, &time)?;
        let written = moment::zone(zone).and_then(|zone| moment::format(time, pattern, zone));
        ctx.check(written.map(Dynamic::from))
    }

    /// Returns the time that lies `length` after `time`: as text in UTC when `time` is text, else in milliseconds.
    ///
    /// - `time`: text with its offset, or milliseconds.
    /// - `length`: such as `"90s"`, `"2h"` or `"1d12h"`, with `-` before it for an earlier time; a day has 24 hours. Up to
    ///   3650 days.
    ///
    /// Errors: `TIME_DURATION`, `TIME_INVALID`, `TIME_RANGE`.
    ///
    /// ```rhai
    /// let yesterday = time::add(time::now(), "-1d");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn add(ctx: NativeCallContext, time: Dynamic, length: &str) -> ScriptResult {
        let shifted = ctx.check(moment::shift(read(&ctx, &time)?, length))?;
        Ok(if time.is_int() {
            shifted.timestamp_millis().into()
        } else {
            moment::write(shifted).into()
        })
    }

    /// Returns how many seconds lie between two times, with a fraction: above 0 when `to` is the later.
    ///
    /// - `from`, `to`: each text with its offset, or milliseconds.
    ///
    /// Errors: `TIME_INVALID`, `TIME_RANGE`.
    ///
    /// ```rhai
    /// let seconds = time::diff("2026-11-21T07:00:00-05:00", time::now());
    /// if seconds > 86400.0 { log::info("more than a day ago"); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn diff(ctx: NativeCallContext, from: Dynamic, to: Dynamic) -> ScriptResult {
        let (from, to) = (read(&ctx, &from)?, read(&ctx, &to)?);
        let ms = to.timestamp_millis() - from.timestamp_millis();
        Ok((ms as f64 / 1000.0).into())
    }

    /// Returns a time as text with the offset of `zone`: `2026-11-21T07:00:00.000-05:00`.
    ///
    /// - `time`: text with its offset, or milliseconds.
    /// - `zone`: an IANA zone such as `America/New_York`.
    ///
    /// Errors: `TIME_ZONE`, `TIME_INVALID`, `TIME_RANGE`.
    ///
    /// ```rhai
    /// let there = time::in_zone(time::now(), "Asia/Tokyo");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn in_zone(ctx: NativeCallContext, time: Dynamic, zone: &str) -> ScriptResult {
        let time = read(&ctx, &time)?;
        ctx.check(moment::zone(zone).map(|zone| moment::write_in(time, zone).into()))
    }

    /// Returns the date in UTC: `2026-11-21`.
    ///
    /// - `time`: text with its offset, or milliseconds.
    ///
    /// Errors: `TIME_INVALID`, `TIME_RANGE`.
    ///
    /// ```rhai
    /// let id = `${time::date(time::now())}-a`;
    /// ```
    #[rhai_fn(return_raw)]
    pub fn date(ctx: NativeCallContext, time: Dynamic) -> ScriptResult {
        Ok(moment::date(read(&ctx, &time)?, Tz::UTC).into())
    }

    /// Returns the date in `zone`: `2026-11-21`.
    ///
    /// - `time`: text with its offset, or milliseconds.
    /// - `zone`: an IANA zone such as `America/New_York`.
    ///
    /// Errors: `TIME_ZONE`, `TIME_INVALID`, `TIME_RANGE`.
    ///
    /// ```rhai
    /// let today = time::date(time::now(), "America/New_York");
    /// ```
    #[rhai_fn(name = "date", return_raw)]
    pub fn date_in(ctx: NativeCallContext, time: Dynamic, zone: &str) -> ScriptResult {
        let time = read(&ctx, &time)?;
        ctx.check(moment::zone(zone).map(|zone| moment::date(time, zone).into()))
    }

    /// Returns the day of the week in UTC: `monday` to `sunday`.
    ///
    /// - `time`: text with its offset, or milliseconds.
    ///
    /// Errors: `TIME_INVALID`, `TIME_RANGE`.
    ///
    /// ```rhai
    /// let is_weekend = time::weekday(time::now()) in ["saturday", "sunday"];
    /// ```
    #[rhai_fn(return_raw)]
    pub fn weekday(ctx: NativeCallContext, time: Dynamic) -> ScriptResult {
        Ok(moment::weekday(read(&ctx, &time)?, Tz::UTC).into())
    }

    /// Returns the day of the week in `zone`: `monday` to `sunday`.
    ///
    /// - `time`: text with its offset, or milliseconds.
    /// - `zone`: an IANA zone such as `America/New_York`.
    ///
    /// Errors: `TIME_ZONE`, `TIME_INVALID`, `TIME_RANGE`.
    ///
    /// ```rhai
    /// if time::weekday(time::now(), "America/New_York") == "monday" { log::info("a new week"); }
    /// ```
    #[rhai_fn(name = "weekday", return_raw)]
    pub fn weekday_in(ctx: NativeCallContext, time: Dynamic, zone: &str) -> ScriptResult {
        let time = read(&ctx, &time)?;
        ctx.check(moment::zone(zone).map(|zone| moment::weekday(time, zone).into()))
    }
}

/// A time as scripts give it.
pub(super) fn read(ctx: &NativeCallContext<'_>, time: &Dynamic) -> ScriptResult<DateTime<Utc>> {
    if let Ok(ms) = time.as_int() {
        return ctx.check(moment::from_ms(ms));
    }
    if let Ok(text) = time.as_immutable_string_ref() {
        return ctx.check(moment::read(&text));
    }
    let kind = ctx.engine().map_type_name(time.type_name());
    let message =
        format!("a time is a text such as \"2026-11-21T12:00:00Z\" or a number of milliseconds, and this is {kind}");
    ctx.check(Err::<_, Failure>(Failure::new("TYPE", message)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::testing::TestHost;
    use crate::value::Value;

    #[test]
    fn the_present_is_on_record_and_a_replay_stays_in_it() {
        let host = TestHost::default();
        let run = host.run("[time::now(), time::now_ms()]");
        assert_eq!(run.value().to_string(), r#"["2026-11-21T12:00:00.000Z",1795262400000]"#);
        host.clock.advance(Duration::from_secs(60));
        assert_eq!(host.replay(run.id()).outcome.value, *run.value());
        assert_eq!(
            host.run("time::now()").value(),
            &Value::from("2026-11-21T12:01:00.000Z")
        );
    }

    #[test]
    fn times_are_reckoned_with_as_text_and_as_milliseconds() {
        let host = TestHost::default();
        let run = host.run(
            r#"
            let t = "2026-11-21T12:00:00Z";
            let ms = time::parse(t);
            [ms, time::add(t, "2h"), time::add(ms, "-2h") - ms, time::diff(t, time::add(t, "90s")), time::in_zone(ms, "Asia/Tokyo"),
             time::date(t, "Asia/Tokyo"), time::weekday(t), time::format(t, "%H:%M"), time::format(t, "%H:%M %Z", "America/New_York"),
             time::parse("2026-11-21 07:00", "America/New_York") == ms, time::date(ms), time::weekday(ms, "Asia/Tokyo")]
            "#,
        );
        assert_eq!(
            run.value().to_string(),
            r#"[1795262400000,"2026-11-21T14:00:00.000Z",-7200000,90.0,"2026-11-21T21:00:00.000+09:00","2026-11-21","saturday","12:00","07:00 EST",true,"2026-11-21","saturday"]"#
        );
        assert_eq!(run.journal(), "");
    }

    #[test]
    fn what_is_no_time_is_refused_at_its_place() {
        let host = TestHost::default();
        let run = host.run("let a = 1;\n  time::date(true)");
        let error = run.outcome().error.as_ref().expect("failed");
        assert_eq!(
            (error.failure.code.as_str(), error.place.line, error.place.column),
            ("TYPE", 2, 9)
        );
        assert_eq!(
            host.run(r#"time::weekday(0, "Europe/Berln")"#).failure().to_string(),
            "TIME_ZONE: there is no time zone \"Europe/Berln\"; did you mean \"Europe/Berlin\"?; zones are named like \"America/New_York\""
        );
    }
}
