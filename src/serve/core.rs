//! One turn of the host: what can go on goes on, what is due is started.
//!
//! Nothing here waits, sleeps or reads the clock: whoever calls [`Core::turn`] says what time it is, and is told when to
//! call again at the latest. Everything it needs to know lies in the store, so a core that is made after a crash does
//! what the one before would have done.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::edition::{Edition, Live};
use crate::gate::Gate;
use crate::id::RunId;
use crate::journal::epoch::{self, Epoch};
use crate::journal::{JournalError, RunRecord};
use crate::runs::conductor::{Crew, Offer, What};
use crate::runs::recovery;
use crate::store::StoreError;
use crate::store::tx::Ground;
use crate::triggers::{Fated, Trigger, Turn};

/// Runs that may wait for a thread before nothing more is started; those that their own playbook keeps back do not count.
pub const OPEN_MAX: usize = 1024;

/// Runs that may wait for a thread, whatever keeps them back. The rest waits where it is due.
pub const WAITING_MAX: usize = 100_000;

/// How soon a trigger that could not read or write the store is asked again.
const AGAIN_MS: i64 = 1000;

/// The host without its threads.
pub struct Core {
    live: Arc<Live>,
    crew: Arc<Crew>,
    posts: Vec<Post>,
    /// Who is asked first; another each turn.
    first: usize,
    /// The edition that was live in the last turn.
    edition: Option<u64>,
    /// How often somebody had stirred by then.
    stirs: Option<u64>,
    last_ms: i64,
    /// Suspended runs whose time came before this have been offered.
    woken_until_ms: i64,
    next_wake_ms: Option<i64>,
    /// Runs that can go on, and could not be looked at when that was told.
    left: Vec<RunId>,
}

/// A trigger, and when it wants to be asked.
struct Post {
    trigger: Box<dyn Trigger>,
    next_ms: Option<i64>,
    /// There is something to be asked about now.
    is_due: bool,
}

/// What came of a turn of the host.
#[derive(Debug, Default)]
pub struct Moved {
    /// Runs that triggers have started.
    pub started: usize,
    /// When the next turn is due at the latest, in Unix milliseconds.
    pub next_ms: Option<i64>,
    /// Fates of ticks that are on record now.
    pub fates: Vec<Fated>,
    /// What could not be done now, by whom.
    pub failed: Vec<(&'static str, StoreError)>,
}

impl Core {
    pub fn new(live: Arc<Live>, crew: Arc<Crew>, triggers: Vec<Box<dyn Trigger>>) -> Core {
        let post = |trigger| Post {
            trigger,
            next_ms: None,
            is_due: true,
        };
        Core {
            live,
            crew,
            posts: triggers.into_iter().map(post).collect(),
            first: 0,
            edition: None,
            stirs: None,
            last_ms: i64::MIN,
            woken_until_ms: 0,
            next_wake_ms: None,
            left: Vec::new(),
        }
    }

    /// How often somebody had stirred when the last turn began.
    pub fn stirs(&self) -> u64 {
        self.stirs.unwrap_or(u64::MAX)
    }

    pub fn crew(&self) -> &Arc<Crew> {
        &self.crew
    }

    /// Takes up the runs that an earlier host was cut off in, or had not begun. Gives how many.
    pub fn recover(&mut self) -> Result<usize, JournalError> {
        let edition = self.live.current();
        let gate = &edition.runner.gate;
        // Before the first is offered: threads begin at once.
        self.crew.set_limits(limits(&edition));
        let runs = recovery::unfinished(&gate.ground)?;
        let mut offers = Vec::new();
        for run in runs {
            // One that cannot be read keeps no host from serving.
            match offer_of(&gate.ground, run, What::GoOn) {
                Err(JournalError::Store(error)) => return Err(error.into()),
                Err(error) => {
                    tracing::error!(%run, %error, code = error.code(), "a run that was cut off cannot be read")
                }
                Ok(offer) => offers.extend(offer),
            }
        }
        let count = offers.len();
        self.crew.offer(offers);
        Ok(count)
    }

    /// Offers what can go on to the crew, and asks the triggers that have something to say.
    pub fn turn(&mut self, now_ms: i64) -> Moved {
        let edition = self.live.current();
        let gate = edition.runner.gate.clone();
        let stirs = gate.ready.stirs();
        let is_other_edition = self.edition != Some(edition.number);
        // A clock that was set back makes other things due.
        let is_stirred = self.stirs != Some(stirs) || is_other_edition || now_ms < self.last_ms;
        if is_other_edition {
            self.crew.set_limits(limits(&edition));
        }
        (self.edition, self.stirs, self.last_ms) = (Some(edition.number), Some(stirs), now_ms);
        let mut moved = Moved::default();
        if let Err(error) = self.wake(&gate, now_ms, is_stirred) {
            self.stirs = None;
            moved.failed.push(("runs that wait", error));
            moved.next_ms = Some(now_ms + AGAIN_MS);
        }
        match Epoch::read(&*gate.ground.store) {
            Ok(epoch) if !epoch.frozen => self.ask(&edition, now_ms, is_stirred, &mut moved),
            // Whoever releases it stirs, and everybody is asked.
            Ok(_) => {}
            Err(error) => {
                self.stirs = None;
                moved.failed.push(("the epoch of the store", error));
                moved.next_ms = Some(now_ms + AGAIN_MS);
            }
        }
        let asked = self.posts.iter().filter_map(|post| post.next_ms);
        moved.next_ms = moved.next_ms.into_iter().chain(asked).chain(self.next_wake_ms).min();
        moved
    }

    /// Offers the runs that can go on: told of, or because their time has come.
    fn wake(&mut self, gate: &Gate, now_ms: i64, is_stirred: bool) -> Result<(), StoreError> {
        let ground = &gate.ground;
        let mut runs = std::mem::take(&mut self.left);
        runs.extend(gate.ready.take(std::time::Duration::ZERO, || true));
        let mut wakes = || {
            if is_stirred {
                runs.extend(recovery::told(ground)?);
            }
            // Back, where the clock was set back, or a run began to wait for a moment that is over.
            let rested_ms = self.crew.take_wake();
            self.woken_until_ms = self.woken_until_ms.min(now_ms);
            if let Some(rested_ms) = rested_ms.filter(|rested_ms| *rested_ms <= self.woken_until_ms) {
                self.woken_until_ms = (rested_ms - 1).max(0);
            }
            self.next_wake_ms = self.next_wake_ms.into_iter().chain(rested_ms).min();
            let is_due = self.next_wake_ms.is_some_and(|at_ms| at_ms <= now_ms);
            if is_due || is_stirred {
                // Only what was looked at counts as offered.
                if now_ms > self.woken_until_ms {
                    runs.extend(recovery::due_after(ground, self.woken_until_ms, now_ms)?);
                    self.woken_until_ms = now_ms;
                }
                self.next_wake_ms = recovery::next_wake(&*ground.store, now_ms)?;
            }
            Ok(())
        };
        let looked: Result<(), JournalError> = wakes();
        let mut offers = Vec::new();
        let mut failed = Ok(());
        for run in runs {
            // One that cannot be read keeps no other from going on.
            match offer_of(ground, run, What::GoOn) {
                Ok(offer) => offers.extend(offer),
                Err(JournalError::Store(error)) => {
                    self.left.push(run);
                    failed = Err(error);
                }
                Err(error) => tracing::error!(%run, %error, code = error.code(), "a run that can go on cannot be read"),
            }
        }
        self.crew.offer(offers);
        match looked {
            Err(JournalError::Store(error)) => Err(error),
            Err(error) => {
                tracing::error!(%error, code = error.code(), "a run that waits cannot be read");
                Ok(())
            }
            Ok(()) => failed,
        }
    }

    /// Asks the triggers that are due, each for its share of the room.
    fn ask(&mut self, edition: &Edition, now_ms: i64, is_stirred: bool, moved: &mut Moved) {
        for post in &mut self.posts {
            post.is_due |= is_stirred || post.next_ms.is_some_and(|at_ms| at_ms <= now_ms);
        }
        let count = self.posts.len();
        self.first = (self.first + 1) % count.max(1);
        let ground = &edition.runner.gate.ground;
        for place in 0..count {
            let hungry = self.posts.iter().filter(|post| post.is_due).count();
            let room = self.room().div_ceil(hungry.max(1));
            let post = &mut self.posts[(self.first + place) % count];
            if !post.is_due || room == 0 {
                // Asked when a run has come to rest.
                continue;
            }
            match post.trigger.turn(edition, now_ms, room) {
                Ok(Turn {
                    runs,
                    cancel,
                    next_ms,
                    has_more,
                    mut fates,
                }) => {
                    moved.fates.append(&mut fates);
                    post.is_due = has_more;
                    post.next_ms = if has_more { Some(now_ms) } else { next_ms };
                    moved.started += runs.len();
                    let offers = runs.into_iter().map(|started| {
                        let run = started.run;
                        if let Some(created) = started.created {
                            self.crew.remember(created);
                        }
                        Offer {
                            run,
                            playbook: started.playbook,
                            what: if started.reopen { What::Reopen } else { What::GoOn },
                        }
                    });
                    let offers: Vec<Offer> = offers.collect();
                    let ended = cancel.into_iter().filter_map(|run| {
                        let offer = offer_of(ground, run, What::Cancel);
                        offer.unwrap_or_else(|error| {
                            tracing::error!(%run, %error, code = error.code(), "a run that is to be cancelled cannot be read");
                            None
                        })
                    });
                    let ended: Vec<Offer> = ended.collect();
                    self.crew.offer(ended.into_iter().chain(offers));
                }
                Err(error) => {
                    post.next_ms = Some(now_ms + AGAIN_MS);
                    moved.failed.push((post.trigger.name(), error));
                }
            }
        }
        if self.room() == 0 {
            // Nothing can be started before a run has come to rest, which stirs.
            for post in self.posts.iter_mut().filter(|post| post.is_due) {
                post.next_ms = post.next_ms.filter(|at_ms| *at_ms > now_ms);
            }
        }
    }

    fn room(&self) -> usize {
        let open = OPEN_MAX.saturating_sub(self.crew.open());
        open.min(WAITING_MAX.saturating_sub(self.crew.waiting()))
    }
}

/// Runs at work at once, of the playbooks that say so.
fn limits(edition: &Edition) -> BTreeMap<String, usize> {
    let limit = |(name, listed): (&String, &Arc<super::edition::Listed>)| {
        let limit = listed.triggers.concurrency?;
        Some((name.clone(), usize::try_from(limit).unwrap_or(usize::MAX)))
    };
    edition.playbooks.iter().filter_map(limit).collect()
}

/// `run` as it can be offered; `None` when there is none, or it is over.
fn offer_of(ground: &Ground, run: RunId, what: What) -> Result<Option<Offer>, JournalError> {
    match RunRecord::get(&*ground.store, run) {
        Ok(record) if record.status.is_over() => Ok(None),
        Ok(_) if epoch::is_held(&*ground.store, run)? => Ok(None),
        Ok(record) => Ok(Some(Offer {
            run,
            playbook: record.playbook,
            what,
        })),
        Err(JournalError::NoSuchRun(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
