//! A server on the loopback that answers as the test wrote, and remembers what it was asked.
//!
//! ```
//! # use host::testing::HttpStub;
//! let stub = HttpStub::start();
//! stub.on("GET", "/feed").times(2).status(503);
//! stub.on("GET", "/feed").answer(200, "[]");
//! stub.on("POST", "/posts").cut(); // the write landed, its answer is lost
//! // … the code under test talks to `stub.url("/posts")` …
//! assert_eq!(stub.count("POST", "/posts"), 0);
//! ```
//!
//! A request is answered by the first script for its method and path that has turns left; scripts without
//! [`times`](Script::times) come after those with it, and of them the one written last counts. A path that ends in `*`
//! means all that begin so; the query is left aside. What no script answers gets a 404 that says so.
//!
//! Requests are recorded before they are answered, so a cut connection is a write that landed. Everything is bounded,
//! and dropping the stub closes all connections and joins all threads.
#![expect(clippy::disallowed_methods, reason = "this server listens on loopback for tests")]

mod script;
mod wire;

use std::io::{self, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub use script::{Answer, Script};
pub use wire::Recorded;

use script::Rule;
use wire::{read_request, write_answer};

/// Connections open at once; more are turned away.
const CONNECTIONS_MAX: usize = 512;
/// Requests that are remembered; later ones are answered all the same.
const RECORDED_MAX: usize = 100_000;
/// How long a connection may take to bring its next request.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// The server. Dropping it stops it.
pub struct HttpStub {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

impl HttpStub {
    /// Listens on a free port of 127.0.0.1.
    pub fn start() -> HttpStub {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let for_thread = Arc::clone(&shared);
        let listening = std::thread::spawn(move || listen(&listener, &for_thread));
        HttpStub {
            address,
            shared,
            listening: Some(listening),
        }
    }

    /// An address of the loopback that refuses connections for as long as the value is kept.
    pub fn nobody() -> Nobody {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        Nobody(TcpStream::connect(address).expect("a connection to the listener"))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `127.0.0.1:PORT`, as an allow-list has it.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The URL of `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Begins the script for requests of `method` to `path`; one of the verbs of [`Script`] ends it.
    pub fn on(&self, method: &str, path: &str) -> Script<'_> {
        Script {
            stub: self,
            method: method.to_owned(),
            path: path.to_owned(),
            turns: None,
            delay: Duration::ZERO,
            headers: Vec::new(),
        }
    }

    /// Every request so far, in the order they arrived.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.lock().recorded.clone()
    }

    /// How many requests of `method` to `path` there were.
    pub fn count(&self, method: &str, path: &str) -> usize {
        let state = self.shared.lock();
        state
            .recorded
            .iter()
            .filter(|request| request.method == method && request.path == path)
            .count()
    }

    /// How many connections were made, with or without a request.
    pub fn connections(&self) -> usize {
        self.shared.lock().connections
    }

    /// Waits until there were `count` requests; returns whether there were in time.
    pub fn wait_for_requests(&self, count: usize, timeout: Duration) -> bool {
        self.shared.wait(timeout, |state| state.recorded.len() >= count)
    }
}

impl Drop for HttpStub {
    fn drop(&mut self) {
        self.shared.lock().is_stopping = true;
        self.shared.changed.notify_all();
        // Wakes the listener, which then sees the flag.
        drop(TcpStream::connect(self.address));
        if let Some(listening) = self.listening.take() {
            join(listening);
        }
        let (streams, threads) = {
            let mut state = self.shared.lock();
            (std::mem::take(&mut state.streams), std::mem::take(&mut state.threads))
        };
        for (_, stream) in streams {
            close(&stream);
        }
        threads.into_iter().for_each(join);
    }
}

/// A port that is taken, and at which nobody listens: the near end of a connection.
pub struct Nobody(TcpStream);

impl Nobody {
    /// `127.0.0.1:PORT`, as an allow-list has it.
    pub fn host(&self) -> String {
        self.0
            .local_addr()
            .expect("a connected socket has an address")
            .to_string()
    }

    /// The URL of `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host())
    }
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    recorded: Vec<Recorded>,
    streams: Vec<(usize, TcpStream)>,
    threads: Vec<JoinHandle<()>>,
    connections: usize,
    is_stopping: bool,
}

struct Shared {
    state: Mutex<State>,
    /// Told when a request was recorded, and when the stub stops.
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `is_met` or the time has passed; returns whether it was met.
    fn wait(&self, timeout: Duration, mut is_met: impl FnMut(&State) -> bool) -> bool {
        let waiting = self
            .changed
            .wait_timeout_while(self.lock(), timeout, |state| !is_met(state));
        !waiting.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Lets time pass; `false` when the stub stopped meanwhile.
    fn pause(&self, time: Duration) -> bool {
        time.is_zero() || !self.wait(time, |state| state.is_stopping)
    }
}

fn listen(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let accepted = listener.accept();
        let mut state = shared.lock();
        if state.is_stopping {
            return;
        }
        let Ok((stream, _)) = accepted else { continue };
        state.connections += 1;
        let number = state.connections;
        state.threads.retain(|thread| !thread.is_finished());
        if state.streams.len() == CONNECTIONS_MAX {
            close(&stream);
            continue;
        }
        let Ok(kept) = stream.try_clone() else { continue };
        state.streams.push((number, kept));
        let hangup = Hangup {
            shared: Arc::clone(shared),
            stream,
            number,
        };
        state.threads.push(std::thread::spawn(move || {
            if let Err(error) = serve(&hangup.stream, number, &hangup.shared) {
                // A client that speaks no HTTP is told so, one that left does not hear it.
                drop((&hangup.stream).write_all(format!("HTTP/1.1 400 Bad Request\r\n\r\n{error}").as_bytes()));
            }
        }));
    }
}

/// Closes a connection at the end of its thread, though a script's closure panic.
struct Hangup {
    shared: Arc<Shared>,
    stream: TcpStream,
    number: usize,
}

impl Drop for Hangup {
    fn drop(&mut self) {
        close(&self.stream);
        self.shared.lock().streams.retain(|(other, _)| *other != self.number);
    }
}

/// Answers the requests of one connection until it ends.
fn serve(stream: &TcpStream, connection: usize, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE_MAX))?;
    stream.set_write_timeout(Some(IDLE_MAX))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader, stream, connection)? {
        let answer = take_turn(shared, request.clone());
        if !shared.pause(answer.delay) || !write_answer(stream, &request, &answer, shared)? {
            break;
        }
    }
    Ok(())
}

/// Records `request` and finds what to say to it.
fn take_turn(shared: &Shared, request: Recorded) -> Answer {
    let respond = {
        let mut state = shared.lock();
        if state.recorded.len() < RECORDED_MAX {
            state.recorded.push(request.clone());
        }
        shared.changed.notify_all();
        let limited = state
            .rules
            .iter()
            .position(|rule| rule.turns.is_some_and(|turns| turns > 0) && rule.matches(&request));
        let found = limited.or_else(|| {
            state
                .rules
                .iter()
                .rposition(|rule| rule.turns.is_none() && rule.matches(&request))
        });
        found.map(|at| {
            let rule = &mut state.rules[at];
            rule.turns = rule.turns.map(|turns| turns - 1);
            Arc::clone(&rule.respond)
        })
    };
    match respond {
        Some(respond) => respond(&request),
        None => Answer::new(
            404,
            format!("the stub has no answer for {} {}", request.method, request.path),
        ),
    }
}

/// Closes for good; fails only when it is closed already.
fn close(stream: &TcpStream) {
    drop(stream.shutdown(Shutdown::Both));
}

/// A thread of the stub that panicked has shown it on standard error.
fn join(thread: JoinHandle<()>) {
    drop(thread.join());
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Instant;

    use super::*;

    /// Everything that comes back for one request.
    fn ask(stub: &HttpStub, head: &str) -> String {
        let mut stream = TcpStream::connect(stub.address()).expect("a connection");
        stream
            .write_all(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes())
            .expect("a request");
        stream.shutdown(Shutdown::Write).expect("the end of the request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    #[test]
    fn scripts_with_turns_go_first_and_then_the_last_one_without() {
        let stub = HttpStub::start();
        stub.on("GET", "/x").status(500);
        stub.on("GET", "/x").once().status(503);
        stub.on("GET", "/x").once().too_many(7);
        stub.on("GET", "/x").answer(200, "done");
        let statuses: Vec<String> = (0..4)
            .map(|_| ask(&stub, "GET /x?a=1 HTTP/1.1")[9..12].to_owned())
            .collect();
        assert_eq!(statuses, ["503", "429", "200", "200"]);
        assert_eq!(stub.requests()[0].query, "a=1");
        assert!(ask(&stub, "GET /y HTTP/1.1").contains("no answer for GET /y"));
    }

    #[test]
    fn dropping_the_stub_ends_a_request_that_is_never_answered() {
        let stub = HttpStub::start();
        stub.on("GET", "/x").never();
        let mut stream = TcpStream::connect(stub.address()).expect("a connection");
        stream.write_all(b"GET /x HTTP/1.1\r\n\r\n").expect("a request");
        assert!(stub.wait_for_requests(1, Duration::from_secs(5)));
        let start = Instant::now();
        drop(stub);
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        assert_eq!(stream.read(&mut [0; 8]).expect("the end"), 0);
    }
}
