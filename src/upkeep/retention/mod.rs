//! What is old and nobody needs goes: runs that are over, with their journals, texts and files, ticks with a fate, events that
//! nobody waits for, pairs that have expired.
//!
//! Never what an unfinished run, an incident, a job, a question or any other row of the host names. A run goes only together
//! with all that it started and that started it, and never within 72 hours of its end. Files and texts go when no row that is
//! left names them, whoever wrote it. Each step is one small commit, on the condition that its rows are as they were looked
//! at; so it can be broken off anywhere, and goes on the next time.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`look`] | what is old, and what is named |
//! | [`runs`] | which runs go, family by family |
//! | [`events`] | which events somebody may still ask for |
//! | [`sweep`] | removes it |

mod events;
mod look;
mod runs;
mod sweep;

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::chore::{Place, Tell};
use crate::store::backup::{BackupError, install};
use crate::store::keys::{self, Space};
use crate::store::{Batch, Durability, Row, Store, StoreError};
use look::look;
use sweep::{Gone, Sweeping};

/// What was removed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    pub preview: bool,
    pub runs: u64,
    pub ticks: u64,
    pub pairs: u64,
    #[serde(default)]
    pub events: u64,
    /// Rows that runs left which are over.
    #[serde(default)]
    pub traces: u64,
    pub texts: u64,
    pub files: u64,
    /// Folders of runs that were gone already.
    #[serde(default)]
    pub folders: u64,
    /// Of rows, and of files.
    pub row_bytes: u64,
    pub file_bytes: u64,
    /// When the oldest of the runs ended that go, and the latest.
    pub oldest_ms: Option<i64>,
    pub latest_ms: Option<i64>,
    /// Runs that are old enough and stay, because something names them.
    pub kept: u64,
    /// Whether more are old enough than one retention looks at: the next goes on.
    #[serde(default)]
    pub more: bool,
    /// Files stay while a store lies aside that may name them.
    pub has_aside: bool,
    /// What rows and files have together after it.
    pub bytes_left: u64,
}

/// Removes what `place.limits` let go; tells only what would be, when it is a preview.
pub fn retain(place: &Place, preview: bool, tell: &mut Tell<'_>) -> Result<Swept, BackupError> {
    let now_ms = place.clock.unix_ms();
    let store = &*place.ground.store;
    let mut swept = Swept {
        preview,
        has_aside: install::has_aside(&place.data)?,
        ..Swept::default()
    };
    let look = look(store, &place.limits, now_ms, tell)?;
    let file_bytes = file_bytes(place)?;
    let bytes = (look.row_bytes + file_bytes, look.record_bytes + file_bytes);
    let going = look.runs.choose(store, &place.limits, bytes, now_ms, &mut swept)?;
    swept.more = look.runs.is_cut;
    let mut sweeping = Sweeping { place, preview, tell };
    let mut stays = false;
    for (is_first, at) in &going {
        // What stays of a family, because somebody has gone on with it, needs those below.
        stays &= !is_first;
        let (over, parent) = look.runs.over(*at);
        if stays || !sweeping.run(over, parent)? {
            stays = true;
            continue;
        }
        swept.runs += 1;
        swept.row_bytes += over.bytes;
    }
    swept.ticks = sweeping.rows(&look.ticks, &mut swept.row_bytes)?;
    swept.pairs = sweeping.rows(&look.pairs, &mut swept.row_bytes)?;
    swept.events = sweeping.rows(&look.events, &mut swept.row_bytes)?;
    swept.traces = sweeping.rows(&look.traces, &mut swept.row_bytes)?;
    // What is gone names nothing any more; a preview leaves out what would be.
    let gone = match preview {
        true => Gone {
            runs: going.iter().map(|(_, at)| look.runs.over(*at).0.run).collect(),
            rows: [&look.ticks, &look.pairs, &look.events, &look.traces]
                .into_iter()
                .flatten()
                .map(|(key, ..)| key.clone())
                .collect(),
        },
        false => Gone::default(),
    };
    sweeping.unnamed(&gone, now_ms, &mut swept)?;
    if !swept.has_aside {
        swept.folders = sweeping.folders(now_ms)?;
    }
    swept.bytes_left = (look.row_bytes + file_bytes).saturating_sub(swept.row_bytes + swept.file_bytes);
    Ok(swept)
}

fn file_bytes(place: &Place) -> Result<u64, StoreError> {
    let paths = place.ground.content.list()?;
    let paths = paths.iter().filter_map(|hash| place.ground.content.path(hash));
    Ok(paths
        .filter_map(|path| path.metadata().ok())
        .map(|data| data.len())
        .sum())
}

/// What a retention did last that was made by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    pub at_ms: i64,
    pub swept: Swept,
}

impl Last {
    pub fn read(store: &dyn Store) -> Result<Option<Last>, StoreError> {
        let read = |row: Row| {
            rmp_serde::from_slice(&row.value)
                .map_err(|error| StoreError::corrupt(Path::new("the last retention"), error.to_string()))
        };
        store
            .get(&keys::named(Space::Meta, &["retention"]))?
            .map(read)
            .transpose()
    }

    pub fn write(&self, store: &dyn Store) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        let row = rmp_serde::to_vec_named(self).expect("it is plain data");
        batch.put(keys::named(Space::Meta, &["retention"]), row);
        store.commit(batch, Durability::Soon).map(drop)
    }
}
