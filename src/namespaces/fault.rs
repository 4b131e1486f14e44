//! What it means to the gate that an exchange over HTTP failed. Written once, for every provider.
//!
//! | what happened | landed | may pass |
//! | --- | --- | --- |
//! | not allowed, a bad URL or header, the door is shut | no | no |
//! | no name, no connection, no TLS | no | yes |
//! | 429, and other statuses by which the provider documents that it did nothing | no | yes |
//! | any other 4xx | no | no |
//! | time-out, cut connection, 408, any other 5xx | nobody can tell | yes |
//! | an answer larger than allowed | nobody can tell | no |
//!
//! Whether "nobody can tell" matters is the gate's business: a read is simply asked again.

use std::borrow::Cow;

use crate::effect::{Failure, Fault, Landed};
use crate::gate::Errand;
use crate::io::World;
use crate::io::http::{HttpFault, Response, Sent};
use crate::io::provider::ProviderDoor;
use crate::value::{Map, Value};

/// How much of a refusal's body is kept, in bytes.
pub const EXCERPT_BYTES_MAX: usize = 2 * 1024;

/// How much of the provider's own words goes into a message, in characters.
const WORDS_CHARS_MAX: usize = 300;

/// Reads what went wrong in the name of one provider.
pub struct Faults<'a> {
    pub provider: &'a str,
    pub errand: &'a Errand<'a>,
    /// Statuses by which this provider documents that it did nothing and may do it later; 429 always is one.
    pub nothing_done: &'a [u16],
}

impl Faults<'_> {
    /// An exchange that brought no answer.
    pub fn no_answer(&self, fault: &HttpFault) -> Fault {
        let failure = Failure::new(fault.code(), fault.to_string()).provider(self.provider);
        let (landed, passing) = match fault {
            HttpFault::Dns { .. } | HttpFault::Connect { .. } | HttpFault::Tls { .. } => (Landed::No, true),
            // What a redirect led to, a second time leads there again; but whoever redirected has seen the request.
            HttpFault::AfterRedirect(inner) => (Landed::Unknown, inner.sent() == Sent::Maybe || may_pass(inner)),
            other if other.sent() == Sent::No => (Landed::No, false),
            other => (Landed::Unknown, may_pass(other)),
        };
        Fault {
            failure,
            landed,
            passing,
            unhealthy: passing,
        }
    }

    /// An answer with a status of failure: `who` refused. `words` are the provider's own, if they were understood.
    pub fn refusal(&self, who: &str, response: &Response, words: Option<&str>) -> Fault {
        let status = response.status;
        let words = words.map(|words| self.words(words)).filter(|words| !words.is_empty());
        let message = match &words {
            Some(words) => format!("{who} answered {status}: {words}"),
            None => format!("{who} answered {status}"),
        };
        let wait = response.retry_after(self.errand.world.clock.unix_ms());
        let failure = Failure {
            retry_after_ms: wait.map(|wait| wait.as_millis() as u64),
            ..Failure::new("HTTP_STATUS", message)
                .provider(self.provider)
                .status(status)
                .details(self.details(response))
        };
        let (landed, passing) = judge(status, self.nothing_done);
        // A provider that counts its callers is well.
        Fault {
            failure,
            landed,
            passing,
            unhealthy: passing && status != 429,
        }
    }

    /// An answer that did its work and is of no use.
    pub fn useless(&self, code: &str, message: String, response: &Response) -> Fault {
        let failure = Failure::new(code, message)
            .provider(self.provider)
            .status(response.status);
        Fault::answered(failure.details(self.details(response)))
    }

    /// What is kept of an answer for people: the beginning of its body, and the id under which the provider knows it.
    pub fn details(&self, response: &Response) -> Value {
        let mut details = Map::from([("body".to_owned(), Value::from(self.excerpt(&response.body)))]);
        if let Some(id) = response.header("x-request-id") {
            details.insert("request_id".to_owned(), Value::from(self.words(id)));
        }
        Value::Map(details)
    }

    /// Foreign words on one line, without secrets, and not too long for a message.
    pub fn words(&self, text: &str) -> String {
        let text = self.errand.masked(printable(text));
        shorten(
            &text,
            text.char_indices()
                .nth(WORDS_CHARS_MAX)
                .map_or(text.len(), |(at, _)| at),
        )
        .into_owned()
    }

    /// Masked as a whole before it is cut: half a secret would not be found later.
    fn excerpt(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body);
        let text = self.errand.masked(printable(&text));
        shorten(&text, EXCERPT_BYTES_MAX).into_owned()
    }
}

/// The door of the provider `name`.
pub fn door<'w>(world: &'w World, name: &str) -> Result<&'w ProviderDoor, Fault> {
    world.providers.get(name).ok_or_else(|| {
        let message = format!("the provider {name} is not configured in this host; see `host providers`");
        Fault::refused(Failure::new("PROVIDER_NOT_CONFIGURED", message).provider(name))
    })
}

/// Whether a request of which nobody knows what became may have a better end the next time.
fn may_pass(fault: &HttpFault) -> bool {
    match fault {
        HttpFault::Timeout { .. } | HttpFault::Stalled { .. } | HttpFault::Cut { .. } => true,
        HttpFault::Dns { .. } | HttpFault::Connect { .. } | HttpFault::Tls { .. } => true,
        HttpFault::AfterRedirect(inner) => may_pass(inner),
        _ => false,
    }
}

/// Whether a request that was answered with `status` did its work, and whether it may succeed later.
pub fn judge(status: u16, nothing_done: &[u16]) -> (Landed, bool) {
    match status {
        429 => (Landed::No, true),
        status if nothing_done.contains(&status) => (Landed::No, true),
        408 | 500.. => (Landed::Unknown, true),
        _ => (Landed::No, false),
    }
}

/// The text on one line, without what could steer a terminal or turn the direction of writing.
fn printable(text: &str) -> String {
    let is_steering =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let mut line = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !is_steering(*c)) {
        match c {
            '\n' | '\r' | '\t' => line.push(' '),
            c if c.is_control() => {}
            c => line.push(c),
        }
    }
    line.trim().to_owned()
}

fn shorten(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if text.len() <= bytes_max {
        return Cow::Borrowed(text);
    }
    const ELLIPSIS: &str = "…";
    let end = boundary(text, bytes_max.saturating_sub(ELLIPSIS.len()));
    Cow::Owned(format!("{}{ELLIPSIS}", &text[..end]))
}

/// The last place up to `bytes_max` at which `text` can be cut.
fn boundary(text: &str, bytes_max: usize) -> usize {
    let at_most = bytes_max.min(text.len());
    (0..=at_most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_it_landed_only_where_that_is_certain() {
        for (status, nothing_done, expected) in [
            (400, &[][..], (Landed::No, false)),
            (404, &[], (Landed::No, false)),
            (408, &[], (Landed::Unknown, true)),
            (409, &[409], (Landed::No, true)),
            (429, &[], (Landed::No, true)),
            (500, &[], (Landed::Unknown, true)),
            (503, &[], (Landed::Unknown, true)),
            (503, &[503], (Landed::No, true)),
            (504, &[503], (Landed::Unknown, true)),
        ] {
            assert_eq!(judge(status, nothing_done), expected, "{status} with {nothing_done:?}");
        }
    }

    #[test]
    fn foreign_text_is_printed_on_one_line_and_steers_nothing() {
        assert_eq!(printable(" a\r\nb\tc\u{1b}[31m\0 \u{202e}d\u{7f} "), "a  b c[31m d");
        assert_eq!(shorten("éééé", 6), "é…", "cut between letters");
        assert_eq!(shorten("ééé", 6), "ééé");
    }
}
