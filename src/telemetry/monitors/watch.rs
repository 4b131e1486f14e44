//! The turn that looks at every rule. It is given what time it is, and everything it knows besides lies in rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::settings::Monitor;
use super::state::{self, Deed, State};
use crate::gate::Gate;
use crate::id::IncidentId;
use crate::journal::incident::{self, HOST, Incident, IncidentError, OpenedBy};
use crate::serve::Edition;
use crate::store::{Batch, Durability, Store, StoreError};
use crate::telemetry::Telemetry;
use crate::telemetry::family::{Family, Measure};
use crate::triggers::{Trigger, Turn};

/// How often rules are looked at.
pub const LOOKS_EVERY_MS: i64 = 15_000;
const LOOKS_EVERY: Duration = Duration::from_millis(LOOKS_EVERY_MS as u64);

/// A row is written this often at least, so that `host monitors list` shows what was found.
const WRITES_EVERY_MS: i64 = 60_000;

/// The longest of what was found that an incident's title holds.
const FOUND_CHARS_MAX: usize = 100;

/// The clock on the wall was set, when it and the one that does not jump differ by more than this between two looks.
const SET_BY_MS_MIN: i64 = 5_000;

/// Looks at the rules of the edition that is live.
pub struct Monitors {
    telemetry: Arc<Telemetry>,
    /// On the wall, and on the clock that does not jump.
    looked: Option<(i64, Duration)>,
}

impl Monitors {
    pub fn new(telemetry: Arc<Telemetry>) -> Monitors {
        Monitors {
            telemetry,
            looked: None,
        }
    }

    /// By how much the clock on the wall was set since the last look of this process.
    fn set_by_ms(&self, now_ms: i64, now: Duration) -> i64 {
        let Some((looked_ms, looked)) = self.looked else {
            return 0;
        };
        let passed_ms = i64::try_from(now.saturating_sub(looked).as_millis()).unwrap_or(i64::MAX);
        let by_ms = (now_ms - looked_ms).saturating_sub(passed_ms);
        if by_ms.abs() < SET_BY_MS_MIN { 0 } else { by_ms }
    }
}

impl Trigger for Monitors {
    fn name(&self) -> &'static str {
        "monitors"
    }

    fn turn(&mut self, edition: &Edition, now_ms: i64, _room: usize) -> Result<Turn, StoreError> {
        let monitors = &edition.app.config.file.monitors;
        let now = self.telemetry.clock.monotonic();
        let is_soon = |(looked_ms, looked): (i64, Duration)| {
            now.saturating_sub(looked) < LOOKS_EVERY && now_ms.abs_diff(looked_ms) < LOOKS_EVERY_MS as u64
        };
        let mut failed = None;
        if !self.looked.is_some_and(is_soon) {
            let set_by_ms = self.set_by_ms(now_ms, now);
            self.looked = Some((now_ms, now));
            let gate = &edition.runner.gate;
            failed = retire_others(gate, monitors, now_ms).err();
            let families = if monitors.is_empty() {
                Vec::new()
            } else {
                self.telemetry.families()
            };
            for (name, monitor) in monitors {
                match look_after(gate, name, monitor, &families, now_ms, set_by_ms) {
                    Ok(true) => self.telemetry.notice_ms.store(now_ms, Ordering::Relaxed),
                    // Somebody has silenced it, or written to its incident, in between: it is looked at again.
                    Ok(false) | Err(IncidentError::Store(StoreError::Conflict { .. })) => {}
                    // One that cannot be read keeps no other from being looked at.
                    Err(IncidentError::Store(error)) => failed = Some(error),
                    Err(error) => tracing::error!(monitor = name, %error, "the monitor's incident cannot be written"),
                }
            }
        }
        let next_ms = self.looked.map(|(looked_ms, _)| looked_ms + LOOKS_EVERY_MS);
        match failed {
            Some(error) => Err(error),
            None => Ok(Turn {
                next_ms,
                ..Turn::default()
            }),
        }
    }
}

/// Whether all that the families show could be read: where it could not, a series that is missing says nothing.
fn is_whole(families: &[Family]) -> bool {
    let readable = families.iter().find(|family| family.name == "host_store_readable");
    let measure = readable
        .and_then(|family| family.points.first())
        .map(|point| &point.measure);
    !matches!(measure, Some(Measure::Number(value)) if *value == 0.0)
}

/// Forgets the rules that host.toml does not have any more, and closes their incidents.
pub(super) fn retire_others(gate: &Gate, monitors: &BTreeMap<String, Monitor>, now_ms: i64) -> Result<(), StoreError> {
    let store = &*gate.ground.store;
    for name in state::known(store)? {
        if monitors.contains_key(&name) {
            continue;
        }
        let (state, Some(row)) = State::read(store, &name)? else {
            continue;
        };
        let mut batch = Batch::new();
        state::forget(&mut batch, &name, &row);
        let words = "the rule was taken out of host.toml";
        let closed = state.incident.map(|id| recover(&mut batch, store, id, words, now_ms));
        if let Some(Err(error)) = closed {
            tracing::error!(monitor = name, %error, "the monitor's incident cannot be written");
            continue;
        }
        match store.commit(batch, Durability::Now) {
            Ok(_) => tracing::info!(monitor = name, "a monitor is not there any more, and is forgotten"),
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Says in the incident of a rule that it is over; closes it, where nobody has it in hand.
fn recover(
    batch: &mut Batch,
    store: &dyn Store,
    id: IncidentId,
    words: &str,
    now_ms: i64,
) -> Result<(), IncidentError> {
    let Some(before) = incident::load(store, id)? else {
        return Ok(());
    };
    if before.incident.state != incident::State::Open {
        return Ok(());
    }
    let mut after = before.incident.clone();
    // Whoever has it in hand says when it is solved.
    match after.duty.owner {
        Some(_) => after.note(words, HOST, now_ms)?,
        None => after.close(words, HOST, now_ms)?,
    }
    incident::save_in(batch, store, Some(&before), &after)
}

/// Looks at one rule, with a clock that nobody has set.
#[cfg(test)]
pub(super) fn look(
    gate: &Gate,
    name: &str,
    monitor: &Monitor,
    families: &[Family],
    now_ms: i64,
) -> Result<bool, IncidentError> {
    look_after(gate, name, monitor, families, now_ms, 0)
}

/// Looks at one rule after the clock was set by so much; whether somebody is to be told of something.
pub(super) fn look_after(
    gate: &Gate,
    name: &str,
    monitor: &Monitor,
    families: &[Family],
    now_ms: i64,
    set_by_ms: i64,
) -> Result<bool, IncidentError> {
    let Ok(rule) = monitor.rule() else {
        // It was checked when host.toml was read.
        return Ok(false);
    };
    let store = &*gate.ground.store;
    let (before, row) = State::read(store, name)?;
    let mut state = before.clone().shifted(set_by_ms);
    if state.fingerprint != monitor.fingerprint() {
        // Its incident stays with it: it is closed when the rule as it is now does not hold.
        state = State {
            fingerprint: monitor.fingerprint(),
            incident: state.incident,
            fired_ms: state.fired_ms,
            told_ms: state.told_ms,
            firings: state.firings,
            silent_until_ms: state.silent_until_ms,
            silenced_by: state.silenced_by,
            notices: state.notices,
            number: state.number,
            ..State::default()
        };
    }
    let verdict = rule.judge(families, &mut state.samples, now_ms);
    if verdict.value.is_none() && !is_whole(families) {
        // Neither has it recovered, nor has it begun: it is not to be seen.
        return Ok(false);
    }
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
            let words = format!("the monitor recovered: {}", state.found);
            recover(&mut batch, store, id, &words, now_ms)?;
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
    // What a rule looks back on lies in its row alone.
    let writes_every_ms = rule
        .window_ms()
        .map_or(WRITES_EVERY_MS, |window_ms| WRITES_EVERY_MS.min(window_ms / 4));
    if is_another || now_ms.abs_diff(before.looked_ms) >= writes_every_ms as u64 {
        state.put(&mut batch, name, row.as_ref());
        let durability = if is_another { Durability::Now } else { Durability::Soon };
        store.commit(batch, durability)?;
    }
    Ok(is_told)
}
