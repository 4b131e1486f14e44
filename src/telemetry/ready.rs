//! Whether the server can do its work, and what keeps it from that: what `/readyz` answers.
//!
//! Liveness is another question, which `/healthz` answers: a server that is not ready is not helped by starting it anew.

use std::sync::PoisonError;
use std::time::Duration;

use serde::Serialize;

use super::Telemetry;
use crate::gate::circuit::{self, Circuit};
use crate::gate::state;
use crate::store::lines::{self, Line};
use crate::store::{Realm, Store};

/// A loop that turned longer ago than this does not turn.
const LOOP_AGE_MAX: Duration = Duration::from_secs(60);

/// What was looked at longer ago than this says nothing any more.
const LOOK_AGE_MAX: Duration = Duration::from_secs(60);

/// Something that keeps the server from its work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hindrance {
    /// `store`, `loop`, `circuit`, `credentials`, `stopping` or `line`.
    pub what: &'static str,
    pub why: String,
}

impl Telemetry {
    /// What keeps the server from its work now; nothing, when it is ready.
    pub fn hindrances(&self) -> Vec<Hindrance> {
        let edition = self.live.current();
        let store = &*edition.runner.gate.ground.store;
        let mut found = Vec::new();
        let mut say = |what, why: String| found.push(Hindrance { what, why });
        if let Err(error) = store.get(b"\x01") {
            say("store", format!("the store cannot be read ({})", error.code()));
        }
        if self.beat.age(self.clock.monotonic()) > LOOP_AGE_MAX {
            say("loop", "the host's loop does not turn".to_owned());
        }
        if self.crew.is_closed() {
            say("stopping", "the server is being stopped".to_owned());
        }
        if let Err(error) = edition.app.mode(&[]) {
            say("credentials", error.to_string());
        }
        let now_ms = self.clock.unix_ms();
        for provider in edition.app.providers.iter().map(|spec| &spec.name) {
            let circuit = state::read::<Circuit>(store, &circuit::key(provider));
            if circuit.is_ok_and(|circuit| circuit.state(now_ms) == "open") {
                say("circuit", format!("{provider} has failed too often and is left alone"));
            }
        }
        for (name, line) in self.lines() {
            if line.ready == Some(false) {
                say("line", format!("{name}: {}", line.text));
            }
        }
        found
    }

    /// What kept the server from its work a moment ago. It lies in memory: a disk that hangs does not hang who asks. Where
    /// nobody has been able to look for long, that is what keeps it.
    pub fn last_hindrances(&self) -> Vec<Hindrance> {
        let hindrances = self.hindrances.lock().unwrap_or_else(PoisonError::into_inner);
        let (looked_at, found) = &*hindrances;
        let mut found = found.clone();
        let age = looked_at.map(|at| self.clock.monotonic().saturating_sub(at));
        if age.is_some_and(|age| age > LOOK_AGE_MAX) {
            let why = "nobody could look for a minute how the server is; its store may hang".to_owned();
            found.push(Hindrance { what: "store", why });
        }
        found
    }

    /// Looks what keeps the server from its work, for [`Telemetry::last_hindrances`].
    pub(super) fn look(&self) {
        let found = self.hindrances();
        let now = self.clock.monotonic();
        *self.hindrances.lock().unwrap_or_else(PoisonError::into_inner) = (Some(now), found);
    }

    /// What playbooks say on the pages, by name.
    pub fn lines(&self) -> Vec<(String, Line)> {
        let edition = self.live.current();
        let store: &dyn Store = &*edition.runner.gate.ground.store;
        let realm = if self.board.status().live {
            Realm::Live
        } else {
            Realm::Dry
        };
        lines::standing(store, realm, self.clock.unix_ms()).unwrap_or_else(|error| {
            tracing::error!(%error, code = error.code(), "lines of playbooks cannot be read");
            Vec::new()
        })
    }
}
