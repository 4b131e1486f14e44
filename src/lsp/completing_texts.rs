//! Completion within a text: the names that are meant there.

use std::collections::BTreeSet;

use lsp_types::CompletionItemKind;

use super::completion::Offers;
use super::cursor::MapRole;
use super::knowledge::{error_codes, error_page};
use super::session::View;
use super::texts::{Meaning, meaning, parameter};
use super::words::VALUES;
use crate::script::syntax::{Expr, ExprKind, Node};

/// Names that are gathered at most.
const NAMES_MAX: usize = 1000;

pub fn offer(view: &mut View<'_>, offset: u32, offers: &mut Offers) {
    let Some(meaning) = meaning(&view.source, offset) else {
        return;
    };
    match meaning {
        Meaning::Prompt => {
            let project = view.session.project_of(&view.home);
            for (name, prompt) in project.prompts.iter().flatten() {
                offers.add(name, CompletionItemKind::FILE, Some(prompt.file.clone()), None);
            }
        }
        Meaning::Module | Meaning::Playbook => {
            let own = view.source.path.as_deref().and_then(|path| view.home.module_name(path));
            let names = view.home.app.library.files.list();
            for name in names
                .iter()
                .filter(|name| Some(*name) != own.as_ref() && !name.ends_with("_test"))
            {
                offers.add(
                    name,
                    CompletionItemKind::MODULE,
                    Some(format!("playbooks/{name}.rhai")),
                    None,
                );
            }
        }
        Meaning::Provider => {
            for provider in &view.knowledge.providers {
                offers.add(provider, CompletionItemKind::VALUE, Some("provider".to_owned()), None);
            }
        }
        Meaning::ErrorCode => {
            for code in error_codes() {
                let about = error_page(code).and_then(|page| page.lines().nth(2)).map(str::to_owned);
                offers.add(code, CompletionItemKind::CONSTANT, about, None);
            }
        }
        Meaning::HeaderValue => {
            let Some((key, MapRole::Header | MapRole::Input)) = view.source.entry_around(offset) else {
                return;
            };
            let values = VALUES.iter().find(|(known, _)| *known == key);
            for value in values.into_iter().flat_map(|(_, values)| *values) {
                offers.add(value, CompletionItemKind::VALUE, None, None);
            }
        }
        Meaning::Argument => arguments(view, offset, offers),
    }
}

/// Collections, queues and the like: those that the project's scripts name elsewhere, and those of the store.
fn arguments(view: &mut View<'_>, offset: u32, offers: &mut Offers) {
    let Some((called, parameter)) = parameter(view, offset) else {
        return;
    };
    let is_name = ["collection", "queue", "event", "metric", "key", "name", "channel"].contains(&parameter.as_str());
    if !is_name {
        return;
    }
    let mut names: BTreeSet<String> = BTreeSet::new();
    if parameter == "collection" {
        names.extend(view.session.recorded.collections(&view.home));
        names.extend(view.home.app.config.file.collections.keys().cloned());
    }
    let namespace = called.split("::").next().unwrap_or_default().to_owned();
    let own = view.source.text_at(offset);
    for source in std::iter::once(view.source.clone()).chain(view.session.sources_of(&view.home)) {
        let is_here = source.uri == view.source.uri;
        source.tree.walk(&mut |node| {
            if let Node::Expr(expr) = node
                && let ExprKind::Call {
                    namespaces, name, args, ..
                } = &expr.kind
                && let [first] = namespaces.as_slice()
                && first.text == namespace
                && names.len() < NAMES_MAX
            {
                let functions = view.knowledge.named(&format!("{}::{}", first.text, name.text));
                let at = functions.iter().find_map(|function| {
                    let parameters = super::knowledge::parameters(&function.signature);
                    parameters
                        .iter()
                        .position(|known| super::knowledge::parameter_name(known) == parameter)
                });
                let argument: Option<&Expr> = at.and_then(|at| args.get(at));
                if let Some(argument) = argument
                    && let Some(text) = argument.as_str()
                    && !(is_here && own.is_some_and(|own| argument.span.contains(own)))
                {
                    names.insert(text.to_owned());
                }
            }
            true
        });
    }
    for name in names.iter().filter(|name| !name.is_empty()) {
        offers.add(name, CompletionItemKind::VALUE, Some(parameter.clone()), None);
    }
}
