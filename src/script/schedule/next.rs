//! The next tick of a line in a zone.
//!
//! The `cron` crate counts on a wall clock without zone; what is found there is brought into real time here. It wants
//! seconds, numbers days from Sunday = 1, and lets a day fit when both day fields do: lines are translated.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::Schedule;
use super::parse::Line;
use super::zones::{self, Wall};

/// A tick to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Planned {
    /// Unix milliseconds.
    pub at_ms: i64,
    pub shift: Shift,
}

/// What a change of the clocks did to a tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shift {
    #[default]
    None,
    /// Its time does not exist on that day: it runs right after.
    Moved,
    /// Its time comes twice: it runs the first time only.
    First,
    /// Its time comes twice, it runs both times, and this is the second.
    Second,
}

/// Changes of the clocks beyond this are corrections: the new time counts at once.
const CORRECTION: TimeDelta = TimeDelta::hours(3);

/// The longest that a zone was ever set back.
const SET_BACK_MAX: TimeDelta = TimeDelta::hours(25);

/// How many times of the wall clock are tried for one that can be reached: an hour that comes twice has 3600 seconds, and
/// such hours at most three.
const TRIES_MAX: usize = 4 * 3600;

/// The lines of the `cron` crate that together mean `line`.
fn translate(line: &Line) -> Vec<cron::Schedule> {
    let days = list(line.days, 1, 31, 0);
    let weekdays = list(line.weekdays, 0, 6, 1);
    let one = |days: &str, weekdays: &str| {
        let text = format!(
            "{} {} {} {days} {} {weekdays}",
            list(line.seconds, 0, 59, 0),
            list(line.minutes, 0, 59, 0),
            list(line.hours, 0, 23, 0),
            list(line.months, 1, 12, 0),
        );
        text.parse().expect("lists of numbers in range are a line of the crate")
    };
    match line.is_by_day && line.is_by_weekday {
        true => vec![one(&days, "*"), one("*", &weekdays)],
        false => vec![one(&days, &weekdays)],
    }
}

fn list(bits: u64, low: u32, high: u32, shift: u32) -> String {
    let numbers: Vec<String> = (low..=high)
        .filter(|number| bits & (1 << number) != 0)
        .map(|number| (number + shift).to_string())
        .collect();
    match numbers.len() as u32 == high - low + 1 {
        true => "*".to_owned(),
        false => numbers.join(","),
    }
}

impl Schedule {
    /// The first tick after `after_ms`, in Unix milliseconds. `None` when there is none before the year 2101, where the
    /// `cron` crate ends.
    pub fn next_after(&self, after_ms: i64, zone: Tz) -> Option<Planned> {
        let after = DateTime::from_timestamp_millis(after_ms)?;
        let found = self.ahead(after, zone);
        let again = self.again(after, found.map(|(at, _)| at), zone);
        let (at, shift) = [found, again].into_iter().flatten().min()?;
        Some(Planned {
            at_ms: at.timestamp_millis(),
            shift,
        })
    }

    /// The first tick after `after` whose time on the wall lies ahead.
    fn ahead(&self, after: DateTime<Utc>, zone: Tz) -> Option<(DateTime<Utc>, Shift)> {
        let mut wall = after.with_timezone(&zone).naive_local();
        for _ in 0..TRIES_MAX {
            wall = self.on_the_wall(wall)?;
            match zones::find(wall, zone) {
                Wall::Once(at) if at > after => return Some((at, Shift::None)),
                Wall::Once(_) => {}
                Wall::Twice(first, _) if first > after => {
                    let shift = if self.runs_once(zones::repeated(wall, zone)) {
                        Shift::First
                    } else {
                        Shift::None
                    };
                    return Some((first, shift));
                }
                Wall::Twice(first, second) => {
                    if second > after && !self.runs_once(second - first) {
                        return Some((second, Shift::Second));
                    }
                }
                Wall::Never { end, skipped } => {
                    if self.runs_once(skipped) && end > after {
                        return Some((end, Shift::Moved));
                    }
                    // On to the first time that there is, which may be one of its own.
                    wall = end.with_timezone(&zone).naive_local() - TimeDelta::seconds(1);
                }
            }
        }
        None
    }

    /// A tick before `until` whose time on the wall has been before `after` already, and comes again.
    fn again(&self, after: DateTime<Utc>, until: Option<DateTime<Utc>>, zone: Tz) -> Option<(DateTime<Utc>, Shift)> {
        let until = until.map_or(after + SET_BACK_MAX, |until| until.min(after + SET_BACK_MAX));
        let change = zones::changes(after, until, zone).find(|change| change.by < TimeDelta::zero())?;
        if self.runs_once(-change.by) {
            return None;
        }
        let wall = self.on_the_wall(change.to - TimeDelta::seconds(1))?;
        let at = change.at + (wall - change.to);
        (at < until && wall < change.from).then_some((at, Shift::Second))
    }

    /// Whether a change of the clocks by so much lets each tick run exactly once.
    fn runs_once(&self, by: TimeDelta) -> bool {
        self.line.is_fixed && by <= CORRECTION
    }

    /// The next time after `wall` that fits, on a clock that never changes.
    fn on_the_wall(&self, wall: NaiveDateTime) -> Option<NaiveDateTime> {
        if !self.line.ever_fires() {
            return None;
        }
        let wall = wall.and_utc();
        let next = self
            .days
            .get_or_init(|| translate(&self.line))
            .iter()
            .filter_map(|days| days.after(&wall).next());
        next.min().map(|next| next.naive_utc())
    }
}
