//! How a host is doing: counts over its store, the same with a server and without one.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::Serialize;

use crate::id::RunId;
use crate::journal::incident::{self, Incident};
use crate::journal::question::Question;
use crate::journal::{JournalError, RunRecord, Status};
use crate::store::keys::{self, Place, QueueRow, Space};
use crate::store::{KeyRange, Row, Store, StoreError};

/// Runs that are looked through, the latest.
pub const RUNS_MAX: usize = 100_000;

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
        questions: questions(store)?.len(),
        ..Counts::default()
    };
    each_run(store, i64::MIN, &mut |record| match record.status {
        Status::Running => counts.running += 1,
        Status::Queued => counts.queued += 1,
        Status::Suspended => counts.waiting += 1,
        _ => {}
    })?;
    let jobs = jobs(store)?;
    counts.jobs = jobs.values().map(|(waiting, _)| waiting).sum();
    counts.dead_jobs = jobs.values().map(|(_, dead)| dead).sum();
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
        let Some(next) = records.last().and_then(|last| last.run.before()) else {
            return Ok(());
        };
        if records.len() < ROWS_AT_ONCE {
            return Ok(());
        }
        before = next;
    }
}

/// Questions that nobody has answered, with the runs that ask them, oldest run first.
pub fn questions(store: &dyn Store) -> Result<Vec<(RunId, Question)>, StoreError> {
    let mut open = Vec::new();
    for (key, row) in rows(store, keys::questions())? {
        let question = Question::decode(&row)?;
        if let (Some(Place::Question { run, .. }), None) = (keys::parse(&key), &question.given) {
            open.push((run, question));
        }
    }
    Ok(open)
}

/// By queue, in either realm: how many jobs there are, and how many that nobody tries again.
pub fn jobs(store: &dyn Store) -> Result<BTreeMap<String, (usize, usize)>, StoreError> {
    let mut queues: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let all = keys::prefix_range(keys::named(Space::Queue, &[]));
    store.visit(all, &mut |key, _, _| {
        if let Some(Place::Queue { realm, queue, row }) = keys::parse(key) {
            let found = queues.entry(format!("{queue} ({realm})")).or_default();
            match row {
                QueueRow::Job(_) => found.0 += 1,
                QueueRow::Dead { .. } => found.1 += 1,
                _ => {}
            }
        }
        ControlFlow::Continue(())
    })?;
    for (jobs, dead) in queues.values_mut() {
        *jobs = jobs.saturating_sub(*dead);
    }
    queues.retain(|_, found| *found != (0, 0));
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

/// What is paused, by name.
pub fn paused(store: &dyn Store) -> Result<Vec<String>, StoreError> {
    let found = rows(store, keys::prefix_range(keys::named(Space::Pause, &[])))?;
    let named = found.into_iter().filter_map(|(key, _)| match keys::parse(&key) {
        Some(Place::Named { names, .. }) => Some(match names.as_slice() {
            [all] if all == "*" => "everything".to_owned(),
            names => names.join(" "),
        }),
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
