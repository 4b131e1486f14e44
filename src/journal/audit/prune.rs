//! Takes away acts that are old enough. A checkpoint keeps the hash of the last of them, and the pruning itself is an act
//! that names it, so what is left can be verified as before.

use super::look::{self, ROWS_AT_ONCE};
use super::{Act, Actor, AuditError, Checkpoint, Head, KEPT_DAYS_MIN, chain, checkpoint_key, hash, row_key};
use crate::store::{Batch, Durability, Precondition, Store, StoreError};

/// The act by which acts are taken away.
pub(super) const PRUNED: &str = "audit.prune";

/// Acts taken away at once.
const AT_ONCE: usize = 10 * ROWS_AT_ONCE;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The acts that [`prune`] would take away: how many, and up to which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prunable {
    pub acts: u64,
    pub up_to: Option<u64>,
}

/// What is older than `days` days, from the beginning of the chain on.
pub fn prunable(store: &dyn Store, days: u32, now_ms: i64) -> Result<Prunable, AuditError> {
    let mut found = Prunable::default();
    each_old(store, days, now_ms, usize::MAX, |number, _| {
        found.acts += 1;
        found.up_to = Some(number);
    })?;
    Ok(found)
}

/// Takes away what is older than `days` days; gives how many acts those were.
pub fn prune(store: &dyn Store, actor: &Actor, days: u32, now_ms: i64) -> Result<u64, AuditError> {
    let mut pruned = 0;
    loop {
        let mut batch = Batch::new();
        let (mut last, mut count) = (None, 0);
        each_old(store, days, now_ms, AT_ONCE, |number, line| {
            batch.deletes.push(row_key(number));
            last = Some(Head {
                number,
                hash: hash(line),
            });
            count += 1;
        })?;
        let Some(up_to) = last else {
            return Ok(pruned);
        };
        let row = store.get(&checkpoint_key())?;
        let precondition = row.map_or(Precondition::Absent, |row| Precondition::At(row.version));
        batch.require(checkpoint_key(), precondition);
        let act = Act::new(PRUNED, "audit")
            .with("up_to", up_to.number)
            .with("hash", up_to.hash.clone())
            .with("acts", count);
        let checkpoint = Checkpoint { up_to, at_ms: now_ms };
        let value = serde_json::to_vec(&checkpoint).expect("it is plain data");
        batch.put(checkpoint_key(), value);
        match chain::commit(store, batch, Durability::Now, actor, &act, now_ms) {
            Ok(_) => pruned += count,
            // Somebody else prunes, too.
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Shows acts from the beginning of the chain on as long as they are old, `limit` at most.
fn each_old(
    store: &dyn Store,
    days: u32,
    now_ms: i64,
    limit: usize,
    mut show: impl FnMut(u64, &[u8]),
) -> Result<(), AuditError> {
    if days < KEPT_DAYS_MIN {
        return Err(AuditError::Kept { days });
    }
    let before_ms = now_ms.saturating_sub(i64::from(days) * DAY_MS);
    let Some(line) = look::first(store)? else {
        return Ok(());
    };
    let (mut next, mut seen) = (look::read(&line)?.number, 0);
    while seen < limit {
        let low = std::ops::Bound::Included(row_key(next));
        let high = std::ops::Bound::Included(row_key(u64::MAX));
        let rows = store.scan((low, high), ROWS_AT_ONCE.min(limit - seen), false)?;
        if rows.is_empty() {
            return Ok(());
        }
        for (_, row) in &rows {
            let entry = look::read(&row.value)?;
            // A clock that was set back once must not keep everything after it.
            if entry.at_ms >= before_ms {
                return Ok(());
            }
            show(entry.number, &row.value);
            next = entry.number + 1;
            seen += 1;
        }
    }
    Ok(())
}
