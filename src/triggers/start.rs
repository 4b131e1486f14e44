//! What events, files, ends of runs and the host's start have in common: the run that each of them makes.

use super::modes::Modes;
use super::overlap::Guard;
use super::{Started, Turn};
use crate::effect::{Failure, RunMode};
use crate::id::{ContentHash, RunId};
use crate::journal::cause::generations;
use crate::journal::{Cause, unstarted};
use crate::runs::creation::Creation;
use crate::script::triggers::Policy;
use crate::serve::Edition;
use crate::serve::edition::Listed;
use crate::store::ticks::Pauses;
use crate::store::{Durability, StoreError, Tx};
use crate::value::Map;

/// The longest chain of runs of which each started the next, by its end or by an event that it emitted.
pub const GENERATIONS_MAX: u32 = 32;

/// Runs that are made with one commit.
pub(super) const AT_ONCE: usize = 16;

/// A playbook that may be started now.
pub(super) struct Startable<'a> {
    pub(super) edition: &'a Edition,
    pub(super) playbook: &'a str,
    pub(super) listed: &'a Listed,
    pub(super) mode: RunMode,
    pub(super) now_ms: i64,
}

/// What comes of something that starts a run.
pub(super) enum Start {
    Run(Started),
    /// Its inputs do not fit, and that has been told.
    Refused,
    /// An earlier run is in its way.
    Later,
}

/// What a run is made of, beside its playbook.
pub(super) struct Reason {
    /// In words.
    pub(super) trigger: String,
    pub(super) cause: Cause,
    pub(super) input: Map,
    /// The correlation id of what it answers to, where that has one.
    pub(super) corr: Option<String>,
}

/// The playbooks of `edition` that `is_meant` and nobody has paused.
pub(super) fn startable<'a>(
    edition: &'a Edition,
    now_ms: i64,
    modes: &mut Modes,
    is_meant: impl Fn(&Listed) -> bool,
) -> Result<Vec<Startable<'a>>, StoreError> {
    let mut found = Vec::new();
    let mut pauses: Option<Pauses> = None;
    for name in modes.meant(edition, is_meant) {
        let Some((playbook, listed)) = edition.playbooks.get_key_value(&name) else {
            continue;
        };
        let pauses = match &pauses {
            Some(pauses) => pauses,
            None => pauses.insert(Pauses::load(&*edition.runner.gate.ground.store)?),
        };
        if pauses.of(playbook).is_some() {
            continue;
        }
        if let Some(mode) = modes.of(edition, playbook, listed) {
            found.push(Startable {
                edition,
                playbook,
                listed,
                mode,
                now_ms,
            });
        }
    }
    Ok(found)
}

impl<'a> Startable<'a> {
    pub(super) fn tx(&self) -> Tx<'a> {
        Tx::new(&self.edition.runner.gate.ground, self.mode.realm(), self.now_ms)
    }

    /// Whether the playbook declares the input `name`.
    pub(super) fn declares(&self, name: &str) -> bool {
        self.listed.pinned.header.inputs.contains_key(name)
    }

    /// Those of `input` that the playbook declares.
    pub(super) fn declared(&self, input: Map) -> Map {
        input.into_iter().filter(|(name, _)| self.declares(name)).collect()
    }

    /// How many runs are made with one commit, of those there is room for: each by itself, where it must see the one before.
    pub(super) fn at_once(&self, room: usize) -> usize {
        let at_once = match self.listed.triggers.overlap.policy {
            Policy::Skip | Policy::Allow => AT_ONCE,
            Policy::Queue | Policy::CancelPrevious => 1,
        };
        room.min(at_once)
    }

    /// Adds the run to `tx`. It is the `at`th of its moment. What has come is never skipped because of an earlier run, as a
    /// tick would be: there is no next one that would do the same.
    pub(super) fn start(
        &self,
        tx: &mut Tx<'_>,
        reason: Reason,
        at: usize,
        turn: &mut Turn,
    ) -> Result<Start, StoreError> {
        let name = format!("{} {:?} {}", self.playbook, reason.cause, self.mode.realm());
        let digest = ContentHash::of(name.as_bytes());
        let chance = digest.as_bytes().first_chunk::<16>().expect("a digest has 32 bytes");
        let run = RunId::new(self.now_ms + at as i64, u128::from_be_bytes(*chance));
        let gate = &self.edition.runner.gate;
        let overlap = &self.listed.triggers.overlap;
        let header = &self.listed.pinned.header;
        let guard = Guard::of(&*gate.ground.store, self.playbook, header, overlap, &reason.input)?;
        if let Some(earlier) = guard.as_ref().and_then(|guard| guard.busy) {
            match overlap.policy {
                Policy::Skip | Policy::Allow => {}
                Policy::Queue => return Ok(Start::Later),
                Policy::CancelPrevious => {
                    if !turn.cancel.contains(&earlier) {
                        turn.cancel.push(earlier);
                    }
                    return Ok(Start::Later);
                }
            }
        }
        let trigger = reason.trigger.clone();
        let creation = Creation {
            run,
            pinned: &self.listed.pinned,
            input: reason.input,
            mode: self.mode.clone(),
            trigger: reason.trigger,
            corr: reason.corr,
            cause: Some(reason.cause),
            by: None,
            retry_of: None,
            at_ms: self.now_ms,
        };
        match creation.made(gate) {
            Ok((batch, created)) => {
                tx.batch.append(batch);
                if let Some(guard) = guard {
                    guard.pass(&mut tx.batch, run);
                }
                Ok(Start::Run(Started {
                    run,
                    playbook: self.playbook.to_owned(),
                    reopen: false,
                    created: Some(created),
                }))
            }
            Err(failure) => {
                self.refused(tx, &trigger, &gate.clean(failure))?;
                Ok(Start::Refused)
            }
        }
    }

    /// Says that nothing was started, and why, in the log and in `tx`.
    pub(super) fn refused(&self, tx: &mut Tx<'_>, trigger: &str, failure: &Failure) -> Result<(), StoreError> {
        let playbook = self.playbook;
        unstarted::note(tx, playbook, trigger, failure)?;
        tracing::error!(playbook, code = %failure.code, "{playbook} was not started {trigger}: {}", failure.message);
        Ok(())
    }

    /// Refuses what would go on without end: whether `before`, which would start the run, stands at the end of a long chain.
    pub(super) fn goes_too_far(&self, tx: &mut Tx<'_>, before: RunId, trigger: &str) -> Result<bool, StoreError> {
        let is_so = generations(&*tx.ground.store, before, GENERATIONS_MAX)? >= GENERATIONS_MAX;
        if is_so {
            let message = format!(
                "each of the last {GENERATIONS_MAX} runs started the next, by its end or by an event that it emitted; playbooks \
                 that start each other in a circle never end"
            );
            self.refused(tx, trigger, &Failure::new("FOLLOWED_TOO_FAR", message))?;
        }
        Ok(is_so)
    }

    /// Commits `tx` and hands over its runs; `false` when somebody else was quicker.
    pub(super) fn commit(&self, tx: Tx<'_>, runs: Vec<Started>, turn: &mut Turn) -> Result<bool, StoreError> {
        if tx.batch.is_empty() {
            return Ok(true);
        }
        match self.edition.runner.gate.ground.store.commit(tx.batch, Durability::Soon) {
            Ok(_) => {
                turn.runs.extend(runs);
                Ok(true)
            }
            Err(StoreError::Conflict { .. }) => {
                turn.has_more = true;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}
