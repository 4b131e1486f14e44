//! Asks for a URL as long as all is well, so that somebody else notices when it is not.
//!
//! It has a thread of its own: whoever answers slowly, or not at all, keeps nothing waiting.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::beat::Beat;
use super::status::{Board, Problem};
use super::watchdog::LATE_MAX;
use crate::app::App;
use crate::config::ConfigError;
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

/// Which URL is to be asked for how often, if any.
pub fn wanted(app: &App) -> Result<Option<(Url, Duration)>, ConfigError> {
    let settings = &app.config.file.serve;
    if settings.heartbeat_url.is_empty() {
        return Ok(None);
    }
    let url = settings.heartbeat_url.parse().map_err(|error| ConfigError::Value {
        key: "[serve] heartbeat_url".to_owned(),
        reason: format!("{:?} is no URL: {error}", settings.heartbeat_url),
    })?;
    let every = app
        .config
        .duration("[serve] heartbeat_every", &settings.heartbeat_every)?;
    Ok(Some((url, every.max(Duration::from_secs(1)))))
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
                if answered.is_ok() {
                    self.beat.heard(self.clock.unix_ms());
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

#[cfg(test)]
mod tests {
    use super::super::status::{Alarm, Status};
    use super::*;
    use crate::testing::{HttpStub, TestHost};

    fn heartbeat(host: &TestHost, stub: &HttpStub) -> Heartbeat {
        Heartbeat {
            url: format!("http://{}/beat", stub.host()).parse().unwrap(),
            every: Duration::from_millis(10),
            clock: host.clock.clone(),
            beat: Arc::default(),
            board: Arc::new(Board::new(host.ground.store.clone(), Status::default())),
        }
    }

    /// Lets it run until it has asked so often, or for a while.
    fn asked(heartbeat: Heartbeat, stub: &HttpStub, often: usize) -> usize {
        let beat = heartbeat.beat.clone();
        let thread = std::thread::spawn(move || heartbeat.run());
        for _ in 0..if often == 0 { 20 } else { 1000 } {
            if often > 0 && stub.requests().len() >= often {
                break;
            }
            beat.pause(Duration::from_millis(10));
        }
        beat.end();
        thread.join().unwrap();
        stub.requests().len()
    }

    #[test]
    fn it_is_heard_as_long_as_all_is_well() {
        let (host, stub) = (TestHost::default(), HttpStub::start());
        stub.on("GET", "/beat").status(200);
        let heartbeat = heartbeat(&host, &stub);
        let board = heartbeat.board.clone();
        assert!(asked(heartbeat, &stub, 3) >= 3);
        assert!(board.status().problems.is_empty());
    }

    #[test]
    fn it_is_silent_while_there_is_an_alarm_or_the_loop_does_not_turn() {
        let (host, stub) = (TestHost::default(), HttpStub::start());
        stub.on("GET", "/beat").status(200);
        let alarmed = heartbeat(&host, &stub);
        let alarm = Alarm {
            since_ms: 0,
            what: "no fate".to_owned(),
        };
        alarmed.board.change(|status| status.alarms = vec![alarm]);
        assert_eq!(asked(alarmed, &stub, 0), 0);
        let stalled = heartbeat(&host, &stub);
        host.clock.advance(LATE_MAX);
        assert_eq!(asked(stalled, &stub, 0), 0);
    }

    #[test]
    fn an_answer_that_is_none_is_told_once() {
        let (host, stub) = (TestHost::default(), HttpStub::start());
        stub.on("GET", "/beat").status(500);
        let heartbeat = heartbeat(&host, &stub);
        let board = heartbeat.board.clone();
        assert!(asked(heartbeat, &stub, 3) >= 3);
        let problems = board.status().problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(
            (problems[0].code.as_str(), problems[0].message.as_str()),
            ("HEARTBEAT", "it answered with status 500")
        );
    }
}
