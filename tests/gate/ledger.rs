//! A store that remembers what was committed, and what of it is certainly on disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use host::id::RunId;
use host::journal::entry::{Entry, decode};
use host::store::keys::{self, Place};
use host::store::{Batch, CommitNo, Durability, KeyRange, Row, Store, StoreError, StoreStats};
use host::testing::TestHost;

pub struct Ledger {
    below: Arc<dyn Store>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    batches: BTreeMap<CommitNo, Batch>,
    durable_to: CommitNo,
    /// How many commits may still succeed, when they are counted.
    commits_left: Option<u32>,
}

impl Ledger {
    /// Puts a ledger between `host` and its store.
    pub fn under(host: &mut TestHost) -> Arc<Ledger> {
        let ledger = Arc::new(Ledger {
            below: host.ground.store.clone(),
            state: Mutex::default(),
        });
        host.ground.store = ledger.clone();
        ledger
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics here")
    }

    /// From now on only so many commits succeed.
    pub fn fail_after(&self, commits: u32) {
        self.state().commits_left = Some(commits);
    }

    pub fn recover(&self) {
        self.state().commits_left = None;
    }

    /// The entries of `run` that a power cut would leave for certain; panics when they have a hole.
    pub fn on_disk(&self, run: RunId) -> Vec<Entry> {
        let state = self.state();
        let mut rows = BTreeMap::new();
        for (_, batch) in state.batches.range(..=state.durable_to) {
            for (key, value) in &batch.puts {
                if let Some(Place::Journal { run: of, first }) = keys::parse(key)
                    && of == run
                {
                    rows.insert(first, value.clone());
                }
            }
        }
        let mut entries = Vec::new();
        for (first, row) in rows {
            assert_eq!(first, entries.len() as u64, "the journal has a hole");
            entries.extend(decode(&row).expect("a row of a journal"));
        }
        entries
    }

    /// Everything that was ever written, keys and values.
    pub fn bytes(&self) -> Vec<u8> {
        let state = self.state();
        let puts = state.batches.values().flat_map(|batch| &batch.puts);
        puts.flat_map(|(key, value)| [key.as_slice(), value.as_slice(), b"\n"].concat())
            .collect()
    }
}

impl Store for Ledger {
    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.below.get(key)
    }

    fn scan(&self, range: KeyRange, limit: usize, reverse: bool) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        self.below.scan(range, limit, reverse)
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<CommitNo, StoreError> {
        if let Some(left) = &mut self.state().commits_left {
            *left = left.checked_sub(1).ok_or(StoreError::Full {
                path: "the test's disk".into(),
            })?;
        }
        let number = self.below.commit(batch.clone(), durability)?;
        let mut state = self.state();
        state.batches.insert(number, batch);
        if durability == Durability::Now {
            state.durable_to = state.durable_to.max(number);
        }
        Ok(number)
    }

    fn wait_durable(&self, commit: CommitNo) -> Result<(), StoreError> {
        self.below.wait_durable(commit)?;
        let mut state = self.state();
        state.durable_to = state.durable_to.max(commit);
        Ok(())
    }

    fn stats(&self) -> StoreStats {
        self.below.stats()
    }
}

/// Entries a word or two each: `begun`, `intent 1.1`, `attempt 1.1 HTTP_TIMEOUT`, `answer 1`, `ended`.
pub fn words(entries: &[Entry]) -> Vec<String> {
    let word = |entry: &Entry| match entry {
        Entry::Begun(_) => "begun".to_owned(),
        Entry::Intent(intent) => format!("intent {}.{}", intent.asked.step, intent.attempt),
        Entry::Attempt(attempt) => format!("attempt {}.{} {}", attempt.step, attempt.attempt, attempt.error.code),
        Entry::Answer(answer) => match &answer.error {
            Some(failure) => format!("answer {} {}", answer.asked.step, failure.code),
            None => format!("answer {}", answer.asked.step),
        },
        Entry::Resumed(_) => "resumed".to_owned(),
        Entry::Suspended(_) => "suspended".to_owned(),
        Entry::Resolved(_) | Entry::Reopened(_) | Entry::Edited(_) | Entry::Cleanup(_) => "changed".to_owned(),
        Entry::Ended(_) => "ended".to_owned(),
    };
    entries.iter().map(word).collect()
}
