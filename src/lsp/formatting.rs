//! Formatting, as edits of the lines that change: an editor keeps its cursor where nothing happens.

use lsp_types::{Range, TextEdit};
use similar::{DiffTag, TextDiff};

use super::server::{Answer, Refusal};
use super::source::Source;
use crate::script::format::format;
use crate::script::syntax::Span;

/// How long the comparison may take; a difference found later is coarse, and right.
const DIFF_TIME_MAX: std::time::Duration = std::time::Duration::from_millis(200);

/// The whole document.
pub fn whole(source: &Source) -> Answer<Vec<TextEdit>> {
    let formatted = format(&source.text).map_err(|why| Refusal::failed(format!("left as it is: {why}")))?;
    Ok(edits(source, &formatted))
}

/// What of it touches the lines of `range`. The whole is formatted: what is right for a part depends on the rest.
pub fn part(source: &Source, range: Range) -> Answer<Vec<TextEdit>> {
    let mut edits = whole(source)?;
    let last = if range.end.character == 0 && range.end.line > range.start.line {
        range.end.line - 1
    } else {
        range.end.line
    };
    edits.retain(|edit| edit.range.start.line <= last && edit.range.end.line >= range.start.line);
    Ok(edits)
}

fn edits(source: &Source, formatted: &str) -> Vec<TextEdit> {
    let diff = TextDiff::configure()
        .timeout(DIFF_TIME_MAX)
        .diff_lines(&*source.text, formatted);
    let line_starts = |slices: &[&str]| {
        let mut at = 0;
        let mut starts = vec![0];
        starts.extend(slices.iter().map(|line| {
            at += line.len();
            at
        }));
        starts
    };
    let (old, new) = (line_starts(diff.old_slices()), line_starts(diff.new_slices()));
    let changed = diff.ops().iter().filter(|op| op.tag() != DiffTag::Equal);
    let edit = |op: &similar::DiffOp| {
        let (before, after) = (op.old_range(), op.new_range());
        let span = Span::new(old[before.start], old[before.end]);
        TextEdit {
            range: source.range(span),
            new_text: formatted[new[after.start]..new[after.end]].to_owned(),
        }
    };
    changed.map(edit).collect()
}
