//! The ground a bench runs on, and what it takes down of each run.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::super::error::{CliError, OTHER};
use super::super::progress::Busy;
use crate::app::App;
use crate::effect::RunMode;
use crate::gate::Silent;
use crate::io::clock::Clock;
use crate::io::scratch::Scratch;
use crate::runs::{Finished, Order, Runner, pool};
use crate::script::Script;
use crate::script::source::Text;
use crate::store::engine::Compacted;
use crate::store::{Realm, kv};
use crate::value::Value;

/// Runs that are not counted: they fill caches and make the store's first pages.
pub const WARM_UP: u32 = 20;

/// How often the disk's own speed is measured.
const SYNCS: usize = 100;

/// A host of its own, whose data is gone afterwards.
pub struct Track {
    pub app: App,
    pub runner: Runner,
    /// The disk's own speed, shortest first.
    syncs: Vec<Duration>,
    /// After the runner: the store is closed before its folder goes.
    _scratch: Scratch,
}

/// What came of some runs.
pub struct Lap {
    pub took: Duration,
    /// Each run's time, shortest first.
    pub each: Vec<Duration>,
    pub commits: u64,
}

impl Track {
    pub fn new(app: &App) -> Result<Track, CliError> {
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

    /// The script of a run that asks for `steps` local effects, each of which gives it a small map.
    pub fn steps_script(&self, steps: u32) -> Result<Arc<Script>, CliError> {
        self.script(&format!("for step in 0..{steps} {{ kv::get(\"clip\"); }} {steps}"))
    }

    pub fn script(&self, text: &str) -> Result<Arc<Script>, CliError> {
        script(&self.app, text)
    }

    /// Half of the disk's syncs of a page took less.
    pub fn sync_p50(&self) -> Duration {
        percentile(&self.syncs, 50)
    }

    /// Runs `script` so many times, so many at once, on threads as the host's own workers have them.
    pub fn lap(&self, script: &Arc<Script>, runs: u32, concurrency: u32, busy: Busy) -> Result<Lap, CliError> {
        let stats = || self.runner.gate.ground.store.stats();
        let commits_before = stats().durable_commits;
        let race = Arc::new(Race {
            runner: self.runner.clone(),
            script: script.clone(),
            clock: self.app.clock.clone(),
            runs,
            begun: AtomicU32::new(0),
            each: Mutex::new(Vec::with_capacity(runs as usize)),
            failed: Mutex::new(None),
            busy,
        });
        let start = self.app.clock.monotonic();
        let stack_bytes = self.runner.language.limits.stack_bytes();
        let runners = (0..concurrency.min(runs)).map(|_| {
            let race = race.clone();
            pool::start(stack_bytes, move || race.take_part())
        });
        let runners: Vec<_> = runners.collect();
        for runner in runners {
            runner
                .and_then(pool::Started::wait)
                .map_err(|lost| CliError::new(lost.code(), lost.to_string(), OTHER))?;
        }
        let took = self.app.clock.monotonic().saturating_sub(start);
        race.busy.done();
        if let Some(error) = locked(&race.failed).take() {
            return Err(error);
        }
        let mut each = std::mem::take(&mut *locked(&race.each));
        each.sort();
        let commits = stats().durable_commits - commits_before;
        Ok(Lap { took, each, commits })
    }

    /// The folder that goes with it.
    pub fn folder(&self) -> &Scratch {
        &self._scratch
    }

    /// Closes the store and leaves its file, which goes with the folder.
    pub fn close(self) -> (App, Scratch) {
        (self.app, self._scratch)
    }

    /// Closes the store and compacts its file.
    pub fn compact(self) -> Result<Compacted, CliError> {
        let Track {
            app, runner, _scratch, ..
        } = self;
        drop(runner);
        Ok(app.compact()?)
    }

    /// One run of `script` that must succeed.
    pub fn run(&self, script: &Arc<Script>) -> Result<Finished, CliError> {
        run_one(&self.runner, script)
    }
}

/// A script that imports nothing.
pub fn script(app: &App, text: &str) -> Result<Arc<Script>, CliError> {
    let none = |_: &str| Err("a bench imports nothing".to_owned());
    let text = Text::new("bench.rhai", text);
    let script = Script::compile(&app.library.language, "bench", text, &none)?;
    Ok(Arc::new(script))
}

/// Runs that several threads work off.
struct Race {
    runner: Runner,
    script: Arc<Script>,
    clock: Arc<dyn Clock>,
    runs: u32,
    begun: AtomicU32,
    each: Mutex<Vec<Duration>>,
    failed: Mutex<Option<CliError>>,
    busy: Busy,
}

impl Race {
    fn take_part(&self) {
        let mut own = Vec::new();
        loop {
            let number = self.begun.fetch_add(1, Ordering::Relaxed);
            if number >= self.runs || locked(&self.failed).is_some() {
                break;
            }
            let before = self.clock.monotonic();
            match run_one(&self.runner, &self.script) {
                Ok(_) => own.push(self.clock.monotonic().saturating_sub(before)),
                Err(error) => *locked(&self.failed) = Some(error),
            }
            if number.is_multiple_of(64) {
                self.busy.at(u64::from(number), u64::from(self.runs));
            }
        }
        locked(&self.each).append(&mut own);
    }
}

/// One run of `script` that must succeed.
pub fn run_one(runner: &Runner, script: &Arc<Script>) -> Result<Finished, CliError> {
    let order = Order {
        script: script.clone(),
        input: Value::Map(Default::default()),
        mode: RunMode::dry(),
        trigger: "bench".to_owned(),
        by: None,
        retry_of: None,
        corr: None,
        observer: Arc::new(Silent),
    };
    let finished = runner.run(&order)?;
    match finished.outcome.error {
        None => Ok(finished),
        Some(error) => Err(CliError::new(error.failure.code, error.failure.message, OTHER)),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time that `percent` of the sorted `times` stay below.
pub fn percentile(times: &[Duration], percent: usize) -> Duration {
    let at = (times.len() * percent).div_ceil(100).clamp(1, times.len().max(1)) - 1;
    times.get(at).copied().unwrap_or_default()
}

/// `count` in the time of one second.
pub fn per_second(count: u64, took: Duration) -> f64 {
    (count as f64 / took.as_secs_f64().max(1e-9)).round()
}

/// Milliseconds with three decimals, for JSON.
pub fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Milliseconds for people.
pub fn time(time: Duration) -> String {
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
}
