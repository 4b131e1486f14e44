//! `host queue`: jobs that wait for somebody, and what became of them.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`show`] | lists queues, and the jobs of one |
//! | [`change`] | pushes, brings back, takes out, pauses |

mod change;
mod show;

use super::data::{RealmArgs, called, look, other};
use super::error::CliError;
use super::out::Out;
use crate::app::App;
use crate::script::error::nearest;
use crate::store::{Realm, queue};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    realm: RealmArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List the queues: how much waits in each, since when, and how much has failed for good.
    List,
    /// Show the jobs of a queue, or one of them.
    Show(show::Args),
    /// Put a job into a queue.
    Push(change::PushArgs),
    /// Bring dead jobs back, to be tried again.
    Retry(change::RetryArgs),
    /// Take one job out of a queue, whatever its state.
    Remove { queue: String, job: u64 },
    /// Take all jobs out of a queue that wait for their turn.
    Drain(change::DrainArgs),
    /// Give no more jobs of a queue to playbooks; those under way go on.
    Pause {
        queue: String,
        /// Why, for those who find it so.
        #[arg(long, default_value = "")]
        why: String,
    },
    /// Give the jobs of a queue to playbooks again.
    Resume { queue: String },
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let realm = args.realm.choose(app)?;
    match args.command {
        Command::List => show::list(app, realm, out)?,
        Command::Show(args) => show::show(app, realm, &args, out)?,
        Command::Push(args) => change::push(app, realm, &args, out)?,
        Command::Retry(args) => change::retry(app, realm, &args, out)?,
        Command::Remove { queue, job } => change::remove(app, realm, &queue, job, out)?,
        Command::Drain(args) => change::drain(app, realm, &args, out)?,
        Command::Pause { queue, why } => change::pause(app, realm, &queue, &why, out)?,
        Command::Resume { queue } => change::resume(app, realm, &queue, out)?,
    }
    Ok(0)
}

/// Says so when there has never been such a queue, and what may have been meant.
fn check_known(app: &App, realm: Realm, name: &str) -> Result<(), CliError> {
    let known = look(app, realm, queue::names)?.unwrap_or_default();
    if known.iter().any(|known| known == name) {
        return Ok(());
    }
    let error = CliError::usage(
        "QUEUE_NOT_FOUND",
        format!("there is no queue {name:?} in {}", called(realm)),
    );
    let elsewhere = look(app, other(realm), queue::names)?.unwrap_or_default();
    if elsewhere.iter().any(|known| known == name) {
        let help = format!("{} has it: add --realm {}", called(other(realm)), other(realm));
        return Err(error.help(help));
    }
    Err(match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => error.help(format!("did you mean {near:?}?")),
        None => error.help("`host queue list` shows those that are there; the first job that is pushed makes one"),
    })
}

fn job_not_found(queue: &str, job: u64, realm: Realm) -> CliError {
    let message = format!("there is no job {job} in the queue {queue:?} in {}", called(realm));
    let help = format!("jobs that are done have left it; `host queue show {queue}` lists the others");
    CliError::usage("JOB_NOT_FOUND", message).help(help)
}
