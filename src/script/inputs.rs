//! What a playbook wants to be told, checked before it starts.

use std::collections::BTreeMap;

use super::error::nearest;
use crate::effect::Failure;
use crate::value::{Map, Value, check_depth};

/// A playbook's inputs by name. Boxed: a node of the tree has room for eleven, and most playbooks have two.
pub type Inputs = BTreeMap<String, Box<InputSpec>>;

/// One input, from the header.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSpec {
    pub kind: InputKind,
    pub required: bool,
    /// Used when the input is not given.
    pub preset: Option<Value>,
    pub help: Option<String>,
    /// When not empty, the only values allowed.
    pub choices: Vec<Value>,
    pub min: Option<f64>,
    pub max: Option<f64>,
}

/// The type of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    String,
    Int,
    Float,
    Bool,
    Array,
    Map,
}

/// The longest text given as an input.
const TEXT_BYTES_MAX: usize = 1 << 20;

pub const KEYS: [&str; 7] = ["type", "required", "preset", "help", "choices", "min", "max"];
pub(super) const KINDS: [(&str, InputKind); 6] = [
    ("string", InputKind::String),
    ("int", InputKind::Int),
    ("float", InputKind::Float),
    ("bool", InputKind::Bool),
    ("array", InputKind::Array),
    ("map", InputKind::Map),
];

impl InputKind {
    pub fn as_str(self) -> &'static str {
        KINDS
            .iter()
            .find(|(_, kind)| *kind == self)
            .expect("every kind is in the table")
            .0
    }
}

impl InputSpec {
    /// Reads `spec`, the header's map for the input `name`.
    pub fn read(name: &str, spec: &Value) -> Result<InputSpec, String> {
        let map = spec
            .as_map()
            .ok_or_else(|| format!("input `{name}` must be a map, such as #{{ type: \"string\" }}"))?;
        if let Some(unknown) = map.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let hint = nearest(unknown, KEYS.into_iter())
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default();
            return Err(format!("input `{name}` has no key `{unknown}`{hint}"));
        }
        let wrong = |key: &str, wanted: &str| format!("`{key}` of input `{name}` must be {wanted}");
        let kind = match map.get("type") {
            None => InputKind::String,
            Some(Value::Text(word)) => {
                let names = KINDS.map(|(name, _)| name).join(", ");
                KINDS
                    .into_iter()
                    .find(|(known, _)| known == word)
                    .map(|(_, kind)| kind)
                    .ok_or_else(|| wrong("type", &format!("one of {names}")))?
            }
            Some(_) => return Err(wrong("type", "a string")),
        };
        let flag = |key: &str| match map.get(key) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(wrong(key, "true or false")),
        };
        let number = |key: &str| match map.get(key) {
            None => Ok(None),
            Some(value) => value.as_float().map(Some).ok_or_else(|| wrong(key, "a number")),
        };
        let spec = InputSpec {
            kind,
            required: flag("required")?,
            preset: map.get("preset").cloned(),
            help: map.get("help").and_then(Value::as_str).map(str::to_owned),
            choices: match map.get("choices") {
                None => Vec::new(),
                Some(Value::List(choices)) => choices.clone(),
                Some(_) => return Err(wrong("choices", "an array")),
            },
            min: number("min")?,
            max: number("max")?,
        };
        match &spec.preset {
            Some(preset) => match spec.accept(name, preset.clone()) {
                Ok(preset) => Ok(InputSpec {
                    preset: Some(preset),
                    ..spec
                }),
                Err(failure) => Err(format!("the preset does not fit: {}", failure.message)),
            },
            None => Ok(spec),
        }
    }

    /// The value as this input takes it, or why it does not.
    pub fn accept(&self, name: &str, value: Value) -> Result<Value, Failure> {
        let wrong = |what: String| Failure::new("INPUT", format!("input `{name}` {what}"));
        let value = match (self.kind, value) {
            (InputKind::Float, Value::Int(number)) => Value::Float(number as f64),
            (InputKind::String, value @ Value::Text(_))
            | (InputKind::Int, value @ Value::Int(_))
            | (InputKind::Float, value @ Value::Float(_))
            | (InputKind::Bool, value @ Value::Bool(_))
            | (InputKind::Array, value @ Value::List(_))
            | (InputKind::Map, value @ Value::Map(_)) => value,
            (kind, value) => {
                return Err(wrong(format!(
                    "must be of type {}, and {} is {}",
                    kind.as_str(),
                    excerpt(&value),
                    value.kind()
                )));
            }
        };
        if value.size() > TEXT_BYTES_MAX {
            return Err(wrong(format!(
                "has {} bytes; at most {TEXT_BYTES_MAX} are allowed: put it into a file below inbox/",
                value.size()
            )));
        }
        if !self.choices.is_empty() && !self.choices.contains(&value) {
            let choices = self.choices.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
            return Err(wrong(format!("must be one of {choices}, not {}", excerpt(&value))));
        }
        let measure = value
            .as_float()
            .or_else(|| value.as_str().map(|text| text.chars().count() as f64));
        if let Some(measure) = measure {
            let what = if value.as_str().is_some() { "characters" } else { "" };
            if let Some(min) = self.min.filter(|min| measure < *min) {
                return Err(wrong(
                    format!("is {measure} {what}; at least {min} is expected").replace(" ;", ";"),
                ));
            }
            if let Some(max) = self.max.filter(|max| measure > *max) {
                return Err(wrong(
                    format!("is {measure} {what}; at most {max} is allowed").replace(" ;", ";"),
                ));
            }
        }
        Ok(value)
    }

    /// The value behind a word on the command line.
    pub fn parse(&self, name: &str, word: &str) -> Result<Value, Failure> {
        let wrong = |wanted: &str| {
            Failure::new(
                "INPUT",
                format!(
                    "input `{name}` must be {wanted}, and {} is not",
                    excerpt(&Value::from(word))
                ),
            )
        };
        Ok(match self.kind {
            InputKind::String => Value::from(word),
            InputKind::Int => Value::Int(word.parse().map_err(|_| wrong("a whole number"))?),
            InputKind::Float => Value::Float(
                word.parse::<f64>()
                    .ok()
                    .filter(|number| number.is_finite())
                    .ok_or_else(|| wrong("a number"))?,
            ),
            InputKind::Bool => match word.to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" | "on" => Value::Bool(true),
                "0" | "false" | "no" | "off" => Value::Bool(false),
                _ => return Err(wrong("true or false")),
            },
            InputKind::Array | InputKind::Map => {
                Value::from_json(serde_json::from_str(word).map_err(|_| wrong("JSON"))?)
            }
        })
    }
}

fn excerpt(value: &Value) -> String {
    const CHARS_MAX: usize = 60;
    let text = value.to_string();
    if text.chars().count() <= CHARS_MAX {
        text
    } else {
        text.chars().take(CHARS_MAX).collect::<String>() + "…"
    }
}

/// `input`, unless it nests so deep that its record could not be read again.
fn readable(input: Map) -> Result<Value, Failure> {
    let input = Value::Map(input);
    match check_depth(&input) {
        Ok(()) => Ok(input),
        Err(deep) => Err(Failure::new("VALUE_TOO_DEEP", deep.to_string())),
    }
}

/// The whole input of a run: presets filled in, nothing missing, nothing unknown. A playbook that declares no inputs
/// takes any.
pub fn complete(header: &super::Header, mut given: Map) -> Result<Value, Failure> {
    if !header.is_present {
        return readable(given);
    }
    let mut input = Map::new();
    for (name, spec) in &header.inputs {
        let value = match given.remove(name) {
            Some(value) => spec.accept(name, value)?,
            None => match &spec.preset {
                Some(preset) => preset.clone(),
                None if spec.required => {
                    let help = spec.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
                    let flag = name.replace('_', "-");
                    return Err(Failure::new(
                        "INPUT_MISSING",
                        format!("input `{name}`{help} is missing; give it with --{flag} VALUE"),
                    ));
                }
                None => Value::Unit,
            },
        };
        input.insert(name.clone(), value);
    }
    match given.keys().next() {
        None => readable(input),
        Some(unknown) => {
            let hint = match nearest(unknown, header.inputs.keys().map(String::as_str)) {
                Some(near) => format!("; did you mean `{near}`?"),
                None if header.inputs.is_empty() => "; it takes none".to_owned(),
                None => format!(
                    "; it takes {}",
                    header.inputs.keys().cloned().collect::<Vec<_>>().join(", ")
                ),
            };
            Err(Failure::new(
                "INPUT_UNKNOWN",
                format!("the playbook has no input `{unknown}`{hint}"),
            ))
        }
    }
}
