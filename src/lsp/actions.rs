//! Code actions: the fixes of findings, and all safe ones at once.

use lsp_types::{CodeAction, CodeActionKind, CodeActionOrCommand, Range, TextEdit, WorkspaceEdit};

use super::diagnostics::{diagnostic, file_of, findings};
use super::session::View;
use super::source::Source;
use crate::script::findings::{Edit, edits};

/// Actions of one answer.
const ACTIONS_MAX: usize = 50;

pub fn actions(view: &mut View<'_>, range: Range, only: Option<&[CodeActionKind]>) -> Vec<CodeActionOrCommand> {
    let wants = |kind: &CodeActionKind| {
        let within = |wanted: &CodeActionKind| {
            kind == wanted
                || kind
                    .as_str()
                    .strip_prefix(wanted.as_str())
                    .is_some_and(|rest| rest.starts_with('.'))
        };
        only.is_none_or(|only| only.is_empty() || only.iter().any(within))
    };
    let source = view.source.clone();
    let file = file_of(view);
    let found = findings(view);
    let mut actions = Vec::new();
    if wants(&CodeActionKind::QUICKFIX) {
        for finding in &found {
            let shown = diagnostic(view, &source, finding);
            if !overlaps(shown.range, range) {
                continue;
            }
            for fix in finding
                .fixes
                .iter()
                .filter(|fix| fix.edits.iter().all(|edit| edit.file == file))
            {
                actions.push(CodeAction {
                    title: fix.title.clone(),
                    kind: Some(CodeActionKind::QUICKFIX),
                    diagnostics: Some(vec![shown.clone()]),
                    edit: Some(edit_of(&source, fix.edits.iter())),
                    is_preferred: Some(fix.is_safe),
                    ..CodeAction::default()
                });
            }
        }
    }
    let safe = edits::choose(&found, &file);
    if wants(&CodeActionKind::SOURCE_FIX_ALL) && !safe.is_empty() {
        let all = safe.iter().flat_map(|(_, fix)| &fix.edits);
        actions.push(CodeAction {
            title: match safe.len() {
                1 => "make the one safe fix of this file".to_owned(),
                count => format!("make all {count} safe fixes of this file"),
            },
            kind: Some(CodeActionKind::SOURCE_FIX_ALL),
            edit: Some(edit_of(&source, all)),
            ..CodeAction::default()
        });
    }
    actions.truncate(ACTIONS_MAX);
    actions.into_iter().map(CodeActionOrCommand::CodeAction).collect()
}

fn overlaps(one: Range, other: Range) -> bool {
    one.start <= other.end && other.start <= one.end
}

fn edit_of<'e>(source: &Source, edits: impl Iterator<Item = &'e Edit>) -> WorkspaceEdit {
    let is_crlf = source.text.contains("\r\n");
    let edits = edits.map(|edit| {
        let text = match is_crlf {
            true => edit.text.replace("\r\n", "\n").replace('\n', "\r\n"),
            false => edit.text.clone(),
        };
        TextEdit::new(source.range(edit.span), text)
    });
    WorkspaceEdit::new([(source.uri.clone(), edits.collect())].into())
}
