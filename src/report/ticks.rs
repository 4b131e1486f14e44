//! Ticks as JSON, and which of them somebody wants to see: what `host ticks` and the API give.

use chrono::{DateTime, SecondsFormat};
use chrono_tz::Tz;
use serde_json::json;

use crate::store::ticks::tick::latest;
use crate::store::ticks::{self, Fate, Ledger, Pauses, ScheduleId, State, Tick, Why};
use crate::store::{Store, StoreError};

/// A tick with what it is of.
pub struct Found {
    pub id: ScheduleId,
    pub planned_ms: i64,
    pub tick: Tick,
    pub zone: Tz,
}

/// Which ticks are wanted.
#[derive(Default)]
pub struct Wanted<'a> {
    pub playbook: Option<&'a str>,
    pub since_ms: Option<i64>,
    pub fate: Option<Fate>,
    /// Those that come after this one in the list.
    pub after: Option<(i64, ScheduleId)>,
    pub limit: usize,
}

/// The zone in which a schedule is written.
pub fn zone_of(ledger: &Ledger) -> Tz {
    ledger.zone.parse().unwrap_or(Tz::UTC)
}

fn rfc3339(at_ms: i64, zone: Tz) -> String {
    let at = DateTime::from_timestamp_millis(at_ms).unwrap_or_default();
    at.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

/// One tick.
pub fn tick_json(found: &Found) -> serde_json::Value {
    let tick = &found.tick;
    let zone = found.zone;
    let blocked_by = match &tick.why {
        Some(Why::Overlap { run } | Why::Waited { run }) => Some(run.to_string()),
        _ => None,
    };
    json!({
        "playbook": found.id.playbook,
        "schedule": found.id.schedule,
        "planned": rfc3339(found.planned_ms, zone),
        "due": rfc3339(tick.due_ms, zone),
        "decided": rfc3339(tick.at_ms, zone),
        "fate": tick.fate.code(),
        "late_ms": tick.late_ms(),
        "run_id": tick.run.map(|run| run.to_string()),
        "why": tick.why.as_ref().map(|why| json!({
            "code": why.code(), "message": why.to_string(), "run_id": blocked_by,
        })),
        "many": tick.many.map(|many| json!({
            "until": rfc3339(many.until_ms, zone), "count": many.count, "is_exact": many.is_exact,
        })),
    })
}

/// What is planned next of a schedule.
pub fn next_json(id: &ScheduleId, ledger: &Ledger, pauses: &Pauses) -> Option<serde_json::Value> {
    let (next, zone) = (ledger.next?, zone_of(ledger));
    let waits_for = match ledger.state {
        State::Waiting(run) => Some(run.to_string()),
        _ => None,
    };
    Some(json!({
        "playbook": id.playbook,
        "schedule": id.schedule,
        "written": ledger.written,
        "planned": rfc3339(next.planned_ms, zone),
        "due": rfc3339(next.due_ms, zone),
        "paused": pauses.of(&id.playbook).is_some(),
        "waits_for": waits_for,
    }))
}

/// The latest ticks that fit, the latest first.
pub fn matching(
    store: &dyn Store,
    wanted: &Wanted<'_>,
    planned: &[(ScheduleId, Ledger)],
) -> Result<Vec<Found>, StoreError> {
    const AT_ONCE: usize = 500;
    const LOOKED_AT_MAX: usize = 100_000;
    let limit = wanted.limit;
    let after = wanted.after.as_ref();
    let mut found: Vec<Found> = Vec::new();
    for id in ticks::tick::with_ticks(store, wanted.playbook)? {
        let ledger = planned.iter().find(|(known, _)| *known == id).map(|(_, ledger)| ledger);
        let zone = ledger.map_or(Tz::UTC, zone_of);
        // Of those planned for one moment the schedules come in their order.
        let mut before_ms = after.map_or(i64::MAX, |(planned_ms, last)| planned_ms + i64::from(id > *last));
        let (mut of_this, mut looked_at) = (0, 0);
        'rows: while of_this < limit && looked_at < LOOKED_AT_MAX {
            let at_once = if wanted.fate.is_some() {
                AT_ONCE
            } else {
                limit.min(AT_ONCE)
            };
            let rows = latest(store, &id, before_ms, at_once)?;
            let is_last = rows.len() < at_once;
            looked_at += rows.len();
            for (planned_ms, tick) in rows {
                before_ms = planned_ms;
                let until_ms = tick.many.map_or(planned_ms, |many| many.until_ms);
                if wanted.since_ms.is_some_and(|since_ms| until_ms < since_ms) || of_this >= limit {
                    break 'rows;
                }
                if wanted.fate.is_none_or(|fate| tick.fate == fate) {
                    of_this += 1;
                    let id = id.clone();
                    found.push(Found {
                        id,
                        planned_ms,
                        tick,
                        zone,
                    });
                }
            }
            if is_last {
                break;
            }
        }
        if found.len() > 4 * limit.max(AT_ONCE) {
            keep_latest(&mut found, limit);
        }
    }
    keep_latest(&mut found, limit);
    Ok(found)
}

fn keep_latest(found: &mut Vec<Found>, limit: usize) {
    found.sort_by(|a, b| (b.planned_ms, &a.id).cmp(&(a.planned_ms, &b.id)));
    found.truncate(limit);
}
