//! What earlier owners of a run have done of a step that has no answer yet.
//!
//! An intent without an outcome is *in doubt*: the request may have left before the host was stopped. It is treated
//! like an attempt whose answer was lost.

use std::time::Duration;

use super::tape::Tape;
use crate::effect::{Failure, Fault};
use crate::id::StepNo;
use crate::journal::{Attempt, Intent};

/// The attempts of a step so far.
#[derive(Default)]
pub(super) struct History {
    /// The number of the next attempt.
    pub next: u32,
    /// The key of the attempts so far.
    pub key: Option<String>,
    /// When the first was made, in the run's time.
    pub first_ms: Option<u64>,
    /// How long before the run began it was made, if it was: by a run of the same name that is on no record.
    pub before_ms: u64,
    /// The last attempt of which nobody knows whether it landed.
    pub doubt: Option<(Intent, Failure)>,
    /// Whether one that may have landed was followed by another all the same.
    pub perhaps_landed: bool,
    /// The attempt that the host was stopped in.
    pub cut_off: Option<(Intent, Fault)>,
    /// When the next attempt may be made.
    pub not_before_ms: u64,
}

impl History {
    pub fn of(tape: &Tape, step: StepNo) -> History {
        let Some(step) = tape.recorded_step(step) else {
            return History {
                next: 1,
                ..History::default()
            };
        };
        let last_intent = step.intents.last();
        let last_attempt = step.attempts.last();
        let number = |attempt: &Attempt| attempt.attempt;
        let last = last_intent
            .map_or(0, |intent| intent.attempt)
            .max(last_attempt.map_or(0, number));
        let in_doubt = step.attempts.iter().rev().find(|attempt| attempt.in_doubt);
        let intent_of = |attempt: &Attempt| step.intents.iter().find(|intent| intent.attempt == attempt.attempt);
        let cut_off = last_intent
            .filter(|intent| step.attempt(intent.attempt).is_none())
            .map(|intent| (intent.clone(), stopped(intent)));
        let first_intent_ms = step.intents.first().map(|intent| intent.at_ms);
        let first_attempt_ms = step.attempts.first().map(|attempt| attempt.at_ms);
        History {
            next: last + 1,
            key: last_intent.map(|intent| intent.key.clone()),
            first_ms: first_intent_ms.or(first_attempt_ms),
            before_ms: 0,
            doubt: in_doubt.and_then(|attempt| Some((intent_of(attempt)?.clone(), attempt.error.clone()))),
            perhaps_landed: step.attempts.iter().any(|attempt| attempt.perhaps_landed),
            not_before_ms: last_attempt.map_or(0, |attempt| {
                attempt
                    .at_ms
                    .saturating_add(attempt.took_ms)
                    .saturating_add(attempt.wait_ms)
            }),
            cut_off,
        }
    }

    /// How long to wait before the next attempt.
    pub fn left(&self, elapsed_ms: u64) -> Duration {
        Duration::from_millis(self.not_before_ms.saturating_sub(elapsed_ms))
    }
}

fn stopped(intent: &Intent) -> Fault {
    let message = format!(
        "the host was stopped during attempt {} of {}, and nobody knows whether it landed",
        intent.attempt, intent.asked.name
    );
    Fault {
        unhealthy: false,
        ..Fault::in_doubt(Failure::new("HOST_STOPPED", message))
    }
}
