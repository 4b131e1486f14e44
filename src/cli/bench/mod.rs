//! `host bench`: how fast this machine is at what `host` does.
//!
//! A real store on a real disk, in a scratch folder beside the project's own data, and the real runner: only the
//! playbook is made up. Every run counts as done when its end is on disk, as for anybody who waits for one.
//!
//! | module | what it measures |
//! | --- | --- |
//! | [`steps`] | effects a second, many runs at once; one run after the other |
//! | [`replay`] | effects a second, answered from a journal |
//! | [`journal`] | what a step costs in time when the store is large, and in bytes on disk |
//! | [`queue`] | jobs a second, taken by scripts and done by runs |
//! | [`http`] | requests a second that playbooks answer, and the memory of those who listen |
//! | [`resume`] | the time until all runs of a killed host are over |
//! | [`track`] | the ground they all run on |

mod http;
mod journal;
mod queue;
mod replay;
mod resume;
mod steps;
mod track;

use super::error::CliError;
use super::out::{FAINT, Out};
use crate::app::App;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// How many local effects a second, when many runs go at once and each is acknowledged only when it is on disk.
    Steps(steps::StepsArgs),
    /// How long one trivial run takes, from its start to the answer that is safe on disk.
    Latency(steps::LatencyArgs),
    /// How many effects a second one core answers from a journal.
    Replay(replay::Args),
    /// What a local effect costs when the store holds many: its time, and its bytes on disk after compaction.
    Journal(journal::Args),
    /// How many jobs of a queue a second, when scripts take them and when each is done by a run of its own.
    Queue(queue::Args),
    /// How many requests a second playbooks answer, those that only read and those that write, and what listeners cost.
    Http(http::Args),
    /// How soon all runs of a host are over that was killed in the middle of them, repair of the store included.
    Resume(resume::Args),
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let track = || track::Track::new(app);
    match args.command {
        Command::Steps(args) => steps::steps(&track()?, args, out)?,
        Command::Latency(args) => steps::latency(&track()?, args, out)?,
        Command::Replay(args) => replay::perform(&track()?, args, out)?,
        Command::Journal(args) => journal::perform(track()?, args, out)?,
        Command::Queue(args) => queue::perform(&track()?, args, out)?,
        Command::Http(args) => http::perform(app, &args, out)?,
        Command::Resume(args) => resume::perform(app, args, out)?,
    }
    Ok(0)
}

/// Names and values below each other, and a word about builds that are slow by themselves.
fn show(rows: &[(&str, String)], out: &mut Out) {
    let names = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in rows {
        out.line(format!("  {name:<names$}  {value}"));
    }
    if cfg!(debug_assertions) {
        let note = out.paint(
            FAINT,
            "built without optimisation: `cargo build --release` makes a faster host",
        );
        out.line("");
        out.line(note);
    }
}
