//! Prompts that are rendered, and their variables, both ways.

use super::project::Prompt;
use super::sheet::{Sheet, listed};
use super::view::{View, named_call};
use crate::script::error::nearest;
use crate::script::syntax::tree::Entry;
use crate::script::syntax::{Expr, Span};

const ENDINGS: [&str; 3] = [".md", ".txt", ".j2"];

/// What can be said against every `prompt::render` whose prompt is named by a literal.
pub fn check(view: &View<'_>, sheet: &mut Sheet<'_>) {
    let Some(prompts) = &view.project.prompts else {
        return;
    };
    view.tree.walk(&mut |node| {
        if let Some(("render", args, prompt)) = named_call(node, "prompt") {
            let first = &args[0];
            let bare = ENDINGS
                .iter()
                .find_map(|ending| prompt.strip_suffix(ending))
                .unwrap_or(prompt);
            match prompts.get(bare) {
                Some(known) => variables(known, first, args.get(1), sheet),
                None => missing(prompt, first.span, prompts.keys(), sheet),
            }
        }
        true
    });
}

fn missing<'k>(name: &str, span: Span, known: impl Iterator<Item = &'k String> + Clone, sheet: &mut Sheet<'_>) {
    let said = sheet.say(
        "PROMPT_NOT_FOUND",
        span,
        format!("there is no prompt {name:?} below prompts/"),
    );
    let bare = name.trim_start_matches("./").trim_start_matches("prompts/");
    let names = || known.clone().map(String::as_str);
    let exact = names().find(|known| *known == bare || known.rsplit('/').next() == Some(bare));
    match exact.or_else(|| nearest(bare, names())) {
        Some(near) => {
            said.help(format!("did you mean {near:?}?"))
                .fix(format!("write {near:?}"), span, format!("{near:?}"))
        }
        None => said.help(format!("write prompts/{bare}.md")),
    };
}

fn variables(prompt: &Prompt, name: &Expr, given: Option<&Expr>, sheet: &mut Sheet<'_>) {
    let entries = match given {
        None => &[],
        Some(given) => match given.as_map() {
            Some(entries) => entries,
            // Made elsewhere: what it holds is not known.
            None => return,
        },
    };
    let has = |variable: &str| entries.iter().any(|entry| entry.key.text == variable);
    let missing: Vec<&String> = prompt.required.iter().filter(|variable| !has(variable)).collect();
    let superfluous: Vec<&Entry> = entries
        .iter()
        .filter(|entry| !prompt.is_open && !prompt.variables.contains(&entry.key.text))
        .collect();
    // One that is misspelt is one fault, not two.
    let mut misspelt: Vec<&str> = Vec::new();
    for entry in &superfluous {
        let open = missing.iter().map(|variable| variable.as_str());
        if let Some(near) = nearest(&entry.key.text, open.filter(|name| !misspelt.contains(name))) {
            misspelt.push(near);
            sheet
                .say(
                    "PROMPT_VARIABLE",
                    entry.key.span,
                    format!(
                        "{} has no variable `{}`; did you mean `{near}`?",
                        prompt.file, entry.key.text
                    ),
                )
                .fix(format!("write `{near}`"), entry.key.span, near);
        } else {
            let span = entry_with_comma(entries, entry);
            sheet
                .say(
                    "UNUSED_PROMPT_VARIABLE",
                    entry.key.span,
                    format!("{} does not use the variable `{}`", prompt.file, entry.key.text),
                )
                .proposal(format!("leave `{}` out", entry.key.text), span, "");
        }
    }
    let missing: Vec<String> = missing
        .into_iter()
        .filter(|variable| !misspelt.contains(&variable.as_str()))
        .map(|variable| format!("`{variable}`"))
        .collect();
    if !missing.is_empty() {
        let plural = if missing.len() == 1 {
            "the variable"
        } else {
            "the variables"
        };
        let example: Vec<String> = missing
            .iter()
            .map(|name| format!("{}: …", name.trim_matches('`')))
            .collect();
        sheet
            .say(
                "PROMPT_VARIABLE",
                given.map_or(name.span, |given| given.span),
                format!("{} needs {plural} {}", prompt.file, listed(&missing)),
            )
            .help(format!(
                "give {} in the call: #{{ {} }}",
                listed(&missing),
                example.join(", ")
            ));
    }
}

/// An entry of a map with the comma that goes with it.
fn entry_with_comma(entries: &[Entry], entry: &Entry) -> Span {
    let at = entries
        .iter()
        .position(|other| other.key.span == entry.key.span)
        .unwrap_or_default();
    match (at.checked_sub(1), entries.get(at + 1)) {
        (_, Some(next)) => Span {
            start: entry.key.span.start,
            end: next.key.span.start,
        },
        (Some(before), None) => Span {
            start: entries[before].value.span.end,
            end: entry.value.span.end,
        },
        (None, None) => entry.key.span.to(entry.value.span),
    }
}
