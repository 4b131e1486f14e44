//! The thread that sends spans and metrics to the collector.
//!
//! What the collector cannot take now is kept for the next try, as long as there is room; what it refuses for good is gone,
//! and counted. When the host ends, what is left is sent once more, for a few seconds at most.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::settings::{Protocol, Settings, Signal};
use super::trace::{Span, Traces};
use super::{encode, protobuf};
use crate::io::clock::Clock;
use crate::io::http::{HttpDoor, Method, Reach, Request, Response};
use crate::telemetry::family::Family;
use crate::telemetry::{Telemetry, answered};

/// Spans of one request.
const BATCH_MAX: usize = 512;

/// How often it is looked whether there are enough spans, and how long one waits for others.
const LOOKS_EVERY: Duration = Duration::from_millis(500);
const WAITS: Duration = Duration::from_secs(5);

/// How often a batch is sent that is not taken.
const TRIES_MAX: u32 = 5;

/// The longest pause after a batch that was not taken, and the longest that the collector may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(60);
const ASKED_PAUSE_MAX: Duration = Duration::from_secs(300);

/// What a collector says may be passing: all else is refused for good.
const PASSING: [u16; 4] = [429, 502, 503, 504];

/// How long the last batches may take when the host ends.
const LAST_WITHIN: Duration = Duration::from_secs(5);

/// What has been sent, and what not.
#[derive(Default)]
pub struct Sent {
    pub spans: AtomicU64,
    pub metrics: AtomicU64,
    /// Requests that failed.
    pub failures: AtomicU64,
    /// Spans that were given up after they were in the queue.
    pub lost: AtomicU64,
    /// Spans that were taken from the queue, and are sent again.
    pub held: AtomicU64,
}

/// Sends what there is.
pub struct Exporter {
    pub settings: Settings,
    pub traces: Arc<Traces>,
    pub sent: Arc<Sent>,
}

/// What came of a request.
enum Answer {
    /// With so many exceptions.
    Taken { rejected: u64 },
    /// Not now; with how long the collector asks to be left alone.
    Later { why: String, pause: Option<Duration> },
    /// Never.
    Refused(String),
}

/// Spans that are sent again.
struct Held {
    spans: Vec<Span>,
    tries: u32,
}

/// What the thread knows.
#[derive(Default)]
struct Course {
    held: Option<Held>,
    /// On the clock that does not jump.
    sent_at: Duration,
    metrics_at: Duration,
    spans_from: Duration,
    metrics_from: Duration,
    spans_fail: bool,
    metrics_fail: bool,
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
            Family::gauge("host_otlp_queued_spans", "Spans that wait to be sent.")
                .is(self.traces.len() as f64 + load(&self.sent.held)),
        ]
    }

    /// Sends until the host ends.
    pub fn run(&self, telemetry: &Telemetry) {
        let Some(door) = self.door() else { return };
        let clock = &*telemetry.clock;
        let now = clock.monotonic();
        let mut course = Course {
            sent_at: now,
            metrics_at: now,
            ..Course::default()
        };
        while telemetry.over.pause(LOOKS_EVERY) {
            let now = clock.monotonic();
            let waited = now.saturating_sub(course.sent_at);
            let is_due = self.traces.len() >= BATCH_MAX || waited >= WAITS || course.held.is_some();
            if is_due && now >= course.spans_from {
                course.sent_at = now;
                self.send_spans(&door, clock, &mut course, None);
            }
            let is_due = now.saturating_sub(course.metrics_at) >= self.settings.metrics_every;
            if is_due && now >= course.metrics_from {
                course.metrics_at = now;
                self.send_metrics(&door, telemetry, &mut course, None);
            }
        }
        self.flush(&door, telemetry, course);
    }

    /// Sends what waits, for a few seconds at most, and what is not taken then is lost.
    pub fn send_left(&self, clock: &dyn Clock) {
        let Some(door) = self.door().filter(|_| !self.traces.is_empty()) else {
            return;
        };
        self.flush_spans(&door, clock, &mut Course::default(), clock.monotonic() + LAST_WITHIN);
    }

    fn door(&self) -> Option<HttpDoor> {
        let mut reach = Reach::default();
        for signal in [&self.settings.traces, &self.settings.metrics].into_iter().flatten() {
            if let Err(error) = reach.allow_url(&signal.url) {
                tracing::error!(%error, "the collector cannot be reached, and gets nothing");
                return None;
            }
        }
        Some(HttpDoor::new(reach))
    }

    /// Sends one batch, within that time where one is said; `false` when it was not taken.
    fn send_spans(&self, door: &HttpDoor, clock: &dyn Clock, course: &mut Course, within: Option<Duration>) -> bool {
        let Some(signal) = &self.settings.traces else {
            return true;
        };
        let batch = course.held.take().unwrap_or_else(|| Held {
            spans: self.traces.take(BATCH_MAX),
            tries: 0,
        });
        if batch.spans.is_empty() {
            return true;
        }
        let count = batch.spans.len() as u64;
        self.sent.held.store(count, Ordering::Relaxed);
        let resource = &self.settings.resource;
        let body = match signal.protocol {
            Protocol::Protobuf => protobuf::traces(resource, &batch.spans),
            Protocol::Json => encode::traces(resource, &batch.spans).to_string().into_bytes(),
        };
        let tries = batch.tries + 1;
        let answer = self.post(door, clock, signal, body, within);
        let failed = match answer {
            Answer::Taken { rejected } => {
                let rejected = rejected.min(count);
                self.sent.spans.fetch_add(count - rejected, Ordering::Relaxed);
                self.sent.lost.fetch_add(rejected, Ordering::Relaxed);
                (rejected > 0).then(|| format!("it does not want {rejected} of {count}"))
            }
            Answer::Later { why, pause } if tries < TRIES_MAX => {
                let backoff = Duration::from_secs(1 << tries.min(6)).min(PAUSE_MAX);
                course.spans_from = clock.monotonic() + asked_or(pause, backoff);
                course.held = Some(Held {
                    spans: batch.spans,
                    tries,
                });
                Some(why)
            }
            Answer::Later { why, .. } | Answer::Refused(why) => {
                self.sent.lost.fetch_add(count, Ordering::Relaxed);
                Some(why)
            }
        };
        let held = course.held.as_ref().map_or(0, |held| held.spans.len() as u64);
        self.sent.held.store(held, Ordering::Relaxed);
        if let Some(reason) = &failed
            && !course.spans_fail
        {
            tracing::warn!(%reason, "the collector takes no traces; this is said once");
        }
        course.spans_fail = failed.is_some();
        failed.is_none()
    }

    fn send_metrics(&self, door: &HttpDoor, telemetry: &Telemetry, course: &mut Course, within: Option<Duration>) {
        let Some(signal) = &self.settings.metrics else {
            return;
        };
        let since_ms = telemetry.board.status().since_ms;
        let (families, now_ms) = (telemetry.families(), telemetry.clock.unix_ms());
        let resource = &self.settings.resource;
        let body = match signal.protocol {
            Protocol::Protobuf => protobuf::metrics(resource, &families, since_ms, now_ms),
            Protocol::Json => encode::metrics(resource, &families, since_ms, now_ms)
                .to_string()
                .into_bytes(),
        };
        let failed = match self.post(door, &*telemetry.clock, signal, body, within) {
            Answer::Taken { rejected: 0 } => None,
            Answer::Taken { rejected } => Some(format!("it does not want {rejected} points")),
            // Nothing is kept: the next ones say the same, and more.
            Answer::Later { why, pause } => {
                course.metrics_from = telemetry.clock.monotonic() + asked_or(pause, Duration::ZERO);
                Some(why)
            }
            Answer::Refused(why) => Some(why),
        };
        match &failed {
            None => {
                self.sent.metrics.fetch_add(1, Ordering::Relaxed);
            }
            Some(reason) if !course.metrics_fail => {
                tracing::warn!(%reason, "the collector does not take all metrics; this is said once");
            }
            Some(_) => {}
        }
        course.metrics_fail = failed.is_some();
    }

    /// Sends what is left, once, and for a few seconds in all.
    fn flush(&self, door: &HttpDoor, telemetry: &Telemetry, mut course: Course) {
        let clock = &*telemetry.clock;
        let until = clock.monotonic() + LAST_WITHIN;
        self.flush_spans(door, clock, &mut course, until);
        let left = until.saturating_sub(clock.monotonic());
        if !left.is_zero() {
            self.send_metrics(door, telemetry, &mut course, Some(left));
        }
    }

    fn flush_spans(&self, door: &HttpDoor, clock: &dyn Clock, course: &mut Course, until: Duration) {
        if self.settings.traces.is_none() {
            return;
        }
        while course.held.is_some() || !self.traces.is_empty() {
            let left = until.saturating_sub(clock.monotonic());
            if left.is_zero() || !self.send_spans(door, clock, course, Some(left)) {
                break;
            }
        }
        let spans = self.traces.len() + course.held.as_ref().map_or(0, |held| held.spans.len());
        if spans > 0 {
            tracing::warn!(spans, "the collector did not take the last spans");
        }
    }

    fn post(
        &self,
        door: &HttpDoor,
        clock: &dyn Clock,
        signal: &Signal,
        body: Vec<u8>,
        within: Option<Duration>,
    ) -> Answer {
        let body = if signal.gzip { packed(&body) } else { body };
        let mut request = Request::new(Method::Post, signal.url.clone())
            .header("content-type", signal.protocol.media_type())
            .body(body)
            .timeout(within.map_or(signal.timeout, |within| signal.timeout.min(within)));
        if signal.gzip {
            request = request.header("content-encoding", "gzip");
        }
        for (name, value) in &signal.headers {
            request = request.secret_header(name, value);
        }
        let answer = match answered::send(door, request) {
            Ok(response) if response.is_success() => {
                let rejected = rejected(&response);
                return Answer::Taken { rejected };
            }
            Ok(response) if PASSING.contains(&response.status) => Answer::Later {
                why: format!("it answered with status {}", response.status),
                pause: response.retry_after(clock.unix_ms()),
            },
            Ok(response) => Answer::Refused(format!("it answered with status {}", response.status)),
            Err(fault) => Answer::Later {
                why: fault.to_string(),
                pause: None,
            },
        };
        self.sent.failures.fetch_add(1, Ordering::Relaxed);
        answer
    }
}

/// How long the collector is left alone: as it asks, within bounds, or as it is usual.
fn asked_or(asked: Option<Duration>, usual: Duration) -> Duration {
    asked.map_or(usual, |asked| asked.min(ASKED_PAUSE_MAX))
}

fn packed(body: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(body).expect("memory takes everything");
    packer.finish().expect("memory takes everything")
}

/// How much of what it has taken the collector does not want.
fn rejected(response: &Response) -> u64 {
    let is_json = response
        .header("content-type")
        .is_some_and(|kind| kind.contains("json"));
    if is_json {
        encode::rejected(&response.body)
    } else {
        protobuf::rejected(&response.body)
    }
}
