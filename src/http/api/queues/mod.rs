//! Queues and their jobs.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`look`] | which there are, and what is in one |
//! | [`change`] | pushes, brings back, takes out, pauses |

mod change;
mod look;

use serde_json::{Value as Json, json};

use super::{any, body, count, map, moment_ms, moment_ms_or_null, realm, text, text_or_null};
use crate::http::answer::Refusal;
use crate::http::request::Request;
use crate::http::routes::{CURSOR, Gives, Group, Kind, LIMIT, Param, REALM, Route, Verb};
use crate::http::server::Server;
use crate::store::Realm;
use crate::store::queue::job::{BACKOFF_MAX_MS, PRIORITY_MAX};
use crate::store::queue::push::DEDUPE_BYTES_MAX;
use crate::store::queue::{self, State};

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

const JOB: &[(u16, &str)] = &[(404, "QUEUE_NOT_FOUND"), (404, "JOB_NOT_FOUND")];

const ROUTES: &[Route] = &[
    Route {
        says: "Queues that have ever held a job, by name, with how much is in each.",
        query: &[REALM, CURSOR, LIMIT],
        gives: Gives::Page("Queue"),
        ..Route::get("/api/v1/queues", "queues.list", look::list)
    },
    Route {
        says: "One queue, with how much is in it.",
        query: &[REALM],
        gives: Gives::Data(200, "Queue"),
        refuses: QUEUE,
        ..Route::get("/api/v1/queues/{queue}", "queues.get", look::one)
    },
    Route {
        says: "Jobs of a queue: those in the hands of runs, then those that wait in their order, then dead ones. A page may be \
               shorter than its limit though there is a next one, where few are in the state that is asked for.",
        query: &[REALM, STATE, CURSOR, LIMIT],
        gives: Gives::Page("Job"),
        refuses: QUEUE,
        ..Route::get("/api/v1/queues/{queue}/jobs", "queues.jobs", look::jobs)
    },
    Route {
        says: "One job.",
        query: &[REALM],
        gives: Gives::Data(200, "Job"),
        refuses: JOB,
        ..Route::get("/api/v1/queues/{queue}/jobs/{job}", "queues.job", look::job)
    },
    Route {
        says: "Puts a job into a queue; the first one makes the queue.",
        query: &[REALM],
        body: Some("JobPush"),
        gives: Gives::Data(201, "Pushed"),
        refuses: &[(409, "QUEUE_FULL"), (409, "QUEUE_INVALID"), (413, "STORE_TOO_LARGE")],
        ..Route::post("/api/v1/queues/{queue}/jobs", "queues.push", change::push)
    },
    Route {
        says: "Brings a dead job back, to be tried again.",
        query: &[REALM],
        gives: Gives::Data(200, "Job"),
        refuses: &[(404, "QUEUE_NOT_FOUND"), (404, "JOB_NOT_FOUND"), (409, "JOB_NOT_DEAD")],
        ..Route::post("/api/v1/queues/{queue}/jobs/{job}/retry", "queues.retry", change::retry)
    },
    Route {
        says: "Takes a job out of its queue, whatever its state. A run that has it in its hands goes on.",
        verb: Verb::Delete,
        query: &[REALM],
        gives: Gives::Data(200, "Job"),
        refuses: JOB,
        ..Route::post("/api/v1/queues/{queue}/jobs/{job}", "queues.remove", change::remove)
    },
    Route {
        says: "Brings back every job that is dead by now.",
        query: &[REALM],
        gives: Gives::Data(200, "Retried"),
        refuses: QUEUE,
        ..Route::post("/api/v1/queues/{queue}/retry", "queues.retry_dead", change::retry_dead)
    },
    Route {
        says: "Takes out all jobs that wait for their turn, or instead all dead ones. They are lost.",
        query: &[REALM],
        body: Some("Drain"),
        gives: Gives::Data(200, "Drained"),
        refuses: QUEUE,
        ..Route::post("/api/v1/queues/{queue}/drain", "queues.drain", change::drain)
    },
    Route {
        says: "Gives no more jobs of a queue to playbooks; those under way go on.",
        query: &[REALM],
        body: Some("Why"),
        gives: Gives::Data(200, "Queue"),
        refuses: QUEUE,
        ..Route::post("/api/v1/queues/{queue}/pause", "queues.pause", change::pause)
    },
    Route {
        says: "Gives jobs of a queue to playbooks again.",
        query: &[REALM],
        gives: Gives::Data(200, "Queue"),
        refuses: QUEUE,
        ..Route::post("/api/v1/queues/{queue}/resume", "queues.resume", change::resume)
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
        (
            "Retried",
            map(json!({"queue": text(), "realm": text(), "retried": count()})),
        ),
        (
            "Drain",
            body(
                json!({"dead": {"type": "boolean", "description": "the dead ones instead of those that wait"}}),
                &[],
            ),
        ),
        (
            "Drained",
            map(json!({"queue": text(), "realm": text(), "removed": count()})),
        ),
        ("Why", body(json!({"why": {"type": "string", "maxLength": 1000}}), &[])),
    ]
}

/// The queue that the path names, if it has ever held a job.
fn known(server: &Server, request: &Request) -> Result<(Realm, String), Refusal> {
    let (realm, name) = (realm(server, request), request.param("queue").to_owned());
    match server.look(realm, |tx| queue::look::is_known(tx, &name))? {
        true => Ok((realm, name)),
        false => {
            let message = format!("there is no queue {name:?} in the {realm} realm");
            Err(Refusal::new(404, "QUEUE_NOT_FOUND", message))
        }
    }
}
