//! What can go wrong with a request, and whether it was sent.
//!
//! [`Sent`] decides above whether a write may be tried again, so `No` is said only where it is certain. Messages name
//! the host at most: paths and queries hold keys often enough (web hooks, signed URLs), and must not reach a log.

use std::net::IpAddr;
use std::time::Duration;

/// Whether a request may have reached anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Certainly no byte of it left.
    No,
    /// It may have arrived and been carried out.
    Maybe,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpFault {
    #[error("the URL cannot be asked: {reason}")]
    BadUrl { reason: String },
    #[error("the request cannot be sent: {reason}")]
    BadRequest { reason: String },
    #[error("{host} at port {port} is not on the list of hosts; add {host:?} to `hosts` under [http] in host.toml")]
    NotAllowed { host: String, port: u16 },
    #[error(
        "{host} leads to a {kind} address, {address}; if this is meant, list {way_in} in `hosts` under [http] in host.toml"
    )]
    PrivateAddress {
        host: String,
        address: IpAddr,
        kind: &'static str,
        way_in: String,
    },
    #[error("the name of {origin} could not be resolved: {reason}")]
    Dns { origin: String, reason: String },
    #[error("no connection to {origin}: {reason}")]
    Connect { origin: String, reason: String },
    #[error("no secure connection to {origin}: {reason}")]
    Tls { origin: String, reason: String },
    #[error("{origin} did not answer in full within {limit:?}")]
    Timeout { origin: String, limit: Duration },
    #[error("nothing came from {origin} for {limit:?}, in the middle of its answer")]
    Stalled { origin: String, limit: Duration },
    #[error("the exchange with {origin} was cut off: {reason}")]
    Cut { origin: String, reason: String },
    #[error("the {part} of the answer from {origin} exceeds {bytes_max} bytes")]
    TooLarge {
        origin: String,
        part: &'static str,
        bytes_max: u64,
    },
    #[error("a redirect by {origin} was not followed: {reason}")]
    Redirect { origin: String, reason: String },
    #[error("after a redirect: {0}")]
    AfterRedirect(Box<HttpFault>),
    #[error("the network is shut: {reason}")]
    Shut { reason: String },
}

impl HttpFault {
    /// A stable name for it.
    pub fn code(&self) -> &'static str {
        match self {
            HttpFault::BadUrl { .. } => "HTTP_BAD_URL",
            HttpFault::BadRequest { .. } => "HTTP_BAD_REQUEST",
            HttpFault::NotAllowed { .. } => "HTTP_NOT_ALLOWED",
            HttpFault::PrivateAddress { .. } => "HTTP_PRIVATE_ADDRESS",
            HttpFault::Dns { .. } => "HTTP_DNS",
            HttpFault::Connect { .. } => "HTTP_CONNECT",
            HttpFault::Tls { .. } => "HTTP_TLS",
            HttpFault::Timeout { .. } => "HTTP_TIMEOUT",
            HttpFault::Stalled { .. } => "HTTP_STALLED",
            HttpFault::Cut { .. } => "HTTP_CUT",
            HttpFault::TooLarge { .. } => "HTTP_TOO_LARGE",
            HttpFault::Redirect { .. } => "HTTP_REDIRECT",
            HttpFault::AfterRedirect(fault) => fault.code(),
            HttpFault::Shut { .. } => "HTTP_SHUT",
        }
    }

    /// Whether the request may have reached anybody. Whoever redirected has certainly seen it.
    pub fn sent(&self) -> Sent {
        match self {
            HttpFault::BadUrl { .. }
            | HttpFault::BadRequest { .. }
            | HttpFault::NotAllowed { .. }
            | HttpFault::PrivateAddress { .. }
            | HttpFault::Dns { .. }
            | HttpFault::Connect { .. }
            | HttpFault::Tls { .. }
            | HttpFault::Shut { .. } => Sent::No,
            HttpFault::Timeout { .. }
            | HttpFault::Stalled { .. }
            | HttpFault::Cut { .. }
            | HttpFault::TooLarge { .. }
            | HttpFault::Redirect { .. }
            | HttpFault::AfterRedirect(_) => Sent::Maybe,
        }
    }

    /// This fault, met on the way that a redirect pointed.
    pub(super) fn after_redirect(self) -> HttpFault {
        HttpFault::AfterRedirect(Box::new(self))
    }
}
