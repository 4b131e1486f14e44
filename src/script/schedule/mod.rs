//! What a header's `schedule` means: a crontab(5) line in a zone.
//!
//! A day fits when *either* day field does where neither begins with `*`, and when both do otherwise, as in Vixie cron. So
//! do the changes of clocks: a line that means times of the clock (neither minute nor hour begins with `*`) runs once right
//! after an hour that does not exist, and once in an hour that comes twice; others follow real time. Changes of more than
//! three hours are corrections, and the new time counts at once. Pure: it reads no clock.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`parse`] | a line as numbers, and what is wrong with it |
//! | [`next`] | the next tick, on top of the `cron` crate |
//! | [`zones`] | between clocks on walls and real time; names of zones |
//! | [`explain`] | what a change of the clocks does to a tick, in words |

pub mod explain;
pub mod next;
mod parse;
pub mod zones;

#[cfg(test)]
mod next_tests;
#[cfg(test)]
mod oracle_tests;

pub use next::Planned;
pub use parse::BadSchedule;

use std::sync::OnceLock;

use parse::Line;

/// A crontab line, ready to be reckoned with.
#[derive(Clone, Debug)]
pub struct Schedule {
    line: Line,
    /// Two where either day field suffices: the `cron` crate wants both. Made when they are first asked: most headers are
    /// read by runs, which never do.
    days: OnceLock<Vec<cron::Schedule>>,
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Schedule) -> bool {
        self.line == other.line
    }
}

impl Eq for Schedule {}

impl Schedule {
    /// Reads a crontab(5) line.
    pub fn parse(text: &str) -> Result<Schedule, BadSchedule> {
        Ok(Schedule {
            line: Line::read(text)?,
            days: OnceLock::new(),
        })
    }

    /// Whether there is a day in any year on which it fires. `30 2 31 2 *` never does.
    pub fn ever_fires(&self) -> bool {
        self.line.ever_fires()
    }

    /// Whether it means times of the clock, and does not follow real time where clocks change.
    pub fn is_fixed(&self) -> bool {
        self.line.is_fixed
    }
}
