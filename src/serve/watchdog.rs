//! Looks on, from a thread of its own, and alarms when what should happen does not: a tick that is due has no fate, or
//! the loop does not turn.
//!
//! It trusts nothing that the loop holds in memory: what is due is read from the store. An alarm is an error in the log,
//! an incident, and a line in `host status` until it is over.

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
    /// What it sees, and since when.
    pub seen: BTreeMap<String, i64>,
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
        let seen = std::mem::take(&mut self.seen);
        for what in found {
            let since_ms = seen.get(&what).copied();
            if since_ms.is_none() {
                tracing::error!(alarm = %what, "something that should have happened did not");
                if let Err(error) = self.open_incident(&what, now_ms) {
                    tracing::error!(%error, code = error.code(), "its incident cannot be written");
                }
            }
            self.seen.insert(what, since_ms.unwrap_or(now_ms));
        }
        for what in seen.keys().filter(|what| !self.seen.contains_key(*what)) {
            tracing::info!(alarm = %what, "this is over");
        }
        let alarm = |(what, since_ms): (&String, &i64)| Alarm {
            since_ms: *since_ms,
            what: what.clone(),
        };
        self.board
            .change(|status| status.alarms = self.seen.iter().map(alarm).collect());
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
