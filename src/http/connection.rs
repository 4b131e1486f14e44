//! Takes connections and drives them: each a task, a bounded number of them, none of which may be slow for long.
//!
//! Speaks HTTP/1.1. What cannot be read as such is answered by hyper with a bare status; everything else has the envelope.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CONNECTION, HeaderValue};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::pass;
use super::places::Places;
use super::race::{First, first_of};
use super::server::Server;
use crate::io::listen::{Certificate, Impatient};

/// How long to wait after a connection could not be taken: the process may have no descriptor left.
const PAUSE: Duration = Duration::from_millis(50);

/// What is said to who comes when all places are taken, or all that their address has.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\nretry-after: 1\r\n\r\n";

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub struct From {
    pub peer: SocketAddr,
    pub is_secure: bool,
}

/// Takes connections until `stop` says so. What is returned ends when none of them is there any more.
pub fn take(
    runtime: &Runtime,
    listener: TcpListener,
    certificate: Option<Arc<Certificate>>,
    server: Arc<Server>,
    mut stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let graceful = GracefulShutdown::new();
    let places = Places::new(
        server.limits.connections_max,
        server.limits.connections_per_address,
        &server.limits.trusted_proxies,
    );
    let door = Arc::new(Door {
        router: pass::router(server.clone()),
        certificate,
        server,
    });
    runtime.spawn(async move {
        while !*stop.borrow_and_update() {
            let (stream, peer) = match first_of(stop.changed(), listener.accept()).await {
                First::Left(_) => continue,
                First::Right(Ok(taken)) => taken,
                First::Right(Err(error)) => {
                    tracing::debug!(%error, "a connection could not be taken");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let Some(place) = places.take(peer.ip()) else {
                door.server.figures.turned_away();
                if door.certificate.is_none() {
                    // It fits into what the system keeps for a new connection; who does not read it misses nothing.
                    stream.try_write(FULL).unwrap_or_default();
                }
                continue;
            };
            let (door, watcher) = (door.clone(), graceful.watcher());
            tokio::spawn(async move {
                let open = door.server.figures.connected();
                door.admit(stream, peer, watcher).await;
                drop((open, place));
            });
        }
        drop(listener);
        graceful.shutdown().await;
    })
}

struct Door {
    router: Router,
    certificate: Option<Arc<Certificate>>,
    server: Arc<Server>,
}

impl Door {
    async fn admit(&self, stream: TcpStream, peer: SocketAddr, watcher: Watcher) {
        let limits = &self.server.limits;
        stream.set_nodelay(true).unwrap_or_default();
        match &self.certificate {
            None => self.drive(stream, From { peer, is_secure: false }, watcher).await,
            Some(certificate) => match tokio::time::timeout(limits.header_timeout, certificate.greet(stream)).await {
                Ok(Ok(stream)) => self.drive(stream, From { peer, is_secure: true }, watcher).await,
                Ok(Err(error)) => tracing::debug!(%error, %peer, "no TLS"),
                Err(_) => tracing::debug!(%peer, "no TLS in time"),
            },
        }
    }

    async fn drive<S>(&self, stream: S, from: From, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = &self.server.limits;
        let router = TowerToHyperService::new(self.router.clone());
        let (count, count_max) = (AtomicU32::new(0), limits.requests_per_connection);
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            let is_last = count.fetch_add(1, Ordering::Relaxed) + 1 >= count_max;
            request.extensions_mut().insert(from);
            let answered = router.call(request.map(Body::new));
            async move {
                let mut response = answered.await?;
                if is_last {
                    response
                        .headers_mut()
                        .insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, std::convert::Infallible>(response)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(limits.header_bytes_max)
            .max_headers(limits.headers_max)
            .serve_connection(TokioIo::new(Impatient::new(stream, limits.write_timeout)), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, peer = %from.peer, "a connection has ended");
        }
    }
}
