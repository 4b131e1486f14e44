//! Reading, writing and shifting moments. Pure: the present comes from elsewhere.
//!
//! A moment is a whole number of milliseconds since 1970-01-01 UTC, in the years 1 to 9999. Places differ in what they
//! call it; those rules are the IANA zones, as of this binary.

use std::fmt::Write;

use chrono::format::{Item, Parsed, StrftimeItems};
use chrono::{
    DateTime, Datelike, Duration, MappedLocalTime, NaiveDate, NaiveDateTime, SecondsFormat, TimeZone, Utc, Weekday,
};
use chrono_tz::{TZ_VARIANTS, Tz};

use crate::duration::{self, BadDuration};
use crate::effect::Failure;
use crate::script::error::nearest;

/// The first and the last millisecond that four digits of a year can name.
const FIRST_MS: i64 = -62_135_596_800_000;
const LAST_MS: i64 = 253_402_300_799_999;

/// The longest text that is read as a moment or taken as a pattern.
const TEXT_BYTES_MAX: usize = 128;

/// Clocks are never put forward by more.
const SKIPPED_MAX: Duration = Duration::hours(25);

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeFault {
    #[error(
        "{0:?} is no moment: write it like \"2026-11-21T07:00:00-05:00\" or \"2026-11-21T12:00:00Z\", with its offset"
    )]
    Moment(String),
    #[error("{0:?} is no local time: write it like \"2026-11-21 07:00\" or \"2026-11-21\", without an offset")]
    LocalTime(String),
    #[error("{text:?} is not written like {pattern:?}")]
    Unlike { text: String, pattern: String },
    #[error("{0:?} is no date: write it like \"2026-11-21\"")]
    Date(String),
    #[error("{0}")]
    TooMany(String),
    #[error("{0}")]
    BusinessDays(String),
    #[error("{ms} ms lies outside the years 1 to 9999")]
    Range { ms: i64 },
    #[error("there is no time zone {name:?}{hint}; zones are named like \"America/New_York\"")]
    Zone { name: String, hint: String },
    #[error("{0:?} is no pattern for times: write it like \"%Y-%m-%d %H:%M\", in up to {TEXT_BYTES_MAX} bytes")]
    Pattern(String),
    #[error(transparent)]
    Duration(#[from] BadDuration),
}

impl TimeFault {
    /// The stable name of this fault.
    pub fn code(&self) -> &'static str {
        match self {
            TimeFault::Moment(_) | TimeFault::LocalTime(_) | TimeFault::Unlike { .. } | TimeFault::Date(_) => {
                "TIME_INVALID"
            }
            TimeFault::TooMany(_) => "TIME_TOO_MANY",
            TimeFault::BusinessDays(_) => "TIME_BUSINESS_DAYS",
            TimeFault::Range { .. } => "TIME_RANGE",
            TimeFault::Zone { .. } => "TIME_ZONE",
            TimeFault::Pattern(_) => "TIME_PATTERN",
            TimeFault::Duration(_) => "TIME_DURATION",
        }
    }
}

impl From<TimeFault> for Failure {
    fn from(fault: TimeFault) -> Failure {
        Failure::new(fault.code(), fault.to_string())
    }
}

/// The moment that so many milliseconds name.
pub fn from_ms(ms: i64) -> Result<DateTime<Utc>, TimeFault> {
    let within = (FIRST_MS..=LAST_MS).contains(&ms);
    DateTime::from_timestamp_millis(ms)
        .filter(|_| within)
        .ok_or(TimeFault::Range { ms })
}

/// Reads what RFC 3339 or, as in feeds and mails, RFC 2822 describes.
pub fn read(text: &str) -> Result<DateTime<Utc>, TimeFault> {
    let bad = || TimeFault::Moment(shorten(text));
    if text.len() > TEXT_BYTES_MAX {
        return Err(bad());
    }
    let moment = DateTime::parse_from_rfc3339(text.trim()).or_else(|_| DateTime::parse_from_rfc2822(text.trim()));
    from_ms(moment.map_err(|_| bad())?.timestamp_millis())
}

/// Reads what a clock on a wall in `zone` shows, or the beginning of a day there. What it shows twice is taken for the
/// first time; what it skips counts as if it had not been put forward yet.
pub fn read_local(text: &str, zone: Tz) -> Result<DateTime<Utc>, TimeFault> {
    const FORMS: [&str; 4] = [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
    ];
    let bad = || TimeFault::LocalTime(shorten(text));
    if text.len() > TEXT_BYTES_MAX {
        return Err(bad());
    }
    let text = text.trim();
    let shown = FORMS
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    let shown = shown.or_else(day).ok_or_else(bad)?;
    from_local(shown, zone)
}

/// The moment when clocks in `zone` show this. What they show twice is taken for the first time; what they skip counts
/// as if it had not been put forward yet.
pub fn from_local(shown: NaiveDateTime, zone: Tz) -> Result<DateTime<Utc>, TimeFault> {
    let bad = || TimeFault::LocalTime(shown.to_string());
    let moment = match zone.from_local_datetime(&shown) {
        MappedLocalTime::Single(moment) | MappedLocalTime::Ambiguous(moment, _) => moment.to_utc(),
        MappedLocalTime::None => {
            let before = shown.checked_sub_signed(SKIPPED_MAX).ok_or_else(bad)?;
            let before = zone.from_local_datetime(&before).earliest().ok_or_else(bad)?.to_utc();
            before.checked_add_signed(SKIPPED_MAX).ok_or_else(bad)?
        }
    };
    from_ms(moment.timestamp_millis())
}

/// Reads a time after `pattern`, in the words of `strftime`: at its own offset where the pattern has one, else at
/// `zone`; a date alone is its beginning.
pub fn read_as(text: &str, zone: Tz, pattern: &str) -> Result<DateTime<Utc>, TimeFault> {
    let items: Vec<Item<'_>> = StrftimeItems::new(pattern).collect();
    if pattern.len() > TEXT_BYTES_MAX || items.contains(&Item::Error) {
        return Err(TimeFault::Pattern(shorten(pattern)));
    }
    let bad = || TimeFault::Unlike {
        text: shorten(text),
        pattern: shorten(pattern),
    };
    if text.len() > TEXT_BYTES_MAX {
        return Err(bad());
    }
    let mut parsed = Parsed::new();
    chrono::format::parse(&mut parsed, text.trim(), items.iter()).map_err(|_| bad())?;
    if let Ok(moment) = parsed.to_datetime() {
        return from_ms(moment.timestamp_millis());
    }
    let day = || parsed.to_naive_date().ok()?.and_hms_opt(0, 0, 0);
    let shown = match parsed.to_naive_time() {
        Ok(time) => parsed.to_naive_date().ok().map(|date| date.and_time(time)),
        // An hour without minutes is no time, and must not be dropped in silence.
        Err(_) if parsed.hour_div_12().is_none() && parsed.hour_mod_12().is_none() && parsed.minute().is_none() => {
            day()
        }
        Err(_) => None,
    };
    from_local(shown.ok_or_else(bad)?, zone)
}

/// As RFC 3339 in UTC, with milliseconds: `2026-11-21T12:00:00.000Z`.
pub fn write(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// As RFC 3339 with the offset of `zone`: `2026-11-21T07:00:00.000-05:00`.
pub fn write_in(moment: DateTime<Utc>, zone: Tz) -> String {
    moment
        .with_timezone(&zone)
        .to_rfc3339_opts(SecondsFormat::Millis, false)
}

/// After `pattern`, in the words of `strftime`.
pub fn format(moment: DateTime<Utc>, pattern: &str, zone: Tz) -> Result<String, TimeFault> {
    let items: Vec<Item<'_>> = StrftimeItems::new(pattern).collect();
    // chrono panics when it writes a pattern that it could not read.
    if pattern.len() > TEXT_BYTES_MAX || items.contains(&Item::Error) {
        return Err(TimeFault::Pattern(shorten(pattern)));
    }
    // It also reads some patterns that it can only parse with (`%#z`), and then fails to write them.
    let mut written = String::new();
    match write!(
        written,
        "{}",
        moment.with_timezone(&zone).format_with_items(items.iter())
    ) {
        Ok(()) => Ok(written),
        Err(std::fmt::Error) => Err(TimeFault::Pattern(shorten(pattern))),
    }
}

/// The moment `by` later, or earlier where `by` begins with a minus.
pub fn shift(moment: DateTime<Utc>, by: &str) -> Result<DateTime<Utc>, TimeFault> {
    let by = by.trim();
    let (sign, length) = by.strip_prefix('-').map_or((1, by), |length| (-1, length));
    // At most ten years, as `duration::parse` promises.
    let ms = duration::parse(length)?.as_millis() as i64;
    from_ms(moment.timestamp_millis() + sign * ms)
}

/// The day at `zone`: `2026-11-21`.
pub fn date(moment: DateTime<Utc>, zone: Tz) -> String {
    moment.with_timezone(&zone).format("%Y-%m-%d").to_string()
}

/// The day of the week at `zone`, in English and in small letters.
pub fn weekday(moment: DateTime<Utc>, zone: Tz) -> &'static str {
    match moment.with_timezone(&zone).weekday() {
        Weekday::Mon => "monday",
        Weekday::Tue => "tuesday",
        Weekday::Wed => "wednesday",
        Weekday::Thu => "thursday",
        Weekday::Fri => "friday",
        Weekday::Sat => "saturday",
        Weekday::Sun => "sunday",
    }
}

/// The zone called `name`.
pub fn zone(name: &str) -> Result<Tz, TimeFault> {
    name.parse().map_err(|_| {
        let near = nearest(name, TZ_VARIANTS.iter().map(|zone| zone.name()));
        let hint = near.map_or(String::new(), |near| format!("; did you mean {near:?}?"));
        TimeFault::Zone {
            name: shorten(name),
            hint,
        }
    })
}

pub fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        read(text).expect("a moment")
    }

    fn new_york() -> Tz {
        zone("America/New_York").expect("a zone")
    }

    #[test]
    fn moments_are_read_with_their_offset_and_not_without() {
        assert_eq!(at("2026-11-21T07:00:00-05:00").timestamp_millis(), 1_795_262_400_000);
        assert_eq!(at("Sat, 21 Nov 2026 12:00:00 GMT"), at("2026-11-21T12:00:00Z"));
        for text in [
            "2026-11-21T07:00:00",
            "2026-11-21",
            "tomorrow",
            "",
            &"1".repeat(200),
            "2026-02-30T00:00:00Z",
        ] {
            assert_eq!(read(text).expect_err("refused").code(), "TIME_INVALID", "{text}");
        }
        assert_eq!(from_ms(i64::MAX).expect_err("refused").code(), "TIME_RANGE");
        assert_eq!(write(from_ms(FIRST_MS).expect("the first")), "0001-01-01T00:00:00.000Z");
        assert_eq!(write(from_ms(LAST_MS).expect("the last")), "9999-12-31T23:59:59.999Z");
        assert!(from_ms(FIRST_MS - 1).is_err() && from_ms(LAST_MS + 1).is_err());
    }

    #[test]
    fn what_a_clock_shows_twice_or_never_still_has_a_moment() {
        let local = |text: &str| write_in(read_local(text, new_york()).expect("a moment"), new_york());
        assert_eq!(local("2026-11-21 07:00"), "2026-11-21T07:00:00.000-05:00");
        assert_eq!(local("2026-11-01 01:30"), "2026-11-01T01:30:00.000-04:00");
        assert_eq!(local("2026-03-08T02:30:00"), "2026-03-08T03:30:00.000-04:00");
        assert_eq!(local("2026-11-21"), "2026-11-21T00:00:00.000-05:00");
        // On this day clocks in Beirut went from midnight to one.
        let beirut = zone("Asia/Beirut").expect("a zone");
        let begun = read_local("2021-03-28", beirut).expect("a moment");
        assert_eq!(write_in(begun, beirut), "2021-03-28T01:00:00.000+03:00");
        assert_eq!(
            read_local("2026-11-21T07:00:00Z", new_york())
                .expect_err("refused")
                .code(),
            "TIME_INVALID"
        );
    }

    #[test]
    fn the_day_depends_on_the_place() {
        let moment = at("2026-11-21T03:00:00Z");
        assert_eq!(
            (date(moment, new_york()).as_str(), weekday(moment, new_york())),
            ("2026-11-20", "friday")
        );
        assert_eq!(
            (date(moment, Tz::UTC).as_str(), weekday(moment, Tz::UTC)),
            ("2026-11-21", "saturday")
        );
    }

    #[test]
    fn a_zone_that_is_not_there_is_refused_with_the_near_one() {
        let fault = zone("America/New_Yrok").expect_err("refused").to_string();
        assert_eq!(
            fault,
            "there is no time zone \"America/New_Yrok\"; did you mean \"America/New_York\"?; zones are named like \"America/New_York\""
        );
    }

    #[test]
    fn patterns_are_checked_before_they_are_used() {
        let moment = at("2026-11-21T12:05:00Z");
        assert_eq!(
            format(moment, "%d %b %Y, %H:%M %Z", new_york()).as_deref(),
            Ok("21 Nov 2026, 07:05 EST")
        );
        for pattern in ["%", "%Q", &"%Y".repeat(100)] {
            assert_eq!(
                format(moment, pattern, Tz::UTC).expect_err("refused").code(),
                "TIME_PATTERN"
            );
        }
    }

    #[test]
    fn moments_are_shifted_both_ways_and_never_out_of_range() {
        let moment = at("2026-11-21T12:00:00Z");
        assert_eq!(
            write(shift(moment, "1d12h").expect("later")),
            "2026-11-23T00:00:00.000Z"
        );
        assert_eq!(
            write(shift(moment, "-30m").expect("earlier")),
            "2026-11-21T11:30:00.000Z"
        );
        assert_eq!(shift(moment, "--1h").expect_err("refused").code(), "TIME_DURATION");
        assert_eq!(
            shift(at("9999-12-31T23:59:59Z"), "1s").expect_err("refused").code(),
            "TIME_RANGE"
        );
    }

    proptest! {
        #[test]
        fn a_moment_that_was_written_is_read_back(ms in FIRST_MS..=LAST_MS) {
            let moment = from_ms(ms).expect("in range");
            prop_assert_eq!(read(&write(moment)), Ok(moment));
        }

        #[test]
        fn no_pattern_or_text_panics(text in "[%A-Za-z0-9 :.#+_-]{0,12}", ms in FIRST_MS..=LAST_MS) {
            format(from_ms(ms).expect("in range"), &text, new_york()).ok();
            write_in(from_ms(ms).expect("in range"), new_york());
            read(&text).ok();
            read_local(&text, new_york()).ok();
        }
    }
}
