//! `test::` — the world that a test gives to a playbook, and what it expects of it.
//!
//! Only scripts whose names end in `_test` have it. A test is a script like any other, on a store of its own, which is
//! the playbook's too: `store::`, `kv::` and `time::` prepare what a playbook finds, and look at what it leaves behind.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`expecting`] | the functions by which a test says what should be |
//! | [`looking`] | the fields and methods of a run |
//! | [`trial`] | what these functions ask of whoever runs the test |
//! | [`played`] | a playbook's run as a test looks at it |
//! | [`expect`] | expectations, and what is said when one is not met |
//! | [`fault`] | faults that a test scripts |
//! | [`shown`] | a run as a text for a snapshot |
//!
//! ```rhai
//! fn test_a_quiet_day_posts_nothing() {
//!     test::answer("file.read_json", #{ items: [] });
//!     let run = test::run("daily/publish", #{ topic: "hooks" });
//!     test::equal(run.count("slack.post"), 0);
//! }
//! ```

pub mod expect;
mod expecting;
pub mod fault;
mod looking;
pub mod played;
pub mod shown;
pub mod trial;

use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Array, Map};

use self::fault::Scripted;
use self::played::Played;
use self::trial::{InTrial, Trial};
use crate::duration;
use crate::effect::Failure;
use crate::gate::governance::SIGNAL_NAMES;
use crate::gate::{Reply, Rule, Signals};
use crate::script::value::to_dynamic;
use crate::script::{ContextExt, ScriptResult};
use crate::value::Value;

/// The namespace's name.
pub const NAME: &str = "test";

pub fn module() -> Module {
    let mut module = exported_module!(functions);
    module.combine(expecting::module());
    module
}

/// What stands behind the dot of a run: the language of tests has it without a namespace.
pub fn methods() -> Module {
    let mut module = looking::module();
    module.set_custom_type::<Played>("Run");
    module.set_custom_type::<Scripted>("Fault");
    module
}

// Rhai's macro needs the bodies inline. The doc comments are the reference of tests.
#[export_module]
mod functions {
    /// Answers every call of an effect with a value.
    ///
    /// An answer passes the gate like a provider's own: dry it stands for the simulation, live for the request. Answers
    /// that are given later are used first.
    ///
    /// - `name`: of the effect, such as `"openai.chat"`.
    /// - `value`: what the call returns, or what `test::fault` made.
    ///
    /// Errors: `UNKNOWN_EFFECT`, `LIMIT_ANSWERS`.
    ///
    /// ```rhai
    /// test::answer("openai.chat", #{ text: "Three reasons" });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn answer(ctx: NativeCallContext, name: &str, value: Dynamic) -> ScriptResult {
        give(&ctx, name, Value::Unit, vec![value], true)
    }

    /// Answers those calls of an effect whose arguments have `args` in them.
    ///
    /// - `args`: a map; what it does not name may be anything.
    ///
    /// Errors: `UNKNOWN_EFFECT`, `LIMIT_ANSWERS`.
    ///
    /// ```rhai
    /// test::answer("http.get", #{ url: "https://example.com/feed" }, #{ status: 200, body: "[]" });
    /// ```
    #[rhai_fn(name = "answer", return_raw)]
    pub fn answer_fitting(ctx: NativeCallContext, name: &str, args: Map, value: Dynamic) -> ScriptResult {
        let args = ctx.value(&Dynamic::from_map(args))?;
        give(&ctx, name, args, vec![value], true)
    }

    /// Answers calls of an effect in turn, each with the next value. A call more than there are values has no answer.
    ///
    /// Live, each attempt takes one: a fault that may pass is followed by another attempt.
    ///
    /// Errors: `UNKNOWN_EFFECT`, `LIMIT_ANSWERS`.
    ///
    /// ```rhai
    /// test::answers("slack.post", [test::fault("HTTP_CONNECT"), #{ ok: true }]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn answers(ctx: NativeCallContext, name: &str, values: Array) -> ScriptResult {
        give(&ctx, name, Value::Unit, values, false)
    }

    /// The same for calls whose arguments have `args` in them.
    ///
    /// Errors: `UNKNOWN_EFFECT`, `LIMIT_ANSWERS`.
    ///
    /// ```rhai
    /// test::answers("media.probe", #{ source: "inbox/a.mp4" }, [#{ seconds: 3.0 }, #{ seconds: 4.0 }]);
    /// ```
    #[rhai_fn(name = "answers", return_raw)]
    pub fn answers_fitting(ctx: NativeCallContext, name: &str, args: Map, values: Array) -> ScriptResult {
        let args = ctx.value(&Dynamic::from_map(args))?;
        give(&ctx, name, args, values, false)
    }

    /// Makes a fault to answer with, from its code.
    ///
    /// `HTTP_TIMEOUT` and `HTTP_CUT` leave a write in doubt; `HTTP_CONNECT`, `HTTP_DNS` and `HTTP_TLS` may pass and did
    /// nothing; every other code is a refusal.
    ///
    /// ```rhai
    /// test::answer("slack.post", test::fault("HTTP_TIMEOUT"));
    /// ```
    pub fn fault(code: &str) -> Dynamic {
        Dynamic::from(Scripted(super::fault::of_code(code)))
    }

    /// Makes a fault to answer with.
    ///
    /// - `fault`: `code` or `status` (100 to 599), and if need be `message`, `retry_after` (`"30s"`), `details`, `landed`
    ///   (true, false or `"unknown"`) and `passing`, whether another attempt may succeed.
    ///
    /// Errors: `MISSING_OPTION`, `BAD_OPTION`, `UNKNOWN_OPTION`.
    ///
    /// ```rhai
    /// test::answers("openai.chat", [test::fault(#{ status: 429, retry_after: "2s" }), #{ text: "late" }]);
    /// ```
    #[rhai_fn(name = "fault", return_raw)]
    pub fn fault_of(ctx: NativeCallContext, fault: Map) -> ScriptResult {
        let fault = ctx.value(&Dynamic::from_map(fault))?;
        let fault = super::fault::of_map(fault.as_map().cloned().unwrap_or_default());
        Ok(Dynamic::from(Scripted(ctx.check(fault)?)))
    }

    /// Says what a provider shows when it is asked whether a write landed whose answer was lost: its answer, or `()`
    /// when it is not there. When nothing is said, the provider cannot tell.
    ///
    /// Errors: `UNKNOWN_EFFECT`.
    ///
    /// ```rhai
    /// test::shows("slack.post", ());
    /// ```
    #[rhai_fn(return_raw)]
    pub fn shows(ctx: NativeCallContext, name: &str, value: Dynamic) -> ScriptResult {
        let trial = trial(&ctx)?;
        ctx.check(trial.check_effect(name))?;
        trial.stage().show(name, ctx.value(&value)?);
        Ok(Dynamic::UNIT)
    }

    /// Sets the clock. It stands still until the test or a waiting playbook moves it.
    ///
    /// - `time`: text with its offset, or milliseconds since 1970 UTC. Before, it is 2026-11-21 12:00 UTC.
    ///
    /// Errors: `TIME_INVALID`, `TIME_RANGE`.
    ///
    /// ```rhai
    /// test::at("2026-03-08T06:30:00Z");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn at(ctx: NativeCallContext, time: Dynamic) -> ScriptResult {
        let unix_ms = super::super::time::read(&ctx, &time)?.timestamp_millis();
        trial(&ctx)?.set_time(unix_ms);
        ctx.run()?.tape().forget_time();
        Ok(Dynamic::UNIT)
    }

    /// Lets time pass.
    ///
    /// Errors: `DURATION_INVALID`.
    ///
    /// ```rhai
    /// test::advance("36h");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn advance(ctx: NativeCallContext, length: &str) -> ScriptResult {
        let length = duration::parse(length).map_err(|bad| Failure::new("DURATION_INVALID", bad.to_string()));
        trial(&ctx)?.advance(ctx.check(length)?);
        Ok(Dynamic::UNIT)
    }

    /// Sets where chance begins: the same seed draws the same numbers, in every run of the test.
    ///
    /// ```rhai
    /// test::seed(7);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn seed(ctx: NativeCallContext, seed: i64) -> ScriptResult {
        trial(&ctx)?.seed(seed as u64);
        Ok(Dynamic::UNIT)
    }

    /// Makes every provider live: modes, signals, attempts and doubts are then decided as they would be, and the test
    /// gives the answers. Nothing leaves this machine.
    ///
    /// ```rhai
    /// test::live();
    /// ```
    #[rhai_fn(return_raw)]
    pub fn live(ctx: NativeCallContext) -> ScriptResult {
        ctx.check(trial(&ctx)?.live(None))?;
        Ok(Dynamic::UNIT)
    }

    /// Makes one provider live.
    ///
    /// Errors: `UNKNOWN_PROVIDER`.
    ///
    /// ```rhai
    /// test::live("slack");
    /// ```
    #[rhai_fn(name = "live", return_raw)]
    pub fn live_one(ctx: NativeCallContext, provider: &str) -> ScriptResult {
        ctx.check(trial(&ctx)?.live(Some(provider)))?;
        Ok(Dynamic::UNIT)
    }

    /// Gives all signals that a publish needs. Before, none is given.
    ///
    /// ```rhai
    /// test::approve();
    /// ```
    #[rhai_fn(return_raw)]
    pub fn approve(ctx: NativeCallContext) -> ScriptResult {
        trial(&ctx)?.signals(Signals([true; 3]));
        Ok(Dynamic::UNIT)
    }

    /// Gives some of the signals that a publish needs, by their names in the environment.
    ///
    /// Errors: `UNKNOWN_SIGNAL`.
    ///
    /// ```rhai
    /// test::approve(["ALLOW_AUTONOMOUS_PUBLISH", "GOVERNANCE_APPROVED"]);
    /// ```
    #[rhai_fn(name = "approve", return_raw)]
    pub fn approve_some(ctx: NativeCallContext, signals: Array) -> ScriptResult {
        let names = ctx.value(&Dynamic::from_array(signals))?;
        let given = ctx.check(signals_named(names.as_list().unwrap_or_default()))?;
        trial(&ctx)?.signals(given);
        Ok(Dynamic::UNIT)
    }

    /// Switches a provider off after a run began while it was live: its calls are refused with `SWITCHED_OFF`.
    ///
    /// Errors: `UNKNOWN_PROVIDER`.
    ///
    /// ```rhai
    /// test::switch_off("slack", "SLACK_ENABLED is off");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn switch_off(ctx: NativeCallContext, provider: &str, why: &str) -> ScriptResult {
        ctx.check(trial(&ctx)?.switch_off(provider, why))?;
        Ok(Dynamic::UNIT)
    }

    /// Answers the next question that a playbook asks people. What is not answered waits until its time is over.
    ///
    /// ```rhai
    /// test::reply("yes");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn reply(ctx: NativeCallContext, text: &str) -> ScriptResult {
        ctx.check(trial(&ctx)?.reply(text))?;
        Ok(Dynamic::UNIT)
    }

    /// Says that something happens as soon as a playbook waits for it.
    ///
    /// ```rhai
    /// test::event("review.done", #{ verdict: "good" });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn event(ctx: NativeCallContext, name: &str, data: Dynamic) -> ScriptResult {
        let data = ctx.value(&data)?;
        ctx.check(trial(&ctx)?.event(name, data))?;
        Ok(Dynamic::UNIT)
    }

    /// Puts a text, or a value as JSON, in the place of a file of the project, prompts among them.
    ///
    /// - `path`: as the playbook names it, such as `"inbox/feed.json"`.
    ///
    /// ```rhai
    /// test::file("inbox/feed.json", #{ items: [] });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn file(ctx: NativeCallContext, path: &str, content: Dynamic) -> ScriptResult {
        let text = match ctx.value(&content)? {
            Value::Text(text) => text,
            value => value.to_json().to_string(),
        };
        ctx.check(trial(&ctx)?.file(path, text))?;
        Ok(Dynamic::UNIT)
    }

    /// Puts a document into the store as it is after `version` changes: where a playbook reads versions.
    ///
    /// Errors: those of `store::put`, `BAD_VERSION`.
    ///
    /// ```rhai
    /// test::document("clips", "a", #{ state: "ready" }, 7);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn document(ctx: NativeCallContext, collection: &str, id: &str, data: Map, version: i64) -> ScriptResult {
        let data = ctx.value(&Dynamic::from_map(data))?;
        let version = u64::try_from(version).ok().filter(|version| *version > 0);
        let version = version.ok_or_else(|| Failure::new("BAD_VERSION", "versions are counted from 1"));
        let version = ctx.check(version)?;
        let data = data.as_map().cloned().unwrap_or_default();
        ctx.check(trial(&ctx)?.document(collection, id, data, version))?;
        Ok(Dynamic::UNIT)
    }

    /// Sets the id of the run that is played next, and the clock to the time that is in it.
    ///
    /// Errors: `BAD_RUN_ID`.
    ///
    /// ```rhai
    /// test::id("01K9XQ4T3N8Z6W5V2B7C1D0E9F");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn id(ctx: NativeCallContext, id: &str) -> ScriptResult {
        ctx.check(trial(&ctx)?.id(id))?;
        ctx.run()?.tape().forget_time();
        Ok(Dynamic::UNIT)
    }

    /// Runs a playbook until it is over, or waits for what does not come, and returns the run.
    ///
    /// A run has `status`, `value`, `error` (what a `catch` would get, with `line` and `module`; `()` when there is
    /// none), `effects`, `calls` (their names in order), `logs`, `waits`, `seconds` and `children`. Sleeping takes no
    /// time. A run that fails, and of which the test does not ask how it ended, fails the test.
    ///
    /// Errors: `PLAYBOOK_NOT_FOUND`, `INPUT`, `TEST_UNANSWERED`, and the code of whatever keeps the playbook from
    /// compiling.
    ///
    /// ```rhai
    /// let run = test::run("demo");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn run(ctx: NativeCallContext, playbook: &str) -> ScriptResult {
        run_with(ctx, playbook, Map::new())
    }

    /// The same, with inputs.
    ///
    /// Errors: as without.
    ///
    /// ```rhai
    /// let run = test::run("demo", #{ seconds: 4.0 });
    /// ```
    #[rhai_fn(name = "run", return_raw)]
    pub fn run_with(ctx: NativeCallContext, playbook: &str, inputs: Map) -> ScriptResult {
        let inputs = ctx.value(&Dynamic::from_map(inputs))?;
        let inputs = inputs.as_map().cloned().unwrap_or_default();
        let played = ctx.check(trial(&ctx)?.run(playbook, inputs))?;
        Ok(Dynamic::from(played))
    }

    /// Returns what a playbook's header says, a map: `title`, `uses`, `inputs`, `timeout` and so on.
    ///
    /// Errors: `PLAYBOOK_NOT_FOUND`, and the code of whatever keeps the playbook from compiling.
    ///
    /// ```rhai
    /// test::equal(test::header("demo").uses, ["openai", "slack"]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn header(ctx: NativeCallContext, playbook: &str) -> ScriptResult {
        Ok(to_dynamic(ctx.check(trial(&ctx)?.header(playbook))?))
    }
}

fn trial(ctx: &NativeCallContext<'_>) -> ScriptResult<Arc<dyn Trial>> {
    let run = ctx.run()?;
    match run.beside::<InTrial>() {
        Some(InTrial(trial)) => Ok(trial.clone()),
        None => Err("`test::` is there for tests: `host test` runs them".into()),
    }
}

fn give(
    ctx: &NativeCallContext<'_>,
    name: &str,
    args: Value,
    values: impl IntoIterator<Item = Dynamic>,
    lasts: bool,
) -> ScriptResult {
    let trial = trial(ctx)?;
    ctx.check(trial.check_effect(name))?;
    let provider = name.split('.').next().unwrap_or(name);
    let reply = |value: Dynamic| -> ScriptResult<Reply> {
        match value.try_cast_result::<Scripted>() {
            Ok(Scripted(mut fault)) => {
                fault.failure.provider.get_or_insert_with(|| provider.to_owned());
                Ok(Err(fault))
            }
            Err(value) => Ok(Ok(ctx.value(&value)?)),
        }
    };
    let replies = values.into_iter().map(reply).collect::<ScriptResult<_>>()?;
    let rule = Rule {
        name: name.to_owned(),
        args,
        replies,
        lasts,
    };
    ctx.check(trial.stage().give(rule))?;
    Ok(Dynamic::UNIT)
}

fn signals_named(names: &[Value]) -> Result<Signals, Failure> {
    let mut given = Signals::default();
    for name in names {
        let Some(at) = SIGNAL_NAMES.iter().position(|known| name.as_str() == Some(known)) else {
            let message = format!("{name} is no signal; they are {}", SIGNAL_NAMES.join(", "));
            return Err(Failure::new("UNKNOWN_SIGNAL", message));
        };
        given.0[at] = true;
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::source::Text;
    use crate::script::{Language, Script, ScriptLimits, reference};

    #[test]
    fn every_function_of_tests_is_described_with_its_errors_and_an_example_that_compiles() {
        let language = Language::new(|| crate::namespaces::modules(&[]), ScriptLimits::default());
        let language = language.with(NAME, module, methods);
        let functions = reference::functions(&language);
        let of_tests = functions.iter().filter(|function| function.name.starts_with("test::"));
        let mut wrong = Vec::new();
        let mut count = 0;
        for function in of_tests {
            count += 1;
            let example = function
                .doc
                .split_once("```rhai\n")
                .and_then(|(_, rest)| rest.split_once("```"));
            let Some((example, _)) = example.filter(|(example, _)| example.contains(&function.name)) else {
                wrong.push(format!("{}: no example", function.signature));
                continue;
            };
            let text = Text::new(function.name.as_str(), format!("let run = 1;\n{example}"));
            if let Err(problem) = Script::compile(&language, "example", text, &|name| Err(name.to_owned())) {
                wrong.push(format!("{}: {}", function.signature, problem.message));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(count, 31);
    }
}
