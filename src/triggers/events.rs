//! Events, each of which starts a run of the playbooks whose header names it.
//!
//! How far a playbook has come with the events of a name is a row, moved in the batch that makes the runs. Of each name
//! only the last events are kept, so one that has been paused for long may have missed some: that is told, and counted.

use std::collections::BTreeSet;

use super::modes::Modes;
use super::start::{Reason, Start, Startable, startable};
use super::{Trigger, Turn};
use crate::journal::event::{Come, Cursor};
use crate::journal::{Cause, event};
use crate::serve::Edition;
use crate::store::keys::{self, Place, Space};
use crate::store::{Durability, Realm, Store, StoreError, Tx};
use crate::value::{Map, Value};

/// The most cursors that are looked through at once.
const ROWS_MAX: usize = 10_000;

/// Starts what events start.
#[derive(Default)]
pub struct Events {
    modes: Modes,
    /// The set of which the cursors are.
    known: Option<u64>,
    first: usize,
}

/// How far `playbook` has come, if it ever began.
pub fn cursor(store: &dyn Store, playbook: &str, realm: Realm, name: &str) -> Result<Option<Cursor>, StoreError> {
    let row = store.get(&Cursor::key(playbook, realm, name))?;
    row.map(|row| Cursor::decode(&row.value)).transpose()
}

impl Trigger for Events {
    fn name(&self) -> &'static str {
        "events"
    }

    fn turn(&mut self, edition: &Edition, now_ms: i64, room: usize) -> Result<Turn, StoreError> {
        let mut turn = Turn::default();
        let looked = self.look(edition, now_ms, room, &mut turn);
        turn.over(looked)
    }
}

impl Events {
    fn look(&mut self, edition: &Edition, now_ms: i64, room: usize, turn: &mut Turn) -> Result<(), StoreError> {
        if self.known != Some(edition.number) {
            forget_others(edition, now_ms)?;
            self.known = Some(edition.number);
        }
        let playbooks = startable(edition, now_ms, &mut self.modes, |listed| {
            !listed.triggers.events.is_empty()
        })?;
        if playbooks.is_empty() {
            return Ok(());
        }
        self.first = (self.first + 1) % playbooks.len();
        let (before, after) = playbooks.split_at(self.first);
        for playbook in after.iter().chain(before) {
            for name in &playbook.listed.triggers.events {
                while playbook.follow(name, room - turn.runs.len(), turn)? {}
            }
        }
        Ok(())
    }
}

/// Forgets how far those have come that no event starts any more: one that is taken up again later begins anew, and does not
/// meet what came meanwhile. A playbook that does not compile just now is remembered.
fn forget_others(edition: &Edition, now_ms: i64) -> Result<(), StoreError> {
    let ground = &edition.runner.gate.ground;
    let mut tx = Tx::new(ground, Realm::Live, now_ms);
    let mut on_disk: Option<BTreeSet<String>> = None;
    let all = keys::prefix_range(keys::named(Space::Cursor, &[event::CURSOR]));
    for (key, _) in tx.scan(all, ROWS_MAX, false)? {
        let Some(Place::Named { names, .. }) = keys::parse(&key) else {
            continue;
        };
        let [_, playbook, _, name] = names.as_slice() else {
            continue;
        };
        let is_followed = match edition.playbooks.get(playbook) {
            Some(listed) => listed.triggers.events.contains(name),
            None => on_disk
                .get_or_insert_with(|| edition.app.library.files.list().into_iter().collect())
                .contains(playbook),
        };
        if !is_followed {
            tx.batch.delete(key);
        }
    }
    if !tx.batch.is_empty() {
        ground.store.commit(tx.batch, Durability::Soon)?;
    }
    Ok(())
}

impl Startable<'_> {
    /// Starts runs for the next events called `name`; returns whether there may be more, and room for them.
    fn follow(&self, name: &str, room: usize, turn: &mut Turn) -> Result<bool, StoreError> {
        let mut tx = self.tx();
        let key = Cursor::key(self.playbook, tx.realm, name);
        let row = tx.get(&key)?;
        let Some(found) = &row else {
            // What came before it was here is nothing to it.
            let next = event::next_to_come(&mut tx, name)?;
            tx.unchanged(&key, None);
            tx.batch.put(key, Cursor { next, lost: 0 }.encode());
            return self.commit(tx, Vec::new(), turn).map(|_| false);
        };
        let cursor = Cursor::decode(&found.value)?;
        let limit = self.at_once(room);
        let since = event::since(&mut tx, name, cursor.next, limit)?;
        if since.next == cursor.next {
            turn.has_more |= limit == 0 && event::next_number(&mut tx, name)? > cursor.next;
            return Ok(false);
        }
        let mut runs = Vec::new();
        let (came, lost) = (since.events.len(), since.lost);
        for event in since.events {
            let Come { number, data, by, corr } = event;
            let trigger = format!("by event {name}");
            if let Some(run) = by
                && self.goes_too_far(&mut tx, run, &trigger)?
            {
                continue;
            }
            let reason = Reason {
                trigger,
                cause: Cause::Event {
                    name: name.to_owned(),
                    number,
                    by,
                },
                input: self.declared(inputs_of(data)),
                corr,
            };
            let at = turn.runs.len() + runs.len();
            match self.start(&mut tx, reason, at, turn)? {
                Start::Run(run) => runs.push(run),
                Start::Refused => {}
                Start::Later => return Ok(false),
            }
        }
        let moved = Cursor {
            next: since.next,
            lost: cursor.lost + lost,
        };
        tx.unchanged(&key, row.as_ref());
        tx.batch.put(key, moved.encode());
        let is_done = self.commit(tx, runs, turn)?;
        if is_done && lost > 0 {
            let playbook = self.playbook;
            tracing::error!(
                playbook,
                event = name,
                lost,
                "{playbook} has missed {lost} events {name}: more came than are kept"
            );
        }
        Ok(is_done && came == limit && came > 0)
    }
}

/// What a run is told of its event.
fn inputs_of(data: Value) -> Map {
    match data {
        Value::Map(data) => data,
        Value::Unit => Map::new(),
        other => [("data".to_owned(), other)].into_iter().collect(),
    }
}
