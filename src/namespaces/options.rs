//! Reading the options map of a namespace's function.
//!
//! Each getter takes one option out and says its type and its bounds; [`Options::finish`] refuses what nobody asked
//! for, so a misspelt option is never silently without effect. An option given as `()` counts as not given.
//!
//! ```text
//! let mut options = ctx.check(Options::new("kv::put", &options))?;
//! let ttl = ctx.check(options.duration("ttl"))?;
//! ctx.check(options.finish())?;
//! ```

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::duration::{self, BadDuration};
use crate::effect::Failure;
use crate::script::error::nearest;
use crate::script::value::{NotAValue, from_dynamic};
use crate::value::{Map, Value};

/// Why an options map is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOption {
    #[error("`{function}` has no option `{name}`; {hint}")]
    Unknown {
        function: Cow<'static, str>,
        name: String,
        hint: String,
    },
    #[error("`{function}` needs the option `{name}`: {wanted}")]
    Missing {
        function: Cow<'static, str>,
        name: &'static str,
        wanted: String,
    },
    #[error("the option `{name}` of `{function}` is {given}; {wanted} is expected")]
    Kind {
        function: Cow<'static, str>,
        name: &'static str,
        given: String,
        wanted: String,
    },
    #[error("the option `{name}` of `{function}` is {given}; it must be from {low} to {high}")]
    Range {
        function: Cow<'static, str>,
        name: &'static str,
        given: String,
        low: String,
        high: String,
    },
    #[error("the option `{name}` of `{function}`: {source}")]
    Duration {
        function: Cow<'static, str>,
        name: &'static str,
        source: BadDuration,
    },
    #[error("the options of `{function}` do not go together: {reason}")]
    Conflict {
        function: Cow<'static, str>,
        reason: String,
    },
    #[error("the option `{name}` of `{function}`: {source}")]
    NotPlain {
        function: Cow<'static, str>,
        name: String,
        source: NotAValue,
    },
}

impl BadOption {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            BadOption::Unknown { .. } => "UNKNOWN_OPTION",
            BadOption::Missing { .. } => "MISSING_OPTION",
            BadOption::NotPlain { source, .. } => source.code(),
            _ => "BAD_OPTION",
        }
    }
}

impl From<BadOption> for Failure {
    fn from(error: BadOption) -> Failure {
        Failure::new(error.code(), error.to_string())
    }
}

/// The options of one call, taken out one by one.
#[derive(Debug)]
pub struct Options {
    function: Cow<'static, str>,
    given: Map,
    known: Vec<&'static str>,
}

impl Options {
    /// The options given to `function` (`kv::put`), as plain data.
    pub fn new(function: impl Into<Cow<'static, str>>, given: &rhai::Map) -> Result<Options, BadOption> {
        let function = function.into();
        let plain = |(name, value): (&rhai::Identifier, &rhai::Dynamic)| match from_dynamic(value) {
            Ok(value) => Ok((name.to_string(), value)),
            Err(source) => Err(BadOption::NotPlain {
                function: function.clone(),
                name: name.to_string(),
                source,
            }),
        };
        let given = given.iter().map(plain).collect::<Result<_, _>>()?;
        Ok(Options {
            function,
            given,
            known: Vec::new(),
        })
    }

    /// The same of a map that is plain data already, such as one within an option.
    pub fn of(function: impl Into<Cow<'static, str>>, given: Map) -> Options {
        Options {
            function: function.into(),
            given,
            known: Vec::new(),
        }
    }

    /// The options as they were given and not yet taken, for an effect's arguments.
    pub fn to_value(&self) -> Value {
        Value::Map(self.given.clone())
    }

    /// Whatever was given under `name`.
    pub fn value(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.given.remove(name).filter(|value| !value.is_unit())
    }

    pub fn string(&mut self, name: &'static str) -> Result<Option<String>, BadOption> {
        self.take(name, "a string", |value| match value {
            Value::Text(text) => Ok(text),
            other => Err(other),
        })
    }

    /// One of a few words.
    pub fn word(&mut self, name: &'static str, words: &[&'static str]) -> Result<Option<&'static str>, BadOption> {
        let choices: Vec<(&'static str, &'static str)> = words.iter().map(|word| (*word, *word)).collect();
        self.choice(name, &choices)
    }

    /// What one of a few words stands for.
    pub fn choice<T: Clone>(
        &mut self,
        name: &'static str,
        choices: &[(&'static str, T)],
    ) -> Result<Option<T>, BadOption> {
        let Some(given) = self.value(name) else { return Ok(None) };
        let word = given.as_str();
        if let Some((_, chosen)) = choices.iter().find(|(choice, _)| Some(*choice) == word) {
            return Ok(Some(chosen.clone()));
        }
        let quoted: Vec<String> = choices.iter().map(|(choice, _)| format!("{choice:?}")).collect();
        let near = word.and_then(|word| nearest(word, choices.iter().map(|(choice, _)| *choice)));
        let near = near.map_or(String::new(), |near| format!(" (did you mean {near:?}?)"));
        Err(self.kind(name, &given, format!("one of {}{near}", quoted.join(", "))))
    }

    pub fn bool(&mut self, name: &'static str) -> Result<Option<bool>, BadOption> {
        self.take(name, "true or false", |value| value.as_bool().ok_or(value))
    }

    /// A whole number within `bounds`.
    pub fn int(&mut self, name: &'static str, bounds: RangeInclusive<i64>) -> Result<Option<i64>, BadOption> {
        let found = self.take(name, "a whole number", |value| value.as_int().ok_or(value))?;
        found.map(|number| self.within(name, number, &bounds)).transpose()
    }

    /// A number within `bounds`; whole numbers are taken too.
    pub fn float(&mut self, name: &'static str, bounds: RangeInclusive<f64>) -> Result<Option<f64>, BadOption> {
        let found = self.take(name, "a number", |value| match value {
            Value::Int(number) => Ok(number as f64),
            Value::Float(number) => Ok(number),
            other => Err(other),
        })?;
        found.map(|number| self.within(name, number, &bounds)).transpose()
    }

    /// A length of time as text (`"90s"`, `"1d12h"`), or as a number of seconds.
    pub fn duration(&mut self, name: &'static str) -> Result<Option<Duration>, BadOption> {
        const SECONDS_MAX: f64 = 3650.0 * 86_400.0;
        let Some(given) = self.value(name) else { return Ok(None) };
        let seconds = match &given {
            Value::Text(text) => {
                let parsed = duration::parse(text);
                return parsed.map(Some).map_err(|source| BadOption::Duration {
                    function: self.function.clone(),
                    name,
                    source,
                });
            }
            Value::Int(seconds) => *seconds as f64,
            Value::Float(seconds) => *seconds,
            other => return Err(self.kind(name, other, "a length of time such as \"90s\", or a number of seconds")),
        };
        self.within(name, seconds, &(0.0..=SECONDS_MAX))
            .map(|seconds| Some(Duration::from_secs_f64(seconds)))
    }

    pub fn map(&mut self, name: &'static str) -> Result<Option<Map>, BadOption> {
        self.take(name, "a map", |value| match value {
            Value::Map(map) => Ok(map),
            other => Err(other),
        })
    }

    pub fn list(&mut self, name: &'static str) -> Result<Option<Vec<Value>>, BadOption> {
        self.take(name, "an array", |value| match value {
            Value::List(items) => Ok(items),
            other => Err(other),
        })
    }

    /// The error for an option that was not given and has no preset.
    pub fn missing(&self, name: &'static str, wanted: impl Into<String>) -> BadOption {
        BadOption::Missing {
            function: self.function.clone(),
            name,
            wanted: wanted.into(),
        }
    }

    /// The error for an option that was given in a form no getter covers.
    pub fn kind(&self, name: &'static str, given: &Value, wanted: impl Into<String>) -> BadOption {
        BadOption::Kind {
            function: self.function.clone(),
            name,
            given: brief(given),
            wanted: wanted.into(),
        }
    }

    /// The error for options that are each well but not together.
    pub fn conflict(&self, reason: impl Into<String>) -> BadOption {
        BadOption::Conflict {
            function: self.function.clone(),
            reason: reason.into(),
        }
    }

    /// Refuses the first option that no getter asked for.
    pub fn finish(self) -> Result<(), BadOption> {
        let Some(name) = self.given.keys().find(|name| !self.known.contains(&name.as_str())) else {
            return Ok(());
        };
        let hint = match nearest(name, self.known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if self.known.is_empty() => "it takes none".to_owned(),
            None => format!("it takes {}", self.known.join(", ")),
        };
        Err(BadOption::Unknown {
            function: self.function.clone(),
            name: shorten(name),
            hint,
        })
    }

    fn take<T>(
        &mut self,
        name: &'static str,
        wanted: &str,
        convert: impl FnOnce(Value) -> Result<T, Value>,
    ) -> Result<Option<T>, BadOption> {
        match self.value(name).map(convert) {
            None => Ok(None),
            Some(Ok(taken)) => Ok(Some(taken)),
            Some(Err(other)) => Err(self.kind(name, &other, wanted)),
        }
    }

    fn within<T>(&self, name: &'static str, number: T, bounds: &RangeInclusive<T>) -> Result<T, BadOption>
    where
        T: PartialOrd + Copy + Display,
    {
        if bounds.contains(&number) {
            return Ok(number);
        }
        let (low, high) = (bounds.start().to_string(), bounds.end().to_string());
        Err(BadOption::Range {
            function: self.function.clone(),
            name,
            given: number.to_string(),
            low,
            high,
        })
    }
}

/// A value in a message: what it is, and how it begins.
fn brief(value: &Value) -> String {
    match value {
        Value::Map(_) | Value::List(_) | Value::Blob(_) => format!("a {}", value.kind()).replace("a array", "an array"),
        Value::Text(text) => format!("the string {:?}", shorten(text)),
        other => other.to_string(),
    }
}

fn shorten(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    let mut short: String = text.chars().take(CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options<const N: usize>(fields: [(&str, Value); N]) -> Options {
        let Value::Map(given) = Value::from(fields) else {
            unreachable!("made as a map")
        };
        Options::of("kv::put", given)
    }

    #[test]
    fn options_are_taken_with_their_types_and_bounds() {
        let mut options = options([
            ("ttl", "1h".into()),
            ("wait", Value::Float(0.5)),
            ("limit", Value::Int(5)),
            ("share", Value::Int(1)),
            ("fit", "blur".into()),
            ("none", Value::Unit),
        ]);
        assert_eq!(options.duration("ttl"), Ok(Some(Duration::from_secs(3600))));
        assert_eq!(options.duration("wait"), Ok(Some(Duration::from_millis(500))));
        assert_eq!(options.int("limit", 1..=5), Ok(Some(5)));
        assert_eq!(options.float("share", 0.0..=1.0), Ok(Some(1.0)));
        assert_eq!(options.word("fit", &["crop", "blur"]), Ok(Some("blur")));
        assert_eq!(options.string("none"), Ok(None));
        assert_eq!(options.bool("absent"), Ok(None));
        assert_eq!(options.finish(), Ok(()));
    }

    #[test]
    fn an_option_nobody_asked_for_is_refused_and_the_near_one_named() {
        let mut options = options([("tll", "1h".into())]);
        assert_eq!(options.duration("ttl"), Ok(None));
        let error = options.finish().expect_err("refused");
        assert_eq!(
            (error.code(), error.to_string().as_str()),
            ("UNKNOWN_OPTION", "`kv::put` has no option `tll`; did you mean `ttl`?")
        );
    }

    #[test]
    fn a_refusal_names_the_value_and_the_limit() {
        let message = |error: BadOption| error.to_string();
        let mut options = options([
            ("limit", Value::Int(6)),
            ("name", Value::Int(6)),
            ("fit", "blurr".into()),
            ("ttl", Value::Float(f64::NAN)),
            ("share", Value::List(vec![])),
        ]);
        assert_eq!(
            message(options.int("limit", 1..=5).expect_err("refused")),
            "the option `limit` of `kv::put` is 6; it must be from 1 to 5"
        );
        assert_eq!(
            message(options.string("name").expect_err("refused")),
            "the option `name` of `kv::put` is 6; a string is expected"
        );
        assert_eq!(
            message(options.word("fit", &["crop", "blur"]).expect_err("refused")),
            "the option `fit` of `kv::put` is the string \"blurr\"; one of \"crop\", \"blur\" (did you mean \"blur\"?) is expected"
        );
        assert!(message(options.duration("ttl").expect_err("refused")).contains("is NaN; it must be from 0 to"));
        assert!(
            message(options.float("share", 0.0..=1.0).expect_err("refused"))
                .contains("is an array; a number is expected")
        );
    }
}
