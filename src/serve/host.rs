//! The server: the core's turns, driven by the clock and by what happens, with all that stands around them.
//!
//! The loop sleeps until something is due or somebody stirs; it looks at the clock once a second, since that may be set.
//! When the host is told to stop it begins nothing more, lets runs come to an end for a while, and then parks them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::beat::Beat;
use super::caretaker::Caretaker;
use super::core::{Core, Moved};
use super::desk::{Desk, Followed, Hands, Opening, look};
use super::edition::{Edition, Live};
use super::error::ServeError;
use super::heartbeat::Heartbeat;
use super::keeper::Keeper;
use super::reload::Reloader;
use super::status::{Board, Problem, Status};
use super::watchdog::Watchdog;
use crate::app::{App, AppError};
use crate::gate::Gate;
use crate::http;
use crate::identity;
use crate::io::notify;
use crate::io::socket::SocketError;
use crate::runs::conductor::{Crew, Shift};
use crate::runs::recovery;
use crate::store::remote::Server;
use crate::store::told::Told;
use crate::store::{Store, StoreError};
use crate::telemetry::Telemetry;
use crate::telemetry::lookout::Eyes;
use crate::telemetry::monitors::Monitors;
use crate::telemetry::otlp::{self, Exporter};
use crate::triggers::Trigger;

/// How long the loop sleeps at most: the clock on the wall may have been set meanwhile.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// How much happens between two turns when much happens.
const TURN_EVERY: Duration = Duration::from_millis(5);

/// After so long without a run, compiled scripts are let go of.
const RESTS_AFTER: Duration = Duration::from_secs(60);

/// How much longer the service manager is asked to wait, each time, while the host stops.
const STOPS_WITHIN: Duration = Duration::from_secs(10);

/// How long it is waited for that nobody holds the store any more.
const CLOSES_WITHIN: Duration = Duration::from_secs(2);

/// A server that has its store and has not begun.
pub struct Host {
    pub app: Arc<App>,
    pub live: Arc<Live>,
    pub board: Arc<Board>,
    pub telemetry: Arc<Telemetry>,
    core: Core,
    followed: Arc<Followed>,
    reloader: Reloader,
    beat: Arc<Beat>,
    grace: Duration,
    heartbeat: Option<(url::Url, Duration)>,
    http: Option<(http::Limits, Arc<http::News>)>,
    /// Says who asks over HTTP.
    pub doorkeeper: http::caller::Doorkeeper,
    /// Routes that come and go with what is live.
    pub doors: Option<Arc<dyn http::routes::Doors>>,
    /// Runs that an earlier host had left at work or queued.
    pub taken_up: usize,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Runs that were let go of where they stood.
    pub parked: usize,
}

impl Host {
    /// Takes the store, and makes what lies on the disk live. `crew` says how its runs are watched.
    pub fn open(
        app: App,
        triggers: Vec<Box<dyn Trigger>>,
        watched: impl FnOnce(&mut Crew),
    ) -> Result<Host, ServeError> {
        let app = Arc::new(app);
        let settings = app.config.file.serve.clone();
        let grace = app
            .config
            .duration("[serve] grace", &settings.grace)
            .map_err(AppError::from)?;
        let heartbeat = super::heartbeat::wanted(&app).map_err(AppError::from)?;
        refuse_second(&app)?;
        let limits = http::Limits::of(&app.config).map_err(AppError::from)?;
        let mut ground = match app.holder() {
            Err(AppError::Store(StoreError::Locked { path })) => {
                // It may just have begun to serve.
                refuse_second(&app)?;
                return Err(AppError::Store(StoreError::Locked { path }).into());
            }
            ground => ground?,
        };
        let http = limits.map(|limits| (limits, Arc::<http::News>::default()));
        if let Some((_, news)) = &http {
            ground.store = Arc::new(Told {
                store: ground.store,
                hears: news.clone(),
            });
        }
        let store = ground.store.clone();
        let taken_up = recovery::unfinished(&ground)?.len();
        let reloader = Reloader::open(app.clone(), ground)?;
        let live = reloader.live();
        let edition = live.current();
        let now_ms = app.clock.unix_ms();
        let mut status = Status {
            pid: std::process::id(),
            since_ms: now_ms,
            threads: settings.threads,
            ..Status::default()
        };
        tell_edition(&mut status, &edition, now_ms);
        let board = Arc::new(Board::new(store, status));
        let ready = edition.runner.gate.ready.clone();
        let current = live.clone();
        let shift = move || {
            let edition = current.current();
            Shift {
                runner: edition.runner.clone(),
                library: edition.app.library.clone(),
            }
        };
        let threads = usize::try_from(settings.threads).unwrap_or(usize::MAX).clamp(1, 4096);
        let mut crew = Crew::new(threads, ready, shift);
        watched(&mut crew);
        let followed = Arc::new(Followed::new(app.clock.clone()));
        followed.attach(&mut crew);
        let waiting = Arc::<http::doors::Waiting>::default();
        waiting.attach(&mut crew);
        let crew = Arc::new(crew);
        let telemetry = telemetry(&live, &board, &crew)?;
        let mut triggers = triggers;
        triggers.push(Box::new(Monitors::new(telemetry.clone())));
        let doors = http::doors::Playbooks::new(crew.clone(), waiting);
        let core = Core::new(live.clone(), crew, triggers);
        let host = Host {
            app,
            live,
            board,
            beat: telemetry.beat.clone(),
            telemetry,
            core,
            followed,
            reloader,
            grace,
            heartbeat,
            http,
            doorkeeper: Arc::new(http::caller::authenticate),
            doors: Some(Arc::new(doors)),
            taken_up,
        };
        Ok(host)
    }

    /// Serves until it is told to stop; returns when nothing is at work and the store is closed.
    pub fn serve(self, stop: &Arc<AtomicBool>, says: &dyn Fn(&str)) -> Result<Stopped, ServeError> {
        let Host { reloader, .. } = self;
        let serving = Serving {
            app: self.app,
            live: self.live,
            board: self.board,
            telemetry: self.telemetry,
            core: self.core,
            followed: self.followed,
            beat: self.beat,
            grace: self.grace,
            heartbeat: self.heartbeat,
            http: self.http,
            doorkeeper: self.doorkeeper,
            doors: self.doors,
        };
        serving.serve(reloader, stop, says)
    }
}

/// A server at work.
struct Serving {
    app: Arc<App>,
    live: Arc<Live>,
    board: Arc<Board>,
    telemetry: Arc<Telemetry>,
    core: Core,
    followed: Arc<Followed>,
    beat: Arc<Beat>,
    grace: Duration,
    heartbeat: Option<(url::Url, Duration)>,
    http: Option<(http::Limits, Arc<http::News>)>,
    doorkeeper: http::caller::Doorkeeper,
    doors: Option<Arc<dyn http::routes::Doors>>,
}

impl Serving {
    fn serve(mut self, reloader: Reloader, stop: &Arc<AtomicBool>, says: &dyn Fn(&str)) -> Result<Stopped, ServeError> {
        let gate = self.live.current().runner.gate.clone();
        let ready = gate.ready.clone();
        crate::io::signals::on_stop(stop, {
            let ready = ready.clone();
            move || ready.stir()
        })?;
        self.beat.at(self.app.clock.monotonic());
        // Gives back what loading and busy hours took, also while nothing happens.
        if let Err(error) = tikv_jemalloc_ctl::background_thread::write(true) {
            tracing::debug!(%error, "memory is given back by those who ask for some");
        }
        let keeper = Arc::new(Keeper::new(self.live.clone()));
        let hands = Arc::new(Hands {
            live: self.live.clone(),
            crew: self.core.crew().clone(),
            followed: self.followed.clone(),
            keeper: keeper.clone(),
        });
        let desk = self.desk(&gate, hands.clone())?;
        let http = self.http(hands, says)?;
        let around = self.surround(&gate, keeper)?;
        let reloading = {
            let (board, clock) = (self.board.clone(), self.app.clock.clone());
            let telemetry = self.telemetry.clone();
            reloader.start(move |edition| {
                telemetry.make_known();
                board.change(|status| tell_edition(status, edition, clock.unix_ms()));
                ready.stir();
            })?
        };
        drop(gate);
        // When nothing can fail any more: from here on it is stopped in order.
        self.core.recover()?;
        notify::ready("serving");
        self.turns(stop);
        notify::stopping();
        drop(reloading);
        // From here on nothing is begun, and the loop does not turn: nobody is to be alarmed by that.
        self.beat.end();
        if let Some(http) = http {
            http.stop();
        }
        let stopped = self.stop(says);
        drop(desk);
        // Whoever sends has all that the last runs did.
        self.telemetry.over.end();
        for thread in around {
            // It says itself what went wrong.
            thread.join().unwrap_or_default();
        }
        let now_ms = self.app.clock.unix_ms();
        self.board.change(|status| status.ended_ms = Some(now_ms));
        self.close();
        Ok(stopped)
    }

    /// Lets other commands in.
    fn desk(&self, gate: &Gate, driver: Arc<Hands>) -> Result<Desk, SocketError> {
        let status = self.board.status();
        let ready = gate.ready.clone();
        Desk::open(Opening {
            folder: self.app.config.data(),
            store: gate.ground.store.clone(),
            server: Server {
                node: gate.owner.node.clone(),
                boot: gate.owner.boot.clone(),
                pid: status.pid,
                started_ms: status.since_ms,
                edition: status.edition,
            },
            driver,
            on_commit: Box::new(move |written| {
                if look::look(written, &ready) {
                    ready.stir();
                }
            }),
        })
    }

    /// Answers over HTTP, where `[server]` says so.
    fn http(&self, driver: Arc<Hands>, says: &dyn Fn(&str)) -> Result<Option<http::Running>, ServeError> {
        let Some((limits, news)) = self.http.clone() else {
            return Ok(None);
        };
        let store = &self.live.current().runner.gate.ground.store;
        let knows_anybody = identity::has_anybody(&**store, self.app.clock.unix_ms()).map_err(AppError::from)?;
        let opening = http::Opening {
            app: self.app.clone(),
            live: self.live.clone(),
            board: self.board.clone(),
            driver,
            news,
            telemetry: Some(self.telemetry.clone()),
            doorkeeper: self.doorkeeper.clone(),
            knows_anybody,
            doors: self.doors.clone(),
        };
        let running = http::start(http::Server::new(opening, limits))?;
        says(&format!("answering on {}", running.url()));
        self.board.change(|status| status.http = Some(running.url()));
        Ok(Some(running))
    }

    /// The threads that look on.
    fn surround(&self, gate: &Gate, keeper: Arc<Keeper>) -> std::io::Result<Vec<std::thread::JoinHandle<()>>> {
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned()).stack_size(512 << 10);
        let watchdog = Watchdog {
            store: gate.ground.store.clone(),
            world: gate.world.clone(),
            beat: self.beat.clone(),
            board: self.board.clone(),
            seen: BTreeMap::new(),
        };
        let mut around = vec![thread("watchdog").spawn(move || watchdog.watch())?];
        let caretaker = Caretaker::new(keeper, self.beat.clone(), self.board.clone());
        around.push(thread("caretaker").spawn(move || caretaker.run())?);
        if let Some((url, every)) = self.heartbeat.clone() {
            let heartbeat = Heartbeat {
                url,
                every,
                clock: self.app.clock.clone(),
                beat: self.beat.clone(),
                board: self.board.clone(),
            };
            around.push(thread("heartbeat").spawn(move || heartbeat.run())?);
        }
        let telemetry = self.telemetry.clone();
        around.push(thread("notify").spawn(move || crate::telemetry::monitors::notify::run(&telemetry))?);
        let telemetry = self.telemetry.clone();
        around.push(thread("look").spawn(move || telemetry.look_on())?);
        if self.telemetry.exporter.is_some() {
            let telemetry = self.telemetry.clone();
            around.push(thread("otlp").spawn(move || telemetry.export())?);
        }
        Ok(around)
    }

    fn turns(&mut self, stop: &AtomicBool) {
        let clock = self.app.clock.clone();
        let ready = self.core.crew().ready.clone();
        let alive_every = notify::alive_every();
        // Whoever asks more often than that is told more often.
        let looks_every = alive_every.map_or(LOOKS_EVERY, |every| every.min(LOOKS_EVERY));
        let mut told_alive = clock.monotonic();
        let mut moved_at = clock.monotonic();
        let mut is_rested = true;
        while !stop.load(Ordering::Relaxed) {
            let begun = clock.monotonic();
            let moved = self.core.turn(clock.unix_ms());
            let now = clock.monotonic();
            self.beat.at(now);
            self.tell(&moved);
            if alive_every.is_some() && now.saturating_sub(told_alive) >= looks_every {
                notify::alive();
                told_alive = now;
            }
            if self.core.crew().at_work() > 0 || moved.started > 0 {
                (moved_at, is_rested) = (now, false);
            } else if !is_rested && now.saturating_sub(moved_at) > RESTS_AFTER {
                self.live.current().app.library.forget_pinned();
                is_rested = true;
            }
            let left_ms = moved.next_ms.map(|at_ms| (at_ms - clock.unix_ms()).max(0));
            let left = left_ms.map_or(LOOKS_EVERY, |left_ms| Duration::from_millis(left_ms as u64));
            ready.wait(left.min(looks_every), self.core.stirs());
            // What ends and begins in such a moment is looked at together.
            let took = clock.monotonic().saturating_sub(begun);
            if took < TURN_EVERY {
                clock.sleep(TURN_EVERY - took);
            }
        }
    }

    fn tell(&self, moved: &Moved) {
        self.telemetry.figures.fated(&moved.fates);
        for (what, error) in &moved.failed {
            tracing::error!(what, %error, code = error.code(), "this could not be done, and is tried again");
            self.board.problem(Problem {
                at_ms: self.app.clock.unix_ms(),
                what: (*what).to_owned(),
                code: error.code().to_owned(),
                message: error.to_string(),
            });
        }
    }

    /// Lets what is at work come to an end, and then parks it.
    fn stop(&self, says: &dyn Fn(&str)) -> Stopped {
        let crew = self.core.crew();
        crew.close();
        let at_work = crew.at_work();
        if at_work > 0 {
            let grace = crate::duration::for_people(self.grace.as_millis() as u64);
            says(&format!(
                "stopping: {} may go on for {grace}; once more ends the process at once",
                runs(at_work)
            ));
        }
        let give_up_at = self.app.clock.monotonic().saturating_add(self.grace);
        let left = || give_up_at.saturating_sub(self.app.clock.monotonic());
        while !crew.wait(left().min(LOOKS_EVERY)) {
            notify::still_stopping(STOPS_WITHIN);
            if left().is_zero() {
                return self.park(says);
            }
        }
        Stopped { parked: 0 }
    }

    /// Lets go of what is at work, each run where it stands.
    fn park(&self, says: &dyn Fn(&str)) -> Stopped {
        let crew = self.core.crew();
        let parked = crew.at_work();
        says(&format!(
            "parking {}: what waits for an answer to a write is waited for",
            runs(parked)
        ));
        self.live.current().runner.gate.parks.store(true, Ordering::Relaxed);
        while !crew.wait(LOOKS_EVERY) {
            notify::still_stopping(STOPS_WITHIN);
        }
        Stopped { parked }
    }

    /// Lets go of the store, so that it is closed in order.
    fn close(self) {
        let gate = self.live.current().runner.gate.clone();
        let clock = self.app.clock.clone();
        let store: std::sync::Weak<dyn Store> = Arc::downgrade(&gate.ground.store);
        drop((gate, self));
        let until = clock.monotonic() + CLOSES_WITHIN;
        while store.strong_count() > 0 && clock.monotonic() < until {
            clock.sleep(Duration::from_millis(1));
        }
        if store.strong_count() > 0 {
            tracing::debug!("somebody still holds the store: it is made good at the next start");
        }
    }
}

/// Watches every run of this process from here on.
fn telemetry(live: &Arc<Live>, board: &Arc<Board>, crew: &Arc<Crew>) -> Result<Arc<Telemetry>, ServeError> {
    let edition = live.current();
    let settings = otlp::Settings::read(&edition.app.config).map_err(AppError::from)?;
    let exporter = settings.map(|settings| Exporter {
        settings,
        traces: Arc::default(),
        sent: Arc::default(),
    });
    let eyes = Eyes {
        figures: Arc::default(),
        traces: exporter
            .as_ref()
            .filter(|exporter| exporter.settings.traces.is_some())
            .map(|exporter| exporter.traces.clone()),
    };
    let figures = eyes.figures.clone();
    edition.runner.gate.lookout.get_or_init(|| Arc::new(eyes));
    let (live, board, crew) = (live.clone(), board.clone(), crew.clone());
    let telemetry = Telemetry::new(live, board, crew, Arc::default(), figures, exporter);
    telemetry.make_known();
    Ok(Arc::new(telemetry))
}

fn runs(count: usize) -> String {
    if count == 1 {
        "1 run".to_owned()
    } else {
        format!("{count} runs")
    }
}

/// Fails when a server answers for this store.
fn refuse_second(app: &App) -> Result<(), ServeError> {
    match app.call().map_err(AppError::from)? {
        Some(server) => Err(ServeError::Running(server.server().clone())),
        None => Ok(()),
    }
}

/// What is live, as the status says it.
pub fn tell_edition(status: &mut Status, edition: &Edition, now_ms: i64) {
    status.edition = edition.number;
    status.edition_since_ms = now_ms;
    // `.env` may have switched it.
    status.live = !edition.app.config.dry_run().unwrap_or(true);
    status.playbooks = edition.playbooks.len();
    let by_itself = edition.playbooks.values().filter(|listed| listed.triggers.is_any());
    status.started_by_themselves = by_itself.count();
}
