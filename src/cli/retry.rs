//! `host retry RUN`: the same once more, as a new run from the beginning.

use super::error::CliError;
use super::out::Out;
use super::run::{observer, start};
use crate::app::App;
use crate::journal::RunRecord;
use crate::runs::resolve::retry;

#[derive(clap::Args)]
pub struct Args {
    /// The run: the beginning of its id. Its script, inputs and mode are taken over.
    run: String,
    /// A write that landed, or may have, and may be done a second time; once for each such step.
    #[arg(long, value_name = "STEP")]
    again: Vec<u32>,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let runner = app.runner()?;
    let record = RunRecord::find(&*runner.gate.ground.store, &args.run)?;
    let watched = observer(out);
    let order = retry(
        &app.library,
        &runner.gate,
        record.run,
        &args.again,
        app.person(),
        watched,
    )?;
    start(app, &runner, order, out)
}
