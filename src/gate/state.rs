//! Rows in which policies keep their state, shared by all runs and nodes behind preconditions.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::tx::Ground;
use crate::store::{Batch, Durability, Precondition, Row, Store, StoreError};

/// How often a state is read again because somebody else changed it in between. Of as many as want to change it at
/// once only one succeeds, and nobody sees to it that it is another one each time.
const CONFLICTS_MAX: u32 = 10_000;

/// Reads the state under `key`, lets `change` alter it, and writes it if it was altered. `change` may be called again
/// when another run was quicker. What cannot be decoded (an older form) starts anew.
pub(super) fn update<S, T>(ground: &Ground, key: &[u8], change: impl Fn(&mut S) -> T) -> Result<T, StoreError>
where
    S: Default + Clone + PartialEq + Serialize + DeserializeOwned,
{
    let mut conflicts = 0;
    loop {
        let row = ground.store.get(key)?;
        let before: S = decode(row.as_ref());
        let mut after = before.clone();
        let result = change(&mut after);
        if after == before {
            return Ok(result);
        }
        let mut batch = Batch::new();
        let precondition = row
            .as_ref()
            .map_or(Precondition::Absent, |row| Precondition::At(row.version));
        batch.require(key.to_vec(), precondition);
        batch.put(
            key.to_vec(),
            rmp_serde::to_vec_named(&after).expect("a policy's state is plain data"),
        );
        match ground.store.commit(batch, Durability::Soon) {
            Ok(_) => return Ok(result),
            Err(StoreError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
            Err(error) => return Err(error),
        }
    }
}

/// The state under `key` as it is now.
pub fn read<S: Default + DeserializeOwned>(store: &dyn Store, key: &[u8]) -> Result<S, StoreError> {
    Ok(decode(store.get(key)?.as_ref()))
}

fn decode<S: Default + DeserializeOwned>(row: Option<&Row>) -> S {
    row.and_then(|row| rmp_serde::from_slice(&row.value).ok())
        .unwrap_or_default()
}
