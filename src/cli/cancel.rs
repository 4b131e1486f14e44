//! `host cancel RUN`: ends a run that waits or was cut off, and the runs it started.

use std::sync::Arc;

use serde_json::json;

use super::error::{CliError, UNFINISHED};
use super::out::Out;
use super::signed;
use crate::app::App;
use crate::gate::Silent;
use crate::journal::RunRecord;
use crate::journal::audit::Act;
use crate::report::run_json;
use crate::runs::{Finished, Resume, ResumeError, Runner, recovery};
use crate::serve::desk::{CallError, Caller};

#[derive(clap::Args)]
pub struct Args {
    /// The run: the beginning of its id.
    run: String,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let runner = app.runner()?;
    let record = RunRecord::find(&*runner.gate.ground.store, &args.run)?;
    let how = Resume {
        by: app
            .person()
            .map_or("by hand".to_owned(), |person| format!("by {person}")),
        observer: Arc::new(Silent),
    };
    let act = Act::new("run.cancel", record.run.to_string()).with("playbook", record.playbook.clone());
    let cancelled = signed::attempt(app, &*runner.gate.ground.store, act, || {
        cancel(app, &runner, &record, &how).map_err(|error| {
            let of_child = matches!(&error, CallError::Refused(ResumeError::InDoubt { run, .. }) if *run != record.run);
            let error = CliError::from(error);
            match of_child {
                true => error.note("the run itself is cancelled, and whatever else it started"),
                false => error,
            }
        })
    })?;
    let Some(finished) = cancelled else {
        return Ok(stopping(&record, out));
    };
    if out.json {
        out.json(&run_json(&finished));
    } else {
        let id = record.run.short();
        let below = match recovery::children(&*runner.gate.ground.store, record.run)?.len() {
            0 => "",
            _ => ", with what it started",
        };
        out.line(format!(
            "run {id} is {}{below}; `host retry {id}` would start it anew",
            finished.record.status
        ));
    }
    Ok(0)
}

/// Here, or in the server; `None` when it was told to stop and is not at rest yet.
fn cancel(app: &App, runner: &Runner, record: &RunRecord, how: &Resume) -> Result<Option<Finished>, CallError> {
    let Some(server) = app.server() else {
        let cancelled = runner.cancel(&app.library, record.run, how);
        return cancelled.map(Some).map_err(CallError::Refused);
    };
    match Caller::to(&server)?.cancel(record.run, &how.by)? {
        Some(mut ended) => match ended.finished.pop() {
            Some(rested) => Ok(Some(rested.into())),
            None => Err(CallError::Refused(ResumeError::Busy(record.run))),
        },
        None => Ok(None),
    }
}

/// It was told to stop, and is at something that cannot be cut short.
fn stopping(record: &RunRecord, out: &mut Out) -> u8 {
    let id = record.run.short();
    if out.json {
        out.json(&json!({ "run_id": record.run.to_string(), "status": "stopping" }));
    } else {
        out.line(format!(
            "run {id} was told to stop, and is not at rest yet; `host show {id}` tells how it goes"
        ));
    }
    UNFINISHED
}
