//! `host monitors`: the rules of `[monitors]`, how far they have come, and whether people are told.

use serde_json::{Value as Json, json};

use super::error::{CliError, FAILED};
use super::out::{BAD, CAREFUL, FAINT, GOOD, Out, ago, excerpt, moment, plain};
use super::signed;
use crate::app::App;
use crate::duration;
use crate::journal::audit::Act;
use crate::script::error::nearest;
use crate::telemetry::monitors::channel::{self, Message};
use crate::telemetry::monitors::settings::{Channel, Monitor};
use crate::telemetry::monitors::state::{self, Notice, Standing, State};

/// The longest silence.
const SILENCE_MAX_MS: u64 = 30 * 24 * 3_600_000;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List the rules: where each stands, what was found, and what could not be told.
    List,
    /// Tell the people of a rule that this is a test; nothing of the rule changes.
    #[command(after_help = "Exit codes: 0 everybody was told, 1 somebody was not.")]
    Test { monitor: String },
    /// Keep a rule silent for a while; it goes on looking.
    Silence {
        monitor: String,
        /// For how long, such as 2h.
        #[arg(long = "for", value_name = "LENGTH", default_value = "2h")]
        length: String,
        /// Let it speak again.
        #[arg(long, conflicts_with = "length")]
        off: bool,
    },
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    match args.command {
        Command::List => list(app, out),
        Command::Test { monitor } => test(app, &monitor, out),
        Command::Silence { monitor, length, off } => silence(app, &monitor, (!off).then_some(length), out),
    }
}

/// The rule of that name.
fn named<'a>(app: &'a App, name: &str) -> Result<&'a Monitor, CliError> {
    let monitors = &app.config.file.monitors;
    monitors.get(name).ok_or_else(|| {
        let shown: String = name.chars().take(60).collect();
        let error = CliError::usage(
            "MONITOR_NOT_FOUND",
            format!("[monitors] in host.toml has no rule {shown:?}"),
        );
        match nearest(name, monitors.keys().map(String::as_str)) {
            Some(near) => error.help(format!("did you mean {near:?}?")),
            None => error.help("`host monitors list` shows them"),
        }
    })
}

fn list(app: &App, out: &mut Out) -> Result<u8, CliError> {
    let monitors = &app.config.file.monitors;
    let mut found = Vec::new();
    let ground = app.reader()?;
    for (name, monitor) in monitors {
        let state = match &ground {
            Some(ground) => State::read(&*ground.store, name)?.0,
            None => State::default(),
        };
        found.push((name, monitor, state));
    }
    let now_ms = app.clock.unix_ms();
    let is_served = app.server().is_some();
    if out.json {
        let rules: Vec<Json> = found
            .iter()
            .map(|(name, monitor, state)| as_json(name, monitor, state, now_ms))
            .collect();
        out.json(&rules);
        return Ok(0);
    }
    if found.is_empty() {
        out.line("there are no rules: docs/telemetry.md tells how [monitors] in host.toml has them");
        return Ok(0);
    }
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|(name, monitor, state)| row(name, monitor, state, now_ms, out))
        .collect();
    out.table(&["monitor", "state", "since", "severity", "found", "when"], &rows);
    for (name, _, state) in &found {
        let failing = state
            .notices
            .iter()
            .filter(|notice| notice.sent_ms.is_none() && notice.tries > 0);
        for notice in failing.rev().take(3) {
            let line = out.paint(CAREFUL, &untold(name, notice, now_ms));
            out.line(line);
        }
    }
    if !is_served {
        let hint = out.paint(FAINT, "`host serve` looks at them; nobody does now");
        out.line(hint);
    }
    Ok(0)
}

fn row(name: &str, monitor: &Monitor, state: &State, now_ms: i64, out: &Out) -> Vec<String> {
    let standing = state.standing();
    let word = match standing {
        Standing::Firing => out.paint(BAD, standing.as_str()),
        Standing::Pending => out.paint(CAREFUL, standing.as_str()),
        Standing::Ok if state.looked_ms == 0 => "not looked at".to_owned(),
        Standing::Ok => out.paint(GOOD, standing.as_str()),
    };
    let word = match state.silent_until_ms.filter(|until_ms| *until_ms > now_ms) {
        Some(until_ms) => format!("{word}, silent until {}", moment(until_ms)),
        None => word,
    };
    vec![
        plain(name),
        word,
        state.since_ms.map(|since_ms| ago(since_ms, now_ms)).unwrap_or_default(),
        monitor.severity.as_str().to_owned(),
        excerpt(&state.found, 40),
        excerpt(&monitor.when, out.rest_of_line(70)),
    ]
}

/// What was not told, and why.
fn untold(name: &str, notice: &Notice, now_ms: i64) -> String {
    let why = notice.why.as_deref().map(|why| excerpt(why, 120)).unwrap_or_default();
    let next = match notice.next_ms {
        Some(next_ms) => format!(
            "tried again in {}",
            duration::for_people((next_ms - now_ms).max(0) as u64)
        ),
        None => "given up".to_owned(),
    };
    format!(
        "{}: {} was not told that it {} ({}; {next}): {why}",
        plain(name),
        plain(&notice.channel),
        notice.what.as_str(),
        ago(notice.at_ms, now_ms)
    )
}

fn as_json(name: &str, monitor: &Monitor, state: &State, now_ms: i64) -> Json {
    json!({
        "monitor": name,
        "when": monitor.when,
        "for": monitor.lasts,
        "severity": monitor.severity,
        "notify": monitor.notify,
        "state": state.standing().as_str(),
        "silent_until_ms": state.silent_until_ms.filter(|until_ms| *until_ms > now_ms),
        "since_ms": state.since_ms,
        "fired_ms": state.fired_ms,
        "found": state.found,
        "looked_ms": (state.looked_ms > 0).then_some(state.looked_ms),
        "incident": state.incident.map(|id| id.to_string()),
        "notices": state.notices,
    })
}

fn test(app: &App, name: &str, out: &mut Out) -> Result<u8, CliError> {
    let monitor = named(app, name)?;
    let is_dry = app.config.dry_run()?;
    let now_ms = app.clock.unix_ms();
    let message = Message {
        id: format!("{name}-test-{now_ms}"),
        monitor: name.to_owned(),
        what: "test".to_owned(),
        severity: monitor.severity.as_str().to_owned(),
        at_ms: now_ms,
        when: monitor.when.clone(),
        found: "this is a test".to_owned(),
        help: monitor.help.clone(),
        incident: None,
        host: app
            .config
            .root
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    };
    let mut told = Vec::new();
    for channel in monitor.channels() {
        let known: Option<&Channel> = app.config.file.notify.get(channel);
        let outcome = match known {
            _ if is_dry => Err("DRY_RUN is on: nobody is told".to_owned()),
            Some(known) => channel::send(app, known, &message),
            None => Err("there is no such channel".to_owned()),
        };
        told.push((channel, outcome));
    }
    let failed = told.iter().any(|(_, outcome)| outcome.is_err());
    let code = if failed { FAILED } else { 0 };
    if out.json {
        let shown: Vec<Json> = told
            .iter()
            .map(|(channel, outcome)| json!({ "channel": channel, "told": outcome.is_ok(), "why": outcome.as_ref().err() }))
            .collect();
        out.json(&shown);
        return Ok(code);
    }
    if told.is_empty() {
        out.line(format!(
            "{} tells nobody: `notify` in [monitors.{}] names channels",
            plain(name),
            plain(name)
        ));
    }
    for (channel, outcome) in told {
        let line = match outcome {
            Ok(()) => format!("{} {} was told", out.paint(GOOD, out.symbol("✓")), plain(channel)),
            Err(why) => format!(
                "{} {} was not told: {}",
                out.paint(BAD, out.symbol("✗")),
                plain(channel),
                excerpt(&why, 200)
            ),
        };
        out.line(line);
    }
    Ok(code)
}

fn silence(app: &App, name: &str, length: Option<String>, out: &mut Out) -> Result<u8, CliError> {
    named(app, name)?;
    let until_ms = match length {
        None => None,
        Some(length) => {
            let length =
                duration::parse(&length).map_err(|error| CliError::usage("DURATION_INVALID", error.to_string()))?;
            let length_ms = length.as_millis() as u64;
            if !(1..=SILENCE_MAX_MS).contains(&length_ms) {
                let max = duration::for_people(SILENCE_MAX_MS);
                return Err(CliError::usage(
                    "DURATION_INVALID",
                    format!("a rule is silent for up to {max}"),
                ));
            }
            Some(app.clock.unix_ms().saturating_add(length_ms as i64))
        }
    };
    let by = app
        .masks
        .mask_text(app.person().unwrap_or_else(|| "somebody".to_owned()));
    let what = match until_ms {
        Some(_) => "monitor.silence",
        None => "monitor.unsilence",
    };
    let ground = signed::writer(app, Act::new(what, name).with("until_ms", until_ms))?;
    state::silence(&*ground.store, name, until_ms, &by)?;
    if out.json {
        out.json(&json!({ "monitor": name, "silent_until_ms": until_ms, "by": by }));
        return Ok(0);
    }
    let mark = out.paint(CAREFUL, "~");
    match until_ms {
        Some(until_ms) => {
            out.line(format!("{mark} {} is silent until {}", plain(name), moment(until_ms)));
            out.line(format!("undo    host monitors silence {} --off", plain(name)));
        }
        None => out.line(format!("{mark} {} speaks again", plain(name))),
    }
    Ok(0)
}
