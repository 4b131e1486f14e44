//! Which incidents there are, and what happened in one.

use serde_json::{Value as Json, json};

use crate::http::answer::{Answer, Refusal};
use crate::http::page;
use crate::http::request::Request;
use crate::http::server::Server;
use crate::journal::incident::{self, Incident};
use crate::journal::{JournalError, RunRecord};
use crate::report::incident::{incident_json, timeline};
use crate::report::summary::record_json;
use crate::store::Store;

pub(super) fn list(server: &Server, request: &Request) -> Result<Answer, Refusal> {
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

pub(super) fn one(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let incident = incident::find(&*server.store, request.param("incident"))?.incident;
    Ok(Answer::data(whole(&*server.store, &incident)?))
}

/// The incident, with those of its runs that are still there, and what happened when.
pub(super) fn whole(store: &dyn Store, incident: &Incident) -> Result<Json, JournalError> {
    let mut runs = Vec::new();
    for run in &incident.runs {
        match RunRecord::get(store, *run) {
            Ok(record) => runs.push(record),
            Err(JournalError::NoSuchRun(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let mut shown = incident_json(incident, &[]);
    shown["runs"] = runs.iter().map(record_json).collect();
    shown["timeline"] = timeline(incident, &runs)
        .into_iter()
        .map(|line| json!({"at": crate::report::entries::timestamp(line.at_ms, 0), "by": line.by, "text": line.text}))
        .collect();
    Ok(shown)
}
