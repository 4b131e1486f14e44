//! What services sent: each makes a run of the playbook that has its path.
//!
//! Whoever takes deliveries in answers when they are on disk, and makes no run: so they lose nothing while a playbook is
//! paused, the store is frozen, its runs are in each other's way or there is no room. What waits is taken in its order.

use serde_json::Value as Json;

use super::modes::Modes;
use super::start::{Reason, Start, Startable, startable};
use super::{Trigger, Turn};
use crate::effect::Failure;
use crate::journal::Cause;
use crate::journal::intake::{self, Intake, Refused, Waits};
use crate::namespaces::time::moment;
use crate::script::triggers::webhook::INPUT;
use crate::serve::Edition;
use crate::store::StoreError;
use crate::value::{Map, Value};

/// What an input may have together; of a body that has more as JSON the text is told alone.
const JSON_BYTES_MAX: usize = 600 << 10;

/// How deep JSON nests that is told.
const DEPTH_MAX: usize = 60;

/// Makes runs of what services sent.
#[derive(Default)]
pub struct Webhooks {
    modes: Modes,
    first: usize,
}

impl Trigger for Webhooks {
    fn name(&self) -> &'static str {
        "webhooks"
    }

    fn turn(&mut self, edition: &Edition, now_ms: i64, room: usize) -> Result<Turn, StoreError> {
        let mut turn = Turn::default();
        let looked = self.look(edition, now_ms, room, &mut turn);
        turn.over(looked)
    }
}

impl Webhooks {
    fn look(&mut self, edition: &Edition, now_ms: i64, room: usize, turn: &mut Turn) -> Result<(), StoreError> {
        let playbooks = startable(edition, now_ms, &mut self.modes, |listed| {
            listed.triggers.webhook.is_some()
        })?;
        if playbooks.is_empty() {
            return Ok(());
        }
        self.first = (self.first + 1) % playbooks.len();
        let (before, after) = playbooks.split_at(self.first);
        for playbook in after.iter().chain(before) {
            if let Some(hook) = &playbook.listed.triggers.webhook {
                while playbook.take_up(&hook.path, room - turn.runs.len(), turn)? {}
            }
        }
        Ok(())
    }
}

impl Startable<'_> {
    /// Makes runs of the oldest that wait; returns whether there may be more, and room for them.
    fn take_up(&self, path: &str, room: usize, turn: &mut Turn) -> Result<bool, StoreError> {
        let mut tx = self.tx();
        let ground = tx.ground;
        let limit = self.at_once(room);
        let waiting = intake::waiting(&*ground.store, path, limit.max(1))?;
        if limit == 0 {
            turn.has_more |= !waiting.is_empty();
            return Ok(false);
        }
        let came = waiting.len();
        let mut runs = Vec::new();
        for (id, waits) in waiting {
            let Some((found, record)) = Intake::get(&*ground.store, &id)? else {
                intake::forget(&mut tx.batch, path, &id);
                continue;
            };
            let trigger = trigger(&found, &Waits::read(&waits)?);
            let input = match self.told_of(&found) {
                // It stands in nobody's way: the others are whole.
                Err(error @ StoreError::Corrupt { .. }) => {
                    let failure = Failure::new(error.code(), error.to_string());
                    self.refused(&mut tx, &trigger, &failure)?;
                    let why = Refused {
                        code: failure.code,
                        message: failure.message,
                    };
                    found.done(&mut tx.batch, &record, &waits, Err(why));
                    continue;
                }
                input => input?,
            };
            let reason = Reason {
                trigger,
                cause: Cause::Webhook {
                    path: path.to_owned(),
                    intake: id,
                    corr: found.corr.clone(),
                    again: found.runs.len() as u32,
                },
                input,
                corr: Some(found.corr.clone()),
            };
            let at = turn.runs.len() + runs.len();
            let came = match self.start(&mut tx, reason, at, turn)? {
                Start::Run(started) => {
                    let run = started.run;
                    runs.push(started);
                    Ok(run)
                }
                Start::Refused => Err(Refused {
                    code: "INPUT".to_owned(),
                    message: "what was sent does not fit the inputs of the playbook".to_owned(),
                }),
                Start::Later => return Ok(false),
            };
            found.done(&mut tx.batch, &record, &waits, came);
        }
        let is_done = self.commit(tx, runs, turn)?;
        Ok(is_done && came == limit)
    }

    /// What the run is told, where the playbook wants to be told.
    fn told_of(&self, intake: &Intake) -> Result<Map, StoreError> {
        if !self.declares(INPUT) && self.listed.pinned.header.is_present {
            return Ok(Map::new());
        }
        let body = intake.body(&self.edition.runner.gate.ground)?;
        Ok([(INPUT.to_owned(), told(intake, &body))].into_iter().collect())
    }
}

fn trigger(intake: &Intake, waits: &Waits) -> String {
    let (path, id) = (&intake.path, intake.short());
    match &waits.by {
        Some(by) => format!("by webhook {path}, {id} once more, {by}"),
        None => format!("by webhook {path}, {id}"),
    }
}

/// What was sent, as a playbook sees it.
pub fn told(intake: &Intake, body: &[u8]) -> Value {
    let (text, encoding) = match std::str::from_utf8(body) {
        Ok(text) => (text.to_owned(), "text"),
        Err(_) => {
            use base64::Engine as _;
            (base64::engine::general_purpose::STANDARD.encode(body), "base64")
        }
    };
    let time = |ms: i64| moment::from_ms(ms).map_or(Value::Unit, |at| moment::write(at).into());
    let headers = intake.headers.iter();
    let headers: Map = headers
        .map(|(name, value)| (name.clone(), value.as_str().into()))
        .collect();
    Value::from([
        ("id", Value::from(intake.sent_id.as_str())),
        ("intake", intake.id.as_str().into()),
        ("path", intake.path.as_str().into()),
        ("headers", Value::Map(headers)),
        ("body", text.into()),
        ("encoding", encoding.into()),
        ("json", json(body)),
        ("received", time(intake.at_ms)),
        ("sent", intake.sent_ms.map_or(Value::Unit, time)),
    ])
}

/// The body as JSON, if it is that and not too much.
fn json(body: &[u8]) -> Value {
    // The parser has a bound of its own on how deep it goes.
    let parsed: Option<Json> = serde_json::from_slice(body).ok();
    match parsed.filter(|json| is_flat(json, DEPTH_MAX)).map(Value::from_json) {
        Some(value) if value.size() <= JSON_BYTES_MAX => value,
        _ => Value::Unit,
    }
}

fn is_flat(json: &Json, depth: usize) -> bool {
    match json {
        Json::Array(items) => depth > 0 && items.iter().all(|item| is_flat(item, depth - 1)),
        Json::Object(map) => depth > 0 && map.values().all(|item| is_flat(item, depth - 1)),
        _ => true,
    }
}
