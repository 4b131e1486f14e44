//! A server on the loopback that counts what landed, and whose answers get lost.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::chance::Chance;

/// The most that is read of one request.
const REQUEST_BYTES_MAX: usize = 64 << 10;

#[derive(Default)]
struct State {
    /// How often each write was carried out, by its label.
    landed: BTreeMap<String, u32>,
    /// The write that each key was used for.
    keys: BTreeMap<String, String>,
    chance: Chance,
}

/// The server; it goes on until the tests are over.
#[derive(Clone)]
pub struct Counting {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// A request, as far as it matters.
struct Asked {
    method: String,
    path: String,
    key: Option<String>,
    label: Option<String>,
}

impl Counting {
    pub fn start(seed: u64) -> Counting {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback has a free port");
        let server = Counting {
            address: listener.local_addr().expect("it is bound"),
            state: Arc::default(),
        };
        server.lock().chance = Chance::new(seed);
        let serving = server.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let server = serving.clone();
                std::thread::spawn(move || server.serve(connection));
            }
        });
        server
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often each write landed.
    pub fn landed(&self) -> BTreeMap<String, u32> {
        self.lock().landed.clone()
    }

    /// One request, then the connection is closed.
    fn serve(&self, mut connection: TcpStream) {
        let Some(asked) = read(&mut connection) else { return };
        let (fate, before_ms, after_ms) = {
            let chance = &mut self.lock().chance;
            (chance.below(20), chance.below(12), chance.below(12))
        };
        std::thread::sleep(Duration::from_millis(before_ms));
        if fate == 0 {
            // It gets lost on the way.
            return;
        }
        let body = self.carry_out(&asked);
        std::thread::sleep(Duration::from_millis(after_ms));
        if fate > 2 {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length:";
            // A caller that was killed does not read its answer.
            drop(connection.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()));
        }
    }

    fn carry_out(&self, asked: &Asked) -> String {
        let mut state = self.lock();
        let Some(label) = asked.label.clone().filter(|_| asked.method == "POST") else {
            let key = asked
                .path
                .rsplit_once("key=")
                .map_or("", |(_, key)| key)
                .replace("%2D", "-");
            return match state.keys.get(&key) {
                Some(label) => format!("{{\"items\":[{{\"id\":\"{label}\"}}]}}"),
                None => "{\"items\":[]}".to_owned(),
            };
        };
        let is_known = asked.key.as_ref().is_some_and(|key| state.keys.contains_key(key));
        if let Some(key) = &asked.key {
            let used_for = state.keys.entry(key.clone()).or_insert_with(|| label.clone());
            assert_eq!(*used_for, label, "one key for two writes");
        }
        // `tagged` stores the key for look-ups only.
        if !is_known || !asked.path.starts_with("/keyed/") {
            *state.landed.entry(label.clone()).or_default() += 1;
        }
        format!("{{\"id\":\"{label}\"}}")
    }
}

/// Reads a request whole; `None` when it never becomes whole.
fn read(connection: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let length = connection.read(&mut piece).ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(&piece[..length]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let header = |name: &str| {
                let mut lines = head.lines().filter_map(|line| line.split_once(": "));
                lines
                    .find(|(present, _)| present.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.to_owned())
            };
            let wanted = header("content-length").map_or(0, |length| length.parse().unwrap_or(0));
            if body.len() >= wanted {
                let mut words = head.split(' ');
                let json = serde_json::from_str::<serde_json::Value>(body).ok();
                return Some(Asked {
                    method: words.next()?.to_owned(),
                    path: words.next()?.to_owned(),
                    key: header("idempotency-key"),
                    label: json.and_then(|json| json.get("text")?.as_str().map(str::to_owned)),
                });
            }
        }
        if bytes.len() > REQUEST_BYTES_MAX {
            return None;
        }
    }
}
