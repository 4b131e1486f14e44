//! `run::` — what a run knows of itself, and what it waits for.
//!
//! Its id, input and folder are fixed when it begins, so reading them is no effect. A wait needs no thread: the script
//! is unwound, and runs again from its journal when the wait is over.

mod waits;

use rhai::FnPtr;
use rhai::plugin::*;

use self::waits::{Ask, Sleep, SleepUntil, WaitEvent};
use super::options::Options;
use crate::effect::{Declaration, Effect, Failure};
use crate::gate::poll::Pace;
use crate::journal::event;
use crate::script::value::to_dynamic;
use crate::script::{ContextExt, ScriptResult};
use crate::value::Value;

pub fn module() -> Module {
    exported_module!(functions)
}

static NOTE: Declaration = Declaration::local("run.note");
static SLEEP: Declaration = Declaration::local("run.sleep");
static SLEEP_UNTIL: Declaration = Declaration::local("run.sleep_until");
static WAIT_EVENT: Declaration = Declaration::local("run.wait_event");
static ASK: Declaration = Declaration::local("run.ask");
static POLL: Declaration = Declaration::local("run.poll");

/// How often one poll may try: each leaves something on the journal.
const POLL_TRIES_MAX: u64 = 20_000;

/// The shortest pause of a poll.
const POLL_EVERY_MIN_MS: u64 = 1_000;

/// The longest note.
const NOTE_BYTES_MAX: usize = 4096;

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Returns the id of this run: 26 letters and digits, as `host runs` shows them.
    ///
    /// Errors: none.
    ///
    /// ```rhai
    /// store::put("posts", run::id(), #{ topic: input.topic });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn id(ctx: NativeCallContext) -> ScriptResult {
        Ok(ctx.run()?.tape().run.to_string().into())
    }

    /// Returns what this run was told to work on, a map: the same as the variable `input`.
    ///
    /// Errors: none.
    ///
    /// ```rhai
    /// log::info("started", run::input());
    /// ```
    #[rhai_fn(return_raw)]
    pub fn input(ctx: NativeCallContext) -> ScriptResult {
        let input = ctx.run()?.tape().begun().input.clone();
        Ok(to_dynamic(input))
    }

    /// Returns the name of this run's own folder, `runs/` and its id, where media it makes can be looked at. It is
    /// relative to the host's own data, so it means the same wherever that lies.
    ///
    /// Errors: none.
    ///
    /// ```rhai
    /// log::info(`the clips are in ${run::workspace()}`);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn workspace(ctx: NativeCallContext) -> ScriptResult {
        Ok(format!("runs/{}", ctx.run()?.tape().run).into())
    }

    /// Writes a note into the journal, for whoever reads what this run did.
    ///
    /// - `text`: 1 to 4,096 bytes.
    ///
    /// Errors: `NOTE_INVALID`.
    ///
    /// ```rhai
    /// run::note("took the second clip: the first has no sound");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn note(ctx: NativeCallContext, text: &str) -> ScriptResult {
        ctx.check(check_note(text))?;
        ctx.local(&NOTE, [("text", text.into())], |_| Ok(Value::Unit))
    }

    /// Waits as long as `length` says. The run has no thread meanwhile, and the host may be stopped and started.
    ///
    /// - `length`: `"90s"`, `"2h"`, `"1d12h"`, up to 3650 days.
    ///
    /// Errors: `DURATION_INVALID`, `WAIT_REFUSED` in a poll or a clean-up.
    ///
    /// ```rhai
    /// run::sleep("2h");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn sleep(ctx: NativeCallContext, length: &str) -> ScriptResult {
        let ms = ctx.check(length_ms(length))?;
        ctx.wait(Effect::new(&SLEEP, [("for", length.into())]), &Sleep { ms })
    }

    /// Waits until a time; not at all, when it has passed.
    ///
    /// - `time`: text with its offset, or milliseconds since 1970 UTC.
    ///
    /// Errors: `TIME_INVALID`, `TIME_RANGE`, `WAIT_REFUSED` in a poll or a clean-up.
    ///
    /// ```rhai
    /// run::sleep_until(time::parse("2026-11-22 07:00", "America/New_York"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn sleep_until(ctx: NativeCallContext, time: Dynamic) -> ScriptResult {
        let unix_ms = crate::namespaces::time::read(&ctx, &time)?.timestamp_millis();
        let until = SleepUntil { unix_ms };
        ctx.wait(Effect::new(&SLEEP_UNTIL, [("until_ms", unix_ms.into())]), &until)
    }

    /// Waits for an event and returns its data. Every event of that name since the run began is given once, in order,
    /// also one that came before this was asked.
    ///
    /// - `name`: 1 to 200 bytes. `host emit NAME` sends one.
    ///
    /// Errors: `EVENT_INVALID`, `WAIT_REFUSED` in a poll or a clean-up.
    ///
    /// ```rhai
    /// let review = run::wait_event("review.done");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn wait_event(ctx: NativeCallContext, name: &str) -> ScriptResult {
        wait_for_event(&ctx, name, &rhai::Map::new())
    }

    /// The same, with options.
    ///
    /// - `timeout`: how long to wait at most, such as `"2d"`; then `()` is returned.
    ///
    /// Errors: those of `wait_event` without options, `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// let review = run::wait_event("review.done", #{ timeout: "2d" });
    /// if review == () { log::warn("nobody reviewed it"); }
    /// ```
    #[rhai_fn(name = "wait_event", return_raw)]
    pub fn wait_event_with(ctx: NativeCallContext, name: &str, options: rhai::Map) -> ScriptResult {
        wait_for_event(&ctx, name, &options)
    }

    /// Asks a person, and returns `#{ answer, by, at_ms }`. `host answer` lists what is asked and answers it.
    ///
    /// Errors: `QUESTION_INVALID`, `WAIT_REFUSED` in a poll or a clean-up.
    ///
    /// ```rhai
    /// let said = run::ask("publish clip 2026-11-20-c?");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn ask(ctx: NativeCallContext, question: &str) -> ScriptResult {
        ask_person(&ctx, question, &rhai::Map::new())
    }

    /// The same, with options.
    ///
    /// - `choices`: the only answers allowed, up to 50 texts.
    /// - `timeout`: how long to wait at most; then `()` is returned.
    /// - `role`: only people with this role in `[people]` of `host.toml` may answer.
    /// - `second_person`: `true` if whoever started the run may not answer.
    ///
    /// Errors: also `ASKER_UNKNOWN` where a second person is demanded and nobody knows the first.
    ///
    /// ```rhai
    /// let said = run::ask("publish it?", #{ choices: ["yes", "no"], timeout: "12h", role: "editor" });
    /// if said == () || said.answer == "no" { return "not published"; }
    /// ```
    #[rhai_fn(name = "ask", return_raw)]
    pub fn ask_with(ctx: NativeCallContext, question: &str, options: rhai::Map) -> ScriptResult {
        ask_person(&ctx, question, &options)
    }

    /// Calls `attempt` again and again until it returns something other than `()`, and returns that. One step, of
    /// which only the last try is kept: so a try may read, but not write, and it sees its variables as they were when
    /// the poll began.
    ///
    /// - `every`: the pause between two tries, at least `"1s"`.
    /// - `timeout`: how long to try.
    ///
    /// Errors: `POLL_TIMEOUT`, `POLL_WRITES`, `POLL_TOO_OFTEN` beyond 20,000 tries, `DURATION_INVALID`, and whatever
    /// `attempt` throws.
    ///
    /// ```rhai
    /// let url = run::poll("30s", "20m", || kv::get("render/7")); // => "https://render.example/7.mp4"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn poll(ctx: NativeCallContext, every: &str, timeout: &str, attempt: FnPtr) -> ScriptResult {
        let pace = Pace {
            every_ms: ctx.check(length_ms(every))?.max(POLL_EVERY_MIN_MS),
            timeout_ms: ctx.check(length_ms(timeout))?,
        };
        ctx.check(check_pace(pace))?;
        let effect = Effect::new(&POLL, [("every", every.into()), ("timeout", timeout.into())]);
        ctx.poll(effect, pace, &attempt)
    }
}

fn check_pace(pace: Pace) -> Result<(), Failure> {
    let tries = pace.timeout_ms / pace.every_ms;
    if tries > POLL_TRIES_MAX {
        let message = format!(
            "it would be tried {tries} times, and at most {POLL_TRIES_MAX} are allowed; try less often, or wait for an event"
        );
        return Err(Failure::new("POLL_TOO_OFTEN", message));
    }
    Ok(())
}

fn length_ms(text: &str) -> Result<u64, Failure> {
    let length = crate::duration::parse(text);
    let length = length.map_err(|error| Failure::new("DURATION_INVALID", error.to_string()))?;
    Ok(length.as_millis() as u64)
}

fn wait_for_event(ctx: &NativeCallContext<'_>, name: &str, options: &rhai::Map) -> ScriptResult {
    if name.is_empty() || name.len() > event::NAME_BYTES_MAX {
        let max = event::NAME_BYTES_MAX;
        let message = format!("the name of the event has {} bytes; 1 to {max} are allowed", name.len());
        return ctx.check(Err(Failure::new("EVENT_INVALID", message)));
    }
    let mut options = ctx.check(Options::new("run::wait_event", options))?;
    let timeout = ctx.check(options.duration("timeout"))?;
    ctx.check(options.finish())?;
    let wait = WaitEvent {
        name: name.to_owned(),
        timeout_ms: timeout.map(|timeout| timeout.as_millis() as u64),
    };
    let timeout_ms = wait.timeout_ms.map(|ms| ms as i64);
    let effect = Effect::new(&WAIT_EVENT, [("name", name.into()), ("timeout_ms", timeout_ms.into())]);
    ctx.wait(effect, &wait)
}

fn ask_person(ctx: &NativeCallContext<'_>, question: &str, options: &rhai::Map) -> ScriptResult {
    let mut options = ctx.check(Options::new("run::ask", options))?;
    let choices = ctx.check(options.list("choices"))?.unwrap_or_default();
    let choices: Option<Vec<String>> = choices
        .iter()
        .map(|choice| choice.as_str().map(str::to_owned))
        .collect();
    let invalid = || Failure::new("QUESTION_INVALID", "the choices of a question are texts");
    let ask = Ask {
        text: question.to_owned(),
        choices: ctx.check(choices.ok_or_else(invalid))?,
        role: ctx.check(options.string("role"))?,
        second_person: ctx.check(options.bool("second_person"))?.unwrap_or(false),
        timeout_ms: ctx
            .check(options.duration("timeout"))?
            .map(|timeout| timeout.as_millis() as u64),
    };
    ctx.check(options.finish())?;
    ctx.check(ask.check())?;
    ctx.wait(Effect::new(&ASK, Value::Map(ask.args())), &ask)
}

fn check_note(text: &str) -> Result<(), Failure> {
    match text.len() {
        1..=NOTE_BYTES_MAX => Ok(()),
        0 => Err(Failure::new("NOTE_INVALID", "the note is empty")),
        bytes => {
            let message =
                format!("the note has {bytes} bytes; at most {NOTE_BYTES_MAX} are allowed; store::put holds more");
            Err(Failure::new("NOTE_INVALID", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::TestHost;
    use crate::value::Value;

    #[test]
    fn a_run_knows_its_id_input_and_folder_without_asking_anybody() {
        let host = TestHost::default();
        let run = host.run_with(
            "[run::id(), run::input().topic, run::workspace()]",
            Value::from([("topic", "ai".into())]),
        );
        let id = run.id();
        assert_eq!(run.value().to_string(), format!(r#"["{id}","ai","runs/{id}"]"#));
        assert_eq!(run.journal(), "");
    }

    #[test]
    fn a_note_is_on_the_journal_and_a_long_one_is_refused() {
        let host = TestHost::default();
        let run = host.run(r#"run::note("took the second clip")"#);
        assert_eq!(
            run.journal(),
            "1 run.note {\"text\":\"took the second clip\"} -> null\n"
        );
        let run = host.run(r#"let long = "x"; long.pad(4097, 'x'); run::note(long)"#);
        assert_eq!(
            run.failure().to_string(),
            "NOTE_INVALID: the note has 4097 bytes; at most 4096 are allowed; store::put holds more"
        );
        assert_eq!(run.journal(), "");
    }
}
