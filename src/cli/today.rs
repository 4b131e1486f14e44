//! `host today`: what needs somebody, and what the last day brought. It works without a server too.

use std::collections::BTreeMap;

use serde_json::json;

use super::error::{CliError, FAILED};
use super::out::{BAD, CAREFUL, FAINT, GOOD, Out, ago, bytes_for_people, excerpt, moment, plain};
use crate::app::App;
use crate::journal::question;
use crate::journal::{RunRecord, Status};
use crate::report::operation;
use crate::report::summary::record_json;
use crate::serve::status;
use crate::store::ticks;

/// What counts as today.
const HOURS: i64 = 24;

/// Lines of one kind.
const LINES_MAX: usize = 10;

/// A run that has a thread for longer is worth a look.
const LONG_MS: i64 = 6 * 3_600_000;

/// Less than this of the disk is little: a part, and bytes.
const LITTLE_PART: f64 = 0.05;
const LITTLE_BYTES: u64 = 1 << 30;

/// A tick that is due for longer and has no fate is overdue.
const OVERDUE_MS: i64 = 60_000;

const EXIT: &str = "Exit codes: 0 nothing needs anybody, 1 something does (failed runs, missed ticks, writes in doubt, \
questions, dead jobs, stuck runs, a broken or held save, alarms, a nearly full disk).";

#[derive(clap::Args)]
#[command(after_help = EXIT)]
pub struct Args {}

/// What somebody has to look at: a word for it, lines, and what to type.
struct Matter {
    key: &'static str,
    title: &'static str,
    lines: Vec<String>,
    hint: &'static str,
    json: serde_json::Value,
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
    let store = &*ground.store;
    let since_ms = now_ms - HOURS * 3_600_000;
    let mut ended: BTreeMap<&'static str, u64> = BTreeMap::new();
    let (mut failed, mut in_doubt, mut stuck) = (Vec::new(), Vec::new(), Vec::new());
    operation::each_run(store, since_ms, &mut |record| {
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
    for run in crate::runs::recovery::unfinished(&ground)? {
        let record = RunRecord::get(store, run)?;
        if !is_served || now_ms - record.begun_ms > LONG_MS {
            stuck.push(record);
        }
    }
    let questions = question::open(store, 1000)?;
    let unrun = operation::unrun(store, since_ms, now_ms)?;
    let overdue = ticks::due_until(store, now_ms - OVERDUE_MS, 1000)?;
    let queues = operation::jobs(store)?;
    let dead: Vec<(&String, usize)> = queues
        .iter()
        .filter_map(|(queue, (_, dead))| (*dead > 0).then_some((queue, *dead)))
        .collect();
    let incidents = operation::open_incidents(store)?;
    let save = operation::unusable_save(store)?;
    let server = status::Status::read(store)?;
    let alarms = server
        .filter(|_| is_served)
        .map(|status| status.alarms)
        .unwrap_or_default();

    let run_line = |record: &RunRecord| {
        let why = record.error.as_ref().map(|error| &error.failure);
        let why = why.map(|failure| format!("  {}: {}", failure.code, excerpt(&failure.message, 100)));
        format!(
            "{}  {}  {}{}",
            record.run.short(),
            plain(&record.playbook),
            ago(record.ended_ms.unwrap_or(record.begun_ms), now_ms),
            why.unwrap_or_default()
        )
    };
    let runs = |key, title, hint, records: &[RunRecord]| Matter {
        key,
        title,
        lines: records.iter().map(run_line).collect(),
        hint,
        json: records.iter().map(record_json).collect(),
    };
    let matters = [
        Matter {
            key: "alarms",
            title: "alarms of the watchdog",
            lines: alarms.iter().map(|alarm| format!("{}  since {}", plain(&alarm.what), ago(alarm.since_ms, now_ms))).collect(),
            hint: "host status",
            json: json!(alarms),
        },
        runs("failed", "failed", "host why RUN", &failed),
        runs("in_doubt", "in doubt: did the write land?", "host resolve RUN STEP --landed|--not-landed", &in_doubt),
        Matter {
            key: "missed",
            title: "ticks that did not run",
            lines: unrun
                .iter()
                .map(|unrun| format!("{}  {}", plain(&unrun.id.playbook), moment(unrun.planned_ms)))
                .collect(),
            hint: "host ticks",
            json: unrun
                .iter()
                .map(|unrun| {
                    json!({
                        "playbook": unrun.id.playbook, "schedule": unrun.id.schedule,
                        "planned_ms": unrun.planned_ms, "fate": unrun.tick.fate, "why": unrun.tick.why,
                    })
                })
                .collect(),
        },
        Matter {
            key: "overdue",
            title: "ticks that are due, and nobody starts",
            lines: overdue
                .iter()
                .map(|due| format!("{}  was due {}", plain(&due.id.playbook), ago(due.due_ms, now_ms)))
                .collect(),
            hint: "host serve",
            json: overdue
                .iter()
                .map(|due| json!({ "playbook": due.id.playbook, "schedule": due.id.schedule, "due_ms": due.due_ms }))
                .collect(),
        },
        runs(
            "stuck",
            if is_served { "at work for hours" } else { "cut off, and nobody goes on with them" },
            if is_served { "host show RUN" } else { "host serve, or host resume RUN" },
            &stuck,
        ),
        Matter {
            key: "questions",
            title: "questions that wait for an answer",
            lines: questions
                .iter()
                .map(|(run, _, question)| {
                    let asked = ago(question.asked_ms, now_ms);
                    format!("{}  {}  {asked}  {}", run.short(), plain(&question.playbook), excerpt(&question.text, 100))
                })
                .collect(),
            hint: "host answer RUN TEXT",
            json: questions
                .iter()
                .map(|(run, step, question)| {
                    json!({ "run": run.to_string(), "step": step, "playbook": question.playbook,
                            "text": question.text, "asked_ms": question.asked_ms })
                })
                .collect(),
        },
        Matter {
            key: "dead_jobs",
            title: "jobs that nobody tries again",
            lines: dead.iter().map(|(queue, count)| format!("{}  {count}", plain(queue))).collect(),
            hint: "host queue list QUEUE",
            json: dead.iter().map(|(queue, count)| json!({ "queue": queue, "dead": count })).collect(),
        },
        Matter {
            key: "incidents",
            title: "open incidents",
            lines: incidents
                .iter()
                .map(|incident| {
                    let opened = ago(incident.opened_ms, now_ms);
                    format!("{}  {}  opened {opened}", incident.id.short(), excerpt(&incident.title, 100))
                })
                .collect(),
            hint: "host incident show ID",
            json: incidents
                .iter()
                .map(|incident| json!({ "incident": incident.id.to_string(), "title": incident.title, "opened_ms": incident.opened_ms }))
                .collect(),
        },
        Matter {
            key: "save",
            title: "a save that is not live",
            lines: save
                .iter()
                .map(|version| {
                    let files = crate::serve::versions::in_words(&version.changes);
                    format!("version {} is {}: {}", version.number, version.state, plain(&files))
                })
                .collect(),
            hint: "host versions list",
            json: save.iter().map(|version| json!({ "version": version.number, "state": version.state })).collect(),
        },
        Matter {
            key: "disk",
            title: "the disk is nearly full",
            lines: disk
                .iter()
                .filter(|space| is_little(**space))
                .map(|(free, all)| format!("{} of {} free", bytes_for_people(*free), bytes_for_people(*all)))
                .collect(),
            hint: "host store compact",
            json: disk.iter().filter(|space| is_little(**space)).map(|space| disk_json(*space)).collect(),
        },
    ];
    let needs = matters.iter().any(|matter| !matter.lines.is_empty());
    let code = if needs { FAILED } else { 0 };
    if out.json {
        let needs: serde_json::Map<String, serde_json::Value> = matters
            .into_iter()
            .filter(|matter| !matter.lines.is_empty())
            .map(|matter| (matter.key.to_owned(), matter.json))
            .collect();
        out.json(&json!({ "since_ms": since_ms, "needs": needs, "ended": ended, "served": is_served, "disk": disk.map(disk_json) }));
        return Ok(code);
    }
    show(&matters, out);
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
    if !needs {
        let calm = out.paint(GOOD, "nothing needs you");
        out.line(calm);
    }
    let line = format!("in the last {HOURS} hours: {told}{}", free.unwrap_or_default());
    let line = out.paint(FAINT, &line);
    out.line(line);
    Ok(code)
}

fn show(matters: &[Matter], out: &mut Out) {
    for matter in matters.iter().filter(|matter| !matter.lines.is_empty()) {
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
