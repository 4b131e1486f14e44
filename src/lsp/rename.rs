//! Renaming: variables, functions (in the modules that import them, too), inputs.
//!
//! Whether a name is free is not guessed: the edits are made on copies of the texts, and every name must mean there what
//! it meant before.

use std::sync::Arc;

use lsp_types::{Position, PrepareRenameResponse, TextEdit, WorkspaceEdit};

use super::navigate::{Thing, places, thing};
use super::server::{Answer, Refusal};
use super::session::View;
use super::source::{HEADER, Source};
use crate::script::source::{CLEANUP, INPUT};
use crate::script::syntax::scopes::SymbolKind;
use crate::script::syntax::token::{KEYWORDS, RESERVED};
use crate::script::syntax::{Scopes, Span, parse};

/// The longest name.
const NAME_CHARS_MAX: usize = 100;

pub fn prepare(view: &mut View<'_>, position: Position) -> Answer<PrepareRenameResponse> {
    let offset = view.source.offset(position);
    let thing = renamable(view, offset)?;
    let places = places(view, &thing);
    let here = places.iter().filter(|(source, _)| source.uri == view.source.uri);
    let touched = here.flat_map(|(_, spans)| spans).find(|span| span.touches(offset));
    let span = touched.ok_or_else(|| Refusal::failed("there is nothing to rename here"))?;
    Ok(PrepareRenameResponse::Range(view.source.range(*span)))
}

pub fn rename(view: &mut View<'_>, position: Position, name: &str) -> Answer<WorkspaceEdit> {
    let offset = view.source.offset(position);
    let thing = renamable(view, offset)?;
    check_name(view, &thing, name)?;
    let places = places(view, &thing);
    for (source, spans) in &places {
        check_meaning(source, spans, &thing, name)?;
    }
    let edits = places.into_iter().map(|(source, mut spans)| {
        spans.sort();
        spans.dedup();
        let edits = spans
            .iter()
            .map(|span| TextEdit::new(source.range(*span), name.to_owned()));
        (source.uri.clone(), edits.collect())
    });
    Ok(WorkspaceEdit::new(edits.collect()))
}

fn renamable(view: &mut View<'_>, offset: u32) -> Answer<Thing> {
    let nothing = || Refusal::failed("there is nothing to rename here");
    let thing = thing(view, offset).ok_or_else(nothing)?;
    match &thing {
        Thing::File(_) => Err(Refusal::failed("files are renamed where they lie")),
        Thing::Input(name) if view.source.inputs().iter().all(|entry| entry.key.text != *name) => {
            Err(Refusal::failed(format!("the header declares no input `{name}`")))
        }
        Thing::Symbol { source, symbol } => {
            let name = &source.scopes.symbols[*symbol].name.text;
            if [HEADER, CLEANUP].contains(&name.as_str()) && source.scopes.symbols[*symbol].is_global {
                return Err(Refusal::failed(format!("`{name}` has its name from host")));
            }
            Ok(thing)
        }
        Thing::Input(_) => Ok(thing),
    }
}

fn check_name(view: &View<'_>, thing: &Thing, name: &str) -> Answer<()> {
    let refuse = |why: String| Err(Refusal::failed(why));
    let mut letters = name.chars();
    let begins = letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    if !begins
        || !letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        || name.chars().all(|letter| letter == '_')
    {
        return refuse(format!(
            "{:?} is no name: letters from a to z, digits and `_`, not beginning with a digit",
            shown(name)
        ));
    }
    if name.chars().count() > NAME_CHARS_MAX {
        return refuse(format!("the name is longer than {NAME_CHARS_MAX} characters"));
    }
    if KEYWORDS.contains(&name) || RESERVED.contains(&name) {
        return refuse(format!("`{name}` is a reserved word"));
    }
    match thing {
        Thing::Input(old) if name != old && view.source.inputs().iter().any(|entry| entry.key.text == name) => {
            refuse(format!("there is an input `{name}` already"))
        }
        Thing::Symbol { .. } if name == INPUT => refuse(format!("`{INPUT}` is what the run was given")),
        Thing::Symbol { source, symbol } => {
            let kind = source.scopes.symbols[*symbol].kind;
            if kind == SymbolKind::Import && view.knowledge.is_namespace(name) {
                return refuse(format!("`{name}::` is a namespace of host"));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn shown(name: &str) -> String {
    name.chars().take(40).collect()
}

/// Makes the edits on a copy, and compares what every name means.
fn check_meaning(source: &Arc<Source>, spans: &[Span], thing: &Thing, name: &str) -> Answer<()> {
    let mut ordered = spans.to_vec();
    ordered.sort();
    ordered.dedup();
    let mut text = source.text.to_string();
    for span in ordered.iter().rev() {
        text.replace_range(span.start as usize..span.end as usize, name);
    }
    let after = Scopes::of(&parse(&text));
    let before = &source.scopes;
    let taken = || {
        Refusal::failed(format!(
            "`{name}` is taken: something would mean another thing afterwards"
        ))
    };
    let meanings = |scopes: &Scopes| {
        scopes
            .references
            .iter()
            .map(|reference| reference.symbol)
            .collect::<Vec<_>>()
    };
    if after.symbols.len() != before.symbols.len() || meanings(&after) != meanings(before) {
        return Err(taken());
    }
    // Two of one name side by side: legal for variables, and hardly meant; not for functions.
    let Thing::Symbol {
        source: declared,
        symbol,
    } = thing
    else {
        return Ok(());
    };
    if !Arc::ptr_eq(declared, source) && declared.uri != source.uri {
        return Ok(());
    }
    let renamed = &before.symbols[*symbol];
    let clashes = before.symbols.iter().enumerate().any(|(at, other)| {
        at != *symbol && other.name.text == name && other.kind == renamed.kind && other.holds.end == renamed.holds.end
    });
    if clashes { Err(taken()) } else { Ok(()) }
}
