//! One effect of a run as `show --json` and `plan --json` give it.

use serde_json::{Value as Json, json};

use crate::effect::Failure;
use crate::journal::{Answer, Begun, Recorded, Step};

/// The entries of a recorded run, in order of their steps.
pub fn entries(recorded: &Recorded) -> Vec<Json> {
    recorded
        .steps
        .values()
        .filter_map(|step| step_entry(&recorded.begun, step))
        .collect()
}

fn step_entry(begun: &Begun, step: &Step) -> Option<Json> {
    let mut shown = match &step.answer {
        Some(answer) => entry(answer, Some(begun.at_ms)),
        None => {
            // An intent without an outcome: nobody knows yet whether it landed.
            let intent = step.intents.first()?;
            let pending = Answer {
                asked: intent.asked.clone(),
                at_ms: intent.at_ms,
                in_doubt: true,
                ..Answer::default()
            };
            entry(&pending, Some(begun.at_ms))
        }
    };
    if let Some(intent) = step.intents.last() {
        shown["key"] = json!(intent.key);
        shown["decision"] = shown["decision"]
            .take()
            .as_str()
            .map_or_else(|| json!(intent.decision), |text| json!(text));
        shown["attempts"] = json!(intent.attempt);
    }
    if !step.attempts.is_empty() {
        shown["failed_attempts"] = step
            .attempts
            .iter()
            .map(|attempt| {
                json!({
                    "attempt": attempt.attempt,
                    "error": failure(&attempt.error),
                    "at": timestamp(begun.at_ms, attempt.at_ms),
                    "took_ms": attempt.took_ms,
                    "wait_ms": attempt.wait_ms,
                })
            })
            .collect();
    }
    Some(shown)
}

/// An answer with its step; times count from `begun_ms`, and are left out of a plan.
pub fn entry(answer: &Answer, begun_ms: Option<i64>) -> Json {
    let asked = &answer.asked;
    let mut shown = json!({
        "step": asked.step,
        "name": asked.name,
        "class": asked.class.as_str(),
        "mode": if answer.simulated.is_some() { "simulated" } else { "live" },
        "args": asked.args.to_json(),
        "outcome": if answer.error.is_some() || answer.in_doubt { Json::Null } else { answer.value.to_json() },
        "error": answer.error.as_ref().map(failure),
        "simulated": answer.simulated,
        "decision": answer.decision,
        "in_doubt": answer.in_doubt,
        "cost_usd": answer.cost_usd,
        "line": asked.place.line,
        "module": asked.place.module,
    });
    if let Some(begun_ms) = begun_ms {
        shown["at"] = json!(timestamp(begun_ms, answer.at_ms));
        shown["took_ms"] = json!(answer.took_ms);
        shown["attempts"] = json!(answer.attempts.max(1));
    }
    shown
}

/// A failure as JSON: what a script's `catch` receives.
pub fn failure(failure: &Failure) -> Json {
    failure.to_value().to_json()
}

/// RFC 3339 in UTC, with milliseconds.
pub fn timestamp(begun_ms: i64, at_ms: u64) -> String {
    let moment = begun_ms.saturating_add(i64::try_from(at_ms).unwrap_or(i64::MAX));
    let moment = chrono::DateTime::from_timestamp_millis(moment).unwrap_or_default();
    moment.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
