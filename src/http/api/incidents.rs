//! Incidents: which there are, and what happened in them.

use serde_json::{Value as Json, json};

use super::{list_of, map, moment, moment_or_null, text, text_or_null};
use crate::http::answer::{Answer, Refusal};
use crate::http::page;
use crate::http::request::Request;
use crate::http::routes::{CURSOR, Gives, Group, Kind, LIMIT, Param, Route};
use crate::http::server::Server;
use crate::journal::incident::{self, Incident};
use crate::journal::{JournalError, RunRecord};
use crate::report::incident::{incident_json, timeline};
use crate::report::summary::record_json;

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
        ..Route::get("/api/v1/incidents", "incidents.list", list)
    },
    Route {
        says: "One incident, with its runs and what happened when.",
        gives: Gives::Data(200, "IncidentDetail"),
        refuses: &[(404, "INCIDENT_NOT_FOUND"), (409, "INCIDENT_AMBIGUOUS")],
        ..Route::get("/api/v1/incidents/{incident}", "incidents.get", one)
    },
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
    vec![("Incident", map(incident)), ("IncidentDetail", map(detail))]
}

fn list(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let after = page::place(request)?;
    let place = |incident: &Incident| format!("{:020} {}", incident.opened_ms, incident.id);
    let mut found = incident::list(&*server.store)?;
    found.retain(|incident| {
        request
            .query("state")
            .is_none_or(|state| incident.state.as_str() == state)
            && after.as_ref().is_none_or(|after| place(incident) < *after)
    });
    let next = page::cut(&mut found, page::limit(request), place);
    let items = found.iter().map(|incident| incident_json(incident, &[]));
    Ok(page::answer(request, items.collect(), next))
}

fn one(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let incident = incident::find(&*server.store, request.param("incident"))?.incident;
    let mut runs = Vec::new();
    for run in &incident.runs {
        match RunRecord::get(&*server.store, *run) {
            Ok(record) => runs.push(record),
            Err(JournalError::NoSuchRun(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut shown = incident_json(&incident, &[]);
    shown["runs"] = runs.iter().map(record_json).collect();
    shown["timeline"] = timeline(&incident, &runs)
        .into_iter()
        .map(|line| json!({"at": crate::report::entries::timestamp(line.at_ms, 0), "by": line.by, "text": line.text}))
        .collect();
    Ok(Answer::data(shown))
}
