//! Between Rhai's values and ours.
//!
//! What passes here can be journaled: no function pointer, no range, no handle, not too deep and not too large. A live
//! script is given the converted value, which is exactly what a replay is given.
//!
//! The size is measured on the way, because Rhai shares texts: a map of 4 MiB can hold the same 4 MiB ten thousand
//! times, and would become 40 GiB here.

use rhai::{Array, Blob, Dynamic, Map};

use crate::value::{VALUE_DEPTH_MAX, Value};

/// The value cannot leave its script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAValue {
    #[error("{what} cannot leave the script: pass plain data (numbers, strings, arrays, maps, blobs)")]
    Kind { what: String },
    #[error("the value is nested more than {VALUE_DEPTH_MAX} levels deep; keep it flatter, or pass it on in parts")]
    TooDeep,
    #[error(
        "the value has more than {BYTES_MAX} bytes; leave large collections to the host's functions, or pass it on in parts"
    )]
    TooLarge,
}

/// The most that leaves a script at once, as [`Value::size`] counts.
pub const BYTES_MAX: usize = 8 << 20;

impl NotAValue {
    pub fn code(&self) -> &'static str {
        match self {
            NotAValue::Kind { .. } => "NOT_PLAIN_DATA",
            NotAValue::TooDeep => "VALUE_TOO_DEEP",
            NotAValue::TooLarge => "VALUE_TOO_LARGE",
        }
    }
}

/// From a script.
pub fn from_dynamic(value: &Dynamic) -> Result<Value, NotAValue> {
    convert(value, VALUE_DEPTH_MAX, &mut { BYTES_MAX })
}

fn convert(value: &Dynamic, levels_left: usize, bytes_left: &mut usize) -> Result<Value, NotAValue> {
    if value.is_shared() {
        return convert(&value.flatten_clone(), levels_left, bytes_left);
    }
    let mut spend = |bytes: usize| {
        *bytes_left = bytes_left.checked_sub(bytes).ok_or(NotAValue::TooLarge)?;
        Ok(())
    };
    // No scalar is larger than this.
    spend(8)?;
    if let Ok(text) = value.as_immutable_string_ref() {
        spend(text.len())?;
        return Ok(Value::Text(text.to_string()));
    }
    if let Ok(number) = value.as_int() {
        return Ok(Value::Int(number));
    }
    if let Ok(truth) = value.as_bool() {
        return Ok(Value::Bool(truth));
    }
    if value.is_unit() {
        return Ok(Value::Unit);
    }
    if let Ok(number) = value.as_float() {
        return Ok(Value::Float(number));
    }
    if let Ok(letter) = value.as_char() {
        return Ok(Value::Text(letter.to_string()));
    }
    let below = levels_left.checked_sub(1).ok_or(NotAValue::TooDeep);
    if let Some(map) = value.read_lock::<Map>() {
        let below = below?;
        let fields = map.iter().map(|(name, value)| {
            *bytes_left = bytes_left.checked_sub(name.len()).ok_or(NotAValue::TooLarge)?;
            Ok((name.to_string(), convert(value, below, bytes_left)?))
        });
        return fields.collect::<Result<_, _>>().map(Value::Map);
    }
    if let Some(items) = value.read_lock::<Array>() {
        let below = below?;
        return items
            .iter()
            .map(|item| convert(item, below, bytes_left))
            .collect::<Result<_, _>>()
            .map(Value::List);
    }
    if let Some(bytes) = value.read_lock::<Blob>() {
        *bytes_left = bytes_left.checked_sub(bytes.len()).ok_or(NotAValue::TooLarge)?;
        return Ok(Value::Blob(bytes.clone()));
    }
    let what = match value.type_name() {
        "Fn" => "a function".to_owned(),
        other if other.contains("Range") => "a range".to_owned(),
        other => format!("a value of type {other}"),
    };
    Err(NotAValue::Kind { what })
}

/// To a script.
pub fn to_dynamic(value: Value) -> Dynamic {
    match value {
        Value::Unit => Dynamic::UNIT,
        Value::Bool(truth) => truth.into(),
        Value::Int(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::Text(text) => text.into(),
        Value::Blob(bytes) => Dynamic::from_blob(bytes),
        Value::List(items) => Dynamic::from_array(items.into_iter().map(to_dynamic).collect()),
        Value::Map(map) => Dynamic::from_map(
            map.into_iter()
                .map(|(name, value)| (name.into(), to_dynamic(value)))
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_journaled_is_refused_by_name() {
        let function = Dynamic::from(rhai::FnPtr::new("f").expect("a name"));
        let message = from_dynamic(&function).expect_err("refused").to_string();
        assert!(message.starts_with("a function cannot leave the script"), "{message}");
        let mut deep = Dynamic::UNIT;
        for _ in 0..=VALUE_DEPTH_MAX {
            deep = Dynamic::from_array(vec![deep]);
        }
        assert_eq!(from_dynamic(&deep), Err(NotAValue::TooDeep));
    }

    /// A map whose fields share one text passed every limit of Rhai's, and took the process down where it was copied.
    #[test]
    fn a_value_that_is_small_only_because_it_shares_is_refused() {
        let text = Dynamic::from("x".repeat(1 << 20));
        let value = Dynamic::from_array(vec![text; 10_000]);
        assert_eq!(from_dynamic(&value), Err(NotAValue::TooLarge));
    }

    #[test]
    fn a_value_comes_back_as_it_went() {
        let value = Value::from([
            ("blob", Value::Blob(vec![0, 255])),
            (
                "list",
                Value::List(vec![Value::Unit, Value::Int(-1), Value::Float(f64::NAN)]),
            ),
        ]);
        assert_eq!(from_dynamic(&to_dynamic(value.clone())), Ok(value));
    }
}
