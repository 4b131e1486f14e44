//! `host emit NAME`: says that something has happened, for runs that wait for it.

use serde_json::json;

use super::error::CliError;
use super::out::Out;
use super::signed;
use crate::app::App;
use crate::journal::audit::Act;
use crate::journal::event;
use crate::store::{Durability, Realm};
use crate::value::Value;

#[derive(clap::Args)]
pub struct Args {
    /// The event's name, as `run::wait_event` gives it.
    name: String,
    /// What it carries.
    #[arg(long, value_name = "JSON", default_value = "null")]
    data: String,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let data = serde_json::from_str(&args.data).map(Value::from_json);
    let data = data.map_err(|error| CliError::usage("USAGE", format!("--data is not JSON: {error}")))?;
    let data = app.masks.mask(data);
    if args.name.is_empty() || args.name.len() > event::NAME_BYTES_MAX {
        let (bytes, max) = (args.name.len(), event::NAME_BYTES_MAX);
        let message = format!("the name of the event has {bytes} bytes; 1 to {max} are allowed");
        return Err(CliError::usage("EVENT_INVALID", message));
    }
    let realm = if app.config.dry_run()? { Realm::Dry } else { Realm::Live };
    let act = Act::new("event.emit", &args.name).with("realm", realm.to_string());
    let ground = signed::writer(app, act)?;
    let runs = event::emit(&ground, realm, &args.name, &data, app.clock.unix_ms(), Durability::Now)?;
    if out.json {
        let runs: Vec<String> = runs.iter().map(ToString::to_string).collect();
        out.json(&json!({ "name": args.name, "realm": realm.to_string(), "woken": runs }));
        return Ok(0);
    }
    let next = match app.server() {
        Some(_) => "the server goes on",
        None => "`host resume --all` goes on",
    };
    out.line(match runs.len() {
        0 => format!("kept ({realm}): no run waits for it now; one that began before and asks later will see it"),
        1 => format!("1 run was waiting for it ({realm}): {next}"),
        count => format!("{count} runs were waiting for it ({realm}): {next}"),
    });
    Ok(0)
}
