//! `host ticks [PLAYBOOK]`: what was planned, and what became of it.

use chrono_tz::Tz;
use serde_json::json;

use super::error::CliError;
use super::next::{moment, parse_time};
use super::out::{BAD, CAREFUL, FAINT, GOOD, Out, plain};
use crate::app::App;
use crate::duration;
use crate::report::ticks::{Found, Wanted, matching, next_json, tick_json, zone_of};
use crate::script::error::nearest;
use crate::store::ticks::{self, Fate, Ledger, Pauses, ScheduleId, State};

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
            let wanted = Wanted {
                playbook: args.playbook.as_deref(),
                since_ms,
                fate,
                after: None,
                limit: args.limit as usize,
            };
            let found = matching(store, &wanted, &planned)?;
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
