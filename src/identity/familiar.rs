//! Networks from which a user has logged in: wrong passwords from there are counted apart from those of strangers, so that
//! whoever guesses at a name from elsewhere keeps nobody out who comes from where they always come from.
//!
//! A few networks for each user, as salted hashes, for a month after the last login. Whoever sits in such a network and in
//! another one can tell by it that the user exists; that strangers could lock everybody out for ever would be worse.

use serde::{Deserialize, Serialize};

use super::rows::Found;
use crate::store::keys::{self, Space};
use crate::store::{Batch, Durability, Store, StoreError};

/// Networks of one user; the one that was used longest ago makes room.
const NETWORKS_MAX: usize = 8;

/// How long one counts that nobody logs in from.
const LASTS_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// How coarsely the last login is noted.
const NOTED_EVERY_MS: i64 = 24 * 60 * 60 * 1000;

/// The hashes of the networks, each with its last login.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Networks(Vec<(u64, i64)>);

fn read(store: &dyn Store, user: &str) -> Result<Found<Networks>, StoreError> {
    Found::read(store, Space::Guess, &format!("networks {user}"))
}

/// The row that counts the tries at `user` from `network`.
fn row(user: &str, network: u64) -> String {
    format!("user {user} from {network:016x}")
}

/// The row that counts the tries at `user` from `network`, if it is one of theirs.
pub(super) fn counter(store: &dyn Store, user: &str, network: u64, now_ms: i64) -> Result<Option<String>, StoreError> {
    let networks = read(store, user)?.value.unwrap_or_default();
    let is_theirs = |(hash, last_ms): &(u64, i64)| *hash == network && now_ms - last_ms < LASTS_MS;
    Ok(networks.0.iter().any(is_theirs).then(|| row(user, network)))
}

/// From here on `network` is one of `user`, who has logged in from there.
pub(super) fn note(store: &dyn Store, user: &str, network: u64, now_ms: i64) -> Result<(), StoreError> {
    let found = read(store, user)?;
    let mut networks = found.value.clone().unwrap_or_default();
    let is_noted = |last_ms: i64| (0..NOTED_EVERY_MS).contains(&(now_ms - last_ms));
    if networks
        .0
        .iter()
        .any(|(hash, last_ms)| *hash == network && is_noted(*last_ms))
    {
        return Ok(());
    }
    let mut batch = Batch::new();
    networks.0.retain(|(hash, _)| *hash != network);
    if networks.0.len() >= NETWORKS_MAX {
        // The longest ago stands first.
        let (gone, _) = networks.0.remove(0);
        batch.delete(keys::named(Space::Guess, &[&row(user, gone)]));
    }
    networks.0.push((network, now_ms));
    found.put(&mut batch, &networks);
    match store.commit(batch, Durability::Soon) {
        // Another login has noted its own; the next one notes this.
        Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Fills `batch` with: no wrong password from any of their networks is held against `user`.
pub(super) fn forget(store: &dyn Store, user: &str, batch: &mut Batch) -> Result<(), StoreError> {
    for (network, _) in read(store, user)?.value.unwrap_or_default().0 {
        batch.delete(keys::named(Space::Guess, &[&row(user, network)]));
    }
    Ok(())
}
