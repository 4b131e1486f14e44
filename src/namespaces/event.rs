//! `event::` — says that something has happened, for runs that wait for it with `run::wait_event`.

use std::sync::Mutex;
use std::sync::PoisonError;

use rhai::plugin::*;

use crate::effect::{Declaration, Failure};
use crate::journal::event;
use crate::script::{ContextExt, ScriptResult};
use crate::value::Value;

pub fn module() -> Module {
    exported_module!(functions)
}

/// Not recomputed: whom it woke depends on runs that a what-if does not have.
static EMIT: Declaration = Declaration::local("event.emit");

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Says that `name` has happened; returns how many runs were waiting for it, which go on now.
    ///
    /// Runs that began before and ask later are given it, too; see `run::wait_event`. Of each name the last 1,000 events
    /// are kept. A simulated run tells simulated runs, a live one live ones, and a plan nobody.
    ///
    /// - `name`: 1 to 200 bytes.
    ///
    /// Errors: `EVENT_INVALID`.
    ///
    /// ```rhai
    /// event::emit("clips.ready") // => 0
    /// ```
    #[rhai_fn(return_raw)]
    pub fn emit(ctx: NativeCallContext, name: &str) -> ScriptResult {
        happen(&ctx, name, Value::Unit)
    }

    /// Says that `name` has happened, and what; returns how many runs were waiting for it, which go on now.
    ///
    /// - `name`: 1 to 200 bytes.
    /// - `data`: what `run::wait_event` returns; plain data, up to 64 KiB.
    ///
    /// Errors: `EVENT_INVALID`, `STORE_TOO_LARGE` for the data, `NOT_PLAIN_DATA`.
    ///
    /// ```rhai
    /// event::emit("clip.posted", #{ id: "2026-11-21-a", views: 0 }) // => 0
    /// ```
    #[rhai_fn(name = "emit", return_raw)]
    pub fn emit_with(ctx: NativeCallContext, name: &str, data: Dynamic) -> ScriptResult {
        let data = ctx.value(&data)?;
        happen(&ctx, name, data)
    }
}

fn happen(ctx: &NativeCallContext<'_>, name: &str, data: Value) -> ScriptResult {
    ctx.check(check_name(name))?;
    let woken = Mutex::new(Vec::new());
    let mut args = vec![("name".to_owned(), Value::from(name))];
    if !data.is_unit() {
        args.push(("data".to_owned(), data.clone()));
    }
    let args: crate::value::Map = args.into_iter().collect();
    let run = ctx.run()?;
    let (by, corr) = {
        let tape = run.tape();
        (tape.run, tape.begun().corr())
    };
    let given = ctx.local(&EMIT, args, |local| {
        let waiting = event::happen(&mut local.tx, name, &data, Some(by), Some(&corr))?;
        let count = waiting.len() as i64;
        *woken.lock().unwrap_or_else(PoisonError::into_inner) = waiting;
        Ok(count.into())
    })?;
    // The change is made: whoever looks now finds the event.
    for waiting in woken.into_inner().unwrap_or_else(PoisonError::into_inner) {
        run.gate().ready.tell(waiting);
    }
    Ok(given)
}

fn check_name(name: &str) -> Result<(), Failure> {
    if !name.is_empty() && name.len() <= event::NAME_BYTES_MAX {
        return Ok(());
    }
    let (bytes, max) = (name.len(), event::NAME_BYTES_MAX);
    let message = format!("the name of the event has {bytes} bytes; 1 to {max} are allowed");
    Err(Failure::new("EVENT_INVALID", message))
}

#[cfg(test)]
mod tests {
    use crate::journal::Status;
    use crate::testing::TestHost;

    #[test]
    fn a_run_that_waits_goes_on_when_another_says_so_and_once_only() {
        let host = TestHost::default();
        let waits = host.start(r#"let e = run::wait_event("posted"); [e.id, run::wait_event("posted").id]"#);
        assert_eq!(waits.outcome().status, Status::Suspended);
        let emits = host.run(r#"[event::emit("posted", #{ id: 7 }), event::emit("other")]"#);
        assert_eq!(emits.value().to_string(), "[1,0]");
        host.clock.advance(std::time::Duration::from_secs(1));
        host.drive([waits.id()]);
        let emits = host.run(r#"event::emit("posted", #{ id: 8 })"#);
        assert_eq!(emits.value().to_string(), "1");
        let ended = host.resume(waits.id());
        let value = match ended {
            Ok(ended) => ended.value().to_string(),
            Err(_) => host.replay(waits.id()).outcome.value.to_string(),
        };
        assert_eq!(value, "[7,8]");
        // A replay of the emitter wakes nobody and writes nothing.
        let before = host.ground.store.stats().last_commit;
        host.replay(emits.id());
        assert_eq!(host.ground.store.stats().last_commit, before);
    }

    #[test]
    fn a_child_that_waits_is_woken_by_its_parent_in_the_same_process() {
        let host = TestHost::default().file("playbooks/child.rhai", r#"run::wait_event("go").word"#);
        let run = host.run(
            r#"
            let child = playbook::start("child", #{});
            run::sleep("1s");
            event::emit("go", #{ word: "now" });
            playbook::wait(child)
            "#,
        );
        assert!(run.value().to_string().contains("now"), "{}", run.value());
    }

    #[test]
    fn a_live_run_does_not_hear_of_a_dry_one() {
        let mut host = TestHost::default();
        let waits = host.start(r#"run::wait_event("posted", #{ timeout: "1h" })"#);
        host.mode.live = true;
        assert_eq!(host.run(r#"event::emit("posted")"#).value().to_string(), "0");
        host.mode.live = false;
        assert_eq!(waits.outcome().status, Status::Suspended);
        assert_eq!(host.run(r#"event::emit("posted")"#).value().to_string(), "1");
        assert_eq!(host.run(r#"event::emit("")"#).failure().code, "EVENT_INVALID");
        let large = host.run(r#"let s = "x"; s.pad(70000, 'x'); event::emit("a", s)"#);
        assert_eq!(large.failure().code, "STORE_TOO_LARGE");
    }
}
