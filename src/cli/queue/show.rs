//! Lists queues, and shows the jobs of one.

use serde_json::json;

use super::super::data::{called, look, visible_json};
use super::super::error::CliError;
use super::super::out::{BAD, FAINT, Out, ago, excerpt, moment, plain};
use super::{check_known, job_not_found};
use crate::app::App;
use crate::digits::grouped;
use crate::duration;
use crate::report::queues::{job_json, rows, stats_json};
use crate::store::queue::pause;
use crate::store::queue::{self, State, Stats, Taken, hold};
use crate::store::{Realm, Tx};

#[derive(clap::Args)]
pub struct Args {
    queue: String,
    /// One job alone, by its number.
    job: Option<u64>,
    /// Only jobs in this state.
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Option<State>,
    /// How many at most.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

fn state(word: &str) -> Result<State, String> {
    let found = State::ALL.into_iter().find(|state| state.as_str() == word);
    let all = State::ALL.map(State::as_str).join(", ");
    found.ok_or_else(|| format!("a job is {all}"))
}

pub fn list(app: &App, realm: Realm, out: &mut Out) -> Result<(), CliError> {
    let rows = look(app, realm, rows)?.unwrap_or_default();
    if out.json {
        let queues: Vec<_> = rows
            .iter()
            .map(|row| stats_json(&row.name, &row.stats, row.paused.as_ref()))
            .collect();
        out.json(&json!({ "realm": realm.to_string(), "queues": queues }));
        return Ok(());
    }
    if rows.is_empty() {
        out.line(format!("no queues in {}", called(realm)));
        return Ok(());
    }
    let shown: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let stats = &row.stats;
            vec![
                plain(&row.name),
                grouped(stats.ready),
                grouped(stats.later),
                grouped(stats.held),
                grouped(stats.dead),
                waits(stats),
                row.paused.as_ref().map_or_else(String::new, |_| "paused".to_owned()),
            ]
        })
        .collect();
    let title = format!("queue in {}", called(realm));
    out.table(
        &[&title, "ready", "later", "at work", "dead", "oldest waits", ""],
        &shown,
    );
    if let Some(row) = rows.iter().find(|row| row.stats.dead > 0) {
        let hint = format!("host queue show {} --state dead    why they failed", plain(&row.name));
        out.line("");
        out.line(out.paint(FAINT, &hint));
    }
    Ok(())
}

fn waits(stats: &Stats) -> String {
    match stats.ready {
        0 => String::new(),
        _ => duration::for_people(stats.waits_ms),
    }
}

pub fn show(app: &App, realm: Realm, args: &Args, out: &mut Out) -> Result<(), CliError> {
    check_known(app, realm, &args.queue)?;
    let name = args.queue.as_str();
    let now_ms = app.clock.unix_ms();
    if let Some(number) = args.job {
        let found = look(app, realm, |tx| hold::get(tx, name, number))?.flatten();
        let job = found.ok_or_else(|| job_not_found(name, number, realm))?;
        if out.json {
            out.json(&job_json(&job, now_ms));
        } else {
            one(name, &job, now_ms, realm, out);
        }
        return Ok(());
    }
    let limit = args.limit as usize;
    let read = |tx: &mut Tx<'_>| {
        let paused = pause::get(tx, name)?;
        let jobs = queue::list(tx, name, args.state, (limit + 1).min(queue::look::LIST_MAX))?;
        Ok((queue::stats(tx, name)?, jobs, paused))
    };
    let Some((stats, mut jobs, paused)) = look(app, realm, read)? else {
        return Ok(());
    };
    let has_more = jobs.len() > limit;
    jobs.truncate(limit);
    if out.json {
        let mut answer = stats_json(name, &stats, paused.as_ref());
        answer["realm"] = realm.to_string().into();
        answer["jobs"] = jobs.iter().map(|job| job_json(job, now_ms)).collect();
        answer["more"] = has_more.into();
        out.json(&answer);
        return Ok(());
    }
    out.line(format!(
        "{}  {} ready, {} later, {} at work, {} dead, in {}",
        plain(name),
        grouped(stats.ready),
        grouped(stats.later),
        grouped(stats.held),
        grouped(stats.dead),
        called(realm)
    ));
    if let Some(paused) = &paused {
        let why = if paused.why.is_empty() {
            String::new()
        } else {
            format!(": {}", plain(&paused.why))
        };
        out.line(format!(
            "paused by {} {}{why}",
            plain(&paused.by),
            ago(paused.since_ms, now_ms)
        ));
    }
    if jobs.is_empty() {
        return Ok(());
    }
    out.line("");
    let rows: Vec<Vec<String>> = jobs.iter().map(|job| row(job, now_ms, out)).collect();
    out.table(&["job", "state", "prio", "tried", "when", "payload, or why"], &rows);
    if has_more {
        out.line("");
        out.line(out.paint(FAINT, "there are more: --limit shows more of them, --state fewer"));
    }
    Ok(())
}

fn row(taken: &Taken, now_ms: i64, out: &Out) -> Vec<String> {
    let job = &taken.job;
    let state = job.state(now_ms as u64);
    let told = match &job.reason {
        Some(reason) if state == State::Dead => reason.lines().next().unwrap_or_default().to_owned(),
        _ => visible_json(&taken.payload),
    };
    let word = match state {
        State::Dead => out.paint(BAD, state.as_str()),
        State::Held => "at work".to_owned(),
        state => state.as_str().to_owned(),
    };
    vec![
        taken.number.to_string(),
        word,
        job.priority.to_string(),
        format!("{} of {}", job.attempts, job.attempts_max),
        when(taken, now_ms),
        excerpt(&told, out.rest_of_line(52).min(100)),
    ]
}

/// Since when it is so, or until when.
fn when(taken: &Taken, now_ms: i64) -> String {
    let job = &taken.job;
    let due_ms = i64::try_from(job.due_ms).unwrap_or(i64::MAX);
    match job.died_ms {
        Some(died_ms) => ago(i64::try_from(died_ms).unwrap_or(i64::MAX), now_ms),
        None if due_ms > now_ms => format!("in {}", duration::for_people((due_ms - now_ms) as u64)),
        None => ago(due_ms, now_ms),
    }
}

fn one(queue: &str, taken: &Taken, now_ms: i64, realm: Realm, out: &mut Out) {
    let job = &taken.job;
    let state = job.state(now_ms as u64);
    let words = match state {
        State::Held => "at work".to_owned(),
        State::Delayed | State::Leased => format!("{}, due {}", state.as_str(), when(taken, now_ms)),
        State::Ready => format!("ready, due {}", when(taken, now_ms)),
        State::Dead => format!("dead, given up {}", when(taken, now_ms)),
    };
    out.line(format!(
        "job {} of {}  {words}, in {}",
        taken.number,
        plain(queue),
        called(realm)
    ));
    out.line("");
    let pushed_ms = i64::try_from(job.pushed_ms).unwrap_or(i64::MAX);
    let mut rows = vec![
        ("pushed", format!("{} ({})", moment(pushed_ms), ago(pushed_ms, now_ms))),
        ("priority", job.priority.to_string()),
        ("tried", format!("{} of {} times", job.attempts, job.attempts_max)),
    ];
    rows.extend(job.key.as_ref().map(|key| ("key", plain(key))));
    rows.extend(job.run.map(|run| ("run", run.short())));
    rows.extend(job.reason.as_ref().map(|reason| ("why", plain(reason))));
    rows.push(("payload", visible_json(&taken.payload)));
    for (name, value) in rows {
        out.line(format!("  {name:<8}  {value}"));
    }
    let mut next: Vec<(String, &str)> = Vec::new();
    next.extend(
        job.run
            .map(|run| (format!("host why {}", run.short()), "what happened")),
    );
    if state == State::Dead {
        next.push((
            format!("host queue retry {} {}", plain(queue), taken.number),
            "try it again",
        ));
        next.push((
            format!("host queue remove {} {}", plain(queue), taken.number),
            "give it up",
        ));
    }
    let width = next.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    if !next.is_empty() {
        out.line("");
    }
    for (command, what) in next {
        out.line(format!("{command:<width$}  {}", out.paint(FAINT, what)));
    }
}
