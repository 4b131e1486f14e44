//! What the collector is sent.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use super::encode::{self, Resource};
use super::export::Exporter;
use super::settings::{Protocol, Settings, Signal};
use super::trace::{Attribute, QUEUE_MAX, Span, Traces, trace_id};
use super::{protobuf, wire};
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
    let signal = |path: &str| Signal {
        url: stub.url(path).parse().expect("a URL"),
        protocol: Protocol::Json,
        headers: vec![("x-key".to_owned(), "hush".to_owned())],
        timeout: Duration::from_secs(2),
        gzip: false,
    };
    Exporter {
        settings: Settings {
            traces: Some(signal("/v1/traces")),
            metrics: Some(signal("/v1/metrics")),
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

/// Lets `exporter` send until `enough`, and ends it as a host does.
fn send_until(exporter: &Exporter, enough: impl FnOnce()) {
    let mut watched = Watched::new(&[("good", "1")]);
    watched.telemetry.clock = Arc::new(crate::io::clock::SystemClock::new());
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| exporter.run(&watched.telemetry));
        enough();
        watched.telemetry.over.end();
        thread.join().expect("no panic");
    });
}

#[test]
fn what_the_collector_refuses_for_good_is_not_sent_again_and_is_counted() {
    let stub = HttpStub::start();
    stub.on("POST", "/v1/traces").status(400);
    stub.on("POST", "/v1/metrics").status(404);
    let exporter = exporter(&stub);
    (0..3).for_each(|_| exporter.traces.put(span()));
    send_until(&exporter, || ());
    assert_eq!(stub.count("POST", "/v1/traces"), 1);
    assert_eq!(figure(&exporter, "host_otlp_dropped_spans_total"), 3.0);
    assert_eq!(figure(&exporter, "host_otlp_failed_requests_total"), 2.0);
    assert_eq!(figure(&exporter, "host_otlp_sent_spans_total"), 0.0);
}

#[test]
fn what_the_collector_takes_but_does_not_want_is_counted_as_left_out() {
    for (answer, kind) in [
        (
            br#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"no"}}"#.to_vec(),
            "application/json",
        ),
        (
            vec![0x0a, 0x06, 0x08, 0x02, 0x12, 0x02, b'n', b'o'],
            "application/x-protobuf",
        ),
    ] {
        let stub = HttpStub::start();
        stub.on("POST", "/v1/traces")
            .header("content-type", kind)
            .answer(200, answer);
        stub.on("POST", "/v1/metrics").status(200);
        let exporter = exporter(&stub);
        (0..5).for_each(|_| exporter.traces.put(span()));
        send_until(&exporter, || ());
        assert_eq!(figure(&exporter, "host_otlp_sent_spans_total"), 3.0, "{kind}");
        assert_eq!(figure(&exporter, "host_otlp_dropped_spans_total"), 2.0, "{kind}");
    }
}

#[test]
fn a_collector_that_asks_for_time_gets_it_and_what_waits_is_still_counted() {
    let stub = HttpStub::start();
    stub.on("POST", "/v1/traces").once().too_many(3);
    stub.on("POST", "/v1/traces").status(200);
    stub.on("POST", "/v1/metrics").status(200);
    let exporter = exporter(&stub);
    (0..600).for_each(|_| exporter.traces.put(span()));
    let clock = crate::io::clock::SystemClock::new();
    let began = clock.monotonic();
    send_until(&exporter, || {
        assert!(stub.wait_for_requests(1, Duration::from_secs(20)));
        clock.sleep(Duration::from_millis(300));
        assert_eq!(
            figure(&exporter, "host_otlp_queued_spans"),
            600.0,
            "those that are held wait, too"
        );
        assert!(stub.wait_for_requests(2, Duration::from_secs(20)));
        assert!(
            clock.monotonic() - began >= Duration::from_secs(3),
            "not before its time"
        );
    });
    assert_eq!(figure(&exporter, "host_otlp_sent_spans_total"), 600.0);
}

#[test]
fn a_collector_that_hangs_does_not_hang_the_end_of_the_host() {
    let stub = HttpStub::start();
    stub.on("POST", "/v1/traces").never();
    stub.on("POST", "/v1/metrics").never();
    let mut exporter = exporter(&stub);
    for signal in [&mut exporter.settings.traces, &mut exporter.settings.metrics] {
        signal.as_mut().expect("it is sent").timeout = Duration::from_secs(30);
    }
    exporter.traces.put(span());
    let clock = crate::io::clock::SystemClock::new();
    let began = clock.monotonic();
    send_until(&exporter, || ());
    let took = clock.monotonic() - began;
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn headers_and_packing_are_as_the_settings_say_and_both_encodings_say_the_same() {
    let stub = HttpStub::start();
    stub.on("POST", "/v1/traces").status(200);
    stub.on("POST", "/v1/metrics").status(200);
    let mut exporter = exporter(&stub);
    let traces = exporter.settings.traces.as_mut().expect("they are sent");
    (traces.protocol, traces.gzip) = (Protocol::Protobuf, true);
    let mut one = span();
    one.parent = Some([7; 8]);
    one.error = Some("HTTP_STATUS".to_owned());
    one.attributes = vec![("host.step", Attribute::Int(-3)), ("host.live", Attribute::Bool(false))];
    exporter.traces.put(one.clone());
    send_until(&exporter, || ());
    let request = stub
        .requests()
        .into_iter()
        .find(|request| request.path == "/v1/traces")
        .expect("sent");
    assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    assert_eq!(request.header("x-key"), Some("hush"));
    let mut body = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*request.body), &mut body).expect("gzip");
    assert_eq!(body, protobuf::traces(&resource(), &[one]));
    let inner = |bytes: &[u8], place: u64| match wire::field(bytes, place) {
        Some(wire::Field::Bytes(bytes)) => bytes.to_vec(),
        other => panic!("{place}: {other:?}"),
    };
    let shown = inner(&inner(&inner(&body, 1), 2), 2);
    assert_eq!(inner(&shown, 1), trace_id("req-1"));
    assert_eq!((inner(&shown, 2), inner(&shown, 4)), (vec![1; 8], vec![7; 8]));
    assert_eq!(inner(&shown, 7), 1_000_000_u64.to_le_bytes());
    assert_eq!(inner(&inner(&shown, 15), 2), b"HTTP_STATUS");
    assert_eq!(wire::field(&inner(&shown, 15), 3), Some(wire::Field::Number(2)));
    let step = inner(&inner(&shown, 9), 2);
    assert_eq!(wire::field(&step, 3), Some(wire::Field::Number(3_u64.wrapping_neg())));
}

#[test]
fn what_lies_in_the_store_counts_since_nobody_knows_when_and_the_rest_since_the_start() {
    let watched = Watched::new(&[("good", "metrics::increment(\"mine_total\")")]);
    watched.run("good");
    let families = watched.telemetry.families();
    let body = encode::metrics(&resource(), &families, 5, 9);
    let metrics = &body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"];
    let point = |name: &str| {
        let found = metrics
            .as_array()
            .expect("a list")
            .iter()
            .find(|metric| metric["name"] == name);
        found.expect("it is there")["sum"]["dataPoints"][0].clone()
    };
    assert_eq!(point("mine_total")["asDouble"], 1.0);
    assert!(point("mine_total")["startTimeUnixNano"].is_null());
    assert_eq!(point("host_runs_ended_total")["startTimeUnixNano"], "5000000");
    for one in &families {
        let mine = protobuf::metrics(&resource(), std::slice::from_ref(one), 5, 9);
        assert!(!mine.is_empty());
    }
}

#[test]
fn no_span_has_the_id_of_another_when_a_run_goes_on_after_its_end() {
    let flaky =
        "kv::put(\"a\", 1); if kv::get(\"ok\") == () { kv::get(\"b\"); file::read_text(\"inbox/none.txt\"); } 7";
    let watched = Watched::new(&[("flaky", flaky)]);
    watched.run("flaky");
    let run =
        crate::journal::RunRecord::latest(&*watched.host.ground.store, crate::id::RunId::from_bytes([0xFF; 16]), 1)
            .expect("readable")[0]
            .run;
    let edition = watched.telemetry.live.current();
    for _ in 0..2 {
        watched.host.clock.advance(Duration::from_secs(1));
        let how = crate::runs::Resume {
            by: "test".to_owned(),
            observer: Arc::new(crate::gate::Silent),
        };
        let taken = edition.runner.take_over(&edition.app.library, run, &how);
        let (handle, script) = taken.expect("it goes on");
        edition.runner.finish(&handle, &script).expect("it ends");
    }
    let spans = watched.traces.take(100);
    let ids: std::collections::BTreeSet<[u8; 8]> = spans.iter().map(|span| span.id).collect();
    assert_eq!(ids.len(), spans.len(), "{spans:#?}");
    assert_eq!(spans.iter().filter(|span| span.name == "run flaky").count(), 3);
    for span in &spans {
        assert_eq!(span.trace, trace_id(&run.to_string()));
        assert!(span.parent.is_none_or(|parent| ids.contains(&parent)), "{span:#?}");
    }
    assert_eq!(spans.iter().filter(|span| span.parent.is_none()).count(), 1);
}

#[test]
fn of_a_run_with_many_steps_those_that_start_runs_are_always_shown() {
    let many = "for i in 0..70 { kv::put(\"a\", i); } playbook::start(\"child\", #{})";
    let watched = Watched::new(&[("many", many), ("child", "1")]);
    watched.run("many");
    let spans = watched.traces.take(1000);
    assert_eq!(spans.iter().filter(|span| span.name == "kv.put").count(), 64);
    assert_eq!(spans.iter().filter(|span| span.name == "playbook.start").count(), 1);
}
