//! What a model answered.
//!
//! Servers differ, so a field that is missing or null is never a reason to fail, except the answer itself.

use serde_json::Value as Json;

use super::chat::Chat;
use super::prices::Prices;
use super::schema;
use crate::effect::Fault;
use crate::io::http::Response;
use crate::namespaces::fault::Faults;
use crate::namespaces::http::answer::parse;
use crate::value::Value;

/// How many of a schema's complaints are told.
const COMPLAINTS_MAX: usize = 3;

/// Reads a response of success: what it cost, as far as that is known, and what it says.
pub fn read(
    chat: &Chat,
    faults: &Faults<'_>,
    response: &Response,
    prices: &Prices,
) -> (Option<f64>, Result<Value, Fault>) {
    let Ok(json) = serde_json::from_slice::<Json>(&response.body) else {
        return (None, Err(useless(faults, response, "its answer is no JSON")));
    };
    let model = json["model"]
        .as_str()
        .filter(|model| !model.is_empty())
        .unwrap_or(&chat.model);
    let tokens = Tokens::of(&json["usage"]);
    let cost_usd = prices
        .cost_usd(model, tokens.input, tokens.output)
        .or_else(|| prices.cost_usd(&chat.model, tokens.input, tokens.output));
    let value = said(chat, faults, response, &json).map(|(text, data)| {
        let choice = &json["choices"][0];
        Value::from([
            ("text", Value::from(text)),
            ("json", data),
            ("model", Value::from(model)),
            ("id", Value::from(json["id"].as_str())),
            ("finish_reason", Value::from(choice["finish_reason"].as_str())),
            ("usage", tokens.to_value()),
            ("cost_usd", Value::from(cost_usd)),
            ("simulated", Value::Bool(false)),
        ])
    });
    (cost_usd, value)
}

/// The text, and the data in it where a schema asks for some.
fn said(chat: &Chat, faults: &Faults<'_>, response: &Response, json: &Json) -> Result<(Option<String>, Value), Fault> {
    let choice = &json["choices"][0];
    let message = &choice["message"];
    if message.is_null() {
        // Some gateways answer 200 and put the error into the body.
        let words = super::refusal::Words::of(json)
            .message
            .map(|words| faults.words(&words));
        return Err(useless(
            faults,
            response,
            &words.unwrap_or_else(|| "there is no message in its answer".to_owned()),
        ));
    }
    if let Some(refusal) = message["refusal"].as_str().filter(|refusal| !refusal.is_empty()) {
        let message = format!("the model declined to answer: {}", faults.words(refusal));
        return Err(faults.useless("OPENAI_REFUSED", message, response));
    }
    let text = text_of(&message["content"]);
    let reason = choice["finish_reason"].as_str().unwrap_or_default();
    if reason == "content_filter" && text.as_deref().is_none_or(str::is_empty) {
        let message = "the model's answer was withheld by a content filter".to_owned();
        return Err(faults.useless("OPENAI_REFUSED", message, response));
    }
    let Some(asked) = &chat.schema else {
        return Ok((text, Value::Unit));
    };
    if reason == "length" {
        let message = match chat.max_tokens {
            Some(most) => {
                format!("the answer was cut off at {most} tokens, so its data is incomplete; raise max_tokens")
            }
            None => {
                "the answer was cut off at the model's own limit, so its data is incomplete; ask for less".to_owned()
            }
        };
        return Err(faults.useless("OPENAI_TRUNCATED", message, response));
    }
    let bad = |why: String| {
        faults.useless(
            "OPENAI_BAD_JSON",
            format!("the model's answer does not fit the schema: {why}"),
            response,
        )
    };
    let text = text.ok_or_else(|| bad("it is empty".to_owned()))?;
    let data = parse(unfenced(&text).as_bytes()).ok_or_else(|| bad("it is no JSON, or nests too deep".to_owned()))?;
    let checker = schema::checker(&asked.schema.to_json()).map_err(|reason| bad(faults.words(&reason)))?;
    let complaints: Vec<String> = (checker.iter_errors(&data.to_json()).take(COMPLAINTS_MAX))
        .map(|error| format!("{error} at {:?}", error.instance_path().to_string()))
        .collect();
    match complaints.is_empty() {
        true => Ok((Some(text), data)),
        false => Err(bad(faults.words(&complaints.join("; ")))),
    }
}

fn useless(faults: &Faults<'_>, response: &Response, why: &str) -> Fault {
    faults.useless(
        "OPENAI_BAD_ANSWER",
        format!("openai answered with nothing of use: {why}"),
        response,
    )
}

/// A message's content: a text, or parts of which some are; `None` is no text, which is not the same as an empty one.
fn text_of(content: &Json) -> Option<String> {
    match content {
        Json::String(text) => Some(text.clone()),
        Json::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            (!texts.is_empty()).then(|| texts.concat())
        }
        _ => None,
    }
}

/// Models on servers that cannot be held to a schema like to wrap their JSON for display.
fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    inner.map_or(text, |inner| inner.strip_prefix("json").unwrap_or(inner).trim())
}

/// What was read and written, in either pair of words that servers use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    pub input: u64,
    pub output: u64,
}

impl Tokens {
    fn of(usage: &Json) -> Tokens {
        let count = |names: [&str; 2]| names.iter().find_map(|name| usage[*name].as_u64()).unwrap_or_default();
        Tokens {
            input: count(["prompt_tokens", "input_tokens"]),
            output: count(["completion_tokens", "output_tokens"]),
        }
    }

    pub fn to_value(self) -> Value {
        let count = |tokens: u64| Value::Int(i64::try_from(tokens).unwrap_or(i64::MAX));
        Value::from([
            ("input_tokens", count(self.input)),
            ("output_tokens", count(self.output)),
        ])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn content_is_read_in_every_shape_and_null_is_not_empty() {
        assert_eq!(text_of(&json!("a")).as_deref(), Some("a"));
        assert_eq!(
            text_of(&json!([{ "type": "text", "text": "a" }, { "type": "image" }, { "text": "b" }])).as_deref(),
            Some("ab")
        );
        assert_eq!(text_of(&Json::Null), None);
        assert_eq!(unfenced("```json\n{}\n```"), "{}");
        assert_eq!(unfenced(" {} "), "{}");
        let tokens = Tokens { input: 3, output: 5 };
        assert_eq!(
            Tokens::of(&json!({ "prompt_tokens": 3, "completion_tokens": 5 })),
            tokens
        );
        assert_eq!(Tokens::of(&json!({ "input_tokens": 3, "output_tokens": 5 })), tokens);
        assert_eq!(Tokens::of(&Json::Null), Tokens::default());
    }
}
