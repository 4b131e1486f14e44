//! Links an act to the end of the chain, in the batch of the change it tells of.
//!
//! The chain's head is a row, and every link is made on the condition that it has not moved. Commits are made in memory
//! and wait for the disk afterwards, so the next act can be linked while this one is on its way: who was too slow makes
//! the link anew, which costs microseconds.

use super::{Act, Actor, DETAILS_BYTES_MAX, Entry, Head, TARGET_CHARS_MAX, WHO_CHARS_MAX};
use super::{hash, head_key, head_row, row_key};
use crate::store::{Batch, CommitNo, Durability, Precondition, Store, StoreError};

/// How often a link is made anew. Of as many as want to link at once only one succeeds, and nobody sees to it that it is
/// another one each time.
const CONFLICTS_MAX: u32 = 10_000;

/// Commits `batch` together with the act it carries out. A conflict about the chain is solved here; one about the change
/// itself is the caller's.
pub fn commit(
    store: &dyn Store,
    batch: Batch,
    durability: Durability,
    actor: &Actor,
    act: &Act,
    at_ms: i64,
) -> Result<CommitNo, StoreError> {
    let mut conflicts = 0;
    loop {
        let mut linked = batch.clone();
        let head = link(store, &mut linked, actor, act, at_ms)?;
        match store.commit(linked, durability) {
            Err(StoreError::Conflict { key })
                if (key == head_key() || key == row_key(head.number)) && conflicts < CONFLICTS_MAX =>
            {
                conflicts += 1;
            }
            done => return done,
        }
    }
}

/// Writes down an act by itself: one that changes no row, or whose change follows.
pub fn record(
    store: &dyn Store,
    durability: Durability,
    actor: &Actor,
    act: &Act,
    at_ms: i64,
) -> Result<CommitNo, StoreError> {
    commit(store, Batch::new(), durability, actor, act, at_ms)
}

/// Fills `batch` with the act at the end of the chain; gives the end that it makes.
fn link(store: &dyn Store, batch: &mut Batch, actor: &Actor, act: &Act, at_ms: i64) -> Result<Head, StoreError> {
    let (before, row) = head_row(store)?;
    let line = line(&before, actor, act, at_ms);
    let head = Head {
        number: before.number + 1,
        hash: hash(&line),
    };
    let precondition = row.map_or(Precondition::Absent, |row| Precondition::At(row.version));
    batch.require(head_key(), precondition);
    batch.require(row_key(head.number), Precondition::Absent);
    batch.put(row_key(head.number), line);
    let value = serde_json::to_vec(&head).expect("it is plain data");
    batch.put(head_key(), value);
    Ok(head)
}

fn line(before: &Head, actor: &Actor, act: &Act, at_ms: i64) -> Vec<u8> {
    let cut = |text: &str, chars: usize| text.chars().take(chars).collect::<String>();
    let mut details = act.details.clone();
    let bytes = serde_json::to_vec(&details).map_or(0, |json| json.len());
    if bytes > DETAILS_BYTES_MAX {
        details = serde_json::Map::from_iter([("omitted_bytes".to_owned(), bytes.into())]);
    }
    if let Some(token) = &actor.token {
        details.insert("by_token".to_owned(), cut(token, WHO_CHARS_MAX).into());
    }
    let at = chrono::DateTime::from_timestamp_millis(at_ms).unwrap_or_default();
    let entry = Entry {
        number: before.number + 1,
        at: at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        at_ms,
        who: cut(&actor.who, WHO_CHARS_MAX),
        org: actor.org.as_deref().map(|org| cut(org, WHO_CHARS_MAX)),
        via: actor.via,
        what: cut(&act.what, WHO_CHARS_MAX),
        target: cut(&act.target, TARGET_CHARS_MAX),
        details,
        corr: cut(&actor.corr, WHO_CHARS_MAX),
        prev: before.hash.clone(),
    };
    serde_json::to_vec(&entry).expect("it is plain data")
}
