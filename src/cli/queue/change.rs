//! Puts jobs into queues, brings dead ones back, takes some out, pauses.

use serde_json::json;

use super::super::data::{called, change, json_or_text, look, visible_json};
use super::super::error::CliError;
use super::super::out::{GOOD, Out, excerpt, plain};
use super::{check_known, job_not_found};
use crate::app::App;
use crate::digits::grouped;
use crate::duration;
use crate::journal::audit::Act;
use crate::store::queue::pause::Paused;
use crate::store::queue::{self, State, Wanted, hold};
use crate::store::{Realm, Tx};

/// Jobs that are changed with one commit.
const AT_ONCE: usize = 1000;

/// The longest reason of a pause.
const WHY_BYTES_MAX: usize = 1000;

#[derive(clap::Args)]
pub struct PushArgs {
    queue: String,
    /// JSON where it is JSON, text otherwise. A map gives the inputs of the run that does the job.
    #[arg(allow_hyphen_values = true)]
    payload: String,
    /// From 0 to 9; a greater one comes first.
    #[arg(long, default_value_t = queue::job::PRIORITY_DEFAULT, value_parser = clap::value_parser!(u8).range(0..=i64::from(queue::job::PRIORITY_MAX)))]
    priority: u8,
    /// How long nobody may take it: 90s, 45m, 2h.
    #[arg(long, value_name = "TIME")]
    delay: Option<String>,
    /// While a job with this key is in the queue, no second one is put there.
    #[arg(long)]
    key: Option<String>,
    /// How long the key counts after the job is done.
    #[arg(long, value_name = "TIME", requires = "key")]
    remember: Option<String>,
    /// How often it may be tried.
    #[arg(long, default_value_t = queue::job::ATTEMPTS_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=1000))]
    attempts: u32,
    /// The wait after the first failure; it doubles with each.
    #[arg(long, value_name = "TIME", default_value = "30s")]
    backoff: String,
}

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true))]
pub struct RetryArgs {
    queue: String,
    /// One dead job, by its number.
    #[arg(group = "which")]
    job: Option<u64>,
    /// All of them.
    #[arg(long, group = "which")]
    all_dead: bool,
}

#[derive(clap::Args)]
pub struct DrainArgs {
    queue: String,
    /// Take out the dead ones instead.
    #[arg(long)]
    dead: bool,
    /// Do it, and not only say how many they are.
    #[arg(long)]
    yes: bool,
}

fn time(flag: &str, word: &str) -> Result<u64, CliError> {
    let length = duration::parse(word).map_err(|error| CliError::usage("USAGE", format!("{flag}: {error}")))?;
    Ok(u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
}

pub fn push(app: &App, realm: Realm, args: &PushArgs, out: &mut Out) -> Result<(), CliError> {
    let payload = app.masks.mask(json_or_text("the payload", &args.payload)?);
    let optional = |flag: &str, word: &Option<String>| word.as_ref().map_or(Ok(0), |word| time(flag, word));
    let wanted = Wanted {
        priority: args.priority,
        delay_ms: optional("--delay", &args.delay)?,
        key: args.key.clone(),
        remember_ms: optional("--remember", &args.remember)?,
        attempts_max: args.attempts,
        backoff_ms: time("--backoff", &args.backoff)?,
        corr: None,
    };
    let name = args.queue.as_str();
    let act = Act::new("queue.push", name).with("bytes", payload.size());
    let pushed = change(app, realm, act, |tx| queue::push(tx, name, &payload, &wanted))?;
    if out.json {
        out.json(&json!({
            "realm": realm.to_string(),
            "queue": name,
            "id": pushed.job,
            "is_new": pushed.is_new,
        }));
        return Ok(());
    }
    if !pushed.is_new {
        let key = plain(args.key.as_deref().unwrap_or_default());
        out.line(format!(
            "nothing pushed: job {} of {name} has the key {key}, or had it lately, in {}",
            pushed.job,
            called(realm)
        ));
        return Ok(());
    }
    let mark = out.paint(GOOD, "+");
    let shown = excerpt(&visible_json(&payload), 60);
    let later = args
        .delay
        .as_ref()
        .map(|delay| format!(", due in {}", plain(delay)))
        .unwrap_or_default();
    out.line(format!(
        "{mark} job {} of {name}  {shown}{later}, in {}",
        pushed.job,
        called(realm)
    ));
    undo(&format!("remove --realm {realm} {name} {}", pushed.job), out);
    Ok(())
}

pub fn retry(app: &App, realm: Realm, args: &RetryArgs, out: &mut Out) -> Result<(), CliError> {
    check_known(app, realm, &args.queue)?;
    let name = args.queue.as_str();
    let mut back = Vec::new();
    if let Some(number) = args.job {
        let found = look(app, realm, |tx| hold::get(tx, name, number))?.flatten();
        let job = found.ok_or_else(|| job_not_found(name, number, realm))?.job;
        let act = Act::new("queue.retry", name).with("job", number);
        if !change(app, realm, act, |tx| queue::requeue(tx, name, number))? {
            let state = job.state(app.clock.unix_ms() as u64).as_str();
            let message = format!("job {number} of {name} is {state}, and only dead ones are brought back");
            return Err(CliError::usage("JOB_NOT_DEAD", message));
        }
        back.push(number);
    } else {
        // Those that die again meanwhile are for the next time.
        let begun_ms = app.clock.unix_ms() as u64;
        loop {
            let act = Act::new("queue.retry", name).with("jobs", "dead");
            let found = change(app, realm, act, |tx| {
                let mut dead = queue::list(tx, name, Some(State::Dead), AT_ONCE)?;
                dead.retain(|job| job.job.died_ms.is_some_and(|died_ms| died_ms <= begun_ms));
                for job in &dead {
                    queue::requeue(tx, name, job.number)?;
                }
                Ok(dead.into_iter().map(|job| job.number).collect::<Vec<_>>())
            })?;
            let is_last = found.len() < AT_ONCE;
            back.extend(found);
            if is_last {
                break;
            }
        }
    }
    if out.json {
        out.json(&json!({ "realm": realm.to_string(), "queue": name, "retried": back }));
        return Ok(());
    }
    match back.as_slice() {
        [] => out.line(format!("no job of {name} is dead in {}", called(realm))),
        [number] => out.line(format!("job {number} of {name} is ready again, in {}", called(realm))),
        numbers => {
            let count = grouped(numbers.len() as u64);
            out.line(format!("{count} jobs of {name} are ready again, in {}", called(realm)));
        }
    }
    if !back.is_empty() {
        out.line(
            "a run that can go on does, and does nothing twice; where it cannot, another begins if nothing was written",
        );
    }
    Ok(())
}

pub fn remove(app: &App, realm: Realm, name: &str, number: u64, out: &mut Out) -> Result<(), CliError> {
    check_known(app, realm, name)?;
    let found = look(app, realm, |tx| hold::get(tx, name, number))?.flatten();
    let before = found.ok_or_else(|| job_not_found(name, number, realm))?;
    let act = Act::new("queue.remove", name).with("job", number);
    let was_there = change(app, realm, act, |tx| queue::remove(tx, name, number))?;
    if out.json {
        out.json(&json!({
            "realm": realm.to_string(),
            "queue": name,
            "id": number,
            "removed": was_there,
            "payload": before.payload.to_json(),
        }));
        return Ok(());
    }
    let mark = out.paint(GOOD, out.symbol("−"));
    out.line(format!(
        "{mark} job {number} of {name}  taken out, in {}",
        called(realm)
    ));
    if before.job.held
        && let Some(run) = before.job.run
    {
        out.line(format!("its run goes on: `host cancel {}` ends it", run.short()));
    }
    Ok(())
}

pub fn drain(app: &App, realm: Realm, args: &DrainArgs, out: &mut Out) -> Result<(), CliError> {
    check_known(app, realm, &args.queue)?;
    let name = args.queue.as_str();
    let what = if args.dead { "dead" } else { "waiting" };
    if !args.yes {
        let stats = look(app, realm, |tx| queue::stats(tx, name))?.unwrap_or_default();
        let count = if args.dead {
            stats.dead
        } else {
            stats.ready + stats.later
        };
        let message = format!(
            "{} {what} jobs of {name} in {} would be lost",
            grouped(count),
            called(realm)
        );
        let help = "add --yes to take them out; those at work go on";
        return Err(CliError::usage("CONFIRM", message).help(help));
    }
    let states: &[State] = if args.dead {
        &[State::Dead]
    } else {
        &[State::Ready, State::Delayed]
    };
    let mut count = 0;
    for state in states {
        loop {
            let act = Act::new("queue.drain", name).with("jobs", state.as_str());
            let removed = change(app, realm, act, |tx: &mut Tx<'_>| {
                let jobs = queue::list(tx, name, Some(*state), AT_ONCE)?;
                for job in &jobs {
                    queue::remove(tx, name, job.number)?;
                }
                Ok(jobs.len())
            })?;
            count += removed as u64;
            if removed < AT_ONCE {
                break;
            }
        }
    }
    if out.json {
        out.json(&json!({ "realm": realm.to_string(), "queue": name, "removed": count }));
        return Ok(());
    }
    let mark = out.paint(GOOD, out.symbol("−"));
    out.line(format!(
        "{mark} {} {what} jobs of {name} taken out, in {}",
        grouped(count),
        called(realm)
    ));
    Ok(())
}

pub fn pause(app: &App, realm: Realm, name: &str, why: &str, out: &mut Out) -> Result<(), CliError> {
    check_known(app, realm, name)?;
    if why.len() > WHY_BYTES_MAX {
        let message = format!("--why has {} bytes; at most {WHY_BYTES_MAX} are allowed", why.len());
        return Err(CliError::usage("USAGE", message));
    }
    let paused = Paused {
        since_ms: app.clock.unix_ms(),
        by: app.person().unwrap_or_else(|| "somebody".to_owned()),
        why: app.masks.mask_text(why.to_owned()),
    };
    let act = Act::new("queue.pause", name).with("why", paused.why.clone());
    change(app, realm, act, |tx| queue::pause::put(tx, name, Some(&paused)))?;
    if out.json {
        out.json(&json!({ "realm": realm.to_string(), "queue": name, "paused": paused }));
        return Ok(());
    }
    out.line(format!(
        "{name} is paused, in {}: jobs wait, and those at work go on",
        called(realm)
    ));
    undo(&format!("resume --realm {realm} {name}"), out);
    Ok(())
}

pub fn resume(app: &App, realm: Realm, name: &str, out: &mut Out) -> Result<(), CliError> {
    check_known(app, realm, name)?;
    let was_paused = look(app, realm, |tx| queue::pause::get(tx, name))?.flatten().is_some();
    if was_paused {
        change(app, realm, Act::new("queue.resume", name), |tx| {
            queue::pause::put(tx, name, None)
        })?;
    }
    if out.json {
        out.json(&json!({ "realm": realm.to_string(), "queue": name, "was_paused": was_paused }));
        return Ok(());
    }
    out.line(match was_paused {
        true => format!(
            "{name} is resumed, in {}: its jobs are given to playbooks again",
            called(realm)
        ),
        false => format!("{name} was not paused in {}", called(realm)),
    });
    Ok(())
}

fn undo(command: &str, out: &mut Out) {
    out.line(format!("undo    host queue {command}"));
}
