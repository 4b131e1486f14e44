//! What the desk needs of the host that it stands in: what is live, and hands that drive runs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::gate::{Notice, Observer, Silent};
use crate::id::RunId;
use crate::runs::{Conductor, Driven, Task};
use crate::serve::edition::{Edition, Live};

/// A run that waits longer than this is not waited for by whoever asked for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Who asked for what is driven, and how he follows it.
pub struct Watch {
    /// Shown step by step.
    pub run: Option<RunId>,
    pub observer: Arc<dyn Observer>,
    /// Said of every run that is taken up again.
    pub by: String,
    /// Set to cancel it.
    pub stop: Arc<AtomicBool>,
}

/// The host that a desk stands in.
pub trait Driver: Send + Sync {
    /// What new runs get now.
    fn current(&self) -> Arc<Edition>;

    /// Drives `tasks`, and returns when all of them are at rest: over, or waiting for longer than [`PATIENCE`] or for
    /// somebody outside. What was told to stop (`watch.stop`) is at rest soon.
    fn drive(&self, tasks: Vec<Task>, watch: Watch) -> Driven;

    /// Tells `run` to stop; `false` when it is not at work here.
    fn stop(&self, run: RunId) -> bool;
}

/// Drives what is asked for by a conductor for each who asks. What then moves by itself — waits whose time comes, runs that are
/// woken — is for the host.
pub struct Hands {
    live: Arc<Live>,
    at_work: Mutex<BTreeMap<RunId, Arc<AtomicBool>>>,
}

impl Hands {
    pub fn new(live: Arc<Live>) -> Hands {
        Hands {
            live,
            at_work: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RunId, Arc<AtomicBool>>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Driver for Hands {
    fn current(&self) -> Arc<Edition> {
        self.live.current()
    }

    fn drive(&self, tasks: Vec<Task>, watch: Watch) -> Driven {
        let edition = self.live.current();
        let Watch {
            run: watched,
            observer,
            by,
            stop,
        } = watch;
        if let Some(run) = watched {
            self.lock().insert(run, stop.clone());
        }
        let (shown, clock) = (observer.clone(), edition.app.clock.clone());
        let conductor = Arc::new(Conductor {
            runner: edition.runner.clone(),
            library: edition.app.library.clone(),
            by,
            observe: Box::new(move |run| match watched {
                Some(watched) if watched == run => observer.clone(),
                _ => Arc::new(Silent),
            }),
            patience: PATIENCE,
            on_wait: Box::new(move |finished| {
                let record = &finished.record;
                let waits = record.waits.as_ref().filter(|_| Some(record.run) == watched);
                let Some((waits, until_ms)) = waits.and_then(|waits| Some((waits, waits.until_ms?))) else {
                    return;
                };
                let wait_ms = (until_ms - clock.unix_ms()).max(0) as u64;
                if Duration::from_millis(wait_ms) <= PATIENCE {
                    shown.notice(Notice::Waiting {
                        step: waits.step,
                        why: waits.what.clone(),
                        wait_ms,
                    });
                }
            }),
            stop,
        });
        let driven = conductor.drive(tasks);
        if let Some(run) = watched {
            self.lock().remove(&run);
        }
        driven
    }

    fn stop(&self, run: RunId) -> bool {
        match self.lock().get(&run) {
            Some(flag) => {
                flag.store(true, Ordering::Relaxed);
                true
            }
            None => false,
        }
    }
}
