//! `host incident run INCIDENT PROCEDURE`: a playbook that is to solve it; the incident holds its run.

use std::cell::Cell;

use super::{by, change, now};
use crate::app::App;
use crate::cli::error::CliError;
use crate::cli::out::{FAINT, Out};
use crate::cli::playbook::{self, Chosen};
use crate::cli::run::{observer, start_told};
use crate::id::RunId;
use crate::journal::incident::{self, IncidentError, State};
use crate::runs::Order;

/// Where procedures are looked for first, and the input that tells them which incident it is about.
const FOLDER: &str = "incidents";
const INPUT: &str = "incident";

pub fn perform(prefix: &str, args: &playbook::Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let found = match app.reader()? {
        Some(ground) => incident::find(&*ground.store, prefix)?.incident,
        None => return Err(IncidentError::NotFound(prefix.chars().take(40).collect()).into()),
    };
    if found.state == State::Closed {
        return Err(IncidentError::Closed(found.id).into());
    }
    let args = args.below(FOLDER, app).telling(INPUT, &found.id.to_string(), app)?;
    let Some(Chosen { script, input, .. }) = args.choose("run", app, out)? else {
        return Ok(0);
    };
    let mode = app.mode(&script.header.uses)?;
    let playbook = script.name.clone();
    let order = Order {
        script,
        input,
        mode,
        trigger: format!("for incident {}", found.id.short()),
        by: app.person(),
        retry_of: None,
        corr: None,
        observer: observer(out),
    };
    let run = Cell::new(None::<RunId>);
    let runner = app.runner()?;
    let ended = start_told(app, &runner, order, &|begun| run.set(Some(begun)), out);
    // The store may have one owner at a time.
    drop(runner);
    if let Some(run) = run.get() {
        change(app, "procedure", prefix, |store, incident| {
            match crate::journal::RunRecord::get(store, run) {
                Ok(_) => incident.procedure(&playbook, run, &by(app), now(app)),
                // It was lost before anything of it was on disk: there is nothing to hold.
                Err(_) => Ok(()),
            }
        })?;
        if !out.json {
            let text = format!("noted in {}, which holds the run now", found.id.short());
            let text = out.paint(FAINT, &text);
            out.line(text);
        }
    }
    ended
}
