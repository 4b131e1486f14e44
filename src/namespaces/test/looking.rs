//! The fields and methods of a run: what a test looks at.
#![expect(
    clippy::unwrap_used,
    reason = "Rhai's macro unwraps an argument that it has checked before"
)]

use rhai::Array;
use rhai::plugin::*;

use super::played::Played;
use crate::script::value::to_dynamic;
use crate::script::{ContextExt, ScriptResult};
use crate::value::Value;

pub fn module() -> Module {
    exported_module!(functions)
}

// Rhai's macro needs the bodies inline.
#[export_module]
mod functions {
    #[rhai_fn(get = "status", pure)]
    pub fn status(run: &mut Played) -> String {
        run.see().outcome.status.code().to_owned()
    }

    #[rhai_fn(get = "value", pure)]
    pub fn value(run: &mut Played) -> Dynamic {
        to_dynamic(run.get().outcome.value.clone())
    }

    #[rhai_fn(get = "error", pure)]
    pub fn error(run: &mut Played) -> Dynamic {
        run.see();
        to_dynamic(run.error())
    }

    #[rhai_fn(get = "effects", pure)]
    pub fn effects(run: &mut Played) -> Dynamic {
        to_dynamic(Value::List(run.effects(None)))
    }

    #[rhai_fn(get = "calls", pure)]
    pub fn calls(run: &mut Played) -> Array {
        run.calls()
            .into_iter()
            .map(|name| Dynamic::from(name.to_owned()))
            .collect()
    }

    #[rhai_fn(get = "logs", pure)]
    pub fn logs(run: &mut Played) -> Dynamic {
        to_dynamic(Value::List(run.get().logs.clone()))
    }

    #[rhai_fn(get = "waits", pure)]
    pub fn waits(run: &mut Played) -> Dynamic {
        to_dynamic(run.see().waits.clone().into())
    }

    #[rhai_fn(get = "seconds", pure)]
    pub fn seconds(run: &mut Played) -> f64 {
        run.get().took_ms as f64 / 1000.0
    }

    #[rhai_fn(get = "children", pure)]
    pub fn children(run: &mut Played) -> Array {
        run.get().children.iter().cloned().map(Dynamic::from).collect()
    }

    /// Returns the first effect of a run that has this name: `step`, `name`, `class`, `args`, `value`, `error`,
    /// `simulated`, `decision`, `attempts`, `in_doubt`, `at` (seconds), `line`, `module`.
    ///
    /// Errors: `EXPECTATION` when there is none.
    #[rhai_fn(return_raw, pure)]
    pub fn effect(ctx: NativeCallContext, run: &mut Played, name: &str) -> ScriptResult {
        nth_effect(&ctx, run, name, 0)
    }

    /// Returns one of the effects of a run that have this name, counted from 0.
    ///
    /// Errors: `EXPECTATION` when there is none.
    #[rhai_fn(name = "effect", return_raw, pure)]
    pub fn effect_at(ctx: NativeCallContext, run: &mut Played, name: &str, index: i64) -> ScriptResult {
        nth_effect(&ctx, run, name, usize::try_from(index).unwrap_or(usize::MAX))
    }

    /// Returns how many effects of a run have this name.
    #[rhai_fn(pure)]
    pub fn count(run: &mut Played, name: &str) -> i64 {
        run.effects(Some(name)).len() as i64
    }
}

fn nth_effect(ctx: &NativeCallContext<'_>, run: &Played, name: &str, index: usize) -> ScriptResult {
    let mut effects = run.effects(Some(name));
    if index >= effects.len() {
        ctx.check(Err::<(), _>(run.no_effect(name, index)))?;
    }
    Ok(to_dynamic(effects.swap_remove(index)))
}
