//! A run over an overlay: what it would do, while nothing leaves and nothing stays.

use std::sync::{Arc, Mutex, PoisonError};

use super::runner::{Order, Runner};
use crate::effect::{ProviderMode, RunMode};
use crate::gate::{Notice, Observer};
use crate::journal::{Answer, Outcome};
use crate::script::Script;
use crate::store::keys::{self, Place};
use crate::store::overlay::{Change, Overlay};
use crate::store::{Realm, StoreError};
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

/// Runs `script` on `runner`, whose gate stands on `overlay` and on a world without a network.
pub fn plan(runner: &Runner, overlay: &Overlay, script: Arc<Script>, input: Value, mode: RunMode) -> Result<Plan, StoreError> {
    let seen = Arc::new(Seen::default());
    let order = Order { script, input, mode: all_simulated(mode), trigger: "plan".to_owned(), observer: seen.clone() };
    let finished = runner.run(&order)?;
    let effects = std::mem::take(&mut *seen.0.lock().unwrap_or_else(PoisonError::into_inner));
    let mut store_changes = Vec::new();
    for change in overlay.changes() {
        store_changes.extend(store_change(&change, &*runner.gate.ground.content)?);
    }
    Ok(Plan { effects, outcome: finished.outcome, store_changes })
}

/// The mode with nothing live in it, and for each provider the reason that a run would have, if any.
fn all_simulated(mut mode: RunMode) -> RunMode {
    for provider in mode.providers.values_mut() {
        if *provider == ProviderMode::Live {
            *provider = ProviderMode::Simulated { why: PLANNED.to_owned() };
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
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(answer.clone());
        }
    }
}

/// A change of what scripts see, if it is one.
fn store_change(change: &Change, content: &dyn crate::store::content::Content) -> Result<Option<StoreChange>, StoreError> {
    let show = |held: Option<&[u8]>, place: &Place| held.map(|held| crate::store::shown::value(place, held, content)).transpose();
    let place = match keys::parse(&change.key) {
        Some(place @ (Place::Document { .. } | Place::Kv { .. })) => place,
        _ => return Ok(None),
    };
    let before = show(change.before.as_ref().map(|row| row.value.as_slice()), &place)?;
    let after = show(change.after.as_deref(), &place)?;
    Ok(match place {
        Place::Document { realm, collection, id } => {
            Some(StoreChange { realm, name: format!("{collection}/{id}"), kind: "document", before, after })
        }
        Place::Kv { realm, key } => Some(StoreChange { realm, name: key, kind: "kv", before, after }),
        _ => None,
    })
}
