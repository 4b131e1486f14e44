//! `host cancel RUN`: ends a run that waits or was cut off, and the runs it started.

use std::sync::Arc;

use serde_json::json;

use super::error::{CliError, UNFINISHED};
use super::out::Out;
use crate::app::App;
use crate::gate::Silent;
use crate::journal::RunRecord;
use crate::report::run_json;
use crate::runs::{Finished, Resume, ResumeError, recovery};
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
    let cancelled = match app.server() {
        None => runner.cancel(&app.library, record.run, &how),
        Some(server) => match Caller::to(&server)?.cancel(record.run, &how.by) {
            Ok(Some(mut ended)) => ended
                .finished
                .pop()
                .map(Finished::from)
                .ok_or(ResumeError::Busy(record.run)),
            Ok(None) => return Ok(stopping(&record, out)),
            Err(CallError::Refused(error)) => Err(error),
            Err(error) => return Err(error.into()),
        },
    };
    let finished = cancelled.map_err(|error| {
        let of_child = matches!(&error, ResumeError::InDoubt { run, .. } if *run != record.run);
        let error = CliError::from(error);
        match of_child {
            true => error.note("the run itself is cancelled, and whatever else it started"),
            false => error,
        }
    })?;
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
