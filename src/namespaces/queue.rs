//! `queue::` — work that waits for somebody, durable, each job done once.
//!
//! A job that is taken is leased: done, failed or, when nobody says what came of it until its lease ends, due again.
//! Each function is one batch with its journal entry, so a run that crashes after taking a job still holds it when it
//! goes on, and a replay neither takes nor gives back anything.
//!
//! These functions are for playbooks that take jobs by themselves. One whose header names a queue is given each job as a
//! run of its own; see [`triggers::jobs`](crate::triggers::jobs).

use rhai::Map;
use rhai::plugin::*;

use super::options::Options;
use crate::effect::{Declaration, Failure};
use crate::script::{ContextExt, ScriptResult};
use crate::store::queue::job::{ATTEMPTS_DEFAULT, BACKOFF_DEFAULT_MS, PRIORITY_DEFAULT, PRIORITY_MAX};
use crate::store::queue::{self, Failed, State, Taken, Wanted};
use crate::value::Value;

pub fn module() -> Module {
    exported_module!(functions)
}

// Not recomputed: a record does not show what else was in the queue.
static PUSH: Declaration = Declaration::local("queue.push");
static TAKE: Declaration = Declaration::local("queue.take");
static DONE: Declaration = Declaration::local("queue.done");
static FAIL: Declaration = Declaration::local("queue.fail");
static EXTEND: Declaration = Declaration::local("queue.extend");
static PEEK: Declaration = Declaration::local("queue.peek");
static LIST: Declaration = Declaration::local("queue.list");
static STATS: Declaration = Declaration::local("queue.stats");
static REMOVE: Declaration = Declaration::local("queue.remove");
static REQUEUE: Declaration = Declaration::local("queue.requeue");
static NAMES: Declaration = Declaration::local("queue.names");

/// How long a job is leased when nothing is said.
const LEASE_DEFAULT_MS: u64 = 5 * 60 * 1000;

/// The longest lease, and the longest wait.
const LEASE_MAX_MS: u64 = 7 * 24 * 60 * 60 * 1000;

const LIST_DEFAULT: i64 = 100;

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Puts a job into a queue; returns `#{ id, is_new }`.
    ///
    /// It waits until a run takes it with `queue::take`, or until `host serve` starts a run of the playbook whose header says
    /// `queue: #{ name: … }`: then a map gives that run's inputs, and anything else its input `payload`.
    ///
    /// - `queue`: 1 to 64 letters, digits, `_`, `-` or `.`. A queue is made by its first job, and holds up to 1,000,000.
    /// - `payload`: plain data, up to 1 MiB.
    ///
    /// Errors: `QUEUE_INVALID`, `QUEUE_FULL`, `STORE_TOO_LARGE`, `NOT_PLAIN_DATA`.
    ///
    /// ```rhai
    /// queue::push("renders", #{ clip: "2026-11-21-a" }).is_new // => true
    /// ```
    #[rhai_fn(return_raw)]
    pub fn push(ctx: NativeCallContext, queue: &str, payload: Dynamic) -> ScriptResult {
        push_job(&ctx, queue, &payload, &Map::new())
    }

    /// Puts a job into a queue; returns `#{ id, is_new }`.
    ///
    /// - `queue`: 1 to 64 letters, digits, `_`, `-` or `.`.
    /// - `payload`: plain data, up to 1 MiB.
    /// - `options`, each of which may be left out:
    ///   - `priority`: from 0 to 9, and 5 when nothing is said; a greater one comes first.
    ///   - `delay`: how long nobody may take it, such as `"10m"`, up to 3650 days.
    ///   - `key`: up to 512 bytes. While a job with this key is in the queue, dead or alive, no second one is put there:
    ///     `is_new` is `false` then, and `id` that of the first.
    ///   - `remember`: how long the key counts after the job is done, such as `"72h"`.
    ///   - `attempts`: how often it may be taken before it is dead, from 1 to 1,000, and 5 when nothing is said.
    ///   - `backoff`: the wait after the first failure, `"30s"` when nothing is said; it doubles with each, up to a day.
    ///
    /// Errors: `QUEUE_INVALID`, `QUEUE_FULL`, `STORE_TOO_LARGE`, `NOT_PLAIN_DATA`, `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// queue::push("renders", #{ clip: "a" }, #{ key: "clip-a", priority: 9, delay: "10m" });
    /// queue::push("renders", #{ clip: "a" }, #{ key: "clip-a" }).is_new // => false
    /// ```
    #[rhai_fn(name = "push", return_raw)]
    pub fn push_with(ctx: NativeCallContext, queue: &str, payload: Dynamic, options: Map) -> ScriptResult {
        push_job(&ctx, queue, &payload, &options)
    }

    /// Takes the job whose turn it is, for 5 minutes; returns it, or `()` when none is due.
    ///
    /// A job is `#{ id, payload, attempt, priority, key, pushed_at, due_at }`; both times are milliseconds since 1970 UTC.
    /// Say `done`, `fail` or `extend` before `due_at`; after it, the job is due again for everybody.
    ///
    /// - `queue`: 1 to 64 letters, digits, `_`, `-` or `.`.
    ///
    /// Errors: `QUEUE_INVALID`.
    ///
    /// ```rhai
    /// queue::push("renders", #{ clip: "a" });
    /// let job = queue::take("renders");
    /// queue::done("renders", job);
    /// job.payload.clip // => "a"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn take(ctx: NativeCallContext, queue: &str) -> ScriptResult {
        take_job(&ctx, queue, LEASE_DEFAULT_MS)
    }

    /// Takes the job whose turn it is; returns it as `take` does without options, or `()` when none is due.
    ///
    /// - `queue`: 1 to 64 letters, digits, `_`, `-` or `.`.
    /// - `options`: `lease`, how long nobody else may take it, such as `"1h"`, from 1 ms to 7 days.
    ///
    /// Errors: `QUEUE_INVALID`, `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// queue::push("renders", "a");
    /// let job = queue::take("renders", #{ lease: "1h" });
    /// job.attempt // => 1
    /// ```
    #[rhai_fn(name = "take", return_raw)]
    pub fn take_with(ctx: NativeCallContext, queue: &str, options: Map) -> ScriptResult {
        let mut options = ctx.check(Options::new("queue::take", &options))?;
        let lease = ctx.check(milliseconds(&mut options, "lease", LEASE_MAX_MS))?;
        ctx.check(options.finish())?;
        take_job(&ctx, queue, lease.unwrap_or(LEASE_DEFAULT_MS))
    }

    /// Says that a job is done: it leaves the queue.
    ///
    /// - `queue`: where it was taken.
    /// - `job`: as `take` returned it.
    ///
    /// Errors: `QUEUE_LEASE_LOST` when its lease has ended or somebody else has it, `QUEUE_INVALID`.
    ///
    /// ```rhai
    /// queue::push("renders", "a");
    /// let job = queue::take("renders");
    /// queue::done("renders", job);
    /// queue::stats("renders").ready // => 0
    /// ```
    #[rhai_fn(return_raw)]
    pub fn done(ctx: NativeCallContext, queue: &str, job: Map) -> ScriptResult {
        let (id, attempt) = ctx.check(held(&job))?;
        ctx.local(&DONE, named(queue, id), |local| {
            queue::done(&mut local.tx, queue, id, attempt)?;
            Ok(Value::Unit)
        })
    }

    /// Says that a job could not be done: it is tried again after its backoff, or is dead when that was its last attempt.
    /// Returns `#{ dead, due_at }`; `due_at` is in milliseconds since 1970 UTC.
    ///
    /// - `queue`: where it was taken.
    /// - `job`: as `take` returned it.
    /// - `reason`: for people; up to 2,000 bytes.
    ///
    /// Errors: `QUEUE_LEASE_LOST`, `QUEUE_INVALID`, `STORE_TOO_LARGE`.
    ///
    /// ```rhai
    /// queue::push("renders", "a");
    /// let job = queue::take("renders");
    /// queue::fail("renders", job, "no picture").dead // => false
    /// ```
    #[rhai_fn(return_raw)]
    pub fn fail(ctx: NativeCallContext, queue: &str, job: Map, reason: &str) -> ScriptResult {
        fail_job(&ctx, queue, &job, reason, &Map::new())
    }

    /// Says that a job could not be done; returns `#{ dead, due_at }`.
    ///
    /// - `queue`, `job`, `reason`: as in `fail` without options.
    /// - `options`: `after`, how long to wait instead of its backoff, such as `"10m"`, up to 7 days; `dead: true` gives
    ///   it up at once.
    ///
    /// Errors: `QUEUE_LEASE_LOST`, `QUEUE_INVALID`, `STORE_TOO_LARGE`, `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// queue::push("renders", "a");
    /// let job = queue::take("renders");
    /// queue::fail("renders", job, "the clip was deleted", #{ dead: true });
    /// queue::stats("renders").dead // => 1
    /// ```
    #[rhai_fn(name = "fail", return_raw)]
    pub fn fail_with(ctx: NativeCallContext, queue: &str, job: Map, reason: &str, options: Map) -> ScriptResult {
        fail_job(&ctx, queue, &job, reason, &options)
    }

    /// Holds a job longer; returns until when, in milliseconds since 1970 UTC.
    ///
    /// - `queue`: where it was taken.
    /// - `job`: as `take` returned it.
    /// - `length`: how long from now on, such as `"10m"`, from 1 ms to 7 days.
    ///
    /// Errors: `QUEUE_LEASE_LOST`, `QUEUE_INVALID`, `DURATION_INVALID`.
    ///
    /// ```rhai
    /// queue::push("renders", "a");
    /// let job = queue::take("renders");
    /// queue::extend("renders", job, "1h") > job.due_at // => true
    /// ```
    #[rhai_fn(return_raw)]
    pub fn extend(ctx: NativeCallContext, queue: &str, job: Map, length: &str) -> ScriptResult {
        let (id, attempt) = ctx.check(held(&job))?;
        let parsed =
            crate::duration::parse(length).map_err(|error| Failure::new("DURATION_INVALID", error.to_string()));
        let lease_ms = ctx.check(parsed)?.as_millis() as u64;
        if lease_ms == 0 || lease_ms > LEASE_MAX_MS {
            let message = format!("a lease of {length} is not possible; 1 ms to 7 days are");
            return ctx.check(Err(Failure::new("QUEUE_INVALID", message)));
        }
        ctx.local(&EXTEND, named(queue, id), |local| {
            let until = queue::extend(&mut local.tx, queue, id, attempt, lease_ms)?;
            Ok(number(until))
        })
    }

    /// Returns the job that would be taken, without taking it, or `()` when none is due.
    ///
    /// - `queue`: 1 to 64 letters, digits, `_`, `-` or `.`.
    ///
    /// Errors: `QUEUE_INVALID`.
    ///
    /// ```rhai
    /// queue::push("renders", "a");
    /// queue::peek("renders").payload // => "a"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn peek(ctx: NativeCallContext, queue: &str) -> ScriptResult {
        ctx.local(&PEEK, [("queue", queue.into())], |local| {
            let now_ms = local.tx.now_ms;
            let first = queue::list(&mut local.tx, queue, Some(State::Ready), 1)?;
            Ok(first.into_iter().next().map(|job| described(job, now_ms)).into())
        })
    }

    /// Returns jobs of a queue in the order of their turns, the dead ones last, without taking any.
    ///
    /// Each is a map as from `take`, with `state` (`"ready"`, `"delayed"`, `"leased"`, `"held"` by a run, `"dead"`) and
    /// `reason`, why it was given back last. Those that runs hold come first.
    ///
    /// - `queue`: 1 to 64 letters, digits, `_`, `-` or `.`.
    /// - `options`: `state`, to list those of one state alone; `limit`, from 1 to 1,000, and 100 when nothing is said.
    ///
    /// Errors: `QUEUE_INVALID`, `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// queue::push("renders", "a");
    /// for job in queue::list("renders", #{ state: "dead" }) { queue::requeue("renders", job.id); }
    /// queue::list("renders", #{ limit: 10 })[0].state // => "ready"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn list(ctx: NativeCallContext, queue: &str, options: Map) -> ScriptResult {
        let states = State::ALL.map(|state| (state.as_str(), state));
        let mut options = ctx.check(Options::new("queue::list", &options))?;
        let state = ctx.check(options.choice("state", &states))?;
        let limit = ctx.check(options.int("limit", 1..=queue::look::LIST_MAX as i64))?;
        ctx.check(options.finish())?;
        let limit = limit.unwrap_or(LIST_DEFAULT);
        let args = [
            ("queue", queue.into()),
            ("state", state.map(State::as_str).map(Value::from).into()),
            ("limit", limit.into()),
        ];
        ctx.local(&LIST, args, |local| {
            let now_ms = local.tx.now_ms;
            let jobs = queue::list(&mut local.tx, queue, state, limit as usize)?;
            let jobs = jobs.into_iter().map(|job| described(job, now_ms));
            Ok(Value::List(jobs.collect()))
        })
    }

    /// Returns how many jobs a queue holds: `#{ ready, later, held, dead, waits_ms }`. `later` are delayed or leased, `held`
    /// are done by runs of a playbook that consumes the queue, and `waits_ms` is how many milliseconds the job has been due
    /// that has been due longest.
    ///
    /// - `queue`: 1 to 64 letters, digits, `_`, `-` or `.`. One that was never used holds none.
    ///
    /// Errors: `QUEUE_INVALID`.
    ///
    /// ```rhai
    /// queue::push("renders", "a");
    /// queue::push("renders", "b", #{ delay: "1h" });
    /// queue::stats("renders").later // => 1
    /// ```
    #[rhai_fn(return_raw)]
    pub fn stats(ctx: NativeCallContext, queue: &str) -> ScriptResult {
        ctx.local(&STATS, [("queue", queue.into())], |local| {
            let stats = queue::stats(&mut local.tx, queue)?;
            Ok(Value::from([
                ("ready", number(stats.ready)),
                ("later", number(stats.later)),
                ("held", number(stats.held)),
                ("dead", number(stats.dead)),
                ("waits_ms", number(stats.waits_ms)),
            ]))
        })
    }

    /// Takes a job out of a queue, whatever its state and whoever holds it; returns whether it was there.
    ///
    /// - `queue`: 1 to 64 letters, digits, `_`, `-` or `.`.
    /// - `id`: as `push`, `take` or `list` gave it.
    ///
    /// Errors: `QUEUE_INVALID`.
    ///
    /// ```rhai
    /// let pushed = queue::push("renders", "a");
    /// queue::remove("renders", pushed.id) // => true
    /// ```
    #[rhai_fn(return_raw)]
    pub fn remove(ctx: NativeCallContext, queue: &str, id: i64) -> ScriptResult {
        let id = ctx.check(checked_id(id))?;
        ctx.local(&REMOVE, named(queue, id), |local| {
            Ok(queue::remove(&mut local.tx, queue, id)?.into())
        })
    }

    /// Brings a dead job back, to be tried as often as at first; returns whether there was such a dead job. Where a run did
    /// it, that run goes on if it can, and what it has done is not done again.
    ///
    /// - `queue`: 1 to 64 letters, digits, `_`, `-` or `.`.
    /// - `id`: as `list` gave it.
    ///
    /// Errors: `QUEUE_INVALID`.
    ///
    /// ```rhai
    /// queue::push("renders", "a", #{ attempts: 1 });
    /// let job = queue::take("renders");
    /// queue::fail("renders", job, "no picture");
    /// queue::requeue("renders", job.id) // => true
    /// ```
    #[rhai_fn(return_raw)]
    pub fn requeue(ctx: NativeCallContext, queue: &str, id: i64) -> ScriptResult {
        let id = ctx.check(checked_id(id))?;
        ctx.local(&REQUEUE, named(queue, id), |local| {
            Ok(queue::requeue(&mut local.tx, queue, id)?.into())
        })
    }

    /// Returns the names of all queues that have ever held a job, in order; at most 10,000.
    ///
    /// Errors: none of its own.
    ///
    /// ```rhai
    /// queue::push("renders", "a");
    /// queue::names() // => ["renders"]
    /// ```
    #[rhai_fn(return_raw)]
    pub fn names(ctx: NativeCallContext) -> ScriptResult {
        ctx.local(&NAMES, Value::Unit, |local| {
            let names = queue::names(&mut local.tx)?;
            Ok(names.into_iter().map(Value::from).collect::<Vec<_>>().into())
        })
    }
}

fn push_job(ctx: &NativeCallContext<'_>, queue: &str, payload: &Dynamic, options: &Map) -> ScriptResult {
    let payload = ctx.value(payload)?;
    let mut options = ctx.check(Options::new("queue::push", options))?;
    let given = options.to_value();
    let mut wanted = ctx.check(wanted(&mut options))?;
    ctx.check(options.finish())?;
    wanted.corr = Some(ctx.run()?.tape().begun().corr());
    let args = [
        ("queue", queue.into()),
        ("payload", payload.clone()),
        ("options", given),
    ];
    ctx.local(&PUSH, args, |local| {
        let pushed = queue::push(&mut local.tx, queue, &payload, &wanted)?;
        Ok(Value::from([
            ("id", number(pushed.job)),
            ("is_new", pushed.is_new.into()),
        ]))
    })
}

fn wanted(options: &mut Options) -> Result<Wanted, Failure> {
    const FOREVER_MS: u64 = 3650 * 24 * 60 * 60 * 1000;
    let priority = options.int("priority", 0..=i64::from(PRIORITY_MAX))?;
    let attempts = options.int("attempts", 1..=1000)?;
    Ok(Wanted {
        priority: priority.map_or(PRIORITY_DEFAULT, |priority| priority as u8),
        delay_ms: milliseconds(options, "delay", FOREVER_MS)?.unwrap_or(0),
        key: options.string("key")?,
        remember_ms: milliseconds(options, "remember", FOREVER_MS)?.unwrap_or(0),
        attempts_max: attempts.map_or(ATTEMPTS_DEFAULT, |attempts| attempts as u32),
        backoff_ms: milliseconds(options, "backoff", LEASE_MAX_MS)?.unwrap_or(BACKOFF_DEFAULT_MS),
        corr: None,
    })
}

fn take_job(ctx: &NativeCallContext<'_>, queue: &str, lease_ms: u64) -> ScriptResult {
    let args = [("queue", queue.into()), ("lease_ms", number(lease_ms))];
    ctx.local(&TAKE, args, |local| {
        let taken = queue::take(&mut local.tx, queue, lease_ms)?;
        Ok(taken.map(shown).into())
    })
}

fn fail_job(ctx: &NativeCallContext<'_>, queue: &str, job: &Map, reason: &str, options: &Map) -> ScriptResult {
    let (id, attempt) = ctx.check(held(job))?;
    let mut options = ctx.check(Options::new("queue::fail", options))?;
    let after = ctx.check(milliseconds(&mut options, "after", LEASE_MAX_MS))?;
    let is_final = ctx.check(options.bool("dead"))?.unwrap_or(false);
    ctx.check(options.finish())?;
    let args = [
        ("queue", queue.into()),
        ("id", number(id)),
        ("reason", reason.into()),
        ("after_ms", after.map(number).into()),
        ("dead", is_final.into()),
    ];
    ctx.local(&FAIL, args, |local| {
        let failed = queue::fail(&mut local.tx, queue, id, attempt, reason, after, is_final)?;
        let due = match failed {
            Failed::Again { due_ms } => number(due_ms),
            Failed::Dead => Value::Unit,
        };
        Ok(Value::from([
            ("dead", (failed == Failed::Dead).into()),
            ("due_at", due),
        ]))
    })
}

/// A job as its taker sees it.
fn shown(taken: Taken) -> Value {
    let Taken {
        number: id,
        job,
        payload,
    } = taken;
    Value::from([
        ("id", number(id)),
        ("payload", payload),
        ("attempt", i64::from(job.attempts).into()),
        ("priority", i64::from(job.priority).into()),
        ("key", job.key.into()),
        ("pushed_at", number(job.pushed_ms)),
        ("due_at", number(job.due_ms)),
    ])
}

/// A job as somebody sees it who only looks.
fn described(taken: Taken, now_ms: i64) -> Value {
    let state = taken.job.state(u64::try_from(now_ms).unwrap_or(0)).as_str();
    let reason = taken.job.reason.clone();
    let mut shown = shown(taken);
    if let Value::Map(fields) = &mut shown {
        fields.insert("state".to_owned(), state.into());
        fields.insert("reason".to_owned(), reason.into());
    }
    shown
}

/// Which job, and for which attempt it was taken.
fn held(job: &Map) -> Result<(u64, u32), Failure> {
    let field = |name: &str| job.get(name).and_then(|value| value.as_int().ok());
    let id = field("id").and_then(|id| u64::try_from(id).ok());
    let attempt = field("attempt").and_then(|attempt| u32::try_from(attempt).ok());
    id.zip(attempt).ok_or_else(|| {
        let message = "this is no job: give the map that `queue::take` returned, with its `id` and `attempt`";
        Failure::new("QUEUE_INVALID", message)
    })
}

fn checked_id(id: i64) -> Result<u64, Failure> {
    u64::try_from(id).map_err(|_| Failure::new("QUEUE_INVALID", format!("no job has the id {id}")))
}

fn milliseconds(options: &mut Options, name: &'static str, most: u64) -> Result<Option<u64>, Failure> {
    let Some(length) = options.duration(name)? else {
        return Ok(None);
    };
    let ms = length.as_millis() as u64;
    if ms > most {
        let days = most / 86_400_000;
        let reason = format!("`{name}` is {ms} ms; at most {days} days are allowed");
        return Err(options.conflict(reason).into());
    }
    Ok(Some(ms))
}

fn named(queue: &str, id: u64) -> [(&'static str, Value); 2] {
    [("queue", queue.into()), ("id", number(id))]
}

fn number(number: u64) -> Value {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::testing::TestHost;

    #[test]
    fn a_job_goes_through_its_hands_and_dies_of_its_last_attempt() {
        let host = TestHost::default();
        let run = host.run(
            r#"
            queue::push("q", "low", #{ priority: 1 });
            queue::push("q", "high", #{ priority: 9, attempts: 2, key: "k" });
            let first = queue::take("q", #{ lease: "1m" });
            let given = queue::fail("q", first, "no picture", #{ after: "10s" });
            let second = queue::take("q");
            run::sleep("11s");
            let third = queue::take("q");
            let ended = queue::fail("q", third, "no sound");
            queue::done("q", second);
            let dead = queue::list("q", #{});
            [first.payload, given.dead, second.payload, third.payload, third.attempt, ended.dead,
             dead.map(|job| [job.state, job.reason]), queue::push("q", "x", #{ key: "k" }).is_new,
             queue::requeue("q", third.id), queue::peek("q").payload, queue::names()]
            "#,
        );
        assert_eq!(
            run.value().to_string(),
            r#"["high",false,"low","high",2,true,[["dead","no sound"]],false,true,"high",["q"]]"#
        );
    }

    #[test]
    fn a_lease_that_ended_is_lost_and_the_job_is_taken_by_another() {
        let host = TestHost::default();
        host.run(r#"queue::push("q", "a")"#);
        let taker = host.start(
            r#"let job = queue::take("q", #{ lease: "1m" }); run::sleep("2m");
            try { queue::done("q", job); } catch (e) { return e.code; }"#,
        );
        host.clock.advance(Duration::from_secs(90));
        assert_eq!(host.run(r#"queue::take("q").attempt"#).value().to_string(), "2");
        host.clock.advance(Duration::from_secs(90));
        let ended = host.resume(taker.id()).unwrap();
        assert_eq!(ended.value().to_string(), r#""QUEUE_LEASE_LOST""#);
    }

    #[test]
    fn realms_do_not_mix_and_a_replay_takes_nothing() {
        let mut host = TestHost::default();
        host.run(r#"queue::push("q", "dry")"#);
        host.mode.live = true;
        assert_eq!(host.run(r#"queue::take("q")"#).value().to_string(), "null");
        host.mode.live = false;
        let run = host.run(r#"queue::take("q").payload"#);
        assert_eq!(host.replay(run.id()).outcome.value.to_string(), r#""dry""#);
        assert_eq!(host.run(r#"queue::stats("q").later"#).value().to_string(), "1");
    }

    #[test]
    fn mistakes_are_told_with_the_way_out() {
        let host = TestHost::default();
        let told = |script: &str| host.run(script).failure().to_string();
        assert!(told(r#"queue::done("q", #{ clip: 1 })"#).starts_with("QUEUE_INVALID: this is no job: give the map"));
        assert!(told(r#"queue::push("my q", 1)"#).starts_with("QUEUE_INVALID: \"my q\" is no name of a queue"));
        assert!(told(r#"queue::take("q", #{ leas: "1m" })"#).contains("did you mean `lease`?"));
        assert!(told(r#"queue::take("q", #{ lease: "30d" })"#).contains("at most 7 days"));
        assert!(told(r#"queue::push("q", 1, #{ priority: 10 })"#).contains("from 0 to 9"));
    }
}
