//! Puts, deletes and preconditions that succeed or fail together.

use super::engine::{BATCH_BYTES_MAX, FIRST_KEY, VALUE_BYTES_MAX};
use super::keys::KEY_BYTES_MAX;
use super::{CommitNo, StoreError};
use crate::id::ContentHash;

/// What must be true of a key for its batch to be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// There is no such key.
    Absent,
    /// The key was last written by this commit.
    At(CommitNo),
}

impl Precondition {
    /// Whether this is true of a key last written by `found`, or of one that is not there.
    pub fn holds(self, found: Option<CommitNo>) -> bool {
        match self {
            Precondition::Absent => found.is_none(),
            Precondition::At(version) => found == Some(version),
        }
    }
}

/// One change of the store, applied whole or not at all. The last word on a key counts.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub puts: Vec<(Vec<u8>, Vec<u8>)>,
    pub deletes: Vec<Vec<u8>>,
    pub preconditions: Vec<(Vec<u8>, Precondition)>,
    /// Content files that values of this batch name; they are synced before the batch becomes durable.
    pub contents: Vec<ContentHash>,
}

impl Batch {
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Whether applying this would change nothing and check nothing.
    pub fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.deletes.is_empty() && self.preconditions.is_empty()
    }

    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.deletes.retain(|deleted| *deleted != key);
        match self.puts.iter_mut().find(|(present, _)| *present == key) {
            Some(put) => put.1 = value,
            None => self.puts.push((key, value)),
        }
    }

    pub fn delete(&mut self, key: Vec<u8>) {
        self.puts.retain(|(put, _)| *put != key);
        self.deletes.push(key);
    }

    pub fn require(&mut self, key: Vec<u8>, precondition: Precondition) {
        self.preconditions.push((key, precondition));
    }

    /// Adds all of `other` after what is here.
    pub fn append(&mut self, other: Batch) {
        for key in other.deletes {
            self.delete(key);
        }
        for (key, value) in other.puts {
            self.put(key, value);
        }
        self.preconditions.extend(other.preconditions);
        self.contents.extend(other.contents);
    }
}

pub(super) fn check_limits(batch: &Batch) -> Result<(), StoreError> {
    let puts = batch.puts.iter().map(|(key, _)| key);
    let checked = batch.preconditions.iter().map(|(key, _)| key);
    for key in puts.chain(&batch.deletes).chain(checked) {
        StoreError::check_size("the key", key.len(), KEY_BYTES_MAX)?;
        if key.as_slice() < FIRST_KEY {
            let name = hex::encode(key);
            return Err(StoreError::BadName {
                what: "key",
                name,
                rule: "it must begin with a byte other than 0",
            });
        }
    }
    for (key, value) in &batch.puts {
        if value.len() > VALUE_BYTES_MAX {
            StoreError::check_size(&super::keys::describe(key), value.len(), VALUE_BYTES_MAX)?;
        }
    }
    let bytes = batch.puts.iter().map(|(key, value)| key.len() + value.len()).sum();
    StoreError::check_size("the batch", bytes, BATCH_BYTES_MAX)
}
