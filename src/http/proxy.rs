//! From where a request comes that a reverse proxy passes on.
//!
//! What `X-Forwarded-For` and `X-Forwarded-Proto` say is believed of the proxies in `[server] proxies` alone, and of a chain
//! of addresses only as far back as it was written by them: whatever stands before that, anybody can have sent.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

use super::connection::From;

/// Addresses of a chain that are looked at.
const CHAIN_MAX: usize = 32;

/// Where the request comes from whose connection comes from `from`.
pub fn origin(from: From, headers: &HeaderMap, proxies: &[IpAddr]) -> From {
    if !is_one(from.peer.ip(), proxies) {
        return from;
    }
    let all = |name: &str| {
        let values = headers.get_all(name).iter();
        let texts: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
        texts.join(",")
    };
    let (chain, scheme) = (all("x-forwarded-for"), all("x-forwarded-proto"));
    let mut peer = from.peer;
    for text in chain.rsplit(',').take(CHAIN_MAX) {
        let Some(address) = address(text.trim()) else { break };
        peer = SocketAddr::new(address, 0);
        if !is_one(address, proxies) {
            break;
        }
    }
    let said = scheme.rsplit(',').next().unwrap_or_default().trim();
    From {
        peer,
        is_secure: from.is_secure || said.eq_ignore_ascii_case("https"),
    }
}

fn is_one(address: IpAddr, proxies: &[IpAddr]) -> bool {
    proxies.contains(&address.to_canonical())
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.split(']').next());
    let found = bare.unwrap_or(text).parse::<IpAddr>();
    let found = found.or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    found.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXIES: [IpAddr; 2] = [
        IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7)),
    ];

    fn seen(peer: &str, headers: &[(&'static str, &str)]) -> (String, bool) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let peer = SocketAddr::new(peer.parse().unwrap(), 5000);
        let found = origin(From { peer, is_secure: false }, &map, &PROXIES);
        (found.peer.ip().to_string(), found.is_secure)
    }

    #[test]
    fn nobody_but_a_proxy_that_was_named_says_where_a_request_comes_from() {
        let says = [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-proto", "https")];
        assert_eq!(seen("192.0.2.1", &says), ("192.0.2.1".to_owned(), false));
        let says = [("x-forwarded-for", "192.0.2.9"), ("x-forwarded-proto", "https")];
        assert_eq!(seen("127.0.0.1", &says), ("192.0.2.9".to_owned(), true));
        assert_eq!(seen("::ffff:127.0.0.1", &says), ("192.0.2.9".to_owned(), true));
        assert_eq!(seen("127.0.0.1", &[]), ("127.0.0.1".to_owned(), false));
    }

    #[test]
    fn of_a_chain_what_strangers_can_have_written_is_not_believed() {
        let of = |chain: &str| seen("127.0.0.1", &[("x-forwarded-for", chain)]).0;
        assert_eq!(of("127.0.0.1, 192.0.2.9"), "192.0.2.9", "the first was sent by whoever asks");
        assert_eq!(of("203.0.113.5, 192.0.2.9, 10.0.0.7"), "192.0.2.9", "two proxies one after the other");
        assert_eq!(of("192.0.2.9, nonsense"), "127.0.0.1");
        assert_eq!(of("[2001:db8::1]:4711"), "2001:db8::1");
        assert_eq!(of("192.0.2.9:4711"), "192.0.2.9");
        let twice = [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-for", "192.0.2.9")];
        assert_eq!(seen("127.0.0.1", &twice).0, "192.0.2.9");
        let both = [("x-forwarded-proto", "https, http")];
        assert!(!seen("127.0.0.1", &both).1, "the nearest proxy is the one that knows");
    }
}
