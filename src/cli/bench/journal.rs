//! What a step costs in time when the store holds many journal entries, and in bytes on disk after compaction.

use std::time::Duration;

use serde_json::json;

use super::super::error::CliError;
use super::super::out::Out;
use super::super::progress::Busy;
use super::show;
use super::track::Track;
use crate::digits::grouped;
use crate::store::{Durability, Realm, Tx, kv};
use crate::value::Value;

/// A store is small with so many entries.
const FEW_ENTRIES: u64 = 10_000;

/// Entries of a run beside its effects: its beginning and its end.
const ENTRIES_BESIDE: u64 = 2;

#[derive(clap::Args)]
pub struct Args {
    /// Journal entries of the large store.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(2 * FEW_ENTRIES..=1_000_000_000))]
    entries: u64,
    /// Effects in each run.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    steps: u32,
    /// Runs of one measurement.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    runs: u32,
    /// Measurements of each size; the fastest counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    laps: u32,
    /// Runs at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
    concurrency: u32,
}

pub fn perform(track: Track, args: Args, out: &mut Out) -> Result<(), CliError> {
    let payload = store_clips(&track)?;
    let mut growing = Growing {
        track: &track,
        args: &args,
        entries: 0,
    };
    growing.grow(FEW_ENTRIES, Busy::new(out, "run"))?;
    let few = growing.entries;
    let step_when_few = growing.step_time(out)?;
    growing.grow(args.entries, Busy::new(out, "run"))?;
    let many = growing.entries;
    let step_when_many = growing.step_time(out)?;
    let steps = growing.entries / (u64::from(args.steps) + ENTRIES_BESIDE) * u64::from(args.steps);

    let sizes = track.compact()?;
    let a_step = |bytes: u64| (bytes as f64 / steps as f64 * 10.0).round() / 10.0;
    let us = |time: Duration| (time.as_secs_f64() * 1e8).round() / 1e2;
    let ratio = (step_when_many.as_secs_f64() / step_when_few.as_secs_f64().max(1e-12) * 100.0).round() / 100.0;
    if out.json {
        out.json(&json!({
            "steps_per_run": args.steps,
            "concurrency": args.concurrency,
            "small": { "entries": few, "us_per_step": us(step_when_few) },
            "large": { "entries": many, "us_per_step": us(step_when_many) },
            "ratio": ratio,
            "steps": steps,
            "payload_bytes_per_step": payload,
            "file_bytes": sizes.before,
            "file_bytes_compacted": sizes.after,
            "bytes_per_step": a_step(sizes.before),
            "bytes_per_step_compacted": a_step(sizes.after),
        }));
        return Ok(());
    }
    out.line(format!(
        "runs of {} local effects, {} at once, each safe on disk",
        args.steps, args.concurrency
    ));
    out.line("");
    let cost =
        |entries: u64, time: Duration| format!("{:.2} µs with {} entries in the store", us(time), grouped(entries));
    let rows = [
        ("a step", cost(few, step_when_few)),
        ("a step", cost(many, step_when_many)),
        ("times as much", format!("{ratio:.2}")),
        (
            "on disk, a step",
            format!("{} bytes, {payload} of them payload", a_step(sizes.before)),
        ),
        ("after compaction", format!("{} bytes", a_step(sizes.after))),
        (
            "the file",
            format!(
                "{} bytes, {} after compaction",
                grouped(sizes.before),
                grouped(sizes.after)
            ),
        ),
    ];
    show(&rows, out);
    Ok(())
}

/// The key under which the clip of a step lies, of so many.
const CLIPS: u32 = 997;

/// Stores what the steps will ask for, none like the other: a journal of equal answers would say nothing about its size.
/// Returns the bytes of what a step asks and is given.
fn store_clips(track: &Track) -> Result<usize, CliError> {
    let gate = &track.runner.gate;
    let mut tx = Tx::new(&gate.ground, Realm::Dry, gate.world.clock.unix_ms());
    let mut bytes = 0;
    for number in 0..CLIPS {
        let key = format!("clip/{number}");
        let bits = gate.world.chance.bits();
        let clip = Value::from([
            ("id", format!("2026-11-21-{:x}", bits >> 48).into()),
            ("seconds", ((bits & 0x3ff) as i64).into()),
            ("score", gate.world.chance.fraction().into()),
        ]);
        kv::put(&mut tx, &key, &clip, None)?;
        bytes += clip.to_bytes().len() + Value::from([("key", key.into())]).to_bytes().len();
    }
    gate.ground.store.commit(tx.batch, Durability::Now)?;
    Ok(bytes / CLIPS as usize)
}

/// A store that real runs fill.
struct Growing<'a> {
    track: &'a Track,
    args: &'a Args,
    entries: u64,
}

impl Growing<'_> {
    /// Runs until the store holds so many entries.
    fn grow(&mut self, entries: u64, busy: Busy) -> Result<(), CliError> {
        let missing = entries.saturating_sub(self.entries);
        let runs = missing.div_ceil(u64::from(self.args.steps) + ENTRIES_BESIDE);
        self.run(u32::try_from(runs).unwrap_or(u32::MAX), busy).map(drop)
    }

    /// The time of one step, as the fastest of some laps has it.
    fn step_time(&mut self, out: &Out) -> Result<Duration, CliError> {
        let mut fastest = Duration::MAX;
        for _ in 0..self.args.laps {
            fastest = fastest.min(self.run(self.args.runs, Busy::new(out, "run"))?);
        }
        Ok(fastest / self.args.runs / self.args.steps)
    }

    fn run(&mut self, runs: u32, busy: Busy) -> Result<Duration, CliError> {
        if runs == 0 {
            return Ok(Duration::ZERO);
        }
        let steps = self.args.steps;
        let script = format!(
            "let at = random::int(0, {}); \
             for step in 1..{steps} {{ at = (at + 101) % {CLIPS}; kv::get(`clip/${{at}}`); }} {steps}",
            CLIPS - 1
        );
        let script = self.track.script(&script)?;
        let lap = self.track.lap(&script, runs, self.args.concurrency, busy)?;
        self.entries += u64::from(runs) * (u64::from(self.args.steps) + ENTRIES_BESIDE);
        Ok(lap.took)
    }
}
