//! `host versions rollback`, `accept` and `discard`.

use std::time::Duration;

use serde_json::json;

use super::super::error::CliError;
use super::super::out::{CAREFUL, FAINT, GOOD, Out, plain};
use super::super::signed;
use crate::app::App;
use crate::journal::audit::Act;
use crate::journal::edition::{State, Version};
use crate::report::versions::{change_json, version_json};
use crate::serve::rollback::{RollbackError, Wish};
use crate::serve::versions::{decide, in_words};
use crate::store::Store;

/// How long it is waited for that a server takes up what was accepted, and how often that is looked at.
const TAKEN_WITHIN: Duration = Duration::from_secs(3);
const LOOKS_EVERY: Duration = Duration::from_millis(50);

#[derive(clap::Args)]
pub struct RollbackArgs {
    /// The version to go back to.
    version: u64,
    /// Only this playbook, with its modules and prompts.
    #[arg(long)]
    playbook: Option<String>,
    /// Also when the disk holds changes that are in no version: they are kept as one first.
    #[arg(long)]
    force: bool,
}

#[derive(clap::Args)]
pub struct DecideArgs {
    /// The version that is held.
    version: u64,
}

fn person(app: &App) -> String {
    app.person().unwrap_or_else(|| "somebody".to_owned())
}

pub fn rollback(args: &RollbackArgs, app: &App, out: &mut Out) -> Result<u8, CliError> {
    super::reader(app)?;
    let ground = app.writer()?;
    let act = Act::new("version.rollback", args.version.to_string())
        .with("playbook", args.playbook.clone())
        .with("force", args.force);
    let wish = Wish {
        to: args.version,
        playbook: args.playbook.as_deref(),
        force: args.force,
        by: &person(app),
    };
    let done = signed::attempt(app, &*ground.store, act, || {
        crate::serve::rollback::rollback(app, &ground, &wish).map_err(|error| match error {
            RollbackError::Unsaved(_) => CliError::from(error)
                .note("`host versions diff live disk` shows them")
                .help("--force keeps them as a version of their own, and goes back"),
            other => other.into(),
        })
    })?;
    if out.json {
        out.json(&json!({
            "to": args.version,
            "changes": done.changes.iter().map(change_json).collect::<Vec<_>>(),
            "before": done.before,
            "other_settings": done.has_other_settings,
        }));
        return Ok(0);
    }
    let mark = out.paint(GOOD, out.symbol("✓"));
    let changes = plain(&in_words(&done.changes));
    match done.changes.is_empty() {
        true => out.line(format!("{mark} the disk is as version {} already", args.version)),
        false => out.line(format!("{mark} {changes} written back as in version {}", args.version)),
    }
    if done.has_other_settings {
        let text = "host.toml stays as it is, and differs from that version's";
        out.line(out.paint(CAREFUL, text));
    }
    if let Some(before) = done.before.filter(|_| !done.changes.is_empty()) {
        let undo = out.paint(FAINT, "undo");
        out.line(format!("{undo}    host versions rollback {before}"));
    }
    Ok(0)
}

pub fn accept(args: &DecideArgs, app: &App, out: &mut Out) -> Result<u8, CliError> {
    decided(args.version, State::Accepted, app, out)
}

pub fn discard(args: &DecideArgs, app: &App, out: &mut Out) -> Result<u8, CliError> {
    decided(args.version, State::Discarded, app, out)
}

/// The version once the server has taken the word on it, or as it is after a while.
fn until_taken(app: &App, store: &dyn Store, mut version: Version) -> Result<Version, CliError> {
    let give_up_at = app.clock.monotonic() + TAKEN_WITHIN;
    while version.state == State::Accepted && app.clock.monotonic() < give_up_at {
        app.clock.sleep(LOOKS_EVERY);
        version = Version::get(store, version.number)?;
    }
    Ok(version)
}

fn decided(number: u64, state: State, app: &App, out: &mut Out) -> Result<u8, CliError> {
    super::reader(app)?;
    let what = match state {
        State::Accepted => "version.accept",
        _ => "version.discard",
    };
    let ground = signed::writer(app, Act::new(what, number.to_string()))?;
    let version = decide(&*ground.store, number, state, &person(app))?;
    let server = app.server();
    let version = match (&server, state) {
        (Some(_), State::Accepted) => until_taken(app, &*ground.store, version)?,
        _ => version,
    };
    if out.json {
        out.json(&version_json(&version));
        return Ok(0);
    }
    let mark = out.paint(GOOD, out.symbol("✓"));
    let live = version.base.unwrap_or_default();
    out.line(match state {
        State::Accepted => match (server, version.state) {
            (_, State::Live) => format!("{mark} version {number} is live"),
            (Some(_), State::Superseded) => {
                format!("{mark} version {number} was accepted, and a later save has taken its place")
            }
            (Some(server), _) => {
                let pid = server.server().pid;
                format!("{mark} version {number} is accepted: the server (process {pid}) takes it up in a moment")
            }
            (None, _) => format!("{mark} version {number} goes live as soon as the host serves"),
        },
        _ => format!("{mark} version {number} is discarded; version {live} stays live"),
    });
    Ok(0)
}
