//! How many jobs a queue holds, without a row that everybody must write.

use serde::{Deserialize, Serialize};

use super::{JOBS_MAX, read, write};
use crate::store::keys::{self, QueueRow};
use crate::store::{StoreError, Tx};

/// Rows over which the tally of those that left is spread.
const PARTS: u64 = 16;

/// What pushing must know of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    /// The number of the next job.
    next: u64,
    /// Up to this number there is room, whatever leaves meanwhile.
    #[serde(default)]
    room_until: u64,
    /// Jobs that had left before the tallies were kept.
    #[serde(default)]
    left: u64,
    /// As earlier hosts counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    live: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dead: Option<u64>,
}

/// The number of a job that is pushed now; refused when the queue is full.
pub(super) fn next_number(tx: &mut Tx<'_>, queue: &str) -> Result<u64, StoreError> {
    let key = keys::queue(tx.realm, queue, &QueueRow::Head);
    let row = tx.get(&key)?;
    let mut head: Head = match &row {
        Some(row) => read(&key, row)?,
        None => Head::default(),
    };
    if let Some(live) = head.live.take() {
        head.left = head.next.saturating_sub(live + head.dead.take().unwrap_or(0));
    }
    if head.next >= head.room_until {
        let present = head.next.saturating_sub(head.left + left(tx, queue)?);
        if present >= JOBS_MAX {
            return Err(StoreError::Refused {
                code: "QUEUE_FULL",
                reason: format!("the queue {queue:?} holds {JOBS_MAX} jobs; take some, or remove dead ones"),
            });
        }
        head.room_until = head.next + (JOBS_MAX - present);
    }
    let number = head.next;
    head.next += 1;
    tx.unchanged(&key, row.as_ref());
    tx.batch.put(key, write(&head));
    Ok(number)
}

/// Whether the queue has ever held a job.
pub(super) fn is_known(tx: &mut Tx<'_>, queue: &str) -> Result<bool, StoreError> {
    let key = keys::queue(tx.realm, queue, &QueueRow::Head);
    Ok(tx.get(&key)?.is_some())
}

/// Lets the numbers of a queue that was not known in the realm of `to`, and holds `present` jobs there now, go on where
/// those in the realm of `from` do.
pub(super) fn carry_over(from: &mut Tx<'_>, to: &mut Tx<'_>, queue: &str, present: u64) -> Result<(), StoreError> {
    let original = keys::queue(from.realm, queue, &QueueRow::Head);
    let original: Head = match from.get(&original)? {
        Some(row) => read(&original, &row)?,
        None => Head::default(),
    };
    let key = keys::queue(to.realm, queue, &QueueRow::Head);
    let row = to.get(&key)?;
    let head = Head {
        next: original.next,
        left: original.next.saturating_sub(present),
        ..Head::default()
    };
    to.unchanged(&key, row.as_ref());
    to.batch.put(key, write(&head));
    Ok(())
}

/// Counts a job that leaves.
pub(super) fn leave(tx: &mut Tx<'_>, queue: &str, number: u64) -> Result<(), StoreError> {
    let part = u8::try_from(number % PARTS).expect("there are few parts");
    let key = keys::queue(tx.realm, queue, &QueueRow::Left(part));
    let pending = tx.batch.puts.iter().find(|(put, _)| *put == key);
    // Others may leave in the same batch.
    if let Some((_, value)) = pending {
        let left: u64 = rmp_serde::from_slice(value).expect("it was written here");
        tx.batch.put(key, write(&(left + 1)));
        return Ok(());
    }
    let row = tx.get(&key)?;
    let left: u64 = match &row {
        Some(row) => read(&key, row)?,
        None => 0,
    };
    tx.unchanged(&key, row.as_ref());
    tx.batch.put(key, write(&(left + 1)));
    Ok(())
}

/// How many have left since the tallies are kept.
fn left(tx: &mut Tx<'_>, queue: &str) -> Result<u64, StoreError> {
    let rows = tx.scan(keys::queue_left(tx.realm, queue), 256, false)?;
    rows.iter().map(|(key, row)| read::<u64>(key, row)).sum()
}

#[cfg(test)]
mod tests {
    use super::super::{Wanted, push, remove};
    use super::*;
    use crate::store::test_ground::{ground, transact};
    use crate::store::tx::Ground;
    use crate::store::{Durability, Realm};
    use crate::value::Value;

    fn with_head(head: &impl Serialize) -> Ground {
        let ground = ground(&[]);
        let mut tx = Tx::new(&ground, Realm::Live, 0);
        tx.batch
            .put(keys::queue(Realm::Live, "q", &QueueRow::Head), write(head));
        ground.store.commit(tx.batch, Durability::Soon).unwrap();
        ground
    }

    fn pushed(ground: &Ground) -> Result<u64, StoreError> {
        transact(ground, 0, |tx| push(tx, "q", &Value::Int(7), &Wanted::default())).map(|pushed| pushed.job)
    }

    #[test]
    fn a_full_queue_takes_one_more_for_each_that_left() {
        let ground = with_head(&Head {
            next: JOBS_MAX - 1,
            ..Head::default()
        });
        assert_eq!(pushed(&ground).unwrap(), JOBS_MAX - 1);
        assert_eq!(pushed(&ground).unwrap_err().code(), "QUEUE_FULL");
        assert!(transact(&ground, 0, |tx| remove(tx, "q", JOBS_MAX - 1)).unwrap());
        assert_eq!(pushed(&ground).unwrap(), JOBS_MAX);
        assert_eq!(pushed(&ground).unwrap_err().code(), "QUEUE_FULL");
    }

    #[test]
    fn the_count_of_an_earlier_host_is_gone_on_with() {
        #[derive(Serialize)]
        struct Earlier {
            next: u64,
            live: u64,
            dead: u64,
        }
        let earlier = Earlier {
            next: 5_000_000,
            live: JOBS_MAX - 3,
            dead: 2,
        };
        let ground = with_head(&earlier);
        assert_eq!(pushed(&ground).unwrap(), 5_000_000);
        assert_eq!(pushed(&ground).unwrap_err().code(), "QUEUE_FULL");
    }
}
