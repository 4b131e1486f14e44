//! JSONPath (RFC 9535), with its cost reckoned first. Pure.

use serde_json::Value as Json;
use serde_json_path::JsonPath;

use super::path::PATH_BYTES_MAX;
use crate::effect::Failure;
use crate::value::Value;

/// The most that a query finds.
const FOUND_MAX: usize = 10_000;
/// The most values that a query may have to look at, each as often as it may.
const VISITS_MAX: u64 = 20_000_000;

/// All that `path` finds in `json`.
pub fn query(json: &Json, path: &str) -> Result<Vec<Value>, Failure> {
    let shown: String = path.chars().take(60).collect();
    let bad = |reason: String| Failure::new("JSON_PATH", format!("{shown:?} is no JSONPath: {reason}"));
    if path.len() > PATH_BYTES_MAX {
        let bytes = path.len();
        return Err(bad(format!(
            "it has {bytes} bytes, and at most {PATH_BYTES_MAX} are allowed"
        )));
    }
    let parsed = JsonPath::parse(path).map_err(|error| {
        bad(format!(
            "at character {}: {}; write it like \"$.items[*].title\"",
            error.position(),
            error.message()
        ))
    })?;
    let size = count(json);
    if visits(path, size) > VISITS_MAX {
        let message = format!(
            "{shown:?} would look at more than {VISITS_MAX} values in these {size}; name more of the path, or query less"
        );
        return Err(Failure::new("JSON_PATH", message));
    }
    let found = parsed.query(json).all();
    if found.len() > FOUND_MAX {
        let message = format!(
            "{shown:?} finds {} values; at most {FOUND_MAX} are given; narrow it",
            found.len()
        );
        return Err(Failure::new("JSON_PATH", message));
    }
    Ok(found.into_iter().cloned().map(Value::from_json).collect())
}

/// How many values there are, at every level.
pub fn count(json: &Json) -> u64 {
    match json {
        Json::Array(items) => 1 + items.iter().map(count).sum::<u64>(),
        Json::Object(fields) => 1 + fields.values().map(count).sum::<u64>(),
        _ => 1,
    }
}

/// At most how many values a query looks at. Several selectors in one bracket may each find the same; each `..` but the
/// first finds a value once for every level above it; and what searches within a filter searches for each candidate.
fn visits(path: &str, size: u64) -> u64 {
    const LEVELS: u64 = crate::value::VALUE_DEPTH_MAX as u64;
    let (mut descents, mut selectors, mut is_filter) = (0_u32, 1_u64, false);
    let mut searches = 0_u32;
    let mut commas: Vec<u64> = Vec::new();
    let mut quote = None;
    let mut letters = path.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', Some(_)) => {
                letters.next();
            }
            (_, Some(open)) if letter == open => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) => quote = Some(letter),
            ('?', None) => is_filter = true,
            ('[', None) => commas.push(1),
            (']', None) => selectors = selectors.saturating_mul(commas.pop().unwrap_or(1)),
            (',', None) => commas.iter_mut().rev().take(1).for_each(|count| *count += 1),
            ('.', None) if letters.peek() == Some(&'.') => {
                letters.next();
                if is_filter { searches += 1 } else { descents += 1 }
            }
            ('*' | ':', None) if is_filter => searches += 1,
            _ => {}
        }
    }
    let again = LEVELS.saturating_pow(descents.saturating_sub(1));
    size.saturating_mul(selectors)
        .saturating_mul(again)
        .saturating_mul(size.saturating_pow(searches))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(path: &str) -> Result<String, String> {
        let data =
            json!({"items": [{"title": "a", "score": 3}, {"title": "b,]", "score": 8, "tags": ["x", "y"]}], "n": 1});
        let found = query(&data, path).map_err(|failure| failure.message)?;
        Ok(Value::List(found).to_string())
    }

    #[test]
    fn queries_find_what_the_standard_says() {
        for (path, wanted) in [
            ("$.items[*].title", r#"["a","b,]"]"#),
            ("$..score", "[3,8]"),
            ("$.items[?@.score > 7].title", r#"["b,]"]"#),
            ("$.items[?length(@.tags) == 2].score", "[8]"),
            ("$.items[-1:].tags[0, 1]", r#"["x","y"]"#),
            ("$.items[?@.title == 'b,]'].score", "[8]"),
            ("$.nothing", "[]"),
            ("$['n']", "[1]"),
        ] {
            assert_eq!(found(path).as_deref(), Ok(wanted), "{path}");
        }
    }

    #[test]
    fn a_path_that_is_none_is_refused_with_its_place() {
        let message = found("$.items[").expect_err("refused");
        assert!(
            message.starts_with("\"$.items[\" is no JSONPath: at character "),
            "{message}"
        );
        assert!(
            found(&format!("$.{}", "a".repeat(2000)))
                .expect_err("refused")
                .contains("2002 bytes")
        );
    }

    #[test]
    fn a_path_that_would_take_long_is_refused_before_it_does() {
        let wide = json!({"a": vec![0; 5_000]});
        for path in [
            "$..*..*..*..*",
            "$..[*,*][*,*,*,*,*,*,*,*,*][*,*,*,*,*,*,*,*,*][*,*,*,*,*,*,*,*,*][*,*,*,*,*,*,*,*]",
            "$.a[?count($.a[*]) == count($..*)]",
        ] {
            let message = query(&wide, path).expect_err(path).message;
            assert!(message.contains("would look at more than"), "{message}");
        }
        assert_eq!(query(&wide, "$..*").expect("not too much").len(), 5_001);
        let wider = json!(vec![0; 10_001]);
        assert!(
            query(&wider, "$[*]")
                .expect_err("refused")
                .message
                .contains("finds 10001 values")
        );
    }
}
