//! A what-if and a backtest: the stable shapes of `--json`, and what both text and page say of one effect.

use serde_json::{Value as Json, json};

use super::changes::{FieldChange, changes};
use super::entries;
use super::lines::{gist, subject};
use super::summary::error_json;
use crate::gate::{Given, Origin};
use crate::journal::{Answer, Outcome};
use crate::runs::diff::{Diff, Landing, Verdict};
use crate::runs::whatif::WhatIf;
use crate::value::Value;

/// What `replay --with --json` gives.
pub fn whatif_json(whatif: &WhatIf, file: &str) -> Json {
    let begun = &whatif.recorded.begun;
    let counts = whatif.counts();
    json!({
        "run_id": begun.run.to_string(),
        "playbook": begun.playbook,
        "begun": entries::timestamp(begun.at_ms, 0),
        "recorded_with": begun.version.to_string(),
        "replayed_with": { "file": file, "version": whatif.script.to_string() },
        "input": { "before": begun.input.to_json(), "now": whatif.input.to_json() },
        "before": whatif.before.as_ref().map(|outcome| outcome_json(outcome, &begun.file)),
        "now": outcome_json(&whatif.now, file),
        "same_outcome": whatif.same_outcome(),
        "same_effects": whatif.same_effects(),
        "counts": {
            "kept": counts.kept,
            "changed": counts.changed,
            "new": counts.new,
            "gone": counts.gone,
            "reordered": counts.reordered,
            "unrecorded": counts.unrecorded,
        },
        "steps": whatif.steps.iter().map(diff_json).collect::<Vec<_>>(),
    })
}

/// How a run ended, as JSON.
pub fn outcome_json(outcome: &Outcome, file: &str) -> Json {
    json!({
        "status": outcome.status.code(),
        "value": outcome.value.to_json(),
        "error": outcome.error.as_ref().map(|error| error_json(error, file)),
    })
}

/// One effect, then and now.
pub fn diff_json(diff: &Diff) -> Json {
    let asked = diff.asked();
    let before = diff.before.as_ref().map(|before| {
        let mut side = side_json(&before.asked.args, before.answer.as_ref());
        side["step"] = json!(before.asked.step);
        side["line"] = json!(before.asked.place.line);
        side["landing"] = json!(before.landing.as_str());
        side
    });
    let now = diff.now.as_ref().map(|now| {
        let mut side = side_json(&now.answer.asked.args, Some(&now.answer));
        side["step"] = json!(now.answer.asked.step);
        side["line"] = json!(now.answer.asked.place.line);
        side["answered"] = json!(origin_code(&now.origin));
        side["recorded"] = json!(!now.origin.is_unrecorded());
        side["note"] = json!(now.note);
        side
    });
    json!({
        "verdict": diff.verdict.as_str(),
        "reordered": diff.reordered,
        "name": asked.name,
        "class": asked.class.as_str(),
        "before": before,
        "now": now,
    })
}

fn side_json(args: &Value, answer: Option<&Answer>) -> Json {
    json!({
        "args": args.to_json(),
        "outcome": answer.map(|answer| answer.value.to_json()),
        "error": answer.and_then(|answer| answer.error.as_ref()).map(entries::failure),
        "simulated": answer.and_then(|answer| answer.simulated.as_deref()),
        "decision": answer.and_then(|answer| answer.decision.as_deref()),
    })
}

/// Where an answer came from, as JSON names it.
pub fn origin_code(origin: &Origin) -> &'static str {
    match origin {
        Origin::Record => "record",
        Origin::Again(_) => "record_again",
        Origin::Computed => "computed",
        Origin::Guessed => "guessed",
        Origin::Derived => "derived",
        Origin::Simulated(_) => "simulated",
        Origin::StandIn(_) => "stand_in",
        Origin::Unrecorded => "not_recorded",
        Origin::Told => "told",
        Origin::Nowhere => "not_answered",
    }
}

/// The symbol of an effect: `= ~ + − ?`.
pub fn mark(diff: &Diff) -> &'static str {
    match diff.verdict {
        _ if diff.is_unrecorded() => "?",
        _ if diff.reordered => "~",
        Verdict::Kept => "=",
        Verdict::Changed => "~",
        Verdict::New => "+",
        Verdict::Gone => "−",
    }
}

/// What became of an effect, in a word or two.
pub fn verdict(diff: &Diff) -> String {
    match (diff.verdict, diff.reordered) {
        (Verdict::Kept, true) => "moved".to_owned(),
        (verdict, true) => format!("{}, moved", verdict.as_str()),
        (verdict, false) => verdict.as_str().to_owned(),
    }
}

/// Which fields differ: of the arguments, and where these are the same, of the answer.
pub fn differences(diff: &Diff) -> Vec<FieldChange> {
    let (Some(before), Some(now)) = (&diff.before, &diff.now) else {
        return Vec::new();
    };
    let asked = changes(&before.asked.args, &now.answer.asked.args);
    if !asked.is_empty() {
        return asked;
    }
    match &before.answer {
        Some(answer) if diff.verdict == Verdict::Changed => answered(answer, &now.answer),
        _ => Vec::new(),
    }
}

/// What differs between two answers to one question.
fn answered(before: &Answer, now: &Answer) -> Vec<FieldChange> {
    let whole = |answer: &Answer| match &answer.error {
        Some(failure) => Value::from(failure.code.as_str()),
        None => answer.value.clone(),
    };
    let mut found = changes(&whole(before), &whole(now));
    for change in &mut found {
        change.path = match change.path.as_str() {
            "" => "answer".to_owned(),
            path => format!("answer.{path}"),
        };
    }
    found
}

/// In which fields the results differ, of two ends that succeeded.
pub fn result_changes(before: &Outcome, now: &Outcome) -> Vec<FieldChange> {
    if before.error.is_some() || now.error.is_some() || before.status != now.status {
        return Vec::new();
    }
    changes(&before.value, &now.value)
}

/// What is said beside an effect: whose answer it was given, and what is out in the world already.
pub fn remarks(diff: &Diff) -> Vec<String> {
    let mut remarks = Vec::new();
    if diff.touches_what_is_out() {
        let step = diff.old_step().unwrap_or_default();
        remarks.push(match diff.landing() {
            Landing::InDoubt => format!("step {step} was sent, and nobody knows whether it landed"),
            _ => format!("step {step} has landed: that cannot be taken back by editing"),
        });
    }
    let Some(now) = &diff.now else { return remarks };
    remarks.extend(origin(now));
    if let Some(decision) = &now.answer.decision
        && diff.verdict != Verdict::Kept
    {
        remarks.push(format!("publish: {decision}"));
    }
    remarks.extend(now.note.clone());
    remarks
}

fn origin(now: &Given) -> Option<String> {
    Some(match &now.origin {
        Origin::Record => return None,
        Origin::Computed => return None,
        Origin::Again(step) => format!("answered as step {step} of the record, which asked the same"),
        Origin::Guessed => "not recorded: computed from what the record shows of the store".to_owned(),
        Origin::Derived if now.answer.asked.name.starts_with("time.") => "from the recorded times around it".to_owned(),
        Origin::Derived => return None,
        Origin::Simulated(why) => format!("simulated, as the run would have: {why}"),
        Origin::StandIn(step) => {
            format!("not recorded: the answer of then (step {step}) stands in, as if nothing had been changed here")
        }
        Origin::Unrecorded => match &now.answer.error {
            Some(_) => "not recorded, and it has no simulation".to_owned(),
            None => "not recorded: simulated".to_owned(),
        },
        Origin::Told => "not recorded: answered by hand".to_owned(),
        Origin::Nowhere => "not recorded: the what-if ends here".to_owned(),
    })
}

/// What an effect is about, in a few words.
pub fn about(diff: &Diff) -> String {
    let of = |asked: &crate::journal::Asked| {
        subject(&Answer {
            asked: asked.clone(),
            ..Answer::default()
        })
    };
    of(diff.asked())
}

/// What came of it: now, or of what is gone then.
pub fn came_of_it(diff: &Diff) -> String {
    let answer = match (&diff.now, &diff.before) {
        (Some(now), _) => Some(&now.answer),
        (None, Some(before)) => before.answer.as_ref(),
        (None, None) => None,
    };
    answer.map(gist).unwrap_or_default()
}
