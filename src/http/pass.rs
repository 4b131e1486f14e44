//! The way of one request, in its order: who it is for, who asks, what it says, the answer.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::RawPathParams;
use axum::extract::rejection::RawPathParamsRejection;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Response, header};
use axum::routing::any;
use futures_core::Stream as _;
use hyper::body::Body as HttpBody;
use serde_json::json;
use tokio::sync::{Semaphore, SemaphorePermit};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;

use super::admission::{admit, carry_out};
use super::answer::{Answer, Refusal};
use super::caller::Caller;
use super::checks;
use super::connection::From;
use super::envelope::{self, Asked, CORRELATION};
use super::pool::Pool;
use super::proxies::asker;
use super::request::{Request, is_corr, parse_query};
use super::routes::{self, Found, Handler, Needs, Route, Takes};
use super::server::Server;

/// The longest path that is looked up.
const PATH_BYTES_MAX: usize = 4096;

/// The longest query.
const QUERY_BYTES_MAX: usize = 8192;

/// What is read of a body that nobody wants, so that its sender hears why.
const UNWANTED_BYTES_MAX: usize = 256 << 10;
const UNWANTED_TIME: Duration = Duration::from_secs(1);

/// Pages that are long and come compressed to who takes that. None of them holds both a secret of who asks and what others
/// may write: the length of what is compressed tells what it holds.
const COMPRESSED: [&str; 3] = ["/metrics", "/openapi.json", "/admin/monitor"];
const COMPRESSED_BYTES_MIN: u16 = 1024;

fn compression() -> CompressionLayer<SizeAbove> {
    CompressionLayer::new().compress_when(SizeAbove::new(COMPRESSED_BYTES_MIN))
}

type Places = Result<RawPathParams, RawPathParamsRejection>;

/// Leads every path of the table, and every other, to [`pass`].
pub fn router(server: Arc<Server>) -> Router {
    let mut by_path: BTreeMap<&str, Vec<&'static Route>> = BTreeMap::new();
    for route in routes::all() {
        by_path.entry(route.path).or_default().push(route);
    }
    let mut router = Router::new();
    for (path, routes) in by_path {
        let (server, routes) = (server.clone(), Arc::new(routes));
        let pass = move |places: Places, request: axum::extract::Request| {
            let (server, routes) = (server.clone(), routes.clone());
            let fixed = |route: &&'static Route| (route.verb.method(), Found::fixed(route));
            let methods = routes.iter().map(fixed).collect();
            pass(server, methods, Some(places), request)
        };
        let route = match COMPRESSED.contains(&path) {
            true => any(pass).layer(compression()),
            false => any(pass),
        };
        router = router.route(path, route);
    }
    router.fallback(move |request: axum::extract::Request| {
        let server = server.clone();
        let path = request.uri().path();
        let methods = match (&server.doors, path.len() <= PATH_BYTES_MAX) {
            (Some(doors), true) => doors.at(&server, path),
            _ => Vec::new(),
        };
        pass(server, methods, None, request)
    })
}

/// Answers one request, and takes note of it.
async fn pass(
    server: Arc<Server>,
    methods: Vec<(Method, Found)>,
    places: Option<Places>,
    request: axum::extract::Request,
) -> Response<Body> {
    let begun = server.app.clock.monotonic();
    let (parts, body) = request.into_parts();
    let corr = correlation(&server, &parts.headers);
    let mut way = Way {
        server: &server,
        parts: &parts,
        corr: &corr,
        body: Some(body),
        name: Arc::from("none"),
        is_playbook: false,
    };
    let answered = way.answer(methods, places).await;
    if answered.is_err() {
        way.drain().await;
    }
    let name = way.name.clone();
    let asked = Asked {
        method: &parts.method,
        known: parts
            .headers
            .get(header::IF_NONE_MATCH)
            .and_then(|tags| tags.to_str().ok()),
        corr: &corr,
        is_only_secure: is_only_secure(&server, &parts),
    };
    let code = answered.as_ref().err().map(|refusal| refusal.code.clone());
    let response = envelope::seal(answered, &asked, |stream| server.open(stream));
    let status = response.status().as_u16();
    let took = server.app.clock.monotonic().saturating_sub(begun);
    server.figures.answered(&name, status, took);
    let (method, route, took_ms) = (&parts.method, &*name, took.as_millis() as u64);
    match (status, route) {
        // Whoever asks for it asks again and again; what it waits for is told where it happens.
        (503, "readyz") => tracing::debug!(%corr, %method, route, status, code, took_ms, "answered"),
        // Anybody can bring that about; the webhook tells of it now and then.
        (503, _) if code.as_deref() == Some("WEBHOOK_UNREADY") => {
            tracing::debug!(%corr, %method, route, status, code, took_ms, "answered");
        }
        (503, _) => tracing::warn!(%corr, %method, route, status, code, took_ms, "answered"),
        (500.., _) => tracing::error!(%corr, %method, route, status, code, took_ms, "answered"),
        _ => tracing::debug!(%corr, %method, route, status, code, took_ms, "answered"),
    }
    response
}

/// The way of one request.
struct Way<'a> {
    server: &'a Arc<Server>,
    parts: &'a Parts,
    corr: &'a str,
    /// Until it is read.
    body: Option<Body>,
    /// Of the route, once it is found.
    name: Arc<str>,
    /// It is a playbook that answers.
    is_playbook: bool,
}

impl<'w> Way<'w> {
    async fn answer(&mut self, methods: Vec<(Method, Found)>, places: Option<Places>) -> Result<Answer, Refusal> {
        self.check_length()?;
        let (allow, found) = choose(methods, &self.parts.method)?;
        let Some(mut found) = found else {
            return self.other_method(allow);
        };
        self.name = found.name.clone();
        self.is_playbook = found.playbook.is_some();
        let request = self.head(&mut found, places)?;
        // What anybody may ask, whether it lives, is answered while all threads are taken.
        if found.needs == Needs::Probe {
            checks::query(&request, found.query.unwrap_or_default())?;
            return found.handle.answer(self.server, &request);
        }
        self.check_host()?;
        let server = self.server.clone();
        let handle = found.handle.clone();
        let has_none = self.body.as_ref().is_none_or(HttpBody::is_end_stream);
        if has_none || found.body == Takes::Nothing {
            let work = move || answer(&server, &found, admit(&server, request, &found)?);
            return self.carry(handle, work).await;
        }
        // Nobody who may not ask makes the server read what they send.
        let sought = found.clone();
        let within = self.server.limits.request_timeout;
        let admitted = self.on_thread(within, move || admit(&server, request, &sought)).await?;
        let is_known = admitted.caller.role.is_some();
        let body = self.read(found.body, is_known).await?;
        let (server, request) = (self.server.clone(), Request { body, ..admitted });
        self.carry(handle, move || answer(&server, &found, request)).await
    }

    fn check_length(&self) -> Result<(), Refusal> {
        let uri = &self.parts.uri;
        let is_long =
            uri.path().len() > PATH_BYTES_MAX || uri.query().is_some_and(|query| query.len() > QUERY_BYTES_MAX);
        let message =
            || format!("the path has more than {PATH_BYTES_MAX} bytes, or the query more than {QUERY_BYTES_MAX}");
        match is_long {
            true => Err(Refusal::new(414, "PATH_TOO_LONG", message())),
            false => Ok(()),
        }
    }

    fn other_method(&self, allow: String) -> Result<Answer, Refusal> {
        if self.parts.method == Method::OPTIONS {
            return Ok(Answer::empty(204).header("allow", &allow));
        }
        let method: String = self.parts.method.as_str().chars().take(40).collect();
        let message = format!("this path does not take {method}; it takes {allow}");
        Err(Refusal::new(405, "METHOD_NOT_ALLOWED", message).header("allow", allow))
    }

    /// The request without its body.
    fn head(&self, found: &mut Found, places: Option<Places>) -> Result<Request, Refusal> {
        let mut params = std::mem::take(&mut found.params);
        match places {
            Some(Ok(places)) => {
                let places = places.iter();
                params.extend(places.map(|(name, value)| (name.to_owned(), value.to_owned())));
            }
            Some(Err(_)) => return Err(nothing_there()),
            None => {}
        }
        let from = self.parts.extensions.get::<From>().copied();
        let from = from.expect("every connection says where its requests come from");
        let asker = asker(from, &self.parts.headers, &self.server.limits.trusted_proxies);
        Ok(Request {
            method: self.parts.method.clone(),
            path: self.parts.uri.path().to_owned(),
            params,
            query: parse_query(self.parts.uri.query().unwrap_or_default())?,
            headers: self.parts.headers.clone(),
            body: Bytes::new(),
            corr: self.corr.to_owned(),
            caller: Caller::nobody(self.corr),
            peer: asker.peer,
            is_secure: asker.is_secure,
            is_local: asker.is_local,
        })
    }

    /// A page of somebody else's may have a name of its own lead here, and read with the browser's eyes what answers.
    fn check_host(&self) -> Result<(), Refusal> {
        if self.parts.headers.get_all(header::HOST).iter().count() > 1 {
            // Whoever stands in front may have looked at the other one.
            let message = "the request names the host that it asks more than once";
            return Err(Refusal::new(400, "HOST_UNKNOWN", message));
        }
        let limits = &self.server.limits;
        match named_host(self.parts) {
            Some(host) if is_known_host(&host, &limits.hosts, limits.address.ip()) => Ok(()),
            _ => {
                let message = "this server is not asked under that name; `hosts` in [server] lists its names";
                Err(Refusal::new(421, "HOST_UNKNOWN", message))
            }
        }
    }

    /// Does `work`, which answers with `handle`, and says something else when that takes long.
    async fn carry(
        &mut self,
        handle: Handler,
        work: impl FnOnce() -> Result<Answer, Refusal> + Send + 'static,
    ) -> Result<Answer, Refusal> {
        let limit = self.server.limits.request_timeout;
        let Handler::Run(run) = handle else {
            return self.on_thread(limit, work).await;
        };
        let Ok(place) = tokio::time::timeout(limit, self.pool().place()).await else {
            return Err(no_answer(limit));
        };
        let place = place?;
        let within = run.within(self.server);
        let work = place.work(self.stack_bytes(), self.in_span(work));
        match tokio::time::timeout(within, work).await {
            Ok(done) => done?,
            Err(_) if run.has_begun() => {
                place.leave();
                let server = self.server.clone();
                let left = limit.saturating_sub(within);
                self.on_thread(left, move || run.late(&server)).await
            }
            Err(_) => Err(no_answer(within)),
        }
    }

    /// Does `work` on a thread; who asked waits for it so long.
    async fn on_thread<T: Send + 'static>(
        &mut self,
        within: Duration,
        work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (pool, stack_bytes, work) = (self.pool(), self.stack_bytes(), self.in_span(work));
        let work = async move { pool.place().await?.work(stack_bytes, work).await? };
        let done = tokio::time::timeout(within, work).await;
        done.unwrap_or_else(|_| Err(no_answer(within)))
    }

    fn in_span<T, W: FnOnce() -> T>(&self, work: W) -> impl FnOnce() -> T + use<T, W> {
        let span = tracing::error_span!("request", corr = %self.corr);
        move || span.in_scope(work)
    }

    /// Where it is worked on: playbooks that take long stand in nobody else's way, and those who look on wait for nobody.
    fn pool(&self) -> &'w Pool {
        match () {
            () if self.is_playbook => &self.server.playbooks,
            () if routes::WATCHING.contains(&&*self.name) => &self.server.watching,
            () => &self.server.pool,
        }
    }

    /// Of a thread on which a run can be carried out.
    fn stack_bytes(&self) -> usize {
        self.server.edition().runner.language.limits.stack_bytes()
    }

    async fn read(&mut self, takes: Takes, is_known: bool) -> Result<Bytes, Refusal> {
        let preset = self.server.limits.body_bytes_max;
        let bytes_max = match takes {
            Takes::Bytes(Some(bytes_max)) => bytes_max,
            _ => preset,
        };
        let too_large = || {
            let message = format!("the body has more than {bytes_max} bytes, which is the most that is taken");
            Refusal::new(413, "BODY_TOO_LARGE", message).details(json!({ "bytes_max": bytes_max }))
        };
        let length = self.parts.headers.get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > bytes_max) {
            return Err(too_large());
        }
        let body = self.body.take().unwrap_or_default();
        let timeout = self.server.limits.body_timeout;
        // Whoever may send something without saying who it is does not fill our memory with it.
        let room = (!is_known).then_some(&self.server.strangers);
        match tokio::time::timeout(timeout, collect(body, bytes_max as usize, room)).await {
            Ok(Ok(Some(bytes))) => Ok(bytes),
            Ok(Ok(None)) => Err(too_large()),
            Ok(Err(Cut::Short)) => Err(Refusal::new(400, "BODY_CUT", "the body did not come whole")),
            Ok(Err(Cut::NoRoom)) => {
                let message = "too much is being sent by those who are not known; try again in a moment";
                Err(Refusal::new(503, "SERVER_BUSY", message).header("retry-after", "1"))
            }
            Err(_) => {
                let timeout = crate::duration::for_people(timeout.as_millis() as u64);
                let message = format!("the body did not come within {timeout}");
                Err(Refusal::new(408, "BODY_TIMEOUT", message))
            }
        }
    }

    /// Takes what is left of a body that nobody wants, as far as it is short: else its sender would hear of a broken
    /// connection, and not why.
    async fn drain(&mut self) {
        if let Some(body) = self.body.take()
            && !self.parts.headers.contains_key(header::EXPECT)
        {
            let drained = tokio::time::timeout(UNWANTED_TIME, collect(body, UNWANTED_BYTES_MAX, None)).await;
            drop(drained);
        }
    }
}

/// The methods that are taken, and what takes this one.
fn choose(methods: Vec<(Method, Found)>, method: &Method) -> Result<(String, Option<Found>), Refusal> {
    if methods.is_empty() {
        return Err(nothing_there());
    }
    let mut allow: Vec<&str> = methods.iter().map(|(method, _)| method.as_str()).collect();
    let reads = allow.contains(&"GET");
    if reads {
        allow.push("HEAD");
    }
    allow.push("OPTIONS");
    let allow = allow.join(", ");
    let meant = match reads && *method == Method::HEAD {
        true => &Method::GET,
        false => method,
    };
    let found = methods.into_iter().find(|(method, _)| method == meant);
    Ok((allow, found.map(|(_, found)| found)))
}

fn no_answer(within: Duration) -> Refusal {
    let within = crate::duration::for_people(within.as_millis() as u64);
    let message = format!("there was no answer within {within}; what was begun may still happen");
    Refusal::new(503, "REQUEST_TIMEOUT", message).header("retry-after", "5")
}

fn nothing_there() -> Refusal {
    Refusal::not_found("there is nothing under this path")
}

fn answer(server: &Server, found: &Found, mut request: Request) -> Result<Answer, Refusal> {
    if let Some(known) = found.query {
        checks::places(&request)?;
        checks::query(&request, known)?;
    }
    if let Takes::Json(schema) = found.body {
        request.body = checks::body(&request, schema)?;
    }
    let answered = carry_out(server, found, &request);
    // *Output commit:* what is told is on disk before. Playbooks say themselves what that is, and figures are exempt.
    if found.playbook.is_none() && !routes::WATCHING.contains(&&*found.name) {
        server.store.wait_durable(server.store.stats().last_commit)?;
    }
    Ok(envelope::write(answered?, &request.method))
}

/// The id that whoever asks gave, or one of our own.
fn correlation(server: &Server, headers: &HeaderMap) -> String {
    let given = headers.get(CORRELATION).and_then(|corr| corr.to_str().ok());
    match given.filter(|given| is_corr(given)) {
        Some(given) => given.to_owned(),
        None => {
            let (now_ms, chance) = (server.now_ms(), server.app.chance.wide_bits());
            format!("req_{}", crate::id::RunId::new(now_ms, chance))
        }
    }
}

/// Whether browsers are to ask under this name by TLS alone: it is one of `hosts`, and so of nothing else on the machine, as
/// `localhost` may be.
fn is_only_secure(server: &Server, parts: &Parts) -> bool {
    let is_secure = parts.extensions.get::<From>().is_some_and(|from| from.is_secure);
    is_secure && named_host(parts).is_some_and(|host| server.limits.hosts.contains(&host))
}

/// The name by which a request asks.
fn named_host(parts: &Parts) -> Option<String> {
    let named = match parts.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()),
    };
    named.map(host_of)
}

/// The name without its port, in small letters.
fn host_of(authority: &str) -> String {
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.to_ascii_lowercase()
}

/// Addresses cannot be made to lead elsewhere; names can.
fn is_known_host(host: &str, hosts: &[String], bound: IpAddr) -> bool {
    if hosts.iter().any(|known| known == host) {
        return true;
    }
    match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback() || address == bound || bound.is_unspecified(),
        Err(_) => host == "localhost",
    }
}

/// Why a body is not there.
enum Cut {
    Short,
    /// Others have taken it all.
    NoRoom,
}

/// All of `body`; `None` when it is longer. What has come of it takes of `room`, in KiB, until it is there.
async fn collect(body: Body, bytes_max: usize, room: Option<&Semaphore>) -> Result<Option<Bytes>, Cut> {
    let mut stream = body.into_data_stream();
    let mut whole = Vec::new();
    let mut taken: Option<SemaphorePermit<'_>> = None;
    loop {
        match std::future::poll_fn(|context| Pin::new(&mut stream).poll_next(context)).await {
            None => return Ok(Some(whole.into())),
            Some(Err(_)) => return Err(Cut::Short),
            Some(Ok(piece)) if whole.len() + piece.len() > bytes_max => return Ok(None),
            Some(Ok(piece)) => whole.extend_from_slice(&piece),
        }
        if let Some(room) = room {
            let has = taken.as_ref().map_or(0, SemaphorePermit::num_permits);
            let more = whole.len().div_ceil(1024).saturating_sub(has) as u32;
            let more = room.try_acquire_many(more).map_err(|_| Cut::NoRoom)?;
            match &mut taken {
                Some(taken) => taken.merge(more),
                None => taken = Some(more),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_not_ours() {
        let hosts = ["host.example.com".to_owned()];
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        for known in [
            "localhost:7070",
            "127.0.0.1",
            "[::1]:80",
            "HOST.example.com:443",
            "127.9.9.9:1",
        ] {
            assert!(is_known_host(&host_of(known), &hosts, loopback), "{known}");
        }
        for strange in [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1",
            "",
            "[::2]",
            "127.0.0.1.nip.io",
        ] {
            assert!(!is_known_host(&host_of(strange), &hosts, loopback), "{strange}");
        }
    }

    #[test]
    fn what_strangers_send_has_so_much_room_together_and_gives_it_back() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let room = Semaphore::new(3);
        let read = |bytes: usize, bytes_max: usize| {
            let body = Body::from(vec![b'x'; bytes]);
            runtime.block_on(collect(body, bytes_max, Some(&room)))
        };
        assert!(matches!(read(3 << 10, 1 << 20), Ok(Some(bytes)) if bytes.len() == 3 << 10));
        assert!(matches!(read((3 << 10) + 1, 1 << 20), Err(Cut::NoRoom)));
        let other = room.try_acquire_many(2).expect("it was given back");
        assert!(matches!(read(1025, 1 << 20), Err(Cut::NoRoom)));
        assert!(matches!(read(1024, 1 << 20), Ok(Some(_))));
        drop(other);
        assert!(
            matches!(read(2 << 10, 1 << 10), Ok(None)),
            "that it is too long is known before"
        );
        assert_eq!(room.available_permits(), 3);
    }
}
