//! `host run PLAYBOOK`: runs it to its end.

use std::sync::Arc;

use super::error::{CliError, FAILED, NEEDS_ATTENTION, Shown, UNFINISHED, render};
use super::out::{BAD, CAREFUL, FAINT, GOOD, Out, STRONG, excerpt, plain};
use super::playbook::Chosen;
use super::progress::Screen;
use crate::app::App;
use crate::duration::for_people;
use crate::gate::{Observer, Silent};
use crate::journal::Status;
use crate::report::run_json;
use crate::runs::{Finished, Order};
use crate::script::{Diagnosis, Script};
use crate::value::Value;

pub use super::playbook::Args;

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let Some(Chosen { script, input }) = args.choose("run", app, out)? else {
        return Ok(0);
    };
    let mode = app.mode(&script.header.uses)?;
    let runner = app.runner()?;
    let screen = Arc::new(Screen::new(Out::new(out.json, out.choice())));
    let observer: Arc<dyn Observer> = if out.json { Arc::new(Silent) } else { screen };
    let order = Order {
        script: script.clone(),
        input,
        mode,
        trigger: "by hand".to_owned(),
        by: app.person(),
        retry_of: None,
        observer,
    };
    let run = runner.begin(&order)?;
    if let Err(error) = crate::io::signals::stop_on_interrupt(&run.stop_flag()) {
        tracing::warn!(%error, "Ctrl-C will end host at once");
    }
    if !out.json {
        let id = run.tape().run.short();
        let mode = match order.mode.live {
            true => out.paint(CAREFUL, "LIVE"),
            false => format!(
                "{} (DRY_RUN is on: nothing leaves this machine)",
                out.paint(GOOD, "DRY")
            ),
        };
        let name = out.paint(STRONG, &plain(&script.name));
        out.line(format!("{name}@{}  run {id}  {mode}", script.source.hash.short()));
        out.line("");
    }
    let finished = runner.finish(&run, &script)?;
    if out.json {
        out.json_line(&run_json(&finished));
    } else {
        summary(&finished, &script, out);
    }
    Ok(exit_code(finished.outcome.status))
}

/// The exit code for a run that ended so.
pub fn exit_code(status: Status) -> u8 {
    match status {
        Status::Succeeded => 0,
        Status::NeedsAttention => NEEDS_ATTENTION,
        Status::Queued | Status::Running | Status::Suspended => UNFINISHED,
        Status::Failed | Status::Cancelled => FAILED,
    }
}

fn summary(finished: &Finished, script: &Script, out: &mut Out) {
    let record = &finished.record;
    let style = if finished.succeeded() { GOOD } else { BAD };
    let status = out.paint(style, &record.status.to_string());
    let took = for_people((record.ended_ms.unwrap_or(record.begun_ms) - record.begun_ms).max(0) as u64);
    let simulated = if record.simulated > 0 {
        format!(", {} simulated", record.simulated)
    } else {
        String::new()
    };
    let dot = out.symbol("·");
    let effects = if record.effects == 1 {
        "1 effect".to_owned()
    } else {
        format!("{} effects", record.effects)
    };
    out.line("");
    out.line(format!(
        "{status} in {took} {dot} {effects}{simulated} {dot} cost {}",
        cost(record.cost_usd)
    ));
    let id = record.run.short();
    match &finished.outcome.error {
        None if finished.outcome.value.is_unit() => {}
        None => out.result(&finished.outcome.value),
        Some(error) => {
            let diagnosis = Diagnosis::of_run_error(error, script);
            let mut notes = Vec::new();
            if let Some(step) = error.step {
                notes.push(format!("it happened at step {step}"));
            }
            if let Some(words) = error.failure.details.get("body").and_then(Value::as_str) {
                notes.push(format!("the provider's words: {}", excerpt(words, 400)));
            }
            notes.extend(match error.failure.landed {
                Some(false) => Some("the write did not happen".to_owned()),
                Some(true) => Some("the write happened".to_owned()),
                None if finished.outcome.status == Status::NeedsAttention => {
                    Some("nobody can tell whether the write happened, so nothing was sent again".to_owned())
                }
                None => None,
            });
            let help = format!("`host show {id}` tells what happened before, step by step");
            let shown = Shown {
                code: &error.failure.code,
                message: &error.failure.message,
                notes: &notes,
                help: Some(&help),
            };
            let text = render(&shown, Some(&diagnosis), out.has_color(), out.unicode);
            out.line("");
            out.line(text);
            return;
        }
    }
    out.line("");
    let hint = |command: String, what: &str, out: &Out| format!("{command:<24}{}", out.paint(FAINT, what));
    let show = hint(format!("host show {id}"), "what happened, step by step", out);
    out.line(show);
    if record.simulated > 0 {
        let providers = hint("host providers".to_owned(), "what it would take to go live", out);
        out.line(providers);
    }
}

fn cost(usd: f64) -> String {
    if usd == 0.0 {
        "0".to_owned()
    } else {
        format!("${usd:.4}")
    }
}
