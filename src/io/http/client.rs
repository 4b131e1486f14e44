//! The runtime, the connections and the resolution of names, each made when first needed.
//!
//! A client is made for each combination of what a host opens, plain or TLS, and connect limit. All three come from
//! short lists (the allow-list's entries, two, [`CONNECT_LIMITS`]), so there are few. Apart they are for these reasons:
//!
//! - *Opening*: a resolver is told a name and no port, so it must know beforehand which addresses it may return. It
//!   hands on only those, and they are what is connected to: a name cannot change its mind in between.
//! - *TLS*: reading the system's roots takes longer than a whole request to a neighbour.
//! - *Connect limit*: giving up while still connecting is certain to have sent nothing. So the limit on connecting has
//!   to strike before the limit on the whole request does, and reqwest has one per client.
#![expect(clippy::disallowed_methods, reason = "this is the door to the network")]

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::runtime::Runtime;

use super::classify::reason;
use super::fault::HttpFault;
use super::reach::{AllowedUrl, Opening};

/// Threads that drive connections for all doors; the waiting itself is done by the callers' threads.
const RUNTIME_THREADS: usize = 2;
/// Names resolved at once: the system's resolver blocks a thread each.
const RESOLVING_MAX: usize = 32;
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 16;
/// Limits on connecting, in milliseconds. A request gets the longest that is shorter than its own limit.
const CONNECT_LIMITS: [u64; 9] = [10_000, 5_000, 2_000, 1_000, 500, 200, 100, 50, 20];
/// How long an idle connection is kept. Servers close theirs after 5 s and up, routers forget silently; a request sent
/// into a connection that is just being closed is in doubt, so ours go first.
const IDLE_MAX: Duration = Duration::from_secs(4);
const IDLE_CONNECTIONS_MAX: usize = 32;

/// The runtime that all doors share. It lives as long as the process, so that leaving never waits for a resolver.
pub fn runtime() -> io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<io::Result<Runtime>> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(RUNTIME_THREADS)
            .max_blocking_threads(RESOLVING_MAX)
            .thread_name("http")
            .enable_io()
            .enable_time()
            .build()
    });
    made.as_ref()
        .map_err(|error| io::Error::new(error.kind(), error.to_string()))
}

/// What sets one client apart from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ClientKey {
    opening: Opening,
    tls: bool,
    connect_ms: u64,
}

/// The clients made so far, with their open connections.
#[derive(Debug, Default)]
pub struct Clients {
    made: Mutex<BTreeMap<ClientKey, reqwest::Client>>,
}

impl Clients {
    /// The client for `url`, for a request that may take `timeout` in all.
    pub fn client_for(&self, url: &AllowedUrl, timeout: Duration) -> Result<reqwest::Client, HttpFault> {
        let key = ClientKey {
            opening: url.opening().clone(),
            tls: url.url().scheme() == "https",
            connect_ms: connect_limit_ms(timeout),
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = made.get(&key) {
            return Ok(client.clone());
        }
        let client = build(&key).map_err(|error| HttpFault::Tls {
            origin: url.url().origin().ascii_serialization(),
            reason: format!(
                "{}; are root certificates installed (package ca-certificates)?",
                reason(&error)
            ),
        })?;
        made.insert(key, client.clone());
        Ok(client)
    }
}

fn connect_limit_ms(timeout: Duration) -> u64 {
    let shorter = CONNECT_LIMITS
        .into_iter()
        .find(|limit| Duration::from_millis(*limit) < timeout);
    shorter.unwrap_or(CONNECT_LIMITS[CONNECT_LIMITS.len() - 1])
}

fn build(key: &ClientKey) -> reqwest::Result<reqwest::Client> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails only when another thread has just installed one, which serves as well.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let builder = reqwest::Client::builder()
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .referer(false)
        .redirect(reqwest::redirect::Policy::none())
        // By default reqwest repeats requests that an HTTP/2 server refused. The gate decides that.
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_millis(key.connect_ms))
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .dns_resolver(Resolver {
            opening: key.opening.clone(),
        });
    let builder = if key.tls {
        builder.https_only(true)
    } else {
        builder.tls_certs_only([])
    };
    builder.build()
}

/// Resolves names as the system does, and hands on only the addresses that may be connected to.
#[derive(Debug)]
struct Resolver {
    opening: Opening,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let opening = self.opening.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let admitted = sift(&opening, name.as_str(), found)?;
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

/// Those of `found` that may be connected to; a fault when that leaves none.
fn sift(
    opening: &Opening,
    host: &str,
    found: impl Iterator<Item = SocketAddr>,
) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
    let mut admitted = Vec::new();
    let mut refused = None;
    for address in found.take(ADDRESSES_MAX) {
        match opening.check(host, address.ip()) {
            Ok(()) => admitted.push(address),
            Err(fault) => refused = refused.or(Some(fault)),
        }
    }
    match (admitted.is_empty(), refused) {
        (false, _) => Ok(admitted),
        (true, Some(fault)) => Err(fault.into()),
        (true, None) => Err("it has no address".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::http::Reach;

    fn sifted(hosts: &[&str], found: &[&str]) -> Result<Vec<String>, String> {
        let url = "http://wiki.example.com/".parse().expect("a URL");
        let allowed = Reach::parse(hosts).expect("a list").admit(&url).expect("a listed host");
        let found = found
            .iter()
            .map(|address| SocketAddr::new(address.parse().expect("an address"), 0));
        match sift(allowed.opening(), "wiki.example.com", found) {
            Ok(admitted) => Ok(admitted.iter().map(|address| address.ip().to_string()).collect()),
            Err(error) => Err(error
                .downcast::<HttpFault>()
                .map_or_else(|e| e.to_string(), |f| f.code().to_owned())),
        }
    }

    #[test]
    fn only_addresses_that_may_be_connected_to_leave_the_resolver() {
        let public = "93.184.215.14";
        assert_eq!(
            sifted(&["*"], &["10.0.0.1", public, "127.0.0.1"]),
            Ok(vec![public.to_owned()])
        );
        assert_eq!(
            sifted(&["*", "10.0.0.1"], &["10.0.0.1"]),
            Err("HTTP_PRIVATE_ADDRESS".to_owned())
        );
        assert_eq!(
            sifted(&["*"], &["::ffff:10.0.0.1", "fe80::1"]),
            Err("HTTP_PRIVATE_ADDRESS".to_owned())
        );
        assert_eq!(
            sifted(&["wiki.example.com", "10.0.0.1"], &["10.0.0.1", "10.0.0.2"]),
            Ok(vec!["10.0.0.1".to_owned()])
        );
        assert_eq!(sifted(&["*"], &[]), Err("it has no address".to_owned()));
    }

    #[test]
    fn the_limit_on_connecting_strikes_before_the_limit_on_the_request() {
        for (timeout_ms, expected) in [
            (3_600_000, 10_000),
            (10_001, 10_000),
            (10_000, 5_000),
            (150, 100),
            (1, 20),
        ] {
            assert_eq!(
                connect_limit_ms(Duration::from_millis(timeout_ms)),
                expected,
                "{timeout_ms} ms"
            );
        }
    }
}
