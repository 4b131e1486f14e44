//! A status of failure, in the shapes that OpenAI and servers like it give it.
//!
//! `{"error":{"message","type","code"}}` is the documented one; seen are also `{"error":"text"}`, `{"detail":…}`,
//! `{"message":…}`, numbers as codes, and a gateway's HTML.

use serde_json::Value as Json;

use crate::effect::{Fault, Landed};
use crate::io::http::Response;
use crate::namespaces::fault::Faults;
use crate::value::Value;

/// What a body says of its error, as far as it was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    pub message: Option<String>,
    pub kind: Option<String>,
    pub code: Option<String>,
}

impl Words {
    pub fn of(json: &Json) -> Words {
        let error = match &json["error"] {
            Json::Null => json,
            error => error,
        };
        let message = [
            error,
            &error["message"],
            &error["detail"],
            &error["detail"][0]["msg"],
            &json["message"],
        ];
        Words {
            message: message.into_iter().find_map(text),
            kind: text(&error["type"]),
            code: text(&error["code"]),
        }
    }

    fn is(&self, word: &str) -> bool {
        self.kind.as_deref() == Some(word) || self.code.as_deref() == Some(word)
    }
}

fn text(json: &Json) -> Option<String> {
    match json {
        Json::String(text) if !text.is_empty() => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The fault that `response` reports.
pub fn fault(faults: &Faults<'_>, response: &Response) -> Fault {
    let json: Json = serde_json::from_slice(&response.body).unwrap_or_default();
    let words = Words::of(&json);
    let mut fault = faults.refusal("openai", response, words.message.as_deref());
    if let Value::Map(details) = &mut fault.failure.details {
        for (name, word) in [("type", &words.kind), ("code", &words.code)] {
            if let Some(word) = word {
                details.insert(name.to_owned(), Value::from(faults.words(word)));
            }
        }
    }
    // Too many requests pass; an account without credit does not, and says so under the same status.
    if response.status == 429 && words.is("insufficient_quota") {
        fault.failure.code = "OPENAI_QUOTA".to_owned();
        fault.failure.message = "the OpenAI account is out of credit: check its plan and billing".to_owned();
        fault.failure.retry_after_ms = None;
        return Fault {
            landed: Landed::No,
            passing: false,
            unhealthy: false,
            ..fault
        };
    }
    fault
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_is_read_in_every_shape_that_servers_send() {
        let message = |json: Json| Words::of(&json).message.unwrap_or_default();
        assert_eq!(
            message(json!({ "error": { "message": "a", "type": "t", "code": null } })),
            "a"
        );
        assert_eq!(message(json!({ "error": "a" })), "a");
        assert_eq!(message(json!({ "detail": "a" })), "a");
        assert_eq!(message(json!({ "detail": [{ "msg": "a" }] })), "a");
        assert_eq!(message(json!({ "message": "a", "code": 400 })), "a");
        assert_eq!(message(json!("a")), "a");
        assert_eq!(message(json!([1])), "");
        assert_eq!(
            Words::of(&json!({ "error": { "code": 401 } })).code.as_deref(),
            Some("401")
        );
    }
}
