//! `host serve`: starts playbooks when they are due, and goes on with what waits, until it is told to stop.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::json;

use super::error::{CliError, OTHER, STORE, USAGE};
use super::out::{CAREFUL, FAINT, GOOD, Out, STRONG, excerpt, moment, plain};
use crate::app::App;
use crate::duration::for_people;
use crate::gate::observer::LogLevel;
use crate::gate::{Notice, Observer};
use crate::id::RunId;
use crate::journal::Status;
use crate::runs::ResumeError;
use crate::runs::conductor::{AtRest, Crew, Offer, What};
use crate::serve::escalation::Escalation;
use crate::serve::{Host, ServeError};

#[derive(clap::Args)]
pub struct Args {}

impl From<ServeError> for CliError {
    fn from(error: ServeError) -> CliError {
        let (code, message) = (error.code().to_owned(), error.to_string());
        match error {
            ServeError::App(error) => error.into(),
            ServeError::Journal(error) => error.into(),
            ServeError::Running(_) => CliError::new(code, message, STORE).help("`host status` shows what it is at"),
            ServeError::Desk(_) | ServeError::Http(_) | ServeError::Io(_) => CliError::new(code, message, OTHER),
        }
    }
}

pub fn perform(_: Args, app: App, out: &mut Out) -> Result<u8, CliError> {
    if app.config.project.is_none() {
        let message = "this folder lies in no project, so there is nothing to serve";
        return Err(CliError::new("NO_PROJECT", message, USAGE).help("`host init` makes a project"));
    }
    let clock = app.clock.clone();
    let mut triggers = crate::triggers::all();
    triggers.push(Box::new(Escalation::default()));
    let host = Host::open(app, triggers, watch)?;
    greet(&host, out);
    let stop: Arc<AtomicBool> = Arc::default();
    let stopped = host.serve(&stop, &|text| tracing::info!("{text}"))?;
    let at_ms = clock.unix_ms();
    if out.json {
        out.json_line(&json!({ "stopped_ms": at_ms, "parked": stopped.parked }));
        return Ok(0);
    }
    out.line(match stopped.parked {
        0 => "stopped: nothing was at work".to_owned(),
        1 => "stopped: 1 run is parked, and goes on at the next start".to_owned(),
        count => format!("stopped: {count} runs are parked, and go on at the next start"),
    });
    Ok(0)
}

fn greet(host: &Host, out: &mut Out) {
    let status = host.board.status();
    let root = &host.app.config.root;
    let name = root.file_name().map_or_else(
        || root.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    );
    if out.json {
        out.json_line(&json!({
            "project": root.display().to_string(),
            "pid": status.pid,
            "since_ms": status.since_ms,
            "live": status.live,
            "playbooks": status.playbooks,
            "started_by_themselves": status.started_by_themselves,
            "taken_up": host.taken_up,
        }));
        return;
    }
    let mode = match status.live {
        true => out.paint(CAREFUL, "LIVE"),
        false => format!(
            "{} (DRY_RUN is on: nothing leaves this machine)",
            out.paint(GOOD, "DRY")
        ),
    };
    let name = out.paint(STRONG, &plain(&name));
    out.line(format!("serving {name} since {}  {mode}", moment(status.since_ms)));
    out.line(format!(
        "{}, {} started by themselves; at most {} runs at work at once",
        playbooks(status.playbooks),
        match status.started_by_themselves {
            0 => "none".to_owned(),
            count => count.to_string(),
        },
        status.threads
    ));
    if host.taken_up > 0 {
        out.line(format!("going on with {}", runs(host.taken_up)));
    }
    let hint = "Ctrl-C stops; `host status` and `host today` say how it goes";
    let hint = out.paint(FAINT, hint);
    out.line(hint);
}

fn playbooks(count: usize) -> String {
    if count == 1 {
        "1 playbook".to_owned()
    } else {
        format!("{count} playbooks")
    }
}

fn runs(count: usize) -> String {
    if count == 1 {
        "1 run".to_owned()
    } else {
        format!("{count} runs")
    }
}

/// One line when a run gets a thread, one when it is at rest, and what its script says in between.
fn watch(crew: &mut Crew) {
    crew.observe = Box::new(|offer: &Offer| {
        let (run, playbook) = (offer.run.short(), &offer.playbook);
        match offer.what {
            What::Cancel => tracing::info!(%run, %playbook, "is being cancelled"),
            What::GoOn | What::Reopen => tracing::info!(%run, %playbook, "at work"),
        }
        Arc::new(Logged(offer.run))
    });
    crew.on_rest = Box::new(at_rest);
}

fn at_rest(rest: &AtRest) {
    let (run, playbook) = (rest.run.short(), &rest.playbook);
    let finished = match &rest.outcome {
        Ok(finished) => finished,
        // It was woken by two things at once.
        Err(ResumeError::Over { .. } | ResumeError::Busy(_)) => return,
        Err(error) => {
            tracing::error!(%run, %playbook, %error, code = error.code(), "cannot go on");
            return;
        }
    };
    let record = &finished.record;
    let failure = finished.outcome.error.as_ref().map(|error| &error.failure);
    let code = failure.map(|failure| failure.code.as_str()).unwrap_or_default();
    let error = failure
        .map(|failure| excerpt(&failure.message, 400))
        .unwrap_or_default();
    let took = for_people((record.ended_ms.unwrap_or(record.begun_ms) - record.begun_ms).max(0) as u64);
    match record.status {
        Status::Succeeded => tracing::info!(%run, %playbook, %took, effects = record.effects, "succeeded"),
        Status::Suspended => {
            let waits = record.waits.as_ref();
            let what = waits.map(|waits| excerpt(&waits.what, 200)).unwrap_or_default();
            let until = waits.and_then(|waits| waits.until_ms).map(moment).unwrap_or_default();
            tracing::info!(%run, %playbook, %what, %until, "waits");
        }
        Status::Queued | Status::Running => tracing::info!(%run, %playbook, "parked"),
        Status::Cancelled => tracing::warn!(%run, %playbook, %took, "cancelled"),
        Status::Failed => tracing::error!(%run, %playbook, %took, %code, %error, "failed"),
        Status::NeedsAttention => tracing::error!(%run, %playbook, %took, %code, %error, "needs attention"),
    }
}

/// What a script says goes to the log.
struct Logged(RunId);

impl Observer for Logged {
    fn notice(&self, notice: Notice<'_>) {
        let Notice::Log { level, message, fields } = notice else {
            return;
        };
        let (run, said) = (self.0.short(), excerpt(message, 2000));
        let fields = (!fields.is_unit()).then(|| excerpt(&fields.to_string(), 2000));
        let fields = fields.as_deref();
        match level {
            LogLevel::Debug => tracing::debug!(%run, fields, "{said}"),
            LogLevel::Info => tracing::info!(%run, fields, "{said}"),
            LogLevel::Warn => tracing::warn!(%run, fields, "{said}"),
            LogLevel::Error => tracing::error!(%run, fields, "{said}"),
        }
    }
}
