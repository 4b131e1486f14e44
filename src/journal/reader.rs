//! A recorded journal, as it answers a script and as people read it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::entry::{Answer, Asked, Attempt, Begun, Ended, Entry, Intent};
use super::life::{Awaited, Cleanup, Resolved, Suspended};
use super::row::{DecodeError, FORMAT, decode};
use super::{JournalError, Outcome, Status};
use crate::effect::{Class, Failure, Place, RunMode};
use crate::id::{RunId, StepNo};
use crate::store::tx::Ground;
use crate::store::{KeyRange, keys};
use crate::value::Value;

/// Rows read from the store at a time.
const ROWS_AT_ONCE: usize = 256;

/// Everything on record of one run, as it holds now: what was made void is in `past`.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// What the run is pinned to: by its beginning, or by the last edit.
    pub begun: Begun,
    pub steps: BTreeMap<StepNo, Step>,
    pub ended: Option<Ended>,
    /// How many entries the store holds.
    pub entries: u64,
    /// The latest owner's.
    pub epoch: u32,
    /// The latest time on record.
    pub last_ms: u64,
    /// How long it was at work before it was last suspended.
    pub active_ms: u64,
    /// How often steps were made void: the same step is another one afterwards, under other idempotency keys.
    pub generation: u32,
    /// After an edit: what is left of the steps before.
    pub carried: Option<CarryOver>,
    /// Set once the script is over and its clean-up has begun.
    pub cleanup: Option<Cleanup>,
    /// Steps that do not answer any more, oldest first: reopened, or of a script before an edit.
    pub past: Vec<(StepNo, Step)>,
}

/// The steps of a script before an edit that the edited one has not asked for yet.
#[derive(Clone, Debug)]
pub struct CarryOver {
    /// What the run was pinned to before.
    pub before: Begun,
    pub steps: BTreeMap<StepNo, Step>,
    pub keep: BTreeSet<StepNo>,
    pub again: BTreeSet<StepNo>,
    /// What was really asked, of steps whose outcome was kept for a call with other arguments: by the number of the
    /// step in `steps`, and of the step that has its outcome now.
    otherwise: BTreeMap<StepNo, Vec<Asked>>,
    otherwise_now: BTreeMap<StepNo, Vec<Asked>>,
}

impl CarryOver {
    /// Takes the step `from` out: its outcome is kept for `asked`.
    pub fn keep_for(&mut self, from: StepNo, asked: &Asked) -> Option<Step> {
        let step = self.steps.remove(&from)?;
        let mut otherwise = self.otherwise.remove(&from).unwrap_or_default();
        otherwise.extend(step.asked().filter(|before| before.args != asked.args).cloned());
        if !otherwise.is_empty() {
            self.otherwise_now.insert(asked.step, otherwise);
        }
        Some(step)
    }

    /// Whether the outcome of just this was kept for another call.
    pub fn is_kept_otherwise(&self, asked: &Asked) -> bool {
        let mut otherwise = self.otherwise.values().chain(self.otherwise_now.values()).flatten();
        otherwise.any(|before| before.name == asked.name && before.args == asked.args)
    }
}

/// One effect on record: intents, attempts, and the answer if it came that far.
#[derive(Clone, Debug, Default)]
pub struct Step {
    pub intents: Vec<Intent>,
    pub attempts: Vec<Attempt>,
    pub answer: Option<Answer>,
    /// Where the script was unwound last.
    pub suspended: Option<Suspended>,
    /// What a person said of it.
    pub resolved: Option<Resolved>,
}

impl Step {
    /// What was asked.
    pub fn asked(&self) -> Option<&Asked> {
        let answered = self.answer.as_ref().map(|answer| &answer.asked);
        let intended = self.intents.first().map(|intent| &intent.asked);
        let waited = self.suspended.as_ref().map(|suspended| &suspended.asked);
        answered.or(intended).or(waited)
    }

    /// Whether a write may have left, and nobody knows or has said what became of it.
    pub fn is_in_doubt(&self) -> bool {
        match &self.answer {
            Some(answer) => answer.in_doubt,
            None => self
                .intents
                .last()
                .is_some_and(|intent| self.attempt(intent.attempt).is_none_or(|attempt| attempt.in_doubt)),
        }
    }

    /// Under another number. Where it was asked for is a place of a script before the last one, whose lines say nothing
    /// of this one's.
    fn left_as(mut self, number: StepNo) -> Step {
        let answered = self.answer.as_mut().map(|answer| &mut answer.asked);
        let intended = self.intents.iter_mut().map(|intent| &mut intent.asked);
        let waited = self.suspended.as_mut().map(|suspended| &mut suspended.asked);
        for asked in answered.into_iter().chain(intended).chain(waited) {
            asked.place = Place::default();
            asked.step = number;
        }
        self
    }

    /// What came of one attempt, if that is on record.
    pub fn attempt(&self, number: u32) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.attempt == number)
    }

    /// Whether a write was done outside, or may have been, although somebody has settled for its error.
    pub fn has_landed(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| {
            let landed = match &answer.error {
                None => true,
                // Sent, and then an error that does not say: perhaps an answer that was too large to be kept.
                Some(failure) => failure.landed.unwrap_or(!self.intents.is_empty()),
            };
            answer.asked.class == Class::Write && answer.simulated.is_none() && !answer.in_doubt && landed
        })
    }
}

/// The rows of `run` from entry `first` on.
fn rest_of(run: RunId, first: u64) -> KeyRange {
    (Bound::Included(keys::journal(run, first)), keys::journal_of(run).1)
}

impl Recorded {
    /// Reads the journal of `run`, with its large values.
    pub fn load(ground: &Ground, run: RunId) -> Result<Recorded, JournalError> {
        let mut recorded = Recorded::from_entries(run, Recorded::entries_of(ground, run)?)?;
        recorded.load_large(ground, run)?;
        Ok(recorded)
    }

    /// The entries of `run` as they were written, in order.
    pub fn entries_of(ground: &Ground, run: RunId) -> Result<Vec<Entry>, JournalError> {
        let mut entries = Vec::new();
        loop {
            let rows = ground
                .store
                .scan(rest_of(run, entries.len() as u64), ROWS_AT_ONCE, false)?;
            let last = rows.len() < ROWS_AT_ONCE;
            for (key, row) in rows {
                let number = entries.len() as u64;
                let corrupt = |reason| JournalError::Corrupt {
                    run,
                    entry: number,
                    reason,
                };
                if keys::parse(&key) != Some(keys::Place::Journal { run, first: number }) {
                    return Err(corrupt("entries are missing here".to_owned()));
                }
                entries.extend(decode(&row.value).map_err(|error| match error {
                    DecodeError::Newer(found) => JournalError::NewerFormat {
                        run,
                        found,
                        known: FORMAT,
                    },
                    DecodeError::Corrupt(reason) => corrupt(reason),
                })?);
            }
            if last {
                return Ok(entries);
            }
        }
    }

    /// Arranges entries by step; refuses what no writer writes.
    pub fn from_entries(run: RunId, entries: Vec<Entry>) -> Result<Recorded, JournalError> {
        let count = entries.len() as u64;
        let corrupt = |entry: usize, reason: &str| JournalError::Corrupt {
            run,
            entry: entry as u64,
            reason: reason.to_owned(),
        };
        let mut entries = entries.into_iter().enumerate();
        let Some((_, Entry::Begun(begun))) = entries.next() else {
            return Err(corrupt(0, "it does not start with the beginning of a run"));
        };
        let mut recorded = Recorded {
            epoch: begun.epoch,
            begun: *begun,
            steps: BTreeMap::new(),
            ended: None,
            entries: count,
            last_ms: 0,
            active_ms: 0,
            generation: 0,
            carried: None,
            cleanup: None,
            past: Vec::new(),
        };
        for (number, entry) in entries {
            recorded.take(entry).map_err(|reason| corrupt(number, reason))?;
        }
        Ok(recorded)
    }

    /// Adds the next entry; says why it cannot stand here.
    fn take(&mut self, entry: Entry) -> Result<(), &'static str> {
        let reopens = matches!(
            entry,
            Entry::Resolved(_) | Entry::Reopened(_) | Entry::Edited(_) | Entry::Begun(_)
        );
        if self.ended.is_some() && !reopens {
            return Err("it goes on after its end");
        }
        match entry {
            Entry::Begun(_) => return Err("the run begins twice"),
            Entry::Intent(intent) => {
                self.saw(intent.at_ms);
                self.steps.entry(intent.asked.step).or_default().intents.push(intent);
            }
            Entry::Attempt(attempt) => {
                self.saw(attempt.at_ms.saturating_add(attempt.took_ms));
                self.steps.entry(attempt.step).or_default().attempts.push(attempt);
            }
            Entry::Answer(answer) => {
                self.saw(answer.at_ms.saturating_add(answer.took_ms));
                if let (Some(from), Some(carried)) = (answer.from, &mut self.carried) {
                    carried.keep_for(from, &answer.asked);
                }
                let step = self.steps.entry(answer.asked.step).or_default();
                if step.answer.replace(*answer).is_some() {
                    return Err("an effect has two answers");
                }
            }
            Entry::Resumed(resumed) => {
                if resumed.epoch <= self.epoch {
                    return Err("an owner comes after a later one");
                }
                self.epoch = resumed.epoch;
                self.saw(resumed.at_ms);
            }
            Entry::Suspended(suspended) => {
                self.saw(suspended.at_ms);
                self.active_ms = suspended.active_ms;
                let number = suspended.asked.step;
                if matches!(suspended.wake.awaited, Awaited::Poll { .. }) {
                    // Only the last try of a poll is kept.
                    self.steps.split_off(&number.saturating_add(1));
                }
                self.steps.entry(number).or_default().suspended = Some(*suspended);
            }
            Entry::Resolved(resolved) => self.resolve(*resolved)?,
            Entry::Reopened(reopened) => {
                if self.ended.is_none() {
                    return Err("what has no end is reopened");
                }
                self.saw(reopened.at_ms);
                self.reopen(reopened.step);
            }
            Entry::Edited(edited) => {
                self.saw(edited.at_ms);
                self.edit(edited.keep, edited.again);
                self.begun = Begun {
                    file: edited.file,
                    version: edited.version,
                    modules: edited.modules,
                    api: edited.api,
                    input: edited.input,
                    edition: edited.edition,
                    mode: RunMode {
                        uses: edited.uses,
                        ..self.begun.mode.clone()
                    },
                    ..self.begun.clone()
                };
            }
            Entry::Cleanup(cleanup) => {
                if self.cleanup.is_some() {
                    return Err("it is cleaned up twice");
                }
                self.saw(cleanup.at_ms);
                self.cleanup = Some(*cleanup);
            }
            Entry::Ended(end) => {
                self.saw(end.at_ms);
                self.ended = Some(end);
            }
        }
        Ok(())
    }

    /// Takes the run's end back, and makes void what came of `step`, what came after it, and the clean-up.
    pub fn reopen(&mut self, step: Option<StepNo>) {
        self.ended = None;
        let cleaned = self.cleanup.take().map(|cleanup| cleanup.after_step.saturating_add(1));
        if let Some(first) = step.into_iter().chain(cleaned).min() {
            self.void_from(first);
        }
    }

    /// Every step whose answer an edited script may keep: those of this script, and what it has not asked for of those
    /// before it. The error that ended the run is none: it is asked again.
    pub fn keepable(&self) -> BTreeMap<StepNo, Step> {
        let mut steps = self.own_keepable();
        let last = steps.keys().last().copied().unwrap_or(0);
        let left = self.carried.iter().flat_map(|carried| &carried.steps);
        for (number, step) in left.filter(|(_, step)| self.is_left_to_keep(step)) {
            let number = last.saturating_add(*number);
            steps.insert(number, step.clone().left_as(number));
        }
        steps
    }

    /// Of these, the steps of this script.
    fn own_keepable(&self) -> BTreeMap<StepNo, Step> {
        let end = self.ended.as_ref().and_then(|end| end.error.as_ref());
        let failed = end.and_then(|error| error.step);
        let cleaned = self.cleanup.as_ref().map_or(StepNo::MAX, |cleanup| cleanup.after_step);
        let mut steps = self.steps.clone();
        // Unless a person has said meanwhile that it landed.
        steps.retain(|number, step| (Some(*number) != failed || step.has_landed()) && *number <= cleaned);
        steps
    }

    /// By the numbers of `keepable`: what was really asked, where the outcome of a step was that of other calls.
    pub fn otherwise(&self) -> BTreeMap<StepNo, Vec<Asked>> {
        let Some(carried) = &self.carried else {
            return BTreeMap::new();
        };
        let last = self.own_keepable().keys().last().copied().unwrap_or(0);
        let left = carried.otherwise.iter();
        let left = left.map(|(number, asked)| (last.saturating_add(*number), asked.clone()));
        left.chain(carried.otherwise_now.clone()).collect()
    }

    /// Whether a step of an earlier script still holds something: an answer, a write under way, or runs that are at
    /// work and that no step of this script waits for.
    fn is_left_to_keep(&self, step: &Step) -> bool {
        let runs = |step: &Step| match step.suspended.as_ref().map(|suspended| &suspended.wake.awaited) {
            Some(Awaited::Children { runs, born }) => Some((runs.clone(), *born)),
            _ => None,
        };
        if step.answer.is_some() || !step.intents.is_empty() {
            return true;
        }
        let Some((at_work, born)) = runs(step) else {
            return false;
        };
        let mut waited_for = self.steps.values().filter_map(runs);
        !waited_for.any(|(runs, at)| if born.is_some() { at == born } else { runs == at_work })
    }

    /// Makes every step history; an edited script may keep their answers.
    pub fn edit(&mut self, keep: BTreeSet<StepNo>, again: BTreeSet<StepNo>) {
        let steps = self.keepable();
        let mut otherwise = self.otherwise();
        otherwise.retain(|number, _| !again.contains(number));
        self.ended = None;
        self.cleanup = None;
        self.void_from(0);
        self.carried = Some(CarryOver {
            before: self.begun.clone(),
            steps,
            keep,
            again,
            otherwise,
            otherwise_now: BTreeMap::new(),
        });
    }

    fn resolve(&mut self, resolved: Resolved) -> Result<(), &'static str> {
        self.saw(resolved.at_ms);
        let step = self.steps.get_mut(&resolved.step).filter(|step| step.is_in_doubt());
        let Some(step) = step else {
            return Err("what was not in doubt is resolved");
        };
        if !resolved.landed {
            // It is asked again as if for the first time.
            let number = resolved.step;
            step.resolved = Some(resolved);
            self.void_from(number);
            return Ok(());
        }
        let asked = step.asked().cloned().unwrap_or_default();
        let before = step.answer.take().unwrap_or_default();
        step.answer = Some(Answer {
            asked,
            value: resolved.value.clone(),
            error: None,
            in_doubt: false,
            ..before
        });
        step.resolved = Some(resolved);
        Ok(())
    }

    fn saw(&mut self, at_ms: u64) {
        self.last_ms = self.last_ms.max(at_ms);
    }

    /// Makes every step from `first` on history.
    fn void_from(&mut self, first: StepNo) {
        self.generation += 1;
        self.past.extend(self.steps.split_off(&first));
    }

    fn load_large(&mut self, ground: &Ground, run: RunId) -> Result<(), JournalError> {
        let load = |hash: crate::id::ContentHash| {
            let missing = || format!("the file {hash} that holds a large value is missing");
            let bytes = ground.content.get(&hash)?.ok_or_else(|| JournalError::Corrupt {
                run,
                entry: 0,
                reason: missing(),
            })?;
            Value::from_bytes(&bytes).map_err(|error| JournalError::Corrupt {
                run,
                entry: 0,
                reason: error.to_string(),
            })
        };
        let past = self.past.iter_mut().map(|(_, step)| step);
        for answer in self
            .steps
            .values_mut()
            .chain(past)
            .filter_map(|step| step.answer.as_mut())
        {
            if let Some(hash) = answer.file {
                answer.value = load(hash)?;
            }
        }
        if let Some(end) = &mut self.ended
            && let Some(hash) = end.file
        {
            end.value = load(hash)?;
        }
        Ok(())
    }

    /// The failure that ended the run from outside its script, at a moment that a replay cannot find again: somebody
    /// cancelled it, or its time or memory was used up.
    pub fn imposed_stop(&self) -> Option<&Failure> {
        const IMPOSED: [&str; 4] = ["CANCELLED", "LIMIT_TIME", "LIMIT_DEADLINE", "LIMIT_MEMORY"];
        let ended = self.ended.as_ref()?;
        let failure = &ended.error.as_ref()?.failure;
        let stopped = ended.stopped || self.cleanup.as_ref().is_some_and(|cleanup| cleanup.stopped);
        (stopped || IMPOSED.contains(&failure.code.as_str())).then_some(failure)
    }

    /// The state of a run that waits, as an outcome.
    pub fn waiting(&self) -> Option<Outcome> {
        let (_, last) = self.steps.last_key_value()?;
        let waits = self.ended.is_none() && last.suspended.is_some() && last.answer.is_none();
        waits.then_some(Outcome {
            status: Status::Suspended,
            value: Value::Unit,
            error: None,
        })
    }

    /// How the run ended, if it did.
    pub fn outcome(&self) -> Option<Outcome> {
        self.ended.as_ref().map(|end| Outcome {
            status: end.status,
            value: end.value.clone(),
            error: end.error.clone(),
        })
    }
}
