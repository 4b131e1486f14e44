//! Rows as they lie in the store, and secrets as they are compared.

use std::ops::Bound;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::denied::IdentityError;
use crate::io::chance::Chance;
use crate::store::keys::{self, Space};
use crate::store::{Batch, CommitNo, Durability, Precondition, Row, Store, StoreError};

/// How often a change is made anew because somebody else was quicker.
const CONFLICTS_MAX: u32 = 1000;

/// Rows read at a time.
const ROWS_AT_ONCE: usize = 1000;

pub(super) fn encode(row: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(row).expect("it is plain data")
}

pub(super) fn decode<T: DeserializeOwned>(row: &Row, what: &str) -> Result<T, StoreError> {
    rmp_serde::from_slice(&row.value).map_err(|error| StoreError::Corrupt {
        path: what.into(),
        reason: error.to_string(),
    })
}

/// A row that was read: what it says, and that it must still be so when a change of it is committed.
pub(super) struct Found<T> {
    key: Vec<u8>,
    row: Option<Row>,
    pub value: Option<T>,
}

impl<T: Serialize + DeserializeOwned> Found<T> {
    pub fn read(store: &dyn Store, space: Space, name: &str) -> Result<Found<T>, StoreError> {
        let key = keys::named(space, &[name]);
        let row = store.get(&key)?;
        let value = row.as_ref().map(|row| decode(row, &keys::describe(&key))).transpose()?;
        Ok(Found { key, row, value })
    }

    /// Fills `batch` with what it says from now on.
    pub fn put(&self, batch: &mut Batch, value: &T) {
        self.unchanged(batch);
        batch.put(self.key.clone(), encode(value));
    }

    /// Demands what is not so any more: whoever commits this reads everything anew.
    pub fn stale(&self, batch: &mut Batch) {
        batch.require(self.key.clone(), Precondition::At(CommitNo(u64::MAX)));
    }

    /// Demands that it be as it was read.
    pub fn unchanged(&self, batch: &mut Batch) {
        let precondition = self
            .row
            .as_ref()
            .map_or(Precondition::Absent, |row| Precondition::At(row.version));
        batch.require(self.key.clone(), precondition);
    }
}

/// All rows of a space.
pub(super) fn all<T: DeserializeOwned>(store: &dyn Store, space: Space) -> Result<Vec<T>, StoreError> {
    let (mut low, high) = keys::prefix_range(keys::named(space, &[]));
    let mut found = Vec::new();
    loop {
        let rows = store.scan((low, high.clone()), ROWS_AT_ONCE, false)?;
        for (key, row) in &rows {
            found.push(decode(row, &keys::describe(key))?);
        }
        match rows.into_iter().nth(ROWS_AT_ONCE - 1) {
            Some((last, _)) => low = Bound::Excluded(last),
            None => return Ok(found),
        }
    }
}

/// Makes a change in one durable commit; anew when somebody else was quicker.
pub(super) fn change<T>(
    store: &dyn Store,
    mut fill: impl FnMut(&mut Batch) -> Result<T, IdentityError>,
) -> Result<T, IdentityError> {
    let mut conflicts = 0;
    loop {
        let mut batch = Batch::new();
        let result = fill(&mut batch)?;
        match store.commit(batch, Durability::Now) {
            Ok(_) => return Ok(result),
            Err(StoreError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Notes that something was used. That it is not noted keeps nobody out: whoever looks why nothing can be written, when the
/// disk is full, must be let in.
pub(super) fn note(store: &dyn Store, batch: Batch) {
    match store.commit(batch, Durability::Soon) {
        // Another request has noted it, or somebody has just changed it.
        Ok(_) | Err(StoreError::Conflict { .. }) => {}
        Err(error) => tracing::debug!(%error, code = error.code(), "the use of a token or a session is not noted"),
    }
}

/// 256 bits of chance, in 43 letters.
pub(super) fn new_secret(chance: &dyn Chance) -> String {
    let mut bytes = [0; 32];
    for part in bytes.chunks_exact_mut(8) {
        part.copy_from_slice(&chance.bits().to_be_bytes());
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

/// How many letters a secret has.
pub(super) const SECRET_CHARS: usize = 43;

/// The hash by which a secret of 256 bits is stored: with so much chance in it, a slow one would add nothing.
pub(super) fn hash_of(kind: &str, secret: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(kind.as_bytes());
    hasher.update([0]);
    hasher.update(secret.as_bytes());
    hex::encode(hasher.finalize())
}

/// Whether both are the same, in a time that does not tell where they differ.
pub(super) fn is_same(a: &[u8], b: &[u8]) -> bool {
    let differs = a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b));
    a.len() == b.len() && std::hint::black_box(differs) == 0
}
