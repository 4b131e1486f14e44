//! A run as a text for a snapshot: what it asked of the world, in order, and how it ended.
//!
//! Answers are left out, for the test has given them; so are places and times, which change with every line that is
//! added above.

use super::played::Played;
use crate::journal::Answer;
use crate::value::Value;

/// What is longer than this stands on lines of its own.
const LINE_CHARS_MAX: usize = 100;

/// The run as text.
pub fn run(played: &Played) -> String {
    let inner = played.get();
    let head = format!("{} {}", inner.playbook, short_or_spread(&inner.input, "  "));
    let mut text = format!("{}\n", head.trim_end());
    for answer in &inner.effects {
        text.push_str(&effect(answer));
    }
    for log in &inner.logs {
        let part = |name: &str| log.get(name).cloned().unwrap_or_default();
        let fields = match part("fields") {
            Value::Unit => String::new(),
            fields => format!(" {fields}"),
        };
        let level = part("level");
        let level = level.as_str().unwrap_or_default();
        text.push_str(&format!("log {level:<5} {}{fields}\n", part("message")));
    }
    for child in &inner.children {
        for line in run(child).lines() {
            text.push_str(&format!("  | {line}\n"));
        }
    }
    let end = match (&inner.outcome.error, &inner.waits) {
        (None, None) => format!(
            "{} {}",
            inner.outcome.status.code(),
            short_or_spread(&inner.outcome.value, "  ")
        ),
        (Some(error), _) => {
            let failure = &error.failure;
            let status = inner.outcome.status.code();
            format!("{status} {} {}", failure.code, Value::from(failure.message.as_str()))
        }
        (None, Some(what)) => format!("waits for {what}"),
    };
    text + end.trim_end() + "\n"
}

/// Any other value as text.
pub fn value(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{}\n", text.trim_end_matches('\n')),
        other => spread(other, "") + "\n",
    }
}

/// One effect: `2 write slack.post {"text":"…"}`, and what is special about its answer.
fn effect(answer: &Answer) -> String {
    let asked = &answer.asked;
    let head = format!("{} {} {}", asked.step, asked.class.as_str(), asked.name);
    let head = format!("{head} {}", short_or_spread(&asked.args, "    "));
    let mut text = format!("{}\n", head.trim_end());
    if answer.simulated.is_some() {
        text.push_str("    simulated\n");
    }
    if let Some(decision) = &answer.decision {
        text.push_str(&format!("    gate: {decision}\n"));
    }
    if answer.attempts > 1 {
        text.push_str(&format!("    attempts: {}\n", answer.attempts));
    }
    if answer.in_doubt {
        text.push_str("    in doubt\n");
    }
    if let Some(error) = &answer.error {
        text.push_str(&format!(
            "    error: {} {}\n",
            error.code,
            Value::from(error.message.as_str())
        ));
    }
    text
}

fn short_or_spread(value: &Value, indent: &str) -> String {
    let text = match value {
        Value::Unit => return String::new(),
        Value::Map(map) if map.is_empty() => return String::new(),
        value => value.to_string(),
    };
    if text.chars().count() <= LINE_CHARS_MAX {
        return text;
    }
    spread(value, indent)
}

fn spread(value: &Value, indent: &str) -> String {
    let text = serde_json::to_string_pretty(&value.to_json()).expect("values are plain data");
    text.replace('\n', &format!("\n{indent}"))
}
