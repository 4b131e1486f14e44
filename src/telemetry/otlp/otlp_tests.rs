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

/// What only the collector may see stays with it, whoever it points at.
#[test]
fn a_redirect_is_followed_by_nobody() {
    let stub = HttpStub::start();
    stub.on("POST", "/v1/traces").redirect(307, &stub.url("/elsewhere"));
    stub.on("POST", "/elsewhere").status(200);
    let exporter = exporter(&stub);
    exporter.traces.put(span());
    exporter.send_left(&crate::io::clock::SystemClock::new());
    assert_eq!(stub.count("POST", "/elsewhere"), 0);
    assert_eq!(figure(&exporter, "host_otlp_dropped_spans_total"), 1.0);
    assert_eq!(figure(&exporter, "host_otlp_sent_spans_total"), 0.0);
}

/// It had taken the spans, and got them four times more because it had said too much, or too slowly.
#[test]
fn a_collector_that_says_too_much_or_never_comes_to_an_end_has_taken_what_it_was_sent() {
    for is_slow in [false, true] {
        let stub = HttpStub::start();
        let script = stub.on("POST", "/v1/traces");
        match is_slow {
            false => script.endless(1 << 20),
            true => script.drip(1, Duration::from_millis(900), "x".repeat(100)),
        }
        let exporter = exporter(&stub);
        exporter.traces.put(span());
        exporter.send_left(&crate::io::clock::SystemClock::new());
        assert_eq!(figure(&exporter, "host_otlp_sent_spans_total"), 1.0, "slow: {is_slow}");
        assert_eq!(figure(&exporter, "host_otlp_failed_requests_total"), 0.0);
        assert_eq!(stub.count("POST", "/v1/traces"), 1);
    }
}

/// The fields of a message as its bytes have them, by the description of the format alone: number, `v` for a varint, `x` for
/// eight bytes, `b` for a length and bytes.
fn fields(mut bytes: &[u8]) -> Vec<String> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let (mut number, mut place) = (0_u64, 0);
        loop {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            number |= u64::from(byte & 0x7f) << place;
            place += 7;
            if byte < 0x80 {
                return number;
            }
        }
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let (number, wire) = (tag >> 3, tag & 7);
        let value = match wire {
            0 => format!("v{}", varint(&mut bytes)),
            1 | 2 => {
                let length = if wire == 1 { 8 } else { varint(&mut bytes) as usize };
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                format!("{}{}", if wire == 1 { "x" } else { "b" }, hex::encode(value))
            }
            other => panic!("wire type {other}"),
        };
        found.push(format!("{number}{value}"));
    }
    found
}

/// The content of the field with this number, which is there once.
fn within(message: &[u8], number: u64) -> Vec<u8> {
    let start = format!("{number}b");
    let found: Vec<String> = fields(message)
        .into_iter()
        .filter(|field| field.starts_with(&start))
        .collect();
    assert_eq!(found.len(), 1, "{number} in {:?}", fields(message));
    hex::decode(&found[0][start.len()..]).expect("digits")
}

fn fixed(number: u64) -> String {
    format!("x{}", hex::encode(number.to_le_bytes()))
}

fn double(number: f64) -> String {
    fixed(number.to_bits())
}

fn bytes(bytes: &[u8]) -> String {
    format!("b{}", hex::encode(bytes))
}

/// Field numbers and types as `opentelemetry/proto/trace/v1/trace.proto` and `common/v1/common.proto` have them.
#[test]
fn a_span_has_the_fields_that_the_protocol_has() {
    let one = Span {
        parent: Some([7; 8]),
        is_client: true,
        attributes: vec![
            ("text", Attribute::Text("t".to_owned())),
            ("bool", Attribute::Bool(true)),
            ("int", Attribute::Int(-3)),
            ("float", Attribute::Float(0.5)),
        ],
        events: vec![super::trace::Event {
            at_ms: 3,
            name: "e",
            attributes: vec![("n", Attribute::Int(1))],
        }],
        error: Some("CODE".to_owned()),
        ..span()
    };
    let scoped = within(&within(&protobuf::traces(&resource(), &[one]), 1), 2);
    let shown = within(&scoped, 2);
    let value = |name: &str, value: String| {
        let pair = [vec![10, name.len() as u8], name.as_bytes().to_vec()].concat();
        let value = hex::decode(value).expect("digits");
        format!("9{}", bytes(&[pair, vec![18, value.len() as u8], value].concat()))
    };
    let wanted = [
        format!("1{}", bytes(&trace_id("req-1"))),
        format!("2{}", bytes(&[1; 8])),
        format!("4{}", bytes(&[7; 8])),
        format!("5{}", bytes(b"run a")),
        "6v3".to_owned(),
        format!("7{}", fixed(1_000_000)),
        format!("8{}", fixed(2_000_000)),
        value("text", "0a0174".to_owned()),
        value("bool", "1001".to_owned()),
        value("int", "18fdffffffffffffffff01".to_owned()),
        value("float", "21000000000000e03f".to_owned()),
    ];
    let found = fields(&shown);
    assert_eq!(found[..wanted.len()], wanted);
    assert_eq!(found.len(), wanted.len() + 2);
    let event = fields(&within(&shown, 11));
    assert_eq!(
        event[..2],
        [format!("1{}", fixed(3_000_000)), format!("2{}", bytes(b"e"))]
    );
    assert!(event[2].starts_with("3b") && event.len() == 3, "{event:?}");
    assert_eq!(
        fields(&within(&shown, 15)),
        [format!("2{}", bytes(b"CODE")), "3v2".to_owned()]
    );
    let scope = fields(&within(&scoped, 1));
    assert_eq!(scope[0], format!("1{}", bytes(b"host")));
}

/// As `opentelemetry/proto/metrics/v1/metrics.proto` has them; and the same in JSON, whose whole numbers of 64 bits are texts.
#[test]
fn metrics_have_the_fields_that_the_protocol_has() {
    use crate::telemetry::family::{Family, Measure, Spread};
    let mut seconds = Family::histogram("seconds", "h");
    let mut spread = Spread::new(&[1.0, 2.0]);
    [0.5, 1.5, 1.5, 7.0].into_iter().for_each(|value| spread.observe(value));
    seconds.put([("a", "b")], Measure::Spread(spread));
    let mut kept = Family::counter("kept_total", "k").is(2.0);
    kept.is_kept = true;
    let families = [Family::gauge("level", "g").with([("a", "b")], 1.5), kept, seconds];
    let body = protobuf::metrics(&resource(), &families, 5, 9);
    let scoped = within(&within(&body, 1), 2);
    let metrics: Vec<Vec<u8>> = fields(&scoped)
        .iter()
        .filter_map(|field| field.strip_prefix("2b"))
        .map(|digits| hex::decode(digits).expect("digits"))
        .collect();
    let label = "0a016112030a0162";
    let (since, now) = (format!("2{}", fixed(5_000_000)), format!("3{}", fixed(9_000_000)));
    assert_eq!(
        fields(&metrics[0])[..2],
        [format!("1{}", bytes(b"level")), format!("2{}", bytes(b"g"))]
    );
    let gauge = within(&metrics[0], 5);
    assert_eq!(fields(&gauge).len(), 1);
    let wanted = [
        since.clone(),
        now.clone(),
        format!("4{}", double(1.5)),
        format!("7b{label}"),
    ];
    assert_eq!(fields(&within(&gauge, 1)), wanted);
    let sum = within(&metrics[1], 7);
    assert_eq!(fields(&sum)[1..], ["2v2".to_owned(), "3v1".to_owned()]);
    assert_eq!(fields(&within(&sum, 1)), [now.clone(), format!("4{}", double(2.0))]);
    let histogram = within(&metrics[2], 9);
    assert_eq!(fields(&histogram)[1..], ["2v2".to_owned()]);
    let packed = |numbers: &[u64]| {
        bytes(
            &numbers
                .iter()
                .flat_map(|number| number.to_le_bytes())
                .collect::<Vec<u8>>(),
        )
    };
    let wanted = [
        since,
        now,
        format!("4{}", fixed(4)),
        format!("5{}", double(10.5)),
        format!("6{}", packed(&[1, 2, 1])),
        format!("7{}", packed(&[1.0_f64.to_bits(), 2.0_f64.to_bits()])),
        format!("9b{label}"),
    ];
    assert_eq!(fields(&within(&histogram, 1)), wanted);
    let shown = encode::metrics(&resource(), &families, 5, 9);
    let shown = &shown["resourceMetrics"][0]["scopeMetrics"][0]["metrics"];
    assert_eq!(shown[1]["sum"]["aggregationTemporality"], 2);
    let point = &shown[2]["histogram"]["dataPoints"][0];
    assert_eq!((&point["count"], &point["sum"]), (&"4".into(), &10.5.into()));
    assert_eq!(point["bucketCounts"], serde_json::json!(["1", "2", "1"]));
    assert_eq!(point["timeUnixNano"], "9000000");
    let int = Span {
        attributes: vec![("n", Attribute::Int(i64::MAX))],
        ..span()
    };
    let shown = encode::traces(&resource(), &[int]).to_string();
    assert!(shown.contains(r#"{"intValue":"9223372036854775807"}"#), "{shown}");
}

#[test]
fn a_run_lies_below_the_step_that_started_it() {
    let watched = Watched::new(&[("many", "playbook::start(\"child\", #{})"), ("child", "1")]);
    watched.run("many");
    let open = crate::runs::recovery::unfinished(&watched.host.ground).expect("readable");
    let edition = watched.telemetry.live.current();
    for run in open {
        let how = crate::runs::Resume {
            by: "test".to_owned(),
            observer: Arc::new(crate::gate::Silent),
        };
        let taken = edition.runner.take_over(&edition.app.library, run, &how);
        let (handle, script) = taken.expect("it goes on");
        edition.runner.finish(&handle, &script).expect("it ends");
    }
    let spans = watched.traces.take(100);
    let named = |name: &str| spans.iter().find(|span| span.name == name).expect(name);
    assert_eq!(
        named("run child").parent,
        Some(named("playbook.start").id),
        "{spans:#?}"
    );
}

/// Tries are counted and pauses bounded, on a clock that the test moves.
#[test]
fn what_is_never_taken_is_given_up_after_five_tries_and_no_collector_has_itself_left_alone_for_a_day() {
    let stub = HttpStub::start();
    stub.on("POST", "/v1/traces").too_many(86_400);
    let mut exporter = exporter(&stub);
    exporter.settings.metrics = None;
    exporter.traces.put(span());
    let watched = Watched::new(&[("good", "1")]);
    let clock = crate::io::clock::SystemClock::new();
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| exporter.run(&watched.telemetry));
        let began = clock.monotonic();
        while figure(&exporter, "host_otlp_dropped_spans_total") == 0.0
            && clock.monotonic() - began < Duration::from_secs(30)
        {
            clock.sleep(Duration::from_millis(100));
            watched.host.clock.advance(Duration::from_secs(31));
        }
        watched.telemetry.over.end();
        thread.join().expect("no panic");
    });
    assert_eq!(stub.count("POST", "/v1/traces"), 5);
    assert_eq!(figure(&exporter, "host_otlp_dropped_spans_total"), 1.0);
    assert_eq!(figure(&exporter, "host_otlp_queued_spans"), 0.0);
}
