//! What a playbook gets back when nothing leaves: an answer that says so, the same for the same request.

use super::call::Content;
use crate::gate::Simulation;
use crate::io::http::Method;
use crate::value::{Map, Value};

/// The simulated answer to a request: for a write, what was sent comes back with an id, as from most services.
pub fn answer(simulation: &Simulation<'_>, method: Method, url: &str, content: &Content) -> Value {
    let mut json = match content {
        Content::Json(Value::Map(map)) => map.clone(),
        Content::Form(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect(),
        Content::Multipart(parts) => {
            let fields = parts.iter().filter_map(|part| part.field());
            fields.map(|(name, value)| (name, Value::from(value))).collect()
        }
        _ => Map::new(),
    };
    if !matches!(method, Method::Get | Method::Head | Method::Delete) {
        json.entry("id".to_owned())
            .or_insert_with(|| Value::from(simulation.id("sim_")));
    }
    json.insert("simulated".to_owned(), Value::Bool(true));
    let json = Value::Map(json);
    let body = if method == Method::Head {
        String::new()
    } else {
        json.to_string()
    };
    Value::from([
        ("status", Value::Int(200)),
        (
            "headers",
            Value::from([("content-type", Value::from("application/json"))]),
        ),
        ("body", Value::from(body)),
        ("json", if method == Method::Head { Value::Unit } else { json }),
        ("url", Value::from(url)),
        ("simulated", Value::Bool(true)),
    ])
}
