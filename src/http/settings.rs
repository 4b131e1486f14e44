//! `[server]` in host.toml: where the server listens, and what it bears.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::proxies::{Network, PROXIES_MAX};
use crate::config::{Config, ConfigError};
use crate::io::listen;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where it listens, such as `127.0.0.1:7070`; empty: there is no HTTP at all.
    pub listen: String,
    /// A file with the certificate and those that vouch for it, and one with its key; both are read again when they change.
    pub tls_cert: String,
    pub tls_key: String,
    /// The names by which it is asked, beside `localhost` and addresses of this machine's own; needed behind a proxy.
    pub hosts: Vec<String>,
    /// Addresses and networks of reverse proxies that are believed for whom they ask.
    pub trusted_proxies: Vec<String>,
    /// On a loopback address, whoever asks may read as a viewer.
    pub open_reads: bool,
    /// Requests that are worked on at the same time.
    pub threads: u32,
    /// Requests that may wait for one of those threads.
    pub waiting_max: u32,
    pub connections_max: u32,
    /// Connections of one address. This machine, where a proxy may stand, and `trusted_proxies` have no such limit.
    pub connections_per_address: u32,
    /// Connections that stay open to be told what happens.
    pub streams_max: u32,
    /// After so many requests a connection is closed.
    pub requests_per_connection: u32,
    pub header_bytes_max: u32,
    pub headers_max: u32,
    pub body_bytes_max: u64,
    /// How long the head of a request may take, and how long a connection may wait for the next.
    pub header_timeout: String,
    pub body_timeout: String,
    /// How long a request may take once it is there.
    pub request_timeout: String,
    /// How long nothing of an answer may be taken.
    pub write_timeout: String,
    /// How long requests may go on when the host stops.
    pub grace: String,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            listen: String::new(),
            tls_cert: String::new(),
            tls_key: String::new(),
            hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            open_reads: false,
            threads: 16,
            waiting_max: 512,
            connections_max: 2048,
            connections_per_address: 256,
            streams_max: 1024,
            requests_per_connection: 100_000,
            header_bytes_max: 16 << 10,
            headers_max: 64,
            body_bytes_max: 1 << 20,
            header_timeout: "10s".to_owned(),
            body_timeout: "30s".to_owned(),
            request_timeout: "30s".to_owned(),
            write_timeout: "30s".to_owned(),
            grace: "5s".to_owned(),
        }
    }
}

/// The same, checked.
#[derive(Clone, Debug)]
pub struct Limits {
    pub address: SocketAddr,
    pub hosts: Vec<String>,
    pub trusted_proxies: Vec<Network>,
    pub open_reads: bool,
    pub threads: usize,
    pub waiting_max: usize,
    pub connections_max: usize,
    pub connections_per_address: usize,
    pub streams_max: usize,
    pub requests_per_connection: u32,
    pub header_bytes_max: usize,
    pub headers_max: usize,
    pub body_bytes_max: u64,
    pub header_timeout: Duration,
    pub body_timeout: Duration,
    pub request_timeout: Duration,
    pub write_timeout: Duration,
    pub grace: Duration,
}

impl Limits {
    /// What `[server]` says; `None` when it says that there is no HTTP.
    pub fn of(config: &Config) -> Result<Option<Limits>, ConfigError> {
        let settings = &config.file.server;
        if settings.listen.trim().is_empty() {
            return Ok(None);
        }
        let value = |key: &str, reason: String| ConfigError::Value {
            key: format!("[server] {key}"),
            reason,
        };
        let address = listen::address(settings.listen.trim()).map_err(|error| value("listen", error.to_string()))?;
        if settings.tls_cert.is_empty() != settings.tls_key.is_empty() {
            let reason = "tls_cert and tls_key belong together: one of them is missing".to_owned();
            return Err(value("tls_cert", reason));
        }
        if settings.open_reads && !address.ip().is_loopback() {
            let reason = format!("{address} is reached by others: only a loopback address can be read by everybody");
            return Err(value("open_reads", reason));
        }
        let trusted_proxies = trusted(&settings.trusted_proxies).map_err(|reason| value("trusted_proxies", reason))?;
        let between = |key: &str, number: u64, least: u64, most: u64| match (least..=most).contains(&number) {
            true => Ok(number as usize),
            false => Err(value(key, format!("{number} does not lie between {least} and {most}"))),
        };
        let lasts = |key: &str, text: &str| {
            let duration = config.duration(&format!("[server] {key}"), text)?;
            match (Duration::from_millis(10)..=Duration::from_secs(3600)).contains(&duration) {
                true => Ok(duration),
                false => Err(value(key, format!("{text:?} does not lie between 10ms and 1h"))),
            }
        };
        Ok(Some(Limits {
            address,
            hosts: settings.hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            trusted_proxies,
            open_reads: settings.open_reads,
            threads: between("threads", settings.threads.into(), 1, 512)?,
            waiting_max: between("waiting_max", settings.waiting_max.into(), 1, 100_000)?,
            connections_max: between("connections_max", settings.connections_max.into(), 1, 100_000)?,
            connections_per_address: between(
                "connections_per_address",
                settings.connections_per_address.into(),
                1,
                100_000,
            )?,
            streams_max: between("streams_max", settings.streams_max.into(), 0, 100_000)?,
            requests_per_connection: between(
                "requests_per_connection",
                settings.requests_per_connection.into(),
                1,
                u32::MAX.into(),
            )? as u32,
            // Hyper needs as much for its first reading.
            header_bytes_max: between("header_bytes_max", settings.header_bytes_max.into(), 8192, 1 << 20)?,
            headers_max: between("headers_max", settings.headers_max.into(), 8, 1000)?,
            body_bytes_max: between("body_bytes_max", settings.body_bytes_max, 1024, 256 << 20)? as u64,
            header_timeout: lasts("header_timeout", &settings.header_timeout)?,
            body_timeout: lasts("body_timeout", &settings.body_timeout)?,
            request_timeout: lasts("request_timeout", &settings.request_timeout)?,
            write_timeout: lasts("write_timeout", &settings.write_timeout)?,
            grace: lasts("grace", &settings.grace)?,
        }))
    }
}

fn trusted(proxies: &[String]) -> Result<Vec<Network>, String> {
    match proxies.len() <= PROXIES_MAX {
        true => proxies.iter().map(|proxy| Network::parse(proxy)).collect(),
        false => Err(format!(
            "there are {} of them; at most {PROXIES_MAX} are taken",
            proxies.len()
        )),
    }
}
