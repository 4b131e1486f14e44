//! A recorded journal, as it answers a script and as people read it.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::entry::{Answer, Asked, Attempt, Begun, Ended, Entry, Intent};
use super::row::{DecodeError, FORMAT, decode};
use super::{JournalError, Outcome};
use crate::effect::Failure;
use crate::id::{RunId, StepNo};
use crate::store::tx::Ground;
use crate::store::{KeyRange, keys};
use crate::value::Value;

/// Rows read from the store at a time.
const ROWS_AT_ONCE: usize = 256;

/// Everything on record of one run.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub begun: Begun,
    pub steps: BTreeMap<StepNo, Step>,
    pub ended: Option<Ended>,
    /// How many entries the store holds.
    pub entries: u64,
}

/// One effect on record: intents, attempts, and the answer if it came that far.
#[derive(Clone, Debug, Default)]
pub struct Step {
    pub intents: Vec<Intent>,
    pub attempts: Vec<Attempt>,
    pub answer: Option<Answer>,
}

impl Step {
    /// What was asked.
    pub fn asked(&self) -> Option<&Asked> {
        match (&self.answer, self.intents.first()) {
            (Some(answer), _) => Some(&answer.asked),
            (None, Some(intent)) => Some(&intent.asked),
            (None, None) => None,
        }
    }
}

/// The rows of `run` from entry `first` on.
fn rest_of(run: RunId, first: u64) -> KeyRange {
    (Bound::Included(keys::journal(run, first)), keys::journal_of(run).1)
}

impl Recorded {
    /// Reads the journal of `run`, with its large values.
    pub fn load(ground: &Ground, run: RunId) -> Result<Recorded, JournalError> {
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
                break;
            }
        }
        let mut recorded = Recorded::from_entries(run, entries)?;
        recorded.load_large(ground, run)?;
        Ok(recorded)
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
        let mut steps: BTreeMap<StepNo, Step> = BTreeMap::new();
        let mut ended = None;
        for (number, entry) in entries {
            if ended.is_some() {
                return Err(corrupt(number, "it goes on after its end"));
            }
            match entry {
                Entry::Begun(_) => return Err(corrupt(number, "the run begins twice")),
                Entry::Intent(intent) => steps.entry(intent.asked.step).or_default().intents.push(intent),
                Entry::Attempt(attempt) => steps.entry(attempt.step).or_default().attempts.push(attempt),
                Entry::Answer(answer) => {
                    let step = steps.entry(answer.asked.step).or_default();
                    if step.answer.replace(*answer).is_some() {
                        return Err(corrupt(number, "an effect has two answers"));
                    }
                }
                Entry::Ended(end) => ended = Some(end),
            }
        }
        Ok(Recorded {
            begun: *begun,
            steps,
            ended,
            entries: count,
        })
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
        for answer in self.steps.values_mut().filter_map(|step| step.answer.as_mut()) {
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
        const IMPOSED: [&str; 3] = ["CANCELLED", "LIMIT_TIME", "LIMIT_MEMORY"];
        let failure = &self.ended.as_ref()?.error.as_ref()?.failure;
        IMPOSED.contains(&failure.code.as_str()).then_some(failure)
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
