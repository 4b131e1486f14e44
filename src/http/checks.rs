//! What comes in is checked by what the table says of it, before any handler sees it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::body::Bytes;
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

/// The body, if it is JSON, says so, and fits the schema called `name`. Whole numbers are written as such in what is
/// returned: to JSON, `5.0` is one.
pub fn body(request: &Request, name: &'static str) -> Result<Bytes, Refusal> {
    let kind = request.header("content-type").unwrap_or("");
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") && !request.body.is_empty() {
        let shown: String = kind.chars().take(100).collect();
        let message = format!("the body is {shown:?}; send application/json");
        return Err(Refusal::new(415, "CONTENT_TYPE", message));
    }
    let mut body = match request.json()? {
        Value::Null if request.body.is_empty() => json!({}),
        body => body,
    };
    let faults = faults(name, &body);
    if faults.is_empty() {
        return Ok(match make_whole(&mut body, &compiled(name).1) {
            true => body.to_string().into(),
            false => request.body.clone(),
        });
    }
    let message = format!("the body does not fit: {}", faults[0].1);
    let faults: Vec<Value> = faults
        .into_iter()
        .map(|(path, reason)| json!({"path": path, "reason": reason}))
        .collect();
    Err(Refusal::new(422, "BODY_INVALID", message).details(json!({ "faults": faults })))
}

/// Writes numbers as whole ones where `schema` says so; whether there was any to write. What fits any schema stays as it is.
fn make_whole(value: &mut Value, schema: &Value) -> bool {
    let is_whole =
        |kind: &Value| kind == "integer" || kind.as_array().is_some_and(|kinds| kinds.contains(&json!("integer")));
    match value {
        Value::Number(number) if number.is_f64() && is_whole(&schema["type"]) => {
            // As far as such numbers name one whole number each.
            let float = number.as_f64().filter(|float| float.abs() <= (1_u64 << 53) as f64);
            let whole = float.map(|float| Value::from(float as i64));
            let is_other = whole.is_some();
            *value = whole.unwrap_or_else(|| value.take());
            is_other
        }
        Value::Array(items) => {
            let mut any = false;
            items
                .iter_mut()
                .for_each(|item| any |= make_whole(item, &schema["items"]));
            any
        }
        Value::Object(fields) => {
            let mut any = false;
            let fields = fields.iter_mut();
            fields.for_each(|(name, field)| any |= make_whole(field, &schema["properties"][name.as_str()]));
            any
        }
        _ => false,
    }
}

/// What of `body` does not fit the schema called `name`: where, and why. Values are not repeated: they may be secrets.
pub fn faults(name: &'static str, body: &Value) -> Vec<(String, String)> {
    let validator = &compiled(name).0;
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

/// The schema called `name`, ready to check by, and as it is.
fn compiled(name: &'static str) -> Arc<(Validator, Value)> {
    static COMPILED: OnceLock<Mutex<BTreeMap<&'static str, Arc<(Validator, Value)>>>> = OnceLock::new();
    let mut compiled = COMPILED
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let found = compiled.entry(name).or_insert_with(|| {
        let schemas = schemas();
        let own = schemas[name].clone();
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$ref": format!("#/components/schemas/{name}"),
            "components": { "schemas": schemas },
        });
        let validator =
            jsonschema::validator_for(&schema).expect("the schemas of the table are valid, which a test holds");
        Arc::new((validator, own))
    });
    found.clone()
}

/// Every schema, by name.
pub fn schemas() -> BTreeMap<&'static str, Value> {
    routes::GROUPS.iter().flat_map(|group| (group.schemas)()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_become_such_where_the_schema_says_so_and_nowhere_else() {
        let schema = json!({"type": "object", "properties": {
            "n": {"type": ["integer", "null"]}, "list": {"type": "array", "items": {"type": "integer"}},
            "free": {}, "part": {"type": "number"},
        }});
        let mut body = json!({"n": 90.0, "list": [1, 2.0], "free": {"n": 3.0}, "part": 4.0});
        assert!(make_whole(&mut body, &schema));
        assert_eq!(
            body.to_string(),
            json!({"n": 90, "list": [1, 2], "free": {"n": 3.0}, "part": 4.0}).to_string()
        );
        assert!(!make_whole(&mut body, &schema), "nothing is left to write");
    }
}
