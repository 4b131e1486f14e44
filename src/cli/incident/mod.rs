//! `host incident`: runs that are held, with what people found out about them.

mod duty;
mod export;
mod procedure;
mod show;

use clap::Subcommand;

use super::error::CliError;
use super::out::{BAD, FAINT, Out, ago, excerpt, plain};
use super::signed;
use crate::app::App;
use crate::id::{IncidentId, RunId};
use crate::journal::audit::Act;
use crate::journal::incident::{self, Incident, IncidentError, OpenedBy, State};
use crate::journal::{JournalError, RunRecord};
use crate::report::incident::incident_json;
use crate::store::{Batch, Durability, Store, StoreError};

/// How often a change is made anew because somebody else was quicker.
const CONFLICTS_MAX: u32 = 16;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List incidents, the one opened last first.
    List {
        /// Closed ones too.
        #[arg(long)]
        all: bool,
    },
    /// Show an incident: its runs, what happened when, and what to do next.
    Show {
        /// The incident, or a bundle's file.
        incident: String,
    },
    /// Open an incident that holds these runs.
    Open {
        #[arg(required = true, value_name = "RUN")]
        runs: Vec<String>,
        /// What it is about; made from the first run when not given.
        #[arg(long)]
        title: Option<String>,
    },
    /// Hold more runs.
    Pin {
        incident: String,
        #[arg(required = true, value_name = "RUN")]
        runs: Vec<String>,
    },
    /// Let go of runs.
    Unpin {
        incident: String,
        #[arg(required = true, value_name = "RUN")]
        runs: Vec<String>,
    },
    /// Write down what you found out.
    Note { incident: String, text: String },
    /// Give an incident into somebody's hands.
    Assign {
        incident: String,
        #[arg(value_name = "NAME")]
        owner: String,
        /// When it shall be solved: 2h from now, or a time with its zone. Then it rises by itself.
        #[arg(long)]
        eta: Option<String>,
    },
    /// Raise an incident by one level, or to the one that is named.
    Escalate {
        incident: String,
        #[arg(long, value_name = "LEVEL")]
        to: Option<incident::Level>,
        #[arg(long, default_value = "")]
        why: String,
    },
    /// Run a playbook that is to solve it; playbooks/incidents/ is looked through first.
    Run {
        incident: String,
        #[command(flatten)]
        procedure: super::playbook::Args,
    },
    /// Close an incident. It goes on holding its runs.
    Close {
        incident: String,
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Write an incident to one file that replays anywhere, without secrets.
    Export {
        incident: String,
        file: String,
        /// Write over a file that is there already.
        #[arg(long)]
        force: bool,
    },
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    match args.command {
        Command::List { all } => list(all, app, out),
        Command::Show { incident } => show::perform(&incident, app, out),
        Command::Export { incident, file, force } => export::perform(&incident, &file, force, app, out),
        Command::Open { runs, title } => open(&runs, title, app, out),
        Command::Pin { incident, runs } => pin(&incident, &runs, app, out),
        Command::Unpin { incident, runs } => unpin(&incident, &runs, app, out),
        Command::Note { incident, text } => {
            let text = app.masks.mask_text(text);
            let changed = change(app, "note", &incident, |_, incident| {
                incident.note(&text, &by(app), now(app))
            })?;
            told(&changed, &format!("noted in {}", changed.id.short()), None, out)
        }
        Command::Assign { incident, owner, eta } => duty::assign(&incident, &owner, eta.as_deref(), app, out),
        Command::Escalate { incident, to, why } => duty::escalate(&incident, to, &why, app, out),
        Command::Run { incident, procedure } => procedure::perform(&incident, &procedure, app, out),
        Command::Close { incident, reason } => {
            let reason = app.masks.mask_text(reason);
            let changed = change(app, "close", &incident, |_, incident| {
                incident.close(&reason, &by(app), now(app))
            })?;
            let held = counted(changed.runs.len(), "run");
            let text = format!("closed {}; it still holds {held}", changed.id.short());
            let runs: Vec<String> = changed.runs.iter().map(|run| run.short()).collect();
            let next = format!("host incident unpin {} {}", changed.id.short(), runs.join(" "));
            let next = (!runs.is_empty()).then_some(("let go", next));
            told(&changed, &text, next, out)
        }
    }
}

fn list(all: bool, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let mut found = match app.reader()? {
        Some(ground) => incident::list(&*ground.store)?,
        None => Vec::new(),
    };
    let closed = found.iter().filter(|incident| incident.state == State::Closed).count();
    found.retain(|incident| all || incident.state == State::Open);
    if out.json {
        out.json(
            &found
                .iter()
                .map(|incident| incident_json(incident, &[]))
                .collect::<Vec<_>>(),
        );
        return Ok(0);
    }
    if found.is_empty() {
        out.line("no incident is open");
    } else {
        let now_ms = now(app);
        let rows: Vec<Vec<String>> = found.iter().map(|incident| row(incident, now_ms, out)).collect();
        out.table(
            &[
                "incident", "state", "level", "owner", "opened", "runs", "notes", "about",
            ],
            &rows,
        );
    }
    if !all && closed > 0 {
        let more = out.paint(FAINT, &format!("{closed} closed: --all lists them"));
        out.line(more);
    }
    Ok(0)
}

fn row(incident: &Incident, now_ms: i64, out: &Out) -> Vec<String> {
    let state = match incident.state {
        State::Open => out.paint(BAD, incident.state.as_str()),
        State::Closed => incident.state.as_str().to_owned(),
    };
    vec![
        incident.id.short(),
        state,
        incident.duty.level.to_string(),
        incident
            .duty
            .owner
            .as_deref()
            .map(|owner| excerpt(owner, 16))
            .unwrap_or_default(),
        ago(incident.opened_ms, now_ms),
        incident.runs.len().to_string(),
        incident.notes().count().to_string(),
        excerpt(&incident.title, out.rest_of_line(50)),
    ]
}

fn open(runs: &[String], title: Option<String>, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let ground = app.writer()?;
    let records = records(&*ground.store, runs)?;
    let title = title.unwrap_or_else(|| {
        let first = &records[0];
        let code = first.error.as_ref().map(|error| format!(": {}", error.failure.code));
        format!("{} {}{}", first.playbook, first.status, code.unwrap_or_default())
    });
    let title = app.masks.mask_text(title);
    let id = IncidentId::new(now(app), app.chance.wide_bits());
    let mut opened = Incident::open(id, &title, OpenedBy::Hand, &by(app), now(app))?;
    opened.pin(&ids(&records), &by(app), now(app))?;
    let runs: Vec<String> = opened.runs.iter().map(ToString::to_string).collect();
    let act = Act::new("incident.open", id.to_string()).with("runs", runs);
    let ground = signed::on(app, &ground, act);
    commit(&*ground.store, |batch| {
        incident::save_in(batch, &*ground.store, None, &opened)?;
        Ok(())
    })?;
    let held = counted(opened.runs.len(), "run");
    let text = format!("opened {}; it holds {held}", id.short());
    told(
        &opened,
        &text,
        Some(("look", format!("host incident show {}", id.short()))),
        out,
    )
}

fn pin(prefix: &str, runs: &[String], app: &App, out: &mut Out) -> Result<u8, CliError> {
    let new = std::cell::RefCell::new(Vec::new());
    let changed = change(app, "pin", prefix, |store, incident| {
        let records = records(store, runs)?;
        *new.borrow_mut() = incident.pin(&ids(&records), &by(app), now(app))?;
        Ok(())
    })?;
    let id = changed.id.short();
    let held = counted(changed.runs.len(), "run");
    let new: Vec<String> = new.into_inner().iter().map(|run| run.to_string()).collect();
    if new.is_empty() {
        return told(&changed, &format!("{id} holds that already"), None, out);
    }
    let undo = format!("host incident unpin {id} {}", new.join(" "));
    told(&changed, &format!("{id} holds {held}"), Some(("undo", undo)), out)
}

fn unpin(prefix: &str, runs: &[String], app: &App, out: &mut Out) -> Result<u8, CliError> {
    let changed = change(app, "unpin", prefix, |_, incident| {
        let held = runs
            .iter()
            .map(|run| incident.held(run))
            .collect::<Result<Vec<_>, _>>()?;
        incident.unpin(&held, &by(app), now(app))
    })?;
    let held = counted(changed.runs.len(), "run");
    let undo = format!("host incident pin {} {}", changed.id.short(), runs.join(" "));
    told(
        &changed,
        &format!("{} holds {held} now", changed.id.short()),
        Some(("undo", undo)),
        out,
    )
}

fn records(store: &dyn Store, runs: &[String]) -> Result<Vec<RunRecord>, JournalError> {
    runs.iter().map(|run| RunRecord::find(store, run)).collect()
}

fn ids(records: &[RunRecord]) -> Vec<RunId> {
    records.iter().map(|record| record.run).collect()
}

/// Makes `change` in one commit, signed with `what` was done; anew when somebody else was quicker.
fn change<T>(
    app: &App,
    what: &str,
    prefix: &str,
    change: impl Fn(&dyn Store, &mut Incident) -> Result<T, IncidentError>,
) -> Result<Incident, CliError> {
    let ground = app.writer()?;
    let id = incident::find(&*ground.store, prefix)?.incident.id;
    let ground = signed::on(app, &ground, Act::new(format!("incident.{what}"), id.to_string()));
    let store = &*ground.store;
    let mut after = None;
    commit(store, |batch| {
        let before = incident::find(store, prefix)?;
        let mut changed = before.incident.clone();
        change(store, &mut changed)?;
        if changed != before.incident {
            incident::save_in(batch, store, Some(&before), &changed)?;
        }
        after = Some(changed);
        Ok(())
    })?;
    Ok(after.expect("it was committed"))
}

fn commit(store: &dyn Store, mut fill: impl FnMut(&mut Batch) -> Result<(), IncidentError>) -> Result<(), CliError> {
    let mut conflicts = 0;
    loop {
        let mut batch = Batch::new();
        fill(&mut batch)?;
        match store.commit(batch, Durability::Now) {
            Err(StoreError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
            done => return Ok(done.map(|_| ())?),
        }
    }
}

/// Says what was changed, and what can be typed next.
fn told(incident: &Incident, text: &str, next: Option<(&str, String)>, out: &mut Out) -> Result<u8, CliError> {
    if out.json {
        out.json(&incident_json(incident, &[]));
        return Ok(0);
    }
    out.line(plain(text));
    if let Some((word, command)) = next {
        out.line(format!("{word:<7} {}", plain(&command)));
    }
    Ok(0)
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

fn now(app: &App) -> i64 {
    app.clock.unix_ms()
}

/// Whoever sits at the command line.
fn by(app: &App) -> String {
    app.masks
        .mask_text(app.person().unwrap_or_else(|| "somebody".to_owned()))
}
