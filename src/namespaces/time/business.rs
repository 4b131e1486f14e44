//! Days on which people work. Pure: what a weekend is and which days are holidays is told, not known.

use std::collections::BTreeSet;

use chrono::{Datelike, Days, NaiveDate, Weekday};

use super::moment::TimeFault;
use super::units;
use crate::namespaces::options::{BadOption, Options};

/// The farthest that is counted.
pub const DAYS_MAX: i64 = 10_000;
/// The most holidays.
const HOLIDAYS_MAX: usize = 1_000;
/// The most days between two dates that are counted.
const SPAN_DAYS_MAX: i64 = 100_000;

/// Which days are worked.
#[derive(Clone, Debug)]
pub struct Calendar {
    weekend: Vec<Weekday>,
    holidays: BTreeSet<NaiveDate>,
}

impl Default for Calendar {
    fn default() -> Calendar {
        Calendar {
            weekend: vec![Weekday::Sat, Weekday::Sun],
            holidays: BTreeSet::new(),
        }
    }
}

impl Calendar {
    /// From `weekend` and `holidays`.
    pub fn read(options: &mut Options) -> Result<Calendar, BadOption> {
        let mut calendar = Calendar::default();
        if let Some(days) = options.list("weekend")? {
            calendar.weekend.clear();
            for day in &days {
                let named = day.as_str().and_then(weekday);
                let wanted = "up to six days of the week, such as [\"friday\", \"saturday\"],";
                calendar
                    .weekend
                    .push(named.ok_or_else(|| options.kind("weekend", day, wanted))?);
            }
            calendar.weekend.sort_by_key(Weekday::num_days_from_monday);
            calendar.weekend.dedup();
            if calendar.weekend.len() == 7 {
                return Err(options.conflict("a weekend of seven days leaves none for work"));
            }
        }
        if let Some(days) = options.list("holidays")? {
            if days.len() > HOLIDAYS_MAX {
                return Err(options.conflict(format!(
                    "there are {} holidays; at most {HOLIDAYS_MAX} are taken",
                    days.len()
                )));
            }
            for day in &days {
                let date = day.as_str().and_then(|day| units::date(day).ok());
                let wanted = "dates such as \"2026-12-25\"";
                calendar
                    .holidays
                    .insert(date.ok_or_else(|| options.kind("holidays", day, wanted))?);
            }
        }
        Ok(calendar)
    }

    pub fn is_worked(&self, date: NaiveDate) -> bool {
        !self.weekend.contains(&date.weekday()) && !self.holidays.contains(&date)
    }

    /// The business day that is `days` of them after `date`, or before it.
    pub fn add(&self, date: NaiveDate, days: i64) -> Result<NaiveDate, TimeFault> {
        if days.abs() > DAYS_MAX {
            let message = format!("{days} business days are asked for; at most {DAYS_MAX} are counted");
            return Err(TimeFault::BusinessDays(message));
        }
        let mut day = date;
        let mut left = days.abs();
        while left > 0 {
            let next = if days > 0 {
                day.checked_add_days(Days::new(1))
            } else {
                day.checked_sub_days(Days::new(1))
            };
            day = next.filter(|day| (1..=9999).contains(&day.year())).ok_or_else(|| {
                TimeFault::BusinessDays(format!(
                    "{days} business days from {date} lie outside the years 1 to 9999"
                ))
            })?;
            left -= i64::from(self.is_worked(day));
        }
        Ok(day)
    }

    /// How many business days come after `from`, up to and including `to`; below 0 when `to` is the earlier.
    pub fn between(&self, from: NaiveDate, to: NaiveDate) -> Result<i64, TimeFault> {
        if to < from {
            // So that `add` leads back.
            let back = from.pred_opt().map_or(Ok(0), |last| self.counted(to, last))?;
            return Ok(-back);
        }
        from.succ_opt().map_or(Ok(0), |first| self.counted(first, to))
    }

    /// The business days from one to another, both included.
    fn counted(&self, first: NaiveDate, last: NaiveDate) -> Result<i64, TimeFault> {
        let days = (last - first).num_days() + 1;
        if days > SPAN_DAYS_MAX {
            let message = format!("{days} days lie between the two; at most {SPAN_DAYS_MAX} are counted");
            return Err(TimeFault::BusinessDays(message));
        }
        let worked = first
            .iter_days()
            .take(days.max(0) as usize)
            .filter(|day| self.is_worked(*day));
        Ok(worked.count() as i64)
    }
}

fn weekday(name: &str) -> Option<Weekday> {
    Some(match name {
        "monday" => Weekday::Mon,
        "tuesday" => Weekday::Tue,
        "wednesday" => Weekday::Wed,
        "thursday" => Weekday::Thu,
        "friday" => Weekday::Fri,
        "saturday" => Weekday::Sat,
        "sunday" => Weekday::Sun,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        units::date(text).expect("a date")
    }

    #[test]
    fn weekends_and_holidays_are_passed_over() {
        let calendar = Calendar {
            holidays: [day("2026-12-25")].into(),
            ..Calendar::default()
        };
        // A Thursday.
        let eve = day("2026-12-24");
        assert_eq!(calendar.add(eve, 1), Ok(day("2026-12-28")));
        assert_eq!(calendar.add(day("2026-12-28"), -1), Ok(eve));
        assert_eq!(calendar.add(day("2026-12-26"), 0), Ok(day("2026-12-26")));
        assert_eq!(calendar.between(eve, day("2026-12-31")), Ok(4));
        assert_eq!(calendar.between(day("2026-12-28"), eve), Ok(-1));
        assert!(
            !calendar.is_worked(day("2026-12-25")) && !calendar.is_worked(day("2026-12-26")) && calendar.is_worked(eve)
        );
        assert_eq!(
            calendar.add(eve, 10_001).expect_err("refused").code(),
            "TIME_BUSINESS_DAYS"
        );
        assert!(calendar.add(day("9999-12-31"), 1).is_err());
    }

    proptest! {
        /// The oracle walks day by day through a list of what is worked.
        #[test]
        fn counting_agrees_with_a_walk_through_the_days(
            start in 0_u64..20_000, days in -300_i64..300, weekend in proptest::collection::btree_set(0_u8..7, 0..6), off in proptest::collection::vec(0_u64..400, 0..10),
        ) {
            let first = day("1990-01-01");
            let from = first + Days::new(start);
            let weekend: Vec<Weekday> = weekend.into_iter().map(|day| Weekday::try_from(day).unwrap()).collect();
            let holidays: BTreeSet<NaiveDate> = off.into_iter().map(|after| from + Days::new(after)).collect();
            let calendar = Calendar { weekend: weekend.clone(), holidays: holidays.clone() };
            let worked = |day: NaiveDate| !weekend.contains(&day.weekday()) && !holidays.contains(&day);
            let step = |day: NaiveDate| if days > 0 { day.succ_opt().unwrap() } else { day.pred_opt().unwrap() };
            let walked = std::iter::successors(Some(from), |day| Some(step(*day))).skip(1).filter(|day| worked(*day));
            let wanted = if days == 0 { from } else { walked.take(days.unsigned_abs() as usize).last().unwrap() };
            let found = calendar.add(from, days).unwrap();
            prop_assert_eq!(found, wanted);
            if days >= 0 || worked(from) {
                prop_assert_eq!(calendar.between(from, found).unwrap(), days);
            }
        }
    }
}
