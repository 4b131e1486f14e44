//! `host run PLAYBOOK`: runs it to its end, or until it waits.

use std::sync::Arc;

use super::drive::{conclude, drive};
use super::error::{CliError, FAILED, NEEDS_ATTENTION, UNFINISHED};
use super::out::{CAREFUL, GOOD, Out, STRONG, plain};
use super::playbook::Chosen;
use super::progress::Screen;
use super::signed;
use crate::app::App;
use crate::gate::{Observer, Silent};
use crate::id::RunId;
use crate::journal::Status;
use crate::runs::{Order, Runner, Task};
use crate::script::Script;
use crate::serve::banner::tell_provider;

pub use super::playbook::Args;

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let Some(Chosen { script, input, .. }) = args.choose("run", app, out)? else {
        return Ok(0);
    };
    // First, so that it is known whether a server drives the run.
    let runner = app.runner()?;
    let mode = app.mode(&script.header.uses)?;
    let order = Order {
        script,
        input,
        mode,
        trigger: "by hand".to_owned(),
        by: app.person(),
        retry_of: None,
        corr: None,
        observer: observer(out),
    };
    start(app, &runner, order, out)
}

/// Who watches a run that begins here.
pub fn observer(out: &Out) -> Arc<dyn Observer> {
    match out.json {
        true => Arc::new(Silent),
        false => Arc::new(Screen::new(Out::new(out.json, out.choice()))),
    }
}

/// Begins what `order` says, and drives it until it is at rest.
pub fn start(app: &App, runner: &Runner, order: Order, out: &mut Out) -> Result<u8, CliError> {
    start_told(app, runner, order, &|_| (), out)
}

/// The same; `told` hears which run it is, before any of it is on disk.
pub fn start_told(
    app: &App,
    runner: &Runner,
    order: Order,
    told: &dyn Fn(RunId),
    out: &mut Out,
) -> Result<u8, CliError> {
    if let Some(server) = app.server() {
        return super::served::start(app, &server, runner, order, told, out);
    }
    let handle = runner.begin(&order)?;
    let run = handle.tape().run;
    // Nothing of the run has left: what makes its first effect durable makes this durable before it.
    signed::record(app, &*runner.gate.ground.store, signed::begun(run, &order))?;
    told(run);
    let script = order.script;
    order.mode.live_providers().for_each(tell_provider);
    if !out.json {
        headline(&script, run, order.mode.live, out);
        out.line("");
    }
    let driven = drive(app, runner, vec![Task::Begun(handle, script.clone())], Some(run), out);
    conclude(driven, run, &script, runner, false, out)
}

/// `demo@1a2b3c  run 01KT2M  DRY (…)`
pub fn headline(script: &Script, run: RunId, live: bool, out: &mut Out) {
    let mode = match live {
        true => out.paint(CAREFUL, "LIVE"),
        false => format!(
            "{} (DRY_RUN is on: nothing leaves this machine)",
            out.paint(GOOD, "DRY")
        ),
    };
    let name = out.paint(STRONG, &plain(&script.name));
    out.line(format!(
        "{name}@{}  run {}  {mode}",
        script.source.hash.short(),
        run.short()
    ));
}

/// The exit code for a run that is at rest so.
pub fn exit_code(status: Status) -> u8 {
    match status {
        Status::Succeeded => 0,
        Status::NeedsAttention => NEEDS_ATTENTION,
        Status::Queued | Status::Running | Status::Suspended => UNFINISHED,
        Status::Failed | Status::Cancelled => FAILED,
    }
}
