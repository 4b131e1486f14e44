//! Expressions that begin with a word of the language.

use super::Parser;
use super::expr::PATTERN;
use crate::script::syntax::tree::{Arm, Block, Expr, ExprKind, Name, Span, Stmt, StmtKind};

impl Parser<'_> {
    pub(super) fn keyword(&mut self, word: &str) -> ExprKind {
        match word {
            "true" | "false" => {
                let is_true = word == "true";
                self.take();
                ExprKind::Bool(is_true)
            }
            "this" => {
                self.take();
                ExprKind::This
            }
            "if" => self.conditional(),
            "switch" => self.switch(),
            "while" => {
                self.take();
                let condition = Box::new(self.assignment(false));
                let body = self.block();
                ExprKind::While { condition, body }
            }
            "loop" => {
                self.take();
                ExprKind::Loop(self.block())
            }
            "do" => {
                self.take();
                let body = self.block();
                let is_until = self.sees("until");
                match is_until {
                    true => self.take(),
                    false => self.expect("while"),
                };
                let condition = Box::new(self.expr());
                ExprKind::Do {
                    body,
                    is_until,
                    condition,
                }
            }
            "for" => self.counted(),
            "try" => {
                self.take();
                let body = self.block();
                self.expect("catch");
                let error = self.takes("(").map(|open| {
                    let name = self.name("name for the error");
                    self.close(")", open);
                    name
                });
                let handler = self.block();
                ExprKind::Try { body, error, handler }
            }
            "return" | "throw" | "break" | "continue" => self.one_statement().kind,
            "is_shared" => {
                let name = Name {
                    text: word.to_owned(),
                    span: self.take(),
                };
                if !self.sees("(") {
                    return ExprKind::Name(name.text);
                }
                let (args, args_span) = self.arguments();
                ExprKind::Call {
                    namespaces: Vec::new(),
                    name,
                    args,
                    args_span,
                }
            }
            reserved => {
                let message = format!("`{reserved}` is a word that the language keeps for itself");
                let name = reserved.to_owned();
                let span = self.take();
                self.problem(span, message, None);
                ExprKind::Name(name)
            }
        }
    }

    fn conditional(&mut self) -> ExprKind {
        self.take();
        let condition = Box::new(self.assignment(false));
        let then = self.block();
        let otherwise = self.takes("else").map(|_| {
            if self.sees("if") {
                return Box::new(self.nested(Parser::primary));
            }
            let body = self.block();
            Box::new(Expr {
                span: body.span,
                kind: ExprKind::Block(body),
            })
        });
        ExprKind::If {
            condition,
            then,
            otherwise,
        }
    }

    fn switch(&mut self) -> ExprKind {
        self.take();
        let value = Box::new(self.expr());
        let Some(open) = self.takes("{") else {
            self.expect("{");
            return ExprKind::Switch {
                value,
                arms: Vec::new(),
            };
        };
        let mut arms = Vec::new();
        while self.token().is_some() && !self.sees("}") {
            let before = self.at;
            let mut patterns = vec![self.binary(PATTERN)];
            while self.takes("|").is_some() {
                patterns.push(self.binary(PATTERN));
            }
            let guard = self.takes("if").map(|_| self.expr());
            self.expect("=>");
            let body = self.assignment(true);
            self.takes(",");
            arms.push(Arm { patterns, guard, body });
            if self.at == before || self.begins_statement() {
                break;
            }
        }
        self.close("}", open);
        ExprKind::Switch { value, arms }
    }

    fn counted(&mut self) -> ExprKind {
        self.take();
        let (name, counter) = match self.takes("(") {
            Some(open) => {
                let name = self.name("variable's name");
                let counter = self.takes(",").map(|_| self.name("counter's name"));
                self.close(")", open);
                (name, counter)
            }
            None => (self.name("variable's name"), None),
        };
        self.expect("in");
        let over = Box::new(self.expr());
        let body = self.block();
        ExprKind::For {
            name,
            counter,
            over,
            body,
        }
    }

    /// Any statement may follow the parameters, also none.
    pub(super) fn closure_body(&mut self) -> Expr {
        const WORDS: &[&str] = &[
            "return", "throw", "break", "continue", "let", "const", "import", "export",
        ];
        if self.token().is_none() || self.sees(";") {
            self.takes(";");
            return Expr {
                span: self.behind(),
                kind: ExprKind::Unit,
            };
        }
        if !WORDS.iter().any(|word| self.sees(word)) || self.begins_statement() {
            return self.assignment(true);
        }
        let start = self.span();
        let kind = self.statement_kind();
        self.whole_block(start, kind)
    }

    /// A block that is one statement.
    fn whole_block(&mut self, start: Span, kind: StmtKind) -> Expr {
        let span = start.to(self.behind());
        let stmt = Stmt {
            span,
            kind,
            has_semicolon: false,
        };
        Expr {
            span,
            kind: ExprKind::Block(Block {
                span,
                stmts: vec![stmt],
            }),
        }
    }

    /// `throw …` where a value stands: as a block of its own.
    pub(super) fn one_statement(&mut self) -> Expr {
        let word = self.take();
        let value = self.begins_expression().then(|| self.assignment(false));
        let kind = match word.of(self.text) {
            "return" => StmtKind::Return(value),
            "throw" => StmtKind::Throw(value),
            "break" => StmtKind::Break(value),
            _ => StmtKind::Continue,
        };
        self.whole_block(word, kind)
    }
}
