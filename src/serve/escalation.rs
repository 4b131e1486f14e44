//! Incidents that nobody solves in time rise by themselves.

use crate::journal::incident::{self, IncidentError, Ladder, State, Stored};
use crate::serve::Edition;
use crate::store::{Batch, Durability, Store, StoreError};
use crate::triggers::{Trigger, Turn};

/// How soon an incident that a command has changed is looked at.
const LOOK_EVERY_MS: i64 = 15_000;

/// Raises what is overdue.
#[derive(Default)]
pub struct Escalation {
    looked_ms: Option<i64>,
}

impl Trigger for Escalation {
    fn name(&self) -> &'static str {
        "escalation"
    }

    fn turn(&mut self, edition: &Edition, now_ms: i64, _room: usize) -> Result<Turn, StoreError> {
        let since = |looked_ms: i64| now_ms.abs_diff(looked_ms) < LOOK_EVERY_MS as u64;
        if !self.looked_ms.is_some_and(since) {
            self.looked_ms = Some(now_ms);
            let ladder = &edition.app.config.file.escalation;
            if let Err(error) = rise(&*edition.runner.gate.ground.store, ladder, now_ms) {
                match error {
                    IncidentError::Store(error) => return Err(error),
                    error => tracing::error!(%error, "an incident cannot be raised"),
                }
            }
        }
        let next_ms = self.looked_ms.map(|looked_ms| looked_ms + LOOK_EVERY_MS);
        Ok(Turn {
            next_ms,
            ..Turn::default()
        })
    }
}

/// Raises every open incident whose time has come.
fn rise(store: &dyn Store, ladder: &Ladder, now_ms: i64) -> Result<(), IncidentError> {
    let is_due = |incident: &incident::Incident| incident.overdue(ladder).is_some_and(|due| due.at_ms <= now_ms);
    for incident in incident::list(store)? {
        if incident.state == State::Closed || !is_due(&incident) {
            continue;
        }
        let Some(before) = incident::load(store, incident.id)? else {
            continue;
        };
        match raise(store, &before, ladder, now_ms) {
            // Somebody wrote to it in between: it is looked at again.
            Ok(()) | Err(IncidentError::Store(StoreError::Conflict { .. })) => {}
            Err(IncidentError::Store(error)) => return Err(error.into()),
            // Such as one whose history is full: the others rise all the same.
            Err(error) => tracing::error!(incident = %incident.id.short(), %error, "an incident cannot be raised"),
        }
    }
    Ok(())
}

fn raise(store: &dyn Store, before: &Stored, ladder: &Ladder, now_ms: i64) -> Result<(), IncidentError> {
    let mut after = before.incident.clone();
    if !after.rise(ladder, now_ms)? {
        return Ok(());
    }
    let mut batch = Batch::new();
    incident::save_in(&mut batch, store, Some(before), &after)?;
    store.commit(batch, Durability::Now)?;
    let (level, rung) = (after.duty.level, ladder.rung(after.duty.level));
    let people = rung.people.join(", ");
    tracing::warn!(incident = %after.id.short(), %level, title = rung.title, people, "an incident has risen: {}", after.title);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::id::IncidentId;
    use crate::journal::incident::{Incident, Level, OpenedBy};
    use crate::store::engine::Engine;

    #[test]
    fn what_is_due_rises_once_and_what_is_closed_does_not() {
        let store: Arc<dyn Store> = Arc::new(Engine::in_memory().expect("memory"));
        let mut ladder = Ladder::default();
        ladder.l1.within = "10m".to_owned();
        let mut ids = Vec::new();
        for number in 0..3 {
            let id = IncidentId::new(1_000, number);
            let mut incident = Incident::open(id, "t", OpenedBy::Hand, "ada", 1_000).expect("short");
            if number == 2 {
                incident.close("", "ada", 2_000).expect("open");
            }
            let mut batch = Batch::new();
            incident::save_in(&mut batch, &*store, None, &incident).expect("no runs");
            store.commit(batch, Durability::Soon).expect("no conflict");
            ids.push(id);
        }
        let levels = || {
            ids.iter()
                .map(|id| {
                    incident::load(&*store, *id)
                        .expect("there")
                        .expect("there")
                        .incident
                        .duty
                        .level
                })
                .collect::<Vec<_>>()
        };
        rise(&*store, &ladder, 600_999).expect("readable");
        assert_eq!(levels(), [Level::L1; 3]);
        rise(&*store, &ladder, 601_000).expect("readable");
        rise(&*store, &ladder, 601_001).expect("readable");
        assert_eq!(levels(), [Level::L2, Level::L2, Level::L1]);
    }

    /// Once the first that could not be raised kept all others down.
    #[test]
    fn an_incident_whose_history_is_full_keeps_no_other_from_rising() {
        let store: Arc<dyn Store> = Arc::new(Engine::in_memory().expect("memory"));
        let mut ladder = Ladder::default();
        ladder.l1.within = "10m".to_owned();
        let level = |id| {
            let found = incident::load(&*store, id).expect("readable").expect("there");
            found.incident.duty.level
        };
        let ids = [1, 2, 3].map(|number| IncidentId::new(1_000 + number, number as u128));
        for id in ids {
            let mut incident = Incident::open(id, "t", OpenedBy::Hand, "ada", 1_000).expect("short");
            while id == ids[1] && incident.note("n", "ada", 1_000).is_ok() {}
            let mut batch = Batch::new();
            incident::save_in(&mut batch, &*store, None, &incident).expect("no runs");
            store.commit(batch, Durability::Soon).expect("no conflict");
        }
        rise(&*store, &ladder, 700_000).expect("readable");
        assert_eq!(ids.map(level), [Level::L2, Level::L1, Level::L2]);
    }
}
