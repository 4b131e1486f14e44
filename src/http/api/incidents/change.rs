//! Opens incidents, writes to them, hands them on, closes them. A change that somebody else has overtaken is made anew.

use serde::Deserialize;

use super::look::whole;
use crate::http::answer::{Answer, Refusal};
use crate::http::api::person;
use crate::http::request::Request;
use crate::http::server::{CONFLICTS_MAX, Server};
use crate::id::{IncidentId, RunId};
use crate::journal::incident::{self, Incident, IncidentError, Level, OpenedBy};
use crate::journal::{JournalError, RunRecord};
use crate::store::{Batch, Store, StoreError};

#[derive(Deserialize)]
struct Open {
    runs: Vec<String>,
    title: Option<String>,
}

pub(super) fn open(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let Open { runs, title } = request.body()?;
    let (by, now_ms) = (by(server, request), server.now_ms());
    let records = records(&*server.store, &runs)?;
    let title = title.unwrap_or_else(|| {
        let first = &records[0];
        let code = first.error.as_ref().map(|error| format!(": {}", error.failure.code));
        format!("{} {}{}", first.playbook, first.status, code.unwrap_or_default())
    });
    let id = IncidentId::new(now_ms, server.app.chance.wide_bits());
    let title = server.masks().mask_text(title);
    let mut opened = Incident::open(id, &title, OpenedBy::Hand, &by, now_ms)?;
    opened.pin(&ids(&records), &by, now_ms)?;
    commit(server, |batch| incident::save_in(batch, &*server.store, None, &opened))?;
    let answer = Answer::data(whole(&*server.store, &opened)?).status(201);
    Ok(answer.header("location", &format!("/api/v1/incidents/{id}")))
}

#[derive(Deserialize)]
struct Runs {
    runs: Vec<String>,
}

pub(super) fn pin(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let Runs { runs } = request.body()?;
    let (by, now_ms) = (by(server, request), server.now_ms());
    change(server, request, |incident| {
        let records = records(&*server.store, &runs)?;
        incident.pin(&ids(&records), &by, now_ms).map(drop)
    })
}

pub(super) fn unpin(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let Runs { runs } = request.body()?;
    let (by, now_ms) = (by(server, request), server.now_ms());
    change(server, request, |incident| {
        let held = runs
            .iter()
            .map(|run| incident.held(run))
            .collect::<Result<Vec<_>, _>>()?;
        incident.unpin(&held, &by, now_ms)
    })
}

#[derive(Deserialize)]
struct Note {
    text: String,
}

pub(super) fn note(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let Note { text } = request.body()?;
    let (by, now_ms, text) = (by(server, request), server.now_ms(), server.masks().mask_text(text));
    change(server, request, |incident| incident.note(&text, &by, now_ms))
}

#[derive(Deserialize)]
struct Assign {
    owner: String,
    eta_ms: Option<i64>,
}

pub(super) fn assign(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let Assign { owner, eta_ms } = request.body()?;
    let (by, now_ms) = (by(server, request), server.now_ms());
    let owner = server.masks().mask_text(owner);
    change(server, request, |incident| incident.assign(&owner, eta_ms, &by, now_ms))
}

#[derive(Deserialize)]
struct Escalate {
    to: Option<Level>,
    #[serde(default)]
    why: String,
}

pub(super) fn escalate(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let Escalate { to, why } = request.body()?;
    let (by, now_ms, why) = (by(server, request), server.now_ms(), server.masks().mask_text(why));
    change(server, request, |incident| {
        incident.escalate(to, &why, &by, now_ms).map(drop)
    })
}

#[derive(Deserialize)]
struct Close {
    #[serde(default)]
    reason: String,
}

pub(super) fn close(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let Close { reason } = request.body()?;
    let (by, now_ms) = (by(server, request), server.now_ms());
    let reason = server.masks().mask_text(reason);
    change(server, request, |incident| incident.close(&reason, &by, now_ms))
}

/// Makes `change` to the incident that the path names.
fn change(
    server: &Server,
    request: &Request,
    change: impl Fn(&mut Incident) -> Result<(), IncidentError>,
) -> Result<Answer, Refusal> {
    let store = &*server.store;
    let mut after = None;
    commit(server, |batch| {
        let before = incident::find(store, request.param("incident"))?;
        let mut changed = before.incident.clone();
        change(&mut changed)?;
        if changed != before.incident {
            incident::save_in(batch, store, Some(&before), &changed)?;
        }
        after = Some(changed);
        Ok(())
    })?;
    let after = after.expect("it was committed");
    Ok(Answer::data(whole(store, &after)?))
}

fn commit(server: &Server, mut fill: impl FnMut(&mut Batch) -> Result<(), IncidentError>) -> Result<(), Refusal> {
    let mut conflicts = 0;
    loop {
        let mut batch = Batch::new();
        fill(&mut batch)?;
        match server.commit(batch) {
            Err(StoreError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
            done => return Ok(done?),
        }
    }
}

fn records(store: &dyn Store, runs: &[String]) -> Result<Vec<RunRecord>, JournalError> {
    runs.iter().map(|run| RunRecord::find(store, run)).collect()
}

fn ids(records: &[RunRecord]) -> Vec<RunId> {
    records.iter().map(|record| record.run).collect()
}

fn by(server: &Server, request: &Request) -> String {
    server.masks().mask_text(person(request))
}
