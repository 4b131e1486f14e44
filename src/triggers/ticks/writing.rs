//! The batch under way: fates, what is planned next, and runs, committed together a few dozen ticks at a time.

use std::collections::{BTreeMap, BTreeSet};

use super::known::Known;
use crate::store::ticks::tick::Fate;
use crate::store::ticks::{Ledger, ScheduleId, Tick};
use crate::store::{Batch, CommitNo, Durability, Precondition, Store, StoreError, keys};
use crate::triggers::{Fated, Started, Turn};

/// So many ticks are one commit: many at once are cheap, and a batch is searched for each of its keys.
const TICKS_AT_ONCE: usize = 64;

pub(super) struct Writing<'a> {
    pub store: &'a dyn Store,
    pub now_ms: i64,
    pub turn: Turn,
    /// How many runs may still be started.
    pub room: usize,
    batch: Batch,
    ticks: usize,
    /// The ledgers in the batch, as they are in the store before it.
    before: BTreeMap<ScheduleId, Option<(Ledger, CommitNo)>>,
    /// Rows of overlap in the batch.
    guards: BTreeSet<Vec<u8>>,
    started: Vec<Started>,
    /// Of the ticks in the batch.
    fates: Vec<Fated>,
}

impl<'a> Writing<'a> {
    pub fn new(store: &'a dyn Store, now_ms: i64, room: usize) -> Writing<'a> {
        Writing {
            store,
            now_ms,
            turn: Turn::default(),
            room,
            batch: Batch::new(),
            ticks: 0,
            before: BTreeMap::new(),
            guards: BTreeSet::new(),
            started: Vec::new(),
            fates: Vec::new(),
        }
    }

    pub fn is_full(&self) -> bool {
        self.ticks >= TICKS_AT_ONCE
    }

    /// Whether a run in the batch has that place among those that must not overlap: it has to be committed first.
    pub fn has_guard(&self, key: &[u8]) -> bool {
        self.guards.contains(key)
    }

    pub fn guard(&mut self, key: &[u8]) {
        self.guards.insert(key.to_vec());
    }

    /// Writes what is planned of a schedule; `None`: nothing any more. `before` is the row as it was read.
    pub fn ledger(&mut self, id: &ScheduleId, before: Option<(&Ledger, CommitNo)>, ledger: Option<&Ledger>) {
        let is_new = !self.before.contains_key(id);
        if is_new {
            self.before
                .insert(id.clone(), before.map(|(ledger, version)| (ledger.clone(), version)));
            let precondition = before.map_or(Precondition::Absent, |(_, version)| Precondition::At(version));
            self.batch
                .require(keys::schedule(&id.playbook, &id.schedule), precondition);
        }
        match ledger {
            Some(ledger) => ledger.put(&mut self.batch, id, before.map(|(ledger, _)| ledger)),
            None => {
                if let Some((before, _)) = before {
                    id.remove(&mut self.batch, before);
                }
            }
        }
        self.ticks += 1;
    }

    pub fn tick(&mut self, id: &ScheduleId, planned_ms: i64, tick: &Tick) {
        let ran = matches!(tick.fate, Fate::Ran | Fate::Late | Fate::CaughtUp);
        self.fates.push(Fated {
            fate: tick.fate,
            late_ms: ran.then(|| (tick.at_ms - tick.due_ms).max(0)),
            count: tick.many.map_or(1, |many| many.count),
        });
        tick.put(&mut self.batch, id, planned_ms);
    }

    /// Adds a run, with what makes it.
    pub fn start(&mut self, started: Started, creation: Batch) {
        self.batch.append(creation);
        self.started.push(started);
        self.room -= 1;
    }

    pub fn add(&mut self, change: impl FnOnce(&mut Batch)) {
        change(&mut self.batch);
    }

    /// Commits what there is. What is started by it depends on nothing that could be lost: the run's own first effect
    /// takes it to the disk.
    pub fn flush(&mut self, known: &mut Known) -> Result<(), StoreError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        let commit = self.store.commit(batch, Durability::Soon)?;
        for (id, _) in std::mem::take(&mut self.before) {
            known.committed(&id, commit);
        }
        self.guards.clear();
        self.ticks = 0;
        self.turn.runs.append(&mut self.started);
        self.turn.fates.append(&mut self.fates);
        Ok(())
    }
}
