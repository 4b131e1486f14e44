//! The parts of a backup's file, and what can be wrong with them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::seal::Sealed;
use crate::store::StoreError;

/// The first bytes of every backup.
pub const MAGIC: &[u8; 8] = b"HOSTBAK\n";

/// The format that this host writes, and the latest that it reads.
pub const FORMAT: u16 = 1;

/// The longest body of a block: the largest row, and what stands around it.
pub const BODY_BYTES_MAX: usize = 24 << 20;

/// The kind of a block, the length of its body, and its checksum.
pub const FRAME_BYTES: usize = 1 + 4 + 4;

pub const HEADER: u8 = b'H';
pub const ROWS: u8 = b'R';
pub const FILE: u8 = b'F';
pub const TRAILER: u8 = b'E';

/// The length of the SHA-256 at the end.
pub const DIGEST_BYTES: usize = 32;

/// What a backup says of itself before its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The format of the store that the rows are from.
    pub store_format: u64,
    /// The version of the program that wrote it.
    pub host: String,
    pub node: String,
    /// Which life of the store it is from: each restore begins another.
    pub epoch: u64,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// The last commit that is in it.
    pub last_commit: u64,
    /// The names of the secrets that were set. Their values are not in it.
    #[serde(default)]
    pub needs: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
}

/// What was written, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trailer {
    pub rows: u64,
    pub row_bytes: u64,
    /// Rows of each space, by name.
    pub spaces: BTreeMap<String, u64>,
    pub files: u64,
    pub file_bytes: u64,
    /// Files that were not as their names say already in the store, and are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// Why a backup is not made, or not read.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{} is no backup of host", .0.display())]
    NotOne(PathBuf),
    #[error(
        "{} has format {found}, and this host reads backups up to format {FORMAT}; use the newer host that wrote it",
        .path.display()
    )]
    Newer { path: PathBuf, found: u64 },
    #[error(
        "{} holds a store of format {found}, and this host knows formats up to {known}; use the newer host that wrote it",
        .path.display()
    )]
    NewerStore { path: PathBuf, found: u64, known: u64 },
    #[error("{} ends too early, at byte {at}: it was cut off", .path.display())]
    CutOff { path: PathBuf, at: u64 },
    #[error("{} is not as it was written: {reason}, at byte {at}", .path.display())]
    Damaged { path: PathBuf, at: u64, reason: String },
    #[error("{} is sealed: name the variable that holds its key, `--key BACKUP_KEY`", .0.display())]
    KeyMissing(PathBuf),
    #[error("the variable {0} is not set, and was named as the key of backups")]
    NoKey(String),
    #[error("{} was sealed with another key than this one", .0.display())]
    KeyWrong(PathBuf),
    #[error("the key has {bytes} bytes, and needs 32 to 1024; `openssl rand -hex 32` makes one")]
    KeyShort { bytes: usize },
    #[error("{} is there already, and no backup is written over another file", .0.display())]
    Exists(PathBuf),
    #[error("it was cancelled, and nothing is left of it")]
    Cancelled,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BackupError {
    /// The stable name of this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            BackupError::NotOne(_) => "BACKUP_UNKNOWN",
            BackupError::Newer { .. } | BackupError::NewerStore { .. } => "BACKUP_NEWER_FORMAT",
            BackupError::CutOff { .. } => "BACKUP_CUT_OFF",
            BackupError::Damaged { .. } => "BACKUP_DAMAGED",
            BackupError::KeyMissing(_) | BackupError::NoKey(_) => "BACKUP_KEY_MISSING",
            BackupError::KeyWrong(_) => "BACKUP_KEY_WRONG",
            BackupError::KeyShort { .. } => "BACKUP_KEY_SHORT",
            BackupError::Exists(_) => "BACKUP_EXISTS",
            BackupError::Cancelled => "BACKUP_CANCELLED",
            BackupError::Store(error) => error.code(),
        }
    }

    pub(super) fn io(path: &Path, error: &io::Error) -> BackupError {
        StoreError::io(path, error).into()
    }
}

/// The checksum of a block.
pub fn checksum(kind: u8, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind]);
    hasher.update(&(body.len() as u32).to_be_bytes());
    hasher.update(body);
    hasher.finalize()
}

/// As blocks hold it that are data with names.
pub fn encode(data: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(data).expect("it is plain data")
}
