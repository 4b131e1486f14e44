//! `host status`: whether a server runs, and what it is at. It works without a server too.

use serde_json::json;

use super::error::CliError;
use super::out::{BAD, CAREFUL, FAINT, GOOD, Out, STRONG, ago, excerpt, moment, plain};
use crate::app::{App, AppError};
use crate::report::operation::{self, Counts};
use crate::serve::status::{Presence, Status};
use crate::store::StoreError;
use crate::store::tx::Ground;

#[derive(clap::Args)]
pub struct Args {}

/// What can be known of the server and its store.
pub struct Known {
    /// Of the process that has the store.
    pub presence: Option<Presence>,
    /// `None` when the store cannot be read while the server has it, or there is none.
    pub ground: Option<Ground>,
    pub status: Option<Status>,
}

impl Known {
    pub fn of(app: &App) -> Result<Known, CliError> {
        let presence = Presence::read(&app.config.data());
        let ground = match (app.reader(), &presence) {
            (Ok(ground), _) => ground,
            // The server has it to itself, and says at least that it is there.
            (Err(AppError::Store(StoreError::Locked { .. })), Some(_)) => None,
            (Err(error), _) => return Err(error.into()),
        };
        let status = match &ground {
            Some(ground) => Status::read(&*ground.store)?,
            None => None,
        };
        Ok(Known {
            presence,
            ground,
            status,
        })
    }
}

pub fn perform(_: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let known = Known::of(app)?;
    let now_ms = app.clock.unix_ms();
    let live = match &known.presence {
        Some(presence) => presence.live,
        None => !app.config.dry_run()?,
    };
    let counts = match &known.ground {
        Some(ground) => Some(operation::count(&*ground.store)?),
        None => None,
    };
    let next_due_ms = match &known.ground {
        Some(ground) => operation::next_due(&*ground.store)?,
        None => None,
    };
    if out.json {
        out.json(&json!({
            "running": known.presence.is_some(),
            "pid": known.presence.as_ref().map(|presence| presence.pid),
            "since_ms": known.presence.as_ref().map(|presence| presence.since_ms),
            "live": live,
            "runs": counts.as_ref().map(counts_json),
            "next_due_ms": next_due_ms,
            "paused": match &known.ground {
                Some(ground) => Some(operation::paused(&*ground.store)?),
                None => None,
            },
            "server": known.status,
        }));
        return Ok(0);
    }
    let mode = match live {
        true => out.paint(CAREFUL, "LIVE"),
        false => out.paint(GOOD, "DRY"),
    };
    match &known.presence {
        Some(presence) => {
            let running = out.paint(GOOD, "running");
            let since = ago(presence.since_ms, now_ms);
            out.line(format!("{running}  process {}, started {since}  {mode}", presence.pid));
        }
        None => {
            let stopped = out.paint(STRONG, "not running");
            let last = known.status.as_ref().map(|status| match status.ended_ms {
                Some(ended_ms) => format!(", stopped {}", ago(ended_ms, now_ms)),
                None => ", and the last server was killed".to_owned(),
            });
            out.line(format!("{stopped}{}  {mode}", last.unwrap_or_default()));
        }
    }
    let Some(ground) = &known.ground else {
        let line = if known.presence.is_some() {
            "what it is at cannot be read from here"
        } else {
            "nothing has run yet: `host serve` begins"
        };
        out.line(line);
        return Ok(0);
    };
    if let Some(counts) = &counts {
        out.line(format!("runs     {}", in_words(counts)));
    }
    if let Some(due_ms) = next_due_ms {
        out.line(format!("next     {}", moment(due_ms)));
    }
    for paused in operation::paused(&*ground.store)? {
        let line = out.paint(CAREFUL, &format!("paused   {}", plain(&paused)));
        out.line(line);
    }
    if let Some(status) = &known.status {
        server_lines(status, known.presence.is_some(), now_ms, out);
    }
    if known.presence.is_none() {
        let hint = out.paint(FAINT, "`host serve` starts playbooks when they are due");
        out.line(hint);
    }
    Ok(0)
}

fn server_lines(status: &Status, is_there: bool, now_ms: i64, out: &mut Out) {
    if is_there {
        out.line(format!(
            "live     edition {}, since {}: {} playbooks, {} started by themselves, {} threads",
            status.edition,
            ago(status.edition_since_ms, now_ms),
            status.playbooks,
            status.started_by_themselves,
            status.threads
        ));
    }
    for alarm in &status.alarms {
        let line = format!("alarm    {} (since {})", excerpt(&alarm.what, 200), ago(alarm.since_ms, now_ms));
        let line = out.paint(BAD, &line);
        out.line(line);
    }
    for unusable in &status.unusable {
        let line = format!("broken   {}: {}", plain(&unusable.playbook), excerpt(&unusable.message, 200));
        let line = out.paint(BAD, &line);
        out.line(line);
    }
    for problem in status.problems.iter().rev() {
        out.line(format!(
            "problem  {}: {} ({})",
            excerpt(&problem.what, 60),
            excerpt(&problem.message, 200),
            ago(problem.at_ms, now_ms)
        ));
    }
}

fn counts_json(counts: &Counts) -> serde_json::Value {
    json!({
        "at_work": counts.running,
        "queued": counts.queued,
        "waiting": counts.waiting,
        "questions": counts.questions,
        "jobs": counts.jobs,
    })
}

fn in_words(counts: &Counts) -> String {
    format!(
        "{} at work, {} queued, {} waiting ({} for an answer); {} jobs in queues",
        counts.running, counts.queued, counts.waiting, counts.questions, counts.jobs
    )
}
