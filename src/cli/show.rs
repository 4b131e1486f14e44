//! `host show RUN`: what a run did, step by step.

use super::error::{CliError, Shown, render};
use super::out::{BAD, FAINT, GOOD, Out, STRONG, excerpt, moment, plain};
use super::progress::effect_line;
use crate::app::App;
use crate::duration::for_people;
use crate::journal::{Answer, Recorded, RunRecord, Status, Step};
use crate::report::show_json;
use crate::runs::recovery;
use crate::script::Diagnosis;
use crate::store::Store;

/// Characters of a value that are shown.
const VALUE_CHARS: usize = 160;

/// Runs in the tree that is shown below a run.
const TREE_MAX: usize = 200;

#[derive(clap::Args)]
pub struct Args {
    /// The run: the beginning of its id, as `host runs` shows it.
    run: String,
    /// Show arguments and values in full.
    #[arg(long)]
    full: bool,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let ground = app
        .reader()?
        .ok_or_else(|| CliError::usage("RUN_NOT_FOUND", "nothing has run here yet"))?;
    let record = RunRecord::find(&*ground.store, &args.run)?;
    let recorded = Recorded::load(&ground, record.run)?;
    if out.json {
        out.json(&show_json(&record, &recorded));
        return Ok(0);
    }
    out.page();
    head(&record, &recorded, out);
    for step in recorded.steps.values() {
        timeline(
            step,
            record.status.is_over(),
            if args.full { usize::MAX } else { VALUE_CHARS },
            out,
        );
    }
    tree(&record, &*ground.store, out)?;
    end(&record, &recorded, app, &*ground.store, out);
    Ok(0)
}

fn head(record: &RunRecord, recorded: &Recorded, out: &mut Out) {
    let style = if record.status == Status::Succeeded { GOOD } else { BAD };
    let name = out.paint(STRONG, &plain(&record.playbook));
    let status = out.paint(style, &record.status.to_string());
    let mode = if record.live { "LIVE" } else { "DRY" };
    out.line(format!(
        "{name}@{}  run {}  {mode}  {status}",
        record.version.short(),
        record.run
    ));
    let took = record
        .ended_ms
        .map(|ended| format!(", took {}", for_people((ended - record.begun_ms).max(0) as u64)));
    out.line(format!(
        "started {} {}{}",
        moment(record.begun_ms),
        plain(&recorded.begun.trigger),
        took.unwrap_or_default()
    ));
    if recorded.begun.input.as_map().is_some_and(|input| !input.is_empty()) {
        out.line(format!("input   {}", excerpt(&recorded.begun.input.to_string(), 400)));
    }
    out.line("");
}

/// The runs that it started, and those that they started.
fn tree(record: &RunRecord, store: &dyn Store, out: &mut Out) -> Result<(), CliError> {
    let mut above = vec![(record.run, 0)];
    let mut shown = 0;
    while let Some((run, depth)) = above.pop() {
        if depth > 0 {
            let child = RunRecord::get(store, run)?;
            let style = if child.status == Status::Succeeded { GOOD } else { BAD };
            let status = out.paint(style, &child.status.to_string());
            let indent = "  ".repeat(depth);
            let step = child
                .parent
                .map(|parent| format!("step {}", parent.step))
                .unwrap_or_default();
            if shown == 0 {
                out.line("");
                out.line("runs that it started");
            }
            out.line(format!(
                "{indent}{} {}  {status}  {step}",
                child.run.short(),
                plain(&child.playbook)
            ));
            shown += 1;
        }
        if shown >= TREE_MAX {
            out.line(format!("  and more; {TREE_MAX} are shown"));
            break;
        }
        let children = recovery::children(store, run)?;
        above.extend(children.into_iter().rev().map(|child| (child, depth + 1)));
    }
    Ok(())
}

fn timeline(step: &Step, is_over: bool, chars: usize, out: &mut Out) {
    for attempt in &step.attempts {
        let mark = out.paint(BAD, out.symbol("✗"));
        let wait = if attempt.wait_ms > 0 {
            format!(", tried again after {}", for_people(attempt.wait_ms))
        } else {
            String::new()
        };
        let error = excerpt(&attempt.error.to_string(), 120);
        out.line(format!(
            "      {mark} attempt {} after {}: {error}{wait}",
            attempt.attempt,
            for_people(attempt.took_ms)
        ));
    }
    let answer = match (&step.answer, step.intents.last()) {
        (Some(answer), _) => answer.clone(),
        (None, Some(intent)) => {
            let known = if step.is_in_doubt() {
                "nobody knows yet whether it landed"
            } else {
                "it did not land"
            };
            out.line(format!(
                "  ? {:>3} {}  begun and not answered: {known}",
                intent.asked.step,
                plain(&intent.asked.name)
            ));
            return;
        }
        (None, None) => {
            if let Some(suspended) = &step.suspended {
                let asked = &suspended.asked;
                let what = suspended.wake.awaited.in_words();
                let waits = if is_over { "waited" } else { "waits" };
                out.line(format!(
                    "  {} {:>3} {}  {waits} for {}",
                    out.symbol("…"),
                    asked.step,
                    plain(&asked.name),
                    plain(&what)
                ));
            }
            return;
        }
    };
    let at = out.paint(FAINT, &format!("{:>8}", for_people(answer.at_ms)));
    let line = format!("{:>3} {at}{}", answer.asked.step, effect_line(&answer, out));
    out.line(line);
    detail("args", &answer.asked.args.to_string(), chars, out);
    if answer.error.is_none() && !answer.value.is_unit() {
        detail("value", &answer.value.to_string(), chars, out);
    }
    if let Some(from) = answer.from {
        detail(
            "kept",
            &format!("the answer of step {from}, from before the script was edited"),
            chars,
            out,
        );
    }
    if let Some(decision) = decision(&answer, step) {
        detail("gate", &decision, chars, out);
    }
    if let Some(usd) = answer.cost_usd.filter(|usd| *usd > 0.0) {
        detail("cost", &format!("${usd:.6}"), chars, out);
    }
}

fn decision(answer: &Answer, step: &Step) -> Option<String> {
    answer
        .decision
        .clone()
        .or_else(|| step.intents.last()?.decision.clone())
}

fn detail(name: &str, text: &str, chars: usize, out: &mut Out) {
    if !matches!(text, "null" | "{}") {
        let line = format!(
            "               {} {}",
            out.paint(FAINT, &format!("{name:<5}")),
            excerpt(text, chars)
        );
        out.line(line);
    }
}

fn end(record: &RunRecord, recorded: &Recorded, app: &App, store: &dyn Store, out: &mut Out) {
    out.line("");
    let Some(outcome) = recorded.outcome() else {
        let id = record.run.short();
        out.line(match record.status {
            Status::Suspended => format!("it is suspended; `host resume {id}` goes on when what it waits for has come"),
            Status::Queued => format!("it has not begun; `host resume {id}` begins it"),
            _ => format!("it has no end on record: it is at work, or its host was stopped; `host resume {id}` goes on"),
        });
        return;
    };
    match &outcome.error {
        None => out.result(&outcome.value),
        Some(error) => {
            // The frame comes from the text as the run had it, not from what lies on disk now.
            let script = app.library.pinned(store, &recorded.begun).ok();
            let diagnosis = script.map(|script| Diagnosis::of_run_error(error, &script));
            let shown = Shown {
                code: &error.failure.code,
                message: &error.failure.message,
                notes: &[],
                help: None,
            };
            let text = render(&shown, diagnosis.as_ref(), out.has_color(), out.unicode);
            out.line(text);
        }
    }
    let simulated = if record.simulated > 0 {
        format!(", {} simulated", record.simulated)
    } else {
        String::new()
    };
    out.line(format!(
        "{} effect{}{simulated}, cost ${:.4}",
        record.effects,
        if record.effects == 1 { "" } else { "s" },
        record.cost_usd
    ));
}
