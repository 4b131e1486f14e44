//! What the last run of a playbook left behind: the answers of its steps, and the names of what it keeps.
//!
//! The store is opened to be read, for a moment, when its file has changed since; one that is in use, damaged or not
//! there is none. Nothing waits for it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::workspace::Home;
use crate::app::STORE_FILE;
use crate::id::{ContentHash, RunId};
use crate::io::whole::{Stamp, stamp};
use crate::journal::{Answer, Recorded, RunRecord};
use crate::store::Realm;
use crate::store::documents::document::collections;
use crate::store::tx::Tx;

/// Runs that are looked through for one of the version in the editor.
const RUNS_MAX: usize = 200;

/// Playbooks whose last runs are kept in mind.
const KEPT_MAX: usize = 64;

/// The last run of one version of a playbook.
#[derive(Clone, Debug)]
pub struct LastRun {
    pub record: RunRecord,
    pub answers: Vec<Answer>,
}

/// What was found, as long as the store's file looks the same.
#[derive(Debug, Default)]
pub struct Cache {
    stores: BTreeMap<PathBuf, Known>,
}

#[derive(Debug, Default)]
struct Known {
    stamp: Option<Stamp>,
    runs: BTreeMap<ContentHash, Option<LastRun>>,
    collections: Option<Vec<String>>,
}

impl Cache {
    /// The newest run of the playbook whose text is `text`.
    pub fn last_run(&mut self, home: &Home, text: &str) -> Option<&LastRun> {
        let version = ContentHash::of(text.as_bytes());
        let known = self.known(home)?;
        if !known.runs.contains_key(&version) {
            if known.runs.len() >= KEPT_MAX {
                known.runs.clear();
            }
            let found = read(home, version);
            known.runs.insert(version, found);
        }
        known.runs.get(&version)?.as_ref()
    }

    /// The collections that hold documents, in either realm.
    pub fn collections(&mut self, home: &Home) -> Vec<String> {
        let Some(known) = self.known(home) else {
            return Vec::new();
        };
        known
            .collections
            .get_or_insert_with(|| names(home).unwrap_or_default())
            .clone()
    }

    /// What is known of the store as it is now; `None` when there is none.
    fn known(&mut self, home: &Home) -> Option<&mut Known> {
        let path = home.app.config.data().join(STORE_FILE);
        let stamp = stamp(&path)?;
        let known = self.stores.entry(path).or_default();
        if known.stamp != Some(stamp) {
            *known = Known {
                stamp: Some(stamp),
                ..Known::default()
            };
        }
        Some(known)
    }
}

fn read(home: &Home, version: ContentHash) -> Option<LastRun> {
    let ground = home.app.glance()?;
    let records = RunRecord::latest(&*ground.store, RunId::from_bytes([0xff; 16]), RUNS_MAX).ok()?;
    let record = records.into_iter().find(|record| record.version == version)?;
    let recorded = Recorded::load(&ground, record.run).ok()?;
    let answers = recorded.steps.into_values().filter_map(|step| step.answer).collect();
    Some(LastRun { record, answers })
}

fn names(home: &Home) -> Option<Vec<String>> {
    let ground = home.app.glance()?;
    let now_ms = home.app.clock.unix_ms();
    let mut found: Vec<String> = Vec::new();
    for realm in [Realm::Live, Realm::Dry] {
        found.extend(collections(&mut Tx::new(&ground, realm, now_ms)).ok()?);
    }
    found.sort();
    found.dedup();
    Some(found)
}
