//! `host replay RUN`: the run once more, from its journal alone.

use std::sync::Arc;

use serde_json::json;

use super::error::{CliError, FAILED};
use super::out::{BAD, FAINT, GOOD, Out, excerpt, moment};
use crate::app::App;
use crate::gate::Silent;
use crate::journal::{Outcome, RunRecord};
use crate::report::summary::error_json;
use crate::runs::replay;
use crate::store::tx::Ground;

#[derive(clap::Args)]
pub struct Args {
    /// The run: the beginning of its id, as `host runs` shows it. Or the file of an incident bundle.
    run: String,
    /// Which run of the bundle; the one that opened the incident when not given.
    #[arg(value_name = "RUN")]
    within: Option<String>,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    if let Some(opened) = super::bundle::opened(&args.run, args.within.as_deref(), app)? {
        return played(&opened.app, opened.ground, &opened.record, out);
    }
    let ground = app
        .reader()?
        .ok_or_else(|| CliError::usage("RUN_NOT_FOUND", "nothing has run here yet"))?;
    let record = RunRecord::find(&*ground.store, &args.run)?;
    played(app, ground, &record, out)
}

fn played(app: &App, ground: Ground, record: &RunRecord, out: &mut Out) -> Result<u8, CliError> {
    let replayed = replay::replay(&app.library, app.shut_gate(ground)?, record.run, Arc::new(Silent))?;
    let before = replayed.recorded.outcome().expect("only finished runs are replayed");
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
