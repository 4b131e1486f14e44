//! `host versions`: what the host ran and what it refused to run, as it was written down.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`list`] | all versions, and one of them |
//! | [`diff`] | what differs between two |
//! | [`change`] | going back, and deciding on what is held |

mod change;
mod diff;
mod list;

use std::str::FromStr;

use super::error::{CliError, STORE};
use super::out::Out;
use crate::app::App;
use crate::journal::edition::{Hashes, LiveSet, VersionError, files_of};
use crate::serve::rollback::{RollbackError, disk};
use crate::store::tx::Ground;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List versions, the last first.
    List(list::ListArgs),
    /// Show one version: what it changed, what is wrong with it, why it is held.
    Show(list::ShowArgs),
    /// Show what a version changed, or what differs between two.
    Diff(diff::Args),
    /// Write the scripts and prompts of a version back to the disk, from where they go live.
    Rollback(change::RollbackArgs),
    /// Let a version go live that is held.
    Accept(change::DecideArgs),
    /// Say that a version that is held never goes live.
    Discard(change::DecideArgs),
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    match args.command {
        Command::List(args) => list::list(&args, app, out),
        Command::Show(args) => list::show(&args, app, out),
        Command::Diff(args) => diff::diff(&args, app, out),
        Command::Rollback(args) => change::rollback(&args, app, out),
        Command::Accept(args) => change::accept(&args, app, out),
        Command::Discard(args) => change::discard(&args, app, out),
    }
}

/// The store, where there is one with versions.
fn reader(app: &App) -> Result<Ground, CliError> {
    let none = || {
        let error = CliError::usage("VERSION_NOT_FOUND", "there are no versions yet");
        error.help("the first one is made when `host serve` starts")
    };
    let ground = app.reader()?.ok_or_else(none)?;
    match LiveSet::get(&*ground.store)? {
        Some(_) => Ok(ground),
        None => Err(none()),
    }
}

/// Which files are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Number(u64),
    Live,
    Disk,
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Which, String> {
        match text {
            "live" => Ok(Which::Live),
            "disk" => Ok(Which::Disk),
            number => match number.trim_start_matches('v').parse() {
                Ok(number) => Ok(Which::Number(number)),
                Err(_) => Err("write the number of a version, `live` or `disk`".to_owned()),
            },
        }
    }
}

impl Which {
    fn files(self, app: &App, ground: &Ground) -> Result<Hashes, CliError> {
        let store = &*ground.store;
        Ok(match self {
            Which::Number(number) => files_of(store, number)?,
            Which::Live => LiveSet::get(store)?.map(|live| live.files).unwrap_or_default(),
            Which::Disk => disk(app, store)?,
        })
    }
}

/// As titles of differences name it.
impl std::fmt::Display for Which {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Which::Number(number) => write!(f, "version {number}"),
            Which::Live => f.write_str("live"),
            Which::Disk => f.write_str("disk"),
        }
    }
}

impl From<VersionError> for CliError {
    fn from(error: VersionError) -> CliError {
        match error {
            VersionError::Store(error) => error.into(),
            VersionError::Corrupt { .. } | VersionError::NewerFormat { .. } => {
                CliError::new(error.code(), error.to_string(), STORE)
            }
            other => CliError::usage(other.code(), other.to_string()),
        }
    }
}

impl From<RollbackError> for CliError {
    fn from(error: RollbackError) -> CliError {
        match error {
            RollbackError::Version(error) => error.into(),
            other => CliError::usage(other.code(), other.to_string()),
        }
    }
}
