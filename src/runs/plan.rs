//! A run over an overlay: what it would do, while nothing leaves and nothing stays.

use std::sync::{Arc, Mutex, PoisonError};

use super::runner::{Order, Runner};
use crate::effect::{ProviderMode, RunMode};
use crate::gate::{Notice, Observer};
use crate::journal::{Answer, Outcome};
use crate::script::Script;
use crate::store::keys::{self, Place};
use crate::store::overlay::{Change, Overlay};
use crate::store::tx::Ground;
use crate::store::{Realm, StoreError, Tx, documents, kv};
use crate::value::Value;

/// What a playbook would do.
#[derive(Clone, Debug)]
pub struct Plan {
    pub effects: Vec<Answer>,
    pub outcome: Outcome,
    pub store_changes: Vec<StoreChange>,
}

/// One document or key that would change.
#[derive(Clone, Debug)]
pub struct StoreChange {
    pub realm: Realm,
    /// `collection/id` of a document, or the key of a pair.
    pub name: String,
    pub kind: &'static str,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// Runs `script` on `runner`, whose gate stands on `overlay` and on a world without a network. `before` is what lies
/// below the overlay.
pub fn plan(
    runner: &Runner,
    before: &Ground,
    overlay: &Overlay,
    script: Arc<Script>,
    input: Value,
    mode: RunMode,
) -> Result<Plan, StoreError> {
    let seen = Arc::new(Seen::default());
    let order = Order {
        script,
        input,
        mode: all_simulated(mode),
        trigger: "plan".to_owned(),
        by: None,
        retry_of: None,
        observer: seen.clone(),
    };
    let finished = runner.run(&order)?;
    let effects = std::mem::take(&mut *seen.0.lock().unwrap_or_else(PoisonError::into_inner));
    let mut store_changes = Vec::new();
    for change in overlay.changes() {
        let now_ms = runner.gate.world.clock.unix_ms();
        store_changes.extend(store_change(&change, before, &runner.gate.ground, now_ms)?);
    }
    Ok(Plan {
        effects,
        outcome: finished.outcome,
        store_changes,
    })
}

/// The mode with nothing live in it, and for each provider the reason that a run would have, if any.
fn all_simulated(mut mode: RunMode) -> RunMode {
    for provider in mode.providers.values_mut() {
        if *provider == ProviderMode::Live {
            *provider = ProviderMode::Simulated {
                why: PLANNED.to_owned(),
            };
        }
    }
    mode
}

/// The reason of a simulation that only a plan makes.
pub const PLANNED: &str = "this is a plan: a run would do it live";

/// Collects the effects in order.
#[derive(Default)]
struct Seen(Mutex<Vec<Answer>>);

impl Observer for Seen {
    fn notice(&self, notice: Notice<'_>) {
        if let Notice::Answered { answer } = notice {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(answer.clone());
        }
    }
}

/// A change of what scripts see, if it is one.
fn store_change(
    change: &Change,
    before: &Ground,
    after: &Ground,
    now_ms: i64,
) -> Result<Option<StoreChange>, StoreError> {
    let shown = |ground: &Ground, place: &Place| -> Result<Option<Value>, StoreError> {
        match place {
            Place::Document { realm, collection, id } => {
                let document = documents::get(&mut Tx::new(ground, *realm, now_ms), collection, id)?;
                Ok(document.map(|document| Value::Map(document.data)))
            }
            Place::Kv { realm, key } => kv::get(&mut Tx::new(ground, *realm, now_ms), key),
            _ => Ok(None),
        }
    };
    let Some(place @ (Place::Document { .. } | Place::Kv { .. })) = keys::parse(&change.key) else {
        return Ok(None);
    };
    let (before, after) = (shown(before, &place)?, shown(after, &place)?);
    Ok(match place {
        Place::Document { realm, collection, id } => Some(StoreChange {
            realm,
            name: format!("{collection}/{id}"),
            kind: "document",
            before,
            after,
        }),
        Place::Kv { realm, key } => Some(StoreChange {
            realm,
            name: key,
            kind: "kv",
            before,
            after,
        }),
        _ => None,
    })
}

impl StoreChange {
    /// What happens to it: added, changed or removed.
    pub fn word(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "added",
            (Some(_), Some(_)) => "changed",
            (Some(_), None) => "removed",
        }
    }
}
