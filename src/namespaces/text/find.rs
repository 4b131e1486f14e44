//! What is in a text: words, hashtags, mentions, addresses. Pure.

use std::collections::BTreeSet;

use unicode_segmentation::UnicodeSegmentation;

/// How long a text is, in several units.
pub fn counts(text: &str) -> [(&'static str, usize); 7] {
    [
        ("graphemes", text.graphemes(true).count()),
        ("characters", text.chars().count()),
        ("utf16", text.encode_utf16().count()),
        ("bytes", text.len()),
        ("words", text.unicode_words().count()),
        ("sentences", sentences(text).count()),
        ("lines", text.lines().count()),
    ]
}

pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.unicode_words()
}

pub fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut bounds = text.split_sentence_bounds();
    // The crate's own guess at how many are left overflows when none is.
    std::iter::from_fn(move || bounds.next())
        .map(str::trim)
        .filter(|sentence| !sentence.is_empty())
}

/// Names behind `#`, each once whatever its case.
pub fn hashtags(text: &str) -> impl Iterator<Item = &str> {
    // A combining mark belongs to its letter, a joiner to its emoji; the latter are no letters and so end a tag.
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || is_mark(letter);
    let is_tag = |name: &&str| name.contains(|letter: char| letter.is_alphabetic());
    once(marked(text, '#', is_part).filter(is_tag))
}

/// Names behind `@`, each once whatever its case.
pub fn mentions(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '-');
    let names = marked(text, '@', is_part).map(|name| name.trim_end_matches(['.', '-']));
    once(names.filter(|name| name.contains(char::is_alphanumeric)))
}

/// Addresses of the web, each once.
pub fn urls(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    let next = move || {
        let (at, start) = next_start(rest)?;
        let found = &rest[at..];
        let is_end = |letter: char| letter.is_whitespace() || letter.is_control() || "<>\"`{}|\\^".contains(letter);
        let end = found.find(is_end).unwrap_or(found.len());
        rest = &found[end..];
        Some((without_what_ends_it(&found[..end]), start))
    };
    let found = std::iter::from_fn(next)
        .filter(|(url, start)| url.len() > *start)
        .map(|(url, _)| url);
    let mut seen = BTreeSet::new();
    found.filter(move |url| seen.insert(*url))
}

/// Where the next address begins, and how long its beginning is.
fn next_start(text: &str) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let begins = |at: usize, start: &str| {
        let found = bytes.get(at..at + start.len());
        found.is_some_and(|found| found.eq_ignore_ascii_case(start.as_bytes()))
    };
    let starts = ["https://", "http://"];
    let place = |at| {
        starts
            .iter()
            .find(|start| begins(at, start))
            .map(|start| (at, start.len()))
    };
    (0..bytes.len()).filter(|at| bytes[*at] | 0x20 == b'h').find_map(place)
}

/// An address without the punctuation of the sentence around it; a closing bracket belongs to it when one was opened.
fn without_what_ends_it(url: &str) -> &str {
    let count = |bracket: char| url.matches(bracket).count();
    let (mut round, mut square) = ((count('('), count(')')), (count('['), count(']')));
    let mut end = url.len();
    for last in url.chars().rev() {
        match last {
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '…' | '”' | '’' | '»' | '*' | '_' | '~' => {}
            ')' if round.1 > round.0 => round.1 -= 1,
            ']' if square.1 > square.0 => square.1 -= 1,
            _ => break,
        }
        end -= last.len_utf8();
    }
    &url[..end]
}

fn is_mark(letter: char) -> bool {
    // Combining marks and the vowel signs of Indic scripts, which `is_alphanumeric` does not all count.
    matches!(letter, '\u{300}'..='\u{36f}' | '\u{900}'..='\u{963}' | '\u{e31}'..='\u{e4e}')
}

/// What stands behind `mark`, where no word stands before it.
fn marked<'t>(text: &'t str, mark: char, is_part: impl Fn(char) -> bool + Copy + 't) -> impl Iterator<Item = &'t str> {
    text.match_indices(mark).filter_map(move |(at, _)| {
        let before = text[..at].chars().next_back();
        let behind = &text[at + mark.len_utf8()..];
        let end = behind.find(|letter| !is_part(letter)).unwrap_or(behind.len());
        let is_free =
            before.is_none_or(|letter| !letter.is_alphanumeric() && !matches!(letter, '_' | '&' | '/' | '#' | '@'));
        (is_free && end > 0).then(|| &behind[..end])
    })
}

fn once<'t>(names: impl Iterator<Item = &'t str>) -> impl Iterator<Item = &'t str> {
    let mut seen = BTreeSet::new();
    names.filter(move |name| seen.insert(name.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all<'t>(found: impl Iterator<Item = &'t str>) -> Vec<&'t str> {
        found.collect()
    }

    #[test]
    fn hashtags_are_names_and_not_anchors_entities_or_numbers() {
        assert_eq!(
            all(hashtags("#AI #ai, x#y &#39; https://e.com/#top #2026 #3d ##no #a_b.")),
            ["AI", "3d", "a_b"]
        );
        assert_eq!(all(hashtags("#हिन्दी #café #日本語")), ["हिन्दी", "café", "日本語"]);
        assert_eq!(all(hashtags("#")), [""; 0]);
    }

    #[test]
    fn mentions_are_no_mail_addresses() {
        assert_eq!(
            all(mentions("@a @A @b.c. me@example.com (@d-e) @ @...")),
            ["a", "b.c", "d-e"]
        );
    }

    #[test]
    fn addresses_end_where_a_reader_would_end_them() {
        assert_eq!(
            all(urls(
                "HTTPS://e.com/A, <http://e.com> \"https://e.com/?a=b&c=d\"! https:// [x](https://e.com/x) https://e.com/A"
            )),
            [
                "HTTPS://e.com/A",
                "http://e.com",
                "https://e.com/?a=b&c=d",
                "https://e.com/x",
                "https://e.com/A"
            ]
        );
        assert_eq!(all(urls("ftp://e.com e.com")), [""; 0]);
    }

    #[test]
    fn sentences_keep_their_marks() {
        assert_eq!(
            all(sentences("One. Two?  Three!\nFour")),
            ["One.", "Two?", "Three!", "Four"]
        );
        assert_eq!(counts("")[0..3], [("graphemes", 0), ("characters", 0), ("utf16", 0)]);
    }
}
