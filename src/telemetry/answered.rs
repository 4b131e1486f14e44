//! What becomes of a request that brings somebody figures or news: its status says whether they were taken.
//!
//! *Invariant:* once there is a status, nothing of the body changes it. Whoever took a message and then says too much, or does
//! not come to an end with it, is not told the same again.

use std::ops::ControlFlow;

use crate::io::http::{HttpDoor, HttpFault, Request, Response, Taking};

/// What is kept of an answer's body.
const BODY_BYTES_MAX: usize = 64 << 10;

#[derive(Default)]
struct Heard {
    head: Option<Response>,
    body: Vec<u8>,
}

impl Taking for Heard {
    fn begin(&mut self, head: &Response) -> bool {
        self.head = Some(head.clone());
        true
    }

    fn take(&mut self, piece: &[u8]) -> ControlFlow<()> {
        let room = BODY_BYTES_MAX - self.body.len();
        self.body.extend_from_slice(&piece[..piece.len().min(room)]);
        match piece.len() > room {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

/// Sends `request`, which goes nowhere else than it says; what is answered has the beginning of its body.
pub fn send(door: &HttpDoor, request: Request) -> Result<Response, HttpFault> {
    let mut heard = Heard::default();
    let sent = door.send_into(request.redirects_max(0), &mut heard);
    match (sent, heard.head) {
        (Ok(head), _) | (Err(_), Some(head)) => Ok(Response {
            body: heard.body,
            ..head
        }),
        (Err(fault), None) => Err(fault),
    }
}
