//! Where lines break.
//!
//! What stands between brackets is on one line where it fits and nobody broke it after the bracket. Else it is one item
//! per line; but a call whose last argument is a map, an array or a closure with a block keeps the others on its line.

use unicode_width::UnicodeWidthStr;

use super::nodes::{Group, Item, Kind, Node, Piece, items, nodes, pieces};
use super::shape::Shape;
use super::{COLUMNS_MAX, INDENT};
use crate::script::syntax::{TokenKind, Tree};

/// What fits into a line has no more bytes than this: a column takes four at most.
const LINE_BYTES_MAX: usize = 4 * COLUMNS_MAX;

const BINARY: &[&str] = &[
    "+", "-", "*", "/", "%", "<<", ">>", "&", "|", "^", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "??", "in", "!in",
];
const ASSIGNING: &[&str] = &["=", "+=", "-=", "*=", "/=", "%=", "<<=", ">>=", "&=", "|=", "^="];

/// The whole of `text` anew; as it is, if its brackets do not fit together.
pub(super) fn print(text: &str, tree: &Tree) -> String {
    let shape = Shape::of(text, tree);
    let pieces = pieces(text, tree);
    let Some(nodes) = nodes(&pieces, &shape) else {
        return text.to_owned();
    };
    let spaces = tree.tokens.iter().filter(|token| token.kind == TokenKind::Whitespace);
    let with_end = spaces
        .map(|token| token.span.of(text))
        .find(|space| space.contains('\n'));
    let line_end = match with_end {
        Some(space) if space.contains("\r\n") => "\r\n",
        _ => "\n",
    };
    let mut printer = Printer {
        shape: &shape,
        line_end,
        out: String::with_capacity(text.len() + text.len() / 8),
        level: 0,
        column: 0,
        is_line_new: true,
    };
    if text.starts_with('\u{feff}') {
        printer.out.push('\u{feff}');
    }
    let (items, rest) = items(&nodes, Kind::Block, &shape);
    printer.items(&items, &rest, Kind::Block, 0);
    if printer.out.trim_matches('\u{feff}').is_empty() {
        return printer.out;
    }
    printer.out.push_str(line_end);
    printer.out
}

struct Printer<'p> {
    shape: &'p Shape,
    line_end: &'static str,
    out: String,
    /// How far the current line is indented.
    level: usize,
    column: usize,
    is_line_new: bool,
}

impl Printer<'_> {
    fn put(&mut self, words: &str) {
        if self.is_line_new && !words.is_empty() {
            let blanks = self.level * INDENT;
            self.out.extend(std::iter::repeat_n(' ', blanks));
            self.column = blanks;
            self.is_line_new = false;
        }
        self.out.push_str(words);
        match words.rfind('\n') {
            Some(end) => self.column = words[end + 1..].width(),
            None => self.column += words.width(),
        }
    }

    fn new_line(&mut self, level: usize) {
        self.out.push_str(self.line_end);
        self.level = level;
        self.column = level * INDENT;
        self.is_line_new = true;
    }

    /// Items, each from the beginning of a line. The last line is not ended.
    fn items(&mut self, items: &[Item<'_, '_>], rest: &[&Piece<'_>], kind: Kind, level: usize) {
        let mut is_first = true;
        for (at, item) in items.iter().enumerate() {
            for comment in &item.above {
                self.begin(comment.newlines, level, &mut is_first);
                self.put(comment.text);
            }
            let first = item.nodes.first().expect("an item is not empty").first();
            self.begin(first.newlines, level, &mut is_first);
            let is_last = at + 1 == items.len();
            let comma = match kind {
                Kind::Block => "",
                Kind::Args | Kind::Array | Kind::Map => ",",
                Kind::Switch if item.has_comma || (is_last && !ends_in_block(item)) => ",",
                _ if item.has_comma && !is_last => ",",
                _ => "",
            };
            self.sequence(&item.nodes, level, comma.len());
            self.put(comma);
            for comment in &item.beside {
                self.put(" ");
                self.put(comment.text);
            }
        }
        for comment in rest {
            self.begin(comment.newlines, level, &mut is_first);
            self.put(comment.text);
        }
    }

    /// A new line for what had so many ends of lines before it.
    fn begin(&mut self, newlines: u8, level: usize, is_first: &mut bool) {
        if !std::mem::take(is_first) {
            if newlines > 1 {
                self.out.push_str(self.line_end);
            }
            self.new_line(level);
        }
    }

    /// A statement or item from where the line stands; `tail` columns must follow it.
    fn sequence(&mut self, nodes: &[&Node<'_>], level: usize, tail: usize) {
        for (at, node) in nodes.iter().enumerate() {
            if let Some(before) = at.checked_sub(1).map(|at| nodes[at]) {
                if must_break(before, node, self.shape) {
                    let level = if is_word(node.first(), &["else", "catch", "while", "until"]) {
                        level
                    } else {
                        level + 1
                    };
                    self.new_line(level);
                } else if has_gap(before, node, self.shape) {
                    self.put(" ");
                }
            }
            match node {
                Node::Piece(piece) => self.put(piece.text),
                Node::Group(group) => {
                    let follows = self.width_to_next_group(&nodes[at..], tail);
                    self.group(group, follows);
                }
            }
        }
    }

    /// The columns after the first of `nodes`, up to where the line may break next.
    fn width_to_next_group(&self, nodes: &[&Node<'_>], tail: usize) -> usize {
        let mut width = 0;
        for pair in nodes.windows(2) {
            let (before, node) = (pair[0], pair[1]);
            if must_break(before, node, self.shape) {
                return width;
            }
            width += usize::from(has_gap(before, node, self.shape));
            match node {
                Node::Piece(piece) if piece.is_comment() => return width,
                Node::Piece(piece) => width += first_line(piece.text).width(),
                Node::Group(group) => return width + group.open.text.width(),
            }
        }
        width + tail
    }

    fn group(&mut self, group: &Group<'_>, tail: usize) {
        if let Some(flat) = self.flat(group) {
            let column = if self.is_line_new {
                self.level * INDENT
            } else {
                self.column
            };
            let fits = match flat.rfind('\n') {
                None => column + flat.width() + tail <= COLUMNS_MAX,
                Some(end) => {
                    column + first_line(&flat).width() <= COLUMNS_MAX && flat[end + 1..].width() + tail <= COLUMNS_MAX
                }
            };
            if fits || matches!(group.kind, Kind::Bars | Kind::Index) {
                return self.put(&flat);
            }
        }
        let (items, rest) = items(&group.inner, group.kind, self.shape);
        if group.kind == Kind::Args && self.hugged(group, &items, &rest, tail) {
            return;
        }
        let level = self.level;
        self.put(group.open.text);
        self.new_line(level + 1);
        self.items(&items, &rest, group.kind, level + 1);
        self.new_line(level);
        self.put(group.close.text);
    }

    /// A call whose last argument brings its own lines. `false` when this is no such call; nothing is put then.
    fn hugged(&mut self, group: &Group<'_>, items: &[Item<'_, '_>], rest: &[&Piece<'_>], tail: usize) -> bool {
        let [before @ .., last] = items else { return false };
        let is_commented = |item: &Item<'_, '_>| !item.above.is_empty() || !item.beside.is_empty();
        if is_broken_after_open(group) || !rest.is_empty() || items.iter().any(is_commented) {
            return false;
        }
        let Some((Node::Group(inner), head)) = last.nodes.split_last() else {
            return false;
        };
        if !matches!(inner.kind, Kind::Map | Kind::Array | Kind::Block | Kind::Switch) || inner.inner.is_empty() {
            return false;
        }
        // A statement's block does not belong to an argument; a closure's does.
        let is_closure = head
            .first()
            .is_some_and(|first| self.shape.closures.contains(&first.first().start));
        if matches!(inner.kind, Kind::Block | Kind::Switch) && !is_closure {
            return false;
        }
        let mut line = group.open.text.to_owned();
        for item in before {
            let Some(flat) = self.flat_nodes(&item.nodes).filter(|flat| !flat.contains('\n')) else {
                return false;
            };
            line.push_str(&flat);
            line.push_str(", ");
        }
        let Some(flat_head) = self.flat_nodes(head) else {
            return false;
        };
        let gap = match head.last() {
            Some(before) => has_gap(before, last.nodes[head.len()], self.shape),
            None => false,
        };
        line.push_str(&flat_head);
        line.push_str(if gap { " " } else { "" });
        let column = if self.is_line_new {
            self.level * INDENT
        } else {
            self.column
        };
        if line.contains('\n') || column + line.width() + inner.open.text.width() > COLUMNS_MAX {
            return false;
        }
        self.put(&line);
        self.group(inner, tail + 1);
        self.put(group.close.text);
        true
    }

    /// A group on one line; `None` when it cannot be, or is far too long for any.
    fn flat(&self, group: &Group<'_>) -> Option<String> {
        if is_broken_after_open(group) {
            return None;
        }
        let (items, rest) = items(&group.inner, group.kind, self.shape);
        let is_commented = |item: &Item<'_, '_>| !item.above.is_empty() || !item.beside.is_empty();
        let is_block = group.kind == Kind::Block;
        let begins_line = |item: &Item<'_, '_>| item.nodes.first().is_some_and(|node| node.first().newlines > 0);
        if !rest.is_empty() || items.iter().any(is_commented) || (is_block && items.iter().any(begins_line)) {
            return None;
        }
        let padding = match group.kind {
            Kind::Map | Kind::Block | Kind::Switch if !items.is_empty() => " ",
            _ => "",
        };
        let mut line = format!("{}{padding}", group.open.text);
        for (at, item) in items.iter().enumerate() {
            line.push_str(&self.flat_nodes(&item.nodes)?);
            if at + 1 < items.len() {
                line.push_str(if item.has_comma { ", " } else { " " });
            }
            if line.len() - line.rfind('\n').unwrap_or(0) > LINE_BYTES_MAX {
                return None;
            }
        }
        line.push_str(padding);
        line.push_str(group.close.text);
        Some(line)
    }

    fn flat_nodes(&self, nodes: &[&Node<'_>]) -> Option<String> {
        let mut line = String::new();
        for (at, node) in nodes.iter().enumerate() {
            if let Some(before) = at.checked_sub(1).map(|at| nodes[at]) {
                if must_break(before, node, self.shape) {
                    return None;
                }
                line.push_str(if has_gap(before, node, self.shape) { " " } else { "" });
            }
            match node {
                Node::Piece(piece) if piece.is_line_comment() => return None,
                Node::Piece(piece) => line.push_str(piece.text),
                Node::Group(group) => line.push_str(&self.flat(group)?),
            }
            if line.len() - line.rfind('\n').unwrap_or(0) > LINE_BYTES_MAX {
                return None;
            }
        }
        Some(line)
    }
}

fn first_line(text: &str) -> &str {
    text.split('\n').next().unwrap_or(text)
}

fn is_word(piece: &Piece<'_>, words: &[&str]) -> bool {
    matches!(piece.kind, TokenKind::Keyword | TokenKind::Symbol) && words.contains(&piece.text)
}

fn ends_in_block(item: &Item<'_, '_>) -> bool {
    matches!(item.nodes.last(), Some(Node::Group(group)) if matches!(group.kind, Kind::Block | Kind::Switch))
}

/// Whether somebody broke the line after the opening bracket.
fn is_broken_after_open(group: &Group<'_>) -> bool {
    let is_list = !matches!(group.kind, Kind::Bars | Kind::Index);
    is_list && group.inner.first().is_some_and(|first| first.first().newlines > 0)
}

/// Whether the line breaks between two pieces of one statement, because somebody broke it there and may.
fn must_break(before: &Node<'_>, next: &Node<'_>, shape: &Shape) -> bool {
    let is_bars = matches!(before, Node::Group(group) if group.kind == Kind::Bars);
    let (before, next) = (before.last(), next.first());
    if before.is_line_comment() {
        return true;
    }
    if next.newlines == 0 {
        return false;
    }
    let is_binary = |piece: &Piece<'_>| {
        is_word(piece, BINARY) && !shape.unary.contains(&piece.start) && !shape.closures.contains(&piece.start)
    };
    next.is_line_comment()
        || is_word(next, &[".", "?."])
        || is_binary(next)
        || (is_binary(before) && !is_bars)
        || is_word(before, ASSIGNING)
}

/// Whether a space stands between two pieces on one line.
fn has_gap(before: &Node<'_>, next: &Node<'_>, shape: &Shape) -> bool {
    if let Node::Group(group) = next
        && matches!(group.kind, Kind::Args | Kind::Params | Kind::Index)
    {
        return false;
    }
    let (last, first) = (before.last(), next.first());
    if last.is_comment() || first.is_comment() {
        return true;
    }
    let is_symbol =
        |piece: &Piece<'_>, symbols: &[&str]| piece.kind == TokenKind::Symbol && symbols.contains(&piece.text);
    if is_symbol(first, &[",", ";", ":", ".", "?.", "::"]) || is_symbol(last, &[".", "?.", "::"]) {
        // `1.` and a dot would be read as something else.
        return last.kind == TokenKind::Float && last.text.ends_with('.');
    }
    if is_symbol(first, &["..", "..="]) || is_symbol(last, &["..", "..="]) {
        return last.kind == TokenKind::Float && last.text.ends_with('.');
    }
    // `f!(1)`.
    if is_symbol(first, &["!"]) && !shape.unary.contains(&first.start) {
        return false;
    }
    if matches!(before, Node::Piece(_)) && shape.unary.contains(&last.start) {
        // Rhai takes a sign into the number behind it, which not every number bears: `-0xff` is no number.
        let has_letter = first.text.as_bytes().get(1).is_some_and(u8::is_ascii_alphabetic);
        let is_number = matches!(first.kind, TokenKind::Int | TokenKind::Float);
        if is_number && (has_letter || first.text.len() > 18) {
            return !first.is_glued;
        }
        // Two signs would be read as one.
        return first.text.starts_with(last.text);
    }
    true
}
