//! What is watched from outside: figures for Prometheus, and the operators' page.

use std::borrow::Cow;

use serde_json::Value;

use crate::http::answer::{Answer, Refusal};
use crate::http::figures::{BUCKETS_US, Figures};
use crate::http::hooks::tally::{Fate, Tally};
use crate::http::request::Request;
use crate::http::routes::{Gives, Group, Route};
use crate::http::server::Server;
use crate::telemetry::family::{Family, Measure, Spread};
use crate::telemetry::{self, board, text};

pub const GROUP: Group = Group {
    name: "telemetry",
    says: "How the server is, for Prometheus and for people.",
    routes: ROUTES,
    schemas,
};

const ROUTES: &[Route] = &[
    Route {
        says: "Every figure of the server, in Prometheus' text format.",
        gives: Gives::Bytes("text/plain"),
        ..Route::get("/metrics", "metrics", metrics)
    },
    Route {
        says: "How the server is, on one page without scripts.",
        gives: Gives::Bytes("text/html"),
        ..Route::get("/admin/monitor", "monitor", monitor)
    },
];

fn schemas() -> Vec<(&'static str, Value)> {
    Vec::new()
}

fn metrics(server: &Server, _: &Request) -> Result<Answer, Refusal> {
    let Some(telemetry) = &server.telemetry else {
        return Err(Refusal::not_found("this server counts nothing"));
    };
    Ok(Answer::bytes(text::MEDIA_TYPE, telemetry::page(telemetry)).header("cache-control", "no-store"))
}

fn monitor(server: &Server, _: &Request) -> Result<Answer, Refusal> {
    let Some(telemetry) = &server.telemetry else {
        return Err(Refusal::not_found("this server has no page"));
    };
    let page = Answer::html(board::page(telemetry));
    Ok(page
        .header("cache-control", "no-store")
        .header("content-security-policy", &board::policy()))
}

/// What `server` has answered.
pub fn families(server: &Server) -> Vec<Family> {
    let tally = server.doors.as_ref().and_then(|doors| doors.deliveries());
    let waiting = server.pool.waiting() + server.playbooks.waiting();
    families_of(&server.figures, tally, server.streams(), waiting)
}

/// The families of what was answered and delivered, with so many streams and so many requests that wait.
pub fn families_of(figures: &Figures, tally: Option<&Tally>, streams: usize, waiting: usize) -> Vec<Family> {
    let mut answered = Family::counter(
        "host_http_requests_total",
        "Requests that were answered, by route and status.",
    );
    let mut took = Family::histogram(
        "host_http_request_duration_seconds",
        "How long answers took, by route and status.",
    );
    let bounds: Vec<f64> = BUCKETS_US.iter().map(|micros| *micros as f64 / 1e6).collect();
    for (route, status, figures) in figures.all() {
        let status = status.to_string();
        let labels = [("route", &*route), ("status", status.as_str())];
        answered.add(labels, figures.count as f64);
        // There each bucket counts for itself.
        let mut sum = 0;
        let within = figures.buckets.iter().map(|count| {
            sum += count;
            sum
        });
        let spread = Spread {
            within: within.collect(),
            bounds: Cow::Owned(bounds.clone()),
            sum: figures.sum_us as f64 / 1e6,
            count: figures.count,
        };
        took.put(labels, Measure::Spread(spread));
    }
    let mut hooks = Family::counter(
        "host_webhooks_total",
        "What services sent to webhooks, by playbook and what became of it.",
    );
    for (playbook, counts) in tally.map(Tally::all).unwrap_or_default() {
        for (fate, count) in Fate::ALL.iter().zip(counts) {
            hooks.add([("playbook", playbook.as_str()), ("fate", fate.as_str())], count as f64);
        }
    }
    vec![
        hooks,
        answered,
        took,
        Family::gauge("host_http_connections", "Connections that are open.").is(figures.connections() as f64),
        Family::gauge("host_http_streams", "Streams of events that are open.").is(streams as f64),
        Family::gauge("host_http_waiting_requests", "Requests that wait for a thread.").is(waiting as f64),
        Family::counter(
            "host_http_refused_connections_total",
            "Connections that found all places taken.",
        )
        .is(figures.turned_away_count() as f64),
    ]
}
