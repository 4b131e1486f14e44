//! What a test writes down to be answered.

use std::sync::Arc;
use std::time::Duration;

use super::HttpStub;
use super::wire::Recorded;

/// What goes back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub(super) delay: Duration,
    pub(super) manner: Manner,
}

/// How an answer is given, or not.
#[derive(Clone, Debug)]
pub(super) enum Manner {
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

/// What is to be answered, half written. Ends with a verb: [`answer`](Script::answer), [`cut`](Script::cut), ….
#[must_use = "a script takes effect with its last word, such as `answer`"]
pub struct Script<'a> {
    pub(super) stub: &'a HttpStub,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) turns: Option<usize>,
    pub(super) delay: Duration,
    pub(super) headers: Vec<(String, String)>,
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

    /// Sends these bytes instead of an answer, and closes the connection; a `connection: close` among them spares the
    /// client from trying it again.
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

pub(super) type Respond = Arc<dyn Fn(&Recorded) -> Answer + Send + Sync>;

pub(super) struct Rule {
    method: String,
    path: String,
    /// `None`: as often as asked.
    pub(super) turns: Option<usize>,
    pub(super) respond: Respond,
}

impl Rule {
    pub(super) fn matches(&self, request: &Recorded) -> bool {
        let is_path = match self.path.strip_suffix('*') {
            Some(beginning) => request.path.starts_with(beginning),
            None => request.path == self.path,
        };
        is_path && request.method == self.method
    }
}
