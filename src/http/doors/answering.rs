//! What came of a run, as an answer.
//!
//! What a playbook returns is the `data` of the envelope, with status 200. One that wants another status or headers returns
//! `#{ http_answer: #{ status, headers, body } }`; one that refuses what was asked throws
//! `#{ code, message, status }` with a status from 400 to 499. Headers that speak for the server or the connection, or let
//! somebody in, are not a playbook's to set.

use axum::http::{HeaderName, HeaderValue};
use serde_json::json;

use crate::effect::Failure;
use crate::http::answer::{Answer, Refusal};
use crate::id::RunId;
use crate::journal::{Outcome, Status};
use crate::value::{Map, Value};

/// The one key of a result that says how it is to be answered.
const KEY: &str = "http_answer";

const HEADERS_MAX: usize = 20;
const HEADER_BYTES_MAX: usize = 2048;

/// Headers that are the server's own, of one connection, or about who may come in; or that have a reverse proxy send a file
/// of its own, or a browser tell others of what it does here.
const REFUSED: [&str; 26] = [
    "alt-svc",
    "authorization",
    "clear-site-data",
    "connection",
    "content-encoding",
    "content-length",
    "content-security-policy",
    "content-type",
    "cookie",
    "date",
    "host",
    "keep-alive",
    "nel",
    "report-to",
    "reporting-endpoints",
    "server",
    "set-cookie",
    "set-cookie2",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
    "x-content-type-options",
    "x-correlation-id",
    "x-sendfile",
];
const REFUSED_BEGINNINGS: [&str; 6] = [
    "access-control-",
    "cross-origin-",
    "proxy-",
    "sec-",
    "strict-transport-",
    "x-accel-",
];

/// What came of `run`, which is over.
pub(super) fn of(run: RunId, outcome: Outcome) -> Result<Answer, Refusal> {
    if outcome.status == Status::Succeeded {
        return result(&outcome.value).unwrap_or_else(|reason| {
            tracing::error!(run = %run.short(), %reason, "what the playbook answers cannot be sent");
            Err(failed(run, 500, "HTTP_ANSWER"))
        });
    }
    let failure = outcome.error.map(|error| error.failure).unwrap_or_default();
    let status = status_of(outcome.status, &failure);
    if status >= 500 {
        return Err(failed(run, status, code_of(&failure)));
    }
    let mut details = match failure.details.to_json() {
        serde_json::Value::Object(details) => details,
        _ => serde_json::Map::new(),
    };
    details.insert("run_id".to_owned(), json!(run.to_string()));
    let code = code_of(&failure).to_owned();
    Err(Refusal::new(status, code, failure.message).details(serde_json::Value::Object(details)))
}

/// The run could not be taken up.
pub(super) fn lost(run: RunId, code: &str) -> Refusal {
    failed(run, 500, code)
}

/// Who asked need not know what it was; the run's record tells it to those who may read it.
fn failed(run: RunId, status: u16, code: &str) -> Refusal {
    let message = format!("the run {} did not succeed; its record says why", run.short());
    Refusal::new(status, code, message).details(json!({ "run_id": run.to_string() }))
}

/// Scripts throw what they like; a code is written in capitals.
fn code_of(failure: &Failure) -> &str {
    let is_code = |code: &str| {
        code.starts_with(|letter: char| letter.is_ascii_uppercase())
            && code
                .chars()
                .all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_')
    };
    match is_code(&failure.code) {
        true => &failure.code,
        false => "THROWN",
    }
}

/// Whether it was what was asked (4xx), somebody else (502), the time (504), or us (500).
fn status_of(ended: Status, failure: &Failure) -> u16 {
    let code = failure.code.as_str();
    let is_late = code.ends_with("_TIMEOUT") || code == "LIMIT_DEADLINE" || code == "LIMIT_TIME";
    match (ended, failure.status) {
        (Status::NeedsAttention, _) => 502,
        (Status::Cancelled, _) => 500,
        _ if is_late => 504,
        (_, Some(status @ 400..=499)) if failure.provider.is_none() && !code.starts_with("HTTP_") => status,
        _ if failure.provider.is_some() || code.starts_with("HTTP_") => 502,
        _ if code == "THROWN" => 422,
        _ => 500,
    }
}

/// What the playbook returned, as it wants it to be answered; or why that cannot be.
fn result(value: &Value) -> Result<Result<Answer, Refusal>, String> {
    let chosen = match value.as_map() {
        Some(map) if map.len() == 1 => map.get(KEY),
        _ => None,
    };
    let Some(chosen) = chosen else {
        return Ok(Ok(Answer::data(value.to_json())));
    };
    let chosen = chosen.as_map().ok_or_else(|| format!("`{KEY}` must be a map"))?;
    if let Some(key) = chosen
        .keys()
        .find(|key| !["status", "headers", "body"].contains(&key.as_str()))
    {
        return Err(format!("`{KEY}` has no key `{key}`; it may say status, headers, body"));
    }
    let status = match chosen.get("status") {
        None => 200,
        Some(status) => match status.as_int() {
            Some(status @ (200..=299 | 301..=303 | 307..=308 | 400..=599)) => status as u16,
            _ => {
                return Err(format!(
                    "{status} is no status; there are 200 to 299, 301 to 303, 307, 308, 400 to 599"
                ));
            }
        },
    };
    let none = Map::new();
    let headers = match chosen.get("headers") {
        None => &none,
        Some(headers) => headers.as_map().ok_or("`headers` must be a map")?,
    };
    let headers = checked(headers)?;
    let body = chosen.get("body").cloned().unwrap_or_default();
    if status >= 400 {
        return error(status, &headers, &body).map(Err);
    }
    if (300..400).contains(&status) && !headers.iter().any(|(name, _)| name == "location") {
        return Err(format!("an answer with status {status} needs the header `location`"));
    }
    let has_no_body = matches!(status, 204 | 205);
    let answer = match has_no_body {
        true if !body.is_unit() => return Err(format!("an answer with status {status} has no body")),
        true => Answer::empty(status),
        false => Answer::data(body.to_json()).status(status),
    };
    Ok(Ok(Answer { headers, ..answer }))
}

/// An answer that says no has the form that all such have.
fn error(status: u16, headers: &[(HeaderName, HeaderValue)], body: &Value) -> Result<Refusal, String> {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let (Some(code), Some(message)) = (text("code"), text("message")) else {
        return Err(format!(
            "the body of an answer with status {status} is #{{ code, message, details }}"
        ));
    };
    let failure = Failure::new(code, message).bounded();
    let mut refusal = Refusal::new(status, code_of(&failure), failure.message.clone());
    if let Some(details) = body.get("details").filter(|details| details.as_map().is_some()) {
        refusal = refusal.details(details.to_json());
    }
    for (name, value) in headers {
        match (name.as_str(), value.to_str()) {
            ("retry-after", Ok(value)) => refusal = refusal.header("retry-after", value),
            (name, _) => {
                return Err(format!(
                    "an answer with status {status} has no header `{name}` but retry-after"
                ));
            }
        }
    }
    Ok(refusal)
}

fn checked(headers: &Map) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    if headers.len() > HEADERS_MAX {
        return Err(format!("{} headers; at most {HEADERS_MAX} are allowed", headers.len()));
    }
    let mut found = Vec::new();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if REFUSED.contains(&name.as_str()) || REFUSED_BEGINNINGS.iter().any(|start| name.starts_with(start)) {
            return Err(format!("the header `{name}` is not a playbook's to set"));
        }
        let known: HeaderName = name.parse().map_err(|_| format!("{name:?} is no name of a header"))?;
        let is_plain =
            |text: &&str| text.len() <= HEADER_BYTES_MAX && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        let text = value.as_str().filter(is_plain);
        let text = text.ok_or_else(|| {
            format!("the header `{name}` must be a string of up to {HEADER_BYTES_MAX} visible characters of ASCII")
        })?;
        if found.iter().any(|(other, _)| *other == known) {
            return Err(format!("the header `{name}` comes twice"));
        }
        found.push((known, HeaderValue::from_str(text).expect("visible ASCII")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(json: serde_json::Value) -> Result<Result<Answer, Refusal>, String> {
        result(&Value::from_json(json!({ "http_answer": json })))
    }

    #[test]
    fn a_result_is_answered_as_it_is_unless_it_says_how() {
        let plain = result(&Value::from_json(json!({ "status": 404, "headers": {} })));
        assert_eq!(plain.unwrap().unwrap().status, 200);
        let made = chosen(json!({ "status": 201, "headers": { "Location": "/clips/7" }, "body": { "id": 7 } }));
        let made = made.unwrap().unwrap();
        assert_eq!(
            (made.status, made.headers[0].0.as_str(), made.headers[0].1.as_bytes()),
            (201, "location", &b"/clips/7"[..])
        );
        let refused = chosen(json!({ "status": 404, "body": { "code": "CLIP_UNKNOWN", "message": "no such clip" } }));
        let refused = refused.unwrap().err().unwrap();
        assert_eq!((refused.status, refused.code.as_str()), (404, "CLIP_UNKNOWN"));
    }

    #[test]
    fn headers_that_are_not_a_playbooks_to_set_are_refused_and_nothing_gets_in_beside_them() {
        for name in [
            "Set-Cookie",
            "transfer-encoding",
            "Connection",
            "proxy-authenticate",
            "WWW-Authenticate",
            "content-type",
            "x y",
            "",
            "a:b",
            "access-control-allow-origin",
            "X-Accel-Redirect",
            "X-Sendfile",
            "NEL",
        ] {
            assert!(chosen(json!({ "headers": { name: "x" } })).is_err(), "{name:?}");
        }
        for value in ["a\r\nset-cookie: b", "a\nb", "\u{0}", "ü"] {
            assert!(chosen(json!({ "headers": { "x-a": value } })).is_err(), "{value:?}");
        }
        for status in [0, 100, 199, 304, 600, 99_999] {
            assert!(chosen(json!({ "status": status })).is_err(), "{status}");
        }
        let many: Map = (0..=HEADERS_MAX).map(|at| (format!("x-{at}"), "x".into())).collect();
        for headers in [
            Value::Map(many).to_json(),
            json!({ "x-a": "1", "X-A": "2" }),
            json!({ "x-a": "x".repeat(HEADER_BYTES_MAX + 1) }),
            json!({ "x-a": 7 }),
        ] {
            assert!(chosen(json!({ "headers": headers })).is_err(), "{headers}");
        }
        let body = json!({ "code": "BUSY", "message": "come again" });
        let refused = |headers| chosen(json!({ "status": 429, "headers": headers, "body": body }));
        assert!(refused(json!({ "x-a": "1" })).is_err(), "it has one header, if any");
        let later = refused(json!({ "Retry-After": "7" })).unwrap().err().unwrap();
        assert_eq!(later.headers, [("retry-after", "7".to_owned())]);
        assert!(chosen(json!({ "status": 302 })).is_err());
        assert!(chosen(json!({ "status": 204, "body": 1 })).is_err());
        assert!(chosen(json!({ "status": 400, "body": "no" })).is_err());
        assert!(chosen(json!({ "stauts": 200 })).is_err());
    }

    #[test]
    fn what_went_wrong_in_here_is_for_those_who_may_read_the_record() {
        let failed = |failure: Failure| {
            let error = crate::journal::RunError {
                failure,
                place: Default::default(),
                step: None,
            };
            let outcome = Outcome {
                status: Status::Failed,
                value: Value::Unit,
                error: Some(error),
            };
            of(RunId::new(1, 1), outcome).err().expect("it failed")
        };
        let inner = failed(Failure::new("STORE_FULL", "no room on /var/lib"));
        assert_eq!((inner.status, inner.code.as_str()), (500, "STORE_FULL"));
        assert!(!inner.message.contains("/var/lib"), "{}", inner.message);
        let theirs = failed(Failure::new("CLIP_UNKNOWN", "no such clip").status(404));
        assert_eq!((theirs.status, theirs.message.as_str()), (404, "no such clip"));
    }

    #[test]
    fn the_status_of_a_failure_says_whose_it_is() {
        let of = |failure: Failure| status_of(Status::Failed, &failure);
        assert_eq!(of(Failure::new("THROWN", "no")), 422);
        assert_eq!(of(Failure::new("CLIP_UNKNOWN", "no").status(404)), 404);
        assert_eq!(
            of(Failure::new("OPENAI_REFUSED", "no").provider("openai").status(404)),
            502
        );
        assert_eq!(of(Failure::new("HTTP_STATUS", "no").status(404)), 502);
        assert_eq!(of(Failure::new("HTTP_TIMEOUT", "late")), 504);
        assert_eq!(of(Failure::new("LIMIT_TIME", "late")), 504);
        assert_eq!(of(Failure::new("INDEX", "ours")), 500);
        assert_eq!(status_of(Status::NeedsAttention, &Failure::default()), 502);
    }
}
