//! Going through a tree in the order of the text.

use super::tree::{Block, Expr, ExprKind, Span, Stmt, StmtKind, TemplatePart, Tree};

#[derive(Clone, Copy, Debug)]
pub enum Node<'t> {
    Block(&'t Block),
    Stmt(&'t Stmt),
    Expr(&'t Expr),
}

impl<'t> Node<'t> {
    pub fn span(self) -> Span {
        match self {
            Node::Block(block) => block.span,
            Node::Stmt(stmt) => stmt.span,
            Node::Expr(expr) => expr.span,
        }
    }

    /// What stands directly in it, in order.
    pub fn children(self) -> Vec<Node<'t>> {
        match self {
            Node::Block(block) => block.stmts.iter().map(Node::Stmt).collect(),
            Node::Stmt(stmt) => of_stmt(stmt),
            Node::Expr(expr) => of_expr(expr),
        }
    }
}

fn of_stmt(stmt: &Stmt) -> Vec<Node<'_>> {
    match &stmt.kind {
        StmtKind::Let { value, .. } => value.iter().map(Node::Expr).collect(),
        StmtKind::Fn(function) => vec![Node::Block(&function.body)],
        StmtKind::Import { source, .. } => vec![Node::Expr(source)],
        StmtKind::Return(value) | StmtKind::Throw(value) | StmtKind::Break(value) => {
            value.iter().map(Node::Expr).collect()
        }
        StmtKind::Expr(expr) => vec![Node::Expr(expr)],
        StmtKind::Export { .. } | StmtKind::Continue | StmtKind::Empty => Vec::new(),
    }
}

fn of_expr(expr: &Expr) -> Vec<Node<'_>> {
    match &expr.kind {
        ExprKind::Missing
        | ExprKind::Unit
        | ExprKind::Bool(_)
        | ExprKind::Int(_)
        | ExprKind::Float(_)
        | ExprKind::Char
        | ExprKind::Str(_)
        | ExprKind::Name(_)
        | ExprKind::This
        | ExprKind::Path { .. } => Vec::new(),
        ExprKind::Template(parts) => parts
            .iter()
            .filter_map(|part| match part {
                TemplatePart::Code(block) => Some(Node::Block(block)),
                TemplatePart::Text(_) => None,
            })
            .collect(),
        ExprKind::Array(items) | ExprKind::Call { args: items, .. } => items.iter().map(Node::Expr).collect(),
        ExprKind::Map(entries) => entries.iter().map(|entry| Node::Expr(&entry.value)).collect(),
        ExprKind::Method { target, args, .. } => {
            let args = args.iter().map(Node::Expr);
            std::iter::once(Node::Expr(target)).chain(args).collect()
        }
        ExprKind::Field { target: inner, .. }
        | ExprKind::Unary { operand: inner, .. }
        | ExprKind::Closure { body: inner, .. }
        | ExprKind::Paren(inner) => vec![Node::Expr(inner)],
        ExprKind::Index {
            target: left,
            index: right,
            ..
        }
        | ExprKind::Binary { left, right, .. }
        | ExprKind::Assign {
            target: left,
            value: right,
            ..
        } => vec![Node::Expr(left), Node::Expr(right)],
        ExprKind::Block(block) | ExprKind::Loop(block) => vec![Node::Block(block)],
        ExprKind::If {
            condition,
            then,
            otherwise,
        } => {
            let otherwise = otherwise.as_deref().map(Node::Expr);
            [Node::Expr(condition), Node::Block(then)]
                .into_iter()
                .chain(otherwise)
                .collect()
        }
        ExprKind::Switch { value, arms } => {
            let mut nodes = vec![Node::Expr(value)];
            for arm in arms {
                nodes.extend(arm.patterns.iter().map(Node::Expr));
                nodes.extend(arm.guard.iter().map(Node::Expr));
                nodes.push(Node::Expr(&arm.body));
            }
            nodes
        }
        ExprKind::While { condition, body } => vec![Node::Expr(condition), Node::Block(body)],
        ExprKind::Do { body, condition, .. } => vec![Node::Block(body), Node::Expr(condition)],
        ExprKind::For { over, body, .. } => vec![Node::Expr(over), Node::Block(body)],
        ExprKind::Try { body, handler, .. } => vec![Node::Block(body), Node::Block(handler)],
    }
}

impl Tree {
    /// Every node, outer ones first; `visit` says whether to go into one.
    pub fn walk<'t>(&'t self, visit: &mut dyn FnMut(Node<'t>) -> bool) {
        walk(Node::Block(&self.root), visit);
    }

    /// The nodes that a cursor at `offset` stands in or touches, outermost first; of two that meet there, the later.
    pub fn path_to(&self, offset: u32) -> Vec<Node<'_>> {
        let mut path = vec![Node::Block(&self.root)];
        loop {
            let last = path.last().expect("it has the root");
            let inner = last.children().into_iter().rfind(|node| node.span().touches(offset));
            match inner {
                Some(inner) => path.push(inner),
                None => return path,
            }
        }
    }
}

/// `node` and every node below it, outer ones first; `visit` says whether to go into one.
pub fn walk<'t>(node: Node<'t>, visit: &mut dyn FnMut(Node<'t>) -> bool) {
    if visit(node) {
        for child in node.children() {
            walk(child, visit);
        }
    }
}
