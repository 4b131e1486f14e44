//! Why a run ended as it did: what happened in words, what landed and what did not, and what to type next.
//!
//! Values in, values out: everything is taken from the run's own record, and what it did not come to from an earlier
//! run of the same playbook that succeeded. Nothing here is guessed; where nothing is known, a list is empty.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`before`] | the earlier run that it is compared with |
//! | [`deeds`] | which effects landed, are in doubt, were simulated, were not begun |
//! | [`story`] | the paragraph |
//! | [`next`] | the commands |

pub mod before;
pub mod deeds;
pub mod next;
pub mod story;

use serde_json::{Value as Json, json};

pub use deeds::{Deed, Deeds};
pub use next::Next;

use super::summary::{error_json, record_json};
use crate::effect::Failure;
use crate::journal::{Recorded, RunRecord, Status, Step};
use crate::value::Value;

/// Lines of a provider's own words that are kept.
const WORD_LINES_MAX: usize = 6;

/// The answer to "why?".
#[derive(Clone, Debug, PartialEq)]
pub struct Why {
    /// What it was, and how it ended, in one line.
    pub headline: String,
    /// What happened, in a few sentences.
    pub story: String,
    /// What the provider itself said, where it said more than the story.
    pub words: Vec<String>,
    pub deeds: Deeds,
    pub next: Vec<Next>,
}

/// Explains a run. `title` is its playbook's, and `before` an earlier run of that playbook that succeeded.
pub fn explain(record: &RunRecord, recorded: &Recorded, title: Option<&str>, before: Option<&Recorded>) -> Why {
    let deeds = Deeds::of(recorded, before);
    Why {
        headline: headline(record, recorded, title),
        story: story::tell(record, recorded, &deeds),
        words: record
            .error
            .as_ref()
            .map(|error| words(&error.failure))
            .unwrap_or_default(),
        next: next::commands(record, recorded, &deeds),
        deeds,
    }
}

/// `Daily publish (daily/publish topic=habits) did not finish`
fn headline(record: &RunRecord, recorded: &Recorded, title: Option<&str>) -> String {
    let mut name = match title {
        Some(title) => format!("{title} ({})", record.playbook),
        None => record.playbook.clone(),
    };
    let input = recorded.begun.input.as_map().into_iter().flatten();
    for (key, value) in input.take(3) {
        if let Value::Text(_) | Value::Int(_) | Value::Bool(_) = value {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            name.push_str(&format!(" {key}={text}"));
        }
    }
    let end = match record.status {
        Status::Succeeded => "succeeded",
        Status::Failed => "failed",
        Status::Cancelled => "was cancelled",
        Status::NeedsAttention if recorded.steps.values().any(Step::is_in_doubt) => {
            "did not finish: a person must decide"
        }
        Status::NeedsAttention => "did not finish, and can go on: it is decided",
        Status::Running => "has not ended",
        Status::Queued => "has not begun",
        Status::Suspended => "is waiting",
    };
    format!("{name} {end}")
}

/// The beginning of an answer's body, or the last lines of a program, that a failure carries.
fn words(failure: &Failure) -> Vec<String> {
    let details = &failure.details;
    let text = match (details, details.get("body")) {
        (_, Some(Value::Text(body))) => body.clone(),
        (Value::Text(text), _) => text.clone(),
        (Value::List(lines), _) => lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"),
        _ => String::new(),
    };
    let mut lines: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !failure.message.contains(line))
        .map(str::to_owned)
        .collect();
    lines.truncate(WORD_LINES_MAX);
    if let Some(Value::Text(id)) = details.get("request_id") {
        lines.push(format!("request id {id}"));
    }
    lines
}

impl Why {
    /// What `host why --json` gives.
    pub fn to_json(&self, record: &RunRecord) -> Json {
        json!({
            "run": record_json(record),
            "headline": self.headline,
            "story": self.story,
            "error": record.error.as_ref().map(|error| error_json(error, &record.file)),
            "provider_words": self.words,
            "landed": json_of(&self.deeds.landed),
            "in_doubt": json_of(&self.deeds.in_doubt),
            "not_landed": json_of(&self.deeds.not_landed),
            "kept": json_of(&self.deeds.kept),
            "simulated": json_of(&self.deeds.simulated),
            "not_begun": json_of(&self.deeds.not_begun),
            "next": self.next.iter().map(|next| json!({
                "what": next.word, "command": next.command, "when": next.note,
            })).collect::<Vec<_>>(),
        })
    }
}

fn json_of(deeds: &[Deed]) -> Vec<Json> {
    let shown = deeds
        .iter()
        .map(|deed| json!({ "step": deed.step, "name": deed.name, "about": deed.about, "what": deed.what }));
    shown.collect()
}

#[cfg(test)]
mod why_tests;
