//! What `/metrics` answers, read strictly and by Prometheus' own tool.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests start promtool, where there is one"
)]

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::figures::Figures;
use super::lookout::Eyes;
use super::otlp::Traces;
use super::strict::{self, Page};
use super::{Telemetry, page};
use crate::app::App;
use crate::gate::Silent;
use crate::id::IncidentId;
use crate::runs::Order;
use crate::runs::conductor::{Crew, Shift};
use crate::serve::status::{Board, Status};
use crate::serve::{Edition, Live};
use crate::store::keys::{self, MetricRow};
use crate::store::queue::{self, Wanted};
use crate::store::ticks::Fate;
use crate::store::{Batch, Durability, Realm, Tx};
use crate::testing::TestHost;
use crate::triggers::Fated;
use crate::value::Value;

pub(super) struct Watched {
    pub host: TestHost,
    pub telemetry: Telemetry,
    pub traces: Arc<Traces>,
}

impl Watched {
    pub(super) fn new(playbooks: &[(&str, &str)]) -> Watched {
        Watched::with(playbooks, "")
    }

    pub(super) fn with(playbooks: &[(&str, &str)], settings: &str) -> Watched {
        Watched::with_env(playbooks, settings, "")
    }

    pub(super) fn with_env(playbooks: &[(&str, &str)], settings: &str, env: &str) -> Watched {
        let host = TestHost::default()
            .file("host.toml", settings)
            .file(".env", env)
            .file("data/store.redb", "");
        let host = playbooks.iter().fold(host, |host, (name, script)| {
            host.file(&format!("playbooks/{name}.rhai"), script)
        });
        let app = Arc::new(App::new(&host.folder()).expect("a host"));
        let (mut edition, broken) = Edition::load(app, &host.ground, None).expect("an edition");
        assert!(broken.is_empty(), "{broken:?}");
        edition.runner = host.runner();
        let figures: Arc<Figures> = Arc::default();
        let traces: Arc<Traces> = Arc::default();
        let eyes = Eyes {
            figures: figures.clone(),
            traces: Some(traces.clone()),
        };
        edition.runner.gate.lookout.get_or_init(|| Arc::new(eyes));
        let (ready, library) = (edition.runner.gate.ready.clone(), edition.app.library.clone());
        let runner = edition.runner.clone();
        let shift = move || Shift {
            runner: runner.clone(),
            library: library.clone(),
        };
        let board = Arc::new(Board::new(host.ground.store.clone(), Status::default()));
        let crew = Arc::new(Crew::new(0, ready, shift));
        let live = Arc::new(Live::new(edition));
        let mut telemetry = Telemetry::new(live, board, crew, Arc::default(), figures, None);
        telemetry.clock = host.clock.clone();
        telemetry.make_known();
        Watched {
            host,
            telemetry,
            traces,
        }
    }

    pub(super) fn run(&self, playbook: &str) {
        let edition = self.telemetry.live.current();
        let order = Order {
            script: edition.app.library.playbook(playbook).expect("it compiles"),
            input: Value::Map(Default::default()),
            mode: self.host.mode.clone(),
            trigger: "test".to_owned(),
            by: None,
            retry_of: None,
            corr: None,
            observer: Arc::new(Silent),
        };
        edition.runner.run(&order).expect("the store takes it");
    }

    pub(super) fn page(&self) -> Page {
        strict::read(&page(&self.telemetry))
    }
}

#[track_caller]
fn shows(page: &Page, sample: &str, value: f64) {
    assert_eq!(
        page.samples.get(sample),
        Some(&value),
        "{sample} in {:#?}",
        page.samples
    );
}

#[test]
fn runs_effects_ticks_and_queues_are_counted() {
    let watched = Watched::new(&[
        ("good", "kv::put(\"a\", 1); kv::get(\"a\")"),
        ("bad", "kv::put(\"a\", 1); throw \"no\""),
        ("idle", "1"),
    ]);
    shows(
        &watched.page(),
        "host_runs_ended_total{playbook=\"good\",outcome=\"succeeded\"}",
        0.0,
    );
    watched.run("good");
    watched.run("good");
    watched.run("bad");
    let fated = |fate, late_ms, count| Fated { fate, late_ms, count };
    let fates = [fated(Fate::Ran, Some(1_500), 1), fated(Fate::Skipped, None, 40)];
    watched.telemetry.figures.fated(&fates);
    let now_ms = crate::io::clock::Clock::unix_ms(&*watched.host.clock);
    let mut tx = Tx::new(&watched.host.ground, Realm::Dry, now_ms);
    queue::push(&mut tx, "work", &Value::Int(1), &Wanted::default()).expect("there is room");
    let later = Wanted {
        delay_ms: 60_000,
        ..Wanted::default()
    };
    queue::push(&mut tx, "later", &Value::Int(1), &later).expect("there is room");
    watched
        .host
        .ground
        .store
        .commit(tx.batch, Durability::Soon)
        .expect("nobody else is here");
    let page = watched.page();
    shows(
        &page,
        "host_runs_ended_total{playbook=\"good\",outcome=\"succeeded\"}",
        2.0,
    );
    shows(&page, "host_runs_ended_total{playbook=\"bad\",outcome=\"failed\"}", 1.0);
    shows(
        &page,
        "host_runs_ended_total{playbook=\"idle\",outcome=\"failed\"}",
        0.0,
    );
    shows(&page, "host_run_duration_seconds_count{playbook=\"good\"}", 2.0);
    shows(
        &page,
        "host_effects_total{provider=\"kv\",class=\"local\",outcome=\"ok\"}",
        5.0,
    );
    shows(&page, "host_ticks_total{fate=\"ran\"}", 1.0);
    shows(&page, "host_ticks_total{fate=\"skipped\"}", 40.0);
    shows(&page, "host_tick_lateness_seconds_bucket{le=\"1\"}", 0.0);
    shows(&page, "host_tick_lateness_seconds_bucket{le=\"5\"}", 1.0);
    shows(&page, "host_queue_ready_jobs{queue=\"work\"}", 1.0);
    shows(&page, "host_queue_dead_jobs{queue=\"work\"}", 0.0);
    shows(&page, "host_queue_ready_jobs{queue=\"later\"}", 0.0);
    shows(&page, "host_queue_later_jobs{queue=\"later\"}", 1.0);
    shows(&page, "host_circuit_open{provider=\"slack\"}", 0.0);
}

const DECLARES: &str = r#"const PLAYBOOK = #{ metrics: #{
    vod_clips: #{ type: "counter", help: "Clips \\ that\nwere cut.", labels: #{ outcome: ["failed", "ok"] } },
    vod_queue_depth: #{ type: "gauge", help: "Videos that wait." },
    vod_download_duration_seconds: #{ type: "histogram", help: "Downloads.", buckets: [60, 3600] },
    vod_posts_total: #{ type: "counter", help: "Posts.", labels: ["platform"] },
} };
metrics::increment("vod_clips", #{ outcome: "ok" });
metrics::observe("vod_download_duration_seconds", 100);
metrics::set("undeclared", 7);
"#;

#[test]
fn declared_metrics_are_there_at_0_before_anything_is_recorded_and_then_with_what_is() {
    let watched = Watched::new(&[("vod", DECLARES)]);
    let page = watched.page();
    shows(&page, "vod_clips_total{outcome=\"ok\"}", 0.0);
    shows(&page, "vod_clips_total{outcome=\"failed\"}", 0.0);
    shows(&page, "vod_queue_depth", 0.0);
    shows(&page, "vod_download_duration_seconds_bucket{le=\"3600\"}", 0.0);
    assert_eq!(page.kinds["vod_posts_total"], "counter");
    watched.run("vod");
    let page = watched.page();
    shows(&page, "vod_clips_total{outcome=\"ok\"}", 1.0);
    shows(&page, "vod_clips_total{outcome=\"failed\"}", 0.0);
    shows(&page, "vod_download_duration_seconds_bucket{le=\"60\"}", 0.0);
    shows(&page, "vod_download_duration_seconds_bucket{le=\"3600\"}", 1.0);
    shows(&page, "vod_download_duration_seconds_sum", 100.0);
    shows(&page, "undeclared", 7.0);
}

/// A 0 in the place of what could not be read was taken for recovered by monitors, and for a restart by whoever adds up.
#[test]
fn what_cannot_be_read_is_left_out_and_never_at_0() {
    let watched = Watched::new(&[("vod", DECLARES)]);
    watched.run("vod");
    let put = |key: Vec<u8>| {
        let mut batch = Batch::new();
        batch.put(key, b"\xc1".to_vec());
        let store = &watched.host.ground.store;
        store.commit(batch, Durability::Now).expect("the store works");
    };
    let has = |page: &Page, name: &str| page.samples.keys().any(|sample| sample.starts_with(name));
    let page = watched.page();
    shows(&page, "host_store_readable", 1.0);
    shows(&page, "host_incidents_open", 0.0);
    put(keys::incident(IncidentId::from_bytes([1; 16])));
    watched.host.clock.advance(std::time::Duration::from_secs(3600));
    let page = watched.page();
    shows(&page, "host_store_readable", 0.0);
    assert!(!has(&page, "host_incidents_open"), "{page:#?}");
    shows(&page, "host_questions_open", 0.0);
    shows(&page, "vod_clips_total{outcome=\"ok\"}", 1.0);
    let watched = Watched::new(&[("vod", DECLARES)]);
    watched.run("vod");
    let mut batch = Batch::new();
    let series = MetricRow::Series("{}".to_owned());
    batch.put(keys::metric(Realm::Dry, "vod_queue_depth", &series), b"\xc1".to_vec());
    let store = &watched.host.ground.store;
    store.commit(batch, Durability::Now).expect("the store works");
    let page = watched.page();
    shows(&page, "host_store_readable", 0.0);
    assert!(!has(&page, "vod_") && !has(&page, "host_saves"), "{page:#?}");
}

/// Asks promtool what it says of `text`; `None` where there is none.
fn promtool(arguments: &[&str], text: &str) -> Option<(bool, String)> {
    let started = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut tool = started.ok()?;
    tool.stdin
        .take()
        .expect("it is piped")
        .write_all(text.as_bytes())
        .expect("it reads");
    let said = tool.wait_with_output().expect("it ends");
    let words = [said.stdout, said.stderr].concat();
    Some((said.status.success(), String::from_utf8_lossy(&words).into_owned()))
}

#[test]
fn prometheus_own_tool_finds_nothing_wrong_with_the_page() {
    let watched = Watched::new(&[("vod", DECLARES)]);
    watched.run("vod");
    let text = page(&watched.telemetry);
    strict::read(&text);
    let Some((is_good, said)) = promtool(&["check", "metrics"], &text) else {
        eprintln!(
            "promtool is not here (Debian's package `prometheus` has it): the page is read by our own reader alone"
        );
        return;
    };
    assert!(is_good && said.is_empty(), "{said}");
    let (is_good, _) = promtool(&["check", "metrics"], &text.replace("_total", "")).expect("it was there");
    assert!(!is_good, "it finds what is wrong");
}

/// The names of the host's metrics in `text`, without the parts of histograms.
fn names_in(text: &str) -> std::collections::BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let own = words.filter(|word| word.starts_with("host_") || word.starts_with("process_"));
    let bare = own.map(|word| {
        let parts = ["_bucket", "_sum", "_count"];
        parts.iter().find_map(|part| word.strip_suffix(part)).unwrap_or(word)
    });
    bare.filter(|word| !word.ends_with('_')).map(str::to_owned).collect()
}

#[test]
fn board_alerts_and_docs_speak_of_metrics_that_there_are() {
    let mut watched = Watched::new(&[("get", "try { http::get(\"http://127.0.0.1:9/\") } catch {}")]);
    watched.run("get");
    watched.telemetry.beat.heard(1);
    watched.telemetry.exporter = Some(super::otlp::Exporter {
        settings: super::otlp::Settings {
            traces: None,
            metrics: None,
            metrics_every: std::time::Duration::from_secs(60),
            resource: super::otlp::encode::Resource {
                service: "host".to_owned(),
                instance: "test".to_owned(),
                more: Vec::new(),
            },
        },
        traces: watched.traces.clone(),
        sent: Arc::default(),
    });
    let answered = crate::http::figures::Figures::default();
    for took_ms in [0, 3, 7, 60_000] {
        answered.answered(&Arc::from("runs.list"), 200, std::time::Duration::from_millis(took_ms));
    }
    let of_http = move || crate::http::api::telemetry::families_of(&answered, None, 0, 0);
    watched.telemetry.beside.get_or_init(|| Box::new(of_http));
    let kinds = watched.page().kinds;
    let board = include_str!("../../examples/telemetry/grafana-board.json");
    serde_json::from_str::<serde_json::Value>(board).expect("the board is JSON");
    let alerts = include_str!("../../examples/telemetry/alert-rules.yml");
    let docs = include_str!("../../docs/telemetry.md");
    for (of, text) in [("board", board), ("alerts", alerts), ("docs", docs)] {
        let names = names_in(text);
        assert!(names.len() > 10, "{of}: {names:?}");
        for name in names {
            assert!(kinds.contains_key(&name), "{of} speaks of {name}, which is not there");
        }
    }
    for name in kinds.keys().filter(|name| name.starts_with("host_")) {
        assert!(
            names_in(docs).contains(name),
            "docs/telemetry.md does not speak of {name}"
        );
    }
    for text in [
        include_str!("../../RUNBOOK.md"),
        include_str!("../../examples/telemetry/alert-rules.test.yml"),
    ] {
        for name in names_in(text) {
            assert!(kinds.contains_key(&name), "{name} is not there");
        }
    }
    if let Some((is_good, said)) = promtool(&["check", "rules", "/dev/stdin"], alerts) {
        assert!(is_good, "{said}");
    }
}

#[test]
fn alerts_fire_when_they_should_and_what_each_means_is_written_down() {
    let alerts = include_str!("../../examples/telemetry/alert-rules.yml");
    let explained = include_str!("../../RUNBOOK.md");
    let names: Vec<&str> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(
            explained.contains(&format!("\n### {name}\n")),
            "RUNBOOK.md does not tell what {name} means"
        );
    }
    let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/telemetry/alert-rules.test.yml");
    match promtool(&["test", "rules", tests], "") {
        Some((is_good, said)) => assert!(is_good, "{said}"),
        None => eprintln!("promtool is not here (Debian's package `prometheus` has it): alerts are not tried out"),
    }
}

/// Prints how long a page with a thousand playbooks takes; run it with `--release` for the figure that counts.
#[test]
fn a_page_with_a_thousand_playbooks_is_small_and_quick() {
    let names: Vec<String> = (0..1000).map(|number| format!("playbook{number:04}")).collect();
    let playbooks: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let watched = Watched::new(&playbooks);
    for name in &names {
        watched.run(name);
    }
    let clock = crate::io::clock::SystemClock::new();
    let now = || crate::io::clock::Clock::monotonic(&clock);
    let mut best = std::time::Duration::MAX;
    let mut text = String::new();
    for _ in 0..5 {
        let began = now();
        text = page(&watched.telemetry);
        best = best.min(now() - began);
    }
    println!("{} bytes in {best:?}", text.len());
    assert!(text.len() < 2_000_000, "{} bytes", text.len());
    assert_eq!(
        strict::read(&text).samples["host_run_duration_seconds_count{playbook=\"playbook0999\"}"],
        1.0
    );
    // Unoptimised, on a busy machine.
    assert!(best < std::time::Duration::from_millis(400), "{best:?}");
}

#[test]
fn simulated_effects_and_runs_that_wait_are_told_apart() {
    let watched = Watched::new(&[
        ("waits", "run::sleep(\"2h\")"),
        ("gets", "http::get(\"http://127.0.0.1:9/x\")"),
    ]);
    watched.run("waits");
    watched.run("gets");
    let page = watched.page();
    shows(&page, "host_run_suspensions_total", 1.0);
    shows(&page, "host_runs_waiting", 1.0);
    let of_http =
        |outcome: &str| format!("host_effects_total{{provider=\"http\",class=\"read\",outcome=\"{outcome}\"}}");
    shows(&page, &of_http("simulated"), 1.0);
    shows(&page, &of_http("ok"), 0.0);
    let has = |name: &str| page.samples.keys().any(|sample| sample.starts_with(name));
    assert!(!has("host_effect_attempts_total{provider=\"http\""));
    assert!(!has("host_effect_duration_seconds_count{provider=\"http\""));
}

#[test]
fn what_is_noted_under_a_name_of_the_hosts_stands_on_no_page() {
    let watched = Watched::new(&[]);
    let mut tx = Tx::new(&watched.host.ground, Realm::Dry, 0);
    let none = crate::store::metrics::Labels::new();
    crate::store::metrics::note(&mut tx, "host_forged", &none, &crate::store::metrics::Note::Set(1.0))
        .expect("an older host took it");
    watched
        .host
        .ground
        .store
        .commit(tx.batch, Durability::Soon)
        .expect("nobody else is here");
    assert!(!watched.page().samples.contains_key("host_forged"));
}

#[test]
fn a_loop_that_does_not_turn_an_open_circuit_and_a_server_that_stops_are_not_ready() {
    let watched = Watched::new(&[]);
    let found = || -> Vec<&str> { watched.telemetry.hindrances().iter().map(|one| one.what).collect() };
    let now = || crate::io::clock::Clock::monotonic(&*watched.host.clock);
    watched.telemetry.beat.at(now());
    assert!(found().is_empty());
    watched.host.clock.advance(std::time::Duration::from_secs(61));
    assert_eq!(found(), ["loop"]);
    watched.telemetry.beat.at(now());
    let open = crate::gate::circuit::Circuit {
        failures: 5,
        open_until_ms: i64::MAX,
        probe_until_ms: 0,
    };
    let mut batch = Batch::new();
    let row = rmp_serde::to_vec_named(&open).expect("it is plain data");
    batch.put(crate::gate::circuit::key("slack"), row);
    watched
        .host
        .ground
        .store
        .commit(batch, Durability::Soon)
        .expect("nobody else is here");
    assert_eq!(found(), ["circuit"]);
    watched.telemetry.crew.close();
    assert_eq!(found(), ["stopping", "circuit"]);
}
