//! Whether what was sent comes from whoever has the secret, and from just now. Values in, values out.
//!
//! Signatures are compared in constant time by the library that makes them. Who is refused is not told what was expected,
//! nor which part of what they sent was wrong.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use super::tally::Fate;
use crate::http::answer::Refusal;
use crate::journal::intake::digest;
use crate::script::triggers::webhook::Scheme;
use crate::script::triggers::webhook::scheme::{Encoding, Piece};

/// Signatures in one header that are looked at: services send one for each of their secrets.
const SIGNATURES_MAX: usize = 8;

const ID_BYTES_MAX: usize = 200;

/// Bytes of HMAC-SHA256.
const BYTES: usize = 32;

/// What begins a secret that is base64.
const CODED: &str = "whsec_";

/// What is left of a delivery that is genuine.
#[derive(Debug, PartialEq, Eq)]
pub struct Genuine {
    /// By which it is told from others; of those that say none, the digest of the body.
    pub id: String,
    /// When it was sent, in Unix milliseconds.
    pub sent_ms: Option<i64>,
}

/// Why it is refused; the words are for the log.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    Signature(&'static str),
    /// By so much, in milliseconds: what is later than now lies ahead.
    Time {
        late_ms: i64,
    },
    Id,
}

impl Fault {
    pub fn code(&self) -> &'static str {
        match self {
            Fault::Signature(_) => "WEBHOOK_SIGNATURE",
            Fault::Time { .. } => "WEBHOOK_TIME",
            Fault::Id => "WEBHOOK_ID",
        }
    }

    pub fn fate(&self) -> Fate {
        match self {
            Fault::Signature(_) => Fate::Forged,
            Fault::Time { .. } => Fate::Late,
            Fault::Id => Fate::NoId,
        }
    }

    pub fn why(&self) -> String {
        match self {
            Fault::Signature(why) => (*why).to_owned(),
            Fault::Time { late_ms: ahead } if *ahead < 0 => {
                format!(
                    "it says to be from {} ahead",
                    crate::duration::for_people(ahead.unsigned_abs())
                )
            }
            Fault::Time { late_ms } => {
                format!(
                    "it was sent {} ago",
                    crate::duration::for_people(late_ms.unsigned_abs())
                )
            }
            Fault::Id => "the header with its id is missing, or no id".to_owned(),
        }
    }

    pub fn refusal(&self) -> Refusal {
        let (status, message) = match self {
            Fault::Signature(_) => (401, "the signature is missing, or it is wrong"),
            Fault::Time { .. } => (400, "this was sent too long ago, or the clock of its sender is wrong"),
            Fault::Id => (400, "the header with the id of what is sent is missing, or no id"),
        };
        Refusal::new(status, self.code(), message)
    }
}

/// Verifies the signature over the bytes as they came, then the time, then the id.
pub fn verify(
    scheme: &Scheme,
    secrets: &[String],
    headers: &HeaderMap,
    body: &[u8],
    now_ms: i64,
) -> Result<Genuine, Fault> {
    let header = one(headers, &scheme.header).ok_or(Fault::Signature("its header is missing, or comes twice"))?;
    let pairs = |key: &str| {
        let pairs = header.split(',').filter_map(|pair| pair.trim().split_once('='));
        let values = pairs.filter(|(name, _)| *name == key).map(|(_, value)| value);
        values.collect::<Vec<_>>()
    };
    let time = match &scheme.time_key {
        Some(key) => match pairs(key).as_slice() {
            [time] => Some(*time),
            _ => return Err(Fault::Signature("its header has no time, or several")),
        },
        None => scheme.time.as_deref().and_then(|name| one(headers, name)),
    };
    let id = scheme.id.as_deref().and_then(|name| one(headers, name));
    let given: Vec<&str> = match &scheme.signature_key {
        Some(key) => pairs(key),
        None => header.split_ascii_whitespace().collect(),
    };
    let given: Vec<[u8; BYTES]> = given
        .into_iter()
        .take(SIGNATURES_MAX)
        .filter_map(|text| decode(text.strip_prefix(scheme.prefix.as_str())?, scheme.encoding))
        .collect();
    if given.is_empty() {
        return Err(Fault::Signature("its header holds no signature of this scheme"));
    }
    let message = message(scheme, id, time, body).ok_or(Fault::Signature("a header that is signed is missing"))?;
    let is_right = |secret: &String| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key_of(scheme, secret));
        given.iter().any(|tag| hmac::verify(&key, &message, tag).is_ok())
    };
    if !secrets.iter().any(is_right) {
        return Err(Fault::Signature(
            "it was made with another secret, or over something else",
        ));
    }
    let sent_ms = in_time(scheme, time, now_ms)?;
    let id = match &scheme.id {
        None => digest(body),
        Some(_) => id.filter(|id| is_id(id)).ok_or(Fault::Id)?.to_owned(),
    };
    Ok(Genuine { id, sent_ms })
}

/// The one header of that name, as text.
pub fn one<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn decode(text: &str, encoding: Encoding) -> Option<[u8; BYTES]> {
    let bytes = match encoding {
        Encoding::Hex => hex::decode(text).ok()?,
        Encoding::Base64 => STANDARD.decode(text).ok()?,
    };
    bytes.try_into().ok()
}

/// The bytes that are signed.
fn message(scheme: &Scheme, id: Option<&str>, time: Option<&str>, body: &[u8]) -> Option<Vec<u8>> {
    let mut message = Vec::with_capacity(body.len() + 200);
    for piece in &scheme.signed {
        message.extend_from_slice(match piece {
            Piece::Text(text) => text.as_bytes(),
            Piece::Id => id?.as_bytes(),
            Piece::Time => time?.as_bytes(),
            Piece::Body => body,
        });
    }
    Some(message)
}

fn key_of(scheme: &Scheme, secret: &str) -> Vec<u8> {
    let coded = secret.strip_prefix(CODED).filter(|_| scheme.is_coded);
    coded
        .and_then(|coded| STANDARD.decode(coded).ok())
        .unwrap_or_else(|| secret.as_bytes().to_vec())
}

/// The time it says, where the scheme has one, which must lie within the window on either side of now.
fn in_time(scheme: &Scheme, time: Option<&str>, now_ms: i64) -> Result<Option<i64>, Fault> {
    if scheme.time.is_none() && scheme.time_key.is_none() {
        return Ok(None);
    }
    let sent_ms = time.and_then(moment).ok_or(Fault::Time { late_ms: now_ms })?;
    let late_ms = now_ms.saturating_sub(sent_ms);
    match late_ms.unsigned_abs() <= scheme.window.as_millis() as u64 {
        true => Ok(Some(sent_ms)),
        false => Err(Fault::Time { late_ms }),
    }
}

/// Seconds or milliseconds since 1970, or a time as RFC 3339 writes it.
fn moment(text: &str) -> Option<i64> {
    /// From here on it must be milliseconds.
    const SECONDS_MAX: i64 = 100_000_000_000;
    if !text.is_empty() && text.len() <= 16 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: i64 = text.parse().ok()?;
        return Some(if number < SECONDS_MAX { number * 1000 } else { number });
    }
    let moment = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(moment.timestamp_millis())
}

fn is_id(id: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|byte| (0x21..0x7f).contains(&byte))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use axum::http::{HeaderName, HeaderValue};

    use super::*;
    use crate::script::triggers::webhook::Says;

    const NOW_MS: i64 = 1_763_683_200_000;
    const SECRET: &str = "a secret of theirs";

    fn scheme(toml: &str) -> Scheme {
        let says: Says = toml::from_str(&format!("secret = \"A\"\n{toml}")).expect("it can be read");
        Scheme::resolve(&says, &BTreeMap::new()).expect("a scheme")
    }

    fn sign(text: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        hex::encode(hmac::sign(&key, text.as_bytes()))
    }

    fn asked(scheme: &Scheme, headers: &[(&str, &str)], body: &str) -> Result<Genuine, Fault> {
        let pair = |(name, value): &(&str, &str)| {
            let name: HeaderName = name.parse().expect("a name");
            (name, HeaderValue::from_str(value).expect("a value"))
        };
        let mut map = HeaderMap::new();
        headers.iter().map(pair).for_each(|(name, value)| {
            map.append(name, value);
        });
        verify(
            scheme,
            &["another one".to_owned(), SECRET.to_owned()],
            &map,
            body.as_bytes(),
            NOW_MS,
        )
    }

    fn is_forged(asked: Result<Genuine, Fault>) -> bool {
        matches!(asked, Err(Fault::Signature(_)))
    }

    /// The values of <https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries>, of which all could be
    /// wrong together if both sides were ours.
    #[test]
    fn what_others_have_signed_is_right() {
        let github = scheme("scheme = \"github\"");
        let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let mut headers = HeaderMap::new();
        headers.insert("x-hub-signature-256", HeaderValue::from_static(signature));
        headers.insert("x-github-delivery", HeaderValue::from_static("72d3162e"));
        let secrets = ["It's a Secret to Everybody".to_owned()];
        let genuine = verify(&github, &secrets, &headers, b"Hello, World!", NOW_MS).expect("it is theirs");
        assert_eq!((genuine.id.as_str(), genuine.sent_ms), ("72d3162e", None));
        // Of https://github.com/standard-webhooks/standard-webhooks, the example of the specification.
        let standard = scheme("scheme = \"standard\"");
        let body = br#"{"test": 2432232314}"#;
        for (name, value) in [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            (
                "webhook-signature",
                "v1a,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()];
        let sent = 1_614_265_330_000;
        assert_eq!(
            verify(&standard, &secrets, &headers, body, sent + 1000).map(|genuine| genuine.sent_ms),
            Ok(Some(sent))
        );
        let late = verify(&standard, &secrets, &headers, body, sent + 301_000);
        assert_eq!(late, Err(Fault::Time { late_ms: 301_000 }));
    }

    #[test]
    fn each_scheme_signs_in_its_own_way() {
        let (seconds, ms) = (NOW_MS / 1000, NOW_MS);
        let date = "2025-11-21T00:00:00.123456789Z";
        let slack = format!("v0={}", sign(&format!("v0:{seconds}:x")));
        let pairs = |key: &str| {
            format!(
                "t={seconds},{key}={},{key}={}",
                "00".repeat(32),
                sign(&format!("{seconds}.x"))
            )
        };
        let (stripe, tiktok) = (pairs("v1"), pairs("s"));
        let twitch = format!("sha256={}", sign(&format!("id-1{date}x")));
        let (plain, meta) = (sign("x"), format!("sha256={}", sign("x")));
        let (seconds, ms) = (seconds.to_string(), ms.to_string());
        for (name, headers) in [
            (
                "slack",
                vec![("x-slack-signature", &*slack), ("x-slack-request-timestamp", &*seconds)],
            ),
            ("stripe", vec![("stripe-signature", &*stripe)]),
            ("tiktok", vec![("tiktok-signature", &*tiktok)]),
            (
                "twitch",
                vec![
                    ("twitch-eventsub-message-signature", &*twitch),
                    ("twitch-eventsub-message-id", "id-1"),
                    ("twitch-eventsub-message-timestamp", date),
                ],
            ),
            ("meta", vec![("x-hub-signature-256", &*meta)]),
            (
                "heygen",
                vec![
                    ("heygen-signature", &*plain),
                    ("heygen-event-id", "id-1"),
                    ("heygen-timestamp", &*ms),
                ],
            ),
            ("hmac", vec![("x-signature", &*plain)]),
        ] {
            let scheme = scheme(&format!("scheme = {name:?}"));
            let genuine = asked(&scheme, &headers, "x").unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
            let has_id = headers.iter().any(|(_, value)| *value == "id-1");
            assert_eq!(
                genuine.id,
                if has_id { "id-1".to_owned() } else { digest(b"x") },
                "{name}"
            );
            assert!(is_forged(asked(&scheme, &headers, "y")), "{name}: another body");
            assert!(is_forged(asked(&scheme, &headers[1..], "x")), "{name}: no signature");
            for at in 0..headers.len() {
                let mut twice = headers.clone();
                twice.push(headers[at]);
                let refused = asked(&scheme, &twice, "x");
                assert!(refused.is_err(), "{name}: a header that comes twice: {refused:?}");
            }
        }
    }

    #[test]
    fn what_is_no_signature_is_none_and_a_time_of_another_day_is_refused() {
        let plain = scheme("prefix = \"v1=\"");
        let right = sign("x");
        for wrong in [
            right.as_str(),
            "v1=",
            "v1=zz",
            &format!("v1={}", &right[..62]),
            &format!("v1={right}00"),
            &format!("v1= {right}"),
            &format!("v0={right}"),
            "v1=ü",
        ] {
            let refused = asked(&plain, &[("x-signature", wrong)], "x");
            assert!(is_forged(refused), "{wrong:?}");
        }
        let many = format!("{}v1={right}", "v1=00 ".repeat(8));
        assert!(
            is_forged(asked(&plain, &[("x-signature", &many)], "x")),
            "more than are looked at"
        );
        let timed = scheme("time = \"x-time\"\nsigned = \"{time}{body}\"\nwindow = \"1m\"");
        let at = |time: &str| {
            asked(
                &timed,
                &[("x-signature", &sign(&format!("{time}x"))), ("x-time", time)],
                "x",
            )
        };
        assert!(at("1763683200").is_ok() && at("1763683140").is_ok() && at("1763683260000").is_ok());
        for wrong in [
            "1763683139",
            "1763683261",
            "0",
            "-1763683200",
            "99999999999999999999",
            "2025-11-21",
            "now",
        ] {
            assert!(matches!(at(wrong), Err(Fault::Time { .. })), "{wrong:?}");
        }
        // Only where the scheme says so is it more than a text.
        let text = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()];
        let key = hmac::Key::new(hmac::HMAC_SHA256, text[0].as_bytes());
        let signature = format!("v1={}", hex::encode(hmac::sign(&key, b"x")));
        let mut headers = HeaderMap::new();
        headers.insert("x-signature", HeaderValue::from_str(&signature).expect("a value"));
        assert!(verify(&plain, &text, &headers, b"x", NOW_MS).is_ok());
        let paired = scheme("scheme = \"stripe\"");
        let pairs = format!("t=1763683200,v1={}", sign("1763683200.x"));
        assert!(asked(&paired, &[("stripe-signature", &pairs)], "x").is_ok());
        let twice = format!("{pairs},t=1");
        assert!(
            is_forged(asked(&paired, &[("stripe-signature", &twice)], "x")),
            "which time it is nobody says"
        );
        let named = scheme("id = \"x-id\"");
        let signature = sign("x");
        let id = |id: &str| asked(&named, &[("x-signature", &signature), ("x-id", id)], "x");
        assert!(id("a-1").is_ok());
        for wrong in ["", "a b", &"a".repeat(201)] {
            assert_eq!(id(wrong), Err(Fault::Id), "{wrong:?}");
        }
    }
}
