//! `host pause [PLAYBOOK]`: nothing starts by itself until somebody resumes it. And how `host resume` ends that.

use serde_json::json;

use super::error::CliError;
use super::out::{CAREFUL, GOOD, Out, ago, plain};
use super::signed;
use crate::app::App;
use crate::duration;
use crate::journal::audit::Act;
use crate::journal::epoch::Epoch;
use crate::store::ticks::pause::{self, ALL, Pause};
use crate::store::ticks::{Pauses, Resumed};
use crate::store::{Batch, Durability};

#[derive(clap::Args)]
pub struct Args {
    /// The playbook; everything when not given.
    playbook: Option<String>,
    /// Why, for those who wonder.
    #[arg(long, default_value = "")]
    why: String,
    /// List what is paused.
    #[arg(long, conflicts_with_all = ["playbook", "why"])]
    list: bool,
}

/// What becomes of the ticks of the pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum MissedChoice {
    All,
    Latest,
    None,
}

impl MissedChoice {
    pub fn resumed(self) -> Resumed {
        match self {
            MissedChoice::All => Resumed::All,
            MissedChoice::Latest => Resumed::Latest,
            MissedChoice::None => Resumed::None,
        }
    }
}

/// The longest reason.
const WHY_BYTES_MAX: usize = 1000;

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    if args.list {
        list(app, out)?;
        return Ok(0);
    }
    if args.why.len() > WHY_BYTES_MAX {
        let bytes = args.why.len();
        let message = format!("the reason has {bytes} bytes; at most {WHY_BYTES_MAX} are allowed");
        return Err(CliError::usage("REASON_INVALID", message));
    }
    let name = match &args.playbook {
        Some(playbook) => named(playbook, app)?,
        None => ALL.to_owned(),
    };
    let ground = app.writer()?;
    let pauses = Pauses::load(&*ground.store)?;
    if let Some(earlier) = pauses.on.get(&name) {
        if out.json {
            out.json(&pause_json(&name, earlier));
        } else {
            out.line(format!(
                "{} is paused already, since {}",
                called(&name),
                ago(earlier.since_ms, app.clock.unix_ms())
            ));
        }
        return Ok(0);
    }
    let pause = Pause {
        since_ms: app.clock.unix_ms(),
        by: app.person(),
        why: args.why,
    };
    let mut batch = Batch::new();
    pause::pause(&mut batch, &name, &pause);
    let act = Act::new("playbook.pause", &name).with("why", pause.why.clone());
    signed::on(app, &ground, act).store.commit(batch, Durability::Now)?;
    if out.json {
        out.json(&pause_json(&name, &pause));
        return Ok(0);
    }
    let mark = out.paint(CAREFUL, "~");
    let what = match name.as_str() {
        ALL => "everything is paused: no trigger starts a run".to_owned(),
        name => format!("{} is paused: no trigger starts it", plain(name)),
    };
    out.line(format!("{mark} {what}; runs under way go on"));
    out.line(format!("undo    host resume {}", undone_by(&name)));
    Ok(0)
}

/// The playbook of that name. One that is gone or broken can be paused as well, if it was seen before.
fn named(name: &str, app: &App) -> Result<String, CliError> {
    if app.library.files.list().iter().any(|known| known == name) {
        return Ok(name.to_owned());
    }
    Ok(app.library.playbook(name)?.name.clone())
}

fn called(name: &str) -> String {
    match name {
        ALL => "everything".to_owned(),
        name => plain(name),
    }
}

fn undone_by(name: &str) -> String {
    match name {
        ALL => "--all-paused".to_owned(),
        name => plain(name),
    }
}

fn pause_json(name: &str, pause: &Pause) -> serde_json::Value {
    json!({
        "playbook": (name != ALL).then_some(name),
        "since_ms": pause.since_ms,
        "by": pause.by,
        "why": pause.why,
    })
}

fn list(app: &App, out: &mut Out) -> Result<(), CliError> {
    let pauses = match app.reader()? {
        Some(ground) => Pauses::load(&*ground.store)?,
        None => Pauses::default(),
    };
    if out.json {
        let all: Vec<_> = pauses.on.iter().map(|(name, pause)| pause_json(name, pause)).collect();
        out.json(&all);
        return Ok(());
    }
    if pauses.on.is_empty() {
        out.line("nothing is paused");
        return Ok(());
    }
    let now_ms = app.clock.unix_ms();
    let rows: Vec<Vec<String>> = pauses
        .on
        .iter()
        .map(|(name, pause)| {
            let by = pause.by.as_deref().map(plain).unwrap_or_default();
            vec![called(name), ago(pause.since_ms, now_ms), by, plain(&pause.why)]
        })
        .collect();
    out.table(&["paused", "since", "by", "why"], &rows);
    Ok(())
}

/// Whether `name` is what somebody has paused, and not a run.
pub fn is_paused(name: &str, app: &App) -> Result<bool, CliError> {
    match app.reader()? {
        Some(ground) => Ok(Pauses::load(&*ground.store)?.on.contains_key(name)),
        None => Ok(false),
    }
}

/// Ends the pause of a playbook, or all of them, and says what becomes of the ticks in between.
pub fn resume(name: Option<&str>, missed: Option<MissedChoice>, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let ground = app.writer()?;
    let pauses = Pauses::load(&*ground.store)?;
    let names: Vec<&String> = pauses
        .on
        .keys()
        .filter(|known| name.is_none_or(|name| name == *known))
        .collect();
    let missed = missed.map(MissedChoice::resumed).unwrap_or_default();
    if names.iter().any(|name| *name == ALL) && Epoch::read(&*ground.store)?.frozen {
        let message = "everything is held since the store was restored, and not only paused";
        return Err(
            CliError::usage("RESTORE_HELD", message).help("`host restore` tells what is held, and how it goes on")
        );
    }
    if names.is_empty() {
        if let Some(name) = name {
            let message = format!("{:?} is not paused", name.chars().take(80).collect::<String>());
            return Err(CliError::usage("NOT_PAUSED", message).help("`host pause --list` shows what is"));
        }
        if out.json {
            out.json(&json!([]));
        } else {
            out.line("nothing is paused");
        }
        return Ok(0);
    }
    let now_ms = app.clock.unix_ms();
    let mut batch = Batch::new();
    for name in &names {
        pause::resume(&mut batch, name, now_ms, missed);
    }
    let all: Vec<String> = names.iter().map(|name| (*name).clone()).collect();
    let act = Act::new("playbook.resume", all.join(", ")).with("missed", format!("{missed:?}").to_lowercase());
    signed::on(app, &ground, act).store.commit(batch, Durability::Now)?;
    if out.json {
        let all: Vec<_> = names.iter().map(|name| pause_json(name, &pauses.on[*name])).collect();
        out.json(&all);
        return Ok(0);
    }
    let caught_up = match missed {
        Resumed::All => "all ticks of that time are caught up",
        Resumed::Latest => "of the ticks of that time the latest is caught up",
        Resumed::None => "ticks of that time are skipped",
    };
    for name in names {
        let pause = &pauses.on[name];
        let mark = out.paint(GOOD, out.symbol("✓"));
        let lasted = duration::for_people((now_ms - pause.since_ms).max(0) as u64);
        out.line(format!(
            "{mark} {} is resumed after {lasted}; {caught_up}",
            called(name)
        ));
    }
    if name.is_some_and(|name| name != ALL) && pauses.on.contains_key(ALL) {
        let text = out.paint(
            CAREFUL,
            "everything is still paused: `host resume --all-paused` ends that",
        );
        out.line(text);
    }
    Ok(0)
}
