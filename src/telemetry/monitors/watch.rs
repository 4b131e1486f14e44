//! The turn that looks at every rule. It is given what time it is, and everything it knows besides lies in rows.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::settings::Monitor;
use super::state::{Deed, State};
use crate::gate::Gate;
use crate::id::IncidentId;
use crate::journal::incident::{self, HOST, Incident, IncidentError, OpenedBy};
use crate::serve::Edition;
use crate::store::{Batch, Durability, StoreError};
use crate::telemetry::Telemetry;
use crate::telemetry::family::Family;
use crate::triggers::{Trigger, Turn};

/// How often rules are looked at.
pub const LOOKS_EVERY_MS: i64 = 15_000;

/// A row is written this often at least, so that `host monitors list` shows what was found.
const WRITES_EVERY_MS: i64 = 60_000;

/// The longest of what was found that an incident's title holds.
const FOUND_CHARS_MAX: usize = 100;

/// Looks at the rules of the edition that is live.
pub struct Monitors {
    telemetry: Arc<Telemetry>,
    looked_ms: Option<i64>,
}

impl Monitors {
    pub fn new(telemetry: Arc<Telemetry>) -> Monitors {
        Monitors {
            telemetry,
            looked_ms: None,
        }
    }
}

impl Trigger for Monitors {
    fn name(&self) -> &'static str {
        "monitors"
    }

    fn turn(&mut self, edition: &Edition, now_ms: i64, _room: usize) -> Result<Turn, StoreError> {
        let monitors = &edition.app.config.file.monitors;
        if monitors.is_empty() {
            return Ok(Turn::default());
        }
        let is_soon = |looked_ms: i64| now_ms.abs_diff(looked_ms) < LOOKS_EVERY_MS as u64;
        if !self.looked_ms.is_some_and(is_soon) {
            self.looked_ms = Some(now_ms);
            let families = self.telemetry.families();
            let gate = &edition.runner.gate;
            for (name, monitor) in monitors {
                match look(gate, name, monitor, &families, now_ms) {
                    Ok(true) => self.telemetry.notice_ms.store(now_ms, Ordering::Relaxed),
                    // Somebody has silenced it, or written to its incident, in between: it is looked at again.
                    Ok(false) | Err(IncidentError::Store(StoreError::Conflict { .. })) => {}
                    Err(IncidentError::Store(error)) => return Err(error),
                    Err(error) => tracing::error!(monitor = name, %error, "the monitor's incident cannot be written"),
                }
            }
        }
        Ok(Turn {
            next_ms: self.looked_ms.map(|looked_ms| looked_ms + LOOKS_EVERY_MS),
            ..Turn::default()
        })
    }
}

/// Looks at one rule; whether somebody is to be told of something.
pub(super) fn look(
    gate: &Gate,
    name: &str,
    monitor: &Monitor,
    families: &[Family],
    now_ms: i64,
) -> Result<bool, IncidentError> {
    let Ok(rule) = monitor.rule() else {
        // It was checked when host.toml was read.
        return Ok(false);
    };
    let store = &*gate.ground.store;
    let (before, row) = State::read(store, name)?;
    let mut state = before.clone();
    if state.fingerprint != monitor.fingerprint() {
        // Its incident stays with it: it is closed when the rule as it is now does not hold.
        state = State {
            fingerprint: monitor.fingerprint(),
            incident: before.incident,
            fired_ms: before.fired_ms,
            silent_until_ms: before.silent_until_ms,
            silenced_by: before.silenced_by.clone(),
            notices: before.notices.clone(),
            number: before.number,
            ..State::default()
        };
    }
    let verdict = rule.judge(families, &mut state.samples, now_ms);
    let (mut state, deed) = state.step(name, monitor, &verdict, now_ms);
    let mut batch = Batch::new();
    match deed {
        Some(Deed::Open) => {
            let id = IncidentId::new(now_ms, gate.world.chance.wide_bits());
            let found: String = state.found.chars().take(FOUND_CHARS_MAX).collect();
            let title = format!("monitor {name}: {found}");
            let mut incident = Incident::open(id, &title, OpenedBy::Monitor, HOST, now_ms)?;
            let help = if monitor.help.is_empty() {
                String::new()
            } else {
                format!("\n{}", monitor.help)
            };
            incident.note(
                &format!("{} ({}){help}", monitor.when, monitor.severity.as_str()),
                HOST,
                now_ms,
            )?;
            incident::save_in(&mut batch, store, None, &incident)?;
            state.incident = Some(id);
            let told = state.notices.iter_mut().filter(|notice| notice.at_ms == now_ms);
            told.for_each(|notice| notice.incident = Some(id));
            tracing::warn!(
                monitor = name,
                severity = monitor.severity.as_str(),
                found = state.found,
                "a monitor fired"
            );
        }
        Some(Deed::Recover(id)) => {
            tracing::info!(monitor = name, found = state.found, "a monitor recovered");
            if let Some(before) = incident::load(store, id)?
                && before.incident.state == incident::State::Open
            {
                let mut after = before.incident.clone();
                let words = format!("the monitor recovered: {}", state.found);
                // Whoever has it in hand says when it is solved.
                match after.duty.owner {
                    Some(_) => after.note(&words, HOST, now_ms)?,
                    None => after.close(&words, HOST, now_ms)?,
                }
                incident::save_in(&mut batch, store, Some(&before), &after)?;
            }
        }
        None => {}
    }
    let is_told = state.notices.iter().any(|notice| notice.next_ms.is_some());
    let is_another = {
        let as_before = State {
            looked_ms: before.looked_ms,
            samples: before.samples.clone(),
            found: before.found.clone(),
            ..state.clone()
        };
        as_before != before
    };
    if is_another || now_ms.abs_diff(before.looked_ms) >= WRITES_EVERY_MS as u64 {
        state.put(&mut batch, name, row.as_ref());
        let durability = if is_another { Durability::Now } else { Durability::Soon };
        store.commit(batch, durability)?;
    }
    Ok(is_told)
}
