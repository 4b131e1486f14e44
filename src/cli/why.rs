//! `host why RUN`: how a run ended, in words, and what to do next.

use super::data::shell_word;
use super::error::{CliError, Shown, render};
use super::out::{BAD, CAREFUL, FAINT, GOOD, Out, STRONG, excerpt, moment, plain};
use crate::app::App;
use crate::id::IncidentId;
use crate::journal::{Recorded, RunRecord, incident};
use crate::report::why::{Deed, Next, Why, before, explain};
use crate::script::Diagnosis;
use crate::store::tx::Ground;

/// Effects that each list names.
const NAMED_MAX: usize = 8;

/// The widest line of a paragraph.
const TEXT_WIDTH_MAX: usize = 100;

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
        return told(&opened.app, &opened.ground, &opened.record, Some(&args.run), out);
    }
    let ground = app
        .reader()?
        .ok_or_else(|| CliError::usage("RUN_NOT_FOUND", "nothing has run here yet"))?;
    let record = RunRecord::find(&*ground.store, &args.run)?;
    told(app, &ground, &record, None, out)
}

/// `bundle` is the file that the run is read from, when it is not in the store: there is nothing to change then.
fn told(app: &App, ground: &Ground, record: &RunRecord, bundle: Option<&str>, out: &mut Out) -> Result<u8, CliError> {
    let recorded = Recorded::load(ground, record.run)?;
    let script = app.library.pinned(&*ground.store, &recorded.begun).ok();
    let title = script.as_ref().and_then(|script| script.header.title.as_deref());
    let before = before::success(ground, record)?;
    let mut why = explain(record, &recorded, title, before.as_ref());
    let incidents = incident::of_run(&*ground.store, record.run)?;
    match bundle {
        Some(file) => why.next = vec![rehearsed(file, record)],
        None => why.next.extend(incidents.first().map(held_by)),
    }
    if out.json {
        let mut shown = why.to_json(record);
        shown["incident_ids"] = incidents.iter().map(IncidentId::to_string).collect();
        out.json(&shown);
        return Ok(0);
    }
    let diagnosis = match (&record.error, &script) {
        (Some(error), Some(script)) => Some(Diagnosis::of_run_error(error, script)),
        _ => None,
    };
    out.page();
    print(&why, record, diagnosis.as_ref(), out);
    Ok(0)
}

fn rehearsed(file: &str, record: &RunRecord) -> Next {
    Next {
        word: "replay",
        command: format!("host replay {} {}", shell_word(file), record.run.short()),
        note: "the run once more, every door shut; --with FILE tries another script".to_owned(),
    }
}

fn held_by(incident: &IncidentId) -> Next {
    Next {
        word: "incident",
        command: format!("host incident show {}", incident.short()),
        note: String::new(),
    }
}

fn print(why: &Why, record: &RunRecord, diagnosis: Option<&Diagnosis>, out: &mut Out) {
    let headline = out.paint(STRONG, &plain(&why.headline));
    out.line(headline);
    let mode = if record.live { "LIVE" } else { "DRY" };
    let version = format!("{}@{}", plain(&record.playbook), record.version.short());
    let line = format!(
        "run {}  {version}  {mode}  {}",
        record.run.short(),
        moment(record.begun_ms)
    );
    let line = out.paint(FAINT, &line);
    out.line(line);
    out.line("");
    let width = out.rest_of_line(0).min(TEXT_WIDTH_MAX);
    for line in wrapped(&plain(&why.story), width) {
        out.line(line);
    }
    if !why.words.is_empty() {
        out.line("");
        for (number, words) in why.words.iter().enumerate() {
            let label = if number == 0 { "it said" } else { "" };
            out.line(format!(
                "  {label:<10}  {}",
                excerpt(words, out.rest_of_line(14).min(200))
            ));
        }
    }
    if let Some(error) = &record.error {
        let shown = Shown {
            code: &error.failure.code,
            message: &error.failure.message,
            notes: &[],
            help: None,
        };
        out.line("");
        let text = render(&shown, diagnosis, out.has_color(), out.unicode);
        out.line(text);
    }
    lists(why, out);
    out.line("");
    let widest = why
        .next
        .iter()
        .map(|next| next.command.chars().count())
        .max()
        .unwrap_or(0);
    for next in &why.next {
        let note = out.paint(FAINT, &next.note);
        let line = format!("  {:<10}  {:<widest$}  {note}", next.word, plain(&next.command));
        out.line(line.trim_end());
    }
}

fn lists(why: &Why, out: &mut Out) {
    let deeds = &why.deeds;
    let lists = [
        ("landed", GOOD, &deeds.landed),
        ("in doubt", BAD, &deeds.in_doubt),
        ("not landed", BAD, &deeds.not_landed),
        ("kept", GOOD, &deeds.kept),
        ("simulated", CAREFUL, &deeds.simulated),
        ("not begun", CAREFUL, &deeds.not_begun),
    ];
    if lists.iter().any(|(_, _, deeds)| !deeds.is_empty()) {
        out.line("");
    }
    for (name, style, deeds) in lists {
        for (number, deed) in deeds.iter().take(NAMED_MAX).enumerate() {
            let label = if number == 0 { name } else { "" };
            let label = out.paint(style, &format!("{label:<10}"));
            let text = excerpt(&line(deed), out.rest_of_line(14).min(160));
            out.line(format!("  {label}  {text}"));
        }
        if deeds.len() > NAMED_MAX {
            let more = out.paint(FAINT, &format!("and {} more", deeds.len() - NAMED_MAX));
            out.line(format!("  {:<10}  {more}", ""));
        }
    }
}

/// `step 3  acme.post  /posts  201`
fn line(deed: &Deed) -> String {
    let step = deed.step.map_or(String::new(), |step| format!("step {step}"));
    let about: String = deed.about.chars().take(60).collect();
    let parts = [step, deed.name.clone(), about, deed.what.clone()];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("  ")
}

/// `text` in lines of at most `width` columns, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    use unicode_width::UnicodeWidthStr;
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
