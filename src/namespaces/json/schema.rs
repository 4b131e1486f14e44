//! Checking data against a JSON Schema, with its cost reckoned first. Pure.
//!
//! A schema may refer to itself, and then a small one asks for more checks than there are atoms (`anyOf` of two
//! references, each to an `anyOf` of two references). Nothing could stop it on its way, so [`Reckoning`] follows the
//! references beforehand.

use std::collections::BTreeMap;

use jsonschema::paths::LocationSegment;
use serde_json::{Map, Value as Json};

use super::patch::depth;
use super::path::{Token, written};
use super::query::count;
use crate::effect::Failure;
use crate::namespaces::openai::schema::checker;
use crate::value::Value;

/// The most values of a schema.
const SCHEMA_VALUES_MAX: u64 = 10_000;
/// The most checks that one call may make.
const CHECKS_MAX: u64 = 20_000_000;
/// The most faults that are given.
const FAULTS_MAX: usize = 100;
/// How many faults the message of an error names.
const FAULTS_NAMED: usize = 3;
/// The longest message of a fault: it may hold the data that is wrong.
const MESSAGE_CHARS_MAX: usize = 200;

/// One thing that is wrong with the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaFault {
    /// As `json::get` takes it.
    pub path: String,
    pub message: String,
}

impl From<SchemaFault> for Value {
    fn from(fault: SchemaFault) -> Value {
        Value::from([("path", fault.path.into()), ("message", fault.message.into())])
    }
}

/// What is wrong with `value` by `schema`.
pub fn faults(value: &Json, schema: &Json) -> Result<Vec<SchemaFault>, Failure> {
    let invalid = |reason: String| Failure::new("JSON_SCHEMA_INVALID", reason);
    let values = count(schema);
    if values > SCHEMA_VALUES_MAX {
        return Err(invalid(format!(
            "the schema has {values} values; at most {SCHEMA_VALUES_MAX} are allowed"
        )));
    }
    let mut reckoning = Reckoning {
        root: schema,
        known: BTreeMap::new(),
    };
    let checks = reckoning.checks(schema, depth(value)).map_err(invalid)?;
    let checks = checks.saturating_mul(count(value));
    if checks > CHECKS_MAX {
        return Err(invalid(format!(
            "the schema would ask for more than {CHECKS_MAX} checks of this value; it refers to itself too often"
        )));
    }
    let checker = checker(schema).map_err(|error| invalid(format!("the schema is none: {}", cut(&error))))?;
    let fault = |error: jsonschema::ValidationError<'_>| {
        let path = error.instance_path().segments().map(|segment| match segment {
            LocationSegment::Property(name) => Token::Field(name),
            LocationSegment::Index(at) => Token::Item(at),
        });
        SchemaFault {
            path: written(path),
            message: cut(&error.to_string()),
        }
    };
    Ok(checker.iter_errors(value).take(FAULTS_MAX).map(fault).collect())
}

/// An error that names the first of `faults`, if there are any.
pub fn none(faults: Vec<SchemaFault>) -> Result<(), Failure> {
    if faults.is_empty() {
        return Ok(());
    }
    let shown = |fault: &SchemaFault| match fault.path.as_str() {
        "" => fault.message.clone(),
        path => format!("{path}: {}", fault.message),
    };
    let mut message = faults
        .iter()
        .take(FAULTS_NAMED)
        .map(shown)
        .collect::<Vec<_>>()
        .join("; ");
    if faults.len() > FAULTS_NAMED {
        message.push_str(&format!("; and {} more", faults.len() - FAULTS_NAMED));
    }
    let details = Value::List(faults.into_iter().map(Value::from).collect());
    Err(Failure::new(
        "JSON_SCHEMA_MISMATCH",
        format!("the data does not fit the schema: {message}"),
    )
    .details(details))
}

fn cut(message: &str) -> String {
    let mut short: String = message.chars().take(MESSAGE_CHARS_MAX).collect();
    if short.len() < message.len() {
        short.push('…');
    }
    short
}

/// How often a schema and those in it look at one value.
struct Reckoning<'s> {
    root: &'s Json,
    /// By the schema's place in memory and the levels below; `None` while it is being reckoned.
    known: BTreeMap<(usize, usize), Option<u64>>,
}

/// Keywords whose schemas look at the same value.
const SAME: [&str; 5] = ["not", "if", "then", "else", "contentSchema"];
const SAME_LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
const SAME_MAPS: [&str; 2] = ["dependentSchemas", "dependencies"];
/// Keywords whose schemas look at what is within.
const WITHIN: [&str; 7] = [
    "additionalProperties",
    "additionalItems",
    "items",
    "contains",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Of these, one at most looks at each value within.
const WITHIN_EITHER: [&str; 3] = ["properties", "prefixItems", "items"];

impl<'s> Reckoning<'s> {
    /// At most how many checks each value costs, when values nest `levels` deep.
    fn checks(&mut self, schema: &'s Json, levels: usize) -> Result<u64, String> {
        let Json::Object(fields) = schema else { return Ok(1) };
        let key = (std::ptr::from_ref(schema) as usize, levels);
        match self.known.get(&key) {
            Some(Some(checks)) => return Ok(*checks),
            Some(None) => return Err("the schema refers to itself without an end".to_owned()),
            None => {}
        }
        self.known.insert(key, None);
        let checks = self.of(fields, schema, levels)?;
        self.known.insert(key, Some(checks));
        Ok(checks)
    }

    fn of(&mut self, fields: &'s Map<String, Json>, schema: &'s Json, levels: usize) -> Result<u64, String> {
        for word in ["$dynamicRef", "$recursiveRef"] {
            if fields.contains_key(word) {
                return Err(format!("`{word}` is not supported; use `$ref`"));
            }
        }
        if fields.contains_key("$id") && !std::ptr::eq(schema, self.root) {
            return Err("only the whole schema may have an `$id`".to_owned());
        }
        let mut checks = 1 + fields.get("enum").and_then(Json::as_array).map_or(0, Vec::len) as u64;
        if let Some(target) = fields.get("$ref") {
            checks = checks.saturating_add(self.checks(self.target(target)?, levels)?);
        }
        for word in SAME {
            if let Some(schema) = fields.get(word) {
                checks = checks.saturating_add(self.checks(schema, levels)?);
            }
        }
        let lists = SAME_LISTS
            .iter()
            .filter_map(|word| fields.get(*word)?.as_array())
            .flatten();
        let maps = SAME_MAPS
            .iter()
            .filter_map(|word| fields.get(*word)?.as_object())
            .flat_map(Map::values);
        for schema in lists.chain(maps) {
            checks = checks.saturating_add(self.checks(schema, levels)?);
        }
        let Some(below) = levels.checked_sub(1) else {
            return Ok(checks);
        };
        let patterns = fields.get("patternProperties").and_then(Json::as_object);
        let within = WITHIN
            .iter()
            .filter_map(|word| fields.get(*word))
            .chain(patterns.into_iter().flat_map(Map::values));
        for schema in within {
            checks = checks.saturating_add(self.checks(schema, below)?);
        }
        for word in WITHIN_EITHER {
            let schemas: Vec<&Json> = match fields.get(word) {
                Some(Json::Object(schemas)) if word == "properties" => schemas.values().collect(),
                Some(Json::Array(schemas)) => schemas.iter().collect(),
                _ => continue,
            };
            let mut most = 0;
            for schema in schemas {
                most = most.max(self.checks(schema, below)?);
            }
            checks = checks.saturating_add(most);
        }
        Ok(checks)
    }

    fn target(&self, target: &Json) -> Result<&'s Json, String> {
        let text = target.as_str().unwrap_or_default();
        let pointer = text
            .strip_prefix('#')
            .filter(|pointer| pointer.is_empty() || pointer.starts_with('/'));
        let shown = cut(text);
        let pointer = pointer.ok_or_else(|| {
            format!("`$ref` is {shown:?}; it may only lead to a place within the schema, like \"#/$defs/clip\"")
        })?;
        let pointer = percent_encoding::percent_decode_str(pointer).decode_utf8_lossy();
        let found = self.root.pointer(&pointer);
        found.ok_or_else(|| format!("`$ref` leads to {shown:?}, where nothing is"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(value: Json, schema: Json) -> Vec<String> {
        faults(&value, &schema)
            .expect("a schema")
            .into_iter()
            .map(|fault| fault.path)
            .collect()
    }

    fn refusal(value: Json, schema: Json) -> String {
        faults(&value, &schema).expect_err("refused").message
    }

    #[test]
    fn faults_name_their_places_and_all_of_them() {
        let schema = json!({
            "type": "object", "required": ["title"],
            "properties": {"items": {"type": "array", "items": {"$ref": "#/$defs/item"}}},
            "$defs": {"item": {"type": "object", "properties": {"a.b": {"type": "integer"}}}},
        });
        let value = json!({"items": [{"a.b": 1}, {"a.b": "x"}, 3]});
        let mut found = paths(value.clone(), schema.clone());
        found.sort();
        assert_eq!(found, ["", "items[1][\"a.b\"]", "items[2]"]);
        assert_eq!(paths(json!({"title": "a"}), schema.clone()), [""; 0]);
        let failure = none(faults(&value, &schema).unwrap()).expect_err("it does not fit");
        assert!(
            failure
                .message
                .contains("items[1][\"a.b\"]: \"x\" is not of type \"integer\""),
            "{}",
            failure.message
        );
        assert_eq!(failure.details.as_list().map(<[Value]>::len), Some(3));
    }

    #[test]
    fn a_fault_does_not_repeat_the_whole_of_the_data() {
        let message = &faults(&json!("x".repeat(10_000)), &json!({"type": "integer"})).unwrap()[0].message;
        assert_eq!(message.chars().count(), MESSAGE_CHARS_MAX + 1);
        let many: Vec<i32> = vec![1; 500];
        assert_eq!(
            paths(json!(many), json!({"items": {"type": "string"}})).len(),
            FAULTS_MAX
        );
    }

    #[test]
    fn a_schema_reads_nothing_outside_of_itself() {
        let reference = |target: &str| refusal(json!(1), json!({"$ref": target}));
        for target in [
            "https://example.com/schema.json",
            "file:///etc/passwd",
            "other.json#/a",
            "#anchor",
        ] {
            assert!(
                reference(target).contains("it may only lead to a place within the schema"),
                "{target}"
            );
        }
        assert!(reference("#/$defs/gone").contains("where nothing is"));
        assert!(refusal(json!(1), json!({"type": "nonsense"})).starts_with("the schema is none"));
        assert!(refusal(json!("a"), json!({"pattern": "(?=a)"})).starts_with("the schema is none"));
    }

    #[test]
    fn a_schema_that_would_never_end_is_refused_and_one_that_recurs_is_not() {
        assert_eq!(
            refusal(json!(1), json!({"$ref": "#"})),
            "the schema refers to itself without an end"
        );
        let mutual = json!({"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}}});
        assert_eq!(refusal(json!(1), mutual), "the schema refers to itself without an end");
        let both = |n: usize| json!({"anyOf": [{"$ref": format!("#/$defs/d{}", n + 1)}, {"$ref": format!("#/$defs/d{}", n + 1)}]});
        let mut defs: Map<String, Json> = (0..40).map(|n| (format!("d{n}"), both(n))).collect();
        defs.insert("d40".to_owned(), json!({"type": "string"}));
        assert!(refusal(json!(1), json!({"$ref": "#/$defs/d0", "$defs": defs})).contains("refers to itself too often"));
        let deeper = json!({"properties": {"a": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}}, "required": ["b"]});
        let deep = (0..40).fold(json!({}), |inner, _| json!({"a": inner}));
        assert!(refusal(deep.clone(), deeper).contains("refers to itself too often"));
        let tree = json!({"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}});
        assert_eq!(paths(deep, tree), [""; 0]);
    }
}
