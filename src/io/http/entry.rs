//! One entry of the allow-list: how it is written, and which hosts it means.

use std::fmt;
use std::net::IpAddr;

use url::Host;

/// The longest name that the DNS can hold.
pub const HOST_BYTES_MAX: usize = 253;

/// A pattern of hosts, at one port or at any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub pattern: Pattern,
    /// `None`: any.
    pub port: Option<u16>,
}

/// Whom an entry means, or whom a URL names. Names are lower-case, in Punycode, without a final dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    Any,
    /// Every name that ends so, the dot included.
    Below(String),
    Name(String),
    Address(IpAddr),
}

impl Entry {
    /// From the text of an allow-list, or what is wrong with it.
    pub fn parse(text: &str) -> Result<Entry, &'static str> {
        let text = text.trim();
        if text.is_empty() {
            return Err("it is empty");
        }
        if text.contains(['/', '@', '?', '#']) {
            return Err("scheme, path and user have no place here");
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Entry {
                pattern: Pattern::Address(address.to_canonical()),
                port: None,
            });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(parse_port(port)?)),
            _ => (text, None),
        };
        let pattern = match host.strip_prefix('*') {
            Some("") => Pattern::Any,
            Some(rest) => match rest.strip_prefix('.').map(parse_host).transpose()? {
                Some(Pattern::Name(name)) => Pattern::Below(format!(".{name}")),
                _ => return Err("`*` stands alone or before a dot and a name"),
            },
            None => parse_host(host)?,
        };
        Ok(Entry { pattern, port })
    }

    pub fn allows_port(&self, port: u16) -> bool {
        self.port.is_none_or(|only| only == port)
    }

    /// Whether a URL with this host and port is meant.
    pub fn matches(&self, host: &Pattern, port: u16) -> bool {
        let is_host = match (&self.pattern, host) {
            (Pattern::Any, _) => true,
            (Pattern::Below(end), Pattern::Name(name)) => name.len() > end.len() && name.ends_with(end),
            (pattern, host) => pattern == host,
        };
        is_host && self.allows_port(port)
    }
}

impl Pattern {
    /// The one host of a URL.
    pub fn of(host: Host<String>) -> Pattern {
        match host {
            Host::Domain(name) => Pattern::Name(name.strip_suffix('.').unwrap_or(&name).to_ascii_lowercase()),
            Host::Ipv4(address) => Pattern::Address(address.into()),
            Host::Ipv6(address) => Pattern::Address(IpAddr::from(address).to_canonical()),
        }
    }

    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Pattern::Address(address) => Some(*address),
            _ => None,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Any => f.write_str("*"),
            Pattern::Below(end) => write!(f, "*{end}"),
            Pattern::Name(name) => f.write_str(name),
            Pattern::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Pattern::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

fn parse_port(text: &str) -> Result<u16, &'static str> {
    match text.parse() {
        Ok(0) | Err(_) => Err("its port is not between 1 and 65535"),
        Ok(port) => Ok(port),
    }
}

fn parse_host(text: &str) -> Result<Pattern, &'static str> {
    if text.len() > HOST_BYTES_MAX || text.contains('*') {
        return Err("it is no host name");
    }
    match Pattern::of(Host::parse(text).map_err(|_| "it is no host name")?) {
        Pattern::Name(name) if name.is_empty() || name.starts_with('.') => Err("it is no host name"),
        pattern => Ok(pattern),
    }
}
