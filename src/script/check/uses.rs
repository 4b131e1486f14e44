//! `uses` in the header, against what is really called.

use std::collections::{BTreeMap, BTreeSet};

use super::header::HeaderView;
use super::sheet::{Sheet, listed};
use super::view::View;
use crate::script::error::nearest;
use crate::script::syntax::{ExprKind, Span};

/// Writes that `uses` forgets, and providers that it names without need.
pub fn check(view: &View<'_>, sheet: &mut Sheet<'_>) {
    let Some(header) = &view.header else { return };
    let uses = header.uses();
    let named: BTreeSet<&str> = uses.iter().map(|(used, _)| provider(used)).collect();
    let mut missing: BTreeMap<&str, (String, Span)> = BTreeMap::new();
    for (function, span) in view.summary.reached(view.project) {
        let Some(provider) = view.project.writers.get(&function) else {
            continue;
        };
        // One that is misspelt in `uses` is told there.
        let is_misspelt =
            || nearest(provider, named.iter().copied()).is_some_and(|near| !view.project.providers.contains(near));
        if !named.contains(provider.as_str()) && !is_misspelt() {
            let first = missing.entry(provider).or_insert((function.clone(), span));
            if span < first.1 {
                *first = (function, span);
            }
        }
    }
    if !missing.is_empty() {
        tell_missing(header, &missing, sheet);
    }
    superfluous(view, &uses, sheet);
}

fn provider(used: &str) -> &str {
    used.split(':').next().unwrap_or(used)
}

fn tell_missing(header: &HeaderView<'_>, missing: &BTreeMap<&str, (String, Span)>, sheet: &mut Sheet<'_>) {
    let quoted: Vec<String> = missing.keys().map(|provider| format!("{provider:?}")).collect();
    let names: Vec<String> = missing.keys().map(|provider| (*provider).to_owned()).collect();
    let (edit, place) = match header.get("uses").map(|entry| &entry.value) {
        Some(value) => {
            let is_empty = matches!(&value.bare().kind, ExprKind::Array(items) if items.is_empty());
            let last = match &value.bare().kind {
                ExprKind::Array(items) => items.last().map(|item| item.span.end),
                _ => None,
            };
            let at = last.unwrap_or(value.span.start + 1);
            let lead = if is_empty { "" } else { ", " };
            (
                (Span { start: at, end: at }, format!("{lead}{}", quoted.join(", "))),
                value.span,
            )
        }
        None => {
            // After the title, where there is one: that is where people look for it.
            let after = header.get("title").map(|entry| entry.value.span.end);
            let list = format!("uses: [{}]", quoted.join(", "));
            match after {
                Some(at) => ((Span { start: at, end: at }, format!(", {list}")), header.span),
                None => {
                    let at = header.span.start + 2;
                    let comma = if header.entries.is_empty() { " " } else { "," };
                    ((Span { start: at, end: at }, format!(" {list}{comma}")), header.span)
                }
            }
        }
    };
    let (first, span) = missing
        .values()
        .min_by_key(|(_, span)| *span)
        .expect("there is one")
        .clone();
    let place = sheet.region(place);
    sheet
        .say(
            "NOT_IN_USES",
            span,
            format!(
                "the playbook writes to {} with `{first}`, but `uses` does not say so: live, the gate will refuse",
                listed(&names)
            ),
        )
        .related(place, "here it should be named")
        .help(format!("add {} to `uses` in PLAYBOOK", quoted.join(", ")))
        .fixes(format!("add {} to `uses`", quoted.join(", ")), vec![edit], true);
}

fn superfluous(view: &View<'_>, uses: &[(&str, &crate::script::syntax::Expr)], sheet: &mut Sheet<'_>) {
    let project = view.project;
    // Another playbook that is started has a header of its own; its writes are its own, too.
    let mentioned = view.summary.mentioned(project);
    let written: BTreeSet<&str> = mentioned
        .iter()
        .filter_map(|function| project.writers.get(function))
        .map(String::as_str)
        .collect();
    let writable: BTreeSet<&str> = project.writers.values().map(String::as_str).collect();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for (at, (used, value)) in uses.iter().enumerate() {
        let name = provider(used);
        let is_double = !seen.insert(used);
        if is_double || (writable.contains(name) && !written.contains(name)) {
            let message = match is_double {
                true => format!("`uses` names {used:?} twice"),
                false => format!("`uses` names {used:?}, and nothing here writes to it"),
            };
            let span = item_with_comma(uses, at);
            sheet
                .say("UNUSED_PROVIDER", value.span, message)
                .fix(format!("take {used:?} out of `uses`"), span, "");
        }
    }
}

/// An item of a list with the comma that goes with it.
fn item_with_comma(uses: &[(&str, &crate::script::syntax::Expr)], at: usize) -> Span {
    let own = uses[at].1.span;
    match (at.checked_sub(1), uses.get(at + 1)) {
        (_, Some((_, next))) => Span {
            start: own.start,
            end: next.span.start,
        },
        (Some(before), None) => Span {
            start: uses[before].1.span.end,
            end: own.end,
        },
        (None, None) => own,
    }
}
