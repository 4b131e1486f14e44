//! How two texts differ, and how much. Pure, and bounded by the sizes that are taken: no clock is looked at, so the same
//! texts always give the same answer.

use rhai::ImmutableString;
use similar::{Algorithm, TextDiff};

use super::too_large;
use crate::effect::Failure;

/// The most lines of a text that is compared by line.
const LINES_MAX: usize = 5_000;
/// The most characters of a text that is compared by character.
const CHARS_MAX: usize = 5_000;
/// The same where only pairs of characters are counted.
const DICE_CHARS_MAX: usize = 100_000;
/// The most pairs of characters that one call compares: about a second.
const PAIRS_MAX: usize = 100_000_000;

/// How texts are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Levenshtein,
    JaroWinkler,
    Dice,
}

impl Method {
    pub const CHOICES: [(&'static str, Method); 3] = [
        ("levenshtein", Method::Levenshtein),
        ("jaro_winkler", Method::JaroWinkler),
        ("dice", Method::Dice),
    ];
}

/// The differences as a unified diff; empty when there are none.
pub fn diff(old: &str, new: &str, context: usize, names: Option<&(String, String)>) -> Result<String, Failure> {
    for text in [old, new] {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            return Err(too_large("lines", lines, LINES_MAX));
        }
    }
    let diff = TextDiff::configure().algorithm(Algorithm::Myers).diff_lines(old, new);
    let mut written = diff.unified_diff();
    written.context_radius(context);
    if let Some((old, new)) = names {
        // A name is one line of the diff's head.
        let line = |name: &str| name.replace(char::is_control, " ");
        written.header(&line(old), &line(new));
    }
    Ok(written.to_string())
}

/// From 0.0 to 1.0, the same.
pub fn similarity(a: &str, b: &str, method: Method) -> Result<f64, Failure> {
    let max = if method == Method::Dice {
        DICE_CHARS_MAX
    } else {
        CHARS_MAX
    };
    for text in [a, b] {
        checked_chars(text, max)?;
    }
    Ok(match method {
        Method::Levenshtein => strsim::normalized_levenshtein(a, b),
        Method::JaroWinkler => strsim::jaro_winkler(a, b),
        Method::Dice => strsim::sorensen_dice(a, b),
    })
}

/// The place and the score of the candidate that is most like `text`, the first of several.
pub fn closest(text: &str, candidates: &[ImmutableString]) -> Result<Option<(usize, f64)>, Failure> {
    let chars = checked_chars(text, CHARS_MAX)?;
    let mut pairs = 0;
    for candidate in candidates {
        pairs += chars * checked_chars(candidate, CHARS_MAX)?;
    }
    if pairs > PAIRS_MAX {
        return Err(Failure::new(
            "TEXT_TOO_LARGE",
            format!(
                "{pairs} pairs of characters would be compared; at most {PAIRS_MAX} are; compare shorter texts, or fewer"
            ),
        ));
    }
    let mut best: Option<(usize, f64)> = None;
    for (index, candidate) in candidates.iter().enumerate() {
        let score = strsim::normalized_levenshtein(text, candidate);
        if best.is_none_or(|(_, most)| score > most) {
            best = Some((index, score));
        }
    }
    Ok(best)
}

fn checked_chars(text: &str, max: usize) -> Result<usize, Failure> {
    let chars = text.chars().count();
    if chars > max {
        return Err(too_large("characters", chars, max));
    }
    Ok(chars)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_diff_shows_changes_with_what_is_around_them() {
        let (old, new) = ("a\nb\nc\nd\n", "a\nB\nc\nd\ne");
        let names = ("before".to_owned(), "after\n".to_owned());
        assert_eq!(
            diff(old, new, 1, Some(&names)).unwrap(),
            "--- before\n+++ after \n@@ -1,4 +1,5 @@\n a\n-b\n+B\n c\n d\n+e\n\\ No newline at end of file\n"
        );
        assert_eq!(diff(old, old, 3, None).unwrap(), "");
        let long = "x\n".repeat(LINES_MAX + 1);
        let fault = diff("", &long, 3, None).unwrap_err().to_string();
        assert_eq!(
            fault,
            "TEXT_TOO_LARGE: the text has 5,001 lines; at most 5,000 are taken; pass it on in parts"
        );
    }

    #[test]
    fn the_same_is_one_and_the_first_of_the_nearest_counts() {
        assert_eq!(similarity("", "", Method::Levenshtein).unwrap(), 1.0);
        assert_eq!(similarity("abc", "xyz", Method::Dice).unwrap(), 0.0);
        assert!(similarity("martha", "marhta", Method::JaroWinkler).unwrap() > 0.96);
        let texts = ["xx", "ab", "ba"].map(ImmutableString::from);
        assert_eq!(closest("aa", &texts).unwrap(), Some((1, 0.5)));
        assert!(similarity(&"a".repeat(CHARS_MAX + 1), "a", Method::Levenshtein).is_err());
        let many = vec![ImmutableString::from("a".repeat(CHARS_MAX)); 5];
        assert!(closest(&"b".repeat(CHARS_MAX), &many).is_err());
    }

    /// What `patch` does with a unified diff that has all lines around each change.
    fn patched(diff: &str) -> String {
        let lines = diff.lines().skip(1).filter_map(|line| line.strip_prefix([' ', '+']));
        lines.map(|line| format!("{line}\n")).collect()
    }

    proptest! {
        #[test]
        fn a_diff_applied_to_the_old_text_gives_the_new_one(old in "([ab]{1,2}\n){0,12}", new in "([ab]{1,2}\n){0,12}") {
            let changes = diff(&old, &new, 100, None).unwrap();
            prop_assert_eq!(changes.is_empty(), old == new);
            if old != new {
                prop_assert_eq!(patched(&changes), new);
            }
        }

        #[test]
        fn likeness_is_mutual_and_within_its_bounds(a in "\\PC{0,12}", b in "\\PC{0,12}", method in 0_usize..3) {
            let (_, method) = Method::CHOICES[method];
            let score = similarity(&a, &b, method).unwrap();
            prop_assert!((0.0..=1.0).contains(&score));
            prop_assert_eq!(score == 1.0 || method != Method::Levenshtein, a == b || method != Method::Levenshtein);
            prop_assert!((score - similarity(&b, &a, method).unwrap()).abs() < 1e-12);
        }
    }
}
