//! Beginning, probes, what every answer has, and the end.

use std::time::Duration;

use crate::binary::{Binary, command};
use crate::client::{Client, ask};

#[test]
fn what_everybody_may_ask_is_answered_in_the_envelope_with_a_correlation_id() {
    let server = Binary::start("");
    let health = server.get("/healthz");
    assert_eq!((health.status, health.data()["status"].as_str()), (200, Some("ok")));
    assert_eq!(server.get("/readyz").data()["status"], "ready");
    let named = ask(
        server.address,
        "GET",
        "/healthz",
        &[("X-Correlation-Id", "vid_1-2.3")],
        "",
    );
    assert_eq!(named.headers["x-correlation-id"], "vid_1-2.3");
    assert_eq!(named.json()["correlation_id"], "vid_1-2.3");
    for bad in ["a b", &"x".repeat(65), "é", "<script>"] {
        let named = ask(server.address, "GET", "/healthz", &[("x-correlation-id", bad)], "");
        assert!(
            named.headers["x-correlation-id"].starts_with("req_"),
            "{bad}: {named:?}"
        );
    }
    for header in ["content-security-policy", "x-content-type-options", "cache-control"] {
        assert!(health.headers.contains_key(header), "{header}: {health:?}");
    }
}

#[test]
fn status_comes_as_json_or_as_text_and_known_answers_are_not_sent_again() {
    let server = Binary::with("", &[("playbooks/one.rhai", "1")]);
    let data = server.get("/status").data();
    assert_eq!(
        (data["live"].as_bool(), data["pid"].as_u64()),
        (Some(false), Some(server.pid().into()))
    );
    let text = ask(server.address, "GET", "/status", &[("accept", "text/plain")], "");
    let text = String::from_utf8(text.body).expect("text");
    assert!(
        text.starts_with(&format!("running  process {}  DRY\n", server.pid())),
        "{text}"
    );
    let first = server.get("/api/v1/runs");
    let tag = first.headers["etag"].clone();
    let again = ask(server.address, "GET", "/api/v1/runs", &[("if-none-match", &tag)], "");
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.headers["etag"], tag);
    server.host(&["run", "one"]);
    let changed = ask(server.address, "GET", "/api/v1/runs", &[("if-none-match", &tag)], "");
    assert_eq!(changed.status, 200);
    assert_ne!(changed.headers["etag"], tag);
}

#[test]
fn methods_that_a_path_does_not_take_are_named() {
    let server = Binary::start("");
    for (method, path, allow) in [
        ("DELETE", "/status", "GET, HEAD, OPTIONS"),
        ("POST", "/healthz", "GET, HEAD, OPTIONS"),
        ("GET", "/api/v1/runs/x/cancel", "POST, OPTIONS"),
        ("PUT", "/api/v1/runs", "GET, POST, HEAD, OPTIONS"),
        ("BREW", "/api/v1/runs", "GET, POST, HEAD, OPTIONS"),
    ] {
        let refused = ask(server.address, method, path, &[], "");
        refused.is(405, "METHOD_NOT_ALLOWED");
        assert_eq!(refused.headers["allow"], allow, "{method} {path}");
    }
    let options = ask(server.address, "OPTIONS", "/api/v1/runs", &[], "");
    assert_eq!(
        (options.status, options.headers["allow"].as_str()),
        (204, "GET, POST, HEAD, OPTIONS")
    );
    let (head, get) = (
        ask(server.address, "HEAD", "/openapi.json", &[], ""),
        server.get("/openapi.json"),
    );
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.headers["content-length"], get.body.len().to_string());
}

#[test]
fn without_open_reads_nobody_is_let_in_but_probes() {
    let server = Binary::start("");
    let folder = {
        server.term();
        server.ended()
    };
    std::fs::write(folder.path().join("host.toml"), "[server]\nlisten = \"127.0.0.1:0\"\n").expect("a file");
    let server = Binary::again(folder);
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.get("/readyz").status, 200);
    for path in [
        "/status",
        "/openapi.json",
        "/api/v1/runs",
        "/api/v1/events",
        "/api/v1/runs/x",
    ] {
        let refused = server.get(path);
        refused.is(401, "UNAUTHENTICATED");
        assert!(refused.headers["www-authenticate"].starts_with("Bearer"), "{refused:?}");
    }
}

#[test]
fn others_cannot_be_let_in_while_nobody_could_show_who_they_are() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let refused = |settings: &str| {
        std::fs::write(folder.path().join("host.toml"), format!("[server]\n{settings}\n")).expect("a file");
        let output = command(&folder, &["serve"]).output().expect("it runs");
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).expect("text")
    };
    for (settings, code) in [
        ("listen = \"0.0.0.0:0\"", "SERVER_WIDE"),
        ("listen = \"0.0.0.0:0\"\nopen_reads = true", "CONFIG"),
        ("listen = \"host.example.com:7070\"", "CONFIG"),
        ("listen = \"127.0.0.1:0\"\nthreads = 0", "CONFIG"),
        ("listen = \"127.0.0.1:0\"\ntls_cert = \"x\"", "CONFIG"),
        (
            "listen = \"127.0.0.1:0\"\ntls_cert = \"x\"\ntls_key = \"y\"",
            "SERVER_TLS",
        ),
        ("listen = \"127.0.0.1:0\"\nrequest_timeout = \"2h\"", "CONFIG"),
        ("listen = \"127.0.0.1:0\"\nbody_max = 3", "CONFIG"),
    ] {
        let said = refused(settings);
        assert!(said.contains(code), "{settings}: {said}");
    }
}

#[test]
fn a_port_that_is_taken_is_said() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let folder = tempfile::TempDir::new().expect("a folder");
    let address = taken.local_addr().expect("its address");
    std::fs::write(
        folder.path().join("host.toml"),
        format!("[server]\nlisten = \"{address}\"\n"),
    )
    .expect("a file");
    let output = command(&folder, &["serve"]).output().expect("it runs");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(
        said.contains("SERVER_LISTEN") && said.contains(&address.to_string()),
        "{said}"
    );
}

#[test]
fn a_server_that_stops_answers_what_was_asked_and_closes_streams() {
    let server = Binary::start("");
    let status = server.host(&["status"]);
    assert!(
        status.contains(&format!("http     http://{}", server.address)),
        "{status}"
    );
    let mut stream = Client::to(server.address);
    stream.send("GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(stream.line(), "HTTP/1.1 200 OK");
    let mut idle = Client::to(server.address);
    idle.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(idle.receive().expect("an answer").status, 200);
    let begun = std::time::Instant::now();
    server.term();
    drop(server.ended());
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(stream.is_closed() && idle.is_closed());
}

/// What the server has answered stood on the page alone: a rule over it never held, without a word.
#[test]
fn rules_look_at_what_the_server_itself_has_answered() {
    let rule = "[monitors.web]\nwhen = \"host_http_connections >= 0\"\nseverity = \"info\"\n";
    let server = crate::watched::Watched::start(rule, &[], &[]);
    let state = || server.host(&["monitors", "list", "--json"]);
    server.wait("the rule holds", || state().contains("\"firing\""));
}

#[test]
fn a_level_of_the_log_that_there_is_not_is_told_and_the_preset_stands() {
    let env = [("LOG_LEVEL", "info,hyper_util=trace"), ("LOG_FORMAT", "xml")];
    let mut server = crate::watched::Watched::start("", &[], &env);
    crate::client::ask(server.address, "GET", "/healthz", &[], "");
    server.stop();
    let log = server.log();
    assert!(
        log.contains("LOG_LEVEL is none of off, error, warn, info, debug, trace"),
        "{log}"
    );
    assert!(log.contains("LOG_FORMAT is neither text nor json"), "{log}");
    assert!(log.contains(" INFO ") && !log.contains("TRACE"), "{log}");
}
