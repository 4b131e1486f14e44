//! Makes the backups of `[backup]`, has `[retention]` give back what nobody needs, and keeps the audit log as `[audit]` says,
//! from a thread of its own.
//!
//! What was done last stands in rows, so a server that starts anew goes on where the last one was. A backup that fails is a
//! problem in `host status`, and an incident until one is made again.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::beat::Beat;
use super::edition::Edition;
use super::keeper::{Keeper, Refused};
use super::status::{Board, Problem};
use crate::id::IncidentId;
use crate::io::aside;
use crate::journal::audit::noted::Noted;
use crate::journal::audit::{self, Act, Actor, Via};
use crate::journal::incident::{self, HOST, Incident, IncidentError, OpenedBy, State};
use crate::store::backup::Progress;
use crate::store::{Batch, Durability, StoreError};
use crate::upkeep::record::{Found, Recorder};
use crate::upkeep::retention::{self, Swept};
use crate::upkeep::settings::Limits;
use crate::upkeep::{Place, rota};

/// How often it looks whether something is due: settings may have changed, and the clock.
const LOOKS_EVERY: Duration = Duration::from_secs(5);

/// How often retention looks.
const RETAINS_EVERY_MS: i64 = 6 * 3_600_000;

/// How soon one that failed is tried again.
const AGAIN_MS: i64 = 10 * 60_000;

/// The title of the incident about backups.
const TITLE: &str = "backups are not made";

/// The title of the incident about the audit log.
const CUT_TITLE: &str = "the audit log was cut off or altered";

pub struct Caretaker {
    keeper: Arc<Keeper>,
    beat: Arc<Beat>,
    board: Arc<Board>,
    recorder: Mutex<Recorder>,
    /// When a retention that failed is tried again.
    retains_again_ms: AtomicI64,
}

impl Caretaker {
    pub fn new(keeper: Arc<Keeper>, beat: Arc<Beat>, board: Arc<Board>) -> Caretaker {
        Caretaker {
            keeper,
            beat,
            board,
            recorder: Mutex::default(),
            retains_again_ms: AtomicI64::new(i64::MIN),
        }
    }

    /// Looks until the host ends.
    pub fn run(self) {
        let swept = self.keeper.alone(|_, place| Ok(aside::sweep(&place.data)));
        if let Ok(Err(error)) = swept {
            tracing::warn!(%error, "what a restore left that was killed could not be removed");
        }
        while self.beat.pause(LOOKS_EVERY) {
            self.look();
        }
        self.told(&self.keeper.alone(|edition, place| self.record(edition, place, true)));
    }

    /// Looks once, and does what is due.
    pub fn look(&self) {
        self.told(&self.keeper.alone(|edition, place| {
            let recorded = self.record(edition, place, false);
            self.back_up(edition, place)?;
            self.retain(place)?;
            recorded
        }));
    }

    fn told(&self, looked: &Result<(), Refused>) {
        if let Err(refused) = looked
            && !matches!(refused.code.as_str(), "CHORE_BUSY" | "BACKUP_CANCELLED")
        {
            tracing::error!(code = %refused.code, error = %refused.message, "the store could not be kept");
        }
    }

    /// Notes the end of the audit log elsewhere, and has old acts go.
    fn record(&self, edition: &Edition, place: &Place, is_last: bool) -> Result<(), Refused> {
        let rules = edition.app.audit_rules()?;
        let now_ms = place.clock.unix_ms();
        let mut recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        let found = recorder.turn(&*place.ground.store, &rules, now_ms, is_last);
        let found = found.map_err(|error| {
            let (code, message) = (error.code().to_owned(), error.to_string());
            let (what, refused) = ("the audit log".to_owned(), (code.clone(), message.clone()));
            self.board.problem(Problem {
                at_ms: now_ms,
                what,
                code,
                message,
            });
            let (code, message) = refused;
            Refused { code, message }
        })?;
        for found in found {
            match found {
                Found::Ends(noted) => tracing::info!(head = %noted.head, "the audit log ends here"),
                Found::Pruned { acts } => tracing::info!(acts, "acts that were old enough are gone"),
                Found::Cut {
                    noted,
                    restore: Some(act),
                } => {
                    tracing::warn!(head = %noted.head, act, "a restore has cut off what was noted of the audit log");
                }
                Found::Cut { noted, restore: None } => self.cut(place, &noted, now_ms),
            }
        }
        Ok(())
    }

    /// Somebody was at the audit log.
    fn cut(&self, place: &Place, noted: &Noted, now_ms: i64) {
        let message = format!(
            "the audit log does not hold act {} any more, which was noted",
            noted.head
        );
        tracing::error!(code = "AUDIT_CUT", "{message}");
        self.board.problem(Problem {
            at_ms: now_ms,
            what: "the audit log".to_owned(),
            code: "AUDIT_CUT".to_owned(),
            message,
        });
        if let Err(error) = open_incident(place, CUT_TITLE, now_ms) {
            tracing::error!(%error, code = error.code(), "its incident cannot be written");
        }
    }

    fn back_up(&self, edition: &Edition, place: &Place) -> Result<(), Refused> {
        let Some((folder, when)) = edition.app.rota()? else {
            return Ok(());
        };
        let now_ms = place.clock.unix_ms();
        let settings = &edition.app.config.file.backup;
        let beat = self.beat.clone();
        let mut tell = |_: &str, _: Progress| go_on(&beat);
        let turn = rota::turn(place, &folder, &when, settings, now_ms, &mut tell).map_err(of_store)?;
        match turn.made {
            None => Ok(()),
            Some(Ok(made)) => {
                tracing::info!(file = %made.path.display(), bytes = made.bytes, "backed up");
                self.board
                    .change(|status| status.problems.retain(|problem| problem.what != "the backup"));
                Ok(())
            }
            Some(Err(error)) => {
                let (code, message) = (error.code().to_owned(), error.to_string());
                tracing::error!(%code, error = %message, "no backup was made; it is tried again");
                self.board.problem(Problem {
                    at_ms: now_ms,
                    what: "the backup".to_owned(),
                    code,
                    message,
                });
                if let Err(error) = open_incident(place, TITLE, now_ms) {
                    tracing::error!(%error, code = error.code(), "its incident cannot be written");
                }
                Ok(())
            }
        }
    }

    fn retain(&self, place: &Place) -> Result<(), Refused> {
        if place.limits == Limits::default() {
            return Ok(());
        }
        let now_ms = place.clock.unix_ms();
        let store = &*place.ground.store;
        let last = retention::Last::read(store).map_err(of_store)?;
        let is_due = last.is_none_or(|last| now_ms >= last.at_ms + RETAINS_EVERY_MS || last.at_ms > now_ms);
        if !is_due || now_ms < self.retains_again_ms.load(Ordering::Relaxed) {
            return Ok(());
        }
        // What goes is told in the log and in a row; that it goes is an act before it does.
        let actor = Actor::new("(host)", Via::Host, "");
        let act = Act::new("retention.run", "store");
        audit::record(store, Durability::Soon, &actor, &act, now_ms).map_err(of_store)?;
        let beat = self.beat.clone();
        // What fails once is likely to fail again, and each time looks at every row.
        self.retains_again_ms.store(now_ms + AGAIN_MS, Ordering::Relaxed);
        let swept: Swept = retention::retain(place, false, &mut |_, _| go_on(&beat))?;
        tracing::info!(
            runs = swept.runs,
            ticks = swept.ticks,
            events = swept.events,
            files = swept.files,
            "what is old was removed"
        );
        retention::Last { at_ms: now_ms, swept }.write(store).map_err(of_store)
    }
}

fn of_store(error: StoreError) -> Refused {
    Refused {
        code: error.code().to_owned(),
        message: error.to_string(),
    }
}

/// Nothing long is gone on with when the host ends.
fn go_on(beat: &Beat) -> ControlFlow<()> {
    match beat.pause(Duration::ZERO) {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    }
}

/// One for as long as it is open.
fn open_incident(place: &Place, title: &str, now_ms: i64) -> Result<(), IncidentError> {
    let store = &*place.ground.store;
    let is_it = |incident: &Incident| incident.state == State::Open && incident.title == title;
    if incident::list(store)?.iter().any(is_it) {
        return Ok(());
    }
    let id = IncidentId::new(now_ms, place.chance.wide_bits());
    let incident = Incident::open(id, title, OpenedBy::Watchdog, HOST, now_ms)?;
    let mut batch = Batch::new();
    incident::save_in(&mut batch, store, None, &incident)?;
    store.commit(batch, Durability::Now)?;
    Ok(())
}
