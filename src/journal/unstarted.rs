//! Runs that a trigger did not start, because it could not or must not: the last of each playbook, and how many there were.
//!
//! It is written in the batch by which what would have started the run is done with, so nothing that came goes without a trace.

use serde::{Deserialize, Serialize};

use crate::effect::Failure;
use crate::store::keys::{self, Place, Space};
use crate::store::{Store, StoreError, Tx};

/// The first name of the rows.
const UNSTARTED: &str = "unstarted";

/// The most playbooks that are told of.
const ROWS_MAX: usize = 10_000;

/// What was not started of a playbook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unstarted {
    pub count: u64,
    /// Of the last one: when, by what it would have been started, and why it was not.
    pub at_ms: i64,
    pub trigger: String,
    pub code: String,
    pub message: String,
}

/// Notes that `playbook` was not started by `trigger`.
pub fn note(tx: &mut Tx<'_>, playbook: &str, trigger: &str, why: &Failure) -> Result<(), StoreError> {
    let key = keys::named(Space::Cursor, &[UNSTARTED, playbook]);
    // Others may have been noted in the same batch.
    let pending = tx.batch.puts.iter().find(|(put, _)| *put == key);
    let before = match pending {
        Some((_, value)) => Some(value.clone()),
        None => tx.get(&key)?.map(|row| row.value),
    };
    let before: Option<Unstarted> = before.and_then(|value| rmp_serde::from_slice(&value).ok());
    let last = Unstarted {
        count: before.map_or(0, |before| before.count) + 1,
        at_ms: tx.now_ms,
        trigger: trigger.to_owned(),
        code: why.code.clone(),
        message: why.message.clone(),
    };
    tx.batch
        .put(key, rmp_serde::to_vec_named(&last).expect("it is plain data"));
    Ok(())
}

/// The playbooks of which something was not started since `since_ms`.
pub fn since(store: &dyn Store, since_ms: i64) -> Result<Vec<(String, Unstarted)>, StoreError> {
    let range = keys::prefix_range(keys::named(Space::Cursor, &[UNSTARTED]));
    let mut found = Vec::new();
    for (key, row) in store.scan(range, ROWS_MAX, false)? {
        let Some(Place::Named { names, .. }) = keys::parse(&key) else {
            continue;
        };
        let last: Option<Unstarted> = rmp_serde::from_slice(&row.value).ok();
        if let (Some(playbook), Some(last)) = (names.into_iter().nth(1), last)
            && last.at_ms >= since_ms
        {
            found.push((playbook, last));
        }
    }
    Ok(found)
}
