//! Signature help: the forms of the call around the cursor, and which argument is being typed.

use lsp_types::{
    Documentation, MarkupContent, MarkupKind, ParameterInformation, ParameterLabel, Position, SignatureHelp,
    SignatureInformation,
};

use super::cursor::Calling;
use super::knowledge::parameters;
use super::session::View;
use crate::script::reference::Function;
use crate::script::syntax::scopes::SymbolKind;
use crate::script::syntax::{Node, StmtKind};

/// Forms that are shown at most.
const FORMS_MAX: usize = 12;

pub fn help(view: &mut View<'_>, position: Position) -> Option<SignatureHelp> {
    let offset = view.source.offset(position);
    if view.source.is_comment(offset) {
        return None;
    }
    let calling = view.source.calling(offset)?;
    let forms = forms(view, &calling);
    if forms.is_empty() {
        return None;
    }
    let fits = |form: &SignatureInformation| form.parameters.as_ref().map_or(0, Vec::len) > calling.argument;
    let active = forms.iter().position(fits).unwrap_or(forms.len() - 1);
    Some(SignatureHelp {
        signatures: forms,
        active_signature: Some(active as u32),
        active_parameter: Some(calling.argument as u32),
    })
}

fn forms(view: &mut View<'_>, calling: &Calling) -> Vec<SignatureInformation> {
    if calling.is_method {
        let found = view.knowledge.methods_named(&calling.name);
        return found
            .into_iter()
            .take(FORMS_MAX)
            .map(|function| form(function, true))
            .collect();
    }
    let own = own_forms(view, calling);
    if !own.is_empty() {
        return own;
    }
    let knowledge = &view.knowledge;
    let found = match calling.name.contains("::") {
        true => knowledge.named(&calling.name),
        false => knowledge.methods_named(&calling.name),
    };
    found
        .into_iter()
        .take(FORMS_MAX)
        .map(|function| form(function, false))
        .collect()
}

/// The forms of a function that this file or a module it imports declares.
fn own_forms(view: &mut View<'_>, calling: &Calling) -> Vec<SignatureInformation> {
    let (source, name) = match calling.name.split_once("::") {
        None => (view.source.clone(), calling.name.as_str()),
        Some((alias, name)) => {
            let Some(path) = view
                .source
                .module_of(alias)
                .and_then(|module| view.home.module_path(&module))
            else {
                return Vec::new();
            };
            let Some(source) = view.session.source_at(&path) else {
                return Vec::new();
            };
            (source, name)
        }
    };
    let mut found = Vec::new();
    source.tree.walk(&mut |node| {
        if let Node::Stmt(stmt) = node
            && let StmtKind::Fn(function) = &stmt.kind
            && function.name.text == name
        {
            let params: Vec<&str> = function.params.iter().map(|param| param.text.as_str()).collect();
            let doc = source.comment_above(stmt.span.start);
            found.push(information(format!("{name}({})", params.join(", ")), doc, 0));
        }
        true
    });
    found
}

fn form(function: &Function, is_method: bool) -> SignatureInformation {
    information(function.signature.clone(), function.doc.clone(), usize::from(is_method))
}

/// A form without its first `skip` parameters: what stands before the dot.
fn information(signature: String, doc: String, skip: usize) -> SignatureInformation {
    let inner: Vec<String> = parameters(&signature)
        .into_iter()
        .skip(skip)
        .map(str::to_owned)
        .collect();
    let label = match (skip, signature.split_once('(')) {
        (1.., Some((name, _))) => format!("{name}({})", inner.join(", ")),
        _ => signature,
    };
    let parameters = inner.into_iter().map(|parameter| ParameterInformation {
        label: ParameterLabel::Simple(parameter),
        documentation: None,
    });
    SignatureInformation {
        parameters: Some(parameters.collect()),
        label,
        documentation: (!doc.is_empty()).then_some({
            Documentation::MarkupContent(MarkupContent {
                kind: MarkupKind::Markdown,
                value: doc,
            })
        }),
        active_parameter: None,
    }
}

/// What a symbol is called for people.
pub fn kind_name(kind: SymbolKind) -> &'static str {
    match kind {
        SymbolKind::Variable => "variable",
        SymbolKind::Constant => "constant",
        SymbolKind::Parameter => "parameter",
        SymbolKind::Loop => "loop variable",
        SymbolKind::Caught => "error that was caught",
        SymbolKind::Function { .. } => "function",
        SymbolKind::Import => "module",
    }
}
