//! What is answered: a status, headers, and what is said. [`envelope`](super::envelope) makes bytes of it.

use axum::body::Bytes;
use axum::http::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::Value;

use super::stream::Stream;

/// An answer that is none of an error.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Body,
}

pub enum Body {
    Empty,
    /// Goes into the envelope.
    Data(Value),
    /// The same as text, with its tag where what is read has one.
    Written {
        data: String,
        tag: Option<HeaderValue>,
    },
    /// As it is.
    Bytes {
        content_type: &'static str,
        bytes: Bytes,
    },
    /// One message after another, until somebody hangs up.
    Stream(Stream),
}

impl Answer {
    /// `data`, in the envelope.
    pub fn data(data: impl Serialize) -> Answer {
        let data = serde_json::to_value(data).expect("what is answered is plain data");
        Answer::of(200, Body::Data(data))
    }

    pub fn bytes(content_type: &'static str, bytes: impl Into<Bytes>) -> Answer {
        let bytes = bytes.into();
        Answer::of(200, Body::Bytes { content_type, bytes })
    }

    pub fn text(text: impl Into<String>) -> Answer {
        Answer::bytes("text/plain; charset=utf-8", text.into())
    }

    pub fn html(text: impl Into<String>) -> Answer {
        Answer::bytes("text/html; charset=utf-8", text.into())
    }

    /// JSON without the envelope, for documents whose form others set.
    pub fn json(value: &Value) -> Answer {
        Answer::bytes("application/json", value.to_string())
    }

    pub fn stream(stream: Stream) -> Answer {
        Answer::of(200, Body::Stream(stream))
    }

    pub fn empty(status: u16) -> Answer {
        Answer::of(status, Body::Empty)
    }

    fn of(status: u16, body: Body) -> Answer {
        Answer {
            status,
            headers: Vec::new(),
            body,
        }
    }

    pub fn status(self, status: u16) -> Answer {
        Answer { status, ..self }
    }

    /// One header more. `value` that cannot stand in a header is left out: whoever composes it checks it before.
    pub fn header(mut self, name: &'static str, value: &str) -> Answer {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }
}

/// Why something is not done, as who asked is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub status: u16,
    pub code: String,
    pub message: String,
    pub details: Value,
    pub headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Refusal {
        Refusal {
            status,
            code: code.into(),
            message: message.into(),
            details: Value::Null,
            headers: Vec::new(),
        }
    }

    pub fn details(self, details: Value) -> Refusal {
        Refusal { details, ..self }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Refusal {
        self.headers.push((name, value.into()));
        self
    }

    /// Nothing is there under that path.
    pub fn not_found(what: impl Into<String>) -> Refusal {
        Refusal::new(404, "NOT_FOUND", what)
    }

    /// It is not known who asks.
    pub fn unauthenticated() -> Refusal {
        let message = "it is not known who asks; send a bearer token, or log in";
        Refusal::new(401, "UNAUTHENTICATED", message).header("www-authenticate", "Bearer realm=\"host\"")
    }

    /// Something broke in here, which the log tells more of than the answer.
    pub fn internal() -> Refusal {
        let message = "something went wrong in the server; its log says more, under the correlation id";
        Refusal {
            code: "INTERNAL".to_owned(),
            ..Refusal::new(500, "", message)
        }
    }
}
