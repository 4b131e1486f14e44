//! Who did what: an append-only chain of acts, each holding the hash of the one before.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`chain`] | links an act to the chain, in the batch of the change itself |
//! | [`signed`] | a store whose first change is signed |
//! | [`look`] | acts as people read them |
//! | [`noted`] | ends of the chain that were noted elsewhere |
//! | [`verify`] | finds what was altered, left out or moved |
//! | [`prune`] | takes away what is old enough, and leaves a checkpoint |
//!
//! A row is one line of JSON, stored and exported as the same bytes; its hash is the SHA-256 of that line. So whoever
//! has the exported lines can verify them with nothing but `sha256sum`. Whoever can write the store's file could also
//! write a whole other chain: against that helps only a head that was noted elsewhere, which [`verify`] compares.
//!
//! *Invariant:* an act is committed with the change it tells of, or durably before it; never after.

pub mod chain;
pub mod look;
pub mod noted;
pub mod prune;
pub mod signed;
#[cfg(test)]
mod tests;
pub mod verify;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::store::keys::{self, Space};
use crate::store::{Row, Store, StoreError};

pub use chain::{commit, record};
pub use signed::Signed;

/// How long acts are kept at least: eighteen months.
pub const KEPT_DAYS_MIN: u32 = 548;

/// Longer names and targets are cut, larger details left out, so that a row stays small whatever comes from outside.
const WHO_CHARS_MAX: usize = 100;
const TARGET_CHARS_MAX: usize = 300;
const DETAILS_BYTES_MAX: usize = 4096;

/// What the first act names as the hash before it.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// By which way somebody came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// A command, which itself writes the store.
    Cli,
    /// A command that asks a server.
    Socket,
    Http,
    /// The host by itself.
    Host,
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Via::Cli => "cli",
            Via::Socket => "socket",
            Via::Http => "http",
            Via::Host => "host",
        })
    }
}

/// Whoever acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub who: String,
    pub org: Option<String>,
    /// The id of the token that was shown, if one was: of several that somebody has, one may have been stolen.
    pub token: Option<String>,
    pub via: Via,
    /// What ties the act to its request and its log lines.
    pub corr: String,
}

impl Actor {
    pub fn new(who: impl Into<String>, via: Via, corr: impl Into<String>) -> Actor {
        Actor {
            who: who.into(),
            org: None,
            token: None,
            via,
            corr: corr.into(),
        }
    }
}

/// What is done. Whoever makes one masks secrets in it first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Act {
    /// A stable name: `run.cancel`, `user.add`.
    pub what: String,
    /// To what: a run, a playbook, a user.
    pub target: String,
    pub details: Map<String, Value>,
}

impl Act {
    pub fn new(what: impl Into<String>, target: impl Into<String>) -> Act {
        Act {
            what: what.into(),
            target: target.into(),
            details: Map::new(),
        }
    }

    /// With one more detail; nothing is none.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Act {
        let value = value.into();
        if !value.is_null() && value != "" {
            self.details.insert(name.to_owned(), value);
        }
        self
    }

    /// With `mask` applied to every text in it.
    pub fn masked(mut self, mask: &dyn Fn(String) -> String) -> Act {
        fn each(value: Value, mask: &dyn Fn(String) -> String) -> Value {
            match value {
                Value::String(text) => Value::String(mask(text)),
                Value::Array(items) => items.into_iter().map(|item| each(item, mask)).collect(),
                Value::Object(map) => map
                    .into_iter()
                    .map(|(name, value)| (name, each(value, mask)))
                    .collect::<Map<_, _>>()
                    .into(),
                other => other,
            }
        }
        self.target = mask(self.target);
        self.details = self
            .details
            .into_iter()
            .map(|(name, value)| (name, each(value, mask)))
            .collect();
        self
    }
}

/// An act as it stands in the chain. The order of the fields is that of the line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub number: u64,
    /// RFC 3339, in UTC.
    pub at: String,
    pub at_ms: i64,
    pub who: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    pub via: Via,
    pub what: String,
    pub target: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
    pub corr: String,
    /// The hash of the line before.
    pub prev: String,
}

/// Where the chain ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub number: u64,
    pub hash: String,
}

impl Head {
    fn genesis() -> Head {
        Head {
            number: 0,
            hash: GENESIS.to_owned(),
        }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, self.hash)
    }
}

/// Where the kept chain begins, after older acts were taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The last act that was taken away, with its hash.
    pub up_to: Head,
    pub at_ms: i64,
}

/// Why the audit log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("acts are kept for {KEPT_DAYS_MIN} days at least, and {days} days were asked for")]
    Kept { days: u32 },
    #[error("the line has no form of an act: {0}")]
    Form(String),
}

impl AuditError {
    pub fn code(&self) -> &'static str {
        match self {
            AuditError::Store(error) => error.code(),
            AuditError::Kept { .. } => "AUDIT_KEPT",
            AuditError::Form(_) => "AUDIT_FORM",
        }
    }
}

fn row_key(number: u64) -> Vec<u8> {
    keys::named(Space::Audit, &["act", &format!("{number:020}")])
}

fn head_key() -> Vec<u8> {
    keys::named(Space::Audit, &["head"])
}

fn checkpoint_key() -> Vec<u8> {
    keys::named(Space::Audit, &["checkpoint"])
}

/// The hash of a line, as the next one holds it.
pub fn hash(line: &[u8]) -> String {
    hex::encode(Sha256::digest(line))
}

/// The end of the chain, with the row that says so.
fn head_row(store: &dyn Store) -> Result<(Head, Option<Row>), StoreError> {
    let row = store.get(&head_key())?;
    let head = match &row {
        Some(row) => read(&row.value, "the head of the audit log")?,
        None => Head::genesis(),
    };
    Ok((head, row))
}

/// The end of the chain; `None` before the first act.
pub fn head(store: &dyn Store) -> Result<Option<Head>, StoreError> {
    Ok(Some(head_row(store)?.0).filter(|head| head.number > 0))
}

/// Where the kept chain begins, if anything was taken away.
pub fn checkpoint(store: &dyn Store) -> Result<Option<Checkpoint>, StoreError> {
    let row = store.get(&checkpoint_key())?;
    row.map(|row| read(&row.value, "the checkpoint of the audit log"))
        .transpose()
}

fn read<T: serde::de::DeserializeOwned>(value: &[u8], what: &str) -> Result<T, StoreError> {
    serde_json::from_slice(value).map_err(|error| StoreError::Corrupt {
        path: what.into(),
        reason: error.to_string(),
    })
}
