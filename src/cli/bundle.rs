//! Where a command finds its run: in the project's store, or in a bundle.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::CliError;
use crate::app::App;
use crate::config::FileConfig;
use crate::journal::RunRecord;
use crate::runs::bundle::{Bundle, BundleError, Settings};
use crate::store::tx::Ground;

/// A run in a bundle, with a host that is as the bundle's was, but for its secrets.
pub struct Opened {
    pub app: App,
    pub ground: Ground,
    pub record: RunRecord,
}

/// The run `within` the bundle at `path`; `None` when that is no bundle, but perhaps the beginning of a run's id.
pub fn opened(path: &str, within: Option<&str>, app: &App) -> Result<Option<Opened>, CliError> {
    let Some(bundle) = at(path)? else {
        return match within {
            None => Ok(None),
            Some(_) => Err(BundleError::NotOne.into()),
        };
    };
    let record = bundle.run(within)?.clone();
    Ok(Some(Opened {
        app: host_of(&bundle.settings, app)?,
        ground: bundle.ground,
        record,
    }))
}

/// The bundle at `path`, if there is one. What only looks like one is an error, and so is any other file.
pub fn at(path: &str) -> Result<Option<Bundle>, CliError> {
    let file = Path::new(path);
    let is_id = crate::id::RunId::range_of(path).is_some() || crate::id::IncidentId::range_of(path).is_some();
    if !Bundle::is_one(file) && (is_id || !file.is_file()) {
        return Ok(None);
    }
    Ok(Some(Bundle::open(file)?))
}

/// A host that speaks the language of the bundle's, with an environment of its own: a provider that the bundle declares
/// finds no secret here to name.
fn host_of(settings: &Settings, app: &App) -> Result<App, CliError> {
    let section = |value: &serde_json::Value| toml::Table::try_from(value);
    let mut providers = BTreeMap::new();
    for (name, value) in &settings.declared {
        let table = section(value).map_err(|error| BundleError::Broken(format!("its provider {name:?}: {error}")))?;
        providers.insert(name.clone(), table);
    }
    let mut config = app.config.clone();
    config.env = crate::io::env::Environment::default();
    config.file = FileConfig {
        limits: settings.bounded_limits(),
        providers,
        ..FileConfig::default()
    };
    App::with(config).map_err(|error| BundleError::Broken(error.to_string()).into())
}

impl From<BundleError> for CliError {
    fn from(error: BundleError) -> CliError {
        match error {
            BundleError::Store(error) => error.into(),
            BundleError::Journal(error) => error.into(),
            BundleError::Incident(error) => error.into(),
            other => CliError::usage(other.code(), other.to_string()),
        }
    }
}
