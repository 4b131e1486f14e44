//! `[providers.NAME]` in `host.toml`: what a section may say, checked.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use url::Url;

use crate::duration;
use crate::effect::OnUnknown;
use crate::namespaces::provider::ProviderSpec;

const NAME_BYTES_MAX: usize = 32;
const TIMEOUT: Duration = Duration::from_secs(30);
const TIMEOUT_MAX: Duration = Duration::from_secs(600);
const SETTLE: Duration = Duration::from_secs(30);
const SETTLE_MAX: Duration = Duration::from_secs(24 * 3600);
const ATTEMPTS: u32 = 3;
const ATTEMPTS_MAX: u32 = 10;
/// Where the key goes in a look-up's path.
pub const KEY: &str = "{key}";

/// What cannot be a provider's name: words of the language, and the host's own namespaces, present and planned.
const RESERVED: [&str; 72] = [
    "account",
    "approval",
    "as",
    "async",
    "audit",
    "await",
    "break",
    "call",
    "case",
    "catch",
    "config",
    "const",
    "continue",
    "csv",
    "default",
    "do",
    "else",
    "eval",
    "event",
    "export",
    "file",
    "fn",
    "for",
    "global",
    "go",
    "goto",
    "hash",
    "heygen",
    "http",
    "http_dry_read",
    "http_writes",
    "id",
    "if",
    "import",
    "in",
    "instagram",
    "is",
    "json",
    "kv",
    "let",
    "log",
    "loop",
    "match",
    "media",
    "metrics",
    "module",
    "new",
    "nil",
    "null",
    "openai",
    "playbook",
    "private",
    "prompt",
    "public",
    "queue",
    "random",
    "return",
    "run",
    "shared",
    "sheets",
    "slack",
    "sleeper",
    "spawn",
    "static",
    "stats",
    "store",
    "super",
    "text",
    "thread",
    "throw",
    "tiktok",
    "time",
];
const RESERVED_TOO: [&str; 17] = [
    "this", "try", "twitch", "until", "use", "var", "void", "wait", "webhook", "while", "with", "yield", "youtube",
    "sync", "list", "report", "status",
];

/// The section as it is written.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredSettings {
    /// Where it is; a path below it is kept.
    pub base_url: String,
    /// The environment variable that turns it on; `NAME_ENABLED` unless said.
    pub switch: Option<String>,
    pub auth: Option<Auth>,
    pub idempotency: Option<Idempotency>,
    pub lookup: Option<LookUp>,
    /// How long a write may take to show up in a look-up.
    #[serde(default, deserialize_with = "length_of_time")]
    pub settle: Option<Duration>,
    /// Whether its writes are seen by the public or cannot be taken back.
    #[serde(default)]
    pub publish: bool,
    /// What to do when nobody can tell whether a write landed.
    #[serde(default)]
    pub on_unknown: WhenUnknown,
    #[serde(default, deserialize_with = "length_of_time")]
    pub timeout: Option<Duration>,
    /// How often a request is sent at most.
    pub attempts: Option<u32>,
    pub rate_per_minute: Option<u32>,
    /// In whose name it publishes; its own name unless said.
    pub account: Option<String>,
}

/// The header that proves who asks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    #[serde(default = "authorization")]
    pub header: String,
    /// What stands before the secret: `"Bearer "`.
    #[serde(default)]
    pub prefix: String,
    /// The environment variable that holds the secret.
    pub secret: String,
}

/// How the service recognises a write that is sent again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Idempotency {
    pub header: String,
    /// How long it does. Left out: it stores the key for look-ups, but carries a repeated write out again.
    #[serde(default, deserialize_with = "length_of_time")]
    pub lifetime: Option<Duration>,
}

/// How to ask whether a write landed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookUp {
    /// With `{key}` where the write's key goes.
    pub path: String,
    /// Where in the answer the write's own result is: `items.0`. Left out: any answer of success means that it landed.
    pub found: Option<String>,
}

/// What to do when nobody can tell whether a write landed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenUnknown {
    /// Stop the run; a person decides.
    #[default]
    Ask,
    /// Send it once more.
    Repeat,
    /// Take it as done.
    AssumeLanded,
}

fn authorization() -> String {
    "Authorization".to_owned()
}

fn length_of_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    duration::parse(&text).map(Some).map_err(serde::de::Error::custom)
}

/// A section that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProvider {
    #[error("{name:?} cannot name a provider: {reason}")]
    Name { name: String, reason: &'static str },
    #[error("{0}")]
    Section(String),
    #[error("`{field}` of [providers.{name}] is {given:?}: {reason}")]
    Field {
        name: String,
        field: &'static str,
        given: String,
        reason: String,
    },
}

impl BadProvider {
    pub fn code(&self) -> &'static str {
        "BAD_PROVIDER"
    }
}

/// A declared provider, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclaredProvider {
    pub name: String,
    pub base_url: Url,
    pub switch: String,
    pub auth: Option<Auth>,
    pub idempotency: Option<Idempotency>,
    pub lookup: Option<LookUp>,
    pub settle: Duration,
    pub publish: bool,
    pub on_unknown: OnUnknown,
    pub timeout: Duration,
    pub attempts: u32,
    pub rate_per_minute: Option<u32>,
    pub account: String,
}

impl DeclaredProvider {
    /// The provider that the section `[providers.NAME]` declares.
    pub fn parse(name: &str, section: toml::Table) -> Result<DeclaredProvider, BadProvider> {
        let settings = section
            .try_into()
            .map_err(|error: toml::de::Error| BadProvider::Section(error.message().to_owned()))?;
        DeclaredProvider::new(name, settings)
    }

    /// The same of settings that are read already.
    pub fn new(name: &str, settings: DeclaredSettings) -> Result<DeclaredProvider, BadProvider> {
        check_name(name)?;
        let bad = |field: &'static str, given: String, reason: &str| {
            Err(BadProvider::Field {
                name: name.to_owned(),
                field,
                given,
                reason: reason.to_owned(),
            })
        };
        let base_url = match Url::parse(&settings.base_url) {
            Ok(url) => url,
            Err(error) => return bad("base_url", settings.base_url, &error.to_string()),
        };
        if !matches!(base_url.scheme(), "http" | "https") || !base_url.has_host() {
            return bad("base_url", settings.base_url, "it must begin with https:// or http://");
        }
        if base_url.query().is_some()
            || base_url.fragment().is_some()
            || !base_url.username().is_empty()
            || base_url.password().is_some()
        {
            return bad(
                "base_url",
                settings.base_url,
                "it must end with its path; secrets belong into `auth`",
            );
        }
        let switch = settings
            .switch
            .unwrap_or_else(|| format!("{}_ENABLED", name.to_ascii_uppercase()));
        if !is_variable(&switch) {
            return bad(
                "switch",
                switch,
                "it must be the name of an environment variable, such as \"ACME_ENABLED\"",
            );
        }
        if let Some(auth) = &settings.auth {
            if !is_header(&auth.header) {
                return bad("auth.header", auth.header.clone(), "it cannot be the name of a header");
            }
            if !is_variable(&auth.secret) {
                return bad(
                    "auth.secret",
                    "…".to_owned(),
                    "name the environment variable that holds the secret, such as \"ACME_TOKEN\"",
                );
            }
            if auth.prefix.chars().any(|c| c.is_control()) {
                return bad("auth.prefix", auth.prefix.clone(), "it holds a control character");
            }
        }
        if let Some(key) = settings.idempotency.as_ref().filter(|key| !is_header(&key.header)) {
            return bad(
                "idempotency.header",
                key.header.clone(),
                "it cannot be the name of a header",
            );
        }
        if let Some(lookup) = &settings.lookup {
            if !lookup.path.starts_with('/') || !lookup.path.contains(KEY) {
                return bad(
                    "lookup.path",
                    lookup.path.clone(),
                    "it must begin with a slash and hold {key}, as in \"/posts?key={key}\"",
                );
            }
            if let Some(found) = lookup
                .found
                .as_ref()
                .filter(|found| found.split('.').any(str::is_empty))
            {
                return bad(
                    "lookup.found",
                    found.clone(),
                    "it must be a path into the answer, such as \"items.0\"",
                );
            }
        }
        let timeout = settings.timeout.unwrap_or(TIMEOUT);
        if timeout.is_zero() || timeout > TIMEOUT_MAX {
            return bad(
                "timeout",
                format!("{timeout:?}"),
                "it must be longer than nothing and at most 10m",
            );
        }
        let settle = settings.settle.unwrap_or(SETTLE);
        if settle > SETTLE_MAX {
            return bad("settle", format!("{settle:?}"), "it must be at most 24h");
        }
        let attempts = settings.attempts.unwrap_or(ATTEMPTS);
        if !(1..=ATTEMPTS_MAX).contains(&attempts) {
            return bad("attempts", attempts.to_string(), "it must be from 1 to 10");
        }
        if settings.rate_per_minute == Some(0) {
            return bad(
                "rate_per_minute",
                "0".to_owned(),
                "it must be at least 1; turn the provider off by its switch",
            );
        }
        if settings.publish && settings.on_unknown != WhenUnknown::Ask {
            return bad(
                "on_unknown",
                format!("{:?}", settings.on_unknown),
                "a publish is never repeated or taken for done: leave it at \"ask\"",
            );
        }
        let account = settings.account.unwrap_or_else(|| name.to_owned());
        if account.trim().is_empty() {
            return bad("account", account, "it is empty");
        }
        Ok(DeclaredProvider {
            name: name.to_owned(),
            base_url,
            switch,
            auth: settings.auth,
            idempotency: settings.idempotency,
            lookup: settings.lookup,
            settle,
            publish: settings.publish,
            on_unknown: match settings.on_unknown {
                WhenUnknown::Ask => OnUnknown::Ask,
                WhenUnknown::Repeat => OnUnknown::Repeat(1),
                WhenUnknown::AssumeLanded => OnUnknown::AssumeLanded,
            },
            timeout,
            attempts,
            rate_per_minute: settings.rate_per_minute,
            account,
        })
    }

    /// What it takes to be live.
    pub fn spec(&self) -> ProviderSpec {
        let spec = ProviderSpec::new(&self.name)
            .switch(&self.switch)
            .base_url(self.base_url.as_str())
            .timeout(self.timeout);
        let spec = self.auth.iter().fold(spec, |spec, auth| spec.secret(&auth.secret));
        self.rate_per_minute.into_iter().fold(spec, ProviderSpec::per_minute)
    }
}

/// Whether `name` names something of the host's own.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || RESERVED_TOO.contains(&name)
}

fn check_name(name: &str) -> Result<(), BadProvider> {
    let bad = |reason| {
        Err(BadProvider::Name {
            name: name.chars().take(60).collect(),
            reason,
        })
    };
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    if !begins
        || !name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    {
        return bad("scripts write it as a namespace, so it is made of small letters, digits and `_`, a letter first");
    }
    if name.len() > NAME_BYTES_MAX {
        return bad("it is longer than 32 letters");
    }
    if is_reserved(name) {
        return bad("the language or the host has that name already");
    }
    Ok(())
}

fn is_variable(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    !name.is_empty() && name.bytes().all(is_plain) && !name.as_bytes()[0].is_ascii_digit()
}

fn is_header(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declare(name: &str, toml: &str) -> Result<DeclaredProvider, String> {
        let settings: DeclaredSettings = toml::from_str(toml).map_err(|error| error.to_string())?;
        DeclaredProvider::new(name, settings).map_err(|error| error.to_string())
    }

    #[test]
    fn a_section_says_little_and_means_much() {
        let acme = declare("acme", "base_url = \"https://api.acme.example/v2\"").expect("a provider");
        assert_eq!(
            (acme.switch.as_str(), acme.account.as_str(), acme.attempts),
            ("ACME_ENABLED", "acme", 3)
        );
        assert_eq!(
            (acme.on_unknown, acme.publish, acme.timeout),
            (OnUnknown::Ask, false, TIMEOUT)
        );

        let full = r#"
            base_url = "https://api.acme.example/v2"
            switch = "ACME_LIVE"
            auth = { header = "Authorization", prefix = "Bearer ", secret = "ACME_TOKEN" }
            idempotency = { header = "Idempotency-Key", lifetime = "24h" }
            lookup = { path = "/posts?key={key}", found = "items.0" }
            settle = "1m"
            publish = true
            timeout = "10s"
            attempts = 2
            rate_per_minute = 30
            account = "main"
        "#;
        let acme = declare("acme", full).expect("a provider");
        assert_eq!(acme.settle, Duration::from_secs(60));
        let spec = acme.spec();
        assert_eq!(
            (spec.switch.as_str(), spec.secrets, spec.per_minute),
            ("ACME_LIVE", vec!["ACME_TOKEN".to_owned()], Some(30))
        );
    }

    #[test]
    fn a_section_that_cannot_be_meant_is_refused_with_its_field_and_the_way_out() {
        let base = "base_url = \"https://a.example\"\n";
        for (toml, expected) in [
            (
                "base_url = \"a.example\"".to_owned(),
                "`base_url` of [providers.acme] is \"a.example\"",
            ),
            ("base_url = \"ftp://a.example\"".to_owned(), "must begin with https://"),
            (
                "base_url = \"https://a.example/?key=1\"".to_owned(),
                "secrets belong into `auth`",
            ),
            ("".to_owned(), "missing field `base_url`"),
            (format!("{base}bas_url = 1"), "unknown field `bas_url`"),
            (format!("{base}settle = \"soon\""), "is no length of time"),
            (format!("{base}settle = \"2d\""), "at most 24h"),
            (format!("{base}timeout = \"0s\""), "longer than nothing"),
            (format!("{base}attempts = 0"), "from 1 to 10"),
            (format!("{base}attempts = -1"), "invalid value"),
            (format!("{base}rate_per_minute = 0"), "at least 1"),
            (format!("{base}on_unknown = \"maybe\""), "unknown variant `maybe`"),
            (
                format!("{base}publish = true\non_unknown = \"repeat\""),
                "a publish is never repeated",
            ),
            (format!("{base}lookup = {{ path = \"/posts\" }}"), "hold {key}"),
            (
                format!("{base}lookup = {{ path = \"/posts/{{key}}\", found = \"items..0\" }}"),
                "a path into the answer",
            ),
            (
                format!("{base}auth = {{ header = \"a b\", secret = \"ACME_TOKEN\" }}"),
                "cannot be the name of a header",
            ),
            (
                format!("{base}auth = {{ secret = \"sk-live-123\" }}"),
                "name the environment variable",
            ),
        ] {
            let error = declare("acme", &toml).expect_err(&toml);
            assert!(error.contains(expected), "{toml}: {error}");
            assert!(
                !error.contains("sk-live"),
                "a secret written in the wrong place is not repeated"
            );
        }
        for name in [
            "",
            "Acme",
            "9gag",
            "a-b",
            "é",
            "http",
            "slack",
            "let",
            "this",
            &"a".repeat(33),
        ] {
            assert!(declare(name, base).expect_err(name).contains("cannot name a provider"));
        }
    }
}
