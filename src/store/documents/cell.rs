//! One field of a document, looked at where it lies.
//!
//! A cell borrows texts and blobs, and is compared as [`order`](crate::store::order) compares values, without being
//! encoded first.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::store::order::{encode, order_of_float, order_of_int, write_text, write_value};
use crate::value::Value;

/// A value that is not copied to be looked at, unless it is a list or a map.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) enum Cell<'a> {
    Unit,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
    Blob(&'a [u8]),
    /// A list or a map.
    Whole(Cow<'a, Value>),
}

impl<'a> Cell<'a> {
    pub(super) fn of(value: &'a Value) -> Cell<'a> {
        match value {
            Value::Unit => Cell::Unit,
            Value::Bool(truth) => Cell::Bool(*truth),
            Value::Int(number) => Cell::Int(*number),
            Value::Float(number) => Cell::Float(*number),
            Value::Text(text) => Cell::Text(text),
            Value::Blob(bytes) => Cell::Blob(bytes),
            Value::List(_) | Value::Map(_) => Cell::Whole(Cow::Borrowed(value)),
        }
    }

    pub(super) fn to_value(&self) -> Value {
        match self {
            Cell::Unit => Value::Unit,
            Cell::Bool(truth) => Value::Bool(*truth),
            Cell::Int(number) => Value::Int(*number),
            Cell::Float(number) => Value::Float(*number),
            Cell::Text(text) => Value::Text((*text).to_owned()),
            Cell::Blob(bytes) => Value::Blob(bytes.to_vec()),
            Cell::Whole(value) => value.clone().into_owned(),
        }
    }

    /// Appends the bytes by which this sorts.
    pub(super) fn write_order(&self, out: &mut Vec<u8>) {
        match self {
            Cell::Text(text) => write_text(out, text),
            Cell::Whole(value) => write_value(out, value),
            other => write_value(out, &other.to_value()),
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Cell::Text(_) => "string",
            Cell::Blob(_) => "blob",
            other => other.to_value().kind(),
        }
    }

    /// Kinds in their order; numbers are one kind.
    fn rank(&self) -> u8 {
        match self {
            Cell::Unit => 0,
            Cell::Bool(_) => 1,
            Cell::Int(_) | Cell::Float(_) => 2,
            Cell::Text(_) => 3,
            Cell::Blob(_) => 4,
            Cell::Whole(value) if value.as_list().is_some() => 5,
            Cell::Whole(_) => 6,
        }
    }

    pub(super) fn is_of_kind(&self, other: &Cell<'_>) -> bool {
        self.rank() == other.rank()
    }

    pub(super) fn compare(&self, other: &Cell<'_>) -> Ordering {
        match (self, other) {
            (Cell::Int(a), Cell::Int(b)) => a.cmp(b),
            (Cell::Text(a), Cell::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Cell::Bool(a), Cell::Bool(b)) => a.cmp(b),
            (Cell::Blob(a), Cell::Blob(b)) => a.cmp(b),
            (Cell::Whole(a), Cell::Whole(b)) => encode(a).cmp(&encode(b)),
            (a, b) => match (a.number_order(), b.number_order()) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => a.rank().cmp(&b.rank()),
            },
        }
    }

    fn number_order(&self) -> Option<(u64, u16)> {
        match self {
            Cell::Int(number) => Some(order_of_int(*number)),
            Cell::Float(number) => Some(order_of_float(*number)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Unit),
            any::<bool>().prop_map(Value::Bool),
            (-3i64..3).prop_map(Value::Int),
            any::<i64>().prop_map(Value::Int),
            (-6i32..6).prop_map(|n| Value::Float(f64::from(n) / 2.0)),
            any::<f64>().prop_map(Value::Float),
            Just(Value::Float(f64::NAN)),
            "[a\u{0}\u{1}]{0,3}".prop_map(Value::Text),
            proptest::collection::vec(0u8..3, 0..3).prop_map(Value::Blob),
        ];
        leaf.prop_recursive(2, 6, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::List),
                proptest::collection::btree_map("[ab]", inner, 0..3).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn cells_are_ordered_as_their_encodings_are(a in value(), b in value()) {
            prop_assert_eq!(Cell::of(&a).compare(&Cell::of(&b)), encode(&a).cmp(&encode(&b)));
            prop_assert_eq!(Cell::of(&a).to_value(), a);
        }
    }
}
