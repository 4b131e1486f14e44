//! `host resolve RUN STEP --landed | --not-landed`: a person says what became of a write.

use serde_json::json;

use super::drive::hint_lines;
use super::error::CliError;
use super::out::Out;
use super::signed;
use crate::app::App;
use crate::journal::RunRecord;
use crate::journal::audit::Act;
use crate::runs::resolve::{Decision, resolve};
use crate::value::Value;

#[derive(clap::Args)]
pub struct Args {
    /// The run: the beginning of its id.
    run: String,
    /// The step that is in doubt, as `host why RUN` names it.
    step: u32,
    /// It did what it was to do.
    #[arg(long, required_unless_present = "not_landed", conflicts_with = "not_landed")]
    landed: bool,
    /// It did nothing, and may be sent again.
    #[arg(long)]
    not_landed: bool,
    /// What the provider would have answered, for the script to go on with.
    #[arg(long, value_name = "JSON", requires = "landed", conflicts_with = "not_landed")]
    value: Option<String>,
    /// How you know. It is kept in the journal.
    #[arg(long)]
    reason: String,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let value = match &args.value {
        Some(text) => serde_json::from_str(text)
            .map(Value::from_json)
            .map_err(|error| CliError::usage("USAGE", format!("--value is not JSON: {error}")))?,
        None => Value::Unit,
    };
    let runner = app.runner()?;
    let record = RunRecord::find(&*runner.gate.ground.store, &args.run)?;
    let decision = Decision {
        step: args.step,
        landed: args.landed,
        value,
        reason: args.reason,
        by: app.person().unwrap_or_else(|| "unknown".to_owned()),
    };
    let store = &*runner.gate.ground.store;
    let act = Act::new("write.resolve", record.run.to_string())
        .with("step", args.step)
        .with("landed", args.landed)
        .with("reason", decision.reason.clone());
    signed::attempt(app, store, act, || resolve(&runner.gate, record.run, decision))?;
    let word = if args.landed { "landed" } else { "did not land" };
    let id = record.run.short();
    if out.json {
        out.json(&json!({ "run_id": record.run.to_string(), "step": args.step, "landed": args.landed }));
        return Ok(0);
    }
    out.line(format!("step {} of run {id} {word}: it is in the journal", args.step));
    let next = if args.landed {
        "goes on after it"
    } else {
        "sends it again, and goes on"
    };
    if args.landed && args.value.is_none() {
        out.line("The script is given () for its answer; `resume --with` is for one that needs more.");
    }
    hint_lines(&[(format!("host resume {id}"), next)], out);
    Ok(0)
}
