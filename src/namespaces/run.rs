//! `run::` — what a run knows of itself.
//!
//! Its id, input and folder are fixed when it begins, so reading them is no effect.

use rhai::plugin::*;

use crate::effect::{Declaration, Failure};
use crate::script::value::to_dynamic;
use crate::script::{ContextExt, ScriptResult};
use crate::value::Value;

pub fn module() -> Module {
    exported_module!(functions)
}

static NOTE: Declaration = Declaration::local("run.note");

/// The longest note.
const NOTE_BYTES_MAX: usize = 4096;

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Returns the id of this run: 26 letters and digits, as `host runs` shows them.
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
