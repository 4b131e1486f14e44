//! `playbook::` — runs that start others.
//!
//! A child is a run of its own, with its own journal. It is created in the same batch as the step that starts it, under
//! an id that follows from that step, so it is created once whatever happens. Whoever waits for it has no thread.

use rhai::plugin::*;

use super::options::Options;
use crate::effect::{Declaration, Effect, Failure};
use crate::gate::waiting::Watch;
use crate::gate::{Birth, Look, Stop, Waiting};
use crate::id::{RunId, StepNo};
use crate::journal::{Awaited, Outcome, Recorded, RunRecord, Status, Wake};
use crate::script::{ContextExt, ScriptResult};
use crate::store::keys;
use crate::value::Value;

pub fn module() -> Module {
    exported_module!(functions)
}

static START: Declaration = Declaration::local("playbook.start");
static WAIT: Declaration = Declaration::local("playbook.wait");
static MAP: Declaration = Declaration::local("playbook.map");

/// Runs that one call of `map` starts.
const INPUTS_MAX: usize = 1000;

/// Runs of one `map` that are at work at the same time.
const CONCURRENCY_MAX: i64 = 64;

/// How deep runs may start runs.
const GENERATIONS_MAX: usize = 16;

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Runs another playbook to its end and returns its result: `start` and `wait` in one.
    ///
    /// - `name`: as `host run` takes it.
    /// - `inputs`: a map, checked against that playbook's header.
    ///
    /// Errors: `PLAYBOOK_NOT_FOUND`, `INPUT` and its kind, `CHILD_FAILED` with the run's id and error in
    /// `details`, `WAIT_REFUSED` in a poll or a clean-up.
    ///
    /// ```rhai
    /// let clip = playbook::run("media/reframe", #{ source: "inbox/talk.mp4" });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn run(ctx: NativeCallContext, name: &str, inputs: rhai::Map) -> ScriptResult {
        let child = start_one(&ctx, name, inputs)?;
        wait_for(&ctx, &child.into_immutable_string()?)
    }

    /// Starts another playbook and returns the id of its run at once.
    ///
    /// Errors: `PLAYBOOK_NOT_FOUND`, `INPUT` and its kind, `CHILDREN_TOO_DEEP` beyond 16 generations.
    ///
    /// ```rhai
    /// let cover = playbook::start("media/cover", #{ title: "Week 12" });
    /// let text = prompt::render("weekly/text", #{ week: 12 });
    /// let cover = playbook::wait(cover);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn start(ctx: NativeCallContext, name: &str, inputs: rhai::Map) -> ScriptResult {
        start_one(&ctx, name, inputs)
    }

    /// Waits for the end of a run that this one started, and returns its result.
    ///
    /// Errors: `CHILD_FAILED`, `NOT_A_CHILD`, `WAIT_REFUSED` in a poll or a clean-up.
    ///
    /// ```rhai
    /// let result = playbook::wait(playbook::start("media/cover", #{ title: "Week 12" }));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn wait(ctx: NativeCallContext, run: &str) -> ScriptResult {
        wait_for(&ctx, run)
    }

    /// Runs a playbook once for each of `inputs`, several at a time, and returns the results in their order.
    ///
    /// Errors: as `run`; the first failure, when those at work have ended.
    ///
    /// ```rhai
    /// let clips = playbook::map("media/reframe", [#{ source: "inbox/a.mp4" }, #{ source: "inbox/b.mp4" }]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn map(ctx: NativeCallContext, name: &str, inputs: rhai::Array) -> ScriptResult {
        map_over(&ctx, name, inputs, &rhai::Map::new())
    }

    /// The same, with options.
    ///
    /// - `concurrency`: how many at a time, 1 to 64; preset 4.
    /// - `on_error`: `"stop"` starts no more after a failure and throws it; `"collect"` goes on, and gives for each
    ///   either `#{ ok: true, value }` or `#{ ok: false, error }`. Preset `"stop"`.
    ///
    /// Errors: as `run`, `MAP_TOO_LARGE` beyond 1,000 inputs, `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// let made = playbook::map("media/reframe", [#{ source: "inbox/a.mp4" }], #{ concurrency: 2, on_error: "collect" });
    /// for one in made { if !one.ok { log::warn(one.error.message); } }
    /// ```
    #[rhai_fn(name = "map", return_raw)]
    pub fn map_with(ctx: NativeCallContext, name: &str, inputs: rhai::Array, options: rhai::Map) -> ScriptResult {
        map_over(&ctx, name, inputs, &options)
    }
}

fn start_one(ctx: &NativeCallContext<'_>, name: &str, inputs: rhai::Map) -> ScriptResult {
    let input = ctx.value(&Dynamic::from_map(inputs))?;
    let args = [("playbook", name.into()), ("inputs", input.clone())];
    let start = Start {
        playbook: name.to_owned(),
        input,
    };
    ctx.wait(Effect::new(&START, args), &start)
}

fn wait_for(ctx: &NativeCallContext<'_>, run: &str) -> ScriptResult {
    let parsed = run
        .parse::<RunId>()
        .map_err(|error| Failure::new("NOT_A_CHILD", error.to_string()));
    let child = ctx.check(parsed)?;
    ctx.wait(Effect::new(&WAIT, [("run", run.into())]), &WaitFor { child })
}

fn map_over(ctx: &NativeCallContext<'_>, name: &str, inputs: rhai::Array, options: &rhai::Map) -> ScriptResult {
    let mut options = ctx.check(Options::new("playbook::map", options))?;
    let concurrency = ctx.check(options.int("concurrency", 1..=CONCURRENCY_MAX))?.unwrap_or(4);
    let on_error = ctx
        .check(options.word("on_error", &["stop", "collect"]))?
        .unwrap_or("stop");
    ctx.check(options.finish())?;
    if inputs.len() > INPUTS_MAX {
        let message = format!(
            "map was given {} inputs; at most {INPUTS_MAX} are allowed",
            inputs.len()
        );
        return ctx.check(Err(Failure::new("MAP_TOO_LARGE", message)));
    }
    let inputs = inputs
        .iter()
        .map(|input| ctx.value(input))
        .collect::<ScriptResult<Vec<_>>>()?;
    let args = [
        ("playbook", name.into()),
        ("inputs", Value::List(inputs.clone())),
        ("concurrency", concurrency.into()),
        ("on_error", on_error.into()),
    ];
    let each = Each {
        playbook: name.to_owned(),
        inputs,
        concurrency: concurrency as usize,
        collects: on_error == "collect",
    };
    ctx.wait(Effect::new(&MAP, args), &each)
}

/// Creates one child; waits for nothing.
struct Start {
    playbook: String,
    input: Value,
}

impl Waiting for Start {
    fn begin(&self, _: &mut Watch<'_>) -> Result<Wake, Stop> {
        Ok(children(Vec::new(), None))
    }

    fn look(&self, _: &Wake, watch: &mut Watch<'_>) -> Result<Look, Stop> {
        let child = RunId::child(watch.begun.run, watch.step, watch.generation, 0);
        create(watch, child, &self.playbook, &self.input)?;
        Ok(Look::Come(Ok(child.to_string().into())))
    }
}

/// Waits for one child.
struct WaitFor {
    child: RunId,
}

impl Waiting for WaitFor {
    fn begin(&self, watch: &mut Watch<'_>) -> Result<Wake, Stop> {
        if watch.tx.get(&keys::child(watch.begun.run, self.child))?.is_none() {
            let message = format!("run {} was not started by this one", self.child);
            return Err(Stop::Failed(Failure::new("NOT_A_CHILD", message)));
        }
        Ok(children(vec![self.child], None))
    }

    fn look(&self, wake: &Wake, watch: &mut Watch<'_>) -> Result<Look, Stop> {
        Ok(match state_of(watch, self.child)? {
            Child::Over(outcome) => Look::Come(outcome),
            Child::NotThere | Child::AtWork => Look::NotYet(wake.clone()),
        })
    }
}

/// Creates children, so many at a time, and waits for all.
struct Each {
    playbook: String,
    inputs: Vec<Value>,
    concurrency: usize,
    collects: bool,
}

impl Waiting for Each {
    fn begin(&self, watch: &mut Watch<'_>) -> Result<Wake, Stop> {
        Ok(children(Vec::new(), Some((watch.step, watch.generation))))
    }

    fn look(&self, wake: &Wake, watch: &mut Watch<'_>) -> Result<Look, Stop> {
        let run = watch.begun.run;
        let born = match wake.awaited {
            Awaited::Children { born, .. } => born,
            _ => None,
        };
        let (step, generation) = born.unwrap_or((watch.step, watch.generation));
        let (mut at_work, mut to_create) = (Vec::new(), Vec::new());
        let mut outcomes = Vec::new();
        let mut failed = None;
        for (input, index) in self.inputs.iter().zip(0u32..) {
            let child = RunId::child(run, step, generation, index);
            match state_of(watch, child)? {
                Child::AtWork => at_work.push(child),
                Child::NotThere => to_create.push((child, input)),
                Child::Over(outcome) => {
                    if let (false, Err(failure)) = (self.collects, &outcome) {
                        failed.get_or_insert_with(|| failure.clone());
                    }
                    outcomes.push(outcome);
                }
            }
        }
        if failed.is_none() {
            let room = self.concurrency.saturating_sub(at_work.len());
            for (child, input) in to_create.into_iter().take(room) {
                create(watch, child, &self.playbook, input)?;
                at_work.push(child);
            }
        }
        if !at_work.is_empty() {
            return Ok(Look::NotYet(children(at_work, Some((step, generation)))));
        }
        if let Some(failure) = failed {
            return Ok(Look::Come(Err(failure)));
        }
        let results = outcomes.into_iter().map(|outcome| match outcome {
            Ok(value) if self.collects => Value::from([("ok", true.into()), ("value", value)]),
            Ok(value) => value,
            Err(failure) => Value::from([("ok", false.into()), ("error", failure.to_value())]),
        });
        Ok(Look::Come(Ok(Value::List(results.collect()))))
    }
}

fn children(runs: Vec<RunId>, born: Option<(StepNo, u32)>) -> Wake {
    Wake {
        at_ms: None,
        awaited: Awaited::Children { runs, born },
    }
}

/// Fills the batch with a run that is ready to begin.
fn create(watch: &mut Watch<'_>, child: RunId, playbook: &str, input: &Value) -> Result<(), Stop> {
    check_depth(watch)?;
    let birth = Birth {
        parent: watch.begun,
        step: watch.step,
        child,
        playbook,
        input: input.clone(),
        mode: watch.mode,
        at_ms: watch.tx.now_ms,
        edition: watch.edition,
    };
    let born = watch.playbooks.born(&birth).map_err(Stop::Failed)?;
    let batch = &mut watch.tx.batch;
    batch.append(born.versions);
    RunRecord::create(batch, &born.begun);
    batch.put(keys::child(watch.begun.run, child), Vec::new());
    watch.created.push(child);
    Ok(())
}

fn check_depth(watch: &mut Watch<'_>) -> Result<(), Stop> {
    let mut parent = watch.begun.parent;
    for _ in 0..GENERATIONS_MAX - 1 {
        let Some(above) = parent else { return Ok(()) };
        let row = watch.tx.get(&keys::run(above.run))?;
        let record = row.map(|row| RunRecord::decode(above.run, &row.value)).transpose();
        parent = record.map_err(damaged)?.and_then(|record| record.parent);
    }
    match parent {
        None => Ok(()),
        Some(_) => {
            let message = format!("runs start runs {GENERATIONS_MAX} deep, and no deeper is allowed");
            Err(Stop::Failed(Failure::new("CHILDREN_TOO_DEEP", message)))
        }
    }
}

/// Where a child is in its life.
enum Child {
    NotThere,
    AtWork,
    Over(Result<Value, Failure>),
}

/// Looks at a child, and makes what was seen a condition of what follows.
fn state_of(watch: &mut Watch<'_>, child: RunId) -> Result<Child, Stop> {
    let key = keys::run(child);
    let row = watch.tx.get(&key)?;
    let record = row.as_ref().map(|row| RunRecord::decode(child, &row.value)).transpose();
    let Some(record) = record.map_err(damaged)? else {
        return Ok(Child::NotThere);
    };
    // A person may still decide what became of it.
    if !record.status.is_over() || record.status == Status::NeedsAttention {
        watch.tx.unchanged(&key, row.as_ref());
        return Ok(Child::AtWork);
    }
    let recorded = Recorded::load(watch.tx.ground, child).map_err(damaged)?;
    let Some(Outcome { status, value, error }) = recorded.outcome() else {
        return Ok(Child::AtWork);
    };
    let Some(error) = error else {
        return Ok(Child::Over(Ok(value)));
    };
    let message = format!(
        "run {} of {} {status}: {}",
        child.short(),
        record.playbook,
        error.failure
    );
    let details = Value::from([
        ("run", child.to_string().into()),
        ("status", status.code().into()),
        ("error", error.failure.to_value()),
    ]);
    Ok(Child::Over(Err(Failure::new("CHILD_FAILED", message).details(details))))
}

fn damaged(error: crate::journal::JournalError) -> Stop {
    Stop::Halted(crate::gate::Halt::Store(Failure::new(error.code(), error.to_string())))
}
