//! Which runs there are, what they did, and why they ended so.

use serde_json::Value as Json;

use super::run;
use crate::http::answer::{Answer, Refusal};
use crate::http::page;
use crate::http::request::Request;
use crate::http::server::Server;
use crate::id::{IncidentId, RunId};
use crate::journal::{Recorded, incident};
use crate::report::runs::{STATUSES, Wanted, matching};
use crate::report::summary::record_json;
use crate::report::why::{before, explain};
use crate::report::{entries, show_json};

/// Runs that are looked through for one page.
const LOOKED_THROUGH_MAX: usize = 10_000;

pub(super) fn list(server: &Server, request: &Request) -> Result<Answer, Refusal> {
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

pub(super) fn one(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let record = run(server, request)?;
    let recorded = Recorded::load(&server.ground(), record.run)?;
    Ok(Answer::data(show_json(&record, &recorded)["run"].take()))
}

pub(super) fn journal(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let record = run(server, request)?;
    let recorded = Recorded::load(&server.ground(), record.run)?;
    let first: usize = page::place(request)?.and_then(|place| place.parse().ok()).unwrap_or(0);
    let limit = page::limit(request);
    let mut items: Vec<Json> = entries(&recorded).into_iter().skip(first).take(limit + 1).collect();
    let next = (items.len() > limit).then(|| (first + limit).to_string());
    items.truncate(limit);
    Ok(page::answer(request, items, next))
}

pub(super) fn why(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let (record, ground) = (run(server, request)?, server.ground());
    let recorded = Recorded::load(&ground, record.run)?;
    let script = server.app.library.pinned(&*ground.store, &recorded.begun).ok();
    let title = script.as_ref().and_then(|script| script.header.title.as_deref());
    let why = explain(&record, &recorded, title, before::success(&ground, &record)?.as_ref());
    let incidents = incident::of_run(&*ground.store, record.run)?;
    let mut shown = why.to_json(&record);
    shown["incident_ids"] = incidents.iter().map(IncidentId::to_string).collect();
    Ok(Answer::data(shown))
}
