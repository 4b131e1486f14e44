//! Names: what is used and not declared, declared and not used, or hidden by another.

use std::collections::{BTreeMap, BTreeSet};

use super::sheet::Sheet;
use super::view::View;
use crate::script::error::nearest;
use crate::script::header::CONSTANT;
use crate::script::source::{CLEANUP, INPUT};
use crate::script::syntax::scopes::{Reference, Symbol, SymbolKind, Wanted};
use crate::script::syntax::{Expr, ExprKind, Node, Span, StmtKind};

/// Variables of one name that are looked through for the one that is hidden.
const NAMESAKES_MAX: usize = 100;

/// Variables that nobody declared. Only asked for when Rhai has found one: so that both always agree.
pub fn undefined(view: &View<'_>, sheet: &mut Sheet<'_>) {
    let mut told: BTreeSet<(&str, u32)> = BTreeSet::new();
    for reference in &view.scopes.references {
        let name = reference.name.text.as_str();
        if reference.symbol.is_some() || reference.wanted != Wanted::Variable || [INPUT, "_"].contains(&name) {
            continue;
        }
        let around = view.function_around(reference.name.span.start);
        let within = around.map_or(0, |function| function.declared.start);
        if sheet.is_closed() {
            return;
        }
        // One fault, one finding: where it is used first.
        if told.insert((name, within)) {
            undefined_variable(view, reference, around, sheet);
        }
    }
}

fn undefined_variable(view: &View<'_>, reference: &Reference, around: Option<&Symbol>, sheet: &mut Sheet<'_>) {
    let (name, span) = (reference.name.text.as_str(), reference.name.span);
    let global = view
        .scopes
        .symbols
        .iter()
        .find(|symbol| symbol.name.text == name && symbol.is_global && is_variable(symbol));
    if let (Some(function), Some(global)) = (around, global) {
        let region = sheet.region(global.name.span);
        let function = &function.name.text;
        let said = sheet
            .say(
                "UNKNOWN_VARIABLE",
                span,
                format!("there is no variable `{name}` within `{function}`: functions see only their parameters"),
            )
            .related(region, "this one stands outside");
        match global.kind {
            SymbolKind::Constant => said
                .help(format!("constants of the playbook are read as `global::{name}`"))
                .fix(format!("write `global::{name}`"), span, format!("global::{name}")),
            _ => said.help(format!("give `{name}` to `{function}` as a parameter")),
        };
        return;
    }
    // Declared, but later or in another block.
    let elsewhere =
        view.scopes.symbols.iter().find(|symbol| {
            symbol.name.text == name && is_variable(symbol) && around.is_none() && symbol.within.is_none()
        });
    if let Some(symbol) = elsewhere {
        let is_later = symbol.name.span.start > span.start;
        let region = sheet.region(symbol.name.span);
        let (message, help) = match is_later {
            true => ("is declared only further down", "move its declaration before this"),
            false => (
                "holds only within the block that declares it",
                "declare it before the block, and give it its value within",
            ),
        };
        sheet
            .say("UNKNOWN_VARIABLE", span, format!("`{name}` {message}"))
            .related(region, "it is declared here")
            .help(help);
        return;
    }
    if let Some((word, help)) = word_of_others(name) {
        let said = sheet
            .say("UNKNOWN_VARIABLE", span, format!("there is no variable `{name}`"))
            .help(help);
        if let Some(word) = word {
            said.fix(format!("write `{word}`"), span, word);
        }
        return;
    }
    let visible = view.scopes.visible_at(span.start);
    let names = visible
        .iter()
        .map(|at| &view.scopes.symbols[*at])
        .filter(|symbol| is_variable(symbol))
        .map(|symbol| symbol.name.text.as_str())
        .chain([INPUT]);
    match nearest(name, names) {
        Some(near) => {
            sheet
                .say(
                    "UNKNOWN_VARIABLE",
                    span,
                    format!("there is no variable `{name}`; did you mean `{near}`?"),
                )
                .proposal(format!("write `{near}`"), span, near);
        }
        None => {
            let is_input = view
                .header
                .is_some_and(|header| header.inputs().any(|input| input.name.text == name));
            let said = sheet.say("UNKNOWN_VARIABLE", span, format!("there is no variable `{name}`"));
            if is_input {
                said.help(format!("an input is read as `{INPUT}.{name}`")).fix(
                    format!("write `{INPUT}.{name}`"),
                    span,
                    format!("{INPUT}.{name}"),
                );
            } else if view.project.signatures.is_namespace(name) {
                said.help(format!(
                    "functions of a namespace are called with `::`, as in `{name}::…`"
                ));
            } else {
                said.help(format!("declare it with `let`, or read it from `{INPUT}`"));
            }
        }
    }
}

/// Words of other languages, with ours where there is one.
fn word_of_others(name: &str) -> Option<(Option<&'static str>, &'static str)> {
    Some(match name {
        "None" | "undefined" | "Null" => (Some("()"), "nothing is written `()`"),
        "True" => (Some("true"), "it is written `true`"),
        "False" => (Some("false"), "it is written `false`"),
        "inputs" | "params" | "args" => (Some("input"), "what the run was given is `input`"),
        "and" => (None, "write `&&`"),
        "or" => (None, "write `||`"),
        "not" => (None, "write `!`"),
        "self" => (Some("this"), "the value before the dot is `this`"),
        "console" => (None, "write `log::info(…)`, or `print(…)`"),
        "Math" => (
            None,
            "functions such as `min`, `max`, `floor` and `round` stand by themselves",
        ),
        "JSON" => (None, "write `json::parse(…)` or `json::stringify(…)`"),
        _ => return None,
    })
}

fn is_variable(symbol: &Symbol) -> bool {
    !matches!(symbol.kind, SymbolKind::Function { .. } | SymbolKind::Import)
}

/// What is declared and not used.
pub fn unused(view: &View<'_>, sheet: &mut Sheet<'_>) {
    let mut read: BTreeSet<usize> = BTreeSet::new();
    let mut written: BTreeSet<usize> = BTreeSet::new();
    for reference in &view.scopes.references {
        let Some(symbol) = reference.symbol else { continue };
        // A function that only calls itself is not used.
        let function = &view.scopes.symbols[symbol];
        let is_own =
            matches!(function.kind, SymbolKind::Function { .. }) && function.declared.contains(reference.name.span);
        match reference.is_write {
            true => written.insert(symbol),
            false if is_own => false,
            false => read.insert(symbol),
        };
    }
    let named = named_otherwise(view);
    for (at, symbol) in view.scopes.symbols.iter().enumerate() {
        let name = symbol.name.text.as_str();
        if read.contains(&at) || name.starts_with('_') || named.contains(name) {
            continue;
        }
        if sheet.is_full() {
            return;
        }
        match symbol.kind {
            SymbolKind::Variable | SymbolKind::Constant => {
                if symbol.is_exported || (symbol.is_global && (name == CONSTANT || !view.summary.is_playbook)) {
                    continue;
                }
                unused_variable(symbol, written.contains(&at), at, view, sheet);
            }
            SymbolKind::Loop if !written.contains(&at) => {
                sheet
                    .say("UNUSED_VARIABLE", symbol.name.span, format!("`{name}` is not used"))
                    .proposal(format!("write `_{name}`"), symbol.name.span, format!("_{name}"));
            }
            SymbolKind::Function { params, is_private } => {
                let is_cleanup = name == CLEANUP && params == 1;
                let is_case = sheet.file.ends_with("_test.rhai") && name.starts_with("test_");
                let is_own = view.summary.is_playbook && !is_imported(view, sheet.file);
                if (is_private || is_own) && !is_cleanup && !is_case {
                    sheet
                        .say("UNUSED_FUNCTION", symbol.name.span, format!("nobody calls `{name}`"))
                        .proposal("take it away", whole_lines(view.text, symbol.declared), "");
                }
            }
            SymbolKind::Import => unused_import(symbol, view, sheet),
            _ => {}
        }
    }
}

/// Whether others import this file, and may call its functions.
fn is_imported(view: &View<'_>, file: &str) -> bool {
    own_name(file).is_some_and(|name| view.project.imported.contains(name))
}

/// The name by which a file is imported.
fn own_name(file: &str) -> Option<&str> {
    file.strip_prefix("playbooks/")?.strip_suffix(".rhai")
}

fn unused_variable(symbol: &Symbol, is_written: bool, at: usize, view: &View<'_>, sheet: &mut Sheet<'_>) {
    let name = symbol.name.text.as_str();
    // One that hides another is told as that.
    if sheet.is_said_within(symbol.name.span) {
        return;
    }
    let mut edits = vec![(symbol.name.span, format!("_{name}"))];
    edits.extend(
        view.scopes
            .uses_of(at)
            .map(|reference| (reference.name.span, format!("_{name}"))),
    );
    let message = match is_written {
        true => format!("`{name}` is given a value, and nobody reads it"),
        false => format!("`{name}` is not used"),
    };
    sheet.say("UNUSED_VARIABLE", symbol.name.span, message).fixes(
        format!("write `_{name}`, which says that it is meant so"),
        edits,
        false,
    );
}

fn unused_import(symbol: &Symbol, view: &View<'_>, sheet: &mut Sheet<'_>) {
    let name = symbol.name.text.as_str();
    // Importing runs the module's own statements: then it may be there for them.
    let module = view.summary.imports.get(name);
    let summary = module.and_then(|module| view.project.module(module).ok());
    let is_idle = summary.is_some_and(|summary| summary.top.functions.is_empty() && !summary.is_playbook);
    let said = sheet.say(
        "UNUSED_IMPORT",
        symbol.name.span,
        format!("nothing of `{name}` is used"),
    );
    said.fixes(
        "take the import away",
        vec![(whole_lines(view.text, symbol.declared), String::new())],
        is_idle,
    );
}

/// Names that are used in ways that are no references: `global::NAME`, `Fn("name")`, methods of a map.
fn named_otherwise<'v>(view: &View<'v>) -> BTreeSet<&'v str> {
    let mut named = BTreeSet::new();
    view.tree.walk(&mut |node| {
        let Node::Expr(expr) = node else { return true };
        match &expr.kind {
            ExprKind::Path { namespaces, name } if namespaces.first().is_some_and(|first| first.text == "global") => {
                named.insert(name.text.as_str());
            }
            ExprKind::Call {
                namespaces, name, args, ..
            } => {
                if namespaces.first().is_some_and(|first| first.text == "global") {
                    named.insert(name.text.as_str());
                }
                if name.text == "Fn" {
                    named.extend(args.first().and_then(Expr::as_str));
                }
            }
            ExprKind::Method { name, .. } => {
                named.insert(name.text.as_str());
            }
            // It was to be filled in; that it is not is told where it stands.
            ExprKind::Str(_) => {
                let filled = view.of(expr.span).split("${").skip(1);
                named.extend(filled.map(|rest| {
                    let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
                    &rest[..end.unwrap_or(rest.len())]
                }));
            }
            _ => {}
        }
        true
    });
    named
}

/// Variables in inner blocks that hide outer ones: what is written to them never reaches the outer.
pub fn shadowed(view: &View<'_>, sheet: &mut Sheet<'_>) {
    let mut named: BTreeMap<&str, Vec<&Symbol>> = BTreeMap::new();
    for symbol in view.scopes.symbols.iter().filter(|symbol| is_variable(symbol)) {
        let name = symbol.name.text.as_str();
        let earlier = named.entry(name).or_default();
        let mut outer = earlier.iter().rev().take(NAMESAKES_MAX).filter(|outer| {
            outer.within == symbol.within
                && outer.holds.contains(symbol.name.span)
                && outer.holds.end > symbol.holds.end
        });
        let outer = outer.next().copied();
        earlier.push(symbol);
        let is_own = matches!(symbol.kind, SymbolKind::Variable | SymbolKind::Constant) && !name.starts_with('_');
        let Some(outer) = outer.filter(|_| is_own) else {
            continue;
        };
        let region = sheet.region(outer.name.span);
        let line = region.line;
        let keyword = view.of(symbol.declared);
        let is_let = keyword.starts_with("let ") && outer.kind != SymbolKind::Constant;
        let said = sheet
            .say(
                "SHADOWED_VARIABLE",
                symbol.name.span,
                format!("this `{name}` is another one than that of line {line}, which stays as it is"),
            )
            .related(region, "the outer one");
        if is_let {
            let word = Span {
                start: symbol.declared.start,
                end: symbol.name.span.start,
            };
            said.help("to change the outer one leave `let` away, else choose another name")
                .proposal("change the outer one: leave `let` away", word, "");
        } else {
            said.help("choose another name");
        }
    }
}

/// Inputs: used and not declared, declared and not used.
pub fn inputs(view: &View<'_>, sheet: &mut Sheet<'_>) {
    let Some(header) = &view.header else { return };
    let mut used: BTreeSet<&str> = BTreeSet::new();
    let mut is_whole_used = false;
    let declared: Vec<&str> = header.inputs().map(|input| input.name.text.as_str()).collect();
    let mut fields: Vec<(&str, Span)> = Vec::new();
    let mut inner: BTreeSet<u32> = BTreeSet::new();
    view.tree.walk(&mut |node| {
        let Node::Expr(expr) = node else { return true };
        match &expr.kind {
            ExprKind::Field { target, name, .. } if view.is_input(target) => {
                fields.push((&name.text, name.span));
                inner.insert(target.bare().span.start);
            }
            ExprKind::Index { target, index, .. } if view.is_input(target) => {
                inner.insert(target.bare().span.start);
                match index.as_str() {
                    Some(name) => fields.push((name, index.span)),
                    None => is_whole_used = true,
                }
            }
            ExprKind::Method { target, name, args, .. } if view.is_input(target) => {
                inner.insert(target.bare().span.start);
                match (name.text.as_str(), args.first().and_then(Expr::as_str)) {
                    ("get" | "contains", Some(key)) => {
                        used.insert(declared.iter().find(|name| **name == key).copied().unwrap_or_default());
                    }
                    _ => is_whole_used = true,
                }
            }
            ExprKind::Name(name) if name == INPUT => is_whole_used |= !inner.contains(&expr.span.start),
            ExprKind::Call { namespaces, name, .. } => {
                let is_input = name.text == "input" && namespaces.first().is_some_and(|run| run.text == "run");
                is_whole_used |= is_input;
            }
            _ => {}
        }
        true
    });
    let mut told = BTreeSet::new();
    for (name, span) in fields {
        used.insert(name);
        if !declared.contains(&name) && told.insert(name) {
            undeclared(view, name, span, &declared, sheet);
            // One that is misspelt is one fault, not two.
            used.extend(nearest(name, declared.iter().copied()));
        }
    }
    if is_whole_used {
        return;
    }
    for input in header.inputs() {
        let name = input.name.text.as_str();
        // A module may read it, and a path of a route names it.
        if !used.contains(name) && view.summary.imports.is_empty() {
            sheet
                .say(
                    "UNUSED_INPUT",
                    input.name.span,
                    format!("the input `{name}` is asked for, and nobody reads it"),
                )
                .help(format!("read it as `{INPUT}.{name}`, or take it out of `inputs`"));
        }
    }
}

fn undeclared(view: &View<'_>, name: &str, span: Span, declared: &[&str], sheet: &mut Sheet<'_>) {
    let message = format!("the header declares no input `{name}`, so it is never given");
    match nearest(name, declared.iter().copied()) {
        Some(near) => {
            let new = match view.of(span).starts_with('"') {
                true => format!("{near:?}"),
                false => near.to_owned(),
            };
            sheet
                .say("UNDECLARED_INPUT", span, format!("{message}; did you mean `{near}`?"))
                .proposal(format!("write `{near}`"), span, new);
        }
        None => {
            let said = sheet.say("UNDECLARED_INPUT", span, message).help(format!(
                "declare it in the header: `inputs: #{{ {name}: #{{ type: \"string\" }} }}`"
            ));
            let Some(header) = &view.header else { return };
            match header
                .get("inputs")
                .and_then(|entry| Some((entry, entry.value.as_map()?)))
            {
                Some((entry, _)) => {
                    let after = entry.value.span.start as usize + "#{".len();
                    said.proposal(
                        format!("declare `{name}`"),
                        Span::new(after, after),
                        format!(" {name}: #{{ required: true }},"),
                    );
                }
                None => {
                    let after = header.span.start as usize + "#{".len();
                    said.proposal(
                        format!("declare `{name}`"),
                        Span::new(after, after),
                        format!(" inputs: #{{ {name}: #{{ required: true }} }},"),
                    );
                }
            }
        }
    }
}

/// A statement with its lines, where it has them for itself.
pub fn whole_lines(text: &str, span: Span) -> Span {
    let before = &text[..span.start as usize];
    let line = before.trim_end_matches([' ', '\t']);
    let mut end = span.end as usize;
    if text[end..].starts_with(';') {
        end += 1;
    }
    let rest = &text[end..];
    let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    let after = &rest[blank..];
    let line_end = after.strip_prefix("\r\n").or_else(|| after.strip_prefix('\n'));
    match line_end {
        Some(after) if line.is_empty() || line.ends_with('\n') => Span::new(line.len(), text.len() - after.len()),
        _ => Span::new(span.start as usize, end),
    }
}

/// Imports that lead nowhere, to themselves, or are computed.
pub fn imports(view: &View<'_>, file: &str, sheet: &mut Sheet<'_>) {
    let own = own_name(file);
    for stmt in &view.tree.root.stmts {
        let StmtKind::Import { source, .. } = &stmt.kind else {
            continue;
        };
        super::imports::check(view, own, source, sheet);
    }
}
