//! A playbook's run as a test looks at it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::effect::{Failure, Place};
use crate::journal::{Answer, Outcome, RunError, Status};
use crate::value::{Map, Value};

/// A run that is at rest. Copies are the same run.
#[derive(Clone)]
pub struct Played(Arc<Inner>);

/// What is known of it.
pub struct Inner {
    pub playbook: String,
    /// As a person would write it: `playbooks/daily/publish.rhai`.
    pub file: String,
    pub input: Value,
    pub effects: Vec<Answer>,
    /// What it logged, each a map of level, message and fields.
    pub logs: Vec<Value>,
    pub outcome: Outcome,
    /// What it waits for, when it is not over.
    pub waits: Option<String>,
    /// How much time passed, by the test's clock.
    pub took_ms: u64,
    pub children: Vec<Played>,
    /// Whether the test has asked how it ended.
    pub seen: AtomicBool,
}

impl Played {
    pub fn new(inner: Inner) -> Played {
        Played(Arc::new(inner))
    }

    pub fn get(&self) -> &Inner {
        &self.0
    }

    /// Notes that the test knows how it ended.
    pub fn see(&self) -> &Inner {
        self.0.seen.store(true, Ordering::Relaxed);
        &self.0
    }

    /// Whether it went wrong and the test does not speak of it.
    pub fn failed_unseen(&self) -> bool {
        let is_well = matches!(self.0.outcome.status, Status::Succeeded);
        !is_well && !self.0.seen.load(Ordering::Relaxed)
    }

    /// How it ended, on one line: `failed with HTTP_TIMEOUT at playbooks/demo.rhai:12: …`.
    pub fn ending(&self) -> String {
        let inner = &self.0;
        match (&inner.outcome.error, &inner.waits) {
            (Some(error), _) => {
                let place = self.place(&error.place);
                let Failure { code, message, .. } = &error.failure;
                format!("{} with {code}{place}: {message}", status(inner.outcome.status))
            }
            (None, Some(what)) => format!("waits for {what}"),
            (None, None) => status(inner.outcome.status).to_owned(),
        }
    }

    fn place(&self, place: &Place) -> String {
        match (&place.module, place.line) {
            (_, 0) => String::new(),
            (None, line) => format!(" at {}:{line}", self.0.file),
            (Some(module), line) => format!(" at playbooks/{module}.rhai:{line}"),
        }
    }

    /// The error that ended it, as its test sees it: that which a `catch` would get, and where.
    pub fn error(&self) -> Value {
        let Some(RunError { failure, place, step }) = &self.0.outcome.error else {
            return Value::Unit;
        };
        let mut map = failure.to_value().as_map().cloned().unwrap_or_default();
        put_place(&mut map, place);
        map.insert("step".to_owned(), step.map(i64::from).into());
        Value::Map(map)
    }

    /// The names of its effects, in order.
    pub fn calls(&self) -> Vec<&str> {
        self.0.effects.iter().map(|effect| effect.asked.name.as_str()).collect()
    }

    /// Its effects called `name`, or all of them.
    pub fn effects(&self, name: Option<&str>) -> Vec<Value> {
        let fits = |effect: &&Answer| name.is_none_or(|name| effect.asked.name == name);
        self.0.effects.iter().filter(fits).map(effect).collect()
    }

    /// That there is no effect called `name`, with those that there are.
    pub fn no_effect(&self, name: &str, wanted: usize) -> Failure {
        let calls = self.calls();
        let count = calls.iter().filter(|call| **call == name).count();
        let message = match (count, calls.as_slice()) {
            (0, []) => format!("{} asked for nothing, also not for {name}", self.0.playbook),
            (0, calls) => {
                let mut names: Vec<&str> = calls.to_vec();
                names.dedup();
                format!(
                    "{} did not ask for {name}; it asked for {}",
                    self.0.playbook,
                    names.join(", ")
                )
            }
            (count, _) => format!(
                "{} asked {count} times for {name}, so there is none at {wanted}: the first is at 0",
                self.0.playbook
            ),
        };
        Failure::new("EXPECTATION", message)
    }
}

pub fn status(status: Status) -> &'static str {
    status.code()
}

fn put_place(map: &mut Map, place: &Place) {
    map.insert("line".to_owned(), Value::Int(i64::from(place.line)));
    map.insert("module".to_owned(), place.module.clone().into());
}

fn effect(answer: &Answer) -> Value {
    let asked = &answer.asked;
    let error = answer.error.as_ref().map_or(Value::Unit, Failure::to_value);
    let mut map = Map::from([
        ("step".to_owned(), Value::Int(i64::from(asked.step))),
        ("name".to_owned(), asked.name.as_str().into()),
        ("class".to_owned(), asked.class.as_str().into()),
        ("args".to_owned(), asked.args.clone()),
        ("value".to_owned(), answer.value.clone()),
        ("error".to_owned(), error),
        ("simulated".to_owned(), answer.simulated.clone().into()),
        ("decision".to_owned(), answer.decision.clone().into()),
        ("attempts".to_owned(), Value::Int(i64::from(answer.attempts.max(1)))),
        ("in_doubt".to_owned(), Value::Bool(answer.in_doubt)),
        ("at".to_owned(), Value::Float(answer.at_ms as f64 / 1000.0)),
    ]);
    put_place(&mut map, &asked.place);
    Value::Map(map)
}
