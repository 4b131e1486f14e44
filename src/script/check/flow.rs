//! The course of a script: what is never reached, has no effect, is always so, or hides what went wrong.

use std::collections::BTreeSet;

use super::sheet::Sheet;
use super::view::View;
use crate::script::signatures::Kind;
use crate::script::syntax::{Block, Expr, ExprKind, Node, Span, Stmt, StmtKind, TokenKind};

/// Lines longer than this are hardly written by people.
const LINE_BYTES_MAX: u32 = 2000;

pub fn check(view: &View<'_>, sheet: &mut Sheet<'_>) {
    // The value of the last statement is the value of the block, except of a loop's body.
    let mut valueless: BTreeSet<u32> = BTreeSet::new();
    view.tree.walk(&mut |node| {
        match node {
            Node::Block(block) => {
                unreachable(block, sheet);
                for (at, stmt) in block.stmts.iter().enumerate() {
                    let is_last = at + 1 == block.stmts.len() && !valueless.contains(&block.span.start);
                    if !is_last || stmt.has_semicolon {
                        discarded(view, stmt, sheet);
                    }
                }
            }
            Node::Stmt(_) => {}
            Node::Expr(expr) => match &expr.kind {
                ExprKind::If { condition, .. } => always(view, condition, sheet),
                ExprKind::While { body, condition } => {
                    valueless.insert(body.span.start);
                    always_compared(view, condition, sheet);
                }
                ExprKind::For { body, .. } | ExprKind::Loop(body) => {
                    valueless.insert(body.span.start);
                }
                ExprKind::Binary { op, left, right } => operands(view, expr, &op.text, left, right, sheet),
                ExprKind::Try { handler, .. } => swallowed(view, expr, handler, sheet),
                ExprKind::Method { name, args, .. } => ordered(view, &name.text, args, sheet),
                ExprKind::Str(Some(text)) => not_filled_in(view, expr.span, text, sheet),
                _ => {}
            },
        }
        true
    });
    for line in 0..sheet.lines.count() {
        let span = sheet.lines.span(view.text, line);
        if span.end - span.start > LINE_BYTES_MAX {
            let bytes = span.end - span.start;
            let start = Span {
                start: span.start,
                end: span.start,
            };
            sheet
                .say(
                    "LINE_TOO_LONG",
                    start,
                    format!("this line has {bytes} bytes; nobody reads more than {LINE_BYTES_MAX}"),
                )
                .help("put data into a file below the project's folders, and read it with `file::read_json`");
            break;
        }
    }
}

/// Whether nothing after it runs.
fn diverges(stmt: &Stmt) -> bool {
    match &stmt.kind {
        StmtKind::Return(_) | StmtKind::Throw(_) | StmtKind::Break(_) | StmtKind::Continue => true,
        StmtKind::Expr(expr) => expr_diverges(expr),
        _ => false,
    }
}

fn expr_diverges(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Block(block) => block.stmts.iter().any(diverges),
        ExprKind::If {
            then,
            otherwise: Some(otherwise),
            ..
        } => then.stmts.iter().any(diverges) && expr_diverges(otherwise),
        _ => false,
    }
}

fn unreachable(block: &Block, sheet: &mut Sheet<'_>) {
    let Some(at) = block.stmts.iter().position(diverges) else {
        return;
    };
    let does_something = |stmt: &&Stmt| !matches!(stmt.kind, StmtKind::Fn(_) | StmtKind::Empty);
    let rest: Vec<&Stmt> = block.stmts[at + 1..].iter().filter(does_something).collect();
    let (Some(first), Some(last)) = (rest.first(), rest.last()) else {
        return;
    };
    let word = match &block.stmts[at].kind {
        StmtKind::Return(_) => "return",
        StmtKind::Throw(_) => "throw",
        StmtKind::Break(_) => "break",
        StmtKind::Continue => "continue",
        _ => "if",
    };
    let (before, span) = (sheet.region(block.stmts[at].span), first.span.to(last.span));
    sheet
        .say(
            "UNREACHABLE",
            span,
            format!("this never runs: the `{word}` of line {} comes before it", before.line),
        )
        .related(before, "nothing goes on after this");
}

/// A value that nobody takes.
fn discarded(view: &View<'_>, stmt: &Stmt, sheet: &mut Sheet<'_>) {
    let StmtKind::Expr(expr) = &stmt.kind else { return };
    match &expr.bare().kind {
        ExprKind::Binary { op, left, .. } if op.text == "==" => {
            let is_place = matches!(
                left.kind,
                ExprKind::Name(_) | ExprKind::Field { .. } | ExprKind::Index { .. }
            );
            let said = sheet.say("NO_EFFECT", expr.span, "this compares, and nobody takes the answer");
            if is_place {
                said.help("to give it a value write `=`")
                    .proposal("write `=`", op.span, "=");
            }
        }
        ExprKind::Binary { op, .. } if !["&&", "||", "??"].contains(&op.text.as_str()) => {
            sheet.say("NO_EFFECT", expr.span, "this computes a value, and nobody takes it");
        }
        ExprKind::Name(name) if view.declared.contains(name.as_str()) => {
            let said = sheet.say(
                "NO_EFFECT",
                expr.span,
                format!("`{name}` stands here alone, and does nothing"),
            );
            if view.summary.functions.contains_key(name) {
                let end = Span {
                    start: expr.span.end,
                    end: expr.span.end,
                };
                said.help(format!("to call it write `{name}()`"))
                    .proposal(format!("write `{name}()`"), end, "()");
            }
        }
        ExprKind::Field { .. } | ExprKind::Index { .. } | ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Str(_) => {
            sheet.say("NO_EFFECT", expr.span, "this value stands here alone, and does nothing");
        }
        ExprKind::Call { namespaces, name, .. }
            if name.text == "start" && namespaces.first().is_some_and(|first| first.text == "playbook") =>
        {
            sheet
                .say(
                    "CHILD_NOT_AWAITED",
                    expr.span,
                    "nobody waits for this run: how it ends, and that it failed, goes unseen",
                )
                .help("keep its id and give it to `playbook::wait`, or use `playbook::run`");
        }
        _ => {}
    }
}

/// The condition of an `if` that is always the same.
fn always(view: &View<'_>, condition: &Expr, sheet: &mut Sheet<'_>) {
    if let ExprKind::Bool(truth) = condition.bare().kind {
        sheet.say("CONSTANT_CONDITION", condition.span, format!("this is always {truth}"));
        return;
    }
    always_compared(view, condition, sheet);
}

fn always_compared(view: &View<'_>, condition: &Expr, sheet: &mut Sheet<'_>) {
    let ExprKind::Binary { op, left, right } = &condition.bare().kind else {
        return;
    };
    let other = match op.text.as_str() {
        "||" => "!=",
        "&&" => "==",
        _ => return,
    };
    // `a != "x" || a != "y"`
    if let (Some(one), Some(two)) = (compared(view, left, other), compared(view, right, other))
        && one.0 == two.0
        && one.1 != two.1
    {
        let (is, word) = if other == "!=" { ("true", "&&") } else { ("false", "||") };
        sheet
            .say(
                "CONSTANT_CONDITION",
                condition.span,
                format!("this is always {is}: `{}` cannot be both", one.0),
            )
            .help(format!("write `{word}`"))
            .proposal(format!("write `{word}`"), op.span, word);
    }
}

/// What is compared with which literal.
fn compared<'v>(view: &View<'v>, expr: &Expr, wanted: &str) -> Option<(&'v str, &'v str)> {
    let ExprKind::Binary { op, left, right } = &expr.bare().kind else {
        return None;
    };
    let is_literal = matches!(right.kind, ExprKind::Str(_) | ExprKind::Int(_));
    (op.text == wanted && is_literal).then(|| (view.of(left.span), view.of(right.span)))
}

fn operands(view: &View<'_>, expr: &Expr, op: &str, left: &Expr, right: &Expr, sheet: &mut Sheet<'_>) {
    let is_comparison = ["==", "!=", "<", ">", "<=", ">="].contains(&op);
    if is_comparison {
        let is_same = view.of(left.span) == view.of(right.span) && is_plain(left);
        let answer = matches!(op, "==" | "<=" | ">=");
        if is_same {
            sheet.say(
                "CONSTANT_CONDITION",
                expr.span,
                format!("both sides are the same, so this is always {answer}"),
            );
            return;
        }
        let (one, two) = (view.kind(left), view.kind(right));
        let is_known = |kind: &Kind| {
            matches!(
                kind,
                Kind::Bool | Kind::Int | Kind::Float | Kind::Text | Kind::Array(_) | Kind::Map(_)
            )
        };
        let is_number = |kind: &Kind| matches!(kind, Kind::Int | Kind::Float);
        if is_known(&one) && is_known(&two) && !one.fits(&two) && !(is_number(&one) && is_number(&two)) {
            let answer = op == "!=";
            let said = sheet.say(
                "CONSTANT_CONDITION",
                expr.span,
                format!(
                    "{} is compared with {}, so this is always {answer}",
                    one.name(),
                    two.name()
                ),
            );
            // `input.count == "5"`
            let literal = [left, right]
                .into_iter()
                .find_map(|side| Some((side.span, side.as_str()?)));
            if let (Some((span, text)), true) = (literal, is_number(&one) || is_number(&two))
                && text.parse::<i64>().is_ok()
            {
                said.proposal(format!("write `{text}`"), span, text);
            }
        }
        return;
    }
    if ["-", "*", "/", "%"].contains(&op) {
        let text = [left, right].into_iter().find(|side| view.kind(side) == Kind::Text);
        if let Some(text) = text {
            let end = Span {
                start: text.span.end,
                end: text.span.end,
            };
            let said = sheet.say("ARGUMENT_TYPE", text.span, format!("`{op}` does not take a string"));
            match text.as_str().map(|text| text.parse::<f64>().is_ok()) {
                Some(true) => {
                    let number = text.as_str().unwrap_or_default().to_owned();
                    said.fix(format!("write `{number}`"), text.span, number)
                }
                Some(false) => said,
                None => said.proposal("write `.to_float()`", end, ".to_float()"),
            };
        }
    }
}

/// An expression that has the same value whenever it is asked for.
fn is_plain(expr: &Expr) -> bool {
    match &expr.bare().kind {
        ExprKind::Name(_) | ExprKind::Int(_) | ExprKind::Str(_) | ExprKind::This => true,
        ExprKind::Field { target, .. } => is_plain(target),
        ExprKind::Index { target, index, .. } => is_plain(target) && is_plain(index),
        _ => false,
    }
}

/// A `catch` that hides what went wrong. One that says why it may is left alone.
fn swallowed(view: &View<'_>, expr: &Expr, handler: &Block, sheet: &mut Sheet<'_>) {
    let is_empty = handler.stmts.iter().all(|stmt| match &stmt.kind {
        StmtKind::Empty => true,
        StmtKind::Expr(expr) => matches!(expr.bare().kind, ExprKind::Unit),
        _ => false,
    });
    let tokens = &view.tree.tokens;
    let first = tokens.partition_point(|token| token.span.start < handler.span.start);
    let within = tokens[first..]
        .iter()
        .take_while(|token| token.span.end <= handler.span.end);
    let is_explained = within
        .into_iter()
        .any(|token| matches!(token.kind, TokenKind::LineComment | TokenKind::BlockComment));
    if is_empty && !is_explained {
        let word = Span {
            start: expr.span.end.min(handler.span.start),
            end: handler.span.end,
        };
        sheet
            .say(
                "SWALLOWED_ERROR",
                word,
                "whatever goes wrong here is hidden, also what nobody thought of",
            )
            .help("name the code you expect, and throw the rest again: `if error.code != \"…\" { throw error; }`");
    }
}

/// How often a comparator is called, and with what, is for the sorting to choose.
fn ordered(view: &View<'_>, name: &str, args: &[Expr], sheet: &mut Sheet<'_>) {
    if !["sort", "sort_by", "order", "order_by", "dedup", "dedup_by"].contains(&name) {
        return;
    }
    for arg in args {
        let mut is_told = false;
        super::walk(arg, &mut |inner| {
            if !is_told
                && let ExprKind::Call { namespaces, name, .. } = &inner.kind
                && let [namespace] = namespaces.as_slice()
                && is_effect(view, &namespace.text, &name.text)
            {
                is_told = true;
                sheet
                    .say(
                        "EFFECT_IN_ORDER",
                        inner.span,
                        format!(
                            "`{}::{}` within the order of a list: how often it is asked, and for what, nobody can say",
                            namespace.text, name.text
                        ),
                    )
                    .help("ask before, with `map`, and sort what came of it");
            }
        });
    }
}

/// Whether a function asks something of the host: others only compute.
fn is_effect(view: &View<'_>, namespace: &str, name: &str) -> bool {
    const COMPUTES: [&str; 7] = ["json", "hash", "text", "csv", "stats", "log", "report"];
    let is_clock = name.starts_with("now");
    view.project.signatures.is_namespace(namespace)
        && !COMPUTES.contains(&namespace)
        && (namespace != "time" || is_clock)
}

/// `"${name}"`: only texts in backticks are filled in.
fn not_filled_in(view: &View<'_>, span: Span, text: &str, sheet: &mut Sheet<'_>) {
    let Some((_, rest)) = text.split_once("${") else {
        return;
    };
    let name: String = rest
        .chars()
        .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
        .collect();
    let is_variable = name == crate::script::source::INPUT
        || view
            .scopes
            .visible_at(span.start)
            .iter()
            .any(|at| view.scopes.symbols[*at].name.text == name);
    if !is_variable || !rest.contains('}') {
        return;
    }
    let literal = view.of(span);
    let said = sheet
        .say(
            "NOT_FILLED_IN",
            span,
            format!("`${{{name}…}}` stands in quotes, so it is not filled in"),
        )
        .help("texts in backticks are filled in");
    if literal.starts_with('"') && !literal.contains('`') {
        let inner = literal[1..literal.len() - 1].replace("\\\"", "\"");
        said.proposal("write it in backticks", span, format!("`{inner}`"));
    }
}
