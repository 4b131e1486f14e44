//! `host plan PLAYBOOK`: what it would do; nothing is sent, nothing is kept.

use super::error::{CliError, Shown, render};
use super::out::{BAD, CAREFUL, FAINT, GOOD, Out, STRONG, excerpt, plain};
use super::playbook::Chosen;
use super::run::exit_code;
use crate::app::App;
use crate::effect::Class;
use crate::journal::Answer;
use crate::report::{lines, plan_json};
use crate::runs::plan::{Plan, Stage, StoreChange, plan};
use crate::script::{Diagnosis, Script};

pub use super::playbook::Args;

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let Some(Chosen { script, input, given }) = args.choose("plan", app, out)? else {
        return Ok(0);
    };
    let rehearsal = app.rehearsal()?;
    let mode = app.mode(&script.header.uses)?;
    let stage = Stage {
        runner: &rehearsal.runner,
        library: &app.library,
        before: &rehearsal.before,
        overlay: &rehearsal.overlay,
    };
    let plan = plan(&stage, script.clone(), input, mode, app.person(), given)?;
    if out.json {
        out.json(&plan_json(&script, &plan));
    } else {
        show(&plan, &script, out);
    }
    // That it would wait is no failure of the plan.
    Ok(if plan.waits.is_some() {
        0
    } else {
        exit_code(plan.outcome.status)
    })
}

pub fn show(plan: &Plan, script: &Script, out: &mut Out) {
    let name = out.paint(STRONG, &plain(&script.name));
    out.line(format!(
        "{name}@{}  plan {} nothing is sent, nothing is kept",
        script.source.hash.short(),
        out.symbol("—")
    ));
    out.line("");
    body(plan, out);
    out.line("");
    if let Some(error) = &plan.outcome.error {
        let diagnosis = Diagnosis::of_run_error(error, script);
        out.line(format!("it would end as {}", plan.outcome.status));
        let shown = Shown {
            code: &error.failure.code,
            message: &error.failure.message,
            notes: &[],
            help: None,
        };
        let text = render(&shown, Some(&diagnosis), out.has_color(), out.unicode);
        out.line(text);
        out.line("");
    }
    leaving(plan, out);
}

/// What the playbook would ask for, and what would change in the store.
pub fn body(plan: &Plan, out: &mut Out) {
    out.line("effects");
    for answer in &plan.effects {
        for line in effect_lines(answer, out) {
            out.line(line);
        }
    }
    if plan.effects.is_empty() {
        out.line("  none");
    }
    for child in &plan.children {
        out.line("");
        let status = child.outcome.status;
        out.line(format!(
            "effects of {}, which it would start ({status})",
            plain(&child.playbook)
        ));
        for answer in &child.effects {
            for line in effect_lines(answer, out) {
                out.line(line);
            }
        }
        if child.effects.is_empty() {
            out.line("  none");
        }
    }
    if let Some(waits) = &plan.waits {
        out.line("");
        out.line(format!(
            "It would wait for {} at step {}; give `--answer` or `--event` to see further.",
            plain(&waits.what),
            waits.step
        ));
    }
    if !plan.store_changes.is_empty() {
        out.line("");
        out.line("store");
        for change in &plan.store_changes {
            let line = change_line(change, out);
            out.line(line);
        }
    }
}

/// What would leave the host.
fn leaving(plan: &Plan, out: &mut Out) {
    let of_children = plan.children.iter().flat_map(|child| &child.effects);
    let leaving: Vec<&Answer> = plan
        .effects
        .iter()
        .chain(of_children)
        .filter(|answer| answer.simulated.is_some())
        .collect();
    let publishing = leaving.iter().filter(|answer| answer.decision.is_some()).count();
    out.line(match (leaving.len(), publishing) {
        (0, _) => "No effect would leave the host.".to_owned(),
        (1, 0) => "1 effect would leave the host, and it is no publish.".to_owned(),
        (1, _) => "1 effect would leave the host, and it is a publish.".to_owned(),
        (effects, 0) => format!("{effects} effects would leave the host, none of them a publish."),
        (effects, publishing) => format!("{effects} effects would leave the host, {publishing} of them a publish."),
    });
}

pub fn effect_lines(answer: &Answer, out: &Out) -> Vec<String> {
    let class = match answer.asked.class {
        Class::Write => out.paint(CAREFUL, "write"),
        other => format!("{:<5}", other.as_str()),
    };
    let simulated = if answer.simulated.is_some() { "sim" } else { "   " };
    let publish = if answer.decision.is_some() {
        out.paint(CAREFUL, "  PUBLISH")
    } else {
        String::new()
    };
    let mut gist = lines::gist(answer);
    if let Some(usd) = answer
        .value
        .get("estimated_cost_usd")
        .and_then(crate::value::Value::as_float)
    {
        gist.push_str(&format!("  about ${usd:.4}"));
    }
    let line = format!(
        "  {:>3}  {class}  {:<18} {simulated}  {:<28} {}{publish}",
        answer.asked.step,
        plain(&answer.asked.name),
        excerpt(&lines::subject(answer), 28),
        excerpt(&gist, 60)
    );
    let mut shown = vec![line.trim_end().to_owned()];
    if let Some(why) = &answer.simulated {
        let why = match &answer.decision {
            Some(decision) => format!("gate: {decision}; simulated, because {why}"),
            None => format!("gate: simulated, because {why}"),
        };
        shown.push(format!("              {}", out.paint(FAINT, &plain(&why))));
    }
    shown
}

pub fn change_line(change: &StoreChange, out: &Out) -> String {
    let (mark, style, value) = match change.word() {
        "added" => ("+", GOOD, change.after.as_ref()),
        "changed" => ("~", CAREFUL, change.after.as_ref()),
        _ => (out.symbol("−"), BAD, change.before.as_ref()),
    };
    let value = value.map(|value| excerpt(&value.to_string(), 100)).unwrap_or_default();
    let before = match (&change.before, &change.after) {
        (Some(before), Some(_)) => format!("{} {} ", excerpt(&before.to_string(), 60), out.symbol("→")),
        _ => String::new(),
    };
    format!(
        "  {} {:<28} {before}{value}",
        out.paint(style, mark),
        plain(&change.name)
    )
}
