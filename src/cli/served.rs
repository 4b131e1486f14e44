//! What commands do differently while a server holds the store: runs are driven there, and shown here.
//!
//! Where the environment of a command and that of the server differ, the stricter holds: a run that begins is live only
//! where both are, and a live run is not taken up by somebody who is dry. What was kept back is said above the run.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::drive::conclude;
use super::error::{CliError, OTHER, UNFINISHED};
use super::out::{CAREFUL, FAINT, Out, plain};
use super::run::{headline, observer};
use crate::app::App;
use crate::effect::RunMode;
use crate::gate::governance::Signals;
use crate::id::RunId;
use crate::journal::Status;
use crate::runs::library::{Pins, unknown_versions};
use crate::runs::{Driven, Order, Runner};
use crate::script::Script;
use crate::serve::banner::tell_provider;
use crate::serve::desk::caller::Begun;
use crate::serve::desk::narrow::{narrow, too_live};
use crate::serve::desk::said::{self, Work};
use crate::serve::desk::{CallError, Caller};
use crate::store::Durability;
use crate::store::remote::RemoteStore;

/// The playbook called `name` as a server starts it, or the script at that path or of that name on the disk.
pub fn playbook(app: &App, name: &str, out: &mut Out) -> Result<Arc<Script>, CliError> {
    let on_disk = || app.library.playbook(name);
    // A path means what lies there.
    if name.contains('/') {
        return Ok(on_disk()?);
    }
    let Some(server) = app.call()? else {
        return Ok(on_disk()?);
    };
    let stem = name.strip_suffix(".rhai").unwrap_or(name);
    let Some(pins) = Caller::to(&server)?.live(stem)? else {
        return Ok(on_disk()?);
    };
    match on_disk() {
        // Its modules have their paths, where errors show them.
        Ok(script) if Pins::of(&script) == pins => return Ok(script),
        // What is broken or gone on the disk is another version, too.
        _ => note(
            "the server has another version of it than the disk: that of the server is run",
            out,
        ),
    }
    Ok(app.library.of_pins(&*server, &pins)?)
}

/// Begins what `order` says in the server, and shows it until it is at rest.
pub fn start(
    app: &App,
    server: &RemoteStore,
    runner: &Runner,
    order: Order,
    told: &dyn Fn(RunId),
    out: &mut Out,
) -> Result<u8, CliError> {
    if order.retry_of.is_some() {
        check_mode(app, &order.mode)?;
    }
    let script = order.script;
    let pins = pin(runner, &script)?;
    let work = Work::Begin(said::Begin {
        pins,
        input: order.input,
        mode: RunMode {
            unsigned: signals(app)?.missing().into_iter().map(str::to_owned).collect(),
            ..order.mode
        },
        trigger: order.trigger,
        by: order.by,
        retry_of: order.retry_of,
    });
    follow(app, server, runner, work, &script, out, |begun, out| {
        let mode = begun.mode.clone().unwrap_or_default();
        mode.live_providers().for_each(tell_provider);
        begun.run.into_iter().for_each(told);
        if let (Some(run), false) = (begun.run, out.json) {
            headline(&script, run, mode.live, out);
        }
    })
}

/// Puts the texts of `script` into the store, for the server to find them.
pub fn pin(runner: &Runner, script: &Script) -> Result<Pins, CliError> {
    let store = &*runner.gate.ground.store;
    let texts = unknown_versions(store, script)?;
    if !texts.is_empty() {
        store.commit(texts, Durability::Soon)?;
    }
    Ok(Pins::of(script))
}

/// Refuses to take up what is more live than this environment.
pub fn check_mode(app: &App, run: &RunMode) -> Result<(), CliError> {
    let here = RunMode {
        live: !app.config.dry_run()?,
        providers: app.provider_modes()?,
        ..RunMode::default()
    };
    match too_live(run, &here) {
        None => Ok(()),
        Some(why) => {
            let message = format!("{why}, while the server would go on with it live; nothing was done");
            let help =
                "the stricter environment holds: type the command where it is live, or let the server go on by itself";
            Err(CliError::usage("RUN_NOT_DRY", message).help(help))
        }
    }
}

fn signals(app: &App) -> Result<Signals, CliError> {
    Ok(app.policies()?.signals)
}

/// Has `work` driven by the server, shows it, and says how it ended. `head` is printed when it has been taken up.
pub fn follow(
    app: &App,
    server: &RemoteStore,
    runner: &Runner,
    work: Work,
    script: &Script,
    out: &mut Out,
    head: impl FnOnce(&Begun, &mut Out),
) -> Result<u8, CliError> {
    let mut watched = match &work {
        Work::Resume { run, .. } => Some(*run),
        Work::Amend(amend) => Some(amend.run),
        Work::Begin(_) | Work::Each { .. } => None,
    };
    let driven = drive(app, server, work, |begun| {
        watched = begun.run.or(watched);
        head(&begun, out);
        for words in &begun.narrowed {
            note(words, out);
        }
        if !out.json {
            let pid = server.server().pid;
            let line = out.paint(FAINT, &format!("the server (process {pid}) carries it out"));
            out.line(line);
            out.line("");
        }
        observer(out)
    });
    let Some(run) = watched else {
        return Err(driven.err().map_or_else(nothing_begun, CliError::from));
    };
    match driven {
        Ok(driven) if is_put_aside(&driven, run) => {
            let id = run.short();
            let message = format!("the server stops, and has put run {id} aside");
            Err(CliError::new("RUN_LEFT", message, UNFINISHED)
                .help(format!("it goes on when a server starts, or with `host resume {id}`")))
        }
        Ok(driven) => conclude(driven, run, script, runner, true, out),
        Err(CallError::Left) => {
            let id = run.short();
            let message = format!("run {id} goes on in the server");
            Err(CliError::new("RUN_LEFT", message, UNFINISHED).help(format!(
                "`host show {id}` tells how it goes, `host cancel {id}` ends it"
            )))
        }
        Err(CallError::Lost(reason)) => {
            let id = run.short();
            let message = format!("the server was lost while run {id} was at work ({reason})");
            Err(CliError::new("RUN_LEFT", message, UNFINISHED)
                .help(format!("it goes on when a server starts, or with `host resume {id}`")))
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether the server has let go of `run` before it was at rest.
fn is_put_aside(driven: &Driven, run: RunId) -> bool {
    match driven.finished.get(&run) {
        Some(finished) => finished.record.status == Status::Running,
        None => !driven.failed.contains_key(&run),
    }
}

fn nothing_begun() -> CliError {
    CliError::new("STORE_SERVER_LOST", "the server began nothing", OTHER)
}

/// Has `work` driven by the server; Ctrl-C is passed on to it.
pub fn drive(
    app: &App,
    server: &RemoteStore,
    work: Work,
    begun: impl FnOnce(Begun) -> Arc<dyn crate::gate::Observer>,
) -> Result<Driven, CallError> {
    let interrupted: Arc<AtomicBool> = Arc::default();
    if let Err(error) = crate::io::signals::note_interrupts(&interrupted) {
        tracing::warn!(%error, "Ctrl-C will end this command, and not the run");
    }
    let caller = Caller::to(server)?;
    let ended = caller.drive(work, &interrupted, &*app.clock, begun)?;
    Ok(ended.into())
}

/// What is worth knowing beside the answer, which may be read by a program.
fn note(words: &str, out: &mut Out) {
    if out.json {
        tracing::warn!("{}", plain(words));
        return;
    }
    let mark = out.paint(CAREFUL, "note");
    out.line(format!("{mark}  {}", plain(words)));
}

/// How the environment of a server that runs now differs from the one here, in words; with its process.
pub fn differences(app: &App) -> Result<Option<(u32, Vec<String>)>, CliError> {
    let Some(server) = app.call()? else {
        return Ok(None);
    };
    let there = Caller::to(&server)?.mode()?;
    let here = RunMode {
        live: !app.config.dry_run()?,
        providers: app.provider_modes()?,
        uses: Vec::new(),
        unsigned: signals(app)?.missing().into_iter().map(str::to_owned).collect(),
    };
    let (_, words) = narrow(&here, &there);
    let words = words
        .into_iter()
        .map(|words| words.replace(": this run is dry", ": runs started from here are dry"));
    Ok(Some((server.server().pid, words.collect())))
}

/// Says it at the end of what shows the environment here.
pub fn show_differences(app: &App, out: &mut Out) -> Result<(), CliError> {
    let Some((pid, words)) = differences(app)? else {
        return Ok(());
    };
    out.line("");
    if words.is_empty() {
        out.line(format!(
            "A server runs here (process {pid}), with the same environment."
        ));
        return Ok(());
    }
    out.line(format!(
        "A server runs here (process {pid}) with another environment; the stricter holds:"
    ));
    for words in words {
        out.line(format!("  {}", plain(&words)));
    }
    Ok(())
}

impl From<CallError> for CliError {
    fn from(error: CallError) -> CliError {
        match error {
            CallError::Store(error) => error.into(),
            CallError::Refused(error) => error.into(),
            CallError::Lost(_) | CallError::Left => CliError::new("RUN_LEFT", error.to_string(), UNFINISHED),
        }
    }
}
