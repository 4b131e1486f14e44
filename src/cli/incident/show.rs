//! `host incident show`: its runs, what happened when, and what to do next.

use super::super::data::shell_word;
use super::super::error::CliError;
use super::super::out::{BAD, CAREFUL, FAINT, GOOD, Out, STRONG, ago, moment, plain};
use crate::app::App;
use crate::journal::incident::{self, Incident, State};
use crate::journal::{JournalError, RunRecord, Status};
use crate::report::incident::{incident_json, timeline};
use crate::store::Store;

pub fn perform(prefix: &str, app: &App, out: &mut Out) -> Result<u8, CliError> {
    if let Some(bundle) = super::super::bundle::at(prefix)? {
        shown(&bundle.incident, &bundle.runs, Some(prefix), app, out);
        return Ok(0);
    }
    let ground = app
        .reader()?
        .ok_or_else(|| CliError::usage("INCIDENT_NOT_FOUND", "nothing has run here yet"))?;
    let incident = incident::find(&*ground.store, prefix)?.incident;
    let runs = runs_of(&*ground.store, &incident)?;
    shown(&incident, &runs, None, app, out);
    Ok(0)
}

/// `bundle` is the file it is shown from, when it is not from the store.
fn shown(incident: &Incident, runs: &[RunRecord], bundle: Option<&str>, app: &App, out: &mut Out) {
    if out.json {
        out.json(&incident_json(incident, runs));
        return;
    }
    let now_ms = app.clock.unix_ms();
    head(incident, now_ms, app, out);
    table(incident, runs, now_ms, out);
    history(incident, runs, out);
    next(incident, runs, bundle, out);
}

/// The runs that it holds and that the store still has.
pub(super) fn runs_of(store: &dyn Store, incident: &Incident) -> Result<Vec<RunRecord>, CliError> {
    let mut found = Vec::new();
    for run in &incident.runs {
        match RunRecord::find(store, &run.to_string()) {
            Ok(record) => found.push(record),
            Err(JournalError::NoSuchRun(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

fn head(incident: &Incident, now_ms: i64, app: &App, out: &mut Out) {
    let style = if incident.state == State::Open { BAD } else { GOOD };
    let title = out.paint(STRONG, &plain(&incident.title));
    let state = out.paint(style, incident.state.as_str());
    out.line(format!("incident {}  {state}", incident.id));
    out.line(title);
    out.line(format!(
        "opened {} ({}) {}",
        moment(incident.opened_ms),
        ago(incident.opened_ms, now_ms),
        incident.opened_by
    ));
    if incident.state == State::Open {
        out.line(super::duty::line(incident, app));
    }
}

fn table(incident: &Incident, runs: &[RunRecord], now_ms: i64, out: &mut Out) {
    out.line("");
    if incident.runs.is_empty() {
        out.line("it holds no run");
        return;
    }
    let rows: Vec<Vec<String>> = runs.iter().map(|record| row(record, now_ms, out)).collect();
    out.table(&["run", "playbook", "status", "mode", "started", "why"], &rows);
    let gone = incident.runs.len() - runs.len();
    if gone > 0 {
        out.line(format!("and {gone} that are not in this store any more"));
    }
}

fn row(record: &RunRecord, now_ms: i64, out: &Out) -> Vec<String> {
    let style = match record.status {
        Status::Succeeded => GOOD,
        Status::Running => CAREFUL,
        _ => BAD,
    };
    let why = record.error.as_ref().map(|error| match error.step {
        Some(step) => format!("{} at step {step}", error.failure.code),
        None => error.failure.code.clone(),
    });
    vec![
        record.run.short(),
        format!("{}@{}", plain(&record.playbook), record.version.short()),
        out.paint(style, &record.status.to_string()),
        if record.live { "LIVE" } else { "DRY" }.to_owned(),
        ago(record.begun_ms, now_ms),
        plain(&why.unwrap_or_default()),
    ]
}

fn history(incident: &Incident, runs: &[RunRecord], out: &mut Out) {
    out.line("");
    let moments = timeline(incident, runs);
    let widest = moments
        .iter()
        .map(|moment| moment.by.chars().count())
        .max()
        .unwrap_or(0);
    for happened in moments {
        let at = out.paint(FAINT, &moment(happened.at_ms));
        let by = plain(&happened.by);
        let mut lines = happened.text.lines();
        out.line(format!(
            "{at}  {by:<widest$}  {}",
            plain(lines.next().unwrap_or_default())
        ));
        for line in lines {
            out.line(format!("{:>25}{:widest$}  {}", "", "", plain(line)));
        }
    }
}

fn next(incident: &Incident, runs: &[RunRecord], bundle: Option<&str>, out: &mut Out) {
    let id = incident.id.short();
    let bad = runs.iter().filter(|record| record.status != Status::Succeeded).take(3);
    out.line("");
    if let Some(file) = bundle.map(shell_word) {
        for record in bad {
            out.line(format!("why       host why {file} {}", record.run.short()));
        }
        out.line(format!("replay    host replay {file}"));
        return;
    }
    for record in bad {
        out.line(format!("why       host why {}", record.run.short()));
    }
    out.line(format!("write     host incident note {id} \"what you found out\""));
    if incident.state == State::Open {
        match incident.duty.owner {
            None => out.line(format!("take      host incident assign {id} NAME --eta 2h")),
            Some(_) => out.line(format!(
                "escalate  host incident escalate {id} --why \"what is needed\""
            )),
        }
        out.line(format!("solve     host incident run {id} PROCEDURE"));
    }
    out.line(format!("export    host incident export {id} {id}.bundle"));
    if incident.state == State::Open {
        out.line(format!(
            "close     host incident close {id} --reason \"what solved it\""
        ));
    }
}
