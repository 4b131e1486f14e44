//! Completion: what may stand where the cursor is.

use std::collections::BTreeSet;

use lsp_types::{
    CompletionItem, CompletionItemKind, CompletionItemLabelDetails, CompletionList, CompletionResponse,
    CompletionTextEdit, Documentation, InsertTextFormat, MarkupContent, MarkupKind, Position, TextEdit,
};

use super::completing_texts;
use super::cursor::MapRole;
use super::diagnostics::file_of;
use super::hover::is_caught;
use super::knowledge::{documented_fields, parameter_name, parameters};
use super::server::Answer;
use super::session::View;
use super::signature::kind_name;
use super::words::{ERROR_FIELDS, HEADER_KEYS, INPUT_KEYS, KEYWORDS, SNIPPETS};
use crate::script::check::summary::Summary;
use crate::script::check::view::View as Known;
use crate::script::reference::Function;
use crate::script::signatures::Kind;
use crate::script::syntax::scopes::SymbolKind;
use crate::script::syntax::tree::Entry;
use crate::script::syntax::{Expr, ExprKind, Node, Span, StmtKind};

/// What is offered at most; the editor asks again as the word grows.
const ITEMS_MAX: usize = 400;

/// What is offered, gathered for one place in the text.
pub struct Offers {
    pub items: Vec<CompletionItem>,
    /// What is replaced.
    pub span: Span,
}

impl Offers {
    pub fn add(
        &mut self,
        label: &str,
        kind: CompletionItemKind,
        detail: Option<String>,
        doc: Option<String>,
    ) -> &mut CompletionItem {
        self.items.push(CompletionItem {
            label: label.to_owned(),
            kind: Some(kind),
            detail,
            documentation: doc.filter(|doc| !doc.is_empty()).map(|value| {
                Documentation::MarkupContent(MarkupContent {
                    kind: MarkupKind::Markdown,
                    value,
                })
            }),
            ..CompletionItem::default()
        });
        self.items.last_mut().expect("one was just put there")
    }
}

pub fn complete(view: &mut View<'_>, position: Position) -> Answer<Option<CompletionResponse>> {
    let offset = view.source.offset(position);
    let mut offers = Offers {
        items: Vec::new(),
        span: view.source.word_at(offset),
    };
    offers.span.end = offers.span.end.max(offset);
    if let Some(inner) = view.source.text_at(offset) {
        offers.span = inner;
        completing_texts::offer(view, offset, &mut offers);
    } else if !view.source.is_comment(offset) {
        offer(view, offset, &mut offers);
    }
    let typed: String =
        view.source.text[offers.span.start as usize..offset.max(offers.span.start) as usize].to_lowercase();
    Ok(Some(CompletionResponse::List(finish(view, offers, &typed))))
}

/// Puts in what every item has, and leaves out what does not begin with what was typed when there is too much.
fn finish(view: &View<'_>, mut offers: Offers, typed: &str) -> CompletionList {
    let is_incomplete = offers.items.len() > ITEMS_MAX;
    if is_incomplete {
        offers.items.retain(|item| item.label.to_lowercase().contains(typed));
        offers.items.truncate(ITEMS_MAX);
    }
    let range = view.source.range(offers.span);
    for (at, item) in offers.items.iter_mut().enumerate() {
        let text = item.insert_text.take().unwrap_or_else(|| item.label.clone());
        if item.insert_text_format == Some(InsertTextFormat::SNIPPET) && !view.session.client.snippets {
            item.insert_text_format = None;
        }
        item.text_edit = Some(CompletionTextEdit::Edit(TextEdit::new(range, text)));
        item.sort_text.get_or_insert_with(|| format!("{at:04}"));
    }
    CompletionList {
        is_incomplete,
        items: offers.items,
    }
}

fn offer(view: &mut View<'_>, offset: u32, offers: &mut Offers) {
    let source = view.source.clone();
    let start = offers.span.start;
    let before = source.token_before(start).map(|token| token.span);
    match before.map(|span| span.of(&source.text)) {
        Some("::") => return after_colons(view, before.expect("it was just looked at"), offers),
        Some("." | "?.") => return after_dot(view, before.expect("it was just looked at"), offers),
        // What is declared gets a new name.
        Some("let" | "const" | "fn" | "as" | "for") => return,
        _ => {}
    }
    if let Some((taken, role)) = source.map_at_key(offset) {
        return keys(view, &taken, &role, offers);
    }
    anything(view, offset, offers);
}

/// The functions of a namespace or module.
fn after_colons(view: &mut View<'_>, colons: Span, offers: &mut Offers) {
    let source = view.source.clone();
    let Some(namespace) = source
        .token_before(colons.start)
        .map(|token| token.span.of(&source.text))
    else {
        return;
    };
    if let Some(module) = source.module_of(namespace) {
        let Some(module) = view
            .home
            .module_path(&module)
            .and_then(|path| view.session.source_at(&path))
        else {
            return;
        };
        for stmt in &module.tree.root.stmts {
            match &stmt.kind {
                StmtKind::Fn(function) if !function.is_private => {
                    let params: Vec<&str> = function.params.iter().map(|param| param.text.as_str()).collect();
                    let doc = module.comment_above(stmt.span.start);
                    let signature = format!("{}({})", function.name.text, params.join(", "));
                    call(
                        view,
                        &function.name.text,
                        &signature,
                        doc,
                        CompletionItemKind::FUNCTION,
                        0,
                        offers,
                    );
                }
                StmtKind::Let {
                    name,
                    is_exported: true,
                    ..
                } => {
                    offers.add(&name.text, CompletionItemKind::CONSTANT, None, None);
                }
                _ => {}
            }
        }
        return;
    }
    let prefix = format!("{namespace}::");
    let knowledge = view.knowledge.clone();
    let own = knowledge
        .functions
        .iter()
        .filter(|function| function.name.starts_with(&prefix));
    functions(view, own, &prefix, CompletionItemKind::FUNCTION, 0, offers);
}

/// Functions, each name once: its forms are told by signature help.
fn functions<'f>(
    view: &View<'_>,
    found: impl Iterator<Item = &'f Function>,
    prefix: &str,
    kind: CompletionItemKind,
    skip: usize,
    offers: &mut Offers,
) {
    let mut seen = BTreeSet::new();
    for function in found {
        if seen.insert(function.name.as_str()) {
            let name = function.name.strip_prefix(prefix).unwrap_or(&function.name);
            call(
                view,
                name,
                &function.signature,
                function.doc.clone(),
                kind,
                skip,
                offers,
            );
        }
    }
}

fn call(
    view: &View<'_>,
    name: &str,
    signature: &str,
    doc: String,
    kind: CompletionItemKind,
    skip: usize,
    offers: &mut Offers,
) {
    let names: Vec<&str> = parameters(signature)
        .into_iter()
        .skip(skip)
        .map(parameter_name)
        .collect();
    let follows = view.source.text.get(offers.span.end as usize..).unwrap_or_default();
    let has_brackets = follows.starts_with('(');
    let snippet = match names.len() {
        _ if has_brackets => name.to_owned(),
        0 => format!("{name}()"),
        _ => format!("{name}($1)"),
    };
    let with_snippets = view.session.client.snippets;
    let item = offers.add(name, kind, Some(signature.to_owned()), Some(doc));
    item.label_details = Some(CompletionItemLabelDetails {
        detail: Some(format!("({})", names.join(", "))),
        description: None,
    });
    if with_snippets {
        item.insert_text = Some(snippet);
        item.insert_text_format = Some(InsertTextFormat::SNIPPET);
    }
}

/// What a value has: inputs, the fields of a map that is written out, fields of errors; else what any value may have.
fn after_dot(view: &mut View<'_>, dot: Span, offers: &mut Offers) {
    let source = view.source.clone();
    let target = source.tree.path_to(dot.start).into_iter().rev().find_map(|node| {
        let Node::Expr(expr) = node else { return None };
        match &expr.kind {
            ExprKind::Field { target, .. } | ExprKind::Method { target, .. } if target.span.end <= dot.start => {
                Some(&**target)
            }
            _ => None,
        }
    });
    if let Some(target) = target {
        if let ExprKind::Name(name) = &target.bare().kind
            && name == crate::script::source::INPUT
        {
            for entry in source.inputs() {
                let spec = entry.value.span.of(&source.text).to_owned();
                offers.add(&entry.key.text, CompletionItemKind::FIELD, Some(spec), None);
            }
            return;
        }
        if is_caught(&source, target.bare().span) {
            for (field, about) in ERROR_FIELDS {
                offers.add(field, CompletionItemKind::FIELD, None, Some((*about).to_owned()));
            }
            return;
        }
        for entry in fields_of(&view.source, target) {
            let value = source.line_at(entry.value.span.start).to_owned();
            offers.add(&entry.key.text, CompletionItemKind::FIELD, Some(value), None);
        }
        fields_of_result(view, target, offers);
    }
    let knowledge = view.knowledge.clone();
    let own = knowledge
        .methods
        .iter()
        .filter(|function| !parameters(&function.signature).is_empty());
    functions(view, own, "", CompletionItemKind::METHOD, 1, offers);
}

/// The fields of what a function returns, as its documentation tells them.
fn fields_of_result(view: &mut View<'_>, target: &Expr, offers: &mut Offers) {
    let project = view.session.project_of(&view.home);
    let project = project.around(&file_of(view));
    let source = view.source.clone();
    let summary = Summary::of_tree(project, &source.tree);
    let known = Known::new(project, &source.text, &source.tree, &source.scopes, &summary);
    let Kind::Map(Some(shape)) = known.kind(target) else {
        return;
    };
    for (field, kind) in &shape.fields {
        if offers.items.iter().all(|item| item.label != *field) {
            offers.add(
                field,
                CompletionItemKind::FIELD,
                Some(format!("{} of {}", kind.name(), shape.of)),
                None,
            );
        }
    }
}

/// The fields of a map that is written out where the variable was declared.
fn fields_of<'s>(source: &'s super::source::Source, target: &Expr) -> &'s [Entry] {
    let span = target.bare().span;
    let reference = source
        .scopes
        .references
        .iter()
        .find(|reference| reference.name.span == span);
    let Some(symbol) = reference.and_then(|reference| reference.symbol) else {
        return &[];
    };
    let declared = source.scopes.symbols[symbol].name.span;
    let mut found: &[Entry] = &[];
    source.tree.walk(&mut |node| {
        if let Node::Stmt(stmt) = node
            && let StmtKind::Let {
                name,
                value: Some(value),
                ..
            } = &stmt.kind
            && name.span == declared
        {
            found = value.as_map().unwrap_or_default();
        }
        node.span().touches(declared.start)
    });
    found
}

/// The keys that a map may have.
fn keys(view: &mut View<'_>, taken: &[String], role: &MapRole, offers: &mut Offers) {
    let with_snippets = view.session.client.snippets;
    let mut key = |name: &str, about: String, value: Option<&str>| {
        if taken.iter().any(|taken| taken == name) {
            return;
        }
        let item = offers.add(name, CompletionItemKind::PROPERTY, None, Some(about));
        item.insert_text = Some(match value {
            Some(value) if with_snippets => {
                item.insert_text_format = Some(InsertTextFormat::SNIPPET);
                format!("{name}: {value}")
            }
            _ => format!("{name}: "),
        });
    };
    match role {
        MapRole::Header => HEADER_KEYS
            .iter()
            .for_each(|(name, about, value)| key(name, (*about).to_owned(), Some(value))),
        MapRole::Input => INPUT_KEYS
            .iter()
            .for_each(|(name, about, value)| key(name, (*about).to_owned(), Some(value))),
        MapRole::Argument(calling) => {
            let name = calling.first.as_deref().unwrap_or_default();
            if calling.name == "prompt::render" {
                let project = view.session.project_of(&view.home);
                let prompt = project
                    .prompts
                    .as_ref()
                    .and_then(|prompts| prompts.get(crate::namespaces::prompt::bare(name)));
                let variables = prompt.into_iter().flat_map(|prompt| &prompt.variables);
                variables.for_each(|variable| key(variable, format!("a variable of the prompt {name:?}"), Some("$1")));
                return;
            }
            if calling.name.starts_with("playbook::") && calling.argument == 1 {
                let child = view
                    .home
                    .module_path(name)
                    .and_then(|path| view.session.source_at(&path));
                for entry in child.iter().flat_map(|child| child.inputs()) {
                    let spec = child.as_ref().map_or("", |child| entry.value.span.of(&child.text));
                    key(&entry.key.text, format!("an input of {name}: `{spec}`"), Some("$1"));
                }
                return;
            }
            let mut seen = BTreeSet::new();
            for function in view.knowledge.named(&calling.name) {
                let Some(parameter) = parameters(&function.signature).get(calling.argument).copied() else {
                    continue;
                };
                for (field, about) in documented_fields(&function.doc, parameter_name(parameter)) {
                    if seen.insert(field.clone()) {
                        key(&field, about, Some("$1"));
                    }
                }
            }
        }
        MapRole::Inputs | MapRole::HeaderField(_) | MapRole::Other => {}
    }
}

/// Names, functions, namespaces, words: where an expression or a statement may begin.
fn anything(view: &mut View<'_>, offset: u32, offers: &mut Offers) {
    let source = view.source.clone();
    let mut visible = source.scopes.visible_at(offset);
    // What was declared last is meant most often.
    visible.reverse();
    for at in visible {
        let symbol = &source.scopes.symbols[at];
        if symbol.name.span.touches(offset) {
            continue;
        }
        let line = source.line_at(symbol.name.span.start).to_owned();
        match symbol.kind {
            SymbolKind::Function { .. } => {
                let doc = source.comment_above(symbol.declared.start);
                let head = source.line_at(symbol.declared.start);
                let signature = head.split('{').next().unwrap_or(head).trim();
                let signature = signature
                    .trim_start_matches("private ")
                    .trim_start_matches("fn ")
                    .to_owned();
                call(
                    view,
                    &symbol.name.text,
                    &signature,
                    doc,
                    CompletionItemKind::FUNCTION,
                    0,
                    offers,
                );
            }
            kind => {
                let shown = match kind {
                    SymbolKind::Constant => CompletionItemKind::CONSTANT,
                    SymbolKind::Import => CompletionItemKind::MODULE,
                    _ => CompletionItemKind::VARIABLE,
                };
                offers.add(
                    &symbol.name.text,
                    shown,
                    Some(kind_name(kind).to_owned()),
                    Some(format!("```rhai\n{line}\n```")),
                );
            }
        }
    }
    offers.add(
        crate::script::source::INPUT,
        CompletionItemKind::VARIABLE,
        Some("what the run was given".to_owned()),
        None,
    );
    for namespace in &view.knowledge.namespaces {
        let item = offers.add(
            namespace,
            CompletionItemKind::MODULE,
            Some(format!("namespace {namespace}::")),
            None,
        );
        item.insert_text = Some(format!("{namespace}::"));
    }
    for (word, detail, snippet) in SNIPPETS {
        let with_snippets = view.session.client.snippets;
        let item = offers.add(word, CompletionItemKind::SNIPPET, Some((*detail).to_owned()), None);
        if with_snippets {
            item.insert_text = Some((*snippet).to_owned());
            item.insert_text_format = Some(InsertTextFormat::SNIPPET);
        } else {
            item.kind = Some(CompletionItemKind::KEYWORD);
        }
    }
    for word in KEYWORDS {
        offers.add(word, CompletionItemKind::KEYWORD, None, None);
    }
}
