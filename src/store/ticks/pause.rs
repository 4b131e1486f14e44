//! What starts nothing until somebody resumes it: a playbook, or everything.
//!
//! A pause is a row, whoever made it. Resuming leaves the row with what is to become of the ticks in between, until a
//! server has seen to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{decode, each, encode};
use crate::store::keys::{self, Place, Space};
use crate::store::{Batch, CommitNo, Precondition, Store, StoreError};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub since_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// Set when it was resumed, until the ticks in between have their fates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<(i64, Resumed)>,
}

/// What becomes of the ticks of a pause when it is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resumed {
    All,
    Latest,
    #[default]
    None,
}

/// All pauses of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pauses {
    pub everything: Option<(Pause, CommitNo)>,
    pub playbooks: BTreeMap<String, (Pause, CommitNo)>,
}

/// The row of a playbook's pause; of everything's without one.
pub fn key(playbook: Option<&str>) -> Vec<u8> {
    match playbook {
        Some(playbook) => keys::named(Space::Pause, &[playbook]),
        None => keys::named(Space::Pause, &[]),
    }
}

impl Pause {
    pub fn put(&self, batch: &mut Batch, playbook: Option<&str>) {
        batch.put(key(playbook), encode(self));
    }

    /// Whether it holds.
    pub fn is_on(&self) -> bool {
        self.resumed.is_none()
    }
}

impl Pauses {
    pub fn load(store: &dyn Store) -> Result<Pauses, StoreError> {
        let mut pauses = Pauses::default();
        each(store, keys::prefix_range(key(None)), |place, value, version| {
            if let Place::Named { names, .. } = place {
                let pause = decode(value, || "a pause".to_owned())?;
                match names.into_iter().next() {
                    Some(playbook) => {
                        pauses.playbooks.insert(playbook, (pause, version));
                    }
                    None => pauses.everything = Some((pause, version)),
                }
            }
            Ok(())
        })?;
        Ok(pauses)
    }

    /// The pause that keeps `playbook` from being started.
    pub fn of(&self, playbook: &str) -> Option<&Pause> {
        let own = self.playbooks.get(playbook);
        let mut pauses = own.into_iter().chain(&self.everything).map(|(pause, _)| pause);
        pauses.find(|pause| pause.is_on())
    }

    /// When `playbook` was resumed, and what is to become of its ticks until then. Its own pause has the last word.
    pub fn resumed(&self, playbook: &str) -> Option<(i64, Resumed)> {
        let own = self.playbooks.get(playbook);
        own.into_iter()
            .chain(&self.everything)
            .find_map(|(pause, _)| pause.resumed)
    }

    /// Fills `batch` with the end of the pauses that were resumed.
    pub fn forget_resumed(&self, batch: &mut Batch) {
        let own = self
            .playbooks
            .iter()
            .map(|(playbook, pause)| (Some(playbook.as_str()), pause));
        let all = self.everything.iter().map(|pause| (None, pause));
        for (playbook, (pause, version)) in own.chain(all) {
            if !pause.is_on() {
                batch.require(key(playbook), Precondition::At(*version));
                batch.delete(key(playbook));
            }
        }
    }
}
