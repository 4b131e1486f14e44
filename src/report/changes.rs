//! What differs between two values, field by field.

use crate::value::Value;

/// The most fields that are told apart.
const FIELDS_MAX: usize = 200;

/// Characters of a text that are shown before the first difference.
const LEAD_CHARS: usize = 12;

/// One field that differs; `None` where it is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// `options.bitrate`, `clips[2].title`; empty for the whole.
    pub path: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// The fields in which `before` and `after` differ.
pub fn changes(before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut found = Vec::new();
    collect(String::new(), Some(before), Some(after), &mut found);
    found
}

fn collect(path: String, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<FieldChange>) {
    if before == after || found.len() >= FIELDS_MAX {
        return;
    }
    match (before, after) {
        (Some(Value::Map(before)), Some(Value::Map(after))) => {
            let added = after.keys().filter(|name| !before.contains_key(*name));
            for name in before.keys().chain(added) {
                let below = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                collect(below, before.get(name), after.get(name), found);
            }
        }
        (Some(Value::List(before)), Some(Value::List(after))) if before.len() == after.len() => {
            for (at, (before, after)) in before.iter().zip(after).enumerate() {
                collect(format!("{path}[{at}]"), Some(before), Some(after), found);
            }
        }
        (before, after) => found.push(FieldChange {
            path,
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}

impl FieldChange {
    /// Both sides for one line: of long texts the part where they begin to differ.
    pub fn sides(&self) -> (String, String) {
        if let (Some(Value::Text(before)), Some(Value::Text(after))) = (&self.before, &self.after) {
            let same = before.chars().zip(after.chars()).take_while(|(a, b)| a == b).count();
            if same > 2 * LEAD_CHARS {
                let tail = |text: &str| text.chars().skip(same - LEAD_CHARS).collect::<String>();
                let quoted = |text: &str| format!("\"…{}\"", tail(text));
                return (quoted(before), quoted(after));
            }
        }
        let shown = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
        (shown(&self.before), shown(&self.after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        Value::from_json(serde_json::from_str(json).expect("JSON"))
    }

    #[test]
    fn only_what_differs_is_told_with_the_path_to_it() {
        let before = value(r#"{"a": 1, "b": {"c": [1, 2], "d": "x"}, "gone": true}"#);
        let after = value(r#"{"a": 1, "b": {"c": [1, 3], "d": "x"}, "new": 5}"#);
        let told: Vec<String> = changes(&before, &after)
            .iter()
            .map(|change| {
                let (before, after) = change.sides();
                format!("{} {before} > {after}", change.path)
            })
            .collect();
        assert_eq!(told, ["b.c[1] 2 > 3", "gone true > nothing", "new nothing > 5"]);
        assert_eq!(changes(&before, &before), []);
    }

    #[test]
    fn long_texts_are_shown_from_where_they_differ() {
        let text = |end: &str| Value::from(format!("{}{end}", "same words ".repeat(20)).as_str());
        let change = &changes(&text("one"), &text("two"))[0];
        assert_eq!(
            change.sides(),
            ("\"… same words one\"".to_owned(), "\"… same words two\"".to_owned())
        );
    }
}
