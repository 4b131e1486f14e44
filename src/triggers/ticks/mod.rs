//! Schedules: each expected tick is planned ahead, and gets one fate.
//!
//! The ledger in the store is the truth; what is kept in memory is a copy of its schedules, thrown away whenever a commit
//! does not go as expected. A tick's fate, what is planned after it and its run are one batch, on the condition that the
//! schedule's row is as it was read: so no tick has two fates, whoever stops this process when.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`plan`] | what becomes of ticks that are due: pure |
//! | [`known`] | the schedules, as the ledger and the playbooks have them |
//! | [`writing`] | the batch under way |

mod begin;
mod known;
pub mod plan;
mod writing;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod plan_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Trigger, Turn};
use crate::effect::{Failure, RunMode};
use crate::gate::Gate;
use crate::serve::Edition;
use crate::serve::edition::Listed;
use crate::store::StoreError;
use crate::store::ticks::Pauses;
use known::Known;
use writing::Writing;

/// After so many lost races in a row it waits for a second.
const RACES_MAX: u32 = 3;

/// How long it waits then.
const RACE_PAUSE_MS: i64 = 1000;

/// Starts runs by schedule.
#[derive(Default)]
pub struct Ticks {
    known: Option<Known>,
    races: u32,
}

/// What is live, as far as ticks are concerned.
pub struct LiveNow<'a> {
    /// Another number means other playbooks.
    pub number: u64,
    pub playbooks: &'a BTreeMap<String, Arc<Listed>>,
    pub gate: &'a Gate,
    pub mode: &'a dyn Fn(&Listed) -> Result<RunMode, Failure>,
}

impl Trigger for Ticks {
    fn name(&self) -> &'static str {
        "ticks"
    }

    fn turn(&mut self, edition: &Edition, now_ms: i64, room: usize) -> Result<Turn, StoreError> {
        let mode = |listed: &Listed| {
            edition
                .mode(listed)
                .map_err(|error| Failure::new(error.code(), error.to_string()))
        };
        let live = LiveNow {
            number: edition.number,
            playbooks: &edition.playbooks,
            gate: &edition.runner.gate,
            mode: &mode,
        };
        self.look(&live, now_ms, room)
    }
}

impl Ticks {
    /// As [`turn`](Trigger::turn).
    pub fn look(&mut self, live: &LiveNow<'_>, now_ms: i64, room: usize) -> Result<Turn, StoreError> {
        match self.try_look(live, now_ms, room) {
            Ok(turn) => {
                self.races = 0;
                Ok(turn)
            }
            // Somebody else has written a row that this rests on: it is read anew, and nothing was done.
            Err(StoreError::Conflict { .. }) => {
                self.known = None;
                self.races += 1;
                let is_stubborn = self.races >= RACES_MAX;
                Ok(Turn {
                    has_more: !is_stubborn,
                    next_ms: Some(if is_stubborn { now_ms + RACE_PAUSE_MS } else { now_ms }),
                    ..Turn::default()
                })
            }
            Err(error) => {
                self.known = None;
                Err(error)
            }
        }
    }

    fn try_look(&mut self, live: &LiveNow<'_>, now_ms: i64, room: usize) -> Result<Turn, StoreError> {
        let store = &*live.gate.ground.store;
        let known = match &mut self.known {
            Some(known) => known,
            None => self.known.insert(Known::load(store)?),
        };
        let mut writing = Writing::new(store, now_ms, room);
        known.reconcile(live, &mut writing)?;
        let pauses = Pauses::load(store)?;
        known.release(&pauses, &mut writing)?;
        let looked = known.start_due(live, &pauses, &mut writing);
        // What was committed has happened, whatever came after it.
        match looked.and_then(|()| writing.flush(known)) {
            Ok(()) => {}
            Err(error) if !writing.turn.runs.is_empty() => {
                tracing::debug!(%error, "the turn of the schedules was cut short");
                self.known = None;
                let mut turn = writing.turn;
                turn.has_more = true;
                return Ok(turn);
            }
            Err(error) => return Err(error),
        }
        let mut turn = writing.turn;
        turn.next_ms = known.next_ms();
        Ok(turn)
    }
}
