//! Markdown and HTML. Pure.
//!
//! HTML is parsed as browsers parse it (html5ever) and written down again from what is on the list: a filter that looks
//! for what is harmful always forgets something.

use std::collections::{BTreeSet, HashSet};

use ammonia::{Builder, UrlRelative};
use pulldown_cmark::{Event, Options as Markdown, Parser, Tag, TagEnd};

use super::too_large;
use crate::effect::Failure;
use crate::namespaces::options::{BadOption, Options};

/// The longest Markdown.
const MARKDOWN_BYTES_MAX: usize = 256 << 10;
/// The longest HTML.
const HTML_BYTES_MAX: usize = 1 << 20;
/// The most tags of an HTML text: browsers' rules look at every open tag for each new one.
const TAGS_MAX: usize = 20_000;

/// Every tag that may stay.
const HARMLESS: [&str; 45] = [
    "a",
    "abbr",
    "b",
    "blockquote",
    "br",
    "caption",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "div",
    "dl",
    "dt",
    "em",
    "figcaption",
    "figure",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "ins",
    "kbd",
    "li",
    "mark",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tr",
];
const HARMLESS_TOO: [&str; 5] = ["tfoot", "th", "thead", "u", "ul"];

/// What of an HTML text stays.
#[derive(Clone, Debug)]
pub struct Allowed(BTreeSet<&'static str>);

impl Default for Allowed {
    fn default() -> Allowed {
        Allowed(HARMLESS.into_iter().chain(HARMLESS_TOO).collect())
    }
}

impl Allowed {
    /// From `tags`, `links` and `images`.
    pub fn read(options: &mut Options) -> Result<Allowed, BadOption> {
        let mut allowed = Allowed::default();
        if let Some(tags) = options.list("tags")? {
            let mut wanted = BTreeSet::new();
            for tag in &tags {
                let known = tag
                    .as_str()
                    .and_then(|tag| allowed.0.get(tag.to_ascii_lowercase().as_str()));
                let harmless = "tags that are harmless, such as \"p\", \"b\" or \"a\"";
                wanted.insert(*known.ok_or_else(|| options.kind("tags", tag, harmless))?);
            }
            allowed.0 = wanted;
        }
        for (option, tag) in [("links", "a"), ("images", "img")] {
            if options.bool(option)? == Some(false) {
                allowed.0.remove(tag);
            }
        }
        Ok(allowed)
    }
}

/// `html` with nothing but what is allowed.
pub fn sanitize(html: &str, allowed: &Allowed) -> Result<String, Failure> {
    check_size(html)?;
    Ok(cleaned(html, allowed))
}

fn check_size(html: &str) -> Result<(), Failure> {
    if html.len() > HTML_BYTES_MAX {
        return Err(too_large("bytes", html.len(), HTML_BYTES_MAX));
    }
    let tags = html.bytes().filter(|byte| *byte == b'<').count();
    if tags > TAGS_MAX {
        return Err(too_large("tags", tags, TAGS_MAX));
    }
    Ok(())
}

fn cleaned(html: &str, allowed: &Allowed) -> String {
    let mut builder = Builder::default();
    builder
        .tags(allowed.0.iter().copied().collect())
        .clean_content_tags(HashSet::from([
            "script", "style", "title", "template", "noscript", "iframe", "textarea",
        ]))
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        // A link without a host leads to wherever the text is shown.
        .url_relative(UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"));
    builder.clean(html).to_string()
}

fn parsed(markdown: &str) -> Result<Parser<'_>, Failure> {
    if markdown.len() > MARKDOWN_BYTES_MAX {
        return Err(too_large("bytes", markdown.len(), MARKDOWN_BYTES_MAX));
    }
    Ok(Parser::new_ext(
        markdown,
        Markdown::ENABLE_TABLES | Markdown::ENABLE_STRIKETHROUGH,
    ))
}

/// Markdown as harmless HTML.
pub fn markdown_to_html(markdown: &str) -> Result<String, Failure> {
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, parsed(markdown)?);
    sanitize(&html, &Allowed::default())
}

/// The words of a Markdown text.
pub fn markdown_to_plain(markdown: &str) -> Result<String, Failure> {
    let mut plain = Plain::default();
    for event in parsed(markdown)? {
        match event {
            Event::Start(Tag::List(first)) => plain.lists.push(first),
            Event::Start(Tag::Item) => plain.item(),
            Event::Start(Tag::TableCell) if !plain.at_line_start() => plain.push("\t"),
            Event::Start(Tag::Paragraph | Tag::Heading { .. } | Tag::CodeBlock(_) | Tag::Table(_)) => plain.block(),
            Event::End(TagEnd::List(_)) => {
                plain.lists.pop();
                plain.block();
            }
            Event::End(TagEnd::TableHead | TagEnd::TableRow) => plain.line(),
            Event::End(TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::CodeBlock | TagEnd::Table) => plain.block(),
            Event::End(TagEnd::Item) => plain.line(),
            Event::Text(text) | Event::Code(text) => plain.push(&text),
            Event::SoftBreak => plain.push(" "),
            Event::HardBreak => plain.line(),
            Event::Rule => plain.block(),
            _ => {}
        }
    }
    Ok(plain.finish())
}

/// The words of an HTML text.
pub fn html_to_plain(html: &str) -> Result<String, Failure> {
    check_size(html)?;
    // What comes out is well formed: every `<` begins a tag, and text has only these entities.
    let html = cleaned(html, &Allowed::default());
    let mut plain = Plain::default();
    let mut preformatted = 0_usize;
    for part in html.split_inclusive('>') {
        let (text, tag) = part.split_once('<').map_or((part, ""), |(text, tag)| (text, tag));
        // Without its tag a part may hold `>` only as the end of one.
        let text = decode(text);
        if preformatted > 0 {
            plain.push(&text);
        } else {
            plain.flow(&text);
        }
        let is_end = tag.starts_with('/');
        let name = tag
            .trim_start_matches('/')
            .split([' ', '>', '/'])
            .next()
            .unwrap_or_default();
        match name {
            "br" => plain.line(),
            "li" if !is_end => plain.item(),
            "li" | "tr" | "dt" | "dd" | "caption" => plain.line(),
            "td" | "th" if !is_end && !plain.at_line_start() => plain.push("\t"),
            "ol" | "ul" if is_end => {
                plain.lists.pop();
                plain.block();
            }
            "ol" => plain.lists.push(Some(1)),
            "ul" => plain.lists.push(None),
            "pre" => {
                plain.block();
                preformatted = if is_end {
                    preformatted.saturating_sub(1)
                } else {
                    preformatted + 1
                };
            }
            "p" | "div" | "blockquote" | "hr" | "table" | "figure" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                plain.block()
            }
            _ => {}
        }
    }
    Ok(plain.finish())
}

fn decode(text: &str) -> String {
    let spaced = text.replace("&nbsp;", " ").replace("&lt;", "<").replace("&gt;", ">");
    spaced.replace("&quot;", "\"").replace("&amp;", "&")
}

/// `text` as it can stand in HTML.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A plain text under way.
#[derive(Default)]
struct Plain {
    text: String,
    /// How many line ends are wanted before what comes next.
    wanted: usize,
    /// The lists that are open: the next item's number, if items have numbers.
    lists: Vec<Option<u64>>,
    /// An item's mark was the last thing written.
    is_item_begun: bool,
}

impl Plain {
    fn at_line_start(&self) -> bool {
        self.wanted > 0 || self.text.is_empty() || self.text.ends_with('\n')
    }

    fn push(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.wanted > 0 && !self.text.is_empty() {
            let there = self.text.chars().rev().take_while(|letter| *letter == '\n').count();
            let missing = self.wanted.saturating_sub(there);
            self.text.extend(std::iter::repeat_n('\n', missing));
        }
        self.wanted = 0;
        self.is_item_begun = false;
        self.text.push_str(text);
    }

    /// Text whose white space means one space.
    fn flow(&mut self, text: &str) {
        let is_space = |letter: char| letter.is_ascii_whitespace();
        let words = text
            .split(is_space)
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        let before = text.starts_with(is_space) && !self.at_line_start() && !self.text.ends_with(' ');
        if before && (!words.is_empty() || text.ends_with(is_space)) {
            self.push(" ");
        }
        self.push(&words);
        if !words.is_empty() && text.ends_with(is_space) {
            self.push(" ");
        }
    }

    fn line(&mut self) {
        self.wanted = self.wanted.max(1);
    }

    /// A block stands between empty lines, but for one that begins an item.
    fn block(&mut self) {
        if self.is_item_begun {
            return;
        }
        self.wanted = if self.lists.is_empty() { 2 } else { self.wanted.max(1) };
    }

    fn item(&mut self) {
        self.line();
        let level = self.lists.len().saturating_sub(1);
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!("{}. ", *number - 1)
            }
            _ => "- ".to_owned(),
        };
        // Deeper ones would only fill the page with spaces.
        self.push(&format!("{}{mark}", "  ".repeat(level.min(8))));
        self.is_item_begun = true;
    }

    fn finish(self) -> String {
        let lines: Vec<&str> = self.text.lines().map(str::trim_end).collect();
        lines.join("\n").trim_matches('\n').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn safe(html: &str) -> String {
        sanitize(html, &Allowed::default()).expect("not too large")
    }

    #[test]
    fn what_could_do_something_does_not_stay() {
        for (given, stays) in [
            ("<img src=x onerror=alert(1)>", "<img>"),
            (
                "<a href=\"javascript:alert(1)\">x</a>",
                "<a rel=\"noopener noreferrer nofollow\">x</a>",
            ),
            (
                "<a href=\" jAvascript&#58;x\">x</a>",
                "<a rel=\"noopener noreferrer nofollow\">x</a>",
            ),
            (
                "<a href=\"https://e.com\">x</a>",
                "<a href=\"https://e.com\" rel=\"noopener noreferrer nofollow\">x</a>",
            ),
            (
                "<a href=\"/login\">x</a>",
                "<a rel=\"noopener noreferrer nofollow\">x</a>",
            ),
            ("<svg><script>alert(1)</script></svg>a", "a"),
            ("<math><mi><style><img src=x onerror=alert(1)></style></mi></math>", ""),
            (
                "<iframe src=\"https://e.com\"></iframe><form><input name=a></form>b",
                "b",
            ),
            ("<p style=\"position:fixed\" id=a class=b>t</p><!-- c -->", "<p>t</p>"),
            ("<scr<script>ipt>alert(1)</script>", "ipt&gt;alert(1)"),
            ("<b>open", "<b>open</b>"),
            ("a < b", "a &lt; b"),
        ] {
            assert_eq!(safe(given), stays, "{given}");
        }
    }

    #[test]
    fn sanitising_twice_changes_nothing_more() {
        for html in [
            "<p>a<p>b",
            "<table><tr><td>a<b>c</table>",
            "<a href=https://e.com>&lt;script&gt;</a>",
        ] {
            assert_eq!(safe(&safe(html)), safe(html));
        }
    }

    #[test]
    fn html_that_would_take_long_is_refused_and_the_longest_does_not() {
        assert!(sanitize(&"<b>".repeat(TAGS_MAX + 1), &Allowed::default()).is_err());
        assert!(sanitize(&"a".repeat(HTML_BYTES_MAX + 1), &Allowed::default()).is_err());
        for html in ["<div>", "<b>", "<a>", "<table>", "<p><b>", "<li><ul>"] {
            let tags = html.matches('<').count();
            safe(&html.repeat(TAGS_MAX / tags));
        }
    }

    #[test]
    fn markdown_becomes_plain_text_that_reads_well() {
        let plain = markdown_to_plain(
            "# Three *habits*\n\nOne line\nand more  \nbreak <b>x</b>\n\n- a\n  - b\n- c\n\n3. x\n4. y\n\n> said `so`\n\n```\ncode\n  in\n```\n\n| a | b |\n|---|---|\n| 1 | ~~2~~ |\n\n![alt](i.png) &amp; end",
        );
        insta::assert_snapshot!(plain.unwrap(), @r"
        Three habits

        One line and more
        break x

        - a
          - b
        - c

        3. x
        4. y

        said so

        code
          in

        a	b
        1	2

        alt & end
        ");
    }

    #[test]
    fn html_becomes_plain_text_that_reads_well() {
        let html = "<style>p{}</style><h1>Three\n habits</h1>\n<p>One <b>bold</b> line,\n<i>and</i> more<br/>break</p>\n<ul>\n <li>a &lt; b</li>\n <li><p>c</p></li>\n</ul><ol><li>x<li>y</ol><table><tr><td>1<td>2</tr></table><pre>a\n  b</pre><p>&amp;lt; end&nbsp;x";
        insta::assert_snapshot!(html_to_plain(html).unwrap(), @r"
        Three habits

        One bold line, and more
        break

        - a < b
        - c

        1. x
        2. y

        1	2

        a
          b

        &lt; end x
        ");
    }

    #[test]
    fn markdown_with_html_in_it_is_made_harmless() {
        assert_eq!(
            markdown_to_html("[x](javascript:alert(1)) <img src=x onerror=y>\n\n- a").unwrap(),
            "<p><a rel=\"noopener noreferrer nofollow\">x</a> <img></p>\n<ul>\n<li>a</li>\n</ul>\n"
        );
        assert!(markdown_to_html(&"a".repeat(MARKDOWN_BYTES_MAX + 1)).is_err());
        for markdown in ["> ", "[", "*a ", "`", "- ", "![", "<b>", "| a ", "[a](", "\\", "&amp"] {
            markdown_to_plain(&markdown.repeat(MARKDOWN_BYTES_MAX / markdown.len())).unwrap();
        }
    }
}
