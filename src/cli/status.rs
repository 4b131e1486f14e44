//! `host status`: whether a server runs, and what it is at. It works without a server too.

use serde_json::json;

use super::error::{CliError, FAILED};
use super::out::{BAD, CAREFUL, FAINT, GOOD, Out, STRONG, ago, bytes_for_people, excerpt, moment, plain};
use crate::app::App;
use crate::journal::epoch::Epoch;
use crate::report::operation::{self, Counts};
use crate::serve::status::Status;
use crate::store::Realm;
use crate::store::lines::{self, Level};
use crate::upkeep::release::{self, Hold};
use crate::upkeep::rota;

#[derive(clap::Args)]
pub struct Args {
    /// End with exit code 1 unless a server runs and its watchdog sees nothing wrong: for whoever restarts it.
    #[arg(long)]
    check: bool,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let is_well = show(app, out)?;
    Ok(if args.check && !is_well { FAILED } else { 0 })
}

/// Tells how it is; gives whether a server runs, and all is well with it.
fn show(app: &App, out: &mut Out) -> Result<bool, CliError> {
    let ground = app.reader()?;
    let server = app.server().map(|server| server.server().clone());
    let now_ms = app.clock.unix_ms();
    let Some(ground) = ground else {
        let live = !app.config.dry_run()?;
        if out.json {
            out.json(&json!({ "running": false, "live": live, "server": null }));
            return Ok(false);
        }
        let stopped = out.paint(STRONG, "not running");
        out.line(format!("{stopped}  {}", mode(live, out)));
        out.line("nothing has run yet: `host serve` begins");
        return Ok(false);
    };
    let store = &*ground.store;
    let status = Status::of_this_life(store)?;
    let live = match (&server, &status) {
        (Some(_), Some(status)) => status.live,
        _ => !app.config.dry_run()?,
    };
    let is_well = server.is_some() && status.as_ref().is_some_and(|status| status.alarms.is_empty());
    let counts = operation::count(store)?;
    let next_due_ms = operation::next_due(store)?;
    let paused = operation::paused(store)?;
    let unusable = operation::unusable_save(store)?;
    let lines = lines::standing(store, if live { Realm::Live } else { Realm::Dry }, now_ms)?;
    let hold = release::hold(&ground, now_ms)?.filter(|hold| hold.frozen || !hold.runs.is_empty());
    let backup = rota::State::read(store)?;
    if out.json {
        out.json(&json!({
            "running": server.is_some(),
            "pid": server.as_ref().map(|server| server.pid),
            "since_ms": server.as_ref().map(|server| server.started_ms),
            "live": live,
            "runs": counts,
            "next_due_ms": next_due_ms,
            "paused": paused,
            "lines": lines.iter().map(|(name, line)| json!({
                "name": name, "text": line.text, "level": line.level, "ready": line.ready, "playbook": line.playbook,
                "at_ms": line.at_ms, "expires_ms": line.expires_ms,
            })).collect::<Vec<_>>(),
            "save": unusable.as_ref().map(|version| json!({
                "version": version.number,
                "state": version.state,
                "files": version.changes.iter().map(|change| &change.path).collect::<Vec<_>>(),
            })),
            "held": hold,
            "backup": backup,
            "server": status,
        }));
        return Ok(is_well);
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
            let last = match status.as_ref().map(|status| status.ended_ms) {
                Some(Some(ended_ms)) => format!(", stopped {}", ago(ended_ms, now_ms)),
                Some(None) => ", and the last server was killed".to_owned(),
                None if Epoch::read(store)?.origin.is_some() => ", nor since the store was restored".to_owned(),
                None => String::new(),
            };
            out.line(format!("{stopped}{last}  {mode}"));
        }
    }
    out.line(format!("runs     {}", in_words(&counts)));
    if let Some(hold) = &hold {
        let line = out.paint(CAREFUL, &format!("held     {}", held_in_words(hold, now_ms)));
        out.line(line);
    }
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
    for (name, line) in &lines {
        let text = format!(
            "{:<8} {} ({})",
            excerpt(name, 24),
            excerpt(&line.text, 200),
            ago(line.at_ms, now_ms)
        );
        let text = match line.level {
            Level::Info => text,
            Level::Good => out.paint(GOOD, &text),
            Level::Warn => out.paint(CAREFUL, &text),
            Level::Bad => out.paint(BAD, &text),
        };
        out.line(text);
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
    if let Some(backup) = &backup {
        backup_line(backup, now_ms, out);
    }
    if let Some(status) = &status {
        server_lines(status, server.is_some(), now_ms, out);
    }
    if server.is_none() {
        let hint = out.paint(FAINT, "`host serve` starts playbooks when they are due");
        out.line(hint);
    }
    Ok(is_well)
}

/// What is held since a restore.
pub fn held_in_words(hold: &Hold, now_ms: i64) -> String {
    let runs = match hold.runs.len() {
        1 => "1 run".to_owned(),
        count => format!("{count} runs"),
    };
    let rest = if hold.frozen {
        ", every trigger and publishing"
    } else {
        ""
    };
    let since = ago(hold.restored_ms, now_ms);
    format!("{runs}{rest}, since the store was restored {since}: `host restore`")
}

fn backup_line(backup: &rota::State, now_ms: i64, out: &mut Out) {
    let made = backup
        .made_ms
        .map(|made_ms| format!("{}, {}", ago(made_ms, now_ms), bytes_for_people(backup.bytes)));
    let made = made.unwrap_or_else(|| "none yet".to_owned());
    let line = match &backup.failed {
        None => format!("backup   {made}"),
        Some(failed) => {
            let line = format!(
                "backup   {made}; failing since {}: {}",
                ago(failed.since_ms, now_ms),
                plain(&failed.message)
            );
            out.paint(BAD, &line)
        }
    };
    out.line(line);
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
