//! What is asked, as handlers see it: checked as far as the table of routes says.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method};
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::answer::Refusal;
use super::caller::Caller;
use crate::identity::Page;

/// Values of a query that are read.
const QUERY_MAX: usize = 64;

/// How deep JSON may nest.
pub const DEPTH_MAX: usize = 64;

/// The longest correlation id.
const CORR_MAX: usize = 64;

#[derive(Clone)]
pub struct Request {
    pub method: Method,
    /// As it was sent, without the query.
    pub path: String,
    /// What stands in the places of the route's path, decoded.
    pub params: BTreeMap<String, String>,
    /// Decoded, in order.
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    /// As it was sent: signatures are made over bytes.
    pub body: Bytes,
    pub corr: String,
    pub caller: Caller,
    /// Whoever asks; behind a trusted proxy, for whom it does.
    pub peer: SocketAddr,
    /// It came through TLS, of our own or of a trusted proxy.
    pub is_secure: bool,
    /// It comes from this machine, and was not passed on for somebody else.
    pub is_local: bool,
}

/// Without headers, query and body: tokens, cookies and passwords stand there.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} ({} bytes, {})",
            self.method,
            self.path,
            self.body.len(),
            self.corr
        )
    }
}

impl Request {
    /// The value in the path's place `name`; the route has it.
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    /// The first value of the query's `name`.
    pub fn query(&self, name: &str) -> Option<&str> {
        let mut values = self.query.iter().filter(|(key, _)| key == name);
        values.next().map(|(_, value)| value.as_str())
    }

    /// The query's `name` as a number; the route has checked that it is one.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.query(name)?.parse().ok()
    }

    pub fn is(&self, name: &str) -> bool {
        self.query(name) == Some("true")
    }

    /// A header that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether it asks for a change.
    pub fn is_change(&self) -> bool {
        ![Method::GET, Method::HEAD, Method::OPTIONS].contains(&self.method)
    }

    /// What it says of the page that sent it.
    pub fn page(&self) -> Page<'_> {
        Page {
            token: self.header("x-csrf-token"),
            origin: self.header("origin"),
            site: self.header("sec-fetch-site"),
            host: self.header("host"),
            is_secure: self.is_secure,
        }
    }

    /// The body as JSON; an empty one is `null`.
    pub fn json(&self) -> Result<Value, Refusal> {
        match self.body.is_empty() {
            true => Ok(Value::Null),
            false => self.parse(),
        }
    }

    /// The keys and values of the body, which is a JSON object, as they were sent: one key may come twice.
    pub fn fields(&self) -> Result<Fields, Refusal> {
        match self.body.is_empty() {
            true => Ok(Fields(Vec::new())),
            false => self.parse(),
        }
    }

    fn parse<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let depth = depth(&self.body);
        if depth > DEPTH_MAX {
            let message = format!("the body nests {depth} deep; at most {DEPTH_MAX} are allowed");
            return Err(Refusal::new(400, "BODY_DEPTH", message));
        }
        serde_json::from_slice(&self.body).map_err(|error| match error.is_data() {
            true => Refusal::new(
                400,
                "BODY_INVALID",
                "the body must be an object whose keys are the inputs",
            ),
            false => Refusal::new(400, "BODY_JSON", format!("the body is no JSON: {error}")),
        })
    }

    /// The body as `T`, which is made from JSON that the route's schema has let pass.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let json = match self.json()? {
            Value::Null => Value::Object(serde_json::Map::new()),
            json => json,
        };
        serde_json::from_value(json)
            .map_err(|error| Refusal::new(422, "BODY_INVALID", format!("the body does not fit: {error}")))
    }
}

/// A JSON object as it was written.
pub struct Fields(pub Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fields, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// How deep brackets nest, outside of texts.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The query's names and values.
pub fn parse_query(query: &str) -> Result<Vec<(String, String)>, Refusal> {
    let bad = |message: String| Refusal::new(400, "QUERY_INVALID", message);
    let values: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .take(QUERY_MAX + 1)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    if values.len() > QUERY_MAX {
        return Err(bad(format!("the query has more than {QUERY_MAX} values")));
    }
    // What was no UTF-8 has become this.
    let is_text = |text: &str| !text.contains('\u{fffd}') && !text.chars().any(char::is_control);
    match values.iter().all(|(name, value)| is_text(name) && is_text(value)) {
        true => Ok(values),
        false => Err(bad("the query holds what is no text".to_owned())),
    }
}

/// Whether `text` can serve as a correlation id.
pub fn is_corr(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=CORR_MAX).contains(&text.len()) && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_texts_do_not_nest() {
        assert_eq!(depth(br#"{"a":[1,{"b":"]]]["}]}"#), 3);
        assert_eq!(depth(br#""\"[[[""#), 0);
        assert_eq!(depth(br#"["\\",[]]"#), 2);
        assert_eq!(depth(b"]]][["), 2);
    }

    #[test]
    fn a_query_is_decoded_and_what_is_no_text_refused() {
        assert_eq!(
            parse_query("a=1&b=x%20y+z&c").unwrap(),
            [("a", "1"), ("b", "x y z"), ("c", "")].map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
        for query in ["a=%ff", "a=%00", "a=%0d%0aSet-Cookie:x", &"a&".repeat(65)] {
            assert!(parse_query(query).is_err(), "{query}");
        }
    }

    #[test]
    fn a_correlation_id_is_short_and_plain() {
        assert!(is_corr("vid_123-4.5") && is_corr(&"x".repeat(64)));
        for bad in ["", "a b", "a\r\nb", "ü", &"x".repeat(65)] {
            assert!(!is_corr(bad), "{bad:?}");
        }
    }
}
