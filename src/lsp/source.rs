//! One document, read: its tree, its names, and what its header says.

use std::path::PathBuf;
use std::sync::Arc;

use lsp_types::{Location, Position, Range, Uri};

use super::positions::{Encoding, Positions};
use crate::script::syntax::tree::Entry;
use crate::script::syntax::{Expr, Scopes, Span, StmtKind, Tree, parse};

/// The constant that is the header.
pub const HEADER: &str = "PLAYBOOK";

/// A text with all that is known of it by itself.
#[derive(Debug)]
pub struct Source {
    pub uri: Uri,
    /// Where it lies, when it is a file.
    pub path: Option<PathBuf>,
    pub text: Arc<str>,
    pub tree: Tree,
    pub scopes: Scopes,
    pub positions: Positions,
}

impl Source {
    pub fn read(uri: Uri, path: Option<PathBuf>, text: &str, encoding: Encoding) -> Source {
        let tree = parse(text);
        Source {
            uri,
            path,
            scopes: Scopes::of(&tree),
            positions: Positions::of(text, encoding),
            text: text.into(),
            tree,
        }
    }

    pub fn offset(&self, position: Position) -> u32 {
        self.positions.offset(&self.text, position)
    }

    pub fn range(&self, span: Span) -> Range {
        self.positions.range(&self.text, span)
    }

    pub fn location(&self, span: Span) -> Location {
        Location::new(self.uri.clone(), self.range(span))
    }

    /// The line that `offset` stands in, without its indentation.
    pub fn line_at(&self, offset: u32) -> &str {
        let line = self.positions.line(&self.text, self.positions.line_of(offset));
        line.map_or("", |line| line.of(&self.text).trim())
    }

    /// The header's map.
    pub fn header(&self) -> Option<&Expr> {
        self.tree.root.stmts.iter().find_map(|stmt| match &stmt.kind {
            StmtKind::Let { name, value, .. } if name.text == HEADER => {
                value.as_ref().filter(|value| value.as_map().is_some())
            }
            _ => None,
        })
    }

    /// An entry of the header.
    pub fn header_entry(&self, key: &str) -> Option<&Entry> {
        self.header()?.as_map()?.iter().find(|entry| entry.key.text == key)
    }

    /// The inputs that the header declares.
    pub fn inputs(&self) -> &[Entry] {
        self.header_entry("inputs")
            .and_then(|inputs| inputs.value.as_map())
            .unwrap_or_default()
    }

    /// The providers that the header names, without accounts.
    pub fn uses(&self) -> Vec<String> {
        let Some(uses) = self.header_entry("uses") else {
            return Vec::new();
        };
        match &uses.value.bare().kind {
            crate::script::syntax::ExprKind::Array(items) => items
                .iter()
                .filter_map(|item| item.as_str())
                .map(str::to_owned)
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The comment lines right above `offset`'s line: what a function says of itself.
    pub fn comment_above(&self, offset: u32) -> String {
        let mut line = self.positions.line_of(offset);
        let mut found = Vec::new();
        while let Some(before) = line.checked_sub(1) {
            let Some(span) = self.positions.line(&self.text, before) else {
                break;
            };
            let words = span.of(&self.text).trim();
            let Some(comment) = words.strip_prefix("//").filter(|comment| !comment.starts_with('!')) else {
                break;
            };
            found.push(comment.trim_start_matches('/').trim().to_owned());
            line = before;
        }
        found.reverse();
        found.join("\n")
    }

    /// The modules that it imports: the name, and the alias under which it is known.
    pub fn imports(&self) -> Vec<(String, Option<String>, Span)> {
        let mut found = Vec::new();
        self.tree.walk(&mut |node| {
            if let crate::script::syntax::Node::Stmt(stmt) = node
                && let StmtKind::Import { source, alias } = &stmt.kind
                && let Some(name) = source.as_str()
            {
                let alias = alias.as_ref().map(|alias| alias.text.clone());
                found.push((name.to_owned(), alias, source.span));
            }
            true
        });
        found
    }

    /// The module that is known as `alias` here.
    pub fn module_of(&self, alias: &str) -> Option<String> {
        let imports = self.imports();
        let found = imports
            .into_iter()
            .find(|(_, known, _)| known.as_deref() == Some(alias));
        found.map(|(name, ..)| name)
    }
}
