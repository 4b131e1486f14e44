//! Why a set is not taken: what is wrong with it, in words, with its place.

use std::path::Path;
use std::sync::Arc;

use super::edition::Edition;
use super::settings::Settings;
use super::versions;
use crate::app::{App, AppError};
use crate::config::{Config, ConfigError, FILE_NAME, refuse_credentials_in};
use crate::id::ContentHash;
use crate::io::pinned::PinnedFiles;
use crate::io::survey::{SETTINGS, Survey};
use crate::journal::edition::VersionError;
use crate::script::Diagnosis;
use crate::script::source::Text;
use crate::store::StoreError;

/// Why a set is not taken.
pub(super) enum Refusal {
    Faults(Vec<Diagnosis>),
    /// Nothing is wrong with it.
    Store(VersionError),
}

impl From<VersionError> for Refusal {
    fn from(error: VersionError) -> Refusal {
        Refusal::Store(error)
    }
}

/// The settings as they are now, for the set after `live`; the same host where they are the same.
pub(super) fn settings(
    root: &Path,
    live: &Edition,
    files: &PinnedFiles,
    secrets: Option<ContentHash>,
) -> Result<Arc<App>, Box<Diagnosis>> {
    let fault = |code: &str, message: String| {
        let text = files.text(SETTINGS).and_then(Result::ok).unwrap_or_default();
        Box::new(Diagnosis::new(code, message, Text::new(FILE_NAME, text)))
    };
    let hash = |files: &PinnedFiles| files.get(SETTINGS).map(|file| file.hash);
    if hash(files) == hash(&live.parts.files) && secrets == live.parts.secrets {
        return Ok(live.app.clone());
    }
    if live.app.config.project.is_some() && hash(files).is_none() {
        return Err(fault("CONFIG", format!("{FILE_NAME} is not there any more")));
    }
    let config = Config::find(root).map_err(config_fault)?;
    let (before, now) = (&live.app.config.file, &config.file);
    let section = match () {
        () if before.store != now.store => Some("[store]"),
        () if before.collections != now.collections => Some("[collections]"),
        () => None,
    };
    if let Some(section) = section {
        let message = format!("{section} cannot change while the host serves");
        let fault = fault("CONFIG_NEEDS_RESTART", message);
        return Err(Box::new(fault.help("stop `host serve`, and start it again")));
    }
    let at_start = |serve: &Settings| {
        let heartbeat = (serve.heartbeat_url.clone(), serve.heartbeat_every.clone());
        (serve.threads, serve.grace.clone(), heartbeat)
    };
    if at_start(&before.serve) != at_start(&now.serve) {
        tracing::warn!("[serve] threads, grace and heartbeat are as they were until `host serve` starts again");
    }
    let mut app = App::with(config).map_err(|error| match error {
        AppError::Config(error) => config_fault(error),
        other => fault(other.code(), other.to_string()),
    })?;
    app.clock = live.app.clock.clone();
    app.chance = live.app.chance.clone();
    Ok(Arc::new(app))
}

/// Refuses what must not be kept: texts are kept for good, also those of saves that are refused.
pub(super) fn may_be_kept(found: &Survey) -> Result<(), String> {
    match found.files().get(SETTINGS).and_then(|file| found.texts.get(&file.hash)) {
        Some(text) => refuse_credentials_in(text).map_err(|error| error.to_string()),
        None => Ok(()),
    }
}

/// All playbooks at once are rarely meant to go.
pub(super) fn playbooks_gone() -> Box<Diagnosis> {
    let message = "the folder playbooks/ is not there any more";
    let fault = Diagnosis::new("PLAYBOOKS_GONE", message, Text::new("playbooks", ""));
    Box::new(fault.help("bring it back, or stop the host"))
}

pub(super) fn refusal(error: AppError) -> Refusal {
    match error {
        AppError::Store(error) => Refusal::Store(error.into()),
        AppError::Config(error) => Refusal::Faults(vec![*config_fault(error)]),
        other => {
            let text = Text::new(FILE_NAME, "");
            Refusal::Faults(vec![Diagnosis::new(other.code(), other.to_string(), text)])
        }
    }
}

fn config_fault(error: ConfigError) -> Box<Diagnosis> {
    match error {
        ConfigError::Toml(diagnosis) => diagnosis,
        other => Box::new(Diagnosis::new(
            other.code(),
            other.to_string(),
            Text::new(FILE_NAME, ""),
        )),
    }
}

pub(super) fn store_error(error: VersionError) -> AppError {
    match error {
        VersionError::Store(error) => error.into(),
        other => AppError::Store(StoreError::Corrupt {
            path: "the list of what is live".into(),
            reason: other.to_string(),
        }),
    }
}

/// Says it in the log, with the code frame.
pub(super) fn tell(fault: &Diagnosis, what: &str) {
    let shown = crate::cli::error::Shown {
        code: &fault.code,
        message: &fault.message,
        notes: &[],
        help: fault.help.as_deref(),
    };
    let frame = crate::cli::error::render(&shown, Some(fault), false, true);
    let place = versions::fault(fault).to_string();
    let place = crate::cli::out::plain(&place);
    tracing::error!(code = %fault.code, "{place}: {what}\n{frame}");
}
