//! Incidents: runs that are held, with what people found out about them.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`look`] | which there are, and what happened in one |
//! | [`change`] | opens them, writes to them, hands them on, closes them |

mod change;
mod look;

use serde_json::{Value as Json, json};

use super::{MOMENT_MS_MAX, body, list_of, map, moment, moment_or_null, text, text_or_null};
use crate::http::routes::{CURSOR, Gives, Group, Kind, LIMIT, Param, Route};
use crate::journal::incident::{Level, NOTE_BYTES_MAX, RUNS_MAX, TITLE_CHARS_MAX};

pub const GROUP: Group = Group {
    name: "incidents",
    says: "Runs that are held, with what people found out about them.",
    routes: ROUTES,
    schemas,
};

const STATE: Param = Param {
    name: "state",
    says: "only incidents in this state",
    kind: Kind::OneOf(&["open", "closed"]),
};

const ROUTES: &[Route] = &[
    Route {
        says: "Incidents, the one opened last first.",
        query: &[STATE, CURSOR, LIMIT],
        gives: Gives::Page("Incident"),
        ..Route::get("/api/v1/incidents", "incidents.list", look::list)
    },
    Route {
        says: "One incident, with its runs and what happened when.",
        gives: Gives::Data(200, "IncidentDetail"),
        refuses: ONE,
        ..Route::get("/api/v1/incidents/{incident}", "incidents.get", look::one)
    },
    Route {
        says: "Opens an incident that holds these runs.",
        body: Some("IncidentOpen"),
        gives: Gives::Data(201, "IncidentDetail"),
        refuses: &[
            (404, "RUN_NOT_FOUND"),
            (409, "RUN_AMBIGUOUS"),
            (409, "INCIDENT_LIMIT"),
            (422, "INCIDENT_EMPTY"),
        ],
        ..Route::post("/api/v1/incidents", "incidents.open", change::open)
    },
    Route {
        says: "Holds more runs.",
        body: Some("IncidentRuns"),
        gives: Gives::Data(200, "IncidentDetail"),
        refuses: &[
            (404, "INCIDENT_NOT_FOUND"),
            (404, "RUN_NOT_FOUND"),
            (409, "INCIDENT_AMBIGUOUS"),
            (409, "RUN_AMBIGUOUS"),
            (409, "INCIDENT_LIMIT"),
        ],
        ..Route::post("/api/v1/incidents/{incident}/pin", "incidents.pin", change::pin)
    },
    Route {
        says: "Lets go of runs.",
        body: Some("IncidentRuns"),
        gives: Gives::Data(200, "IncidentDetail"),
        refuses: &[
            (404, "INCIDENT_NOT_FOUND"),
            (404, "RUN_NOT_FOUND"),
            (409, "INCIDENT_AMBIGUOUS"),
            (409, "RUN_AMBIGUOUS"),
            (409, "INCIDENT_NOT_PINNED"),
            (409, "INCIDENT_LIMIT"),
        ],
        ..Route::post("/api/v1/incidents/{incident}/unpin", "incidents.unpin", change::unpin)
    },
    Route {
        says: "Writes down what was found out.",
        body: Some("IncidentNote"),
        gives: Gives::Data(200, "IncidentDetail"),
        refuses: CHANGED,
        ..Route::post("/api/v1/incidents/{incident}/note", "incidents.note", change::note)
    },
    Route {
        says: "Gives an incident into somebody's hands.",
        body: Some("IncidentAssign"),
        gives: Gives::Data(200, "IncidentDetail"),
        refuses: &[
            (404, "INCIDENT_NOT_FOUND"),
            (409, "INCIDENT_AMBIGUOUS"),
            (409, "INCIDENT_LIMIT"),
            (409, "INCIDENT_CLOSED"),
            (422, "INCIDENT_EMPTY"),
            (422, "INCIDENT_ETA_PASSED"),
        ],
        ..Route::post(
            "/api/v1/incidents/{incident}/assign",
            "incidents.assign",
            change::assign,
        )
    },
    Route {
        says: "Raises an incident by one level, or to the one that is named.",
        body: Some("IncidentEscalate"),
        gives: Gives::Data(200, "IncidentDetail"),
        refuses: &[
            (404, "INCIDENT_NOT_FOUND"),
            (409, "INCIDENT_AMBIGUOUS"),
            (409, "INCIDENT_LIMIT"),
            (409, "INCIDENT_CLOSED"),
            (409, "INCIDENT_LEVEL"),
        ],
        ..Route::post(
            "/api/v1/incidents/{incident}/escalate",
            "incidents.escalate",
            change::escalate,
        )
    },
    Route {
        says: "Closes an incident. It goes on holding its runs.",
        body: Some("IncidentClose"),
        gives: Gives::Data(200, "IncidentDetail"),
        refuses: &[
            (404, "INCIDENT_NOT_FOUND"),
            (409, "INCIDENT_AMBIGUOUS"),
            (409, "INCIDENT_LIMIT"),
            (409, "INCIDENT_CLOSED"),
        ],
        ..Route::post("/api/v1/incidents/{incident}/close", "incidents.close", change::close)
    },
];

const ONE: &[(u16, &str)] = &[(404, "INCIDENT_NOT_FOUND"), (409, "INCIDENT_AMBIGUOUS")];

const CHANGED: &[(u16, &str)] = &[
    (404, "INCIDENT_NOT_FOUND"),
    (409, "INCIDENT_AMBIGUOUS"),
    (409, "INCIDENT_LIMIT"),
    (422, "INCIDENT_EMPTY"),
];

fn schemas() -> Vec<(&'static str, Json)> {
    let line = map(json!({"at": moment(), "by": text(), "text": text()}));
    let incident = json!({
        "incident_id": text(), "title": text(), "state": {"type": "string", "enum": ["open", "closed"]},
        "opened_by": text(), "owner": text_or_null(), "level": text(), "eta": moment_or_null(),
        "opened": moment(), "closed": moment_or_null(), "run_ids": list_of(text()), "notes": list_of(line.clone()),
    });
    let mut detail = incident.clone();
    detail["runs"] = list_of(json!({"$ref": "#/components/schemas/Run"}));
    detail["timeline"] = list_of(line);
    let runs = json!({
        "type": "array", "minItems": 1, "maxItems": RUNS_MAX, "items": {"type": "string", "minLength": 1, "maxLength": 64},
        "description": "ids of runs, or how they begin",
    });
    let words = |least: usize| json!({"type": "string", "minLength": least, "maxLength": NOTE_BYTES_MAX});
    vec![
        ("Incident", map(incident)),
        ("IncidentDetail", map(detail)),
        (
            "IncidentOpen",
            body(
                json!({
                    "runs": runs,
                    "title": {"type": "string", "minLength": 1, "maxLength": TITLE_CHARS_MAX,
                        "description": "made from the first run when it is not said"},
                }),
                &["runs"],
            ),
        ),
        ("IncidentRuns", body(json!({"runs": runs}), &["runs"])),
        ("IncidentNote", body(json!({"text": words(1)}), &["text"])),
        (
            "IncidentAssign",
            body(
                json!({
                    "owner": {"type": "string", "minLength": 1, "maxLength": 80},
                    "eta_ms": {"type": "integer", "minimum": 0, "maximum": MOMENT_MS_MAX,
                        "description": "when it shall be solved, in Unix milliseconds; then it rises by itself"},
                }),
                &["owner"],
            ),
        ),
        (
            "IncidentEscalate",
            body(
                json!({
                    "to": {"type": "string", "enum": Level::ALL.map(|level| level.to_string())},
                    "why": words(0),
                }),
                &[],
            ),
        ),
        ("IncidentClose", body(json!({"reason": words(0)}), &[])),
    ]
}
