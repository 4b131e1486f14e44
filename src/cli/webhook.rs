//! `host webhook`: what services sent, what came of it, and a run of it once more.

use serde_json::{Value as Json, json};

use super::error::CliError;
use super::out::{BAD, CAREFUL, FAINT, GOOD, Out, ago, excerpt, moment, plain};
use super::signed;
use crate::app::App;
use crate::journal::audit::Act;
use crate::journal::intake::Intake;
use crate::journal::{RunRecord, Status};
use crate::store::tx::Ground;
use crate::store::{Batch, Durability, Store, StoreError};

/// Lines of a body that are shown.
const LINES_MAX: usize = 40;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List what came, the latest first, and what was done with it.
    List {
        /// Only what came for this playbook.
        #[arg(long)]
        playbook: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Show what came: its headers, its body, its runs.
    Show {
        /// The beginning of its id.
        id: String,
    },
    /// Make one run more of what came, as it came.
    Replay {
        /// The beginning of its id.
        id: String,
    },
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    match args.command {
        Command::List { playbook, limit } => list(app, playbook.as_deref(), limit as usize, out)?,
        Command::Show { id } => show(app, &id, out)?,
        Command::Replay { id } => replay(app, &id, out)?,
    }
    Ok(0)
}

fn list(app: &App, playbook: Option<&str>, limit: usize, out: &mut Out) -> Result<(), CliError> {
    let Some(ground) = app.reader()? else {
        return nothing(out);
    };
    let store = &*ground.store;
    let is_meant = |intake: &Intake| playbook.is_none_or(|playbook| intake.playbook == playbook);
    let mut found = Intake::list(store, limit + 1, is_meant)?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    if out.json {
        let shown: Result<Vec<Json>, StoreError> = found.iter().map(|intake| intake_json(store, intake)).collect();
        out.json(&json!({ "webhooks": shown?, "more": has_more }));
        return Ok(());
    }
    if found.is_empty() {
        return nothing(out);
    }
    let now_ms = app.clock.unix_ms();
    let mut rows = Vec::new();
    for intake in &found {
        rows.push(vec![
            intake.short().to_owned(),
            plain(&intake.playbook),
            ago(intake.at_ms, now_ms),
            format!("{} B", crate::digits::grouped(intake.bytes)),
            excerpt(&intake.sent_id, 24),
            fate(store, intake, out)?,
        ]);
    }
    out.table(
        &["webhook", "playbook", "came", "bytes", "its id", "what came of it"],
        &rows,
    );
    if has_more {
        out.line(out.paint(FAINT, &format!("more than {limit}: --limit shows them")));
    }
    Ok(())
}

fn nothing(out: &mut Out) -> Result<(), CliError> {
    match out.json {
        true => out.json(&json!({ "webhooks": [], "more": false })),
        false => out.line("nothing was sent to a webhook in the last 30 days"),
    }
    Ok(())
}

/// What came of it, in words.
fn fate(store: &dyn Store, intake: &Intake, out: &Out) -> Result<String, StoreError> {
    let last = match intake.runs.last() {
        Some(run) => {
            let status = RunRecord::get(store, *run).map(|record| record.status).ok();
            let word = status.map_or("not kept any more".to_owned(), |status| status.to_string());
            let style = match status {
                Some(Status::Succeeded) => GOOD,
                Some(Status::Failed | Status::NeedsAttention) => BAD,
                _ => FAINT,
            };
            format!("run {} {}", run.short(), out.paint(style, &word))
        }
        None => match &intake.refused {
            Some(why) => out.paint(BAD, &why.code).to_string(),
            None => String::new(),
        },
    };
    let waits = intake
        .waits(store)?
        .map(|_| out.paint(CAREFUL, "waits for a run").to_string());
    let parts: Vec<String> = [last]
        .into_iter()
        .chain(waits)
        .filter(|part| !part.is_empty())
        .collect();
    Ok(parts.join(", "))
}

fn show(app: &App, prefix: &str, out: &mut Out) -> Result<(), CliError> {
    let ground = app.reader()?.ok_or_else(|| unknown(prefix))?;
    let intake = find(&ground, prefix)?;
    let body = intake.body(&ground)?;
    let text = String::from_utf8(body).map(|text| app.masks.mask_text(text)).ok();
    if out.json {
        let mut shown = intake_json(&*ground.store, &intake)?;
        shown["headers"] = json!(intake.headers);
        shown["body"] = json!(text);
        out.json(&shown);
        return Ok(());
    }
    let now_ms = app.clock.unix_ms();
    out.line(format!(
        "{}  {}, for {}",
        intake.id,
        plain(&intake.path),
        plain(&intake.playbook)
    ));
    out.line(format!(
        "came    {}, {}",
        moment(intake.at_ms),
        ago(intake.at_ms, now_ms)
    ));
    if let Some(sent_ms) = intake.sent_ms {
        out.line(format!("sent    {}", moment(sent_ms)));
    }
    out.line(format!("its id  {}", excerpt(&intake.sent_id, out.rest_of_line(8))));
    out.line(format!("asked   {}", plain(&intake.corr)));
    let came = fate(&*ground.store, &intake, out)?;
    out.line(format!("now     {came}"));
    for run in intake.runs.iter().rev().skip(1) {
        out.line(format!("before  run {}", run.short()));
    }
    if let Some(why) = &intake.refused {
        out.line(format!("why     {}", excerpt(&why.message, out.rest_of_line(8))));
    }
    out.line("");
    for (name, value) in &intake.headers {
        let value = excerpt(&app.masks.mask_text(value.clone()), out.rest_of_line(name.len() + 2));
        out.line(format!("{name}: {value}"));
    }
    out.line("");
    match &text {
        None => out.line(format!(
            "{} bytes that are no text",
            crate::digits::grouped(intake.bytes)
        )),
        Some(text) => {
            let lines = text.lines().count();
            for line in text.lines().take(LINES_MAX) {
                out.line(excerpt(line, out.rest_of_line(0).min(2000)));
            }
            if lines > LINES_MAX {
                out.line(out.paint(FAINT, &format!("and {} lines more: --json has all", lines - LINES_MAX)));
            }
        }
    }
    out.line("");
    out.line(format!("next    host webhook replay {}", intake.short()));
    Ok(())
}

fn replay(app: &App, prefix: &str, out: &mut Out) -> Result<(), CliError> {
    let looked = app.reader()?.ok_or_else(|| unknown(prefix))?;
    let intake = find(&looked, prefix)?;
    if intake.waits(&*looked.store)?.is_some() {
        return Err(waits(&intake));
    }
    // Who reads holds the store too.
    drop(looked);
    let act = Act::new("webhook.replay", intake.id.clone()).with("playbook", intake.playbook.clone());
    let ground = signed::writer(app, act)?;
    let by = app.person().map(|person| format!("by {person}"));
    let mut batch = Batch::new();
    intake.again(&mut batch, by.or_else(|| Some("by hand".to_owned())));
    match ground.store.commit(batch, Durability::Now) {
        Err(StoreError::Conflict { .. }) => return Err(waits(&intake)),
        committed => committed?,
    };
    let is_served = app.server().is_some();
    if out.json {
        out.json(&json!({ "webhook": intake.id, "playbook": intake.playbook, "served": is_served }));
        return Ok(());
    }
    let (mark, id) = (out.paint(GOOD, "+"), intake.short());
    let when = if is_served {
        "is made now"
    } else {
        "is made when `host serve` runs"
    };
    out.line(format!(
        "{mark} {id}  one run more of {} {when}",
        plain(&intake.playbook)
    ));
    out.line(format!("next    host webhook show {id}"));
    Ok(())
}

fn waits(intake: &Intake) -> CliError {
    let message = format!("{} waits for a run already, which is none more", intake.short());
    let help = format!(
        "it is made when nothing stands in its way: see `host status`, and `host webhook show {}`",
        intake.short()
    );
    CliError::usage("WEBHOOK_WAITS", message).help(help)
}

fn find(ground: &Ground, prefix: &str) -> Result<Intake, CliError> {
    let mut found = Intake::find(&*ground.store, prefix, 6)?;
    match found.len() {
        0 => Err(unknown(prefix)),
        1 => Ok(found.swap_remove(0)),
        _ => {
            let ids: Vec<&str> = found.iter().map(|intake| intake.id.as_str()).collect();
            let message = format!("{prefix:?} could be any of these: {}", ids.join(", "));
            Err(CliError::usage("WEBHOOK_AMBIGUOUS", message).help("type more of the id"))
        }
    }
}

fn unknown(prefix: &str) -> CliError {
    let shown: String = prefix.chars().take(40).collect();
    let message = format!("nothing that was sent to a webhook has an id that begins with {shown:?}");
    CliError::usage("WEBHOOK_NOT_FOUND", message).help("`host webhook list` shows what came in the last 30 days")
}

fn intake_json(store: &dyn Store, intake: &Intake) -> Result<Json, StoreError> {
    let runs = intake.runs.iter().map(|run| {
        let status = RunRecord::get(store, *run).ok().map(|record| record.status.code());
        json!({ "run_id": run.to_string(), "status": status })
    });
    Ok(json!({
        "id": intake.id,
        "path": intake.path,
        "playbook": intake.playbook,
        "sent_id": intake.sent_id,
        "digest": intake.digest,
        "bytes": intake.bytes,
        "at_ms": intake.at_ms,
        "sent_ms": intake.sent_ms,
        "correlation_id": intake.corr,
        "runs": runs.collect::<Vec<_>>(),
        "waits": intake.waits(store)?.is_some(),
        "refused": intake.refused,
    }))
}
