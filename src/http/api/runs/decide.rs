//! What people say of a run that stands still: what became of a write, and that it goes on.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::change::accepted;
use super::run;
use crate::app::AppError;
use crate::effect::RunMode;
use crate::gate::Silent;
use crate::http::answer::{Answer, Refusal};
use crate::http::api::person;
use crate::http::request::Request;
use crate::http::server::Server;
use crate::id::StepNo;
use crate::journal::Recorded;
use crate::runs::{Resume, resolve};
use crate::serve::desk::narrow::too_live;
use crate::store::Realm;
use crate::value::Value;

pub(super) fn resume(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let record = run(server, request)?;
    let edition = server.edition();
    let begun = Recorded::load(&server.ground(), record.run)?.begun;
    let here = RunMode {
        live: server.realm() == Realm::Live,
        providers: edition.app.provider_modes().map_err(AppError::from)?,
        ..RunMode::default()
    };
    if let Some(why) = too_live(&begun.mode, &here) {
        let message = format!("{why}, and would go on live; nothing was done");
        return Err(Refusal::new(409, "RUN_NOT_DRY", message));
    }
    let how = Resume {
        by: format!("by {}", person(request)),
        observer: Arc::new(Silent),
    };
    // From here on the run is this host's, and its journal says so.
    let (handle, script) = edition.runner.take_over(&edition.app.library, record.run, &how)?;
    server.driver.adopt(&edition, handle, script);
    accepted(server, record.run)
}

#[derive(Deserialize)]
struct Decision {
    step: StepNo,
    landed: bool,
    #[serde(default)]
    value: Json,
    reason: String,
}

pub(super) fn resolve(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let Decision {
        step,
        landed,
        value,
        reason,
    } = request.body()?;
    let record = run(server, request)?;
    let decision = resolve::Decision {
        step,
        landed,
        value: Value::from_json(value),
        reason,
        by: person(request),
    };
    resolve::resolve(&server.edition().runner.gate, record.run, decision)?;
    Ok(Answer::data(
        json!({"run_id": record.run.to_string(), "step": step, "landed": landed}),
    ))
}
