//! From tokens to a tree, whatever they are.
//!
//! What is missing is put in as [`ExprKind::Missing`](super::tree::ExprKind::Missing) or an empty name, what does not
//! belong is skipped, and both are noted as problems: of several that stand at the same place only the first.

mod expr;
mod stmt;
mod word;

use super::token::{Token, TokenKind, tokens};
use super::tree::{Block, Name, Problem, Span, Tree};

/// How deep expressions and blocks may stand in each other; deeper ones are skipped. Rhai allows 48.
const DEPTH_MAX: u32 = 50;

/// Problems that are noted; a file with more is no script.
const PROBLEMS_MAX: usize = 100;

/// Reads `text` as far as it can be read.
pub fn parse(text: &str) -> Tree {
    let tokens = tokens(text);
    let order: Vec<usize> = (0..tokens.len()).filter(|at| !tokens[*at].is_trivia()).collect();
    let mut parser = Parser {
        text,
        tokens: &tokens,
        order,
        at: 0,
        depth: 0,
        height: 0,
        problems: Vec::new(),
    };
    // Rhai takes a comment or a text in backticks that is never closed for one that ends with the file.
    for token in tokens.iter().filter(|token| token.is_unclosed) {
        match token.kind {
            TokenKind::Char => parser.problem(token.span, "this character is not closed: `'` is missing", None),
            TokenKind::Str => parser.problem(token.span, "this text is not closed: `\"` is missing", None),
            _ => {}
        }
    }
    let stmts = parser.statements(true);
    let root = Block {
        span: Span::new(0, text.len()),
        stmts,
    };
    let mut problems = parser.problems;
    problems.sort_by_key(|problem| problem.span);
    Tree { root, tokens, problems }
}

pub(super) struct Parser<'t> {
    text: &'t str,
    tokens: &'t [Token],
    /// The tokens that are not trivia.
    order: Vec<usize>,
    at: usize,
    depth: u32,
    /// The height of the tallest expression since the last [`Parser::measured`].
    height: u32,
    problems: Vec<Problem>,
}

impl Parser<'_> {
    fn token(&self) -> Option<&Token> {
        self.order.get(self.at).map(|at| &self.tokens[*at])
    }

    fn ahead(&self, by: usize) -> Option<&Token> {
        self.order.get(self.at + by).map(|at| &self.tokens[*at])
    }

    fn text_of(&self, token: &Token) -> &str {
        token.span.of(self.text)
    }

    fn kind(&self) -> Option<TokenKind> {
        self.token().map(|token| token.kind)
    }

    /// Whether the next token is this symbol or keyword.
    fn sees(&self, word: &str) -> bool {
        self.sees_ahead(0, word)
    }

    fn sees_ahead(&self, by: usize, word: &str) -> bool {
        self.ahead(by).is_some_and(|token| {
            matches!(token.kind, TokenKind::Symbol | TokenKind::Keyword) && self.text_of(token) == word
        })
    }

    fn span(&self) -> Span {
        match self.token() {
            Some(token) => token.span,
            None => Span::new(self.text.len(), self.text.len()),
        }
    }

    /// The place just behind the last token that was taken.
    fn behind(&self) -> Span {
        let end = match self.at.checked_sub(1) {
            Some(before) => self.tokens[self.order[before]].span.end,
            None => 0,
        };
        Span { start: end, end }
    }

    fn take(&mut self) -> Span {
        let span = self.span();
        self.at = (self.at + 1).min(self.order.len());
        span
    }

    fn takes(&mut self, word: &str) -> Option<Span> {
        self.sees(word).then(|| self.take())
    }

    fn problem(&mut self, span: Span, message: impl Into<String>, related: Option<Span>) {
        let known = self.problems.iter().any(|known| known.span.start == span.start);
        if !known && self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem {
                span,
                message: message.into(),
                related,
            });
        }
    }

    /// Takes `word`, or notes that it is missing behind what was taken last.
    fn expect(&mut self, word: &str) -> Span {
        match self.takes(word) {
            Some(span) => span,
            None => {
                let behind = self.behind();
                self.problem(behind, format!("`{word}` is missing here"), None);
                behind
            }
        }
    }

    /// Takes the bracket that closes what `open` began.
    fn close(&mut self, word: &str, open: Span) -> Span {
        match self.takes(word) {
            Some(span) => span,
            None => {
                let behind = self.behind();
                self.problem(behind, format!("`{word}` is missing here"), Some(open));
                behind
            }
        }
    }

    /// A name; an empty one when none stands here.
    fn name(&mut self, what: &str) -> Name {
        if let Some(token) = self.token().filter(|token| token.kind == TokenKind::Ident) {
            let name = Name {
                text: self.text_of(token).to_owned(),
                span: token.span,
            };
            self.at += 1;
            return name;
        }
        let behind = self.behind();
        let reserved = self.token().filter(|token| token.kind == TokenKind::Keyword);
        if let Some(token) = reserved.filter(|token| !self.has_line_break_before(token)) {
            let name = Name {
                text: self.text_of(token).to_owned(),
                span: token.span,
            };
            let message = format!("`{}` is a word of the language and no {what}", name.text);
            self.at += 1;
            self.problem(name.span, message, None);
            return name;
        }
        self.problem(behind, format!("a {what} is missing here"), None);
        Name {
            text: String::new(),
            span: behind,
        }
    }

    fn has_line_break_before(&self, token: &Token) -> bool {
        let behind = self.behind().start as usize;
        self.text[behind..token.span.start as usize].contains('\n')
    }

    /// Goes one level down, if that is still allowed; [`Parser::up`] goes back.
    fn down(&mut self) -> bool {
        self.depth += 1;
        if self.depth <= DEPTH_MAX {
            return true;
        }
        let span = self.span();
        self.problem(span, format!("this stands more than {DEPTH_MAX} levels deep"), None);
        false
    }

    fn up(&mut self) {
        self.depth -= 1;
    }

    fn block(&mut self) -> Block {
        let Some(open) = self.takes("{") else {
            let behind = self.behind();
            self.problem(behind, "`{` is missing here", None);
            return Block {
                span: behind,
                stmts: Vec::new(),
            };
        };
        self.block_from(open)
    }

    fn block_from(&mut self, open: Span) -> Block {
        let stmts = self.statements(false);
        let close = self.close("}", open);
        Block {
            span: open.to(close),
            stmts,
        }
    }
}
