//! What the collector is sent.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use super::encode::{self, Resource};
use super::export::{Exporter, Settings};
use super::trace::{QUEUE_MAX, Span, Traces, trace_id};
use crate::io::clock::Clock;
use crate::telemetry::gather_tests::Watched;
use crate::testing::HttpStub;

fn resource() -> Resource {
    Resource {
        service: "host".to_owned(),
        instance: "shop".to_owned(),
        more: vec![("deployment.environment".to_owned(), "test".to_owned())],
    }
}

fn span() -> Span {
    Span {
        trace: trace_id("req-1"),
        id: [1; 8],
        parent: None,
        name: "run a".to_owned(),
        is_client: false,
        begun_ms: 1,
        ended_ms: 2,
        attributes: Vec::new(),
        events: Vec::new(),
        error: None,
    }
}

#[test]
fn a_run_is_a_trace_and_its_effects_are_spans_below_it_and_so_are_runs_that_it_starts() {
    let watched = Watched::new(&[
        (
            "parent",
            "kv::put(\"a\", 1); try { http::get(\"http://127.0.0.1:9/x\") } catch { } playbook::run(\"child\", #{})",
        ),
        ("child", "throw \"no\""),
    ]);
    watched.run("parent");
    let open = crate::runs::recovery::unfinished(&watched.host.ground).expect("readable");
    watched.host.clock.advance(Duration::from_secs(1));
    let edition = watched.telemetry.live.current();
    for run in open {
        let how = crate::runs::Resume {
            by: "test".to_owned(),
            observer: Arc::new(crate::gate::Silent),
        };
        let (handle, script) = edition
            .runner
            .take_over(&edition.app.library, run, &how)
            .expect("it goes on");
        edition.runner.finish(&handle, &script).expect("it ends");
    }
    let body = encode::traces(&resource(), &watched.traces.take(100));
    let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"]
        .as_array()
        .expect("spans")
        .clone();
    let named = |name: &str| {
        let found = spans.iter().find(|span| span["name"] == name);
        found.unwrap_or_else(|| panic!("no span {name} in {spans:#?}")).clone()
    };
    let child = named("run child");
    assert_eq!(child["status"]["code"], 2);
    let put = named("kv.put");
    let get = named("http.get");
    assert_eq!((&put["kind"], &get["kind"]), (&1.into(), &3.into()));
    assert_eq!(put["parentSpanId"], get["parentSpanId"]);
    assert_eq!(
        child["traceId"], put["traceId"],
        "one trace for all that belongs together"
    );
    assert_ne!(
        child["parentSpanId"], put["parentSpanId"],
        "below the step that started it"
    );
    for span in &spans {
        assert_eq!(span["traceId"].as_str().map(str::len), Some(32));
        assert_eq!(span["spanId"].as_str().map(str::len), Some(16));
        let nanos = |key: &str| span[key].as_str().expect("a text").parse::<u64>().expect("a number");
        assert!(nanos("startTimeUnixNano") <= nanos("endTimeUnixNano"));
    }
}

#[test]
fn metrics_are_sent_with_each_bucket_for_itself() {
    let watched = Watched::new(&[("good", "1")]);
    watched.run("good");
    let body = encode::metrics(&resource(), &watched.telemetry.families(), 1, 2);
    let metrics = body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
        .as_array()
        .expect("metrics")
        .clone();
    let named = |name: &str| {
        metrics
            .iter()
            .find(|metric| metric["name"] == name)
            .expect("it is there")
            .clone()
    };
    let took = &named("host_run_duration_seconds")["histogram"]["dataPoints"][0];
    let counts: Vec<u64> = took["bucketCounts"]
        .as_array()
        .expect("counts")
        .iter()
        .map(|count| count.as_str().expect("a text").parse().expect("a number"))
        .collect();
    assert_eq!(counts.iter().sum::<u64>(), 1);
    assert_eq!(
        counts.len(),
        took["explicitBounds"].as_array().expect("bounds").len() + 1
    );
    let ended = named("host_runs_ended_total");
    assert_eq!(ended["sum"]["isMonotonic"], true);
}

fn exporter(stub: &HttpStub) -> Exporter {
    let url = |path: &str| stub.url(path).parse().expect("a URL");
    Exporter {
        settings: Settings {
            traces: url("/v1/traces"),
            metrics: url("/v1/metrics"),
            headers: vec![("x-key".to_owned(), "hush".to_owned())],
            timeout: Duration::from_secs(2),
            metrics_every: Duration::from_secs(3600),
            resource: resource(),
        },
        traces: Arc::default(),
        sent: Arc::default(),
    }
}

fn figure(exporter: &Exporter, name: &str) -> f64 {
    use crate::telemetry::family::Measure;
    let families = exporter.families();
    let family = families.iter().find(|family| family.name == name).expect("it is there");
    match family.points[0].measure {
        Measure::Number(value) => value,
        Measure::Spread(_) => panic!("{name} is a histogram"),
    }
}

#[test]
fn what_is_left_is_sent_when_the_host_ends_and_what_is_not_taken_now_is_sent_again() {
    let stub = HttpStub::start();
    stub.on("POST", "/v1/traces").once().status(503);
    stub.on("POST", "/v1/traces").status(200);
    stub.on("POST", "/v1/metrics").status(200);
    let mut watched = Watched::new(&[("good", "1")]);
    watched.telemetry.clock = Arc::new(crate::io::clock::SystemClock::new());
    let exporter = exporter(&stub);
    (0..600).for_each(|_| exporter.traces.put(span()));
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| exporter.run(&watched.telemetry));
        assert!(stub.wait_for_requests(2, Duration::from_secs(20)), "it is sent again");
        watched.telemetry.over.end();
        thread.join().expect("no panic");
    });
    let requests = stub.requests();
    let spans = |request: &crate::testing::http_stub::Recorded| {
        let body: Json = serde_json::from_slice(&request.body).expect("JSON");
        body["resourceSpans"][0]["scopeSpans"][0]["spans"]
            .as_array()
            .map_or(0, Vec::len)
    };
    let sent: Vec<usize> = requests
        .iter()
        .filter(|request| request.path == "/v1/traces")
        .map(spans)
        .collect();
    assert_eq!(sent, [512, 512, 88], "the first again, and the rest at the end");
    assert_eq!(figure(&exporter, "host_otlp_sent_spans_total"), 600.0);
    assert_eq!(figure(&exporter, "host_otlp_failed_requests_total"), 1.0);
    assert_eq!(figure(&exporter, "host_otlp_dropped_spans_total"), 0.0);
}

#[test]
fn a_full_queue_leaves_out_and_counts_and_never_waits() {
    let stub = HttpStub::start();
    let exporter = exporter(&stub);
    let clock = crate::io::clock::SystemClock::new();
    let began = clock.monotonic();
    (0..QUEUE_MAX + 7).for_each(|_| exporter.traces.put(span()));
    assert!(clock.monotonic() - began < Duration::from_secs(1));
    assert_eq!(figure(&exporter, "host_otlp_queued_spans"), QUEUE_MAX as f64);
    assert_eq!(figure(&exporter, "host_otlp_dropped_spans_total"), 7.0);
    let traces: &Traces = &exporter.traces;
    assert_eq!(traces.take(usize::MAX).len(), QUEUE_MAX);
}
