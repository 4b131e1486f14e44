//! The environment: variables of the process, and of a `.env` file below them.
#![expect(clippy::disallowed_methods, reason = "this is the door to the environment")]

use std::collections::BTreeMap;
use std::path::Path;

/// Where a variable comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Process,
    DotEnv,
}

/// Variables by name. Those of the process win over those of the file.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, (String, Origin)>);

/// The `.env` file has a line that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{file} cannot be read: {reason}; each line is NAME=value, and values with blanks are quoted")]
pub struct BadDotEnv {
    file: String,
    reason: String,
}

impl Environment {
    /// The process's variables, and those of `dot_env` if there is such a file.
    pub fn read(dot_env: Option<&Path>) -> Result<Environment, BadDotEnv> {
        let mut variables = BTreeMap::new();
        if let Some(file) = dot_env.filter(|file| file.is_file()) {
            let bad = |error: dotenvy::Error| {
                // The line itself may hold a secret, so only its place is told.
                let reason = match error {
                    dotenvy::Error::LineParse(line, at) => {
                        let name = line.split('=').next().unwrap_or_default();
                        format!(
                            "the line of {:?} is wrong near character {at}",
                            name.chars().take(40).collect::<String>()
                        )
                    }
                    other => other.to_string(),
                };
                BadDotEnv {
                    file: file.display().to_string(),
                    reason,
                }
            };
            for item in dotenvy::from_path_iter(file).map_err(bad)? {
                let (name, value) = item.map_err(bad)?;
                variables.insert(name, (value, Origin::DotEnv));
            }
        }
        for (name, value) in std::env::vars_os() {
            if let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) {
                variables.insert(name, (value, Origin::Process));
            }
        }
        Ok(Environment(variables))
    }

    /// Exactly these variables: for tests.
    pub fn of(variables: impl IntoIterator<Item = (String, String)>) -> Environment {
        Environment(
            variables
                .into_iter()
                .map(|(name, value)| (name, (value, Origin::Process)))
                .collect(),
        )
    }

    /// The value of `name`; an empty one counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(|(value, _)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// The names of all that are not empty.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let set = self.0.iter().filter(|(_, (value, _))| !value.is_empty());
        set.map(|(name, _)| name.as_str())
    }

    pub fn origin(&self, name: &str) -> Option<Origin> {
        self.0.get(name).map(|(_, origin)| *origin)
    }
}

/// The folder in which the process was started.
pub fn current_dir() -> std::io::Result<std::path::PathBuf> {
    std::env::current_dir()
}

/// The words the process was started with.
pub fn arguments() -> Vec<std::ffi::OsString> {
    std::env::args_os().collect()
}

/// The longest configuration file.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// The text of a configuration file.
pub fn read_config(path: &Path) -> Result<String, String> {
    let bytes = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if bytes > CONFIG_BYTES_MAX {
        return Err(format!("it has {bytes} bytes; at most {CONFIG_BYTES_MAX} are read"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}
