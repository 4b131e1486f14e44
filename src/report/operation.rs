//! How a host is doing: counts over its store, the same with a server and without one.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::Serialize;

use crate::id::RunId;
use crate::journal::edition::{State, Version, VersionError};
use crate::journal::incident::{self, Incident};
use crate::journal::question;
use crate::journal::{JournalError, RunRecord, Status};
use crate::store::keys::{self, Place, QueueRow, Realm, Space};
use crate::store::ticks::tick::{Fate, Tick, Why};
use crate::store::ticks::{self, ScheduleId, pause};
use crate::store::{KeyRange, Row, Store, StoreError};

/// Runs that are looked through, the latest.
pub const RUNS_MAX: usize = 100_000;

/// Ticks of a schedule that are looked at, the latest.
const TICKS_MAX: usize = 1000;

/// Rows read at a time.
const ROWS_AT_ONCE: usize = 1024;

/// Runs and jobs by where they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub running: usize,
    pub queued: usize,
    /// Suspended, of the latest [`RUNS_MAX`] runs.
    pub waiting: usize,
    /// Questions without an answer.
    pub questions: usize,
    /// In all queues, dead ones left out.
    pub jobs: usize,
    pub dead_jobs: usize,
}

pub fn count(store: &dyn Store) -> Result<Counts, JournalError> {
    let mut counts = Counts {
        questions: question::open(store, RUNS_MAX)?.len(),
        ..Counts::default()
    };
    each_run(store, i64::MIN, &mut |record| match record.status {
        Status::Running => counts.running += 1,
        Status::Queued => counts.queued += 1,
        Status::Suspended => counts.waiting += 1,
        _ => {}
    })?;
    let jobs = jobs(store)?;
    counts.jobs = jobs.values().map(|jobs| jobs.waiting).sum();
    counts.dead_jobs = jobs.values().map(|jobs| jobs.dead).sum();
    Ok(counts)
}

/// Shows the latest runs that began at `since_ms` or later, newest first.
pub fn each_run(store: &dyn Store, since_ms: i64, see: &mut dyn FnMut(&RunRecord)) -> Result<(), JournalError> {
    let mut before = RunId::from_bytes([0xFF; 16]);
    let mut seen = 0;
    loop {
        let records = RunRecord::latest(store, before, ROWS_AT_ONCE)?;
        for record in &records {
            if record.begun_ms < since_ms || seen >= RUNS_MAX {
                return Ok(());
            }
            seen += 1;
            see(record);
        }
        match records.last().and_then(|last| last.run.before()) {
            Some(next) if records.len() == ROWS_AT_ONCE => before = next,
            _ => return Ok(()),
        }
    }
}

/// The save that is not live, because it is broken or waits for somebody's word.
pub fn unusable_save(store: &dyn Store) -> Result<Option<Version>, VersionError> {
    let latest = Version::latest(store, 1)?.pop();
    Ok(latest.filter(|version| matches!(version.state, State::Broken | State::Held)))
}

/// The jobs of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jobs {
    /// Ready, later and at work.
    pub waiting: usize,
    /// That nobody tries again.
    pub dead: usize,
}

/// The jobs of each queue.
pub fn jobs(store: &dyn Store) -> Result<BTreeMap<(String, Realm), Jobs>, StoreError> {
    let mut queues: BTreeMap<(String, Realm), Jobs> = BTreeMap::new();
    let all = keys::prefix_range(keys::named(Space::Queue, &[]));
    store.visit(all, &mut |key, _, _| {
        if let Some(Place::Queue { realm, queue, row }) = keys::parse(key) {
            // A dead job has two rows: its own, and the one it is listed by.
            match row {
                QueueRow::Job(_) => queues.entry((queue, realm)).or_default().waiting += 1,
                QueueRow::Dead { .. } => queues.entry((queue, realm)).or_default().dead += 1,
                _ => {}
            }
        }
        ControlFlow::Continue(())
    })?;
    for jobs in queues.values_mut() {
        jobs.waiting = jobs.waiting.saturating_sub(jobs.dead);
    }
    Ok(queues)
}

/// When the next tick of a schedule is due; past, where a tick waits for a host.
pub fn next_due(store: &dyn Store) -> Result<Option<i64>, StoreError> {
    let first = store.scan(keys::all_due(), 1, false)?;
    Ok(first.first().and_then(|(key, _)| match keys::parse(key) {
        Some(Place::Due { due_ms, .. }) => Some(due_ms),
        _ => None,
    }))
}

/// A tick that should have run and did not.
#[derive(Clone, Debug, PartialEq)]
pub struct Unrun {
    pub id: ScheduleId,
    pub planned_ms: i64,
    pub tick: Tick,
}

/// Ticks planned since `since_ms` that were missed, or failed to start; of each schedule the latest that are looked at.
pub fn unrun(store: &dyn Store, since_ms: i64, until_ms: i64) -> Result<Vec<Unrun>, StoreError> {
    let mut found = Vec::new();
    for id in ticks::tick::with_ticks(store, None)? {
        for (planned_ms, tick) in ticks::tick::latest(store, &id, until_ms, TICKS_MAX)? {
            let is_lost = match (tick.fate, &tick.why) {
                (Fate::FailedToStart, _) => true,
                (Fate::Skipped, Some(why)) => {
                    matches!(why, Why::Missed | Why::Horizon | Why::TooMany { .. } | Why::Full { .. })
                }
                _ => false,
            };
            if is_lost && planned_ms >= since_ms {
                let id = id.clone();
                found.push(Unrun { id, planned_ms, tick });
            }
        }
    }
    found.sort_by_key(|unrun| unrun.planned_ms);
    Ok(found)
}

/// What is paused, by name.
pub fn paused(store: &dyn Store) -> Result<Vec<String>, StoreError> {
    let found = rows(store, keys::prefix_range(keys::named(Space::Pause, &[])))?;
    let named = found.into_iter().filter_map(|(key, _)| match keys::parse(&key) {
        Some(Place::Named { names, .. }) => match names.as_slice() {
            [all] if all == pause::ALL => Some("everything".to_owned()),
            [kind, _] if kind != "queue" => None,
            names => Some(names.join(" ")),
        },
        _ => None,
    });
    Ok(named.collect())
}

/// Incidents that are not closed, oldest first.
pub fn open_incidents(store: &dyn Store) -> Result<Vec<Incident>, incident::IncidentError> {
    let mut open = incident::list(store)?;
    open.retain(|incident| incident.state == incident::State::Open);
    open.sort_by_key(|incident| incident.opened_ms);
    Ok(open)
}

fn rows(store: &dyn Store, range: KeyRange) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
    store.scan(range, RUNS_MAX, false)
}
