//! Takes callers, greets them, and gives each a thread.
//!
//! At most [`CALLERS_MAX`] are served at a time; one more is told so. Who calls and says nothing is let go. When the desk is
//! closed, all connections are ended, and it waits for their threads a moment: what they hold of the store is let go of.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::driver::Driver;
use super::{keep, runs};
use crate::io::clock::{Clock, SystemClock};
use crate::io::socket::{Line, Listener, Shutter, SocketError};
use crate::store::Store;
use crate::store::remote::wire::{HELLO_BYTES_MAX, decode, encode};
use crate::store::remote::{Hello, Purpose, Server, Welcome, Written, attend};

/// Commands that are connected at the same time.
pub const CALLERS_MAX: usize = 64;

/// How long a caller may take to say what it wants.
const HELLO_TIME: Duration = Duration::from_secs(5);

/// How long closing waits for what is being answered.
const CLOSING_TIME: Duration = Duration::from_secs(10);

/// How long closing waits for those that are to hear how their runs ended.
const TELLING_TIME: Duration = Duration::from_secs(2);

/// How long to wait after a caller could not be taken: the process may have no descriptor left.
const PAUSE: Duration = Duration::from_millis(50);

/// What a desk is opened with.
pub struct Opening {
    /// The data folder. Whoever opens a desk there holds the lock of its store.
    pub folder: PathBuf,
    pub store: Arc<dyn Store>,
    /// The edition in it is asked of the driver each time.
    pub server: Server,
    pub driver: Arc<dyn Driver>,
    /// Told of every commit that comes through: see [`look`](super::look).
    pub on_commit: Box<dyn Fn(&Written) + Send + Sync>,
}

/// An open desk. Dropping it closes it.
pub struct Desk {
    shared: Arc<Shared>,
    shutter: Shutter,
    taking: Option<JoinHandle<()>>,
}

pub(super) struct Shared {
    opening: Opening,
    closing: AtomicBool,
    lobby: Arc<Lobby>,
}

/// Who is there.
#[derive(Default)]
struct Lobby {
    callers: Mutex<Callers>,
    /// Told when a thread ends.
    gone: Condvar,
}

#[derive(Default)]
struct Callers {
    next: u64,
    /// Connections that count.
    present: BTreeMap<u64, Line>,
    threads: usize,
    /// Those that follow a run, and are to hear how it ended.
    following: usize,
}

impl Desk {
    pub fn open(opening: Opening) -> Result<Desk, SocketError> {
        let listener = Listener::in_folder(&opening.folder)?;
        let shutter = listener.shutter()?;
        let shared = Arc::new(Shared {
            opening,
            closing: AtomicBool::new(false),
            lobby: Arc::default(),
        });
        let taken = shared.clone();
        let taking = std::thread::Builder::new()
            .name("desk".to_owned())
            .spawn(move || take(&listener, &taken))?;
        Ok(Desk {
            shared,
            shutter,
            taking: Some(taking),
        })
    }

    /// How many commands are connected.
    pub fn callers(&self) -> usize {
        self.shared.lock().present.len()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        self.shutter.shut();
        if let Some(taking) = self.taking.take() {
            // It says itself what goes wrong.
            taking.join().unwrap_or_default();
        }
        let callers = self.shared.lock();
        // The host has let go of its runs: this takes as long as telling it.
        let told = self
            .shared
            .lobby
            .gone
            .wait_timeout_while(callers, TELLING_TIME, |callers| callers.following > 0);
        let (callers, _) = told.unwrap_or_else(PoisonError::into_inner);
        for line in callers.present.values() {
            line.hang_up();
        }
        let waited = self
            .shared
            .lobby
            .gone
            .wait_timeout_while(callers, CLOSING_TIME, |callers| callers.threads > 0);
        let (callers, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if callers.threads > 0 {
            tracing::warn!(connections = callers.threads, "some commands are still being answered");
        }
    }
}

fn take(listener: &Listener, shared: &Arc<Shared>) {
    let clock = SystemClock::new();
    loop {
        let accepted = listener.accept();
        if shared.closing.load(Ordering::SeqCst) {
            return;
        }
        match accepted.and_then(|line| admit(line, shared)) {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(%error, "a command could not be let in");
                clock.sleep(PAUSE);
            }
        }
    }
}

/// Gives who called a thread, or says that there is none.
fn admit(line: Line, shared: &Arc<Shared>) -> Result<(), SocketError> {
    let shown = line.share()?;
    let number = {
        let mut callers = shared.lock();
        if callers.present.len() >= CALLERS_MAX || callers.threads >= 2 * CALLERS_MAX {
            drop(callers);
            let reason = format!("{CALLERS_MAX} commands are connected to it, which is the most: let some end");
            return shown.send(&encode(&shared.welcome(Some(reason))));
        }
        callers.next += 1;
        let number = callers.next;
        callers.present.insert(number, shown);
        callers.threads += 1;
        number
    };
    let place = Arc::new(Place {
        shared: shared.clone(),
        number,
    });
    let thread = std::thread::Builder::new().name("desk-caller".to_owned());
    let counted = Thread {
        lobby: shared.lobby.clone(),
        place: Some(place),
    };
    let started = thread.spawn(move || {
        let mut counted = counted;
        if let Some(place) = &counted.place
            && let Err(error) = serve(&line, place)
        {
            tracing::debug!(%error, "a command was let go");
        }
        line.hang_up();
        counted.let_go();
    });
    // One that could not be started has been dropped, and counts no more.
    started.map(drop).map_err(SocketError::from)
}

fn serve(line: &Line, place: &Arc<Place>) -> Result<(), SocketError> {
    let shared = &place.shared;
    let Some(frame) = line.receive(HELLO_BYTES_MAX, Some(HELLO_TIME))? else {
        return Ok(());
    };
    let hello: Hello = match decode(&frame) {
        Ok(hello) => hello,
        Err(words) => {
            line.send(&encode(&shared.welcome(Some(words.clone()))))?;
            return Err(SocketError::Failed(words));
        }
    };
    let refused = hello.unfit();
    let is_refused = refused.is_some();
    line.send(&encode(&shared.welcome(refused)))?;
    match hello.purpose {
        _ if is_refused => Ok(()),
        Purpose::Store => attend(line, &*shared.opening.store, &*shared.opening.on_commit),
        Purpose::Drive => runs::attend(line, &shared.opening.driver, place),
        Purpose::Keep => keep::attend(line, &*shared.opening.driver),
    }
}

impl Lobby {
    fn lock(&self) -> MutexGuard<'_, Callers> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Callers> {
        self.lobby.lock()
    }

    fn welcome(&self, refused: Option<String>) -> Welcome {
        let own = Hello::of(Purpose::Store);
        Welcome {
            protocol: own.protocol,
            version: own.version,
            server: Server {
                edition: self.opening.driver.current().number,
                ..self.opening.server.clone()
            },
            refused,
        }
    }
}

/// One of the places for callers.
pub(super) struct Place {
    shared: Arc<Shared>,
    number: u64,
}

impl Place {
    /// Lets somebody else have it: who had it has hung up, though there is still something to do.
    pub fn leave(&self) {
        self.shared.lock().present.remove(&self.number);
    }

    /// While what is returned lives, somebody follows a run.
    pub fn follows(self: &Arc<Self>) -> Following {
        self.shared.lock().following += 1;
        Following(self.clone())
    }
}

/// A run is followed.
pub(super) struct Following(Arc<Place>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.shared.lock().following -= 1;
        self.0.shared.lobby.gone.notify_all();
    }
}

/// A thread that answers. Its end is counted whatever ends it, and only when it holds nothing of the store any more.
struct Thread {
    lobby: Arc<Lobby>,
    place: Option<Arc<Place>>,
}

impl Thread {
    fn let_go(&mut self) {
        if let Some(place) = self.place.take() {
            place.leave();
            drop(place);
            self.lobby.lock().threads -= 1;
            self.lobby.gone.notify_all();
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.let_go();
    }
}
