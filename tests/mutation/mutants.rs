//! Small mistakes, made one at a time: what somebody may mistype, leave out or turn round.

use std::collections::BTreeSet;

use host::script::syntax::tree::{Entry, TemplatePart};
use host::script::syntax::{Expr, ExprKind, Lines, Node, Span, StmtKind, parse};

/// A text with one mistake in it.
pub struct Mutant {
    /// The lines that it touches, from 1.
    pub lines: BTreeSet<u32>,
    /// `"hooks" → "hooks!"`
    pub what: String,
    pub text: String,
}

/// The lines that have code on them, from 1: no comments, no lone brackets.
pub fn code_lines(text: &str) -> BTreeSet<u32> {
    let tree = parse(text);
    let lines = Lines::of(text);
    let tokens = tree.tokens.iter().filter(|token| !token.is_trivia());
    let says_something = |text: &str| text.chars().any(|letter| letter.is_alphanumeric());
    let words = tokens.filter(|token| says_something(token.span.of(text)));
    words.map(|token| lines.place(text, token.span.start).0).collect()
}

/// Every mutant of `text`, whether or not it still compiles.
pub fn mutants(text: &str) -> Vec<Mutant> {
    let tree = parse(text);
    assert!(tree.problems.is_empty(), "{:?}", tree.problems);
    let mut maker = Maker {
        text,
        lines: Lines::of(text),
        made: Vec::new(),
    };
    tree.walk(&mut |node| {
        maker.node(node);
        true
    });
    maker.made
}

struct Maker<'t> {
    text: &'t str,
    lines: Lines,
    made: Vec<Mutant>,
}

impl Maker<'_> {
    fn node(&mut self, node: Node<'_>) {
        match node {
            Node::Stmt(stmt) => match &stmt.kind {
                StmtKind::Fn(_) | StmtKind::Empty => {}
                StmtKind::Let { value: Some(value), .. } => {
                    self.delete(stmt.span);
                    if value.span.of(self.text) != "()" {
                        self.replace(value.span, "()");
                    }
                }
                _ => self.delete(stmt.span),
            },
            Node::Expr(expr) => self.expr(expr),
            Node::Block(_) => {}
        }
    }

    fn expr(&mut self, expr: &Expr) {
        let said = expr.span.of(self.text);
        match &expr.kind {
            ExprKind::Bool(truth) => self.replace(expr.span, &(!truth).to_string()),
            ExprKind::Int(Some(number)) => self.replace(expr.span, &(number + 1).to_string()),
            ExprKind::Float(Some(number)) => self.replace(expr.span, &format!("{:?}", number + 1.0)),
            ExprKind::Str(Some(_)) => self.replace(expr.span, &format!("{}!\"", &said[..said.len() - 1])),
            ExprKind::Template(parts) if parts.iter().any(|part| matches!(part, TemplatePart::Text(_))) => {
                self.replace(expr.span, &format!("{}!`", &said[..said.len() - 1]));
            }
            ExprKind::Array(items) => items.iter().for_each(|item| self.delete_item(item.span)),
            ExprKind::Map(entries) => entries.iter().for_each(|entry| self.entry(entry)),
            ExprKind::If { condition, .. } | ExprKind::While { condition, .. } => self.negate(condition),
            ExprKind::Binary { op, left, right } => {
                self.keep_only(expr, left);
                self.keep_only(expr, right);
                if let Some(other) = other_operator(&op.text) {
                    self.replace(op.span, other);
                }
            }
            ExprKind::Call { namespaces, args, .. } if namespaces.is_empty() => {
                args.iter().for_each(|arg| self.keep_only(expr, arg));
            }
            ExprKind::Unary { op, .. } if op.text == "!" => self.replace(op.span, " "),
            ExprKind::Method { name, args, .. } if args.is_empty() => {
                // The call without its method: `text.trim()` becomes `text`.
                let dot = self.text[..name.span.start as usize]
                    .rfind('.')
                    .expect("a method has a dot") as u32;
                self.delete(Span {
                    start: dot,
                    end: expr.span.end,
                });
            }
            _ => {}
        }
    }

    fn entry(&mut self, entry: &Entry) {
        self.delete_item(entry.key.span.to(entry.value.span));
    }

    fn keep_only(&mut self, whole: &Expr, part: &Expr) {
        self.replace(whole.span, part.span.of(self.text));
    }

    fn negate(&mut self, condition: &Expr) {
        self.replace(condition.span, &format!("!({})", condition.span.of(self.text)));
    }

    /// With the comma behind it, if there is one.
    fn delete_item(&mut self, span: Span) {
        let rest = &self.text[span.end as usize..];
        let end = match rest.find(|letter: char| !letter.is_whitespace()) {
            Some(at) if rest[at..].starts_with(',') => span.end + at as u32 + 1,
            _ => span.end,
        };
        self.delete(Span { end, ..span });
    }

    fn delete(&mut self, span: Span) {
        self.replace(span, "");
    }

    fn replace(&mut self, span: Span, instead: &str) {
        let said = span.of(self.text);
        let (first, _) = self.lines.place(self.text, span.start);
        let (last, _) = self.lines.place(self.text, span.end);
        let short = |text: &str| {
            let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
            line.chars().take(60).collect::<String>()
        };
        let what = match instead {
            "" => format!("without {}", short(said)),
            instead => format!("{} → {}", short(said), short(instead)),
        };
        self.made.push(Mutant {
            lines: (first..=last).collect(),
            what,
            text: format!(
                "{}{instead}{}",
                &self.text[..span.start as usize],
                &self.text[span.end as usize..]
            ),
        });
    }
}

fn other_operator(op: &str) -> Option<&'static str> {
    Some(match op {
        "==" => "!=",
        "!=" => "==",
        "<" => ">=",
        ">=" => "<",
        ">" => "<=",
        "<=" => ">",
        "+" => "-",
        "-" => "+",
        "*" => "/",
        "/" => "*",
        "&&" => "||",
        "||" => "&&",
        _ => return None,
    })
}
