//! Showing a service that the address is ours: it sends a challenge, and wants to have it back. No run is made of that.

use axum::http::HeaderMap;
use ring::hmac;

use super::tally::{Fate, Tally};
use super::{Hooked, verify};
use crate::http::answer::{Answer, Refusal};
use crate::http::request::Request;
use crate::http::server::Server;
use crate::script::triggers::webhook::Scheme;
use crate::script::triggers::webhook::scheme::Handshake;

const CHALLENGE_BYTES_MAX: usize = 500;

/// What is given back for a signed body that only wants to know whether somebody is here.
pub fn challenge(scheme: &Scheme, headers: &HeaderMap, body: &[u8]) -> Option<Result<String, Refusal>> {
    let sent = || serde_json::from_slice::<serde_json::Value>(body).ok();
    let asked = match scheme.handshake {
        Handshake::None => return None,
        Handshake::Slack => sent().filter(|sent| sent["type"] == "url_verification")?,
        Handshake::Twitch => {
            let kind = verify::one(headers, "twitch-eventsub-message-type");
            kind.filter(|kind| *kind == "webhook_callback_verification")?;
            sent().unwrap_or_default()
        }
    };
    let challenge = asked["challenge"].as_str().unwrap_or_default();
    Some(plain(challenge))
}

/// Answers `hub.challenge`, for whoever shows the token that was agreed on.
pub(super) fn subscribe(hooked: &Hooked, tally: &Tally, server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let refuse = |why: &str| {
        tally.count(&hooked.playbook, Fate::Forged);
        if let Some(more) = tally.may_tell(&hooked.playbook, server.app.clock.monotonic()) {
            let playbook = &hooked.playbook;
            tracing::warn!(
                playbook,
                more,
                code = "WEBHOOK_VERIFY",
                "a webhook was not shown to be ours: {why}"
            );
        }
        Refusal::new(403, "WEBHOOK_VERIFY", "the token is not the one that was agreed on")
    };
    let edition = server.edition();
    let verify = hooked.scheme.as_ref().ok().and_then(|scheme| scheme.verify.as_ref());
    let token = verify.and_then(|name| edition.app.secrets.get(name));
    let token = token.ok_or_else(|| refuse("its token is not set"))?;
    let mut shown = request.query.iter().filter(|(name, _)| name == "hub.verify_token");
    let is_right = match (shown.next(), shown.next()) {
        (Some((_, shown)), None) => is_same(token.reveal(), shown),
        _ => false,
    };
    if !is_right {
        return Err(refuse("another token was shown"));
    }
    if request.query("hub.mode") != Some("subscribe") {
        let message = "`hub.mode` is not subscribe";
        return Err(Refusal::new(400, "WEBHOOK_CHALLENGE", message));
    }
    let challenge = plain(request.query("hub.challenge").unwrap_or_default())?;
    tally.count(&hooked.playbook, Fate::Challenged);
    Ok(Answer::text(challenge).header("cache-control", "no-store"))
}

/// Compared in constant time, whatever their lengths.
fn is_same(secret: &str, shown: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"webhook verify token");
    let tag = hmac::sign(&key, secret.as_bytes());
    hmac::verify(&key, shown.as_bytes(), tag.as_ref()).is_ok()
}

/// A challenge that can be sent back: nobody is to have a page of theirs shown under our name.
fn plain(challenge: &str) -> Result<String, Refusal> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~+/=".contains(&byte);
    match (1..=CHALLENGE_BYTES_MAX).contains(&challenge.len()) && challenge.bytes().all(is_plain) {
        true => Ok(challenge.to_owned()),
        false => {
            let message = format!("the challenge is missing, has more than {CHALLENGE_BYTES_MAX} bytes, or is none");
            Err(Refusal::new(400, "WEBHOOK_CHALLENGE", message))
        }
    }
}
