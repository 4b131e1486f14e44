//! Runs: which there are, what they did, starting and ending them.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`look`] | which there are, what they did, why they ended so |
//! | [`change`] | starts them, and ends them |
//! | [`decide`] | what people say of one that stands still: what became of a write, that it goes on |
//! | [`schemas`] | what they look like |

mod change;
mod decide;
mod look;
mod schemas;

use crate::http::answer::Refusal;
use crate::http::request::Request;
use crate::http::routes::{CURSOR, Gives, Group, Kind, LIMIT, Param, Route};
use crate::http::server::Server;
use crate::journal::RunRecord;

pub const GROUP: Group = Group {
    name: "runs",
    says: "Runs of playbooks: what they did, starting and ending them.",
    routes: ROUTES,
    schemas: schemas::all,
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
        ..Route::get("/api/v1/runs", "runs.list", look::list)
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
        ..Route::post("/api/v1/runs", "runs.start", change::start)
    },
    Route {
        says: "One run, with its inputs and what it returned.",
        gives: Gives::Data(200, "RunDetail"),
        refuses: RUN,
        ..Route::get("/api/v1/runs/{run}", "runs.get", look::one)
    },
    Route {
        says: "What a run did, step by step.",
        query: &[CURSOR, LIMIT],
        gives: Gives::Page("Entry"),
        refuses: RUN,
        ..Route::get("/api/v1/runs/{run}/journal", "runs.journal", look::journal)
    },
    Route {
        says: "Why a run ended as it did: what happened in words, what landed and what did not, and what can be done.",
        gives: Gives::Data(200, "RunWhy"),
        refuses: RUN,
        ..Route::get("/api/v1/runs/{run}/why", "runs.why", look::why)
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
        ..Route::post("/api/v1/runs/{run}/cancel", "runs.cancel", change::cancel)
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
        ..Route::post("/api/v1/runs/{run}/retry", "runs.retry", change::retry)
    },
    Route {
        says: "Goes on with a run that was cut off, that waits, or whose error has passed: from where its journal ends, so \
               that nothing is done twice.",
        gives: Gives::Data(202, "Run"),
        refuses: &[
            (404, "RUN_NOT_FOUND"),
            (409, "RUN_AMBIGUOUS"),
            (409, "RUN_BUSY"),
            (409, "RUN_OVER"),
            (409, "RUN_HELD"),
            (409, "STEP_IN_DOUBT"),
            (409, "RESUME_NEEDS_EDIT"),
            (409, "HOST_CHANGED"),
            (409, "RUN_NOT_DRY"),
        ],
        ..Route::post("/api/v1/runs/{run}/resume", "runs.resume", decide::resume)
    },
    Route {
        says: "Says what became of a write that is in doubt. The run goes on when it is resumed.",
        body: Some("Decision"),
        gives: Gives::Data(200, "Decided"),
        refuses: &[
            (404, "RUN_NOT_FOUND"),
            (409, "RUN_AMBIGUOUS"),
            (409, "RUN_BUSY"),
            (409, "NOT_IN_DOUBT"),
            (422, "REASON_INVALID"),
        ],
        ..Route::post("/api/v1/runs/{run}/resolve", "writes.resolve", decide::resolve)
    },
];

const RUN: &[(u16, &str)] = &[(404, "RUN_NOT_FOUND"), (409, "RUN_AMBIGUOUS")];

/// The run that the path names.
pub(super) fn run(server: &Server, request: &Request) -> Result<RunRecord, Refusal> {
    Ok(RunRecord::find(&*server.store, request.param("run"))?)
}
