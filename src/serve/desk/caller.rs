//! The other side: a command that asks a server for runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::said::{Ended, Refusal, Told, Wish, Word, Work};
use crate::effect::RunMode;
use crate::gate::Observer;
use crate::id::RunId;
use crate::io::clock::Clock;
use crate::io::socket::{FRAME_BYTES_MAX, Line};
use crate::runs::ResumeError;
use crate::runs::library::Pins;
use crate::store::StoreError;
use crate::store::remote::wire::{decode, encode};
use crate::store::remote::{Purpose, RemoteStore};

/// How long an answer may take, beside that to a run.
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// How soon an interruption is passed on.
const SEEN_WITHIN: Duration = Duration::from_millis(50);

/// Why nothing is known of how it ended.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Refused(ResumeError),
    /// The connection is gone, and the run may be at work.
    #[error("the server was lost while the run was at work ({0})")]
    Lost(String),
    /// Interrupted twice.
    #[error("it goes on in the server")]
    Left,
}

/// A connection for runs.
pub struct Caller(Line);

/// What the server says when it has taken a run up.
pub struct Begun {
    pub run: Option<RunId>,
    pub mode: Option<RunMode>,
    pub narrowed: Vec<String>,
}

impl Caller {
    pub fn to(store: &RemoteStore) -> Result<Caller, StoreError> {
        store.call(Purpose::Drive).map(Caller)
    }

    /// Which mode a run would have in the server's environment, with what its signals lack.
    pub fn mode(&self) -> Result<RunMode, CallError> {
        match self.ask(&Wish::Mode)? {
            Word::Mode(mode) => Ok(mode),
            other => Err(unexpected(other)),
        }
    }

    /// The playbook of that name as the server starts it; `None` when it has none.
    pub fn live(&self, playbook: &str) -> Result<Option<Pins>, CallError> {
        let playbook = playbook.to_owned();
        match self.ask(&Wish::Live { playbook })? {
            Word::Live(pins) => Ok(pins),
            other => Err(unexpected(other)),
        }
    }

    /// Ends `run` for `by`, and says how it is then; `None` when it was told to stop and is not at rest yet.
    pub fn cancel(&self, run: RunId, by: &str) -> Result<Option<Ended>, CallError> {
        let by = by.to_owned();
        match self.ask(&Wish::Cancel { run, by })? {
            Word::Ended(ended) => Ok(Some(*ended)),
            Word::Stopping => Ok(None),
            other => Err(unexpected(other)),
        }
    }

    /// Has `work` driven. `begun` is told when it has been taken up, and gives who watches it. When `interrupted` is set, the
    /// run is cancelled; when it is set again, it is left to the server.
    pub fn drive(
        self,
        work: Work,
        interrupted: &AtomicBool,
        clock: &dyn Clock,
        begun: impl FnOnce(Begun) -> Arc<dyn Observer>,
    ) -> Result<Ended, CallError> {
        let lost = |reason: String| CallError::Store(StoreError::ServerLost { reason });
        self.send(&Wish::Drive(Box::new(work)))
            .map_err(|error| lost(error.to_string()))?;
        let (is_over, is_left) = (AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut stops = 0;
                while !is_over.load(Ordering::Relaxed) {
                    if interrupted.swap(false, Ordering::Relaxed) {
                        stops += 1;
                        // The second time, or when nobody hears the first.
                        if stops > 1 || self.send(&Wish::Stop).is_err() {
                            is_left.store(true, Ordering::Relaxed);
                            self.0.hang_up();
                            return;
                        }
                    }
                    clock.sleep(SEEN_WITHIN);
                }
            });
            let ended = self.follow(begun);
            is_over.store(true, Ordering::Relaxed);
            match ended {
                Err(CallError::Lost(_)) if is_left.load(Ordering::Relaxed) => Err(CallError::Left),
                ended => ended,
            }
        })
    }

    fn follow(&self, begun: impl FnOnce(Begun) -> Arc<dyn Observer>) -> Result<Ended, CallError> {
        let mut begun = Some(begun);
        let mut screen: Option<Arc<dyn Observer>> = None;
        loop {
            match self.next(None)? {
                Word::Begun { run, mode, narrowed } => {
                    if let Some(begun) = begun.take() {
                        screen = Some(begun(Begun { run, mode, narrowed }));
                    }
                }
                Word::Told(told) => show(&told, screen.as_ref()),
                Word::Missed(count) => {
                    let message = format!("{count} lines are not shown: they came faster than they were taken");
                    let told = Told::Log {
                        level: 2,
                        message,
                        fields: crate::value::Value::Unit,
                    };
                    show(&told, screen.as_ref());
                }
                Word::Ended(ended) => return Ok(*ended),
                other => return Err(unexpected(other)),
            }
        }
    }

    fn send(&self, wish: &Wish) -> Result<(), crate::io::socket::SocketError> {
        self.0.send(&encode(wish))
    }

    fn ask(&self, wish: &Wish) -> Result<Word, CallError> {
        let lost = |reason: String| CallError::Store(StoreError::ServerLost { reason });
        self.send(wish).map_err(|error| lost(error.to_string()))?;
        self.next(Some(ANSWER_TIME))
    }

    fn next(&self, patience: Option<Duration>) -> Result<Word, CallError> {
        match self.0.receive(FRAME_BYTES_MAX, patience) {
            Ok(Some(frame)) => decode(&frame).map_err(CallError::Lost),
            Ok(None) => Err(CallError::Lost("it has ended".to_owned())),
            Err(error) => Err(CallError::Lost(error.to_string())),
        }
    }
}

fn show(told: &Told, screen: Option<&Arc<dyn Observer>>) {
    if let Some(screen) = screen {
        screen.notice(told.notice());
    }
}

fn unexpected(word: Word) -> CallError {
    match word {
        Word::Refused(Refusal::Store(fault)) => CallError::Store(fault.into()),
        Word::Refused(refusal) => CallError::Refused(refusal.into()),
        _ => CallError::Lost("it answered something else than was asked".to_owned()),
    }
}
