//! What can be asked of whoever holds the store, and what came of it. It goes over the socket of a server as it is.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::check::{self, Checked};
use super::retention::{self, Swept};
use super::room::Room;
use super::settings::Limits;
use crate::io::chance::Chance;
use crate::io::clock::Clock;
use crate::journal::epoch::Epoch;
use crate::store::backup::{self, BackupError, Header, Key, Progress, Trailer};
use crate::store::engine::{Compacted, FORMAT};
use crate::store::tx::Ground;

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Chore {
    /// Write a backup to a path of this machine, sealed with the key in a variable where one is named.
    Backup {
        path: PathBuf,
        key: Option<String>,
    },
    /// Read everything.
    Check,
    Compact,
    /// Remove what is old, or only tell what would be.
    Retain {
        preview: bool,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kept {
    Backup(Backed),
    Checked(Box<Checked>),
    Compacted { before: u64, after: u64 },
    Retained(Box<Swept>),
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backed {
    pub path: PathBuf,
    pub bytes: u64,
    pub sha256: String,
    pub at_ms: i64,
    pub epoch: u64,
    pub sealed: bool,
    pub needs: Vec<String>,
    pub trailer: Trailer,
}

/// The value of a variable, by its name.
pub type Variables = dyn Fn(&str) -> Option<String> + Send + Sync;

/// What the store is kept with.
pub struct Place {
    pub ground: Ground,
    /// The data folder.
    pub data: PathBuf,
    pub node: String,
    /// The names of the secrets that are set.
    pub needs: Vec<String>,
    /// The values of variables that are named as keys.
    pub variable: Box<Variables>,
    pub limits: Limits,
    pub clock: Arc<dyn Clock>,
    pub chance: Arc<dyn Chance>,
}

/// Is told how far it has come, in words and of how much, and may break it off.
pub type Tell<'a> = dyn FnMut(&str, Progress) -> ControlFlow<()> + 'a;

impl Place {
    pub fn perform(&self, chore: &Chore, tell: &mut Tell<'_>) -> Result<Kept, BackupError> {
        match chore {
            Chore::Backup { path, key } => self.backup(path, key.as_deref(), tell).map(Kept::Backup),
            Chore::Check => {
                let mut seen = |found: &Checked| {
                    let progress = Progress {
                        rows: found.rows,
                        files: found.files,
                        ..Progress::default()
                    };
                    tell("checking", progress)
                };
                let checked = check::check(&self.ground, &mut seen)?;
                checked
                    .map(|checked| Kept::Checked(Box::new(checked)))
                    .ok_or(BackupError::Cancelled)
            }
            Chore::Compact => {
                let mut room = Room::of(&self.data);
                let mut go_on = || room.look(tell("compacting", Progress::default())).is_continue();
                match self.ground.store.compact(&mut go_on)? {
                    Some(Compacted { before, after }) => Ok(Kept::Compacted { before, after }),
                    None => Err(room.explain(BackupError::Cancelled)),
                }
            }
            Chore::Retain { preview } => {
                let swept = retention::retain(self, *preview, tell)?;
                Ok(Kept::Retained(Box::new(swept)))
            }
        }
    }

    /// The key in the variable `name`.
    pub fn key(&self, name: &str) -> Result<Key, BackupError> {
        let secret = (self.variable)(name).ok_or_else(|| BackupError::NoKey(name.chars().take(100).collect()))?;
        Key::parse(&secret)
    }

    pub fn backup(&self, path: &Path, key: Option<&str>, tell: &mut Tell<'_>) -> Result<Backed, BackupError> {
        let key = key.map(|name| self.key(name)).transpose()?;
        let header = Header {
            store_format: FORMAT,
            host: env!("CARGO_PKG_VERSION").to_owned(),
            node: self.node.clone(),
            epoch: Epoch::read(&*self.ground.store)?.number,
            at_ms: self.clock.unix_ms(),
            needs: self.needs.clone(),
            ..Header::default()
        };
        let seal = key.as_ref().map(|key| (key, self.salt()));
        let store = &*self.ground.store;
        let mut room = Room::for_file(&self.data, path);
        let tell = &mut |progress| {
            let told = tell("backing up", progress);
            room.as_mut().map_or(told, |room| room.look(told))
        };
        let made = backup::write(store, &*self.ground.content, path, header, seal, tell);
        let made = made.map_err(|error| match &room {
            Some(room) => room.explain(error),
            None => error,
        })?;
        Ok(Backed {
            path: made.path,
            bytes: made.bytes,
            sha256: made.sha256,
            at_ms: made.header.at_ms,
            epoch: made.header.epoch,
            sealed: made.header.sealed.is_some(),
            needs: made.header.needs,
            trailer: made.trailer,
        })
    }

    fn salt(&self) -> [u8; 32] {
        let mut salt = [0; 32];
        salt[..16].copy_from_slice(&self.chance.wide_bits().to_be_bytes());
        salt[16..].copy_from_slice(&self.chance.wide_bits().to_be_bytes());
        salt
    }
}
