//! `host resume [RUN | --all]`: goes on with runs that were cut off, that wait for what has come, or whose error passed.
//! With the name of a paused playbook, or `--all-paused`, it ends the pause.

use std::sync::Arc;

use serde_json::json;

use super::drive::{conclude, drive, waited_for};
use super::error::{CliError, FAILED, NEEDS_ATTENTION};
use super::out::{BAD, GOOD, Out, plain};
use super::pause::{self, MissedChoice};
use super::whatif::WhatIfArgs;
use super::{served, signed};
use crate::app::App;
use crate::gate::Silent;
use crate::id::RunId;
use crate::journal::audit::Act;
use crate::journal::{Recorded, RunRecord, Status};
use crate::report::summary::record_json;
use crate::runs::diff::Diff;
use crate::runs::edit::{self, Amendment};
use crate::runs::{Driven, Resume, ResumeError, Runner, Task, recovery};
use crate::serve::desk::said::{Amend, Work};
use crate::store::remote::RemoteStore;

#[derive(clap::Args)]
pub struct Args {
    /// The run: the beginning of its id, as `host runs` shows it. Or the name of a playbook that is paused.
    #[arg(required_unless_present_any = ["all", "all_paused"], conflicts_with_all = ["all", "all_paused"])]
    run: Option<String>,
    /// Go on with an edited script, by path or by name. What it asks as before is not done again.
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    with: Option<String>,
    /// With `--with`: another input; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", requires = "with")]
    input: Vec<String>,
    /// With `--with`: a write that landed, whose outcome is kept although the script changes it.
    #[arg(long, value_name = "STEP", requires = "with")]
    keep: Vec<u32>,
    /// With `--with`: a write that landed and is done once more.
    #[arg(long, value_name = "STEP", requires = "with")]
    again: Vec<u32>,
    /// Every run that was cut off, and every one whose wait is over.
    #[arg(long, conflicts_with = "all_paused")]
    all: bool,
    /// Everything that is paused.
    #[arg(long)]
    all_paused: bool,
    /// Of what is paused: which ticks of that time are caught up.
    #[arg(long, value_name = "WHICH", conflicts_with_all = ["all", "with"])]
    missed: Option<MissedChoice>,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    if args.all_paused {
        return pause::resume(None, args.missed, app, out);
    }
    if let Some(name) = &args.run
        && args.with.is_none()
        && (args.missed.is_some() || pause::is_paused(name, app)?)
    {
        return pause::resume(Some(name), args.missed, app, out);
    }
    let runner = app.runner()?;
    match &args.run {
        Some(run) => match &args.with {
            Some(file) => edited(run, file, &args, app, &runner, out),
            None => one(run, app, &runner, out),
        },
        None => all(app, &runner, out),
    }
}

fn one(prefix: &str, app: &App, runner: &Runner, out: &mut Out) -> Result<u8, CliError> {
    let store = &*runner.gate.ground.store;
    let record = RunRecord::find(store, prefix)?;
    check_is_open(&record)?;
    let recorded = Recorded::load(&runner.gate.ground, record.run)?;
    let how = resume_by(app, out);
    let head = |out: &mut Out| {
        let mode = if record.live { "LIVE" } else { "DRY" };
        let line = format!(
            "{}@{}  run {}  {mode}  goes on after step {}",
            plain(&record.playbook),
            record.version.short(),
            record.run.short(),
            recorded.steps.keys().last().copied().unwrap_or(0)
        );
        if !out.json {
            out.line(line);
        }
    };
    if let Some(server) = app.server() {
        served::check_mode(app, &recorded.begun.mode)?;
        let script = app.library.pinned(store, &recorded.begun)?;
        let (run, by) = (record.run, how.by);
        let work = Work::Resume { run, by };
        return served::follow(app, &server, runner, work, &script, out, |_, out| head(out));
    }
    let (handle, script) = runner.take_over(&app.library, record.run, &how)?;
    signed::record(app, store, went_on("run.resume", &record))?;
    head(out);
    if !out.json {
        out.line("");
    }
    let driven = drive(
        app,
        runner,
        vec![Task::Begun(handle, script.clone())],
        Some(record.run),
        out,
    );
    conclude(driven, record.run, &script, runner, false, out)
}

/// The same in a server, which goes on by itself with what it can: what it has at work is left alone, and so is what is more
/// live than it is here.
fn all_served(
    mut runs: Vec<RunId>,
    by: String,
    app: &App,
    server: &RemoteStore,
    runner: &Runner,
) -> Result<Driven, CliError> {
    let store = &*runner.gate.ground.store;
    let mut kept_back = 0;
    if app.config.dry_run()? {
        let before = runs.len();
        runs.retain(|run| RunRecord::get(store, *run).is_ok_and(|record| !record.live));
        kept_back = before - runs.len();
    }
    if kept_back > 0 {
        tracing::warn!(runs = kept_back, "live runs are left to the server: DRY_RUN is on here");
    }
    let mut driven = served::drive(app, server, Work::Each { runs, by }, |_| Arc::new(Silent))?;
    driven.failed.retain(|_, error| !matches!(error, ResumeError::Busy(_)));
    Ok(driven)
}

/// What succeeded has no end to go on from, whatever is edited.
fn check_is_open(record: &RunRecord) -> Result<(), CliError> {
    let (run, status) = (record.run, record.status);
    if status != Status::Succeeded {
        return Ok(());
    }
    let help = format!("`host retry {}` does it once more", run.short());
    Err(CliError::from(ResumeError::Over { run, status }).help(help))
}

fn went_on(what: &str, record: &RunRecord) -> Act {
    Act::new(what, record.run.to_string()).with("playbook", record.playbook.clone())
}

fn resume_by(app: &App, out: &Out) -> Resume {
    Resume {
        by: app
            .person()
            .map_or("by hand".to_owned(), |person| format!("by {person}")),
        observer: super::run::observer(out),
    }
}

/// Shows the what-if, and goes on with the edited script where nothing stands against it.
fn edited(prefix: &str, file: &str, args: &Args, app: &App, runner: &Runner, out: &mut Out) -> Result<u8, CliError> {
    let store = &*runner.gate.ground.store;
    let record = RunRecord::find(store, prefix)?;
    let run = record.run;
    check_is_open(&record)?;
    let recorded = Recorded::load(&runner.gate.ground, run)?;
    let asked = WhatIfArgs::of(file, &args.input);
    let script = asked.script(app, store, &recorded.begun)?;
    let options = asked.options(app, &script, false)?;
    let amendment = Amendment {
        script,
        input: options.input.clone(),
        keep: args.keep.iter().copied().collect(),
        again: args.again.iter().copied().collect(),
    };
    let preview = edit::preview(runner, &app.library, &recorded, &amendment, &options)?;
    if !out.json {
        super::whatif::show(&preview.whatif, file, false, out);
        out.line("");
    }
    let undecided = preview.undecided(&amendment);
    if !undecided.is_empty() {
        let named = |diff: &&Diff| format!("step {} ({})", diff.old_step().unwrap_or(0), diff.asked().name);
        let named: Vec<String> = undecided.iter().map(named).collect();
        let message = format!(
            "{} landed, or may have, and would be changed, left out or moved: nothing was done",
            named.join(", ")
        );
        let help = "`--keep STEP` takes what came of it, `--again STEP` does it once more";
        return Err(CliError::new("LANDED_WRITE_CHANGED", message, NEEDS_ATTENTION).help(help));
    }
    let how = resume_by(app, out);
    let head = |out: &mut Out| {
        if !out.json {
            out.line(format!("run {} goes on with {}", run.short(), plain(file)));
        }
    };
    if let Some(server) = app.server() {
        served::check_mode(app, &recorded.begun.mode)?;
        let script = amendment.script;
        let work = Work::Amend(Amend {
            run,
            pins: served::pin(runner, &script)?,
            input: amendment.input,
            keep: args.keep.clone(),
            again: args.again.clone(),
            by: how.by,
        });
        return served::follow(app, &server, runner, work, &script, out, |_, out| head(out));
    }
    let (handle, script) = runner.amend(&app.library, run, &amendment, &how)?;
    signed::record(app, store, went_on("run.amend", &record))?;
    head(out);
    if !out.json {
        out.line("");
    }
    let driven = drive(app, runner, vec![Task::Begun(handle, script.clone())], Some(run), out);
    conclude(driven, run, &script, runner, false, out)
}

/// Goes on with whatever can; what it says is one line a run.
fn all(app: &App, runner: &Runner, out: &mut Out) -> Result<u8, CliError> {
    let ground = &runner.gate.ground;
    let mut runs: Vec<RunId> = recovery::unfinished(ground)?;
    runs.extend(recovery::due(ground, app.clock.unix_ms())?);
    runs.sort();
    runs.dedup();
    if !runs.is_empty() {
        let act = Act::new("run.resume", "(all)").with("runs", runs.len());
        signed::record(app, &*ground.store, act)?;
    }
    let driven = match app.server() {
        Some(server) => {
            let by = resume_by(app, out).by;
            all_served(runs, by, app, &server, runner)?
        }
        None => drive(app, runner, runs.into_iter().map(Task::Resume).collect(), None, out),
    };
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
        out.line("nothing to go on with: no run was cut off, and no wait is over");
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
            match (&record.waits, &record.error) {
                (Some(waits), _) if record.status == Status::Suspended => plain(&waited_for(waits)),
                (_, Some(error)) => plain(&error.failure.code),
                _ => String::new(),
            },
        ]);
    }
    for (run, error) in failed {
        let status = out.paint(BAD, error.code());
        rows.push(vec![run.short(), String::new(), status, plain(&error.to_string())]);
    }
    out.table(&["run", "playbook", "status", ""], &rows);
    Ok(code)
}
