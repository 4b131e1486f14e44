//! `host resume [RUN | --all]`: goes on with runs that were cut off, that wait for what has come, or whose error passed.

use serde_json::json;

use super::drive::{conclude, drive};
use super::error::{CliError, FAILED};
use super::out::{BAD, GOOD, Out, plain};
use crate::app::App;
use crate::id::RunId;
use crate::journal::{RunRecord, Status};
use crate::report::summary::record_json;
use crate::runs::{Driven, Runner, Task, recovery};

#[derive(clap::Args)]
pub struct Args {
    /// The run: the beginning of its id, as `host runs` shows it.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    run: Option<String>,
    /// Every run that was cut off, and every one whose wait is over.
    #[arg(long)]
    all: bool,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let runner = app.runner()?;
    match &args.run {
        Some(run) => one(run, app, &runner, out),
        None => all(app, &runner, out),
    }
}

fn one(prefix: &str, app: &App, runner: &Runner, out: &mut Out) -> Result<u8, CliError> {
    let store = &*runner.gate.ground.store;
    let record = RunRecord::find(store, prefix)?;
    let recorded = crate::journal::Recorded::load(&runner.gate.ground, record.run)?;
    let script = app.library.pinned(store, &recorded.begun)?;
    if !out.json {
        let mode = if record.live { "LIVE" } else { "DRY" };
        out.line(format!(
            "{}@{}  run {}  {mode}  goes on after step {}",
            plain(&record.playbook),
            record.version.short(),
            record.run.short(),
            recorded.steps.keys().last().copied().unwrap_or(0)
        ));
        out.line("");
    }
    let driven = drive(app, runner, vec![Task::Resume(record.run)], Some(record.run), out);
    conclude(driven, record.run, &script, runner, out)
}

/// Goes on with whatever can; what it says is one line a run.
fn all(app: &App, runner: &Runner, out: &mut Out) -> Result<u8, CliError> {
    let ground = &runner.gate.ground;
    let mut runs: Vec<RunId> = recovery::unfinished(ground)?;
    runs.extend(recovery::due(ground, app.clock.unix_ms())?);
    runs.sort();
    runs.dedup();
    let driven = drive(app, runner, runs.into_iter().map(Task::Resume).collect(), None, out);
    let Driven { finished, failed } = &driven;
    let bad = |status: Status| matches!(status, Status::Failed | Status::NeedsAttention);
    let any_bad = !failed.is_empty() || finished.values().any(|finished| bad(finished.record.status));
    let code = if any_bad { FAILED } else { 0 };
    if out.json {
        let failures = failed.iter().map(|(run, error)| {
            json!({ "run_id": run.to_string(), "error": { "code": error.code(), "message": error.to_string() } })
        });
        out.json(&json!({
            "runs": finished.values().map(|finished| record_json(&finished.record)).collect::<Vec<_>>(),
            "failures": failures.collect::<Vec<_>>(),
        }));
        return Ok(code);
    }
    if finished.is_empty() && failed.is_empty() {
        out.line("nothing is to be gone on with");
        return Ok(code);
    }
    let mut rows = Vec::new();
    for finished in finished.values() {
        let record = &finished.record;
        let style = if bad(record.status) { BAD } else { GOOD };
        rows.push(vec![
            record.run.short(),
            plain(&record.playbook),
            out.paint(style, &record.status.to_string()),
            record
                .waits
                .as_ref()
                .map(|waits| plain(&waits.what))
                .unwrap_or_default(),
        ]);
    }
    for (run, error) in failed {
        let status = out.paint(BAD, error.code());
        rows.push(vec![run.short(), String::new(), status, plain(&error.to_string())]);
    }
    out.table(&["run", "playbook", "status", ""], &rows);
    Ok(code)
}
