//! The start of the host, which starts the playbooks whose header says so, once each time.

use std::collections::BTreeSet;

use super::modes::Modes;
use super::start::{Reason, Start, startable};
use super::{Trigger, Turn};
use crate::journal::Cause;
use crate::serve::Edition;
use crate::store::StoreError;
use crate::store::keys::{self, Space};
use crate::value::Map;

/// Starts what begins with the host.
#[derive(Default)]
pub struct Startup {
    modes: Modes,
    /// This start of the host, and the playbooks that have yet to be started for it.
    left: Option<(String, BTreeSet<String>)>,
}

impl Trigger for Startup {
    fn name(&self) -> &'static str {
        "startup"
    }

    fn turn(&mut self, edition: &Edition, now_ms: i64, room: usize) -> Result<Turn, StoreError> {
        let mut turn = Turn::default();
        let looked = self.look(edition, now_ms, room, &mut turn);
        turn.over(looked)
    }
}

impl Startup {
    fn look(&mut self, edition: &Edition, now_ms: i64, room: usize, turn: &mut Turn) -> Result<(), StoreError> {
        // Those of the first set: one that is saved later waits for the next start.
        let (boot, left) = self.left.get_or_insert_with(|| {
            let meant = edition.playbooks.iter().filter(|(_, listed)| listed.triggers.startup);
            let names = meant.map(|(playbook, _)| playbook.clone()).collect();
            (edition.runner.gate.owner.boot.clone(), names)
        });
        if left.is_empty() {
            return Ok(());
        }
        let playbooks = startable(edition, now_ms, &mut self.modes, |listed| listed.triggers.startup)?;
        for playbook in playbooks
            .iter()
            .filter(|playbook| left.contains(playbook.playbook))
            .collect::<Vec<_>>()
        {
            if turn.runs.len() == room {
                turn.has_more = true;
                break;
            }
            let mut tx = playbook.tx();
            let key = keys::named(Space::Cursor, &["startup", playbook.playbook]);
            let row = tx.get(&key)?;
            if row.as_ref().is_none_or(|row| row.value != boot.as_bytes()) {
                tx.unchanged(&key, row.as_ref());
                tx.batch.put(key, boot.as_bytes().to_vec());
                let reason = Reason {
                    trigger: "by the host's start".to_owned(),
                    cause: Cause::Startup { boot: boot.clone() },
                    input: Map::new(),
                    corr: None,
                };
                let at = turn.runs.len();
                let runs = match playbook.start(&mut tx, reason, at, turn)? {
                    Start::Run(run) => vec![run],
                    Start::Refused => Vec::new(),
                    Start::Later => continue,
                };
                if !playbook.commit(tx, runs, turn)? {
                    continue;
                }
            }
            left.remove(playbook.playbook);
        }
        Ok(())
    }
}
