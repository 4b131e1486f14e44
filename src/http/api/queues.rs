//! Queues and their jobs.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{any, body, count, map, moment_ms, moment_ms_or_null, person, realm, text, text_or_null};
use crate::http::answer::{Answer, Refusal};
use crate::http::page;
use crate::http::request::Request;
use crate::http::routes::{CURSOR, Gives, Group, Kind, LIMIT, Param, REALM, Route};
use crate::http::server::Server;
use crate::report::queues::{job_json, rows, stats_json};
use crate::store::queue::job::{ATTEMPTS_DEFAULT, BACKOFF_DEFAULT_MS, BACKOFF_MAX_MS, PRIORITY_DEFAULT, PRIORITY_MAX};
use crate::store::queue::look::LIST_MAX;
use crate::store::queue::pause::Paused;
use crate::store::queue::push::DEDUPE_BYTES_MAX;
use crate::store::queue::{self, State, Wanted, hold};
use crate::store::{Realm, Tx};
use crate::value::Value;

/// The longest time that a job waits, or that its key is remembered: a year.
const TIME_MS_MAX: u64 = 366 * 24 * 60 * 60 * 1000;

pub const GROUP: Group = Group {
    name: "queues",
    says: "Queues, and the jobs in them.",
    routes: ROUTES,
    schemas,
};

const STATE: Param = Param {
    name: "state",
    says: "only jobs in this state",
    kind: Kind::OneOf(&["ready", "delayed", "leased", "held", "dead"]),
};

const QUEUE: &[(u16, &str)] = &[(404, "QUEUE_NOT_FOUND")];

const JOB: &[(u16, &str)] = &[(404, "QUEUE_NOT_FOUND"), (404, "JOB_NOT_FOUND"), (409, "JOB_NOT_DEAD")];

const ROUTES: &[Route] = &[
    Route {
        says: "Queues that have ever held a job, by name, with how much is in each.",
        query: &[REALM, CURSOR, LIMIT],
        gives: Gives::Page("Queue"),
        ..Route::get("/api/v1/queues", "queues.list", list)
    },
    Route {
        says: "Jobs of a queue: those at work, then those that wait in their order, then dead ones; 1,000 of them at most.",
        query: &[REALM, STATE, CURSOR, LIMIT],
        gives: Gives::Page("Job"),
        refuses: QUEUE,
        ..Route::get("/api/v1/queues/{queue}/jobs", "queues.jobs", jobs)
    },
    Route {
        says: "Puts a job into a queue; the first one makes the queue.",
        query: &[REALM],
        body: Some("JobPush"),
        gives: Gives::Data(201, "Pushed"),
        refuses: &[(409, "QUEUE_FULL"), (409, "QUEUE_INVALID"), (413, "STORE_TOO_LARGE")],
        ..Route::post("/api/v1/queues/{queue}/jobs", "queues.push", push)
    },
    Route {
        says: "Brings a dead job back, to be tried again.",
        query: &[REALM],
        gives: Gives::Data(200, "Job"),
        refuses: JOB,
        ..Route::post("/api/v1/queues/{queue}/jobs/{job}/retry", "queues.retry", retry)
    },
    Route {
        says: "Gives no more jobs of a queue to playbooks; those under way go on.",
        query: &[REALM],
        body: Some("Why"),
        gives: Gives::Data(200, "Queue"),
        refuses: QUEUE,
        ..Route::post("/api/v1/queues/{queue}/pause", "queues.pause", pause)
    },
    Route {
        says: "Gives jobs of a queue to playbooks again.",
        query: &[REALM],
        gives: Gives::Data(200, "Queue"),
        refuses: QUEUE,
        ..Route::post("/api/v1/queues/{queue}/resume", "queues.resume", resume)
    },
];

fn schemas() -> Vec<(&'static str, Json)> {
    let whole = |least: u64, most: u64| json!({"type": "integer", "minimum": least, "maximum": most});
    vec![
        (
            "Queue",
            map(json!({
                "queue": text(), "ready": count(), "later": count(), "held": count(), "dead": count(),
                "oldest_waits_ms": count(), "paused": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/Paused"}]},
            })),
        ),
        (
            "Paused",
            map(json!({"since_ms": moment_ms(), "by": text(), "why": text()})),
        ),
        (
            "Job",
            map(json!({
                "id": count(), "state": {"type": "string", "enum": State::ALL.map(State::as_str)},
                "priority": count(), "attempts": count(), "attempts_max": count(), "backoff_ms": count(),
                "pushed_ms": moment_ms(), "due_ms": moment_ms(), "died_ms": moment_ms_or_null(),
                "key": text_or_null(), "run": text_or_null(), "reason": text_or_null(), "payload": any(),
            })),
        ),
        (
            "JobPush",
            body(
                json!({
                    "payload": {"description": "a map gives the inputs of the run that does the job"},
                    "priority": whole(0, PRIORITY_MAX.into()),
                    "delay_ms": whole(0, TIME_MS_MAX),
                    "key": {"type": "string", "minLength": 1, "maxLength": DEDUPE_BYTES_MAX,
                        "description": "while a job with this key is there, no second one is put there"},
                    "remember_ms": whole(0, TIME_MS_MAX),
                    "attempts": whole(1, 1000),
                    "backoff_ms": whole(0, BACKOFF_MAX_MS),
                }),
                &["payload"],
            ),
        ),
        (
            "Pushed",
            map(json!({"queue": text(), "realm": text(), "id": count(), "is_new": {"type": "boolean"}})),
        ),
        ("Why", body(json!({"why": {"type": "string", "maxLength": 1000}}), &[])),
    ]
}

fn list(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let after = page::place(request)?;
    let mut found = server.look(realm(server, request), rows)?;
    found.retain(|row| after.as_ref().is_none_or(|after| row.name > *after));
    let next = page::cut(&mut found, page::limit(request), |row| row.name.clone());
    let items = found
        .iter()
        .map(|row| stats_json(&row.name, &row.stats, row.paused.as_ref()));
    Ok(page::answer(request, items.collect(), next))
}

/// The queue that the path names, if it has ever held a job.
fn known(server: &Server, request: &Request) -> Result<(Realm, String), Refusal> {
    let (realm, name) = (realm(server, request), request.param("queue").to_owned());
    match server.look(realm, queue::names)?.contains(&name) {
        true => Ok((realm, name)),
        false => {
            let message = format!("there is no queue {name:?} in the {realm} realm");
            Err(Refusal::new(404, "QUEUE_NOT_FOUND", message))
        }
    }
}

fn jobs(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let (realm, name) = known(server, request)?;
    let first: usize = page::place(request)?.and_then(|place| place.parse().ok()).unwrap_or(0);
    let limit = page::limit(request);
    let word = request.query("state");
    let state = State::ALL.into_iter().find(|state| Some(state.as_str()) == word);
    let until = (first + limit + 1).min(LIST_MAX);
    let found = server.look(realm, |tx| queue::list(tx, &name, state, until))?;
    let now_ms = server.now_ms();
    let has_more = found.len() > first + limit;
    let items = found.iter().skip(first).take(limit).map(|job| job_json(job, now_ms));
    let next = has_more.then(|| (first + limit).to_string());
    Ok(page::answer(request, items.collect(), next))
}

#[derive(Deserialize)]
struct Push {
    payload: Json,
    priority: Option<u8>,
    delay_ms: Option<u64>,
    key: Option<String>,
    remember_ms: Option<u64>,
    attempts: Option<u32>,
    backoff_ms: Option<u64>,
}

fn push(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let asked: Push = request.body()?;
    let (realm, name) = (realm(server, request), request.param("queue"));
    let payload = server.app.masks.mask(Value::from_json(asked.payload));
    let wanted = Wanted {
        priority: asked.priority.unwrap_or(PRIORITY_DEFAULT),
        delay_ms: asked.delay_ms.unwrap_or(0),
        key: asked.key,
        remember_ms: asked.remember_ms.unwrap_or(0),
        attempts_max: asked.attempts.unwrap_or(ATTEMPTS_DEFAULT),
        backoff_ms: asked.backoff_ms.unwrap_or(BACKOFF_DEFAULT_MS),
        corr: Some(request.corr.clone()),
    };
    let pushed = server.change(realm, |tx| queue::push(tx, name, &payload, &wanted))?;
    Ok(Answer::data(json!({
        "queue": name, "realm": realm.to_string(), "id": pushed.job, "is_new": pushed.is_new,
    }))
    .status(201))
}

fn retry(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let (realm, name) = known(server, request)?;
    let number: u64 = request.param("job").parse().unwrap_or(u64::MAX);
    let get = |tx: &mut Tx<'_>| hold::get(tx, &name, number);
    let Some(before) = server.look(realm, get)? else {
        let message = format!("there is no job {number} in the queue {name:?} in the {realm} realm");
        return Err(Refusal::new(404, "JOB_NOT_FOUND", message));
    };
    if !server.change(realm, |tx| queue::requeue(tx, &name, number))? {
        let state = before.job.state(server.now_ms() as u64).as_str();
        let message = format!("job {number} of {name} is {state}, and only dead ones are brought back");
        return Err(Refusal::new(409, "JOB_NOT_DEAD", message));
    }
    let now = server.look(realm, get)?.unwrap_or(before);
    Ok(Answer::data(job_json(&now, server.now_ms())))
}

#[derive(Deserialize)]
struct Why {
    #[serde(default)]
    why: String,
}

fn pause(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let Why { why } = request.body()?;
    let (realm, name) = known(server, request)?;
    let paused = Paused {
        since_ms: server.now_ms(),
        by: person(request),
        why: server.app.masks.mask_text(why),
    };
    server.change(realm, |tx| queue::pause::put(tx, &name, Some(&paused)))?;
    one(server, realm, &name)
}

fn resume(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let (realm, name) = known(server, request)?;
    server.change(realm, |tx| queue::pause::put(tx, &name, None))?;
    one(server, realm, &name)
}

fn one(server: &Server, realm: Realm, name: &str) -> Result<Answer, Refusal> {
    let (stats, paused) = server.look(realm, |tx| Ok((queue::stats(tx, name)?, queue::pause::get(tx, name)?)))?;
    Ok(Answer::data(stats_json(name, &stats, paused.as_ref())))
}
