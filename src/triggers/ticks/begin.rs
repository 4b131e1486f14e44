//! Carries out what was decided of the ticks that are due.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::DateTime;

use super::known::{Known, scheduled};
use super::plan::{self, How, Outstanding, Step};
use super::{LiveNow, Writing};
use crate::effect::{Failure, RunMode};
use crate::id::RunId;
use crate::journal::Cause;
use crate::runs::creation::Creation;
use crate::script::triggers::{Policy, Scheduled};
use crate::serve::edition::Listed;
use crate::store::ticks::tick::{Many, superseded};
use crate::store::ticks::{Fate, Judged, Ledger, Pauses, ScheduleId, State, Tick, Why, Window};
use crate::store::{StoreError, keys};
use crate::triggers::Started;
use crate::triggers::overlap::Guard;

/// A tick that starts later than this is late.
const LATE_MS: i64 = 10_000;

/// Modes of runs, by what their playbooks use: the same for all of a turn.
type Modes = BTreeMap<Vec<String>, Result<RunMode, Failure>>;

/// What came of a step.
enum Done {
    /// It has a fate.
    Decided,
    /// This run is not over.
    Waits(RunId),
    /// There is no room.
    NoRoom,
    /// What it rests on must be committed first.
    Again,
}

impl Known {
    /// Gives every tick that is due its fate, as far as there is room.
    pub fn start_due(
        &mut self,
        live: &LiveNow<'_>,
        pauses: &Pauses,
        writing: &mut Writing<'_>,
    ) -> Result<(), StoreError> {
        let now_ms = writing.now_ms;
        let mut modes = Modes::new();
        let waiting: Vec<ScheduleId> = self.waiting.iter().cloned().collect();
        for id in waiting {
            self.see_to(&id, live, pauses, &mut modes, writing)?;
        }
        while let Some((_, id)) = self.due.first().filter(|(due_ms, _)| *due_ms <= now_ms).cloned() {
            self.see_to(&id, live, pauses, &mut modes, writing)?;
            if writing.turn.has_more {
                break;
            }
        }
        Ok(())
    }

    /// Goes on with a schedule until nothing of it is due any more.
    fn see_to(
        &mut self,
        id: &ScheduleId,
        live: &LiveNow<'_>,
        pauses: &Pauses,
        modes: &mut Modes,
        writing: &mut Writing<'_>,
    ) -> Result<(), StoreError> {
        let Some((listed, scheduled)) = scheduled(live, id) else {
            return self.gone(id, writing);
        };
        if pauses.of(&id.playbook).is_some() {
            let ledger = &self.schedules[id].ledger;
            let held = Ledger {
                state: State::Held,
                ..ledger.clone()
            };
            self.replace(id, Some(held), writing);
            return Ok(());
        }
        if self.still_waits(id, listed, scheduled, writing)? {
            return Ok(());
        }
        loop {
            if writing.is_full() {
                writing.flush(self)?;
            }
            let Some(step) = self.next_step(id, listed, scheduled, writing.now_ms) else {
                return Ok(());
            };
            let done = match &step {
                Step::Skip {
                    from_ms,
                    until_ms,
                    count,
                    is_exact,
                    why,
                } => {
                    let many = Many {
                        until_ms: *until_ms,
                        count: *count,
                        is_exact: *is_exact,
                    };
                    let tick = Tick {
                        fate: Fate::Skipped,
                        why: Some(why.clone()),
                        run: None,
                        due_ms: self.due_of(id, scheduled, *from_ms),
                        at_ms: writing.now_ms,
                        many: (*count > 1).then_some(many),
                    };
                    if *count > 1 {
                        self.forget_superseded(id, scheduled, *from_ms, *until_ms, writing)?;
                    }
                    writing.tick(id, *from_ms, &tick);
                    self.advance(id, scheduled, *until_ms, writing);
                    Done::Decided
                }
                Step::Start { planned_ms, how } => {
                    self.start(id, (listed, scheduled), *planned_ms, *how, live, modes, writing)?
                }
            };
            match done {
                Done::Decided => {
                    let schedule = self.schedules.get_mut(id).expect("it was just written");
                    schedule.steps.pop_front();
                }
                Done::Again => writing.flush(self)?,
                Done::NoRoom => {
                    writing.turn.has_more = true;
                    return Ok(());
                }
                Done::Waits(run) => {
                    self.wait(id, run, writing);
                    return Ok(());
                }
            }
        }
    }

    /// Whether the run is not over that the next tick waits for: what came due meanwhile is decided when it is.
    fn still_waits(
        &self,
        id: &ScheduleId,
        listed: &Listed,
        scheduled: &Scheduled,
        writing: &Writing<'_>,
    ) -> Result<bool, StoreError> {
        let overlap = &listed.triggers.overlap;
        let State::Waiting(run) = self.schedules[id].ledger.state else {
            return Ok(false);
        };
        if overlap.policy != Policy::Queue {
            return Ok(false);
        }
        let header = &listed.pinned.header;
        let guard = Guard::of(writing.store, &id.playbook, header, overlap, &scheduled.input)?;
        Ok(guard.is_some_and(|guard| guard.busy == Some(run)))
    }

    /// Ticks that were superseded, and are planned again now that the schedule says once more what it said: their fate is
    /// that of all the others from `from_ms` until `until_ms`.
    fn forget_superseded(
        &self,
        id: &ScheduleId,
        scheduled: &Scheduled,
        from_ms: i64,
        until_ms: i64,
        writing: &mut Writing<'_>,
    ) -> Result<(), StoreError> {
        let anchor_ms = self.schedules[id].ledger.anchor_ms;
        for planned_ms in superseded(writing.store, id, from_ms, until_ms)? {
            let again = scheduled.next_after(planned_ms - 1, anchor_ms);
            if again.is_some_and(|again| again.at_ms == planned_ms) {
                let key = keys::tick(&id.playbook, &id.schedule, planned_ms);
                writing.add(|batch| batch.delete(key));
            }
        }
        Ok(())
    }

    /// What is to be done next with a schedule, if anything of it is due.
    fn next_step(&mut self, id: &ScheduleId, listed: &Listed, scheduled: &Scheduled, now_ms: i64) -> Option<Step> {
        let schedule = self.schedules.get_mut(id)?;
        if let State::Waiting(_) = schedule.ledger.state {
            // What has come due in the meantime waits with it, and is decided together.
            schedule.steps.clear();
            schedule.ledger.window = Some(Window {
                until_ms: now_ms,
                how: Judged::Queued,
            });
        }
        if schedule.steps.is_empty() {
            let next = schedule.ledger.next?;
            let outstanding = Outstanding {
                id,
                scheduled,
                policy: listed.triggers.overlap.policy,
                first_ms: next.planned_ms,
                first_due_ms: next.due_ms,
                anchor_ms: schedule.ledger.anchor_ms,
                window: schedule.ledger.window,
                now_ms,
            };
            schedule.steps = outstanding.steps().into();
        }
        schedule.steps.front().cloned()
    }

    #[expect(clippy::too_many_arguments, reason = "one step, with everything it is decided by")]
    fn start(
        &mut self,
        id: &ScheduleId,
        (listed, scheduled): (&Arc<Listed>, &Scheduled),
        planned_ms: i64,
        how: How,
        live: &LiveNow<'_>,
        modes: &mut Modes,
        writing: &mut Writing<'_>,
    ) -> Result<Done, StoreError> {
        let now_ms = writing.now_ms;
        let overlap = &listed.triggers.overlap;
        let waited = match self.schedules[id].ledger.state {
            State::Waiting(run) => Some(run),
            _ => None,
        };
        let mut tick = Tick {
            fate: Fate::Ran,
            why: waited.map(|run| Why::Waited { run }),
            run: None,
            due_ms: self.due_of(id, scheduled, planned_ms),
            at_ms: now_ms,
            many: None,
        };
        tick.fate = match how {
            How::CaughtUp => Fate::CaughtUp,
            How::OnTime | How::Waited if now_ms - tick.due_ms > LATE_MS => Fate::Late,
            How::OnTime | How::Waited => Fate::Ran,
        };
        let header = &listed.pinned.header;
        let guard = Guard::of(writing.store, &id.playbook, header, overlap, &scheduled.input)?;
        if let Some(guard) = &guard {
            if writing.has_guard(guard.key()) {
                return Ok(Done::Again);
            }
            match (guard.busy, overlap.policy) {
                (Some(run), Policy::Skip) => {
                    tick.fate = Fate::Skipped;
                    tick.why = Some(Why::Overlap { run });
                    writing.tick(id, planned_ms, &tick);
                    self.advance(id, scheduled, planned_ms, writing);
                    return Ok(Done::Decided);
                }
                (Some(run), policy) => {
                    if policy == Policy::CancelPrevious && !writing.turn.cancel.contains(&run) {
                        writing.turn.cancel.push(run);
                    }
                    return Ok(Done::Waits(run));
                }
                (None, _) => {}
            }
        }
        if writing.room == 0 {
            return Ok(Done::NoRoom);
        }
        let run = RunId::of_tick(&id.playbook, &id.schedule, planned_ms);
        let mode = modes
            .entry(header.uses.clone())
            .or_insert_with(|| (live.mode)(listed))
            .clone();
        let creation = mode.and_then(|mode| {
            let creation = Creation {
                run,
                pinned: &listed.pinned,
                input: scheduled.input.clone(),
                mode,
                trigger: in_words(scheduled, planned_ms, how),
                corr: None,
                cause: Some(Cause::Tick {
                    schedule: id.schedule.clone(),
                    planned_ms,
                }),
                by: None,
                retry_of: None,
                at_ms: now_ms,
            };
            creation.made(live.gate)
        });
        match creation {
            // The ledger was lost and the run was not: it has run.
            Ok(_) if writing.store.get(&keys::run(run))?.is_some() => tick.run = Some(run),
            Ok((mut creation, created)) => {
                tick.run = Some(run);
                if let Some(guard) = guard {
                    writing.guard(guard.key());
                    guard.pass(&mut creation, run);
                }
                let started = Started {
                    run,
                    playbook: id.playbook.clone(),
                    reopen: false,
                    created: Some(created),
                };
                writing.start(started, creation);
            }
            Err(failure) => {
                tick.fate = Fate::FailedToStart;
                let failure = live.gate.clean(failure);
                tick.why = Some(Why::Failed {
                    code: failure.code,
                    message: failure.message,
                });
            }
        }
        writing.tick(id, planned_ms, &tick);
        self.advance(id, scheduled, planned_ms, writing);
        Ok(Done::Decided)
    }

    fn due_of(&self, id: &ScheduleId, scheduled: &Scheduled, planned_ms: i64) -> i64 {
        let ledger = &self.schedules[id].ledger;
        match ledger.next.filter(|next| next.planned_ms == planned_ms) {
            Some(next) => next.due_ms,
            None => plan::due_ms(id, scheduled, planned_ms, ledger.anchor_ms),
        }
    }

    /// Plans the tick after `last_ms`, which has its fate.
    fn advance(&mut self, id: &ScheduleId, scheduled: &Scheduled, last_ms: i64, writing: &mut Writing<'_>) {
        let ledger = &self.schedules[id].ledger;
        let next = plan::next(id, scheduled, last_ms, ledger.anchor_ms);
        let window = ledger
            .window
            .filter(|window| next.is_some_and(|next| next.planned_ms <= window.until_ms));
        let ledger = Ledger {
            last_ms: Some(last_ms),
            next,
            state: State::Ready,
            window,
            ..ledger.clone()
        };
        self.replace(id, Some(ledger), writing);
    }

    /// Notes that the next tick waits for `run`.
    fn wait(&mut self, id: &ScheduleId, run: RunId, writing: &mut Writing<'_>) {
        let ledger = &self.schedules[id].ledger;
        if ledger.state == State::Waiting(run) {
            return;
        }
        let Some(next) = ledger.next else {
            return;
        };
        let tick = Tick {
            fate: Fate::Waiting,
            why: Some(Why::Overlap { run }),
            run: None,
            due_ms: next.due_ms,
            at_ms: writing.now_ms,
            many: None,
        };
        let ledger = Ledger {
            state: State::Waiting(run),
            ..ledger.clone()
        };
        writing.tick(id, next.planned_ms, &tick);
        self.replace(id, Some(ledger), writing);
    }

    /// The ticks that are due of a playbook that is not there.
    fn gone(&mut self, id: &ScheduleId, writing: &mut Writing<'_>) -> Result<(), StoreError> {
        let ledger = self.schedules.get(id).map(|schedule| schedule.ledger.clone());
        if let Some((ledger, next)) = ledger.and_then(|ledger| ledger.next.map(|next| (ledger, next))) {
            let many = match Scheduled::read_again(&ledger.written, &ledger.zone) {
                Some(scheduled) => {
                    let many = plan::passed(&scheduled, next.planned_ms, ledger.anchor_ms, writing.now_ms);
                    self.forget_superseded(id, &scheduled, next.planned_ms, many.until_ms, writing)?;
                    Some(many).filter(|many| many.count > 1)
                }
                None => None,
            };
            let tick = Tick {
                fate: Fate::Skipped,
                why: Some(Why::Gone),
                run: None,
                due_ms: next.due_ms,
                at_ms: writing.now_ms,
                many,
            };
            writing.tick(id, next.planned_ms, &tick);
        }
        self.replace(id, None, writing);
        Ok(())
    }
}

/// What started the run: `by schedule, planned for 2027-03-13 07:00 EST`.
fn in_words(scheduled: &Scheduled, planned_ms: i64, how: How) -> String {
    let planned = DateTime::from_timestamp_millis(planned_ms).unwrap_or_default();
    let planned = planned.with_timezone(&scheduled.zone);
    let planned = planned.format("%Y-%m-%d %H:%M:%S %Z").to_string().replace(":00 ", " ");
    match how {
        How::OnTime | How::Waited => format!("by schedule, planned for {planned}"),
        How::CaughtUp => format!("by schedule, caught up for {planned}"),
    }
}
