//! What an operator sees of a host from outside: figures, lines, monitors, traces, logs.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`family`] | metrics as data |
//! | [`text`] | families as Prometheus reads them |
//! | [`figures`] | what this process has done, counted |
//! | [`gather`] | every family of a server |
//! | [`own`] | the metrics that playbooks declare and record |
//!
//! Nothing here decides anything about a run, and nothing waits for it: what cannot be told is left out, and that is told.

pub mod family;
pub mod figures;
pub mod gather;
mod kept;
pub mod own;
pub mod text;

#[cfg(test)]
mod gather_tests;
#[cfg(test)]
mod strict;

use std::sync::Arc;

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
    pub clock: Arc<dyn Clock>,
    pub figures: Arc<figures::Figures>,
    kept: kept::Keeper,
}

impl Telemetry {
    pub fn new(
        live: Arc<Live>,
        board: Arc<Board>,
        crew: Arc<Crew>,
        beat: Arc<Beat>,
        figures: Arc<figures::Figures>,
    ) -> Telemetry {
        let clock = live.current().app.clock.clone();
        Telemetry {
            live,
            board,
            crew,
            beat,
            clock,
            figures,
            kept: kept::Keeper::default(),
        }
    }
}

/// Every metric of the server, as Prometheus reads them: what `/metrics` answers.
pub fn page(telemetry: &Telemetry) -> String {
    text::write(&telemetry.families())
}

impl Telemetry {
    /// Makes the metrics that live playbooks declare known in the store.
    pub fn make_known(&self) {
        let edition = self.live.current();
        let status = self.board.status();
        let realm = if status.live { Realm::Live } else { Realm::Dry };
        match own::make_known(&edition, realm, self.clock.unix_ms()) {
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
