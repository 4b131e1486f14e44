//! What can go wrong with the store, and what to do about it.
//!
//! Errors are values without handles: one failure of the disk is told to every batch that waited for it, and some
//! reach a journal. Each has a stable [`code`](StoreError::code).

use std::io;
use std::path::{Path, PathBuf};

use super::keys;

/// Why the store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("{} was changed by another run in the meantime; read it again and repeat the change", keys::describe(.key))]
    Conflict { key: Vec<u8> },

    #[error("the store {} is in use by another process; wait until it has ended", .path.display())]
    Locked { path: PathBuf },

    #[error("the store {} was not closed cleanly; run `host store repair`", .path.display())]
    NeedsRepair { path: PathBuf },

    #[error(
        "the store {} has format {found}, and this host knows formats up to {known}; use the newer host that wrote it",
        .path.display()
    )]
    NewerFormat { path: PathBuf, found: u64, known: u64 },

    #[error("{} is damaged: {reason}; restore it from a backup", .path.display())]
    Corrupt { path: PathBuf, reason: String },

    #[error("the store {} cannot be written: {reason}", .path.display())]
    ReadOnly { path: PathBuf, reason: String },

    #[error("there is no store at {} yet; the first run makes it", .path.display())]
    Missing { path: PathBuf },

    #[error(
        "no room is left for {}: the disk, a quota or a file-size limit is full; make room, then start host again",
        .path.display()
    )]
    Full { path: PathBuf },

    #[error("{} cannot be read or written: {reason}", .path.display())]
    Io { path: PathBuf, reason: String },

    #[error("{what} has {bytes} bytes; at most {bytes_max} are allowed")]
    TooLarge { what: String, bytes: u64, bytes_max: u64 },

    #[error("{name:?} is no {what}: {rule}")]
    BadName {
        what: &'static str,
        name: String,
        rule: &'static str,
    },

    #[error("{reason}")]
    BadQuery { reason: String },

    #[error("there is no document {id:?} in {collection:?}")]
    NotFound { collection: String, id: String },

    #[error(
        "the document {id:?} in {collection:?} has version {found}, not {expected}; read it again and repeat the change"
    )]
    StaleVersion {
        collection: String,
        id: String,
        expected: u64,
        found: u64,
    },

    #[error("{key:?} holds {kind}, not a whole number; only whole numbers can be incremented")]
    NotANumber { key: String, kind: &'static str },

    /// What a structure on top of the store refuses: a queue, a metric. It has a code of its own.
    #[error("{reason}")]
    Refused { code: &'static str, reason: String },

    #[error("the server that holds the store did not answer: {reason}; nothing was changed")]
    ServerLost { reason: String },

    /// The one answer that leaves something open.
    #[error(
        "the server that holds the store was lost while it committed ({reason}): the change may have happened or not"
    )]
    CommitUnknown { reason: String },

    #[error("the server that holds the store refuses this command: {reason}")]
    ServerRefused { reason: String },

    #[error("a server (process {pid}) holds the store {}; `{command}` needs it alone", .path.display())]
    Served {
        path: PathBuf,
        pid: u32,
        command: &'static str,
    },

    #[error("{key:?} holds {value}, and adding {by} would go beyond 64 bits")]
    Overflow { key: String, value: i64, by: i64 },
}

impl StoreError {
    /// The stable name of this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            StoreError::Conflict { .. } => "STORE_CONFLICT",
            StoreError::Locked { .. } => "STORE_LOCKED",
            StoreError::NeedsRepair { .. } => "STORE_NEEDS_REPAIR",
            StoreError::NewerFormat { .. } => "STORE_NEWER_FORMAT",
            StoreError::Corrupt { .. } => "STORE_CORRUPT",
            StoreError::ReadOnly { .. } => "STORE_READ_ONLY",
            StoreError::Missing { .. } => "STORE_MISSING",
            StoreError::Full { .. } => "STORE_FULL",
            StoreError::Io { .. } => "STORE_IO",
            StoreError::TooLarge { .. } => "STORE_TOO_LARGE",
            StoreError::BadName { .. } => "STORE_BAD_NAME",
            StoreError::BadQuery { .. } => "STORE_BAD_QUERY",
            StoreError::NotFound { .. } => "STORE_NOT_FOUND",
            StoreError::StaleVersion { .. } => "STORE_STALE_VERSION",
            StoreError::NotANumber { .. } => "STORE_NOT_A_NUMBER",
            StoreError::Overflow { .. } => "STORE_OVERFLOW",
            StoreError::ServerLost { .. } => "STORE_SERVER_LOST",
            StoreError::CommitUnknown { .. } => "STORE_COMMIT_UNKNOWN",
            StoreError::ServerRefused { .. } => "STORE_SERVER_REFUSED",
            StoreError::Served { .. } => "STORE_SERVED",
            StoreError::Refused { code, .. } => code,
        }
    }

    /// Whether the request was at fault and not the store: a script may catch it and go on.
    pub fn is_callers(&self) -> bool {
        matches!(
            self,
            StoreError::TooLarge { .. }
                | StoreError::BadName { .. }
                | StoreError::BadQuery { .. }
                | StoreError::NotFound { .. }
                | StoreError::StaleVersion { .. }
                | StoreError::NotANumber { .. }
                | StoreError::Overflow { .. }
                | StoreError::Refused { .. }
        )
    }

    /// What an operation on the file or folder at `path` failed with.
    pub(crate) fn io(path: &Path, error: &io::Error) -> StoreError {
        use io::ErrorKind as Kind;
        let path = path.to_owned();
        match error.kind() {
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => StoreError::Full { path },
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => StoreError::ReadOnly {
                path,
                reason: error.to_string(),
            },
            _ => StoreError::Io {
                path,
                reason: error.to_string(),
            },
        }
    }

    pub(crate) fn corrupt(path: &Path, reason: impl Into<String>) -> StoreError {
        StoreError::Corrupt {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    /// Fails when `bytes` is above `bytes_max`.
    pub(crate) fn check_size(what: &str, bytes: usize, bytes_max: usize) -> Result<(), StoreError> {
        if bytes <= bytes_max {
            return Ok(());
        }
        Err(StoreError::TooLarge {
            what: what.to_owned(),
            bytes: bytes as u64,
            bytes_max: bytes_max as u64,
        })
    }
}
