//! What a header says starts its playbook, read and checked once: typed, and free of clocks.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`read`] | from the header's keys, with everything that is wrong with them |
//! | [`arrival`] | which files can come |
//! | [`http`] | the route of requests |
//! | [`webhook`] | what services send |
//! | [`complaint`] | what is wrong, and where in the header |

pub mod arrival;
pub mod complaint;
mod elements;
pub mod http;
pub mod read;
mod schedules;
pub mod webhook;

#[cfg(test)]
mod read_tests;

use std::time::Duration;

pub use complaint::{Complaint, Step};
pub use read::read;

use crate::script::schedule::next::Shift;
use crate::script::schedule::{Planned, Schedule};
use crate::value::Map;

/// All that starts a playbook beside people.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Triggers {
    pub schedules: Vec<Scheduled>,
    pub overlap: Overlap,
    /// How many runs of the playbook may have a thread at the same time; `None`: as many as the host allows.
    pub concurrency: Option<u32>,
    pub queue: Option<Consumes>,
    /// Names of events.
    pub events: Vec<String>,
    pub files: Option<Awaits>,
    pub after: Vec<Follows>,
    pub startup: bool,
    /// Boxed: few playbooks have one.
    pub http: Option<Box<http::Route>>,
    pub webhook: Option<Box<webhook::Hook>>,
}

impl Triggers {
    /// Whether anything beside people starts the playbook.
    pub fn is_any(&self) -> bool {
        let Triggers {
            schedules,
            queue,
            events,
            files,
            after,
            startup,
            webhook,
            ..
        } = self;
        !schedules.is_empty()
            || queue.is_some()
            || !events.is_empty()
            || files.is_some()
            || !after.is_empty()
            || *startup
            || webhook.is_some()
    }
}

/// One schedule of a playbook.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduled {
    /// Tells it from the playbook's other schedules, also after an edit: its `name`, or its place as a number.
    pub key: String,
    pub when: When,
    /// As the header writes it: what makes a schedule another one when it is edited.
    pub written: String,
    pub zone: chrono_tz::Tz,
    pub missed: Missed,
    /// How far back missed ticks are caught up.
    pub horizon: Duration,
    /// Each tick is due up to so much after it is planned; how much follows from playbook, schedule and tick.
    pub jitter: Duration,
    /// What its runs are told.
    pub input: Map,
}

#[derive(Clone, Debug, PartialEq)]
pub enum When {
    Cron(Schedule),
    /// So much after the last planned one, counted from when the schedule was first seen.
    Every(Duration),
}

impl Scheduled {
    /// The first tick after `after_ms`. One that counts lengths of time counts them from `anchor_ms`, the last planned tick
    /// or when it was first seen.
    pub fn next_after(&self, after_ms: i64, anchor_ms: i64) -> Option<Planned> {
        match &self.when {
            When::Cron(schedule) => schedule.next_after(after_ms, self.zone),
            When::Every(every) => {
                let every_ms = i64::try_from(every.as_millis()).ok()?.max(1);
                let passed = after_ms.checked_sub(anchor_ms)?.div_euclid(every_ms).max(0);
                let at_ms = passed.checked_add(1)?.checked_mul(every_ms)?.checked_add(anchor_ms)?;
                Some(Planned {
                    at_ms,
                    shift: Shift::None,
                })
            }
        }
    }
}

/// What becomes of ticks that passed while nobody could start them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missed {
    All,
    #[default]
    Latest,
    None,
}

/// What becomes of a start while an earlier run is not over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overlap {
    pub policy: Policy,
    /// The input whose value tells runs apart that may overlap; without one all runs of the playbook stand in each other's way.
    pub by: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    #[default]
    Skip,
    Queue,
    Allow,
    CancelPrevious,
}

/// A queue whose jobs the playbook does, one run each. A job's fields are the run's inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Consumes {
    pub name: String,
    /// Jobs done at the same time.
    pub concurrency: u32,
}

/// Files whose arrival starts the playbook, with the input `file`.
#[derive(Clone, Debug, PartialEq)]
pub struct Awaits {
    /// Below the project's root, such as `inbox/*.mp4`.
    pub pattern: String,
    /// A file has arrived when it has not changed for so long.
    pub settle: Duration,
}

/// A playbook whose runs' ends start this one, with the inputs `run`, `status` and `result` where they are declared.
#[derive(Clone, Debug, PartialEq)]
pub struct Follows {
    pub playbook: String,
    /// `succeeded`, `failed`, …; `None`: however it ended.
    pub status: Option<crate::journal::Status>,
}
