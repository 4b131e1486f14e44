//! Going to where something is declared, and finding where it is used.

use std::path::Path;
use std::sync::Arc;

use lsp_types::{DocumentHighlight, DocumentHighlightKind, GotoDefinitionResponse, Location, Position, Range};

use super::session::View;
use super::source::Source;
use super::texts::{Meaning, meaning};
use super::workspace::uri_of;
use crate::script::syntax::scopes::{Symbol, SymbolKind};
use crate::script::syntax::{Expr, ExprKind, Name, Node, Span};

/// What a cursor stands on.
#[derive(Debug)]
pub enum Thing {
    /// Something that `source` declares, by its index there.
    Symbol { source: Arc<Source>, symbol: usize },
    /// An input that the header declares.
    Input(String),
    /// A whole file: a module, a playbook, a prompt.
    File(Location),
}

/// What the cursor at `offset` stands on.
pub fn thing(view: &mut View<'_>, offset: u32) -> Option<Thing> {
    let source = view.source.clone();
    if let Some(inner) = source.text_at(offset) {
        return text(view, offset, inner);
    }
    if let Some((name, is_input)) = field_at(&source, offset)
        && is_input
    {
        return Some(Thing::Input(name));
    }
    if let Some(input) = input_key_at(&source, offset) {
        return Some(Thing::Input(input));
    }
    if let Some((alias, function, args)) = module_call_at(&source, offset) {
        let path = view.home.module_path(&source.module_of(&alias)?)?;
        let module = view.session.source_at(&path)?;
        let symbol = function_of(&module, &function, args)?;
        return Some(Thing::Symbol { source: module, symbol });
    }
    let symbol = source.scopes.symbol_at(offset)?;
    Some(Thing::Symbol { source, symbol })
}

/// The file that a text names.
fn text(view: &mut View<'_>, offset: u32, inner: Span) -> Option<Thing> {
    let name = inner.of(&view.source.text).to_owned();
    let file = |path: &Path| Some(Thing::File(Location::new(uri_of(path)?, Range::default())));
    match meaning(&view.source, offset)? {
        Meaning::Module | Meaning::Playbook => file(&view.home.module_path(&name)?),
        Meaning::Prompt => {
            let folder = view.home.app.config.root.join("prompts");
            let candidates = ["", ".md", ".txt", ".j2"].map(|ending| folder.join(format!("{name}{ending}")));
            let is_plain = !name.split('/').any(|part| part.is_empty() || part.starts_with('.'));
            candidates
                .iter()
                .filter(|_| is_plain)
                .find(|path| path.is_file())
                .and_then(|path| file(path))
        }
        _ => None,
    }
}

/// The field whose name stands at `offset`, and whether it is one of `input`.
pub fn field_at(source: &Source, offset: u32) -> Option<(String, bool)> {
    source.tree.path_to(offset).into_iter().rev().find_map(|node| {
        let Node::Expr(expr) = node else { return None };
        let (ExprKind::Field { target, name, .. } | ExprKind::Method { target, name, .. }) = &expr.kind else {
            return None;
        };
        let is_input = matches!(&target.bare().kind, ExprKind::Name(name) if name == crate::script::source::INPUT);
        name.span.touches(offset).then(|| (name.text.clone(), is_input))
    })
}

/// The input whose key in the header stands at `offset`.
fn input_key_at(source: &Source, offset: u32) -> Option<String> {
    let entry = source.inputs().iter().find(|entry| entry.key.span.touches(offset))?;
    Some(entry.key.text.clone())
}

/// `alias::function` at `offset`, with the number of its arguments.
fn module_call_at(source: &Source, offset: u32) -> Option<(String, String, usize)> {
    source.tree.path_to(offset).into_iter().rev().find_map(|node| {
        let Node::Expr(expr) = node else { return None };
        match &expr.kind {
            ExprKind::Call {
                namespaces, name, args, ..
            } if name.span.touches(offset) => {
                let alias = namespaces.first()?;
                Some((alias.text.clone(), name.text.clone(), args.len()))
            }
            _ => None,
        }
    })
}

/// The function of `source` with that name, and so many parameters if there is one.
pub fn function_of(source: &Source, name: &str, args: usize) -> Option<usize> {
    let named = || {
        let symbols = source.scopes.symbols.iter().enumerate();
        symbols.filter(move |(_, symbol)| symbol.name.text == name)
    };
    let exact =
        named().find(|(_, symbol)| matches!(symbol.kind, SymbolKind::Function { params, .. } if params == args));
    let any = || named().find(|(_, symbol)| matches!(symbol.kind, SymbolKind::Function { .. }));
    exact.or_else(any).map(|(at, _)| at)
}

pub fn definition(view: &mut View<'_>, position: Position) -> Option<GotoDefinitionResponse> {
    let offset = view.source.offset(position);
    let location = match thing(view, offset)? {
        Thing::File(location) => location,
        Thing::Input(name) => {
            let entry = view.source.inputs().iter().find(|entry| entry.key.text == name)?;
            view.source.location(entry.key.span)
        }
        Thing::Symbol { source, symbol } => {
            let found = &source.scopes.symbols[symbol];
            // From the name of a module one goes to the module.
            let module = (found.kind == SymbolKind::Import)
                .then(|| source.module_of(&found.name.text))
                .flatten();
            match module.and_then(|module| view.home.module_path(&module)) {
                Some(path) => Location::new(uri_of(&path)?, Range::default()),
                None => source.location(found.name.span),
            }
        }
    };
    Some(GotoDefinitionResponse::Scalar(location))
}

/// Every place of a thing, by document; the declaration first.
pub fn places(view: &mut View<'_>, thing: &Thing) -> Vec<(Arc<Source>, Vec<Span>)> {
    match thing {
        Thing::File(_) => Vec::new(),
        Thing::Input(name) => {
            let source = view.source.clone();
            let declared = source.inputs().iter().filter(|entry| entry.key.text == *name);
            let mut spans: Vec<Span> = declared.map(|entry| entry.key.span).collect();
            source.tree.walk(&mut |node| {
                if let Node::Expr(expr) = node {
                    spans.extend(input_span(&source, expr, name));
                }
                true
            });
            vec![(source, spans)]
        }
        Thing::Symbol { source, symbol } => {
            let found = &source.scopes.symbols[*symbol];
            let uses = source.scopes.uses_of(*symbol).map(|reference| reference.name.span);
            let mut spans: Vec<Span> = std::iter::once(found.name.span).chain(uses).collect();
            if found.kind == SymbolKind::Import {
                // `uses_of` has the first parts of paths already.
                spans.dedup();
            }
            spans.extend(named_otherwise(source, found));
            let mut places = vec![(source.clone(), spans)];
            if let SymbolKind::Function {
                is_private: false,
                params,
            } = found.kind
            {
                places.extend(elsewhere(view, source, &found.name, params));
            }
            places
        }
    }
}

/// Where a file names what it declares without a reference to it: `global::NAME`, `global::f(…)`, `Fn("f")`.
fn named_otherwise(source: &Source, symbol: &Symbol) -> Vec<Span> {
    let name = symbol.name.text.as_str();
    let is_global = |namespaces: &[Name]| matches!(namespaces, [one] if one.text == "global");
    let is_only = function_forms(source, name) == 1;
    let mut spans = Vec::new();
    source.tree.walk(&mut |node| {
        let Node::Expr(expr) = node else { return true };
        match (&expr.kind, symbol.kind) {
            (ExprKind::Path { namespaces, name: used }, SymbolKind::Constant | SymbolKind::Variable)
                if symbol.is_global && is_global(namespaces) && used.text == name =>
            {
                spans.push(used.span);
            }
            (
                ExprKind::Call {
                    namespaces,
                    name: used,
                    args,
                    ..
                },
                SymbolKind::Function { params, .. },
            ) => match namespaces.as_slice() {
                [] if used.text == "Fn" && is_only => {
                    spans.extend(args.first().and_then(|arg| within_quotes(source, arg, name)));
                }
                namespaces if is_global(namespaces) && used.text == name && args.len() == params => {
                    spans.push(used.span);
                }
                _ => {}
            },
            _ => {}
        }
        true
    });
    spans
}

/// Where `expr` itself names the input `name`: `input.name`, `input["name"]`, `input.get("name")`.
fn input_span(source: &Source, expr: &Expr, name: &str) -> Option<Span> {
    let (target, named) = match &expr.kind {
        ExprKind::Field {
            target, name: field, ..
        } => (target, (field.text == name).then_some(field.span)),
        ExprKind::Index { target, index, .. } => (target, within_quotes(source, index, name)),
        ExprKind::Method {
            target,
            name: method,
            args,
            ..
        } if ["get", "contains"].contains(&method.text.as_str()) => {
            (target, within_quotes(source, args.first()?, name))
        }
        _ => return None,
    };
    let is_input = matches!(&target.bare().kind, ExprKind::Name(target) if target == crate::script::source::INPUT);
    named.filter(|_| is_input)
}

/// The words of a text in quotes, if they are `name` letter by letter.
fn within_quotes(source: &Source, expr: &Expr, name: &str) -> Option<Span> {
    let inner = Span {
        start: expr.span.start + 1,
        end: expr.span.end.checked_sub(1)?,
    };
    let is_name =
        expr.as_str() == Some(name) && source.text.get(inner.start as usize..inner.end as usize) == Some(name);
    is_name.then_some(inner)
}

/// Where the files that import `module` call its function.
fn elsewhere(
    view: &mut View<'_>,
    module: &Arc<Source>,
    function: &Name,
    params: usize,
) -> Vec<(Arc<Source>, Vec<Span>)> {
    let Some(name) = module.path.as_deref().and_then(|path| view.home.module_name(path)) else {
        return Vec::new();
    };
    let several = function_forms(module, &function.text) > 1;
    let mut found = Vec::new();
    for source in view.session.sources_of(&view.home) {
        let imports = source.imports();
        let aliases: Vec<&str> = imports
            .iter()
            .filter(|(imported, ..)| *imported == name)
            .filter_map(|(_, alias, _)| alias.as_deref())
            .collect();
        if aliases.is_empty() {
            continue;
        }
        let mut spans = Vec::new();
        source.tree.walk(&mut |node| {
            if let Node::Expr(expr) = node
                && let ExprKind::Call {
                    namespaces, name, args, ..
                } = &expr.kind
                && let [alias] = namespaces.as_slice()
                && aliases.contains(&alias.text.as_str())
                && name.text == function.text
                && (!several || args.len() == params)
            {
                spans.push(name.span);
            }
            true
        });
        if !spans.is_empty() {
            found.push((source, spans));
        }
    }
    found
}

fn function_forms(source: &Source, name: &str) -> usize {
    let symbols = source.scopes.symbols.iter();
    symbols
        .filter(|symbol| symbol.name.text == name && matches!(symbol.kind, SymbolKind::Function { .. }))
        .count()
}

pub fn references(view: &mut View<'_>, position: Position, with_declaration: bool) -> Vec<Location> {
    let offset = view.source.offset(position);
    let Some(thing) = thing(view, offset) else {
        return Vec::new();
    };
    let places = places(view, &thing);
    let located = places
        .iter()
        .flat_map(|(source, spans)| spans.iter().map(|span| source.location(*span)));
    located.skip(usize::from(!with_declaration)).collect()
}

pub fn highlights(view: &View<'_>, position: Position) -> Vec<DocumentHighlight> {
    let source = &view.source;
    let Some(symbol) = source.scopes.symbol_at(source.offset(position)) else {
        return Vec::new();
    };
    let highlight = |span: Span, is_write: bool| DocumentHighlight {
        range: source.range(span),
        kind: Some(if is_write {
            DocumentHighlightKind::WRITE
        } else {
            DocumentHighlightKind::READ
        }),
    };
    let uses = source
        .scopes
        .uses_of(symbol)
        .map(|reference| highlight(reference.name.span, reference.is_write));
    let declared = source.scopes.symbols[symbol].name.span;
    std::iter::once(highlight(declared, true)).chain(uses).collect()
}
