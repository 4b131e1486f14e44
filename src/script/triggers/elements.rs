//! What starts a playbook beside schedules, and how its runs stand to each other.

use std::time::Duration;

use super::arrival::why_never;
use super::complaint::{Reader, excerpt};
use super::{Awaits, Consumes, Follows, Overlap, Policy};
use crate::journal::Status;
use crate::script::error::nearest;
use crate::value::Value;

const QUEUE_BYTES_MAX: usize = 64;
const EVENT_BYTES_MAX: usize = 200;
const PATTERN_BYTES_MAX: usize = 400;
const PLAYBOOK_BYTES_MAX: usize = 400;
pub(super) const LIST_MAX: usize = 50;
pub(super) const CONCURRENCY_MAX: u32 = 1000;

/// A file that has not changed for so long has arrived.
const SETTLE: Duration = Duration::from_secs(2);
const SETTLE_MS_MAX: u64 = 60 * 60 * 1000;

const POLICIES: [(&str, Policy); 4] = [
    ("skip", Policy::Skip),
    ("queue", Policy::Queue),
    ("allow", Policy::Allow),
    ("cancel_previous", Policy::CancelPrevious),
];

/// How a run may have ended; `any` is however it did.
const ENDS: [(&str, Option<Status>); 5] = [
    ("succeeded", Some(Status::Succeeded)),
    ("failed", Some(Status::Failed)),
    ("cancelled", Some(Status::Cancelled)),
    ("needs_attention", Some(Status::NeedsAttention)),
    ("any", None),
];

pub(super) fn overlap(reader: &mut Reader<'_>, value: &Value) -> Option<Overlap> {
    let Value::Map(map) = value else {
        let policy = reader.word(value, &POLICIES)?;
        return Some(Overlap { policy, by: None });
    };
    reader.known(map, &["policy", "by"]);
    let policy = reader.at(map, "policy", |reader, value| reader.word(value, &POLICIES));
    let by = reader.at(map, "by", |reader, value| {
        let name = reader.text(value, "the name of an input, such as \"account\"")?;
        if let Some(inputs) = reader.inputs
            && !inputs.contains_key(name)
        {
            let near = nearest(name, inputs.keys().map(String::as_str));
            let hint = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
            let message = format!(
                "`by` of `overlap` names the input {:?}, and none is declared{hint}",
                excerpt(name)
            );
            reader.say("HEADER", message).fix = near.map(|near| format!("{near:?}"));
        }
        Some(name.to_owned())
    });
    Some(Overlap {
        policy: policy.unwrap_or_default(),
        by,
    })
}

pub(super) fn queue(reader: &mut Reader<'_>, value: &Value) -> Option<Consumes> {
    match value {
        Value::Text(_) => Some(Consumes {
            name: reader.plain_name(value, QUEUE_BYTES_MAX)?,
            concurrency: 1,
        }),
        Value::Map(map) => {
            reader.known(map, &["name", "concurrency"]);
            let concurrency = reader.at(map, "concurrency", |reader, value| reader.count(value, CONCURRENCY_MAX));
            if !map.contains_key("name") {
                reader.say("HEADER", "`queue` needs the queue's `name`");
            }
            Some(Consumes {
                name: reader.at(map, "name", |reader, value| reader.plain_name(value, QUEUE_BYTES_MAX))?,
                concurrency: concurrency.unwrap_or(1),
            })
        }
        other => {
            reader.wrong_kind(other, "a queue's name or a map #{ name: \"uploads\", concurrency: 4 }");
            None
        }
    }
}

pub(super) fn event(reader: &mut Reader<'_>, value: &Value) -> Option<String> {
    let text = reader.text(value, "an event's name or an array of names")?;
    if (1..=EVENT_BYTES_MAX).contains(&text.len()) {
        return Some(text.to_owned());
    }
    let bytes = text.len();
    reader.say(
        "HEADER",
        format!("the name of an event has 1 to {EVENT_BYTES_MAX} bytes, and this one has {bytes}"),
    );
    None
}

pub(super) fn files(reader: &mut Reader<'_>, value: &Value) -> Option<Awaits> {
    match value {
        Value::Text(_) => Some(Awaits {
            pattern: pattern(reader, value)?,
            settle: SETTLE,
        }),
        Value::Map(map) => {
            reader.known(map, &["pattern", "settle"]);
            let settle = reader.at(map, "settle", |reader, value| reader.duration(value, 0, SETTLE_MS_MAX));
            if !map.contains_key("pattern") {
                reader.say("HEADER", "`files` needs a `pattern`, such as \"inbox/*.mp4\"");
            }
            Some(Awaits {
                pattern: reader.at(map, "pattern", pattern)?,
                settle: settle.unwrap_or(SETTLE),
            })
        }
        other => {
            reader.wrong_kind(
                other,
                "a pattern, such as \"inbox/*.mp4\", or a map #{ pattern: \"…\", settle: \"5s\" }",
            );
            None
        }
    }
}

fn pattern(reader: &mut Reader<'_>, value: &Value) -> Option<String> {
    let text = reader.text(value, "a pattern, such as \"inbox/*.mp4\"")?;
    let why = if text.is_empty() || text.len() > PATTERN_BYTES_MAX {
        format!("it needs 1 to {PATTERN_BYTES_MAX} bytes")
    } else if text.starts_with('/') || text.contains('\\') || text.contains(':') {
        "it is a path below the project, with `/` between folders".to_owned()
    } else if text
        .split('/')
        .any(|part| part.is_empty() || part == "." || part == "..")
    {
        "it cannot leave the project's folder, nor have empty parts".to_owned()
    } else if text.contains(char::is_control) {
        "it has a control character".to_owned()
    } else if let Some(why) = why_never(text) {
        why.to_owned()
    } else {
        return Some(text.to_owned());
    };
    let shown = excerpt(text);
    reader.say("HEADER", format!("{shown:?} is no pattern of files: {why}"));
    None
}

pub(super) fn after(reader: &mut Reader<'_>, value: &Value) -> Option<Follows> {
    let playbook = |reader: &mut Reader<'_>, value: &Value| {
        let text = reader.text(value, "a playbook's name, such as \"daily/fetch\"")?;
        if text.is_empty() || text.len() > PLAYBOOK_BYTES_MAX || text.contains(char::is_control) {
            let shown = excerpt(text);
            reader.say("HEADER", format!("{shown:?} is no name of a playbook"));
            return None;
        }
        Some(text.trim_end_matches(".rhai").to_owned())
    };
    match value {
        Value::Text(_) => Some(Follows {
            playbook: playbook(reader, value)?,
            status: Some(Status::Succeeded),
        }),
        Value::Map(map) => {
            reader.known(map, &["playbook", "status"]);
            let status = reader.at(map, "status", |reader, value| reader.word(value, &ENDS));
            if !map.contains_key("playbook") {
                reader.say("HEADER", "`after` needs the name of a `playbook`");
            }
            Some(Follows {
                playbook: reader.at(map, "playbook", playbook)?,
                status: status.unwrap_or(Some(Status::Succeeded)),
            })
        }
        other => {
            reader.wrong_kind(
                other,
                "a playbook's name, a map #{ playbook: \"daily/fetch\", status: \"any\" } or an array of these",
            );
            None
        }
    }
}
