//! What comes in is checked by what the table says of it, before any handler sees it.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use jsonschema::Validator;
use serde_json::{Value, json};

use super::answer::Refusal;
use super::request::Request;
use super::routes::{self, PLACES, Param};

/// Faults of a body that are told.
const FAULTS_MAX: usize = 10;

/// The longest description of a fault.
const FAULT_CHARS_MAX: usize = 300;

/// Every value of the query is known and what it should be, and none comes twice.
pub fn query(request: &Request, known: &[Param]) -> Result<(), Refusal> {
    let refused = |name: &str, reason: String| {
        let shown: String = name.chars().take(100).collect();
        let message = format!("the query's {shown:?} {reason}");
        Refusal::new(400, "QUERY_INVALID", message).details(json!({ "parameter": shown }))
    };
    let mut seen = std::collections::BTreeSet::new();
    for (name, value) in &request.query {
        let Some(param) = known.iter().find(|param| param.name == name) else {
            let names: Vec<&str> = known.iter().map(|param| param.name).collect();
            let reason = match names.is_empty() {
                true => "is not known: there are none here".to_owned(),
                false => format!("is not known; there are {}", names.join(", ")),
            };
            return Err(refused(name, reason));
        };
        if !seen.insert(name) {
            return Err(refused(name, "comes twice".to_owned()));
        }
        param.kind.check(value).map_err(|reason| refused(name, reason))?;
    }
    Ok(())
}

/// What stands in the path is what can stand there. To whoever asks, a name that cannot be is one that is not there.
pub fn places(request: &Request) -> Result<(), Refusal> {
    for (name, value) in &request.params {
        let place = PLACES.iter().find(|place| place.name == name);
        let checked = place.map_or(Ok(()), |place| place.kind.check(value));
        if checked.is_err() || value.chars().any(char::is_control) {
            return Err(Refusal::not_found(format!("there is no such {name}")));
        }
    }
    Ok(())
}

/// The body is JSON, says so, and fits the schema called `name`.
pub fn body(request: &Request, name: &'static str) -> Result<(), Refusal> {
    let kind = request.header("content-type").unwrap_or("");
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") && !request.body.is_empty() {
        let shown: String = kind.chars().take(100).collect();
        let message = format!("the body is {shown:?}; send application/json");
        return Err(Refusal::new(415, "CONTENT_TYPE", message));
    }
    let body = match request.json()? {
        Value::Null if request.body.is_empty() => json!({}),
        body => body,
    };
    let faults = faults(name, &body);
    if faults.is_empty() {
        return Ok(());
    }
    let message = format!("the body does not fit: {}", faults[0].1);
    let faults: Vec<Value> = faults
        .into_iter()
        .map(|(path, reason)| json!({"path": path, "reason": reason}))
        .collect();
    Err(Refusal::new(422, "BODY_INVALID", message).details(json!({ "faults": faults })))
}

/// What of `body` does not fit the schema called `name`: where, and why. Values are not repeated: they may be secrets.
pub fn faults(name: &'static str, body: &Value) -> Vec<(String, String)> {
    static COMPILED: OnceLock<Mutex<BTreeMap<&'static str, std::sync::Arc<Validator>>>> = OnceLock::new();
    let mut compiled = COMPILED
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let validator = compiled.entry(name).or_insert_with(|| {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$ref": format!("#/components/schemas/{name}"),
            "components": { "schemas": schemas() },
        });
        let validator =
            jsonschema::validator_for(&schema).expect("the schemas of the table are valid, which a test holds");
        std::sync::Arc::new(validator)
    });
    let validator = validator.clone();
    drop(compiled);
    let faults = validator.iter_errors(body).take(FAULTS_MAX);
    faults
        .map(|error| {
            let path = error.instance_path().to_string();
            let reason: String = error.masked().to_string().chars().take(FAULT_CHARS_MAX).collect();
            match path.is_empty() {
                true => (path, reason),
                false => (path.clone(), format!("{path}: {reason}")),
            }
        })
        .collect()
}

/// Every schema, by name.
pub fn schemas() -> BTreeMap<&'static str, Value> {
    routes::GROUPS.iter().flat_map(|group| (group.schemas)()).collect()
}
