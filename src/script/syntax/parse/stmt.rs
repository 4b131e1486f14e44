//! Statements.

use super::Parser;
use crate::script::syntax::token::TokenKind;
use crate::script::syntax::tree::{Expr, ExprKind, Function, Name, Span, Stmt, StmtKind};

/// Words that only begin statements: where one stands at the beginning of a line, what was open before is over.
const BEGINS: &[&str] = &["let", "const", "fn", "private", "import", "export", "return", "throw"];

impl Parser<'_> {
    /// Statements up to a `}` that is not theirs; of a whole file, up to its end.
    pub(super) fn statements(&mut self, is_file: bool) -> Vec<Stmt> {
        let mut stmts = Vec::new();
        if !self.down() {
            self.skip_block();
            self.up();
            return stmts;
        }
        while let Some(token) = self.token() {
            let ends_template = matches!(token.kind, TokenKind::TemplateMiddle | TokenKind::TemplateEnd);
            if self.sees("}") || ends_template {
                if !is_file {
                    break;
                }
                let span = self.take();
                self.problem(span, "this `}` closes nothing", None);
                continue;
            }
            let before = self.at;
            let stmt = self.statement();
            if self.at == before {
                let span = self.take();
                let shown = span.of(self.text).to_owned();
                self.problem(span, format!("`{shown}` does not belong here"), None);
                continue;
            }
            stmts.push(stmt);
        }
        self.up();
        stmts
    }

    /// Passes over a block that stands too deep, up to its end.
    fn skip_block(&mut self) {
        let mut open = 0_u32;
        while self.token().is_some() {
            if self.sees("{") || self.sees("#{") {
                open += 1;
            } else if self.sees("}") {
                if open == 0 {
                    return;
                }
                open -= 1;
            }
            self.at += 1;
        }
    }

    pub(super) fn begins_statement(&self) -> bool {
        let Some(token) = self.token().filter(|token| token.kind == TokenKind::Keyword) else {
            return false;
        };
        BEGINS.contains(&self.text_of(token)) && self.has_line_break_before(token)
    }

    fn statement(&mut self) -> Stmt {
        let mut start = self.span();
        let kind = self.statement_kind();
        if let StmtKind::Expr(expr) = &kind {
            // What is missing stands behind the token before.
            start.start = start.start.min(expr.span.start);
        }
        let needs_none = match &kind {
            StmtKind::Fn(_) | StmtKind::Empty => true,
            StmtKind::Expr(expr) => expr.ends_in_block(),
            _ => false,
        };
        let semicolon = match kind {
            StmtKind::Empty => None,
            _ => self.takes(";"),
        };
        let ends_block = self.token().is_none()
            || self.sees("}")
            || matches!(self.kind(), Some(TokenKind::TemplateMiddle | TokenKind::TemplateEnd));
        let behind = self.behind();
        if semicolon.is_none() && !needs_none && !ends_block && behind.start > start.start {
            self.problem(behind, "`;` is missing here", None);
        }
        Stmt {
            span: Span {
                start: start.start,
                end: behind.end.max(start.start),
            },
            kind,
            has_semicolon: semicolon.is_some(),
        }
    }

    pub(super) fn statement_kind(&mut self) -> StmtKind {
        let word = match self.token() {
            Some(token) if matches!(token.kind, TokenKind::Keyword | TokenKind::Symbol) => self.text_of(token),
            _ => return StmtKind::Expr(self.assignment(true)),
        };
        match word {
            ";" => {
                self.take();
                StmtKind::Empty
            }
            "let" | "const" => self.variable(false),
            "fn" => self.function(false),
            "private" if self.sees_ahead(1, "fn") => {
                self.take();
                self.function(true)
            }
            "import" => self.import(),
            "export" => self.export(),
            "return" => {
                self.take();
                StmtKind::Return(self.value())
            }
            "throw" => {
                self.take();
                StmtKind::Throw(self.value())
            }
            "break" => {
                self.take();
                StmtKind::Break(self.value())
            }
            "continue" => {
                self.take();
                StmtKind::Continue
            }
            _ => StmtKind::Expr(self.assignment(true)),
        }
    }

    /// What `return` and its like may be followed by.
    fn value(&mut self) -> Option<Expr> {
        let is_over = self.token().is_none() || self.sees(";") || self.sees("}") || self.sees(",");
        (!is_over && self.begins_expression()).then(|| self.assignment(false))
    }

    fn variable(&mut self, is_exported: bool) -> StmtKind {
        let keyword = self.take();
        let is_const = keyword.of(self.text) == "const";
        let name = self.name("variable's name");
        let value = self.takes("=").map(|_| self.assignment(false));
        StmtKind::Let {
            is_const,
            is_exported,
            name,
            value,
        }
    }

    fn function(&mut self, is_private: bool) -> StmtKind {
        self.take();
        let mut this_type = None;
        if self.sees_ahead(1, ".") {
            let span = self.take();
            this_type = Some(Name {
                text: span.of(self.text).trim_matches('"').to_owned(),
                span,
            });
            self.take();
        }
        let name = self.name("function's name");
        let params = match self.takes("(") {
            Some(open) => self.names_until(")", open),
            None => {
                let behind = self.behind();
                self.problem(behind, "`(` is missing here", None);
                Vec::new()
            }
        };
        let body = self.block();
        StmtKind::Fn(Function {
            is_private,
            this_type,
            name,
            params,
            body,
        })
    }

    /// Names with commas between them, up to what closes them.
    pub(super) fn names_until(&mut self, close: &str, open: Span) -> Vec<Name> {
        let mut names = Vec::new();
        while self.token().is_some() && !self.sees(close) && !self.sees("{") && !self.sees(";") {
            let before = self.at;
            names.push(self.name("parameter"));
            if self.takes(",").is_none() && !self.sees(close) {
                break;
            }
            if self.at == before {
                break;
            }
        }
        self.close(close, open);
        names
    }

    fn import(&mut self) -> StmtKind {
        self.take();
        let source = self.expr();
        let alias = self.takes("as").map(|_| self.name("name for what is imported"));
        StmtKind::Import { source, alias }
    }

    fn export(&mut self) -> StmtKind {
        self.take();
        if self.sees("let") || self.sees("const") {
            return self.variable(true);
        }
        let name = self.name("name to export");
        let alias = self.takes("as").map(|_| self.name("name"));
        StmtKind::Export { name, alias }
    }

    /// An expression, and what is assigned to it. At the beginning of a statement what ends in a block is whole.
    pub(super) fn assignment(&mut self, is_statement: bool) -> Expr {
        let target = match is_statement {
            true => self.expr_statement(),
            false => self.expr(),
        };
        let Some(op) = self.assign_op() else {
            return target;
        };
        let value = match self.down() {
            true => self.assignment(false),
            false => self.missing(),
        };
        self.up();
        Expr {
            span: target.span.to(value.span),
            kind: ExprKind::Assign {
                op,
                target: Box::new(target),
                value: Box::new(value),
            },
        }
    }

    fn assign_op(&mut self) -> Option<Name> {
        const OPS: &[&str] = &["=", "+=", "-=", "*=", "/=", "%=", "**=", "<<=", ">>=", "&=", "|=", "^="];
        let op = OPS.iter().find(|op| self.sees(op))?;
        Some(Name {
            text: (*op).to_owned(),
            span: self.take(),
        })
    }

    fn expr_statement(&mut self) -> Expr {
        let begins_block = ["{", "if", "switch", "while", "loop", "for", "try"];
        if begins_block.iter().any(|word| self.sees(word)) {
            return self.nested(Parser::primary);
        }
        self.expr()
    }
}
