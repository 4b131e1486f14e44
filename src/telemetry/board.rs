//! `/admin/monitor`: how a server is, on one page. It brings everything along, runs no scripts, and asks again by itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minijinja::Environment;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::Telemetry;
use super::kept::Found;
use super::monitors::state::State;
use crate::duration::for_people;
use crate::gate::circuit::{self, Circuit};
use crate::gate::state;
use crate::id::RunId;
use crate::journal::{RunRecord, Status};
use crate::store::{Realm, Store, ticks};

/// What the page is, for whoever asks for it.
pub const MEDIA_TYPE: &str = "text/html; charset=utf-8";

const TEMPLATE: &str = include_str!("board.html");
const STYLE: &str = include_str!("board.css");

/// Rows of each table.
const ROWS_MAX: usize = 15;

/// How soon the page asks again.
const AGAIN_S: u32 = 15;

/// What the page may do, as the header `content-security-policy` says it: show its own style, and nothing else.
pub fn policy() -> String {
    let style = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The page as it is now.
pub fn page(telemetry: &Telemetry) -> String {
    let mut environment = Environment::new();
    // The name says that everything is escaped.
    let added = environment.add_template("board.html", TEMPLATE);
    added.expect("the template is checked by a test");
    let template = environment.get_template("board.html").expect("it was just added");
    let rendered = template.render(to_template(data(telemetry)));
    rendered.unwrap_or_else(|error| {
        tracing::error!(%error, "the page cannot be drawn");
        "<!doctype html><title>host</title><p>the page cannot be drawn; the log says why".to_owned()
    })
}

/// JSON as templates take it.
fn to_template(value: Json) -> minijinja::Value {
    match value {
        Json::Null => minijinja::Value::from(()),
        Json::Bool(truth) => truth.into(),
        Json::Number(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => number.as_f64().unwrap_or_default().into(),
        },
        Json::String(text) => text.into(),
        Json::Array(items) => items.into_iter().map(to_template).collect::<Vec<_>>().into(),
        Json::Object(fields) => {
            minijinja::Value::from_pairs(fields.into_iter().map(|(name, value)| (name, to_template(value))))
        }
    }
}

/// All that the page shows, as data.
pub fn data(telemetry: &Telemetry) -> Json {
    let edition = telemetry.live.current();
    let store = &*edition.runner.gate.ground.store;
    let status = telemetry.board.status();
    let now_ms = telemetry.clock.unix_ms();
    let realm = if status.live { Realm::Live } else { Realm::Dry };
    let found = telemetry.kept.found(store, realm, &*telemetry.clock);
    let hindrances = telemetry.hindrances();
    let project = edition
        .app
        .config
        .root
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let process = crate::io::process::look();
    let lines: Vec<Json> = telemetry
        .lines()
        .into_iter()
        .map(|(name, line)| {
            json!({
                "name": name, "text": line.text, "level": line.level.as_str(), "playbook": line.playbook,
                "said": ago(line.at_ms, now_ms), "unready": line.ready == Some(false),
            })
        })
        .collect();
    let queues: Vec<Json> = found
        .queues
        .iter()
        .map(|(name, jobs)| {
            json!({
                "name": name, "ready": jobs.ready, "later": jobs.later, "held": jobs.held, "dead": jobs.dead,
                "oldest": if jobs.waits_ms > 0 { for_people(jobs.waits_ms) } else { String::new() },
            })
        })
        .collect();
    let problems = status.problems.iter().rev();
    json!({
        "style": STYLE,
        "again_s": AGAIN_S,
        "project": project,
        "version": env!("CARGO_PKG_VERSION"),
        "live": status.live,
        "ready": hindrances.is_empty(),
        "hindrances": hindrances,
        "since": ago(status.since_ms, now_ms),
        "edition": status.edition,
        "playbooks": status.playbooks,
        "memory": process.resident_bytes.map(|bytes| format!("{:.1} MB", bytes as f64 / 1e6)),
        "now": moment(now_ms),
        "tiles": [
            tile("at work", Some(telemetry.crew.at_work() as u64), ""),
            tile("queued", Some(telemetry.crew.waiting() as u64), ""),
            tile("waiting", found.suspended, ""),
            tile("questions", found.questions, "warn"),
            tile("in doubt", found.in_doubt, "bad"),
            tile("open incidents", found.open_incidents, "bad"),
        ],
        "alarms": status.alarms.iter().map(|alarm| json!({ "what": alarm.what, "since": ago(alarm.since_ms, now_ms) })).collect::<Vec<_>>(),
        "problems": problems.map(|problem| json!({ "what": problem.what, "message": problem.message, "at": ago(problem.at_ms, now_ms) })).collect::<Vec<_>>(),
        "lines": lines,
        "hours": hours(&found),
        "monitors": monitors(&edition.app.config.file.monitors, store, now_ms),
        "queues": queues,
        "circuits": circuits(&edition.app.providers.iter().map(|spec| spec.name.clone()).collect::<Vec<_>>(), store, now_ms),
        "runs": runs(store, now_ms),
        "next": next(store, now_ms),
    })
}

/// A figure, which is loud only when there is something to be loud about; `None` for one that cannot be read.
fn tile(name: &str, value: Option<u64>, loud: &str) -> Json {
    let level = if value == Some(0) { "" } else { loud };
    json!({ "name": name, "value": value.map_or(Json::from("?"), Json::from), "level": level })
}

/// The bars of the last 24 hours, in parts of the highest.
fn hours(found: &Found) -> Json {
    const HEIGHT: u64 = 60;
    let most = found
        .hours
        .iter()
        .map(|hour| hour[0] + hour[1])
        .max()
        .unwrap_or(0)
        .max(1);
    let bars = found.hours.iter().enumerate().map(|(at, [good, bad])| {
        // What there is can be seen, however little it is.
        let high = |count: u64| if count == 0 { 0 } else { (count * HEIGHT / most).max(2) };
        let (good_high, bad_high) = (high(*good), high(*bad));
        json!({
            "x": at * 10, "good": good, "bad": bad, "ago": 23 - at,
            "good_y": HEIGHT - good_high.min(HEIGHT), "good_high": good_high,
            "bad_y": HEIGHT.saturating_sub(good_high + bad_high), "bad_high": bad_high,
        })
    });
    let (good, bad) = found
        .hours
        .iter()
        .fold((0, 0), |(good, bad), hour| (good + hour[0], bad + hour[1]));
    json!({ "bars": bars.collect::<Vec<_>>(), "good": good, "bad": bad })
}

fn monitors(
    monitors: &std::collections::BTreeMap<String, super::monitors::Monitor>,
    store: &dyn Store,
    now_ms: i64,
) -> Vec<Json> {
    let shown = monitors.iter().map(|(name, monitor)| {
        let state = State::read(store, name).map(|(state, _)| state).unwrap_or_default();
        let untold = state
            .notices
            .iter()
            .filter(|notice| notice.sent_ms.is_none() && notice.tries > 0)
            .count();
        json!({
            "name": name, "when": monitor.when, "severity": monitor.severity.as_str(),
            "state": state.standing().as_str(), "found": state.found, "silent": state.is_silent(now_ms),
            "since": state.since_ms.map(|since_ms| ago(since_ms, now_ms)), "untold": untold,
        })
    });
    shown.collect()
}

fn circuits(providers: &[String], store: &dyn Store, now_ms: i64) -> Vec<Json> {
    let shown = providers.iter().filter_map(|provider| {
        let circuit = state::read::<Circuit>(store, &circuit::key(provider)).ok()?;
        Some(json!({ "provider": provider, "state": circuit.state(now_ms), "failures": circuit.failures }))
    });
    shown.collect()
}

fn runs(store: &dyn Store, now_ms: i64) -> Vec<Json> {
    let latest = RunRecord::latest(store, RunId::from_bytes([0xFF; 16]), ROWS_MAX).unwrap_or_default();
    let shown = latest.into_iter().map(|record| {
        let level = match record.status {
            Status::Succeeded => "good",
            Status::Failed | Status::NeedsAttention => "bad",
            Status::Cancelled => "warn",
            _ => "",
        };
        let took = record
            .ended_ms
            .map(|ended_ms| for_people((ended_ms - record.begun_ms).max(0) as u64));
        json!({
            "run": record.run.short(), "playbook": record.playbook, "status": record.status.to_string(), "level": level,
            "begun": ago(record.begun_ms, now_ms), "took": took, "effects": record.effects,
            "why": record.error.as_ref().map(|error| error.failure.code.clone())
                .or_else(|| record.waits.as_ref().map(|waits| format!("waits for {}", waits.what))),
        })
    });
    shown.collect()
}

/// The schedules whose ticks are due next.
fn next(store: &dyn Store, now_ms: i64) -> Vec<Json> {
    let due = ticks::due_until(store, i64::MAX, ROWS_MAX).unwrap_or_default();
    let shown = due.into_iter().map(|due| {
        let is_late = due.due_ms < now_ms;
        json!({
            "playbook": due.id.playbook, "schedule": due.id.schedule, "late": is_late, "at": moment(due.due_ms),
            "in": for_people(due.due_ms.abs_diff(now_ms)),
        })
    });
    shown.collect()
}

fn ago(then_ms: i64, now_ms: i64) -> String {
    match u64::try_from(now_ms - then_ms).unwrap_or(0) {
        0..2_000 => "just now".to_owned(),
        length_ms => format!("{} ago", for_people(length_ms / 1000 * 1000)),
    }
}

fn moment(unix_ms: i64) -> String {
    let moment = chrono::DateTime::from_timestamp_millis(unix_ms).unwrap_or_default();
    moment.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::gather_tests::Watched;

    #[test]
    fn the_page_shows_what_there_is_escaped_and_asks_nobody_else_for_anything() {
        let evil = r#"status::line("vod.login", "<script>alert('x')</script>", #{ level: "bad", ready: false });"#;
        let settings = "[monitors.dead]\nwhen = \"host_queue_dead_jobs > 0\"\n";
        let watched = Watched::with(&[("good", "1"), ("bad", "throw \"no\""), ("evil", evil)], settings);
        ["good", "bad", "evil"].into_iter().for_each(|name| watched.run(name));
        let page = page(&watched.telemetry);
        assert!(page.contains("&lt;script&gt;alert("), "{page}");
        assert!(!page.contains("<script"), "no scripts at all");
        for shown in [
            "vod.login",
            "not ready",
            "host_queue_dead_jobs &gt; 0",
            "succeeded",
            "failed",
        ] {
            assert!(page.contains(shown), "{shown} in {page}");
        }
        for outside in [
            "http://", "https://", "src=", "@import", "url(", " style=", "onload", "onclick",
        ] {
            assert!(!page.contains(outside), "{outside}");
        }
        let (_, style) = page.split_once("<style>").expect("a style");
        let (style, _) = style.split_once("</style>").expect("its end");
        let digest = STANDARD.encode(Sha256::digest(style.as_bytes()));
        assert!(policy().contains(&digest), "the policy lets this very style in");
    }

    #[test]
    fn a_line_can_say_that_the_server_is_not_ready() {
        let watched = Watched::new(&[
            ("off", "status::line(\"login\", \"expired\", #{ ready: false })"),
            ("on", "status::line(\"login\", \"fine\", #{ ready: true })"),
        ]);
        let lines = || {
            watched.telemetry.look();
            let found = watched
                .telemetry
                .last_hindrances()
                .into_iter()
                .filter(|one| one.what == "line");
            found.map(|one| one.why).collect::<Vec<_>>()
        };
        assert!(lines().is_empty());
        watched.run("off");
        assert_eq!(lines(), ["login: expired"]);
        watched.run("on");
        assert!(lines().is_empty());
    }

    #[test]
    fn a_server_of_which_nobody_could_look_how_it_is_is_not_ready() {
        let watched = Watched::new(&[]);
        watched.telemetry.look();
        let found = || {
            watched
                .telemetry
                .last_hindrances()
                .iter()
                .any(|one| one.what == "store")
        };
        assert!(!found());
        watched.host.clock.advance(std::time::Duration::from_secs(61));
        assert!(found());
    }
}
