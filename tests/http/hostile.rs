//! Those who send what is malformed, too much, too slow, or meant for somebody else.

use std::time::{Duration, Instant};

use crate::binary::Binary;
use crate::client::{Client, ask};

/// The server lives and answers.
#[track_caller]
fn lives(server: &Binary) {
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn what_is_no_http_is_refused_and_the_server_lives() {
    let server = Binary::start("");
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: localhost\r\na b: c\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        b"POST /api/v1/runs HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
        b"POST /api/v1/runs HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\nZZ\r\n",
        b"GET /he\x00althz HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut client = Client::to(server.address);
        client.send(bytes);
        client.reader.get_ref().shutdown(std::net::Shutdown::Write).expect("half closed");
        if let Some(response) = client.receive() {
            assert!((400..500).contains(&response.status), "{bytes:?}: {response:?}");
        }
    }
    lives(&server);
}

#[test]
fn heads_that_are_too_large_or_too_many_are_refused() {
    let server = Binary::start("header_bytes_max = 8192\nheaders_max = 20");
    for head in [
        format!(
            "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n",
            "y".repeat(20_000)
        ),
        format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "y".repeat(20_000)),
        format!(
            "GET /healthz HTTP/1.1\r\nhost: localhost\r\n{}\r\n",
            "x: y\r\n".repeat(40)
        ),
    ] {
        let mut client = Client::to(server.address);
        client.send(&head);
        if let Some(response) = client.receive() {
            assert!(matches!(response.status, 414 | 431), "{response:?}");
        }
        assert!(client.is_closed());
    }
    server.get(&format!("/{}", "y".repeat(5000))).is(414, "PATH_TOO_LONG");
    lives(&server);
}

#[test]
fn whoever_is_slow_with_a_head_loses_the_connection_and_keeps_nobody_waiting() {
    let server = Binary::start("header_timeout = \"300ms\"");
    let begun = Instant::now();
    let mut slow: Vec<Client> = (0..50).map(|_| Client::to(server.address)).collect();
    for client in &mut slow {
        client.send("GET /healthz HTTP/1.1\r\nhost: loc");
    }
    lives(&server);
    for client in &mut slow {
        std::thread::sleep(Duration::from_millis(10));
        client.send("a");
    }
    for client in &mut slow {
        assert!(client.receive().is_none_or(|response| response.status == 408));
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    // Whoever says nothing at all.
    let mut silent = Client::to(server.address);
    assert!(silent.is_closed());
    lives(&server);
}

/// Large answers that cost little to make: what is between server and client holds some megabytes before anything stalls, and
/// a machine that is busy takes its time to make those of small ones.
#[test]
fn whoever_takes_nothing_of_the_answer_is_let_go() {
    let files = [("playbooks/large.rhai", "let text = \"\"; text.pad(400000, 'x'); text")];
    let server = Binary::with("write_timeout = \"300ms\"\nconnections_max = 2", &files);
    server.host(&["run", "large"]);
    let run = server.get("/api/v1/runs").data()["items"][0]["run_id"].clone();
    let large = format!(
        "GET /api/v1/runs/{} HTTP/1.1\r\nhost: localhost\r\n\r\n",
        run.as_str().expect("an id")
    );
    let mut greedy = Client::to(server.address);
    greedy
        .reader
        .get_ref()
        .set_write_timeout(Some(Duration::from_secs(2)))
        .expect("a limit");
    // Of sixty megabytes nothing is read.
    greedy.send(large.repeat(150));
    // Its place comes free: two others find one at the same time.
    let give_up_at = Instant::now() + Duration::from_secs(60);
    loop {
        let mut others: Vec<Client> = (0..2).map(|_| Client::to(server.address)).collect();
        let statuses = others.iter_mut().map(|client| {
            client.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
            client.receive().map_or(0, |response| response.status)
        });
        if statuses.collect::<Vec<_>>() == [200, 200] {
            return;
        }
        assert!(Instant::now() < give_up_at, "whoever takes nothing keeps the place");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn one_too_many_is_told_so_and_a_place_is_free_again_when_somebody_goes() {
    let server = Binary::start("connections_max = 4");
    let mut there: Vec<Client> = (0..4).map(|_| Client::to(server.address)).collect();
    for client in &mut there {
        client.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
        assert_eq!(client.receive().expect("an answer").status, 200);
    }
    let mut fifth = Client::to(server.address);
    let refused = fifth.receive().expect("an answer");
    assert_eq!((refused.status, refused.headers["retry-after"].as_str()), (503, "1"));
    drop(there);
    let give_up_at = Instant::now() + Duration::from_secs(5);
    while ask(server.address, "GET", "/healthz", &[], "").status != 200 {
        assert!(Instant::now() < give_up_at, "no place comes free");
    }
}

#[test]
fn requests_in_one_go_are_answered_in_order_and_a_connection_ends_after_so_many() {
    let server = Binary::start("requests_per_connection = 3");
    let mut client = Client::to(server.address);
    let one = |corr: &str| format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-correlation-id: {corr}\r\n\r\n");
    client.send(["a", "b", "c", "d"].map(one).concat());
    for corr in ["a", "b", "c"] {
        let response = client.receive().expect("an answer");
        assert_eq!(
            (response.status, response.headers["x-correlation-id"].as_str()),
            (200, corr)
        );
        assert_eq!(
            response.headers.get("connection").map(String::as_str),
            (corr == "c").then_some("close")
        );
    }
    assert!(client.receive().is_none());
}

#[test]
fn names_that_are_not_ours_are_not_answered() {
    let server = Binary::start("hosts = [\"host.example.com\"]");
    let named = |host: &str| {
        let mut client = Client::to(server.address);
        client.send(format!(
            "GET /status HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
        ));
        client.receive().expect("an answer")
    };
    for known in ["localhost", "127.0.0.1:80", "HOST.example.com:443", "[::1]"] {
        assert_eq!(named(known).status, 200, "{known}");
    }
    for strange in [
        "evil.example",
        "localhost.evil.example",
        "10.0.0.1",
        "127.0.0.1.evil.example",
    ] {
        named(strange).is(421, "HOST_UNKNOWN");
    }
    let mut client = Client::to(server.address);
    client.send("GET /status HTTP/1.1\r\nconnection: close\r\n\r\n");
    client.receive().expect("an answer").is(421, "HOST_UNKNOWN");
    client = Client::to(server.address);
    client.send("GET http://evil.example/status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    client.receive().expect("an answer").is(421, "HOST_UNKNOWN");
}

#[test]
fn paths_lead_nowhere_but_into_the_table() {
    let server = Binary::start("");
    for path in [
        "/",
        "/../host.toml",
        "/%2e%2e/host.toml",
        "/healthz/",
        "//healthz",
        "/api/v1/runs/",
        "/api/v1/runs/../../status",
        "/api/v1/../../host.toml",
        "/HEALTHZ",
        "/api/v1/runs/%ff",
        "/api/v1/runs/a%00b",
        "/api/v1/versions/0",
        "/api/v1/versions/99999999999999999999",
        "/api/v1/queues/..%2f..%2fetc%2fpasswd/jobs",
        "/api/v1/runs/%0d%0aset-cookie:%20a=b",
    ] {
        let refused = server.get(path);
        assert_eq!(refused.status, 404, "{path}: {refused:?}");
        refused.code();
        assert!(!refused.headers.contains_key("set-cookie"), "{refused:?}");
    }
}

#[test]
fn queries_are_what_the_table_says_or_refused() {
    let server = Binary::start("");
    for query in [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=1e3",
        "limit=",
        "limit=5&limit=6",
        "status=done",
        "unknown=1",
        "token=secret",
        "playbook=",
        "playbook=%ff",
        "playbook=a%0ab",
        "cursor=%00",
        &format!("playbook={}", "x".repeat(501)),
        &"a=1&".repeat(65),
    ] {
        let refused = server.get(&format!("/api/v1/runs?{query}"));
        refused.is(400, "QUERY_INVALID");
        assert!(!refused.json()["message"].to_string().contains("secret"), "{refused:?}");
    }
    server
        .get(&format!("/api/v1/runs?playbook={}", "x".repeat(9000)))
        .is(414, "PATH_TOO_LONG");
}

#[test]
fn those_who_vanish_leave_nothing_behind() {
    let server = Binary::start("");
    for at in 0..300 {
        let mut client = Client::to(server.address);
        match at % 3 {
            0 => client.send("GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n"),
            1 => client.send("GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n"),
            _ => client.send("POST /api/v1/runs HTTP/1.1\r\nhost: localhost\r\ncontent-length: 999\r\n\r\n{"),
        };
    }
    let give_up_at = Instant::now() + Duration::from_secs(25);
    loop {
        let http = server.get("/status").data()["http"].clone();
        if (http["connections"].as_u64(), http["streams"].as_u64()) == (Some(1), Some(0)) {
            break;
        }
        assert!(Instant::now() < give_up_at, "{http}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
