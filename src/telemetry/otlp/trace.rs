//! A run as a trace. Its id follows from the run's correlation id, and those of its spans from run and step, so that
//! whoever goes on with a run after a crash adds to the same trace, and a run that another started lies below its step.
//! No id is given twice: a run that goes on after it had ended adds a span of its own, below its first.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::effect::Class;
use crate::gate::{Notice, Observer};
use crate::id::{ContentHash, RunId, StepNo};
use crate::journal::{Answer, Attempt, Begun, Parent, RunRecord};

/// Spans that wait to be sent.
pub const QUEUE_MAX: usize = 2_048;

/// Steps without a door that are shown of a run's owner: they are many, and quick.
const LOCAL_MAX: u32 = 64;

/// Attempts that are told of one step.
const EVENTS_MAX: usize = 32;

/// Spans of everything that this process does, on their way.
#[derive(Default)]
pub struct Traces {
    waiting: Mutex<VecDeque<Span>>,
    pub dropped: AtomicU64,
}

/// Something that took time.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub trace: [u8; 16],
    pub id: [u8; 8],
    pub parent: Option<[u8; 8]>,
    pub name: String,
    /// Whether it waits for somebody outside.
    pub is_client: bool,
    pub begun_ms: i64,
    pub ended_ms: i64,
    pub attributes: Vec<(&'static str, Attribute)>,
    pub events: Vec<Event>,
    /// Why it failed.
    pub error: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub at_ms: i64,
    pub name: &'static str,
    pub attributes: Vec<(&'static str, Attribute)>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
}

/// The trace that all belongs to which bears this correlation id: a run's own id is its trace's.
pub fn trace_id(corr: &str) -> [u8; 16] {
    match corr.parse::<RunId>().map(RunId::to_bytes) {
        // All zeros are no id to a collector, and whoever asks may give any.
        Ok(id) if id != [0; 16] => id,
        _ => first(&format!("trace\n{corr}")),
    }
}

/// The id of a run's span, or of a step's, as it is for the first time.
fn span_id(run: RunId, step: Option<StepNo>) -> [u8; 8] {
    first(&format!("span\n{run}\n{}", step.unwrap_or_default()))
}

/// The same after the run's end was made void for the `again`th time.
fn span_id_again(run: RunId, step: Option<StepNo>, again: u32) -> [u8; 8] {
    match again {
        0 => span_id(run, step),
        _ => first(&format!("span\n{run}\n{}\n{again}", step.unwrap_or_default())),
    }
}

/// Whether the step starts runs: their spans name its id, and know nothing more of it.
fn starts_runs(effect: &str) -> bool {
    effect.starts_with("playbook.")
}

fn first<const N: usize>(name: &str) -> [u8; N] {
    let digest = ContentHash::of(name.as_bytes());
    *digest.as_bytes().first_chunk().expect("a digest has 32 bytes")
}

impl Traces {
    /// Makes spans of what a run does, and tells `beside`.
    pub fn watch(self: &Arc<Traces>, begun: &Begun, again: u32, beside: Arc<dyn Observer>) -> Arc<dyn Observer> {
        Arc::new(Tracing {
            traces: self.clone(),
            beside,
            trace: trace_id(&begun.corr()),
            run: begun.run,
            again,
            parent: begun.parent,
            begun_ms: begun.at_ms,
            trigger: begun.trigger.clone(),
            corr: begun.corr(),
            now: Mutex::default(),
        })
    }

    /// Puts `span` in the queue, unless that is full.
    pub fn put(&self, span: Span) {
        let mut waiting = self.lock();
        if waiting.len() < QUEUE_MAX {
            waiting.push_back(span);
        } else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Up to `most` spans, those that wait longest.
    pub fn take(&self, most: usize) -> Vec<Span> {
        let mut waiting = self.lock();
        let count = waiting.len().min(most);
        waiting.drain(..count).collect()
    }

    pub fn len(&self) -> usize {
        self.lock().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Span>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches one run.
struct Tracing {
    traces: Arc<Traces>,
    beside: Arc<dyn Observer>,
    trace: [u8; 16],
    run: RunId,
    again: u32,
    parent: Option<Parent>,
    begun_ms: i64,
    trigger: String,
    corr: String,
    now: Mutex<Now>,
}

#[derive(Default)]
struct Now {
    /// Of the step under way.
    events: Vec<Event>,
    local: u32,
}

impl Tracing {
    fn unix_ms(&self, at_ms: u64) -> i64 {
        self.begun_ms.saturating_add(i64::try_from(at_ms).unwrap_or(i64::MAX))
    }

    fn attempted(&self, attempt: &Attempt) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.events.len() == EVENTS_MAX {
            return;
        }
        now.events.push(Event {
            at_ms: self.unix_ms(attempt.at_ms.saturating_add(attempt.took_ms)),
            name: "attempt failed",
            attributes: vec![
                ("host.attempt", Attribute::Int(attempt.attempt.into())),
                ("host.code", Attribute::Text(attempt.error.code.clone())),
                ("host.took_ms", int(attempt.took_ms)),
                ("host.wait_ms", int(attempt.wait_ms)),
                ("host.in_doubt", Attribute::Bool(attempt.in_doubt)),
            ],
        });
    }

    fn answered(&self, answer: &Answer) {
        let asked = &answer.asked;
        let is_client = asked.class != Class::Local;
        let events = {
            let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
            if !is_client {
                now.local += 1;
                if now.local > LOCAL_MAX && !starts_runs(&asked.name) {
                    return;
                }
            }
            std::mem::take(&mut now.events)
        };
        let mut attributes = vec![
            ("host.run", Attribute::Text(self.run.to_string())),
            ("host.step", Attribute::Int(asked.step.into())),
            ("host.class", Attribute::Text(asked.class.as_str().to_owned())),
            ("host.attempts", Attribute::Int(answer.attempts.max(1).into())),
            ("code.lineno", Attribute::Int(asked.place.line.into())),
        ];
        if answer.simulated.is_some() {
            attributes.push(("host.simulated", Attribute::Bool(true)));
        }
        if answer.in_doubt {
            attributes.push(("host.in_doubt", Attribute::Bool(true)));
        }
        if let Some(cost_usd) = answer.cost_usd {
            attributes.push(("host.cost_usd", Attribute::Float(cost_usd)));
        }
        let again = if starts_runs(&asked.name) { 0 } else { self.again };
        self.traces.put(Span {
            trace: self.trace,
            id: span_id_again(self.run, Some(asked.step), again),
            parent: Some(span_id_again(self.run, None, self.again)),
            name: asked.name.clone(),
            is_client,
            begun_ms: self.unix_ms(answer.at_ms),
            ended_ms: self.unix_ms(answer.at_ms.saturating_add(answer.took_ms)),
            attributes,
            events,
            error: answer.error.as_ref().map(|failure| failure.code.clone()),
        });
    }

    fn rested(&self, record: &RunRecord) {
        let Some(ended_ms) = record.ended_ms else { return };
        let parent = match self.again {
            0 => self.parent.map(|parent| span_id(parent.run, Some(parent.step))),
            _ => Some(span_id(self.run, None)),
        };
        let mut attributes = vec![
            ("host.run", Attribute::Text(self.run.to_string())),
            ("host.playbook", Attribute::Text(record.playbook.clone())),
            ("host.corr", Attribute::Text(self.corr.clone())),
            ("host.outcome", Attribute::Text(record.status.code().to_owned())),
            ("host.trigger", Attribute::Text(self.trigger.clone())),
            ("host.live", Attribute::Bool(record.live)),
            ("host.effects", Attribute::Int(record.effects.into())),
            ("host.simulated_effects", Attribute::Int(record.simulated.into())),
            ("host.version", Attribute::Text(record.version.to_string())),
        ];
        if record.cost_usd > 0.0 {
            attributes.push(("host.cost_usd", Attribute::Float(record.cost_usd)));
        }
        self.traces.put(Span {
            trace: self.trace,
            id: span_id_again(self.run, None, self.again),
            parent,
            name: format!("run {}", record.playbook),
            is_client: false,
            begun_ms: self.begun_ms,
            // A clock that was set back makes no span end before it begins.
            ended_ms: ended_ms.max(self.begun_ms),
            attributes,
            events: Vec::new(),
            error: record.error.as_ref().map(|error| error.failure.code.clone()),
        });
    }
}

fn int(number: u64) -> Attribute {
    Attribute::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

impl Observer for Tracing {
    fn notice(&self, notice: Notice<'_>) {
        match &notice {
            Notice::Attempted { attempt, .. } => self.attempted(attempt),
            Notice::Answered { answer } => self.answered(answer),
            Notice::Rested { record } => self.rested(record),
            _ => {}
        }
        self.beside.notice(notice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_whoever_asks_gives_as_an_id_there_is_a_trace_that_collectors_take() {
        assert_ne!(trace_id("00000000000000000000000000"), [0; 16]);
        assert_eq!(
            trace_id("00000000000000000000000001")[15],
            1,
            "a run's id is its trace's"
        );
        assert_eq!(trace_id("req-1"), trace_id("req-1"));
    }
}
