//! `host incident export`: one file that replays anywhere.

use std::path::Path;

use serde_json::json;

use super::super::data::shell_word;
use super::super::error::{CliError, OTHER};
use super::super::out::{FAINT, Out, bytes_for_people, plain};
use crate::app::App;
use crate::effect::ProviderMode;
use crate::id::ContentHash;
use crate::journal::incident;
use crate::namespaces;
use crate::runs::bundle::{Settings, pack};

pub fn perform(prefix: &str, file: &str, force: bool, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let ground = app
        .reader()?
        .ok_or_else(|| CliError::usage("INCIDENT_NOT_FOUND", "nothing has run here yet"))?;
    let incident = incident::find(&*ground.store, prefix)?.incident;
    let bytes = pack(
        &ground,
        &app.masks,
        &incident,
        &settings(app)?,
        env!("CARGO_PKG_VERSION"),
    )?;
    let written = crate::io::whole::write(Path::new(file), &bytes, force);
    let written = written.map_err(|error| {
        let message = format!("{file} cannot be written: {error}");
        CliError::new("BUNDLE_UNWRITABLE", message, OTHER)
    })?;
    if !written {
        let message = format!("{file} is there already");
        return Err(
            CliError::usage("BUNDLE_EXISTS", message).help("choose another name, or write over it with --force")
        );
    }
    let sha256 = ContentHash::of(&bytes);
    if out.json {
        out.json(&json!({
            "incident_id": incident.id.to_string(),
            "file": file,
            "bytes": bytes.len(),
            "sha256": sha256.to_string(),
            "runs": incident.runs.len(),
        }));
        return Ok(0);
    }
    let held = super::counted(incident.runs.len(), "run");
    let size = bytes_for_people(bytes.len() as u64);
    out.line(format!(
        "wrote {}: {held} of {}, {size}",
        plain(file),
        incident.id.short()
    ));
    let sum = out.paint(FAINT, &format!("sha256  {sha256}"));
    out.line(sum);
    let word = shell_word(file);
    out.line(format!("look    host incident show {word}"));
    out.line(format!("replay  host replay {word}"));
    Ok(0)
}

/// What this host is configured to, without a character of a secret.
fn settings(app: &App) -> Result<Settings, CliError> {
    let own: Vec<String> = namespaces::providers().into_iter().map(|spec| spec.name).collect();
    let modes = app.provider_modes()?.into_iter().map(|(name, mode)| {
        let state = match mode {
            ProviderMode::Live => "live".to_owned(),
            ProviderMode::Simulated { why } => why,
        };
        (name, state)
    });
    let secrets = app.providers.iter().flat_map(|spec| spec.all_secrets());
    let file = &app.config.file;
    let declared = file.providers.iter().filter(|(name, _)| !own.contains(name));
    let declared = declared.map(|(name, section)| {
        let section = serde_json::to_value(section).expect("what was read from TOML is plain data");
        (name.clone(), section)
    });
    let collections = file.collections.iter();
    Ok(Settings {
        dry_run: app.config.dry_run()?,
        providers: modes.collect(),
        secrets: secrets
            .map(|name| (name.to_owned(), app.secrets.get(name).is_some()))
            .collect(),
        declared: declared.collect(),
        limits: file.limits.clone(),
        collections: collections
            .map(|(name, collection)| (name.clone(), collection.indexes.clone()))
            .collect(),
    })
}
