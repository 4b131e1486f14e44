//! What is said over the socket: a greeting with names, in a form that every version reads, then questions and answers.

use std::fmt;
use std::ops::Bound;
use std::path::PathBuf;

use serde::de::{DeserializeOwned, Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::store::{Batch, CommitNo, Durability, KeyRange, Precondition, Row, StoreError, StoreStats};

/// Changes whenever a form below does.
pub const PROTOCOL: u32 = 2;

/// The longest greeting.
pub const HELLO_BYTES_MAX: usize = 4096;

/// What a caller says first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub protocol: u32,
    /// Of the program.
    pub version: String,
    pub purpose: Purpose,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Rows.
    Store,
    /// Runs.
    Drive,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    pub protocol: u32,
    pub version: String,
    pub server: Server,
    /// Why nothing comes of this connection.
    #[serde(default)]
    pub refused: Option<String>,
}

/// A process that serves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// As the owner of runs.
    pub node: String,
    pub boot: String,
    pub pid: u32,
    /// Unix milliseconds.
    pub started_ms: i64,
    /// The set of playbooks that is live.
    pub edition: u64,
}

impl Hello {
    pub fn of(purpose: Purpose) -> Hello {
        Hello {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            purpose,
        }
    }

    /// Why `self` cannot be served by this version of the program, if so.
    pub fn unfit(&self) -> Option<String> {
        let own = Hello::of(self.purpose);
        if *self == own {
            return None;
        }
        Some(format!(
            "it is host {} (protocol {}), and this command is host {} (protocol {}): use the same, or restart the server",
            own.version, own.protocol, self.version, self.protocol
        ))
    }
}

/// Bytes as such: serde would write each as a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }

            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Bytes, A::Error> {
                Err(A::Error::custom("a list where bytes belong"))
            }
        }
        deserializer.deserialize_byte_buf(Seen)
    }
}

/// A question about rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    Get(Bytes),
    Scan {
        low: Bound<Bytes>,
        high: Bound<Bytes>,
        limit: u64,
        reverse: bool,
    },
    Commit {
        puts: Vec<(Bytes, Bytes)>,
        deletes: Vec<Bytes>,
        /// The commit that wrote the key; none: it must not be there.
        preconditions: Vec<(Bytes, Option<u64>)>,
        now: bool,
    },
    WaitDurable(u64),
    Stats,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    Row(Option<(Bytes, u64)>),
    /// Rows of one moment; there may be more of the range.
    Rows {
        rows: Vec<(Bytes, Bytes, u64)>,
        more: bool,
    },
    Done(u64),
    Stats {
        durable_commits: u64,
        batches: u64,
        last_commit: u64,
    },
    Failed(Fault),
}

/// An engine's error, as it goes over the socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    Conflict(Bytes),
    NeedsRepair(PathBuf),
    Corrupt(PathBuf, String),
    ReadOnly(PathBuf, String),
    Full(PathBuf),
    Io(PathBuf, String),
    TooLarge {
        what: String,
        bytes: u64,
        bytes_max: u64,
    },
    /// One that engines do not make, in words.
    Other(String),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        match error {
            StoreError::Conflict { key } => Fault::Conflict(Bytes(key)),
            StoreError::NeedsRepair { path } => Fault::NeedsRepair(path),
            StoreError::Corrupt { path, reason } => Fault::Corrupt(path, reason),
            StoreError::ReadOnly { path, reason } => Fault::ReadOnly(path, reason),
            StoreError::Full { path } => Fault::Full(path),
            StoreError::Io { path, reason } => Fault::Io(path, reason),
            StoreError::TooLarge { what, bytes, bytes_max } => Fault::TooLarge { what, bytes, bytes_max },
            other => Fault::Other(other.to_string()),
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> StoreError {
        match fault {
            Fault::Conflict(key) => StoreError::Conflict { key: key.0 },
            Fault::NeedsRepair(path) => StoreError::NeedsRepair { path },
            Fault::Corrupt(path, reason) => StoreError::Corrupt { path, reason },
            Fault::ReadOnly(path, reason) => StoreError::ReadOnly { path, reason },
            Fault::Full(path) => StoreError::Full { path },
            Fault::Io(path, reason) => StoreError::Io { path, reason },
            Fault::TooLarge { what, bytes, bytes_max } => StoreError::TooLarge { what, bytes, bytes_max },
            Fault::Other(reason) => StoreError::ServerRefused { reason },
        }
    }
}

impl Ask {
    pub fn scan(range: KeyRange, limit: usize, reverse: bool) -> Ask {
        Ask::Scan {
            low: range.0.map(Bytes),
            high: range.1.map(Bytes),
            limit: limit as u64,
            reverse,
        }
    }

    pub fn commit(batch: Batch, durability: Durability) -> Ask {
        let version = |precondition| match precondition {
            Precondition::Absent => None,
            Precondition::At(CommitNo(number)) => Some(number),
        };
        let puts = batch.puts.into_iter();
        let preconditions = batch.preconditions.into_iter();
        Ask::Commit {
            puts: puts.map(|(key, value)| (Bytes(key), Bytes(value))).collect(),
            deletes: batch.deletes.into_iter().map(Bytes).collect(),
            preconditions: preconditions
                .map(|(key, precondition)| (Bytes(key), version(precondition)))
                .collect(),
            now: durability == Durability::Now,
        }
    }
}

impl From<StoreStats> for Reply {
    fn from(stats: StoreStats) -> Reply {
        Reply::Stats {
            durable_commits: stats.durable_commits,
            batches: stats.batches,
            last_commit: stats.last_commit.0,
        }
    }
}

pub fn row((value, version): (Bytes, u64)) -> Row {
    Row {
        value: value.0,
        version: CommitNo(version),
    }
}

/// As it goes over the socket. Fields keep their names where `Hello` and `Welcome` are read by other versions.
pub fn encode(said: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(said).expect("what is said has a form")
}

/// What was said; in words why nobody understands it.
pub fn decode<T: DeserializeOwned>(frame: &[u8]) -> Result<T, String> {
    rmp_serde::from_slice(frame).map_err(|error| format!("it said what nobody understands ({error})"))
}
