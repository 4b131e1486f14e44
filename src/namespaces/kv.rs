//! `kv::` — small values that outlive a run.
//!
//! What a playbook sees of the key-value table of its realm. Each function names its effect and hands it to the gate,
//! which decides whether the closure runs at all.

use rhai::Map;
use rhai::plugin::*;

use super::options::Options;
use crate::effect::Declaration;
use crate::script::{ContextExt, ScriptResult};
use crate::store::StoreError;
use crate::store::kv::{self, KV_LIST_MAX};
use crate::value::Value;

pub fn module() -> Module {
    exported_module!(functions)
}

static GET: Declaration = Declaration::local("kv.get").recomputed();
static PUT: Declaration = Declaration::local("kv.put").recomputed();
static REMOVE: Declaration = Declaration::local("kv.remove").recomputed();
static INCREMENT: Declaration = Declaration::local("kv.increment").recomputed();
static LIST: Declaration = Declaration::local("kv.list").recomputed();

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Returns the value stored under `key`, or `()` when there is none or it has expired.
    ///
    /// - `key`: 1 to 512 bytes.
    ///
    /// Errors: `STORE_BAD_NAME` for an empty key, `STORE_TOO_LARGE` for a long one.
    ///
    /// ```rhai
    /// let last = kv::get("last_video") ?? "none yet";
    /// ```
    #[rhai_fn(return_raw)]
    pub fn get(ctx: NativeCallContext, key: &str) -> ScriptResult {
        ctx.local(&GET, [("key", key.into())], |local| {
            Ok(kv::get(&mut local.tx, key)?.into())
        })
    }

    /// Stores `value` under `key`, in place of what was there, and keeps it until it is removed.
    ///
    /// - `key`: 1 to 512 bytes.
    /// - `value`: plain data, up to 8 MiB.
    ///
    /// Errors: `STORE_BAD_NAME`, `STORE_TOO_LARGE`, `NOT_PLAIN_DATA` for a function or a range.
    ///
    /// ```rhai
    /// kv::put("last_video", #{ id: "a1", seconds: 42 });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn put(ctx: NativeCallContext, key: &str, value: Dynamic) -> ScriptResult {
        let value = ctx.value(&value)?;
        ctx.local(&PUT, [("key", key.into()), ("value", value.clone())], |local| {
            kv::put(&mut local.tx, key, &value, None)?;
            Ok(Value::Unit)
        })
    }

    /// Stores `value` under `key` for a limited time.
    ///
    /// - `key`: 1 to 512 bytes.
    /// - `value`: plain data, up to 8 MiB.
    /// - `options`: `ttl`, how long it lasts, such as `"1h"` or a number of seconds, from 1 ms to 3650 days. Without it
    ///   the value stays until it is removed.
    ///
    /// Errors: those of `put` without options, and `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// kv::put("posted_today", true, #{ ttl: "24h" });
    /// ```
    #[rhai_fn(name = "put", return_raw)]
    pub fn put_with(ctx: NativeCallContext, key: &str, value: Dynamic, options: Map) -> ScriptResult {
        let value = ctx.value(&value)?;
        let mut options = ctx.check(Options::new("kv::put", &options))?;
        let ttl = ctx.check(options.duration("ttl"))?;
        ctx.check(options.finish())?;
        let ttl_ms = ttl.map(|ttl| ttl.as_millis() as i64);
        let args = [("key", key.into()), ("value", value.clone()), ("ttl_ms", ttl_ms.into())];
        ctx.local(&PUT, args, |local| {
            kv::put(&mut local.tx, key, &value, ttl_ms)?;
            Ok(Value::Unit)
        })
    }

    /// Forgets `key`; returns whether it was there.
    ///
    /// - `key`: 1 to 512 bytes.
    ///
    /// Errors: `STORE_BAD_NAME`, `STORE_TOO_LARGE`.
    ///
    /// ```rhai
    /// if kv::remove("paused") { log::info("going on"); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn remove(ctx: NativeCallContext, key: &str) -> ScriptResult {
        ctx.local(&REMOVE, [("key", key.into())], |local| {
            Ok(kv::remove(&mut local.tx, key)?.into())
        })
    }

    /// Adds 1 to the whole number under `key`, which counts as 0 when there is none; returns the sum.
    ///
    /// Of several runs that increment at once, each counts. A time limit set by `put` stays as it was.
    ///
    /// - `key`: 1 to 512 bytes.
    ///
    /// Errors: `STORE_NOT_A_NUMBER` when something else is stored there, `STORE_OVERFLOW`, `STORE_BAD_NAME`.
    ///
    /// ```rhai
    /// let part = kv::increment("series/part");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn increment(ctx: NativeCallContext, key: &str) -> ScriptResult {
        add(&ctx, key, 1)
    }

    /// Adds `by` to the whole number under `key`, which counts as 0 when there is none; returns the sum.
    ///
    /// - `key`: 1 to 512 bytes.
    /// - `by`: a whole number; a negative one subtracts.
    ///
    /// Errors: `STORE_NOT_A_NUMBER` when something else is stored there, `STORE_OVERFLOW`, `STORE_BAD_NAME`.
    ///
    /// ```rhai
    /// let left = kv::increment("credits", -5);
    /// ```
    #[rhai_fn(name = "increment", return_raw)]
    pub fn increment_by(ctx: NativeCallContext, key: &str, by: i64) -> ScriptResult {
        add(&ctx, key, by)
    }

    /// Returns all pairs whose keys begin with `prefix`, in the order of their keys, as an array of
    /// `#{ key, value }`.
    ///
    /// - `prefix`: the beginning of the keys; `""` fits every key.
    ///
    /// Errors: `STORE_BAD_QUERY` when more than 10,000 keys fit; take a longer prefix, or a `limit`.
    ///
    /// ```rhai
    /// for pair in kv::list("paused/") { log::info(pair.key); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn list(ctx: NativeCallContext, prefix: &str) -> ScriptResult {
        ctx.local(&LIST, [("prefix", prefix.into())], |local| {
            all(kv::list(&mut local.tx, prefix, KV_LIST_MAX)?, prefix)
        })
    }

    /// Returns the first pairs whose keys begin with `prefix`, in the order of their keys, as an array of
    /// `#{ key, value }`.
    ///
    /// - `prefix`: the beginning of the keys; `""` fits every key.
    /// - `options`: `limit`, how many at most, from 1 to 10,000.
    ///
    /// Errors: `UNKNOWN_OPTION`, `BAD_OPTION`; without a `limit` those of `list` without options.
    ///
    /// ```rhai
    /// let next = kv::list("waiting/", #{ limit: 1 });
    /// ```
    #[rhai_fn(name = "list", return_raw)]
    pub fn list_with(ctx: NativeCallContext, prefix: &str, options: Map) -> ScriptResult {
        let mut options = ctx.check(Options::new("kv::list", &options))?;
        let limit = ctx.check(options.int("limit", 1..=KV_LIST_MAX as i64))?;
        ctx.check(options.finish())?;
        let Some(limit) = limit else { return list(ctx, prefix) };
        ctx.local(&LIST, [("prefix", prefix.into()), ("limit", limit.into())], |local| {
            Ok(pairs(kv::list(&mut local.tx, prefix, limit as usize)?))
        })
    }
}

fn add(ctx: &NativeCallContext<'_>, key: &str, by: i64) -> ScriptResult {
    ctx.local(&INCREMENT, [("key", key.into()), ("by", by.into())], |local| {
        Ok(kv::increment(&mut local.tx, key, by)?.into())
    })
}

/// The pairs of a listing that nobody limited. A full one may be cut short, and half of what was asked for must not
/// pass for all of it.
fn all(found: Vec<(String, Value)>, prefix: &str) -> Result<Value, StoreError> {
    if found.len() < KV_LIST_MAX {
        return Ok(pairs(found));
    }
    let reason = format!("{KV_LIST_MAX} keys or more begin with {prefix:?}; take a longer prefix, or give a `limit`");
    Err(StoreError::BadQuery { reason })
}

fn pairs(found: Vec<(String, Value)>) -> Value {
    Value::List(
        found
            .into_iter()
            .map(|(key, value)| Value::from([("key", key.into()), ("value", value)]))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::TestHost;

    #[test]
    fn a_value_is_there_for_the_next_run_and_a_replay_sees_what_was_there_then() {
        let host = TestHost::default();
        host.run(r#"kv::put("last_video", "a1")"#);
        let run = host.run(r#"let seen = kv::get("last_video"); kv::put("last_video", "b2"); seen"#);
        assert_eq!(run.value(), &Value::from("a1"));
        insta::assert_snapshot!(run.journal(), @r#"
        1 kv.get {"key":"last_video"} -> "a1"
        2 kv.put {"key":"last_video","value":"b2"} -> null
        "#);

        host.run(r#"kv::put("last_video", "changed since")"#);
        assert_eq!(host.replay(run.id()).outcome.value, Value::from("a1"));
        assert_eq!(
            host.run(r#"kv::get("last_video")"#).value(),
            &Value::from("changed since")
        );
    }

    #[test]
    fn a_value_with_a_ttl_is_gone_at_its_end() {
        let host = TestHost::default();
        host.run(r#"kv::put("a", 1, #{ ttl: "1h" })"#);
        host.clock.advance(Duration::from_secs(3599));
        assert_eq!(host.run(r#"kv::get("a")"#).value(), &Value::Int(1));
        host.clock.advance(Duration::from_secs(1));
        assert_eq!(host.run(r#"kv::get("a")"#).value(), &Value::Unit);
    }

    #[test]
    fn keys_are_counted_listed_and_removed() {
        let host = TestHost::default();
        let run = host.run(
            r#"kv::increment("n/b"); kv::increment("n/b", 4); kv::increment("n/a", -1); kv::put("other", 1);
               let all = kv::list("n/"); [all, kv::list("n/", #{ limit: 1 }).len(), kv::remove("n/a"), kv::remove("n/a")]"#,
        );
        assert_eq!(
            run.value().to_string(),
            r#"[[{"key":"n/a","value":-1},{"key":"n/b","value":5}],1,true,false]"#
        );
    }

    #[test]
    fn a_listing_that_may_be_cut_short_is_refused_rather_than_cut() {
        let found = |count| vec![("a".to_owned(), Value::Unit); count];
        assert!(all(found(KV_LIST_MAX - 1), "a").is_ok());
        let refusal = all(found(KV_LIST_MAX), "a").expect_err("refused").to_string();
        assert!(refusal.starts_with("10000 keys or more begin with \"a\""), "{refusal}");
    }

    #[test]
    fn refusals_name_the_value_and_the_way_out() {
        let host = TestHost::default();
        let refusal = |script: &str| host.run(script).failure().to_string();
        assert_eq!(
            refusal(r#"kv::get("")"#),
            r#"STORE_BAD_NAME: "" is no key: it is empty"#
        );
        assert_eq!(
            refusal(r#"kv::put("a", "x"); kv::increment("a")"#),
            r#"STORE_NOT_A_NUMBER: "a" holds string, not a whole number; only whole numbers can be incremented"#
        );
        assert_eq!(
            refusal(r#"kv::put("a", 1, #{ tll: "1h" })"#),
            "UNKNOWN_OPTION: `kv::put` has no option `tll`; did you mean `ttl`?"
        );
        assert_eq!(
            refusal(r#"kv::put("a", || 1)"#),
            "NOT_PLAIN_DATA: a function cannot leave the script: pass plain data (numbers, strings, arrays, maps, blobs)"
        );
        assert!(refusal(r#"kv::put("a", 1, #{ ttl: 0 })"#).starts_with("STORE_BAD_QUERY: \"a\" would last 0 ms"));
    }
}
