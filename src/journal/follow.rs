//! Playbooks that are started by the ends of others.
//!
//! Who follows a playbook stands in a row of its own, so that whatever ends a run of it, a server or a command, leaves a
//! note for each follower in the batch of the end. A note stays until the follower's run is created, in one batch.

use serde::{Deserialize, Serialize};

use super::{RunRecord, Status};
use crate::id::RunId;
use crate::store::keys::{self, Place, Space};
use crate::store::{Batch, KeyRange, Row, StoreError, Tx};

/// The first names of the rows.
const FOLLOWED: &str = "followed";
const ENDED: &str = "ended";

/// A playbook that is started by the ends of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follower {
    pub playbook: String,
    /// `None`: however a run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// What a follower is to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub playbook: String,
    pub status: Status,
    pub live: bool,
    pub at_ms: i64,
}

fn followed_key(playbook: &str) -> Vec<u8> {
    keys::named(Space::Cursor, &[FOLLOWED, playbook])
}

fn note_key(follower: &str, run: RunId) -> Vec<u8> {
    keys::named(Space::Cursor, &[ENDED, follower, &run.to_string()])
}

/// Leaves a note for each who follows the playbook of the run whose end `record` tells.
pub fn tell(tx: &mut Tx<'_>, record: &RunRecord) -> Result<(), StoreError> {
    let Some(row) = tx.get(&followed_key(&record.playbook))? else {
        return Ok(());
    };
    let followers: Vec<Follower> = read(&row)?;
    // A run that needs attention is not at its end, but somebody may want to know.
    let fits = |follower: &&Follower| match follower.status {
        Some(status) => status == record.status,
        None => record.status != Status::NeedsAttention,
    };
    for follower in followers.iter().filter(fits) {
        let note = Note {
            playbook: record.playbook.clone(),
            status: record.status,
            live: record.live,
            at_ms: tx.now_ms,
        };
        tx.batch.put(note_key(&follower.playbook, record.run), write(&note));
    }
    Ok(())
}

/// Who follows whom, by the playbook that is followed.
pub fn followed(tx: &mut Tx<'_>, limit: usize) -> Result<Vec<(String, Vec<Follower>)>, StoreError> {
    let rows = tx.scan(
        keys::prefix_range(keys::named(Space::Cursor, &[FOLLOWED])),
        limit,
        false,
    )?;
    let named = rows.iter().filter_map(|(key, row)| match keys::parse(key) {
        Some(Place::Named { names, .. }) => Some((names.into_iter().nth(1)?, row)),
        _ => None,
    });
    named.map(|(name, row)| Ok((name, read(row)?))).collect()
}

/// Says who follows `playbook`.
pub fn follow(batch: &mut Batch, playbook: &str, followers: &[Follower]) {
    match followers {
        [] => batch.delete(followed_key(playbook)),
        _ => batch.put(followed_key(playbook), write(&followers)),
    }
}

/// The notes for `follower`, those of the oldest runs first, each with its row.
pub fn notes(tx: &mut Tx<'_>, follower: &str, limit: usize) -> Result<Vec<(RunId, Note, Row)>, StoreError> {
    let rows = tx.scan(notes_of(Some(follower)), limit, false)?;
    let mut notes = Vec::with_capacity(rows.len());
    for (key, row) in rows {
        if let Some((_, run)) = place(&key) {
            notes.push((run, read(&row)?, row));
        }
    }
    Ok(notes)
}

/// The followers for whom notes lie, whether or not they are there, `limit` at most.
pub fn told(tx: &mut Tx<'_>, limit: usize) -> Result<Vec<(String, RunId)>, StoreError> {
    let rows = tx.scan(notes_of(None), limit, false)?;
    Ok(rows.iter().filter_map(|(key, _)| place(key)).collect())
}

/// Takes the note away, on the condition that it is as it was read.
pub fn take(tx: &mut Tx<'_>, follower: &str, run: RunId, row: &Row) {
    let key = note_key(follower, run);
    tx.unchanged(&key, Some(row));
    tx.batch.delete(key);
}

/// Throws the note away.
pub fn forget(batch: &mut Batch, follower: &str, run: RunId) {
    batch.delete(note_key(follower, run));
}

fn notes_of(follower: Option<&str>) -> KeyRange {
    let names: Vec<&str> = [ENDED].into_iter().chain(follower).collect();
    keys::prefix_range(keys::named(Space::Cursor, &names))
}

fn place(key: &[u8]) -> Option<(String, RunId)> {
    match keys::parse(key)? {
        Place::Named { names, .. } => match names.as_slice() {
            [_, follower, run] => Some((follower.clone(), run.parse().ok()?)),
            _ => None,
        },
        _ => None,
    }
}

fn write(row: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(row).expect("it is plain data")
}

fn read<T: serde::de::DeserializeOwned>(row: &Row) -> Result<T, StoreError> {
    rmp_serde::from_slice(&row.value).map_err(|error| StoreError::Corrupt {
        path: "what a follower is told".into(),
        reason: error.to_string(),
    })
}
