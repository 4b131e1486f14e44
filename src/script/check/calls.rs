//! Calls: functions that there are not, and too many or too few arguments.

use super::elsewhere::ELSEWHERE;
use super::sheet::{Sheet, listed};
use super::view::View;
use crate::script::error::nearest;
use crate::script::signatures::Kind;
use crate::script::syntax::scopes::SymbolKind;
use crate::script::syntax::{Expr, ExprKind, Name, Node, Span};

/// What can be said against every call and every field.
pub fn check(view: &View<'_>, sheet: &mut Sheet<'_>) {
    view.tree.walk(&mut |node| {
        let Node::Expr(expr) = node else { return true };
        if sheet.is_closed() {
            return false;
        }
        match &expr.kind {
            ExprKind::Call {
                namespaces,
                name,
                args,
                args_span,
            } => match namespaces.as_slice() {
                [] => plain(view, name, args, *args_span, sheet),
                [namespace] => namespaced(view, namespace, name, args, sheet),
                _ => {}
            },
            ExprKind::Method { target, name, args, .. } => method(view, target, name, args, sheet),
            ExprKind::Field { target, name, .. } => super::fields::check(view, target, name, sheet),
            ExprKind::Index { target, index, .. } => {
                if let Some(key) = index.as_str() {
                    super::fields::key(view, target, key, index.span, sheet);
                }
            }
            ExprKind::Path { namespaces, .. } => {
                if let [namespace] = namespaces.as_slice() {
                    self::namespace(view, namespace, sheet);
                }
            }
            _ => {}
        }
        true
    });
}

/// Whether a namespace is one; told when it is none.
fn namespace(view: &View<'_>, namespace: &Name, sheet: &mut Sheet<'_>) -> bool {
    let name = namespace.text.as_str();
    let is_import = view.symbol(namespace.span).is_some();
    if is_import || name == "global" || view.project.signatures.is_namespace(name) {
        return true;
    }
    let aliases = view
        .scopes
        .symbols
        .iter()
        .filter(|symbol| symbol.kind == SymbolKind::Import);
    let known = view
        .project
        .signatures
        .namespaces()
        .map(|(name, _)| name)
        .chain(aliases.map(|symbol| symbol.name.text.as_str()));
    let message = format!("there is no namespace `{name}::`");
    if let Some(near) = nearest(name, known) {
        sheet
            .say(
                "UNKNOWN_NAMESPACE",
                namespace.span,
                format!("{message}; did you mean `{near}::`?"),
            )
            .fix(format!("write `{near}`"), namespace.span, near);
        return false;
    }
    let mut modules = view.project.playbooks.iter().flatten();
    let module = modules.find(|module| module.rsplit('/').next() == Some(name));
    let said = sheet.say("UNKNOWN_NAMESPACE", namespace.span, message);
    match module {
        Some(module) => {
            let line = format!("import {module:?} as {name};\n");
            said.help(format!("import the module first: import {module:?} as {name};"))
                .fix(
                    format!("import {module:?}"),
                    Span::new(after_header(view), after_header(view)),
                    line,
                );
        }
        None => {
            said.help("`host functions` lists the namespaces; modules are imported by `import \"…\" as name;`");
        }
    }
    false
}

/// Where an import can be written: after the comments at the beginning.
fn after_header(view: &View<'_>) -> usize {
    view.tree
        .root
        .stmts
        .first()
        .map_or(0, |first| first.span.start as usize)
}

fn namespaced(view: &View<'_>, namespace: &Name, name: &Name, args: &[Expr], sheet: &mut Sheet<'_>) {
    if !self::namespace(view, namespace, sheet) {
        return;
    }
    if let Some(module) = view.module_of(namespace) {
        imported(view, module, namespace, name, args.len(), sheet);
        return;
    }
    if namespace.text == "global" || !view.project.signatures.is_namespace(&namespace.text) {
        return;
    }
    let whole = format!("{}::{}", namespace.text, name.text);
    let Some(known) = view.project.signatures.function(&whole) else {
        unknown_function(view, namespace, name, sheet);
        return;
    };
    let ways: Vec<_> = known.ways.iter().filter(|way| way.params.len() == args.len()).collect();
    if ways.is_empty() {
        let ways: Vec<String> = known.ways.iter().map(|way| format!("`{}`", way.text)).collect();
        sheet
            .say(
                "ARGUMENT_COUNT",
                namespace.span.to(name.span),
                format!(
                    "`{whole}` does not take {}; it is {}",
                    count(args.len()),
                    ways.join(" or ")
                ),
            )
            .help(format!("`host functions {whole}` tells the whole of it"));
        return;
    }
    super::arguments::check(view, known, &ways, args, sheet);
}

fn unknown_function(view: &View<'_>, namespace: &Name, name: &Name, sheet: &mut Sheet<'_>) {
    let signatures = &view.project.signatures;
    let whole = format!("{}::{}", namespace.text, name.text);
    let mut own = signatures.namespaces().filter(|(known, _)| *known == namespace.text);
    let own: Vec<&str> = own
        .next()
        .into_iter()
        .flat_map(|(_, names)| names.iter().map(String::as_str))
        .collect();
    let message = format!("there is no function `{whole}`");
    if let Some(near) = nearest(&name.text, own.iter().copied()) {
        misspelt(&message, namespace, name, near, sheet);
        return;
    }
    // The same name in another namespace.
    let elsewhere = signatures
        .functions()
        .find(|known| known.name.rsplit("::").next() == Some(&name.text));
    let said = sheet.say("UNKNOWN_FUNCTION", name.span, message);
    match elsewhere {
        Some(other) => {
            let at = namespace.span.to(name.span);
            said.help(format!("there is `{}`", other.name)).proposal(
                format!("write `{}`", other.name),
                at,
                other.name.clone(),
            );
        }
        None => {
            let names: Vec<String> = own.iter().map(|name| format!("`{name}`")).collect();
            said.help(format!("`{}::` has {}", namespace.text, listed(&names)));
        }
    }
}

/// `name` in `namespace` was meant to be `near`.
fn misspelt(message: &str, namespace: &Name, name: &Name, near: &str, sheet: &mut Sheet<'_>) {
    let message = format!("{message}; did you mean `{}::{near}`?", namespace.text);
    let said = sheet.say("UNKNOWN_FUNCTION", name.span, message);
    said.fix(format!("write `{near}`"), name.span, near);
}

fn imported(view: &View<'_>, module: &str, alias: &Name, name: &Name, args: usize, sheet: &mut Sheet<'_>) {
    // What is wrong with the module itself is told there, and at its import.
    if view
        .symbol(alias.span)
        .is_some_and(|(_, import)| sheet.is_said_within(import.declared))
    {
        return;
    }
    let Ok(summary) = view.project.module(module) else {
        return;
    };
    if !summary.is_whole {
        return;
    }
    let Some(facts) = summary.functions.get(&name.text) else {
        let public = summary
            .functions
            .iter()
            .filter(|(_, facts)| facts.iter().any(|facts| !facts.is_private));
        let message = format!("the module {module:?} has no function `{}`", name.text);
        match nearest(&name.text, public.map(|(name, _)| name.as_str())) {
            Some(near) => misspelt(&message, alias, name, near, sheet),
            None => {
                sheet.say("UNKNOWN_FUNCTION", name.span, message);
            }
        }
        return;
    };
    if facts.iter().all(|facts| facts.is_private) {
        sheet
            .say(
                "UNKNOWN_FUNCTION",
                name.span,
                format!("`{}` is private to the module {module:?}", name.text),
            )
            .help(format!("take `private` away from it in playbooks/{module}.rhai"));
        return;
    }
    if summary.function(&name.text, args).is_none() {
        let takes: Vec<usize> = facts.iter().map(|facts| facts.params).collect();
        wrong_count(
            &format!("{}::{}", alias.text, name.text),
            name.span,
            args,
            &takes,
            sheet,
        );
    }
}

fn wrong_count(name: &str, span: Span, args: usize, takes: &[usize], sheet: &mut Sheet<'_>) {
    let mut takes = takes.to_vec();
    takes.sort_unstable();
    takes.dedup();
    let takes: Vec<String> = takes.into_iter().map(count).collect();
    sheet.say(
        "ARGUMENT_COUNT",
        span,
        format!("`{name}` takes {}, and is given {}", takes.join(" or "), count(args)),
    );
}

fn count(arguments: usize) -> String {
    match arguments {
        0 => "no arguments".to_owned(),
        1 => "1 argument".to_owned(),
        more => format!("{more} arguments"),
    }
}

/// `name(…)`: a function of the text or of the language.
fn plain(view: &View<'_>, name: &Name, args: &[Expr], args_span: Span, sheet: &mut Sheet<'_>) {
    let own: Vec<usize> = (view.summary.functions.get(&name.text).into_iter().flatten())
        .map(|facts| facts.params)
        .collect();
    let language = view.project.signatures.own(&name.text);
    if own.contains(&args.len()) || language.is_some_and(|takes| takes.contains(&args.len())) {
        return;
    }
    // A variable that holds a closure.
    if let Some((_, symbol)) = view.symbol(name.span)
        && !matches!(symbol.kind, SymbolKind::Function { .. } | SymbolKind::Import)
    {
        let open = Span {
            start: args_span.start,
            end: args_span.start,
        };
        sheet
            .say(
                "UNKNOWN_FUNCTION",
                name.span,
                format!("`{}` is a variable, and no function", name.text),
            )
            .help(format!("what it holds is called by `{}.call(…)`", name.text))
            .fix("write `.call`", open, ".call");
        return;
    }
    if !own.is_empty() {
        wrong_count(&name.text, name.span, args.len(), &own, sheet);
        return;
    }
    if let Some(takes) = language {
        let takes: Vec<usize> = takes.iter().copied().collect();
        wrong_count(&name.text, name.span, args.len(), &takes, sheet);
        return;
    }
    let message = format!("there is no function `{}`", name.text);
    let known = (view.summary.functions.keys().map(String::as_str)).chain(view.project.signatures.own_names());
    if let Some((_, ours)) = ELSEWHERE
        .iter()
        .find(|(other, ours)| *other == name.text && *ours != "+")
    {
        sheet
            .say(
                "UNKNOWN_FUNCTION",
                name.span,
                format!("{message}; did you mean `{ours}`?"),
            )
            .fix(format!("write `{ours}`"), name.span, *ours);
        return;
    }
    if let Some(near) = nearest(&name.text, known) {
        sheet
            .say(
                "UNKNOWN_FUNCTION",
                name.span,
                format!("{message}; did you mean `{near}`?"),
            )
            .fix(format!("write `{near}`"), name.span, near);
        return;
    }
    let mut functions = view.project.signatures.functions();
    let elsewhere = functions.find(|known| known.name.rsplit("::").next() == Some(&name.text));
    let said = sheet.say("UNKNOWN_FUNCTION", name.span, message);
    match elsewhere {
        Some(other) => said.help(format!("did you mean `{}`?", other.name)).proposal(
            format!("write `{}`", other.name),
            name.span,
            other.name.clone(),
        ),
        None => said.help(format!(
            "define it: fn {}(…) {{ … }}, or import the module that has it",
            name.text
        )),
    };
}

fn method(view: &View<'_>, target: &Expr, name: &Name, args: &[Expr], sheet: &mut Sheet<'_>) {
    let signatures = &view.project.signatures;
    // In maps a function may stand under any key, also in those from modules.
    let may_be_held = || {
        view.keys.contains(name.text.as_str())
            || (!view.summary.imports.is_empty() && matches!(view.kind(target), Kind::Any | Kind::Map(_)))
    };
    let own = view.summary.functions.get(&name.text);
    if own.is_some_and(|own| own.iter().any(|facts| facts.params == args.len())) {
        return;
    }
    match signatures.own(&name.text) {
        Some(takes) if takes.contains(&(args.len() + 1)) => {}
        Some(takes) => {
            if own.is_none() && !may_be_held() {
                let takes: Vec<usize> = takes.iter().filter_map(|takes| takes.checked_sub(1)).collect();
                wrong_count(&format!(".{}", name.text), name.span, args.len(), &takes, sheet);
            }
        }
        None if own.is_some() => {
            let takes: Vec<usize> = own.into_iter().flatten().map(|facts| facts.params).collect();
            wrong_count(&name.text, name.span, args.len(), &takes, sheet);
        }
        None if may_be_held() => {}
        None => unknown_method(view, name, sheet),
    }
}

fn unknown_method(view: &View<'_>, name: &Name, sheet: &mut Sheet<'_>) {
    let message = format!("there is no function `{}`", name.text);
    let ours = ELSEWHERE
        .iter()
        .find(|(other, _)| *other == name.text)
        .map(|(_, ours)| *ours);
    if ours == Some("+") {
        sheet
            .say("UNKNOWN_FUNCTION", name.span, message)
            .help("arrays and strings are put together with `+`");
        return;
    }
    let help = match name.text.as_str() {
        "forEach" | "for_each" | "each" => Some("write `for item in items { … }`"),
        "format" => Some("write the text in backticks: `${value}`"),
        "then" | "await" => Some("calls wait for their answer by themselves"),
        _ => None,
    };
    if let Some(help) = help {
        sheet.say("UNKNOWN_FUNCTION", name.span, message).help(help);
        return;
    }
    let near = ours.or_else(|| {
        let own = view.summary.functions.keys().map(String::as_str);
        nearest(&name.text, own.chain(view.project.signatures.own_names()))
    });
    match near {
        Some(near) => {
            sheet
                .say(
                    "UNKNOWN_FUNCTION",
                    name.span,
                    format!("{message}; did you mean `{near}`?"),
                )
                .fix(format!("write `{near}`"), name.span, near);
        }
        None => {
            sheet.say("UNKNOWN_FUNCTION", name.span, message).help(format!(
                "define it: fn {}(…) {{ … }}, where `this` is the value before the dot",
                name.text
            ));
        }
    }
}
