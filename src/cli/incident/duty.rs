//! `host incident assign` and `escalate`: who has it in hand, and how high it has risen.

use super::{by, change, now, told};
use crate::app::App;
use crate::cli::error::CliError;
use crate::cli::out::{Out, moment, plain};
use crate::journal::incident::{Incident, Level};

/// Gives an incident into somebody's hands.
pub fn assign(prefix: &str, owner: &str, eta: Option<&str>, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let eta_ms = eta.map(|eta| moment_of(eta, now(app))).transpose()?;
    let changed = change(app, "assign", prefix, |_, incident| {
        incident.assign(owner, eta_ms, &by(app), now(app))
    })?;
    let id = changed.id.short();
    let until = match overdue(&changed, app) {
        Some(until) => format!("; it rises by itself on {until}"),
        None => String::new(),
    };
    let text = format!("{owner} has {id} in hand at {}{until}", changed.duty.level);
    told(&changed, &text, Some(("look", format!("host incident show {id}"))), out)
}

/// Raises an incident.
pub fn escalate(prefix: &str, to: Option<Level>, why: &str, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let why = app.masks.mask_text(why.to_owned());
    let changed = change(app, "escalate", prefix, |_, incident| {
        incident.escalate(to, &why, &by(app), now(app)).map(|_| ())
    })?;
    let (id, level) = (changed.id.short(), changed.duty.level);
    let rung = app.config.file.escalation.rung(level);
    let who = match rung.people.as_slice() {
        [] => String::new(),
        people => format!(": {}", people.join(", ")),
    };
    let text = format!("{id} is at {level} now, {}{who}", rung.title);
    told(
        &changed,
        &text,
        Some(("take", format!("host incident assign {id} NAME --eta 2h"))),
        out,
    )
}

/// The line of `show` about it; none for one that is closed.
pub fn line(incident: &Incident, app: &App) -> String {
    let duty = &incident.duty;
    let rung = app.config.file.escalation.rung(duty.level);
    let owner = match &duty.owner {
        Some(owner) => format!("{} has it in hand", plain(owner)),
        None if rung.people.is_empty() => "nobody has it in hand".to_owned(),
        None => format!("nobody has it in hand; ask {}", plain(&rung.people.join(", "))),
    };
    let eta = duty
        .eta_ms
        .map(|eta_ms| format!(", to be solved by {}", moment(eta_ms)));
    let rises = match (overdue(incident, app), duty.eta_ms) {
        (Some(at), None) => format!("; rises by itself on {at}"),
        _ => String::new(),
    };
    format!(
        "{} {}: {owner}{}{rises}",
        duty.level,
        plain(&rung.title),
        eta.unwrap_or_default()
    )
}

fn overdue(incident: &Incident, app: &App) -> Option<String> {
    let overdue = incident.overdue(&app.config.file.escalation)?;
    Some(moment(overdue.at_ms))
}

/// `2h` from now, or a moment with its zone.
fn moment_of(text: &str, now_ms: i64) -> Result<i64, CliError> {
    if let Ok(length) = crate::duration::parse(text) {
        return Ok(now_ms.saturating_add(length.as_millis() as i64));
    }
    let moment = chrono::DateTime::parse_from_rfc3339(text);
    moment.map(|moment| moment.timestamp_millis()).map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        let message = format!("--eta is {shown:?}: write a length of time such as 2h, or 2026-11-22T18:00:00+01:00");
        CliError::usage("USAGE", message)
    })
}
