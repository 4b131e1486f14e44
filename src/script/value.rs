//! Between Rhai's values and ours.
//!
//! What passes here can be journaled: no function pointer, no range, no handle, not too deep and not too large. A live
//! script is given the converted value, which is exactly what a replay is given.

use rhai::{Array, Blob, Dynamic, Map};

use crate::value::{VALUE_DEPTH_MAX, Value};

/// The most bytes of a value that leaves its script: an argument stands whole in a row of the journal, beside others.
/// In a script the same text may be held many times at no cost; out here each is its own, and nothing but this stops a
/// small script from making gigabytes of them.
pub const VALUE_BYTES_MAX: usize = 8 << 20;

/// The value cannot leave its script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAValue {
    #[error("{what} cannot leave the script: pass plain data (numbers, strings, arrays, maps, blobs)")]
    Kind { what: String },
    #[error("the value is nested more than {VALUE_DEPTH_MAX} levels deep; keep it flatter, or pass it on in parts")]
    TooDeep,
    #[error("the value has more than {VALUE_BYTES_MAX} bytes; pass it on in parts")]
    TooLarge,
}

impl NotAValue {
    /// The stable name of this error.
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
    Conversion {
        bytes_left: VALUE_BYTES_MAX,
    }
    .convert(value, VALUE_DEPTH_MAX)
}

struct Conversion {
    bytes_left: usize,
}

impl Conversion {
    fn convert(&mut self, value: &Dynamic, levels_left: usize) -> Result<Value, NotAValue> {
        if value.is_shared() {
            return self.convert(&value.flatten_clone(), levels_left);
        }
        self.take(size_of::<Value>())?;
        if let Ok(text) = value.as_immutable_string_ref() {
            self.take(text.len())?;
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
                self.take(name.len())?;
                Ok((name.to_string(), self.convert(value, below)?))
            });
            return fields.collect::<Result<_, _>>().map(Value::Map);
        }
        if let Some(items) = value.read_lock::<Array>() {
            let below = below?;
            let items = items.iter().map(|item| self.convert(item, below));
            return items.collect::<Result<_, _>>().map(Value::List);
        }
        if let Some(bytes) = value.read_lock::<Blob>() {
            self.take(bytes.len())?;
            return Ok(Value::Blob(bytes.clone()));
        }
        Err(refusal(value))
    }

    fn take(&mut self, bytes: usize) -> Result<(), NotAValue> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(NotAValue::TooLarge)?;
        Ok(())
    }
}

fn refusal(value: &Dynamic) -> NotAValue {
    let what = match value.type_name() {
        "Fn" => "a function".to_owned(),
        other if other.contains("Range") => "a range".to_owned(),
        other => format!("a value of type {other}"),
    };
    NotAValue::Kind { what }
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

    /// A script holds one text; each of its places in the value would become a text of its own.
    #[test]
    fn one_text_in_many_places_is_counted_in_each() {
        let text = Dynamic::from("x".repeat(1 << 20));
        let many = |count| from_dynamic(&Dynamic::from_array(vec![text.clone(); count]));
        assert!(many(7).is_ok());
        assert_eq!(many(10_000), Err(NotAValue::TooLarge));
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
