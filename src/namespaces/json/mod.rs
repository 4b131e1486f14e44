//! `json::` — between JSON and a script's values, and what standards do with such data. Pure: nothing is journaled.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`path`] | places in a value: `items[0].title` |
//! | [`schema`] | checking data against a JSON Schema |
//! | [`query`] | JSONPath (RFC 9535) |
//! | [`patch`] | JSON Patch (RFC 6902) and Merge Patch (RFC 7386) |
//!
//! Schemas, queries and patches may come from elsewhere: what they could cost is reckoned before they are let loose, as
//! nothing can stop them on their way.

pub mod patch;
pub mod path;
pub mod query;
pub mod schema;

use rhai::plugin::*;
use rhai::{Array, Map};

use self::path::steps;
use super::file::parse::json_to_value;
use crate::script::value::to_dynamic;
use crate::script::{ContextExt, ScriptResult};
use crate::value::Value;

pub fn module() -> Module {
    exported_module!(functions)
}

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Returns the value of a JSON text.
    ///
    /// `null` becomes `()`; a whole number beyond 64 bits becomes a float. Of two fields with one name the later counts.
    ///
    /// - `text`: JSON, nested at most 64 levels deep.
    ///
    /// Errors: `JSON_INVALID`, with line and column.
    ///
    /// ```rhai
    /// let answer = json::parse(`{"score": 7}`);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn parse(ctx: NativeCallContext, text: &str) -> ScriptResult {
        ctx.check(json_to_value(text).map(to_dynamic))
    }

    /// Returns `value` as JSON on one line, its fields in the order of their names.
    ///
    /// `()` becomes `null`, a blob a base64 string; JSON has no NaN and no infinity, which become `null`.
    ///
    /// - `value`: plain data.
    ///
    /// Errors: `NOT_PLAIN_DATA` for a function or a range.
    ///
    /// ```rhai
    /// let line = json::stringify(#{ id: 7, tags: ["a", "b"] });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn stringify(ctx: NativeCallContext, value: Dynamic) -> ScriptResult {
        Ok(ctx.value(&value)?.to_string().into())
    }

    /// Returns `value` as JSON on several lines, indented for people.
    ///
    /// - `value`: plain data; see `stringify`.
    ///
    /// Errors: `NOT_PLAIN_DATA` for a function or a range.
    ///
    /// ```rhai
    /// log::info(json::pretty(store::query("clips", #{ limit: 1 })));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn pretty(ctx: NativeCallContext, value: Dynamic) -> ScriptResult {
        Ok(format!("{:#}", ctx.value(&value)?.to_json()).into())
    }

    /// Returns what lies at `path` within `value`, or `()` when nothing does.
    ///
    /// - `value`: a map or an array, of any depth.
    /// - `path`: names with dots between them, and places of arrays in brackets, counted from 0, or from -1 at the end:
    ///   `"items[0].title"`. A name with other characters goes in brackets and quotes: `a["b.c"]`. Up to 1,024 bytes.
    ///
    /// Errors: `JSON_PATH` when `path` is not of this form.
    ///
    /// ```rhai
    /// let feed = file::read_json("inbox/feed.json");
    /// let title = json::get(feed, "items[0].title") ?? "untitled";
    /// ```
    #[rhai_fn(return_raw)]
    pub fn get(ctx: NativeCallContext, value: Dynamic, path: &str) -> ScriptResult {
        let steps = ctx.check(steps(path))?;
        Ok(steps
            .iter()
            .try_fold(value, |value, step| step.from(&value))
            .unwrap_or(Dynamic::UNIT))
    }

    /// Returns what is wrong with `value` by a JSON Schema: an array of `#{ path, message }`, empty when nothing is.
    ///
    /// `path` is as `json::get` takes it, and empty for the value itself.
    ///
    /// - `value`: plain data.
    /// - `schema`: of drafts 4 to 2020-12, up to 10,000 values. `$ref` leads to places within it (`"#/$defs/clip"`) and
    ///   never elsewhere; `pattern` is a regular expression without look-around. At most 100 faults are given.
    ///
    /// Errors: `JSON_SCHEMA_INVALID` for a schema that is none, or that would take too long; `NOT_PLAIN_DATA`,
    /// `VALUE_TOO_LARGE`.
    ///
    /// ```rhai
    /// let schema = #{ type: "object", required: ["title"], properties: #{ score: #{ type: "integer", maximum: 10 } } };
    /// let faults = json::validate(#{ title: "Three habits", score: 11 }, schema);
    /// faults // => [#{ path: "score", message: "11 is greater than the maximum of 10" }]
    /// ```
    #[rhai_fn(return_raw)]
    pub fn validate(ctx: NativeCallContext, value: Dynamic, schema: Map) -> ScriptResult {
        let (value, schema) = (ctx.value(&value)?.to_json(), ctx.value(&schema.into())?.to_json());
        let faults = ctx.check(schema::faults(&value, &schema))?;
        Ok(Dynamic::from_array(
            faults.into_iter().map(|fault| to_dynamic(fault.into())).collect(),
        ))
    }

    /// Returns `value` if it satisfies a JSON Schema, and throws otherwise.
    ///
    /// - `value`, `schema`: see `validate`.
    ///
    /// Errors: `JSON_SCHEMA_MISMATCH` with all faults in `details`; `JSON_SCHEMA_INVALID`, `NOT_PLAIN_DATA`,
    /// `VALUE_TOO_LARGE`.
    ///
    /// ```rhai
    /// let feed = json::check(file::read_json("inbox/feed.json"), #{
    ///     type: "object", required: ["items"], properties: #{ items: #{ type: "array" } },
    /// });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn check(ctx: NativeCallContext, value: Dynamic, schema: Map) -> ScriptResult {
        let (json, schema) = (ctx.value(&value)?.to_json(), ctx.value(&schema.into())?.to_json());
        let faults = ctx.check(schema::faults(&json, &schema))?;
        ctx.check(schema::none(faults))?;
        Ok(value)
    }

    /// Returns all that a JSONPath finds in `value`, as an array in its order.
    ///
    /// - `value`: plain data.
    /// - `path`: as RFC 9535 describes, up to 1,024 bytes: `$.items[*].title`, `$..url`, `$.items[?@.score > 7]`. Up to
    ///   10,000 finds.
    ///
    /// Errors: `JSON_PATH` for a path that is none, or that would take too long; `NOT_PLAIN_DATA`, `VALUE_TOO_LARGE`.
    ///
    /// ```rhai
    /// let clips = #{ items: [#{ title: "a", score: 3 }, #{ title: "b", score: 8 }] };
    /// let titles = json::query(clips, "$.items[?@.score > 7].title"); // => ["b"]
    /// ```
    #[rhai_fn(return_raw)]
    pub fn query(ctx: NativeCallContext, value: Dynamic, path: &str) -> ScriptResult {
        let json = ctx.value(&value)?.to_json();
        let found = ctx.check(query::query(&json, path))?;
        Ok(Dynamic::from_array(found.into_iter().map(to_dynamic).collect()))
    }

    /// Returns `value` changed by a JSON Patch. All of its operations are carried out, or none.
    ///
    /// - `value`: plain data; blobs become base64 strings.
    /// - `operations`: as RFC 6902 describes, up to 1,000: an array of `#{ op, path, value }`, where `op` is `"add"`,
    ///   `"remove"`, `"replace"`, `"move"` or `"copy"` (both with `from`) or `"test"`, and `path` is like `"/items/0/title"`.
    ///
    /// Errors: `JSON_PATCH_INVALID` for what is no operation, `JSON_PATCH_FAILED` where one does not fit (a `test` that
    /// fails, a place that is not there), `VALUE_TOO_LARGE`, `VALUE_TOO_DEEP`, `NOT_PLAIN_DATA`.
    ///
    /// ```rhai
    /// let clip = #{ title: "a", tags: ["x"] };
    /// let changed = json::patch(clip, [#{ op: "add", path: "/tags/-", value: "y" }, #{ op: "remove", path: "/title" }]);
    /// changed // => #{ tags: ["x", "y"] }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn patch(ctx: NativeCallContext, value: Dynamic, operations: Array) -> ScriptResult {
        let (value, operations) = (ctx.value(&value)?, ctx.value(&operations.into())?);
        ctx.check(patch::apply(value.to_json(), operations.to_json()).map(to_dynamic))
    }

    /// Returns the JSON Patch that makes `new` out of `old`: an array of operations for `patch`, empty when they are the
    /// same.
    ///
    /// - `old`, `new`: plain data that differ in up to 10,000 places. Items of arrays are compared place by
    ///   place, between what is the same at both ends.
    ///
    /// Errors: `JSON_PATCH_INVALID` beyond 10,000 operations, `NOT_PLAIN_DATA`, `VALUE_TOO_LARGE`.
    ///
    /// ```rhai
    /// let changes = json::diff(#{ state: "new", n: 1 }, #{ state: "posted", n: 1 });
    /// changes // => [#{ op: "replace", path: "/state", value: "posted" }]
    /// ```
    #[rhai_fn(return_raw)]
    pub fn diff(ctx: NativeCallContext, old: Dynamic, new: Dynamic) -> ScriptResult {
        let (old, new) = (ctx.value(&old)?.to_json(), ctx.value(&new)?.to_json());
        ctx.check(patch::diff(&old, &new).map(to_dynamic))
    }

    /// Returns `value` with the fields of `changes` laid over it, at every level (RFC 7386): `()` takes a field away, an
    /// array takes the place of the whole one.
    ///
    /// - `value`, `changes`: plain data.
    ///
    /// Errors: `NOT_PLAIN_DATA`, `VALUE_TOO_LARGE`.
    ///
    /// ```rhai
    /// let settings = #{ video: #{ ratio: "16:9", fit: "crop" }, draft: true };
    /// let ours = json::merge(settings, #{ video: #{ ratio: "9:16" }, draft: () }); // => #{ video: #{ ratio: "9:16", fit: "crop" } }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn merge(ctx: NativeCallContext, value: Dynamic, changes: Dynamic) -> ScriptResult {
        let (mut value, changes) = (ctx.value(&value)?.to_json(), ctx.value(&changes)?.to_json());
        json_patch::merge(&mut value, &changes);
        Ok(to_dynamic(Value::from_json(value)))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::TestHost;

    #[test]
    fn values_go_to_json_and_back() {
        let host = TestHost::default();
        let run = host.run(
            r#"
            let value = json::parse(`{"b": [1, 2.5, null], "a": "x"}`);
            [json::stringify(value), json::get(value, "b[-2]"), json::get(value, "b[7].c"), json::get(value, "a.b"), json::pretty([1])]
            "#,
        );
        assert_eq!(
            run.value().to_string(),
            r#"["{\"a\":\"x\",\"b\":[1,2.5,null]}",2.5,null,null,"[\n  1\n]"]"#
        );
        assert_eq!(run.journal(), "");
    }

    #[test]
    fn broken_json_names_its_line_and_can_be_caught() {
        let host = TestHost::default();
        let run = host.run("json::parse(`{\"a\": 1,\n \"b\": }`)");
        assert_eq!(
            run.failure().to_string(),
            "JSON_INVALID: line 2, column 7: expected value"
        );
        assert_eq!(
            host.run(r#"try { json::parse("[") } catch (e) { return e.code; }"#)
                .value()
                .as_str(),
            Some("JSON_INVALID")
        );
    }
}
