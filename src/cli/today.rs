//! `host today`: what needs somebody, and what the last day brought. It works without a server too.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::error::{CliError, FAILED};
use super::out::{BAD, CAREFUL, FAINT, GOOD, Out, ago, bytes_for_people, excerpt, moment, plain};
use crate::app::App;
use crate::journal::{RunRecord, Status};
use crate::journal::{question, unstarted};
use crate::report::operation;
use crate::report::summary::record_json;
use crate::runs::recovery;
use crate::store::ticks;
use crate::store::tx::Ground;

/// What counts as today.
const DAY_MS: i64 = 24 * 3_600_000;

/// How many runs ended how.
type Ended = BTreeMap<&'static str, u64>;

/// Lines of one kind.
const LINES_MAX: usize = 10;

/// A run that has a thread for longer is worth a look.
const LONG_MS: i64 = 6 * 3_600_000;

/// Less than this of the disk is little: a part, and bytes.
const LITTLE_PART: f64 = 0.05;
const LITTLE_BYTES: u64 = 1 << 30;

/// A tick that is due for longer and has no fate is overdue.
const OVERDUE_MS: i64 = 60_000;

const EXIT: &str = "Exit codes: 0 nothing needs anybody, 1 something does (failed runs, missed ticks, starts that were refused, writes in doubt, \
questions, dead jobs, stuck runs, a broken or held save, alarms, a nearly full disk).";

#[derive(clap::Args)]
#[command(after_help = EXIT)]
pub struct Args {}

/// What somebody has to look at: a word for it, lines, and what to do.
struct Matter {
    key: &'static str,
    title: &'static str,
    hint: &'static str,
    lines: Vec<String>,
    json: Vec<Json>,
}

impl Matter {
    fn of<T>(
        [key, title, hint]: [&'static str; 3],
        items: impl IntoIterator<Item = T>,
        say: impl Fn(T) -> (String, Json),
    ) -> Matter {
        let (lines, json) = items.into_iter().map(say).unzip();
        Matter {
            key,
            title,
            hint,
            lines,
            json,
        }
    }
}

pub fn perform(_: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let now_ms = app.clock.unix_ms();
    let disk = crate::io::disk::space(&app.config.data()).or_else(|| crate::io::disk::space(&app.config.root));
    let Some(ground) = app.reader()? else {
        if out.json {
            out.json(&json!({ "needs": {}, "ended": {}, "disk": disk.map(disk_json) }));
        } else {
            out.line("nothing has run yet: try `host run demo`, or `host serve`");
        }
        return Ok(0);
    };
    let is_served = app.server().is_some();
    let (ended, mut matters) = of_runs(&ground, is_served, now_ms)?;
    matters.extend(of_triggers(&ground, is_served, now_ms)?);
    matters.extend(of_people(&ground, now_ms)?);
    matters.push(Matter::of(
        ["disk", "the disk is nearly full", "clear old folders in data/runs/"],
        disk.iter().filter(|space| is_little(**space)),
        |(free, all)| {
            let line = format!("{} of {} free", bytes_for_people(*free), bytes_for_people(*all));
            (line, disk_json((*free, *all)))
        },
    ));
    matters.retain(|matter| !matter.lines.is_empty());
    let code = if matters.is_empty() { 0 } else { FAILED };
    if out.json {
        let needs = matters
            .into_iter()
            .map(|matter| (matter.key.to_owned(), Json::Array(matter.json)));
        let needs: serde_json::Map<String, Json> = needs.collect();
        let since_ms = now_ms - DAY_MS;
        out.json(&json!({
            "since_ms": since_ms, "needs": needs, "ended": ended, "served": is_served, "disk": disk.map(disk_json),
        }));
        return Ok(code);
    }
    show(&matters, out);
    if matters.is_empty() {
        let calm = out.paint(GOOD, "nothing needs you");
        out.line(calm);
    }
    let told: Vec<String> = ended
        .iter()
        .map(|(status, count)| format!("{count} {}", status.replace('_', " ")))
        .collect();
    let told = if told.is_empty() {
        "no run has ended".to_owned()
    } else {
        told.join(", ")
    };
    let free = disk.map(|(free, _)| format!("; {} of the disk free", bytes_for_people(free)));
    let line = format!("in the last 24 hours: {told}{}", free.unwrap_or_default());
    let line = out.paint(FAINT, &line);
    out.line(line);
    Ok(code)
}

/// How many runs of a day ended how, and which of them somebody must look at.
fn of_runs(ground: &Ground, is_served: bool, now_ms: i64) -> Result<(Ended, Vec<Matter>), CliError> {
    let store = &*ground.store;
    let mut ended = Ended::new();
    let (mut failed, mut in_doubt, mut stuck) = (Vec::new(), Vec::new(), Vec::new());
    operation::each_run(store, now_ms - DAY_MS, &mut |record| {
        if record.status.is_over() {
            *ended.entry(record.status.code()).or_default() += 1;
        }
        match record.status {
            Status::Failed => failed.push(record.clone()),
            Status::NeedsAttention => in_doubt.push(record.clone()),
            _ => {}
        }
    })?;
    // However long ago they began.
    for run in recovery::unfinished(ground)? {
        let record = RunRecord::get(store, run)?;
        if !is_served || now_ms - record.begun_ms > LONG_MS {
            stuck.push(record);
        }
    }
    let runs = |words, records: &[RunRecord]| Matter::of(words, records, |record| of_run(record, now_ms));
    let stuck_words = match is_served {
        true => ["stuck", "at work for hours", "host show RUN"],
        false => [
            "stuck",
            "cut off, and nobody goes on with them",
            "host serve, or host resume RUN",
        ],
    };
    let doubt_words = [
        "in_doubt",
        "in doubt: did the write land?",
        "host resolve RUN STEP --landed|--not-landed",
    ];
    let matters = vec![
        runs(["failed", "failed", "host why RUN"], &failed),
        runs(doubt_words, &in_doubt),
        runs(stuck_words, &stuck),
    ];
    Ok((ended, matters))
}

fn of_run(record: &RunRecord, now_ms: i64) -> (String, Json) {
    let why = record.error.as_ref().map(|error| &error.failure);
    let why = why.map(|failure| format!("  {}: {}", failure.code, excerpt(&failure.message, 100)));
    let line = format!(
        "{}  {}  {}{}",
        record.run.short(),
        plain(&record.playbook),
        ago(record.ended_ms.unwrap_or(record.begun_ms), now_ms),
        why.unwrap_or_default()
    );
    (line, record_json(record))
}

/// What did not begin that should have, and what keeps it from beginning.
fn of_triggers(ground: &Ground, is_served: bool, now_ms: i64) -> Result<Vec<Matter>, CliError> {
    let store = &*ground.store;
    let unrun = operation::unrun(store, now_ms - DAY_MS, now_ms)?;
    let overdue = ticks::due_until(store, now_ms - OVERDUE_MS, 1000)?;
    let queues = operation::jobs(store)?;
    let unstarted = unstarted::since(store, now_ms - DAY_MS)?;
    let save = operation::unusable_save(store)?;
    let alarms = match crate::serve::status::Status::read(store)?.filter(|_| is_served) {
        Some(status) => status.alarms,
        None => Vec::new(),
    };
    Ok(vec![
        Matter::of(["alarms", "alarms of the watchdog", "host status"], &alarms, |alarm| {
            let line = format!("{}  since {}", plain(&alarm.what), ago(alarm.since_ms, now_ms));
            (line, json!(alarm))
        }),
        Matter::of(["missed", "ticks that did not run", "host ticks"], &unrun, |unrun| {
            let line = format!("{}  {}", plain(&unrun.id.playbook), moment(unrun.planned_ms));
            let json = json!({
                "playbook": unrun.id.playbook, "schedule": unrun.id.schedule,
                "planned_ms": unrun.planned_ms, "fate": unrun.tick.fate, "why": unrun.tick.why,
            });
            (line, json)
        }),
        Matter::of(
            [
                "unstarted",
                "playbooks that were not started when they should",
                "host explain CODE",
            ],
            &unstarted,
            |(playbook, last)| {
                let times = match last.count {
                    1 => String::new(),
                    count => format!("  {count} so far"),
                };
                let line = format!(
                    "{}  {}  {}  {}: {}{times}",
                    plain(playbook),
                    ago(last.at_ms, now_ms),
                    plain(&last.trigger),
                    plain(&last.code),
                    excerpt(&last.message, 100),
                );
                let json = json!({
                    "playbook": playbook, "count": last.count, "at_ms": last.at_ms,
                    "trigger": last.trigger, "code": last.code, "message": last.message,
                });
                (line, json)
            },
        ),
        Matter::of(
            ["overdue", "ticks that are due, and nobody starts", "host serve"],
            &overdue,
            |due| {
                let line = format!("{}  was due {}", plain(&due.id.playbook), ago(due.due_ms, now_ms));
                let json = json!({ "playbook": due.id.playbook, "schedule": due.id.schedule, "due_ms": due.due_ms });
                (line, json)
            },
        ),
        Matter::of(
            [
                "dead_jobs",
                "queues with jobs that nobody tries again",
                "host queue show QUEUE --state dead",
            ],
            queues.iter().filter(|(_, jobs)| jobs.dead > 0),
            |((queue, realm), jobs)| {
                let line = format!("{}  {}  ({realm})", plain(queue), jobs.dead);
                let json = json!({ "queue": queue, "realm": realm.to_string(), "dead": jobs.dead });
                (line, json)
            },
        ),
        Matter::of(
            ["save", "a save that is not live", "host versions list"],
            &save,
            |version| {
                let files = crate::serve::versions::in_words(&version.changes);
                let line = format!("version {} is {}: {}", version.number, version.state, plain(&files));
                (line, json!({ "version": version.number, "state": version.state }))
            },
        ),
    ])
}

/// What waits for somebody's word.
fn of_people(ground: &Ground, now_ms: i64) -> Result<Vec<Matter>, CliError> {
    let questions = question::open(&*ground.store, 1000)?;
    let incidents = operation::open_incidents(&*ground.store)?;
    let question_words = ["questions", "questions that wait for an answer", "host answer RUN TEXT"];
    Ok(vec![
        Matter::of(question_words, &questions, |(run, step, question)| {
            let (asked, text) = (ago(question.asked_ms, now_ms), excerpt(&question.text, 100));
            let line = format!("{}  {}  {asked}  {text}", run.short(), plain(&question.playbook));
            let json = json!({
                "run": run.to_string(), "step": step, "playbook": question.playbook,
                "text": question.text, "asked_ms": question.asked_ms,
            });
            (line, json)
        }),
        Matter::of(
            ["incidents", "open incidents", "host incident show ID"],
            &incidents,
            |incident| {
                let (opened, title) = (ago(incident.opened_ms, now_ms), excerpt(&incident.title, 100));
                let line = format!("{}  {title}  opened {opened}", incident.id.short());
                let json = json!({
                    "incident": incident.id.to_string(), "title": incident.title, "opened_ms": incident.opened_ms,
                });
                (line, json)
            },
        ),
    ])
}

fn show(matters: &[Matter], out: &mut Out) {
    for matter in matters {
        let style = if matter.key == "questions" { CAREFUL } else { BAD };
        let title = out.paint(style, &format!("{} {}", matter.lines.len(), matter.title));
        let hint = out.paint(FAINT, matter.hint);
        out.line(format!("{title}  {hint}"));
        for line in matter.lines.iter().take(LINES_MAX) {
            let line = out
                .width
                .map_or_else(|| line.clone(), |width| excerpt(line, width.saturating_sub(2)));
            out.line(format!("  {line}"));
        }
        if matter.lines.len() > LINES_MAX {
            out.line(format!("  and {} more", matter.lines.len() - LINES_MAX));
        }
        out.line("");
    }
}

fn is_little((free, all): (u64, u64)) -> bool {
    free < LITTLE_BYTES && (free as f64) < all as f64 * LITTLE_PART
}

fn disk_json((free, all): (u64, u64)) -> serde_json::Value {
    json!({ "free_bytes": free, "bytes": all })
}
