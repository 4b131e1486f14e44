//! The outline of a document, the functions of a project, and what can be folded.

use lsp_types::{
    DocumentSymbol, DocumentSymbolResponse, FoldingRange, FoldingRangeKind, SymbolInformation, SymbolKind,
};

use super::session::Session;
use super::source::{HEADER, Source};
use crate::script::syntax::tree::Function;
use crate::script::syntax::{Name, Span, Stmt, StmtKind, TokenKind};

/// Symbols of one answer.
const SYMBOLS_MAX: usize = 2000;

pub fn symbols(source: &Source, as_tree: bool) -> DocumentSymbolResponse {
    let found: Vec<DocumentSymbol> = source
        .tree
        .root
        .stmts
        .iter()
        .filter_map(|stmt| symbol(source, stmt))
        .take(SYMBOLS_MAX)
        .collect();
    if as_tree {
        return DocumentSymbolResponse::Nested(found);
    }
    DocumentSymbolResponse::Flat(found.into_iter().map(|symbol| flat(source, symbol)).collect())
}

fn symbol(source: &Source, stmt: &Stmt) -> Option<DocumentSymbol> {
    match &stmt.kind {
        StmtKind::Fn(function) => Some(of_function(source, stmt, function)),
        StmtKind::Let { name, is_const, .. } if !name.text.is_empty() => {
            let kind = if *is_const {
                SymbolKind::CONSTANT
            } else {
                SymbolKind::VARIABLE
            };
            let mut found = made(source, &name.text, kind, stmt.span, name);
            if name.text == HEADER {
                let inputs = source.inputs().iter().filter(|entry| !entry.key.text.is_empty());
                let children = inputs.map(|entry| {
                    let span = entry.key.span.to(entry.value.span);
                    made(
                        source,
                        &format!("input.{}", entry.key.text),
                        SymbolKind::FIELD,
                        span,
                        &entry.key,
                    )
                });
                found.children = Some(children.collect());
            }
            Some(found)
        }
        StmtKind::Import { alias, .. } => {
            let alias = alias.as_ref().filter(|alias| !alias.text.is_empty())?;
            Some(made(source, &alias.text, SymbolKind::MODULE, stmt.span, alias))
        }
        _ => None,
    }
}

fn of_function(source: &Source, stmt: &Stmt, function: &Function) -> DocumentSymbol {
    let params: Vec<&str> = function.params.iter().map(|param| param.text.as_str()).collect();
    // A name may not be empty, and half-typed functions have none.
    let shown = if function.name.text.is_empty() {
        "fn"
    } else {
        &function.name.text
    };
    let mut found = made(source, shown, SymbolKind::FUNCTION, stmt.span, &function.name);
    found.detail = Some(format!("({})", params.join(", ")));
    found
}

fn made(source: &Source, name: &str, kind: SymbolKind, whole: Span, at: &Name) -> DocumentSymbol {
    // The name must lie in the whole.
    let selected = if whole.contains(at.span) { at.span } else { whole };
    #[expect(
        deprecated,
        reason = "the field is deprecated, and the struct has no other constructor"
    )]
    DocumentSymbol {
        name: name.to_owned(),
        detail: None,
        kind,
        tags: None,
        deprecated: None,
        range: source.range(whole),
        selection_range: source.range(selected),
        children: None,
    }
}

fn flat(source: &Source, symbol: DocumentSymbol) -> SymbolInformation {
    #[expect(
        deprecated,
        reason = "the field is deprecated, and the struct has no other constructor"
    )]
    SymbolInformation {
        name: symbol.name,
        kind: symbol.kind,
        tags: None,
        deprecated: None,
        location: lsp_types::Location::new(source.uri.clone(), symbol.range),
        container_name: None,
    }
}

/// The functions of all open projects whose names contain `query`.
pub fn across(session: &mut Session, query: &str) -> Vec<SymbolInformation> {
    let query = query.to_lowercase();
    let mut found = Vec::new();
    for home in session.open_homes() {
        for source in session.sources_of(&home) {
            let functions = source.tree.root.stmts.iter().filter_map(|stmt| match &stmt.kind {
                StmtKind::Fn(function) if function.name.text.to_lowercase().contains(&query) => {
                    Some(flat(&source, of_function(&source, stmt, function)))
                }
                _ => None,
            });
            found.extend(functions);
            if found.len() > SYMBOLS_MAX {
                found.truncate(SYMBOLS_MAX);
                return found;
            }
        }
    }
    found
}

/// Brackets over several lines, and runs of comment lines.
pub fn folds(source: &Source) -> Vec<FoldingRange> {
    let mut found = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut comments: Option<(usize, usize)> = None;
    for token in &source.tree.tokens {
        let line = source.positions.line_of(token.span.start);
        if token.kind == TokenKind::Whitespace {
            continue;
        }
        match (token.kind, comments) {
            (TokenKind::LineComment, Some((first, last))) if line == last + 1 => comments = Some((first, line)),
            (TokenKind::LineComment, ended) => {
                found.extend(ended.and_then(comment_fold));
                comments = Some((line, line));
            }
            (_, ended) => {
                found.extend(ended.and_then(comment_fold));
                comments = None;
            }
        }
        if token.kind != TokenKind::Symbol {
            continue;
        }
        match token.span.of(&source.text) {
            "(" | "[" | "?[" | "{" | "#{" => open.push(line),
            ")" | "]" | "}" => {
                // The line with the closing bracket stays in sight.
                if let Some(first) = open.pop()
                    && first + 1 < line
                {
                    found.push(fold(first, line - 1, None));
                }
            }
            _ => {}
        }
        if found.len() >= SYMBOLS_MAX {
            return found;
        }
    }
    found.extend(comments.and_then(comment_fold));
    found
}

fn comment_fold((first, last): (usize, usize)) -> Option<FoldingRange> {
    (first < last).then(|| fold(first, last, Some(FoldingRangeKind::Comment)))
}

fn fold(first: usize, last: usize, kind: Option<FoldingRangeKind>) -> FoldingRange {
    FoldingRange {
        start_line: first as u32,
        end_line: last as u32,
        kind,
        ..FoldingRange::default()
    }
}
