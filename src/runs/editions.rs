//! The playbooks and prompts that a run began with, while later ones are live.
//!
//! They are put together from the rows of versions, so a command without a server finds them as well. Only these are as
//! they were then: settings, limits, masks and switches are those of now, so what was switched off since stays refused.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::library::Library;
use super::runner::Runner;
use crate::gate::Gate;
use crate::io::World;
use crate::io::pinned::{Files, PLAYBOOKS, PROMPTS, PinnedFile, PinnedFiles};
use crate::journal::Begun;
use crate::journal::edition::{VersionError, files_of};
use crate::store::Store;

/// Sets that are kept: putting one together may read as many rows as there are versions.
const KEPT_MAX: usize = 4;

/// The sets that were asked for last.
#[derive(Default)]
pub(super) struct Editions(Mutex<VecDeque<(u64, Arc<Files>)>>);

impl Editions {
    /// The files of edition `number`, their texts in `store`.
    fn get(&self, store: &Arc<dyn Store>, number: u64) -> Result<PinnedFiles, VersionError> {
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept().iter().find(|(known, _)| *known == number).cloned();
        let files = match known {
            Some((_, files)) => files,
            None => Arc::new(stored(&**store, number)?),
        };
        let mut kept = kept();
        kept.retain(|(other, _)| *other != number);
        kept.push_front((number, files.clone()));
        kept.truncate(KEPT_MAX);
        Ok(PinnedFiles::shared(store.clone(), files))
    }

    pub fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn stored(store: &dyn Store, number: u64) -> Result<Files, VersionError> {
    let files = files_of(store, number)?.into_iter();
    Ok(files.map(|(path, hash)| (path, PinnedFile::stored(hash))).collect())
}

/// Whether runs get the same of both: settings are not among it.
fn is_same(one: &PinnedFiles, other: &PinnedFiles) -> bool {
    let hashes = |files: &PinnedFiles, folder| -> Vec<(String, crate::id::ContentHash)> {
        let below = files.below(folder);
        below.map(|(path, file)| (path.to_owned(), file.hash)).collect()
    };
    [PLAYBOOKS, PROMPTS]
        .into_iter()
        .all(|folder| hashes(one, folder) == hashes(other, folder))
}

impl Runner {
    /// The gate that the run passes as it goes on: this one, with the playbooks and prompts that the run began with. The
    /// live ones stand in for those that are not kept any more.
    pub(super) fn gate_of(&self, library: &Library, begun: &Begun) -> Arc<Gate> {
        let gate = &self.gate;
        let Some(number) = begun.edition.filter(|number| gate.edition != Some(*number)) else {
            return gate.clone();
        };
        let files = match library.editions.get(&gate.ground.store, number) {
            Ok(files) => files,
            Err(error) => {
                let run = begun.run;
                tracing::debug!(%run, version = number, %error, "the run goes on with the prompts and playbooks of now");
                return gate.clone();
            }
        };
        if library.files.pins().is_some_and(|live| is_same(live, &files)) {
            return gate.clone();
        }
        let world = World {
            files: Arc::new(gate.world.files.with_prompts(files.clone())),
            ..gate.world.clone()
        };
        Arc::new(Gate {
            world,
            playbooks: Arc::new(library.with_files(library.files.pinned(files))),
            edition: Some(number),
            ..(**gate).clone()
        })
    }
}
