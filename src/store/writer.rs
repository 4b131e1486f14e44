//! The one thread that writes.
//!
//! It drains all waiting batches into one transaction (group commit). If one of them wants the disk, or the oldest
//! unsynced commit is about to be 100 ms old, the transaction is durable, and with it everything before; else it is
//! only made visible, which costs no sync. Each batch's preconditions are checked against the puts of the batches
//! before it and before its own first put, so a conflict leaves no trace.
//!
//! *Invariant:* whoever sent a batch is answered, whatever happens. After a failure of the storage redb takes no more;
//! then this and every later batch is answered with that failure.
#![expect(
    clippy::disallowed_methods,
    reason = "the writer's deadlines are about its own disk, and nothing that scripts see follows from them"
)]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use redb::{ReadableTable, Table};

use super::engine::{LAST_COMMIT_KEY, ROWS, Shared, guard};
use super::row::{read_version, write_row};
use super::{Batch, CommitNo, Durability, Precondition, StoreError};

/// How old a `Soon` may grow before its sync begins. It must end before 100 ms have passed.
const SYNC_AFTER: Duration = Duration::from_millis(80);

/// The most batches in one transaction, which bounds how long the first one waits.
const GROUP_BATCHES_MAX: usize = 1024;

/// The most bytes of values in one transaction, give or take the last batch.
const GROUP_BYTES_MAX: usize = 16 << 20;

type Answer = Result<CommitNo, StoreError>;

/// A request to the thread, with the way back.
struct Request {
    /// `None` asks for a sync only.
    batch: Option<Batch>,
    now: bool,
    answer: SyncSender<Answer>,
}

/// The way to the writer thread.
pub(super) struct Writer {
    requests: Sender<Request>,
    thread: JoinHandle<()>,
}

impl Writer {
    pub(super) fn start(shared: Arc<Shared>) -> Result<Writer, StoreError> {
        let (requests, inbox) = mpsc::channel();
        let path = shared.path.clone();
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || Loop::new(shared).run(&inbox))
            .map_err(|error| StoreError::io(&path, &error))?;
        Ok(Writer { requests, thread })
    }

    /// Commits `batch`; `None` when the thread has ended.
    pub(super) fn commit(&self, batch: Batch, durability: Durability) -> Option<Answer> {
        self.ask(Some(batch), durability == Durability::Now)
    }

    /// Makes everything so far durable; `None` when the thread has ended.
    pub(super) fn sync(&self) -> Option<Result<(), StoreError>> {
        self.ask(None, true).map(|answer| answer.map(drop))
    }

    fn ask(&self, batch: Option<Batch>, now: bool) -> Option<Answer> {
        let (answer, outcome) = mpsc::sync_channel(1);
        self.requests.send(Request { batch, now, answer }).ok()?;
        outcome.recv().ok()
    }

    /// Ends the thread after everything is durable.
    pub(super) fn stop(self) {
        drop(self.requests);
        self.thread
            .join()
            .expect("the writer catches the panics of the engine, and has none of its own");
    }
}

/// What the thread knows.
struct Loop {
    shared: Arc<Shared>,
    last: CommitNo,
    /// When the oldest commit was made that is not yet on disk.
    unsynced_since: Option<Instant>,
    /// A row as it is built, kept for its memory.
    scratch: Vec<u8>,
}

/// What became of a group.
struct Applied {
    answers: Vec<Answer>,
    last: CommitNo,
    batches: u64,
}

impl Loop {
    fn new(shared: Arc<Shared>) -> Loop {
        let last = CommitNo(shared.visible.load(Ordering::Acquire));
        Loop {
            shared,
            last,
            unsynced_since: None,
            scratch: Vec::new(),
        }
    }

    fn run(mut self, inbox: &Receiver<Request>) {
        loop {
            let first = match self.unsynced_since {
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(since) => inbox.recv_timeout(SYNC_AFTER.saturating_sub(since.elapsed())),
            };
            match first {
                Ok(first) => self.serve(drain(inbox, first)),
                Err(RecvTimeoutError::Timeout) => self.serve(Vec::new()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.serve(Vec::new());
    }

    /// Commits a group and answers it. An empty one only syncs.
    fn serve(&mut self, group: Vec<Request>) {
        let overdue = self.unsynced_since.is_some_and(|since| since.elapsed() >= SYNC_AFTER);
        let durable = group.is_empty() || overdue || group.iter().any(|request| request.now);
        let (requests, senders): (Vec<_>, Vec<_>) =
            group.into_iter().map(|request| (request.batch, request.answer)).unzip();
        let answers = match self.commit(requests, durable) {
            Ok(answers) => answers,
            Err(failure) => {
                // The first failure is the cause; what redb says afterwards is only that there was one.
                let failure = self.shared.failure.get_or_init(|| failure).clone();
                self.unsynced_since = None;
                vec![Err(failure); senders.len()]
            }
        };
        for (sender, answer) in senders.into_iter().zip(answers) {
            // Whoever asked may have gone in the meantime; the commit stands.
            drop(sender.send(answer));
        }
    }

    fn commit(&mut self, group: Vec<Option<Batch>>, durable: bool) -> Result<Vec<Answer>, StoreError> {
        if let Some(failure) = self.shared.failure.get() {
            return Err(failure.clone());
        }
        if group.iter().all(Option::is_none) && self.unsynced_since.is_none() {
            return Ok(vec![Ok(self.last); group.len()]);
        }
        let path = self.shared.path.clone();
        let applied = guard(&path, || self.transact(group, durable))?.map_err(|error| self.shared.explain(error))?;
        self.publish(&applied, durable);
        Ok(applied.answers)
    }

    /// Carries out one transaction.
    fn transact(&mut self, group: Vec<Option<Batch>>, durable: bool) -> Result<Applied, redb::Error> {
        let mut applied = Applied {
            answers: Vec::with_capacity(group.len()),
            last: self.last,
            batches: 0,
        };
        let mut transaction = self.shared.database().begin_write()?;
        let durability = if durable {
            redb::Durability::Immediate
        } else {
            redb::Durability::None
        };
        transaction.set_durability(durability)?;
        // Without it, opening after a crash walks through the whole file.
        transaction.set_quick_repair(durable);
        {
            let mut table = transaction.open_table(ROWS)?;
            for batch in group {
                let Some(batch) = batch else {
                    applied.answers.push(Ok(applied.last));
                    continue;
                };
                if let Some(refusal) = self.refusal(&table, &batch)? {
                    applied.answers.push(Err(refusal));
                    continue;
                }
                applied.last = CommitNo(applied.last.0 + 1);
                applied.batches += 1;
                for key in &batch.deletes {
                    table.remove(key.as_slice())?;
                }
                for (key, value) in &batch.puts {
                    write_row(&mut self.scratch, key, applied.last, value);
                    table.insert(key.as_slice(), self.scratch.as_slice())?;
                }
                applied.answers.push(Ok(applied.last));
            }
            if applied.batches > 0 {
                write_row(&mut self.scratch, LAST_COMMIT_KEY, applied.last, &[]);
                table.insert(LAST_COMMIT_KEY, self.scratch.as_slice())?;
            }
        }
        let owes_sync = durable && self.unsynced_since.is_some();
        if applied.batches > 0 || owes_sync {
            transaction.commit()?;
        } else {
            transaction.abort()?;
        }
        Ok(applied)
    }

    /// Why `batch` must not be applied, if so.
    fn refusal(
        &self,
        table: &Table<'_, &'static [u8], &'static [u8]>,
        batch: &Batch,
    ) -> Result<Option<StoreError>, redb::Error> {
        for (key, precondition) in &batch.preconditions {
            let found = match table.get(key.as_slice())? {
                None => None,
                Some(stored) => match read_version(key, stored.value()) {
                    None => return Ok(Some(self.shared.altered(key))),
                    version => version,
                },
            };
            let holds = match precondition {
                Precondition::Absent => found.is_none(),
                Precondition::At(version) => found == Some(*version),
            };
            if !holds {
                return Ok(Some(StoreError::Conflict { key: key.clone() }));
            }
        }
        Ok(None)
    }

    /// Tells readers and waiters how far things are.
    fn publish(&mut self, applied: &Applied, durable: bool) {
        let changed = applied.batches > 0;
        if durable {
            if changed || self.unsynced_since.is_some() {
                self.shared.durable_commits.fetch_add(1, Ordering::Relaxed);
            }
            self.unsynced_since = None;
            self.shared.durable.store(applied.last.0, Ordering::Release);
        } else if changed {
            self.unsynced_since.get_or_insert_with(Instant::now);
        }
        self.last = applied.last;
        self.shared.batches.fetch_add(applied.batches, Ordering::Relaxed);
        self.shared.visible.store(applied.last.0, Ordering::Release);
    }
}

/// `first` and all that wait behind it, within the limits of a group.
fn drain(inbox: &Receiver<Request>, first: Request) -> Vec<Request> {
    let bytes_of = |request: &Request| -> usize {
        request
            .batch
            .iter()
            .flat_map(|batch| &batch.puts)
            .map(|(key, value)| key.len() + value.len())
            .sum()
    };
    let mut bytes = bytes_of(&first);
    let mut group = vec![first];
    while group.len() < GROUP_BATCHES_MAX && bytes < GROUP_BYTES_MAX {
        let Ok(request) = inbox.try_recv() else { break };
        bytes += bytes_of(&request);
        group.push(request);
    }
    group
}
