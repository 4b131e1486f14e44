//! Ends of runs, each of which starts the playbooks that follow theirs.
//!
//! Whoever ends a run leaves notes for its followers in the batch of the end ([`follow`]); a note and the run that it
//! starts are exchanged in one batch. So it is found however the run ended, also by a command while no server was there.

use std::collections::{BTreeMap, BTreeSet};

use super::modes::Modes;
use super::start::{Reason, Start, Startable, startable};
use super::{Trigger, Turn};
use crate::effect::RunMode;
use crate::id::RunId;
use crate::journal::follow::{self, Follower, Note};
use crate::journal::{Cause, JournalError, Recorded, RunRecord};
use crate::serve::Edition;
use crate::store::{Durability, Realm, StoreError, Tx};
use crate::value::{Map, Value};

/// The most playbooks that are followed, and notes that are looked through at once.
const ROWS_MAX: usize = 10_000;

/// Starts what follows.
#[derive(Default)]
pub struct After {
    modes: Modes,
    /// The set of which the rows say who follows whom.
    known: Option<u64>,
}

impl Trigger for After {
    fn name(&self) -> &'static str {
        "after"
    }

    fn turn(&mut self, edition: &Edition, now_ms: i64, room: usize) -> Result<Turn, StoreError> {
        let mut turn = Turn::default();
        let looked = self.look(edition, now_ms, room, &mut turn);
        turn.over(looked)
    }
}

impl After {
    fn look(&mut self, edition: &Edition, now_ms: i64, room: usize, turn: &mut Turn) -> Result<(), StoreError> {
        if self.known != Some(edition.number) {
            write_down(edition, now_ms)?;
            self.known = Some(edition.number);
        }
        let followers = startable(edition, now_ms, &mut self.modes, |listed| {
            !listed.triggers.after.is_empty()
        })?;
        for follower in &followers {
            while follower.heed(room - turn.runs.len(), turn)? {}
        }
        Ok(())
    }
}

/// Brings the rows that say who follows whom in line with what is live. A playbook that does not compile just now goes on
/// following, and finds what ended meanwhile once it does; one whose file is gone is forgotten.
fn write_down(edition: &Edition, now_ms: i64) -> Result<(), StoreError> {
    let ground = &edition.runner.gate.ground;
    let mut tx = Tx::new(ground, Realm::Live, now_ms);
    let on_disk: BTreeSet<String> = edition.app.library.files.list().into_iter().collect();
    let is_broken = |name: &str| !edition.playbooks.contains_key(name) && on_disk.contains(name);
    let stored: BTreeMap<String, Vec<Follower>> = follow::followed(&mut tx, ROWS_MAX)?.into_iter().collect();
    let mut wanted: BTreeMap<String, Vec<Follower>> = BTreeMap::new();
    for (followed, followers) in &stored {
        let kept = followers.iter().filter(|follower| is_broken(&follower.playbook));
        wanted.entry(followed.clone()).or_default().extend(kept.cloned());
    }
    for (playbook, listed) in &edition.playbooks {
        for follows in &listed.triggers.after {
            wanted.entry(follows.playbook.clone()).or_default().push(Follower {
                playbook: playbook.clone(),
                status: follows.status,
            });
        }
    }
    for (followed, followers) in &wanted {
        if stored.get(followed).map_or(&[][..], Vec::as_slice) != followers.as_slice() {
            follow::follow(&mut tx.batch, followed, followers);
        }
    }
    for (follower, run) in follow::told(&mut tx, ROWS_MAX)? {
        let listed = edition.playbooks.get(&follower);
        if listed.is_none_or(|listed| listed.triggers.after.is_empty()) && !is_broken(&follower) {
            follow::forget(&mut tx.batch, &follower, run);
        }
    }
    if !tx.batch.is_empty() {
        ground.store.commit(tx.batch, Durability::Soon)?;
    }
    Ok(())
}

impl Startable<'_> {
    /// Starts runs for the next notes; returns whether there may be more, and room for them.
    fn heed(&self, room: usize, turn: &mut Turn) -> Result<bool, StoreError> {
        let mut tx = self.tx();
        let limit = self.at_once(room);
        if limit == 0 {
            turn.has_more |= !follow::notes(&mut tx, self.playbook, 1)?.is_empty();
            return Ok(false);
        }
        let notes = follow::notes(&mut tx, self.playbook, limit)?;
        let came = notes.len();
        let mut runs = Vec::new();
        for (run, note, row) in notes {
            follow::take(&mut tx, self.playbook, run, &row);
            let trigger = format!("after run {} of {}", run.short(), note.playbook);
            if self.goes_too_far(&mut tx, run, &trigger)? {
                continue;
            }
            let reason = Reason {
                trigger,
                cause: Cause::After { run },
                input: self.told(run, &note)?,
                corr: RunRecord::get(&*tx.ground.store, run).ok().map(|record| record.corr()),
            };
            let at = turn.runs.len() + runs.len();
            match self.no_more_live_than(&note).start(&mut tx, reason, at, turn)? {
                Start::Run(run) => runs.push(run),
                Start::Refused => {}
                Start::Later => return Ok(false),
            }
        }
        Ok(self.commit(tx, runs, turn)? && came == limit)
    }

    /// What of the end is told to those who ask for it.
    fn told(&self, run: RunId, note: &Note) -> Result<Map, StoreError> {
        let mut input = Map::new();
        input.insert("run".to_owned(), run.to_string().into());
        input.insert("status".to_owned(), note.status.code().into());
        if self.declares("result") {
            let ground = &self.edition.runner.gate.ground;
            let result = match Recorded::load(ground, run) {
                Ok(recorded) => recorded.outcome().map(|outcome| outcome.value),
                Err(JournalError::Store(error)) => return Err(error),
                Err(error) => {
                    tracing::error!(%run, %error, "what came of a run that is followed cannot be read");
                    None
                }
            };
            // Left out where there is none, so that a preset holds.
            if let Some(result) = result.filter(|result| *result != Value::Unit) {
                input.insert("result".to_owned(), result);
            }
        }
        Ok(self.declared(input))
    }

    /// What follows a run in the dry realm stays there.
    fn no_more_live_than(&self, note: &Note) -> Startable<'_> {
        let mode = if note.live {
            self.mode.clone()
        } else {
            RunMode {
                uses: self.mode.uses.clone(),
                ..RunMode::dry()
            }
        };
        Startable { mode, ..*self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Status;
    use crate::testing::TestHost;
    use crate::triggers::edition_tests::edition;

    #[test]
    fn what_follows_a_dry_run_is_dry_also_where_others_are_live() {
        let host = TestHost::default()
            .file("host.toml", "")
            .file("playbooks/follower.rhai", "1");
        let edition = edition(&host, &[]);
        let live = Startable {
            edition: &edition,
            playbook: "follower",
            listed: &edition.playbooks["follower"],
            mode: RunMode {
                live: true,
                ..RunMode::dry()
            },
            now_ms: 0,
        };
        for is_live in [true, false] {
            let note = Note {
                playbook: "other".to_owned(),
                status: Status::Succeeded,
                live: is_live,
                at_ms: 0,
            };
            assert_eq!(live.no_more_live_than(&note).mode.live, is_live);
        }
    }
}
