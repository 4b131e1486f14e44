//! What a prompt says of itself before its text: TOML between two lines of `+++`. Pure.
//!
//! ```toml
//! +++
//! model = "gpt-4o-mini"
//! temperature = 0.7
//! +++
//! ```

use std::ops::Range;

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{PromptFault, Spot};
use crate::script::error::nearest;
use crate::script::source::Text;
use crate::value::{Map, Value};

/// The line before and after it.
const FENCE: &str = "+++";

const KEYS: [&str; 4] = ["model", "temperature", "max_tokens", "output_schema"];

const MODEL_BYTES_MAX: usize = 200;
const TEMPERATURE_MAX: f64 = 2.0;
const TOKENS_MAX: i64 = 1_000_000;

/// How a prompt wants to be answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FrontMatter {
    pub model: Option<String>,
    pub temperature: Option<f64>,
    pub max_tokens: Option<i64>,
    /// A JSON schema.
    pub output_schema: Option<Json>,
}

impl FrontMatter {
    /// What is said here, as fields of a map; what is not said is absent.
    pub fn to_fields(&self) -> Map {
        let fields = [
            ("model", self.model.clone().map(Value::from)),
            ("temperature", self.temperature.map(Value::from)),
            ("max_tokens", self.max_tokens.map(Value::from)),
            ("output_schema", self.output_schema.clone().map(Value::from_json)),
        ];
        fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }
}

/// The front matter of `text`, and where the template after it begins.
pub fn split(text: &Text) -> Result<(FrontMatter, usize), PromptFault> {
    let whole = &*text.text;
    let mut lines = whole.split_inclusive('\n');
    let first = lines.next().unwrap_or_default();
    if first.trim_end() != FENCE {
        return Ok((FrontMatter::default(), 0));
    }
    let mut end = first.len();
    for line in lines {
        let matter = first.len()..end;
        end += line.len();
        if line.trim_end() == FENCE {
            return Ok((parse(text, matter)?, end));
        }
    }
    Err(broken(
        text,
        0,
        "the front matter is opened here and never closed; end it with a line of `+++`",
    ))
}

fn parse(text: &Text, matter: Range<usize>) -> Result<FrontMatter, PromptFault> {
    let start = matter.start;
    let table = DeTable::parse(&text.text[matter]).map_err(|error| {
        let at = error.span().map_or(start, |span| start + span.start);
        broken(text, at, format!("the front matter is no TOML: {}", error.message()))
    })?;
    let mut front = FrontMatter::default();
    for (key, value) in table.get_ref() {
        let fail = |at: Range<usize>, reason: String| broken(text, start + at.start, reason);
        match set(&mut front, key.get_ref(), value) {
            Ok(()) => {}
            Err(Wrong::Key(hint)) => {
                return Err(fail(
                    key.span(),
                    format!("the front matter has no key `{}`{hint}", key.get_ref()),
                ));
            }
            Err(Wrong::Value(wanted)) => {
                return Err(fail(value.span(), format!("`{}` must be {wanted}", key.get_ref())));
            }
        }
    }
    Ok(front)
}

enum Wrong {
    Key(String),
    Value(String),
}

fn set(front: &mut FrontMatter, key: &str, value: &Spanned<DeValue<'_>>) -> Result<(), Wrong> {
    let value = value.get_ref();
    match key {
        "model" => {
            let model = value
                .as_str()
                .filter(|model| (1..=MODEL_BYTES_MAX).contains(&model.len()));
            let wanted = || Wrong::Value(format!("a string of 1 to {MODEL_BYTES_MAX} bytes"));
            front.model = Some(model.ok_or_else(wanted)?.to_owned());
        }
        "temperature" => {
            let given = number(value).filter(|number| (0.0..=TEMPERATURE_MAX).contains(number));
            front.temperature =
                Some(given.ok_or_else(|| Wrong::Value(format!("a number from 0 to {TEMPERATURE_MAX}")))?);
        }
        "max_tokens" => {
            let given = whole(value).filter(|tokens| (1..=TOKENS_MAX).contains(tokens));
            front.max_tokens =
                Some(given.ok_or_else(|| Wrong::Value(format!("a whole number from 1 to {TOKENS_MAX}")))?);
        }
        "output_schema" => front.output_schema = Some(schema(value)?),
        _ => {
            let near = nearest(key, KEYS.into_iter()).map(|near| format!("; did you mean `{near}`?"));
            return Err(Wrong::Key(
                near.unwrap_or_else(|| format!("; it takes {}", KEYS.join(", "))),
            ));
        }
    }
    Ok(())
}

/// A JSON schema, as a table or as JSON text.
fn schema(value: &DeValue<'_>) -> Result<Json, Wrong> {
    let schema = match value {
        DeValue::String(text) => serde_json::from_str(text)
            .map_err(|error| Wrong::Value(format!("a JSON schema, and this is no JSON: {error}")))?,
        DeValue::Table(_) => json(value),
        _ => {
            return Err(Wrong::Value(
                "a JSON schema: a table, or a string with JSON in it".to_owned(),
            ));
        }
    };
    match jsonschema::validator_for(&schema) {
        Ok(_) => Ok(schema),
        Err(error) => Err(Wrong::Value(format!("a JSON schema: {error}"))),
    }
}

fn json(value: &DeValue<'_>) -> Json {
    match value {
        DeValue::String(text) => Json::from(text.as_ref()),
        DeValue::Integer(_) => whole(value).map_or(Json::Null, Json::from),
        DeValue::Float(_) => number(value)
            .and_then(serde_json::Number::from_f64)
            .map_or(Json::Null, Json::Number),
        DeValue::Boolean(truth) => Json::Bool(*truth),
        DeValue::Datetime(moment) => Json::from(moment.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => {
            let fields = table
                .iter()
                .map(|(name, value)| (name.get_ref().to_string(), json(value.get_ref())));
            Json::Object(fields.collect())
        }
    }
}

fn whole(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    whole(value)
        .map(|whole| whole as f64)
        .or_else(|| value.as_float()?.as_str().parse().ok())
}

fn broken(text: &Text, at: usize, reason: impl Into<String>) -> PromptFault {
    PromptFault::Broken(Spot::at(text, at, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(FrontMatter, usize), String> {
        split(&Text::new("prompts/a.md", text)).map_err(|fault| fault.to_string())
    }

    #[test]
    fn what_stands_between_the_fences_is_read_and_the_template_begins_after_it() {
        let text = "+++\nmodel = \"m\"\ntemperature = 1\nmax_tokens = 1_000\noutput_schema = { type = \"object\", required = [\"a\"] }\n+++\nHello";
        let (front, at) = read(text).unwrap();
        assert_eq!(&text[at..], "Hello");
        assert_eq!(
            Value::Map(front.to_fields()).to_string(),
            r#"{"max_tokens":1000,"model":"m","output_schema":{"required":["a"],"type":"object"},"temperature":1.0}"#
        );
        let (front, _) = read("+++\r\noutput_schema = '{\"type\": \"string\"}'\r\n+++\r\n").unwrap();
        assert_eq!(front.output_schema, Some(serde_json::json!({"type": "string"})));
        assert_eq!(read("Hello\n+++\nx\n+++\n"), Ok((FrontMatter::default(), 0)));
        assert_eq!(read(""), Ok((FrontMatter::default(), 0)));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_the_way_out() {
        assert_eq!(
            read("+++\nmodel = \"m\"\ntemprature = 0.7\n+++\n").unwrap_err(),
            "prompts/a.md:3: the front matter has no key `temprature`; did you mean `temperature`?, in: temprature = 0.7"
        );
        assert_eq!(
            read("+++\ntemperature = 3\n+++\n").unwrap_err(),
            "prompts/a.md:2: `temperature` must be a number from 0 to 2, in: temperature = 3"
        );
        assert!(
            read("+++\nmax_tokens = 0\n+++\n")
                .unwrap_err()
                .contains("a whole number from 1 to 1000000")
        );
        assert!(
            read("+++\nmodel = 3\n+++\n")
                .unwrap_err()
                .contains("a string of 1 to 200 bytes")
        );
        assert!(
            read("+++\nmodel = \n+++\n")
                .unwrap_err()
                .starts_with("prompts/a.md:2: the front matter is no TOML: ")
        );
        assert!(
            read("+++\nmodel = 'm'\n")
                .unwrap_err()
                .starts_with("prompts/a.md:1: the front matter is opened here")
        );
        assert!(
            read("+++\noutput_schema = '{'\n+++\n")
                .unwrap_err()
                .contains("this is no JSON: EOF")
        );
        assert!(
            read("+++\noutput_schema = { type = \"objekt\" }\n+++\n")
                .unwrap_err()
                .contains("must be a JSON schema: ")
        );
    }
}
