//! Spans and families as OTLP's protobuf has them. The numbers are those of `opentelemetry/proto/**/v1/*.proto`.

use super::encode::{CUMULATIVE, Resource, SPAN_KIND_CLIENT, SPAN_KIND_INTERNAL, STATUS_ERROR, in_buckets};
use super::trace::{Attribute, Span};
use super::wire::{Field, Message, field};
use crate::telemetry::family::{Family, Kind, Measure, Point};

fn nanos(unix_ms: i64) -> u64 {
    u64::try_from(unix_ms).unwrap_or(0).saturating_mul(1_000_000)
}

fn texts<'t>(message: &mut Message, place: u32, texts: impl Iterator<Item = (&'t str, &'t str)>) {
    for (name, value) in texts {
        message.message(place, |pair| {
            pair.text(1, name).message(2, |any| {
                any.text_always(1, value);
            });
        });
    }
}

fn attributes(message: &mut Message, place: u32, attributes: &[(&'static str, Attribute)]) {
    for (name, attribute) in attributes {
        message.message(place, |pair| {
            pair.text(1, name).message(2, |any| {
                match attribute {
                    Attribute::Text(text) => any.text_always(1, text),
                    Attribute::Bool(truth) => any.number_always(2, u64::from(*truth)),
                    // A negative one is written as its two's complement.
                    Attribute::Int(number) => any.number_always(3, number.cast_unsigned()),
                    Attribute::Float(number) => any.double_always(4, *number),
                };
            });
        });
    }
}

fn resource_and_scope(message: &mut Message, resource: &Resource, fill: impl FnOnce(&mut Message)) {
    message.message(1, |whole| {
        whole.message(1, |of| texts(of, 1, resource.attributes()));
        whole.message(2, |scoped| {
            scoped.message(1, |scope| {
                scope.text(1, "host").text(2, env!("CARGO_PKG_VERSION"));
            });
            fill(scoped);
        });
    });
}

/// The body of a request to `/v1/traces`.
pub fn traces(resource: &Resource, spans: &[Span]) -> Vec<u8> {
    let mut message = Message::default();
    resource_and_scope(&mut message, resource, |scoped| {
        for one in spans {
            scoped.message(2, |message| span(message, one));
        }
    });
    message.bytes()
}

fn span(message: &mut Message, span: &Span) {
    let kind = if span.is_client {
        SPAN_KIND_CLIENT
    } else {
        SPAN_KIND_INTERNAL
    };
    message
        .raw(1, &span.trace)
        .raw(2, &span.id)
        .raw(4, span.parent.as_ref().map_or(&[], |parent| parent.as_slice()))
        .text(5, &span.name)
        .number(6, u64::from(kind))
        .fixed(7, nanos(span.begun_ms))
        .fixed(8, nanos(span.ended_ms));
    attributes(message, 9, &span.attributes);
    for event in &span.events {
        message.message(11, |told| {
            told.fixed(1, nanos(event.at_ms)).text(2, event.name);
            attributes(told, 3, &event.attributes);
        });
    }
    if let Some(code) = &span.error {
        message.message(15, |status| {
            status.text(2, code).number(3, u64::from(STATUS_ERROR));
        });
    }
}

/// The body of a request to `/v1/metrics`: `families` as they are at `now_ms`, counted since `since_ms`.
pub fn metrics(resource: &Resource, families: &[Family], since_ms: i64, now_ms: i64) -> Vec<u8> {
    let mut message = Message::default();
    resource_and_scope(&mut message, resource, |scoped| {
        for family in families.iter().filter(|family| !family.points.is_empty()) {
            scoped.message(2, |message| metric(message, family, since_ms, now_ms));
        }
    });
    message.bytes()
}

fn metric(message: &mut Message, family: &Family, since_ms: i64, now_ms: i64) {
    message.text(1, &family.name).text(2, &family.help);
    let place = match family.kind {
        Kind::Gauge => 5,
        Kind::Counter => 7,
        Kind::Histogram => 9,
    };
    message.message(place, |data| {
        for one in &family.points {
            let since_ms = if family.is_kept { 0 } else { since_ms };
            data.message(1, |message| point(message, one, since_ms, now_ms));
        }
        if family.kind != Kind::Gauge {
            data.number(2, u64::from(CUMULATIVE));
        }
        if family.kind == Kind::Counter {
            data.number(3, 1);
        }
    });
}

fn point(message: &mut Message, point: &Point, since_ms: i64, now_ms: i64) {
    let labels = point.labels.iter().map(|(name, value)| (name.as_ref(), value.as_str()));
    message.fixed(2, nanos(since_ms)).fixed(3, nanos(now_ms));
    match &point.measure {
        Measure::Number(value) => {
            message.double_always(4, *value);
            texts(message, 7, labels);
        }
        Measure::Spread(spread) => {
            message
                .fixed(4, spread.count)
                .double_always(5, spread.sum)
                .packed(6, in_buckets(spread))
                .packed(7, spread.bounds.iter().map(|bound| bound.to_bits()));
            texts(message, 9, labels);
        }
    }
}

/// How many of what was sent the collector did not want, as its answer says.
pub fn rejected(answer: &[u8]) -> u64 {
    let Some(Field::Bytes(partial)) = field(answer, 1) else {
        return 0;
    };
    match field(partial, 1) {
        Some(Field::Number(count)) => count,
        _ => 0,
    }
}
