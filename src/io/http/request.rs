//! What is asked.
//!
//! A request says everything about itself: time limit, size limit and redirects included. Headers that decide how the
//! message is framed or where it goes belong to the door; setting them is refused.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use url::Url;

use super::body::Body;
use super::fault::HttpFault;

/// The time limit of a request that sets none.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// The longest time limit: generation takes minutes, nothing answers after an hour.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(60 * 60);
/// The size limit of an answer whose request sets none.
pub const RESPONSE_BYTES_DEFAULT: u64 = 10 * 1024 * 1024;
/// How many redirects are followed for a request that does not say.
pub const REDIRECTS_DEFAULT: u8 = 5;
/// How many headers a request may have.
pub const REQUEST_HEADERS_MAX: usize = 100;
/// How large one header may be, name and value.
pub const REQUEST_HEADER_BYTES_MAX: usize = 16 * 1024;

/// How a resource is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    Get,
    Head,
    Options,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Options => "OPTIONS",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is no method that can be used.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no method: GET, HEAD, OPTIONS, POST, PUT, PATCH or DELETE is expected")]
pub struct BadMethod(String);

impl FromStr for Method {
    type Err = BadMethod;

    fn from_str(text: &str) -> Result<Method, BadMethod> {
        use Method::*;
        [Get, Head, Options, Post, Put, Patch, Delete]
            .into_iter()
            .find(|method| method.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| BadMethod(text.chars().take(40).collect()))
    }
}

/// One request.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: Vec<(String, String)>,
    /// Names, in lower case, of headers that hold secrets: never shown, and not sent on to another origin.
    pub secret_headers: BTreeSet<String>,
    pub body: Body,
    /// For all of it: connecting, redirects, and the last byte of the answer. At most [`TIMEOUT_MAX`].
    pub timeout: Duration,
    /// How large the answer's body may be once unpacked.
    pub response_bytes_max: u64,
    /// How long nothing may come of the answer's body before it is given up. `None`: as long as `timeout` allows.
    pub stall: Option<Duration>,
    /// How many redirects to follow. With 0, a redirect is an answer like any other.
    pub redirects_max: u8,
}

impl Request {
    pub fn new(method: Method, url: Url) -> Request {
        Request {
            method,
            url,
            headers: Vec::new(),
            secret_headers: BTreeSet::new(),
            body: Body::default(),
            timeout: TIMEOUT_DEFAULT,
            response_bytes_max: RESPONSE_BYTES_DEFAULT,
            redirects_max: REDIRECTS_DEFAULT,
            stall: None,
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a header that is never shown, and dropped when a redirect leads to another origin.
    pub fn secret_header(mut self, name: &str, value: &str) -> Request {
        self.secret_headers.insert(name.to_ascii_lowercase());
        self.header(name, value)
    }

    pub fn body(mut self, body: impl Into<Body>) -> Request {
        self.body = body.into();
        self
    }

    pub fn timeout(mut self, timeout: Duration) -> Request {
        self.timeout = timeout;
        self
    }

    pub fn stall(mut self, stall: Duration) -> Request {
        self.stall = Some(stall);
        self
    }

    pub fn response_bytes_max(mut self, bytes_max: u64) -> Request {
        self.response_bytes_max = bytes_max;
        self
    }

    pub fn redirects_max(mut self, redirects_max: u8) -> Request {
        self.redirects_max = redirects_max;
        self
    }

    /// Scheme, host and port: as much of the URL as may be shown, since path and query often hold keys.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Whether the header `name` must not be shown or sent on to another origin.
    pub fn is_secret(&self, name: &str) -> bool {
        const ALWAYS_SECRET: [&str; 6] = [
            "authorization",
            "proxy-authorization",
            "cookie",
            "cookie2",
            "x-api-key",
            "api-key",
        ];
        let name = name.to_ascii_lowercase();
        ALWAYS_SECRET.contains(&name.as_str()) || self.secret_headers.contains(&name)
    }

    /// The headers in the form they are sent, or what is wrong with one of them.
    pub(super) fn checked_headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, HttpFault> {
        let bad = |reason| Err(HttpFault::BadRequest { reason });
        if self.headers.len() > REQUEST_HEADERS_MAX {
            return bad(format!(
                "it has {} headers; at most {REQUEST_HEADERS_MAX} are allowed",
                self.headers.len()
            ));
        }
        let mut checked = Vec::with_capacity(self.headers.len());
        for (name, value) in &self.headers {
            let bytes = name.len() + value.len();
            if bytes > REQUEST_HEADER_BYTES_MAX {
                let name: String = name.chars().take(80).collect();
                return bad(format!(
                    "the header {name:?} has {bytes} bytes; at most {REQUEST_HEADER_BYTES_MAX} are allowed"
                ));
            }
            let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
                return bad(format!("{name:?} cannot be the name of a header"));
            };
            if is_framing(name.as_str()) {
                return bad(format!("the header {:?} is set by the host itself", name.as_str()));
            }
            let Ok(mut value) = HeaderValue::from_bytes(value.as_bytes()) else {
                return bad(format!("the header {:?} holds a control character", name.as_str()));
            };
            value.set_sensitive(self.is_secret(name.as_str()));
            checked.push((name, value));
        }
        Ok(checked)
    }
}

/// Headers that say where a message begins, ends or goes. A caller who could set them could smuggle a second request
/// into the first, or ask one host in the name of another.
fn is_framing(name: &str) -> bool {
    const FRAMING: [&str; 10] = [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "upgrade",
        "te",
        "trailer",
        "expect",
        "http2-settings",
    ];
    FRAMING.contains(&name) || (name.starts_with("proxy-") && name != "proxy-authorization")
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("origin", &self.origin())
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request::new(
            Method::Post,
            Url::parse("https://example.com/hook/s3cret?key=s3cret").expect("a URL"),
        )
    }

    #[test]
    fn a_header_that_frames_the_message_or_holds_a_line_break_is_refused() {
        for (name, value) in [
            ("Host", "internal"),
            ("content-length", "3"),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "upgrade"),
            ("Proxy-Connection", "keep-alive"),
            ("x\r\ny", "z"),
            ("", "z"),
            ("x y", "z"),
            ("x", "a\r\nHost: internal"),
            ("x", "a\0b"),
        ] {
            let fault = request().header(name, value).checked_headers().expect_err(name);
            assert_eq!(fault.code(), "HTTP_BAD_REQUEST", "{name:?}: {value:?}");
            assert!(!fault.to_string().contains("internal"), "{fault}");
        }
        assert!(request().header("x-title", "grün").checked_headers().is_ok());
    }

    #[test]
    fn what_is_printed_of_a_request_holds_no_secret() {
        let request = request()
            .secret_header("X-Token", "s3cret")
            .header("Authorization", "s3cret")
            .body("s3cret");
        let text = format!("{request:?}");
        assert!(!text.contains("s3cret"), "{text}");
        assert!(text.contains("https://example.com"), "{text}");
        let headers = request.checked_headers().expect("good headers");
        assert!(headers.iter().all(|(_, value)| value.is_sensitive()), "{headers:?}");
        assert!(request.is_secret("x-TOKEN") && request.is_secret("AUTHORIZATION") && !request.is_secret("accept"));
    }

    #[test]
    fn methods_are_read_in_any_case_and_nothing_else_is_one() {
        assert_eq!("patch".parse::<Method>().expect("a method"), Method::Patch);
        assert!("CONNECT".parse::<Method>().is_err());
        assert!("GET /".parse::<Method>().is_err());
    }
}
