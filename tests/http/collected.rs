//! What a collector of OpenTelemetry that is not ours makes of what a host sends.
//!
//! The collector is rotel: the program that `ROTEL_AGENT` names, `rotel-agent` on the path, or the one in Python's package
//! `rotel`. Where there is none, that is said, and nothing is tested here; `otlp_tests` test the encodings all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use host::testing::HttpStub;
use tempfile::TempDir;

use crate::client::ask;
use crate::watched::Watched;

/// A collector at work, which writes what it gets to a file; killed when dropped.
struct Collector {
    child: Child,
    folder: TempDir,
    address: SocketAddr,
}

/// Where the program is.
fn program() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("ROTEL_AGENT") {
        return Some(path.into());
    }
    let on_path = std::env::var_os("PATH").into_iter().flat_map(|path| {
        let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        folders.into_iter().map(|folder| folder.join("rotel-agent"))
    });
    if let Some(found) = on_path.into_iter().find(|program| program.is_file()) {
        return Some(found);
    }
    let script = "import importlib.util, os; print(os.path.join(os.path.dirname(importlib.util.find_spec('rotel').origin), 'rotel-agent'))";
    let output = Command::new("python3").args(["-c", script]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    path.is_file().then_some(path)
}

fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

impl Collector {
    fn start() -> Option<Collector> {
        let Some(program) = program() else {
            eprintln!(
                "no collector is here: set ROTEL_AGENT, or `pip install rotel`; what one makes of traces is not tested"
            );
            return None;
        };
        let folder = TempDir::new().expect("a folder");
        let (address, other) = (free(), free());
        let file = std::fs::File::create(folder.path().join("out")).expect("a file");
        let child = Command::new(program)
            .args([
                "start",
                "--exporter",
                "blackhole",
                "--debug-log",
                "traces",
                "--debug-log",
                "metrics",
            ])
            .args(["--debug-log-verbosity", "detailed", "--batch-timeout", "50ms"])
            .args([
                "--otlp-http-endpoint",
                &address.to_string(),
                "--otlp-grpc-endpoint",
                &other.to_string(),
            ])
            .arg("--pid-file")
            .arg(folder.path().join("pid"))
            .stdin(Stdio::null())
            .stderr(file.try_clone().expect("a file"))
            .stdout(file)
            .spawn()
            .expect("it starts");
        let collector = Collector { child, folder, address };
        let until = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).is_err() {
            assert!(
                Instant::now() < until,
                "the collector does not come up: {}",
                collector.told()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(collector)
    }

    fn told(&self) -> String {
        let bytes = std::fs::read(self.folder.path().join("out")).expect("a file");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What it has got, once nothing more comes.
    fn got(&self) -> String {
        let mut last = self.told();
        loop {
            std::thread::sleep(Duration::from_millis(700));
            let now = self.told();
            if now == last {
                return now;
            }
            last = now;
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}

/// A span as the collector shows it.
#[derive(Debug, Default)]
struct Span {
    fields: BTreeMap<String, String>,
    attributes: BTreeMap<String, String>,
    events: usize,
}

impl Span {
    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// The spans in what the collector shows, and the attributes of those who sent them.
fn spans(text: &str) -> (Vec<Span>, BTreeMap<String, String>) {
    let (mut spans, mut resource) = (Vec::<Span>::new(), BTreeMap::new());
    let mut of_resource = false;
    for line in text.lines() {
        let words = line.trim();
        if words.starts_with("Resource attributes") {
            of_resource = true;
        } else if words.starts_with("ScopeSpans") || words.starts_with("ScopeMetrics") {
            of_resource = false;
        } else if words.starts_with("ResourceMetrics") {
            // What follows is another signal.
            of_resource = false;
        } else if words.starts_with("Span #") {
            spans.push(Span::default());
        } else if words.starts_with("SpanEvent #") || words.contains("attempt failed") {
            if let Some(span) = spans.last_mut() {
                span.events += usize::from(words.contains("attempt failed"));
            }
        } else if let Some((name, value)) = words.strip_prefix("-> ").and_then(|rest| rest.split_once(": ")) {
            let known = if of_resource {
                Some(&mut resource)
            } else {
                spans.last_mut().map(|span| &mut span.attributes)
            };
            if let Some(known) = known {
                known
                    .entry(name.trim().to_owned())
                    .or_insert_with(|| value.trim().to_owned());
            }
        } else if let (Some((name, value)), Some(span)) = (words.split_once(':'), spans.last_mut()) {
            let known = span.fields.entry(name.trim().to_owned());
            known.or_insert_with(|| value.trim().to_owned());
        }
    }
    (spans, resource)
}

const TRACED: &[(&str, &str)] = &[
    ("playbooks/child.rhai", "kv::put(\"b\", 2);"),
    (
        "playbooks/fails.rhai",
        "throw #{ code: \"NO_CLIP\", message: \"there is none\" };",
    ),
];

#[test]
fn a_collector_that_is_not_ours_gets_runs_as_traces_and_metrics_of_every_kind() {
    let Some(collector) = Collector::start() else { return };
    for protocol in ["http/protobuf", "http/json"] {
        collects(&collector, protocol);
    }
}

fn collects(collector: &Collector, protocol: &str) {
    let stub = HttpStub::start();
    stub.on("GET", "/flaky").once().status(503);
    stub.on("GET", "/flaky").status(200);
    let start = format!(
        "const PLAYBOOK = #{{ http: #{{ path: \"/start\" }} }};\nkv::put(\"a\", 1);\nhttp::get(\"{}\");\n\
         try {{ playbook::run(\"fails\", #{{}}) }} catch {{ }}\nplaybook::run(\"child\", #{{}})",
        stub.url("/flaky")
    );
    let settings = format!(
        "[http]\nhosts = [\"{}\"]\n[gate]\nbackoff_base = \"1ms\"\n",
        stub.host()
    );
    let files = [TRACED, &[("playbooks/start.rhai", start.as_str())]].concat();
    let endpoint = format!("http://{}", collector.address);
    let instance = format!(
        "service.instance.id={},deployment.environment=test",
        protocol.replace('/', "-")
    );
    let env = [
        ("DRY_RUN", "false"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_SERVICE_NAME", "shop"),
        ("OTEL_RESOURCE_ATTRIBUTES", instance.as_str()),
    ];
    let earlier = collector.got().len();
    let mut server = Watched::start(&settings, &files, &env);
    server.host(&["user", "add", "root", "--role", "admin", "--no-password", "--json"]);
    let token = server.host(&["token", "add", "root", "--scope", "admin", "--json"]);
    let token: serde_json::Value =
        serde_json::from_str(token.trim()).unwrap_or_else(|error| panic!("{error}: {token}"));
    let bearer = format!("Bearer {}", token["token"].as_str().expect("a token"));
    let corr = format!("trace-{}", protocol.len());
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("x-correlation-id", corr.as_str()),
    ];
    let started = ask(server.address, "POST", "/start", &headers, "{}");
    assert!([200, 202].contains(&started.status), "{started:?}");
    server.wait("the run's end", || {
        server.log().contains("playbook=start") && server.log().matches(" succeeded ").count() >= 2
    });
    server.stop();
    // A command without a server sends what it did itself.
    let ran = server.host(&["run", "child"]);
    assert!(ran.contains("succeeded"), "{ran}");
    let got = collector.got()[earlier..].to_owned();
    let (spans, resource) = spans(&got);
    assert_eq!(resource["service.name"], "Str(shop)", "{resource:?}");
    assert_eq!(resource["deployment.environment"], "Str(test)");

    let with_corr = format!("Str({corr})");
    let roots: Vec<&Span> = spans
        .iter()
        .filter(|span| span.attributes.get("host.corr") == Some(&with_corr))
        .collect();
    assert_eq!(roots.len(), 3, "start, child and fails: {spans:#?}");
    let trace = roots[0].field("Trace ID");
    assert!(trace.len() == 32 && trace.bytes().any(|byte| byte != b'0'), "{trace}");
    let of_trace: Vec<&Span> = spans.iter().filter(|span| span.field("Trace ID") == trace).collect();
    let ids: BTreeSet<&str> = of_trace.iter().map(|span| span.field("ID")).collect();
    assert_eq!(ids.len(), of_trace.len(), "no id twice");
    let parents = of_trace.iter().map(|span| span.field("Parent ID"));
    let (without, with): (Vec<&str>, Vec<&str>) = parents.partition(|parent| parent.is_empty());
    assert_eq!(without.len(), 1, "one root");
    assert!(
        with.iter().all(|parent| ids.contains(parent)),
        "every parent is there: {of_trace:#?}"
    );
    let named = |name: &str| {
        let found = of_trace.iter().find(|span| span.field("Name") == name);
        *found.unwrap_or_else(|| panic!("no {name} in {of_trace:#?}"))
    };
    let get = named("http.get");
    assert_eq!(
        (get.field("Kind"), get.field("Parent ID")),
        ("SPAN_KIND_CLIENT", named("run start").field("ID"))
    );
    assert_eq!(
        (get.attributes["host.attempts"].as_str(), get.events),
        ("Int(2)", 1),
        "{get:#?}"
    );
    let fails = named("run fails");
    assert_eq!(fails.field("Status code"), "STATUS_CODE_ERROR", "{fails:#?}");
    assert_eq!(fails.field("Status message"), "NO_CLIP");
    assert_ne!(
        fails.field("Parent ID"),
        named("run start").field("ID"),
        "below the step that started it"
    );
    for span in &of_trace {
        let nanos = |name: &str| {
            span.field(name)
                .parse::<u64>()
                .unwrap_or_else(|error| panic!("{error}: {span:#?}"))
        };
        assert!(
            nanos("Start time") > 1_700_000_000_000_000_000 && nanos("Start time") <= nanos("End time"),
            "{span:#?}"
        );
    }
    let children = spans
        .iter()
        .filter(|span| span.field("Name") == "run child" && span.field("Trace ID") != trace);
    assert_eq!(children.count(), 1, "that of the command is a trace of its own");

    let kinds = [
        "host_runs_ended_total",
        "host_runs_at_work",
        "host_run_duration_seconds",
    ];
    for name in kinds {
        assert!(got.contains(name), "{name} in {got}");
    }
}
