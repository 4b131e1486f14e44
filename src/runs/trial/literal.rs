//! Values as a script writes them.

use crate::script::syntax::token::{KEYWORDS, RESERVED};
use crate::value::Value;

/// What is longer than this is spread over lines.
const LINE_CHARS_MAX: usize = 100;

/// What nests deeper is written as JSON: Rhai bounds the depth of expressions in functions.
const DEPTH_MAX: usize = 10;

/// `value` as a script would write it, with lines after the first indented by `indent` spaces. `None` for what scripts
/// have no way to write.
pub fn literal(value: &Value, indent: usize) -> Option<String> {
    if depth(value) > DEPTH_MAX {
        return Some(format!("json::parse({})", text(&value.to_json().to_string())));
    }
    let short = inline(value)?;
    let is_short = short.chars().count() + indent <= LINE_CHARS_MAX;
    let inner = " ".repeat(indent + 4);
    Some(match value {
        Value::Map(map) if !is_short && !map.is_empty() => {
            let field = |(name, value): (&String, &Value)| {
                Some(format!("{inner}{}: {},\n", key(name), literal(value, indent + 4)?))
            };
            let fields: String = map.iter().map(field).collect::<Option<_>>()?;
            format!("#{{\n{fields}{}}}", " ".repeat(indent))
        }
        Value::List(items) if !is_short && !items.is_empty() => {
            let item = |value: &Value| Some(format!("{inner}{},\n", literal(value, indent + 4)?));
            let items: String = items.iter().map(item).collect::<Option<_>>()?;
            format!("[\n{items}{}]", " ".repeat(indent))
        }
        _ => short,
    })
}

fn inline(value: &Value) -> Option<String> {
    Some(match value {
        Value::Unit => "()".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(i64::MIN) => format!("({} - 1)", i64::MIN + 1),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => float(*number),
        Value::Text(said) => text(said),
        Value::Blob(_) => return None,
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(inline).collect::<Option<_>>()?;
            format!("[{}]", items.join(", "))
        }
        Value::Map(map) if map.is_empty() => "#{}".to_owned(),
        Value::Map(map) => {
            let field = |(name, value): (&String, &Value)| Some(format!("{}: {}", key(name), inline(value)?));
            let fields: Vec<String> = map.iter().map(field).collect::<Option<_>>()?;
            format!("#{{ {} }}", fields.join(", "))
        }
    })
}

fn float(number: f64) -> String {
    if number.is_nan() {
        return "(0.0 / 0.0)".to_owned();
    }
    if number.is_infinite() {
        return format!("({}1.0 / 0.0)", if number < 0.0 { "-" } else { "" });
    }
    let said = format!("{number:?}");
    match said.split_once('e') {
        Some((digits, power)) if !digits.contains('.') => format!("{digits}.0e{power}"),
        _ => said,
    }
}

/// A text between quotes.
pub fn text(said: &str) -> String {
    let mut quoted = String::with_capacity(said.len() + 2);
    quoted.push('"');
    for letter in said.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // What turns the direction of writing would hide what stands in the test.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => {
                quoted.push_str(&format!("\\u{:04x}", letter as u32));
            }
            letter if letter.is_control() => quoted.push_str(&format!("\\u{:04x}", letter as u32)),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

fn key(name: &str) -> String {
    let is_plain = name.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        && !KEYWORDS.contains(&name)
        && !RESERVED.contains(&name);
    if is_plain { name.to_owned() } else { text(name) }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Map(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestHost;

    #[test]
    fn a_script_reads_what_was_written() {
        let long = "a long text, \"quoted\", with \\ and\nlines\tand \u{7} \u{202e} and é ".repeat(4);
        let mut deep = Value::Int(1);
        for _ in 0..30 {
            deep = Value::List(vec![deep]);
        }
        let value = Value::from([
            ("default", Value::Int(i64::MIN)),
            ("with space", Value::Float(1e300)),
            (
                "numbers",
                Value::List(vec![
                    Value::Float(-0.5),
                    Value::Float(1e-7),
                    Value::Int(-3),
                    Value::Float(f64::INFINITY),
                ]),
            ),
            ("none", Value::Unit),
            (
                "long",
                Value::List(vec![long.as_str().into(), Value::from([("a", Value::Bool(true))])]),
            ),
            ("empty", Value::from([])),
        ]);
        let written = literal(&value, 4).expect("it can be written");
        let host = TestHost::default();
        assert_eq!(
            host.run(&format!("fn f() {{ {written} }} f()")).value(),
            &value,
            "{written}"
        );
        assert!(written.lines().count() > 8, "{written}");
        let written = literal(&deep, 4).expect("it can be written");
        assert_eq!(
            host.run(&format!("fn f() {{ {written} }} f()")).value(),
            &deep,
            "{written}"
        );
        assert_eq!(literal(&Value::List(vec![Value::Blob(vec![1])]), 0), None);
    }
}
