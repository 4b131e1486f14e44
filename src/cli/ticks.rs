//! `host ticks [PLAYBOOK]`: what was planned, and what became of it.

use chrono::{DateTime, SecondsFormat};
use chrono_tz::Tz;
use serde_json::json;

use super::error::CliError;
use super::next::{moment, parse_time};
use super::out::{BAD, CAREFUL, FAINT, GOOD, Out, plain};
use crate::app::App;
use crate::duration;
use crate::script::error::nearest;
use crate::store::ticks::tick::latest;
use crate::store::ticks::{self, Fate, Ledger, Pauses, ScheduleId, State, Tick, Why};
use crate::store::{Store, StoreError};

/// A due tick that nobody has looked at for so long is told of.
const UNSEEN_MS: i64 = 60_000;

#[derive(clap::Args)]
pub struct Args {
    /// Only ticks of this playbook.
    playbook: Option<String>,
    /// Only ticks planned since then: a time, or a length of time such as 24h.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only ticks with this fate: ran, late, caught_up, skipped, failed_to_start, superseded or waiting.
    #[arg(long)]
    fate: Option<String>,
    /// How many at most, the latest of all.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

/// A tick with what it is of.
struct Found {
    id: ScheduleId,
    planned_ms: i64,
    tick: Tick,
    zone: Tz,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let now_ms = app.clock.unix_ms();
    let since_ms = args.since.as_deref().map(|since| since_ms(since, now_ms)).transpose()?;
    let fate = args.fate.as_deref().map(fate).transpose()?;
    let ground = app.reader()?;
    let (found, planned, pauses) = match &ground {
        Some(ground) => {
            let store = &*ground.store;
            let planned = ticks::schedules(store, args.playbook.as_deref())?;
            let planned: Vec<(ScheduleId, Ledger)> = planned.into_iter().map(|(id, ledger, _)| (id, ledger)).collect();
            let found = matching(store, &args, &planned, since_ms, fate)?;
            (found, planned, Pauses::load(store)?)
        }
        None => Default::default(),
    };
    if let (Some(playbook), true, true) = (&args.playbook, found.is_empty(), planned.is_empty()) {
        check_playbook(playbook, app)?;
    }
    if out.json {
        let next = planned.iter().filter_map(|(id, ledger)| next_json(id, ledger, &pauses));
        out.json(&json!({
            "ticks": found.iter().map(tick_json).collect::<Vec<_>>(),
            "planned": next.collect::<Vec<_>>(),
        }));
        return Ok(0);
    }
    let unseen = |ledger: &Ledger| ledger.due_ms().is_some_and(|due_ms| due_ms < now_ms - UNSEEN_MS);
    let unseen: Vec<&(ScheduleId, Ledger)> = planned.iter().filter(|(_, ledger)| unseen(ledger)).collect();
    out.page();
    for (id, ledger) in unseen.iter().take(args.limit as usize) {
        let due = moment(ledger.due_ms().unwrap_or_default(), zone_of(ledger), now_ms);
        let text = format!(
            "{} was due {due}, and nothing has looked at it: `host serve` starts what is due",
            name(id)
        );
        let text = out.paint(BAD, &text);
        out.line(text);
    }
    if args.playbook.is_some() && fate.is_none() {
        for (id, ledger) in planned
            .iter()
            .filter(|(_, ledger)| !unseen.iter().any(|(_, other)| other == ledger))
        {
            let text = next_in_words(id, ledger, &pauses, now_ms);
            out.line(text);
        }
    }
    if found.is_empty() {
        out.line(match (planned.is_empty(), args.since.is_some() || fate.is_some()) {
            (true, false) => "no schedule was seen yet: `host serve` starts playbooks by their schedules",
            (_, true) => "no tick matches",
            (false, false) => "no tick was due yet",
        });
        return Ok(0);
    }
    if !unseen.is_empty() || args.playbook.is_some() {
        out.line("");
    }
    let rows: Vec<Vec<String>> = found.iter().map(|found| row(found, now_ms, out)).collect();
    out.table(&["planned", "playbook", "fate", "late", "run", "why"], &rows);
    Ok(0)
}

/// `daily/publish`, with the name of its schedule where it has one.
fn name(id: &ScheduleId) -> String {
    match id.schedule.as_str() {
        "1" | "every" => plain(&id.playbook),
        schedule => format!("{} {}", plain(&id.playbook), plain(schedule)),
    }
}

fn zone_of(ledger: &Ledger) -> Tz {
    ledger.zone.parse().unwrap_or(Tz::UTC)
}

fn next_in_words(id: &ScheduleId, ledger: &Ledger, pauses: &Pauses, now_ms: i64) -> String {
    let name = name(id);
    let written = plain(&ledger.written);
    let Some(next) = ledger.next else {
        return format!("{name}  {written}: it never fires again");
    };
    let at = moment(next.planned_ms, zone_of(ledger), now_ms);
    match ledger.state {
        State::Waiting(run) => format!("{name}  {written}: that of {at} waits for run {}", run.short()),
        _ if pauses.of(&id.playbook).is_some() => {
            format!("{name}  {written}: paused; `host resume` decides about what is planned from {at} on")
        }
        State::Held | State::Ready => format!("{name}  {written}: next {at}"),
    }
}

fn row(found: &Found, now_ms: i64, out: &Out) -> Vec<String> {
    let tick = &found.tick;
    let style = match tick.fate {
        Fate::Ran => GOOD,
        Fate::Late | Fate::CaughtUp | Fate::Waiting => CAREFUL,
        Fate::Skipped | Fate::Superseded => FAINT,
        Fate::FailedToStart => BAD,
    };
    let late = match tick.late_ms() {
        Some(late_ms) if late_ms >= 1000 => duration::for_people(late_ms as u64),
        Some(_) => String::new(),
        None => String::new(),
    };
    let mut why = tick.why.as_ref().map(|why| plain(&why.to_string())).unwrap_or_default();
    if let Some(many) = &tick.many {
        let until = moment(many.until_ms, found.zone, now_ms);
        let more = if many.is_exact { "" } else { "more than " };
        why = format!("{more}{} ticks until {until}: {why}", many.count);
    }
    vec![
        moment(found.planned_ms, found.zone, now_ms),
        name(&found.id),
        out.paint(style, &tick.fate.to_string()),
        late,
        tick.run.map(|run| run.short()).unwrap_or_default(),
        why,
    ]
}

fn rfc3339(at_ms: i64, zone: Tz) -> String {
    let at = DateTime::from_timestamp_millis(at_ms).unwrap_or_default();
    at.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

fn tick_json(found: &Found) -> serde_json::Value {
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

fn next_json(id: &ScheduleId, ledger: &Ledger, pauses: &Pauses) -> Option<serde_json::Value> {
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
fn matching(
    store: &dyn Store,
    args: &Args,
    planned: &[(ScheduleId, Ledger)],
    since_ms: Option<i64>,
    fate: Option<Fate>,
) -> Result<Vec<Found>, StoreError> {
    const AT_ONCE: usize = 500;
    const LOOKED_AT_MAX: usize = 100_000;
    let limit = args.limit as usize;
    let mut found: Vec<Found> = Vec::new();
    for id in ticks::tick::with_ticks(store, args.playbook.as_deref())? {
        let ledger = planned.iter().find(|(known, _)| *known == id).map(|(_, ledger)| ledger);
        let zone = ledger.map_or(Tz::UTC, zone_of);
        let (mut before_ms, mut of_this, mut looked_at) = (i64::MAX, 0, 0);
        'rows: while of_this < limit && looked_at < LOOKED_AT_MAX {
            let at_once = if fate.is_some() { AT_ONCE } else { limit.min(AT_ONCE) };
            let rows = latest(store, &id, before_ms, at_once)?;
            let is_last = rows.len() < at_once;
            looked_at += rows.len();
            for (planned_ms, tick) in rows {
                before_ms = planned_ms;
                let until_ms = tick.many.map_or(planned_ms, |many| many.until_ms);
                if since_ms.is_some_and(|since_ms| until_ms < since_ms) || of_this >= limit {
                    break 'rows;
                }
                if fate.is_none_or(|fate| tick.fate == fate) {
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

fn since_ms(text: &str, now_ms: i64) -> Result<i64, CliError> {
    match duration::parse(text) {
        Ok(length) => Ok(now_ms - length.as_millis() as i64),
        Err(_) => parse_time("--since", text, Tz::UTC),
    }
}

fn fate(text: &str) -> Result<Fate, CliError> {
    let word = text.replace([' ', '-'], "_");
    let known = Fate::ALL.iter().find(|fate| fate.code() == word);
    known.copied().ok_or_else(|| {
        let codes = Fate::ALL.map(Fate::code);
        let error = CliError::usage("USAGE", format!("{text:?} is no fate; there are {}", codes.join(", ")));
        match nearest(&word, codes.into_iter()) {
            Some(near) => error.help(format!("did you mean {near}?")),
            None => error,
        }
    })
}

/// Says so when there is no such playbook at all.
fn check_playbook(name: &str, app: &App) -> Result<(), CliError> {
    app.library.playbook(name)?;
    Ok(())
}
