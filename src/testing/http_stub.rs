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

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Connections open at once; more are turned away.
const CONNECTIONS_MAX: usize = 512;
/// Requests that are remembered; later ones are answered all the same.
const RECORDED_MAX: usize = 100_000;
const HEAD_BYTES_MAX: u64 = 256 * 1024;
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a connection may take to bring its next request.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// How much of an endless body is written at once.
const PIECE_BYTES: usize = 16 * 1024;

/// One request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub method: String,
    /// Without the query.
    pub path: String,
    /// What follows `?`, or nothing.
    pub query: String,
    /// In the order they came, names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The connection it came over: 1 for the first.
    pub connection: usize,
}

impl Recorded {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        (self.headers.iter())
            .find(|(present, _)| present.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `null` when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What goes back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    delay: Duration,
    manner: Manner,
}

/// How an answer is given, or not.
#[derive(Clone, Debug)]
enum Manner {
    Whole,
    /// Bytes written as they are, instead of an answer.
    Raw(Vec<u8>),
    /// Nothing, until the stub is dropped.
    Never,
    /// The connection is closed without a word.
    Cut,
    /// The length of the whole body is announced, so many bytes of it are sent, and the connection is closed.
    CutAfter(usize),
    /// So many bytes at a time, with a pause before each.
    Drip(usize, Duration),
    /// So many bytes of filling instead of the body, without saying how many.
    Endless(u64),
}

impl Answer {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Answer {
        Answer {
            status,
            headers: Vec::new(),
            body: body.into(),
            delay: Duration::ZERO,
            manner: Manner::Whole,
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Answer {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// No answer: the connection is closed once the request was read.
    pub fn cut() -> Answer {
        Answer {
            manner: Manner::Cut,
            ..Answer::new(0, "")
        }
    }
}

type Respond = Arc<dyn Fn(&Recorded) -> Answer + Send + Sync>;

struct Rule {
    method: String,
    path: String,
    /// `None`: as often as asked.
    turns: Option<usize>,
    respond: Respond,
}

impl Rule {
    fn matches(&self, request: &Recorded) -> bool {
        let is_path = match self.path.strip_suffix('*') {
            Some(beginning) => request.path.starts_with(beginning),
            None => request.path == self.path,
        };
        is_path && request.method == self.method
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

    /// An address of the loopback at which nobody listens.
    pub fn nobody() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback has a free port");
        listener.local_addr().expect("a bound socket has an address")
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

/// What is to be answered, half written. Ends with a verb: [`answer`](Script::answer), [`cut`](Script::cut), ….
#[must_use = "a script takes effect with its last word, such as `answer`"]
pub struct Script<'a> {
    stub: &'a HttpStub,
    method: String,
    path: String,
    turns: Option<usize>,
    delay: Duration,
    headers: Vec<(String, String)>,
}

impl Script<'_> {
    /// Only for the next `turns` requests.
    pub fn times(mut self, turns: usize) -> Self {
        self.turns = Some(turns);
        self
    }

    /// Only for the next request.
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Adds a header to the answer.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Answers so much later.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Answers with `status` and `body`.
    pub fn answer(self, status: u16, body: impl Into<Vec<u8>>) {
        self.end(Answer::new(status, body));
    }

    /// Answers with `status` and JSON.
    pub fn json(self, status: u16, body: serde_json::Value) {
        self.header("content-type", "application/json")
            .answer(status, body.to_string());
    }

    /// Answers with `status` and nothing else.
    pub fn status(self, status: u16) {
        self.answer(status, "");
    }

    /// Refuses for now: 429, to be tried again after so many seconds.
    pub fn too_many(self, retry_after_s: u64) {
        self.header("retry-after", &retry_after_s.to_string()).status(429);
    }

    /// Sends elsewhere.
    pub fn redirect(self, status: u16, location: &str) {
        self.header("location", location).status(status);
    }

    /// Never answers; the connection stays open.
    pub fn never(self) {
        self.end(Answer {
            manner: Manner::Never,
            ..Answer::new(0, "")
        });
    }

    /// Closes the connection without an answer, the request being recorded: the write landed, nobody was told.
    pub fn cut(self) {
        self.end(Answer::cut());
    }

    /// Announces all of `body`, sends only its first `bytes`, and closes the connection.
    pub fn cut_after(self, bytes: usize, body: impl Into<Vec<u8>>) {
        self.end(Answer {
            manner: Manner::CutAfter(bytes),
            ..Answer::new(200, body)
        });
    }

    /// Sends `body` in pieces of so many bytes, with a pause before each.
    pub fn drip(self, bytes: usize, pause: Duration, body: impl Into<Vec<u8>>) {
        self.end(Answer {
            manner: Manner::Drip(bytes.max(1), pause),
            ..Answer::new(200, body)
        });
    }

    /// Sends a body of so many bytes without announcing its length.
    pub fn endless(self, bytes: u64) {
        self.end(Answer {
            manner: Manner::Endless(bytes),
            ..Answer::new(200, "")
        });
    }

    /// Sends these bytes instead of an answer, and closes the connection.
    pub fn raw(self, bytes: impl Into<Vec<u8>>) {
        self.end(Answer {
            manner: Manner::Raw(bytes.into()),
            ..Answer::new(0, "")
        });
    }

    /// Answers as `respond` decides from the request: for providers that remember something.
    pub fn answer_with(self, respond: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) {
        let (delay, headers) = (self.delay, self.headers.clone());
        self.script(Arc::new(move |request| {
            let mut answer = respond(request);
            answer.headers.extend(headers.iter().cloned());
            Answer { delay, ..answer }
        }));
    }

    fn end(self, answer: Answer) {
        self.answer_with(move |_| answer.clone());
    }

    fn script(self, respond: Respond) {
        let rule = Rule {
            method: self.method,
            path: self.path,
            turns: self.turns,
            respond,
        };
        self.stub.shared.lock().rules.push(rule);
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
        let shared = Arc::clone(shared);
        state.threads.push(std::thread::spawn(move || {
            if let Err(error) = serve(&stream, number, &shared) {
                // A client that speaks no HTTP is told so, one that left does not hear it.
                drop((&stream).write_all(format!("HTTP/1.1 400 Bad Request\r\n\r\n{error}").as_bytes()));
            }
            close(&stream);
            shared.lock().streams.retain(|(other, _)| *other != number);
        }));
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

/// The next request, or `None` when there is none.
fn read_request(
    reader: &mut BufReader<&TcpStream>,
    stream: &TcpStream,
    connection: usize,
) -> io::Result<Option<Recorded>> {
    let mut head = reader.by_ref().take(HEAD_BYTES_MAX);
    let mut line = || -> io::Result<String> {
        let mut line = String::new();
        head.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let mut headers = Vec::new();
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }

    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Recorded {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: Vec::new(),
        connection,
    };
    if request.header("expect").is_some() {
        (&*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    request.body = if request
        .header("transfer-encoding")
        .is_some_and(|coding| coding.contains("chunked"))
    {
        read_chunks(reader)?
    } else {
        let length = request
            .header("content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(0);
        read_exactly(reader, length)?
    };
    Ok(Some(request))
}

fn read_chunks(reader: &mut BufReader<&TcpStream>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.by_ref().take(HEAD_BYTES_MAX).read_line(&mut size)?;
        let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
        if body.len() + size.min(BODY_BYTES_MAX) > BODY_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        body.extend(read_exactly(reader, size)?);
        read_exactly(reader, 2)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn read_exactly(reader: &mut impl Read, bytes: usize) -> io::Result<Vec<u8>> {
    if bytes > BODY_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut body = vec![0; bytes];
    reader.read_exact(&mut body)?;
    Ok(body)
}

/// Carries the answer out; returns whether the connection may be used again.
fn write_answer(mut stream: &TcpStream, request: &Recorded, answer: &Answer, shared: &Shared) -> io::Result<bool> {
    let length = match answer.manner {
        Manner::Never => {
            shared.pause(Duration::from_secs(24 * 60 * 60));
            return Ok(false);
        }
        Manner::Cut => return Ok(false),
        Manner::Raw(ref bytes) => {
            stream.write_all(bytes)?;
            return Ok(false);
        }
        Manner::Endless(_) => "connection: close\r\n".to_owned(),
        _ => format!("content-length: {}\r\n", answer.body.len()),
    };
    let mut message = format!("HTTP/1.1 {} Scripted\r\n{length}", answer.status);
    for (name, value) in &answer.headers {
        message.push_str(&format!("{name}: {value}\r\n"));
    }
    message.push_str("\r\n");
    let mut message = message.into_bytes();
    let body: &[u8] = if request.method == "HEAD" { &[] } else { &answer.body };

    match answer.manner {
        Manner::CutAfter(bytes) => {
            message.extend_from_slice(&body[..bytes.min(body.len())]);
            stream.write_all(&message)?;
            Ok(false)
        }
        Manner::Drip(bytes, pause) => {
            stream.write_all(&message)?;
            for piece in body.chunks(bytes) {
                if !shared.pause(pause) {
                    return Ok(false);
                }
                stream.write_all(piece)?;
            }
            Ok(true)
        }
        Manner::Endless(bytes) => {
            stream.write_all(&message)?;
            let piece = [b'x'; PIECE_BYTES];
            let mut left = bytes;
            while left > 0 {
                let now = left.min(PIECE_BYTES as u64);
                stream.write_all(&piece[..now as usize])?;
                left -= now;
            }
            Ok(false)
        }
        _ => {
            message.extend_from_slice(body);
            stream.write_all(&message)?;
            Ok(true)
        }
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
