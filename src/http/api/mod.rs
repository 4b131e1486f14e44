//! What is answered, a file for each thing: its routes, what they look like, and their handlers.

pub mod audit;
pub mod events;
pub mod health;
pub mod incidents;
pub mod pauses;
pub mod playbooks;
pub mod questions;
pub mod queues;
pub mod runs;
pub mod session;
pub mod telemetry;
pub mod ticks;
pub mod tokens;
pub mod users;
pub mod versions;

use serde_json::{Value, json};

use super::request::Request;
use super::server::Server;
use crate::store::Realm;

/// The last moment of the year 9999: later ones cannot be written as others read them.
const MOMENT_MS_MAX: i64 = 253_402_300_799_999;

/// The realm that is asked about.
fn realm(server: &Server, request: &Request) -> Realm {
    match request.query("realm") {
        Some("live") => Realm::Live,
        Some("dry") => Realm::Dry,
        _ => server.realm(),
    }
}

/// Who asks, as rows name them.
fn person(request: &Request) -> String {
    match request.caller.user.as_str() {
        "" => "somebody".to_owned(),
        user => user.to_owned(),
    }
}

/// The schema of a map that always has these, and of others knows nothing.
fn map(properties: Value) -> Value {
    let required: Vec<String> = properties
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// The schema of what is sent: `required` of `properties` must be there.
fn body(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn text() -> Value {
    json!({"type": "string"})
}

fn text_or_null() -> Value {
    json!({"type": ["string", "null"]})
}

fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn moment() -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn moment_or_null() -> Value {
    json!({"type": ["string", "null"], "format": "date-time"})
}

fn moment_ms() -> Value {
    json!({"type": "integer", "description": "Unix milliseconds"})
}

fn moment_ms_or_null() -> Value {
    json!({"type": ["integer", "null"], "description": "Unix milliseconds"})
}

fn any() -> Value {
    json!({})
}

fn map_or_null() -> Value {
    json!({"type": ["object", "null"]})
}

fn list_of(items: Value) -> Value {
    json!({"type": "array", "items": items})
}
