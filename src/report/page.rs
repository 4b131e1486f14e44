//! A what-if as a page of its own: no script, nothing loaded from elsewhere, everything from outside escaped.

use minijinja::{AutoEscape, Environment, Value as Shown, context};

use super::changes::FieldChange;
use super::whatif::{about, came_of_it, differences, mark, remarks, result_changes, verdict};
use crate::journal::{Answer, Outcome};
use crate::runs::diff::{Diff, Verdict};
use crate::runs::whatif::WhatIf;
use crate::value::Value;

/// Characters of one value that are shown; all of it is in `--json`.
const VALUE_CHARS_MAX: usize = 4_000;

/// Effects on one page; more would not open.
const STEPS_MAX: usize = 5_000;

const TEMPLATE: &str = include_str!("whatif.html");

/// The page.
pub fn whatif_page(whatif: &WhatIf, file: &str) -> String {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let template = environment
        .template_from_str(TEMPLATE)
        .expect("the page's template is our own");
    let begun = &whatif.recorded.begun;
    let counts = whatif.counts();
    let steps: Vec<Shown> = whatif.steps.iter().take(STEPS_MAX).map(step).collect();
    let same_script = whatif.script == begun.version;
    let shown = template.render(context! {
        run => begun.run.to_string(),
        short => begun.run.short(),
        playbook => visible(&begun.playbook),
        version => begun.version.short(),
        begun => super::entries::timestamp(begun.at_ms, 0),
        mode => begun.mode.as_str().to_uppercase(),
        file => visible(file),
        same_script,
        script => whatif.script.short(),
        input_changed => whatif.input != begun.input,
        input_before => json(&begun.input),
        input_now => json(&whatif.input),
        before => whatif.before.as_ref().map(outcome),
        now => outcome(&whatif.now),
        result_fields => whatif.before.as_ref().map(|before| result_changes(before, &whatif.now)).unwrap_or_default()
            .iter().map(field).collect::<Vec<_>>(),
        same_outcome => whatif.same_outcome(),
        counts => vec![
            ("kept", counts.kept), ("changed", counts.changed), ("new", counts.new), ("gone", counts.gone),
            ("moved", counts.reordered),
        ],
        unrecorded => counts.unrecorded,
        steps,
        left_out => whatif.steps.len().saturating_sub(STEPS_MAX),
    });
    shown.expect("the template names only what it is given")
}

fn outcome(outcome: &Outcome) -> Shown {
    context! {
        status => outcome.status.to_string(),
        good => outcome.status == crate::journal::Status::Succeeded,
        value => json(&outcome.value),
        has_value => !outcome.value.is_unit(),
        code => outcome.error.as_ref().map(|error| error.failure.code.clone()),
        message => outcome.error.as_ref().map(|error| visible(&error.failure.message)),
        line => outcome.error.as_ref().map(|error| error.place.line).filter(|line| *line > 0),
        step => outcome.error.as_ref().and_then(|error| error.step),
    }
}

fn step(diff: &Diff) -> Shown {
    let side = |answer: Option<&Answer>| {
        answer.map(|answer| {
            context! {
                args => json(&answer.asked.args),
                value => match &answer.error {
                    Some(failure) => visible(&failure.to_string()),
                    None => json(&answer.value),
                },
                failed => answer.error.is_some(),
                simulated => answer.simulated.as_ref().map(|why| visible(why)),
            }
        })
    };
    // What was sent and not answered has arguments all the same.
    let unanswered = diff
        .before
        .as_ref()
        .filter(|before| before.answer.is_none())
        .map(|before| Answer {
            asked: before.asked.clone(),
            ..Answer::default()
        });
    let answered = diff.before.as_ref().and_then(|before| before.answer.as_ref());
    context! {
        old => diff.old_step(),
        new => diff.new_step(),
        mark => mark(diff),
        class => if diff.is_unrecorded() { "unrecorded" } else if diff.reordered && diff.verdict == Verdict::Kept { "changed" } else { diff.verdict.as_str() },
        verdict => verdict(diff),
        name => visible(&diff.asked().name),
        kind => diff.asked().class.as_str(),
        about => visible(&cut(&about(diff), 160)),
        came => visible(&cut(&came_of_it(diff), 160)),
        fields => differences(diff).iter().map(field).collect::<Vec<_>>(),
        remarks => remarks(diff).iter().map(|remark| visible(remark)).collect::<Vec<_>>(),
        is_out => diff.touches_what_is_out(),
        landing => diff.landing().as_str(),
        before => side(answered.or(unanswered.as_ref())),
        now => side(diff.now.as_ref().map(|now| &now.answer)),
    }
}

fn field(change: &FieldChange) -> Shown {
    let side = |value: &Option<Value>| match value {
        None => None,
        Some(Value::Text(text)) if text.is_empty() => Some("\"\"".to_owned()),
        Some(Value::Text(text)) => Some(visible(&cut(text, VALUE_CHARS_MAX))),
        Some(other) => Some(json(other)),
    };
    context! {
        path => visible(&change.path),
        before => side(&change.before),
        after => side(&change.after),
    }
}

fn json(value: &Value) -> String {
    let text = serde_json::to_string_pretty(&value.to_json()).expect("values are plain data");
    visible(&cut(&text, VALUE_CHARS_MAX))
}

fn cut(text: &str, chars_max: usize) -> String {
    let mut kept: String = text.chars().take(chars_max).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    kept
}

/// Without characters that turn the direction of what follows, or that no page can show.
fn visible(text: &str) -> String {
    let hidden = |letter: char| {
        letter.is_control() && !matches!(letter, '\n' | '\t')
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars()
        .map(|letter| if hidden(letter) { '\u{fffd}' } else { letter })
        .collect()
}
