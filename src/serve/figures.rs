//! How often a save went live, was broken or was held.

use std::sync::atomic::{AtomicU64, Ordering};

use super::edition::Edition;
use crate::store::metrics::{self, Labels, Note};
use crate::store::tx::Ground;
use crate::store::{Durability, Realm, Tx};

/// The metric that counts saves: its label `state` is `live`, `broken` or `held`.
pub const SAVES: &str = "host_saves";

/// How often what has happened since the host began to serve.
#[derive(Debug, Default)]
pub struct Figures {
    pub went_live: AtomicU64,
    pub broken: AtomicU64,
    pub held: AtomicU64,
    /// How long the last save took to go live, counted from when it was told of, in milliseconds.
    pub last_ms: AtomicU64,
}

/// Counts a save here and in the metric.
pub(super) fn count(ground: &Ground, edition: &Edition, figure: &AtomicU64, state: &str) {
    figure.fetch_add(1, Ordering::Relaxed);
    let is_dry = edition.app.config.dry_run().unwrap_or(true);
    let realm = if is_dry { Realm::Dry } else { Realm::Live };
    let labels = Labels::from([("state".to_owned(), state.to_owned())]);
    let mut tx = Tx::new(ground, realm, edition.app.clock.unix_ms());
    let noted = metrics::note(&mut tx, SAVES, &labels, &Note::Add(1.0))
        .and_then(|_| ground.store.commit(tx.batch, Durability::Soon));
    if let Err(error) = noted {
        tracing::debug!(%error, "a save could not be counted");
    }
}
