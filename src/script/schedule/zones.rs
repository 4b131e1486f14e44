//! Between clocks on walls and real time, and the names of zones.

use chrono::{DateTime, LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use crate::script::error::nearest;

/// When the clock on the wall shows a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wall {
    Once(DateTime<Utc>),
    Twice(DateTime<Utc>, DateTime<Utc>),
    /// It goes from before to after: the first moment after, and how much is left out.
    Never {
        end: DateTime<Utc>,
        skipped: TimeDelta,
    },
}

/// A change of a zone's clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub at: DateTime<Utc>,
    /// What the clock would have shown, and what it shows instead.
    pub from: NaiveDateTime,
    pub to: NaiveDateTime,
    /// Forward when it is positive.
    pub by: TimeDelta,
}

/// Further than any clock is from UTC.
const OFFSET_MAX: TimeDelta = TimeDelta::hours(17);

/// Zones do not change their clocks twice within so long.
const STEP: TimeDelta = TimeDelta::hours(1);

/// When a clock in `zone` shows `wall`.
pub fn find(wall: NaiveDateTime, zone: Tz) -> Wall {
    match zone.from_local_datetime(&wall) {
        LocalResult::Single(at) => Wall::Once(at.to_utc()),
        LocalResult::Ambiguous(a, b) => Wall::Twice(a.min(b).to_utc(), a.max(b).to_utc()),
        LocalResult::None => {
            // The clock never shows it, so where it gets past it, it jumps.
            let (before, after) = (wall.and_utc() - OFFSET_MAX, wall.and_utc() + OFFSET_MAX);
            let end = search(before, after, |at| local(at, zone) > wall);
            Wall::Never {
                end,
                skipped: offset(end, zone) - offset(end - TimeDelta::seconds(1), zone),
            }
        }
    }
}

/// How long the clock was set back to show `wall` twice; nothing when it was not.
pub fn repeated(wall: NaiveDateTime, zone: Tz) -> TimeDelta {
    match find(wall, zone) {
        Wall::Twice(first, second) => second - first,
        _ => TimeDelta::zero(),
    }
}

/// The changes after `after` until `until`, included.
pub fn changes(after: DateTime<Utc>, until: DateTime<Utc>, zone: Tz) -> impl Iterator<Item = Change> {
    let mut at = after;
    std::iter::from_fn(move || {
        while at < until {
            let (from, to) = (at, (at + STEP).min(until));
            at = to;
            let before = offset(from, zone);
            if offset(to, zone) != before {
                let change = search(from, to, |at| offset(at, zone) != before);
                let by = offset(change, zone) - before;
                let to = local(change, zone);
                return Some(Change {
                    at: change,
                    from: to - by,
                    to,
                    by,
                });
            }
        }
        None
    })
}

/// The first second after `before` until `after` of which `is` is true; it is of the latter.
fn search(before: DateTime<Utc>, after: DateTime<Utc>, is: impl Fn(DateTime<Utc>) -> bool) -> DateTime<Utc> {
    let at = |second: i64| DateTime::from_timestamp(second, 0).expect("it lies between two moments");
    let (mut low, mut high) = (
        before.timestamp(),
        after.timestamp() + i64::from(after.timestamp_subsec_nanos() > 0),
    );
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if is(at(middle)) {
            high = middle;
        } else {
            low = middle;
        }
    }
    at(high)
}

/// What the clock shows.
pub fn local(at: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    at.with_timezone(&zone).naive_local()
}

fn offset(at: DateTime<Utc>, zone: Tz) -> TimeDelta {
    let offset = zone.offset_from_utc_datetime(&at.naive_utc());
    TimeDelta::seconds(offset.fix().local_minus_utc().into())
}

/// The zone of that name, or the name that was probably meant.
pub fn parse(name: &str) -> Result<Tz, Option<&'static str>> {
    name.parse().map_err(|_| near(name))
}

/// The name of a zone that is most like `name`.
pub fn near(name: &str) -> Option<&'static str> {
    if name.len() > 100 {
        return None;
    }
    let zones = || chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    let same = zones().find(|zone| zone.eq_ignore_ascii_case(name));
    // `Berlin` and `New York` are cities of a zone.
    let city = name.replace(' ', "_");
    let of_city = || {
        zones().find(|zone| {
            let last = zone.rsplit('/').next();
            last.is_some_and(|last| last.eq_ignore_ascii_case(&city))
        })
    };
    same.or_else(of_city).or_else(|| nearest(name, zones()))
}
