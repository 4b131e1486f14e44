//! What came back.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime};
use url::Url;

/// The longest wait that an answer may ask for; what says more is taken for this.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// An answer, whatever its status.
#[derive(Clone)]
pub struct Response {
    pub status: u16,
    /// In the order they came, names in lower case, values as UTF-8 as far as they are.
    pub headers: Vec<(String, String)>,
    /// Unpacked, where the server had packed it.
    pub body: Vec<u8>,
    /// Who answered, after all redirects. May hold a secret in path or query.
    pub url: Url,
}

impl Response {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        (self.headers.iter())
            .find(|(present, _)| present.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Whether the status is one of success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// How long the server asks to wait before another try, counted from `now_ms` (Unix milliseconds), at most
    /// [`RETRY_AFTER_MAX`]. `retry-after-ms`, which OpenAI and Azure send, is the finer one and goes first.
    pub fn retry_after(&self, now_ms: i64) -> Option<Duration> {
        let in_ms = self
            .header("retry-after-ms")
            .and_then(|text| parse_seconds(text, 0.001));
        let wait = in_ms.or_else(|| {
            let text = self.header("retry-after")?;
            parse_seconds(text, 1.0).or_else(|| {
                let until_ms = parse_date_ms(text)?;
                Some(Duration::from_millis(
                    u64::try_from(until_ms.saturating_sub(now_ms)).unwrap_or(0),
                ))
            })
        });
        wait.map(|wait| wait.min(RETRY_AFTER_MAX))
    }
}

/// A number of units that are so many seconds long; `None` for what is not a plain, positive number.
fn parse_seconds(text: &str, unit_seconds: f64) -> Option<Duration> {
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let seconds = text.parse::<f64>().ok()? * unit_seconds;
    Some(Duration::from_secs_f64(seconds.min(RETRY_AFTER_MAX.as_secs_f64())))
}

/// A date in one of the three forms of HTTP (RFC 9110, 5.6.7), as Unix milliseconds. The day of the week says nothing
/// new, so a wrong one is no reason to come back too early.
fn parse_date_ms(text: &str) -> Option<i64> {
    let date = text.split_once(", ").map_or(text, |(_, date)| date).trim();
    if let Ok(date) = DateTime::parse_from_rfc2822(date) {
        return Some(date.timestamp_millis());
    }
    ["%d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(date, form).ok())
        .map(|date| date.and_utc().timestamp_millis())
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("origin", &self.url.origin().ascii_serialization())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1994-11-06 08:49:37 UTC, the date of the RFC's examples.
    const RFC_DATE_MS: i64 = 784_111_777_000;

    fn wait(headers: &[(&str, &str)]) -> Option<u128> {
        let response = Response {
            status: 429,
            headers: headers
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            body: Vec::new(),
            url: Url::parse("https://example.com/").expect("a URL"),
        };
        response.retry_after(RFC_DATE_MS - 90_000).map(|wait| wait.as_millis())
    }

    #[test]
    fn retry_after_is_read_in_every_form_that_servers_write() {
        for (value, expected_ms) in [
            ("120", Some(120_000)),
            (" 7 ", Some(7_000)),
            ("1.5", Some(1_500)),
            ("0", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(90_000)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(90_000)),
            ("Sun Nov  6 08:49:37 1994", Some(90_000)),
            ("Sun, 06 Nov 1994 08:40:00 GMT", Some(0)),
            ("Sun, 06 Nov 2094 08:49:37 GMT", Some(RETRY_AFTER_MAX.as_millis())),
            ("99999999999999999999999999", Some(RETRY_AFTER_MAX.as_millis())),
            ("-5", None),
            ("soon", None),
            ("inf", None),
            ("1.2.3", None),
            ("", None),
        ] {
            assert_eq!(wait(&[("retry-after", value)]), expected_ms, "{value:?}");
        }
        assert_eq!(wait(&[("retry-after", "2"), ("retry-after-ms", "1250")]), Some(1_250));
        assert_eq!(wait(&[("retry-after", "2"), ("retry-after-ms", "?")]), Some(2_000));
        assert_eq!(wait(&[]), None);
    }
}
