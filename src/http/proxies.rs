//! Who really asks, when a reverse proxy asks for them.
//!
//! What a request says of its own way is believed only from the proxies that `[server] trusted_proxies` names. Each proxy
//! puts the address that it saw at the end of `X-Forwarded-For`, so the list is read from its end, as long as trusted
//! proxies speak: the first address that is none of theirs is whoever asks, and what stands before it was written by them.
//! `X-Forwarded-Proto` tells whether they came through TLS. `Forwarded` and `X-Real-IP` are not read.
//!
//! Whatever is trusted, a request that was passed on is not taken for one of this machine because the proxy is there.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

use super::connection::From;

const FOR: &str = "x-forwarded-for";
const PROTO: &str = "x-forwarded-proto";

/// What proxies add of themselves.
const MARKS: [&str; 6] = ["forwarded", FOR, PROTO, "x-forwarded-host", "x-real-ip", "via"];

/// Networks of proxies that are believed, at most.
pub const PROXIES_MAX: usize = 64;

/// Addresses of one request that are read, at most.
const HOPS_MAX: usize = 16;

/// Addresses that begin alike: `10.0.0.0/8`, or one alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// The network that `text` names; or why it names none.
    pub fn parse(text: &str) -> Result<Network, String> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let bad = || format!("{text:?} is no address and no network; write 127.0.0.1 or 10.0.0.0/8");
        let address: IpAddr = address.trim().parse().map_err(|_| bad())?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => bits_max,
            Some(bits) => bits.trim().parse().map_err(|_| bad())?,
        };
        match bits {
            0 => Err(format!("{text:?} is everybody: whoever asks could say who they are")),
            bits if bits > bits_max => Err(bad()),
            bits => Ok(Network { address, bits }),
        }
    }

    fn has(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => (ours.to_bits() ^ theirs.to_bits()) >> (32 - self.bits) == 0,
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => (ours.to_bits() ^ theirs.to_bits()) >> (128 - self.bits) == 0,
            _ => false,
        }
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    pub peer: SocketAddr,
    /// They came through TLS: ours, or a trusted proxy's.
    pub is_secure: bool,
    /// They are on this machine.
    pub is_local: bool,
}

/// Whether `address` is one of `networks`.
pub(super) fn is_among(address: IpAddr, networks: &[Network]) -> bool {
    networks.iter().any(|network| network.has(address))
}

/// Who asks, by what the connection and the head of the request say.
pub(super) fn asker(from: From, headers: &HeaderMap, trusted: &[Network]) -> Asker {
    let is_trusted = |address: IpAddr| is_among(address, trusted);
    let peer = from.peer.ip().to_canonical();
    if !is_trusted(peer) {
        let is_passed_on = MARKS.iter().any(|mark| headers.contains_key(*mark));
        return Asker {
            peer: SocketAddr::new(peer, from.peer.port()),
            is_secure: from.is_secure,
            is_local: peer.is_loopback() && !is_passed_on,
        };
    }
    let mut asker = peer;
    let mut is_told = false;
    for hop in listed(headers, FOR).rev().take(HOPS_MAX) {
        let Some(hop) = address(hop) else { break };
        (asker, is_told) = (hop, true);
        if !is_trusted(hop) {
            break;
        }
    }
    let mut schemes = listed(headers, PROTO).peekable();
    Asker {
        // The port is the proxy's, and tells nothing of whom it asks for.
        peer: SocketAddr::new(asker, if is_told { 0 } else { from.peer.port() }),
        is_secure: match schemes.peek() {
            Some(_) => schemes.all(|scheme| scheme.eq_ignore_ascii_case("https")),
            None => from.is_secure,
        },
        is_local: is_told && asker.is_loopback(),
    }
}

/// The values of a header that may come several times, and hold several with commas between them.
fn listed<'a>(headers: &'a HeaderMap, name: &str) -> impl DoubleEndedIterator<Item = &'a str> {
    // What is no text is an empty value: nothing before it can be trusted.
    let values = headers.get_all(name).into_iter();
    let values = values.map(|value| value.to_str().unwrap_or_default());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// `203.0.113.9`, `203.0.113.9:4711`, `2001:db8::1` or `[2001:db8::1]:4711`.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches('"');
    let address = text.parse::<IpAddr>().ok();
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    let address = address.or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok());
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn asked(peer: &str, is_secure: bool, headers: &[(&str, &str)], trusted: &[&str]) -> (String, bool, bool) {
        let trusted: Vec<Network> = trusted.iter().map(|text| Network::parse(text).unwrap()).collect();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
        let asker = asker(From { peer, is_secure }, &map, &trusted);
        (asker.peer.ip().to_string(), asker.is_secure, asker.is_local)
    }

    const PROXY: &[&str] = &["127.0.0.1", "10.0.0.0/8", "2001:db8::/32"];

    #[test]
    fn what_is_said_of_the_way_is_believed_from_trusted_proxies_alone() {
        let says = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https")];
        assert_eq!(
            asked("127.0.0.1", false, &says, PROXY),
            ("203.0.113.9".to_owned(), true, false)
        );
        assert_eq!(
            asked("127.0.0.1", false, &says, &[]),
            ("127.0.0.1".to_owned(), false, false)
        );
        assert_eq!(
            asked("198.51.100.7", false, &says, PROXY),
            ("198.51.100.7".to_owned(), false, false)
        );
    }

    #[test]
    fn whoever_asks_cannot_write_their_own_address() {
        for (list, asker) in [
            ("127.0.0.1, 203.0.113.9", "203.0.113.9"),
            ("1.2.3.4, 203.0.113.9, 10.1.2.3", "203.0.113.9"),
            ("10.9.9.9, 10.1.2.3", "10.9.9.9"),
            ("203.0.113.9, nonsense", "127.0.0.1"),
            ("203.0.113.9, nonsense, 10.1.2.3", "10.1.2.3"),
            ("", "127.0.0.1"),
            ("203.0.113.9:55, [2001:db8::7]:55", "203.0.113.9"),
            ("[2001:db9::7]", "2001:db9::7"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
        ] {
            let (found, _, is_local) = asked("127.0.0.1", false, &[("x-forwarded-for", list)], PROXY);
            assert_eq!((found.as_str(), is_local), (asker, false), "{list}");
        }
        let twice = [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-for", "203.0.113.9")];
        assert_eq!(asked("127.0.0.1", false, &twice, PROXY).0, "203.0.113.9");
        let long = format!("203.0.113.9{}", ", 10.1.1.1".repeat(100));
        assert_eq!(
            asked("127.0.0.1", false, &[("x-forwarded-for", &long)], PROXY).0,
            "10.1.1.1"
        );
    }

    #[test]
    fn who_is_passed_on_is_not_on_this_machine_unless_they_are() {
        let is_local = |headers: &[(&str, &str)], trusted: &[&str]| asked("127.0.0.1", false, headers, trusted).2;
        assert!(is_local(&[], &[]));
        for mark in MARKS {
            assert!(!is_local(&[(mark, "x")], &[]), "{mark}");
        }
        assert!(!is_local(&[], PROXY), "a proxy that tells nothing asks for anybody");
        assert!(is_local(&[("x-forwarded-for", "127.0.0.1")], PROXY));
        assert!(asked("::ffff:127.0.0.1", false, &[], &[]).2);
    }

    #[test]
    fn it_is_tls_when_everybody_on_the_way_says_so() {
        let is_secure = |from, proto: &[(&str, &str)]| asked("127.0.0.1", from, proto, PROXY).1;
        assert!(is_secure(false, &[("x-forwarded-proto", "HTTPS")]));
        assert!(!is_secure(true, &[("x-forwarded-proto", "http")]));
        assert!(!is_secure(false, &[("x-forwarded-proto", "https, http")]));
        assert!(is_secure(true, &[]) && !is_secure(false, &[]));
    }

    #[test]
    fn a_network_is_an_address_with_bits_and_never_everybody() {
        let has = |network: &str, address: &str| Network::parse(network).unwrap().has(address.parse().unwrap());
        assert!(has("10.0.0.0/8", "10.255.0.1") && !has("10.0.0.0/8", "11.0.0.1"));
        assert!(has("192.0.2.128/25", "192.0.2.200") && !has("192.0.2.128/25", "192.0.2.1"));
        assert!(has("::1", "::1") && !has("::1", "::2") && !has("::1", "127.0.0.1"));
        assert!(has("fd00::/8", "fdff::1") && !has("fd00::/8", "fe00::1"));
        for bad in [
            "",
            "proxy",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "::/129",
            "0.0.0.0/0",
            "::/0",
            "10.0.0.0/",
        ] {
            assert!(Network::parse(bad).is_err(), "{bad}");
        }
    }
}
