//! What `host.toml`, `.env` and the environment say, and where each value comes from.
//!
//! `host.toml` at the project's root holds what is no secret; a key that nobody knows is refused, with its line. The
//! environment holds switches, signals and secrets, under the users' own names; `.env` beside `host.toml` is read
//! below it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::effect::Place;
use crate::io::env::{Environment, Origin};
use crate::script::error::nearest;
use crate::script::source::Text;
use crate::script::{Diagnosis, ScriptLimits};

/// The project's file.
pub const FILE_NAME: &str = "host.toml";

/// `host.toml`, with presets for what it does not say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileConfig {
    pub store: StoreConfig,
    pub files: FilesConfig,
    pub http: HttpConfig,
    pub media: MediaConfig,
    pub gate: GateConfig,
    pub limits: ScriptLimits,
    /// How much each lint of `host check` weighs.
    pub check: crate::script::findings::Settings,
    pub collections: BTreeMap<String, CollectionConfig>,
    /// How `host serve` goes about it.
    pub serve: crate::serve::Settings,
    /// When the server backs the store up by itself.
    pub backup: crate::upkeep::BackupSettings,
    /// What of the host's own records goes after a time.
    pub retention: crate::upkeep::RetentionSettings,
    /// How long the audit log is kept, and where its end is noted.
    pub audit: crate::upkeep::AuditSettings,
    /// Where `host serve` is asked over HTTP.
    pub server: crate::http::Settings,
    /// To whom an incident goes when nobody solves it in time.
    pub escalation: crate::journal::incident::Ladder,
    /// People by name, with the roles that questions of runs may demand.
    pub people: BTreeMap<String, Vec<String>>,
    /// Rules over metrics, by name.
    pub monitors: BTreeMap<String, crate::telemetry::monitors::Monitor>,
    /// How services sign what they send, by name.
    pub webhooks: BTreeMap<String, crate::script::triggers::webhook::Says>,
    /// On which ways people are told, by name.
    pub notify: BTreeMap<String, crate::telemetry::monitors::Channel>,
    pub providers: BTreeMap<String, toml::Table>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Where the store, its files and the runs' folders lie, below the project's root.
    pub folder: String,
    pub cache_mib: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilesConfig {
    /// The folders below the project's root that playbooks may read.
    pub folders: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// The hosts that `http::` may reach: `api.example.com`, `*.example.com`, `127.0.0.1:8080`, or `*` for all public ones.
    pub hosts: Vec<String>,
    /// Hosts that may be read even while `DRY_RUN` is on.
    pub dry_read: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MediaConfig {
    /// How long one ffmpeg job may take.
    pub timeout: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GateConfig {
    /// Attempts at an effect at most, whatever it declares.
    pub attempts_max: u32,
    /// The longest pause before the second attempt; it doubles with each further one.
    pub backoff_base: String,
    /// The longest pause of all, and the longest `Retry-After` that is waited for.
    pub backoff_cap: String,
    /// Failures in a row that open a provider's circuit. The environment's `CIRCUIT_FAILURE_THRESHOLD` wins.
    pub circuit_failures: u32,
    pub circuit_cooldown: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CollectionConfig {
    /// Fields, with dots for fields of fields, by which documents are found quickly.
    pub indexes: Vec<String>,
}

impl Default for StoreConfig {
    fn default() -> StoreConfig {
        StoreConfig {
            folder: "data".to_owned(),
            cache_mib: 64,
        }
    }
}

impl Default for FilesConfig {
    fn default() -> FilesConfig {
        FilesConfig {
            folders: vec!["inbox".to_owned()],
        }
    }
}

impl Default for MediaConfig {
    fn default() -> MediaConfig {
        MediaConfig {
            timeout: "15m".to_owned(),
        }
    }
}

impl Default for GateConfig {
    fn default() -> GateConfig {
        GateConfig {
            attempts_max: 10,
            backoff_base: "500ms".to_owned(),
            backoff_cap: "30s".to_owned(),
            circuit_failures: 5,
            circuit_cooldown: "60s".to_owned(),
        }
    }
}

/// Everything configured, before anything is opened.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of `host.toml`; `None` outside a project.
    pub project: Option<PathBuf>,
    /// The project's folder, or the current one.
    pub root: PathBuf,
    pub file: FileConfig,
    /// What `host.toml` really says, to tell it from presets.
    written: toml::Table,
    pub env: Environment,
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{file}: {reason}")]
    File { file: String, reason: String },
    /// With its place in host.toml.
    #[error("{FILE_NAME}: {}", .0.message)]
    Toml(Box<Diagnosis>),
    #[error(transparent)]
    DotEnv(#[from] crate::io::env::BadDotEnv),
    #[error("{name} is {value:?}; write true or false (1, yes and on, or 0, no and off, are understood too)")]
    Switch { name: String, value: String },
    #[error("{key} in host.toml: {reason}")]
    Value { key: String, reason: String },
    #[error("the current folder cannot be read: {0}")]
    Folder(std::io::Error),
}

impl ConfigError {
    pub fn code(&self) -> &'static str {
        "CONFIG"
    }
}

impl Config {
    /// Reads the configuration of the project that `folder` lies in, or the presets outside a project.
    pub fn find(folder: &Path) -> Result<Config, ConfigError> {
        let project = folder
            .ancestors()
            .find(|folder| folder.join(FILE_NAME).is_file())
            .map(Path::to_owned);
        let root = project.clone().unwrap_or_else(|| folder.to_owned());
        let text = match &project {
            Some(project) => {
                Some(
                    crate::io::env::read_config(&project.join(FILE_NAME)).map_err(|reason| ConfigError::File {
                        file: FILE_NAME.to_owned(),
                        reason,
                    })?,
                )
            }
            None => None,
        };
        let bad = |error: toml::de::Error| mistake(&error, text.as_deref().unwrap_or_default());
        let (file, written) = match &text {
            Some(text) => (toml::from_str(text).map_err(bad)?, toml::from_str(text).map_err(bad)?),
            None => (
                FileConfig {
                    store: StoreConfig {
                        folder: ".host".to_owned(),
                        ..StoreConfig::default()
                    },
                    ..FileConfig::default()
                },
                toml::Table::new(),
            ),
        };
        refuse_credentials(&written, "")?;
        let env = Environment::read(project.as_ref().map(|project| project.join(".env")).as_deref())?;
        Ok(Config {
            project,
            root,
            file,
            written,
            env,
        })
    }

    /// Whether `folder` lies in a project.
    pub fn is_in_project(folder: &Path) -> bool {
        folder.ancestors().any(|folder| folder.join(FILE_NAME).is_file())
    }

    /// The presets, for a project whose own file cannot be used; nothing of the environment.
    pub fn presets(root: &Path, is_project: bool) -> Config {
        Config {
            project: is_project.then(|| root.to_owned()),
            root: root.to_owned(),
            file: FileConfig::default(),
            written: toml::Table::new(),
            env: Environment::default(),
        }
    }

    /// Where everything persistent lies.
    pub fn data(&self) -> PathBuf {
        self.root.join(&self.file.store.folder)
    }

    /// Whether nothing may leave: `DRY_RUN`, on unless it is switched off.
    pub fn dry_run(&self) -> Result<bool, ConfigError> {
        self.switch("DRY_RUN", true)
    }

    /// The switch `name`, or `preset` when it is not set.
    pub fn switch(&self, name: &str, preset: bool) -> Result<bool, ConfigError> {
        match self
            .env
            .get(name)
            .map(str::trim)
            .map(str::to_ascii_lowercase)
            .as_deref()
        {
            None => Ok(preset),
            Some("1" | "true" | "yes" | "on") => Ok(true),
            Some("0" | "false" | "no" | "off") => Ok(false),
            Some(other) => Err(ConfigError::Switch {
                name: name.to_owned(),
                value: other.chars().take(40).collect(),
            }),
        }
    }

    /// The length of time `text`, which stands under `key`.
    pub fn duration(&self, key: &str, text: &str) -> Result<Duration, ConfigError> {
        crate::duration::parse(text).map_err(|error| ConfigError::Value {
            key: key.to_owned(),
            reason: error.to_string(),
        })
    }

    /// Every value of `host.toml` and its presets, by dotted key, with its origin.
    pub fn file_settings(&self) -> Vec<Setting> {
        let effective = toml::Table::try_from(&self.file).expect("what was read from TOML can be written as TOML");
        let mut settings = Vec::new();
        flatten("", &effective, Some(&self.written), &mut settings);
        settings
    }

    /// A variable of the environment with its origin; `value` is what may be shown of it.
    pub fn env_setting(&self, name: &str, value: String) -> Setting {
        let origin = match self.env.origin(name) {
            Some(Origin::Process) => "environment",
            Some(Origin::Credential) => "credential",
            Some(Origin::DotEnv) => ".env",
            None => "preset",
        };
        Setting {
            name: name.to_owned(),
            value,
            origin,
        }
    }
}

/// One effective value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    pub name: String,
    pub value: String,
    pub origin: &'static str,
}

/// Refuses an address with a user name or a password in it, wherever it stands. What the file says is no secret: it is kept
/// with every version of the project. The error does not repeat it.
fn refuse_credentials(table: &toml::Table, section: &str) -> Result<(), ConfigError> {
    fn holds(value: &toml::Value) -> bool {
        match value {
            toml::Value::String(text) => holds_credentials(text),
            toml::Value::Array(values) => values.iter().any(|value| match value {
                toml::Value::Table(table) => table.values().any(holds),
                value => holds(value),
            }),
            _ => false,
        }
    }
    for (key, value) in table {
        let name = match section {
            "" => key.clone(),
            section => format!("{section}.{key}"),
        };
        if let toml::Value::Table(table) = value {
            refuse_credentials(table, &name)?;
        } else if holds(value) {
            let reason = "an address holds a user name or a password, and this file is kept with every version of the \
                          project; they belong in .env, under the name of a variable that the setting can take";
            return Err(ConfigError::Value {
                key: match section {
                    "" => key.clone(),
                    section => format!("[{section}] {key}"),
                },
                reason: reason.to_owned(),
            });
        }
    }
    Ok(())
}

/// The same for the text of the file, also where it cannot be read as what it should be.
pub fn refuse_credentials_in(text: &str) -> Result<(), ConfigError> {
    match toml::from_str(text) {
        Ok(table) => refuse_credentials(&table, ""),
        Err(_) if holds_credentials(text) => Err(ConfigError::File {
            file: FILE_NAME.to_owned(),
            reason: "an address in it holds a password".to_owned(),
        }),
        Err(_) => Ok(()),
    }
}

/// Whether `text` is an address with a user name, or one with a password stands in it; also where it is not quite one.
fn holds_credentials(text: &str) -> bool {
    let is_address = |url: &url::Url| matches!(url.scheme(), "http" | "https") && !url.username().is_empty();
    let has_user = |url: url::Url| url.password().is_some() || is_address(&url);
    let has_password = |rest: &str| {
        let is_end = |end: char| matches!(end, '/' | '?' | '#' | '\\' | '"' | '\'') || end.is_whitespace();
        let authority = rest.split(is_end).next().unwrap_or_default();
        authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
    };
    text.trim().parse().is_ok_and(has_user) || text.split("://").skip(1).any(has_password)
}

/// What is wrong with host.toml, and where.
fn mistake(error: &toml::de::Error, text: &str) -> ConfigError {
    let said = error.message().trim();
    // `unknown field "operation", expected one of …`: of many names, the one that is meant will do.
    let known = |said: &'_ str| -> Option<(String, String)> {
        let (unknown, names) = said.split_once(", expected ")?;
        let unknown_name = unknown.split('`').nth(1)?;
        let near = nearest(unknown_name, names.split('`').skip(1).step_by(2))?;
        Some((unknown.to_owned(), format!("did you mean `{near}`?")))
    };
    let (message, help) = match known(said) {
        Some((message, help)) => (message, Some(help)),
        None => (said.lines().map(str::trim).collect::<Vec<_>>().join(", "), None),
    };
    let before = error.span().and_then(|span| text.get(..span.start));
    let place = before.map_or_else(Place::default, |before| {
        let line = before.rsplit('\n').next().unwrap_or_default();
        Place {
            line: before.matches('\n').count() as u32 + 1,
            column: line.chars().count() as u32 + 1,
            module: None,
        }
    });
    let diagnosis = Diagnosis::new("CONFIG", message, Text::new(FILE_NAME, text)).at(place);
    ConfigError::Toml(Box::new(Diagnosis { help, ..diagnosis }))
}

fn flatten(prefix: &str, effective: &toml::Table, written: Option<&toml::Table>, settings: &mut Vec<Setting>) {
    for (key, value) in effective {
        let name = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        let there = written.and_then(|written| written.get(key));
        match value {
            toml::Value::Table(table) => flatten(&name, table, there.and_then(toml::Value::as_table), settings),
            value => {
                let origin = if there.is_some() { FILE_NAME } else { "preset" };
                settings.push(Setting {
                    name,
                    value: value.to_string(),
                    origin,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_a_user_or_a_password_is_refused_and_not_repeated() {
        for (line, key) in [
            (
                "[serve]\nheartbeat_url = \"https://ann:hunter22@watch.example/x\"",
                "[serve] heartbeat_url",
            ),
            (
                "[serve]\nheartbeat_url = \"https://hunter22@watch.example/x\"",
                "[serve] heartbeat_url",
            ),
            (
                "[serve]\nheartbeat_url = \"https:ann:hunter22@watch.example\"",
                "[serve] heartbeat_url",
            ),
            (
                "[serve]\nheartbeat_url = \"https://ann:hunter22@wat ch.example\"",
                "[serve] heartbeat_url",
            ),
            (
                "[notify.ops]\nwebhook = \"https://ann:hunter22@hooks.example\"",
                "[notify.ops] webhook",
            ),
            (
                "[notify.ops]\ncommand = [\"curl\", \"-d@-\", \"https://ann:hunter22@hooks.example\"]",
                "[notify.ops] command",
            ),
            (
                "[providers.acme]\nbase_url = \"https://ann:hunter22@api.example\"",
                "[providers.acme] base_url",
            ),
            (
                "[providers.acme.auth]\nmore = { url = \"redis://:hunter22@db.example\" }",
                "[providers.acme.auth.more] url",
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            crate::io::whole::write(&folder.path().join(FILE_NAME), line.as_bytes(), true).unwrap();
            let error = Config::find(folder.path()).map(drop).expect_err(line).to_string();
            assert!(error.starts_with(&format!("{key} in host.toml: ")), "{error}");
            assert!(!error.contains("hunter22"), "{error}");
        }
    }

    #[test]
    fn an_at_sign_elsewhere_is_no_password() {
        for text in [
            "https://watch.example/ping/@ann",
            "https://watch.example:8443/x?to=a:b@c.example",
            "ann@example.com",
            "mailto:ann@example.com",
            "see https://watch.example, or ask ops: ann@example.com",
            "git@example.com:team/x.git",
        ] {
            assert!(!holds_credentials(text), "{text}");
        }
    }
}
