//! What is wrong with what starts a playbook, and where in the header.

use crate::duration;
use crate::script::error::nearest;
use crate::script::inputs::Inputs;
use crate::value::{Map, Value};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Complaint {
    pub code: &'static str,
    /// From the header's map to the value.
    pub path: Vec<Step>,
    /// Whether the last key of the path itself is meant.
    pub is_about_key: bool,
    pub message: String,
    pub help: Option<String>,
    /// What was certainly meant in its place, as a script writes it.
    pub fix: Option<String>,
    /// Whether the header cannot be used so.
    pub is_fatal: bool,
}

/// A step from a value to one in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Index(usize),
}

impl Complaint {
    pub fn help(&mut self, help: impl Into<String>) -> &mut Complaint {
        self.help = Some(help.into());
        self
    }

    /// Not so bad that nothing can be run.
    pub fn mild(&mut self) -> &mut Complaint {
        self.is_fatal = false;
        self
    }
}

/// Walks through a header and collects what is wrong with it.
pub(super) struct Reader<'h> {
    /// The declared inputs; `None` when they cannot be read.
    pub inputs: Option<&'h Inputs>,
    pub complaints: Vec<Complaint>,
    path: Vec<Step>,
}

impl<'h> Reader<'h> {
    pub fn new(inputs: Option<&'h Inputs>) -> Reader<'h> {
        Reader {
            inputs,
            complaints: Vec::new(),
            path: Vec::new(),
        }
    }

    /// Reads what lies under `key` of `map`, if it is there.
    pub fn at<T>(&mut self, map: &Map, key: &str, read: impl FnOnce(&mut Self, &Value) -> Option<T>) -> Option<T> {
        let value = map.get(key)?;
        self.step(Step::Key(key.to_owned()), |reader| read(reader, value))
    }

    /// Reads each item of a list; what is no list is taken for its only item. At most `max` are allowed.
    pub fn each<T>(
        &mut self,
        value: &Value,
        max: usize,
        mut read: impl FnMut(&mut Self, usize, &Value) -> Option<T>,
    ) -> Vec<T> {
        match value {
            Value::List(items) if items.is_empty() => {
                let name = self.name();
                self.say("HEADER", format!("{name} is an empty array"))
                    .help("take it away, or say what starts the playbook");
                Vec::new()
            }
            Value::List(items) => {
                if items.len() > max {
                    let name = self.name();
                    self.say(
                        "HEADER",
                        format!("{name} has {} items; at most {max} are allowed", items.len()),
                    );
                }
                let mut found = Vec::new();
                for (index, item) in items.iter().take(max).enumerate() {
                    found.extend(self.step(Step::Index(index), |reader| read(reader, index, item)));
                }
                found
            }
            other => read(self, 0, other).into_iter().collect(),
        }
    }

    fn step<T>(&mut self, step: Step, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.path.push(step);
        let found = read(self);
        self.path.pop();
        found
    }

    /// Complains about the value it stands at.
    pub fn say(&mut self, code: &'static str, message: impl Into<String>) -> &mut Complaint {
        self.complaints.push(Complaint {
            code,
            path: self.path.clone(),
            is_about_key: false,
            message: message.into(),
            help: None,
            fix: None,
            is_fatal: true,
        });
        self.complaints.last_mut().expect("it was just added")
    }

    /// Complains about `key` of the map it stands at.
    pub fn say_of_key(&mut self, key: &str, code: &'static str, message: impl Into<String>) -> &mut Complaint {
        self.path.push(Step::Key(key.to_owned()));
        let message = message.into();
        self.say(code, message).is_about_key = true;
        self.path.pop();
        self.complaints.last_mut().expect("it was just added")
    }

    /// Complains about the keys of `map` that are not among `known`.
    pub fn known(&mut self, map: &Map, known: &[&str]) {
        let name = self.name();
        for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
            let near = nearest(key, known.iter().copied());
            let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            let all = known.join(", ");
            let complaint = self.say_of_key(key, "HEADER", format!("{name} has no key `{key}`{hint}"));
            complaint.help = Some(format!("it may say {all}"));
            complaint.fix = near.map(str::to_owned);
        }
    }

    /// What it stands at, for messages: `` `jitter` of `schedule` ``.
    pub fn name(&self) -> String {
        let keys: Vec<&str> = self
            .path
            .iter()
            .filter_map(|step| match step {
                Step::Key(key) => Some(key.as_str()),
                Step::Index(_) => None,
            })
            .collect();
        match keys.as_slice() {
            [] => "the header".to_owned(),
            [one] => format!("`{one}`"),
            [first, .., last] => format!("`{last}` of `{first}`"),
        }
    }

    pub fn wrong_kind(&mut self, value: &Value, wanted: &str) {
        let name = self.name();
        self.say(
            "HEADER",
            format!("{name} must be {wanted}, and this is {}", value.kind()),
        );
    }

    pub fn text<'v>(&mut self, value: &'v Value, wanted: &str) -> Option<&'v str> {
        if value.as_str().is_none() {
            self.wrong_kind(value, wanted);
        }
        value.as_str()
    }

    /// One of `words`, each with what it stands for.
    pub fn word<T: Copy>(&mut self, value: &Value, words: &[(&str, T)]) -> Option<T> {
        let all = words
            .iter()
            .map(|(word, _)| format!("{word:?}"))
            .collect::<Vec<_>>()
            .join(", ");
        let text = self.text(value, &format!("one of {all}"))?;
        if let Some((_, meant)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*meant);
        }
        let near = nearest(&text.to_ascii_lowercase(), words.iter().map(|(word, _)| *word));
        let hint = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        let (name, shown) = (self.name(), excerpt(text));
        self.say("HEADER", format!("{name} must be one of {all}, not {shown:?}{hint}"))
            .fix = near.map(|near| format!("{near:?}"));
        None
    }

    pub fn duration(&mut self, value: &Value, min_ms: u64, max_ms: u64) -> Option<std::time::Duration> {
        let text = self.text(value, "a length of time, such as \"15m\"")?;
        let length = match duration::parse(text) {
            Ok(length) => length,
            Err(error) => {
                self.say("DURATION_INVALID", error.to_string());
                return None;
            }
        };
        let ms = length.as_millis() as u64;
        if (min_ms..=max_ms).contains(&ms) {
            return Some(length);
        }
        let (name, low, high) = (self.name(), duration::for_people(min_ms), duration::for_people(max_ms));
        self.say("HEADER", format!("{name} is {text:?}; from {low} to {high} is allowed"));
        None
    }

    pub fn count(&mut self, value: &Value, max: u32) -> Option<u32> {
        match value.as_int().and_then(|number| u32::try_from(number).ok()) {
            Some(number) if (1..=max).contains(&number) => Some(number),
            _ => {
                let name = self.name();
                self.say(
                    "HEADER",
                    format!("{name} must be a number from 1 to {max}, and this is {value}"),
                );
                None
            }
        }
    }

    /// A name of letters, digits, `_`, `-` and `.`.
    pub fn plain_name(&mut self, value: &Value, max: usize) -> Option<String> {
        let text = self.text(value, "a name, such as \"uploads\"")?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if !text.is_empty() && text.len() <= max && text.bytes().all(allowed) {
            return Some(text.to_owned());
        }
        let (name, shown) = (self.name(), excerpt(text));
        self.say(
            "HEADER",
            format!("{name} is {shown:?}; it needs 1 to {max} letters, digits, \"_\", \"-\" or \".\""),
        );
        None
    }
}

pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(60).collect()
}
