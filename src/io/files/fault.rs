//! What can be wrong with a path or a file.

use std::io;

/// How much of a path is repeated in a message.
const SHOWN_CHARS_MAX: usize = 200;

/// Why a file was not read or a folder not listed.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    #[error("no file is read here: the run answers from its record")]
    Shut,
    #[error("{} is no path of a file: {reason}", shown(path))]
    BadPath { path: String, reason: &'static str },
    #[error("{} is not below a folder that the project declares ({}): {reason}", shown(path), folders.join(", "))]
    Outside {
        path: String,
        folders: Vec<String>,
        reason: &'static str,
    },
    #[error("{} was not found{}", shown(path), did_you_mean(near))]
    NotFound { path: String, near: Vec<String> },
    #[error("{} is {kind}, not a regular file", shown(path))]
    NotRegular { path: String, kind: &'static str },
    #[error("{} is not a folder", shown(path))]
    NotFolder { path: String },
    #[error("{} has {bytes} bytes; at most {bytes_max} are read", shown(path))]
    TooLarge { path: String, bytes: u64, bytes_max: u64 },
    #[error("{} is not text in UTF-8: byte {offset} does not fit; save it as UTF-8", shown(path))]
    NotText { path: String, offset: usize },
    #[error(
        "{} holds more than {entries_max} {what}; split it, or ask for fewer with a pattern",
        shown(path)
    )]
    TooMany {
        path: String,
        what: &'static str,
        entries_max: usize,
    },
    #[error("{} cannot be read: {source}", shown(path))]
    Unreadable { path: String, source: io::Error },
}

impl FileFault {
    /// The stable name of this fault.
    pub fn code(&self) -> &'static str {
        match self {
            FileFault::Shut => "DOOR_SHUT",
            FileFault::BadPath { .. } => "FILE_PATH_INVALID",
            FileFault::Outside { .. } => "FILE_OUTSIDE",
            FileFault::NotFound { .. } => "FILE_NOT_FOUND",
            FileFault::NotRegular { .. } => "FILE_NOT_REGULAR",
            FileFault::NotFolder { .. } => "FILE_NOT_FOLDER",
            FileFault::TooLarge { .. } => "FILE_TOO_LARGE",
            FileFault::NotText { .. } => "FILE_NOT_TEXT",
            FileFault::TooMany { .. } => "FILE_TOO_MANY",
            FileFault::Unreadable { .. } => "FILE_UNREADABLE",
        }
    }
}

/// A foreign path as messages repeat it: quoted, escaped, and cut where it is very long.
fn shown(path: &str) -> String {
    match path.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{:?}…", &path[..end]),
        None => format!("{path:?}"),
    }
}

fn did_you_mean(near: &[String]) -> String {
    if near.is_empty() {
        return String::new();
    }
    let names: Vec<String> = near.iter().map(|name| format!("{name:?}")).collect();
    format!("; did you mean {}?", names.join(" or "))
}
