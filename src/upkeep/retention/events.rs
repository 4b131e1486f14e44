//! Events that came long ago, and whether somebody may still ask for them.
//!
//! One goes when it is old enough, every run that may still wait for it was born after it, and each playbook that its name
//! starts has come past it. The count of a name goes with its last event, unless somebody reckons from it.

use std::collections::BTreeMap;

use super::look::Going;
use crate::journal::event;

/// Old events that are looked at by one retention; the next goes on.
const OLD_MAX: usize = 100_000;

/// Events of one realm and name.
type Name = (String, String);

/// What was found of a name.
#[derive(Default)]
struct Found {
    count: Option<Going>,
    /// Number, when it came, and its row.
    old: Vec<(u64, i64, Going)>,
    /// Whether there are others.
    has_others: bool,
    /// The first that somebody has not come to.
    from: Option<u64>,
    /// Whether somebody reckons from the count.
    is_followed: bool,
}

/// What was found of all of them.
#[derive(Default)]
pub(super) struct Events {
    names: BTreeMap<Name, Found>,
    old: usize,
}

impl Events {
    /// A row of an event, or of the count of a name, by its names.
    pub fn see(&mut self, names: &[String], value: &[u8], row: Going, is_old: impl Fn(i64) -> bool) {
        match names {
            [realm, name] => self.of(realm, name).count = Some(row),
            [realm, name, number] => {
                let old = event::came_ms(value).filter(|came_ms| is_old(*came_ms));
                let has_room = self.old < OLD_MAX;
                match (old, number.parse()) {
                    (Some(came_ms), Ok(number)) if has_room => {
                        self.old += 1;
                        self.of(realm, name).old.push((number, came_ms, row));
                    }
                    _ => {
                        let found = self.of(realm, name);
                        found.has_others = true;
                        // Of a name whose events are all young, nothing is asked later.
                        if found.old.is_empty() {
                            self.names.remove(&(realm.clone(), name.clone()));
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn of(&mut self, realm: &str, name: &str) -> &mut Found {
        self.names.entry((realm.to_owned(), name.to_owned())).or_default()
    }

    /// A playbook has come as far as `next` with the events of that name.
    pub fn follows(&mut self, realm: &str, name: &str, next: u64) {
        if let Some(found) = self.names.get_mut(&(realm.to_owned(), name.to_owned())) {
            found.is_followed = true;
            found.from = Some(found.from.map_or(next, |from| from.min(next)));
        }
    }

    /// A run has asked for events of that name, and may again.
    pub fn waits(&mut self, realm: &str, name: &str) {
        if let Some(found) = self.names.get_mut(&(realm.to_owned(), name.to_owned())) {
            found.is_followed = true;
        }
    }

    /// The rows that go, if no run that may ask for them was born before `since_ms`.
    pub fn going(self, since_ms: i64) -> Vec<Going> {
        let mut going = Vec::new();
        for found in self.names.into_values() {
            let before = going.len();
            let all = found.old.len();
            let goes = |(number, came_ms, _): &(u64, i64, Going)| {
                *came_ms < since_ms && found.from.is_none_or(|from| *number < from)
            };
            going.extend(found.old.into_iter().filter(goes).map(|(.., row)| row));
            let has_gone = !found.has_others && going.len() - before == all;
            if has_gone && !found.is_followed {
                going.extend(found.count);
            }
        }
        going
    }
}
