//! Many at once: what answers while everything else is taken, and what those cost who only listen.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use axum::http::Method;
use host::http::routes::{Doors, Found, Handler, Needs, Takes};
use host::http::{Answer, Server};
use serde_json::{Map, Value};

use crate::binary::Binary;
use crate::client::{Client, Response, ask};
use crate::inside::Inside;

/// The threads of a server, as `[server]` has it where nothing is said.
const THREADS: usize = 16;

/// A route that answers nobody until it is told to.
#[derive(Default)]
struct Stuck {
    there: Mutex<(usize, bool)>,
    moved: Condvar,
}

impl Stuck {
    fn wait(&self) {
        let mut there = self.there.lock().expect("no panic");
        there.0 += 1;
        self.moved.notify_all();
        while !there.1 {
            there = self.moved.wait(there).expect("no panic");
        }
    }

    fn until(&self, count: usize) {
        let there = self.there.lock().expect("no panic");
        let waited = self
            .moved
            .wait_timeout_while(there, Duration::from_secs(20), |there| there.0 < count);
        assert!(!waited.expect("no panic").1.timed_out(), "they do not come");
    }

    fn let_go(&self) {
        self.there.lock().expect("no panic").1 = true;
        self.moved.notify_all();
    }
}

struct Door(Arc<Stuck>);

impl Doors for Door {
    fn at(&self, _: &Server, path: &str) -> Vec<(Method, Found)> {
        let stuck = self.0.clone();
        let found = Found {
            name: Arc::from("stuck"),
            needs: Needs::Nobody,
            query: None,
            body: Takes::Nothing,
            params: BTreeMap::new(),
            quota: None,
            playbook: None,
            handle: Handler::Made(Arc::new(move |_, _| {
                stuck.wait();
                Ok(Answer::text("at last"))
            })),
        };
        if path == "/stuck" {
            vec![(Method::GET, found)]
        } else {
            Vec::new()
        }
    }

    fn paths(&self, _: &Server) -> Map<String, Value> {
        Map::new()
    }
}

#[test]
fn while_every_thread_is_taken_the_server_still_says_how_it_is() {
    let stuck = Arc::new(Stuck::default());
    let host = Inside::with(&[], Some(Arc::new(Door(stuck.clone()))));
    let mut taken: Vec<Client> = (0..THREADS).map(|_| Client::to(host.address)).collect();
    for client in &mut taken {
        client.send("GET /stuck HTTP/1.1\r\nhost: localhost\r\n\r\n");
    }
    stuck.until(THREADS);
    // Nobody waits for those any more, and their threads are taken all the same.
    for client in &mut taken {
        client.receive().expect("an answer").is(503, "REQUEST_TIMEOUT");
    }
    let get = |path: &str| ask(host.address, "GET", path, &[("role", "viewer")], "");
    get("/api/v1/runs").is(503, "REQUEST_TIMEOUT");
    for path in ["/healthz", "/readyz", "/status", "/metrics", "/admin/monitor"] {
        let answer = get(path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    stuck.let_go();
    let give_up_at = Instant::now() + Duration::from_secs(20);
    while get("/api/v1/runs").status != 200 {
        assert!(Instant::now() < give_up_at, "no thread comes free");
    }
}

/// Waits for a line with `words`; every fifteen seconds in which nothing is told the server says that it is there.
#[track_caller]
fn hears(client: &mut Client, words: &str) {
    let mut silences = 0;
    loop {
        let line = client.line();
        if line.contains(words) {
            return;
        }
        silences += u8::from(line == ": there");
        assert!(silences < 4, "{words} is not told");
    }
}

/// Bytes of memory that a process holds.
fn resident(pid: u32) -> u64 {
    let pages = std::fs::read_to_string(format!("/proc/{pid}/statm")).expect("a process");
    let pages: u64 = pages.split(' ').nth(1).expect("a field").parse().expect("a number");
    pages * 4096
}

#[test]
fn hundreds_who_listen_all_hear_and_cost_little_each() {
    const LISTENERS: u64 = 400;
    let server = Binary::start("");
    let before = resident(server.pid());
    let mut listeners: Vec<Client> = (0..LISTENERS).map(|_| Client::to(server.address)).collect();
    for client in &mut listeners {
        client.send("GET /api/v1/events?about=event HTTP/1.1\r\nhost: localhost\r\n\r\n");
    }
    for client in &mut listeners {
        while client.line() != "retry: 2000" {}
    }
    assert_eq!(server.get("/status").data()["http"]["streams"], LISTENERS);
    server.host(&["emit", "go"]);
    for client in &mut listeners {
        hears(client, "\"name\":\"go\"");
    }
    // 1,000 of them are to fit into 60 MB.
    let grown = resident(server.pid()).saturating_sub(before);
    assert!(grown / LISTENERS < 60_000, "{} bytes each", grown / LISTENERS);
    drop(listeners);
    let give_up_at = Instant::now() + Duration::from_secs(20);
    while server.get("/status").data()["http"]["streams"] != 0 {
        assert!(Instant::now() < give_up_at, "they are not missed");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn who_asks_for_news_after_an_id_of_another_past_is_told_that_there_is_a_gap() {
    let server = Binary::with("", &[("playbooks/one.rhai", "1")]);
    server.host(&["run", "one"]);
    let first = |last: &str| {
        let mut client = Client::to(server.address);
        client.send(format!(
            "GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\nlast-event-id: {last}\r\n\r\n"
        ));
        while client.line() != "retry: 2000" {}
        loop {
            let line = client.line();
            // What is said when nothing is told.
            assert_ne!(line, ": there", "nothing is told of what came after {last}");
            if let Some(event) = line.strip_prefix("event: ") {
                return event.to_owned();
            }
        }
    };
    assert_eq!(first("18446744073709551615-0"), "gap");
    assert_ne!(first("0-0"), "gap", "all that has been is remembered");
}

#[test]
fn probes_and_pages_hold_while_many_ask_at_once() {
    let server = Binary::with("", &[("playbooks/one.rhai", "1")]);
    let asked: Vec<Response> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..24)
            .map(|at| {
                let server = &server;
                scope.spawn(move || {
                    let path = ["/metrics", "/status", "/admin/monitor", "/api/v1/runs"][at % 4];
                    (0..5).map(|_| server.get(path)).collect::<Vec<_>>()
                })
            })
            .collect();
        for _ in 0..20 {
            for path in ["/healthz", "/readyz"] {
                assert_eq!(server.get(path).status, 200, "{path}");
            }
        }
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("no panic"))
            .collect()
    });
    assert!(asked.iter().all(|answer| answer.status == 200), "{asked:?}");
}
