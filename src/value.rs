//! What scripts, journal and store exchange: a plain tree of data.
//!
//! A value holds no function, handle or pointer, so it means the same after a crash, on another machine and in a
//! year. Maps are ordered by key. MessagePack keeps every value to the bit (blobs, NaN, infinities); JSON, for
//! people and for `--json`, writes a blob as base64 and a float that JSON cannot hold as `null`.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How deep values may nest. Deeper ones are refused where they are made, so every walk may recurse.
pub const VALUE_DEPTH_MAX: usize = 64;

/// How deep bytes are followed that should hold a value, or a record around one. Ours never nest as deep; others must
/// not use up the stack.
pub const ENCODED_DEPTH_MAX: usize = 2 * VALUE_DEPTH_MAX;

/// The value nests deeper than [`VALUE_DEPTH_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value is nested more than {VALUE_DEPTH_MAX} levels deep; keep it flatter, or pass it on in parts")]
pub struct TooDeep;

/// Checks that `value` nests at most [`VALUE_DEPTH_MAX`] levels.
pub fn check_depth(value: &Value) -> Result<(), TooDeep> {
    fn check(value: &Value, levels_left: usize) -> Result<(), TooDeep> {
        let below = |value| check(value, levels_left.checked_sub(1).ok_or(TooDeep)?);
        match value {
            Value::List(items) => items.iter().try_for_each(below),
            Value::Map(map) => map.values().try_for_each(below),
            _ => Ok(()),
        }
    }
    check(value, VALUE_DEPTH_MAX)
}

/// A map from field names to values, ordered by name.
pub type Map = BTreeMap<String, Value>;

/// One piece of data.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// Nothing: `()` in a script, `null` in JSON.
    #[default]
    Unit,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Blob(Vec<u8>),
    List(Vec<Value>),
    Map(Map),
}

impl Value {
    /// The field `name` of a map, or `None` when there is none or this is no map.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Map(map) => map.get(name),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The number, whole or not.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Value::Int(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn is_unit(&self) -> bool {
        matches!(self, Value::Unit)
    }

    /// Whether this is `part` or has it in it: of a map only the fields that `part` names count, at every depth, and
    /// where it names `()` there may be none. A whole number is the same as the float of its size.
    pub fn holds(&self, part: &Value) -> bool {
        self.agrees(part, false)
    }

    /// Whether both mean the same to a person, for whom 1 is 1.0 and no number is itself.
    pub fn means(&self, other: &Value) -> bool {
        self.agrees(other, true)
    }

    fn agrees(&self, part: &Value, wholly: bool) -> bool {
        match (self, part) {
            (Value::Map(whole), Value::Map(part)) => {
                let agrees = |(name, part): (&String, &Value)| match whole.get(name) {
                    Some(value) => value.agrees(part, wholly),
                    None => !wholly && part.is_unit(),
                };
                (!wholly || whole.len() == part.len()) && part.iter().all(agrees)
            }
            (Value::List(whole), Value::List(part)) => {
                whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| whole.agrees(part, wholly))
            }
            (Value::Int(_), Value::Float(_)) | (Value::Float(_), Value::Int(_)) => self.as_float() == part.as_float(),
            (Value::Float(a), Value::Float(b)) => {
                // As near as a script's own `==` takes them for the same.
                let near = f64::EPSILON * a.abs().max(b.abs()).max(1.0);
                a == b || (a - b).abs() <= near || a.is_nan() && b.is_nan()
            }
            (whole, part) => whole == part,
        }
    }

    /// The word for this kind of value in messages to people, as Rhai's users know it.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Unit => "()",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Text(_) => "string",
            Value::Blob(_) => "blob",
            Value::List(_) => "array",
            Value::Map(_) => "map",
        }
    }

    /// About how many bytes this holds, for limits and for reports.
    pub fn size(&self) -> usize {
        match self {
            Value::Unit | Value::Bool(_) => 1,
            Value::Int(_) | Value::Float(_) => 8,
            Value::Text(text) => text.len() + 1,
            Value::Blob(bytes) => bytes.len() + 1,
            Value::List(items) => 1 + items.iter().map(Value::size).sum::<usize>(),
            Value::Map(map) => {
                1 + map
                    .iter()
                    .map(|(name, value)| name.len() + 1 + value.size())
                    .sum::<usize>()
            }
        }
    }

    /// This value with every text in it, field names included, passed through `change`.
    pub fn map_texts(self, change: &mut dyn FnMut(String) -> String) -> Value {
        match self {
            Value::Text(text) => Value::Text(change(text)),
            Value::List(items) => Value::List(items.into_iter().map(|item| item.map_texts(change)).collect()),
            Value::Map(map) => Value::Map(
                map.into_iter()
                    .map(|(name, value)| (change(name), value.map_texts(change)))
                    .collect(),
            ),
            other => other,
        }
    }

    /// As JSON, for people and for `--json`.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Value::Unit => Json::Null,
            Value::Bool(truth) => Json::Bool(*truth),
            Value::Int(number) => Json::from(*number),
            Value::Float(number) => serde_json::Number::from_f64(*number).map_or(Json::Null, Json::Number),
            Value::Text(text) => Json::String(text.clone()),
            Value::Blob(bytes) => Json::String(base64::engine::general_purpose::STANDARD.encode(bytes)),
            Value::List(items) => Json::Array(items.iter().map(Value::to_json).collect()),
            Value::Map(map) => Json::Object(
                map.iter()
                    .map(|(name, value)| (name.clone(), value.to_json()))
                    .collect(),
            ),
        }
    }

    /// From JSON. Whole numbers beyond 64 bits become floats.
    pub fn from_json(json: serde_json::Value) -> Value {
        use serde_json::Value as Json;
        match json {
            Json::Null => Value::Unit,
            Json::Bool(truth) => Value::Bool(truth),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Value::Int(whole),
                None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Value::Text(text),
            Json::Array(items) => Value::List(items.into_iter().map(Value::from_json).collect()),
            Json::Object(map) => Value::Map(
                map.into_iter()
                    .map(|(name, value)| (name, Value::from_json(value)))
                    .collect(),
            ),
        }
    }

    /// As MessagePack: the form in which values are stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        rmp_serde::to_vec(self).expect("a value has no part that MessagePack cannot hold")
    }

    /// From MessagePack.
    pub fn from_bytes(bytes: &[u8]) -> Result<Value, rmp_serde::decode::Error> {
        let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
        deserializer.set_max_depth(ENCODED_DEPTH_MAX);
        Value::deserialize(&mut deserializer)
    }
}

/// Equality to the bit: NaN equals itself, 0.0 differs from -0.0, and 1 from 1.0. What was recorded must be what is asked.
impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Unit, Value::Unit) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Blob(a), Value::Blob(b)) => a == b,
            (Value::List(a), Value::List(b)) => a == b,
            (Value::Map(a), Value::Map(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

/// Compact JSON.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_json())
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Float(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Value {
        Value::List(items)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Value {
        Value::Map(map)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Unit, Into::into)
    }
}

impl<const N: usize> From<[(&str, Value); N]> for Value {
    fn from(fields: [(&str, Value); N]) -> Value {
        Value::Map(
            fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Unit => serializer.serialize_unit(),
            Value::Bool(truth) => serializer.serialize_bool(*truth),
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::Float(number) => serializer.serialize_f64(*number),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Blob(bytes) => serializer.serialize_bytes(bytes),
            Value::List(items) => serializer.collect_seq(items),
            Value::Map(map) => serializer.collect_map(map),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Unit)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Unit)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Value, E> {
        i64::try_from(number)
            .map(Value::Int)
            .map_err(|_| E::custom(format!("the number {number} is beyond 64 bits with a sign")))
    }

    fn visit_f32<E>(self, number: f32) -> Result<Value, E> {
        Ok(Value::Float(f64::from(number)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::Blob(bytes.to_vec()))
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Value, E> {
        Ok(Value::Blob(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::with_capacity(items.size_hint().unwrap_or(0).min(1024));
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, value)) = fields.next_entry::<String, Value>()? {
            if map.insert(name.clone(), value).is_some() {
                return Err(A::Error::custom(format!("the field {name:?} appears twice")));
            }
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Unit),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<f64>().prop_map(Value::Float),
            Just(Value::Float(f64::NAN)),
            ".{0,12}".prop_map(Value::Text),
            proptest::collection::vec(any::<u8>(), 0..12).prop_map(Value::Blob),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
                proptest::collection::btree_map(".{0,6}", inner, 0..6).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_survives_the_way_to_disk_and_back(value in any_value()) {
            prop_assert_eq!(Value::from_bytes(&value.to_bytes()).expect("decodes"), value);
        }
    }

    #[test]
    fn json_says_what_it_cannot_hold_in_its_own_words() {
        let value = Value::from([("blob", Value::Blob(b"host".to_vec())), ("nan", Value::Float(f64::NAN))]);
        assert_eq!(value.to_string(), r#"{"blob":"aG9zdA==","nan":null}"#);
    }
}
