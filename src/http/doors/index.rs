//! Which playbook has which path. Made once for each set of playbooks; a look reads no store.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::Method;

use crate::http::hooks::{self, Hooked};
use crate::script::triggers::http::{RESERVED, Route};
use crate::serve::Edition;
use crate::store::Realm;

/// Parts of a path, at most: what a header can write has fewer.
const PARTS_MAX: usize = 200;

/// Everything that playbooks answer.
#[derive(Default)]
pub(super) struct Index {
    /// The set of which this is so.
    pub edition: Option<u64>,
    /// Those with words in their path before those that take any there.
    pub doors: Vec<Arc<Door>>,
    /// What services send, by path.
    pub hooks: BTreeMap<String, Arc<Hooked>>,
}

/// A playbook's route.
pub(super) struct Door {
    pub playbook: String,
    /// In figures and logs.
    pub name: Arc<str>,
    pub method: Method,
    pub route: Route,
    /// The body of data that its runs belong to.
    pub realm: Option<Realm>,
    parts: Vec<Part>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Word(String),
    Place(String),
}

impl Index {
    pub fn of(edition: &Edition) -> Index {
        let routes = edition.playbooks.iter().filter_map(|(playbook, listed)| {
            let route = listed.triggers.http.as_deref()?;
            Some(Arc::new(Door {
                playbook: playbook.clone(),
                name: Arc::from(format!("playbook:{playbook}")),
                method: route.method.parse().ok()?,
                route: route.clone(),
                realm: edition.mode(listed).ok().map(|mode| mode.realm()),
                parts: parts(&route.path),
            }))
        });
        let mut doors: Vec<Arc<Door>> = routes.collect();
        doors.sort_by(|a, b| a.parts.cmp(&b.parts));
        Index {
            edition: Some(edition.number),
            doors,
            hooks: hooks::of(edition),
        }
    }

    /// What answers at `path`, one for each method, with what stands in its places.
    pub fn at(&self, path: &str) -> Vec<(&Arc<Door>, BTreeMap<String, String>)> {
        let mut found: Vec<(&Arc<Door>, BTreeMap<String, String>)> = Vec::new();
        let Some(rest) = path.strip_prefix('/') else {
            return found;
        };
        let sent: Vec<&str> = rest.split('/').take(PARTS_MAX + 1).collect();
        // Also what the server does not have there: a place takes any word, and whoever mistypes a path of its own, or
        // asks an older server for it, is to hear that.
        if RESERVED.contains(&sent[0]) {
            return found;
        }
        for door in &self.doors {
            if !found.iter().any(|(other, _)| other.method == door.method)
                && let Some(params) = door.fits(&sent)
            {
                found.push((door, params));
            }
        }
        found
    }
}

impl Door {
    #[cfg(test)]
    pub fn test(method: Method, path: &str, realm: Realm) -> Door {
        let route = Route {
            method: "POST",
            path: path.to_owned(),
            role: crate::script::triggers::http::Role::Anybody,
            mode: crate::script::triggers::http::Mode::Sync,
            timeout: std::time::Duration::ZERO,
            limit: None,
        };
        Door {
            playbook: "p".to_owned(),
            name: Arc::from("playbook:p"),
            method,
            parts: parts(path),
            route,
            realm: Some(realm),
        }
    }

    fn fits(&self, sent: &[&str]) -> Option<BTreeMap<String, String>> {
        if self.parts.len() != sent.len() {
            return None;
        }
        let mut params = BTreeMap::new();
        for (part, sent) in self.parts.iter().zip(sent) {
            match part {
                Part::Word(word) if word == sent => {}
                Part::Word(_) => return None,
                Part::Place(name) => {
                    let text = percent_encoding::percent_decode_str(sent).decode_utf8().ok()?;
                    if text.is_empty() || text.chars().any(char::is_control) {
                        return None;
                    }
                    params.insert(name.clone(), text.into_owned());
                }
            }
        }
        Some(params)
    }

    /// The names of its places.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Word(_) => None,
            Part::Place(name) => Some(name.as_str()),
        })
    }
}

fn parts(path: &str) -> Vec<Part> {
    let parts = path.trim_start_matches('/').split('/');
    let read = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => Part::Place(name.to_owned()),
        None => Part::Word(part.to_owned()),
    };
    parts.map(read).collect()
}
