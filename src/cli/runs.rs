//! `host runs`: what ran, newest first.

use super::drive::waited_for;
use super::error::CliError;
use super::out::{BAD, CAREFUL, GOOD, Out, ago, excerpt, plain};
use crate::app::App;
use crate::duration::for_people;
use crate::id::RunId;
use crate::journal::{RunRecord, Status};
use crate::report::runs::{STATUSES, Wanted, matching};
use crate::report::summary::record_json;

/// Runs that are looked through when a filter is given.
const LOOKED_THROUGH_MAX: usize = 100_000;

#[derive(clap::Args)]
pub struct Args {
    /// Only runs of this playbook.
    #[arg(long)]
    playbook: Option<String>,
    /// Only runs with this status: queued, running, suspended, succeeded, failed, cancelled or needs_attention.
    #[arg(long)]
    status: Option<String>,
    /// How many to list.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let wanted = Wanted {
        playbook: args.playbook.as_deref(),
        status: args.status.as_deref().map(status).transpose()?,
        live: None,
        from: RunId::from_bytes([0xff; 16]),
        limit: args.limit as usize,
        looked_through_max: LOOKED_THROUGH_MAX,
    };
    let records = match app.reader()? {
        Some(ground) => matching(&*ground.store, &wanted)?.0,
        None => Vec::new(),
    };
    if out.json {
        out.json(&records.iter().map(record_json).collect::<Vec<_>>());
        return Ok(0);
    }
    if records.is_empty() {
        out.line(if args.playbook.is_some() || args.status.is_some() {
            "no run matches"
        } else {
            "nothing has run yet: try `host run demo`"
        });
        return Ok(0);
    }
    out.page();
    let now_ms = app.clock.unix_ms();
    let rows: Vec<Vec<String>> = records.iter().map(|record| row(record, now_ms, out)).collect();
    out.table(
        &["run", "playbook", "status", "mode", "started", "took", "effects", "why"],
        &rows,
    );
    Ok(0)
}

fn status(text: &str) -> Result<Status, CliError> {
    let word = text.replace([' ', '-'], "_");
    if let Some(status) = STATUSES.into_iter().find(|status| status.code() == word) {
        return Ok(status);
    }
    let codes = STATUSES.map(Status::code);
    let message = format!("{text:?} is no status; there are {}", codes.join(", "));
    Err(CliError::usage("USAGE", message))
}

fn row(record: &RunRecord, now_ms: i64, out: &Out) -> Vec<String> {
    let style = match record.status {
        Status::Succeeded => GOOD,
        Status::Queued | Status::Running | Status::Suspended => CAREFUL,
        _ => BAD,
    };
    let took = record
        .ended_ms
        .map(|ended| for_people((ended - record.begun_ms).max(0) as u64))
        .unwrap_or_default();
    let simulated = if record.simulated > 0 {
        format!(", {} sim", record.simulated)
    } else {
        String::new()
    };
    let start = record.parent.map_or("", |_| out.symbol("└ "));
    let why = match (&record.waits, &record.error) {
        (Some(waits), _) if record.status == Status::Suspended => excerpt(&waited_for(waits), 40),
        (_, Some(error)) => plain(&error.failure.code),
        _ => String::new(),
    };
    vec![
        record.run.short(),
        format!("{start}{}@{}", plain(&record.playbook), record.version.short()),
        out.paint(style, &record.status.to_string()),
        if record.live { "LIVE" } else { "DRY" }.to_owned(),
        ago(record.begun_ms, now_ms),
        took,
        format!("{}{simulated}", record.effects),
        why,
    ]
}
