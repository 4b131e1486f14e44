//! `host providers`: which are live, and what it would take.

use std::collections::BTreeMap;

use serde_json::json;

use super::error::CliError;
use super::out::{CAREFUL, FAINT, GOOD, Out, ago, plain};
use crate::app::App;
use crate::effect::ProviderMode;
use crate::gate::circuit::{self, Circuit};
use crate::gate::governance::SIGNAL_NAMES;
use crate::gate::state;
use crate::namespaces::ProviderSpec;

#[derive(clap::Args)]
pub struct Args {}

pub fn perform(_: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let modes = app.provider_modes()?;
    let (circuits, why_unknown) = circuits(app);
    let missing: Vec<&str> = SIGNAL_NAMES
        .into_iter()
        .filter(|name| app.config.switch(name, false).is_ok_and(|on| !on))
        .collect();
    let now_ms = app.clock.unix_ms();
    if out.json {
        let mut shown = Vec::new();
        for spec in &app.providers {
            shown.push(to_json(
                spec,
                &modes[&spec.name],
                circuits.get(&spec.name),
                app,
                now_ms,
            )?);
        }
        let signals: BTreeMap<&str, bool> = SIGNAL_NAMES
            .into_iter()
            .map(|name| (name, !missing.contains(&name)))
            .collect();
        out.json(&json!({ "dry_run": app.config.dry_run()?, "providers": shown, "publish_signals": signals }));
        return Ok(0);
    }
    if app.providers.is_empty() {
        out.line("no providers are known");
        return Ok(0);
    }
    let mut rows = Vec::new();
    for spec in &app.providers {
        rows.push(row(
            spec,
            &modes[&spec.name],
            circuits.get(&spec.name),
            app,
            now_ms,
            out,
        )?);
    }
    out.table(&["provider", "state", "why", "switch", "secrets", "circuit"], &rows);
    out.line("");
    out.line(match app.config.dry_run()? {
        true => "DRY: DRY_RUN is on, so nothing leaves this machine. To go live, in .env: DRY_RUN=false, the switch, the secrets.",
        false => "LIVE: DRY_RUN is off, so live providers are really called.",
    });
    match missing.as_slice() {
        [] => out.line("Publishing is open: all three signals are given."),
        missing => out.line(format!(
            "Publishing is shut: {} not given.",
            missing.join(", ") + if missing.len() == 1 { " is" } else { " are" }
        )),
    }
    if let Some(why) = why_unknown {
        let why = out.paint(FAINT, &format!("circuits are not known: {}", plain(&why)));
        out.line(why);
    }
    Ok(0)
}

/// The circuits on record. A store that cannot be read keeps nobody from seeing the rest.
fn circuits(app: &App) -> (BTreeMap<String, Circuit>, Option<String>) {
    let ground = match app.reader() {
        Ok(Some(ground)) => ground,
        Ok(None) => return (BTreeMap::new(), None),
        Err(error) => return (BTreeMap::new(), Some(error.to_string())),
    };
    let mut circuits = BTreeMap::new();
    for spec in &app.providers {
        match state::read(&*ground.store, &circuit::key(&spec.name)) {
            Ok(circuit) => circuits.insert(spec.name.clone(), circuit),
            Err(error) => return (circuits, Some(error.to_string())),
        };
    }
    (circuits, None)
}

fn row(
    spec: &ProviderSpec,
    mode: &ProviderMode,
    circuit: Option<&Circuit>,
    app: &App,
    now_ms: i64,
    out: &Out,
) -> Result<Vec<String>, CliError> {
    let (state, why) = match mode {
        ProviderMode::Live => (out.paint(GOOD, "live"), "switched on, nothing missing".to_owned()),
        ProviderMode::Simulated { why } => (out.paint(CAREFUL, "sim"), plain(why)),
    };
    let switch = match spec.switch.as_str() {
        "" => out.symbol("—").to_owned(),
        name => format!("{name} {}", if app.config.switch(name, false)? { "on" } else { "off" }),
    };
    let missing = app.missing_secrets(spec)?;
    let secrets = match (spec.secrets.len(), missing.len()) {
        (0, _) => out.symbol("—").to_owned(),
        (_, 0) => "present".to_owned(),
        _ => format!("missing {}", missing.join(", ")),
    };
    let circuit = match circuit {
        None => out.symbol("—").to_owned(),
        Some(circuit) => match circuit.state(now_ms) {
            "open" => format!(
                "open, tried again in {}",
                ago(now_ms, circuit.open_until_ms).replace(" ago", "")
            ),
            state if circuit.failures > 0 => format!("{state}, {} failed in a row", circuit.failures),
            state => state.to_owned(),
        },
    };
    Ok(vec![plain(&spec.name), state, why, switch, secrets, circuit])
}

fn to_json(
    spec: &ProviderSpec,
    mode: &ProviderMode,
    circuit: Option<&Circuit>,
    app: &App,
    now_ms: i64,
) -> Result<serde_json::Value, CliError> {
    let why = match mode {
        ProviderMode::Live => None,
        ProviderMode::Simulated { why } => Some(why),
    };
    let secret = |name: &String, needed: bool| json!({ "name": name, "present": app.secrets.get(name).is_some(), "needed": needed });
    let needed = spec.secrets.iter().map(|name| secret(name, true));
    let secrets: Vec<_> = needed
        .chain(spec.optional_secrets.iter().map(|name| secret(name, false)))
        .collect();
    Ok(json!({
        "provider": spec.name,
        "state": if why.is_none() { "live" } else { "sim" },
        "why": why,
        "switch": spec.switch,
        "switch_on": app.config.switch(&spec.switch, false)?,
        "secrets": secrets,
        "circuit": circuit.map(|circuit| json!({
            "state": circuit.state(now_ms),
            "failures": circuit.failures,
            "open_until_ms": Some(circuit.open_until_ms).filter(|until| *until > 0),
        })),
    }))
}
