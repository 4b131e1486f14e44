//! May this URL be asked?
//!
//! The allow-list, as `[http] hosts` in `host.toml` writes it:
//!
//! | entry | what it lets through |
//! | --- | --- |
//! | `api.example.com`, `api.example.com:8443` | that host, at any port or at one |
//! | `*.example.com` | the hosts below it, not itself |
//! | `*` | every host |
//! | `93.184.215.14`, `[2606:4700::1111]:443` | that address |
//!
//! Being listed is one thing, leading to a private address another: only exact entries do that. An address opens
//! itself. `localhost` opens this machine; a name that cannot be public (`ollama`, `nas.local`) opens private networks
//! too. Any other name leads to a private address only where the address is listed as well, so that whoever holds a
//! domain cannot point it inside. Wildcards open nothing. Cloud metadata and link-local addresses open only as
//! addresses.

use std::collections::BTreeSet;
use std::net::IpAddr;

use url::Url;

use super::address::{self, AddressKind};
use super::entry::{Entry, HOST_BYTES_MAX, Pattern};
use super::fault::HttpFault;

/// How many entries an allow-list may have.
pub const REACH_ENTRIES_MAX: usize = 1_000;
/// How long a URL may be; servers and proxies refuse longer ones.
pub const URL_BYTES_MAX: usize = 16 * 1024;

/// An entry of an allow-list that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum BadReach {
    #[error(
        "{entry:?} is no host to allow: {reason}; write `api.example.com`, `*.example.com`, `localhost:8080` or `*`"
    )]
    Entry { entry: String, reason: &'static str },
    #[error("{count} hosts are listed; at most {REACH_ENTRIES_MAX} are allowed: use a wildcard, as in `*.example.com`")]
    TooMany { count: usize },
}

/// The hosts that may be asked. Empty, it lets nothing through.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    entries: Vec<Entry>,
}

impl Reach {
    /// From the entries of `[http] hosts`.
    pub fn parse<T: AsRef<str>>(entries: &[T]) -> Result<Reach, BadReach> {
        let mut reach = Reach::default();
        for entry in entries {
            reach.allow(entry.as_ref())?;
        }
        Ok(reach)
    }

    /// Adds one entry.
    pub fn allow(&mut self, entry: &str) -> Result<(), BadReach> {
        let parsed = Entry::parse(entry).map_err(|reason| BadReach::Entry {
            entry: entry.chars().take(HOST_BYTES_MAX).collect(),
            reason,
        })?;
        self.add(parsed)
    }

    /// Adds the host and port of `url`: a provider's configured address.
    pub fn allow_url(&mut self, url: &Url) -> Result<(), BadReach> {
        let entry = url.host().map(|host| Entry {
            pattern: Pattern::of(host.to_owned()),
            port: url.port_or_known_default(),
        });
        self.add(entry.ok_or_else(|| BadReach::Entry {
            entry: url.scheme().to_owned(),
            reason: "the address has no host",
        })?)
    }

    /// Checks `url`: its form, its host, and its address where the host is one.
    pub fn admit(&self, url: &Url) -> Result<AllowedUrl, HttpFault> {
        let bad = |reason: String| HttpFault::BadUrl { reason };
        if url.as_str().len() > URL_BYTES_MAX {
            return Err(bad(format!(
                "it has {} bytes; at most {URL_BYTES_MAX} are allowed",
                url.as_str().len()
            )));
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad(format!("only http and https can be asked, not {}", url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad(
                "it holds a user name or password; send them in an authorization header".to_owned(),
            ));
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(bad("it has no host".to_owned()));
        };

        let host = Pattern::of(host.to_owned());
        let matching = self.entries.iter().filter(|entry| entry.matches(&host, port));
        let exact = matching.clone().any(|entry| entry.pattern == host);
        if matching.count() == 0 {
            return Err(HttpFault::NotAllowed {
                host: host.to_string(),
                port,
            });
        }

        let opening = if exact {
            self.opening(&host, port)
        } else {
            Opening::default()
        };
        if let Pattern::Address(address) = host {
            opening.check(&host.to_string(), address)?;
        }
        Ok(AllowedUrl {
            url: url.clone(),
            opening,
        })
    }

    /// What an exact entry for `host` opens beyond the public.
    fn opening(&self, host: &Pattern, port: u16) -> Opening {
        let is_inside = |address: &IpAddr| address::kind(*address) != AddressKind::Public;
        match host {
            Pattern::Name(name) => Opening {
                inside: Inside::of_name(name),
                addresses: (self.entries.iter())
                    .filter(|entry| entry.allows_port(port))
                    .filter_map(|entry| entry.pattern.address())
                    .filter(is_inside)
                    .collect(),
            },
            other => Opening {
                inside: Inside::Nothing,
                addresses: other.address().filter(is_inside).into_iter().collect(),
            },
        }
    }

    fn add(&mut self, entry: Entry) -> Result<(), BadReach> {
        if self.entries.contains(&entry) {
            return Ok(());
        }
        if self.entries.len() == REACH_ENTRIES_MAX {
            return Err(BadReach::TooMany {
                count: self.entries.len() + 1,
            });
        }
        self.entries.push(entry);
        Ok(())
    }
}

/// A URL that the list lets through, and the addresses it may lead to. Only [`Reach::admit`] makes one.
#[derive(Clone, Debug)]
pub struct AllowedUrl {
    url: Url,
    opening: Opening,
}

impl AllowedUrl {
    pub fn url(&self) -> &Url {
        &self.url
    }

    pub fn opening(&self) -> &Opening {
        &self.opening
    }
}

/// The addresses a host may lead to beside the public ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opening {
    inside: Inside,
    addresses: BTreeSet<IpAddr>,
}

impl Opening {
    /// Whether a connection to `address` may be made.
    pub fn admits(&self, address: IpAddr) -> bool {
        let by_kind = match address::kind(address) {
            AddressKind::Public => true,
            AddressKind::Loopback => self.inside >= Inside::Loopback,
            AddressKind::Private => self.inside >= Inside::Networks,
            _ => false,
        };
        by_kind || self.addresses.contains(&address.to_canonical())
    }

    /// Refuses `address`, to which `host` leads, unless a connection to it may be made.
    pub fn check(&self, host: &str, address: IpAddr) -> Result<(), HttpFault> {
        if self.admits(address) {
            return Ok(());
        }
        let address = address.to_canonical();
        let host = host.trim_matches(['[', ']']);
        let by_name = Opening {
            inside: Inside::of_name(host),
            ..Opening::default()
        };
        let way_in = match address.to_string() {
            text if text == host || by_name.admits(address) => format!("{host:?}"),
            text => format!("both {host:?} and {text:?}"),
        };
        let kind = address::kind(address).as_str();
        Err(HttpFault::PrivateAddress {
            host: host.to_owned(),
            address,
            kind,
            way_in,
        })
    }
}

/// How far inside a name may lead by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Inside {
    #[default]
    Nothing,
    Loopback,
    /// Loopback and private networks.
    Networks,
}

impl Inside {
    /// Judges by the name alone: one that the public DNS cannot hold means something inside, or nothing at all.
    fn of_name(name: &str) -> Inside {
        const LOCAL_ENDS: [&str; 5] = [".local", ".internal", ".lan", ".home.arpa", ".intranet"];
        if name == "localhost" || name.ends_with(".localhost") {
            Inside::Loopback
        } else if !name.contains('.') || LOCAL_ENDS.iter().any(|end| name.ends_with(end)) {
            Inside::Networks
        } else {
            Inside::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(hosts: &[&str], url: &str) -> &'static str {
        let reach = Reach::parse(hosts).expect("a list");
        match reach.admit(&Url::parse(url).expect("a URL")) {
            Ok(_) => "ok",
            Err(fault) => fault.code(),
        }
    }

    #[test]
    fn the_list_decides_by_host_and_port() {
        for (hosts, url, expected) in [
            (&[][..], "https://example.com/", "HTTP_NOT_ALLOWED"),
            (&["example.com"], "https://example.com/", "ok"),
            (&["example.com"], "http://example.com:8080/", "ok"),
            (&["EXAMPLE.com."], "https://example.COM./", "ok"),
            (&["example.com"], "https://api.example.com/", "HTTP_NOT_ALLOWED"),
            (&["example.com"], "https://example.com.evil.net/", "HTTP_NOT_ALLOWED"),
            (&["example.com:8443"], "https://example.com:8443/", "ok"),
            (&["example.com:8443"], "https://example.com/", "HTTP_NOT_ALLOWED"),
            (&["example.com:443"], "https://example.com/", "ok"),
            (&["example.com:443"], "http://example.com/", "HTTP_NOT_ALLOWED"),
            (&["*.example.com"], "https://api.example.com/", "ok"),
            (&["*.example.com"], "https://a.b.example.com/", "ok"),
            (&["*.example.com"], "https://example.com/", "HTTP_NOT_ALLOWED"),
            (&["*.example.com"], "https://evilexample.com/", "HTTP_NOT_ALLOWED"),
            (&["*.example.com:444"], "https://api.example.com/", "HTTP_NOT_ALLOWED"),
            (&["bücher.example"], "https://xn--bcher-kva.example/", "ok"),
            (&["*"], "https://anything.example/", "ok"),
            (&["*"], "https://8.8.8.8/", "ok"),
            (&["8.8.8.8"], "https://8.8.8.8/", "ok"),
            (&["8.8.8.8"], "https://8.8.4.4/", "HTTP_NOT_ALLOWED"),
            (&["[2606:4700::1111]:443"], "https://[2606:4700:0::1111]/", "ok"),
            (&["2606:4700::1111"], "https://[2606:4700::1111]/", "ok"),
            (&["*"], "ftp://example.com/", "HTTP_BAD_URL"),
            (&["*"], "file:///etc/passwd", "HTTP_BAD_URL"),
            (&["*"], "https://user@example.com/", "HTTP_BAD_URL"),
            (&["*"], "https://:secret@example.com/", "HTTP_BAD_URL"),
        ] {
            assert_eq!(code(hosts, url), expected, "{url} with {hosts:?}");
        }
    }

    #[test]
    fn an_address_inside_is_refused_however_it_is_spelt_unless_it_is_listed_itself() {
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://0177.0.0.1/",
            "http://127.0.0.1./",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::127.0.0.1]/",
            "http://0/",
            "http://169.254.169.254/latest/meta-data",
            "http://[fd00:ec2::254]/",
            "http://10.1.2.3/",
            "http://100.64.0.1/",
            "http://224.0.0.1/",
            "http://255.255.255.255/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
        ] {
            assert_eq!(code(&["*"], url), "HTTP_PRIVATE_ADDRESS", "{url}");
            assert_eq!(
                code(&["*", "127.0.0.9", "localhost"], url),
                "HTTP_PRIVATE_ADDRESS",
                "{url}"
            );
            let host = Url::parse(url).expect("a URL");
            assert_eq!(
                code(&[host.host_str().expect("a host")], url),
                "ok",
                "{url} listed itself"
            );
        }
        assert_eq!(code(&["127.0.0.1:8080"], "http://127.0.0.1:8080/"), "ok");
        assert_eq!(code(&["127.0.0.1:8080"], "http://127.0.0.1:8081/"), "HTTP_NOT_ALLOWED");
        assert_eq!(
            code(&["127.0.0.1:8080", "*"], "http://127.0.0.1:8081/"),
            "HTTP_PRIVATE_ADDRESS"
        );
        assert_eq!(code(&["127.0.0.1"], "http://[::ffff:127.0.0.1]/"), "ok");
    }

    fn admits(hosts: &[&str], url: &str, address: &str) -> bool {
        let reach = Reach::parse(hosts).expect("a list");
        let allowed = reach.admit(&Url::parse(url).expect("a URL")).expect("a listed host");
        allowed.opening().admits(address.parse().expect("an address"))
    }

    #[test]
    fn where_a_name_may_lead_follows_from_how_it_is_listed() {
        for (hosts, url, address, expected) in [
            (&["*"][..], "http://localhost/", "127.0.0.1", false),
            (&["*"], "http://example.com/", "93.184.215.14", true),
            (&["*"], "http://example.com/", "10.0.0.1", false),
            (&["*", "10.0.0.1"], "http://example.com/", "10.0.0.1", false),
            (&["*.localhost"], "http://a.localhost/", "127.0.0.1", false),
            (&["localhost"], "http://localhost/", "127.0.0.1", true),
            (&["localhost"], "http://localhost./", "::1", true),
            (&["localhost"], "http://localhost/", "10.0.0.1", false),
            (&["localhost:9000", "*"], "http://localhost:9000/", "127.0.0.1", true),
            (&["localhost:9000", "*"], "http://localhost:9001/", "127.0.0.1", false),
            (&["ollama"], "http://ollama:11434/", "172.18.0.3", true),
            (&["nas.local"], "http://nas.local/", "fd00::7", true),
            (&["nas.local"], "http://nas.local/", "169.254.3.4", false),
            (
                &["metadata.internal"],
                "http://metadata.internal/",
                "169.254.169.254",
                false,
            ),
            (&["wiki.example.com"], "http://wiki.example.com/", "10.0.0.1", false),
            (
                &["wiki.example.com", "10.0.0.1"],
                "http://wiki.example.com/",
                "10.0.0.1",
                true,
            ),
            (
                &["wiki.example.com", "10.0.0.1"],
                "http://wiki.example.com/",
                "::ffff:10.0.0.1",
                true,
            ),
            (
                &["wiki.example.com", "10.0.0.1"],
                "http://wiki.example.com/",
                "10.0.0.2",
                false,
            ),
            (
                &["wiki.example.com", "10.0.0.1:80"],
                "https://wiki.example.com/",
                "10.0.0.1",
                false,
            ),
        ] {
            assert_eq!(
                admits(hosts, url, address),
                expected,
                "{url} at {address} with {hosts:?}"
            );
        }
    }

    #[test]
    fn a_refused_address_names_what_to_list() {
        let refusal = |host: &str, address: &str| {
            let checked = Opening::default().check(host, address.parse().expect("an address"));
            checked.expect_err("an address inside").to_string()
        };
        assert!(refusal("localhost", "127.0.0.1").contains(r#"list "localhost" in"#));
        assert!(refusal("[::1]", "::1").contains(r#"list "::1" in"#));
        assert!(refusal("wiki.example.com", "10.0.0.1").contains(r#"list both "wiki.example.com" and "10.0.0.1" in"#));
        assert!(refusal("meta.internal", "169.254.169.254").contains("a cloud metadata address"));
    }

    #[test]
    fn an_entry_that_is_no_host_is_refused_with_its_reason() {
        for entry in [
            "",
            " ",
            "https://example.com",
            "example.com/path",
            "user@example.com",
            "a*.com",
            "*com",
            "*.*",
            "*.10.0.0.1",
            "example.com:0",
            "example.com:99999",
            "example.com:http",
            "[::1",
            "exa mple.com",
            ".",
            "*.",
            "*..com",
        ] {
            let error = Reach::parse(&[entry]).expect_err(entry);
            assert!(error.to_string().contains("is no host to allow"), "{error}");
        }
        let many: Vec<String> = (0..=REACH_ENTRIES_MAX).map(|n| format!("h{n}.example")).collect();
        assert!(matches!(Reach::parse(&many), Err(BadReach::TooMany { .. })));
    }

    #[test]
    fn a_providers_address_is_allowed_at_its_port_only() {
        let mut reach = Reach::default();
        reach
            .allow_url(&Url::parse("http://127.0.0.1:8000/v1").expect("a URL"))
            .expect("a host");
        let admit = |url: &str| reach.admit(&Url::parse(url).expect("a URL"));
        assert!(admit("http://127.0.0.1:8000/v1/chat").is_ok());
        assert_eq!(
            admit("http://127.0.0.1/").expect_err("another port").code(),
            "HTTP_NOT_ALLOWED"
        );
    }
}
