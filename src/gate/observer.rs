//! Who watches a run: the terminal, a log, nobody.
//!
//! Notices are diagnostic. They may be lost in a crash, and nothing is decided by them.

use std::sync::Arc;

use crate::id::StepNo;
use crate::journal::{Answer, Asked, Attempt, Begun, RunRecord};
use crate::value::Value;

/// Something worth showing while it happens.
#[derive(Debug)]
pub enum Notice<'a> {
    Asked {
        asked: &'a Asked,
        at_ms: u64,
    },
    /// A long effect has come this far: `0.0..=1.0`, where that is known.
    Progress {
        step: StepNo,
        fraction: Option<f64>,
        text: String,
    },
    /// The gate waits before it goes on.
    Waiting {
        step: StepNo,
        why: String,
        wait_ms: u64,
    },
    Answered {
        answer: &'a Answer,
    },
    /// An attempt was not the last word on its step.
    Attempted {
        asked: &'a Asked,
        attempt: &'a Attempt,
    },
    /// The run has come to rest and that is on disk, or will be in a moment: over, suspended or parked.
    Rested {
        record: &'a RunRecord,
    },
    /// A script's `log::` or `print`.
    Log {
        level: LogLevel,
        message: &'a str,
        fields: &'a Value,
    },
}

/// How loud a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

pub trait Observer: Send + Sync {
    fn notice(&self, notice: Notice<'_>);
}

/// Watches every run that this process drives, beside whoever watches one: for figures and traces.
pub trait Lookout: Send + Sync {
    /// Who is to be told of the run from here on, and tells `beside`. `again` counts how often its end was made void.
    fn watch(&self, begun: &Begun, again: u32, beside: Arc<dyn Observer>) -> Arc<dyn Observer>;

    /// The runs of a command are at rest, and it is about to end.
    fn finish(&self) {}
}

/// Watches nothing.
pub struct Silent;

impl Observer for Silent {
    fn notice(&self, _: Notice<'_>) {}
}
