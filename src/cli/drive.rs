//! Runs that are driven from the command line, and what is said when they come to rest.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::error::{CliError, Shown, render};
use super::out::{BAD, CAREFUL, FAINT, GOOD, Out, excerpt, moment, plain};
use super::progress::Screen;
use super::run::exit_code;
use crate::app::App;
use crate::duration::for_people;
use crate::gate::{Notice, Observer, Silent};
use crate::id::RunId;
use crate::journal::question::Question;
use crate::journal::{Awaited, Recorded, Status, Waits};
use crate::report::run_json;
use crate::runs::{Conductor, Driven, Finished, Runner, Task};
use crate::script::{Diagnosis, Script};
use crate::store::keys;
use crate::value::Value;

/// A run that waits longer than this is left waiting, on disk.
const PATIENCE: Duration = Duration::from_secs(60);

/// Drives `tasks`; `watched` is shown step by step.
pub fn drive(app: &App, runner: &Runner, tasks: Vec<Task>, watched: Option<RunId>, out: &Out) -> Driven {
    let screen: Arc<dyn Observer> = match out.json {
        true => Arc::new(Silent),
        false => Arc::new(Screen::new(Out::new(out.json, out.choice()))),
    };
    let stop: Arc<AtomicBool> = Arc::default();
    if let Err(error) = crate::io::signals::stop_on_interrupt(&stop) {
        tracing::warn!(%error, "Ctrl-C will end host at once");
    }
    let (shown, clock) = (screen.clone(), app.clock.clone());
    let conductor = Arc::new(Conductor {
        runner: runner.clone(),
        library: app.library.clone(),
        by: app
            .person()
            .map_or("by hand".to_owned(), |person| format!("by {person}")),
        observe: Box::new(move |run| match watched {
            Some(watched) if watched == run => screen.clone(),
            _ => Arc::new(Silent),
        }),
        patience: PATIENCE,
        on_wait: Box::new(move |finished| {
            let waits = finished
                .record
                .waits
                .as_ref()
                .filter(|_| Some(finished.record.run) == watched);
            let until_ms = waits.and_then(|waits| waits.until_ms);
            let wait_ms = until_ms.map(|until_ms| (until_ms - clock.unix_ms()).max(0) as u64);
            if let (Some(waits), Some(wait_ms)) = (waits, wait_ms)
                && Duration::from_millis(wait_ms) <= PATIENCE
            {
                shown.notice(Notice::Waiting {
                    step: waits.step,
                    why: waits.what.clone(),
                    wait_ms,
                });
            }
        }),
        stop,
    });
    let driven = conductor.drive(tasks);
    if let Some(lookout) = runner.gate.lookout.get() {
        lookout.finish();
    }
    driven
}

/// Takes `run` out of what was driven, here or by a server (`served`), and says how it is at rest. Gives the exit code.
pub fn conclude(
    mut driven: Driven,
    run: RunId,
    script: &Script,
    runner: &Runner,
    served: bool,
    out: &mut Out,
) -> Result<u8, CliError> {
    if let Some(error) = driven.failed.remove(&run) {
        return Err(error.into());
    }
    for (child, error) in &driven.failed {
        tracing::warn!(run = %child, %error, "a run that was started could not go on");
    }
    let Some(finished) = driven.finished.remove(&run) else {
        return Err(CliError::usage(
            "RUN_BUSY",
            format!("run {} is at work elsewhere", run.short()),
        ));
    };
    if out.json {
        out.json_line(&run_json(&finished));
    } else if finished.record.status == Status::Suspended {
        suspended(&finished, runner, served, out)?;
    } else {
        summary(&finished, script, out);
    }
    Ok(exit_code(finished.record.status))
}

fn suspended(finished: &Finished, runner: &Runner, served: bool, out: &mut Out) -> Result<(), CliError> {
    let record = &finished.record;
    let Some(waits) = &record.waits else { return Ok(()) };
    let status = out.paint(CAREFUL, &record.status.to_string());
    out.line("");
    out.line(format!(
        "{status} at step {}: it waits {}",
        waits.step,
        plain(&waiting_words(waits))
    ));
    let id = record.run.short();
    let recorded = Recorded::load(&runner.gate.ground, record.run)?;
    let awaited = recorded.steps.get(&waits.step).and_then(|step| step.suspended.as_ref());
    let mut hints = Vec::new();
    match awaited.map(|suspended| &suspended.wake.awaited) {
        Some(Awaited::Question { .. }) => {
            let key = keys::question(record.run, waits.step);
            let row = runner.gate.ground.store.get(&key)?;
            let asked = row.as_ref().map(Question::decode).transpose()?;
            if let Some(asked) = asked.filter(|asked| asked.role.is_some() || asked.not_by.is_some()) {
                out.line(format!("who may answer: {}", super::answer::who(&asked)));
            }
            hints.push((format!("host answer {id} TEXT"), "answers it"));
        }
        Some(Awaited::Event { name }) => {
            hints.push((format!("host emit {}", plain(name)), "says that it has happened"));
        }
        Some(Awaited::Children { runs, .. }) => {
            for child in runs.iter().take(3) {
                hints.push((format!("host why {}", child.short()), "what it does, or waits for"));
            }
        }
        _ => {}
    }
    hints.push(match served {
        true => (
            format!("host show {id}"),
            "how it goes: the server goes on, when it has come",
        ),
        false => (format!("host resume {id}"), "goes on, when it has come"),
    });
    hints.push((format!("host cancel {id}"), "ends it"));
    hint_lines(&hints, out);
    Ok(())
}

/// `for the event "review.done" until 2026-11-24 05:18:55 UTC`
fn waiting_words(waits: &Waits) -> String {
    match waits.until_ms.map(moment) {
        None => format!("for {}", waits.what),
        Some(until) if waits.what == Awaited::Time.in_words() => format!("until {until}"),
        Some(until) => format!("for {} until {until}", waits.what),
    }
}

/// What a list says of it.
pub fn waited_for(waits: &Waits) -> String {
    match waits.until_ms {
        Some(until_ms) if waits.what == Awaited::Time.in_words() => moment(until_ms),
        _ => waits.what.clone(),
    }
}

/// Commands to type next, with what they do.
pub fn hint_lines(hints: &[(String, &str)], out: &mut Out) {
    out.line("");
    let width = hints
        .iter()
        .map(|(command, _)| command.chars().count())
        .max()
        .unwrap_or(0);
    for (command, what) in hints {
        let line = format!("{command:<width$}    {}", out.paint(FAINT, what));
        out.line(line);
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
            let help = format!("`host why {id}` tells what happened, what landed, and what to do next");
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
    let mut hints = vec![(format!("host show {id}"), "what happened, step by step")];
    if record.simulated > 0 {
        hints.push(("host providers".to_owned(), "what it would take to go live"));
    }
    hint_lines(&hints, out);
}

fn cost(usd: f64) -> String {
    if usd == 0.0 {
        "0".to_owned()
    } else {
        format!("${usd:.4}")
    }
}
