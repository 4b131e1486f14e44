//! Effects a second, answered from a journal on one core.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::super::error::{CliError, OTHER};
use super::super::out::Out;
use super::super::progress::Busy;
use super::show;
use super::track::{Track, ms, per_second};
use crate::digits::grouped;
use crate::gate::Silent;
use crate::gate::tape::EFFECTS_MAX;
use crate::runs::replay;

#[derive(clap::Args)]
pub struct Args {
    /// Effects of the recorded run.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(EFFECTS_MAX)))]
    effects: u32,
    /// How often it is replayed; the fastest counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
}

/// Records a long run, then replays it as `host replay` does: the journal is read, the script compiled and run.
pub fn perform(track: &Track, args: Args, out: &mut Out) -> Result<(), CliError> {
    let run = track.run(&track.steps_script(args.effects)?)?.record.run;
    let gate = track.app.shut_gate(track.runner.gate.ground.clone())?;
    let busy = Busy::new(out, "round");
    let mut fastest = Duration::MAX;
    for round in 0..args.rounds {
        busy.at(u64::from(round), u64::from(args.rounds));
        let before = track.app.clock.monotonic();
        let replayed = replay::replay(&track.app.library, gate.clone(), run, Arc::new(Silent))?;
        fastest = fastest.min(track.app.clock.monotonic().saturating_sub(before));
        if !replayed.same {
            return Err(CliError::new("REPLAY_DIFFERS", "the run replayed differently", OTHER));
        }
    }
    busy.done();
    let per_second = per_second(u64::from(args.effects), fastest);
    if out.json {
        out.json(&json!({
            "effects": args.effects,
            "rounds": args.rounds,
            "effects_per_s": per_second,
            "took_ms": ms(fastest),
        }));
        return Ok(());
    }
    out.line(format!(
        "a run of {} local effects, replayed {} times on one core",
        grouped(u64::from(args.effects)),
        args.rounds
    ));
    out.line("");
    let rows = [
        ("effects a second", grouped(per_second as u64)),
        ("the fastest round", format!("{:.1} ms", ms(fastest))),
    ];
    show(&rows, out);
    Ok(())
}
