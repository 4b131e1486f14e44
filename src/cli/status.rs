//! `host status`: whether a server runs, and what it is at. It works without a server too.

use serde_json::json;

use super::error::CliError;
use super::out::{BAD, CAREFUL, FAINT, GOOD, Out, STRONG, ago, excerpt, moment, plain};
use crate::app::App;
use crate::report::operation::{self, Counts};
use crate::serve::status::Status;

#[derive(clap::Args)]
pub struct Args {}

pub fn perform(_: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let ground = app.reader()?;
    let server = app.server().map(|server| server.server().clone());
    let now_ms = app.clock.unix_ms();
    let Some(ground) = ground else {
        let live = !app.config.dry_run()?;
        if out.json {
            out.json(&json!({ "running": false, "live": live, "server": null }));
            return Ok(0);
        }
        let stopped = out.paint(STRONG, "not running");
        out.line(format!("{stopped}  {}", mode(live, out)));
        out.line("nothing has run yet: `host serve` begins");
        return Ok(0);
    };
    let store = &*ground.store;
    let status = Status::read(store)?;
    let live = match (&server, &status) {
        (Some(_), Some(status)) => status.live,
        _ => !app.config.dry_run()?,
    };
    let counts = operation::count(store)?;
    let next_due_ms = operation::next_due(store)?;
    let paused = operation::paused(store)?;
    let unusable = operation::unusable_save(store)?;
    if out.json {
        out.json(&json!({
            "running": server.is_some(),
            "pid": server.as_ref().map(|server| server.pid),
            "since_ms": server.as_ref().map(|server| server.started_ms),
            "live": live,
            "runs": counts,
            "next_due_ms": next_due_ms,
            "paused": paused,
            "save": unusable.as_ref().map(|version| json!({
                "version": version.number,
                "state": version.state,
                "files": version.changes.iter().map(|change| &change.path).collect::<Vec<_>>(),
            })),
            "server": status,
        }));
        return Ok(0);
    }
    let mode = mode(live, out);
    match &server {
        Some(server) => {
            let running = out.paint(GOOD, "running");
            let since = ago(server.started_ms, now_ms);
            out.line(format!("{running}  process {}, started {since}  {mode}", server.pid));
        }
        None => {
            let stopped = out.paint(STRONG, "not running");
            let last = status.as_ref().map(|status| match status.ended_ms {
                Some(ended_ms) => format!(", stopped {}", ago(ended_ms, now_ms)),
                None => ", and the last server was killed".to_owned(),
            });
            out.line(format!("{stopped}{}  {mode}", last.unwrap_or_default()));
        }
    }
    out.line(format!("runs     {}", in_words(&counts)));
    if let Some(due_ms) = next_due_ms {
        let line = match due_ms < now_ms {
            true => format!("next     was due {}", ago(due_ms, now_ms)),
            false => format!("next     {}", moment(due_ms)),
        };
        out.line(line);
    }
    for paused in paused {
        let line = out.paint(CAREFUL, &format!("paused   {}", plain(&paused)));
        out.line(line);
    }
    if let Some(version) = &unusable {
        let files = crate::serve::versions::in_words(&version.changes);
        let line = format!(
            "save     version {} is {}: {}",
            version.number,
            version.state,
            plain(&files)
        );
        let line = out.paint(BAD, &line);
        out.line(line);
    }
    if let Some(status) = &status {
        server_lines(status, server.is_some(), now_ms, out);
    }
    if server.is_none() {
        let hint = out.paint(FAINT, "`host serve` starts playbooks when they are due");
        out.line(hint);
    }
    Ok(0)
}

fn mode(live: bool, out: &Out) -> String {
    match live {
        true => out.paint(CAREFUL, "LIVE"),
        false => out.paint(GOOD, "DRY"),
    }
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
        if let Some(url) = &status.http {
            out.line(format!("http     {}", plain(url)));
        }
    }
    for alarm in &status.alarms {
        let line = format!(
            "alarm    {} (since {})",
            excerpt(&alarm.what, 200),
            ago(alarm.since_ms, now_ms)
        );
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

fn in_words(counts: &Counts) -> String {
    format!(
        "{} at work, {} queued, {} waiting ({} for an answer); {} jobs in queues",
        counts.running, counts.queued, counts.waiting, counts.questions, counts.jobs
    )
}
