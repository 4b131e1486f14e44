//! Rows of a large collection, read by one thread while another looks at them.
//!
//! To read a row (the tree's pages, its checksum) costs about as much as to look at it, so the two are done side by side.
//! Rows come in the order of their keys and are all of one moment. *Invariant:* the reading thread asks for no memory and
//! gives none back: the batches are the caller's, before and after, because what a run holds is counted by thread.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::store::{KeyRange, StoreError, Tx};

/// Fewer rows than this are not worth a thread.
const FEW: usize = 512;

/// Batches on their way.
const BATCHES: usize = 4;

/// Room in a batch; a row has half of it at most, since larger values lie in files.
const BATCH_BYTES: usize = 256 << 10;
const BATCH_ROWS: usize = 4096;

/// The stack of the reading thread.
const STACK_BYTES: usize = 512 << 10;

/// Is shown rows: key and value.
pub(super) type Look<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Shows the rows of `range` to `look`, as [`Tx::visit`] does.
pub(super) fn visit(tx: &mut Tx<'_>, range: KeyRange, look: &mut Look<'_>) -> Result<(), StoreError> {
    if !is_few(tx, range.clone())? {
        match beside(tx, range.clone(), look) {
            Some(read) => return read,
            None => tracing::debug!("no thread to read ahead with"),
        }
    }
    tx.visit(range, &mut |key, row, _| look(key, row))
}

fn is_few(tx: &mut Tx<'_>, range: KeyRange) -> Result<bool, StoreError> {
    let mut rows = 0;
    tx.visit(range, &mut |_, _, _| {
        rows += 1;
        match rows < FEW {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    Ok(rows < FEW)
}

/// Rows one behind the other.
struct Batch {
    bytes: Vec<u8>,
    /// Where each row's key ends, and where its value does.
    ends: Vec<(usize, usize)>,
}

impl Batch {
    fn new() -> Batch {
        Batch {
            bytes: Vec::with_capacity(BATCH_BYTES),
            ends: Vec::with_capacity(BATCH_ROWS),
        }
    }

    fn has_room(&self, key: &[u8], row: &[u8]) -> bool {
        let bytes = self.bytes.len() + key.len() + row.len();
        self.ends.is_empty() || (bytes <= BATCH_BYTES && self.ends.len() < BATCH_ROWS)
    }

    fn push(&mut self, key: &[u8], row: &[u8]) {
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(row);
        self.ends.push((key_end, self.bytes.len()));
    }

    fn show(&self, look: &mut Look<'_>) -> ControlFlow<()> {
        let mut start = 0;
        for &(key_end, end) in &self.ends {
            look(&self.bytes[start..key_end], &self.bytes[key_end..end])?;
            start = end;
        }
        ControlFlow::Continue(())
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// What the reading thread gives back.
type Read = (Result<(), StoreError>, Option<Batch>, Receiver<Batch>);

/// `None` when there is no thread to be had; nothing has been shown then.
fn beside(tx: &mut Tx<'_>, range: KeyRange, look: &mut Look<'_>) -> Option<Result<(), StoreError>> {
    let (give, empty) = channel();
    let (hand_over, full) = channel();
    (0..BATCHES).for_each(|_| give.send(Batch::new()).unwrap_or_default());
    std::thread::scope(|scope| {
        let reader = std::thread::Builder::new()
            .name("read ahead".to_owned())
            .stack_size(STACK_BYTES);
        let reader = reader
            .spawn_scoped(scope, move || read(tx, range, empty, &hand_over))
            .ok()?;
        let mut full = Some(full);
        while let Some(mut batch) = full.as_ref().and_then(|full| full.recv().ok()) {
            if batch.show(look).is_break() {
                // Whoever reads finds nobody to hand the next one over to.
                full = None;
            }
            batch.clear();
            give.send(batch).unwrap_or_default();
        }
        let (outcome, last, empty) = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        drop((last, empty));
        Some(outcome)
    })
}

fn read(tx: &mut Tx<'_>, range: KeyRange, empty: Receiver<Batch>, full: &Sender<Batch>) -> Read {
    let mut batch = empty.recv().ok();
    let outcome = tx.visit(range, &mut |key, row, _| {
        if batch.as_ref().is_some_and(|batch| !batch.has_room(key, row)) {
            batch = match batch.take().map(|batch| full.send(batch)) {
                Some(Err(unwanted)) => Some(unwanted.0),
                _ => match empty.recv() {
                    Ok(next) => Some(next),
                    Err(_) => return ControlFlow::Break(()),
                },
            };
        }
        match batch.as_mut().filter(|batch| batch.has_room(key, row)) {
            Some(batch) => {
                batch.push(key, row);
                ControlFlow::Continue(())
            }
            // Nobody wants more.
            None => ControlFlow::Break(()),
        }
    });
    let last = match (&outcome, batch) {
        (Ok(()), Some(batch)) => full.send(batch).err().map(|unwanted| unwanted.0),
        (_, batch) => batch,
    };
    (outcome, last, empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::test_ground::ground;
    use crate::store::{Durability, Realm, keys};

    /// `count` rows whose values are `bytes` long, and what is shown of them until `stop` have been.
    fn shown(count: usize, bytes: usize, stop: usize) -> Vec<(Vec<u8>, usize)> {
        let ground = ground(&[]);
        let range = keys::prefix_range(keys::kv_prefix(Realm::Dry, ""));
        for first in (0..count).step_by(500) {
            let mut tx = Tx::new(&ground, Realm::Dry, 0);
            for number in first..(first + 500).min(count) {
                let key = keys::kv(Realm::Dry, &format!("{number:06}"));
                tx.batch.puts.push((key, vec![7; bytes + number % 3]));
            }
            ground.store.commit(tx.batch, Durability::Soon).unwrap();
        }
        let mut shown = Vec::new();
        let mut tx = Tx::new(&ground, Realm::Dry, 0);
        visit(&mut tx, range, &mut |key, row| {
            shown.push((key.to_vec(), row.len()));
            match shown.len() < stop {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })
        .unwrap();
        assert!(tx.seen > crate::store::CommitNo::default() || count == 0);
        shown
    }

    fn expected(count: usize, bytes: usize) -> Vec<(Vec<u8>, usize)> {
        let row = |number: usize| (keys::kv(Realm::Dry, &format!("{number:06}")), bytes + number % 3);
        (0..count).map(row).collect()
    }

    #[test]
    fn every_row_is_shown_once_and_in_order_however_many_there_are() {
        for count in [
            0,
            1,
            FEW - 1,
            FEW,
            FEW + 1,
            BATCH_ROWS - 1,
            BATCH_ROWS,
            3 * BATCH_ROWS + 1,
        ] {
            assert_eq!(shown(count, 10, usize::MAX), expected(count, 10), "{count}");
        }
        // Few to a batch, and more batches than are on their way at once.
        assert_eq!(shown(600, 60_000, usize::MAX), expected(600, 60_000));
    }

    #[test]
    fn whoever_looks_may_stop_anywhere() {
        for stop in [1, 2, FEW, BATCH_ROWS, BATCH_ROWS + 1, 9_000] {
            assert_eq!(shown(9_000, 100, stop), expected(stop, 100)[..], "{stop}");
        }
    }
}
