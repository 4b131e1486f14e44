//! `host next [PLAYBOOK | --cron EXPR]`: when schedules fire next, and what changes of clocks do to them.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, SecondsFormat, Timelike};
use chrono_tz::Tz;
use serde_json::json;

use super::error::CliError;
use super::out::{CAREFUL, FAINT, Out, STRONG, ago, plain};
use crate::app::App;
use crate::duration;
use crate::script::schedule::explain::explain;
use crate::script::schedule::zones::{self, Wall};
use crate::script::schedule::{Planned, Schedule};
use crate::script::source::{self, Text};
use crate::script::triggers::{Missed, Policy, Scheduled, Triggers, When};
use crate::store::ticks::{self, Ledger, Pauses, ScheduleId};

#[derive(clap::Args)]
pub struct Args {
    /// The playbook; every one when not given.
    #[arg(conflicts_with = "cron")]
    playbook: Option<String>,
    /// A crontab line instead: "0 7 * * mon-fri".
    #[arg(long, value_name = "EXPR")]
    cron: Option<String>,
    /// With --cron: the zone that it is meant in.
    #[arg(long, value_name = "ZONE", requires = "cron")]
    timezone: Option<String>,
    /// After this time, such as 2027-03-13 or 2027-03-13T07:00:00Z; without an offset as clocks in the zone show it.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// How many of each.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
    /// Say where clocks change, and what that does.
    #[arg(long)]
    explain: bool,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    match (&args.cron, &args.playbook) {
        (Some(cron), _) => line(cron, &args, app, out),
        (None, Some(playbook)) => playbook_next(playbook, &args, app, out),
        (None, None) => everything(&args, app, out),
    }?;
    Ok(0)
}

fn line(cron: &str, args: &Args, app: &App, out: &mut Out) -> Result<(), CliError> {
    let zone = match &args.timezone {
        Some(name) => parse_zone(name)?,
        None => Tz::UTC,
    };
    let schedule = Schedule::parse(cron).map_err(|error| {
        CliError::usage("SCHEDULE_INVALID", error.to_string())
            .help("for instance \"0 7 * * mon-fri\": at 07:00 from Monday to Friday")
    })?;
    let from_ms = from_ms(args, zone, app)?;
    let ticks = following(from_ms, args.count, |after_ms| schedule.next_after(after_ms, zone));
    if out.json {
        out.json(&ticks.iter().map(|tick| rfc3339(tick.at_ms, zone)).collect::<Vec<_>>());
        return Ok(());
    }
    if ticks.is_empty() {
        out.line(format!("{} never fires", plain(cron)));
        return Ok(());
    }
    rows(&ticks, from_ms, zone, args.explain, out);
    Ok(())
}

fn playbook_next(name: &str, args: &Args, app: &App, out: &mut Out) -> Result<(), CliError> {
    let script = app.library.playbook(name)?;
    let starts = &script.header.starts;
    let (ledgers, pauses) = ledgers(app, Some(&script.name))?;
    if out.json {
        let mut times = Vec::new();
        for scheduled in &starts.schedules {
            let found = ticks_of(&script.name, scheduled, &ledgers, args, app)?;
            times.extend(
                found
                    .1
                    .iter()
                    .map(|tick| (tick.at_ms, rfc3339(tick.at_ms, scheduled.zone))),
            );
        }
        times.sort();
        times.truncate(args.count as usize);
        out.json(&times.into_iter().map(|(_, time)| time).collect::<Vec<_>>());
        return Ok(());
    }
    if starts.schedules.is_empty() {
        out.line(format!("{} has no schedule", plain(&script.name)));
        out.line("");
        out.line("add `schedule: \"0 7 * * *\"` or `every: \"15m\"` to its header");
        return Ok(());
    }
    for (at, scheduled) in starts.schedules.iter().enumerate() {
        if at > 0 {
            out.line("");
        }
        let head = head(scheduled, starts, out);
        out.line(head);
        let (from_ms, found) = ticks_of(&script.name, scheduled, &ledgers, args, app)?;
        if found.is_empty() {
            out.line("  never");
        }
        rows(&found, from_ms, scheduled.zone, args.explain, out);
    }
    if let Some(pause) = pauses.of(&script.name) {
        let since = ago(pause.since_ms, app.clock.unix_ms());
        let text = out.paint(
            CAREFUL,
            &format!("it is paused since {since}: nothing starts until `host resume`"),
        );
        out.line("");
        out.line(text);
    }
    Ok(())
}

/// `0 7 * * *  America/New_York    missed: latest · overlap: skip`
fn head(scheduled: &Scheduled, starts: &Triggers, out: &Out) -> String {
    let missed = missed_word(scheduled.missed);
    let overlap = match starts.overlap.policy {
        Policy::Skip => "skip",
        Policy::Queue => "queue",
        Policy::Allow => "allow",
        Policy::CancelPrevious => "cancel_previous",
    };
    let by = starts
        .overlap
        .by
        .as_deref()
        .map(|by| format!(" by {by}"))
        .unwrap_or_default();
    let dot = out.symbol("·");
    let mut manner = format!("missed: {missed} {dot} overlap: {overlap}{by}");
    if !scheduled.jitter.is_zero() {
        let jitter = duration::for_people(scheduled.jitter.as_millis() as u64).replace(".0 s", " s");
        manner.push_str(&format!(" {dot} jitter: up to {jitter}"));
    }
    let name = match scheduled.key.starts_with(|letter: char| letter.is_ascii_digit()) || scheduled.key == "every" {
        true => String::new(),
        false => format!("{}: ", scheduled.key),
    };
    let when = format!("{name}{}  {}", scheduled.written, scheduled.zone.name());
    format!(
        "{}    {}",
        out.paint(STRONG, &plain(&when)),
        out.paint(FAINT, &plain(&manner))
    )
}

fn missed_word(missed: Missed) -> &'static str {
    match missed {
        Missed::All => "all",
        Missed::Latest => "latest",
        Missed::None => "none",
    }
}

fn everything(args: &Args, app: &App, out: &mut Out) -> Result<(), CliError> {
    let (ledgers, pauses) = ledgers(app, None)?;
    let mut all: Vec<(String, Scheduled)> = Vec::new();
    let mut found: Vec<(i64, usize)> = Vec::new();
    let mut broken = Vec::new();
    let count = args.count as usize;
    for name in app.library.files.list() {
        let Ok(file) = app.library.files.playbook(&name) else {
            continue;
        };
        let Ok(header) = source::read(&app.library.language, &Text::new(file.file, file.text)) else {
            broken.push(name);
            continue;
        };
        for scheduled in &header.starts.schedules {
            let (_, ticks) = ticks_of(&name, scheduled, &ledgers, args, app)?;
            found.extend(ticks.into_iter().map(|tick| (tick.at_ms, all.len())));
            all.push((name.clone(), scheduled.clone()));
            if found.len() > 4 * count.max(1000) {
                keep_first(&mut found, count);
            }
        }
    }
    keep_first(&mut found, count);
    let found = found
        .into_iter()
        .map(|(at_ms, place)| (at_ms, &all[place].0, &all[place].1));
    let found: Vec<(i64, &String, &Scheduled)> = found.collect();
    if out.json {
        let rows = found.iter().map(|(at_ms, playbook, scheduled)| {
            json!({ "playbook": playbook, "schedule": scheduled.key, "at": rfc3339(*at_ms, scheduled.zone) })
        });
        out.json(&rows.collect::<Vec<_>>());
        return Ok(());
    }
    if found.is_empty() {
        out.line("no playbook has a schedule that fires");
    } else {
        let now_ms = app.clock.unix_ms();
        let rows: Vec<Vec<String>> = found
            .iter()
            .map(|(at_ms, playbook, scheduled)| {
                let ahead = u64::try_from(at_ms - now_ms).unwrap_or(0);
                let paused = pauses.of(playbook).map(|_| out.paint(CAREFUL, "paused"));
                vec![
                    moment(*at_ms, scheduled.zone, now_ms),
                    format!("in {}", duration::for_people(ahead / 1000 * 1000)),
                    plain(playbook),
                    plain(&scheduled.written),
                    paused.unwrap_or_default(),
                ]
            })
            .collect();
        out.table(&["next", "", "playbook", "schedule", ""], &rows);
    }
    for name in broken {
        let text = format!(
            "{} does not compile: `host check {}` tells why",
            plain(&name),
            plain(&name)
        );
        let text = out.paint(CAREFUL, &text);
        out.line(text);
    }
    Ok(())
}

fn keep_first(found: &mut Vec<(i64, usize)>, count: usize) {
    // Files are listed by their names.
    found.sort_unstable();
    found.truncate(count);
}

/// What the store knows of schedules; nothing where there is no store yet.
fn ledgers(app: &App, playbook: Option<&str>) -> Result<(BTreeMap<ScheduleId, Ledger>, Pauses), CliError> {
    let Some(ground) = app.reader()? else {
        return Ok(Default::default());
    };
    let known = ticks::schedules(&*ground.store, playbook)?;
    let known = known.into_iter().map(|(id, ledger, _)| (id, ledger)).collect();
    Ok((known, Pauses::load(&*ground.store)?))
}

/// The next ticks of a schedule, and after when.
fn ticks_of(
    playbook: &str,
    scheduled: &Scheduled,
    ledgers: &BTreeMap<ScheduleId, Ledger>,
    args: &Args,
    app: &App,
) -> Result<(i64, Vec<Planned>), CliError> {
    let from_ms = from_ms(args, scheduled.zone, app)?;
    let id = ScheduleId {
        playbook: playbook.to_owned(),
        schedule: scheduled.key.clone(),
    };
    // A length of time is counted from when a server saw it first; until one has, from now.
    let anchor_ms = match (&scheduled.when, ledgers.get(&id)) {
        (When::Every(_), Some(ledger)) => ledger.anchor_ms,
        _ => from_ms,
    };
    Ok((
        from_ms,
        following(from_ms, args.count, |after_ms| {
            scheduled.next_after(after_ms, anchor_ms)
        }),
    ))
}

fn following(from_ms: i64, count: u32, next_after: impl Fn(i64) -> Option<Planned>) -> Vec<Planned> {
    let mut at_ms = from_ms;
    let mut found = Vec::new();
    while found.len() < count as usize
        && let Some(next) = next_after(at_ms)
    {
        at_ms = next.at_ms;
        found.push(next);
    }
    found
}

fn rows(ticks: &[Planned], from_ms: i64, zone: Tz, explains: bool, out: &mut Out) {
    let mut before_ms = None;
    let shown: Vec<[String; 3]> = ticks
        .iter()
        .map(|tick| {
            let utc = match zone {
                Tz::UTC => String::new(),
                _ => clock_time(tick.at_ms, Tz::UTC),
            };
            let note = explains.then(|| explain(tick, before_ms, zone)).flatten();
            before_ms = Some(tick.at_ms);
            [moment(tick.at_ms, zone, from_ms), utc, note.unwrap_or_default()]
        })
        .collect();
    let width = |column: usize| shown.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    for [moment, utc, note] in &shown {
        let line = format!("  {moment:first$}   {utc:second$}    {note}");
        out.line(line.trim_end());
    }
}

/// `Sat 13 Mar 07:00 EST`, with the year where it is another than that of `near_ms`.
pub(super) fn moment(at_ms: i64, zone: Tz, near_ms: i64) -> String {
    let at = |ms| {
        DateTime::from_timestamp_millis(ms)
            .unwrap_or_default()
            .with_timezone(&zone)
    };
    let day = match at(at_ms).year() == at(near_ms).year() {
        true => at(at_ms).format("%a %d %b"),
        false => at(at_ms).format("%a %d %b %Y"),
    };
    format!("{day} {}", clock_time(at_ms, zone))
}

fn clock_time(at_ms: i64, zone: Tz) -> String {
    let at = DateTime::from_timestamp_millis(at_ms)
        .unwrap_or_default()
        .with_timezone(&zone);
    match at.second() {
        0 => at.format("%H:%M %Z").to_string(),
        _ => at.format("%H:%M:%S %Z").to_string(),
    }
}

fn rfc3339(at_ms: i64, zone: Tz) -> String {
    let at = DateTime::from_timestamp_millis(at_ms).unwrap_or_default();
    at.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

fn parse_zone(name: &str) -> Result<Tz, CliError> {
    zones::parse(name).map_err(|near| {
        let error = CliError::usage(
            "TIME_ZONE",
            format!("{:?} is no zone", name.chars().take(60).collect::<String>()),
        );
        error.help(match near {
            Some(near) => format!("did you mean {near:?}?"),
            None => "zones are named like \"America/New_York\" or \"UTC\"".to_owned(),
        })
    })
}

fn from_ms(args: &Args, zone: Tz, app: &App) -> Result<i64, CliError> {
    match &args.from {
        Some(text) => parse_time("--from", text, zone),
        None => Ok(app.clock.unix_ms()),
    }
}

/// A time as people write it: with an offset, or as clocks in `zone` show it.
pub(super) fn parse_time(flag: &str, text: &str, zone: Tz) -> Result<i64, CliError> {
    const FORMS: [&str; 4] = [
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
    ];
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(moment.timestamp_millis());
    }
    let shown = FORMS
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    let shown = shown.or_else(day).ok_or_else(|| {
        let shown: String = text.chars().take(60).collect();
        CliError::usage("USAGE", format!("{flag}: {shown:?} is no time"))
            .help("write 2027-03-13, 2027-03-13T07:00 or 2027-03-13T07:00:00Z")
    })?;
    let at = match zones::find(shown, zone) {
        Wall::Once(at) | Wall::Twice(at, _) | Wall::Never { end: at, .. } => at,
    };
    Ok(at.timestamp_millis())
}
