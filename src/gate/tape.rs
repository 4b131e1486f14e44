//! One run's tape: what it asks is answered from here as far as the record reaches, and written on here afterwards.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::Gate;
use super::aligned::{Aligned, Given};
use super::carried::Carried;
use super::observer::{Notice, Observer};
use super::stop::{Halt, Stop};
use crate::effect::{Class, Effect, Failure, RunMode};
use crate::id::{RunId, StepNo};
use crate::journal::{Answer, Asked, Begun, Entry, Owner, Recorded, Step, Writer, writer};
use crate::store::{Batch, Durability, StoreError, keys};
use crate::value::Value;

/// Effects that one run may ask for.
pub const EFFECTS_MAX: StepNo = 100_000;

/// The arguments of one effect, which stand whole in its entry: a row must hold them beside what waits before them.
const ARGS_BYTES_MAX: usize = 8 << 20;

/// What happens when the script asks for more than the record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// Carry it out, as a live run does.
    Perform,
    /// Stop: this is a replay.
    Refuse,
    /// Stop: the run is being cancelled.
    Cancel,
}

/// A run at the gate.
pub struct Tape {
    pub run: RunId,
    pub mode: RunMode,
    pub epoch: u32,
    /// How often earlier steps were made void.
    pub(super) generation: u32,
    /// Since when, in the run's time, this owner has it. An earlier owner's requests may have left until then.
    pub(super) owned_since_ms: u64,
    /// The machine's clock stands before what is on record: nothing can be said of how much time has passed.
    pub(super) clock_went_back: bool,
    pub(super) writer: Writer,
    pub(super) recorded: Option<Recorded>,
    pub(super) beyond: Beyond,
    /// In a what-if: the record, and how far the script has come in it.
    pub(super) aligned: Option<Aligned>,
    /// Of a run that goes on with an edited script: what is left of the steps before.
    pub(super) carried: Option<Carried>,
    pub(super) step: StepNo,
    pub(super) begun: Begun,
    /// When this owner began, on the clock that does not jump,
    pub(super) begun_at: Duration,
    /// and in the run's own time.
    pub(super) begun_at_ms: u64,
    /// How long the run was at work under earlier owners.
    pub(super) active_before_ms: u64,
    /// When the lease is next renewed, in Unix milliseconds.
    pub(super) renew_at_ms: i64,
    /// The latest time given to the script: within a run the clock never goes back.
    pub(super) now_ms: i64,
    pub(super) tally: Tally,
    observer: Arc<dyn Observer>,
    /// Once set, every further effect is refused.
    pub(super) halted: Option<Halt>,
    /// Set together with `halted`, for those who cannot take the tape.
    pub(super) stop: Arc<AtomicBool>,
    /// The operations of the script so far, counted by whoever runs it.
    pub(super) operations: Arc<AtomicU64>,
    workspace: PathBuf,
    /// Whether the playbook asks for an incident when its run fails.
    pub incident_on_failure: bool,
    /// When the run must be over, in its own time.
    pub(super) deadline_ms: Option<u64>,
    /// The poll whose closure is being tried.
    pub(super) polling: Option<StepNo>,
    pub(super) is_cleaning_up: bool,
    /// Whoever waits for the run is told what it gives and nothing of the run itself.
    pub answers_reads: bool,
    /// It has asked for more than the clock, chance and the store.
    pub(super) was_outside: bool,
}

/// What a run has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    pub effects: u32,
    pub simulated: u32,
    pub cost_usd: f64,
}

impl Tape {
    /// The tape of a recorded run, played from its start with every door shut.
    pub fn replay(gate: &Gate, recorded: Recorded, observer: Arc<dyn Observer>) -> Tape {
        let begun = recorded.begun.clone();
        Tape::new(gate, begun, recorded.entries, Some(recorded), Beyond::Refuse, observer)
    }

    /// The tape of a what-if: `begun` with what was changed, answered out of `aligned`. Nothing is ever written.
    pub fn what_if(gate: &Gate, begun: Begun, aligned: Aligned, observer: Arc<dyn Observer>) -> Tape {
        let tape = Tape::new(gate, begun, 0, None, Beyond::Refuse, observer);
        Tape {
            generation: aligned.generation(),
            aligned: Some(aligned),
            ..tape
        }
    }

    /// What a what-if was asked and given, once it is over.
    pub fn take_given(&mut self) -> Vec<Given> {
        self.aligned.take().map(Aligned::into_given).unwrap_or_default()
    }

    pub(super) fn new(
        gate: &Gate,
        begun: Begun,
        stored: u64,
        recorded: Option<Recorded>,
        beyond: Beyond,
        observer: Arc<dyn Observer>,
    ) -> Tape {
        Tape {
            run: begun.run,
            workspace: gate.world.work_dir.join(begun.run.to_string()),
            mode: begun.mode.clone(),
            epoch: begun.epoch,
            generation: recorded.as_ref().map_or(0, |recorded| recorded.generation),
            owned_since_ms: 0,
            clock_went_back: false,
            writer: Writer::new(begun.run, stored),
            recorded,
            beyond,
            aligned: None,
            carried: None,
            step: 0,
            begun_at: gate.world.clock.monotonic(),
            begun_at_ms: 0,
            active_before_ms: 0,
            renew_at_ms: begun.at_ms + Owner::LEASE_MS / 2,
            now_ms: begun.at_ms,
            begun,
            tally: Tally::default(),
            observer,
            halted: None,
            stop: Arc::default(),
            operations: Arc::default(),
            incident_on_failure: false,
            deadline_ms: None,
            polling: None,
            is_cleaning_up: false,
            answers_reads: false,
            was_outside: false,
        }
    }

    pub fn begun(&self) -> &Begun {
        &self.begun
    }

    pub fn tally(&self) -> Tally {
        self.tally
    }

    pub fn halted(&self) -> Option<&Halt> {
        self.halted.as_ref()
    }

    /// Ends the run as soon as its script asks for anything more.
    pub fn halt(&mut self, halt: Halt) {
        self.stop.store(true, Ordering::Relaxed);
        self.halted.get_or_insert(halt);
    }

    /// Set when the run is to stop. Setting it from outside cancels the run, without waiting for the effect under way.
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }

    /// Counts the script's operations.
    pub fn operations(&self) -> Arc<AtomicU64> {
        self.operations.clone()
    }

    /// Why the run is to stop, if somebody outside wants it to. Whoever replays is not of the process that ends.
    pub(super) fn asked_to_stop(&self, gate: &Gate) -> Option<Halt> {
        if self.stop.load(Ordering::Relaxed) {
            return Some(Halt::Cancelled);
        }
        gate.parks.load(Ordering::Relaxed).then_some(Halt::Parked)
    }

    /// The number of the step asked for last.
    pub fn step(&self) -> StepNo {
        self.step
    }

    /// The run's own folder.
    pub fn workspace(&self) -> &Path {
        &self.workspace
    }

    /// Whether the record still answers, so that log and progress are silent.
    pub fn is_replaying(&self) -> bool {
        let answers_more = |recorded: &Recorded| {
            let mut rest = recorded.steps.range(self.step + 1..);
            rest.any(|(_, step)| step.answer.is_some())
        };
        self.beyond == Beyond::Refuse || self.recorded.as_ref().is_some_and(answers_more)
    }

    pub fn observer(&self) -> &Arc<dyn Observer> {
        &self.observer
    }

    /// Milliseconds since the run began, on the clock that does not jump.
    pub fn elapsed_ms(&self, gate: &Gate) -> u64 {
        let elapsed = gate.world.clock.monotonic().saturating_sub(self.begun_at);
        self.begun_at_ms + u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX >> 1)
    }

    /// Unix milliseconds for the script: never before what it was told earlier.
    pub(super) fn now_ms(&mut self, gate: &Gate) -> i64 {
        self.now_ms = self.now_ms.max(gate.world.clock.unix_ms());
        self.now_ms
    }

    /// Lets time go back: for a test, which sets the clock itself.
    pub fn forget_time(&mut self) {
        self.now_ms = i64::MIN;
    }

    /// Numbers the next step, with arguments masked as the journal keeps them.
    pub(super) fn ask(&mut self, gate: &Gate, effect: &Effect<'_>) -> Result<Asked, Stop> {
        if let Some(halt) = &self.halted {
            return Err(Stop::Halted(halt.clone()));
        }
        if let Some(halt) = self.asked_to_stop(gate) {
            return Err(self.stop(halt));
        }
        if let Some(limit) = self.passed_deadline(gate) {
            return Err(self.stop(Halt::Limit(limit)));
        }
        if self.step >= EFFECTS_MAX {
            let message = format!(
                "the run has asked for {EFFECTS_MAX} effects, and no more are allowed; split it into several runs"
            );
            return Err(self.stop(Halt::Limit(Failure::new("LIMIT_EFFECTS", message))));
        }
        let bytes = effect.args.size();
        if bytes > ARGS_BYTES_MAX {
            let name = effect.name();
            let message = format!("the arguments of {name} have {bytes} bytes; at most {ARGS_BYTES_MAX} are allowed");
            return Err(Stop::Failed(Failure::new("ARGS_TOO_LARGE", message)));
        }
        self.step += 1;
        Ok(Asked {
            step: self.step,
            name: effect.declaration.name.to_string(),
            class: effect.declaration.class,
            args: gate.masks.mask(effect.args.clone()),
            place: effect.place.clone(),
        })
    }

    /// The answer on record, if there is one. Asked differently than recorded, the run stops.
    pub(super) fn recorded_answer(&mut self, asked: &Asked) -> Result<Option<Result<Value, Stop>>, Stop> {
        let Some(step) = self
            .recorded
            .as_mut()
            .and_then(|recorded| recorded.steps.get_mut(&asked.step))
        else {
            return Ok(None);
        };
        // Attempts at a read, before a host was stopped, tell nothing about what was asked.
        let Some(recorded) = step.asked() else {
            return Ok(None);
        };
        if recorded.name != asked.name || recorded.args != asked.args {
            let (recorded, asked_text) = (describe(recorded), describe(asked));
            return Err(self.stop(Halt::Nondeterminism {
                step: asked.step,
                recorded,
                asked: asked_text,
            }));
        }
        let Some(answer) = step.answer.clone() else {
            return Ok(None);
        };
        self.count(&answer);
        let failed = answer.error.clone();
        Ok(Some(match failed {
            Some(failure) if answer.in_doubt => Err(self.stop(Halt::InDoubt {
                step: asked.step,
                failure,
            })),
            Some(failure) => Err(Stop::Failed(failure)),
            None => Ok(answer.value),
        }))
    }

    /// What earlier owners have put on record of a step that has no answer yet.
    pub(super) fn recorded_step(&self, step: StepNo) -> Option<&Step> {
        self.recorded.as_ref()?.steps.get(&step)
    }

    /// Whether a person has said that `step`, as it was asked before, did not land.
    pub(super) fn is_settled(&self, step: StepNo) -> bool {
        let past = self.recorded.iter().flat_map(|recorded| &recorded.past);
        let mut said = past
            .filter(|(number, _)| *number == step)
            .filter_map(|(_, before)| before.resolved.as_ref());
        said.any(|resolved| !resolved.landed)
    }

    /// Stops a replay whose record has ended: as the run was stopped, where that came from outside.
    pub(super) fn refuse_beyond(&mut self, asked: &Asked) -> Result<(), Stop> {
        match self.beyond {
            Beyond::Perform => Ok(()),
            Beyond::Cancel if self.is_cleaning_up => Ok(()),
            Beyond::Cancel => Err(self.stop(Halt::Cancelled)),
            Beyond::Refuse => {
                // What was stopped while it waited does not wait any more.
                if let Some(halt) = self.recorded.as_ref().and_then(Recorded::imposed_stop) {
                    return Err(self.stop(halt_again(halt)));
                }
                if let Some(suspended) = self.recorded_step(asked.step).and_then(|step| step.suspended.clone()) {
                    return Err(self.stop(self.suspension(&suspended)));
                }
                let text = describe(asked);
                Err(self.stop(Halt::NotRecorded {
                    step: asked.step,
                    asked: text,
                }))
            }
        }
    }

    /// Notes that what the run gives follows from more than the store. Whoever asked may hear of such a run before it is
    /// over, so it is on record from here on.
    pub(super) fn goes_outside(&mut self, gate: &Gate) -> Result<(), Stop> {
        self.was_outside = true;
        match self.answers_reads && self.writer.is_unwritten() {
            true => self.persist_waiting(gate, Durability::Soon),
            false => Ok(()),
        }
    }

    pub(super) fn begin(&self, gate: &Gate, asked: &Asked) {
        self.observer.notice(Notice::Asked {
            asked,
            at_ms: self.elapsed_ms(gate),
        });
    }

    /// An answer to `asked`, still without a value.
    pub(super) fn answer_to(&self, gate: &Gate, asked: Asked) -> Answer {
        Answer {
            asked,
            at_ms: self.elapsed_ms(gate),
            ..Answer::default()
        }
    }

    /// Puts the outcome on the tape, to reach the store with a later batch, and gives it to the script.
    pub(super) fn conclude(&mut self, gate: &Gate, answer: Answer) -> Result<Value, Stop> {
        let kept = writer::kept(&gate.ground, &answer);
        let kept = self.persist(kept)?;
        self.writer.append_answer(&kept);
        // Lost, it would leave a write in doubt of which everything was known; what follows may take minutes.
        let was_sent = answer.asked.class == Class::Write && answer.simulated.is_none();
        if was_sent || self.writer.is_due(self.elapsed_ms(gate)) {
            self.persist_waiting(gate, Durability::Soon)?;
        }
        self.give(answer)
    }

    /// Puts the outcome on the tape in one batch with the store change it made.
    ///
    /// A conflict is handed back, and nothing happened: somebody else was quicker.
    pub(super) fn conclude_with(&mut self, gate: &Gate, answer: &Answer, change: Batch) -> Result<(), StoreError> {
        self.has_changed_store();
        let kept = writer::kept(&gate.ground, answer)?;
        self.renew_lease(gate);
        self.writer.commit_answer(&gate.ground, change, &kept)
    }

    /// Notes that a script has changed the store after an edit.
    fn has_changed_store(&mut self) {
        if let Some(carried) = &mut self.carried {
            carried.has_changed_store = true;
        }
    }

    /// Writes an intent and everything before it to disk: after this the request may leave.
    pub(super) fn promise(&mut self, gate: &Gate, intent: Entry) -> Result<(), Stop> {
        self.renew_lease(gate);
        let written = self
            .writer
            .commit(&gate.ground, Batch::new(), Some(&intent), Durability::Now);
        self.persist(written)
    }

    pub(super) fn append(&mut self, entry: Entry) {
        self.writer.append(&entry);
    }

    pub(super) fn persist_waiting(&mut self, gate: &Gate, durability: Durability) -> Result<(), Stop> {
        self.renew_lease(gate);
        let written = self.writer.flush(&gate.ground, durability);
        self.persist(written)
    }

    /// A journal that cannot be written ends the run: nothing more may be done that could not be remembered.
    pub(super) fn persist<T>(&mut self, written: Result<T, StoreError>) -> Result<T, Stop> {
        written.map_err(|error| {
            let failure = match &error {
                StoreError::Conflict { key } if keys::is_journal_of(key, self.run) => Failure::new(
                    "LEASE_LOST",
                    "another owner goes on with this run, so this one must not",
                ),
                error => Failure::new(error.code(), error.to_string()),
            };
            self.stop(Halt::Store(failure))
        })
    }

    /// Tells the observer and the script what came of an effect.
    pub(super) fn give(&mut self, answer: Answer) -> Result<Value, Stop> {
        self.count(&answer);
        self.observer.notice(Notice::Answered { answer: &answer });
        match answer.error {
            Some(failure) if answer.in_doubt => Err(self.stop(Halt::InDoubt {
                step: answer.asked.step,
                failure,
            })),
            Some(failure) => Err(Stop::Failed(failure)),
            None => Ok(answer.value),
        }
    }

    fn count(&mut self, answer: &Answer) {
        self.tally.effects += 1;
        self.tally.simulated += u32::from(answer.simulated.is_some());
        self.tally.cost_usd += answer.cost_usd.unwrap_or(0.0);
    }

    pub(super) fn stop(&mut self, halt: Halt) -> Stop {
        self.halt(halt.clone());
        Stop::Halted(halt)
    }
}

/// The halt that a stop from outside was.
fn halt_again(failure: &Failure) -> Halt {
    if failure.code == "CANCELLED" {
        Halt::Cancelled
    } else {
        Halt::Limit(failure.clone())
    }
}

/// An effect in a message: its name and the beginning of its arguments.
pub(super) fn describe(asked: &Asked) -> String {
    const CHARS_MAX: usize = 120;
    let args = asked.args.to_string();
    let mut text: String = format!("{} {args}", asked.name).chars().take(CHARS_MAX).collect();
    if text.len() < asked.name.len() + 1 + args.len() {
        text.push('…');
    }
    text
}
