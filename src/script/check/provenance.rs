//! Publishes whose content comes from nowhere on record.
//!
//! Whoever looks at a post months later asks which prompt, model and source it came from. The host records these by
//! itself: a rendered prompt has a version, a model's answer its model and prompt, and a read document, file or request
//! its step. So what is published must come from at least one of them, or from the run's input. Told are contents that
//! are written out in the playbook, and those that a model wrote after a prompt without a version: one that is written out
//! instead of rendered with `prompt::render`. What cannot be followed, such as a function's parameter, is not told.

use super::sheet::Sheet;
use super::view::View;
use crate::script::syntax::scopes::SymbolKind;
use crate::script::syntax::tree::TemplatePart;
use crate::script::syntax::{Expr, ExprKind, Node, Span, Stmt, StmtKind};

/// Variables that are followed from one content.
const DEPTH_MAX: usize = 16;

/// Where a value comes from. Of several the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    /// Written out.
    Bare,
    Unknown,
    /// From something that the run records.
    Recorded,
    /// By a model, after a prompt that is written out here.
    Unversioned(Span),
}

pub fn check(view: &View<'_>, sheet: &mut Sheet<'_>) {
    if view.project.publishers.is_empty() {
        return;
    }
    view.tree.walk(&mut |node| {
        if let Node::Expr(expr) = node
            && let ExprKind::Call {
                namespaces, name, args, ..
            } = &expr.kind
            && let [namespace] = namespaces.as_slice()
            && let function = format!("{}::{}", namespace.text, name.text)
            && view.project.publishers.contains(&function)
            // The first argument is where it goes.
            && let Some(content) = args.get(1)
        {
            tell(&function, content, origin(view, content, 0), sheet);
        }
        true
    });
}

fn tell(function: &str, content: &Expr, origin: Origin, sheet: &mut Sheet<'_>) {
    match origin {
        Origin::Bare => {
            sheet
                .say(
                    "PROVENANCE_MISSING",
                    content.span,
                    format!(
                        "`{function}` publishes what is written out here: nothing on record says where it comes from"
                    ),
                )
                .help("render it with `prompt::render`, read it from a file or document, or take it as an input");
        }
        Origin::Unversioned(prompt) => {
            let region = sheet.region(prompt);
            sheet
                .say(
                    "PROVENANCE_MISSING",
                    content.span,
                    format!("`{function}` publishes what a model wrote after a prompt without a version"),
                )
                .related(region, "this prompt is written out")
                .help("put the prompt into a file below prompts/, and render it with `prompt::render`");
        }
        Origin::Unknown | Origin::Recorded => {}
    }
}

fn origin(view: &View<'_>, expr: &Expr, depth: usize) -> Origin {
    if depth > DEPTH_MAX {
        return Origin::Unknown;
    }
    let of = |expr: &Expr| origin(view, expr, depth + 1);
    let of_all = |exprs: &mut dyn Iterator<Item = &Expr>| exprs.map(of).max().unwrap_or(Origin::Bare);
    match &expr.kind {
        ExprKind::Unit
        | ExprKind::Bool(_)
        | ExprKind::Int(_)
        | ExprKind::Float(_)
        | ExprKind::Char
        | ExprKind::Str(_) => Origin::Bare,
        ExprKind::Template(parts) => {
            let code = parts.iter().filter_map(|part| match part {
                TemplatePart::Code(block) => Some(of_last(view, block.stmts.last(), depth)),
                TemplatePart::Text(_) => None,
            });
            code.max().unwrap_or(Origin::Bare)
        }
        ExprKind::Paren(inner) => of(inner),
        ExprKind::Array(items) => of_all(&mut items.iter()),
        ExprKind::Map(entries) => of_all(&mut entries.iter().map(|entry| &entry.value)),
        ExprKind::Binary { left, right, .. } => of(left).max(of(right)),
        ExprKind::Field { target, .. } | ExprKind::Index { target, .. } => of(target),
        ExprKind::Method { target, args, .. } => of(target).max(of_all(&mut args.iter())),
        ExprKind::Name(_) if view.is_input(expr) => Origin::Recorded,
        ExprKind::Name(_) => of_variable(view, expr, depth),
        ExprKind::Call {
            namespaces, name, args, ..
        } => match namespaces.as_slice() {
            [namespace] => of_call(view, &namespace.text, &name.text, args, depth),
            _ => Origin::Unknown,
        },
        _ => Origin::Unknown,
    }
}

fn of_last(view: &View<'_>, stmt: Option<&Stmt>, depth: usize) -> Origin {
    match stmt.map(|stmt| &stmt.kind) {
        Some(StmtKind::Expr(expr)) => origin(view, expr, depth + 1),
        _ => Origin::Unknown,
    }
}

fn of_variable(view: &View<'_>, expr: &Expr, depth: usize) -> Origin {
    let Some((at, symbol)) = view.symbol(expr.span) else {
        return Origin::Unknown;
    };
    let is_fixed = matches!(symbol.kind, SymbolKind::Variable | SymbolKind::Constant) && !view.changed.contains(&at);
    match view.values.get(&at) {
        Some(value) if is_fixed => origin(view, value, depth + 1),
        _ => Origin::Unknown,
    }
}

fn of_call(view: &View<'_>, namespace: &str, name: &str, args: &[Expr], depth: usize) -> Origin {
    match (namespace, name) {
        ("openai", "chat") => {
            let prompt = args.first().and_then(Expr::as_map).and_then(|options| {
                options
                    .iter()
                    .find(|entry| ["prompt", "messages"].contains(&entry.key.text.as_str()))
            });
            match prompt {
                Some(prompt) if origin(view, &prompt.value, depth + 1) == Origin::Bare => {
                    Origin::Unversioned(prompt.value.span)
                }
                _ => Origin::Recorded,
            }
        }
        ("time" | "random" | "id", _) => Origin::Bare,
        ("json" | "text" | "csv" | "hash" | "stats" | "report", _) => args
            .iter()
            .map(|arg| origin(view, arg, depth + 1))
            .max()
            .unwrap_or(Origin::Bare),
        _ if view.project.signatures.is_namespace(namespace) => Origin::Recorded,
        _ => Origin::Unknown,
    }
}
