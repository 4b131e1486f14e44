//! `http`: the route whose requests start a playbook.
//!
//! What is wrong with method, path and unknown keys is said by `check::routes`, which has the places in the text; a server
//! refuses to load it. What is read here is right.

use std::time::Duration;

use super::complaint::Reader;
use crate::value::Value;

pub const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
pub const KEYS: [&str; 6] = ["method", "path", "role", "mode", "timeout", LIMIT];
/// The one key that is no text.
pub const LIMIT: &str = "limit";

const PATH_BYTES_MAX: usize = 200;
const TIMEOUT_MS: u64 = 10_000;
const TIMEOUT_MS_MIN: u64 = 10;
const TIMEOUT_MS_MAX: u64 = 10 * 60 * 1000;

const CALLS_MAX: u32 = 1000;
const WINDOW_MS: u64 = 60_000;
const WINDOW_MS_MIN: u64 = 1_000;
const WINDOW_MS_MAX: u64 = 24 * 3_600_000;

/// First parts of paths that the server answers itself.
pub const RESERVED: [&str; 7] = ["api", "admin", "healthz", "readyz", "status", "metrics", "openapi.json"];

/// The requests that start a playbook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// One of [`METHODS`].
    pub method: &'static str,
    /// With its parameters as `{name}`.
    pub path: String,
    pub role: Role,
    pub mode: Mode,
    /// How long whoever asked waits for the run.
    pub timeout: Duration,
    pub limit: Option<Limit>,
}

/// How often it may be asked within a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub per_user: u32,
    /// By all users of an organisation together.
    pub per_org: u32,
    pub window: Duration,
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Anybody,
    Viewer,
    Operator,
    Admin,
}

/// When it is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// When the run is over.
    #[default]
    Sync,
    /// When the run is on disk.
    Async,
}

/// The route; nothing where `check::routes` finds fault with it.
pub(super) fn read(reader: &mut Reader<'_>, value: &Value) -> Option<Route> {
    const ROLES: [(&str, Role); 4] = [
        ("anybody", Role::Anybody),
        ("viewer", Role::Viewer),
        ("operator", Role::Operator),
        ("admin", Role::Admin),
    ];
    const MODES: [(&str, Mode); 2] = [("sync", Mode::Sync), ("async", Mode::Async)];
    let map = value.as_map()?;
    let is_text = |key: &str| key == LIMIT || map.get(key).is_none_or(|value| value.as_str().is_some());
    if !KEYS.into_iter().all(is_text) {
        return None;
    }
    let role = reader.at(map, "role", |reader, value| reader.word(value, &ROLES));
    let mode = reader.at(map, "mode", |reader, value| reader.word(value, &MODES));
    let timeout = reader.at(map, "timeout", |reader, value| {
        reader.duration(value, TIMEOUT_MS_MIN, TIMEOUT_MS_MAX)
    });
    let limit = reader.at(map, LIMIT, limit);
    if limit.is_some() && role == Some(Role::Anybody) {
        reader
            .say_of_key(
                LIMIT,
                "HEADER",
                "`limit` counts by user, and anybody may ask: nobody would be counted",
            )
            .help("take `limit` away, or ask for a `role`");
    }
    let (method, path) = route(value).ok()?;
    Some(Route {
        method,
        path: path.to_owned(),
        role: role.unwrap_or(if method == "GET" { Role::Viewer } else { Role::Operator }),
        mode: mode.unwrap_or_default(),
        timeout: timeout.unwrap_or(Duration::from_millis(TIMEOUT_MS)),
        limit,
    })
}

fn limit(reader: &mut Reader<'_>, value: &Value) -> Option<Limit> {
    let Some(map) = value.as_map() else {
        reader.wrong_kind(value, "a map #{ per_user: 10, per_org: 50, window: \"1m\" }");
        return None;
    };
    reader.known(map, &["per_user", "per_org", "window"]);
    let mut count = |key: &str| reader.at(map, key, |reader, value| reader.count(value, CALLS_MAX));
    let (per_user, per_org) = (count("per_user"), count("per_org"));
    let window = reader.at(map, "window", |reader, value| {
        reader.duration(value, WINDOW_MS_MIN, WINDOW_MS_MAX)
    });
    if per_user.is_none() && per_org.is_none() {
        reader.say("HEADER", "`limit` of `http` says neither `per_user` nor `per_org`");
    }
    let most = |count: Option<u32>| count.unwrap_or(CALLS_MAX);
    Some(Limit {
        per_user: most(per_user),
        per_org: most(per_org),
        window: window.unwrap_or(Duration::from_millis(WINDOW_MS)),
    })
}

/// Method and path of what a header says, or why it is no route.
pub fn route(value: &Value) -> Result<(&'static str, &str), String> {
    let map = value.as_map().ok_or("`http` must be a map")?;
    if let Some(key) = map.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("`http` has no key `{key}`"));
    }
    let is_text = |(key, value): &(&String, &Value)| key.as_str() == LIMIT || value.as_str().is_some();
    if let Some((key, _)) = map.iter().find(|entry| !is_text(entry)) {
        return Err(format!("`{key}` of `http` must be a string"));
    }
    let text = |key: &str| map.get(key).and_then(Value::as_str);
    let method = text("method").unwrap_or("POST");
    let known = METHODS.into_iter().find(|known| *known == method);
    let known = known.ok_or_else(|| format!("{method:?} is no method; there are {}", METHODS.join(", ")))?;
    let path = text("path").ok_or("`http` has no `path`: no request would ever come here")?;
    places(path)?;
    Ok((known, path))
}

/// The names in braces, or why it is no path.
pub fn places(path: &str) -> Result<Vec<String>, String> {
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
    for (at, part) in rest.split('/').enumerate() {
        if rest.is_empty() {
            break;
        }
        if at == 0 && RESERVED.contains(&part) {
            return Err(format!(
                "`/{part}` is the server's own: begin the path with another name"
            ));
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::script::triggers::read as read_all;

    fn read_one(json: serde_json::Value) -> (Option<Route>, usize) {
        let header = Value::from_json(json!({ "http": json }));
        let (triggers, complaints) = read_all(header.as_map().expect("a map"), None);
        (triggers.http.map(|route| *route), complaints.len())
    }

    #[test]
    fn a_route_is_for_operators_and_answered_when_it_is_done_unless_it_says_otherwise() {
        let (short, _) = read_one(json!({ "path": "/clips/{id}" }));
        let short = short.expect("a route");
        assert_eq!(
            (short.method, short.role, short.mode),
            ("POST", Role::Operator, Mode::Sync)
        );
        let (reads, _) = read_one(json!({ "path": "/", "method": "GET" }));
        assert_eq!(reads.expect("a route").role, Role::Viewer);
        let long = json!({ "path": "/x", "method": "PUT", "role": "anybody", "mode": "async", "timeout": "2m" });
        let long = read_one(long).0.expect("a route");
        assert_eq!(
            (long.role, long.mode, long.timeout),
            (Role::Anybody, Mode::Async, Duration::from_secs(120))
        );
    }

    #[test]
    fn a_limit_counts_users_and_so_belongs_to_routes_that_know_them() {
        let limit = |json: serde_json::Value| {
            read_one(json!({ "path": "/x", "limit": json }))
                .0
                .expect("a route")
                .limit
        };
        let short = limit(json!({ "per_user": 3 })).expect("a limit");
        assert_eq!((short.per_user, short.per_org, short.window.as_secs()), (3, 1000, 60));
        let long = limit(json!({ "per_user": 3, "per_org": 9, "window": "1h" })).expect("a limit");
        assert_eq!((long.per_org, long.window.as_secs()), (9, 3600));
        for wrong in [
            json!("10"),
            json!({}),
            json!({ "per_user": 0 }),
            json!({ "per_user": 1001 }),
            json!({ "user": 1, "per_org": 1 }),
        ] {
            assert_ne!(read_one(json!({ "path": "/x", "limit": wrong })).1, 0, "{wrong}");
        }
        assert_eq!(
            read_one(json!({ "path": "/x", "role": "anybody", "limit": { "per_user": 1 } })).1,
            1
        );
    }

    #[test]
    fn words_that_are_none_are_complained_of_and_the_servers_own_paths_are_no_routes() {
        for (key, word) in [
            ("role", "everybody"),
            ("mode", "now"),
            ("timeout", "1h"),
            ("timeout", "soon"),
        ] {
            assert_eq!(read_one(json!({ "path": "/x", key: word })).1, 1, "{key}: {word}");
        }
        for path in [
            "/api",
            "/api/v1/runs",
            "/healthz",
            "/openapi.json",
            "/admin/x",
            "x",
            "/a//b",
            "/{}",
            "/{a}/{a}",
            "/:a",
        ] {
            assert_eq!(
                read_one(json!({ "path": path })),
                (None, 0),
                "{path}: `check::routes` says it"
            );
            assert!(route(&Value::from_json(json!({ "path": path }))).is_err(), "{path}");
        }
        assert!(places("/apis/{v}").is_ok());
    }
}
