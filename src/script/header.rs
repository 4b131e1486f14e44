//! What a playbook says of itself: the literal constant `PLAYBOOK`, read without running anything.
//!
//! A script without one is a playbook too. A key that nobody knows is refused, because a misspelt `timeout` would
//! otherwise silently mean no timeout.

use std::time::Duration;

use rhai::{AST, Expr, Position, Stmt};

use super::error::{Diagnosis, nearest, place_of};
use super::inputs::{InputSpec, Inputs};
use super::metrics::{self, DeclaredMetric};
use super::source::Text;
use super::triggers::{self, Step, Triggers};
use super::value::from_dynamic;
use crate::value::{Map, Value};

/// The constant's name.
pub(super) const CONSTANT: &str = "PLAYBOOK";

/// Keys that say what starts a playbook. They are kept for whoever serves triggers; a run by hand needs none.
pub const TRIGGER_KEYS: [&str; 15] = [
    "schedule",
    "every",
    "timezone",
    "missed",
    "horizon",
    "jitter",
    "overlap",
    "concurrency",
    "queue",
    "event",
    "files",
    "after",
    "startup",
    "http",
    "webhook",
];
pub const KEYS: [&str; 8] = [
    "title",
    "description",
    "uses",
    "inputs",
    "timeout",
    "deadline",
    "on_failure",
    "metrics",
];

/// A playbook's header.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Header {
    pub title: Option<String>,
    pub description: Option<String>,
    /// The providers, with or without an account, whose live writes it may make.
    pub uses: Vec<String>,
    pub inputs: Inputs,
    /// How long a run may be at work.
    pub timeout: Option<Duration>,
    /// Whether a run that fails opens an incident.
    pub incident_on_failure: bool,
    /// How long after its beginning a run must be over, waits included.
    pub deadline: Option<Duration>,
    /// What it records, known before it has recorded anything.
    pub metrics: Vec<DeclaredMetric>,
    /// What starts it by itself.
    pub starts: Triggers,
    /// What starts it, as written.
    pub triggers: Map,
    /// All of it, as written.
    pub written: Map,
    /// Whether there is a header at all.
    pub is_present: bool,
}

impl Header {
    /// Reads the header of `ast`, compiled from `text`.
    pub fn read(ast: &AST, text: &Text) -> Result<Header, Diagnosis> {
        let header = Header::read_for_run(ast, text)?;
        let Some(expression) = find(ast) else {
            return Ok(header);
        };
        let (starts, complaints) = triggers::read(&header.triggers, Some(&header.inputs));
        match complaints.into_iter().find(|complaint| complaint.is_fatal) {
            Some(complaint) => {
                let position = position_of(expression, &complaint.path, complaint.is_about_key);
                let diagnosis = Diagnosis::new(complaint.code, complaint.message, text.clone());
                Err(Diagnosis {
                    help: complaint.help,
                    ..diagnosis.at(place_of(position, None))
                })
            }
            None => Ok(Header { starts, ..header }),
        }
    }

    /// The same, for a run that has been started: what starts it, `starts`, is left out.
    pub fn read_for_run(ast: &AST, text: &Text) -> Result<Header, Diagnosis> {
        let Some(expression) = find(ast) else {
            return Ok(Header::default());
        };
        let fail = |message: String, position| {
            Err(Diagnosis::new("HEADER", message, text.clone()).at(place_of(position, None)))
        };
        let Expr::Map(fields, _) = expression else {
            return fail(
                format!("{CONSTANT} must be a map: const {CONSTANT} = #{{ title: \"…\" }};"),
                expression.position(),
            );
        };
        let mut header = Header {
            is_present: true,
            ..Header::default()
        };
        for (key, expression) in &fields.0 {
            let (name, position) = (key.as_str(), key.pos);
            let Some(literal) = expression.get_literal_value(None) else {
                let message =
                    format!("`{name}` in {CONSTANT} must be written out: the header is read without running anything");
                return fail(message, expression.position());
            };
            let value = match from_dynamic(&literal) {
                Ok(value) => value,
                Err(error) => return fail(format!("`{name}` in {CONSTANT}: {error}"), position),
            };
            header.written.insert(name.to_owned(), value.clone());
            if name == "metrics" {
                header.metrics = read_metrics(&value, expression, text)?;
            } else if let Err(message) = header.set(name, value) {
                return fail(message, position);
            }
        }
        Ok(header)
    }

    fn set(&mut self, key: &str, value: Value) -> Result<(), String> {
        let text = |value: &Value| match value {
            Value::Text(text) => Ok(text.clone()),
            other => Err(format!(
                "`{key}` in {CONSTANT} must be a string, and this is {}",
                other.kind()
            )),
        };
        match key {
            "title" => self.title = Some(text(&value)?),
            "description" => self.description = Some(text(&value)?),
            "timeout" | "deadline" => {
                let length = crate::duration::parse(&text(&value)?).map_err(|error| error.to_string())?;
                let limit = if key == "timeout" {
                    &mut self.timeout
                } else {
                    &mut self.deadline
                };
                *limit = Some(length);
            }
            "on_failure" => match text(&value)?.as_str() {
                "incident" => self.incident_on_failure = true,
                other => {
                    return Err(format!(
                        "`on_failure` in {CONSTANT} is {other:?}; write \"incident\", or leave it out"
                    ));
                }
            },
            "uses" => {
                let list = value
                    .as_list()
                    .ok_or_else(|| format!("`uses` in {CONSTANT} must be an array of strings, such as [\"slack\"]"))?;
                self.uses = list.iter().map(text).collect::<Result<_, _>>()?;
            }
            "inputs" => {
                let map = value.as_map().ok_or_else(|| {
                    format!("`inputs` in {CONSTANT} must be a map, such as #{{ topic: #{{ type: \"string\" }} }}")
                })?;
                for (name, spec) in map {
                    self.inputs.insert(name.clone(), Box::new(InputSpec::read(name, spec)?));
                }
            }
            key if TRIGGER_KEYS.contains(&key) => {
                self.triggers.insert(key.to_owned(), value);
            }
            key => {
                let near = nearest(key, KEYS.iter().chain(&TRIGGER_KEYS).copied());
                let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                return Err(format!("{CONSTANT} has no key `{key}`{hint}"));
            }
        }
        Ok(())
    }
}

/// The metrics that `value` declares, which is written as `expression`.
fn read_metrics(value: &Value, expression: &Expr, text: &Text) -> Result<Vec<DeclaredMetric>, Diagnosis> {
    let (found, wrong) = metrics::read(value);
    let Some(wrong) = wrong.into_iter().next() else {
        return Ok(found);
    };
    let path: Vec<Step> = wrong.path.into_iter().map(Step::Key).collect();
    let position = position_of(expression, &path, true);
    let diagnosis = Diagnosis::new("HEADER", wrong.message, text.clone());
    Err(Diagnosis {
        help: wrong.help,
        ..diagnosis.at(place_of(position, None))
    })
}

/// Where the value lies to which `path` leads, or its key; as near as it can be told.
fn position_of(expression: &Expr, path: &[Step], is_about_key: bool) -> Position {
    let (mut at, mut key) = (expression, expression.position());
    for step in path {
        let found = match (at, step) {
            (Expr::Map(fields, _), Step::Key(name)) => {
                let field = fields.0.iter().find(|(key, _)| key.as_str() == name);
                field.map(|(key, value)| (value, key.pos))
            }
            (Expr::Array(items, _), Step::Index(index)) => items.get(*index).map(|item| (item, item.position())),
            _ => None,
        };
        let Some(found) = found else {
            break;
        };
        (at, key) = found;
    }
    if is_about_key { key } else { at.position() }
}

fn find(ast: &AST) -> Option<&Expr> {
    ast.statements().iter().find_map(|statement| match statement {
        Stmt::Var(definition, _, _) if definition.0.as_str() == CONSTANT => Some(&definition.1),
        _ => None,
    })
}
