//! `host replay RUN`: the run once more, from its journal alone; or edited, and what would have been different.

use std::sync::Arc;

use serde_json::json;

use super::error::{CliError, FAILED};
use super::out::{BAD, FAINT, GOOD, Out, excerpt, moment, plain};
use super::whatif::WhatIfArgs;
use crate::app::App;
use crate::gate::Silent;
use crate::journal::{Outcome, Recorded, RunRecord};
use crate::report::summary::error_json;
use crate::report::whatif::whatif_json;
use crate::runs::{replay, whatif};
use crate::store::tx::Ground;

#[derive(clap::Args)]
pub struct Args {
    /// The run: the beginning of its id, as `host runs` shows it. Or the file of an incident bundle.
    run: String,
    /// Which run of the bundle; the one that opened the incident when not given.
    #[arg(value_name = "RUN")]
    within: Option<String>,
    #[command(flatten)]
    whatif: WhatIfArgs,
    /// Also write the report as a page of its own to this file.
    #[arg(long, value_name = "FILE")]
    html: Option<String>,
    /// Show every effect, also those that stayed the same.
    #[arg(long)]
    full: bool,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    if let Some(opened) = super::bundle::opened(&args.run, args.within.as_deref(), app)? {
        return once_more(&args, &opened.app, opened.ground, &opened.record, out);
    }
    let ground = app
        .reader()?
        .ok_or_else(|| CliError::usage("RUN_NOT_FOUND", "nothing has run here yet"))?;
    let record = RunRecord::find(&*ground.store, &args.run)?;
    once_more(&args, app, ground, &record, out)
}

fn once_more(args: &Args, app: &App, ground: Ground, record: &RunRecord, out: &mut Out) -> Result<u8, CliError> {
    if args.whatif.is_given() || args.html.is_some() {
        return edited(args, app, ground, record, out);
    }
    played(app, ground, record, out)
}

fn played(app: &App, ground: Ground, record: &RunRecord, out: &mut Out) -> Result<u8, CliError> {
    let replayed = replay::replay(&app.library, app.shut_gate(ground)?, record.run, Arc::new(Silent))?;
    let before = replayed.recorded.outcome().or_else(|| replayed.recorded.waiting());
    let before = before.expect("only runs at rest are replayed");
    let exit_code = if replayed.same { 0 } else { FAILED };
    if out.json {
        let outcome = |outcome: &Outcome| {
            json!({
                "status": outcome.status.code(),
                "value": outcome.value.to_json(),
                "error": outcome.error.as_ref().map(|error| error_json(error, &record.file)),
            })
        };
        out.json(&json!({
            "run_id": record.run.to_string(),
            "same": replayed.same,
            "effects": replayed.effects,
            "recorded_effects": replayed.recorded.steps.len(),
            "recorded": outcome(&before),
            "replayed": outcome(&replayed.outcome),
        }));
        return Ok(exit_code);
    }
    let version = format!("{}@{}", record.playbook, record.version.short());
    out.line(format!(
        "run {} of {}, recorded with {version}, replayed — doors shut",
        record.run.short(),
        moment(record.begun_ms)
    ));
    out.line("");
    if replayed.same {
        let mark = out.paint(GOOD, out.symbol("✓"));
        out.line(format!(
            "  {mark} the same: {} effects from the journal, outcome {}",
            replayed.effects,
            in_words(&before)
        ));
    } else {
        let mark = out.paint(BAD, out.symbol("✗"));
        out.line(format!(
            "  {mark} different: {} of {} effects asked for",
            replayed.effects,
            replayed.recorded.steps.len()
        ));
        out.line(format!("    before   {}", in_words(&before)));
        out.line(format!("    now      {}", in_words(&replayed.outcome)));
        let hint = out.paint(
            FAINT,
            "the script is the recorded one, so the host changed: keep this run and report it",
        );
        out.line(format!("    {hint}"));
    }
    Ok(exit_code)
}

/// The what-if: exit code 0 when the question was answered, whatever the answer.
fn edited(args: &Args, app: &App, ground: Ground, record: &RunRecord, out: &mut Out) -> Result<u8, CliError> {
    let recorded = Recorded::load(&ground, record.run)?;
    let script = args.whatif.script(app, &*ground.store, &recorded.begun)?;
    let options = args.whatif.options(app, &script, !out.json)?;
    let file = args.whatif.file(&recorded.begun);
    let gate = app.shut_gate(ground)?;
    let whatif = whatif(&app.library, &gate, recorded, &script, &options)?;
    if let Some(path) = &args.html {
        let page = crate::report::page::whatif_page(&whatif, &file);
        crate::io::scripts::write_text(path, &page)
            .map_err(|reason| CliError::usage("REPORT_UNWRITABLE", format!("{path} cannot be written: {reason}")))?;
    }
    if out.json {
        out.json(&whatif_json(&whatif, &file));
        return Ok(0);
    }
    super::whatif::show(&whatif, &file, args.full, out);
    if let Some(path) = &args.html {
        out.line(format!("page      {}", plain(path)));
    }
    Ok(0)
}

fn in_words(outcome: &Outcome) -> String {
    match &outcome.error {
        Some(error) => format!(
            "{}: {} — {}",
            outcome.status,
            error.failure.code,
            excerpt(&error.failure.message, 100)
        ),
        None => format!("{} {}", outcome.status, excerpt(&outcome.value.to_string(), 100)),
    }
}
