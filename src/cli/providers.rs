//! `host providers`: which are live, and what it would take.

use std::collections::BTreeMap;

use serde_json::json;

use super::error::CliError;
use super::out::{CAREFUL, FAINT, GOOD, Out, plain};
use crate::app::App;
use crate::duration::for_people;
use crate::effect::ProviderMode;
use crate::gate::circuit::{self, Circuit};
use crate::gate::governance::SIGNAL_NAMES;
use crate::gate::state;
use crate::namespaces::ProviderSpec;

#[derive(clap::Args)]
pub struct Args {}

pub fn perform(_: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let (circuits, why_unknown) = circuits(app);
    let modes = app.provider_modes()?;
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
        let mut shown = json!({ "dry_run": app.config.dry_run()?, "providers": shown, "publish_signals": signals });
        if let Some((pid, differences)) = super::served::differences(app)? {
            shown["server"] = json!({ "pid": pid, "differences": differences });
        }
        out.json(&shown);
        return Ok(0);
    }
    if app.providers.is_empty() {
        out.line("no providers are known");
        return Ok(0);
    }
    let mut rows = Vec::new();
    for spec in &app.providers {
        rows.push(row(spec, &modes[&spec.name], circuits.get(&spec.name), now_ms, out));
        let needs = needs(spec, app)?;
        if !needs.is_empty() {
            let needs = out.paint(FAINT, &format!("needs {}", needs.join(", ")));
            rows.push(vec![String::new(), String::new(), String::new(), needs]);
        }
    }
    out.table(&["provider", "state", "circuit", "why"], &rows);
    out.line("");
    if app.config.dry_run()? {
        out.line("DRY: DRY_RUN is on, so nothing leaves this machine. To go live, say in .env");
        out.line("DRY_RUN=false, turn the provider's switch on, and set its secrets.");
    } else {
        out.line("LIVE: DRY_RUN is off, so providers that are live are really called.");
    }
    if missing.is_empty() {
        out.line("Publishing is open: all three signals are given.");
    } else {
        out.line("Publishing is shut. Not given:");
        out.line(format!("  {}", missing.join(", ")));
    }
    super::served::show_differences(app, out)?;
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

fn row(spec: &ProviderSpec, mode: &ProviderMode, circuit: Option<&Circuit>, now_ms: i64, out: &Out) -> Vec<String> {
    let (state, why) = match mode {
        ProviderMode::Live => (out.paint(GOOD, "live"), "switched on, nothing missing".to_owned()),
        ProviderMode::Simulated { why } => (out.paint(CAREFUL, "sim"), plain(why)),
    };
    let Some(circuit) = circuit else {
        return vec![plain(&spec.name), state, out.symbol("—").to_owned(), why];
    };
    let why = match circuit.failures {
        0 => why,
        failures => {
            let wait_ms = (circuit.open_until_ms - now_ms).max(0) as u64;
            let wait = if wait_ms > 0 {
                format!(", tried again in {}", for_people(wait_ms))
            } else {
                String::new()
            };
            format!("{why}; {failures} failed in a row{wait}")
        }
    };
    vec![plain(&spec.name), state, circuit.state(now_ms).to_owned(), why]
}

/// What the provider still needs to be live, beside `DRY_RUN=false`.
fn needs(spec: &ProviderSpec, app: &App) -> Result<Vec<String>, CliError> {
    let mut needs = Vec::new();
    if !spec.switch.is_empty() && !app.config.switch(&spec.switch, false)? {
        needs.push(format!("{}=true", spec.switch));
    }
    needs.extend(app.lacking(spec)?.into_iter().map(str::to_owned));
    Ok(needs)
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
    let needed = spec.needed_secrets(app.base_url(spec)?.as_ref());
    let secrets: Vec<_> = spec
        .all_secrets()
        .map(|name| {
            json!({
                "name": name,
                "present": app.secrets.get(name).is_some(),
                "needed": needed.contains(&name.as_str()),
            })
        })
        .collect();
    Ok(json!({
        "provider": spec.name,
        "state": if why.is_none() { "live" } else { "sim" },
        "why": why,
        "switch": Some(&spec.switch).filter(|name| !name.is_empty()),
        "switch_on": spec.switch.is_empty() || app.config.switch(&spec.switch, false)?,
        "secrets": secrets,
        "needs": needs(spec, app)?,
        "circuit": circuit.map(|circuit| json!({
            "state": circuit.state(now_ms),
            "failures": circuit.failures,
            "open_until_ms": Some(circuit.open_until_ms).filter(|until| *until > 0),
        })),
    }))
}
