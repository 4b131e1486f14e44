//! What an error of reqwest means.
//!
//! reqwest tells whether an error arose in making the connection, and hides most else in the causes beneath. Only
//! where it does is a request certain not to have left; whatever cannot be told is in doubt.

use std::error::Error;
use std::io;

use super::fault::HttpFault;
use super::network::RESPONSE_HEADER_BYTES_MAX;
use super::request::Request;

/// How much of a foreign error message is passed on.
const REASON_CHARS_MAX: usize = 200;

/// What `error` means. Only an error in making the connection is certain to precede the request's first byte.
pub fn classify(request: &Request, error: reqwest::Error) -> HttpFault {
    let origin = request.origin();
    let reason = reason(&error);
    let causes = || causes(&error);
    if error.is_builder() {
        return HttpFault::BadRequest { reason };
    }
    if !error.is_connect() {
        // hyper keeps the kind of this error to itself.
        if causes().any(|cause| cause.to_string() == "message head is too large") {
            return too_large(request, "header", RESPONSE_HEADER_BYTES_MAX as u64);
        }
        return HttpFault::Cut { origin, reason };
    }
    if let Some(HttpFault::PrivateAddress {
        host,
        address,
        kind,
        way_in,
    }) = causes().find_map(|cause| cause.downcast_ref())
    {
        return HttpFault::PrivateAddress {
            host: host.clone(),
            address: *address,
            kind,
            way_in: way_in.clone(),
        };
    }
    if error.is_dns() {
        return HttpFault::Dns { origin, reason };
    }
    if error.is_timeout() {
        return HttpFault::Connect {
            origin,
            reason: "it was not made in time".to_owned(),
        };
    }
    let is_tls = |cause: &(dyn Error + 'static)| {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        // A peer that hangs up on a handshake leaves only this; connecting itself fails in other ways.
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let hung_up = matches!(
            kind,
            Some(BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
        );
        cause.is::<rustls::Error>() || (hung_up && request.url.scheme() == "https")
    };
    if causes().any(is_tls) {
        return HttpFault::Tls { origin, reason };
    }
    HttpFault::Connect { origin, reason }
}

/// An answer whose `part` is larger than `bytes_max`.
pub fn too_large(request: &Request, part: &'static str, bytes_max: u64) -> HttpFault {
    HttpFault::TooLarge {
        origin: request.origin(),
        part,
        bytes_max,
    }
}

/// What the deepest cause of `error` says, on one line and within bounds. The layers above it repeat each other, and
/// the uppermost one names the URL.
pub fn reason(error: &reqwest::Error) -> String {
    let text = causes(error)
        .last()
        .map_or_else(|| "no reason is known".to_owned(), ToString::to_string);
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(REASON_CHARS_MAX)
        .collect()
}

/// What lies beneath `error`, one cause after the other.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| {
        // An I/O error that wraps another passes over it in `source`.
        match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => cause.source(),
        }
    })
}
