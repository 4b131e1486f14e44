//! Looks on, from a thread of its own, and alarms when what should happen does not: a tick that is due has no fate, or
//! the loop does not turn.
//!
//! It trusts nothing that the loop holds in memory: what is due is read from the store. What it sees twice, one look after
//! the other, is an alarm: a machine that has slept, or whose clock was set, is late everywhere for a moment. An alarm is an
//! error in the log, an incident, and a line in `host status` until it is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::beat::Beat;
use super::status::{Alarm, Board};
use crate::id::IncidentId;
use crate::io::World;
use crate::journal::incident::{self, HOST, Incident, IncidentError, OpenedBy, State};
use crate::store::keys::{self, Place};
use crate::store::{Batch, Durability, Store, StoreError};

/// How often it looks.
pub const LOOKS_EVERY: Duration = Duration::from_secs(10);

/// How late a tick may be, or the loop.
pub const LATE_MAX: Duration = Duration::from_secs(60);

/// Due ticks that are looked at.
const DUE_MAX: usize = 100;

/// The title of every incident that it opens begins so.
const TITLE: &str = "watchdog: ";

pub struct Watchdog {
    pub store: Arc<dyn Store>,
    pub world: World,
    pub beat: Arc<Beat>,
    pub board: Arc<Board>,
    /// What it sees.
    pub seen: BTreeMap<String, Seen>,
}

/// Since when, in Unix milliseconds, and whether it is an alarm by now.
pub struct Seen {
    since_ms: i64,
    is_alarm: bool,
}

impl Watchdog {
    /// Looks until the host ends.
    pub fn watch(mut self) {
        while self.beat.pause(LOOKS_EVERY) {
            self.look();
        }
    }

    /// Looks once.
    pub fn look(&mut self) {
        let now_ms = self.world.clock.unix_ms();
        let mut found = Vec::new();
        let age = self.beat.age(self.world.clock.monotonic());
        if age > LATE_MAX {
            found.push("the host's loop does not turn".to_owned());
        }
        match overdue(&*self.store, now_ms) {
            Ok(late) => found.extend(late),
            Err(error) => {
                tracing::error!(%error, code = error.code(), "the watchdog cannot read the store");
                found.push(format!("the store cannot be read ({})", error.code()));
            }
        }
        let mut before = std::mem::take(&mut self.seen);
        for what in found {
            let seen = match before.remove(&what) {
                None => Seen {
                    since_ms: now_ms,
                    is_alarm: false,
                },
                Some(seen) if seen.is_alarm => seen,
                Some(seen) => {
                    self.alarm(&what, now_ms);
                    Seen { is_alarm: true, ..seen }
                }
            };
            self.seen.insert(what, seen);
        }
        for (what, _) in before.iter().filter(|(_, seen)| seen.is_alarm) {
            tracing::info!(alarm = %what, "this is over");
        }
        let alarms = self.seen.iter().filter(|(_, seen)| seen.is_alarm);
        let alarms: Vec<Alarm> = alarms
            .map(|(what, seen)| Alarm {
                since_ms: seen.since_ms,
                what: what.clone(),
            })
            .collect();
        self.board.change(|status| status.alarms = alarms);
    }

    fn alarm(&self, what: &str, now_ms: i64) {
        tracing::error!(alarm = %what, "something that should have happened did not");
        if let Err(error) = self.open_incident(what, now_ms) {
            tracing::error!(%error, code = error.code(), "its incident cannot be written");
        }
    }

    /// One for each thing, as long as it is open.
    fn open_incident(&self, what: &str, now_ms: i64) -> Result<(), IncidentError> {
        let title = format!("{TITLE}{what}");
        let is_it = |incident: &Incident| incident.state == State::Open && incident.title == title;
        if incident::list(&*self.store)?.iter().any(is_it) {
            return Ok(());
        }
        let id = IncidentId::new(now_ms, self.world.chance.wide_bits());
        let incident = Incident::open(id, &title, OpenedBy::Watchdog, HOST, now_ms)?;
        let mut batch = Batch::new();
        incident::save_in(&mut batch, &*self.store, None, &incident)?;
        self.store.commit(batch, Durability::Now)?;
        Ok(())
    }
}

/// The schedules whose tick is due for longer than it may be, and has no fate.
fn overdue(store: &dyn Store, now_ms: i64) -> Result<Vec<String>, StoreError> {
    let late_ms = now_ms - i64::try_from(LATE_MAX.as_millis()).unwrap_or(i64::MAX);
    let rows = store.scan(keys::all_due(), DUE_MAX, false)?;
    let mut late = Vec::new();
    for (key, _) in rows {
        match keys::parse(&key) {
            Some(Place::Due {
                due_ms,
                playbook,
                schedule,
            }) if due_ms < late_ms => {
                let what = format!("no fate for the due tick of {playbook}, schedule {schedule}");
                late.push(what.chars().take(160).collect());
            }
            _ => break,
        }
    }
    late.dedup();
    Ok(late)
}

#[cfg(test)]
mod tests {
    use super::super::status::Status;
    use super::*;
    use crate::io::clock::Clock;
    use crate::testing::TestHost;

    struct Looking {
        host: TestHost,
        watchdog: Watchdog,
    }

    impl Looking {
        fn new() -> Looking {
            let host = TestHost::default();
            let store = host.ground.store.clone();
            let watchdog = Watchdog {
                store: store.clone(),
                world: host.gate().world.clone(),
                beat: Arc::default(),
                board: Arc::new(Board::new(store, Status::default())),
                seen: BTreeMap::new(),
            };
            Looking { host, watchdog }
        }

        fn due(&self, at_ms: i64) {
            let mut batch = Batch::new();
            batch.put(keys::due(at_ms, "weekly", "1"), Vec::new());
            self.host.ground.store.commit(batch, Durability::Soon).unwrap();
        }

        /// Looks once more, as the loop turns or does not; gives the alarms and how many incidents are open.
        fn look(&mut self, turns: bool) -> (Vec<String>, usize) {
            self.host.clock.advance(LOOKS_EVERY);
            if turns {
                self.watchdog.beat.at(self.host.clock.monotonic());
            }
            self.watchdog.look();
            let alarms = self.watchdog.board.status().alarms;
            let open = incident::list(&*self.host.ground.store).unwrap();
            let open = open.iter().filter(|incident| incident.state == State::Open).count();
            (alarms.into_iter().map(|alarm| alarm.what).collect(), open)
        }
    }

    #[test]
    fn a_tick_that_is_due_and_has_no_fate_is_an_alarm_at_the_second_look_and_opens_one_incident() {
        let mut looking = Looking::new();
        let now_ms = looking.host.clock.unix_ms();
        looking.due(now_ms - 49_000);
        assert_eq!(looking.look(true), (vec![], 0), "late by less than a minute");
        assert_eq!(looking.look(true), (vec![], 0), "seen for the first time");
        let what = "no fate for the due tick of weekly, schedule 1".to_owned();
        for _ in 0..3 {
            assert_eq!(looking.look(true), (vec![what.clone()], 1));
        }
        let mut batch = Batch::new();
        batch.delete(keys::due(now_ms - 49_000, "weekly", "1"));
        looking.host.ground.store.commit(batch, Durability::Soon).unwrap();
        assert_eq!(looking.look(true), (vec![], 1), "over, and left for a person to close");
    }

    #[test]
    fn a_loop_that_does_not_turn_is_an_alarm_and_one_that_was_late_once_is_none() {
        let mut looking = Looking::new();
        looking.look(true);
        looking.host.clock.advance(LATE_MAX);
        assert_eq!(looking.look(false).0, Vec::<String>::new());
        assert_eq!(looking.look(true), (vec![], 0), "the machine slept");
        looking.host.clock.advance(LATE_MAX);
        looking.look(false);
        assert_eq!(
            looking.look(false),
            (vec!["the host's loop does not turn".to_owned()], 1)
        );
    }
}
