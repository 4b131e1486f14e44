//! The schedules, as the ledger and the playbooks have them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::plan::{self, Step};
use super::{LiveNow, Writing};
use crate::script::triggers::Scheduled;
use crate::serve::edition::Listed;
use crate::store::ticks::tick::latest;
use crate::store::ticks::{self, Fate, Judged, Ledger, Next, Pauses, ScheduleId, State, Tick, Why, Window};
use crate::store::{CommitNo, Store, StoreError};

/// Ticks that are looked through for the last one that was not superseded.
const LOOKED_BACK_MAX: usize = 32;

/// A copy of the ledger's schedules.
pub(super) struct Known {
    /// The edition that it was brought in line with.
    number: Option<u64>,
    pub schedules: BTreeMap<ScheduleId, Box<Schedule>>,
    /// When somebody must look at which.
    pub due: BTreeSet<(i64, ScheduleId)>,
    pub waiting: BTreeSet<ScheduleId>,
    held: BTreeSet<ScheduleId>,
}

pub(super) struct Schedule {
    pub ledger: Ledger,
    pub version: CommitNo,
    /// What was decided of the ticks that are due, and is not done yet.
    pub steps: VecDeque<Step>,
}

impl Known {
    pub fn load(store: &dyn Store) -> Result<Known, StoreError> {
        let mut known = Known {
            number: None,
            schedules: BTreeMap::new(),
            due: BTreeSet::new(),
            waiting: BTreeSet::new(),
            held: BTreeSet::new(),
        };
        for (id, ledger, version) in ticks::schedules(store, None)? {
            known.file(&id, &ledger);
            let steps = VecDeque::new();
            known
                .schedules
                .insert(id, Box::new(Schedule { ledger, version, steps }));
        }
        Ok(known)
    }

    pub fn next_ms(&self) -> Option<i64> {
        self.due.first().map(|(due_ms, _)| *due_ms)
    }

    pub fn committed(&mut self, id: &ScheduleId, commit: CommitNo) {
        if let Some(schedule) = self.schedules.get_mut(id) {
            schedule.version = commit;
        }
    }

    /// Notes when a schedule must be looked at.
    fn file(&mut self, id: &ScheduleId, ledger: &Ledger) {
        if let Some(due_ms) = ledger.due_ms() {
            self.due.insert((due_ms, id.clone()));
        }
        match ledger.state {
            State::Waiting(_) => self.waiting.insert(id.clone()),
            State::Held => self.held.insert(id.clone()),
            State::Ready => false,
        };
    }

    /// Writes `ledger` in place of what was planned of a schedule; `None`: nothing any more.
    pub fn replace(&mut self, id: &ScheduleId, ledger: Option<Ledger>, writing: &mut Writing<'_>) {
        let before = self
            .schedules
            .get(id)
            .map(|schedule| (&schedule.ledger, schedule.version));
        writing.ledger(id, before, ledger.as_ref());
        if let Some((ledger, _)) = before {
            if let Some(due_ms) = ledger.due_ms() {
                self.due.remove(&(due_ms, id.clone()));
            }
            self.waiting.remove(id);
            self.held.remove(id);
        }
        let Some(ledger) = ledger else {
            self.schedules.remove(id);
            return;
        };
        self.file(id, &ledger);
        match self.schedules.get_mut(id) {
            Some(schedule) => schedule.ledger = ledger,
            None => {
                let schedule = Schedule {
                    ledger,
                    version: CommitNo::default(),
                    steps: VecDeque::new(),
                };
                self.schedules.insert(id.clone(), Box::new(schedule));
            }
        }
    }

    /// Plans what is new, and plans anew what was edited. At once when the playbooks are those of the last time.
    pub fn reconcile(&mut self, live: &LiveNow<'_>, writing: &mut Writing<'_>) -> Result<(), StoreError> {
        if self.number == Some(live.number) {
            return Ok(());
        }
        let known: Vec<ScheduleId> = self.schedules.keys().cloned().collect();
        for id in known {
            // A playbook that is gone may be back before its tick is due.
            if live.playbooks.contains_key(&id.playbook) && scheduled(live, &id).is_none() {
                self.supersede(&id, None, writing);
                self.replace(&id, None, writing);
                self.flush_if_full(writing)?;
            }
        }
        for (playbook, listed) in live.playbooks {
            for scheduled in &listed.triggers.schedules {
                let id = ScheduleId {
                    playbook: playbook.clone(),
                    schedule: scheduled.key.clone(),
                };
                self.bring_in_line(&id, scheduled, writing)?;
                self.flush_if_full(writing)?;
            }
        }
        writing.flush(self)?;
        self.number = Some(live.number);
        Ok(())
    }

    fn flush_if_full(&mut self, writing: &mut Writing<'_>) -> Result<(), StoreError> {
        match writing.is_full() {
            true => writing.flush(self),
            false => Ok(()),
        }
    }

    fn bring_in_line(
        &mut self,
        id: &ScheduleId,
        scheduled: &Scheduled,
        writing: &mut Writing<'_>,
    ) -> Result<(), StoreError> {
        let now_ms = writing.now_ms;
        let Some(schedule) = self.schedules.get_mut(id) else {
            let ledger = first_seen(id, scheduled, writing.store, now_ms)?;
            self.replace(id, Some(ledger), writing);
            return Ok(());
        };
        schedule.steps.clear();
        let ledger = &schedule.ledger;
        if ledger.written == scheduled.written && ledger.zone == scheduled.zone.name() {
            let spread = spread_anew(id, scheduled, ledger, now_ms);
            if let Some(spread) = spread {
                self.replace(id, Some(spread), writing);
            }
            return Ok(());
        }
        // What was outstanding is outstanding of the new one, too; where nothing was, it begins now.
        let is_outstanding = ledger.next.is_some_and(|next| next.due_ms <= now_ms);
        let last_ms = ledger.last_ms.unwrap_or(ledger.anchor_ms);
        let from_ms = if is_outstanding { last_ms } else { last_ms.max(now_ms) };
        let mut edited = Ledger {
            written: scheduled.written.clone(),
            zone: scheduled.zone.name().to_owned(),
            next: plan::next(id, scheduled, from_ms, ledger.anchor_ms),
            ..ledger.clone()
        };
        edited.state = match edited.state {
            State::Waiting(_) => State::Ready,
            other => other,
        };
        let stays = edited.next.map(|next| next.planned_ms) == ledger.next.map(|next| next.planned_ms);
        if !stays {
            let by = format!("{} {}", edited.written, edited.zone);
            self.supersede(id, Some(by), writing);
        }
        self.replace(id, Some(edited), writing);
        Ok(())
    }

    /// Gives the tick that is planned next its fate.
    fn supersede(&mut self, id: &ScheduleId, by: Option<String>, writing: &mut Writing<'_>) {
        let Some(next) = self.schedules.get(id).and_then(|schedule| schedule.ledger.next) else {
            return;
        };
        let tick = Tick {
            fate: Fate::Superseded,
            why: Some(Why::Superseded { by }),
            run: None,
            due_ms: next.due_ms,
            at_ms: writing.now_ms,
            many: None,
        };
        writing.tick(id, next.planned_ms, &tick);
    }

    /// Lets go what was resumed, with what is to become of its ticks.
    pub fn release(&mut self, pauses: &Pauses, writing: &mut Writing<'_>) -> Result<(), StoreError> {
        let has_resumed = pauses.has_resumed();
        let ids: Vec<ScheduleId> = match has_resumed {
            true => self.schedules.keys().cloned().collect(),
            false => self.held.iter().cloned().collect(),
        };
        for id in ids {
            let schedule = &self.schedules[&id];
            if pauses.of(&id.playbook).is_some() {
                continue;
            }
            let ledger = &schedule.ledger;
            let resumed = pauses.resumed(&id.playbook);
            let (until_ms, missed) = resumed.unwrap_or((writing.now_ms, ticks::Resumed::default()));
            let is_in_it = ledger.next.is_some_and(|next| next.planned_ms <= until_ms);
            // What has come due and was not looked at before the pause was over belongs to it, too.
            if ledger.state != State::Held && !(resumed.is_some() && is_in_it && ledger.window.is_none()) {
                continue;
            }
            let how = Judged::Paused(missed);
            let released = Ledger {
                state: State::Ready,
                window: is_in_it.then_some(Window { until_ms, how }),
                ..ledger.clone()
            };
            self.schedules.get_mut(&id).expect("it is known").steps.clear();
            self.replace(&id, Some(released), writing);
            self.flush_if_full(writing)?;
        }
        writing.flush(self)?;
        if has_resumed {
            writing.add(|batch| pauses.forget_resumed(batch));
            writing.flush(self)?;
        }
        Ok(())
    }
}

/// The schedule as its playbook has it now.
pub(super) fn scheduled<'l>(live: &LiveNow<'l>, id: &ScheduleId) -> Option<(&'l Arc<Listed>, &'l Scheduled)> {
    let listed = live.playbooks.get(&id.playbook)?;
    let scheduled = listed.triggers.schedules.iter().find(|one| one.key == id.schedule)?;
    Some((listed, scheduled))
}

/// What is planned of a schedule whose jitter alone has changed: the same tick, due at another time. One that is due stays so.
fn spread_anew(id: &ScheduleId, scheduled: &Scheduled, ledger: &Ledger, now_ms: i64) -> Option<Ledger> {
    let next = ledger.next.filter(|next| next.due_ms > now_ms)?;
    let due_ms = plan::due_ms(id, scheduled, next.planned_ms, ledger.anchor_ms);
    let next = Next { due_ms, ..next };
    (ledger.next != Some(next)).then(|| Ledger {
        next: Some(next),
        ..ledger.clone()
    })
}

/// What is planned of a schedule that is not in the ledger. One that was there before goes on after its last tick.
fn first_seen(id: &ScheduleId, scheduled: &Scheduled, store: &dyn Store, now_ms: i64) -> Result<Ledger, StoreError> {
    let last = latest(store, id, i64::MAX, LOOKED_BACK_MAX)?
        .into_iter()
        .find(|(_, tick)| tick.fate != Fate::Superseded);
    let last_ms = last.map(|(planned_ms, tick)| tick.many.map_or(planned_ms, |many| many.until_ms));
    let from_ms = last_ms.map_or(now_ms, |last_ms| last_ms.max(now_ms));
    Ok(Ledger {
        written: scheduled.written.clone(),
        zone: scheduled.zone.name().to_owned(),
        anchor_ms: now_ms,
        last_ms,
        next: plan::next(id, scheduled, from_ms, now_ms),
        state: State::Ready,
        window: None,
    })
}
