//! `http` in a header: the route that starts a playbook.

use std::collections::BTreeMap;

use super::header::HeaderView;
use super::sheet::Sheet;
use crate::script::error::nearest;
use crate::script::findings::{Finding, Region, Related};
use crate::script::syntax::{Expr, Lines, Tree};
use crate::script::triggers::http::{KEYS, METHODS, places};

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

/// The route of a text, where it has one that can be read.
pub fn of(file: &str, text: &str, tree: &Tree) -> Option<Route> {
    let header = HeaderView::of(tree)?;
    let entries = header.get("http")?.value.as_map()?;
    let get = |key: &str| entries.iter().find(|entry| entry.key.text == key);
    let path = get("path")?;
    let method = get("method").and_then(|entry| entry.value.as_str()).unwrap_or("POST");
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

/// Routes that more than one playbook wants.
pub fn conflicts(routes: &[Route]) -> Vec<Finding> {
    let mut first: BTreeMap<&str, &Route> = BTreeMap::new();
    let mut found = Vec::new();
    for route in routes {
        let Some(other) = first.get(route.key.as_str()) else {
            first.insert(&route.key, route);
            continue;
        };
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
