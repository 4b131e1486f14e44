//! What a text literal names: a prompt, a module, a collection, a provider, an error code.

use super::cursor::MapRole;
use super::knowledge::{parameter_name, parameters};
use super::session::View;
use super::source::Source;
use crate::script::syntax::{ExprKind, Node, StmtKind};

/// What a text means where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    Prompt,
    Module,
    Playbook,
    Provider,
    ErrorCode,
    /// The value of this key in the header, or of an input there.
    HeaderValue,
    /// The first argument of a function that documents a parameter of that name; see [`parameter`].
    Argument,
}

/// What the text at `offset` means, as far as its place tells.
pub fn meaning(source: &Source, offset: u32) -> Option<Meaning> {
    let path = source.tree.path_to(offset);
    let is_import = path.iter().any(|node| match node {
        Node::Stmt(stmt) => matches!(&stmt.kind, StmtKind::Import { source, .. } if source.span.touches(offset)),
        _ => false,
    });
    if is_import {
        return Some(Meaning::Module);
    }
    if compares_code(&path, offset) {
        return Some(Meaning::ErrorCode);
    }
    if let Some((key, role)) = source.entry_around(offset) {
        match role {
            MapRole::Header if key == "uses" => return Some(Meaning::Provider),
            MapRole::Header | MapRole::Input => return Some(Meaning::HeaderValue),
            _ if key == "code" => return Some(Meaning::ErrorCode),
            _ => {}
        }
    }
    let calling = source.calling(offset)?;
    match (calling.name.as_str(), calling.argument) {
        ("prompt::render", 0) => Some(Meaning::Prompt),
        ("playbook::run" | "playbook::start" | "playbook::map" | "playbook::check", 0) => Some(Meaning::Playbook),
        _ => Some(Meaning::Argument),
    }
}

/// Whether the text is compared with a field `code`: `e.code == "…"`, or is a case of `switch e.code`.
fn compares_code(path: &[Node<'_>], offset: u32) -> bool {
    let is_code = |expr: &crate::script::syntax::Expr| matches!(&expr.bare().kind, ExprKind::Field { name, .. } if name.text == "code");
    path.iter().any(|node| {
        let Node::Expr(expr) = node else { return false };
        match &expr.kind {
            ExprKind::Binary { op, left, right } => {
                matches!(op.text.as_str(), "==" | "!=") && (is_code(left) || is_code(right))
            }
            ExprKind::Switch { value, arms } => {
                let patterns = arms.iter().flat_map(|arm| &arm.patterns);
                is_code(value) && patterns.into_iter().any(|pattern| pattern.span.touches(offset))
            }
            _ => false,
        }
    })
}

/// The name of the parameter that the argument at `offset` is for, with the call's name.
pub fn parameter(view: &View<'_>, offset: u32) -> Option<(String, String)> {
    let calling = view.source.calling(offset)?;
    let functions = view.knowledge.named(&calling.name);
    let named = functions.iter().find_map(|function| {
        parameters(&function.signature)
            .get(calling.argument)
            .map(|found| parameter_name(found).to_owned())
    });
    Some((calling.name, named?))
}
