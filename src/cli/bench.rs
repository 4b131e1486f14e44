//! `host bench`: how fast this machine is at what `host` does.
//!
//! A real store on a real disk, in a scratch folder beside the project's own data, and the real runner: only the
//! playbook is made up. Every run counts as done when its end is on disk, as for anybody who waits for one.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;

use super::error::{CliError, OTHER};
use super::out::{FAINT, Out};
use super::progress::Busy;
use crate::app::App;
use crate::digits::grouped;
use crate::effect::RunMode;
use crate::gate::Silent;
use crate::io::scratch::Scratch;
use crate::runs::{Order, Runner};
use crate::script::Script;
use crate::script::source::Text;
use crate::store::{Realm, kv};
use crate::value::Value;

/// Runs that are not counted: they fill caches and make the store's first pages.
const WARM_UP: u32 = 20;

/// How often the disk's own speed is measured.
const SYNCS: usize = 100;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// How many local effects a second, when many runs go at once and each is acknowledged only when it is on disk.
    Steps {
        #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
        runs: u32,
        /// Effects in each run.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        steps: u32,
        /// Runs at once.
        #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
        concurrency: u32,
    },
    /// How long one trivial run takes, from its start to the answer that is safe on disk.
    Latency {
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
        runs: u32,
    },
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let track = Track::new(app)?;
    match args.command {
        Command::Steps {
            runs,
            steps,
            concurrency,
        } => track.steps(runs, steps, concurrency, out)?,
        Command::Latency { runs } => track.latency(runs, out)?,
    }
    Ok(0)
}

/// A host of its own, whose data is gone afterwards.
struct Track {
    app: App,
    runner: Runner,
    /// The disk's own speed, shortest first.
    syncs: Vec<Duration>,
    /// After the runner: the store is closed before its folder goes.
    _scratch: Scratch,
}

/// What came of some runs.
struct Lap {
    took: Duration,
    /// Each run's time, shortest first.
    each: Vec<Duration>,
    commits: u64,
}

impl Track {
    fn new(app: &App) -> Result<Track, CliError> {
        let data = app.config.data();
        let folder = if data.is_dir() { data } else { app.config.root.clone() };
        let unusable = |error: std::io::Error| {
            let message = format!("{} cannot be measured: {error}", folder.display());
            CliError::new("BENCH_FOLDER", message, OTHER)
                .help("run it in a folder that can be written, on the disk you mean")
        };
        let scratch = Scratch::below(&folder, &*app.chance).map_err(unusable)?;
        let syncs = scratch.sync_times(SYNCS, &*app.clock).map_err(unusable)?;
        let mut config = app.config.clone();
        config.file.store.folder = scratch.path().join("data").display().to_string();
        let app = App::with(config)?;
        let runner = app.runner()?;
        let ground = &runner.gate.ground;
        let mut tx = crate::store::Tx::new(ground, Realm::Dry, app.clock.unix_ms());
        let small = Value::from([
            ("id", "2026-11-21-a".into()),
            ("seconds", 42.into()),
            ("score", 0.71.into()),
        ]);
        kv::put(&mut tx, "clip", &small, None)?;
        ground.store.commit(tx.batch, crate::store::Durability::Now)?;
        Ok(Track {
            app,
            runner,
            syncs,
            _scratch: scratch,
        })
    }

    fn steps(&self, runs: u32, steps: u32, concurrency: u32, out: &mut Out) -> Result<(), CliError> {
        let script = self.script(&format!("for step in 0..{steps} {{ kv::get(\"clip\"); }} {steps}"))?;
        self.lap(&script, WARM_UP, concurrency, &Busy::new(out, "warming up"))?;
        let lap = self.lap(&script, runs, concurrency, &Busy::new(out, "run"))?;
        let done = u64::from(runs) * u64::from(steps);
        let per_second = done as f64 / lap.took.as_secs_f64().max(1e-9);
        if out.json {
            out.json(&json!({
                "runs": runs,
                "steps": steps,
                "concurrency": concurrency,
                "steps_per_s": per_second.round(),
                "run_p50_ms": ms(percentile(&lap.each, 50)),
                "run_p99_ms": ms(percentile(&lap.each, 99)),
                "commits": lap.commits,
                "fsync_p50_ms": ms(percentile(&self.syncs, 50)),
                "took_ms": ms(lap.took),
            }));
            return Ok(());
        }
        out.line(format!(
            "{runs} runs of {steps} local effects, {concurrency} at once, in {:.2} s",
            lap.took.as_secs_f64()
        ));
        out.line("");
        let rows = [
            ("effects a second", grouped(per_second.round() as u64)),
            ("one run, half below", time(percentile(&lap.each, 50))),
            ("one run, 99 % below", time(percentile(&lap.each, 99))),
            ("commits to disk", format!("{} for {runs} runs", grouped(lap.commits))),
            (
                "the disk's own sync",
                format!("{} (fdatasync of 4 KiB, half below)", time(percentile(&self.syncs, 50))),
            ),
        ];
        self.show(&rows, out);
        Ok(())
    }

    fn latency(&self, runs: u32, out: &mut Out) -> Result<(), CliError> {
        let script = self.script("kv::get(\"clip\")")?;
        self.lap(&script, WARM_UP, 1, &Busy::new(out, "warming up"))?;
        let lap = self.lap(&script, runs, 1, &Busy::new(out, "run"))?;
        if out.json {
            out.json(&json!({
                "runs": runs,
                "p50_ms": ms(percentile(&lap.each, 50)),
                "p99_ms": ms(percentile(&lap.each, 99)),
                "max_ms": ms(percentile(&lap.each, 100)),
                "commits": lap.commits,
                "fsync_p50_ms": ms(percentile(&self.syncs, 50)),
            }));
            return Ok(());
        }
        out.line(format!(
            "{runs} runs of one local effect, one after the other, in {:.2} s",
            lap.took.as_secs_f64()
        ));
        out.line("");
        let rows = [
            ("start to safe answer, half below", time(percentile(&lap.each, 50))),
            ("99 % below", time(percentile(&lap.each, 99))),
            ("the longest", time(percentile(&lap.each, 100))),
            (
                "the disk's own sync",
                format!("{} (fdatasync of 4 KiB, half below)", time(percentile(&self.syncs, 50))),
            ),
        ];
        self.show(&rows, out);
        Ok(())
    }

    fn show(&self, rows: &[(&str, String)], out: &mut Out) {
        let names = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in rows {
            out.line(format!("  {name:<names$}  {value}"));
        }
        if cfg!(debug_assertions) {
            let note = out.paint(
                FAINT,
                "built without optimisation: `cargo build --release` makes a faster host",
            );
            out.line("");
            out.line(note);
        }
    }

    fn script(&self, text: &str) -> Result<Arc<Script>, CliError> {
        let none = |_: &str| Err("a bench imports nothing".to_owned());
        let script = Script::compile(
            &self.app.library.language,
            "bench",
            Text::new("bench.rhai", text),
            &none,
        )?;
        Ok(Arc::new(script))
    }

    /// Runs `script` so many times, so many at once.
    fn lap(&self, script: &Arc<Script>, runs: u32, concurrency: u32, busy: &Busy) -> Result<Lap, CliError> {
        let clock = &self.app.clock;
        let begun = AtomicU32::new(0);
        let each = Mutex::new(Vec::with_capacity(runs as usize));
        let failed: Mutex<Option<CliError>> = Mutex::new(None);
        let commits_before = self.runner.gate.ground.store.stats().durable_commits;
        let start = clock.monotonic();
        std::thread::scope(|scope| {
            for _ in 0..concurrency.min(runs) {
                scope.spawn(|| {
                    let mut own = Vec::new();
                    loop {
                        let number = begun.fetch_add(1, Ordering::Relaxed);
                        if number >= runs || failed.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                            break;
                        }
                        let before = clock.monotonic();
                        match self.run(script) {
                            Ok(()) => own.push(clock.monotonic().saturating_sub(before)),
                            Err(error) => *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error),
                        }
                        if number.is_multiple_of(64) {
                            busy.at(u64::from(number), u64::from(runs));
                        }
                    }
                    each.lock().unwrap_or_else(PoisonError::into_inner).append(&mut own);
                });
            }
        });
        let took = clock.monotonic().saturating_sub(start);
        busy.done();
        if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let mut each = each.into_inner().unwrap_or_else(PoisonError::into_inner);
        each.sort();
        let commits = self.runner.gate.ground.store.stats().durable_commits - commits_before;
        Ok(Lap { took, each, commits })
    }

    fn run(&self, script: &Arc<Script>) -> Result<(), CliError> {
        let order = Order {
            script: script.clone(),
            input: Value::Map(Default::default()),
            mode: RunMode::dry(),
            trigger: "bench".to_owned(),
            by: None,
            retry_of: None,
            observer: Arc::new(Silent),
        };
        let finished = self.runner.run(&order)?;
        match finished.outcome.error {
            None => Ok(()),
            Some(error) => Err(CliError::new(error.failure.code, error.failure.message, OTHER)),
        }
    }
}

/// The time that `percent` of the sorted `times` stay below.
fn percentile(times: &[Duration], percent: usize) -> Duration {
    let at = (times.len() * percent).div_ceil(100).clamp(1, times.len().max(1)) - 1;
    times.get(at).copied().unwrap_or_default()
}

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn time(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Duration::from_millis(50));
        assert_eq!(percentile(&times, 99), Duration::from_millis(99));
        assert_eq!(percentile(&times[..1], 99), Duration::from_millis(1));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!(grouped(1234567), "1,234,567");
        assert_eq!(grouped(999), "999");
    }
}
