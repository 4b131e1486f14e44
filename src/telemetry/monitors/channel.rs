//! One message through one door: a web hook, Slack, a program. Nothing is tried twice here.

use std::time::Duration;

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::settings::{Channel, Kind};
use crate::app::App;
use crate::io::http::{HttpDoor, Method, Reach, Request};
use crate::io::program;
use crate::telemetry::answered;

/// The block of SHA-256, in bytes.
const BLOCK: usize = 64;

/// A message as people and programs get it.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The same however often it is sent.
    pub id: String,
    pub monitor: String,
    pub what: String,
    pub severity: String,
    pub at_ms: i64,
    pub when: String,
    pub found: String,
    pub help: String,
    pub incident: Option<String>,
    pub host: String,
}

impl Message {
    pub fn json(&self) -> Json {
        json!({
            "id": self.id, "monitor": self.monitor, "what": self.what, "severity": self.severity, "at_ms": self.at_ms,
            "when": self.when, "found": self.found, "help": self.help, "incident": self.incident, "host": self.host,
        })
    }

    /// In a few lines, for people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "[{}] {} {} on {}\n{}: {}",
            self.severity, self.monitor, self.what, self.host, self.when, self.found
        );
        if !self.help.is_empty() {
            text.push('\n');
            text.push_str(&self.help);
        }
        if let Some(incident) = &self.incident {
            text.push_str(&format!("\nhost incident show {incident}"));
        }
        text
    }
}

/// Sends `message`; the error is why it was not taken, and may be shown.
pub fn send(app: &App, channel: &Channel, message: &Message) -> Result<(), String> {
    let timeout = channel.timeout();
    let sent = match channel.kind() {
        Some(Kind::Slack(variable)) => slack(app, variable, message, timeout),
        Some(Kind::Webhook(address)) => webhook(app, channel, address, message, timeout),
        Some(Kind::Command(words)) => command(app, words, message, timeout),
        None => Err("it says neither `slack` nor `webhook` nor `command`".to_owned()),
    };
    sent.map_err(|reason| app.masks.mask_text(reason).chars().take(300).collect())
}

fn slack(app: &App, variable: &str, message: &Message, timeout: Duration) -> Result<(), String> {
    let address = app.config.env.get(variable).filter(|address| !address.is_empty());
    let address = address.ok_or_else(|| format!("{variable} is not set"))?;
    let url: url::Url = address.parse().map_err(|_| format!("{variable} holds no address"))?;
    // As Slack wants it: these three begin links and entities.
    let text = message
        .text()
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let request = Request::new(Method::Post, url)
        .header("content-type", "application/json")
        .body(json!({ "text": text }).to_string().into_bytes());
    post(request, timeout)
}

fn webhook(app: &App, channel: &Channel, address: &str, message: &Message, timeout: Duration) -> Result<(), String> {
    let url: url::Url = address.parse().map_err(|_| "its address is none".to_owned())?;
    let body = message.json().to_string();
    let mut request = Request::new(Method::Post, url)
        .header("content-type", "application/json")
        .header("x-host-notice", &message.id);
    if !channel.secret.is_empty() {
        let secret = app.config.env.get(&channel.secret).filter(|secret| !secret.is_empty());
        let secret = secret.ok_or_else(|| format!("{} is not set", channel.secret))?;
        let sent_s = app.clock.unix_ms() / 1000;
        let signature = signature(secret.as_bytes(), sent_s, body.as_bytes());
        request = request.header("x-host-signature", &format!("t={sent_s},v1={signature}"));
    }
    post(request.body(body.into_bytes()), timeout)
}

fn post(request: Request, timeout: Duration) -> Result<(), String> {
    let mut reach = Reach::default();
    reach.allow_url(&request.url).map_err(|error| error.to_string())?;
    match answered::send(&HttpDoor::new(reach), request.timeout(timeout)) {
        Ok(response) if response.is_success() => Ok(()),
        Ok(response) => Err(format!("it answered with status {}", response.status)),
        Err(fault) => Err(fault.to_string()),
    }
}

fn command(app: &App, words: &[String], message: &Message, timeout: Duration) -> Result<(), String> {
    let input = format!("{}\n", message.json());
    let ended = program::run(words, &app.config.root, input.as_bytes(), timeout).map_err(|error| error.to_string())?;
    match ended.code {
        Some(0) => Ok(()),
        Some(code) => Err(format!("it ended with code {code}: {}", ended.said)),
        None => Err(format!("it was ended by a signal: {}", ended.said)),
    }
}

/// HMAC-SHA256 over `<seconds>.<body>`, in hexadecimal digits.
pub fn signature(secret: &[u8], sent_s: i64, body: &[u8]) -> String {
    let sent = format!("{sent_s}.");
    hex::encode(hmac(secret, &[sent.as_bytes(), body]))
}

/// RFC 2104 with SHA-256.
fn hmac(secret: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut key = [0_u8; BLOCK];
    if secret.len() > BLOCK {
        key[..32].copy_from_slice(&Sha256::digest(secret));
    } else {
        key[..secret.len()].copy_from_slice(secret);
    }
    let mut inner = Sha256::new();
    inner.update(key.map(|byte| byte ^ 0x36));
    parts.iter().for_each(|part| inner.update(part));
    let mut outer = Sha256::new();
    outer.update(key.map(|byte| byte ^ 0x5c));
    outer.update(inner.finalize());
    outer.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_rfc_4231() {
        let digits = |secret: &[u8], text: &[u8]| hex::encode(hmac(secret, &[text]));
        assert_eq!(
            digits(b"Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let long = [0xaa_u8; 131];
        assert_eq!(
            digits(&long, b"Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }
}
