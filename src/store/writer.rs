//! Takes generations of [pending](super::pending) commits to the file, each in one durable transaction.
//!
//! A generation goes as soon as somebody waits for one of its commits, or the oldest is about to be 100 ms old, or they
//! are many. Meanwhile others gather in the next; that is the group commit. Who waits and finds no other on the way
//! takes the generation himself, without handing it to another thread and back; for all others a thread does it.
//!
//! *Invariant:* one generation at a time is on its way: `flushing` is set and cleared under the lock, and only who sets
//! it writes. Whoever waits is answered, whatever happens. After a failure of the storage redb takes no more; then this
//! and every later wait and commit is answered with that failure.

use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use redb::Database;

use super::StoreError;
use super::effort::Stopwatch;
use super::engine::{LAST_COMMIT_KEY, ROWS, Shared, guard};
use super::pending::Generation;
use super::row::write_row;

/// How old a commit may grow before its sync begins. It must end before 100 ms have passed.
const SYNC_AFTER: Duration = Duration::from_millis(80);

/// The thread, and the way to end it.
pub(super) struct Writer {
    thread: JoinHandle<()>,
}

impl Writer {
    pub(super) fn start(shared: Arc<Shared>) -> Result<Writer, StoreError> {
        let path = shared.path.clone();
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(&shared))
            .map_err(|error| StoreError::io(&path, &error))?;
        Ok(Writer { thread })
    }

    /// Ends the thread after everything is durable.
    pub(super) fn stop(self, shared: &Shared) {
        shared.lock().is_closing = true;
        shared.work.notify_one();
        self.thread
            .join()
            .expect("the writer catches the panics of the engine, and has none of its own");
    }
}

fn run(shared: &Shared) {
    // A row as it is built, kept for its memory.
    let mut scratch = Vec::new();
    while let Some(generation) = next_generation(shared) {
        // Those who wait are told; the thread ends when it sees the failure.
        drop(flush(shared, &generation, &mut scratch));
    }
}

/// Takes `generation`, which the caller has begun to flush, to the disk, and tells all who wait for it.
pub(super) fn flush(shared: &Shared, generation: &Arc<Generation>, scratch: &mut Vec<u8>) -> Result<(), StoreError> {
    let watch = Stopwatch::start();
    let written = guard(&shared.path, || {
        put_generation(shared.handle().database(), generation, scratch)
    })
    .and_then(|written| written.map_err(|error| shared.explain(error)));
    let took_micros = watch.micros();
    let mut pending = shared.lock();
    let mut outdated = None;
    match &written {
        Ok(()) => {
            pending.flushing = None;
            outdated = pending.snapshot.take();
            pending.durable = generation.last;
            pending.durable_commits += 1;
            pending.effort.synced(took_micros);
            if let Some(tail) = &mut pending.tail {
                tail.push(generation);
            }
        }
        // What could not be written stays visible, so that readers see no step back.
        Err(failure) => drop(shared.failure.set(failure.clone())),
    }
    let open_end = Arc::clone(&pending.open.end);
    let has_more = pending.open.since.is_some();
    drop(pending);
    drop(outdated);
    if has_more || written.is_err() {
        shared.work.notify_one();
    }
    shared.room.notify_all();
    generation.end.tell(written.clone());
    if written.is_err() {
        open_end.tell(written.clone());
    }
    written
}

/// Waits until a generation must be written. `None` when all is written and the store is closing, or when nothing can
/// be written any more.
fn next_generation(shared: &Shared) -> Option<Arc<Generation>> {
    let mut pending = shared.lock();
    loop {
        if shared.failure.get().is_some() {
            return None;
        }
        let since = pending.open.since;
        if since.is_none() && pending.flushing.is_none() && pending.is_closing {
            return None;
        }
        // Whoever is writing says when it is over and there is more.
        let is_free = pending.flushing.is_none() && !pending.is_swapping;
        let Some(since) = since.filter(|_| is_free) else {
            pending = shared.work.wait(pending).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let left = SYNC_AFTER.saturating_sub(since.elapsed());
        if pending.is_due() || left.is_zero() {
            return Some(pending.begin_flush());
        }
        pending = shared
            .work
            .wait_timeout(pending, left)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
}

/// Takes `generation` to the disk of `database`, whole.
pub(super) fn put_generation(
    database: &Database,
    generation: &Generation,
    scratch: &mut Vec<u8>,
) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    // Without it, opening after a crash walks through the whole file.
    transaction.set_quick_repair(true);
    {
        let mut table = transaction.open_table(ROWS)?;
        for (key, row) in &generation.rows {
            match row {
                None => drop(table.remove(key.as_slice())?),
                Some(row) => {
                    write_row(scratch, key, row.version, &row.value);
                    table.insert(key.as_slice(), scratch.as_slice())?;
                }
            }
        }
        write_row(scratch, LAST_COMMIT_KEY, generation.last, &[]);
        table.insert(LAST_COMMIT_KEY, scratch.as_slice())?;
    }
    Ok(transaction.commit()?)
}
