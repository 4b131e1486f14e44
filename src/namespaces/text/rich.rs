//! How texts differ, and what markup says. The doc comments are the playbook reference.

use rhai::plugin::*;
use rhai::{Array, Map};

use super::compare::{self, Method};
use super::markup::{self, Allowed};
use crate::effect::Failure;
use crate::namespaces::options::Options;
use crate::script::{ContextExt, ScriptResult};

// Rhai's macro needs the bodies inline.
#[export_module]
pub mod functions {
    /// Returns how two texts differ, line by line, as a unified diff with three lines around each change; an empty text
    /// when they are the same.
    ///
    /// - `old`, `new`: of up to 5,000 lines each.
    ///
    /// Errors: `TEXT_TOO_LARGE` beyond 5,000 lines.
    ///
    /// ```rhai
    /// let changes = text::diff("a\nb\n", "a\nc\n"); // => "@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn diff(ctx: NativeCallContext, old: &str, new: &str) -> ScriptResult {
        let changes = compare::diff(old, new, 3, None);
        ctx.check(changes.map(Dynamic::from))
    }

    /// Returns how two texts differ, line by line, as a unified diff, with options.
    ///
    /// - `old`, `new`: of up to 5,000 lines each.
    /// - `options`: `context`, how many lines stand around each change, 0 to 100 (preset 3); `old_name` and `new_name`,
    ///   what the two are called in the diff's head (without them it has none).
    ///
    /// Errors: `TEXT_TOO_LARGE` beyond 5,000 lines, `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// let changes = text::diff("a\nb\n", "a\n", #{ context: 0, old_name: "before", new_name: "after" });
    /// log::info(changes);
    /// ```
    #[rhai_fn(name = "diff", return_raw)]
    pub fn diff_with(ctx: NativeCallContext, old: &str, new: &str, options: Map) -> ScriptResult {
        let mut options = ctx.check(Options::new("text::diff", &options))?;
        let context = ctx.check(options.int("context", 0..=100))?.unwrap_or(3);
        let old_name = ctx.check(options.string("old_name"))?;
        let new_name = ctx.check(options.string("new_name"))?;
        ctx.check(options.finish())?;
        let named = old_name.is_some() || new_name.is_some();
        let names = (
            old_name.unwrap_or("old".to_owned()),
            new_name.unwrap_or("new".to_owned()),
        );
        let changes = compare::diff(old, new, context as usize, named.then_some(&names));
        ctx.check(changes.map(Dynamic::from))
    }

    /// Returns how much two texts are alike, from 0.0 to 1.0 (the same): 1 − Levenshtein distance ÷ length of the longer,
    /// in characters.
    ///
    /// - `a`, `b`: of up to 5,000 characters each.
    ///
    /// Errors: `TEXT_TOO_LARGE` beyond 5,000 characters.
    ///
    /// ```rhai
    /// let alike = text::similarity("habits", "habit!"); // => 0.8333333333333334
    /// ```
    #[rhai_fn(return_raw)]
    pub fn similarity(ctx: NativeCallContext, a: &str, b: &str) -> ScriptResult {
        ctx.check(compare::similarity(a, b, Method::Levenshtein).map(Dynamic::from))
    }

    /// Returns how much two texts are alike, from 0.0 to 1.0 (the same), by a chosen method.
    ///
    /// - `a`, `b`: of up to 5,000 characters each, or 100,000 for `"dice"`.
    /// - `options`: `method`: `"levenshtein"` (preset; letters to change), `"jaro_winkler"` (for names: the beginnings
    ///   count more) or `"dice"` (for longer texts: pairs of letters in common, wherever they stand; Sørensen–Dice).
    ///
    /// Errors: `TEXT_TOO_LARGE`, `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// let alike = text::similarity("anna lee", "lee anna", #{ method: "dice" }); // => 0.8333333333333334
    /// ```
    #[rhai_fn(name = "similarity", return_raw)]
    pub fn similarity_by(ctx: NativeCallContext, a: &str, b: &str, options: Map) -> ScriptResult {
        let mut options = ctx.check(Options::new("text::similarity", &options))?;
        let method = ctx.check(options.choice("method", &Method::CHOICES))?;
        ctx.check(options.finish())?;
        let method = method.unwrap_or(Method::Levenshtein);
        ctx.check(compare::similarity(a, b, method).map(Dynamic::from))
    }

    /// Returns the text of `candidates` that is most like `text`: `#{ index, text, score }`, or `()` when there are none.
    /// Of several that are alike as much, the first.
    ///
    /// Alike as in `similarity`, which see for `score`.
    ///
    /// - `candidates`: an array of up to 10,000 texts; at most 100,000,000 pairs of characters are compared in all.
    ///
    /// Errors: `TEXT_TOO_LARGE`, `TYPE` when a candidate is no text.
    ///
    /// ```rhai
    /// let before = ["Five tools for calm people", "Three habits of happy people"];
    /// let near = text::closest("Three habits of calm people", before);
    /// if near.score > 0.9 { log::warn(`nearly the same was posted before: ${near.text}`); }
    /// near.index // => 1
    /// ```
    #[rhai_fn(return_raw)]
    pub fn closest(ctx: NativeCallContext, text: &str, candidates: Array) -> ScriptResult {
        let mut texts = Vec::with_capacity(candidates.len());
        for candidate in &candidates {
            let candidate = candidate.as_immutable_string_ref();
            let wrong = |kind| {
                Failure::new(
                    "TYPE",
                    format!("`text::closest` compares strings, and one of these is {kind}"),
                )
            };
            texts.push(
                ctx.check(candidate.map_err(|kind| wrong(ctx.engine().map_type_name(kind))))?
                    .clone(),
            );
        }
        let Some((index, score)) = ctx.check(compare::closest(text, &texts))? else {
            return Ok(Dynamic::UNIT);
        };
        Ok(Dynamic::from_map(Map::from([
            ("index".into(), (index as i64).into()),
            ("text".into(), texts.swap_remove(index).into()),
            ("score".into(), score.into()),
        ])))
    }

    /// Returns the plain text of a Markdown text: no marks, items of lists with `- ` or their number before them, a line
    /// for each row of a table, links as their words alone.
    ///
    /// - `markdown`: CommonMark with tables and strikethrough, up to 256 KiB.
    ///
    /// Errors: `TEXT_TOO_LARGE`.
    ///
    /// ```rhai
    /// let plain = text::markdown_to_plain("# Habits\n\n1. **Rest**\n2. [Walk](https://example.com)"); // => "Habits\n\n1. Rest\n2. Walk"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn markdown_to_plain(ctx: NativeCallContext, markdown: &str) -> ScriptResult {
        ctx.check(markup::markdown_to_plain(markdown).map(Dynamic::from))
    }

    /// Returns a Markdown text as HTML that is safe to show: it is sanitised as by `sanitize_html`.
    ///
    /// - `markdown`: CommonMark with tables and strikethrough, up to 256 KiB.
    ///
    /// Errors: `TEXT_TOO_LARGE`.
    ///
    /// ```rhai
    /// let html = text::markdown_to_html("**Rest**<script>x</script>"); // => "<p><strong>Rest</strong></p>\n"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn markdown_to_html(ctx: NativeCallContext, markdown: &str) -> ScriptResult {
        ctx.check(markup::markdown_to_html(markdown).map(Dynamic::from))
    }

    /// Returns the plain text of an HTML text, as of a feed's article: paragraphs parted by empty lines, items of lists
    /// with `- ` before them; scripts and styles are left out.
    ///
    /// - `html`: up to 1 MiB and 20,000 tags.
    ///
    /// Errors: `TEXT_TOO_LARGE`.
    ///
    /// ```rhai
    /// let plain = text::html_to_plain("<h1>Habits</h1><p>Rest &amp; walk<br>daily</p><script>x</script>"); // => "Habits\n\nRest & walk\ndaily"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn html_to_plain(ctx: NativeCallContext, html: &str) -> ScriptResult {
        ctx.check(markup::html_to_plain(html).map(Dynamic::from))
    }

    /// Returns HTML from elsewhere with only what is known to be harmless: text, headings, lists, tables, images, links to
    /// `http`, `https` and `mailto`. No script, no style, no form, no frame, no handler, no comment.
    ///
    /// - `html`: up to 1 MiB and 20,000 tags. What is not closed is closed.
    ///
    /// Errors: `TEXT_TOO_LARGE`.
    ///
    /// ```rhai
    /// let safe = text::sanitize_html("<p onclick=x()>Hi<script>x()</script>"); // => "<p>Hi</p>"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn sanitize_html(ctx: NativeCallContext, html: &str) -> ScriptResult {
        ctx.check(markup::sanitize(html, &Allowed::default()).map(Dynamic::from))
    }

    /// Returns HTML from elsewhere with only what is known to be harmless and is asked for.
    ///
    /// - `html`: up to 1 MiB and 20,000 tags.
    /// - `options`: `tags`, the only tags that stay, of those that stay without options (preset all of these; an empty
    ///   array leaves text alone); `links`, whether links stay links (preset true); `images`, whether images stay (preset
    ///   true).
    ///
    /// Errors: `TEXT_TOO_LARGE`, `UNKNOWN_OPTION`, `BAD_OPTION`, also for a tag that is not harmless.
    ///
    /// ```rhai
    /// let safe = text::sanitize_html("<h1>Hi <b>you</b></h1>", #{ tags: ["b", "i", "a"] }); // => "Hi <b>you</b>"
    /// ```
    #[rhai_fn(name = "sanitize_html", return_raw)]
    pub fn sanitize_html_to(ctx: NativeCallContext, html: &str, options: Map) -> ScriptResult {
        let mut options = ctx.check(Options::new("text::sanitize_html", &options))?;
        let allowed = ctx.check(Allowed::read(&mut options))?;
        ctx.check(options.finish())?;
        ctx.check(markup::sanitize(html, &allowed).map(Dynamic::from))
    }

    /// Returns a text so that it stands in HTML as it is: `&`, `<`, `>`, `"` and `'` are written as entities.
    ///
    /// Errors: none.
    ///
    /// ```rhai
    /// let cell = text::escape_html("a < b & c"); // => "a &lt; b &amp; c"
    /// ```
    pub fn escape_html(text: &str) -> String {
        markup::escape(text)
    }
}
