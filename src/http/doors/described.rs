//! The routes of playbooks in the OpenAPI document.

use serde_json::{Map, Value as Json, json};

use super::index::{Door, Index};
use super::takes_body;
use crate::http::hooks;
use crate::script::inputs::{InputKind, InputSpec};
use crate::script::triggers::http::{Mode, Role};
use crate::serve::Edition;
use crate::serve::edition::Listed;

/// What a route of a playbook may be refused with beside what its playbook says.
const REFUSED: [(u16, &str); 12] = [
    (
        400,
        "INPUT, INPUT_MISSING, INPUT_UNKNOWN, VALUE_TOO_DEEP, IDEMPOTENCY_KEY, QUERY_INVALID, BODY_JSON, BODY_DEPTH, BODY_CUT, BODY_INVALID",
    ),
    (404, "NOT_FOUND"),
    (408, "BODY_TIMEOUT"),
    (409, "RUN_OVERLAPS, IDEMPOTENCY_GONE, CREDENTIALS_MISSING"),
    (413, "BODY_TOO_LARGE"),
    (415, "CONTENT_TYPE"),
    (421, "HOST_UNKNOWN"),
    (422, "IDEMPOTENCY_MISMATCH, or what the playbook throws"),
    (500, "INTERNAL, or what the run failed with"),
    (502, "what a provider failed with"),
    (503, "SERVER_BUSY, PLAYBOOK_PAUSED, REQUEST_TIMEOUT"),
    (504, "what the run had no time for"),
];

pub(super) fn paths(index: &Index, edition: &Edition) -> Map<String, Json> {
    let mut paths: Map<String, Json> = Map::new();
    for door in &index.doors {
        let Some(listed) = edition.playbooks.get(&door.playbook) else {
            continue;
        };
        let path = paths.entry(door.route.path.clone()).or_insert_with(|| json!({}));
        path[door.method.as_str().to_ascii_lowercase()] = operation(door, listed);
    }
    for (path, hooked) in &index.hooks {
        let title = edition.playbooks.get(&hooked.playbook);
        let title = title.and_then(|listed| listed.pinned.header.title.as_deref());
        let path = paths.entry(path.clone()).or_insert_with(|| json!({}));
        for (method, operation) in hooks::described(hooked, title) {
            path[method] = operation;
        }
    }
    paths
}

fn operation(door: &Door, listed: &Listed) -> Json {
    let header = &listed.pinned.header;
    let is_place = |name: &str| door.places().any(|place| place == name);
    let has_body = takes_body(&door.method);
    let inputs = || header.inputs.iter();
    let parameters: Vec<Json> = inputs()
        .filter(|(name, _)| is_place(name) || !has_body)
        .map(|(name, spec)| {
            let is_place = is_place(name);
            let mut parameter = json!({
                "name": name,
                "in": if is_place { "path" } else { "query" },
                "required": is_place || is_needed(spec),
                "description": spec.help.as_deref().unwrap_or_default(),
            });
            match spec.kind {
                // Written as JSON in the place of one value.
                InputKind::Array | InputKind::Map => {
                    parameter["content"] = json!({"application/json": {"schema": schema(spec)}});
                }
                _ => parameter["schema"] = schema(spec),
            }
            parameter
        })
        .collect();
    let mut operation = json!({
        "operationId": format!("playbook.{}", door.playbook),
        "summary": header.title.as_deref().unwrap_or(&door.playbook),
        "description": header.description.as_deref().unwrap_or_default(),
        "tags": ["playbooks"],
        "parameters": parameters,
        "responses": responses(door),
    });
    if has_body {
        let sent = || inputs().filter(|(name, _)| !is_place(name));
        let properties: Map<String, Json> = sent().map(|(name, spec)| (name.clone(), schema(spec))).collect();
        let required: Vec<&String> = sent()
            .filter(|(_, spec)| is_needed(spec))
            .map(|(name, _)| name)
            .collect();
        operation["requestBody"] = json!({
            "required": !required.is_empty(),
            "content": {"application/json": {"schema": {
                "type": "object", "properties": properties, "required": required, "additionalProperties": false,
            }}},
        });
    }
    if door.method != axum::http::Method::GET {
        let key = json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "asked again under the same key within a day, the first answer is given again",
            "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
        });
        operation["parameters"].as_array_mut().expect("it is a list").push(key);
    }
    operation["security"] = match door.route.role {
        Role::Anybody => json!([]),
        _ => json!([{"token": []}, {"session": []}]),
    };
    operation
}

fn is_needed(spec: &InputSpec) -> bool {
    spec.required && spec.preset.is_none()
}

fn schema(spec: &InputSpec) -> Json {
    let kind = match spec.kind {
        InputKind::String => "string",
        InputKind::Int => "integer",
        InputKind::Float => "number",
        InputKind::Bool => "boolean",
        InputKind::Array => "array",
        InputKind::Map => "object",
    };
    let mut schema = json!({ "type": kind });
    if let Some(preset) = &spec.preset {
        schema["default"] = preset.to_json();
    }
    if !spec.choices.is_empty() {
        schema["enum"] = spec.choices.iter().map(crate::value::Value::to_json).collect();
    }
    let (least, most) = match spec.kind {
        InputKind::String => ("minLength", "maxLength"),
        _ => ("minimum", "maximum"),
    };
    for (key, bound) in [(least, spec.min), (most, spec.max)] {
        if let Some(bound) = bound {
            schema[key] = match bound.fract() == 0.0 && bound.abs() < 1e15 {
                true => json!(bound as i64),
                false => json!(bound),
            };
        }
    }
    schema
}

fn responses(door: &Door) -> Json {
    let headers = json!({"x-correlation-id": {
        "description": "the id under which logs tell of this request", "schema": {"type": "string"},
    }});
    let envelope = |data: Json| {
        json!({"application/json": {"schema": {
            "type": "object",
            "properties": {"ok": {"const": true}, "correlation_id": {"type": "string"}, "data": data},
            "required": ["ok", "correlation_id", "data"],
            "additionalProperties": false,
        }}})
    };
    let mut responses = Map::new();
    if door.route.mode == Mode::Sync {
        let said = "What the playbook returned; it may choose another status and headers.";
        responses.insert(
            "200".to_owned(),
            json!({"description": said, "headers": headers, "content": envelope(json!({}))}),
        );
    }
    let run = json!({
        "type": "object",
        "properties": {"run_id": {"type": "string"}, "status": {"type": "string"}},
        "required": ["run_id", "status"],
    });
    responses.insert(
        "202".to_owned(),
        json!({"description": "The run is on disk, and not over.", "headers": headers, "content": envelope(run)}),
    );
    let role = match door.route.role {
        Role::Anybody => &[][..],
        _ => &[(401, "UNAUTHENTICATED"), (403, "ROLE_MISSING")][..],
    };
    let limited = match door.route.limit {
        Some(_) => &[(429, "RATE_LIMITED")][..],
        None => &[],
    };
    for (status, codes) in REFUSED.iter().chain(role).chain(limited) {
        let refused = json!({
            "description": codes,
            "headers": headers,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        });
        responses.insert(status.to_string(), refused);
    }
    let other = json!({
        "description": "What else the playbook chooses.",
        "content": {"application/json": {"schema": {}}},
    });
    responses.insert("default".to_owned(), other);
    Json::Object(responses)
}
