//! Mistakes that show without running: functions that do not exist, and providers that `uses` does not name.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{ASTNode, Expr, Position, Stmt};

use super::Language;
use super::error::{Diagnosis, nearest, place_of};
use super::reference::{Function, functions};
use super::source::Script;

/// Everything that can be said against `script` without running it.
pub fn check(language: &Language, script: &Script, writers: &BTreeMap<String, String>) -> Vec<Diagnosis> {
    let known = functions(language);
    let mut found = Vec::new();
    let mut written: BTreeSet<&str> = BTreeSet::new();
    for (module, ast) in script.asts() {
        let text = module
            .and_then(|module| script.modules.get(module))
            .unwrap_or(&script.source);
        ast.walk(&mut |path: &[ASTNode]| {
            if let Some((name, arguments, position)) = namespaced_call(path) {
                written.extend(writers.get(&name).map(String::as_str));
                if let Some((code, message)) = unknown(language, &known, &name, arguments) {
                    found.push(Diagnosis::new(code, message, text.clone()).at(place_of(position, module)));
                }
            }
            true
        });
    }
    let missing: Vec<&str> = written
        .into_iter()
        .filter(|provider| {
            !script
                .header
                .uses
                .iter()
                .any(|used| used.split(':').next() == Some(provider))
        })
        .collect();
    if !missing.is_empty() && script.header.is_present {
        let list = missing
            .iter()
            .map(|provider| format!("{provider:?}"))
            .collect::<Vec<_>>()
            .join(", ");
        let message = format!(
            "the playbook writes to {}, but `uses` does not say so: live, the gate will refuse",
            missing.join(" and ")
        );
        found.push(
            Diagnosis::new("NOT_IN_USES", message, script.source.clone())
                .help(format!("add {list} to `uses` in PLAYBOOK")),
        );
    }
    found
}

fn namespaced_call(path: &[ASTNode]) -> Option<(String, usize, Position)> {
    let (call, position) = match path.last()? {
        ASTNode::Expr(Expr::FnCall(call, position)) => (call, position),
        ASTNode::Stmt(Stmt::FnCall(call, position)) => (call, position),
        _ => return None,
    };
    if call.namespace.is_empty() {
        return None;
    }
    Some((format!("{}::{}", call.namespace, call.name), call.args.len(), *position))
}

fn unknown(language: &Language, known: &[Function], name: &str, arguments: usize) -> Option<(&'static str, String)> {
    let (namespace, _) = name.rsplit_once("::")?;
    // Other namespaces are modules that the script imports; their functions are known when they run.
    language.namespaces().iter().find(|(known, _)| known == namespace)?;
    let same_name: Vec<&Function> = known.iter().filter(|function| function.name == name).collect();
    if same_name.is_empty() {
        let near = nearest(name, known.iter().map(|function| function.name.as_str()));
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return Some(("UNKNOWN_FUNCTION", format!("there is no function `{name}`{hint}")));
    }
    if same_name.iter().any(|function| function.parameters == arguments) {
        return None;
    }
    let signatures = same_name
        .iter()
        .map(|function| format!("`{}`", function.signature))
        .collect::<Vec<_>>()
        .join(" or ");
    Some((
        "UNKNOWN_FUNCTION",
        format!("`{name}` does not take {arguments} arguments; it is {signatures}"),
    ))
}
