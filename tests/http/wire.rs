//! What HTTP leaves room for: requests that say two things, headers of answers, and what browsers are told.

use std::io::{BufRead, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use crate::binary::Binary;
use crate::client::{Client, Response, ask};

fn sent(server: &Binary, bytes: impl AsRef<[u8]>) -> Option<Response> {
    let mut client = Client::to(server.address);
    client.send(bytes);
    client.receive()
}

#[test]
fn a_request_that_could_be_read_in_two_ways_is_read_in_none() {
    let server = Binary::start("");
    let get = |lines: &str| {
        sent(
            &server,
            format!("GET /status HTTP/1.1\r\n{lines}connection: close\r\n\r\n"),
        )
    };
    let twice = get("host: localhost\r\nhost: localhost\r\n").expect("an answer");
    twice.is(400, "HOST_UNKNOWN");
    get("host: localhost\r\nhost: evil.example\r\n")
        .expect("an answer")
        .is(400, "HOST_UNKNOWN");
    let post = |lines: &str, body: &str| {
        let head = "POST /api/v1/events HTTP/1.1\r\nhost: localhost\r\n";
        sent(&server, format!("{head}{lines}\r\n{body}"))
    };
    for (lines, body) in [
        ("content-length: 3\r\ncontent-length: 4\r\n", "abcd"),
        ("content-length: 3, 4\r\n", "abcd"),
        ("content-length: +3\r\n", "abc"),
        ("content-length: 0x3\r\n", "abc"),
        ("content-length: 18446744073709551616\r\n", "abc"),
        ("transfer-encoding: gzip\r\n", "abc"),
        ("transfer-encoding: chunked, identity\r\n", "abc"),
    ] {
        let refused = post(lines, body);
        assert!(
            refused.as_ref().is_none_or(|refused| refused.status == 400),
            "{lines}: {refused:?}"
        );
    }
    // A length beside pieces does not count, and as RFC 9112 has it nothing that follows is believed.
    let mut client = Client::to(server.address);
    client.send(
        "POST /api/v1/session HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\ncontent-length: 40\r\n\r\n",
    );
    client.send("0\r\n\r\nGET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(client.receive().expect("an answer").status, 422);
    assert!(client.receive().is_none());
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn pieces_of_a_body_with_lengths_that_are_none_end_the_connection() {
    let server = Binary::start("body_timeout = \"500ms\"");
    for pieces in [
        "zz\r\nabc\r\n",
        "-1\r\n",
        "ffffffffffffffffff\r\n",
        "3\r\nabcdef\r\n0\r\n\r\n",
        "3",
        "\r\n\r\n",
    ] {
        let mut client = Client::to(server.address);
        client.send("POST /api/v1/session HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n");
        client.send(format!("transfer-encoding: chunked\r\n\r\n{pieces}"));
        if let Some(refused) = client.receive() {
            assert!(matches!(refused.status, 400 | 408), "{pieces:?}: {refused:?}");
            refused.code();
        }
        assert!(
            client.is_closed(),
            "{pieces:?}: what follows cannot be told from the body"
        );
    }
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn a_whole_address_in_the_request_is_taken_where_it_is_ours() {
    let server = Binary::start("");
    for (target, status) in [
        ("http://localhost/status", 200),
        ("http://127.0.0.1:1/status?x=1", 400),
        ("http://evil.example/status", 421),
        ("http://user:password@localhost/status", 200),
        ("ftp://localhost/status", 200),
        ("*", 404),
    ] {
        let answer = sent(
            &server,
            format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"),
        );
        assert_eq!(answer.expect("an answer").status, status, "{target}");
    }
    for line in [
        "CONNECT localhost:22 HTTP/1.1",
        "TRACE /status HTTP/1.1",
        "OPTIONS * HTTP/1.1",
    ] {
        let answer = sent(
            &server,
            format!("{line}\r\nhost: localhost\r\nconnection: close\r\n\r\n"),
        );
        let status = answer.map_or(400, |answer| answer.status);
        assert!(matches!(status, 400..=405), "{line}: {status}");
    }
}

#[test]
fn paths_are_not_tidied_and_texts_that_are_none_lead_nowhere() {
    let server = Binary::start("");
    for path in [
        "/api/v1//runs",
        "/api/v1/./runs",
        "/api/v1/x/../runs",
        "/api/v1/%2e%2e/v1/runs",
        "/api%2fv1%2fruns",
        "/api/v1/runs/%c0%ae%c0%ae",
        "/api/v1/runs/%e0%80%af",
        "/api/v1/runs/%ed%a0%80",
        "/api/v1/runs/%00",
        "/api/v1/runs/%",
        "/api/v1/runs/%zz",
        "/api/v1/playbooks/..%2f..%2fhost.toml",
        "/api/v1/playbooks/%2e%2e%2fhost.toml",
        "/api/v1/playbooks/a%00",
        "/healthz%00",
        "/healthz;x=1",
        "/status/",
    ] {
        let refused = server.get(path);
        assert_eq!(refused.status, 404, "{path}: {refused:?}");
        refused.code();
    }
}

#[test]
fn nothing_that_is_sent_becomes_a_header_of_the_answer() {
    let server = Binary::start("");
    let inject = "%0d%0aset-cookie:%20a=b%0d%0a";
    for path in [
        format!("/api/v1/runs/{inject}"),
        format!("/api/v1/runs?cursor={inject}"),
        format!("/api/v1/queues/{inject}/jobs"),
        format!("/{inject}"),
    ] {
        let answer = server.get(&path);
        assert!(
            answer.status >= 400 && !answer.headers.contains_key("set-cookie"),
            "{path}: {answer:?}"
        );
    }
    let corr = "a\tb; set-cookie: c=d";
    let answer = ask(server.address, "GET", "/healthz", &[("x-correlation-id", corr)], "");
    assert!(answer.headers["x-correlation-id"].starts_with("req_"), "{answer:?}");
    let twice = [("x-correlation-id", "one"), ("x-correlation-id", "two")];
    let answer = ask(server.address, "GET", "/healthz", &twice, "");
    assert_eq!(
        answer.json()["correlation_id"],
        answer.headers["x-correlation-id"].as_str()
    );
}

#[test]
fn browsers_are_told_that_nothing_here_is_for_other_pages_and_nothing_secret_is_to_be_kept() {
    let server = Binary::start("");
    let from = [
        ("origin", "https://evil.example"),
        ("access-control-request-method", "POST"),
    ];
    for (method, path) in [
        ("OPTIONS", "/api/v1/runs"),
        ("GET", "/status"),
        ("GET", "/healthz"),
        ("GET", "/nowhere"),
        ("POST", "/api/v1/session"),
        ("GET", "/admin/monitor"),
    ] {
        let answer = ask(server.address, method, path, &from, "");
        let opened = answer.headers.keys().find(|name| name.starts_with("access-control"));
        assert_eq!(opened, None, "{method} {path}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{method} {path}");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer", "{method} {path}");
        let policy = &answer.headers["content-security-policy"];
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(
            !answer.headers.contains_key("strict-transport-security"),
            "not without TLS"
        );
        assert!(!answer.headers.contains_key("server"), "nobody need know");
    }
    let kept = |method: &str, path: &str| ask(server.address, method, path, &[], "").headers["cache-control"].clone();
    for (method, path) in [
        ("GET", "/api/v1/session"),
        ("POST", "/api/v1/session"),
        ("POST", "/api/v1/tokens"),
        ("GET", "/api/v1/tokens"),
        ("GET", "/metrics"),
        ("GET", "/healthz"),
        ("GET", "/nowhere"),
    ] {
        assert_eq!(kept(method, path), "no-store", "{method} {path}");
    }
    assert_eq!(kept("GET", "/api/v1/runs"), "private, no-cache");
}

#[test]
fn whatever_is_polled_has_a_tag_that_holds_while_nothing_changes() {
    let server = Binary::with(
        "",
        &[(
            "playbooks/one.rhai",
            "const PLAYBOOK = #{ schedule: \"0 7 1 1 *\" };\n1",
        )],
    );
    server.host(&["run", "one"]);
    let run = server.get("/api/v1/runs").data()["items"][0]["run_id"].clone();
    let run = run.as_str().expect("an id").to_owned();
    for path in [
        "/api/v1/runs".to_owned(),
        format!("/api/v1/runs/{run}"),
        format!("/api/v1/runs/{run}/journal"),
        format!("/api/v1/runs/{run}/why"),
        "/api/v1/playbooks".to_owned(),
        "/api/v1/playbooks/one".to_owned(),
        "/api/v1/questions".to_owned(),
        "/api/v1/ticks".to_owned(),
        "/api/v1/ticks/planned".to_owned(),
        "/api/v1/queues".to_owned(),
        "/api/v1/incidents".to_owned(),
        "/api/v1/versions".to_owned(),
        "/api/v1/versions/1".to_owned(),
        "/api/v1/pauses".to_owned(),
        "/openapi.json".to_owned(),
    ] {
        let first = server.get(&path);
        let tag = first.headers.get("etag").unwrap_or_else(|| panic!("{path}: {first:?}"));
        assert!(tag.starts_with("W/\""), "{path}: {tag}");
        for known in [tag.clone(), format!("\"other\", {tag}"), "*".to_owned()] {
            for method in ["GET", "HEAD"] {
                let again = ask(server.address, method, &path, &[("if-none-match", &known)], "");
                assert_eq!((again.status, again.body.len()), (304, 0), "{method} {path} {known}");
                assert_eq!(again.headers["etag"], *tag, "{path}");
                assert!(again.headers.contains_key("x-correlation-id"));
            }
        }
        let other = ask(server.address, "GET", &path, &[("if-none-match", "\"other\"")], "");
        assert_eq!(other.status, 200, "{path}");
    }
    let tag = |path: &str| server.get(path).headers["etag"].clone();
    let before = ["/api/v1/playbooks", "/api/v1/pauses", "/api/v1/ticks/planned"].map(tag);
    server.host(&["pause", "one"]);
    let after = ["/api/v1/playbooks", "/api/v1/pauses", "/api/v1/ticks/planned"].map(tag);
    for (before, after) in before.iter().zip(&after) {
        assert_ne!(before, after, "a pause is seen by those who poll");
    }
}

#[test]
fn whoever_has_said_all_and_listens_on_is_no_worse_than_gone() {
    let server = Binary::start("header_timeout = \"1s\"");
    for request in [
        "GET /status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        "GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "POST /api/v1/session HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{",
    ] {
        let mut client = Client::to(server.address);
        client.send(request);
        client.reader.get_ref().shutdown(Shutdown::Write).expect("half closed");
        assert!(client.is_closed(), "{request}");
    }
    let give_up_at = Instant::now() + Duration::from_secs(20);
    loop {
        let http = server.get("/status").data()["http"].clone();
        if (http["connections"].as_u64(), http["streams"].as_u64()) == (Some(1), Some(0)) {
            return;
        }
        assert!(Instant::now() < give_up_at, "{http}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn whoever_sends_far_too_much_still_hears_why_it_is_refused() {
    let server = Binary::start("");
    let mut megabyte = vec![b'x'; 1 << 20];
    for round in 0..20 {
        let mut client = Client::to(server.address);
        let length = 16 << 20;
        client.send(format!(
            "POST /api/v1/session HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        ));
        for _ in 0..16 {
            // Who is cut off while he sends, as proxies are, tells of that and not of the answer.
            let taken = client.reader.get_mut().write_all(&megabyte);
            taken.unwrap_or_else(|error| panic!("round {round}: {error}"));
        }
        let refused = client.receive();
        assert_eq!(refused.map(|refused| refused.status), Some(413), "round {round}");
        assert!(client.is_closed());
    }
    // Not for ever: who goes on and on is let go.
    let mut client = Client::to(server.address);
    client.send("POST /api/v1/session HTTP/1.1\r\nhost: localhost\r\ncontent-length: 999999999999\r\n\r\n");
    let begun = Instant::now();
    megabyte.truncate(1000);
    while client.reader.get_ref().write_all(&megabyte).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it is read on and on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The head and the body of an answer whose connection ends with it, its pieces put together.
fn whole(server: &Binary, path: &str, lines: &str) -> (String, Vec<u8>) {
    let mut client = Client::to(server.address);
    client.send(format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{lines}\r\n"
    ));
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        client.reader.read_line(&mut head).expect("a head");
    }
    let mut body = Vec::new();
    while head.contains("transfer-encoding: chunked") {
        let length = client.line();
        let length = usize::from_str_radix(&length, 16).expect("a length");
        let at = body.len();
        body.resize(at + length, 0);
        client.reader.read_exact(&mut body[at..]).expect("a piece");
        client.line();
        if length == 0 {
            return (head, body);
        }
    }
    client.reader.read_to_end(&mut body).expect("a body");
    (head, body)
}

#[test]
fn long_pages_come_compressed_to_who_takes_that_and_nothing_that_is_one_persons_does() {
    let server = Binary::with("", &[("playbooks/one.rhai", "1")]);
    let (head, plain) = whole(&server, "/openapi.json", "");
    assert!(!head.contains("content-encoding"), "{head}");
    let (head, packed) = whole(&server, "/openapi.json", "accept-encoding: br, gzip\r\n");
    assert!(
        head.contains("content-encoding: gzip") && head.contains("vary: accept-encoding"),
        "{head}"
    );
    assert!(packed.len() * 4 < plain.len(), "{} of {}", packed.len(), plain.len());
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&*packed)
        .read_to_end(&mut unpacked)
        .expect("gzip");
    assert_eq!(unpacked, plain);
    for path in ["/metrics", "/admin/monitor"] {
        let (head, _) = whole(&server, path, "accept-encoding: gzip\r\n");
        assert!(head.contains("content-encoding: gzip"), "{path}: {head}");
    }
    // What somebody else may have a part in writing, beside what is secret, would tell by its length what it is.
    for path in ["/api/v1/runs", "/status", "/api/v1/playbooks", "/api/v1/session"] {
        let (head, _) = whole(&server, path, "accept-encoding: gzip\r\n");
        assert!(!head.contains("content-encoding"), "{path}: {head}");
    }
}
