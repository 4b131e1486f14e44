//! The server as its handlers see it, and how it begins and ends.
//!
//! Connections are tasks of a runtime of two threads; whatever reads the store or waits runs on the [`Pool`]. Ending takes no
//! new connection, closes streams, and lets requests that are being answered come to their end for a while.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};

use super::answer::Refusal;
use super::api;
use super::caller::Doorkeeper;
use super::connection;
use super::figures::Figures;
use super::news::News;
use super::openapi;
use super::pool::Pool;
use super::routes::Doors;
use super::settings::Limits;
use super::stream::Stream;
use crate::app::App;
use crate::gate::{Masks, Ready};
use crate::identity::Identity;
use crate::io::listen::{Bound, Certificate, ListenError, Renewed};
use crate::journal::JournalError;
use crate::journal::audit::{Act, Actor, Signed};
use crate::report::operation::{self, Counts};
use crate::serve::desk::{Driver, look};
use crate::serve::status::Board;
use crate::serve::{Edition, Live};
use crate::store::remote::Written;
use crate::store::tx::Ground;
use crate::store::{Batch, Durability, Realm, Store, StoreError, Tx};
use crate::telemetry::Telemetry;

/// Threads that drive connections.
const RUNTIME_THREADS: usize = 2;

/// Threads that show how the server is, and requests that wait for them. Whoever looks what has gone wrong does not stand
/// behind what has.
const WATCHING_THREADS: usize = 2;
const WATCHING_WAITING_MAX: usize = 64;

/// How often the files of the certificate are looked at.
const LOOKS_EVERY: Duration = Duration::from_secs(5);

/// Very many runs and jobs take a while to count: that is done at most so often, and takes no more than such a part of the time.
const COUNTS_EVERY: Duration = Duration::from_secs(1);
const COUNTS_PART: u32 = 20;

/// How often a change is made anew because somebody else was quicker.
pub(super) const CONFLICTS_MAX: u32 = 16;

/// What bodies may have together that are being sent by those who are not known.
const STRANGERS_KIB: usize = 32 << 10;

/// What handlers work with.
pub struct Server {
    pub app: Arc<App>,
    pub live: Arc<Live>,
    pub board: Arc<Board>,
    pub store: Arc<dyn Store>,
    /// Who drives runs.
    pub driver: Arc<dyn Driver>,
    /// Told when what triggers live by has changed.
    pub ready: Arc<Ready>,
    pub limits: Limits,
    pub doorkeeper: Doorkeeper,
    pub identity: Identity,
    /// There was a user or a token when the server began.
    knows_anybody: bool,
    /// Until when it counts, and what was found.
    counted: Mutex<Option<(Duration, Counts)>>,
    /// Routes that come and go with what is live.
    pub doors: Option<Arc<dyn Doors>>,
    /// The description of all routes, of the edition that it was made for.
    document: Mutex<Option<(u64, Bytes)>>,
    pub figures: Figures,
    /// What happens.
    pub news: Arc<News>,
    /// What the server shows of itself.
    pub telemetry: Option<Arc<Telemetry>>,
    pub pool: Pool,
    /// For [`routes::WATCHING`](super::routes::WATCHING).
    pub watching: Pool,
    /// Where playbooks answer: those that take long stand in nobody else's way.
    pub playbooks: Pool,
    /// Room for bodies of those who are not known, in KiB.
    pub strangers: Semaphore,
    streams: Arc<Semaphore>,
    stop: watch::Sender<bool>,
}

/// What a server is made of, beside its limits.
pub struct Opening {
    pub app: Arc<App>,
    pub live: Arc<Live>,
    pub board: Arc<Board>,
    pub driver: Arc<dyn Driver>,
    /// Hears of every commit.
    pub news: Arc<News>,
    pub telemetry: Option<Arc<Telemetry>>,
    pub doorkeeper: Doorkeeper,
    /// Whether there is a user or a token.
    pub knows_anybody: bool,
    pub doors: Option<Arc<dyn Doors>>,
}

impl Server {
    pub fn new(opening: Opening, limits: Limits) -> Server {
        let gate = opening.live.current().runner.gate.clone();
        Server {
            identity: opening.app.identity(),
            app: opening.app,
            live: opening.live,
            board: opening.board,
            store: gate.ground.store.clone(),
            driver: opening.driver,
            news: opening.news,
            telemetry: opening.telemetry,
            ready: gate.ready.clone(),
            doorkeeper: opening.doorkeeper,
            knows_anybody: opening.knows_anybody,
            doors: opening.doors,
            counted: Mutex::default(),
            document: Mutex::default(),
            figures: Figures::default(),
            pool: Pool::new(limits.threads, limits.waiting_max),
            watching: Pool::new(WATCHING_THREADS, WATCHING_WAITING_MAX),
            playbooks: Pool::new(limits.threads, limits.waiting_max),
            strangers: Semaphore::new(STRANGERS_KIB),
            streams: Arc::new(Semaphore::new(limits.streams_max)),
            stop: watch::Sender::new(false),
            limits,
        }
    }

    /// What new runs get now.
    pub fn edition(&self) -> Arc<Edition> {
        self.live.current()
    }

    /// What hides secrets, also those that were saved since the server began.
    pub fn masks(&self) -> Arc<Masks> {
        self.edition().app.masks.clone()
    }

    /// The store with what large values need.
    pub fn ground(&self) -> Ground {
        self.edition().runner.gate.ground.clone()
    }

    pub fn now_ms(&self) -> i64 {
        self.app.clock.unix_ms()
    }

    /// The body of data that runs started here belong to.
    pub fn realm(&self) -> Realm {
        match self.board.status().live {
            true => Realm::Live,
            false => Realm::Dry,
        }
    }

    /// Runs and jobs by where they are, counted now and then, however many ask.
    pub fn counts(&self) -> Result<Counts, JournalError> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.app.clock.monotonic();
        match *counted {
            Some((until, counts)) if now < until => Ok(counts),
            _ => {
                let counts = operation::count(&*self.store)?;
                let then = self.app.clock.monotonic();
                let holds = COUNTS_EVERY.max(then.saturating_sub(now) * COUNTS_PART);
                *counted = Some((then + holds, counts));
                Ok(counts)
            }
        }
    }

    /// The description of all routes, made once for each edition.
    pub fn document(&self) -> Bytes {
        let edition = self.edition().number;
        let mut document = self.document.lock().unwrap_or_else(PoisonError::into_inner);
        match &*document {
            Some((of, document)) if *of == edition => document.clone(),
            _ => {
                let made = Bytes::from(openapi::document(self).to_string());
                *document = Some((edition, made.clone()));
                made
            }
        }
    }

    /// Reads from one realm.
    pub fn look<T>(
        &self,
        realm: Realm,
        read: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        read(&mut Tx::new(&self.ground(), realm, self.now_ms()))
    }

    /// Makes `change` in one commit, which is on disk when this returns; made anew where somebody else was quicker.
    pub fn change<T>(
        &self,
        realm: Realm,
        change: impl Fn(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let ground = self.ground();
        let mut conflicts = 0;
        loop {
            let mut tx = Tx::new(&ground, realm, self.now_ms());
            let result = change(&mut tx)?;
            match self.commit(tx.batch) {
                Ok(()) => return Ok(result),
                Err(StoreError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Commits `batch`, which is on disk when this returns, and has the host look at what follows from it.
    pub fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.commit_to(&*self.store, batch)
    }

    /// The same with the act of whoever asked.
    pub fn commit_signed(&self, batch: Batch, actor: Actor, act: Act) -> Result<(), StoreError> {
        let masks = self.masks();
        let act = act.masked(&|text| masks.mask_text(text));
        let signed = Signed::new(self.store.clone(), actor, act, self.now_ms());
        self.commit_to(&signed, batch)
    }

    fn commit_to(&self, store: &dyn Store, batch: Batch) -> Result<(), StoreError> {
        let written = Written {
            put: batch.puts.iter().map(|(key, _)| key.clone()).collect(),
            deleted: batch.deletes.clone(),
        };
        store.commit(batch, Durability::Now)?;
        if look::look(&written, &self.ready) {
            self.ready.stir();
        }
        Ok(())
    }

    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Connections that are being told what happens.
    pub fn streams(&self) -> usize {
        self.limits.streams_max - self.streams.available_permits()
    }

    /// A stream as the body of an answer, if there is a place for it.
    pub(super) fn open(&self, stream: Stream) -> Result<Body, Refusal> {
        match self.streams.clone().try_acquire_owned() {
            Ok(place) => Ok(stream.into_body(place, self.stop.subscribe())),
            Err(_) => {
                let message = format!(
                    "{} connections are being told what happens, which is the most",
                    self.limits.streams_max
                );
                Err(Refusal::new(503, "STREAMS_FULL", message).header("retry-after", "10"))
            }
        }
    }
}

/// A server that answers. Dropping it without [`Running::stop`] ends it at once.
pub struct Running {
    pub address: SocketAddr,
    pub is_secure: bool,
    server: Arc<Server>,
    runtime: Runtime,
    taking: tokio::task::JoinHandle<()>,
    telling: std::thread::JoinHandle<()>,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Everybody could come, and nobody could show who they are.
    #[error(
        "{0} is reached by others, and there is no user and no token yet; listen on 127.0.0.1, or make a token first"
    )]
    Wide(SocketAddr),
    #[error("the threads of the HTTP server cannot be made: {0}")]
    Threads(#[from] std::io::Error),
}

impl StartError {
    pub fn code(&self) -> &'static str {
        match self {
            StartError::Listen(error) => error.code(),
            StartError::Wide(_) => "SERVER_WIDE",
            StartError::Threads(_) => "SERVE_THREADS",
        }
    }
}

/// Begins to listen, and answers until it is stopped.
pub fn start(server: Server) -> Result<Running, StartError> {
    if !server.limits.address.ip().is_loopback() && !server.knows_anybody {
        return Err(StartError::Wide(server.limits.address));
    }
    let bound = Bound::to(server.limits.address)?;
    let certificate = certificate(&server.app)?;
    let is_secure = certificate.is_some();
    let address = bound.address;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        // One more looks after the certificate.
        .max_blocking_threads(server.limits.threads + WATCHING_THREADS + 1)
        .thread_name("http-serve")
        .thread_stack_size(1 << 20)
        .enable_io()
        .enable_time()
        .build()?;
    let server = Arc::new(server);
    if let Some(telemetry) = &server.telemetry {
        // Not kept alive by who shows its figures.
        let weak = Arc::downgrade(&server);
        let families = move || weak.upgrade().map(|server| api::telemetry::families(&server));
        telemetry
            .beside
            .get_or_init(|| Box::new(move || families().unwrap_or_default()));
    }
    let listener = {
        let _guard = runtime.enter();
        bound.listen()?
    };
    if let Some(certificate) = certificate.clone() {
        runtime.spawn(renew(certificate));
    }
    let telling = {
        let server = server.clone();
        let thread = std::thread::Builder::new().name("http-news".to_owned());
        thread.spawn(move || server.news.tell(&server))?
    };
    let stop = server.stop.subscribe();
    let taking = connection::take(&runtime, listener, certificate, server.clone(), stop);
    Ok(Running {
        address,
        is_secure,
        server,
        runtime,
        taking,
        telling,
    })
}

fn certificate(app: &App) -> Result<Option<Arc<Certificate>>, ListenError> {
    let settings = &app.config.file.server;
    if settings.tls_cert.is_empty() {
        return Ok(None);
    }
    let path = |text: &str| app.config.root.join(text);
    let certificate = Certificate::read(path(&settings.tls_cert), path(&settings.tls_key))?;
    Ok(Some(Arc::new(certificate)))
}

async fn renew(certificate: Arc<Certificate>) {
    loop {
        tokio::time::sleep(LOOKS_EVERY).await;
        let certificate = certificate.clone();
        let looked = tokio::task::spawn_blocking(move || certificate.look()).await;
        match looked {
            Ok(Ok(Renewed::Same)) | Err(_) => {}
            Ok(Ok(Renewed::Other)) => tracing::info!("another certificate is shown from now on"),
            Ok(Err(error)) => {
                tracing::error!(%error, code = error.code(), "the certificate stays as it was");
            }
        }
    }
}

impl Running {
    /// As people type it.
    pub fn url(&self) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Takes no more requests, and returns when those that are there are answered, or after a while.
    pub fn stop(self) {
        let Running {
            server,
            runtime,
            taking,
            telling,
            ..
        } = self;
        server.stop.send_replace(true);
        let grace = server.limits.grace;
        let is_done = runtime.block_on(async { tokio::time::timeout(grace, taking).await.is_ok() });
        if !is_done {
            tracing::warn!("some requests were still being answered");
        }
        runtime.shutdown_timeout(Duration::from_secs(1));
        // It says itself what went wrong.
        telling.join().unwrap_or_default();
    }
}
