//! What a cursor stands in: brackets that are open there, the call or map they belong to, the text it is within.
//!
//! Found by tokens, so that it works in what is half typed; the tree then says what the brackets mean.

use super::source::{HEADER, Source};
use crate::script::syntax::tree::Entry;
use crate::script::syntax::{Expr, ExprKind, Node, Span, StmtKind, Token, TokenKind};

/// A call around the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calling {
    /// With its namespaces: `kv::get`; a method's alone.
    pub name: String,
    pub is_method: bool,
    /// The argument that the cursor stands in, from 0.
    pub argument: usize,
    /// Where the name stands.
    pub name_span: Span,
    /// What the first argument says, when it is a text.
    pub first: Option<String>,
}

/// What a map is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapRole {
    Header,
    /// The header's `inputs`.
    Inputs,
    /// What the header says of one input.
    Input,
    /// A header's map under another key.
    HeaderField(String),
    Argument(Calling),
    Other,
}

impl Source {
    /// The word that the cursor is at the end of or within, and where it begins; empty when it is in none.
    pub fn word_at(&self, offset: u32) -> Span {
        let word = self
            .tree
            .token_at(offset)
            .filter(|token| matches!(token.kind, TokenKind::Ident | TokenKind::Keyword) && token.span.start < offset);
        match word {
            Some(token) => token.span,
            None => Span {
                start: offset,
                end: offset,
            },
        }
    }

    /// The last token before `offset` that is no space and no comment.
    pub fn token_before(&self, offset: u32) -> Option<&Token> {
        let end = self.tree.tokens.partition_point(|token| token.span.end <= offset);
        self.tree.tokens[..end].iter().rev().find(|token| !token.is_trivia())
    }

    /// The text literal that the cursor stands within, between its quotes.
    pub fn text_at(&self, offset: u32) -> Option<Span> {
        let first = self.tree.tokens.partition_point(|token| token.span.end < offset);
        let token = self.tree.tokens[first..]
            .iter()
            .take_while(|token| token.span.start < offset)
            .find(|token| matches!(token.kind, TokenKind::Str | TokenKind::TemplateWhole))?;
        let words = token.span.of(&self.text);
        let open = words.find(['"', '`'])? as u32 + 1;
        let close = if token.is_unclosed { 0 } else { open };
        let inner = Span {
            start: token.span.start + open,
            end: (token.span.end - close.min(token.span.end)).max(token.span.start + open),
        };
        inner.touches(offset).then_some(inner)
    }

    /// Whether the cursor stands in a comment.
    pub fn is_comment(&self, offset: u32) -> bool {
        let first = self.tree.tokens.partition_point(|token| token.span.end < offset);
        let mut touched = self.tree.tokens[first..]
            .iter()
            .take_while(|token| token.span.start < offset);
        touched.any(|token| match token.kind {
            TokenKind::LineComment => true,
            TokenKind::BlockComment => offset < token.span.end || token.is_unclosed,
            _ => false,
        })
    }

    /// The innermost bracket that is open at `offset`, and how many commas stand between it and the cursor.
    pub fn open_bracket(&self, offset: u32) -> Option<(&Token, usize)> {
        let end = self.tree.tokens.partition_point(|token| token.span.start < offset);
        let (mut depth, mut commas) = (0_u32, 0);
        // A closure's parameters have commas of their own.
        let mut bars = 0;
        for token in self.tree.tokens[..end].iter().rev() {
            if token.kind == TokenKind::TemplateStart && depth == 0 {
                return None;
            }
            if token.kind == TokenKind::TemplateEnd && token.span.end <= offset {
                depth += 1;
                continue;
            }
            if token.kind == TokenKind::TemplateStart {
                depth -= 1;
                continue;
            }
            if token.kind != TokenKind::Symbol {
                continue;
            }
            match token.span.of(&self.text) {
                ")" | "]" | "}" => depth += 1,
                "(" | "[" | "?[" | "{" | "#{" if depth > 0 => depth -= 1,
                "(" | "[" | "?[" | "{" | "#{" => return Some((token, commas)),
                "|" if depth == 0 => bars += 1,
                "," if depth == 0 && bars % 2 == 0 => commas += 1,
                _ => {}
            }
        }
        None
    }

    /// The call whose brackets are the innermost around `offset`.
    pub fn calling(&self, offset: u32) -> Option<Calling> {
        let (bracket, argument) = self.open_bracket(offset)?;
        if bracket.span.of(&self.text) != "(" {
            return None;
        }
        self.call_at(bracket.span.start, argument)
    }

    /// The call whose opening bracket stands at `start`.
    fn call_at(&self, start: u32, argument: usize) -> Option<Calling> {
        self.tree.path_to(start).into_iter().rev().find_map(|node| {
            let Node::Expr(expr) = node else { return None };
            calling(expr, start, argument)
        })
    }

    /// The map in which the cursor may write a key, and what it is for.
    pub fn map_at_key(&self, offset: u32) -> Option<(Vec<String>, MapRole)> {
        let word = self.word_at(offset);
        let (bracket, _) = self.open_bracket(word.start)?;
        let before = self.token_before(word.start)?;
        let is_key = matches!(before.span.of(&self.text), "#{" | ",");
        if bracket.span.of(&self.text) != "#{" || !is_key {
            return None;
        }
        let entries = self
            .map_from(bracket.span.start)
            .map(|(entries, _)| entries)
            .unwrap_or_default();
        let taken = entries
            .iter()
            .filter(|entry| entry.key.span != word)
            .map(|entry| entry.key.text.clone());
        Some((taken.collect(), self.role_of(bracket.span.start)))
    }

    fn map_from(&self, start: u32) -> Option<(&[Entry], Span)> {
        self.tree
            .path_to(start + 1)
            .into_iter()
            .rev()
            .find_map(|node| match node {
                Node::Expr(expr) if expr.span.start == start => expr.as_map().map(|entries| (entries, expr.span)),
                _ => None,
            })
    }

    /// What the map that begins at `start` is for.
    pub fn role_of(&self, start: u32) -> MapRole {
        let path = self.tree.path_to(start + 1);
        let Some(at) = path
            .iter()
            .rposition(|node| matches!(node, Node::Expr(expr) if expr.span.start == start && expr.as_map().is_some()))
        else {
            return MapRole::Other;
        };
        // The keys that lead from the statement to this map.
        let mut keys: Vec<&str> = Vec::new();
        for above in path[..at].iter().rev() {
            match above {
                Node::Expr(expr) => match &expr.kind {
                    ExprKind::Map(entries) => {
                        let key = entries
                            .iter()
                            .find(|entry| entry.value.span.touches(start) && entry.value.span.start <= start);
                        keys.push(key.map_or("", |entry| entry.key.text.as_str()));
                    }
                    ExprKind::Call { args, args_span, .. } | ExprKind::Method { args, args_span, .. } => {
                        let argument = args.iter().position(|arg| arg.bare().span.start == start);
                        let call = argument
                            .filter(|_| keys.is_empty())
                            .and_then(|argument| calling(expr, args_span.start, argument));
                        return call.map_or(MapRole::Other, MapRole::Argument);
                    }
                    ExprKind::Paren(_) => {}
                    _ => return MapRole::Other,
                },
                Node::Stmt(stmt) => {
                    let is_header = matches!(&stmt.kind, StmtKind::Let { name, .. } if name.text == HEADER);
                    keys.reverse();
                    return match (is_header, keys.as_slice()) {
                        (true, []) => MapRole::Header,
                        (true, ["inputs"]) => MapRole::Inputs,
                        (true, ["inputs", _]) => MapRole::Input,
                        (true, [key]) => MapRole::HeaderField((*key).to_owned()),
                        _ => MapRole::Other,
                    };
                }
                Node::Block(_) => return MapRole::Other,
            }
        }
        MapRole::Other
    }

    /// The map entry whose value holds the cursor, and what its map is for.
    pub fn entry_around(&self, offset: u32) -> Option<(String, MapRole)> {
        self.tree.path_to(offset).into_iter().rev().find_map(|node| {
            let Node::Expr(expr) = node else { return None };
            let entries = expr.as_map()?;
            let entry = entries.iter().find(|entry| entry.value.span.touches(offset))?;
            Some((entry.key.text.clone(), self.role_of(expr.span.start)))
        })
    }
}

fn calling(expr: &Expr, start: u32, argument: usize) -> Option<Calling> {
    let (namespaces, name, args, is_method) = match &expr.kind {
        ExprKind::Call {
            namespaces,
            name,
            args,
            args_span,
        } if args_span.start == start => (namespaces.as_slice(), name, args, false),
        ExprKind::Method {
            name, args, args_span, ..
        } if args_span.start == start => (&[][..], name, args, true),
        _ => return None,
    };
    let full = namespaces
        .iter()
        .map(|part| part.text.as_str())
        .chain([name.text.as_str()]);
    Some(Calling {
        name: full.collect::<Vec<_>>().join("::"),
        is_method,
        argument,
        name_span: namespaces.first().map_or(name.span, |first| first.span.to(name.span)),
        first: args.first().and_then(Expr::as_str).map(str::to_owned),
    })
}
