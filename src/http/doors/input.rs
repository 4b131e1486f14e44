//! What was sent, as the playbook's inputs: from the path, the query and a body of JSON. Each may come once, from one of them.

use serde_json::{Value as Json, json};

use crate::effect::Failure;
use crate::http::answer::Refusal;
use crate::http::request::Request;
use crate::script::Header;
use crate::script::error::nearest;
use crate::value::{Map, Value};

/// The inputs, each of its declared type. A playbook without a header takes what comes.
pub(super) fn of(request: &Request, header: &Header) -> Result<Map, Refusal> {
    let mut input = Map::new();
    let words = request
        .params
        .iter()
        .chain(request.query.iter().map(|(name, word)| (name, word)));
    for (name, word) in words {
        let Some(spec) = header.inputs.get(name) else {
            return Err(unknown(name, header));
        };
        let value = spec.parse(name, word).map_err(|failure| refused(name, failure))?;
        put(&mut input, name, value)?;
    }
    for (name, value) in body(request)? {
        if !header.inputs.contains_key(&name) {
            return Err(unknown(&name, header));
        }
        put(&mut input, &name, Value::from_json(value))?;
    }
    for (name, spec) in &header.inputs {
        match input.get(name) {
            Some(value) => {
                spec.accept(name, value.clone())
                    .map_err(|failure| refused(name, failure))?;
            }
            None if spec.required && spec.preset.is_none() => {
                let failure = Failure::new("INPUT_MISSING", format!("`{name}` is missing"));
                return Err(refused(name, failure));
            }
            None => {}
        }
    }
    Ok(input)
}

fn body(request: &Request) -> Result<Vec<(String, Json)>, Refusal> {
    if request.body.is_empty() {
        return Ok(Vec::new());
    }
    let kind = request.header("content-type").unwrap_or("");
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let shown: String = kind.chars().take(100).collect();
        let message = format!("the body is {shown:?}; send application/json");
        return Err(Refusal::new(415, "CONTENT_TYPE", message));
    }
    Ok(request.fields()?.0)
}

fn put(input: &mut Map, name: &str, value: Value) -> Result<(), Refusal> {
    match input.insert(name.to_owned(), value) {
        None => Ok(()),
        Some(_) => Err(refused(
            name,
            Failure::new("INPUT", format!("`{name}` was given twice")),
        )),
    }
}

fn unknown(name: &str, header: &Header) -> Refusal {
    let shown: String = name.chars().take(100).collect();
    let hint = match nearest(&shown, header.inputs.keys().map(String::as_str)) {
        Some(near) => format!("; did you mean `{near}`?"),
        None if header.inputs.is_empty() => "; nothing is taken".to_owned(),
        None => {
            let names: Vec<&str> = header.inputs.keys().map(String::as_str).collect();
            format!("; there are {}", names.join(", "))
        }
    };
    refused(
        name,
        Failure::new("INPUT_UNKNOWN", format!("`{shown}` is not known{hint}")),
    )
}

fn refused(name: &str, failure: Failure) -> Refusal {
    let field: String = name.chars().take(100).collect();
    Refusal::new(400, failure.code, failure.message).details(json!({ "field": field }))
}
