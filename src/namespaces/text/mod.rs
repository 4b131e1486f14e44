//! `text::` — what people do with captions, titles and articles. Pure: nothing is journaled.
//!
//! Lengths are counted in graphemes, what a person takes for one character: a family emoji is one, and is never cut in
//! two. Nothing depends on a language or a locale. Markup from elsewhere is made harmless by taking it apart and
//! writing down again what is on a list of things known to be harmless; nothing is searched for what may be harmful.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`shape`] | other forms of the same text: slugs, cut and wrapped texts |
//! | [`find`] | what is in a text: words, hashtags, links |
//! | [`compare`] | how two texts differ, and how much |
//! | [`markup`] | Markdown and HTML |

pub mod compare;
pub mod find;
pub mod markup;
pub mod shape;

use rhai::plugin::*;
use rhai::{Array, Map};

use self::compare::Method;
use self::markup::Allowed;
use self::shape::{Align, Cut, Unit};
use super::options::Options;
use crate::effect::Failure;
use crate::script::{ContextExt, ScriptResult};

pub fn module() -> Module {
    exported_module!(functions)
}

/// The most items that a function gives: no more fit into an array of a script.
const ITEMS_MAX: usize = 10_000;

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Returns a text that can stand in a URL or a file's name: small letters, digits, and hyphens between words.
    ///
    /// Letters of other scripts are written in Latin ones (`Ü` as `u`, `東` as `dong`). A text without a letter or digit
    /// gives an empty one.
    ///
    /// - `text`: of it the first 10,000 characters count. The slug has up to 80 characters and ends at a word's end.
    ///
    /// Errors: none.
    ///
    /// ```rhai
    /// let slug = text::slug("Three habits – für dich!"); // => "three-habits-fur-dich"
    /// ```
    pub fn slug(text: &str) -> String {
        shape::slug(text, shape::SLUG_CHARS, "-")
    }

    /// Returns a text that can stand in a URL or a file's name, with options.
    ///
    /// - `text`: of it the first 10,000 characters count.
    /// - `options`: `max`, the most characters, 1 to 200 (preset 80), and `separator`, `"-"` (preset), `"_"` or `"."`.
    ///
    /// Errors: `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// let name = text::slug("Three habits of calm people", #{ max: 14, separator: "_" }); // => "three_habits"
    /// ```
    #[rhai_fn(name = "slug", return_raw)]
    pub fn slug_with(ctx: NativeCallContext, text: &str, options: Map) -> ScriptResult {
        let mut options = ctx.check(Options::new("text::slug", &options))?;
        let max = ctx.check(options.int("max", 1..=200))?.unwrap_or(80);
        let separator = ctx.check(options.word("separator", &["-", "_", "."]))?.unwrap_or("-");
        ctx.check(options.finish())?;
        Ok(shape::slug(text, max as usize, separator).into())
    }

    /// Returns `text`, or its beginning and an ellipsis (`…`) where it is longer than `max` graphemes.
    ///
    /// - `max`: how many graphemes the result may have, its ellipsis included; from 0.
    ///
    /// Errors: `BAD_OPTION` for a `max` below 0.
    ///
    /// ```rhai
    /// let title = text::truncate("Three habits", 8); // => "Three h…"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn truncate(ctx: NativeCallContext, text: &str, max: i64) -> ScriptResult {
        let max = ctx.check(length("truncate", "max", max))?;
        Ok(shape::truncate(text, max, &Cut::default()).into())
    }

    /// Returns `text`, or its beginning and an ellipsis where it is longer than `max`, with options.
    ///
    /// - `max`: the most units of the result, its ellipsis included; from 0.
    /// - `options`: `ellipsis`, what stands where the text was cut (preset `"…"`, `""` for nothing); `words`, whether only
    ///   whole words stay, where that leaves anything (preset false); `unit`, what `max` counts: `"graphemes"` (preset),
    ///   `"characters"` (code points), `"utf16"` (as most services count) or `"bytes"`. A grapheme is never cut.
    ///
    /// Errors: `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// let caption = text::truncate("Three habits of calm people", 20, #{ words: true }); // => "Three habits of…"
    /// let bytes = text::truncate("👩‍👩‍👧 family", 20, #{ unit: "bytes", ellipsis: "" }); // => "👩‍👩‍👧 f"
    /// ```
    #[rhai_fn(name = "truncate", return_raw)]
    pub fn truncate_with(ctx: NativeCallContext, text: &str, max: i64, options: Map) -> ScriptResult {
        let mut options = ctx.check(Options::new("text::truncate", &options))?;
        let cut = Cut {
            ellipsis: ctx.check(options.string("ellipsis"))?.unwrap_or_else(|| "…".to_owned()),
            words: ctx.check(options.bool("words"))?.unwrap_or(false),
            unit: ctx
                .check(options.choice("unit", &Unit::CHOICES))?
                .unwrap_or(Unit::Graphemes),
        };
        ctx.check(options.finish())?;
        let max = ctx.check(length("truncate", "max", max))?;
        Ok(shape::truncate(text, max, &cut).into())
    }

    /// Returns how long a text is: `#{ graphemes, characters, utf16, bytes, words, sentences, lines }`.
    ///
    /// `characters` are code points. Words and sentences end where Unicode (UAX 29) says.
    ///
    /// Errors: none.
    ///
    /// ```rhai
    /// let size = text::count("Done? Yes 👍🏽"); // => #{ graphemes: 11, characters: 12, utf16: 14, bytes: 18, words: 2, sentences: 2, lines: 1 }
    /// ```
    pub fn count(text: &str) -> Map {
        let count = |number: usize| Dynamic::from(number as i64);
        find::counts(text)
            .into_iter()
            .map(|(name, number)| (name.into(), count(number)))
            .collect()
    }

    /// Returns the words of a text, in order, without what stands between them.
    ///
    /// - `text`: of up to 10,000 words.
    ///
    /// Errors: `TEXT_TOO_LARGE` beyond 10,000 words.
    ///
    /// ```rhai
    /// let words = text::words("Don't stop, it's 3.5 km!"); // => ["Don't", "stop", "it's", "3.5", "km"]
    /// ```
    #[rhai_fn(return_raw)]
    pub fn words(ctx: NativeCallContext, text: &str) -> ScriptResult {
        list(&ctx, "words", find::words(text))
    }

    /// Returns the sentences of a text, in order.
    ///
    /// - `text`: of up to 10,000 sentences.
    ///
    /// Errors: `TEXT_TOO_LARGE` beyond 10,000 sentences.
    ///
    /// ```rhai
    /// let hook = text::sentences("Stop scrolling! Three habits follow.")[0]; // => "Stop scrolling!"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn sentences(ctx: NativeCallContext, text: &str) -> ScriptResult {
        list(&ctx, "sentences", find::sentences(text))
    }

    /// Returns the lines of a text without their ends, whichever system wrote them.
    ///
    /// - `text`: of up to 10,000 lines. What follows the last line's end is no line.
    ///
    /// Errors: `TEXT_TOO_LARGE` beyond 10,000 lines.
    ///
    /// ```rhai
    /// let lines = text::lines("one\r\ntwo\n"); // => ["one", "two"]
    /// ```
    #[rhai_fn(return_raw)]
    pub fn lines(ctx: NativeCallContext, text: &str) -> ScriptResult {
        list(&ctx, "lines", text.lines())
    }

    /// Returns `text` with spaces after it, until it is `width` columns wide; a wider one stays as it is.
    ///
    /// - `width`: columns of a terminal, 0 to 10,000. Chinese signs and emoji take two.
    ///
    /// Errors: `BAD_OPTION` for a `width` beyond these.
    ///
    /// ```rhai
    /// let cell = text::pad("日本", 6); // => "日本  "
    /// ```
    #[rhai_fn(return_raw)]
    pub fn pad(ctx: NativeCallContext, text: &str, width: i64) -> ScriptResult {
        let width = ctx.check(columns("pad", width))?;
        Ok(shape::pad(text, width, Align::Left, ' ').into())
    }

    /// Returns `text` filled up to `width` columns, with options.
    ///
    /// - `width`: columns of a terminal, 0 to 10,000.
    /// - `options`: `align`, where the text stands: `"left"` (preset), `"right"` or `"center"`; `fill`, one character that
    ///   is one column wide (preset a space).
    ///
    /// Errors: `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// let part = text::pad("7", 3, #{ align: "right", fill: "0" }); // => "007"
    /// ```
    #[rhai_fn(name = "pad", return_raw)]
    pub fn pad_with(ctx: NativeCallContext, text: &str, width: i64, options: Map) -> ScriptResult {
        let mut options = ctx.check(Options::new("text::pad", &options))?;
        let align = ctx
            .check(options.choice("align", &Align::CHOICES))?
            .unwrap_or(Align::Left);
        let fill = ctx.check(options.string("fill"))?.unwrap_or_else(|| " ".to_owned());
        let one_wide = shape::one_column(&fill);
        let fill =
            ctx.check(one_wide.ok_or_else(|| options.kind("fill", &fill.into(), "one character, one column wide")))?;
        ctx.check(options.finish())?;
        let width = ctx.check(columns("pad", width))?;
        Ok(shape::pad(text, width, align, fill).into())
    }

    /// Returns `text` in lines of at most `width` columns, broken between words; a longer word is broken, too.
    ///
    /// Line ends that are there stay.
    ///
    /// - `width`: columns of a terminal, 0 to 10,000; at least one grapheme stands on a line.
    ///
    /// Errors: `BAD_OPTION` for a `width` beyond these.
    ///
    /// ```rhai
    /// let lines = text::wrap("three habits of calm people", 12); // => "three habits\nof calm\npeople"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn wrap(ctx: NativeCallContext, text: &str, width: i64) -> ScriptResult {
        let width = ctx.check(columns("wrap", width))?;
        Ok(shape::wrap(text, width).into())
    }

    /// Returns `text` as one would have typed it: no spaces at the ends of lines, one space between words, at most one
    /// empty line, no invisible and no control characters.
    ///
    /// Errors: none.
    ///
    /// ```rhai
    /// let caption = text::tidy("  Three   habits \r\n\r\n\r\n\r\nfor you  "); // => "Three habits\n\nfor you"
    /// ```
    pub fn tidy(text: &str) -> String {
        shape::tidy(text)
    }

    /// Returns `text` on one line: every run of spaces and line ends becomes one space.
    ///
    /// Errors: none.
    ///
    /// ```rhai
    /// let line = text::one_line("Three habits\n  for you\n"); // => "Three habits for you"
    /// ```
    pub fn one_line(text: &str) -> String {
        shape::one_line(text)
    }

    /// Returns the hashtags in a text without their `#`, in order, each once: `#AI` and `#ai` are one.
    ///
    /// - `text`: with up to 10,000 of them. A tag is made of letters, digits and `_`, and is no number.
    ///
    /// Errors: `TEXT_TOO_LARGE` beyond 10,000.
    ///
    /// ```rhai
    /// let tags = text::hashtags("Calm #AI #ai #日本 (#habits), a#b, #1"); // => ["AI", "日本", "habits"]
    /// ```
    #[rhai_fn(return_raw)]
    pub fn hashtags(ctx: NativeCallContext, text: &str) -> ScriptResult {
        list(&ctx, "hashtags", find::hashtags(text))
    }

    /// Returns who is mentioned in a text, without `@`, in order, each once; mail addresses are no mentions.
    ///
    /// - `text`: with up to 10,000 of them. A name is made of letters, digits, `_`, `.` and `-`.
    ///
    /// Errors: `TEXT_TOO_LARGE` beyond 10,000.
    ///
    /// ```rhai
    /// let people = text::mentions("with @anna.lee and @Bert, not me@example.com."); // => ["anna.lee", "Bert"]
    /// ```
    #[rhai_fn(return_raw)]
    pub fn mentions(ctx: NativeCallContext, text: &str) -> ScriptResult {
        list(&ctx, "mentions", find::mentions(text))
    }

    /// Returns the web addresses in a text (`http://` and `https://`), in order, each once.
    ///
    /// Punctuation that ends a sentence or closes a bracket around an address is no part of it.
    ///
    /// - `text`: with up to 10,000 of them.
    ///
    /// Errors: `TEXT_TOO_LARGE` beyond 10,000.
    ///
    /// ```rhai
    /// let links = text::urls("See https://example.com/a_(b), (https://example.com)."); // => ["https://example.com/a_(b)", "https://example.com"]
    /// ```
    #[rhai_fn(return_raw)]
    pub fn urls(ctx: NativeCallContext, text: &str) -> ScriptResult {
        list(&ctx, "addresses", find::urls(text))
    }

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

/// A text that is longer than a function takes.
pub(crate) fn too_large(what: &str, given: usize, max: usize) -> Failure {
    use crate::digits::grouped;
    let (given, max) = (grouped(given as u64), grouped(max as u64));
    Failure::new(
        "TEXT_TOO_LARGE",
        format!("the text has {given} {what}; at most {max} are taken; pass it on in parts"),
    )
}

fn list<'t>(ctx: &NativeCallContext<'_>, what: &str, items: impl Iterator<Item = &'t str>) -> ScriptResult {
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

fn length(function: &str, name: &str, given: i64) -> Result<usize, Failure> {
    usize::try_from(given).map_err(|_| {
        let message = format!("`{name}` of `text::{function}` is {given}; it must be 0 or more");
        Failure::new("BAD_OPTION", message)
    })
}

fn columns(function: &str, given: i64) -> Result<usize, Failure> {
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
