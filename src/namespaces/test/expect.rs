//! Expectations, and what is said when one is not met.

use crate::effect::Failure;
use crate::value::Value;

/// The longest value that a message quotes.
const QUOTED_CHARS_MAX: usize = 60;

/// An expectation that is not met.
pub fn unmet(message: impl Into<String>) -> Failure {
    Failure::new("EXPECTATION", message)
}

/// That both mean the same.
pub fn equal(actual: &Value, expected: &Value) -> Result<(), Failure> {
    if actual.means(expected) {
        return Ok(());
    }
    let message = match (quoted(actual), quoted(expected)) {
        (Some(actual), Some(expected)) => format!("this is {actual}, and {expected} is expected"),
        _ => match first_difference(actual, expected) {
            path if path.is_empty() => "this is not what is expected".to_owned(),
            path => format!("this is not what is expected: it differs at {path}"),
        },
    };
    Err(unmet(message).details(both(actual, expected)))
}

/// That `whole` has `part` in it.
pub fn contains(whole: &Value, part: &Value) -> Result<(), Failure> {
    let is_in = match (whole, part) {
        (Value::Text(whole), Value::Text(part)) => whole.contains(part.as_str()),
        (Value::List(items), part) => items.iter().any(|item| item.holds(part)),
        (Value::Map(_), Value::Map(_)) => whole.holds(part),
        (whole, part) => {
            let message = format!("{} cannot contain {}", kind(whole), kind(part));
            return Err(unmet(message));
        }
    };
    if is_in {
        return Ok(());
    }
    let message = match (quoted(whole), quoted(part)) {
        (Some(whole), Some(part)) => format!("{whole} does not contain {part}"),
        (None, Some(part)) => format!("{} does not contain {part}", the(whole)),
        _ => format!("{} does not contain what is expected", the(whole)),
    };
    Err(unmet(message).details(both(whole, part)))
}

fn both(actual: &Value, expected: &Value) -> Value {
    Value::from([("actual", actual.clone()), ("expected", expected.clone())])
}

fn the(value: &Value) -> String {
    format!("the {}", value.kind())
}

fn kind(value: &Value) -> String {
    match value.kind() {
        kind @ ("array" | "int") => format!("an {kind}"),
        "()" => "()".to_owned(),
        kind => format!("a {kind}"),
    }
}

fn quoted(value: &Value) -> Option<String> {
    let text = match value {
        Value::Unit => "()".to_owned(),
        value => value.to_string(),
    };
    (text.chars().count() <= QUOTED_CHARS_MAX).then_some(text)
}

/// Where two values differ first, as a script would write it: `.posts[2].text`.
fn first_difference(a: &Value, b: &Value) -> String {
    match (a, b) {
        (Value::Map(one), Value::Map(other)) => {
            let names = one.keys().chain(other.keys().filter(|name| !one.contains_key(*name)));
            let differs = |name: &&String| match (one.get(*name), other.get(*name)) {
                (Some(a), Some(b)) => !a.means(b),
                _ => true,
            };
            let Some(name) = names.into_iter().find(differs) else {
                return String::new();
            };
            let below = one.get(name).zip(other.get(name));
            format!(
                ".{name}{}",
                below.map(|(a, b)| first_difference(a, b)).unwrap_or_default()
            )
        }
        (Value::List(one), Value::List(other)) => {
            let index = one.iter().zip(other).position(|(a, b)| !a.means(b));
            let index = index.unwrap_or(one.len().min(other.len()));
            let below = one.get(index).zip(other.get(index));
            format!(
                "[{index}]{}",
                below.map(|(a, b)| first_difference(a, b)).unwrap_or_default()
            )
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Value {
        Value::from_json(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn short_values_are_quoted_and_long_ones_told_by_where_they_differ() {
        let said = |a: &str, b: &str| equal(&json(a), &json(b)).unwrap_err().message;
        assert_eq!(said("1", "2"), "this is 1, and 2 is expected");
        let long = "x".repeat(80);
        let (a, b) = (
            format!(r#"{{"a":[1,{{"t":"{long}"}}]}}"#),
            format!(r#"{{"a":[1,{{"t":"{long}y"}}]}}"#),
        );
        assert_eq!(said(&a, &b), "this is not what is expected: it differs at .a[1].t");
    }

    #[test]
    fn whole_numbers_equal_floats_of_their_size_and_nothing_else() {
        assert!(equal(&json("1"), &json("1.0")).is_ok());
        assert!(equal(&json("1"), &json("\"1\"")).is_err());
        assert!(equal(&json("{\"a\":1}"), &json("{}")).is_err());
        assert!(equal(&json("[1]"), &json("[1,2]")).is_err());
        assert!(
            equal(&json("0.3"), &Value::Float(0.1 + 0.2)).is_ok(),
            "as `==` in a script"
        );
        assert!(equal(&json("0.3"), &json("0.300001")).is_err());
        assert!(equal(&Value::Float(f64::NAN), &Value::Float(f64::NAN)).is_ok());
    }

    #[test]
    fn a_part_is_found_in_texts_arrays_and_maps() {
        let holds = |a: &str, b: &str| contains(&json(a), &json(b)).is_ok();
        assert!(holds(r#""three clips""#, r#""clips""#));
        assert!(!holds(r#""three clips""#, r#""clip s""#));
        assert!(holds(r#"[{"a":1,"b":2}]"#, r#"{"a":1}"#));
        assert!(!holds(r#"[{"a":1,"b":2}]"#, r#"{"a":2}"#));
        assert!(holds(r#"{"a":{"b":1,"c":2}}"#, r#"{"a":{"c":2}}"#));
        assert!(!holds(r#"{"a":{"b":1}}"#, r#"{"a":{"c":2}}"#));
        assert!(!holds("1", "1"), "a number contains nothing");
    }
}
