//! Reads a crontab(5) line: for each field the numbers that fit.
//!
//! Five fields (minute, hour, day of month, month, day of week), or six with seconds before them. Names of months and days
//! are known, Monday is 1, Sunday 0 or 7.

use crate::script::error::nearest;

/// A crontab line: for each field the numbers that fit, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub seconds: u64,
    pub minutes: u64,
    pub hours: u64,
    pub days: u64,
    pub months: u64,
    pub weekdays: u64,
    /// Whether each day field restricts by itself: one that begins with `*` narrows the other.
    pub is_by_day: bool,
    pub is_by_weekday: bool,
    /// Whether neither minute nor hour begins with `*`: such a line means times of the clock, others follow real time.
    pub is_fixed: bool,
}

/// Why a text is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSchedule {
    #[error(
        "{text:?} has {count} fields; a schedule has five (minute, hour, day, month, weekday), or six with seconds \
         before them"
    )]
    Fields { text: String, count: usize },
    #[error("{given:?} is no {field}: {wanted}{hint}")]
    Field {
        field: &'static str,
        given: String,
        wanted: String,
        hint: String,
    },
    #[error("{name:?} is no word for a schedule; {meant}")]
    Word { name: String, meant: String },
}

struct Field {
    name: &'static str,
    low: u32,
    high: u32,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const fn field(name: &'static str, low: u32, high: u32) -> Field {
    Field {
        name,
        low,
        high,
        names: &[],
    }
}

const SECOND: Field = field("second", 0, 59);
const MINUTE: Field = field("minute", 0, 59);
const HOUR: Field = field("hour", 0, 23);
const DAY: Field = field("day of the month", 1, 31);
const MONTH: Field = Field {
    names: &MONTHS,
    ..field("month", 1, 12)
};
const WEEKDAY: Field = Field {
    names: &WEEKDAYS,
    ..field("day of the week", 0, 7)
};

/// Words for schedules that people write often.
const WORDS: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

impl Line {
    pub fn read(text: &str) -> Result<Line, BadSchedule> {
        let text = text.trim();
        let text = if text.starts_with('@') { meaning(text)? } else { text };
        // One more than any line has: a text of any length costs no more.
        let parts: Vec<&str> = text.split_whitespace().take(FIELDS_COUNTED).collect();
        let (seconds, parts) = match parts.as_slice() {
            [second, rest @ ..] if rest.len() == 5 => (SECOND.read(second)?, rest),
            rest if rest.len() == 5 => (1, rest),
            other => {
                return Err(BadSchedule::Fields {
                    text: text.chars().take(80).collect(),
                    count: other.len(),
                });
            }
        };
        let weekdays = WEEKDAY.read(parts[4])?;
        Ok(Line {
            seconds,
            minutes: MINUTE.read(parts[0])?,
            hours: HOUR.read(parts[1])?,
            days: DAY.read(parts[2])?,
            months: MONTH.read(parts[3])?,
            // Sunday is 0 and 7.
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            is_by_day: !parts[2].starts_with('*'),
            is_by_weekday: !parts[4].starts_with('*'),
            is_fixed: !parts[0].starts_with('*') && !parts[1].starts_with('*'),
        })
    }

    /// Whether there is a day in any year on which it fires. `30 2 31 2 *` never does.
    pub fn ever_fires(&self) -> bool {
        if self.is_by_day && self.is_by_weekday {
            // Either field suffices, and every month has every weekday.
            return true;
        }
        const DAYS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let months = (1..=12).filter(|month| self.months & (1 << month) != 0);
        let mut days = months.map(|month| DAYS[month as usize - 1]);
        days.any(|days| (1..=days).any(|day| self.days & (1 << day) != 0))
    }
}

const FIELDS_COUNTED: usize = 20;

/// What a word such as `@daily` stands for.
fn meaning(text: &str) -> Result<&'static str, BadSchedule> {
    let lower = text.to_ascii_lowercase();
    if let Some((_, meaning)) = WORDS.iter().find(|(word, _)| *word == lower) {
        return Ok(meaning);
    }
    let word = lower.split_whitespace().next().unwrap_or_default();
    let words = || WORDS.iter().map(|(word, _)| *word);
    let meant = match (word, nearest(word, words())) {
        ("@reboot", _) => "for a run at each start of the host write `startup: true` instead".to_owned(),
        ("@every", _) => "write `every: \"15m\"` instead".to_owned(),
        (_, Some(near)) => format!("did you mean {near:?}?"),
        (_, None) => format!("known are {}", words().collect::<Vec<_>>().join(", ")),
    };
    let name = text.chars().take(40).collect();
    Err(BadSchedule::Word { name, meant })
}

impl Field {
    fn read(&self, text: &str) -> Result<u64, BadSchedule> {
        let mut bits = 0;
        for part in text.split(',') {
            bits |= self.read_part(part)?;
        }
        Ok(bits)
    }

    /// `*`, `5`, `mon`, `1-5`, `*/15`, `10-30/5`.
    fn read_part(&self, part: &str) -> Result<u64, BadSchedule> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => {
                let digits = Some(step).filter(|step| step.bytes().all(|byte| byte.is_ascii_digit()));
                let number = digits.and_then(|step| step.parse::<u32>().ok());
                let number = number.filter(|step| (1..=self.high).contains(step));
                let wanted = || format!("the step after `/` is a number from 1 to {}", self.high);
                (range, number.ok_or_else(|| self.bad(part, wanted()))?)
            }
            None => (part, 1),
        };
        let (low, high) = match range.split_once('-') {
            _ if range == "*" => (self.low, self.high),
            Some((low, high)) => (self.number(low)?, self.number(high)?),
            None => {
                let low = self.number(range)?;
                // `5/15` is from 5 on.
                (low, if step > 1 { self.high } else { low })
            }
        };
        // From Friday to Sunday is meant forwards.
        let high = if high == 0 && low > 0 && self.high == 7 {
            7
        } else {
            high
        };
        if low > high {
            let wanted = format!(
                "a range goes from the smaller to the greater; over the end it is {low}-{},{}-{high}",
                self.high, self.low
            );
            return Err(self.bad(part, wanted));
        }
        Ok((low..=high).step_by(step as usize).fold(0, |bits, at| bits | 1 << at))
    }

    fn number(&self, text: &str) -> Result<u32, BadSchedule> {
        let lower = text.to_ascii_lowercase();
        if let Some(at) = self.names.iter().position(|name| *name == lower) {
            return Ok(at as u32 + self.low);
        }
        let number = text
            .parse::<u32>()
            .ok()
            .filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        number
            .filter(|number| (self.low..=self.high).contains(number))
            .ok_or_else(|| self.bad(text, self.wanted()))
    }

    fn wanted(&self) -> String {
        let numbers = format!("from {} to {}", self.low, self.high);
        match self.names {
            [] => numbers,
            names => format!("{numbers}, or {} to {}", names[0], names[names.len() - 1]),
        }
    }

    fn bad(&self, given: &str, wanted: String) -> BadSchedule {
        let given: String = given.chars().take(40).collect();
        let near = nearest(&given.to_ascii_lowercase(), self.names.iter().copied());
        let hint = match (given.as_str(), near) {
            ("?", _) => "; write `*` for any".to_owned(),
            ("24", _) if self.name == HOUR.name => "; midnight is 0".to_owned(),
            ("60", _) if self.high == 59 => "; the full one is 0".to_owned(),
            (_, Some(near)) => format!("; did you mean {near:?}?"),
            (_, None) => String::new(),
        };
        BadSchedule::Field {
            field: self.name,
            given,
            wanted,
            hint,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(numbers: &[u32]) -> u64 {
        numbers.iter().fold(0, |bits, at| bits | 1 << at)
    }

    #[test]
    fn fields_are_read_as_crontab_means_them() {
        let schedule = Line::read("*/15 9-17 1,15 jan-mar MON-fri").unwrap();
        assert_eq!(schedule.minutes, bits(&[0, 15, 30, 45]));
        assert_eq!(schedule.hours, bits(&[9, 10, 11, 12, 13, 14, 15, 16, 17]));
        assert_eq!(schedule.days, bits(&[1, 15]));
        assert_eq!(schedule.months, bits(&[1, 2, 3]));
        assert_eq!(schedule.weekdays, bits(&[1, 2, 3, 4, 5]));
        assert_eq!(schedule.seconds, 1, "on the minute");
        assert_eq!(Line::read("30 0 7 * * *").unwrap().seconds, bits(&[30]));
        for sunday in ["0 0 * * 0", "0 0 * * 7", "0 0 * * sun", "@weekly"] {
            assert_eq!(Line::read(sunday).unwrap().weekdays, 1, "{sunday}");
        }
        assert_eq!(Line::read("0 0 * * fri-sun").unwrap().weekdays, bits(&[5, 6, 0]));
        assert_eq!(Line::read("@ANNUALLY").unwrap(), Line::read("0 0 1 1 *").unwrap());
        assert_eq!(Line::read("5/20 0 * * *").unwrap().minutes, bits(&[5, 25, 45]));
    }

    #[test]
    fn what_is_no_schedule_is_told_with_the_field_and_what_fits() {
        let said = |text: &str| Line::read(text).unwrap_err().to_string();
        assert_eq!(said("0 25 * * *"), "\"25\" is no hour: from 0 to 23");
        assert_eq!(
            said("0 7 * * mno"),
            "\"mno\" is no day of the week: from 0 to 7, or sun to sat; did you mean \"mon\"?"
        );
        assert!(said("0 7 * *").contains("has 4 fields; a schedule has five"));
        assert!(said("").contains("has 0 fields"));
        assert!(said("17-9 * * * *").contains("over the end it is 17-59,0-9"));
        assert!(said("*/0 * * * *").contains("the step after `/`"));
        assert!(said("@dayly").contains("did you mean \"@daily\"?"));
        assert!(said("@hour").contains("known are @hourly"), "{}", said("@hour"));
        assert!(said("@reboot").contains("`startup: true`"));
        assert!(said("@every 5m").contains("`every: \"15m\"`"));
        assert!(said("0 24 * * *").contains("midnight is 0"));
        assert!(said("60 * * * *").contains("the full one is 0"));
        assert!(said("0 7 ? * mon").contains("write `*` for any"));
        assert!(said(&"* ".repeat(1_000_000)).len() < 300);
        assert!(said("+5 * * * *").contains("is no minute"));
        assert!(said("*/+5 * * * *").contains("the step after `/`"));
        assert!(said("1,,2 * * * *").contains("\"\" is no minute"));
    }

    #[test]
    fn a_day_that_no_month_has_never_comes() {
        let fires = |text: &str| Line::read(text).unwrap().ever_fires();
        assert!(!fires("30 2 31 2 *"));
        assert!(!fires("0 0 31 4,6,9,11 *"));
        assert!(fires("0 0 29 2 *"), "in leap years");
        assert!(fires("0 0 31 2 mon"), "either day field suffices");
        assert!(fires("0 0 31 * *"));
    }
}
