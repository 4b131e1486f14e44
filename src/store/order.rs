//! Values as bytes that sort as the values do, for indexes and for comparisons in queries.
//!
//! Unit < bools < numbers < texts < blobs < lists < maps. Whole numbers and floats are compared as numbers, exactly:
//! 1 equals 1.0, and 2^53 + 1 lies above 2^53. -0.0 equals 0.0; NaN equals itself and lies above infinity. Every
//! encoding begins with a byte that tells its kind.

use crate::value::Value;

/// How much of an encoding an index holds; what is equal up to here counts as equal when results are ordered.
pub const SORT_KEY_BYTES_MAX: usize = 512;

const UNIT: u8 = 0x10;
const BOOL: u8 = 0x20;
const NUMBER: u8 = 0x30;
const TEXT: u8 = 0x40;
const BLOB: u8 = 0x50;
const LIST: u8 = 0x60;
const MAP: u8 = 0x70;
/// Ends a list or map; below every kind, so a shorter one sorts first.
const END: u8 = 0x00;

/// The bytes of `value` in order.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_value(&mut bytes, value);
    bytes
}

/// What an index holds of `value`: its encoding, cut at [`SORT_KEY_BYTES_MAX`].
pub fn sort_key(value: &Value) -> Vec<u8> {
    let mut bytes = encode(value);
    bytes.truncate(SORT_KEY_BYTES_MAX);
    bytes
}

/// Appends `bytes` so that no other string continues it: what follows in a key cannot change its order.
pub(super) fn write_delimited(out: &mut Vec<u8>, bytes: &[u8]) {
    write_open(out, bytes);
    out.extend_from_slice(&[0x00, 0x01]);
}

/// As [`write_delimited`], without the end: the beginning of every string that begins with `bytes`.
pub(super) fn write_open(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut pieces = bytes.split(|&byte| byte == 0x00);
    out.extend_from_slice(pieces.next().unwrap_or_default());
    for piece in pieces {
        out.extend_from_slice(&[0x00, 0xFF]);
        out.extend_from_slice(piece);
    }
}

/// Takes what [`write_delimited`] wrote off the front of `input`.
pub(super) fn read_delimited(input: &mut &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let zero = input.iter().position(|&byte| byte == 0x00)?;
        bytes.extend_from_slice(&input[..zero]);
        let follower = *input.get(zero + 1)?;
        *input = &input[zero + 2..];
        match follower {
            0x01 => return Some(bytes),
            0xFF => bytes.push(0x00),
            _ => return None,
        }
    }
}

pub(super) fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Unit => out.push(UNIT),
        Value::Bool(truth) => out.extend([BOOL, u8::from(*truth)]),
        Value::Int(number) => write_number(out, order_of_int(*number)),
        Value::Float(number) => write_number(out, order_of_float(*number)),
        Value::Text(text) => write_text(out, text),
        Value::Blob(bytes) => {
            out.push(BLOB);
            write_delimited(out, bytes);
        }
        Value::List(items) => {
            out.push(LIST);
            for item in items {
                write_value(out, item);
            }
            out.push(END);
        }
        Value::Map(map) => {
            out.push(MAP);
            for (name, value) in map {
                write_text(out, name);
                write_value(out, value);
            }
            out.push(END);
        }
    }
}

pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(TEXT);
    write_delimited(out, text.as_bytes());
}

/// What numbers, whole or not, are compared by.
pub(super) type NumberOrder = (u64, u16);

pub(super) fn order_of_int(number: i64) -> NumberOrder {
    // A float cannot tell every whole number from its neighbours; what rounding took away follows it.
    let rounded = number as f64;
    let rest = i128::from(number) - rounded as i128;
    order_of(rounded, rest as i16)
}

pub(super) fn order_of_float(number: f64) -> NumberOrder {
    order_of(number, 0)
}

fn order_of(number: f64, rest: i16) -> NumberOrder {
    // Of the many forms of NaN and the two of zero, one each.
    let bits = match number {
        n if n.is_nan() => 0x7FF8 << 48,
        n => (n + 0.0).to_bits(),
    };
    // Positive floats sort as their bits do; negative ones the other way round, and below.
    let ordered = if bits >> 63 == 0 { bits | 1 << 63 } else { !bits };
    (ordered, rest as u16 ^ 0x8000)
}

fn write_number(out: &mut Vec<u8>, (ordered, rest): NumberOrder) {
    out.push(NUMBER);
    out.extend(ordered.to_be_bytes());
    out.extend(rest.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<i64>().prop_map(Value::Int),
            (-4i64..4).prop_map(Value::Int),
            ((1i64 << 53) - 3..(1i64 << 53) + 3).prop_map(Value::Int),
            any::<f64>().prop_map(Value::Float),
            (-4i32..4).prop_map(|n| Value::Float(f64::from(n) / 2.0)),
            ((1u64 << 53) - 3..(1u64 << 53) + 3).prop_map(|n| Value::Float(n as f64)),
            Just(Value::Float(i64::MAX as f64)),
            Just(Value::Int(i64::MAX)),
        ]
    }

    /// Exact comparison of numbers by another way: through integers of 128 bits where both are whole.
    fn compare_numbers(a: &Value, b: &Value) -> Ordering {
        let whole = |value: &Value| match value {
            Value::Int(n) => Some(i128::from(*n)),
            Value::Float(n) if n.fract() == 0.0 && n.abs() < 1e30 => Some(*n as i128),
            _ => None,
        };
        match (whole(a), whole(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => {
                let (x, y) = (a.as_float().expect("a number"), b.as_float().expect("a number"));
                match (x.is_nan(), y.is_nan()) {
                    (true, true) => Ordering::Equal,
                    (true, false) => Ordering::Greater,
                    (false, true) => Ordering::Less,
                    // One is no whole number: it is small, or huge and apart from all of 64 bits.
                    (false, false) => x.partial_cmp(&y).expect("no NaN"),
                }
            }
        }
    }

    proptest! {
        #[test]
        fn numbers_sort_as_numbers(a in number(), b in number()) {
            prop_assert_eq!(encode(&a).cmp(&encode(&b)), compare_numbers(&a, &b), "{:?} {:?}", a, b);
        }

        #[test]
        fn texts_and_lists_sort_by_their_parts(a in "[\u{0}\u{1}a-c]{0,4}", b in "[\u{0}\u{1}a-c]{0,4}", n in 0i64..3, m in 0i64..3) {
            let order = a.cmp(&b).then(n.cmp(&m));
            let list = |text: &str, n: i64| encode(&Value::List(vec![text.into(), n.into()]));
            prop_assert_eq!(list(&a, n).cmp(&list(&b, m)), order);
        }

        #[test]
        fn delimited_bytes_come_back_and_leave_the_rest(bytes in proptest::collection::vec(0u8..3, 0..8), rest: Vec<u8>) {
            let mut key = Vec::new();
            write_delimited(&mut key, &bytes);
            key.extend(&rest);
            let mut input = key.as_slice();
            prop_assert_eq!(read_delimited(&mut input), Some(bytes));
            prop_assert_eq!(input, rest.as_slice());
        }
    }

    #[test]
    fn kinds_follow_one_another_and_a_shorter_list_comes_first() {
        let ladder = [
            Value::Unit,
            Value::Bool(false),
            Value::Bool(true),
            Value::Float(f64::NEG_INFINITY),
            Value::Int(-1),
            Value::Float(f64::INFINITY),
            Value::Float(f64::NAN),
            "".into(),
            "\u{10FFFF}".into(),
            Value::Blob(vec![]),
            Value::List(vec![]),
            Value::List(vec![Value::Unit]),
            Value::Map(Default::default()),
            Value::from([("a", Value::Unit)]),
        ];
        for pair in ladder.windows(2) {
            assert!(encode(&pair[0]) < encode(&pair[1]), "{:?} {:?}", pair[0], pair[1]);
        }
        assert_eq!(encode(&Value::Float(-0.0)), encode(&Value::Int(0)));
    }
}
