//! Inlay hints: beside each effect, what came of it in the last run of exactly this text.

use lsp_types::{InlayHint, InlayHintLabel, InlayHintTooltip, Position, Range};

use super::session::View;
use crate::journal::Answer;
use crate::report::lines::gist;

/// Hints of one answer.
const HINTS_MAX: usize = 500;

/// The longest that is said beside a line.
const CHARS_MAX: usize = 60;

/// The longest that is said when somebody points at it.
const TOOLTIP_CHARS_MAX: usize = 2000;

pub fn hints(view: &mut View<'_>, range: Range) -> Vec<InlayHint> {
    let source = view.source.clone();
    let Some(last) = view.session.recorded.last_run(&view.home, &source.text) else {
        return Vec::new();
    };
    // The answers of each line, in the order of the run.
    let mut lines: Vec<(u32, Vec<&Answer>)> = Vec::new();
    for answer in &last.answers {
        let place = &answer.asked.place;
        let Some(line) = place.line.checked_sub(1).filter(|_| place.module.is_none()) else {
            continue;
        };
        match lines.iter().position(|(known, _)| *known == line) {
            Some(at) => lines[at].1.push(answer),
            None if line < range.start.line || line > range.end.line => {}
            None if lines.len() < HINTS_MAX => lines.push((line, vec![answer])),
            None => {}
        }
    }
    let run = last.record.run.short();
    let made = lines.into_iter().filter_map(|(line, answers)| {
        let span = source.positions.line(&source.text, line as usize)?;
        let code = span.of(&source.text).trim_end();
        let end = span.start + code.len() as u32;
        let newest = answers.last()?;
        let times = match answers.len() {
            1 => String::new(),
            times => format!(" (the last of {times})"),
        };
        let told = |answer: &Answer, most: usize| {
            let words: String = gist(answer)
                .chars()
                .map(|letter| if letter.is_control() { ' ' } else { letter })
                .collect();
            let words = if words.is_empty() { "()".to_owned() } else { words };
            let short: String = words.chars().take(most).collect();
            let cut = if short.len() < words.len() { "…" } else { "" };
            let mark = if answer.simulated.is_some() { "sim " } else { "" };
            format!("{mark}{short}{cut}")
        };
        Some(InlayHint {
            position: source.positions.position(&source.text, end),
            label: InlayHintLabel::String(format!("→ {}{times}", told(newest, CHARS_MAX))),
            kind: None,
            text_edits: None,
            tooltip: Some(InlayHintTooltip::String(format!(
                "{} in run {run}: {}",
                newest.asked.name,
                told(newest, TOOLTIP_CHARS_MAX)
            ))),
            padding_left: Some(true),
            padding_right: None,
            data: None,
        })
    });
    let mut hints: Vec<InlayHint> = made.collect();
    hints.sort_by_key(|hint| position_key(hint.position));
    hints
}

fn position_key(position: Position) -> (u32, u32) {
    (position.line, position.character)
}
