//! What is old, and what is named: one look over all rows, of one moment, and the choice that follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};

use super::Swept;
use crate::id::RunId;
use crate::journal::question::Question;
use crate::journal::{RunRecord, Status, intake};
use crate::store::backup::{BackupError, Progress};
use crate::store::keys::{self, Place as Key, Space};
use crate::store::ticks::tick::Tick;
use crate::store::{CommitNo, Row, Store, kv};
use crate::upkeep::chore::Tell;
use crate::upkeep::reach::Named;
use crate::upkeep::settings::{Limits, YOUNG_MS};

/// Ticks of a schedule that stay, however old: a schedule looks back at its last ones.
const TICKS_KEPT: usize = 64;

/// A row that goes: its key, who wrote it, and its bytes.
pub type Going = (Vec<u8>, CommitNo, u64);

/// A run that is over.
pub(super) struct Over {
    ended_ms: i64,
    pub version: CommitNo,
    pub bytes: u64,
    pub parent: Option<RunId>,
}

/// What a look over all rows found.
#[derive(Default)]
pub(super) struct Look {
    over: BTreeMap<RunId, Over>,
    /// Runs that are not over or wait for a person, with their parents.
    unfinished: BTreeMap<RunId, Option<RunId>>,
    /// Runs that rows of the host name.
    named: BTreeSet<RunId>,
    pub ticks: Vec<Going>,
    pub pairs: Vec<Going>,
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
    store.visit((Bound::Unbounded, Bound::Unbounded), &mut |key, value, version| {
        let bytes = (key.len() + value.len()) as u64;
        found.row_bytes += bytes;
        rows += 1;
        let place = keys::parse(key);
        if matches!(place, Some(Key::Run(_) | Key::Journal { .. } | Key::Version(_))) {
            found.record_bytes += bytes;
        }
        match &place {
            Some(Key::Run(run)) => match RunRecord::decode(*run, value) {
                Ok(record) if is_done(record.status) => {
                    let over = Over {
                        ended_ms: record.ended_ms.unwrap_or(record.begun_ms),
                        version,
                        bytes,
                        parent: record.parent.map(|parent| parent.run),
                    };
                    found.over.insert(*run, over);
                }
                // What cannot be read stays, like what is not over.
                record => {
                    let parent = record.ok().and_then(|record| record.parent);
                    found.unfinished.insert(*run, parent.map(|parent| parent.run));
                }
            },
            Some(Key::Journal { run, .. }) => {
                if let Some(over) = found.over.get_mut(run) {
                    over.bytes += bytes;
                }
            }
            Some(Key::Open(run) | Key::Wake { run, .. } | Key::Pin { run, .. }) => drop(found.named.insert(*run)),
            Some(Key::Question { run, .. }) => {
                let row = Row {
                    value: value.to_vec(),
                    version,
                };
                if Question::decode(&row).map_or(true, |question| question.given.is_none()) {
                    found.named.insert(*run);
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
                space: Space::Event, ..
            }) => {}
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
                names.look(place.as_ref(), key, true);
                names.look(place.as_ref(), value, true);
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
    found.named.append(&mut names.runs);
    Ok(found)
}

/// Whether nobody has anything to do with such a run any more.
fn is_done(status: Status) -> bool {
    status.is_over() && status != Status::NeedsAttention
}

/// Of a schedule's ticks, the last ones stay.
fn settle_ticks(ticks: &mut (Vec<u8>, Vec<Going>, usize), going: &mut Vec<Going>) {
    let (_, old, count) = std::mem::take(ticks);
    let free = count.saturating_sub(TICKS_KEPT);
    going.extend(old.into_iter().take(free));
}

impl Limits {
    /// Whether a tick whose fate was decided then is old enough to go.
    fn lets_tick_go(&self, at_ms: i64, now_ms: i64) -> bool {
        self.ticks_ms
            .is_some_and(|age_ms| at_ms < now_ms - age_ms.max(YOUNG_MS))
    }
}

/// The families that go, each in the order in which its runs were born: by age, and then the oldest until the rest is within
/// its budget.
pub(super) fn choose<'a>(
    look: &'a Look,
    limits: &Limits,
    file_bytes: u64,
    now_ms: i64,
    swept: &mut Swept,
) -> Vec<Vec<(RunId, &'a Over)>> {
    let mut families: BTreeMap<RunId, Vec<RunId>> = BTreeMap::new();
    for run in look.over.keys() {
        families.entry(root_of(look, *run)).or_default().push(*run);
    }
    // One that is at work keeps all of its family.
    let kept: BTreeSet<RunId> = look
        .unfinished
        .keys()
        .chain(&look.named)
        .map(|run| root_of(look, *run))
        .collect();
    let ended = |family: &[RunId]| family.iter().map(|run| look.over[run].ended_ms).max().unwrap_or(now_ms);
    let mut by_age: Vec<(i64, RunId, &Vec<RunId>)> = families
        .iter()
        .map(|(root, family)| (ended(family), *root, family))
        .filter(|(ended_ms, ..)| *ended_ms < now_ms - YOUNG_MS)
        .collect();
    by_age.sort();
    let mut left = look.row_bytes + file_bytes;
    // Texts and files are shared: one run counts for at least its part of them, so that no more go than must.
    let runs = (look.over.len() + look.unfinished.len()).max(1) as u64;
    let part = (look.record_bytes + file_bytes) / runs;
    let mut going = Vec::new();
    for (ended_ms, root, family) in by_age {
        let is_old = limits.runs_ms.is_some_and(|age_ms| ended_ms < now_ms - age_ms);
        let is_too_much = limits.bytes.is_some_and(|bytes| left > bytes);
        if !is_old && !is_too_much {
            break;
        }
        if kept.contains(&root) {
            swept.kept += family.len() as u64;
            continue;
        }
        swept.oldest_ms = swept.oldest_ms.or(Some(ended_ms));
        swept.latest_ms = Some(ended_ms);
        for run in family {
            left = left.saturating_sub(look.over[run].bytes.max(part));
        }
        going.push(family.iter().map(|run| (*run, &look.over[run])).collect());
    }
    going
}

/// The run that started all of them.
fn root_of(look: &Look, run: RunId) -> RunId {
    let mut root = run;
    // As many as can be: each was born after its parent.
    for _ in 0..1024 {
        let over = look.over.get(&root).map(|over| over.parent);
        let parent = over.or_else(|| look.unfinished.get(&root).copied()).flatten();
        match parent.filter(|parent| look.over.contains_key(parent) || look.unfinished.contains_key(parent)) {
            Some(parent) => root = parent,
            None => return root,
        }
    }
    root
}
