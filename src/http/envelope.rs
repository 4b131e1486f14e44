//! The form of every answer: `{ok, correlation_id, data}`, or `{ok, error_code, message, correlation_id, details}`.
//!
//! What is read may be asked again with the tag it came with; the tag is of what was answered, not of its envelope, so
//! it is a weak one. Every answer says that it is nobody else's to keep, and what a browser may do with it: nothing. No answer
//! lets pages of other origins read it: there are no headers of CORS.

use axum::body::{Body as Sent, Bytes};
use axum::http::header::{self, HeaderValue};
use axum::http::{HeaderMap, HeaderName, Method, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::answer::{Answer, Body, Refusal};

pub const CORRELATION: HeaderName = HeaderName::from_static("x-correlation-id");

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// May be kept by who asked, who has to ask again whether it still holds.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("private, no-cache");

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

const ONLY_SECURE: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Headers of every answer that does not say otherwise.
const PRESETS: [(HeaderName, HeaderValue); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];

/// What was asked, as far as the form of its answer depends on it.
pub struct Asked<'a> {
    pub method: &'a Method,
    /// Tags under which the answer is known already.
    pub known: Option<&'a str>,
    pub corr: &'a str,
    /// Browsers are to come by TLS alone from now on.
    pub is_only_secure: bool,
}

/// `answer` with its data as text: writing much takes a while, and is for a thread that others do not wait for.
pub fn write(answer: Answer, method: &Method) -> Answer {
    let is_read = is_read(answer.status, method);
    let body = match answer.body {
        Body::Data(data) => {
            let data = data.to_string();
            let tag = is_read.then(|| tag(data.as_bytes()));
            Body::Written { data, tag }
        }
        other => other,
    };
    Answer { body, ..answer }
}

fn is_read(status: u16, method: &Method) -> bool {
    status == 200 && (*method == Method::GET || *method == Method::HEAD)
}

/// The answer as it is sent. A stream is made a body by `stream`.
pub fn seal(
    answered: Result<Answer, Refusal>,
    asked: &Asked<'_>,
    stream: impl FnOnce(super::stream::Stream) -> Result<Sent, Refusal>,
) -> Response<Sent> {
    let answer = match answered {
        Ok(answer) => write(answer, asked.method),
        Err(refusal) => return refused(refusal, asked),
    };
    let mut headers = HeaderMap::new();
    headers.extend(answer.headers.into_iter().map(|(name, value)| (Some(name), value)));
    let is_read = is_read(answer.status, asked.method);
    let bytes = match answer.body {
        Body::Empty => Bytes::new(),
        Body::Stream(what) => match stream(what) {
            Ok(body) => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
                // A reverse proxy would keep what is said until there is more of it.
                headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
                return finish(answer.status, headers, body, asked);
            }
            Err(refusal) => return refused(refusal, asked),
        },
        Body::Data(_) => unreachable!("it was written before"),
        Body::Written { data, tag } => {
            if tag.is_some_and(|tag| is_known(&mut headers, tag, asked.known)) {
                return finish(304, headers, Sent::empty(), asked);
            }
            headers.insert(header::CONTENT_TYPE, JSON);
            let corr = Value::from(asked.corr);
            Bytes::from(format!(r#"{{"ok":true,"correlation_id":{corr},"data":{data}}}"#))
        }
        Body::Bytes { content_type, bytes } => {
            if is_read && is_known(&mut headers, tag(&bytes), asked.known) {
                return finish(304, headers, Sent::empty(), asked);
            }
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            bytes
        }
    };
    finish(answer.status, headers, Sent::from(bytes), asked)
}

/// The tag of what is answered.
fn tag(bytes: &[u8]) -> HeaderValue {
    let hash = Sha256::digest(bytes);
    HeaderValue::from_str(&format!("W/\"{}\"", hex::encode(&hash[..12]))).expect("hex in quotes")
}

/// Tags what is answered; whether who asks has it already.
fn is_known(headers: &mut HeaderMap, tag: HeaderValue, known: Option<&str>) -> bool {
    let is_known = known.is_some_and(|known| {
        let mut tags = known.split(',').map(|one| one.trim().trim_start_matches("W/"));
        known == "*" || tags.any(|one| tag.as_bytes().strip_prefix(b"W/") == Some(one.as_bytes()))
    });
    headers.entry(header::CACHE_CONTROL).or_insert(ASK_AGAIN);
    headers.insert(header::ETAG, tag);
    is_known
}

/// The envelope of an error.
pub fn refused(refusal: Refusal, asked: &Asked<'_>) -> Response<Sent> {
    let mut headers = HeaderMap::new();
    for (name, value) in refusal.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers.insert(header::CONTENT_TYPE, JSON);
    let details = match refusal.details {
        Value::Null => json!({}),
        details => details,
    };
    // In the order in which people look: what it is, why, and then what to name when asking about it.
    let (code, message) = (Value::from(refusal.code), Value::from(refusal.message));
    let corr = Value::from(asked.corr);
    let body = format!(
        r#"{{"ok":false,"error_code":{code},"message":{message},"correlation_id":{corr},"details":{details}}}"#
    );
    finish(refusal.status, headers, Sent::from(body), asked)
}

fn finish(status: u16, mut headers: HeaderMap, body: Sent, asked: &Asked<'_>) -> Response<Sent> {
    for (name, value) in PRESETS {
        headers.entry(name).or_insert(value);
    }
    // What was changed, made or refused is for this once.
    headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
    if asked.is_only_secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, ONLY_SECURE);
    }
    let corr = HeaderValue::from_str(asked.corr).expect("a correlation id is plain");
    headers.insert(CORRELATION, corr);
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(answer: Answer, known: Option<&str>) -> Response<Sent> {
        let asked = Asked {
            method: &Method::GET,
            known,
            corr: "c1",
            is_only_secure: false,
        };
        seal(Ok(answer), &asked, |_| unreachable!("no stream"))
    }

    #[test]
    fn the_tag_is_of_the_data_and_known_data_is_not_sent_again() {
        let first = sealed(Answer::data(json!({"a": 1})), None);
        let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        assert_eq!(first.status(), 200);
        for known in [
            tag.clone(),
            format!("\"x\", {tag}"),
            tag[2..].to_owned(),
            "*".to_owned(),
        ] {
            assert_eq!(
                sealed(Answer::data(json!({"a": 1})), Some(&known)).status(),
                304,
                "{known}"
            );
        }
        assert_eq!(sealed(Answer::data(json!({"a": 2})), Some(&tag)).status(), 200);
        assert_eq!(
            sealed(Answer::data(json!({"a": 1})).status(201), Some(&tag)).status(),
            201
        );
    }

    #[test]
    fn what_cannot_stand_in_a_header_does_not_get_there() {
        let answer = Answer::text("x").header("x-y", "a\r\nset-cookie: b");
        assert!(sealed(answer, None).headers().get("x-y").is_none());
    }
}
