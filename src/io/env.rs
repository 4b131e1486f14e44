//! The environment: variables of the process, credentials that a service manager hands over as files, and a `.env` file; the
//! first that has a name says what it is.
//!
//! `CREDENTIALS_DIRECTORY` is systemd's word for the folder of `LoadCredential`, and serves for the secrets of containers as
//! well. A file in it that is named like a variable is its value; one whose name ends with `.env` has a line for each. So
//! secrets need stand neither in a file of the project nor among the variables of a process.
#![expect(clippy::disallowed_methods, reason = "this is the door to the environment")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where a variable comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Process,
    Credential,
    DotEnv,
}

/// Names the folder of credentials.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

const CREDENTIALS_MAX: usize = 1000;

/// The longest credential that is the value of one variable.
const CREDENTIAL_BYTES_MAX: u64 = 64 << 10;

type Variables = BTreeMap<String, (String, Origin)>;

/// Variables by name.
#[derive(Clone, Debug, Default)]
pub struct Environment(Variables);

/// The `.env` file, or a credential, has a line that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{file} cannot be read: {reason}; each line is NAME=value, and values with blanks are quoted")]
pub struct BadDotEnv {
    file: String,
    reason: String,
}

impl Environment {
    /// The process's variables, its credentials, and those of `dot_env` if there is such a file.
    pub fn read(dot_env: Option<&Path>) -> Result<Environment, BadDotEnv> {
        let mut variables = BTreeMap::new();
        if let Some(file) = dot_env.filter(|file| file.is_file()) {
            lines(file, Origin::DotEnv, &mut variables)?;
        }
        if let Some(folder) = std::env::var_os(CREDENTIALS) {
            credentials(Path::new(&folder), &mut variables)?;
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

    pub fn origin(&self, name: &str) -> Option<Origin> {
        self.0.get(name).map(|(_, origin)| *origin)
    }
}

/// Reads a file with `NAME=value` on each line.
fn lines(file: &Path, origin: Origin, variables: &mut Variables) -> Result<(), BadDotEnv> {
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
        variables.insert(name, (value, origin));
    }
    Ok(())
}

/// Reads the credentials in `folder`. What is named otherwise is somebody else's: a key for TLS, for instance.
fn credentials(folder: &Path, variables: &mut Variables) -> Result<(), BadDotEnv> {
    let bad = |file: &Path, reason: String| BadDotEnv {
        file: file.display().to_string(),
        reason,
    };
    let listed = std::fs::read_dir(folder).map_err(|error| bad(folder, error.to_string()))?;
    let mut files: Vec<PathBuf> = listed
        .take(CREDENTIALS_MAX + 1)
        .flatten()
        .map(|file| file.path())
        .collect();
    if files.len() > CREDENTIALS_MAX {
        return Err(bad(folder, format!("it holds more than {CREDENTIALS_MAX} files")));
    }
    // Files with many lines come first: one for a single variable says it more plainly.
    files.sort_by_key(|file| (!is_dot_env(file), file.clone()));
    for file in files {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if is_dot_env(&file) {
            lines(&file, Origin::Credential, variables)?;
        } else if is_variable(name) && file.is_file() {
            let text = read_text(&file, CREDENTIAL_BYTES_MAX).map_err(|reason| bad(&file, reason))?;
            let value = text.strip_suffix('\n').unwrap_or(&text).to_owned();
            variables.insert(name.to_owned(), (value, Origin::Credential));
        }
    }
    Ok(())
}

fn is_dot_env(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "env")
}

fn is_variable(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    name.bytes().all(is_plain) && name.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// The folder in which the process was started.
pub fn current_dir() -> std::io::Result<std::path::PathBuf> {
    std::env::current_dir()
}

/// The project that commands are about when they are started outside of one.
pub fn project() -> Option<PathBuf> {
    std::env::var_os("HOST_PROJECT")
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
}

/// The words the process was started with.
pub fn arguments() -> Vec<std::ffi::OsString> {
    std::env::args_os().collect()
}

/// The longest configuration file.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// The text of a configuration file.
pub fn read_config(path: &Path) -> Result<String, String> {
    read_text(path, CONFIG_BYTES_MAX)
}

fn read_text(path: &Path, bytes_max: u64) -> Result<String, String> {
    let bytes = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if bytes > bytes_max {
        return Err(format!("it has {bytes} bytes; at most {bytes_max} are read"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}
