//! Other forms of a text, and what is in it. The doc comments are the playbook reference.

use rhai::Map;
use rhai::plugin::*;

use super::shape::{self, Align, Cut, Unit};
use super::{columns, find, length, list};
use crate::namespaces::options::Options;
use crate::script::{ContextExt, ScriptResult};

// Rhai's macro needs the bodies inline.
#[export_module]
pub mod functions {
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
}
