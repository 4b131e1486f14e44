//! `text::` — what people do with captions, titles and articles. Pure: nothing is journaled.
//!
//! Lengths are counted in graphemes, what a person takes for one character: a family emoji is one, and is never cut in
//! two. Nothing depends on a language or a locale. Markup from elsewhere is made harmless by taking it apart and
//! writing down again what is on a list of things known to be harmless; nothing is searched for what may be harmful.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`plain`], [`rich`] | the functions |
//! | [`shape`] | other forms of the same text: slugs, cut and wrapped texts |
//! | [`find`] | what is in a text: words, hashtags, links |
//! | [`compare`] | how two texts differ, and how much |
//! | [`markup`] | Markdown and HTML |

pub mod compare;
pub mod find;
pub mod markup;
pub mod plain;
pub mod rich;
pub mod shape;

use rhai::Array;
use rhai::plugin::*;

use crate::effect::Failure;
use crate::script::{ContextExt, ScriptResult};

pub fn module() -> Module {
    let mut module = exported_module!(plain::functions);
    combine_with_exported_module!(&mut module, "rich", rich::functions);
    module
}

/// The most items that a function gives: no more fit into an array of a script.
const ITEMS_MAX: usize = 10_000;

/// A text that is longer than a function takes.
pub(crate) fn too_large(what: &str, given: usize, max: usize) -> Failure {
    use crate::digits::grouped;
    let (given, max) = (grouped(given as u64), grouped(max as u64));
    Failure::new(
        "TEXT_TOO_LARGE",
        format!("the text has {given} {what}; at most {max} are taken; pass it on in parts"),
    )
}

pub(crate) fn list<'t>(ctx: &NativeCallContext<'_>, what: &str, items: impl Iterator<Item = &'t str>) -> ScriptResult {
    let mut list = Array::new();
    for item in items {
        if list.len() == ITEMS_MAX {
            return ctx.check(Err(Failure::new(
                "TEXT_TOO_LARGE",
                format!("the text has more than {ITEMS_MAX} {what}, the most that are given; pass it on in parts"),
            )));
        }
        list.push(item.into());
    }
    Ok(Dynamic::from_array(list))
}

pub(crate) fn length(function: &str, name: &str, given: i64) -> Result<usize, Failure> {
    usize::try_from(given).map_err(|_| {
        let message = format!("`{name}` of `text::{function}` is {given}; it must be 0 or more");
        Failure::new("BAD_OPTION", message)
    })
}

pub(crate) fn columns(function: &str, given: i64) -> Result<usize, Failure> {
    let columns = usize::try_from(given)
        .ok()
        .filter(|columns| *columns <= shape::COLUMNS_MAX);
    columns.ok_or_else(|| {
        let max = shape::COLUMNS_MAX;
        let message = format!("`width` of `text::{function}` is {given}; it must be from 0 to {max}");
        Failure::new("BAD_OPTION", message)
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::TestHost;

    #[test]
    fn refusals_name_the_option_and_the_limit_and_nothing_is_journaled() {
        let host = TestHost::default();
        let refusal = |script: &str| host.run(script).failure().to_string();
        assert_eq!(
            refusal(r#"text::truncate("a", -1)"#),
            "BAD_OPTION: `max` of `text::truncate` is -1; it must be 0 or more"
        );
        assert_eq!(
            refusal(r#"text::pad("a", 10001)"#),
            "BAD_OPTION: `width` of `text::pad` is 10001; it must be from 0 to 10000"
        );
        assert_eq!(
            refusal(r#"text::slug("a", #{ seperator: "_" })"#),
            "UNKNOWN_OPTION: `text::slug` has no option `seperator`; did you mean `separator`?"
        );
        assert_eq!(
            refusal(r#"text::closest("a", ["b", 1])"#),
            "TYPE: `text::closest` compares strings, and one of these is i64"
        );
        assert!(refusal(r#"let t = "x "; t.pad(40_000, "x "); text::words(t)"#).starts_with("TEXT_TOO_LARGE"));
        let run = host.run(r#"[text::slug("A b"), text::closest("a", [])]"#);
        assert_eq!(
            (run.value().to_string().as_str(), run.journal().as_str()),
            (r#"["a-b",null]"#, "")
        );
    }
}
