//! The functions by which a test says what should be.

use rhai::plugin::*;

use super::played::Played;
use super::{expect, shown, trial};
use crate::journal::Status;
use crate::script::{ContextExt, ScriptResult};

pub fn module() -> Module {
    exported_module!(functions)
}

// Rhai's macro needs the bodies inline. The doc comments are the reference of tests.
#[export_module]
mod functions {
    /// Expects two values to be the same. Numbers are the same when their sizes are.
    ///
    /// Errors: `EXPECTATION`.
    ///
    /// ```rhai
    /// test::equal(kv::get("clips_made"), 5);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn equal(ctx: NativeCallContext, actual: Dynamic, expected: Dynamic) -> ScriptResult {
        let (actual, expected) = (ctx.value(&actual)?, ctx.value(&expected)?);
        ctx.check(expect::equal(&actual, &expected))?;
        Ok(Dynamic::UNIT)
    }

    /// Expects a text to have another in it, an array to have such an item, or a map to have such fields.
    ///
    /// - `part`: of a map, or an item that is one, only the fields that are named are looked at.
    ///
    /// Errors: `EXPECTATION`.
    ///
    /// ```rhai
    /// test::contains(run.effect("slack.post").args.text, "is ready");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn contains(ctx: NativeCallContext, whole: Dynamic, part: Dynamic) -> ScriptResult {
        let (whole, part) = (ctx.value(&whole)?, ctx.value(&part)?);
        ctx.check(expect::contains(&whole, &part))?;
        Ok(Dynamic::UNIT)
    }

    /// Expects something to be true.
    ///
    /// Errors: `EXPECTATION`.
    ///
    /// ```rhai
    /// test::that(run.seconds < 60.0);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn that(ctx: NativeCallContext, is_so: bool) -> ScriptResult {
        that_said(ctx, is_so, "this is false, and true is expected")
    }

    /// The same, with what is said when it is not so.
    ///
    /// Errors: `EXPECTATION`.
    ///
    /// ```rhai
    /// test::that(run.count("slack.post") < 3, "it posts too much");
    /// ```
    #[rhai_fn(name = "that", return_raw)]
    pub fn that_said(ctx: NativeCallContext, is_so: bool, otherwise: &str) -> ScriptResult {
        if !is_so {
            ctx.check(Err(expect::unmet(otherwise)))?;
        }
        Ok(Dynamic::UNIT)
    }

    /// Expects a run to have succeeded.
    ///
    /// Errors: `EXPECTATION`.
    ///
    /// ```rhai
    /// test::succeeded(run);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn succeeded(ctx: NativeCallContext, run: Played) -> ScriptResult {
        if run.see().outcome.status != Status::Succeeded {
            let message = format!("{} {}", run.get().playbook, run.ending());
            ctx.check(Err(expect::unmet(message)))?;
        }
        Ok(Dynamic::UNIT)
    }

    /// Expects a run to have ended with an error of this code: failed, or in need of a decision.
    ///
    /// Errors: `EXPECTATION`.
    ///
    /// ```rhai
    /// test::failed(run, "TOO_CARELESS");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn failed(ctx: NativeCallContext, run: Played, code: &str) -> ScriptResult {
        let error = run.see().outcome.error.as_ref();
        if error.is_none_or(|error| error.failure.code != code) {
            let message = format!("{} should end with {code}, and it {}", run.get().playbook, run.ending());
            ctx.check(Err(expect::unmet(message)))?;
        }
        Ok(Dynamic::UNIT)
    }

    /// Compares a run's effects and its end, or any value, with what `host test --accept` took last.
    ///
    /// What is kept lies beside the test file, in a file ending in `.snap` that can be reviewed.
    ///
    /// Errors: `SNAPSHOT`.
    ///
    /// ```rhai
    /// test::snapshot(test::run("demo"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn snapshot(ctx: NativeCallContext, value: Dynamic) -> ScriptResult {
        let text = text_of(&ctx, &value)?;
        ctx.check(trial(&ctx)?.snapshot(None, text))?;
        Ok(Dynamic::UNIT)
    }

    /// The same, under a name of its own.
    ///
    /// Errors: `SNAPSHOT`.
    ///
    /// ```rhai
    /// test::snapshot(store::get("clips", "a"), "the clip");
    /// ```
    #[rhai_fn(name = "snapshot", return_raw)]
    pub fn snapshot_named(ctx: NativeCallContext, value: Dynamic, name: &str) -> ScriptResult {
        let text = text_of(&ctx, &value)?;
        ctx.check(trial(&ctx)?.snapshot(Some(name), text))?;
        Ok(Dynamic::UNIT)
    }
}

fn text_of(ctx: &NativeCallContext<'_>, value: &Dynamic) -> ScriptResult<String> {
    match value.clone().try_cast::<Played>() {
        Some(run) => {
            run.see();
            Ok(shown::run(&run))
        }
        None => Ok(shown::value(&ctx.value(value)?)),
    }
}
