//! Effects a second when many runs go at once, and the time of one trivial run.

use serde_json::json;

use super::super::error::CliError;
use super::super::out::Out;
use super::super::progress::Busy;
use super::show;
use super::track::{Track, WARM_UP, ms, per_second, percentile, time};
use crate::digits::grouped;

#[derive(clap::Args)]
pub struct StepsArgs {
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    runs: u32,
    /// Effects in each run.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    steps: u32,
    /// Runs at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
    concurrency: u32,
}

#[derive(clap::Args)]
pub struct LatencyArgs {
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    runs: u32,
}

pub fn steps(track: &Track, args: StepsArgs, out: &mut Out) -> Result<(), CliError> {
    let StepsArgs {
        runs,
        steps,
        concurrency,
    } = args;
    let script = track.steps_script(steps)?;
    track.lap(&script, WARM_UP, concurrency, Busy::new(out, "warming up"))?;
    let lap = track.lap(&script, runs, concurrency, Busy::new(out, "run"))?;
    let per_second = per_second(u64::from(runs) * u64::from(steps), lap.took);
    if out.json {
        out.json(&json!({
            "runs": runs,
            "steps": steps,
            "concurrency": concurrency,
            "steps_per_s": per_second,
            "run_p50_ms": ms(percentile(&lap.each, 50)),
            "run_p99_ms": ms(percentile(&lap.each, 99)),
            "commits": lap.commits,
            "fsync_p50_ms": ms(track.sync_p50()),
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
        ("effects a second", grouped(per_second as u64)),
        ("one run, half below", time(percentile(&lap.each, 50))),
        ("one run, 99 % below", time(percentile(&lap.each, 99))),
        ("commits to disk", format!("{} for {runs} runs", grouped(lap.commits))),
        (
            "the disk's own sync",
            format!("{} (fdatasync of 4 KiB, half below)", time(track.sync_p50())),
        ),
    ];
    show(&rows, out);
    Ok(())
}

pub fn latency(track: &Track, args: LatencyArgs, out: &mut Out) -> Result<(), CliError> {
    let runs = args.runs;
    let script = track.script("kv::get(\"clip\")")?;
    track.lap(&script, WARM_UP, 1, Busy::new(out, "warming up"))?;
    let lap = track.lap(&script, runs, 1, Busy::new(out, "run"))?;
    if out.json {
        out.json(&json!({
            "runs": runs,
            "p50_ms": ms(percentile(&lap.each, 50)),
            "p99_ms": ms(percentile(&lap.each, 99)),
            "max_ms": ms(percentile(&lap.each, 100)),
            "commits": lap.commits,
            "fsync_p50_ms": ms(track.sync_p50()),
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
            format!("{} (fdatasync of 4 KiB, half below)", time(track.sync_p50())),
        ),
    ];
    show(&rows, out);
    Ok(())
}
