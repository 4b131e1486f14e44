//! What an operator sees of a host from outside: figures, lines, monitors, traces, logs.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`family`] | metrics as data |
//! | [`text`] | families as Prometheus reads them |
//! | [`answered`] | what becomes of a request that brings somebody figures or news |
//! | [`board`] | `/admin/monitor`: how a server is, on one page |
//! | [`ready`] | whether the server can do its work: what `/readyz` says |
//! | [`figures`] | what this process has done, counted |
//! | [`gather`] | every family of a server |
//! | [`log`] | one line for each event, as text or as JSON |
//! | [`lookout`] | sees every run of the process |
//! | [`monitors`] | rules that open incidents and tell people |
//! | [`otlp`] | traces and metrics to a collector |
//! | [`own`] | the metrics that playbooks declare and record |
//!
//! Nothing here decides anything about a run, and nothing waits for it: what cannot be told is left out, and that is told.

mod answered;
pub mod board;
pub mod family;
pub mod figures;
pub mod gather;
mod kept;
pub mod log;
pub mod lookout;
pub mod monitors;
pub mod otlp;
pub mod own;
pub mod ready;
pub mod text;

#[cfg(test)]
mod gather_tests;
#[cfg(test)]
mod strict;

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::io::clock::Clock;
use crate::runs::conductor::Crew;
use crate::serve::Live;
use crate::serve::beat::Beat;
use crate::serve::status::Board;
use crate::store::Realm;

/// What a server shows of itself, for all who ask.
pub struct Telemetry {
    pub live: Arc<Live>,
    pub board: Arc<Board>,
    pub crew: Arc<Crew>,
    pub beat: Arc<Beat>,
    /// Ends those who send: when the last run has come to rest, and not before.
    pub over: Beat,
    pub clock: Arc<dyn Clock>,
    pub figures: Arc<figures::Figures>,
    /// Who sends to a collector, where one is named.
    pub exporter: Option<otlp::Exporter>,
    /// When somebody is next to be told what a monitor has found, in Unix milliseconds.
    pub notice_ms: AtomicI64,
    /// What kept the server from its work when that was looked at last, on the clock that does not jump.
    hindrances: Mutex<(Option<Duration>, Vec<ready::Hindrance>)>,
    kept: kept::Keeper,
    /// The families of whoever answers over HTTP, once somebody does.
    pub beside: OnceLock<Box<Beside>>,
}

/// Gives families as they are now.
pub type Beside = dyn Fn() -> Vec<family::Family> + Send + Sync;

impl Telemetry {
    pub fn new(
        live: Arc<Live>,
        board: Arc<Board>,
        crew: Arc<Crew>,
        beat: Arc<Beat>,
        figures: Arc<figures::Figures>,
        exporter: Option<otlp::Exporter>,
    ) -> Telemetry {
        let clock = live.current().app.clock.clone();
        Telemetry {
            live,
            board,
            crew,
            beat,
            over: Beat::default(),
            clock,
            figures,
            exporter,
            // Something may have been left by an earlier server.
            notice_ms: AtomicI64::new(0),
            hindrances: Mutex::default(),
            kept: kept::Keeper::default(),
            beside: OnceLock::new(),
        }
    }
}

/// Every metric of the server, as Prometheus reads them: what `/metrics` answers.
pub fn page(telemetry: &Telemetry) -> String {
    text::write(&telemetry.families())
}

/// How often it is looked whether the server is ready.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

impl Telemetry {
    /// Looks whether the server is ready, and walks through the store for those who ask and cannot wait for that, until the
    /// host ends.
    pub fn look_on(&self) {
        while self.over.pause(LOOKS_EVERY) {
            self.look();
            let edition = self.live.current();
            let store = &*edition.runner.gate.ground.store;
            self.kept.freshen(store, self.realm(), &*self.clock);
        }
    }

    /// The realm whose figures are shown.
    fn realm(&self) -> Realm {
        if self.board.status().live {
            Realm::Live
        } else {
            Realm::Dry
        }
    }

    /// Sends to the collector, if there is one, until the host ends.
    pub fn export(&self) {
        if let Some(exporter) = &self.exporter {
            exporter.run(self);
        }
    }

    /// Makes the metrics that live playbooks declare known in the store.
    pub fn make_known(&self) {
        let edition = self.live.current();
        log::mask(edition.app.masks.clone());
        match own::make_known(&edition, self.realm(), self.clock.unix_ms()) {
            Ok(refused) => {
                for name in refused {
                    tracing::error!(
                        metric = name,
                        "this metric was recorded as another type, and goes on as that"
                    );
                }
            }
            Err(error) => tracing::error!(%error, code = error.code(), "declared metrics cannot be written"),
        }
    }
}
