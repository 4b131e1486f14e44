//! `log::` — lines for whoever watches the run or reads its log later.
//!
//! Lines are diagnostic: no effect, nothing is decided by them, and a replay is silent. Secrets in them are masked.
//!
//! The quietest level is called `trace` because `debug` is a reserved word of the language.

use rhai::Map;
use rhai::plugin::*;

use crate::gate::observer::LogLevel;
use crate::script::{ContextExt, ScriptResult};
use crate::value::Value;

pub fn module() -> Module {
    exported_module!(functions)
}

/// Longer messages are cut.
const MESSAGE_BYTES_MAX: usize = 8 << 10;

/// Larger fields are left out.
const FIELDS_BYTES_MAX: usize = 64 << 10;

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Writes a line for whoever looks for a mistake; it is shown only when asked for.
    ///
    /// - `message`: up to 8 KiB; what is longer is cut.
    ///
    /// Errors: none.
    ///
    /// ```rhai
    /// log::trace(`the feed has ${file::read_json("inbox/feed.json").items.len()} items`);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn trace(ctx: NativeCallContext, message: &str) -> ScriptResult {
        write(&ctx, LogLevel::Debug, message, None)
    }

    /// Writes a line for whoever looks for a mistake, with fields to search by.
    ///
    /// - `message`: up to 8 KiB; what is longer is cut.
    /// - `fields`: plain data, up to 64 KiB; what is larger is left out.
    ///
    /// Errors: `NOT_PLAIN_DATA`.
    ///
    /// ```rhai
    /// log::trace("page read", #{ page: 2, items: 50 });
    /// ```
    #[rhai_fn(name = "trace", return_raw)]
    pub fn trace_with(ctx: NativeCallContext, message: &str, fields: Map) -> ScriptResult {
        write(&ctx, LogLevel::Debug, message, Some(fields))
    }

    /// Writes a line that says how things go.
    ///
    /// - `message`: up to 8 KiB; what is longer is cut.
    ///
    /// Errors: none.
    ///
    /// ```rhai
    /// log::info("three clips are ready");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn info(ctx: NativeCallContext, message: &str) -> ScriptResult {
        write(&ctx, LogLevel::Info, message, None)
    }

    /// Writes a line that says how things go, with fields to search by.
    ///
    /// - `message`: up to 8 KiB; what is longer is cut.
    /// - `fields`: plain data, up to 64 KiB; what is larger is left out.
    ///
    /// Errors: `NOT_PLAIN_DATA`.
    ///
    /// ```rhai
    /// log::info("clips are ready", #{ count: 3 });
    /// ```
    #[rhai_fn(name = "info", return_raw)]
    pub fn info_with(ctx: NativeCallContext, message: &str, fields: Map) -> ScriptResult {
        write(&ctx, LogLevel::Info, message, Some(fields))
    }

    /// Writes a line about something that is not as it should be, while the run goes on.
    ///
    /// - `message`: up to 8 KiB; what is longer is cut.
    ///
    /// Errors: none.
    ///
    /// ```rhai
    /// log::warn("the feed is older than a day");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn warn(ctx: NativeCallContext, message: &str) -> ScriptResult {
        write(&ctx, LogLevel::Warn, message, None)
    }

    /// Writes a line about something that is not as it should be, with fields to search by.
    ///
    /// - `message`: up to 8 KiB; what is longer is cut.
    /// - `fields`: plain data, up to 64 KiB; what is larger is left out.
    ///
    /// Errors: `NOT_PLAIN_DATA`.
    ///
    /// ```rhai
    /// log::warn("the feed is old", #{ hours: 30 });
    /// ```
    #[rhai_fn(name = "warn", return_raw)]
    pub fn warn_with(ctx: NativeCallContext, message: &str, fields: Map) -> ScriptResult {
        write(&ctx, LogLevel::Warn, message, Some(fields))
    }

    /// Writes a line about something that went wrong. The run goes on; to end it, use `throw`.
    ///
    /// - `message`: up to 8 KiB; what is longer is cut.
    ///
    /// Errors: none.
    ///
    /// ```rhai
    /// log::error("no clip could be cut");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn error(ctx: NativeCallContext, message: &str) -> ScriptResult {
        write(&ctx, LogLevel::Error, message, None)
    }

    /// Writes a line about something that went wrong, with fields to search by. The run goes on; to end it, use `throw`.
    ///
    /// - `message`: up to 8 KiB; what is longer is cut.
    /// - `fields`: plain data, up to 64 KiB; what is larger is left out.
    ///
    /// Errors: `NOT_PLAIN_DATA`.
    ///
    /// ```rhai
    /// try { media::cut("inbox/clip.mp4", #{ to: 6 }); }
    /// catch (e) { log::error("no clip could be cut", #{ code: e.code }); }
    /// ```
    #[rhai_fn(name = "error", return_raw)]
    pub fn error_with(ctx: NativeCallContext, message: &str, fields: Map) -> ScriptResult {
        write(&ctx, LogLevel::Error, message, Some(fields))
    }
}

fn write(ctx: &NativeCallContext<'_>, level: LogLevel, message: &str, fields: Option<Map>) -> ScriptResult {
    let fields = match fields {
        Some(fields) => small(ctx.value(&fields.into())?),
        None => Value::Unit,
    };
    let run = ctx.run()?;
    // Before it is cut: half a secret would not be found.
    let message = run.gate().masks.mask_text(message.to_owned());
    run.log_with(level, &cut(&message), &fields);
    Ok(Dynamic::UNIT)
}

fn cut(message: &str) -> String {
    if message.len() <= MESSAGE_BYTES_MAX {
        return message.to_owned();
    }
    let end = (0..=MESSAGE_BYTES_MAX)
        .rev()
        .find(|at| message.is_char_boundary(*at))
        .unwrap_or(0);
    format!("{}… (cut: the message has {} bytes)", &message[..end], message.len())
}

fn small(fields: Value) -> Value {
    match fields.size() {
        0..=FIELDS_BYTES_MAX => fields,
        bytes => Value::from([(
            "left_out",
            format!("fields of {bytes} bytes; at most {FIELDS_BYTES_MAX} are kept").into(),
        )]),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::gate::{Notice, Observer};
    use crate::testing::TestHost;

    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);

    impl Observer for Lines {
        fn notice(&self, notice: Notice<'_>) {
            if let Notice::Log { level, message, fields } = notice {
                self.0.lock().unwrap().push(format!("{level:?} {message} {fields}"));
            }
        }
    }

    #[test]
    fn lines_are_told_with_their_fields_and_without_secrets() {
        let lines = Arc::new(Lines::default());
        let mut host = TestHost::default().secret("KEY", "sk-123456789");
        host.observer = lines.clone();
        let run = host.run(
            r#"log::trace("a"); log::info("b", #{ n: 1 }); log::warn("c sk-123456789", #{ k: "sk-123456789" });
               log::error("d"); log::error("e", #{})"#,
        );
        assert_eq!(run.value(), &Value::Unit);
        assert_eq!(run.journal(), "");
        assert_eq!(
            *lines.0.lock().unwrap(),
            [
                "Debug a null",
                "Info b {\"n\":1}",
                "Warn c [masked:KEY] {\"k\":\"[masked:KEY]\"}",
                "Error d null",
                "Error e {}"
            ]
        );
    }

    #[test]
    fn what_is_too_long_is_cut_between_letters_and_says_so() {
        let long = "é".repeat(MESSAGE_BYTES_MAX);
        let line = cut(&format!("a{long}"));
        assert!(
            line.ends_with("é… (cut: the message has 16385 bytes)"),
            "{}",
            &line[line.len() - 60..]
        );
        let fields = small(Value::from([("a", "x".repeat(FIELDS_BYTES_MAX).into())]));
        assert!(
            fields.to_string().starts_with(r#"{"left_out":"fields of 655"#),
            "{fields}"
        );
    }
}
