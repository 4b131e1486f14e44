//! What is posted: checked against Slack's limits before it becomes an effect, and without mentions of everybody.
//!
//! Slack refuses a message that is too long with two words that name neither the block nor the limit; here both are.

use crate::effect::Failure;
use crate::namespaces::options::{BadOption, Options};
use crate::value::{Map, Value};

const TEXT_CHARS_MAX: usize = 40_000;
const BLOCKS_MAX: usize = 50;
const BLOCK_ID_CHARS_MAX: usize = 255;

/// Block, field within it, and how many letters it may have.
const CHARS_MAX: [(&str, &[&str], usize); 7] = [
    ("section", &["text", "text"], 3_000),
    ("header", &["text", "text"], 150),
    ("image", &["image_url"], 3_000),
    ("image", &["alt_text"], 2_000),
    ("image", &["title", "text"], 2_000),
    ("markdown", &["text"], 12_000),
    ("video", &["title", "text"], 200),
];

/// Block, list within it, and how many items it may have.
const ITEMS_MAX: [(&str, &str, usize); 3] = [
    ("section", "fields", 10),
    ("context", "elements", 10),
    ("actions", "elements", 25),
];

const FIELD_CHARS_MAX: usize = 2_000;

/// How a mention of everybody, or of a group, begins.
const BROADCASTS: [&str; 4] = ["<!channel", "<!here", "<!everyone", "<!subteam"];

/// Why a message cannot be posted.
#[derive(Debug, thiserror::Error)]
pub enum BadMessage {
    #[error(transparent)]
    Option(#[from] BadOption),
    #[error("{what} is empty; Slack needs some text there")]
    Empty { what: String },
    #[error("{what} has {count} {unit}; Slack takes at most {most}")]
    TooLong {
        what: String,
        count: usize,
        unit: &'static str,
        most: usize,
    },
    #[error("block {number} is no block: {reason}; see Slack's Block Kit")]
    Block { number: usize, reason: &'static str },
}

impl From<BadMessage> for Failure {
    fn from(error: BadMessage) -> Failure {
        let code = match &error {
            BadMessage::Option(option) => option.code(),
            _ => "SLACK_BAD_MESSAGE",
        };
        Failure::new(code, error.to_string()).provider(super::NAME)
    }
}

/// A message that Slack takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Message(Map);

impl Message {
    pub fn read(options: &mut Options) -> Result<Message, BadMessage> {
        let text = options.string("text")?;
        let text = text.ok_or_else(|| options.missing("text", "notifications show it, even where there are blocks"))?;
        let blocks = options.list("blocks")?;
        let channel = options.string("channel")?;
        let mentions = options.bool("mentions")?.unwrap_or(false);

        check_chars("the text", &text, TEXT_CHARS_MAX)?;
        if let Some(blocks) = &blocks {
            check_blocks(blocks)?;
        }
        let mut message = Map::from([("text".to_owned(), Value::Text(text))]);
        if let Some(blocks) = blocks {
            message.insert("blocks".to_owned(), Value::List(blocks));
        }
        if !mentions {
            message = message
                .into_iter()
                .map(|(name, value)| (name, unmentioned(value)))
                .collect();
        }
        if let Some(channel) = channel {
            message.insert("channel".to_owned(), Value::Text(channel));
        }
        Ok(Message(message))
    }

    /// As it is sent and journaled.
    pub fn to_value(&self) -> Value {
        Value::Map(self.0.clone())
    }
}

fn check_blocks(blocks: &[Value]) -> Result<(), BadMessage> {
    check_count("the message", blocks.len(), "blocks", BLOCKS_MAX)?;
    for (index, block) in blocks.iter().enumerate() {
        let number = index + 1;
        let bad = |reason| BadMessage::Block { number, reason };
        let kind = block
            .get("type")
            .and_then(Value::as_str)
            .ok_or(bad("it is no map with a `type`"))?;
        if let Some(id) = block.get("block_id").and_then(Value::as_str) {
            check_chars(&format!("the block_id of block {number}"), id, BLOCK_ID_CHARS_MAX)?;
        }
        for (of, path, most) in CHARS_MAX.into_iter().filter(|(of, ..)| *of == kind) {
            let found = path.iter().try_fold(block, |value, name| value.get(name));
            if let Some(text) = found.and_then(Value::as_str) {
                check_chars(&format!("the {} of block {number} ({of})", path[0]), text, most)?;
            }
        }
        for (of, list, most) in ITEMS_MAX.into_iter().filter(|(of, ..)| *of == kind) {
            let items = block.get(list).and_then(Value::as_list).unwrap_or_default();
            check_count(
                &format!("the `{list}` of block {number} ({of})"),
                items.len(),
                "items",
                most,
            )?;
            for text in items.iter().filter_map(|item| item.get("text").and_then(Value::as_str)) {
                check_chars(
                    &format!("one of the `{list}` of block {number} ({of})"),
                    text,
                    FIELD_CHARS_MAX,
                )?;
            }
        }
        match kind {
            "image" if block.get("alt_text").and_then(Value::as_str).is_none() => {
                return Err(bad("an image needs an `alt_text`"));
            }
            "header" if block.get("text").is_none() => return Err(bad("a header needs a `text`")),
            "section" if block.get("text").is_none() && block.get("fields").is_none() => {
                return Err(bad("a section needs a `text` or `fields`"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_chars(what: &str, text: &str, most: usize) -> Result<(), BadMessage> {
    if text.trim().is_empty() {
        return Err(BadMessage::Empty { what: what.to_owned() });
    }
    check_count(what, text.chars().count(), "letters", most)
}

fn check_count(what: &str, count: usize, unit: &'static str, most: usize) -> Result<(), BadMessage> {
    match count > most {
        true => Err(BadMessage::TooLong {
            what: what.to_owned(),
            count,
            unit,
            most,
        }),
        false => Ok(()),
    }
}

/// The value with every mention of everybody shown as letters: in texts by escaping it, in rich text by naming it.
fn unmentioned(value: Value) -> Value {
    match value {
        Value::Text(text) => {
            let escape = |text: String, broadcast: &&str| text.replace(*broadcast, &broadcast.replacen('<', "&lt;", 1));
            Value::Text(BROADCASTS.iter().fold(text, escape))
        }
        Value::List(items) => Value::List(items.into_iter().map(unmentioned).collect()),
        Value::Map(map) => match map.get("type").and_then(Value::as_str) {
            Some("broadcast") => {
                let whom = map.get("range").and_then(Value::as_str).unwrap_or("channel");
                Value::from([("type", Value::from("text")), ("text", Value::from(format!("@{whom}")))])
            }
            Some("usergroup") => Value::from([("type", Value::from("text")), ("text", Value::from("@group"))]),
            _ => Value::Map(
                map.into_iter()
                    .map(|(name, value)| (name, unmentioned(value)))
                    .collect(),
            ),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: Value) -> Result<Value, String> {
        let mut options = Options::of("slack::post", fields.as_map().cloned().expect("a map"));
        Message::read(&mut options)
            .map(|message| message.to_value())
            .map_err(|error| error.to_string())
    }

    fn section(text: &str) -> Value {
        let text = Value::from([("type", "mrkdwn".into()), ("text", text.into())]);
        Value::from([("type", "section".into()), ("text", text)])
    }

    #[test]
    fn nobody_is_called_unless_that_was_asked_for() {
        let element = |kind: &str| {
            Value::from([
                ("type", kind.into()),
                ("range", "here".into()),
                ("usergroup_id", "S1".into()),
            ])
        };
        let rich = Value::from([
            ("type", "rich_text".into()),
            (
                "elements",
                Value::List(vec![element("broadcast"), element("usergroup")]),
            ),
        ]);
        let text = "<!channel> <!here|here> <!subteam^S1|@ops> <!date^1^{date}|then> <@U1> a < b";
        let given = |mentions: bool| {
            let blocks = Value::List(vec![section("<!everyone> hi"), rich.clone()]);
            read(Value::from([
                ("text", text.into()),
                ("blocks", blocks),
                ("mentions", Value::Bool(mentions)),
            ]))
            .expect("a message")
            .to_string()
        };
        let quiet = given(false);
        for call in [
            "<!channel",
            "<!here",
            "<!everyone",
            "<!subteam",
            "broadcast",
            "usergroup",
        ] {
            assert!(!quiet.contains(call), "{call} in {quiet}");
            assert!(given(true).contains(call), "{call}");
        }
        assert!(quiet.contains("&lt;!channel> &lt;!here|here>"), "{quiet}");
        assert!(
            quiet.contains("<!date^1^{date}|then> <@U1> a < b"),
            "all else is as it was given: {quiet}"
        );
    }

    #[test]
    fn what_slack_would_refuse_is_named_with_its_limit() {
        let post = |block: Value| {
            read(Value::from([
                ("text", "a".into()),
                ("blocks", Value::List(vec![section("a"), block])),
            ]))
            .expect_err("refused")
        };
        assert_eq!(
            post(section(&"é".repeat(3001))),
            "the text of block 2 (section) has 3001 letters; Slack takes at most 3000"
        );
        assert_eq!(
            post(section("")),
            "the text of block 2 (section) is empty; Slack needs some text there"
        );
        assert!(
            post(Value::from([
                ("type", "image".into()),
                ("image_url", "https://a".into())
            ]))
            .contains("alt_text")
        );
        assert!(post("a".into()).contains("block 2 is no block"));
        let elements = Value::List(vec![Value::Unit; 11]);
        assert!(
            post(Value::from([("type", "context".into()), ("elements", elements)]))
                .contains("11 items; Slack takes at most 10")
        );

        assert!(
            read(Value::from([("text", "a".repeat(40_001).into())]))
                .expect_err("refused")
                .contains("40001 letters")
        );
        assert!(read(Value::from([("text", " ".into())])).is_err());
        assert!(
            read(Value::from([("blocks", Value::List(vec![section("a")]))]))
                .expect_err("refused")
                .contains("needs the option `text`")
        );
        let many = Value::List(vec![section("a"); 51]);
        assert!(
            read(Value::from([("text", "a".into()), ("blocks", many)]))
                .expect_err("refused")
                .contains("51 blocks")
        );
        assert!(
            read(Value::from([("text", "é".repeat(40_000).into())])).is_ok(),
            "letters count, not bytes"
        );
    }
}
