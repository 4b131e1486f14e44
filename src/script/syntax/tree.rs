//! Statements and expressions, each with its place in the text.

use super::token::Token;

/// Bytes of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Span {
        Span {
            start: start as u32,
            end: end as u32,
        }
    }

    pub fn to(self, other: Span) -> Span {
        Span {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }

    /// Whether a cursor at `offset` stands in it or at one of its ends.
    pub fn touches(self, offset: u32) -> bool {
        self.start <= offset && offset <= self.end
    }

    pub fn contains(self, other: Span) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }

    pub fn of(self, text: &str) -> &str {
        &text[self.start as usize..self.end as usize]
    }
}

/// Something that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub span: Span,
    pub message: String,
    /// Where it began: the bracket that is not closed.
    pub related: Option<Span>,
}

/// A whole script.
#[derive(Clone, Debug)]
pub struct Tree {
    pub root: Block,
    /// Every byte of the text, whitespace and comments included.
    pub tokens: Vec<Token>,
    pub problems: Vec<Problem>,
}

/// A name where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub text: String,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Block {
    /// With its braces, where it has some.
    pub span: Span,
    pub stmts: Vec<Stmt>,
}

#[derive(Clone, Debug)]
pub struct Stmt {
    /// With its semicolon, where it has one.
    pub span: Span,
    pub kind: StmtKind,
    pub has_semicolon: bool,
}

#[derive(Clone, Debug)]
pub enum StmtKind {
    /// `let`, `const`, and both after `export`.
    Let {
        is_const: bool,
        is_exported: bool,
        name: Name,
        value: Option<Expr>,
    },
    Fn(Function),
    Import {
        source: Expr,
        alias: Option<Name>,
    },
    Export {
        name: Name,
        alias: Option<Name>,
    },
    Return(Option<Expr>),
    Throw(Option<Expr>),
    Break(Option<Expr>),
    Continue,
    Expr(Expr),
    /// A semicolon alone.
    Empty,
}

#[derive(Clone, Debug)]
pub struct Function {
    pub is_private: bool,
    /// The type before the dot of a typed method: `fn int.double()`.
    pub this_type: Option<Name>,
    pub name: Name,
    pub params: Vec<Name>,
    pub body: Block,
}

#[derive(Clone, Debug)]
pub struct Expr {
    pub span: Span,
    pub kind: ExprKind,
}

/// A key and its value in a map.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its text is what the key means, without quotes.
    pub key: Name,
    pub value: Expr,
}

/// A case of a `switch`.
#[derive(Clone, Debug)]
pub struct Arm {
    /// `_` is a [`ExprKind::Name`].
    pub patterns: Vec<Expr>,
    pub guard: Option<Expr>,
    pub body: Expr,
}

#[derive(Clone, Debug)]
pub enum TemplatePart {
    /// What it says, escapes resolved.
    Text(String),
    Code(Block),
}

#[derive(Clone, Debug)]
pub enum ExprKind {
    /// Something should stand here.
    Missing,
    Unit,
    Bool(bool),
    /// `None` when it is too large.
    Int(Option<i64>),
    Float(Option<f64>),
    Char,
    /// What it means, escapes resolved; `None` when it has an escape that means nothing.
    Str(Option<String>),
    Template(Vec<TemplatePart>),
    Array(Vec<Expr>),
    Map(Vec<Entry>),
    /// A variable.
    Name(String),
    This,
    /// `a::b::NAME`, not called.
    Path {
        namespaces: Vec<Name>,
        name: Name,
    },
    /// `name(…)` and `a::b::name(…)`.
    Call {
        namespaces: Vec<Name>,
        name: Name,
        args: Vec<Expr>,
        /// The brackets and what stands in them.
        args_span: Span,
    },
    /// `target.name(…)`
    Method {
        target: Box<Expr>,
        name: Name,
        args: Vec<Expr>,
        args_span: Span,
        is_optional: bool,
    },
    /// `target.name`
    Field {
        target: Box<Expr>,
        name: Name,
        is_optional: bool,
    },
    Index {
        target: Box<Expr>,
        index: Box<Expr>,
        is_optional: bool,
    },
    Unary {
        op: Name,
        operand: Box<Expr>,
    },
    Binary {
        op: Name,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// `=`, `+=` and their like.
    Assign {
        op: Name,
        target: Box<Expr>,
        value: Box<Expr>,
    },
    Closure {
        params: Vec<Name>,
        body: Box<Expr>,
    },
    Paren(Box<Expr>),
    Block(Block),
    If {
        condition: Box<Expr>,
        then: Block,
        /// A block, or another `if`.
        otherwise: Option<Box<Expr>>,
    },
    Switch {
        value: Box<Expr>,
        arms: Vec<Arm>,
    },
    While {
        condition: Box<Expr>,
        body: Block,
    },
    Loop(Block),
    /// `do … while` and `do … until`.
    Do {
        body: Block,
        is_until: bool,
        condition: Box<Expr>,
    },
    For {
        name: Name,
        counter: Option<Name>,
        over: Box<Expr>,
        body: Block,
    },
    Try {
        body: Block,
        error: Option<Name>,
        handler: Block,
    },
}

impl Expr {
    /// Without the brackets around it.
    pub fn bare(&self) -> &Expr {
        match &self.kind {
            ExprKind::Paren(inner) => inner.bare(),
            _ => self,
        }
    }

    /// What a plain text literal says.
    pub fn as_str(&self) -> Option<&str> {
        match &self.bare().kind {
            ExprKind::Str(text) => text.as_deref(),
            ExprKind::Template(parts) => match parts.as_slice() {
                [TemplatePart::Text(text)] => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&[Entry]> {
        match &self.bare().kind {
            ExprKind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// Whether it ends in a block, so that a statement made of it needs no semicolon.
    pub fn ends_in_block(&self) -> bool {
        matches!(
            self.kind,
            ExprKind::Block(_)
                | ExprKind::If { .. }
                | ExprKind::Switch { .. }
                | ExprKind::While { .. }
                | ExprKind::Loop(_)
                | ExprKind::For { .. }
                | ExprKind::Try { .. }
        )
    }
}

impl Tree {
    /// The token that a cursor at `offset` touches; of two, the one that is a word.
    pub fn token_at(&self, offset: u32) -> Option<&Token> {
        use super::token::TokenKind::{Ident, Keyword};
        let first = self.tokens.partition_point(|token| token.span.end < offset);
        let touched = || {
            self.tokens[first..]
                .iter()
                .take_while(|token| token.span.start <= offset)
        };
        let is_word = |token: &&Token| matches!(token.kind, Ident | Keyword);
        touched().find(is_word).or_else(|| touched().last())
    }
}
