//! How fast a backup and a compaction are, and how long runs wait that go on meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use super::super::error::{CliError, OTHER};
use super::super::out::{Out, bytes_for_people};
use super::super::progress::Busy;
use super::show;
use super::track::{Track, ms, percentile, run_one, time};
use crate::io::clock::Clock;
use crate::io::keeping;
use crate::runs::{Runner, pool};
use crate::script::Script;
use crate::store::{Durability, Realm, Tx, kv};
use crate::upkeep::{Chore, Kept};
use crate::value::Value;

/// Digits of one row, and bytes of one file.
const ROW_DIGITS: usize = 60_000;
const FILE_BYTES: usize = 1 << 20;

/// How long runs are watched while nothing else goes on.
const CALM: Duration = Duration::from_secs(3);

#[derive(clap::Args)]
pub struct Args {
    /// Mebibytes of rows, and as many of files.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    mib: u32,
    /// Threads on which one run follows the other meanwhile.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    concurrency: u32,
    /// The pause between two runs of a thread, in milliseconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pause_ms: u64,
}

/// What was done, and what became of the runs meanwhile.
struct Phase {
    name: &'static str,
    took: Duration,
    bytes: u64,
    /// Each run's time, shortest first.
    runs: Vec<Duration>,
}

pub fn perform(track: &Track, args: Args, out: &mut Out) -> Result<(), CliError> {
    let busy = Busy::new(out, "filling the store");
    let bytes = u64::from(args.mib) << 20;
    fill(track, bytes)?;
    let clock = track.app.clock.clone();
    let place = track.app.place(track.runner.gate.ground.clone())?;
    let scratch = track.folder();
    let copied = scratch.write_time(2 * bytes, &*clock).map_err(unusable)?;
    let file = scratch.path().join("bench.backup");
    let keep = |chore: Chore| place.perform(&chore, &mut |_, _| std::ops::ControlFlow::Continue(()));

    let mut phases = Vec::new();
    phases.push(watched(track, &args, "nothing", || {
        clock.sleep(CALM);
        Ok(0)
    })?);
    phases.push(watched(track, &args, "a backup", || {
        match keep(Chore::Backup {
            path: file.clone(),
            key: None,
        })? {
            Kept::Backup(made) => Ok(made.bytes),
            _ => Ok(0),
        }
    })?);
    empty(track)?;
    phases.push(watched(track, &args, "a compaction", || match keep(Chore::Compact)? {
        Kept::Compacted { before, after } => Ok(before.saturating_sub(after)),
        _ => Ok(0),
    })?);
    keeping::remove(&file).map_err(unusable)?;
    busy.done();
    tell(&args, copied, &phases, out);
    Ok(())
}

fn tell(args: &Args, copied: Duration, phases: &[Phase], out: &mut Out) {
    let mib_per_s = |bytes: u64, took: Duration| (bytes as f64 / f64::from(1 << 20) / took.as_secs_f64()).round();
    let disk = mib_per_s(u64::from(2 * args.mib) << 20, copied);
    if out.json {
        let shown = phases.iter().map(|phase| {
            json!({
                "during": phase.name,
                "took_ms": ms(phase.took),
                "bytes": phase.bytes,
                "mib_per_s": mib_per_s(phase.bytes, phase.took),
                "runs": phase.runs.len(),
                "run_p50_ms": ms(percentile(&phase.runs, 50)),
                "run_p99_ms": ms(percentile(&phase.runs, 99)),
                "run_longest_ms": ms(percentile(&phase.runs, 100)),
            })
        });
        let shown: Vec<_> = shown.collect();
        out.json(&json!({ "mib": 2 * args.mib, "disk_mib_per_s": disk, "phases": shown }));
        return;
    }
    out.line(format!(
        "a store of {}, half of it rows and half of it files; {} runs at once meanwhile",
        bytes_for_people(u64::from(2 * args.mib) << 20),
        args.concurrency
    ));
    out.line("");
    let mut rows = vec![("the disk itself", format!("{disk} MiB/s, written and synced"))];
    for phase in phases {
        let done = match phase.bytes {
            0 => String::new(),
            bytes => format!(
                "{} in {:.1} s, {} MiB/s; ",
                bytes_for_people(bytes),
                phase.took.as_secs_f64(),
                mib_per_s(bytes, phase.took)
            ),
        };
        let runs = format!(
            "{done}{} runs, half below {}, the longest {}",
            phase.runs.len(),
            time(percentile(&phase.runs, 50)),
            time(percentile(&phase.runs, 100))
        );
        rows.push((phase.name, runs));
    }
    show(&rows, out);
}

fn unusable(error: std::io::Error) -> CliError {
    CliError::new("BENCH_FOLDER", format!("the disk cannot be measured: {error}"), OTHER)
}

/// Does `work` while runs go on.
fn watched(
    track: &Track,
    args: &Args,
    name: &'static str,
    work: impl FnOnce() -> Result<u64, crate::store::backup::BackupError>,
) -> Result<Phase, CliError> {
    let watch = Arc::new(Watch {
        runner: track.runner.clone(),
        script: track.script("kv::increment(\"bench\")")?,
        clock: track.app.clock.clone(),
        pause: Duration::from_millis(args.pause_ms),
        stop: AtomicBool::new(false),
        each: Mutex::default(),
    });
    let stack_bytes = track.runner.language.limits.stack_bytes();
    let threads: Vec<_> = (0..args.concurrency)
        .map(|_| {
            let watch = watch.clone();
            pool::start(stack_bytes, move || watch.go_on())
        })
        .collect();
    let begun = track.app.clock.monotonic();
    let done = work();
    let took = track.app.clock.monotonic().saturating_sub(begun);
    watch.stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread
            .and_then(pool::Started::wait)
            .map_err(|lost| CliError::new(lost.code(), lost.to_string(), OTHER))??;
    }
    let mut runs = std::mem::take(&mut *watch.each.lock().unwrap_or_else(PoisonError::into_inner));
    runs.sort();
    Ok(Phase {
        name,
        took,
        bytes: done?,
        runs,
    })
}

/// Runs that go on while something else is done.
struct Watch {
    runner: Runner,
    script: Arc<Script>,
    clock: Arc<dyn Clock>,
    pause: Duration,
    stop: AtomicBool,
    each: Mutex<Vec<Duration>>,
}

impl Watch {
    fn go_on(&self) -> Result<(), CliError> {
        let mut own = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            let before = self.clock.monotonic();
            run_one(&self.runner, &self.script)?;
            own.push(self.clock.monotonic().saturating_sub(before));
            self.clock.sleep(self.pause);
        }
        self.each
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .append(&mut own);
        Ok(())
    }
}

fn fill(track: &Track, bytes: u64) -> Result<(), CliError> {
    let ground = &track.runner.gate.ground;
    let mut noise = Noise(0x9E37_79B9_7F4A_7C15);
    for number in 0..bytes / ROW_DIGITS as u64 {
        let mut tx = Tx::new(ground, Realm::Dry, track.app.clock.unix_ms());
        let digits = hex::encode(noise.bytes(ROW_DIGITS / 2));
        kv::put(&mut tx, &format!("fill-{number:08}"), &Value::from(digits), None)?;
        ground.store.commit(tx.batch, Durability::Soon)?;
    }
    for _ in 0..bytes / FILE_BYTES as u64 {
        ground.content.put(&noise.bytes(FILE_BYTES))?;
    }
    ground.store.wait_durable(ground.store.stats().last_commit)?;
    Ok(())
}

/// Removes three rows of four.
fn empty(track: &Track) -> Result<(), CliError> {
    let ground = &track.runner.gate.ground;
    let mut number = 0_u64;
    loop {
        let mut tx = Tx::new(ground, Realm::Dry, track.app.clock.unix_ms());
        let key = format!("fill-{number:08}");
        if kv::get(&mut tx, &key)?.is_none() {
            break;
        }
        if !number.is_multiple_of(4) {
            kv::remove(&mut tx, &key)?;
            ground.store.commit(tx.batch, Durability::Soon)?;
        }
        number += 1;
    }
    ground.store.wait_durable(ground.store.stats().last_commit)?;
    Ok(())
}

/// Bytes that cannot be pressed.
struct Noise(u64);

impl Noise {
    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            bytes.extend(self.0.to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}
