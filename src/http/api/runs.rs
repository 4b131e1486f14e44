//! Runs: which there are, what they did, starting and ending them.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::{any, body, count, list_of, map, map_or_null, moment, person, text, text_or_null};
use crate::effect::RunMode;
use crate::gate::Silent;
use crate::http::answer::{Answer, Refusal};
use crate::http::page;
use crate::http::request::Request;
use crate::http::routes::{CURSOR, Gives, Group, Kind, LIMIT, Param, Route};
use crate::http::server::Server;
use crate::id::{RunId, StepNo};
use crate::journal::{Recorded, RunRecord, Status};
use crate::report::runs::{STATUSES, Wanted, matching};
use crate::report::summary::record_json;
use crate::report::{entries, show_json};
use crate::runs::creation::{Creation, Pinned};
use crate::runs::resolve;
use crate::script::error::nearest;
use crate::serve::desk::narrow::narrow;
use crate::serve::desk::signed::start_act;
use crate::value::{Map as ValueMap, Value};

/// Runs that are looked through for one page.
const LOOKED_THROUGH_MAX: usize = 10_000;

/// How long a cancellation is waited for.
const CANCEL_TIME: Duration = Duration::from_secs(5);

pub const GROUP: Group = Group {
    name: "runs",
    says: "Runs of playbooks: what they did, starting and ending them.",
    routes: ROUTES,
    schemas,
};

const PLAYBOOK: Param = Param {
    name: "playbook",
    says: "only runs of this playbook",
    kind: Kind::Text { chars_max: 500 },
};

const STATUS: Param = Param {
    name: "status",
    says: "only runs with this status",
    kind: Kind::OneOf(&[
        "queued",
        "running",
        "suspended",
        "succeeded",
        "failed",
        "cancelled",
        "needs_attention",
    ]),
};

const MODE: Param = Param {
    name: "mode",
    says: "only live runs, or only dry ones",
    kind: Kind::OneOf(&["live", "dry"]),
};

const ROUTES: &[Route] = &[
    Route {
        says: "Runs, newest first. A page may be shorter than its limit though there is a next one, where filters match little.",
        query: &[PLAYBOOK, STATUS, MODE, CURSOR, LIMIT],
        gives: Gives::Page("Run"),
        ..Route::get("/api/v1/runs", "runs.list", list)
    },
    Route {
        says: "Starts a playbook. It is on disk as queued when this answers, and goes on whatever becomes of the server.",
        body: Some("RunStart"),
        gives: Gives::Data(202, "Run"),
        refuses: &[
            (404, "PLAYBOOK_NOT_FOUND"),
            (409, "CREDENTIALS_MISSING"),
            (422, "INPUT_MISSING"),
            (422, "INPUT_UNKNOWN"),
            (422, "INPUT"),
        ],
        ..Route::post("/api/v1/runs", "runs.start", start)
    },
    Route {
        says: "One run, with its inputs and what it returned.",
        gives: Gives::Data(200, "RunDetail"),
        refuses: RUN,
        ..Route::get("/api/v1/runs/{run}", "runs.get", one)
    },
    Route {
        says: "What a run did, step by step.",
        query: &[CURSOR, LIMIT],
        gives: Gives::Page("Entry"),
        refuses: RUN,
        ..Route::get("/api/v1/runs/{run}/journal", "runs.journal", journal)
    },
    Route {
        says: "Ends a run, and those that it started. One that is at something that cannot be cut short is told to stop: its \
               status says whether it is over.",
        gives: Gives::Data(200, "Run"),
        refuses: &[
            (404, "RUN_NOT_FOUND"),
            (409, "RUN_AMBIGUOUS"),
            (409, "RUN_OVER"),
            (409, "STEP_IN_DOUBT"),
            (409, "RUN_BUSY"),
        ],
        ..Route::post("/api/v1/runs/{run}/cancel", "runs.cancel", cancel)
    },
    Route {
        says: "Does a run once more, from its beginning, as a new run with the same script, inputs and mode.",
        body: Some("RunRetry"),
        gives: Gives::Data(202, "Run"),
        refuses: &[
            (404, "RUN_NOT_FOUND"),
            (409, "RUN_AMBIGUOUS"),
            (409, "RUN_UNFINISHED"),
            (409, "WOULD_WRITE_TWICE"),
            (409, "CREDENTIALS_MISSING"),
        ],
        ..Route::post("/api/v1/runs/{run}/retry", "runs.retry", retry)
    },
];

const RUN: &[(u16, &str)] = &[(404, "RUN_NOT_FOUND"), (409, "RUN_AMBIGUOUS")];

fn schemas() -> Vec<(&'static str, Json)> {
    let run = json!({
        "run_id": text(),
        "playbook": text(),
        "version": text(),
        "status": {"type": "string", "enum": STATUSES.map(Status::code)},
        "mode": {"type": "string", "enum": ["live", "dry"]},
        "outcome": any(),
        "error": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/RunError"}]},
        "effects": count(),
        "simulated": count(),
        "cost": {"type": "number"},
        "duration_ms": {"type": ["integer", "null"]},
        "begun": moment(),
        "parent": map_or_null(),
        "waits": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/Waits"}]},
    });
    let mut detail = run.clone();
    detail["input"] = any();
    detail["trigger"] = text();
    detail["modules"] = json!({"type": "object", "additionalProperties": text()});
    vec![
        ("Run", map(run)),
        ("RunDetail", map(detail)),
        (
            "RunError",
            map(json!({
                "code": text(), "message": text(), "file": text_or_null(),
                "line": {"type": ["integer", "null"]}, "column": {"type": ["integer", "null"]},
                "step": {"type": ["integer", "null"]}, "provider": text_or_null(),
                "http_status": {"type": ["integer", "null"]}, "landed": any(),
            })),
        ),
        (
            "Waits",
            map(json!({"step": count(), "for": text(), "until": text_or_null()})),
        ),
        (
            "Entry",
            json!({
                "type": "object",
                "properties": {
                    "step": count(), "name": text(), "class": text(), "mode": text(), "args": any(), "outcome": any(),
                    "error": map_or_null(), "in_doubt": {"type": "boolean"}, "at": moment(), "took_ms": count(),
                    "attempts": count(), "failed_attempts": list_of(json!({"type": "object"})),
                },
                "required": ["step", "name", "class", "mode", "in_doubt"],
            }),
        ),
        (
            "RunStart",
            body(
                json!({
                    "playbook": {"type": "string", "minLength": 1, "maxLength": 500},
                    "input": {"type": "object", "description": "as the playbook's inputs declare it"},
                }),
                &["playbook"],
            ),
        ),
        (
            "RunRetry",
            body(
                json!({"again": {
                    "type": "array", "maxItems": 1000, "items": {"type": "integer", "minimum": 0, "maximum": u32::MAX},
                    "description": "steps whose writes landed, or may have, and may be done a second time",
                }}),
                &[],
            ),
        ),
    ]
}

fn list(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let from = page::place(request)?.and_then(|place| place.parse().ok());
    let status = request.query("status");
    let wanted = Wanted {
        playbook: request.query("playbook"),
        status: STATUSES.into_iter().find(|known| Some(known.code()) == status),
        live: request.query("mode").map(|mode| mode == "live"),
        from: from.unwrap_or(RunId::from_bytes([0xff; 16])),
        limit: page::limit(request),
        looked_through_max: LOOKED_THROUGH_MAX,
    };
    let (found, next) = matching(&*server.store, &wanted)?;
    let items = found.iter().map(record_json).collect();
    Ok(page::answer(request, items, next.map(|run| run.to_string())))
}

/// The run that the path names.
pub(super) fn run(server: &Server, request: &Request) -> Result<RunRecord, Refusal> {
    Ok(RunRecord::find(&*server.store, request.param("run"))?)
}

fn one(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let record = run(server, request)?;
    let recorded = Recorded::load(&server.ground(), record.run)?;
    Ok(Answer::data(show_json(&record, &recorded)["run"].take()))
}

fn journal(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let record = run(server, request)?;
    let recorded = Recorded::load(&server.ground(), record.run)?;
    let first: usize = page::place(request)?.and_then(|place| place.parse().ok()).unwrap_or(0);
    let limit = page::limit(request);
    let mut items: Vec<Json> = entries(&recorded).into_iter().skip(first).take(limit + 1).collect();
    let next = (items.len() > limit).then(|| (first + limit).to_string());
    items.truncate(limit);
    Ok(page::answer(request, items, next))
}

#[derive(Deserialize)]
struct Start {
    playbook: String,
    #[serde(default)]
    input: Map<String, Json>,
}

fn start(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let Start { playbook, input } = request.body()?;
    let edition = server.edition();
    let Some(listed) = edition.playbooks.get(&playbook) else {
        let message = match nearest(&playbook, edition.playbooks.keys().map(String::as_str)) {
            Some(near) => format!("there is no playbook {playbook:?}; did you mean {near:?}?"),
            None => format!("there is no playbook {playbook:?}"),
        };
        return Err(Refusal::new(404, "PLAYBOOK_NOT_FOUND", message));
    };
    let input = Value::from_json(Json::Object(input))
        .as_map()
        .cloned()
        .unwrap_or_default();
    begin(server, request, &listed.pinned, input, edition.mode(listed)?, None)
}

/// Makes a run, which is on disk as queued when this returns.
fn begin(
    server: &Server,
    request: &Request,
    pinned: &Pinned,
    input: ValueMap,
    mode: RunMode,
    retry_of: Option<RunId>,
) -> Result<Answer, Refusal> {
    let (now_ms, caller) = (server.now_ms(), &request.caller);
    let id = RunId::new(now_ms, server.app.chance.wide_bits());
    let trigger = match retry_of {
        Some(run) => format!("once more after {}, over HTTP, request {}", run.short(), request.corr),
        None => format!("over HTTP, request {}", request.corr),
    };
    let act = start_act(id, &pinned.playbook, &trigger, retry_of, mode.live);
    let creation = Creation {
        run: id,
        pinned,
        input,
        mode,
        trigger,
        corr: Some(request.corr.clone()),
        cause: None,
        by: (!caller.user.is_empty()).then(|| caller.user.clone()),
        retry_of,
        at_ms: now_ms,
    };
    let gate = server.edition().runner.gate.clone();
    let batch = creation.batch(&gate).map_err(|failure| gate.clean(failure))?;
    server.commit_signed(batch, caller.actor(), act)?;
    let record = RunRecord::get(&*server.store, id)?;
    Ok(Answer::data(record_json(&record))
        .status(202)
        .header("location", &format!("/api/v1/runs/{id}")))
}

fn cancel(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let record = run(server, request)?;
    let by = format!("by {}", person(request));
    if let Some(ended) = server.driver.cancel(record.run, &by, CANCEL_TIME) {
        return Ok(Answer::data(record_json(&ended?.record)));
    }
    let record = RunRecord::get(&*server.store, record.run)?;
    Ok(Answer::data(record_json(&record)))
}

#[derive(Deserialize)]
struct Retry {
    #[serde(default)]
    again: Vec<StepNo>,
}

fn retry(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let Retry { again } = request.body()?;
    let record = run(server, request)?;
    let edition = server.edition();
    let gate = &edition.runner.gate;
    let order = resolve::retry(&edition.app.library, gate, record.run, &again, None, Arc::new(Silent))?;
    // The stricter of what it was and what the server is now.
    let (mode, _) = narrow(&order.mode, &edition.app.mode(&order.script.header.uses)?);
    let input = order.input.as_map().cloned().unwrap_or_default();
    begin(server, request, &Pinned::of(&order.script), input, mode, order.retry_of)
}
