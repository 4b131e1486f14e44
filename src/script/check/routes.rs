//! `http` in a header: the route that starts a playbook.

use std::collections::BTreeMap;

use super::header::HeaderView;
use super::sheet::Sheet;
use crate::script::error::nearest;
use crate::script::findings::{Finding, Region, Related};
use crate::script::syntax::{Expr, Lines, Tree};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const KEYS: [&str; 3] = ["method", "path", "role"];
const PATH_BYTES_MAX: usize = 200;

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
    if let Err(message) = parameters(path) {
        let said = sheet.say("ROUTE_INVALID", value.span, message);
        if !path.starts_with('/') {
            said.fix("begin with `/`", value.span, format!("{:?}", format!("/{path}")));
        }
        return;
    }
    for name in parameters(path).unwrap_or_default() {
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

/// The names in braces, or why it is no path.
fn parameters(path: &str) -> Result<Vec<String>, String> {
    if path.len() > PATH_BYTES_MAX {
        return Err(format!(
            "the path has {} bytes; at most {PATH_BYTES_MAX} are allowed",
            path.len()
        ));
    }
    let Some(rest) = path.strip_prefix('/') else {
        return Err(format!("{path:?} is no path: it begins with `/`"));
    };
    let mut names: Vec<String> = Vec::new();
    for part in rest.split('/') {
        if rest.is_empty() {
            break;
        }
        if let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            let is_name = !name.is_empty()
                && name
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
            if !is_name {
                return Err(format!("{part:?} in the path is no parameter: write one as `{{name}}`"));
            }
            if names.iter().any(|other| other == name) {
                return Err(format!("the path has the parameter `{name}` twice"));
            }
            names.push(name.to_owned());
            continue;
        }
        if let Some(name) = part.strip_prefix(':') {
            return Err(format!("write the parameter `:{name}` as `{{{name}}}`"));
        }
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-._~%".contains(letter);
        if part.is_empty() || !part.chars().all(is_plain) {
            return Err(format!(
                "{part:?} is no part of a path: letters, digits, `-`, `.`, `_` and `~`"
            ));
        }
    }
    Ok(names)
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
    parameters(shown).ok()?;
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
