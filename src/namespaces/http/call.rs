//! A request as a playbook asks for it: its options, checked before it becomes an effect.

use std::time::Duration;

use url::Url;
use url::form_urlencoded::Serializer;

use super::multipart::{PARTS_MAX, Part};
use crate::effect::Failure;
use crate::io::http::{Method, Request};
use crate::namespaces::options::{BadOption, Options};
use crate::value::{Map, Value};

/// How long a request may take that says nothing.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest that one may ask for.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(600);
/// How large an answer may be when nothing is said.
pub const BYTES_MAX: u64 = 8 << 20;
/// The largest that one may ask for.
pub const BYTES_MAX_MAX: u64 = 64 << 20;
/// How large a request's body may be, but for the files in it.
pub const BODY_BYTES_MAX: usize = 64 << 20;
/// How many redirects of a read are followed.
const REDIRECTS_MAX: u8 = 5;

/// Parts of a header's name that say that its value is a secret.
const SECRET_PARTS: [&str; 9] = [
    "auth",
    "cookie",
    "credential",
    "key",
    "password",
    "secret",
    "session",
    "signature",
    "token",
];

/// Why a request cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BadCall {
    #[error(transparent)]
    Option(#[from] BadOption),
    #[error("{url:?} is no URL that can be asked: {reason}; write for instance \"https://api.example.com/items\"")]
    Url { url: String, reason: String },
    #[error("the body has {bytes} bytes; at most {BODY_BYTES_MAX} are sent")]
    TooLarge { bytes: usize },
    #[error("the body is given twice: leave all but one of body, `json`, `form` and `multipart` out")]
    BodyTwice,
}

impl From<BadCall> for Failure {
    fn from(error: BadCall) -> Failure {
        let code = match &error {
            BadCall::Option(option) => option.code(),
            BadCall::Url { .. } => "HTTP_BAD_URL",
            BadCall::TooLarge { .. } => "HTTP_BODY_TOO_LARGE",
            BadCall::BodyTwice => "BAD_OPTION",
        };
        Failure::new(code, error.to_string())
    }
}

/// What is sent along.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Content {
    #[default]
    None,
    Json(Value),
    Form(Vec<(String, String)>),
    Text(String),
    Bytes(Vec<u8>),
    /// Put together when it is sent, because it may hold files.
    Multipart(Vec<Part>),
}

/// The header by which a server recognises a repeated request, and for how long it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHeader {
    pub header: String,
    /// `None`: the server stores the key, but carries a repeated request out again.
    pub lifetime: Option<Duration>,
}

/// One request without its address.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    pub headers: Vec<(String, String)>,
    pub query: Vec<(String, String)>,
    pub content: Content,
    pub timeout: Duration,
    pub bytes_max: u64,
    /// Statuses of failure that are answers all the same.
    pub accept: Vec<u16>,
    pub follow: bool,
    pub key: Option<KeyHeader>,
}

impl Call {
    /// A request that changes nothing, from the options that all share. `timeout` counts when they name none.
    pub fn read(method: Method, timeout: Duration, options: &mut Options) -> Result<Call, BadCall> {
        let timeout = options.duration("timeout")?.unwrap_or(timeout);
        if timeout.is_zero() || timeout > TIMEOUT_MAX {
            let given = Value::from(format!("{timeout:?}"));
            return Err(options.kind("timeout", &given, "a length of time up to \"10m\"").into());
        }
        let accept = options.list("accept")?.unwrap_or_default();
        let accept = accept.iter().map(|status| match status.as_int() {
            Some(status @ 400..=599) => Ok(status as u16),
            _ => Err(options.kind("accept", status, "an array of statuses from 400 to 599, such as [404],")),
        });
        let accept = accept.collect::<Result<_, _>>()?;
        Ok(Call {
            method,
            headers: pairs("headers", options)?,
            query: pairs("query", options)?,
            content: Content::None,
            timeout,
            bytes_max: options
                .int("max_bytes", 1..=BYTES_MAX_MAX as i64)?
                .map_or(BYTES_MAX, |bytes| bytes as u64),
            accept,
            follow: false,
            key: None,
        })
    }

    /// A request with `body`, or with what the options say in its place.
    pub fn write(method: Method, timeout: Duration, body: Value, options: &mut Options) -> Result<Call, BadCall> {
        let call = Call::read(method, timeout, options)?;
        let form = match options.value("form") {
            Some(form @ Value::Map(_)) => Some(Content::Form(spread("form", form, options)?)),
            Some(other) => return Err(options.kind("form", &other, "a map").into()),
            None => None,
        };
        let parts = match options.list("multipart")? {
            Some(parts) if parts.is_empty() || parts.len() > PARTS_MAX => {
                let found = parts.len();
                let reason = format!("`multipart` has {found} parts; 1 to {PARTS_MAX} are allowed");
                return Err(options.conflict(reason).into());
            }
            Some(_) if call.has_header("content-type") => {
                let reason = "the content type of `multipart` holds its boundary, which the host sets";
                return Err(options.conflict(reason).into());
            }
            Some(parts) => {
                let parts = parts.iter().map(|part| Part::read(part, options));
                Some(Content::Multipart(parts.collect::<Result<_, _>>()?))
            }
            None => None,
        };
        let json = options.value("json").map(Content::Json);
        let given = [Content::of(body), form, parts, json];
        let mut given = given.into_iter().flatten();
        let content = given.next().unwrap_or_default();
        if given.next().is_some() {
            return Err(BadCall::BodyTwice);
        }
        match content.bytes().0.len() {
            bytes if bytes > BODY_BYTES_MAX => Err(BadCall::TooLarge { bytes }),
            _ => Ok(Call { content, ..call }),
        }
    }

    /// The request to `url`, under the step's idempotency key where the call sends one.
    pub fn request(&self, mut url: Url, key: &str) -> Request {
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        let (body, kind) = self.content.bytes();
        let mut request = Request::new(self.method, url)
            .timeout(self.timeout)
            .response_bytes_max(self.bytes_max)
            .redirects_max(if self.follow { REDIRECTS_MAX } else { 0 })
            .body(body);
        for (name, value) in &self.headers {
            request = match is_secret(name) {
                true => request.secret_header(name, value),
                false => request.header(name, value),
            };
        }
        if let Some(kind) = kind.filter(|_| !self.has_header("content-type")) {
            request = request.header("content-type", kind);
        }
        match &self.key {
            Some(by) if !self.has_header(&by.header) => request.header(&by.header, key),
            _ => request,
        }
    }

    /// Whether `status` is an answer rather than an error.
    pub fn accepts(&self, status: u16) -> bool {
        status < 400 || self.accept.contains(&status)
    }

    fn has_header(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(present, _)| present.eq_ignore_ascii_case(name))
    }
}

impl Content {
    /// A playbook's value as a body; `None` for `()`.
    fn of(value: Value) -> Option<Content> {
        match value {
            Value::Unit => None,
            Value::Text(text) => Some(Content::Text(text)),
            Value::Blob(bytes) => Some(Content::Bytes(bytes)),
            other => Some(Content::Json(other)),
        }
    }

    /// As it is sent, and what to call it.
    fn bytes(&self) -> (Vec<u8>, Option<&'static str>) {
        match self {
            Content::None | Content::Multipart(_) => (Vec::new(), None),
            Content::Json(value) => (value.to_json().to_string().into_bytes(), Some("application/json")),
            Content::Form(fields) => {
                let text = Serializer::new(String::new()).extend_pairs(fields).finish();
                (text.into_bytes(), Some("application/x-www-form-urlencoded"))
            }
            Content::Text(text) => (text.clone().into_bytes(), Some("text/plain; charset=utf-8")),
            Content::Bytes(bytes) => (bytes.clone(), Some("application/octet-stream")),
        }
    }
}

/// The URL that a playbook wrote.
pub fn parse_url(text: &str) -> Result<Url, BadCall> {
    let bad = |reason: String| BadCall::Url {
        url: text.chars().take(100).collect(),
        reason,
    };
    let url = Url::parse(text).map_err(|error| bad(error.to_string()))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(bad(format!("only http and https can be asked, not {other}"))),
    }
}

/// The options by which a call says that the server recognises repeated writes.
pub fn read_key(options: &mut Options) -> Result<Option<KeyHeader>, BadOption> {
    let header = options.string("idempotency_key_header")?;
    let lifetime = options.duration("idempotency_lifetime")?;
    match (header, lifetime) {
        (Some(header), Some(lifetime)) => Ok(Some(KeyHeader {
            header,
            lifetime: Some(lifetime),
        })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(options.missing(
            "idempotency_lifetime",
            "how long the server remembers a key, such as \"24h\"",
        )),
        (None, Some(_)) => Err(options.missing(
            "idempotency_key_header",
            "the header it reads, such as \"Idempotency-Key\"",
        )),
    }
}

fn is_secret(header: &str) -> bool {
    let name = header.to_ascii_lowercase();
    SECRET_PARTS.iter().any(|part| name.contains(part)) && name != "idempotency-key"
}

/// A map option as names and values.
fn pairs(name: &'static str, options: &mut Options) -> Result<Vec<(String, String)>, BadOption> {
    match options.map(name)? {
        Some(map) => spread(name, Value::Map(map), options),
        None => Ok(Vec::new()),
    }
}

/// A map's fields as texts, those of an array each on its own; `()` is left out.
fn spread(option: &'static str, map: Value, options: &Options) -> Result<Vec<(String, String)>, BadOption> {
    let mut found = Vec::new();
    let map: Map = if let Value::Map(map) = map { map } else { Map::new() };
    for (name, value) in map {
        let items = match value {
            Value::List(items) => items,
            one => vec![one],
        };
        for item in items {
            let text = match item {
                Value::Unit => continue,
                Value::Text(text) => text,
                Value::Int(_) | Value::Float(_) | Value::Bool(_) => item.to_string(),
                other => {
                    return Err(options.kind(option, &other, "a map of strings, numbers, booleans and arrays of them"));
                }
            };
            found.push((name.clone(), text));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(fields: Value) -> Options {
        Options::of("http::post", fields.as_map().cloned().expect("a map"))
    }

    fn url() -> Url {
        Url::parse("https://api.example.com/items?a=1").expect("a URL")
    }

    #[test]
    fn query_headers_and_body_are_put_together_as_servers_read_them() {
        let given = Value::from([
            (
                "query",
                Value::from([
                    ("q", "a b&c".into()),
                    ("tag", Value::List(vec!["x".into(), Value::Int(2)])),
                    ("no", Value::Unit),
                ]),
            ),
            (
                "headers",
                Value::from([("X-Api-Token", "t".into()), ("X-Title", "t".into())]),
            ),
            ("form", Value::from([("name", "é".into()), ("on", Value::Bool(true))])),
        ]);
        let mut options = options(given);
        let call = Call::write(Method::Post, TIMEOUT, Value::Unit, &mut options).expect("a call");
        let request = call.request(url(), "key-1");
        assert_eq!(request.url.query(), Some("a=1&q=a+b%26c&tag=x&tag=2"));
        assert_eq!(request.body.at_hand().as_deref(), Some(&b"name=%C3%A9&on=true"[..]));
        assert!(request.headers.contains(&(
            "content-type".to_owned(),
            "application/x-www-form-urlencoded".to_owned()
        )));
        assert!(request.is_secret("x-api-token") && !request.is_secret("x-title"));
        assert_eq!(request.redirects_max, 0, "a write follows no redirect");
    }

    #[test]
    fn the_kind_of_body_follows_from_its_value_unless_a_header_says_it() {
        let kind = |body: Value, headers: Value| {
            let mut options = options(Value::from([("headers", headers)]));
            let request = Call::write(Method::Put, TIMEOUT, body, &mut options)
                .expect("a call")
                .request(url(), "key-1");
            let named = request
                .headers
                .into_iter()
                .filter(|(name, _)| name.eq_ignore_ascii_case("content-type"));
            named.map(|(_, value)| value).collect::<Vec<_>>().join(" and ")
        };
        assert_eq!(
            kind(Value::from([("a", Value::Int(1))]), Value::Unit),
            "application/json"
        );
        assert_eq!(kind("text".into(), Value::Unit), "text/plain; charset=utf-8");
        assert_eq!(kind(Value::Blob(vec![1]), Value::Unit), "application/octet-stream");
        assert_eq!(
            kind("<a/>".into(), Value::from([("Content-Type", "text/xml".into())])),
            "text/xml"
        );
        assert_eq!(kind(Value::Unit, Value::Unit), "");
    }

    #[test]
    fn what_cannot_be_sent_is_refused_before_it_is_an_effect() {
        let code = |body: Value, fields: Value| {
            let error = Call::write(Method::Post, TIMEOUT, body, &mut options(fields)).expect_err("refused");
            Failure::from(error).code
        };
        assert_eq!(code("a".into(), Value::from([("json", Value::Int(1))])), "BAD_OPTION");
        assert_eq!(
            code(Value::Unit, Value::from([("timeout", "11m".into())])),
            "BAD_OPTION"
        );
        assert_eq!(code(Value::Unit, Value::from([("timeout", "0s".into())])), "BAD_OPTION");
        assert_eq!(
            code(
                Value::Unit,
                Value::from([("accept", Value::List(vec![Value::Int(200)]))])
            ),
            "BAD_OPTION"
        );
        assert_eq!(
            code(Value::Unit, Value::from([("max_bytes", Value::Int(65 << 20))])),
            "BAD_OPTION"
        );
        assert_eq!(
            code(
                Value::Unit,
                Value::from([("query", Value::from([("a", Value::from([("b", Value::Unit)]))]))])
            ),
            "BAD_OPTION"
        );
        for url in ["", "api.example.com", "ftp://example.com/", "file:///etc/passwd"] {
            assert_eq!(Failure::from(parse_url(url).expect_err(url)).code, "HTTP_BAD_URL");
        }
        let mut lone = options(Value::from([("idempotency_key_header", "Idempotency-Key".into())]));
        assert_eq!(read_key(&mut lone).expect_err("refused").code(), "MISSING_OPTION");
    }
}
