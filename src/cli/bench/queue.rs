//! Jobs a second: taken and acknowledged by scripts, and done by runs of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::super::error::{CliError, OTHER};
use super::super::out::Out;
use super::super::progress::Busy;
use super::show;
use super::track::{Track, ms, per_second, time};
use crate::app::App;
use crate::digits::grouped;
use crate::runs::conductor::{Crew, Offer, Shift, What};
use crate::runs::creation::Pinned;
use crate::runs::library::unknown_versions;
use crate::script::Script;
use crate::script::triggers::{Consumes, Triggers};
use crate::serve::Edition;
use crate::serve::edition::Listed;
use crate::store::queue::{self, Wanted};
use crate::store::{Durability, Realm, Tx};
use crate::triggers::Trigger;
use crate::triggers::jobs::Jobs;
use crate::value::Value;

const QUEUE: &str = "bench";

/// Jobs that one run of a script takes and acknowledges.
const JOBS_EACH: u32 = 10;

/// Jobs pushed with one commit.
const PUSHED_AT_ONCE: u32 = 100;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(10..=900_000))]
    jobs: u32,
    /// Runs at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
    concurrency: u32,
}

pub fn perform(track: &Track, args: Args, out: &mut Out) -> Result<(), CliError> {
    let Args { jobs, concurrency } = args;
    let runs = jobs / JOBS_EACH;
    let jobs = runs * JOBS_EACH;
    let pushed = push(track, jobs)?;
    let script = track.script(&format!(
        "for job in 0..{JOBS_EACH} {{ let job = queue::take(\"{QUEUE}\"); queue::done(\"{QUEUE}\", job); }}"
    ))?;
    let lap = track.lap(&script, runs, concurrency, Busy::new(out, "run"))?;
    check_empty(track)?;
    push(track, jobs)?;
    let consumed = consume(track, jobs, concurrency, Busy::new(out, "job"))?;
    check_empty(track)?;
    let rate = |took: Duration| per_second(u64::from(jobs), took);
    if out.json {
        out.json(&json!({
            "jobs": jobs,
            "concurrency": concurrency,
            "pushed_per_s": rate(pushed),
            "taken_and_done_per_s": rate(lap.took),
            "runs_per_s": rate(consumed),
            "took_ms": ms(lap.took),
            "runs_took_ms": ms(consumed),
            "fsync_p50_ms": ms(track.sync_p50()),
        }));
        return Ok(());
    }
    out.line(format!(
        "{} jobs, {concurrency} runs at once, each job's end safe on disk",
        grouped(u64::from(jobs))
    ));
    out.line("");
    let a_second = |took: Duration| format!("{} a second", grouped(rate(took) as u64));
    let rows = [
        ("pushed", a_second(pushed)),
        ("taken and done by scripts", a_second(lap.took)),
        ("done by a run each", a_second(consumed)),
        (
            "the disk's own sync",
            format!("{} (fdatasync of 4 KiB, half below)", time(track.sync_p50())),
        ),
    ];
    show(&rows, out);
    Ok(())
}

/// Puts so many jobs into the queue.
fn push(track: &Track, jobs: u32) -> Result<Duration, CliError> {
    let ground = &track.runner.gate.ground;
    let clock = &track.app.clock;
    let before = clock.monotonic();
    for number in 0..jobs {
        let mut tx = Tx::new(ground, Realm::Dry, clock.unix_ms());
        let payload = Value::from([("clip", format!("2026-11-21-{number}").into())]);
        queue::push(&mut tx, QUEUE, &payload, &Wanted::default())?;
        let is_last = number + 1 == jobs || number % PUSHED_AT_ONCE == 0;
        let durability = if is_last { Durability::Now } else { Durability::Soon };
        ground.store.commit(tx.batch, durability)?;
    }
    Ok(clock.monotonic().saturating_sub(before))
}

/// Does all jobs of the queue as a server does: each by a run.
fn consume(track: &Track, jobs: u32, concurrency: u32, busy: Busy) -> Result<Duration, CliError> {
    let script = track.script("const PLAYBOOK = #{ inputs: #{ clip: #{ type: \"string\" } } }; input.clip")?;
    let edition = edition(track, &script, concurrency)?;
    let clock = &track.app.clock;
    let shift = Shift {
        runner: track.runner.clone(),
        library: track.app.library.clone(),
    };
    let ready = track.runner.gate.ready.clone();
    let crew = Arc::new(Crew::new(concurrency as usize, ready.clone(), move || shift.clone()));
    let mut trigger = Jobs::default();
    let before = clock.monotonic();
    let mut begun = 0;
    loop {
        let under_way = || crew.waiting() + crew.at_work();
        let room = (2 * concurrency as usize).saturating_sub(under_way());
        let turn = trigger.turn(&edition, clock.unix_ms(), room)?;
        let was_idle = turn.runs.is_empty();
        begun += turn.runs.len();
        crew.offer(turn.runs.into_iter().map(|started| Offer {
            run: started.run,
            playbook: started.playbook,
            what: What::GoOn,
        }));
        if was_idle && begun >= jobs as usize && under_way() == 0 {
            break;
        }
        busy.at(begun as u64, u64::from(jobs));
        let enough = || under_way() <= concurrency as usize;
        ready.take(Duration::from_millis(100), enough);
    }
    crew.close();
    crew.wait(Duration::from_secs(10));
    busy.done();
    Ok(clock.monotonic().saturating_sub(before))
}

/// A set of one playbook, which does the jobs.
fn edition(track: &Track, script: &Script, concurrency: u32) -> Result<Edition, CliError> {
    let store = &track.runner.gate.ground.store;
    store.commit(unknown_versions(&**store, script)?, Durability::Soon)?;
    let listed = Listed {
        pinned: Pinned::of(script),
        triggers: Triggers {
            queue: Some(Consumes {
                name: QUEUE.to_owned(),
                concurrency: 4 * concurrency,
            }),
            ..Triggers::default()
        },
    };
    let app = Arc::new(App::with(track.app.config.clone())?);
    let playbooks = BTreeMap::from([("bench".to_owned(), Arc::new(listed))]);
    Ok(Edition::of(app, track.runner.clone(), playbooks))
}

fn check_empty(track: &Track) -> Result<(), CliError> {
    let mut tx = Tx::new(&track.runner.gate.ground, Realm::Dry, track.app.clock.unix_ms());
    let left = queue::stats(&mut tx, QUEUE)?;
    if left == queue::Stats::default() {
        return Ok(());
    }
    let message = format!("not every job was done: {left:?}");
    Err(CliError::new("BENCH_RUNS", message, OTHER))
}
