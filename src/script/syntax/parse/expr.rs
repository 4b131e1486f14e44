//! Expressions.

use super::Parser;
use crate::script::syntax::token::{self, TokenKind};
use crate::script::syntax::tree::{Block, Entry, Expr, ExprKind, Name, Span, TemplatePart};

/// How strongly an operator between two values binds, as in Rhai.
fn strength(op: &str) -> Option<u8> {
    Some(match op {
        "||" | "|" | "^" => 30,
        "&&" | "&" => 60,
        "==" | "!=" => 90,
        "in" | "!in" => 110,
        "<" | "<=" | ">" | ">=" => 130,
        "??" => 135,
        ".." | "..=" => 140,
        "+" | "-" => 150,
        "*" | "/" | "%" => 180,
        "**" => 190,
        "<<" | ">>" => 210,
        _ => return None,
    })
}

/// Operators, fields and calls after each other make a tree as high as they are many, and trees are gone through by
/// recursion.
const HEIGHT_MAX: u32 = 500;

/// Stronger than `|`, which stands between the patterns of a `switch`.
pub(super) const PATTERN: u8 = 31;

impl Parser<'_> {
    pub(super) fn expr(&mut self) -> Expr {
        self.nested(|parser| parser.binary(0))
    }

    pub(super) fn missing(&mut self) -> Expr {
        let behind = self.behind();
        self.problem(behind, "a value is missing here", None);
        Expr {
            span: behind,
            kind: ExprKind::Missing,
        }
    }

    /// Whether the next token can begin a value.
    pub(super) fn begins_expression(&self) -> bool {
        let Some(token) = self.token() else { return false };
        match token.kind {
            TokenKind::Symbol => {
                let symbol = self.text_of(token);
                matches!(
                    symbol,
                    "(" | "[" | "{" | "#{" | "-" | "+" | "!" | "|" | "||" | ".." | "..="
                )
            }
            TokenKind::Keyword => {
                let words = [
                    "as", "catch", "until", "in", "let", "const", "fn", "private", "import", "export",
                ];
                !words.contains(&self.text_of(token))
            }
            TokenKind::TemplateMiddle | TokenKind::TemplateEnd | TokenKind::Unknown => false,
            _ => true,
        }
    }

    pub(super) fn binary(&mut self, weakest: u8) -> Expr {
        let (mut left, mut height) = self.measured(Parser::unary);
        while height < HEIGHT_MAX {
            let Some(op) = self.token().map(|token| self.text_of(token)) else {
                return left;
            };
            let is_word = matches!(self.kind(), Some(TokenKind::Symbol | TokenKind::Keyword));
            let Some(strength) = strength(op).filter(|strength| is_word && *strength >= weakest) else {
                return left;
            };
            let op = Name {
                text: op.to_owned(),
                span: self.take(),
            };
            let is_range = op.text.starts_with("..");
            let (right, beside) = self.measured(|parser| {
                if is_range && !parser.begins_operand() {
                    Expr {
                        span: parser.behind(),
                        kind: ExprKind::Unit,
                    }
                } else if op.text == "**" {
                    parser.nested(|parser| parser.binary(strength))
                } else {
                    parser.binary(strength + 1)
                }
            });
            height = self.grows(height.max(beside));
            left = Expr {
                span: left.span.to(right.span),
                kind: ExprKind::Binary {
                    op,
                    left: Box::new(left),
                    right: Box::new(right),
                },
            };
        }
        self.too_long(left)
    }

    /// What `inside` reads, and how high a tree that is.
    fn measured<T>(&mut self, inside: impl FnOnce(&mut Self) -> T) -> (T, u32) {
        let outside = std::mem::replace(&mut self.height, 0);
        let read = inside(self);
        let height = std::mem::replace(&mut self.height, outside);
        self.height = outside.max(height);
        (read, height)
    }

    /// The height of what stands on something of this `height`.
    fn grows(&mut self, height: u32) -> u32 {
        self.height = self.height.max(height + 1);
        height + 1
    }

    /// What `inside` reads, one level deeper.
    pub(super) fn nested(&mut self, inside: impl FnOnce(&mut Self) -> Expr) -> Expr {
        let read = match self.down() {
            true => inside(self),
            false => {
                self.take();
                self.missing()
            }
        };
        self.up();
        read
    }

    fn too_long(&mut self, chain: Expr) -> Expr {
        let span = self.span();
        self.problem(
            span,
            format!("this is built of more than {HEIGHT_MAX} parts in each other"),
            None,
        );
        chain
    }

    /// As [`Parser::begins_expression`]; but the block behind `for i in 0..` is its body.
    fn begins_operand(&self) -> bool {
        self.begins_expression() && !self.sees("{")
    }

    fn unary(&mut self) -> Expr {
        let Some(op) = ["-", "+", "!", "..", "..="].into_iter().find(|op| self.sees(op)) else {
            return self.postfix();
        };
        let op = Name {
            text: op.to_owned(),
            span: self.take(),
        };
        let (operand, height) = self.measured(|parser| parser.nested(Parser::unary));
        self.grows(height);
        Expr {
            span: op.span.to(operand.span),
            kind: ExprKind::Unary {
                op,
                operand: Box::new(operand),
            },
        }
    }

    fn postfix(&mut self) -> Expr {
        let (mut target, mut height) = self.measured(Parser::primary);
        while height < HEIGHT_MAX {
            let is_optional = self.sees("?.") || self.sees("?[");
            if self.sees(".") || self.sees("?.") {
                self.take();
                let (member, beside) = self.measured(|parser| parser.member(target, is_optional));
                target = member;
                height = self.grows(height.max(beside));
            } else if self.sees("[") || self.sees("?[") {
                let open = self.take();
                let (index, beside) = self.measured(|parser| match parser.sees("]") {
                    true => parser.missing(),
                    false => parser.expr(),
                });
                height = self.grows(height.max(beside));
                let close = self.close("]", open);
                target = Expr {
                    span: target.span.to(close),
                    kind: ExprKind::Index {
                        target: Box::new(target),
                        index: Box::new(index),
                        is_optional,
                    },
                };
            } else {
                return target;
            }
        }
        self.too_long(target)
    }

    fn member(&mut self, target: Expr, is_optional: bool) -> Expr {
        let name = self.name("field or function");
        let is_call = !name.text.is_empty() && (self.sees("(") || (self.sees("!") && self.sees_ahead(1, "(")));
        if !is_call {
            return Expr {
                span: target.span.to(name.span),
                kind: ExprKind::Field {
                    target: Box::new(target),
                    name,
                    is_optional,
                },
            };
        }
        self.takes("!");
        let (args, args_span) = self.arguments();
        Expr {
            span: target.span.to(args_span),
            kind: ExprKind::Method {
                target: Box::new(target),
                name,
                args,
                args_span,
                is_optional,
            },
        }
    }

    pub(super) fn arguments(&mut self) -> (Vec<Expr>, Span) {
        let open = self.take();
        let args = self.list(")");
        let close = self.close(")", open);
        (args, open.to(close))
    }

    /// Values with commas between them, up to what closes them.
    fn list(&mut self, close: &str) -> Vec<Expr> {
        let mut values = Vec::new();
        while self.token().is_some() && !self.sees(close) && !self.is_beyond() {
            values.push(if self.sees(",") {
                self.missing()
            } else {
                self.assignment(false)
            });
            if self.takes(",").is_none() {
                if self.sees(close) || self.is_beyond() || !self.begins_expression() {
                    break;
                }
                let behind = self.behind();
                self.problem(behind, "`,` is missing here", None);
            }
        }
        values
    }

    /// Whether what is open must have been over before this.
    fn is_beyond(&self) -> bool {
        let is_end = [";", "}", ")", "]"].iter().any(|word| self.sees(word));
        is_end || self.begins_statement()
    }

    pub(super) fn primary(&mut self) -> Expr {
        if !self.begins_expression() || self.begins_statement() {
            return self.missing();
        }
        let start = self.span();
        let (kind, height) = self.measured(Parser::primary_kind);
        self.grows(height);
        let end = self.behind();
        Expr {
            span: Span {
                start: start.start,
                end: end.end.max(start.start),
            },
            kind,
        }
    }

    fn primary_kind(&mut self) -> ExprKind {
        let Some(token) = self.token().copied() else {
            return ExprKind::Missing;
        };
        let text = self.text;
        let shown = token.span.of(text);
        match token.kind {
            TokenKind::Int => {
                self.take();
                ExprKind::Int(int(shown))
            }
            TokenKind::Float => {
                self.take();
                ExprKind::Float(shown.replace('_', "").parse().ok())
            }
            TokenKind::Char => {
                self.take();
                ExprKind::Char
            }
            TokenKind::Str => {
                self.take();
                let closed = (!token.is_unclosed).then_some(shown);
                ExprKind::Str(closed.and_then(token::unescape))
            }
            TokenKind::TemplateWhole => {
                self.take();
                let tail = usize::from(!token.is_unclosed);
                ExprKind::Template(vec![TemplatePart::Text(part(shown, tail))])
            }
            TokenKind::TemplateStart => self.template(),
            TokenKind::Ident => self.path(),
            TokenKind::Keyword => self.keyword(shown),
            _ => self.symbol(shown),
        }
    }

    fn template(&mut self) -> ExprKind {
        let open = self.span();
        let mut parts = Vec::new();
        loop {
            let Some(token) = self.token().copied() else {
                self.problem(open, "what is filled in here is not closed: `}` is missing", None);
                return ExprKind::Template(parts);
            };
            let is_end = token.kind == TokenKind::TemplateEnd;
            let tail = if !is_end { 2 } else { usize::from(!token.is_unclosed) };
            parts.push(TemplatePart::Text(part(token.span.of(self.text), tail)));
            self.take();
            if is_end {
                return ExprKind::Template(parts);
            }
            let start = self.behind();
            let stmts = self.statements(false);
            let span = start.to(self.behind());
            parts.push(TemplatePart::Code(Block { span, stmts }));
            if !matches!(self.kind(), Some(TokenKind::TemplateMiddle | TokenKind::TemplateEnd)) {
                self.problem(open, "what is filled in here is not closed: `}` is missing", None);
                return ExprKind::Template(parts);
            }
        }
    }

    /// A variable, something of a namespace, or a call of either.
    fn path(&mut self) -> ExprKind {
        let mut names = vec![self.name("name")];
        while self.sees("::") {
            self.take();
            names.push(self.name("function of the namespace"));
        }
        let name = names.pop().expect("it has at least one");
        if self.sees("(") || (self.sees("!") && self.sees_ahead(1, "(")) {
            self.takes("!");
            let (args, args_span) = self.arguments();
            return ExprKind::Call {
                namespaces: names,
                name,
                args,
                args_span,
            };
        }
        match names.is_empty() {
            true => ExprKind::Name(name.text),
            false => ExprKind::Path {
                namespaces: names,
                name,
            },
        }
    }

    fn symbol(&mut self, symbol: &str) -> ExprKind {
        let open = self.take();
        match symbol {
            "(" => {
                if self.takes(")").is_some() {
                    return ExprKind::Unit;
                }
                let inner = self.assignment(false);
                self.close(")", open);
                ExprKind::Paren(Box::new(inner))
            }
            "[" => {
                let items = self.list("]");
                self.close("]", open);
                ExprKind::Array(items)
            }
            "#{" => ExprKind::Map(self.entries(open)),
            "{" => ExprKind::Block(self.block_from(open)),
            "|" => {
                let params = self.names_until("|", open);
                self.closure(params)
            }
            "||" => self.closure(Vec::new()),
            _ => ExprKind::Missing,
        }
    }

    fn closure(&mut self, params: Vec<Name>) -> ExprKind {
        ExprKind::Closure {
            params,
            body: Box::new(self.closure_body()),
        }
    }

    fn entries(&mut self, open: Span) -> Vec<Entry> {
        let mut entries = Vec::new();
        while self.token().is_some() && !self.sees("}") && !self.is_beyond() {
            let before = self.at;
            let key = self.key();
            let value = match self.takes(":") {
                Some(_) if self.sees(",") || self.sees("}") => self.missing(),
                Some(_) => self.assignment(false),
                None => {
                    let behind = self.behind();
                    self.problem(behind, "`:` is missing here", None);
                    Expr {
                        span: behind,
                        kind: ExprKind::Missing,
                    }
                }
            };
            entries.push(Entry { key, value });
            if self.takes(",").is_none() && !self.sees("}") && !self.is_beyond() {
                let is_key = matches!(self.kind(), Some(TokenKind::Ident | TokenKind::Str));
                if !is_key || self.at == before {
                    break;
                }
                let behind = self.behind();
                self.problem(behind, "`,` is missing here", None);
            }
        }
        self.close("}", open);
        entries
    }

    fn key(&mut self) -> Name {
        match self.token().copied() {
            Some(token) if matches!(token.kind, TokenKind::Str | TokenKind::TemplateWhole) => {
                self.take();
                let literal = token.span.of(self.text);
                let text = token::unescape(literal).unwrap_or_else(|| literal.to_owned());
                Name { text, span: token.span }
            }
            _ => self.name("key"),
        }
    }
}

fn int(literal: &str) -> Option<i64> {
    let digits = literal.replace('_', "");
    let radix = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => 16,
        Some("0o") => 8,
        Some("0b") => 2,
        _ => return digits.parse().ok(),
    };
    i64::from_str_radix(&digits[2..], radix).ok()
}

/// The words of a piece of a template, without its first mark and its last `tail` bytes.
fn part(piece: &str, tail: usize) -> String {
    let end = piece.len().saturating_sub(tail).max(1);
    let inner = piece.get(1..end).unwrap_or_default();
    let first_line = inner.strip_prefix('\n').or_else(|| inner.strip_prefix("\r\n"));
    let inner = first_line.filter(|_| piece.starts_with('`')).unwrap_or(inner);
    token::unescape_template(inner)
}
