//! `status::` — lines that a playbook contributes to the pages of a server: `/status`, `/readyz` and `/admin/monitor`.
//!
//! A line is no history: what is said under a name takes the place of what was said before, and goes when its time is over.
//! A simulated run's lines stand beside the live ones, never among them.

use rhai::Map;
use rhai::plugin::*;

use super::options::Options;
use crate::effect::{Declaration, Failure};
use crate::script::{ContextExt, ScriptResult};
use crate::store::lines::{self, LASTS_MS, LASTS_MS_MAX, Level, Line, NAME_BYTES_MAX, TEXT_CHARS_MAX};
use crate::value::Value;

pub fn module() -> Module {
    exported_module!(functions)
}

// Not recomputed: who reads a page is no run.
static LINE: Declaration = Declaration::local("status.line");
static CLEAR: Declaration = Declaration::local("status.clear");

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Shows a line on the server's pages for 24 hours, in place of the one of that name.
    ///
    /// - `name`: 1 to 60 letters, digits, `_`, `-`, `.` or `:`; playbooks share them. At most 200 lines stand at a time.
    /// - `text`: 1 to 200 characters.
    ///
    /// Errors: `LINE_INVALID`, `LINE_LIMIT`.
    ///
    /// ```rhai
    /// status::line("vod.queue", "3 videos wait, the oldest for 2 h")
    /// ```
    #[rhai_fn(return_raw)]
    pub fn line(ctx: NativeCallContext, name: &str, text: &str) -> ScriptResult {
        say(&ctx, name, text, &Map::new())
    }

    /// Shows a line on the server's pages, in place of the one of that name.
    ///
    /// - `name`, `text`: as in `line` without options.
    /// - `options`: `level`, `"info"`, `"good"`, `"warn"` or `"bad"`; `ready`, a bool: with `false`, `/readyz` says that
    ///   the server is not ready as long as the line stands; `lasts`, how long that is, `"24h"` when nothing is said and
    ///   at most `"30d"`.
    ///
    /// Errors: `LINE_INVALID`, `LINE_LIMIT`, `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// status::line("vod.login", "the login has expired", #{ level: "bad", ready: false, lasts: "2h" })
    /// ```
    #[rhai_fn(name = "line", return_raw)]
    pub fn line_with(ctx: NativeCallContext, name: &str, text: &str, options: Map) -> ScriptResult {
        say(&ctx, name, text, &options)
    }

    /// Takes the line of that name away; returns whether there was one.
    ///
    /// - `name`: as in `line`.
    ///
    /// Errors: `LINE_INVALID`.
    ///
    /// ```rhai
    /// status::line("vod.login", "the login has expired");
    /// status::clear("vod.login") // => true
    /// ```
    #[rhai_fn(return_raw)]
    pub fn clear(ctx: NativeCallContext, name: &str) -> ScriptResult {
        ctx.check(check_name(name))?;
        ctx.local(&CLEAR, [("name", name.into())], |local| {
            lines::remove(&mut local.tx, name).map(Value::from)
        })
    }
}

fn say(ctx: &NativeCallContext<'_>, name: &str, text: &str, options: &Map) -> ScriptResult {
    ctx.check(check_name(name))?;
    ctx.check(check_text(text))?;
    let mut taken = ctx.check(Options::new("status::line", options))?;
    let given = taken.to_value();
    let level = ctx.check(taken.choice("level", &Level::ALL))?.unwrap_or_default();
    let ready = ctx.check(taken.bool("ready"))?;
    let lasts = ctx.check(taken.duration("lasts"))?;
    ctx.check(taken.finish())?;
    let lasts_ms = lasts.map_or(LASTS_MS, |lasts| i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX));
    ctx.check(check_lasts(lasts_ms))?;
    let run = ctx.run()?;
    let playbook = run.tape().begun().playbook.clone();
    // It stands on pages that others read.
    let text = run.gate().masks.mask_text(text.trim().to_owned());
    let mut args = vec![
        ("name".to_owned(), Value::from(name)),
        ("text".to_owned(), text.as_str().into()),
    ];
    if !options.is_empty() {
        args.push(("options".to_owned(), given));
    }
    let args: crate::value::Map = args.into_iter().collect();
    ctx.local(&LINE, args, |local| {
        let now_ms = local.tx.now_ms;
        let line = Line {
            text: text.clone(),
            level,
            ready,
            playbook: playbook.clone(),
            at_ms: now_ms,
            expires_ms: now_ms.saturating_add(lasts_ms),
        };
        lines::put(&mut local.tx, name, &line)?;
        Ok(Value::Unit)
    })
}

fn invalid(message: String) -> Failure {
    Failure::new("LINE_INVALID", message)
}

fn check_name(name: &str) -> Result<(), Failure> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':');
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    let shown: String = name.chars().take(60).collect();
    Err(invalid(format!(
        "{shown:?} is no name of a line: it needs 1 to {NAME_BYTES_MAX} letters, digits, \"_\", \"-\", \".\" or \":\""
    )))
}

fn check_text(text: &str) -> Result<(), Failure> {
    let chars = text.trim().chars().count();
    if (1..=TEXT_CHARS_MAX).contains(&chars) {
        return Ok(());
    }
    Err(invalid(format!(
        "the line has {chars} characters; 1 to {TEXT_CHARS_MAX} are allowed"
    )))
}

fn check_lasts(lasts_ms: i64) -> Result<(), Failure> {
    if (1..=LASTS_MS_MAX).contains(&lasts_ms) {
        return Ok(());
    }
    let max = crate::duration::for_people(LASTS_MS_MAX as u64);
    Err(invalid(format!(
        "the line would stand for {lasts_ms} ms; 1 ms to {max} are allowed"
    )))
}

#[cfg(test)]
mod tests {
    use crate::io::clock::Clock;
    use crate::store::Realm;
    use crate::store::lines::{Level, standing};
    use crate::testing::TestHost;

    #[test]
    fn the_last_word_under_a_name_stands_and_a_replay_says_nothing() {
        let host = TestHost::default();
        let run = host.run(
            r#"status::line("vod.login", "fine");
               status::line("vod.login", "expired", #{ level: "bad", ready: false, lasts: "2h" });
               status::line("vod.other", "x");
               status::clear("vod.other")"#,
        );
        assert_eq!(run.value().to_string(), "true");
        let lines = || standing(&*host.ground.store, Realm::Dry, host.clock.unix_ms()).unwrap();
        let found = lines();
        assert_eq!(found.len(), 1);
        let (name, line) = &found[0];
        assert_eq!(
            (name.as_str(), line.text.as_str(), line.ready),
            ("vod.login", "expired", Some(false))
        );
        assert_eq!((line.level, line.playbook.as_str()), (Level::Bad, "test"));
        host.clock.advance(std::time::Duration::from_secs(7_200));
        assert!(lines().is_empty());
        host.replay(run.id());
        assert!(lines().is_empty());
    }

    #[test]
    fn what_cannot_be_a_line_is_refused() {
        let host = TestHost::default();
        for (call, code) in [
            (r#"status::line("", "x")"#, "LINE_INVALID"),
            (r#"status::line("a b", "x")"#, "LINE_INVALID"),
            (r#"status::line("a", " ")"#, "LINE_INVALID"),
            (r#"let t = "x"; t.pad(201, "x"); status::line("a", t)"#, "LINE_INVALID"),
            (r#"status::line("a", "x", #{ lasts: "31d" })"#, "LINE_INVALID"),
            (r#"status::line("a", "x", #{ level: "loud" })"#, "BAD_OPTION"),
            (r#"status::line("a", "x", #{ redy: true })"#, "UNKNOWN_OPTION"),
        ] {
            assert_eq!(host.run(call).failure().code, code, "{call}");
        }
    }
}
