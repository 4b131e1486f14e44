//! What a playbook gets back.

use crate::io::http::Response;
use crate::value::{Map, Value, check_depth};

/// The answer as a playbook sees it.
pub fn of(response: &Response) -> Value {
    let mut headers = Map::new();
    for (name, value) in &response.headers {
        // More than one of a name are one list (RFC 9110, 5.3).
        let present = headers
            .entry(name.to_ascii_lowercase())
            .or_insert_with(|| Value::from(""));
        *present = Value::from(match present.as_str() {
            Some("") | None => value.clone(),
            Some(before) => format!("{before}, {value}"),
        });
    }
    Value::from([
        ("status", Value::Int(i64::from(response.status))),
        ("headers", Value::Map(headers)),
        ("body", Value::from(response.text().into_owned())),
        ("json", json(response)),
        ("url", Value::from(response.url.as_str())),
        ("simulated", Value::Bool(false)),
    ])
}

/// The body as data, when the server says that it is JSON and it is; else `()`.
pub fn json(response: &Response) -> Value {
    let kind = response.header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind != "application/json" && kind != "text/json" && !kind.ends_with("+json") {
        return Value::Unit;
    }
    parse(&response.body).unwrap_or_default()
}

/// Data from a foreign body; `None` when it is no JSON, or nests deeper than a playbook can hold.
pub fn parse(body: &[u8]) -> Option<Value> {
    // Windows servers put a byte order mark first.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let value = Value::from_json(serde_json::from_slice(body).ok()?);
    // The answer around it needs a level of its own.
    let answer = Value::List(vec![value]);
    check_depth(&answer).ok()?;
    let Value::List(mut items) = answer else { return None };
    items.pop()
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn answer(headers: &[(&str, &str)], body: &str) -> Value {
        of(&Response {
            status: 200,
            headers: headers
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            body: body.as_bytes().to_vec(),
            url: Url::parse("https://example.com/").expect("a URL"),
        })
    }

    #[test]
    fn a_body_is_data_only_where_the_server_says_so_and_it_is_true() {
        let json = |kind: &str, body: &str| answer(&[("content-type", kind)], body).get("json").cloned();
        assert_eq!(
            json("application/json; charset=utf-8", "[1]"),
            Some(Value::List(vec![Value::Int(1)]))
        );
        assert_eq!(
            json("application/problem+json", "\u{feff}{}"),
            Some(Value::Map(Map::new()))
        );
        assert_eq!(json("text/plain", "[1]"), Some(Value::Unit));
        assert_eq!(json("application/json", "<html>"), Some(Value::Unit));
        assert_eq!(json("application/json", "null"), Some(Value::Unit));
    }

    #[test]
    fn data_nested_too_deep_stays_text_instead_of_losing_the_answer() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        for (levels, is_data) in [(1, true), (60, true), (70, false), (100, false), (100_000, false)] {
            let answer = answer(&[("content-type", "application/json")], &nested(levels));
            assert_eq!(
                answer.get("json").is_some_and(|json| !json.is_unit()),
                is_data,
                "{levels}"
            );
            assert!(check_depth(&answer).is_ok());
        }
    }

    #[test]
    fn headers_of_one_name_are_one_list() {
        let answer = answer(&[("link", "<a>"), ("Link", "<b>")], "");
        assert_eq!(
            answer.get("headers").and_then(|headers| headers.get("link")),
            Some(&Value::from("<a>, <b>"))
        );
    }
}
