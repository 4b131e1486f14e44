//! Asks for a URL as long as all is well, so that somebody else notices when it is not.
//!
//! It has a thread of its own: whoever answers slowly, or not at all, keeps nothing waiting.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::beat::Beat;
use super::status::{Board, Problem};
use super::watchdog::LATE_MAX;
use crate::io::clock::Clock;
use crate::io::http::{HttpDoor, Method, Reach, Request};

/// How long an answer may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

pub struct Heartbeat {
    pub url: Url,
    pub every: Duration,
    pub clock: Arc<dyn Clock>,
    pub beat: Arc<Beat>,
    pub board: Arc<Board>,
}

impl Heartbeat {
    /// Asks until the host ends.
    pub fn run(self) {
        let mut reach = Reach::default();
        if let Err(error) = reach.allow_url(&self.url) {
            tracing::error!(%error, "[serve] heartbeat_url cannot be asked for");
            return;
        }
        let door = HttpDoor::new(reach);
        let mut failed = false;
        loop {
            if self.is_well() {
                let answered = self.ask(&door);
                if let (Err(reason), false) = (&answered, failed) {
                    tracing::warn!(%reason, "the heartbeat is not heard; this is said once");
                    self.board.problem(Problem {
                        at_ms: self.clock.unix_ms(),
                        what: "the heartbeat".to_owned(),
                        code: "HEARTBEAT".to_owned(),
                        message: reason.clone(),
                    });
                }
                if failed && answered.is_ok() {
                    tracing::info!("the heartbeat is heard again");
                }
                failed = answered.is_err();
            }
            if !self.beat.pause(self.every) {
                return;
            }
        }
    }

    fn is_well(&self) -> bool {
        self.beat.age(self.clock.monotonic()) < LATE_MAX && self.board.status().alarms.is_empty()
    }

    fn ask(&self, door: &HttpDoor) -> Result<(), String> {
        let request = Request::new(Method::Get, self.url.clone())
            .timeout(ANSWERS_WITHIN)
            .response_bytes_max(64 << 10);
        match door.send(request) {
            Ok(response) if response.is_success() => Ok(()),
            Ok(response) => Err(format!("it answered with status {}", response.status)),
            Err(fault) => Err(fault.to_string()),
        }
    }
}
