//! Other forms of the same text. Pure.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The length of a slug when nothing is said.
pub const SLUG_CHARS: usize = 80;
/// Of a longer text only the beginning becomes a slug.
const SLUG_SOURCE_CHARS_MAX: usize = 10_000;
/// The widest line.
pub const COLUMNS_MAX: usize = 10_000;

/// What a length counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Graphemes,
    Characters,
    Utf16,
    Bytes,
}

impl Unit {
    pub const CHOICES: [(&'static str, Unit); 4] = [
        ("graphemes", Unit::Graphemes),
        ("characters", Unit::Characters),
        ("utf16", Unit::Utf16),
        ("bytes", Unit::Bytes),
    ];

    /// The length of one grapheme.
    fn of_grapheme(self, grapheme: &str) -> usize {
        match self {
            Unit::Graphemes => 1,
            Unit::Characters => grapheme.chars().count(),
            Unit::Utf16 => grapheme.encode_utf16().count(),
            Unit::Bytes => grapheme.len(),
        }
    }

    fn of(self, text: &str) -> usize {
        text.graphemes(true).map(|grapheme| self.of_grapheme(grapheme)).sum()
    }
}

/// How a text is cut.
#[derive(Clone, Debug)]
pub struct Cut {
    pub ellipsis: String,
    pub words: bool,
    pub unit: Unit,
}

impl Default for Cut {
    fn default() -> Cut {
        Cut {
            ellipsis: "…".to_owned(),
            words: false,
            unit: Unit::Graphemes,
        }
    }
}

/// Small Latin letters and digits, words parted by `separator`; ends at a word's end where it is cut.
pub fn slug(text: &str, chars_max: usize, separator: &str) -> String {
    let end = text
        .char_indices()
        .nth(SLUG_SOURCE_CHARS_MAX)
        .map_or(text.len(), |(at, _)| at);
    // An apostrophe parts no words.
    let latin = deunicode::deunicode(&text[..end]).replace('\'', "");
    let mut slug = String::new();
    for word in latin
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        let word = word.to_ascii_lowercase();
        if slug.is_empty() {
            slug.push_str(&word[..word.len().min(chars_max)]);
        } else if slug.len() + separator.len() + word.len() <= chars_max {
            slug.push_str(separator);
            slug.push_str(&word);
        } else {
            break;
        }
    }
    slug
}

/// At most `max` units of `text`, its ellipsis included. No grapheme is cut.
pub fn truncate(text: &str, max: usize, cut: &Cut) -> String {
    let unit = cut.unit;
    if text.len() <= max || unit.of(text) <= max {
        return text.to_owned();
    }
    let ellipsis = if unit.of(&cut.ellipsis) <= max {
        cut.ellipsis.as_str()
    } else {
        ""
    };
    let mut left = max - unit.of(ellipsis);
    let mut end = 0;
    for (at, grapheme) in text.grapheme_indices(true) {
        match left.checked_sub(unit.of_grapheme(grapheme)) {
            Some(less) => left = less,
            None => break,
        }
        end = at + grapheme.len();
    }
    let kept = &text[..end];
    let is_within_word = !kept.ends_with(char::is_whitespace) && !text[end..].starts_with(char::is_whitespace);
    let kept = match kept.rfind(char::is_whitespace) {
        Some(at) if cut.words && is_within_word && !kept[..at].trim_end().is_empty() => kept[..at].trim_end(),
        _ if cut.words => kept.trim_end(),
        _ => kept,
    };
    // What was cut off may change how its neighbours join: an ellipsis could become part of the last grapheme.
    let mut short = kept.to_owned();
    short.push_str(ellipsis);
    short
}

/// Where a text stands among what fills its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
    Center,
}

impl Align {
    pub const CHOICES: [(&'static str, Align); 3] = [
        ("left", Align::Left),
        ("right", Align::Right),
        ("center", Align::Center),
    ];
}

/// The one character of a text, if it is one column wide.
pub fn one_column(text: &str) -> Option<char> {
    let mut letters = text.chars();
    let letter = letters.next().filter(|letter| letter.width() == Some(1))?;
    letters.next().is_none().then_some(letter)
}

/// `text` with `fill` around it, until it is `width` columns wide.
pub fn pad(text: &str, width: usize, align: Align, fill: char) -> String {
    let missing = width.saturating_sub(text.width());
    let (before, after) = match align {
        Align::Left => (0, missing),
        Align::Right => (missing, 0),
        Align::Center => (missing / 2, missing - missing / 2),
    };
    let fill = |count: usize| std::iter::repeat_n(fill, count);
    fill(before).chain(text.chars()).chain(fill(after)).collect()
}

/// `text` in lines of at most `width` columns; at least one grapheme stands on each.
pub fn wrap(text: &str, width: usize) -> String {
    let mut wrapped = String::with_capacity(text.len() + text.len() / 8);
    for (index, line) in text.lines().enumerate() {
        if index > 0 {
            wrapped.push('\n');
        }
        let mut column = 0;
        for word in line.split_whitespace() {
            let wide = word.width();
            if column > 0 && column + 1 + wide <= width {
                wrapped.push(' ');
                column += 1;
            } else if column > 0 {
                wrapped.push('\n');
                column = 0;
            }
            if wide <= width {
                wrapped.push_str(word);
                column += wide;
                continue;
            }
            for grapheme in word.graphemes(true) {
                if column > 0 && column + grapheme.width() > width {
                    wrapped.push('\n');
                    column = 0;
                }
                wrapped.push_str(grapheme);
                column += grapheme.width();
            }
        }
    }
    if text.ends_with('\n') {
        wrapped.push('\n');
    }
    wrapped
}

/// Whether a character neither shows nor joins its neighbours: a zero-width space, a mark of the byte order, a control
/// character. The joiner of emoji and the marks of writing direction do something.
fn is_nothing(letter: char) -> bool {
    (letter.is_control() && !letter.is_whitespace())
        || matches!(letter, '\u{200b}' | '\u{2060}' | '\u{feff}' | '\u{ad}')
}

/// One space between words, none at the ends of lines, at most one empty line, nothing invisible.
pub fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    let mut empty_lines = 0;
    for line in text
        .lines()
        .flat_map(|line| line.split(['\r', '\u{2028}', '\u{2029}', '\u{0b}', '\u{0c}']))
    {
        let line = one_line(line);
        if line.is_empty() {
            empty_lines += 1;
            continue;
        }
        if !tidy.is_empty() {
            tidy.push_str(if empty_lines > 0 { "\n\n" } else { "\n" });
        }
        empty_lines = 0;
        tidy.push_str(&line);
    }
    tidy
}

/// Every run of white space as one space, and nothing invisible.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    let mut gap = false;
    for letter in text.chars().filter(|letter| !is_nothing(*letter)) {
        if letter.is_whitespace() {
            gap = true;
            continue;
        }
        if gap && !line.is_empty() {
            line.push(' ');
        }
        gap = false;
        line.push(letter);
    }
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_vowel_sign_stays_with_its_consonant() {
        let cut = Cut {
            ellipsis: String::new(),
            ..Cut::default()
        };
        assert_eq!(truncate("\u{ba8}\u{bbf}\u{b85}", 1, &cut), "\u{ba8}\u{bbf}");
    }

    #[test]
    fn a_slug_is_latin_and_ends_at_a_word() {
        assert_eq!(
            slug("Don't STOP: 100 % œuvre, 東京", 80, "-"),
            "dont-stop-100-oeuvre-dong-jing"
        );
        assert_eq!(slug("three habits of", 12, "-"), "three-habits");
        assert_eq!(slug("three habits of", 11, "_"), "three");
        assert_eq!(slug("incomprehensibilities", 5, "-"), "incom");
        assert_eq!(slug("…!?", 80, "-"), "");
        assert!(slug(&"a".repeat(1 << 20), 200, "-").len() == 200);
    }

    #[test]
    fn a_text_is_cut_between_graphemes_in_every_unit() {
        let family = "👩‍👩‍👧 and 🇩🇪 e\u{301}!";
        let cut = |max, unit, words| {
            let ellipsis = "…".to_owned();
            truncate(family, max, &Cut { ellipsis, words, unit })
        };
        assert_eq!(cut(100, Unit::Bytes, false), family);
        assert_eq!(cut(10, Unit::Graphemes, false), family);
        assert_eq!(cut(2, Unit::Graphemes, false), "👩‍👩‍👧…");
        assert_eq!(cut(7, Unit::Graphemes, false), "👩‍👩‍👧 and …");
        assert_eq!(cut(7, Unit::Graphemes, true), "👩‍👩‍👧 and…");
        assert_eq!(cut(8, Unit::Utf16, false), "…");
        assert_eq!(cut(9, Unit::Utf16, false), "👩‍👩‍👧…");
        assert_eq!(cut(2, Unit::Bytes, false), "");
        assert_eq!(cut(0, Unit::Graphemes, false), "");
        assert_eq!(
            truncate(
                "incomprehensible",
                5,
                &Cut {
                    words: true,
                    ..Cut::default()
                }
            ),
            "inco…"
        );
    }

    #[test]
    fn texts_are_filled_and_wrapped_by_columns() {
        assert_eq!(pad("ab", 5, Align::Center, '.'), ".ab..");
        assert_eq!(pad("日本", 3, Align::Right, '.'), "日本");
        assert_eq!(wrap("one two\n\n  three", 7), "one two\n\nthree");
        assert_eq!(wrap("日本語 ab", 4), "日本\n語\nab");
        assert_eq!(wrap("ab", 0), "a\nb");
        assert_eq!(
            (one_column("0"), one_column("日"), one_column(""), one_column("ab")),
            (Some('0'), None, None, None)
        );
    }

    #[test]
    fn tidy_texts_have_nothing_that_nobody_sees() {
        assert_eq!(tidy("\u{feff} a\u{a0}\tb \r\n\n\n\n c\u{0}\u{200b}d\n\n"), "a b\n\ncd");
        assert_eq!(tidy("👩‍👩‍👧"), "👩‍👩‍👧");
        assert_eq!(one_line(" \n a\n\nb "), "a b");
    }

    proptest! {
        #[test]
        fn a_cut_text_is_a_beginning_that_ends_between_graphemes(
            text in "([a-z \n]|👩‍👩‍👧|🇩🇪|👍🏽|e\u{301}|日|\u{200d}|\r\n){0,20}", max in 0_usize..30, unit in 0_usize..4, words: bool,
        ) {
            let (_, unit) = Unit::CHOICES[unit];
            let cut = Cut { ellipsis: String::new(), words, unit };
            let short = truncate(&text, max, &cut);
            prop_assert!(unit.of(&short) <= max || short == text);
            prop_assert!(text.starts_with(&short));
            let ends: Vec<usize> = text.grapheme_indices(true).map(|(at, _)| at).chain([text.len()]).collect();
            prop_assert!(words || ends.contains(&short.len()), "{short:?} of {text:?}");
            if !words && short != text {
                // The next grapheme would have been too much.
                let next = text[short.len()..].graphemes(true).next().unwrap_or_default();
                prop_assert!(unit.of(&short) + unit.of_grapheme(next) > max);
            }
        }

        #[test]
        fn tidying_twice_changes_nothing_more(text in "\\PC{0,20}[ \r\n\t]{0,4}\\PC{0,20}") {
            let once = tidy(&text);
            prop_assert_eq!(tidy(&once), once.clone());
            prop_assert_eq!(wrap(&once, 9).split_whitespace().collect::<String>(), once.split_whitespace().collect::<String>());
        }

        #[test]
        fn a_slug_can_stand_in_a_url(text in "\\PC{0,40}", max in 1_usize..100) {
            let slug = slug(&text, max, "-");
            prop_assert!(slug.len() <= max && !slug.starts_with('-') && !slug.ends_with('-') && !slug.contains("--"));
            prop_assert!(slug.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-'));
        }
    }
}
