//! What a playbook asks of a model, and the request that is sent.
//!
//! Only what was asked for is sent: reasoning models refuse `temperature`, and compatible servers know fewer fields.

use std::time::Duration;

use serde_json::{Map as JsonMap, Value as Json, json};

use super::schema;
use crate::effect::Failure;
use crate::namespaces::options::{BadOption, Options};
use crate::value::{Map, Value};

/// The model when none is named. Part of the script API: it never changes within a version.
pub const MODEL: &str = "gpt-4o-mini";

const TIMEOUT_MAX: Duration = Duration::from_secs(600);
const MESSAGES_MAX: usize = 1000;
/// All messages together; the longest contexts hold about four million letters.
const MESSAGES_BYTES_MAX: usize = 8 << 20;
const TOKENS_MAX: i64 = 1_000_000;
const SCHEMA_BYTES_MAX: usize = 256 * 1024;

/// The name of a schema whose prompt has none.
const SCHEMA_NAME: &str = "answer";
const SCHEMA_NAME_BYTES_MAX: usize = 64;

/// Why a chat cannot be asked for.
#[derive(Debug, thiserror::Error)]
pub enum BadChat {
    #[error(transparent)]
    Option(#[from] BadOption),
    #[error("`openai::chat` is given both `prompt` and `messages`; leave one of them out")]
    SaidTwice,
    #[error("message {number} is not as models take it: {reason}; write #{{ role: \"user\", content: \"…\" }}")]
    Message { number: usize, reason: &'static str },
    #[error("the messages have {bytes} bytes; at most {MESSAGES_BYTES_MAX} are sent")]
    TooLong { bytes: usize },
    #[error("`openai::chat` is given {count} messages; at most {MESSAGES_MAX} are sent")]
    TooMany { count: usize },
    #[error("the schema is no JSON schema: {reason}")]
    Schema { reason: String },
}

impl From<BadChat> for Failure {
    fn from(error: BadChat) -> Failure {
        let code = match &error {
            BadChat::Option(option) => option.code(),
            BadChat::Schema { .. } => "OPENAI_BAD_SCHEMA",
            _ => "BAD_OPTION",
        };
        Failure::new(code, error.to_string())
    }
}

/// One chat, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Chat {
    pub model: String,
    /// Each a map of role and content.
    pub messages: Vec<Value>,
    pub temperature: Option<f64>,
    pub max_tokens: Option<i64>,
    pub schema: Option<Schema>,
    pub timeout: Option<Duration>,
    /// Which prompt it was made of, in which version: `daily/caption@3f9c21a`.
    pub prompt: Option<String>,
}

/// What the answer must satisfy.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    pub name: String,
    pub schema: Value,
}

impl Chat {
    pub fn read(options: &mut Options) -> Result<Chat, BadChat> {
        let prompt = options.value("prompt");
        let messages = options.list("messages")?;
        let system = options.string("system")?;
        let rendered = prompt.as_ref().and_then(Value::as_map).cloned().unwrap_or_default();
        let preset = |name: &str| rendered.get(name).filter(|value| !value.is_unit());

        let mut said: Vec<Value> = system.map(|text| message("system", text)).into_iter().collect();
        match (&prompt, messages) {
            (Some(_), Some(_)) => return Err(BadChat::SaidTwice),
            (None, None) => {
                return Err(options
                    .missing("prompt", "a string, or what `prompt::render` returned")
                    .into());
            }
            (None, Some(messages)) => said.extend(messages),
            (Some(Value::Text(text)), None) => said.push(message("user", text.clone())),
            (Some(other), None) => match preset("text") {
                Some(Value::Text(text)) => said.push(message("user", text.clone())),
                _ => {
                    return Err(options
                        .kind("prompt", other, "a string, or what `prompt::render` returned,")
                        .into());
                }
            },
        }
        check_messages(&said)?;

        let mut bounds = Options::of("openai::chat", given_or_preset(options, &rendered));
        let timeout = options.duration("timeout")?;
        if let Some(timeout) = timeout.filter(|timeout| timeout.is_zero() || *timeout > TIMEOUT_MAX) {
            let given = Value::from(format!("{timeout:?}"));
            return Err(options.kind("timeout", &given, "a length of time up to \"10m\"").into());
        }
        let schema = bounds.map("schema")?.map(Value::Map);
        if let Some(schema) = &schema {
            check_schema(schema)?;
        }
        let name = schema_name(preset("name").and_then(Value::as_str));
        Ok(Chat {
            model: bounds.string("model")?.unwrap_or_else(|| MODEL.to_owned()),
            messages: said,
            temperature: bounds.float("temperature", 0.0..=2.0)?,
            max_tokens: bounds.int("max_tokens", 1..=TOKENS_MAX)?,
            schema: schema.map(|schema| Schema { name, schema }),
            timeout,
            prompt: preset("name")
                .and_then(Value::as_str)
                .zip(preset("version").and_then(Value::as_str))
                .map(|(name, version)| format!("{name}@{version}")),
        })
    }

    /// What the journal keeps, and all that a simulation may depend on.
    pub fn args(&self) -> Value {
        let mut args = Map::from([
            ("model".to_owned(), Value::from(self.model.as_str())),
            ("messages".to_owned(), Value::List(self.messages.clone())),
        ]);
        if let Some(prompt) = &self.prompt {
            args.insert("prompt".to_owned(), Value::from(prompt.as_str()));
        }
        if let Some(temperature) = self.temperature {
            args.insert("temperature".to_owned(), Value::Float(temperature));
        }
        if let Some(most) = self.max_tokens {
            args.insert("max_tokens".to_owned(), Value::Int(most));
        }
        if let Some(schema) = &self.schema {
            args.insert("schema".to_owned(), schema.schema.clone());
        }
        Value::Map(args)
    }

    /// The request's body.
    pub fn body(&self) -> Json {
        let mut body = JsonMap::new();
        body.insert("model".to_owned(), Json::from(self.model.as_str()));
        body.insert("messages".to_owned(), Value::List(self.messages.clone()).to_json());
        if let Some(temperature) = self.temperature {
            body.insert("temperature".to_owned(), Json::from(temperature));
        }
        if let Some(most) = self.max_tokens {
            body.insert("max_completion_tokens".to_owned(), Json::from(most));
        }
        if let Some(Schema { name, schema }) = &self.schema {
            let named = json!({ "name": name, "schema": schema.to_json(), "strict": true });
            body.insert(
                "response_format".to_owned(),
                json!({ "type": "json_schema", "json_schema": named }),
            );
        }
        Json::Object(body)
    }

    /// Everything said to the model, for estimates and simulations.
    pub fn text(&self) -> String {
        let contents = self.messages.iter().filter_map(|message| message.get("content"));
        contents
            .map(|content| content.as_str().map_or_else(|| content.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// What was said last, which is what the answer is about.
    pub fn last_text(&self) -> &str {
        let text = |message| Value::get(message, "content").and_then(Value::as_str);
        self.messages.iter().rev().find_map(text).unwrap_or_default()
    }
}

/// The options that a rendered prompt presets, as given or else as preset.
fn given_or_preset(options: &mut Options, rendered: &Map) -> Map {
    const PRESETS: [(&str, &str); 4] = [
        ("model", "model"),
        ("temperature", "temperature"),
        ("max_tokens", "max_tokens"),
        ("schema", "output_schema"),
    ];
    let value = |(name, preset): (&'static str, &str)| {
        let value = options.value(name).or_else(|| rendered.get(preset).cloned());
        (name.to_owned(), value.unwrap_or_default())
    };
    PRESETS.into_iter().map(value).collect()
}

fn message(role: &str, text: String) -> Value {
    Value::from([("role", Value::from(role)), ("content", Value::from(text))])
}

fn check_messages(messages: &[Value]) -> Result<(), BadChat> {
    if messages.len() > MESSAGES_MAX {
        return Err(BadChat::TooMany { count: messages.len() });
    }
    for (index, message) in messages.iter().enumerate() {
        let bad = |reason| {
            Err(BadChat::Message {
                number: index + 1,
                reason,
            })
        };
        if message.as_map().is_none() {
            return bad("it is no map");
        }
        if message.get("role").and_then(Value::as_str).is_none_or(str::is_empty) {
            return bad("it has no role");
        }
        match message.get("content") {
            Some(Value::Text(_) | Value::List(_)) => {}
            _ => return bad("its content is neither a string nor an array of parts"),
        }
    }
    match messages.iter().map(Value::size).sum() {
        bytes if bytes > MESSAGES_BYTES_MAX => Err(BadChat::TooLong { bytes }),
        _ => Ok(()),
    }
}

fn check_schema(schema: &Value) -> Result<(), BadChat> {
    let bytes = schema.size();
    if bytes > SCHEMA_BYTES_MAX {
        return Err(BadChat::Schema {
            reason: format!("it has {bytes} bytes; at most {SCHEMA_BYTES_MAX} are sent"),
        });
    }
    schema::checker(&schema.to_json())
        .map(|_| ())
        .map_err(|reason| BadChat::Schema { reason })
}

/// A name that OpenAI takes: letters, digits, `_` and `-`.
fn schema_name(prompt: Option<&str>) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = prompt
        .unwrap_or(SCHEMA_NAME)
        .chars()
        .map(plain)
        .take(SCHEMA_NAME_BYTES_MAX)
        .collect();
    if name.is_empty() { SCHEMA_NAME.to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: Value) -> Result<Chat, Failure> {
        let mut options = Options::of("openai::chat", fields.as_map().cloned().expect("a map"));
        let chat = Chat::read(&mut options)?;
        options.finish()?;
        Ok(chat)
    }

    #[test]
    fn only_what_was_asked_for_is_sent() {
        let chat = read(Value::from([("prompt", "hello".into())])).expect("a chat");
        assert_eq!(
            chat.body(),
            json!({ "model": MODEL, "messages": [{ "role": "user", "content": "hello" }] })
        );
    }

    #[test]
    fn a_rendered_prompt_presets_what_the_call_does_not_say() {
        let schema = Value::from([("type", Value::from("object"))]);
        let prompt = Value::from([
            ("text", "hello".into()),
            ("name", "daily/caption".into()),
            ("version", "3f9c".into()),
            ("model", "gpt-4.1".into()),
            ("temperature", Value::Float(0.7)),
            ("max_tokens", Value::Int(300)),
            ("output_schema", schema),
        ]);
        let chat = read(Value::from([
            ("prompt", prompt),
            ("model", "other".into()),
            ("system", "be brief".into()),
        ]));
        let chat = chat.expect("a chat");
        assert_eq!(
            chat.args().get("prompt"),
            Some(&"daily/caption@3f9c".into()),
            "the journal names its source"
        );
        let body = chat.body();
        assert_eq!(body["model"], "other");
        assert_eq!(body["temperature"], 0.7);
        assert_eq!(body["max_completion_tokens"], 300);
        assert_eq!(body["messages"][0], json!({ "role": "system", "content": "be brief" }));
        assert_eq!(
            body["response_format"],
            json!({ "type": "json_schema", "json_schema": { "name": "daily_caption", "schema": { "type": "object" }, "strict": true } })
        );
    }

    #[test]
    fn what_no_model_takes_is_refused_by_name() {
        let code = |fields: Value| read(fields).expect_err("refused").code;
        assert_eq!(code(Value::from([("model", "m".into())])), "MISSING_OPTION");
        assert_eq!(code(Value::from([("prompt", Value::Int(1))])), "BAD_OPTION");
        assert_eq!(
            code(Value::from([("prompt", "a".into()), ("messages", Value::List(vec![]))])),
            "BAD_OPTION"
        );
        assert_eq!(
            code(Value::from([("messages", Value::List(vec!["a".into()]))])),
            "BAD_OPTION"
        );
        assert_eq!(
            code(Value::from([
                ("prompt", "a".into()),
                ("temperature", Value::Float(2.5))
            ])),
            "BAD_OPTION"
        );
        assert_eq!(
            code(Value::from([("prompt", "a".into()), ("promt", "a".into())])),
            "UNKNOWN_OPTION"
        );
        let schema = Value::from([("type", "objekt".into())]);
        assert_eq!(
            code(Value::from([("prompt", "a".into()), ("schema", schema)])),
            "OPENAI_BAD_SCHEMA"
        );
        let elsewhere = Value::from([("$ref", "https://example.com/schema.json".into())]);
        assert_eq!(
            code(Value::from([("prompt", "a".into()), ("schema", elsewhere)])),
            "OPENAI_BAD_SCHEMA"
        );
    }
}
