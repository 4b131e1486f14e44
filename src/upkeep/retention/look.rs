//! What is old, and what is named: one look over all rows, of one moment.

use std::ops::{Bound, ControlFlow};

use serde::Deserialize;

use super::events::Events;
use super::runs::Runs;
use crate::gate::flight;
use crate::id::RunId;
use crate::journal::question::Question;
use crate::journal::{JournalError, RunRecord, Status, event, intake};
use crate::store::backup::{BackupError, Progress};
use crate::store::keys::{self, Place as Key, Space};
use crate::store::ticks::tick::Tick;
use crate::store::{CommitNo, Row, Store, kv};
use crate::upkeep::chore::Tell;
use crate::upkeep::reach::{Named, runs_in};
use crate::upkeep::settings::{Limits, YOUNG_MS};

/// Ticks of a schedule that stay, however old: a schedule looks back at its last ones.
const TICKS_KEPT: usize = 64;

/// A row that goes: its key, who wrote it, and its bytes.
pub type Going = (Vec<u8>, CommitNo, u64);

/// What a look over all rows found.
#[derive(Default)]
pub(super) struct Look {
    pub runs: Runs,
    pub ticks: Vec<Going>,
    pub pairs: Vec<Going>,
    pub events: Vec<Going>,
    /// What runs left behind that are over: waits for events, claims, places among those that must not overlap.
    pub traces: Vec<Going>,
    pub row_bytes: u64,
    /// Of these, the bytes of runs, journals and texts.
    pub record_bytes: u64,
}

/// One look over all rows, of one moment.
pub(super) fn look(store: &dyn Store, limits: &Limits, now_ms: i64, tell: &mut Tell<'_>) -> Result<Look, BackupError> {
    let mut found = Look::default();
    let mut names = Named::among([]);
    let mut failed: Option<BackupError> = None;
    // The ticks of one schedule that are old enough, in order.
    let mut ticks: (Vec<u8>, Vec<Going>, usize) = Default::default();
    let mut rows = 0_u64;
    let mut events = Events::default();
    // Since when runs were born that may ask for events.
    let mut asking_since_ms = i64::MAX;
    store.visit((Bound::Unbounded, Bound::Unbounded), &mut |key, value, version| {
        let bytes = (key.len() + value.len()) as u64;
        found.row_bytes += bytes;
        rows += 1;
        let place = keys::parse(key);
        if matches!(place, Some(Key::Run(_) | Key::Journal { .. } | Key::Version(_))) {
            found.record_bytes += bytes;
        }
        match &place {
            Some(Key::Run(run)) => {
                let record = RunRecord::decode(*run, value).ok();
                let is_old = |ended_ms| limits.may_let_run_go(ended_ms, now_ms);
                found.runs.see(*run, record.as_ref(), (version, bytes), is_old);
                if record.as_ref().is_none_or(|record| limits.may_ask(record, now_ms)) {
                    asking_since_ms = asking_since_ms.min(run.born_ms());
                }
            }
            Some(Key::Journal { run, .. }) => found.runs.see_journal(*run, bytes),
            Some(Key::Open(run) | Key::Wake { run, .. } | Key::Pin { run, .. }) => found.runs.name(*run),
            Some(Key::Question { run, .. }) => {
                let row = Row {
                    value: value.to_vec(),
                    version,
                };
                if Question::decode(&row).map_or(true, |question| question.given.is_none()) {
                    found.runs.name(*run);
                }
            }
            Some(Key::Tick { playbook, schedule, .. }) => {
                let schedule = keys::schedule(playbook, schedule);
                if ticks.0 != schedule {
                    settle_ticks(&mut ticks, &mut found.ticks);
                    ticks.0 = schedule;
                }
                ticks.2 += 1;
                let is_old = |tick: &Tick| limits.lets_tick_go(tick.at_ms, now_ms);
                if Tick::decode(value).is_some_and(|tick| is_old(&tick)) {
                    ticks.1.push((key.to_vec(), version, bytes));
                }
            }
            Some(Key::Kv { .. }) if kv::has_expired(value, now_ms) => found.pairs.push((key.to_vec(), version, bytes)),
            // What playbooks keep for themselves may name whatever it likes.
            Some(
                Key::Version(_)
                | Key::Child { .. }
                | Key::Document { .. }
                | Key::Index { .. }
                | Key::Kv { .. }
                | Key::Metric { .. },
            ) => {}
            Some(Key::Named {
                space: Space::Event,
                names,
            }) => {
                if limits.events_ms.is_some() {
                    let row = (key.to_vec(), version, bytes);
                    events.see(names, value, row, |came_ms| limits.lets_event_go(came_ms, now_ms));
                }
            }
            // Neither it nor what follows keeps a run: each is about one that is not over, or about nothing.
            Some(Key::Named {
                space: Space::Waiter,
                names,
            }) => match names.as_slice() {
                [realm, name, run] if may_ask(store, run) => events.waits(realm, name),
                _ => found.traces.push((key.to_vec(), version, bytes)),
            },
            Some(Key::Named {
                space: Space::Claim, ..
            }) => {
                if flight::is_over(value, now_ms) {
                    found.traces.push((key.to_vec(), version, bytes));
                }
            }
            Some(Key::Named {
                space: Space::Overlap, ..
            }) => {
                if !runs_in(value).any(|run| is_there(store, run)) {
                    found.traces.push((key.to_vec(), version, bytes));
                }
            }
            Some(Key::Named {
                space: Space::Idempotency,
                ..
            }) if Until::has_passed(value, now_ms) => found.traces.push((key.to_vec(), version, bytes)),
            // A run may go before what was sent for it: that is looked for no more when it was done.
            Some(Key::Named {
                space: Space::Webhook,
                names,
            }) => {
                if intake::has_expired(names, value, now_ms) {
                    found.pairs.push((key.to_vec(), version, bytes));
                }
            }
            _ => {
                if let Some(Key::Named {
                    space: Space::Cursor,
                    names,
                }) = &place
                    && let [event::CURSOR, _, realm, name] = names.iter().map(String::as_str).collect::<Vec<_>>()[..]
                {
                    // One that cannot be read has come past nothing.
                    events.follows(
                        realm,
                        name,
                        event::Cursor::decode(value).map_or(0, |cursor| cursor.next),
                    );
                }
                names.look(place.as_ref(), key, true);
                names.look(place.as_ref(), value, true);
                match place {
                    // It comes before the runs.
                    Some(Key::Named { space: Space::Meta, .. }) => {}
                    _ => std::mem::take(&mut names.runs)
                        .into_iter()
                        .for_each(|run| found.runs.name(run)),
                }
            }
        }
        if rows.is_multiple_of(4096)
            && tell(
                "looking",
                Progress {
                    rows,
                    ..Progress::default()
                },
            )
            .is_break()
        {
            failed = Some(BackupError::Cancelled);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    if let Some(failed) = failed {
        return Err(failed);
    }
    settle_ticks(&mut ticks, &mut found.ticks);
    found.events = events.going(asking_since_ms);
    names.runs.into_iter().for_each(|run| found.runs.name(run));
    Ok(found)
}

/// What a row says that holds for a while.
#[derive(Deserialize)]
struct Until {
    until_ms: i64,
}

impl Until {
    fn has_passed(value: &[u8], now_ms: i64) -> bool {
        rmp_serde::from_slice(value).is_ok_and(|until: Until| until.until_ms <= now_ms)
    }
}

/// Whether there is such a run still; one of which nobody can say so is.
fn is_there(store: &dyn Store, run: RunId) -> bool {
    store.get(&keys::run(run)).map_or(true, |row| row.is_some())
}

/// Whether the run of that name may ever ask for an event: one that failed may go on, and must know then how far it had come.
fn may_ask(store: &dyn Store, run: &str) -> bool {
    let Ok(run) = run.parse() else { return false };
    match RunRecord::get(store, run) {
        Ok(record) => record.status != Status::Succeeded,
        Err(error) => !matches!(error, JournalError::NoSuchRun(_)),
    }
}

/// Of a schedule's ticks, the last ones stay.
fn settle_ticks(ticks: &mut (Vec<u8>, Vec<Going>, usize), going: &mut Vec<Going>) {
    let (_, old, count) = std::mem::take(ticks);
    let free = count.saturating_sub(TICKS_KEPT);
    going.extend(old.into_iter().take(free));
}

impl Limits {
    /// Whether a run that ended then is old enough to go, or may be in the way of the budget.
    fn may_let_run_go(&self, ended_ms: i64, now_ms: i64) -> bool {
        let is_old = self.runs_ms.is_some_and(|age_ms| ended_ms < now_ms - age_ms);
        ended_ms < now_ms - YOUNG_MS && (is_old || self.bytes.is_some())
    }

    /// Whether the run may still ask for events that came long ago. One that failed may for as long as they are kept.
    fn may_ask(&self, record: &RunRecord, now_ms: i64) -> bool {
        match (record.status, record.ended_ms) {
            (Status::Succeeded, _) => false,
            (status, Some(ended_ms)) if status.is_over() && status != Status::NeedsAttention => {
                self.events_ms.is_some_and(|age_ms| ended_ms >= now_ms - age_ms)
            }
            _ => true,
        }
    }

    /// Whether an event that came then is old enough to go.
    fn lets_event_go(&self, came_ms: i64, now_ms: i64) -> bool {
        self.events_ms
            .is_some_and(|age_ms| came_ms < now_ms - age_ms.max(YOUNG_MS))
    }

    /// Whether a tick whose fate was decided then is old enough to go.
    fn lets_tick_go(&self, at_ms: i64, now_ms: i64) -> bool {
        self.ticks_ms
            .is_some_and(|age_ms| at_ms < now_ms - age_ms.max(YOUNG_MS))
    }
}
