//! An incident as `--json` gives it, and its timeline.

use serde_json::{Value as Json, json};

use super::entries::timestamp;
use super::summary::record_json;
use crate::id::RunId;
use crate::journal::RunRecord;
use crate::journal::incident::{Happened, Incident};

/// One line of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    pub at_ms: i64,
    pub by: String,
    pub text: String,
    /// The run it is about, if it is about one.
    pub run: Option<RunId>,
}

/// What happened, oldest first: the incident's own history, and when its runs began and ended.
pub fn timeline(incident: &Incident, runs: &[RunRecord]) -> Vec<Moment> {
    let mut moments: Vec<Moment> = incident
        .events
        .iter()
        .map(|event| Moment {
            at_ms: event.at_ms,
            by: event.by.clone(),
            text: in_words(&event.what),
            run: None,
        })
        .collect();
    for record in runs {
        let name = format!("run {} of {}", record.run.short(), record.playbook);
        let mut add = |at_ms, text| {
            let (by, run) = ("host".to_owned(), Some(record.run));
            moments.push(Moment { at_ms, by, text, run });
        };
        add(record.begun_ms, format!("{name} began"));
        if let Some(ended_ms) = record.ended_ms {
            let code = record.error.as_ref().map(|error| format!(" ({})", error.failure.code));
            add(
                ended_ms,
                format!("{name} ended: {}{}", record.status, code.unwrap_or_default()),
            );
        }
    }
    // A run that opened it ended in the same batch, and is told first.
    moments.sort_by_key(|moment| (moment.at_ms, moment.run.is_none()));
    moments
}

fn in_words(what: &Happened) -> String {
    let named = |runs: &[RunId]| {
        let shorts: Vec<String> = runs.iter().map(|run| run.short()).collect();
        format!("{} {}", if runs.len() == 1 { "run" } else { "runs" }, shorts.join(", "))
    };
    match what {
        Happened::Opened { why } => format!("opened {why}"),
        Happened::Pinned { runs } => format!("holds {}", named(runs)),
        Happened::Unpinned { runs } => format!("lets go of {}", named(runs)),
        Happened::Noted { text } => text.clone(),
        Happened::Closed { reason } if reason.is_empty() => "closed".to_owned(),
        Happened::Closed { reason } => format!("closed: {reason}"),
        Happened::Assigned { owner, eta_ms: None } => format!("{owner} has it in hand"),
        Happened::Assigned {
            owner,
            eta_ms: Some(eta_ms),
        } => format!("{owner} has it in hand, to be solved by {}", timestamp(*eta_ms, 0)),
        Happened::Escalated { from, to, why } if why.is_empty() => format!("escalated from {from} to {to}"),
        Happened::Escalated { from, to, why } => format!("escalated from {from} to {to}: {why}"),
        Happened::Procedure { playbook, run } => format!("ran {playbook} to solve it: run {}", run.short()),
        Happened::Again { run, why } => format!("run {} ended so again: {why}", run.short()),
    }
}

/// An incident; `runs` are those of its runs that the store still has, or none for a list.
pub fn incident_json(incident: &Incident, runs: &[RunRecord]) -> Json {
    let mut shown = json!({
        "incident_id": incident.id.to_string(),
        "title": incident.title,
        "state": incident.state.as_str(),
        "opened_by": incident.opened_by.code(),
        "owner": incident.duty.owner,
        "level": incident.duty.level.to_string(),
        "eta": incident.duty.eta_ms.map(|eta_ms| timestamp(eta_ms, 0)),
        "opened": timestamp(incident.opened_ms, 0),
        "closed": incident.closed_ms().map(|closed| timestamp(closed, 0)),
        "run_ids": incident.runs.iter().map(RunId::to_string).collect::<Vec<_>>(),
        "notes": incident.notes().map(|(event, text)| json!({
            "at": timestamp(event.at_ms, 0), "by": event.by, "text": text,
        })).collect::<Vec<_>>(),
    });
    if !runs.is_empty() {
        shown["runs"] = runs.iter().map(record_json).collect();
        shown["timeline"] = timeline(incident, runs)
            .into_iter()
            .map(|moment| json!({ "at": timestamp(moment.at_ms, 0), "by": moment.by, "text": moment.text }))
            .collect();
    }
    shown
}
