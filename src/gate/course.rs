//! The course of a run on its tape: it begins, is resumed, suspended, cleaned up after, and ends.
//!
//! *Ownership:* whoever resumes a run appends an entry with the next epoch. It stands where an earlier owner's next
//! entry would, so that one can append nothing more, and what it cannot append it cannot send.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Gate;
use super::aftermath::{self, Aftermath};
use super::aligned::clock_reading;
use super::carried::Carried;
use super::ending::Ending;
use super::matching::Sites;
use super::observer::{Notice, Observer};
use super::stop::Halt;
use super::tape::{Beyond, Tape};
use crate::effect::Failure;
use crate::id::StepNo;
use crate::journal::incident::{self, OpenedBy};
use crate::journal::life::{Cleanup, Edited, Reopened, Resumed};
use crate::journal::{Begun, Entry, Outcome, Owner, Recorded, RunError, RunRecord, Status, Suspended, Waits, entry};
use crate::store::{Batch, Durability, StoreError, keys};
use crate::value::Value;

/// How often a run's end is written anew because somebody else was quicker at its incident or its job.
const CONFLICTS_MAX: u32 = 64;

/// How a run goes on.
#[derive(Clone, Debug, Default)]
pub struct Resumption {
    /// Who or what resumes it.
    pub by: String,
    /// The script it goes on with, if that is another.
    pub edit: Option<Edit>,
    /// Its end does not hold any more; with the step whose error ended it, which is asked again.
    pub reopens: Option<Option<StepNo>>,
}

/// Another script for a run, and what of its steps is kept or done again.
#[derive(Clone, Debug)]
pub struct Edit {
    pub entry: Edited,
    pub versions: Batch,
}

/// How a script ended that is replayed.
#[derive(Clone, Debug)]
pub struct ScriptEnd {
    /// The steps that the interpreter took.
    pub operations: u64,
    /// What stopped it after them, when no entry tells.
    pub stopped: Option<Halt>,
}

impl Tape {
    /// The tape of a run that begins now.
    pub fn begin_run(gate: &Gate, begun: Begun, versions: Batch, observer: Arc<dyn Observer>) -> Tape {
        let observer = gate.watched(&begun, 0, observer);
        let mut tape = Tape::new(gate, begun, 0, None, Beyond::Perform, observer);
        let mut record = tape.record(Status::Running, None, None);
        record.lease = Some(gate.owner.lease(tape.epoch, tape.begun.at_ms));
        tape.writer.append_begun(&tape.begun, record);
        tape.writer.attach(versions);
        tape
    }

    /// The tape of a recorded run that goes on where its journal ends. Fails with a conflict when somebody else has
    /// taken it, or written on it, in between.
    pub fn resume(
        gate: &Gate,
        recorded: Recorded,
        before: &RunRecord,
        how: &Resumption,
        observer: Arc<dyn Observer>,
    ) -> Result<Tape, StoreError> {
        let begun = recorded.begun.clone();
        let wall_ms = gate.world.clock.unix_ms() - begun.at_ms;
        let stored = recorded.entries;
        let last_ms = recorded.last_ms;
        let voids = how.edit.is_some() || how.reopens.flatten().is_some();
        let had_ended = before.ended_ms.is_some() || how.reopens.is_some();
        let again = (recorded.generation + u32::from(voids)).max(u32::from(had_ended));
        let observer = gate.watched(&begun, again, observer);
        let mut tape = Tape::new(gate, begun, stored, Some(recorded), Beyond::Perform, observer);
        let recorded = tape.recorded.as_mut().expect("it was just given");
        tape.clock_went_back = wall_ms < last_ms as i64;
        tape.begun_at_ms = last_ms.max(u64::try_from(wall_ms).unwrap_or(0));
        tape.owned_since_ms = tape.begun_at_ms;
        tape.active_before_ms = recorded.active_ms;
        tape.epoch = recorded.epoch + 1;
        // The clock may have been set back since it was read last.
        let answers = recorded.steps.values().filter_map(|step| step.answer.as_ref());
        let told_ms = answers.filter_map(clock_reading).max().unwrap_or(i64::MIN);
        tape.now_ms = told_ms.max(tape.begun.unix_ms(last_ms));
        let at_ms = tape.begun_at_ms;
        if let Some(edit) = &how.edit {
            let entry = Edited {
                at_ms,
                ..edit.entry.clone()
            };
            recorded.edit(entry.keep.clone(), entry.again.clone());
            tape.generation = recorded.generation;
            tape.begun = Begun {
                file: entry.file.clone(),
                version: entry.version,
                modules: entry.modules.clone(),
                api: entry.api,
                input: entry.input.clone(),
                edition: entry.edition,
                ..tape.begun
            };
            tape.begun.mode.uses.clone_from(&entry.uses);
            tape.mode = tape.begun.mode.clone();
            tape.writer.append(&Entry::Edited(Box::new(entry)));
            tape.writer.attach(edit.versions.clone());
        } else if let Some(step) = how.reopens {
            let by = how.by.clone();
            tape.writer.append(&Entry::Reopened(Reopened {
                step,
                at_ms,
                by: by.clone(),
            }));
            recorded.reopen(step);
            tape.generation = recorded.generation;
        }
        tape.writer.append(&Entry::Resumed(Resumed {
            epoch: tape.epoch,
            boot: gate.owner.boot.clone(),
            at_ms,
            by: how.by.clone(),
        }));
        let mut batch = Batch::new();
        let now_ms = gate.world.clock.unix_ms();
        tape.renew_at_ms = now_ms + Owner::LEASE_MS / 2;
        let record = RunRecord {
            status: Status::Running,
            lease: Some(gate.owner.lease(tape.epoch, now_ms)),
            waits: None,
            ended_ms: None,
            error: None,
            file: tape.begun.file.clone(),
            version: tape.begun.version,
            ..before.clone()
        };
        batch.put(keys::run(tape.run), record.encode());
        batch.put(keys::open(tape.run), Vec::new());
        if let Some(until_ms) = before.waits.as_ref().and_then(|waits| waits.until_ms) {
            batch.delete(keys::wake(until_ms, tape.run));
        }
        // Whatever has woken it is looked at from here on.
        batch.delete(keys::wake(0, tape.run));
        tape.writer.commit(&gate.ground, batch, None, Durability::Soon)?;
        Ok(tape)
    }

    /// Gives the script, which is an edited one, what is left of the answers before.
    pub fn carry_over(&mut self, sites: Sites) {
        let over = self.recorded.as_ref().and_then(|recorded| recorded.carried.clone());
        self.carried = over.map(|over| Carried::new(over, sites));
    }

    /// The run as it was before its last edit.
    pub fn before_edit(&self) -> Option<&Begun> {
        let carried = self.recorded.as_ref()?.carried.as_ref()?;
        Some(&carried.before)
    }

    /// Stops the script where its record ends.
    pub fn cancel_beyond_record(&mut self) {
        self.beyond = Beyond::Cancel;
    }

    /// Sets when the run must be over, `after_ms` from its beginning.
    pub fn set_deadline(&mut self, after_ms: u64) {
        self.deadline_ms = Some(after_ms);
    }

    /// The deadline, if it has passed.
    pub(super) fn passed_deadline(&self, gate: &Gate) -> Option<Failure> {
        let deadline_ms = self
            .deadline_ms
            .filter(|_| self.beyond == Beyond::Perform && !self.is_cleaning_up)?;
        self.is_due(gate, deadline_ms).then(|| {
            let message = format!(
                "the run began {} ago, and its deadline has passed",
                crate::duration::for_people(deadline_ms)
            );
            Failure::new("LIMIT_DEADLINE", message)
        })
    }

    /// How long the run has been at work.
    pub fn active_ms(&self, gate: &Gate) -> u64 {
        self.active_before_ms + (self.elapsed_ms(gate) - self.begun_at_ms)
    }

    /// Renews this owner's claim on the run, with the next batch, when half of its time is over.
    pub(super) fn renew_lease(&mut self, gate: &Gate) {
        let now_ms = gate.world.clock.unix_ms();
        if now_ms >= self.renew_at_ms && self.beyond == Beyond::Perform {
            self.renew_at_ms = now_ms + Owner::LEASE_MS / 2;
            let mut record = self.record(Status::Running, None, None);
            record.lease = Some(gate.owner.lease(self.epoch, now_ms));
            let mut batch = Batch::new();
            batch.put(keys::run(self.run), record.encode());
            self.writer.attach(batch);
        }
    }

    /// The halt of a run that waits.
    pub(super) fn suspension(&self, suspended: &Suspended) -> Halt {
        Halt::Suspended(Waits {
            step: suspended.asked.step,
            until_ms: suspended.wake.at_ms.map(|at_ms| self.begun.unix_ms(at_ms)),
            what: suspended.wake.awaited.in_words(),
        })
    }

    /// Writes down what the run waits for, with the changes that belong to it, durably. A conflict is handed back.
    pub(super) fn suspend(&mut self, gate: &Gate, suspended: Suspended, change: Batch) -> Result<Halt, StoreError> {
        let mut halt = self.suspension(&suspended);
        let Halt::Suspended(waits) = &mut halt else {
            unreachable!("it was made one line above")
        };
        // Woken to be told that it is over, if nothing else comes.
        let deadline = self.deadline_ms.map(|at_ms| self.begun.unix_ms(at_ms));
        waits.until_ms = waits.until_ms.into_iter().chain(deadline).min();
        let mut batch = change;
        if let Some(until_ms) = waits.until_ms {
            batch.put(keys::wake(until_ms, self.run), Vec::new());
        }
        let mut record = self.record(Status::Suspended, None, None);
        record.waits = Some(waits.clone());
        batch.put(keys::run(self.run), record.encode());
        batch.delete(keys::open(self.run));
        let entry = Entry::Suspended(Box::new(suspended));
        self.writer.commit(&gate.ground, batch, Some(&entry), Durability::Now)?;
        self.observer().notice(Notice::Rested { record: &record });
        Ok(halt)
    }

    /// Begins the clean-up of a run that will end with `outcome`: effects are let through again.
    pub fn begin_cleanup(&mut self, gate: &Gate, outcome: &Outcome) {
        let stopped = self.is_stopped_from_outside();
        let operations = self.operations.swap(0, Ordering::Relaxed);
        self.halted = None;
        self.stop.store(false, Ordering::Relaxed);
        self.is_cleaning_up = true;
        let recorded = self.recorded.as_ref().and_then(|recorded| recorded.cleanup.as_ref());
        if let Some(cleanup) = recorded {
            self.step = cleanup.after_step;
            return;
        }
        if self.beyond == Beyond::Refuse {
            return;
        }
        self.writer.append(&Entry::Cleanup(Box::new(Cleanup {
            status: outcome.status,
            error: outcome.error.clone(),
            after_step: self.step,
            at_ms: self.elapsed_ms(gate),
            operations,
            stopped,
        })));
    }

    /// How the script ended that this replays.
    pub fn recorded_end(&self) -> Option<ScriptEnd> {
        let recorded = self.recorded.as_ref().filter(|_| self.beyond == Beyond::Refuse)?;
        let halt = |stopped: bool, status: Status, error: &Option<RunError>| {
            let error = error.clone().filter(|_| stopped)?;
            Some(Halt::Recorded { status, error })
        };
        match (&recorded.cleanup, &recorded.ended) {
            (Some(cleanup), _) => Some(ScriptEnd {
                operations: cleanup.operations,
                stopped: halt(cleanup.stopped, cleanup.status, &cleanup.error),
            }),
            (None, Some(end)) => Some(ScriptEnd {
                operations: end.operations,
                stopped: halt(end.stopped, end.status, &end.error),
            }),
            (None, None) => None,
        }
    }

    /// The clean-up that an earlier owner began.
    pub fn recorded_cleanup(&self) -> Option<&Cleanup> {
        self.recorded.as_ref()?.cleanup.as_ref()
    }

    fn is_stopped_from_outside(&self) -> bool {
        self.halted.as_ref().is_some_and(|halt| !halt.is_on_tape())
    }

    /// Puts the run on disk as far as it has come, to be told of before it is over.
    pub fn put_on_disk(&mut self, gate: &Gate) -> Result<(), StoreError> {
        self.writer.flush(&gate.ground, Durability::Now)
    }

    /// Ends a recorded run: writes its last entry and its record. It is over when that is on disk. A run that has changed
    /// nothing and whose end means nothing to others does not wait for its own record, where whoever waits is told nothing
    /// of it: only for what it has read.
    pub fn end_run(
        &mut self,
        gate: &Gate,
        outcome: &Outcome,
        cleanup_error: Option<RunError>,
    ) -> Result<Ending, StoreError> {
        let mut ended = entry::Ended {
            status: outcome.status,
            value: outcome.value.clone(),
            file: None,
            error: outcome.error.clone(),
            at_ms: self.elapsed_ms(gate),
            operations: self.operations.load(Ordering::Relaxed),
            stopped: !self.is_cleaning_up && self.is_stopped_from_outside(),
            cleanup_error: cleanup_error.map(Box::new),
        };
        if ended.value.size() > entry::INLINE_BYTES_MAX {
            ended.file = Some(gate.ground.content.put(&ended.value.to_bytes())?);
            ended.value = Value::Unit;
        }
        let ended_ms = Some(self.begun.unix_ms(ended.at_ms));
        let record = self.record(outcome.status, outcome.error.clone(), ended_ms);
        let ended = Entry::Ended(ended);
        let mut tries_left = CONFLICTS_MAX;
        let until = loop {
            let Aftermath {
                mut batch,
                is_tried_again,
            } = aftermath::of(gate, &self.begun, &record)?;
            let opened_by = match record.status {
                Status::NeedsAttention => Some(OpenedBy::InDoubt),
                // It is not known yet whether it fails.
                Status::Failed if is_tried_again => None,
                Status::Failed if self.incident_on_failure => Some(OpenedBy::Rule),
                _ => None,
            };
            let may_conflict = opened_by.is_some() || !batch.preconditions.is_empty();
            if let Some(parent) = self.begun.parent {
                // Whether it waits for this run or for another: it looks when it is woken.
                batch.put(keys::wake(0, parent.run), Vec::new());
            }
            if let Some(opened_by) = opened_by {
                incident::open_in(&mut batch, &*gate.ground.store, &record, opened_by)?;
            }
            tries_left -= 1;
            let only_read = !self.was_outside && self.writer.is_unwritten() && batch.is_empty();
            let written = match self.answers_reads && only_read {
                true => self.writer.end_after_reads(&gate.ground, &ended, &record),
                false => self.writer.end(&gate.ground, &ended, &record, batch),
            };
            match written {
                // Somebody wrote to the incident or the job in between. Where it was the journal, it will be again.
                Err(StoreError::Conflict { .. }) if may_conflict && tries_left > 0 => {}
                written => break written?,
            }
        };
        Ok(Ending {
            record,
            until,
            parent: self.begun.parent.map(|parent| parent.run),
            observer: self.observer().clone(),
            span: tracing::Span::current(),
        })
    }

    /// Lets go of a run that its process cannot end: what waits of it is on disk when this returns.
    pub fn park(&mut self, gate: &Gate) -> Result<RunRecord, StoreError> {
        self.writer.flush(&gate.ground, Durability::Now)?;
        let record = self.record(Status::Running, None, None);
        self.observer().notice(Notice::Rested { record: &record });
        Ok(record)
    }

    /// The record of a run that is suspended, as it was written last.
    pub fn suspended_record(&self, waits: &Waits) -> RunRecord {
        let mut record = self.record(Status::Suspended, None, None);
        record.waits = Some(waits.clone());
        record
    }

    fn record(&self, status: Status, error: Option<RunError>, ended_ms: Option<i64>) -> RunRecord {
        RunRecord {
            run: self.run,
            playbook: self.begun.playbook.clone(),
            file: self.begun.file.clone(),
            version: self.begun.version,
            status,
            live: self.mode.live,
            begun_ms: self.begun.at_ms,
            ended_ms,
            effects: self.tally.effects,
            simulated: self.tally.simulated,
            cost_usd: self.tally.cost_usd,
            error,
            parent: self.begun.parent,
            lease: None,
            waits: None,
            corr: self.begun.corr.clone(),
        }
    }
}
