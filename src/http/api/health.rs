//! Whether the server lives, whether it serves, and what it offers.

use serde_json::{Value, json};

use crate::http::answer::{Answer, Refusal};
use crate::http::request::Request;
use crate::http::routes::{Gives, Group, Needs, Route};
use crate::http::server::Server;
use crate::report::operation;

pub const GROUP: Group = Group {
    name: "health",
    says: "Whether the server lives, and how it is.",
    routes: ROUTES,
    schemas,
};

const ROUTES: &[Route] = &[
    Route {
        says: "Whether the server lives: it answers while it can answer at all.",
        needs: Needs::Probe,
        gives: Gives::Data(200, "Health"),
        ..Route::get("/healthz", "healthz", healthz)
    },
    Route {
        says: "Whether the server takes on work: it is not stopping, its loop turns, and its store took the last change.",
        needs: Needs::Probe,
        gives: Gives::Data(200, "Readiness"),
        refuses: &[(503, "NOT_READY")],
        ..Route::get("/readyz", "readyz", readyz)
    },
    Route {
        says: "What the server is at: as JSON, or as text for `Accept: text/plain`.",
        gives: Gives::Data(200, "Status"),
        ..Route::get("/status", "status", status)
    },
    Route {
        says: "This description of all routes, generated from their table.",
        gives: Gives::Json("OpenApi"),
        ..Route::get("/openapi.json", "openapi", document)
    },
];

fn schemas() -> Vec<(&'static str, Value)> {
    let number = || json!({"type": "integer", "minimum": 0});
    let moment = || json!({"type": "integer", "description": "Unix milliseconds"});
    vec![
        (
            "Health",
            json!({
                "type": "object",
                "properties": {"status": {"const": "ok"}, "version": {"type": "string"}},
                "required": ["status", "version"],
                "additionalProperties": false,
            }),
        ),
        (
            "Readiness",
            json!({
                "type": "object",
                "properties": {"status": {"const": "ready"}},
                "required": ["status"],
                "additionalProperties": false,
            }),
        ),
        (
            "Status",
            json!({
                "type": "object",
                "properties": {
                    "pid": number(),
                    "since_ms": moment(),
                    "live": {"type": "boolean", "description": "false: DRY_RUN is on, and nothing leaves"},
                    "edition": number(),
                    "edition_since_ms": moment(),
                    "playbooks": number(),
                    "started_by_themselves": number(),
                    "threads": number(),
                    "runs": {"$ref": "#/components/schemas/Counts"},
                    "next_due_ms": {"type": ["integer", "null"]},
                    "paused": {"type": "array", "items": {"type": "string"}},
                    "alarms": {"type": "array", "items": {"$ref": "#/components/schemas/Alarm"}},
                    "problems": {"type": "array", "items": {"$ref": "#/components/schemas/Problem"}},
                    "lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
                    "http": {"$ref": "#/components/schemas/HttpStatus"},
                },
                "required": ["pid", "since_ms", "live", "edition", "playbooks", "runs", "paused", "alarms", "problems", "http"],
                "additionalProperties": false,
            }),
        ),
        (
            "Counts",
            json!({
                "type": "object",
                "properties": {
                    "running": number(), "queued": number(), "waiting": number(),
                    "questions": number(), "jobs": number(), "dead_jobs": number(),
                },
                "required": ["running", "queued", "waiting", "questions", "jobs", "dead_jobs"],
                "additionalProperties": false,
            }),
        ),
        (
            "Alarm",
            json!({
                "type": "object",
                "properties": {"since_ms": moment(), "what": {"type": "string"}},
                "required": ["since_ms", "what"],
                "additionalProperties": false,
            }),
        ),
        (
            "Problem",
            json!({
                "type": "object",
                "properties": {
                    "at_ms": moment(), "what": {"type": "string"}, "code": {"type": "string"}, "message": {"type": "string"},
                },
                "required": ["at_ms", "what", "code", "message"],
                "additionalProperties": false,
            }),
        ),
        (
            "Line",
            json!({
                "type": "object",
                "properties": {
                    "name": {"type": "string"}, "text": {"type": "string"},
                    "level": {"enum": ["info", "good", "warn", "bad"]},
                    "ready": {"type": ["boolean", "null"]}, "playbook": {"type": "string"},
                    "at_ms": moment(), "expires_ms": moment(),
                },
                "required": ["name", "text", "level", "ready", "playbook", "at_ms", "expires_ms"],
                "additionalProperties": false,
            }),
        ),
        (
            "HttpStatus",
            json!({
                "type": "object",
                "properties": {"connections": number(), "streams": number(), "waiting": number(), "turned_away": number()},
                "required": ["connections", "streams", "waiting", "turned_away"],
                "additionalProperties": false,
            }),
        ),
        (
            "OpenApi",
            json!({
                "type": "object",
                "properties": {
                    "openapi": {"type": "string"},
                    "info": {"type": "object"},
                    "paths": {"type": "object"},
                    "components": {"type": "object"},
                },
                "required": ["openapi", "info", "paths", "components"],
            }),
        ),
    ]
}

fn healthz(_: &Server, _: &Request) -> Result<Answer, Refusal> {
    Ok(Answer::data(json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")})).header("cache-control", "no-store"))
}

/// Whatever is looked at lies in memory: a disk that hangs must not hang who asks.
fn readyz(server: &Server, _: &Request) -> Result<Answer, Refusal> {
    let not_ready = |why: &str| Err(Refusal::new(503, "NOT_READY", why).header("retry-after", "5"));
    if server.is_stopping() {
        return not_ready("the server is stopping");
    }
    let status = server.board.status();
    if let Some(alarm) = status.alarms.first() {
        return not_ready(&alarm.what);
    }
    let hindrances = server.telemetry.as_ref().map(|telemetry| telemetry.last_hindrances());
    if let Some(hindrance) = hindrances.iter().flatten().next() {
        return not_ready(&hindrance.why);
    }
    if let Some(code) = server.news.store_fails() {
        return not_ready(&format!("the store takes no changes ({code})"));
    }
    Ok(Answer::data(json!({"status": "ready"})).header("cache-control", "no-store"))
}

fn status(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let status = server.board.status();
    let store = &*server.store;
    let counts = server.counts()?;
    let paused = operation::paused(store)?;
    let next_due_ms = operation::next_due(store)?;
    let lines = server
        .telemetry
        .as_ref()
        .map(|telemetry| telemetry.lines())
        .unwrap_or_default();
    let http = json!({
        "connections": server.figures.connections(),
        "streams": server.streams(),
        "waiting": server.pool.waiting(),
        "turned_away": server.figures.turned_away_count(),
    });
    if wants_text(request) {
        let mode = if status.live { "LIVE" } else { "DRY" };
        let mut text = format!(
            "running  process {}  {mode}\nlive     edition {}: {} playbooks, {} started by themselves\n",
            status.pid, status.edition, status.playbooks, status.started_by_themselves
        );
        text += &format!(
            "runs     {} at work, {} queued, {} waiting ({} for an answer); {} jobs in queues, {} dead\n",
            counts.running, counts.queued, counts.waiting, counts.questions, counts.jobs, counts.dead_jobs
        );
        for paused in &paused {
            text += &format!("paused   {}\n", crate::cli::out::plain(paused));
        }
        for (name, line) in &lines {
            let (name, said) = (crate::cli::out::plain(name), crate::cli::out::plain(&line.text));
            text += &format!("{name:<8} {said}\n");
        }
        for alarm in &status.alarms {
            text += &format!("alarm    {}\n", crate::cli::out::plain(&alarm.what));
        }
        for problem in &status.problems {
            let (what, message) = (
                crate::cli::out::plain(&problem.what),
                crate::cli::out::plain(&problem.message),
            );
            text += &format!("problem  {what}: {message}\n");
        }
        return Ok(Answer::text(text));
    }
    Ok(Answer::data(json!({
        "pid": status.pid,
        "since_ms": status.since_ms,
        "live": status.live,
        "edition": status.edition,
        "edition_since_ms": status.edition_since_ms,
        "playbooks": status.playbooks,
        "started_by_themselves": status.started_by_themselves,
        "threads": status.threads,
        "runs": counts,
        "next_due_ms": next_due_ms,
        "paused": paused,
        "alarms": status.alarms,
        "problems": status.problems,
        "lines": lines.iter().map(|(name, line)| json!({
            "name": name, "text": line.text, "level": line.level, "ready": line.ready, "playbook": line.playbook,
            "at_ms": line.at_ms, "expires_ms": line.expires_ms,
        })).collect::<Vec<_>>(),
        "http": http,
    })))
}

/// Whether text is asked for before JSON.
fn wants_text(request: &Request) -> bool {
    let accept = request.header("accept").unwrap_or("");
    let first = accept.split([',', ';']).next().unwrap_or_default().trim();
    first == "text/plain"
}

fn document(server: &Server, _: &Request) -> Result<Answer, Refusal> {
    Ok(Answer::bytes("application/json", server.document()))
}
