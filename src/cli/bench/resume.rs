//! How soon all runs that a killed host had in flight are over.
//!
//! Another process of this program takes the runs to their last step but one and is killed with SIGKILL: the file is as
//! a crash leaves it. Then the clock runs, from the opening of the store to the moment when every end is on disk.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::json;

use super::super::error::{CliError, OTHER};
use super::super::out::Out;
use super::super::progress::Busy;
use super::show;
use super::track::{Track, ms, time};
use crate::app::{App, STORE_FILE};
use crate::digits::grouped;
use crate::effect::RunMode;
use crate::gate::{Notice, Observer, Silent};
use crate::id::StepNo;
use crate::io::again::{self, Again};
use crate::runs::{Conductor, Order, Runner, Task, pool, recovery};
use crate::script::Script;
use crate::store::tx::Ground;
use crate::store::{Durability, Realm, Tx, kv};
use crate::value::Value;

/// A row of what fills the store.
const FILLER_BYTES: usize = 1024;

/// Rows of one batch of it.
const FILLER_ROWS: usize = 1024;

/// Runs at once before the kill.
const THREADS: u32 = 32;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    runs: u32,
    /// Effects that each run has behind it; one is left.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    steps: u32,
    /// What else lies in the store.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(0..=65_536))]
    store_mib: u32,
    /// The store of the process that is killed.
    #[arg(long, hide = true)]
    until_killed: Option<String>,
}

pub fn perform(app: &App, args: Args, out: &mut Out) -> Result<(), CliError> {
    if let Some(folder) = &args.until_killed {
        return run_until_killed(app, folder, &args, out);
    }
    let track = Track::new(app)?;
    fill(&track.runner.gate.ground, args.store_mib, Busy::new(out, "MiB"))?;
    let sync_p50 = track.sync_p50();
    let (app, scratch) = track.close();
    let folder = app.config.data().display().to_string();
    let unmeasured = |error: std::io::Error| {
        let message = format!("the host that is to be killed could not be watched: {error}");
        CliError::new("BENCH_FOLDER", message, OTHER)
    };
    let (runs, steps) = (args.runs.to_string(), args.steps.to_string());
    let arguments = [
        "bench",
        "resume",
        "--runs",
        &runs,
        "--steps",
        &steps,
        "--until-killed",
        &folder,
    ];
    let mut other = Again::start(&app.config.root, arguments).map_err(unmeasured)?;
    other.line().map_err(unmeasured)?;
    other.kill().map_err(unmeasured)?;
    let store_bytes = scratch
        .size_of(&app.config.data().join(STORE_FILE))
        .map_err(unmeasured)?;

    let begun = app.clock.monotonic();
    let since_begun = || app.clock.monotonic().saturating_sub(begun);
    let runner = app.runner()?;
    let opened = since_begun();
    let unfinished = recovery::unfinished(&runner.gate.ground)?;
    let conductor = Arc::new(Conductor {
        runner: runner.clone(),
        library: app.library.clone(),
        by: "bench".to_owned(),
        observe: Box::new(|_| Arc::new(Silent)),
        patience: Duration::ZERO,
        on_wait: Box::new(|_| ()),
        stop: Arc::default(),
    });
    let commits_before = runner.gate.ground.store.stats().durable_commits;
    let driven = conductor.drive(unfinished.iter().map(|run| Task::Resume(*run)));
    let took = since_begun();
    let commits = runner.gate.ground.store.stats().durable_commits - commits_before;
    let succeeded = driven.finished.values().filter(|finished| finished.succeeded()).count();
    if succeeded != args.runs as usize {
        let message = format!("{succeeded} of {} runs came to their end", args.runs);
        return Err(CliError::new("BENCH_RUNS", message, OTHER));
    }
    if out.json {
        out.json(&json!({
            "runs": succeeded,
            "steps": args.steps,
            "store_bytes": store_bytes,
            "open_ms": ms(opened),
            "took_ms": ms(took),
            "commits": commits,
            "fsync_p50_ms": ms(sync_p50),
        }));
        return Ok(());
    }
    out.line(format!(
        "{} runs with {} local effects behind them, killed and taken up again",
        grouped(u64::from(args.runs)),
        args.steps
    ));
    out.line("");
    let rows = [
        ("until all ends were on disk", format!("{:.2} s", took.as_secs_f64())),
        ("of that, opening and repair", time(opened)),
        ("the store", format!("{} MiB", grouped(store_bytes >> 20))),
        ("commits to disk", grouped(commits)),
        (
            "the disk's own sync",
            format!("{} (fdatasync of 4 KiB, half below)", time(sync_p50)),
        ),
    ];
    show(&rows, out);
    Ok(())
}

/// Puts so much into the store.
fn fill(ground: &Ground, mib: u32, busy: Busy) -> Result<(), CliError> {
    let text = Value::from("x".repeat(FILLER_BYTES));
    for done in 0..mib {
        let mut tx = Tx::new(ground, Realm::Dry, 0);
        for row in 0..FILLER_ROWS {
            kv::put(&mut tx, &format!("filler/{done:05}/{row:04}"), &text, None)?;
        }
        ground.store.commit(tx.batch, Durability::Soon)?;
        busy.at(u64::from(done), u64::from(mib));
    }
    busy.done();
    Ok(())
}

/// Stops its run after a step.
struct StopAfter {
    step: StepNo,
    flag: OnceLock<Arc<AtomicBool>>,
}

impl Observer for StopAfter {
    fn notice(&self, notice: Notice<'_>) {
        if let Notice::Answered { answer } = notice
            && answer.asked.step == self.step
            && let Some(flag) = self.flag.get()
        {
            flag.store(true, Ordering::Relaxed);
        }
    }
}

/// Takes the runs to their last step but one, says so when that is on disk, and waits for the end.
fn run_until_killed(app: &App, folder: &str, args: &Args, out: &mut Out) -> Result<(), CliError> {
    let mut config = app.config.clone();
    folder.clone_into(&mut config.file.store.folder);
    let app = App::with(config)?;
    let runner = app.runner()?;
    let reads = args.steps - 1;
    // A change of the store takes the steps before it along to the disk.
    let text = format!("for step in 0..{reads} {{ kv::get(\"clip\"); }} kv::put(\"done\", true); kv::get(\"clip\")");
    let script = super::track::script(&app, &text)?;
    let next = Arc::new(AtomicU32::new(0));
    let failed: Arc<Mutex<Option<CliError>>> = Arc::default();
    let threads = (0..THREADS.min(args.runs)).map(|_| {
        let (runner, script, next, failed) = (runner.clone(), script.clone(), next.clone(), failed.clone());
        let (runs, step) = (args.runs, args.steps);
        pool::start(runner.language.limits.stack_bytes(), move || {
            while next.fetch_add(1, Ordering::Relaxed) < runs {
                if let Err(error) = run_to(&runner, &script, step) {
                    *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    return;
                }
            }
        })
    });
    let threads: Vec<_> = threads.collect();
    for thread in threads {
        thread
            .and_then(pool::Started::wait)
            .map_err(|lost| CliError::new(lost.code(), lost.to_string(), OTHER))?;
    }
    if let Some(error) = failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(error);
    }
    let store = &runner.gate.ground.store;
    store.wait_durable(store.stats().last_commit)?;
    out.line("ready");
    again::outlive_parent().map_err(|error| CliError::new("BENCH_FOLDER", error.to_string(), OTHER))
}

/// Begins a run, and leaves it after `step` as a host does that is killed there: nothing is written of an end.
fn run_to(runner: &Runner, script: &Arc<Script>, step: u32) -> Result<(), CliError> {
    let stop = Arc::new(StopAfter {
        step,
        flag: OnceLock::new(),
    });
    let order = Order {
        script: script.clone(),
        input: Value::Map(Default::default()),
        mode: RunMode::dry(),
        trigger: "bench".to_owned(),
        by: None,
        retry_of: None,
        corr: None,
        observer: stop.clone(),
    };
    let run = runner.begin(&order)?;
    stop.flag.get_or_init(|| run.stop_flag());
    let outcome = runner.execute(&run, script);
    match outcome.error {
        Some(error) if run.tape().step() < step => Err(CliError::new(error.failure.code, error.failure.message, OTHER)),
        _ => Ok(()),
    }
}
