//! Hover: what stands under the cursor, in words.

use lsp_types::{Hover, HoverContents, MarkupContent, MarkupKind, Position};

use super::cursor::MapRole;
use super::knowledge::error_page;
use super::navigate::{Thing, field_at, thing};
use super::session::View;
use super::signature::kind_name;
use super::source::Source;
use super::texts::{Meaning, meaning};
use super::words::{self, ERROR_FIELDS, HEADER_KEYS, INPUT_KEYS};
use crate::script::reference::Function;
use crate::script::syntax::scopes::SymbolKind;
use crate::script::syntax::{ExprKind, Node, Span};

/// Forms of a function that are told at most.
const FORMS_MAX: usize = 6;

/// Lines of a prompt that are shown.
const PROMPT_LINES_MAX: usize = 12;

/// What is told at most.
const CHARS_MAX: usize = 8000;

pub fn hover(view: &mut View<'_>, position: Position) -> Option<Hover> {
    let offset = view.source.offset(position);
    if view.source.is_comment(offset) {
        return None;
    }
    let (span, words) = told(view, offset)?;
    Some(Hover {
        contents: HoverContents::Markup(MarkupContent {
            kind: MarkupKind::Markdown,
            value: words.chars().take(CHARS_MAX).collect(),
        }),
        range: Some(view.source.range(span)),
    })
}

fn told(view: &mut View<'_>, offset: u32) -> Option<(Span, String)> {
    if let Some(inner) = view.source.text_at(offset) {
        return Some((inner, text(view, offset, inner)?));
    }
    let word = view.source.word_at(offset);
    let source = view.source.clone();
    let word = if word.is_empty() {
        source.tree.token_at(offset).map(|token| token.span)?
    } else {
        word
    };
    let name = word.of(&source.text);
    if let Some(role) = key_at(&source, offset) {
        let about = match role {
            MapRole::Header => words::find(HEADER_KEYS, name)?,
            MapRole::Input => words::find(INPUT_KEYS, name)?,
            _ => return None,
        };
        return Some((word, format!("`{name}` — {about}")));
    }
    if let Some(words) = native(view, offset) {
        return Some((word, words));
    }
    if let Some((field, is_input)) = field_at(&source, offset)
        && !is_input
    {
        return Some((word, method(view, &source, offset, &field)?));
    }
    let thing = thing(view, offset)?;
    Some((word, declared(view, &thing)?))
}

/// The map whose key stands at `offset`.
fn key_at(source: &Source, offset: u32) -> Option<MapRole> {
    source.tree.path_to(offset).into_iter().rev().find_map(|node| {
        let Node::Expr(expr) = node else { return None };
        let entries = expr.as_map()?;
        let is_key = entries
            .iter()
            .any(|entry| entry.key.span.touches(offset) && !entry.value.span.touches(offset));
        is_key.then(|| source.role_of(expr.span.start))
    })
}

/// A function of a namespace, or the namespace itself.
fn native(view: &View<'_>, offset: u32) -> Option<String> {
    let knowledge = &view.knowledge;
    view.source.tree.path_to(offset).into_iter().rev().find_map(|node| {
        let Node::Expr(expr) = node else { return None };
        let (namespaces, name, args) = match &expr.kind {
            ExprKind::Call {
                namespaces, name, args, ..
            } => (namespaces, name, Some(args.len())),
            ExprKind::Path { namespaces, name } => (namespaces, name, None),
            _ => return None,
        };
        let namespace = namespaces
            .first()
            .filter(|namespace| knowledge.is_namespace(&namespace.text));
        match namespace {
            Some(namespace) if namespace.span.touches(offset) && !name.span.touches(offset) => {
                let functions = knowledge.functions.iter();
                let own = functions.filter(|function| function.name.split("::").next() == Some(&namespace.text));
                let mut names: Vec<&str> = own.filter_map(|function| function.name.split("::").nth(1)).collect();
                names.dedup();
                Some(format!("namespace `{}::` — {}", namespace.text, names.join(", ")))
            }
            Some(namespace) if name.span.touches(offset) => {
                forms(knowledge.named(&format!("{}::{}", namespace.text, name.text)), args)
            }
            None if namespaces.is_empty()
                && name.span.touches(offset)
                && view.source.scopes.symbol_at(offset).is_none() =>
            {
                forms(knowledge.methods_named(&name.text), None)
            }
            _ => None,
        }
    })
}

/// The forms of one function; the one that takes so many arguments first.
pub fn forms(mut found: Vec<&Function>, args: Option<usize>) -> Option<String> {
    if found.is_empty() {
        return None;
    }
    found.sort_by_key(|function| args.is_some_and(|args| function.parameters != args));
    let mut doc = None;
    let mut signatures = Vec::new();
    for function in found.into_iter().take(FORMS_MAX) {
        signatures.push(function.signature.as_str());
        doc = doc.or(Some(function.doc.as_str()).filter(|doc| !doc.is_empty()));
    }
    let code = format!("```rhai\n{}\n```", signatures.join("\n"));
    Some(match doc {
        Some(doc) => format!("{code}\n\n{doc}"),
        None => code,
    })
}

/// A field or method after a dot.
fn method(view: &View<'_>, source: &Source, offset: u32, name: &str) -> Option<String> {
    let is_error = source.tree.path_to(offset).into_iter().any(|node| {
        let Node::Expr(expr) = node else { return false };
        let ExprKind::Field { target, .. } = &expr.kind else {
            return false;
        };
        is_caught(source, target.bare().span)
    });
    let about = ERROR_FIELDS.iter().find(|(field, _)| is_error && *field == name);
    if let Some((field, about)) = about {
        return Some(format!("`{field}` of an error — {about}"));
    }
    let is_call = matches!(source.tree.path_to(offset).last(), Some(Node::Expr(expr)) if matches!(expr.kind, ExprKind::Method { .. }));
    match is_call {
        true => forms(view.knowledge.methods_named(name), None),
        false => None,
    }
}

/// Whether the variable at `span` is an error that was caught.
pub fn is_caught(source: &Source, span: Span) -> bool {
    let reference = source
        .scopes
        .references
        .iter()
        .find(|reference| reference.name.span == span);
    let symbol = reference.and_then(|reference| reference.symbol);
    symbol.is_some_and(|symbol| source.scopes.symbols[symbol].kind == SymbolKind::Caught)
}

/// Something that a script declares.
fn declared(view: &mut View<'_>, thing: &Thing) -> Option<String> {
    match thing {
        Thing::File(_) => None,
        Thing::Input(name) => {
            let source = view.source.clone();
            let entry = source.inputs().iter().find(|entry| entry.key.text == *name)?;
            let spec = entry.value.span.of(&source.text);
            Some(format!(
                "```rhai\ninput.{name}: {spec}\n```\n\nan input of this playbook"
            ))
        }
        Thing::Symbol { source, symbol } => {
            let symbol = &source.scopes.symbols[*symbol];
            let line = source.positions.line_of(symbol.name.span.start) + 1;
            let file = match (&source.path, source.uri == view.source.uri) {
                (Some(path), false) => format!("{}:{line}", view.home.shown(path)),
                _ => format!("line {line}"),
            };
            let code = source.line_at(symbol.name.span.start);
            let about = match symbol.kind {
                SymbolKind::Function { .. } => source.comment_above(symbol.declared.start),
                _ => String::new(),
            };
            let kind = kind_name(symbol.kind);
            let head = format!("```rhai\n{code}\n```\n\n{kind}, declared in {file}");
            Some(if about.is_empty() {
                head
            } else {
                format!("{head}\n\n{about}")
            })
        }
    }
}

/// What a text names.
fn text(view: &mut View<'_>, offset: u32, inner: Span) -> Option<String> {
    let name = inner.of(&view.source.text).to_owned();
    match meaning(&view.source, offset)? {
        Meaning::ErrorCode => error_page(&name).map(str::to_owned),
        Meaning::Prompt => {
            let project = view.session.project_of(&view.home);
            let bare = crate::namespaces::prompt::bare(&name);
            let prompt = project.prompts.as_ref()?.get(bare)?;
            let text = crate::namespaces::prompt::texts(&view.home.app.files()).remove(bare)?;
            let lines: Vec<&str> = text.lines().take(PROMPT_LINES_MAX).collect();
            let more = if text.lines().nth(PROMPT_LINES_MAX).is_some() {
                "\n…"
            } else {
                ""
            };
            let variables: Vec<String> = prompt
                .variables
                .iter()
                .map(|variable| format!("`{variable}`"))
                .collect();
            let variables = if variables.is_empty() {
                "none".to_owned()
            } else {
                variables.join(", ")
            };
            // Four marks, because a prompt may well hold three.
            Some(format!(
                "{} — variables: {variables}\n\n````text\n{}{more}\n````",
                prompt.file,
                lines.join("\n")
            ))
        }
        Meaning::Module | Meaning::Playbook => {
            let path = view.home.module_path(&name)?;
            let source = view.session.source_at(&path)?;
            let title = source
                .header_entry("title")
                .and_then(|title| title.value.as_str().map(str::to_owned));
            let first = source.text.lines().next().unwrap_or_default();
            let about = first.strip_prefix("//!").map(str::trim).unwrap_or_default();
            let shown = view.home.shown(&path);
            Some(
                format!("{shown}\n\n{}\n\n{about}", title.unwrap_or_default())
                    .trim()
                    .to_owned(),
            )
        }
        Meaning::Provider => {
            let provider = name.split(':').next().unwrap_or_default();
            let modes = view.home.app.provider_modes().ok()?;
            Some(match modes.get(provider)? {
                crate::effect::ProviderMode::Live => format!("`{provider}` — live"),
                crate::effect::ProviderMode::Simulated { why } => format!("`{provider}` — simulated: {why}"),
            })
        }
        Meaning::HeaderValue | Meaning::Argument => None,
    }
}
