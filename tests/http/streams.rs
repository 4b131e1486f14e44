//! Being told what happens, and going on after being cut off.

use serde_json::Value;

use crate::binary::Binary;
use crate::client::Client;

/// Somebody who listens.
struct Listener(Client);

#[derive(Debug)]
struct Message {
    id: String,
    event: String,
    data: Value,
}

impl Listener {
    fn to(server: &Binary, query: &str, last: Option<&str>) -> Listener {
        let mut client = Client::to(server.address);
        let last = last
            .map(|last| format!("last-event-id: {last}\r\n"))
            .unwrap_or_default();
        client.send(format!(
            "GET /api/v1/events{query} HTTP/1.1\r\nhost: localhost\r\n{last}\r\n"
        ));
        assert_eq!(client.line(), "HTTP/1.1 200 OK");
        let mut kind = String::new();
        loop {
            match client.line() {
                line if line.is_empty() => break,
                line if line.starts_with("content-type: ") => kind = line,
                _ => {}
            }
        }
        assert_eq!(kind, "content-type: text/event-stream");
        let mut listener = Listener(client);
        // It listens from here on.
        while listener.line() != "retry: 2000" {}
        listener
    }

    /// A line of the stream, without what carries it in pieces.
    fn line(&mut self) -> String {
        loop {
            let line = self.0.line();
            let is_length = !line.is_empty() && line.len() < 5 && line.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !is_length {
                return line;
            }
        }
    }

    fn next(&mut self) -> Message {
        let mut message = Message {
            id: String::new(),
            event: String::new(),
            data: Value::Null,
        };
        let mut silences = 0;
        loop {
            let line = self.line();
            match line.split_once(": ") {
                // What is said when nothing is told, every fifteen seconds.
                Some(("", _)) => silences += 1,
                Some(("id", id)) => message.id = id.to_owned(),
                Some(("event", event)) => message.event = event.to_owned(),
                Some(("data", data)) => {
                    message.data = serde_json::from_str(data).expect("JSON");
                    return message;
                }
                _ => {}
            }
            assert!(silences < 4, "nothing is told");
        }
    }

    /// The next message that is so.
    fn until(&mut self, is_it: impl Fn(&Message) -> bool) -> Message {
        for _ in 0..100 {
            let message = self.next();
            if is_it(&message) {
                return message;
            }
        }
        panic!("it is not told");
    }
}

fn is_end(message: &Message) -> bool {
    message.event == "run" && message.data["status"] == "succeeded"
}

#[test]
fn who_listens_is_told_how_runs_go() {
    let server = Binary::with("", &[("playbooks/one.rhai", "kv::put(\"a\", 1)")]);
    let mut all = Listener::to(&server, "", None);
    let mut events = Listener::to(&server, "?about=event", None);
    server.host(&["run", "one"]);
    let told = all.until(is_end);
    assert_eq!(
        (told.data["playbook"].as_str(), told.data["effects"].as_u64()),
        (Some("one"), Some(1))
    );
    server.host(&["emit", "go"]);
    let told = events.next();
    assert_eq!((told.event.as_str(), told.data["name"].as_str()), ("event", Some("go")));
    server.host(&["pause", "one"]);
    let told = all.until(|message| message.event == "pause");
    assert_eq!(
        (told.data["name"].as_str(), told.data["paused"].as_bool()),
        (Some("one"), Some(true))
    );
}

#[test]
fn who_was_cut_off_hears_what_came_meanwhile_and_nothing_twice() {
    let server = Binary::with("", &[("playbooks/one.rhai", "1"), ("playbooks/two.rhai", "2")]);
    let mut first = Listener::to(&server, "", None);
    server.host(&["run", "one"]);
    let last = first.until(is_end);
    drop(first);
    server.host(&["run", "two"]);
    let mut again = Listener::to(&server, "", Some(&last.id));
    let told = again.next();
    assert_eq!(told.data["playbook"], "two", "{told:?}");
    let end = if is_end(&told) { told } else { again.until(is_end) };
    server.host(&["run", "one"]);
    let told = again.next();
    assert_eq!(told.data["playbook"], "one", "{told:?} after {end:?}");
    assert_ne!(told.data["run_id"], last.data["run_id"]);
}

#[test]
fn after_a_restart_the_rows_say_what_came_meanwhile() {
    let server = Binary::with("", &[("playbooks/one.rhai", "1"), ("playbooks/two.rhai", "2")]);
    let mut first = Listener::to(&server, "", None);
    server.host(&["run", "one"]);
    let last = first.until(is_end);
    server.term();
    let folder = server.ended();
    let status = crate::binary::command(&folder, &["run", "two"])
        .output()
        .expect("it runs")
        .status;
    assert!(status.success());
    let server = Binary::again(folder);
    let mut again = Listener::to(&server, "?about=run", Some(&last.id));
    let told = again.until(is_end);
    let told = match told.data["playbook"].as_str() {
        Some("one") => again.until(is_end),
        _ => told,
    };
    assert_eq!(told.data["playbook"], "two", "{told:?}");
}

#[test]
fn ids_that_nobody_gave_are_refused_and_there_is_a_limit_on_listeners() {
    let server = Binary::start("streams_max = 2");
    for bad in ["x", "1", "1-", "-1", "1-2-3", "99999999999999999999-0", "+1-0"] {
        let mut client = Client::to(server.address);
        client.send(format!(
            "GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\nlast-event-id: {bad}\r\nconnection: close\r\n\r\n"
        ));
        client.receive().expect("an answer").is(400, "EVENT_ID_INVALID");
    }
    let listeners = [Listener::to(&server, "", None), Listener::to(&server, "", None)];
    server.get("/api/v1/events").is(503, "STREAMS_FULL");
    drop(listeners);
    let give_up_at = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while server.get("/status").data()["http"]["streams"] != 0 {
        assert!(std::time::Instant::now() < give_up_at, "no place comes free");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
