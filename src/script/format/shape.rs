//! What tokens are to each other: which minus is unary, which bracket calls, where a statement begins.

use std::collections::BTreeSet;

use crate::script::syntax::{Block, ExprKind, Node, StmtKind, Token, Tree, walk};

/// Bytes at which tokens of a certain part begin.
#[derive(Default)]
pub(super) struct Shape {
    pub statements: BTreeSet<u32>,
    pub arms: BTreeSet<u32>,
    pub closures: BTreeSet<u32>,
    pub unary: BTreeSet<u32>,
    /// `(` and `[` that belong to what stands before them.
    pub calls: BTreeSet<u32>,
    pub indexes: BTreeSet<u32>,
    pub parameters: BTreeSet<u32>,
    /// The `{` of a `switch`.
    pub switches: BTreeSet<u32>,
}

impl Shape {
    pub fn of(text: &str, tree: &Tree) -> Shape {
        let mut shape = Shape::default();
        let first_after = |offset: u32, wanted: &[&str]| -> Option<u32> {
            let from = tree.tokens.partition_point(|token| token.span.start < offset);
            let found = tree.tokens[from..]
                .iter()
                .find(|token| is_symbol(text, token, wanted))?;
            Some(found.span.start)
        };
        shape.block(&tree.root);
        walk::walk(Node::Block(&tree.root), &mut |node| {
            match node {
                Node::Block(block) => shape.block(block),
                Node::Stmt(stmt) => {
                    if let StmtKind::Fn(function) = &stmt.kind {
                        shape.parameters.extend(first_after(function.name.span.end, &["("]));
                        // A body's own statements are reached through it.
                    }
                }
                Node::Expr(expr) => match &expr.kind {
                    ExprKind::Closure { .. } => {
                        shape.closures.insert(expr.span.start);
                    }
                    ExprKind::Unary { op, .. } => {
                        shape.unary.insert(op.span.start);
                    }
                    ExprKind::Call { args_span, .. } | ExprKind::Method { args_span, .. } => {
                        shape.calls.insert(args_span.start);
                    }
                    ExprKind::Index { target, .. } => {
                        shape.indexes.extend(first_after(target.span.end, &["[", "?["]));
                    }
                    ExprKind::Switch { value, arms } => {
                        shape.switches.extend(first_after(value.span.end, &["{"]));
                        let starts = arms.iter().filter_map(|arm| arm.patterns.first());
                        shape.arms.extend(starts.map(|pattern| pattern.span.start));
                    }
                    _ => {}
                },
            }
            true
        });
        shape
    }

    fn block(&mut self, block: &Block) {
        // A semicolon alone stays with what is before it.
        let stmts = block.stmts.iter().filter(|stmt| !matches!(stmt.kind, StmtKind::Empty));
        self.statements.extend(stmts.map(|stmt| stmt.span.start));
    }
}

fn is_symbol(text: &str, token: &Token, wanted: &[&str]) -> bool {
    !token.is_trivia() && wanted.contains(&token.span.of(text))
}
