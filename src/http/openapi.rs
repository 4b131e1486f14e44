//! The table of routes as an OpenAPI 3.1 document, with what playbooks add to it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::checks;
use super::routes::{self, Gives, Needs, PLACES, Route, Verb};
use super::server::Server;

/// What every route may be refused with.
const ALWAYS: &[(u16, &str)] = &[
    (400, "QUERY_INVALID"),
    (400, "TOKEN_IN_ADDRESS"),
    (400, "HOST_UNKNOWN"),
    (414, "PATH_TOO_LONG"),
    (421, "HOST_UNKNOWN"),
    (429, "RATE_LIMITED"),
    (500, "INTERNAL"),
    (503, "SERVER_BUSY"),
    (503, "REQUEST_TIMEOUT"),
];

const WITH_ROLE: &[(u16, &str)] = &[
    (401, "UNAUTHENTICATED"),
    (401, "SESSION_EXPIRED"),
    (401, "TOKEN_EXPIRED"),
    (401, "TOKEN_REVOKED"),
    (403, "ROLE_MISSING"),
    (403, "SCOPE_MISSING"),
];

const WITH_CHANGE: &[(u16, &str)] = &[(403, "CSRF_FAILED")];

const WITH_PLACES: &[(u16, &str)] = &[(404, "NOT_FOUND")];

const WITH_BODY: &[(u16, &str)] = &[
    (400, "BODY_JSON"),
    (400, "BODY_DEPTH"),
    (400, "BODY_CUT"),
    (408, "BODY_TIMEOUT"),
    (413, "BODY_TOO_LARGE"),
    (415, "CONTENT_TYPE"),
    (422, "BODY_INVALID"),
];

/// What is made, by which place in paths it is known from then on, and what in the answer says so.
const LEADS: &[(&str, &str, &str)] = &[
    ("runs.start", "run", "run_id"),
    ("runs.retry", "run", "run_id"),
    ("incidents.open", "incident", "incident_id"),
    ("queues.push", "job", "id"),
    ("users.add", "user", "name"),
    ("tokens.add", "token", "id"),
];

/// The whole document.
pub fn document(server: &Server) -> Value {
    let described = checks::schemas();
    let mut paths = Map::new();
    for route in routes::all() {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.verb.method().as_str().to_ascii_lowercase()] = operation(route, &described);
    }
    if let Some(doors) = &server.doors {
        paths.extend(doors.paths(server));
    }
    let tags = routes::GROUPS.iter();
    let tags: Vec<Value> = tags
        .map(|group| json!({"name": group.name, "description": group.says}))
        .collect();
    let mut schemas: Map<String, Value> = described
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect();
    schemas.insert("Error".to_owned(), error());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "host",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Runs playbooks, and lets operators and programs see and steer them.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "host_session"},
            },
        },
    })
}

/// The envelope of every error.
fn error() -> Value {
    json!({
        "type": "object",
        "properties": {
            "ok": {"const": false},
            "error_code": {"type": "string", "pattern": "^[A-Z][A-Z0-9_]*$"},
            "message": {"type": "string"},
            "correlation_id": {"type": "string"},
            "details": {"type": "object"},
        },
        "required": ["ok", "error_code", "message", "correlation_id", "details"],
        "additionalProperties": false,
    })
}

fn operation(route: &Route, schemas: &BTreeMap<&str, Value>) -> Value {
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.says,
        "tags": [tag(route)],
        "parameters": parameters(route),
        "responses": responses(route),
    });
    if let Some(body) = route.body {
        operation["requestBody"] = json!({
            "required": schemas.get(body).is_some_and(|schema| schema["required"] != json!([])),
            "content": {"application/json": {"schema": reference(body)}},
        });
    }
    match route.needs {
        Needs::Probe | Needs::Nobody => operation["security"] = json!([]),
        Needs::Role(role) => {
            operation["security"] = json!([{"token": []}, {"session": []}]);
            operation["x-role"] = json!(role.code());
        }
    }
    operation
}

fn tag(route: &Route) -> &'static str {
    let has_it = |group: &&routes::Group| group.routes.iter().any(|other| other.name == route.name);
    routes::GROUPS.iter().find(has_it).map_or("", |group| group.name)
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = routes::places(route.path).map(|name| {
        let place = PLACES.iter().find(|place| place.name == name);
        let place = place.expect("every place in a path is described, which a test holds");
        json!({
            "name": name, "in": "path", "required": true,
            "description": place.says, "schema": place.kind.schema(),
        })
    });
    let in_query = route.query.iter().map(|param| {
        json!({
            "name": param.name, "in": "query", "required": false,
            "description": param.says, "schema": param.kind.schema(),
        })
    });
    in_path.chain(in_query).collect()
}

fn responses(route: &Route) -> Value {
    let mut responses = Map::new();
    let (status, mut answer) = given(route);
    let links = links(route);
    if !links.is_empty() {
        answer["links"] = Value::Object(links);
    }
    responses.insert(status.to_string(), answer);
    let is_tagged = status == 200 && route.verb == Verb::Get && route.gives != Gives::Stream;
    if is_tagged {
        let known = json!({"description": "As it was under the tag in `If-None-Match`.", "headers": headers()});
        responses.insert("304".to_owned(), known);
    }
    for (status, codes) in refusals(route) {
        let mut described = json!({
            "description": codes.join(", "),
            "headers": headers(),
            "content": {"application/json": {"schema": reference("Error")}},
        });
        if matches!(status, 429 | 503) {
            described["headers"]["retry-after"] = json!({
                "description": "after so many seconds it may be tried again", "schema": {"type": "string"},
            });
        }
        responses.insert(status.to_string(), described);
    }
    Value::Object(responses)
}

/// What can be asked next about what `route` makes.
fn links(route: &Route) -> Map<String, Value> {
    let mut links = Map::new();
    for (_, place, field) in LEADS.iter().filter(|(name, _, _)| *name == route.name) {
        for next in routes::all().filter(|next| routes::places(next.path).any(|name| name == *place)) {
            let parameters: Map<String, Value> = routes::places(next.path)
                .map(|name| match name == *place {
                    true => (name.to_owned(), json!(format!("$response.body#/data/{field}"))),
                    false => (name.to_owned(), json!(format!("$request.path.{name}"))),
                })
                .collect();
            links.insert(
                next.name.to_owned(),
                json!({"operationId": next.name, "parameters": parameters}),
            );
        }
    }
    links
}

/// The codes of each status with which `route` is refused.
pub fn refusals(route: &Route) -> BTreeMap<u16, Vec<&'static str>> {
    let mut by_status: BTreeMap<u16, Vec<&'static str>> = BTreeMap::new();
    let has_role = matches!(route.needs, Needs::Role(_));
    let has_cursor = route.query.iter().any(|param| param.name == "cursor");
    let cursor: &[(u16, &str)] = &[(400, "CURSOR_INVALID")];
    let parts = [
        (true, ALWAYS),
        (has_role, WITH_ROLE),
        (has_role && route.verb != Verb::Get, WITH_CHANGE),
        (route.path.contains('{'), WITH_PLACES),
        (route.body.is_some(), WITH_BODY),
        (has_cursor, cursor),
        (true, route.refuses),
    ];
    for (status, code) in parts.into_iter().filter(|(is, _)| *is).flat_map(|(_, codes)| codes) {
        let codes = by_status.entry(*status).or_default();
        if !codes.contains(code) {
            codes.push(*code);
        }
    }
    by_status
}

fn headers() -> Value {
    json!({"x-correlation-id": {
        "description": "the id under which logs tell of this request", "schema": {"type": "string"},
    }})
}

fn given(route: &Route) -> (u16, Value) {
    let envelope = |data: Value| {
        json!({
            "type": "object",
            "properties": {"ok": {"const": true}, "correlation_id": {"type": "string"}, "data": data},
            "required": ["ok", "correlation_id", "data"],
            "additionalProperties": false,
        })
    };
    let (status, content) = match route.gives {
        Gives::Data(status, name) => (
            status,
            json!({"application/json": {"schema": envelope(reference(name))}}),
        ),
        Gives::Page(name) => {
            let page = json!({
                "type": "object",
                "properties": {
                    "items": {"type": "array", "items": reference(name)},
                    "next": {"type": ["string", "null"], "description": "`cursor` of the next page"},
                },
                "required": ["items", "next"],
                "additionalProperties": false,
            });
            (200, json!({"application/json": {"schema": envelope(page)}}))
        }
        Gives::Json(name) => (200, json!({"application/json": {"schema": reference(name)}})),
        Gives::Bytes(kind) => (200, json!({kind: {"schema": {"type": "string"}}})),
        Gives::Stream => (200, json!({"text/event-stream": {"schema": {"type": "string"}}})),
        Gives::Nothing => (204, json!({})),
    };
    (
        status,
        json!({"description": "What was asked for.", "headers": headers(), "content": content}),
    )
}
