//! Tokens with their brackets closed; the items of a list, the statements of a block.

use std::iter::Peekable;

use super::shape::Shape;
use crate::script::syntax::{TokenKind, Tree};

/// One token that is no space.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'t> {
    pub kind: TokenKind,
    pub text: &'t str,
    pub start: u32,
    /// Ends of lines between this and what stands before it: 0, 1, or 2 for a blank line.
    pub newlines: u8,
    /// Whether nothing stands between this and what is before it.
    pub is_glued: bool,
}

impl Piece<'_> {
    pub fn is_comment(&self) -> bool {
        matches!(self.kind, TokenKind::LineComment | TokenKind::BlockComment)
    }

    pub fn is_line_comment(&self) -> bool {
        self.kind == TokenKind::LineComment
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The arguments of a call.
    Args,
    /// The parameters of a function.
    Params,
    /// The parameters of a closure, between bars.
    Bars,
    Paren,
    Array,
    Index,
    Map,
    Block,
    Switch,
}

#[derive(Debug)]
pub(super) struct Group<'t> {
    pub kind: Kind,
    pub open: Piece<'t>,
    pub close: Piece<'t>,
    pub inner: Vec<Node<'t>>,
}

#[derive(Debug)]
pub(super) enum Node<'t> {
    Piece(Piece<'t>),
    Group(Group<'t>),
}

impl<'t> Node<'t> {
    pub fn first(&self) -> &Piece<'t> {
        match self {
            Node::Piece(piece) => piece,
            Node::Group(group) => &group.open,
        }
    }

    pub fn last(&self) -> &Piece<'t> {
        match self {
            Node::Piece(piece) => piece,
            Node::Group(group) => &group.close,
        }
    }

    pub fn comment(&self) -> Option<&Piece<'t>> {
        match self {
            Node::Piece(piece) if piece.is_comment() => Some(piece),
            _ => None,
        }
    }
}

/// The text without its space. A template is one piece, with what is filled into it.
pub(super) fn pieces<'t>(text: &'t str, tree: &Tree) -> Vec<Piece<'t>> {
    let mut pieces: Vec<Piece<'t>> = Vec::new();
    let mut newlines = 0_usize;
    let mut template: Option<(u32, u32)> = None;
    for token in &tree.tokens {
        let words = token.span.of(text);
        if let Some((start, depth)) = template {
            let depth = match token.kind {
                TokenKind::TemplateStart => depth + 1,
                TokenKind::TemplateEnd => depth - 1,
                _ => depth,
            };
            template = (depth > 0).then_some((start, depth));
            let last = pieces.last_mut().expect("a template has begun");
            last.text = &text[start as usize..token.span.end as usize];
            continue;
        }
        if token.kind == TokenKind::Whitespace {
            newlines = words.matches('\n').count();
            continue;
        }
        if token.kind == TokenKind::TemplateStart {
            template = Some((token.span.start, 1));
        }
        let words = match token.kind {
            TokenKind::LineComment => words.trim_end(),
            _ => words,
        };
        pieces.push(Piece {
            kind: token.kind,
            text: words,
            start: token.span.start,
            newlines: newlines.min(2) as u8,
            is_glued: pieces
                .last()
                .is_some_and(|last| last.start as usize + last.text.len() == token.span.start as usize),
        });
        newlines = 0;
    }
    pieces
}

/// Closes brackets. `None` when they do not fit together.
pub(super) fn nodes<'t>(pieces: &[Piece<'t>], shape: &Shape) -> Option<Vec<Node<'t>>> {
    let mut pieces = pieces.iter().copied().peekable();
    let nodes = until(&mut pieces, shape, None)?;
    pieces.peek().is_none().then_some(nodes)
}

fn until<'t>(
    pieces: &mut Peekable<impl Iterator<Item = Piece<'t>>>,
    shape: &Shape,
    close: Option<&str>,
) -> Option<Vec<Node<'t>>> {
    let mut found = Vec::new();
    while let Some(piece) = pieces.peek().copied() {
        if close == Some(piece.text) && piece.kind == TokenKind::Symbol {
            return Some(found);
        }
        pieces.next();
        if piece.kind != TokenKind::Symbol {
            found.push(Node::Piece(piece));
            continue;
        }
        let (kind, closing) = match piece.text {
            "(" if shape.calls.contains(&piece.start) => (Kind::Args, ")"),
            "(" if shape.parameters.contains(&piece.start) => (Kind::Params, ")"),
            "(" => (Kind::Paren, ")"),
            "[" | "?[" if shape.indexes.contains(&piece.start) => (Kind::Index, "]"),
            "[" => (Kind::Array, "]"),
            "#{" => (Kind::Map, "}"),
            "{" if shape.switches.contains(&piece.start) => (Kind::Switch, "}"),
            "{" => (Kind::Block, "}"),
            "|" if shape.closures.contains(&piece.start) => (Kind::Bars, "|"),
            ")" | "]" | "}" => return None,
            _ => {
                found.push(Node::Piece(piece));
                continue;
            }
        };
        let inner = until(pieces, shape, Some(closing))?;
        let close = pieces.next()?;
        found.push(Node::Group(Group {
            kind,
            open: piece,
            close,
            inner,
        }));
    }
    close.is_none().then_some(found)
}

/// One item of a list, arm of a switch, or statement of a block, with the comments that belong to it.
#[derive(Debug, Default)]
pub(super) struct Item<'n, 't> {
    /// Those on lines of their own before it.
    pub above: Vec<&'n Piece<'t>>,
    pub nodes: Vec<&'n Node<'t>>,
    pub has_comma: bool,
    /// Those after it on its last line.
    pub beside: Vec<&'n Piece<'t>>,
}

impl Item<'_, '_> {
    fn ends_in_line_comment(&self) -> bool {
        self.beside.last().is_some_and(|last| last.is_line_comment())
    }
}

/// What stands between a group's brackets, or in the whole file; the comments after the last of them.
pub(super) fn items<'n, 't>(
    inner: &'n [Node<'t>],
    kind: Kind,
    shape: &Shape,
) -> (Vec<Item<'n, 't>>, Vec<&'n Piece<'t>>) {
    let begins = |node: &Node<'_>| match kind {
        Kind::Block => shape.statements.contains(&node.first().start),
        Kind::Switch => shape.arms.contains(&node.first().start),
        _ => false,
    };
    let is_comma = |node: &Node<'_>| kind != Kind::Block && matches!(node, Node::Piece(piece) if piece.text == ",");
    let mut found: Vec<Item<'n, 't>> = Vec::new();
    let mut item = Item::default();
    let mut before_comma: Vec<&'n Piece<'t>> = Vec::new();
    for (at, node) in inner.iter().enumerate() {
        // The first thing after this that is no comment.
        let next = inner[at + 1..].iter().find(|node| node.comment().is_none());
        let follows_newline = inner.get(at + 1).is_none_or(|next| next.first().newlines > 0);
        if let Some(comment) = node.comment() {
            let ends_line = comment.is_line_comment() || follows_newline;
            let is_after_item = next.is_none_or(|next| begins(next) || is_comma(next));
            match (&mut found.last_mut(), item.nodes.is_empty()) {
                // The item before is over, and this stands on its line.
                (Some(before), true)
                    if item.above.is_empty()
                        && comment.newlines == 0
                        && ends_line
                        && !before.ends_in_line_comment() =>
                {
                    before.beside.push(comment);
                }
                (_, true) if ends_line => item.above.push(comment),
                (_, false) if is_after_item && comment.newlines == 0 && ends_line => item.beside.push(comment),
                (_, false) if is_after_item && ends_line && next.is_none_or(begins) => {
                    found.push(std::mem::take(&mut item));
                    item.above.push(comment);
                }
                // Before a comma it would take that into itself.
                (_, false) if is_after_item && ends_line => before_comma.push(comment),
                (_, false) if next.is_some_and(begins) => {
                    found.push(std::mem::take(&mut item));
                    item.nodes.push(node);
                }
                _ => item.nodes.push(node),
            }
            continue;
        }
        if is_comma(node) && !item.nodes.is_empty() {
            item.has_comma = true;
            found.push(std::mem::take(&mut item));
            item.above = std::mem::take(&mut before_comma);
            continue;
        }
        if begins(node) && item.nodes.iter().any(|node| node.comment().is_none()) {
            found.push(std::mem::take(&mut item));
        }
        item.nodes.push(node);
    }
    if !item.nodes.is_empty() {
        found.push(std::mem::take(&mut item));
    }
    (found, item.above)
}
