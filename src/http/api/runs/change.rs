//! Starts runs, does them once more, and ends them.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::run;
use crate::effect::RunMode;
use crate::gate::Silent;
use crate::http::answer::{Answer, Refusal};
use crate::http::api::person;
use crate::http::api::playbooks::unknown;
use crate::http::request::Request;
use crate::http::server::Server;
use crate::id::{RunId, StepNo};
use crate::journal::RunRecord;
use crate::report::summary::record_json;
use crate::runs::creation::{Creation, Pinned};
use crate::runs::resolve;
use crate::serve::desk::narrow::narrow;
use crate::value::{Map as ValueMap, Value};

/// How long a cancellation is waited for.
const CANCEL_TIME: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Start {
    playbook: String,
    #[serde(default)]
    input: Map<String, Json>,
}

pub(super) fn start(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let Start { playbook, input } = request.body()?;
    let edition = server.edition();
    let listed = edition.playbooks.get(&playbook);
    let listed = listed.ok_or_else(|| unknown(&edition, &playbook))?;
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
    server.commit(batch)?;
    accepted(server, id)
}

/// `run` is on disk, and goes on by itself.
pub(super) fn accepted(server: &Server, run: RunId) -> Result<Answer, Refusal> {
    let record = RunRecord::get(&*server.store, run)?;
    Ok(Answer::data(record_json(&record))
        .status(202)
        .header("location", &format!("/api/v1/runs/{run}")))
}

pub(super) fn cancel(server: &Server, request: &Request) -> Result<Answer, Refusal> {
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

pub(super) fn retry(server: &Server, request: &Request) -> Result<Answer, Refusal> {
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
