//! How somebody signs what they send: HMAC-SHA256, and what of it differs from service to service. Pure.
//!
//! A scheme is a name that is known here, what `[webhooks.NAME]` in host.toml says, and what the header says, each over
//! the one before.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::is_variable;
use crate::script::error::nearest;

/// Secrets of one webhook that hold at the same time: the old and the new one, and some to spare.
pub const SECRETS_MAX: usize = 8;

const WINDOW: Duration = Duration::from_secs(5 * 60);
const WINDOW_MS_MIN: u64 = 1_000;
/// What was taken in is known for longer than that.
const WINDOW_MS_MAX: u64 = 7 * 24 * 3_600_000;

/// The scheme that a name is not needed for.
const PLAIN: &str = "hmac";

const TEMPLATE_BYTES_MAX: usize = 200;

/// Headers that are never told to a playbook.
pub const PRIVATE: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-csrf-token"];

/// What is written of a scheme, in a header or in host.toml.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Says {
    /// One that is known by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// The variables of the environment with the secrets, each of which is right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Names>,
    /// The variable with the token that the service shows when it is told of the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<String>,
    /// The header with the signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// What stands before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// `hex` or `base64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// What is signed: `{id}`, `{time}` and `{body}`, with texts between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<String>,
    /// Under which key the signature stands where its header is `t=…,v1=…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature_key: Option<String>,
    /// Under which key of the same header the time stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_key: Option<String>,
    /// The header that tells a delivery from all others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The header with the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// How much that time may differ from ours, both ways.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// Whether the same body under another id is another delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_body: Option<bool>,
}

/// One name, or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Names {
    One(String),
    Many(Vec<String>),
}

impl Names {
    pub fn list(&self) -> &[String] {
        match self {
            Names::One(name) => std::slice::from_ref(name),
            Names::Many(names) => names,
        }
    }
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Hex,
    Base64,
}

/// A part of what is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Id,
    Time,
    Body,
}

/// How the address is shown to be ours, where a service asks for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    None,
    /// A signed body with `"type": "url_verification"` and a `challenge`.
    Slack,
    /// A signed body with a `challenge`, told by a header.
    Twitch,
}

/// A scheme, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheme {
    pub name: String,
    /// Names of the secrets.
    pub secrets: Vec<String>,
    pub verify: Option<String>,
    pub header: String,
    pub prefix: String,
    pub encoding: Encoding,
    pub signed: Vec<Piece>,
    pub signature_key: Option<String>,
    pub time_key: Option<String>,
    pub id: Option<String>,
    pub time: Option<String>,
    pub window: Duration,
    /// The body alone tells deliveries apart, beside the id: who caught one cannot send it again under another id.
    pub by_body: bool,
    /// Secrets are base64 after `whsec_`.
    pub is_coded: bool,
    pub handshake: Handshake,
    /// Headers that playbooks are told of.
    pub tells: Vec<String>,
}

/// A scheme that is known by name.
struct Known {
    names: &'static [&'static str],
    header: &'static str,
    prefix: &'static str,
    encoding: &'static str,
    signed: &'static str,
    keys: Option<(&'static str, &'static str)>,
    id: Option<&'static str>,
    time: Option<&'static str>,
    window: Duration,
    is_coded: bool,
    handshake: Handshake,
    tells: &'static [&'static str],
}

const BARE: Known = Known {
    names: &[PLAIN],
    header: "x-signature",
    prefix: "",
    encoding: "hex",
    signed: "{body}",
    keys: None,
    id: None,
    time: None,
    window: WINDOW,
    is_coded: false,
    handshake: Handshake::None,
    tells: &[],
};

const KNOWN: &[Known] = &[
    BARE,
    // https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
    Known {
        names: &["github"],
        header: "x-hub-signature-256",
        prefix: "sha256=",
        id: Some("x-github-delivery"),
        tells: &["x-github-event", "x-github-hook-id"],
        ..BARE
    },
    // https://developers.facebook.com/docs/graph-api/webhooks/getting-started
    Known {
        names: &["meta", "instagram"],
        header: "x-hub-signature-256",
        prefix: "sha256=",
        ..BARE
    },
    // https://api.slack.com/authentication/verifying-requests-from-slack
    Known {
        names: &["slack"],
        header: "x-slack-signature",
        prefix: "v0=",
        signed: "v0:{time}:{body}",
        time: Some("x-slack-request-timestamp"),
        handshake: Handshake::Slack,
        tells: &["x-slack-retry-num", "x-slack-retry-reason"],
        ..BARE
    },
    // https://docs.stripe.com/webhooks#verify-manually
    Known {
        names: &["stripe"],
        header: "stripe-signature",
        signed: "{time}.{body}",
        keys: Some(("v1", "t")),
        ..BARE
    },
    // https://developers.tiktok.com/doc/webhooks-verification
    Known {
        names: &["tiktok"],
        header: "tiktok-signature",
        signed: "{time}.{body}",
        keys: Some(("s", "t")),
        ..BARE
    },
    // https://dev.twitch.tv/docs/eventsub/handling-webhook-events
    Known {
        names: &["twitch"],
        header: "twitch-eventsub-message-signature",
        prefix: "sha256=",
        signed: "{id}{time}{body}",
        id: Some("twitch-eventsub-message-id"),
        time: Some("twitch-eventsub-message-timestamp"),
        window: Duration::from_secs(10 * 60),
        handshake: Handshake::Twitch,
        tells: &[
            "twitch-eventsub-message-type",
            "twitch-eventsub-message-retry",
            "twitch-eventsub-subscription-type",
            "twitch-eventsub-subscription-version",
        ],
        ..BARE
    },
    Known {
        names: &["heygen"],
        header: "heygen-signature",
        id: Some("heygen-event-id"),
        time: Some("heygen-timestamp"),
        ..BARE
    },
    // https://www.standardwebhooks.com
    Known {
        names: &["standard", "openai"],
        header: "webhook-signature",
        prefix: "v1,",
        encoding: "base64",
        signed: "{id}.{time}.{body}",
        id: Some("webhook-id"),
        time: Some("webhook-timestamp"),
        is_coded: true,
        ..BARE
    },
];

/// Whether `name`, in small letters, can be that of a header.
pub fn is_header(name: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_".contains(letter);
    (1..=100).contains(&name.len()) && name.chars().all(is_plain)
}

impl Says {
    /// What is wrong with it by itself: the key, and why.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let headers = [("header", &self.header), ("id", &self.id), ("time", &self.time)];
        for (key, name) in headers {
            // An empty one takes away what the scheme has.
            let name = name.as_deref().filter(|name| !name.is_empty() || key == "header");
            if name.is_some_and(|name| !is_header(&name.to_ascii_lowercase())) {
                return Err((key, "it is no name of a header".to_owned()));
            }
        }
        for (key, text) in [
            ("signature_key", &self.signature_key),
            ("time_key", &self.time_key),
            ("prefix", &self.prefix),
        ] {
            if text
                .as_ref()
                .is_some_and(|text| text.len() > 40 || text.chars().any(|letter| !letter.is_ascii_graphic()))
            {
                return Err((key, "it has up to 40 visible characters".to_owned()));
            }
        }
        let names = self.secret.iter().flat_map(Names::list);
        if names.clone().any(|name| !is_variable(name)) || names.count() > SECRETS_MAX {
            let reason =
                format!("it names up to {SECRETS_MAX} variables of the environment, such as \"GITHUB_WEBHOOK_SECRET\"");
            return Err(("secret", reason));
        }
        if self.verify.as_ref().is_some_and(|name| !is_variable(name)) {
            let reason = "it names a variable of the environment, such as \"META_VERIFY_TOKEN\"".to_owned();
            return Err(("verify", reason));
        }
        if let Some(encoding) = &self.encoding {
            coded(encoding).map_err(|reason| ("encoding", reason))?;
        }
        if let Some(signed) = &self.signed {
            pieces(signed).map_err(|reason| ("signed", reason))?;
        }
        if let Some(window) = &self.window {
            length(window).map_err(|reason| ("window", reason))?;
        }
        Ok(())
    }

    fn over<'a>(&'a self, below: &'a Says) -> Says {
        let pick = |above: &Option<String>, below: &Option<String>| above.clone().or_else(|| below.clone());
        Says {
            scheme: pick(&self.scheme, &below.scheme),
            secret: self.secret.clone().or_else(|| below.secret.clone()),
            verify: pick(&self.verify, &below.verify),
            header: pick(&self.header, &below.header),
            prefix: pick(&self.prefix, &below.prefix),
            encoding: pick(&self.encoding, &below.encoding),
            signed: pick(&self.signed, &below.signed),
            signature_key: pick(&self.signature_key, &below.signature_key),
            time_key: pick(&self.time_key, &below.time_key),
            id: pick(&self.id, &below.id),
            time: pick(&self.time, &below.time),
            window: pick(&self.window, &below.window),
            same_body: self.same_body.or(below.same_body),
        }
    }
}

impl Scheme {
    /// The scheme of a webhook whose header says `says`, with `[webhooks]` in host.toml; or why there is none.
    pub fn resolve(says: &Says, sections: &BTreeMap<String, Says>) -> Result<Scheme, String> {
        let name = says.scheme.as_deref().unwrap_or(PLAIN);
        let (known, says) = match sections.get(name) {
            // The name of a section is that of its scheme, unless it says another.
            Some(section) => {
                let base = section.scheme.as_deref().unwrap_or(name);
                let base = known(base).or_else(|| section.scheme.is_none().then_some(&BARE));
                (base, says.over(section))
            }
            None => (known(name), says.clone()),
        };
        let known = known.ok_or_else(|| unknown(name, sections))?;
        says.check().map_err(|(key, reason)| format!("`{key}`: {reason}"))?;
        let text = |said: &Option<String>, preset: &str| said.clone().unwrap_or_else(|| preset.to_owned());
        let header = |said: &Option<String>, preset: Option<&str>| {
            let name = said.as_deref().or(preset).filter(|name| !name.is_empty());
            name.map(str::to_ascii_lowercase)
        };
        let key = |said: &Option<String>, preset: Option<&str>| said.clone().or(preset.map(str::to_owned));
        let time_key = key(&says.time_key, known.keys.map(|(_, time)| time));
        let scheme = Scheme {
            name: name.to_owned(),
            secrets: says.secret.iter().flat_map(Names::list).cloned().collect(),
            verify: says.verify.clone(),
            header: text(&says.header, known.header).to_ascii_lowercase(),
            prefix: text(&says.prefix, known.prefix),
            encoding: coded(&text(&says.encoding, known.encoding))?,
            signed: pieces(&text(&says.signed, known.signed))?,
            signature_key: key(&says.signature_key, known.keys.map(|(signature, _)| signature)),
            id: header(&says.id, known.id),
            time: match time_key {
                Some(_) => None,
                None => header(&says.time, known.time),
            },
            time_key,
            window: says.window.as_deref().map_or(Ok(known.window), length)?,
            by_body: false,
            is_coded: known.is_coded,
            handshake: known.handshake,
            tells: known.tells.iter().map(|name| (*name).to_owned()).collect(),
        };
        scheme.complete(says.same_body)
    }

    fn complete(mut self, same_body: Option<bool>) -> Result<Scheme, String> {
        if self.secrets.is_empty() {
            let reason = "it has no `secret`: name the variable of the environment that holds it, or several while it is changed";
            return Err(reason.to_owned());
        }
        let has = |piece: Piece| self.signed.contains(&piece);
        if has(Piece::Id) && self.id.is_none() {
            return Err("`signed` has {id}, and no `id` names the header it comes from".to_owned());
        }
        if has(Piece::Time) && self.time.is_none() && self.time_key.is_none() {
            return Err("`signed` has {time}, and neither `time` nor `time_key` says where it stands".to_owned());
        }
        if self.time_key.is_some() && self.signature_key.is_none() {
            return Err("`time_key` needs `signature_key`: both stand in one header".to_owned());
        }
        // An id that nobody signs can be changed by whoever sends a delivery again that he has caught.
        let is_safe = self.id.is_none() || has(Piece::Id);
        self.by_body = !is_safe && same_body != Some(true);
        self.tells.extend(self.id.iter().chain(&self.time).cloned());
        self.tells.retain(|name| *name != self.header);
        Ok(self)
    }
}

fn known(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.names.contains(&name))
}

fn unknown(name: &str, sections: &BTreeMap<String, Says>) -> String {
    let known = || KNOWN.iter().flat_map(|known| known.names.iter().copied());
    let all: Vec<&str> = known().chain(sections.keys().map(String::as_str)).collect();
    let shown: String = name.chars().take(60).collect();
    match nearest(name, all.iter().copied()) {
        Some(near) => format!("there is no scheme {shown:?}; did you mean {near:?}?"),
        None => format!("there is no scheme {shown:?}; there are {}", all.join(", ")),
    }
}

fn coded(word: &str) -> Result<Encoding, String> {
    match word {
        "hex" => Ok(Encoding::Hex),
        "base64" => Ok(Encoding::Base64),
        _ => Err("it is neither \"hex\" nor \"base64\"".to_owned()),
    }
}

fn length(text: &str) -> Result<Duration, String> {
    let length = crate::duration::parse(text).map_err(|error| error.to_string())?;
    match (WINDOW_MS_MIN..=WINDOW_MS_MAX).contains(&(length.as_millis() as u64)) {
        true => Ok(length),
        false => Err(format!("{text:?} does not lie between 1s and 7d")),
    }
}

fn pieces(template: &str) -> Result<Vec<Piece>, String> {
    if template.len() > TEMPLATE_BYTES_MAX {
        return Err(format!("it has more than {TEMPLATE_BYTES_MAX} bytes"));
    }
    let (mut pieces, mut rest) = (Vec::new(), template);
    while !rest.is_empty() {
        let (text, after) = rest.split_once('{').unwrap_or((rest, ""));
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        if text.len() == rest.len() {
            break;
        }
        let (name, after) = after.split_once('}').ok_or("a `{` has no `}`")?;
        pieces.push(match name {
            "id" => Piece::Id,
            "time" => Piece::Time,
            "body" => Piece::Body,
            _ => return Err("there are {id}, {time} and {body}, and nothing else in braces".to_owned()),
        });
        rest = after;
    }
    match pieces.iter().filter(|piece| **piece == Piece::Body).count() {
        1 => Ok(pieces),
        _ => Err("{body} must stand in it, once".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(toml: &str) -> Says {
        toml::from_str(toml).expect("it can be read")
    }

    fn resolved(header: &str, section: Option<(&str, &str)>) -> Result<Scheme, String> {
        let sections = section.map(|(name, toml)| (name.to_owned(), says(toml)));
        Scheme::resolve(&says(header), &sections.into_iter().collect())
    }

    #[test]
    fn a_scheme_is_a_name_with_what_host_toml_and_the_header_say_over_it() {
        let github = resolved("scheme = \"github\"\nsecret = \"A\"", None).expect("a scheme");
        assert_eq!(
            (github.header.as_str(), github.prefix.as_str()),
            ("x-hub-signature-256", "sha256=")
        );
        assert!(github.by_body, "its id is not signed");
        let ours = resolved(
            "scheme = \"heygen\"\nheader = \"Signature\"",
            Some(("heygen", "secret = [\"A\", \"B\"]")),
        );
        let ours = ours.expect("a scheme");
        assert_eq!(
            (ours.header.as_str(), ours.secrets.len(), ours.id.as_deref()),
            ("signature", 2, Some("heygen-event-id"))
        );
        let shop = Some((
            "shop",
            "secret = \"A\"\nheader = \"X-Shop\"\nencoding = \"base64\"\nwindow = \"1h\"",
        ));
        let shop = resolved("scheme = \"shop\"\nid = \"X-Id\"\nsame_body = true", shop).expect("a scheme");
        assert_eq!(
            (shop.encoding, shop.window.as_secs(), shop.by_body),
            (Encoding::Base64, 3600, false)
        );
        let twitch = resolved("scheme = \"twitch\"\nsecret = \"A\"", None).expect("a scheme");
        assert_eq!((twitch.signed.len(), twitch.by_body), (3, false));
    }

    #[test]
    fn what_cannot_be_verified_is_no_scheme() {
        for (header, told) in [
            ("scheme = \"github\"", "no `secret`"),
            ("scheme = \"gihtub\"\nsecret = \"A\"", "did you mean \"github\"?"),
            ("secret = \"A\"\nsigned = \"{id}{body}\"", "no `id`"),
            ("secret = \"A\"\nsigned = \"{time}{body}\"", "neither `time`"),
            ("secret = \"A\"\ntime_key = \"t\"", "signature_key"),
            ("secret = \"a text\"", "variables"),
            ("secret = \"A\"\nsigned = \"body\"", "{body} must stand"),
            ("secret = \"A\"\nsigned = \"{body}{body}\"", "once"),
            ("secret = \"A\"\nsigned = \"{body\"", "has no `}`"),
        ] {
            let reason = resolved(header, None).expect_err(header);
            assert!(reason.contains(told), "{header}: {reason}");
        }
        assert!(toml::from_str::<Says>("hedaer = \"x\"").is_err());
    }
}
