//! The life of a connection: begin, answer, rest, end.
//!
//! Messages are answered in the order in which they came. When none is waiting, and the editor has been quiet for a
//! moment, the session does what it has put off: diagnostics. A request that is cancelled before its turn is not begun.

use std::collections::VecDeque;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use lsp_server::{ErrorCode, Message, Notification, Request, RequestId, Response, ResponseError};
use serde_json::Value as Json;

use super::session::Session;
use super::wire::{self, Frame};
use crate::gate::panic::words_of;

/// Messages that wait here at most; what is beyond waits in the pipe.
const WAITING_MAX: usize = 1024;

/// How long to wait for a message when there is nothing else to do. Any length does: it only bounds one wait.
const IDLE: Duration = Duration::from_secs(3600);

/// Why a request has no answer.
#[derive(Debug)]
pub struct Refusal {
    pub code: ErrorCode,
    pub message: String,
}

impl Refusal {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Refusal {
        Refusal {
            code,
            message: message.into(),
        }
    }

    /// The request is fine, and cannot be done here.
    pub fn failed(message: impl Into<String>) -> Refusal {
        Refusal::new(ErrorCode::RequestFailed, message)
    }
}

pub type Answer<T = Json> = Result<T, Refusal>;

/// How far the conversation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Unintroduced,
    Speaking,
    ShutDown,
}

/// Speaks with one client until it leaves. The number is the exit code: 0 after an orderly goodbye.
pub fn serve(session: Session, incoming: &Receiver<Frame>, output: impl Write) -> u8 {
    let mut server = Server {
        session,
        output,
        stage: Stage::Unintroduced,
        waiting: VecDeque::new(),
    };
    server.speak(incoming)
}

struct Server<W> {
    session: Session,
    output: W,
    stage: Stage,
    waiting: VecDeque<Frame>,
}

impl<W: Write> Server<W> {
    fn speak(&mut self, incoming: &Receiver<Frame>) -> u8 {
        loop {
            if self.waiting.is_empty() {
                let pause = match self.stage {
                    Stage::Speaking => self.session.pause().unwrap_or(IDLE),
                    _ => IDLE,
                };
                match incoming.recv_timeout(pause) {
                    Ok(frame) => self.take(frame),
                    Err(RecvTimeoutError::Timeout) => {
                        caught(|| self.session.rest()).unwrap_or_else(|panic| tracing::error!(panic, "a defect"));
                    }
                    Err(RecvTimeoutError::Disconnected) => return self.farewell(),
                }
            }
            while self.waiting.len() < WAITING_MAX
                && let Ok(frame) = incoming.try_recv()
            {
                self.take(frame);
            }
            let sent = match self.waiting.pop_front() {
                Some(Frame::Message(Message::Request(request))) => self.request(request),
                Some(Frame::Message(Message::Notification(told))) if told.method == "exit" => return self.farewell(),
                Some(Frame::Message(Message::Notification(told))) => {
                    self.notification(told);
                    Ok(())
                }
                Some(Frame::Message(Message::Response(response))) => {
                    self.session.answered(response);
                    Ok(())
                }
                Some(Frame::Bad(reason)) => wire::write_bad(&mut self.output, &reason),
                Some(Frame::Broken(reason)) => {
                    tracing::error!(reason, "the client's messages cannot be told apart any more");
                    return 1;
                }
                None => Ok(()),
            };
            if sent.and_then(|()| self.flush()).is_err() {
                // Nobody is there to be told.
                return self.farewell();
            }
        }
    }

    fn farewell(&self) -> u8 {
        u8::from(self.stage != Stage::ShutDown)
    }

    /// Puts a message at the end of those that wait, unless it takes another away.
    fn take(&mut self, frame: Frame) {
        if let Frame::Message(Message::Notification(told)) = &frame
            && told.method == "$/cancelRequest"
        {
            let cancelled: Option<RequestId> = told
                .params
                .get("id")
                .cloned()
                .and_then(|id| serde_json::from_value(id).ok());
            let is_it = |frame: &Frame| matches!(frame, Frame::Message(Message::Request(request)) if Some(&request.id) == cancelled.as_ref());
            if let Some(at) = self.waiting.iter().position(is_it)
                && let Some(Frame::Message(Message::Request(request))) = self.waiting.remove(at)
            {
                let refusal = Refusal::new(ErrorCode::RequestCanceled, "the request was cancelled");
                self.session
                    .outbox
                    .push(Message::Response(response(request.id, Err(refusal))));
            }
            return;
        }
        self.waiting.push_back(frame);
    }

    fn request(&mut self, request: Request) -> std::io::Result<()> {
        let Request { id, method, params } = request;
        let answer = match (self.stage, method.as_str()) {
            (Stage::Unintroduced, "initialize") => {
                let answer = guarded(|| self.session.initialize(params));
                if answer.is_ok() {
                    self.stage = Stage::Speaking;
                }
                answer
            }
            (Stage::Unintroduced, _) => Err(Refusal::new(
                ErrorCode::ServerNotInitialized,
                format!("{method} came before initialize"),
            )),
            (_, "initialize") => Err(Refusal::new(
                ErrorCode::InvalidRequest,
                "this connection is initialized already",
            )),
            (Stage::Speaking, "shutdown") => {
                self.stage = Stage::ShutDown;
                Ok(Json::Null)
            }
            (Stage::Speaking, method) => guarded(|| self.session.request(method, params)),
            (Stage::ShutDown, method) => Err(Refusal::new(
                ErrorCode::InvalidRequest,
                format!("{method} came after shutdown"),
            )),
        };
        wire::write(&mut self.output, Message::Response(response(id, answer)))
    }

    fn notification(&mut self, told: Notification) {
        if self.stage != Stage::Speaking {
            return;
        }
        let method = told.method.clone();
        let taken = caught(|| self.session.notified(told));
        taken.unwrap_or_else(|panic| tracing::error!(method, panic, "a defect"));
    }

    /// Sends what the session has to say beside its answers.
    fn flush(&mut self) -> std::io::Result<()> {
        for message in std::mem::take(&mut self.session.outbox) {
            wire::write(&mut self.output, message)?;
        }
        Ok(())
    }
}

fn response(id: RequestId, answer: Answer) -> Response {
    let response_result = answer.map_err(|refusal| ResponseError {
        code: refusal.code as i32,
        message: refusal.message,
        data: None,
    });
    Response { id, response_result }
}

/// The answer, or an error when making it panicked: a defect ends one request, not the editor's session.
fn guarded(work: impl FnOnce() -> Answer) -> Answer {
    caught(work).unwrap_or_else(|panic| {
        let message = format!("this is a defect of host, please report it: {panic}");
        Err(Refusal::new(ErrorCode::InternalError, message))
    })
}

fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| words_of(&*panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_the_error_of_its_request() {
        let refusal = guarded(|| panic!("no {}", 1)).expect_err("it panicked");
        assert_eq!(refusal.code as i32, ErrorCode::InternalError as i32);
        assert_eq!(refusal.message, "this is a defect of host, please report it: no 1");
    }
}
