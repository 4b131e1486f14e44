//! `json::` — between JSON and a script's values. Pure: nothing is journaled.

use rhai::plugin::*;

use super::file::parse::json_to_value;
use crate::effect::Failure;
use crate::script::value::to_dynamic;
use crate::script::{ContextExt, ScriptResult};

pub fn module() -> Module {
    exported_module!(functions)
}

/// The longest path.
const PATH_BYTES_MAX: usize = 1024;

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
}

/// One step of a path.
#[derive(Debug, PartialEq)]
enum Step {
    Field(String),
    /// Counted from the end when below 0.
    Item(i64),
}

impl Step {
    fn from(&self, value: &Dynamic) -> Option<Dynamic> {
        match self {
            Step::Field(name) => value.as_map_ref().ok()?.get(name.as_str()).cloned(),
            Step::Item(at) => {
                let items = value.as_array_ref().ok()?;
                let at = if *at < 0 {
                    at.checked_add(items.len() as i64)?
                } else {
                    *at
                };
                items.get(usize::try_from(at).ok()?).cloned()
            }
        }
    }
}

/// Reads a path.
fn steps(path: &str) -> Result<Vec<Step>, Failure> {
    let bad = |reason: &str| {
        let shown: String = path.chars().take(60).collect();
        Failure::new(
            "JSON_PATH",
            format!("{shown:?} is no path: {reason}; write it like \"items[0].title\""),
        )
    };
    if path.len() > PATH_BYTES_MAX {
        return Err(bad(&format!(
            "it has {} bytes, and at most {PATH_BYTES_MAX} are allowed",
            path.len()
        )));
    }
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix("[\"") {
            let (name, after) = quoted
                .split_once("\"]")
                .ok_or_else(|| bad("a quoted name has no end"))?;
            steps.push(Step::Field(name.to_owned()));
            rest = after;
        } else if let Some(open) = rest.strip_prefix('[') {
            let (place, after) = open.split_once(']').ok_or_else(|| bad("a bracket is not closed"))?;
            steps.push(Step::Item(
                place
                    .parse()
                    .map_err(|_| bad("between brackets stands a whole number"))?,
            ));
            rest = after;
        } else {
            let named = if steps.is_empty() {
                Some(rest)
            } else {
                rest.strip_prefix('.')
            };
            let named = named.ok_or_else(|| bad("after a bracket comes a dot or another bracket"))?;
            let end = named.find(['.', '[']).unwrap_or(named.len());
            if end == 0 {
                return Err(bad("a name is empty"));
            }
            steps.push(Step::Field(named[..end].to_owned()));
            rest = &named[end..];
        }
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestHost;

    #[test]
    fn a_path_is_read_step_by_step() {
        let field = |name: &str| Step::Field(name.to_owned());
        assert_eq!(
            steps(r#"a.b[0][-1]["c.d"].e"#),
            Ok(vec![
                field("a"),
                field("b"),
                Step::Item(0),
                Step::Item(-1),
                field("c.d"),
                field("e")
            ])
        );
        assert_eq!(steps("[2].x"), Ok(vec![Step::Item(2), field("x")]));
        assert_eq!(steps(""), Ok(vec![]));
    }

    #[test]
    fn a_path_of_another_form_is_refused_by_name() {
        let reason = |path: &str| steps(path).expect_err("refused").message;
        assert_eq!(
            reason("a[x]"),
            r#""a[x]" is no path: between brackets stands a whole number; write it like "items[0].title""#
        );
        assert!(reason("a..b").contains("a name is empty"));
        assert!(reason("a.").contains("a name is empty"));
        assert!(reason("a[0").contains("not closed"));
        assert!(reason("a[\"b").contains("has no end"));
        assert!(reason("a[0]b").contains("comes a dot"));
        assert!(reason(&"a.".repeat(600)).contains("1200 bytes"));
    }

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
