//! The thread that sends spans and metrics to the collector.
//!
//! What the collector cannot take now is kept for the next try, as long as there is room; what it refuses for good is gone,
//! and counted. When the host ends, what is left is sent once more, for a few seconds at most.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value as Json;
use url::Url;

use super::encode::{self, Resource};
use super::trace::{Span, Traces};
use crate::config::{Config, ConfigError};
use crate::io::http::{HttpDoor, Method, Reach, Request};
use crate::telemetry::Telemetry;
use crate::telemetry::family::Family;

/// Spans of one request.
const BATCH_MAX: usize = 512;

/// How often it is looked whether there are enough spans, and how long one waits for others.
const LOOKS_EVERY: Duration = Duration::from_millis(500);
const WAITS: Duration = Duration::from_secs(5);

/// How often a batch is sent that is not taken.
const TRIES_MAX: u32 = 5;

/// The longest pause after a batch that was not taken.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// How long the last batches may take when the host ends.
const LAST_WITHIN: Duration = Duration::from_secs(5);

const HEADERS_MAX: usize = 32;

/// Where it is sent, and as whom: OpenTelemetry's own variables of the environment.
#[derive(Clone, Debug)]
pub struct Settings {
    pub traces: Url,
    pub metrics: Url,
    pub headers: Vec<(String, String)>,
    pub timeout: Duration,
    pub metrics_every: Duration,
    pub resource: Resource,
}

impl Settings {
    /// What the environment says; `None` where it names no collector.
    pub fn read(config: &Config) -> Result<Option<Settings>, ConfigError> {
        let env = |name: &str| config.env.get(name).map(str::trim).filter(|text| !text.is_empty());
        let Some(endpoint) = env("OTEL_EXPORTER_OTLP_ENDPOINT") else {
            return Ok(None);
        };
        let bad = |name: &str, reason: String| ConfigError::Value {
            key: name.to_owned(),
            reason,
        };
        if let Some(protocol) = env("OTEL_EXPORTER_OTLP_PROTOCOL")
            && protocol != "http/json"
        {
            let reason = format!(
                "{protocol:?} is not spoken here; http/json is, which collectors take at the same port as http/protobuf"
            );
            return Err(bad("OTEL_EXPORTER_OTLP_PROTOCOL", reason));
        }
        let below = |path: &str| -> Result<Url, ConfigError> {
            let text = format!("{}/{path}", endpoint.trim_end_matches('/'));
            let url: Url = text
                .parse()
                .map_err(|error| bad("OTEL_EXPORTER_OTLP_ENDPOINT", format!("it is no URL: {error}")))?;
            match url.scheme() {
                "http" | "https" => Ok(url),
                other => Err(bad(
                    "OTEL_EXPORTER_OTLP_ENDPOINT",
                    format!("{other:?} is neither http nor https"),
                )),
            }
        };
        let millis = |name: &str, preset: u64| match env(name) {
            None => Ok(Duration::from_millis(preset)),
            Some(text) => match text.parse() {
                Ok(millis @ 1..=3_600_000) => Ok(Duration::from_millis(millis)),
                _ => Err(bad(
                    name,
                    format!("{text:?} is no number of milliseconds from 1 to 3600000"),
                )),
            },
        };
        let service = env("OTEL_SERVICE_NAME").unwrap_or("host").chars().take(200).collect();
        let instance = config
            .root
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok(Some(Settings {
            traces: below("v1/traces")?,
            metrics: below("v1/metrics")?,
            headers: env("OTEL_EXPORTER_OTLP_HEADERS").map(pairs).unwrap_or_default(),
            timeout: millis("OTEL_EXPORTER_OTLP_TIMEOUT", 10_000)?,
            metrics_every: millis("OTEL_METRIC_EXPORT_INTERVAL", 60_000)?,
            resource: Resource {
                service,
                instance,
                more: env("OTEL_RESOURCE_ATTRIBUTES").map(pairs).unwrap_or_default(),
            },
        }))
    }

    /// What of the environment's variables nobody may see: the values of headers, by name.
    pub fn secrets(headers: &str) -> Vec<(String, String)> {
        let named = |(name, value): (String, String)| (format!("OTEL_EXPORTER_OTLP_HEADERS.{name}"), value);
        pairs(headers).into_iter().map(named).collect()
    }
}

/// `a=b,c=d`, with the values percent-encoded.
fn pairs(text: &str) -> Vec<(String, String)> {
    let pair = |part: &str| {
        let (name, value) = part.split_once('=')?;
        let value = percent_encoding::percent_decode_str(value.trim())
            .decode_utf8_lossy()
            .into_owned();
        Some((name.trim().to_owned(), value))
    };
    text.split(',').take(HEADERS_MAX).filter_map(pair).collect()
}

/// What has been sent, and what not.
#[derive(Default)]
pub struct Sent {
    pub spans: AtomicU64,
    pub metrics: AtomicU64,
    /// Requests that failed.
    pub failures: AtomicU64,
    /// Spans that were given up after they were in the queue.
    pub lost: AtomicU64,
}

/// Sends what there is.
pub struct Exporter {
    pub settings: Settings,
    pub traces: Arc<Traces>,
    pub sent: Arc<Sent>,
}

/// What came of a request.
enum Answer {
    Taken,
    /// Not now.
    Later(String),
    /// Never.
    Refused(String),
}

/// Spans that are sent again.
struct Held {
    spans: Vec<Span>,
    tries: u32,
}

impl Exporter {
    /// The figures of the export itself.
    pub fn families(&self) -> Vec<Family> {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed) as f64;
        let (sent, failures) = (load(&self.sent.spans), load(&self.sent.failures));
        let dropped = load(&self.traces.dropped) + load(&self.sent.lost);
        vec![
            Family::counter("host_otlp_sent_spans_total", "Spans that the collector has taken.").is(sent),
            Family::counter(
                "host_otlp_dropped_spans_total",
                "Spans left out: the queue was full, or nobody took them.",
            )
            .is(dropped),
            Family::counter(
                "host_otlp_failed_requests_total",
                "Requests that the collector did not answer well.",
            )
            .is(failures),
            Family::gauge("host_otlp_queued_spans", "Spans that wait to be sent.").is(self.traces.len() as f64),
        ]
    }

    /// Sends until the host ends.
    pub fn run(&self, telemetry: &Telemetry) {
        let mut reach = Reach::default();
        for url in [&self.settings.traces, &self.settings.metrics] {
            if let Err(error) = reach.allow_url(url) {
                tracing::error!(%error, "the collector cannot be reached, and gets nothing");
                return;
            }
        }
        let door = HttpDoor::new(reach);
        let clock = &telemetry.clock;
        let mut held: Option<Held> = None;
        let (mut sent_at, mut metrics_at) = (clock.monotonic(), clock.monotonic());
        let (mut pause_until, mut is_well) = (Duration::ZERO, true);
        while telemetry.over.pause(LOOKS_EVERY) {
            let now = clock.monotonic();
            if now < pause_until {
                continue;
            }
            let is_due = self.traces.len() >= BATCH_MAX || now.saturating_sub(sent_at) >= WAITS || held.is_some();
            if is_due {
                sent_at = now;
                let told = self.send_spans(&door, &mut held);
                if let Some(reason) = &told
                    && is_well
                {
                    tracing::warn!(%reason, "the collector takes no traces; this is said once");
                }
                is_well = told.is_none();
                let tries = held.as_ref().map_or(0, |held| held.tries);
                if tries > 0 {
                    pause_until = now + Duration::from_secs(1 << tries.min(6)).min(PAUSE_MAX);
                }
            }
            if now.saturating_sub(metrics_at) >= self.settings.metrics_every {
                metrics_at = now;
                self.send_metrics(&door, telemetry);
            }
        }
        self.flush(&door, telemetry, held);
    }

    /// Sends one batch; the reason, when it is not taken.
    fn send_spans(&self, door: &HttpDoor, held: &mut Option<Held>) -> Option<String> {
        let batch = held.take().unwrap_or_else(|| Held {
            spans: self.traces.take(BATCH_MAX),
            tries: 0,
        });
        if batch.spans.is_empty() {
            return None;
        }
        let count = batch.spans.len() as u64;
        let body = encode::traces(&self.settings.resource, &batch.spans);
        let tries = batch.tries + 1;
        match self.post(door, &self.settings.traces, &body, self.settings.timeout) {
            Answer::Taken => {
                self.sent.spans.fetch_add(count, Ordering::Relaxed);
                None
            }
            Answer::Later(reason) if tries < TRIES_MAX => {
                let spans = batch.spans;
                *held = Some(Held { spans, tries });
                Some(reason)
            }
            Answer::Later(reason) | Answer::Refused(reason) => {
                self.sent.lost.fetch_add(count, Ordering::Relaxed);
                Some(reason)
            }
        }
    }

    fn send_metrics(&self, door: &HttpDoor, telemetry: &Telemetry) {
        let since_ms = telemetry.board.status().since_ms;
        let families = telemetry.families();
        let body = encode::metrics(&self.settings.resource, &families, since_ms, telemetry.clock.unix_ms());
        match self.post(door, &self.settings.metrics, &body, self.settings.timeout) {
            Answer::Taken => {
                self.sent.metrics.fetch_add(1, Ordering::Relaxed);
            }
            // The next ones say the same, and more.
            Answer::Later(reason) | Answer::Refused(reason) => {
                tracing::debug!(%reason, "the collector takes no metrics");
            }
        }
    }

    fn flush(&self, door: &HttpDoor, telemetry: &Telemetry, mut held: Option<Held>) {
        let until = telemetry.clock.monotonic() + LAST_WITHIN;
        while (held.is_some() || !self.traces.is_empty()) && telemetry.clock.monotonic() < until {
            if self.send_spans(door, &mut held).is_some() {
                break;
            }
        }
        let left = self.traces.len() + held.map_or(0, |held| held.spans.len());
        if left > 0 {
            tracing::warn!(spans = left, "the collector did not take the last spans");
        }
        if telemetry.clock.monotonic() < until {
            self.send_metrics(door, telemetry);
        }
    }

    fn post(&self, door: &HttpDoor, url: &Url, body: &Json, timeout: Duration) -> Answer {
        let mut request = Request::new(Method::Post, url.clone())
            .header("content-type", "application/json")
            .body(body.to_string().into_bytes())
            .timeout(timeout)
            .redirects_max(0)
            .response_bytes_max(64 << 10);
        for (name, value) in &self.settings.headers {
            request = request.secret_header(name, value);
        }
        let answer = match door.send(request) {
            Ok(response) if response.is_success() => return Answer::Taken,
            Ok(response) if [408, 429, 500, 502, 503, 504].contains(&response.status) => {
                Answer::Later(format!("it answered with status {}", response.status))
            }
            Ok(response) => Answer::Refused(format!("it answered with status {}", response.status)),
            Err(fault) => Answer::Later(fault.to_string()),
        };
        self.sent.failures.fetch_add(1, Ordering::Relaxed);
        answer
    }
}
