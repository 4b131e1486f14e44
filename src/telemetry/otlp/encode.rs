//! Spans and families as OTLP's JSON has them: names in camel case, ids in hexadecimal, whole numbers of 64 bits as texts.
//!
//! What both encodings share stands here too: who sends, the numbers of kinds, buckets that count for themselves.

use serde_json::{Value as Json, json};

use super::trace::{Attribute, Span};
use crate::telemetry::family::{Family, Kind, Labels, Measure, Spread};

pub(super) const SPAN_KIND_INTERNAL: u8 = 1;
pub(super) const SPAN_KIND_CLIENT: u8 = 3;
pub(super) const STATUS_ERROR: u8 = 2;
/// Values are since the start, not since they were sent last.
pub(super) const CUMULATIVE: u8 = 2;

/// Who sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub service: String,
    /// Tells this store's server from others.
    pub instance: String,
    /// From `OTEL_RESOURCE_ATTRIBUTES`.
    pub more: Vec<(String, String)>,
}

impl Resource {
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = [
            ("service.name", self.service.as_str()),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", self.instance.as_str()),
        ];
        let more = self.more.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        own.into_iter().chain(more)
    }

    fn json(&self) -> Json {
        let attributes: Vec<Json> = self.attributes().map(|(name, value)| text(name, value)).collect();
        json!({ "attributes": attributes })
    }
}

fn scope() -> Json {
    json!({ "name": "host", "version": env!("CARGO_PKG_VERSION") })
}

fn text(name: &str, value: &str) -> Json {
    json!({ "key": name, "value": { "stringValue": value } })
}

/// Milliseconds as nanoseconds in a text.
fn nanos(unix_ms: i64) -> String {
    (i128::from(unix_ms.max(0)) * 1_000_000).to_string()
}

/// The body of a request to `/v1/traces`.
pub fn traces(resource: &Resource, spans: &[Span]) -> Json {
    let spans: Vec<Json> = spans.iter().map(span).collect();
    json!({ "resourceSpans": [{ "resource": resource.json(), "scopeSpans": [{ "scope": scope(), "spans": spans }] }] })
}

fn span(span: &Span) -> Json {
    let events: Vec<Json> = span
        .events
        .iter()
        .map(|event| {
            let attributes = attributes(&event.attributes);
            json!({ "timeUnixNano": nanos(event.at_ms), "name": event.name, "attributes": attributes })
        })
        .collect();
    let status = match &span.error {
        Some(code) => json!({ "code": STATUS_ERROR, "message": code }),
        None => json!({}),
    };
    let mut shown = json!({
        "traceId": hex::encode(span.trace),
        "spanId": hex::encode(span.id),
        "name": span.name,
        "kind": if span.is_client { SPAN_KIND_CLIENT } else { SPAN_KIND_INTERNAL },
        "startTimeUnixNano": nanos(span.begun_ms),
        "endTimeUnixNano": nanos(span.ended_ms),
        "attributes": attributes(&span.attributes),
        "events": events,
        "status": status,
    });
    if let Some(parent) = span.parent {
        shown["parentSpanId"] = hex::encode(parent).into();
    }
    shown
}

fn attributes(attributes: &[(&'static str, Attribute)]) -> Vec<Json> {
    let value = |attribute: &Attribute| match attribute {
        Attribute::Text(text) => json!({ "stringValue": text }),
        Attribute::Int(number) => json!({ "intValue": number.to_string() }),
        Attribute::Float(number) => json!({ "doubleValue": number }),
        Attribute::Bool(truth) => json!({ "boolValue": truth }),
    };
    let shown = attributes.iter();
    shown
        .map(|(name, attribute)| json!({ "key": name, "value": value(attribute) }))
        .collect()
}

/// The body of a request to `/v1/metrics`: `families` as they are at `now_ms`, counted since `since_ms`.
pub fn metrics(resource: &Resource, families: &[Family], since_ms: i64, now_ms: i64) -> Json {
    let metrics: Vec<Json> = families
        .iter()
        .filter(|family| !family.points.is_empty())
        .map(|family| metric(family, since_ms, now_ms))
        .collect();
    json!({
        "resourceMetrics": [{
            "resource": resource.json(),
            "scopeMetrics": [{ "scope": scope(), "metrics": metrics }],
        }],
    })
}

fn metric(family: &Family, since_ms: i64, now_ms: i64) -> Json {
    let points: Vec<Json> = family
        .points
        .iter()
        .map(|point| {
            let mut shown = json!({ "attributes": labels(&point.labels), "timeUnixNano": nanos(now_ms) });
            // Since when a kept one counts nobody knows; with the server's start it would be taken for new.
            if !family.is_kept {
                shown["startTimeUnixNano"] = nanos(since_ms).into();
            }
            match &point.measure {
                Measure::Number(value) => shown["asDouble"] = number(*value),
                Measure::Spread(spread) => {
                    let counts = in_buckets(spread).map(|count| Json::String(count.to_string()));
                    shown["bucketCounts"] = counts.collect();
                    shown["explicitBounds"] = spread.bounds.iter().copied().map(number).collect();
                    shown["count"] = spread.count.to_string().into();
                    shown["sum"] = number(spread.sum);
                }
            }
            shown
        })
        .collect();
    let mut shown = json!({ "name": family.name, "description": family.help });
    let (kind, data) = match family.kind {
        Kind::Gauge => ("gauge", json!({ "dataPoints": points })),
        Kind::Counter => (
            "sum",
            json!({ "dataPoints": points, "aggregationTemporality": CUMULATIVE, "isMonotonic": true }),
        ),
        Kind::Histogram => (
            "histogram",
            json!({ "dataPoints": points, "aggregationTemporality": CUMULATIVE }),
        ),
    };
    shown[kind] = data;
    shown
}

/// The counts of a histogram as OTLP has them: each bucket for itself, the infinite one last.
pub(super) fn in_buckets(spread: &Spread) -> impl Iterator<Item = u64> {
    let ends = spread.within.iter().chain([&spread.count]);
    let mut before = 0;
    ends.map(move |within| {
        let count = within.saturating_sub(before);
        before = *within;
        count
    })
}

/// How many of what was sent the collector did not want, as its answer says.
pub fn rejected(answer: &[u8]) -> u64 {
    let Ok(answer) = serde_json::from_slice::<Json>(answer) else {
        return 0;
    };
    let partial = &answer["partialSuccess"];
    let count = partial
        .get("rejectedSpans")
        .or_else(|| partial.get("rejectedDataPoints"));
    match count {
        Some(Json::String(text)) => text.parse().unwrap_or(0),
        Some(number) => number.as_u64().unwrap_or(0),
        None => 0,
    }
}

fn labels(labels: &Labels) -> Vec<Json> {
    labels.iter().map(|(name, value)| text(name, value)).collect()
}

/// What JSON has no number for is a text, as in protobuf's JSON.
fn number(value: f64) -> Json {
    match serde_json::Number::from_f64(value) {
        Some(number) => Json::Number(number),
        None if value.is_nan() => "NaN".into(),
        None => (if value > 0.0 { "Infinity" } else { "-Infinity" }).into(),
    }
}
