//! `http` in a header: the route that starts a playbook.

use std::collections::BTreeMap;

use super::header::{HeaderView, literal};
use super::sheet::Sheet;
use crate::script::error::nearest;
use crate::script::findings::{Finding, Region, Related};
use crate::script::syntax::tree::Entry;
use crate::script::syntax::{Expr, Lines, Tree};
use crate::script::triggers;
use crate::script::triggers::http::{KEYS, LIMIT, METHODS, places};
use crate::script::triggers::webhook::Hook;

/// What can be said against one route.
pub fn check(header: &HeaderView<'_>, value: &Expr, sheet: &mut Sheet<'_>) {
    let Some(entries) = value.as_map() else {
        sheet
            .say("ROUTE_INVALID", value.span, "`http` must be a map")
            .help("write `http: #{ method: \"POST\", path: \"/clips/{id}\" }`");
        return;
    };
    for entry in entries {
        let key = entry.key.text.as_str();
        let text = entry.value.as_str();
        match (key, text) {
            ("method", Some(method)) if !METHODS.contains(&method) => {
                let said = sheet.say(
                    "ROUTE_INVALID",
                    entry.value.span,
                    format!("{method:?} is no method; there are {}", METHODS.join(", ")),
                );
                let upper = method.to_ascii_uppercase();
                if let Some(near) = nearest(&upper, METHODS.into_iter()) {
                    said.fix(format!("write {near:?}"), entry.value.span, format!("{near:?}"));
                }
            }
            ("path", Some(path)) => self::path(header, path, &entry.value, sheet),
            // The reader of triggers says what is wrong with it.
            (LIMIT, _) => {}
            (key, None) if KEYS.contains(&key) => {
                sheet.say(
                    "ROUTE_INVALID",
                    entry.value.span,
                    format!("`{key}` of `http` must be a string"),
                );
            }
            (key, _) if KEYS.contains(&key) => {}
            _ => {
                let said = sheet.say("ROUTE_INVALID", entry.key.span, format!("`http` has no key `{key}`"));
                if let Some(near) = nearest(key, KEYS.into_iter()) {
                    said.help(format!("did you mean `{near}`?"))
                        .fix(format!("write `{near}`"), entry.key.span, near);
                }
            }
        }
    }
    if !entries.iter().any(|entry| entry.key.text == "path") {
        sheet
            .say(
                "ROUTE_INVALID",
                value.span,
                "`http` has no `path`: no request would ever come here",
            )
            .help("add `path: \"/…\"`");
    }
}

fn path(header: &HeaderView<'_>, path: &str, value: &Expr, sheet: &mut Sheet<'_>) {
    if let Err(message) = places(path) {
        let said = sheet.say("ROUTE_INVALID", value.span, message);
        if !path.starts_with('/') {
            said.fix("begin with `/`", value.span, format!("{:?}", format!("/{path}")));
        }
        return;
    }
    for name in places(path).unwrap_or_default() {
        if !header.inputs().any(|input| input.name.text == name) {
            let near: Vec<String> = header.inputs().map(|input| input.name.text.clone()).collect();
            let hint = match nearest(&name, near.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{{{near}}}`?"),
                None => format!("declare it: `inputs: #{{ {name}: #{{ required: true }} }}`"),
            };
            sheet
                .say(
                    "ROUTE_INVALID",
                    value.span,
                    format!("the path has a parameter `{name}`, and there is no such input"),
                )
                .help(hint);
        }
    }
}

/// A route of a playbook, with its place.
#[derive(Clone, Debug)]
pub struct Route {
    pub file: String,
    pub region: Region,
    /// Method and path, parameters without their names.
    key: String,
    shown: String,
}

/// The routes of a text, as far as they can be read: that of `http`, and those of `webhook`.
pub fn of(file: &str, text: &str, tree: &Tree) -> Vec<Route> {
    let Some(header) = HeaderView::of(tree) else {
        return Vec::new();
    };
    let map = |key: &str| header.get(key).and_then(|entry| entry.value.as_map());
    let mut routes = Vec::new();
    if let Some(entries) = map("http") {
        let method = entries.iter().find(|entry| entry.key.text == "method");
        let method = method.and_then(|entry| entry.value.as_str()).unwrap_or("POST");
        routes.extend(route(file, text, entries, method));
    }
    if let Some(entries) = map("webhook") {
        // Some ask with GET whether the address is ours.
        routes.extend(
            ["POST", "GET"]
                .into_iter()
                .filter_map(|method| route(file, text, entries, method)),
        );
    }
    routes
}

fn route(file: &str, text: &str, entries: &[Entry], method: &str) -> Option<Route> {
    let path = entries.iter().find(|entry| entry.key.text == "path")?;
    let shown = path.value.as_str()?;
    places(shown).ok()?;
    let parts = shown
        .split('/')
        .map(|part| if part.starts_with('{') { "{}" } else { part });
    Some(Route {
        file: file.to_owned(),
        region: Region::of(text, &Lines::of(text), path.value.span),
        key: format!("{method} {}", parts.collect::<Vec<_>>().join("/")),
        shown: format!("{method} {shown}"),
    })
}

/// What the header of a text says of `webhook`, where that can be read, and where it stands.
pub fn hook(text: &str, tree: &Tree) -> Option<(Hook, Region)> {
    let header = HeaderView::of(tree)?;
    let entry = header.get("webhook")?;
    let written = [("webhook".to_owned(), literal(&entry.value)?)];
    let (triggers, _) = triggers::read(&written.into_iter().collect(), None);
    Some((*triggers.webhook?, Region::of(text, &Lines::of(text), entry.value.span)))
}

/// Routes that more than one playbook wants.
pub fn conflicts(routes: &[Route]) -> Vec<Finding> {
    let mut first: BTreeMap<&str, &Route> = BTreeMap::new();
    let mut found = Vec::new();
    for route in routes {
        let Some(other) = first.get(route.key.as_str()) else {
            first.insert(&route.key, route);
            continue;
        };
        let is_told = found.iter().any(|told: &Finding| {
            told.file == route.file
                && told.region == Some(route.region)
                && told.related.iter().any(|one| one.file == other.file)
        });
        if is_told {
            continue;
        }
        let message = format!("`{}` is the route of {} already", route.shown, other.file);
        let mut finding = Finding::new("ROUTE_CONFLICT", route.file.as_str(), message)
            .at(route.region)
            .help("give one of them another path or method");
        finding.related.push(Related {
            file: other.file.clone(),
            region: other.region,
            message: "the other one".to_owned(),
        });
        found.push(finding);
    }
    found
}
