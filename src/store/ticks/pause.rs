//! What starts nothing until somebody resumes it: a playbook, or everything.
//!
//! A pause is a row, whoever made it. Resuming takes it away, and leaves another that says what is to become of the ticks
//! in between, until a server has seen to them. Queues have rows of their own beside these, with more names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{decode, each, encode};
use crate::store::keys::{self, Place, Space};
use crate::store::{Batch, CommitNo, Precondition, Store, StoreError};

/// The name under which everything is paused.
pub const ALL: &str = "*";

/// The first name of the row that says what a pause leaves behind.
const RESUMED: &str = "resumed";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub since_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Resumption {
    at_ms: i64,
    missed: Resumed,
}

/// All pauses of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pauses {
    /// By playbook; [`ALL`] for everything.
    pub on: BTreeMap<String, Pause>,
    /// What was resumed and not yet seen to, with the commit that says so.
    resumed: BTreeMap<String, (Resumption, CommitNo)>,
}

fn pause_key(name: &str) -> Vec<u8> {
    keys::named(Space::Pause, &[name])
}

fn resumed_key(name: &str) -> Vec<u8> {
    keys::named(Space::Pause, &[RESUMED, name])
}

/// Fills `batch` with the pause of a playbook, or of [`ALL`]. Ticks that an earlier one has left are decided with its own.
pub fn pause(batch: &mut Batch, name: &str, pause: &Pause) {
    batch.put(pause_key(name), encode(pause));
    batch.delete(resumed_key(name));
}

/// Fills `batch` with the end of a pause.
pub fn resume(batch: &mut Batch, name: &str, at_ms: i64, missed: Resumed) {
    batch.delete(pause_key(name));
    batch.put(resumed_key(name), encode(&Resumption { at_ms, missed }));
}

impl Pauses {
    pub fn load(store: &dyn Store) -> Result<Pauses, StoreError> {
        let mut pauses = Pauses::default();
        let all = keys::prefix_range(keys::named(Space::Pause, &[]));
        each(store, all, |place, value, version| {
            let Place::Named { names, .. } = place else {
                return Ok(());
            };
            match names.as_slice() {
                [name] => {
                    pauses
                        .on
                        .insert(name.clone(), decode(value, || format!("pause of {name}"))?);
                }
                [first, name] if first == RESUMED => {
                    let resumption = decode(value, || format!("pause of {name}"))?;
                    pauses.resumed.insert(name.clone(), (resumption, version));
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(pauses)
    }

    /// The pause that keeps `playbook` from being started.
    pub fn of(&self, playbook: &str) -> Option<&Pause> {
        self.on.get(playbook).or_else(|| self.on.get(ALL))
    }

    /// When `playbook` was resumed, and what is to become of its ticks until then. Where it was paused by itself and with
    /// everything else, whoever resumed it last decides, as when a server looks at each.
    pub fn resumed(&self, playbook: &str) -> Option<(i64, Resumed)> {
        let own = self.resumed.get(playbook).into_iter();
        let found = own.chain(self.resumed.get(ALL)).map(|(resumption, _)| resumption);
        let last = found.reduce(|own, all| if all.at_ms > own.at_ms { all } else { own })?;
        Some((last.at_ms, last.missed))
    }

    pub fn has_resumed(&self) -> bool {
        !self.resumed.is_empty()
    }

    /// Fills `batch` with: what was resumed is seen to.
    pub fn forget_resumed(&self, batch: &mut Batch) {
        for (name, (_, version)) in &self.resumed {
            batch.require(resumed_key(name), Precondition::At(*version));
            batch.delete(resumed_key(name));
        }
    }
}
