//! What is told of a save: a line with the time and the files, then what differs from the plan before.

use serde_json::{Value as Json, json};

use super::attempt::{Attempt, Good, Session, is_mistake};
use crate::app::App;
use crate::cli::check::{self, frames};
use crate::cli::error::{CliError, Shown, render};
use crate::cli::out::{BAD, CAREFUL, FAINT, GOOD, Out, STRONG, excerpt, plain};
use crate::cli::plan;
use crate::cli::whatif::{field_lines, in_words};
use crate::duration::for_people;
use crate::report::changes::{FieldChange, changes};
use crate::report::{lines, plan_json};
use crate::runs::Verdict;
use crate::runs::replan::{EffectDiff, PlanDiff, StoreDiff, compare};
use crate::script::Diagnosis;
use crate::script::findings::{Finding, Level};

/// Mistakes that are shown with their places; `host check` shows all.
const MISTAKES_SHOWN_MAX: usize = 3;

/// Warnings that are shown, a line each.
const REMARKS_SHOWN_MAX: usize = 3;

/// What the session begins with: the whole plan.
pub fn first(attempt: &Attempt, session: &Session, unwatched: &Option<String>, out: &mut Out) {
    if out.json {
        out.json_line(&to_json(attempt, None, &[], session));
        return;
    }
    if let Some(reason) = unwatched {
        let note = out.paint(CAREFUL, "no watch can be set");
        out.line(format!(
            "{note}: {}; files are compared every few moments instead",
            plain(reason)
        ));
    }
    match attempt {
        Attempt::Planned(good) | Attempt::Failed(good) => {
            let name = out.paint(STRONG, &plain(&good.script.name));
            let dash = out.symbol("—");
            out.line(format!(
                "{name}@{}  planned at each save {dash} nothing is sent, nothing is kept; Ctrl-C ends it",
                good.script.source.hash.short()
            ));
            let input = excerpt(&good.input.to_string(), out.rest_of_line(10).min(200));
            out.line(format!("inputs  {}  {input}", good.input_from));
            out.line("");
            plan::body(&good.plan, out);
            out.line("");
            end(attempt, out);
            let took = for_people(good.took.as_millis() as u64);
            out.line(format!("{}  planned in {took}", time(&session.app)));
        }
        Attempt::Mistaken(_) | Attempt::Broken(_) => {
            end(attempt, out);
            out.line(format!(
                "{}  waiting for it to be mended; Ctrl-C ends it",
                time(&session.app)
            ));
        }
    }
}

/// A save, compared with the last good plan.
pub fn again(attempt: &Attempt, before: Option<&Good>, files: &[String], session: &Session, out: &mut Out) {
    if out.json {
        out.json_line(&to_json(attempt, before, files, session));
        return;
    }
    out.line("");
    let what = match files {
        [] => "tried again".to_owned(),
        [only] => format!("{only} changed"),
        [first, rest @ ..] => format!("{first} and {} more changed", rest.len()),
    };
    let head = format!("{}  {}", time(&session.app), what);
    let (Attempt::Planned(good) | Attempt::Failed(good)) = attempt else {
        let broken = out.paint(BAD, "broken");
        out.line(format!("{head}   {broken}"));
        end(attempt, out);
        if let Some(before) = before {
            let kept = format!(
                "the last good plan is kept: {}",
                counted(before.plan.effects.len(), "effect")
            );
            let kept = out.paint(FAINT, &kept);
            out.line(kept);
        }
        return;
    };
    let took = for_people(good.took.as_millis() as u64);
    out.line(format!("{head}   planned in {took}"));
    match before {
        Some(before) => compared(before, good, out),
        None => plan::body(&good.plan, out),
    }
    end(attempt, out);
}

/// What is wrong with it, or what it would come to.
fn end(attempt: &Attempt, out: &mut Out) {
    match attempt {
        Attempt::Planned(good) => remarks(&good.remarks, out),
        Attempt::Failed(good) => {
            if let Some(error) = &good.plan.outcome.error {
                let diagnosis = Diagnosis::of_run_error(error, &good.script);
                frame(&error.failure.code, &error.failure.message, &diagnosis, out);
            }
        }
        Attempt::Mistaken(checked) => {
            let mistakes = || checked.findings.iter().filter(|finding| is_mistake(finding));
            for mistake in mistakes().take(MISTAKES_SHOWN_MAX) {
                let text = frames::render(mistake, checked, out);
                out.line(text);
            }
            let left = mistakes().count().saturating_sub(MISTAKES_SHOWN_MAX);
            if left > 0 {
                out.line(format!("and {left} more: `host check` shows them all"));
            }
        }
        Attempt::Broken(error) => {
            let text = error.render(out.has_color(), out.unicode);
            out.line(text);
        }
    }
}

fn frame(code: &str, message: &str, diagnosis: &Diagnosis, out: &mut Out) {
    let shown = Shown {
        code,
        message,
        notes: &[],
        help: diagnosis.help.as_deref(),
    };
    let text = render(&shown, Some(diagnosis), out.has_color(), out.unicode);
    out.line(text);
}

/// What could be better, a line each: no reason not to plan.
fn remarks(remarks: &[Finding], out: &mut Out) {
    let told = || {
        remarks
            .iter()
            .filter(|remark| matches!(remark.level, Level::Error | Level::Warning))
    };
    for remark in told().take(REMARKS_SHOWN_MAX) {
        let word = out.paint(CAREFUL, "warning");
        let line = remark
            .region
            .map_or_else(String::new, |region| format!(":{}", region.line));
        let file = plain(&remark.file);
        out.line(format!(
            "{word}[{}]: {file}{line}: {}",
            remark.code,
            plain(&remark.message)
        ));
    }
    let left = told().count().saturating_sub(REMARKS_SHOWN_MAX);
    if left > 0 {
        out.line(format!("and {left} more: `host check` shows them all"));
    }
}

fn compared(before: &Good, now: &Good, out: &mut Out) {
    let diff = compare(&before.plan, &now.plan);
    if before.input != now.input {
        let input = excerpt(&now.input.to_string(), out.rest_of_line(10).min(200));
        out.line(format!("inputs  {}  {input}", now.input_from));
    }
    if diff.is_empty() {
        let same = format!("the same plan: {}", counted(now.plan.effects.len(), "effect"));
        let same = out.paint(FAINT, &same);
        out.line(same);
        return;
    }
    effects(&diff, out);
    store(&diff, out);
    if !diff.same_outcome {
        let outcome = |good: &Good, out: &Out| match &good.plan.waits {
            Some(waits) => format!("waits for {}", excerpt(&waits.what, 80)),
            None => in_words(&good.plan.outcome, out),
        };
        let (was, is) = (outcome(before, out), outcome(now, out));
        out.line(format!("outcome   before   {was}"));
        out.line(format!("          now      {is}"));
    }
    let kinds = [Verdict::Kept, Verdict::Changed, Verdict::New, Verdict::Gone];
    let counts = kinds
        .into_iter()
        .map(|verdict| (diff.count(verdict), verdict))
        .filter(|(count, verdict)| *count > 0 || *verdict == Verdict::Kept)
        .map(|(count, verdict)| format!("{count} {}", verdict.as_str()));
    let sum = counts.collect::<Vec<_>>().join(&format!(" {} ", out.symbol("·")));
    out.line(sum);
}

fn effects(diff: &PlanDiff, out: &mut Out) {
    let different = diff.effects.iter().filter(|effect| effect.verdict != Verdict::Kept);
    let width = different
        .clone()
        .map(|effect| name(effect).chars().count())
        .max()
        .unwrap_or(0);
    for effect in different {
        let (mark, style) = mark(effect.verdict);
        let answer = effect.answer();
        let lead = format!(
            "  {:>3} {} {:<width$}  {:<8} ",
            answer.asked.step,
            out.paint(style, out.symbol(mark)),
            name(effect),
            effect.verdict.as_str(),
        );
        let taken = 16 + width;
        let fields = fields(effect);
        let about = excerpt(&lines::subject(answer), 40);
        let detail = match (effect.verdict, fields.as_slice()) {
            (Verdict::Changed, [_]) => field_lines(&fields, taken, out).concat(),
            (Verdict::New, _) => {
                let gist = excerpt(&lines::gist(answer), out.rest_of_line(taken + 44).min(60));
                let gap = if about.is_empty() { "" } else { "  " };
                format!("{about}{gap}{gist}")
            }
            _ => about,
        };
        out.line(format!("{lead}{detail}").trim_end());
        if fields.len() > 1 {
            for line in field_lines(&fields, 10, out) {
                out.line(format!("          {line}"));
            }
        }
        if let Some(gate) = gate(effect) {
            let gate = out.paint(CAREFUL, &plain(&gate));
            out.line(format!("          {gate}"));
        }
    }
}

fn name(effect: &EffectDiff) -> String {
    let name = plain(&effect.answer().asked.name);
    match &effect.child {
        Some(child) => format!("{} {name}", plain(child)),
        None => name,
    }
}

fn mark(verdict: Verdict) -> (&'static str, anstyle::Style) {
    match verdict {
        Verdict::Kept => ("=", FAINT),
        Verdict::Changed => ("~", CAREFUL),
        Verdict::New => ("+", GOOD),
        Verdict::Gone => ("−", BAD),
    }
}

/// In which fields an effect differs: of what it asks, else of what came of it.
fn fields(effect: &EffectDiff) -> Vec<FieldChange> {
    let (Some(before), Some(now)) = (&effect.before, &effect.now) else {
        return Vec::new();
    };
    let asked = changes(&before.asked.args, &now.asked.args);
    if !asked.is_empty() {
        return asked;
    }
    let mut answered = changes(&before.value, &now.value);
    for field in &mut answered {
        field.path = match field.path.as_str() {
            "" => "answer".to_owned(),
            path => format!("answer.{path}"),
        };
    }
    answered
}

/// What the gate would say, where that is new or otherwise than before.
fn gate(effect: &EffectDiff) -> Option<String> {
    let now = effect.now.as_ref()?;
    let says = |answer: &crate::journal::Answer| match (&answer.decision, &answer.simulated) {
        (Some(decision), _) => Some(format!("publish: {decision}")),
        (None, Some(why)) => Some(format!("simulated, because {why}")),
        (None, None) => None,
    };
    let is = says(now)?;
    match effect.before.as_ref().map(says) {
        Some(was) if was.as_ref() == Some(&is) => None,
        Some(Some(was)) => Some(format!("gate: {is} (before: {was})")),
        _ => Some(format!("gate: {is}")),
    }
}

fn store(diff: &PlanDiff, out: &mut Out) {
    let different: Vec<&StoreDiff> = diff
        .store
        .iter()
        .filter(|store| store.verdict != Verdict::Kept)
        .collect();
    if different.is_empty() {
        return;
    }
    out.line("store");
    for store in different {
        match (&store.before, &store.now, store.verdict) {
            (Some(before), Some(now), Verdict::Changed) => {
                out.line(format!("  {} {}", out.paint(CAREFUL, "~"), plain(&now.name)));
                let after = |change: &crate::runs::plan::StoreChange| change.after.clone().unwrap_or_default();
                for line in field_lines(&changes(&after(before), &after(now)), 6, out) {
                    out.line(format!("      {line}"));
                }
            }
            (_, Some(now), _) => {
                let line = plan::change_line(now, out);
                out.line(line);
            }
            (_, None, _) => {
                let mark = out.paint(BAD, out.symbol("−"));
                out.line(format!(
                    "  {mark} {}  not {} any more",
                    plain(&store.change().name),
                    store.change().word()
                ));
            }
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        several => format!("{several} {what}s"),
    }
}

fn time(app: &App) -> String {
    chrono::DateTime::from_timestamp_millis(app.clock.unix_ms())
        .map_or_else(String::new, |now| now.format("%H:%M:%S UTC").to_string())
}

/// One object for each save: `{at_ms, changed, ok, took_ms, inputs, plan, diff, problems}`.
fn to_json(attempt: &Attempt, before: Option<&Good>, files: &[String], session: &Session) -> Json {
    let (good, problems) = match attempt {
        Attempt::Planned(good) | Attempt::Failed(good) => {
            (Some(good), good.remarks.iter().map(check::to_json).collect())
        }
        Attempt::Mistaken(checked) => (None, checked.findings.iter().map(check::to_json).collect::<Vec<_>>()),
        Attempt::Broken(error) => (None, vec![CliError::to_json(error)["error"].clone()]),
    };
    let diff = good
        .zip(before)
        .map(|(good, before)| diff_json(&compare(&before.plan, &good.plan)));
    json!({
        "at_ms": session.app.clock.unix_ms(),
        "changed": files,
        "ok": matches!(attempt, Attempt::Planned(_)),
        "took_ms": good.map(|good| good.took.as_millis() as u64),
        "inputs": good.map(|good| json!({ "from": good.input_from, "value": good.input.to_json() })),
        "plan": good.map(|good| plan_json(&good.script, &good.plan)),
        "diff": diff,
        "problems": problems,
    })
}

fn diff_json(diff: &PlanDiff) -> Json {
    let field = |field: &FieldChange| {
        json!({
            "path": field.path,
            "before": field.before.as_ref().map(crate::value::Value::to_json),
            "now": field.after.as_ref().map(crate::value::Value::to_json),
        })
    };
    let step = |answer: &Option<crate::journal::Answer>| answer.as_ref().map(|answer| answer.asked.step);
    json!({
        "same": diff.is_empty(),
        "same_outcome": diff.same_outcome,
        "effects": diff.effects.iter().map(|effect| json!({
            "verdict": effect.verdict.as_str(),
            "name": effect.answer().asked.name,
            "playbook": effect.child,
            "step_before": step(&effect.before),
            "step_now": step(&effect.now),
            "fields": fields(effect).iter().map(field).collect::<Vec<_>>(),
            "gate": gate(effect),
        })).collect::<Vec<_>>(),
        "store": diff.store.iter().map(|store| json!({
            "verdict": store.verdict.as_str(),
            "kind": store.change().kind,
            "name": store.change().name,
        })).collect::<Vec<_>>(),
    })
}
