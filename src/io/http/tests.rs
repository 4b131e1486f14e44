//! The door against a real server on the loopback.
#![expect(clippy::disallowed_methods, reason = "tests look at sockets and the clock")]

use std::io::Read;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::testing::HttpStub;

/// "hello", packed.
const HELLO_GZIP: &str = "1f8b0800000000000203cb48cdc9c9070086a6103605000000";

/// 200,000 zeros, packed into 229 bytes.
const BOMB_GZIP: &str = concat!(
    "1f8b0800000000000203edc13101000000c2a0f54f6d067fa000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    "00000000000000000000000000000000000080d7007b58e05c400d0300",
);

/// A door to each of these stubs, and to nothing else.
fn door(stubs: &[&HttpStub]) -> HttpDoor {
    let hosts: Vec<String> = stubs.iter().map(|stub| stub.host()).collect();
    HttpDoor::new(Reach::parse(&hosts).expect("hosts"))
}

fn door_to(hosts: &[&str]) -> HttpDoor {
    HttpDoor::new(Reach::parse(hosts).expect("hosts"))
}

fn request(method: Method, url: &str) -> Request {
    Request::new(method, url.parse().expect("a URL")).timeout(Duration::from_secs(20))
}

fn get(stub: &HttpStub, path: &str) -> Request {
    request(Method::Get, &stub.url(path))
}

fn post(stub: &HttpStub, path: &str) -> Request {
    request(Method::Post, &stub.url(path)).body("hello").redirects_max(0)
}

fn packed(text: &str) -> Vec<u8> {
    hex::decode(text).expect("hex")
}

/// Code and certainty of the fault that `request` must meet.
fn fault(door: &HttpDoor, request: Request) -> (&'static str, Sent) {
    match door.send(request) {
        Ok(response) => panic!("an answer of status {}, {:?}", response.status, response.text()),
        Err(fault) => (fault.code(), fault.sent()),
    }
}

#[test]
fn a_request_arrives_as_it_was_made_and_its_answer_comes_back_as_it_was_given() {
    let stub = HttpStub::start();
    stub.on("POST", "/posts").header("X-Id", "7").answer(201, r#"{"id":7}"#);
    let response = door(&[&stub])
        .send(
            post(&stub, "/posts?draft=1")
                .header("X-Title", "grün")
                .secret_header("X-Token", "key"),
        )
        .expect("an answer");

    assert_eq!((response.status, response.text().as_ref()), (201, r#"{"id":7}"#));
    assert!(response.is_success());
    assert!(
        response.headers.contains(&("x-id".to_owned(), "7".to_owned())),
        "{:?}",
        response.headers
    );
    assert_eq!(response.url.as_str(), stub.url("/posts?draft=1"));

    let seen = &stub.requests()[0];
    assert_eq!(
        (seen.method.as_str(), seen.query.as_str(), seen.text().as_str()),
        ("POST", "draft=1", "hello")
    );
    assert_eq!(
        (seen.header("x-title"), seen.header("x-token")),
        (Some("grün"), Some("key"))
    );
    assert_eq!(
        seen.header("user-agent"),
        Some(concat!("host/", env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn every_method_is_sent_by_its_name() {
    use Method::*;
    let stub = HttpStub::start();
    let door = door(&[&stub]);
    for method in [Get, Head, Options, Post, Put, Patch, Delete] {
        let (bytes_max, expected) = if method == Head { (0, "") } else { (4, "four") };
        stub.on(method.as_str(), "/x").answer(200, "four");
        let request = request(method, &stub.url("/x")).response_bytes_max(bytes_max);
        assert_eq!(door.send(request).expect("an answer").text(), expected, "{method}");
        assert_eq!(stub.count(method.as_str(), "/x"), 1);
    }
}

#[test]
fn a_status_of_failure_is_an_answer_that_may_say_when_to_come_back() {
    let stub = HttpStub::start();
    stub.on("GET", "/x").once().too_many(7);
    stub.on("GET", "/x").answer(503, "down");
    let door = door(&[&stub]);
    let first = door.send(get(&stub, "/x")).expect("an answer");
    assert_eq!(
        (first.status, first.retry_after(0)),
        (429, Some(Duration::from_secs(7)))
    );
    let second = door.send(get(&stub, "/x")).expect("an answer");
    assert_eq!(
        (second.status, second.text().as_ref(), second.is_success()),
        (503, "down", false)
    );
    assert_eq!(stub.requests().len(), 2, "the door tries nothing again by itself");
}

#[test]
fn a_shut_door_asks_nobody_and_says_why() {
    let stub = HttpStub::start();
    let door = HttpDoor::shut("a replay answers from the journal");
    let fault = door.send(get(&stub, "/x")).expect_err("a shut door");
    assert_eq!((fault.code(), fault.sent()), ("HTTP_SHUT", Sent::No));
    assert!(fault.to_string().contains("a replay answers"), "{fault}");
    assert_eq!(stub.connections(), 0);
}

#[test]
fn what_is_refused_beforehand_makes_no_connection() {
    let stub = HttpStub::start();
    let port = stub.port();
    for (hosts, url, code) in [
        (vec!["example.com"], stub.url("/"), "HTTP_NOT_ALLOWED"),
        (vec!["*"], stub.url("/"), "HTTP_PRIVATE_ADDRESS"),
        (
            vec!["*"],
            format!("http://[::ffff:127.0.0.1]:{port}/"),
            "HTTP_PRIVATE_ADDRESS",
        ),
        (vec!["*"], format!("http://2130706433:{port}/"), "HTTP_PRIVATE_ADDRESS"),
        (vec!["*"], format!("http://user:key@127.0.0.1:{port}/"), "HTTP_BAD_URL"),
        (vec!["*"], "gopher://127.0.0.1/".to_owned(), "HTTP_BAD_URL"),
    ] {
        assert_eq!(
            fault(&door_to(&hosts), request(Method::Post, &url)),
            (code, Sent::No),
            "{url}"
        );
    }
    let smuggling = get(&stub, "/").header("Host", "internal.example");
    assert_eq!(fault(&door(&[&stub]), smuggling), ("HTTP_BAD_REQUEST", Sent::No));
    assert_eq!(stub.connections(), 0);
}

#[test]
fn a_name_that_resolves_to_this_machine_is_refused_unless_it_is_listed_itself() {
    let stub = HttpStub::start();
    stub.on("GET", "/x").answer(200, "inside");
    let url = format!("http://localhost:{}/x", stub.port());
    for hosts in [
        vec!["*".to_owned()],
        vec!["*".to_owned(), stub.host(), format!("localhost:{}", stub.port() ^ 1)],
    ] {
        let door = HttpDoor::new(Reach::parse(&hosts).expect("hosts"));
        assert_eq!(
            fault(&door, request(Method::Get, &url)),
            ("HTTP_PRIVATE_ADDRESS", Sent::No),
            "{hosts:?}"
        );
    }
    assert_eq!(stub.connections(), 0);

    let door = door_to(&["*", &format!("localhost:{}", stub.port())]);
    assert_eq!(
        door.send(request(Method::Get, &url)).expect("an answer").text(),
        "inside"
    );
}

#[test]
fn a_name_without_an_address_is_certainly_not_asked() {
    let request = request(Method::Post, "http://no-such-host.invalid/");
    assert_eq!(fault(&door_to(&["*"]), request), ("HTTP_DNS", Sent::No));
}

#[test]
fn a_refused_connection_has_certainly_sent_nothing() {
    let nobody = HttpStub::nobody();
    let request = request(Method::Post, &nobody.url("/"));
    assert_eq!(fault(&door_to(&[&nobody.host()]), request), ("HTTP_CONNECT", Sent::No));
}

#[test]
fn a_failed_tls_handshake_has_certainly_sent_nothing() {
    let plain = HttpStub::start();
    let door = door(&[&plain]);
    let url = format!("https://{}/", plain.host());
    assert_eq!(
        fault(&door, request(Method::Post, &url).body("hello")),
        ("HTTP_TLS", Sent::No)
    );
    assert_eq!(plain.requests(), []);

    let (address, closing) = closes_after(1);
    let door = door_to(&[&address]);
    assert_eq!(
        fault(&door, request(Method::Post, &format!("https://{address}/"))),
        ("HTTP_TLS", Sent::No)
    );
    closing.join().expect("the server");
}

#[test]
fn giving_up_while_still_connecting_has_certainly_sent_nothing() {
    // Takes the connection, and never says a word of TLS.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("an address").to_string();
    let request = request(Method::Post, &format!("https://{address}/")).timeout(Duration::from_millis(300));
    let fault = door_to(&[&address]).send(request).expect_err("no answer");
    // Reading the roots may fail where none are installed; that is as certain.
    assert!(matches!(fault.code(), "HTTP_CONNECT" | "HTTP_TLS"), "{fault}");
    assert_eq!(fault.sent(), Sent::No);
}

#[test]
fn an_answer_that_never_comes_leaves_the_request_in_doubt() {
    let stub = HttpStub::start();
    stub.on("POST", "/x").never();
    let start = Instant::now();
    let request = post(&stub, "/x").timeout(Duration::from_millis(150));
    assert_eq!(fault(&door(&[&stub]), request), ("HTTP_TIMEOUT", Sent::Maybe));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(stub.count("POST", "/x"), 1);
}

#[test]
fn the_time_limit_covers_the_last_byte_of_the_body() {
    let stub = HttpStub::start();
    stub.on("GET", "/x")
        .drip(1, Duration::from_millis(40), "a very slow answer");
    let request = get(&stub, "/x").timeout(Duration::from_millis(200));
    assert_eq!(fault(&door(&[&stub]), request), ("HTTP_TIMEOUT", Sent::Maybe));
}

#[test]
fn a_late_answer_within_the_limit_is_an_answer() {
    let stub = HttpStub::start();
    stub.on("GET", "/x")
        .after(Duration::from_millis(50))
        .answer(200, "late");
    assert_eq!(door(&[&stub]).send(get(&stub, "/x")).expect("an answer").text(), "late");
}

#[test]
fn a_post_whose_connection_is_cut_is_in_doubt_and_never_repeated() {
    let stub = HttpStub::start();
    stub.on("POST", "/x").cut();
    assert_eq!(fault(&door(&[&stub]), post(&stub, "/x")), ("HTTP_CUT", Sent::Maybe));
    assert_eq!(stub.count("POST", "/x"), 1);
}

/// A connection that was used before is where clients are tempted: it may have been stale, so they try a fresh one.
/// When it is free again is not ours to say, so the test goes on until one was used twice.
#[test]
fn a_post_cut_on_a_connection_used_before_is_not_repeated_either() {
    let stub = HttpStub::start();
    stub.on("GET", "/warm").answer(200, "");
    stub.on("POST", "/x").cut();
    let door = door(&[&stub]);
    for posts in 1..=50 {
        door.send(get(&stub, "/warm")).expect("an answer");
        assert_eq!(fault(&door, post(&stub, "/x")), ("HTTP_CUT", Sent::Maybe));
        assert_eq!(stub.count("POST", "/x"), posts);
        let [.., warm, cut] = &stub.requests()[..] else {
            panic!("two requests were made")
        };
        if warm.connection == cut.connection {
            return;
        }
    }
    panic!("no connection was used twice");
}

#[test]
fn an_answer_cut_midway_or_no_answer_at_all_is_a_cut() {
    let stub = HttpStub::start();
    stub.on("POST", "/half").cut_after(5, "hello world");
    stub.on("POST", "/noise").raw("220 mail.example ESMTP\r\n");
    stub.on("POST", "/status").raw("HTTP/1.1 abc\r\n\r\n");
    stub.on("POST", "/lengths")
        .raw("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab");
    stub.on("POST", "/gzip")
        .header("content-encoding", "gzip")
        .answer(200, "not gzip");
    let door = door(&[&stub]);
    for path in ["/half", "/noise", "/status", "/lengths", "/gzip"] {
        assert_eq!(fault(&door, post(&stub, path)), ("HTTP_CUT", Sent::Maybe), "{path}");
        assert_eq!(stub.count("POST", path), 1, "{path}");
    }
}

#[test]
fn a_body_may_be_as_large_as_the_limit_and_not_a_byte_more() {
    let stub = HttpStub::start();
    stub.on("GET", "/x").answer(200, vec![b'x'; 1000]);
    let door = door(&[&stub]);
    let send = |bytes_max| door.send(get(&stub, "/x").response_bytes_max(bytes_max));
    assert_eq!(send(1000).expect("an answer").body.len(), 1000);
    let fault = send(999).expect_err("too large");
    assert_eq!((fault.code(), fault.sent()), ("HTTP_TOO_LARGE", Sent::Maybe));
    assert!(fault.to_string().contains("999"), "{fault}");
}

#[test]
fn an_endless_body_is_left_at_the_limit() {
    let stub = HttpStub::start();
    stub.on("GET", "/x").endless(u64::MAX);
    let request = get(&stub, "/x").response_bytes_max(100_000);
    assert_eq!(fault(&door(&[&stub]), request), ("HTTP_TOO_LARGE", Sent::Maybe));
}

#[test]
fn a_packed_body_is_unpacked_and_the_limit_holds_for_what_it_unpacks_to() {
    let stub = HttpStub::start();
    stub.on("GET", "/hello")
        .header("content-encoding", "gzip")
        .answer(200, packed(HELLO_GZIP));
    stub.on("GET", "/bomb")
        .header("content-encoding", "gzip")
        .answer(200, packed(BOMB_GZIP));
    let door = door(&[&stub]);
    assert_eq!(door.send(get(&stub, "/hello")).expect("an answer").text(), "hello");
    assert_eq!(stub.requests()[0].header("accept-encoding"), Some("gzip"));

    let bomb = get(&stub, "/bomb");
    assert_eq!(door.send(bomb.clone()).expect("an answer").body.len(), 200_000);
    assert_eq!(
        fault(&door, bomb.response_bytes_max(199_999)),
        ("HTTP_TOO_LARGE", Sent::Maybe)
    );
}

/// Servers announce the packing of a body that does not come: to HEAD, and with 204 and 304.
#[test]
fn an_answer_without_a_body_needs_no_unpacking() {
    let stub = HttpStub::start();
    stub.on("HEAD", "/x")
        .header("content-encoding", "gzip")
        .answer(200, packed(HELLO_GZIP));
    stub.on("GET", "/304")
        .raw("HTTP/1.1 304 Not Modified\r\nconnection: close\r\ncontent-encoding: gzip\r\n\r\n");
    stub.on("GET", "/204")
        .raw("HTTP/1.1 204 No Content\r\nconnection: close\r\ncontent-encoding: gzip\r\n\r\n");
    stub.on("GET", "/200").header("content-encoding", "gzip").status(200);
    let door = door(&[&stub]);
    assert_eq!(
        door.send(request(Method::Head, &stub.url("/x")))
            .expect("an answer")
            .status,
        200
    );
    for status in [304, 204, 200] {
        let response = door.send(get(&stub, &format!("/{status}"))).expect("an answer");
        assert_eq!((response.status, response.body.len()), (status, 0));
    }
}

#[test]
fn headers_are_limited_in_number_and_in_size() {
    let stub = HttpStub::start();
    let head = |lines: String| format!("HTTP/1.1 200 OK\r\n{lines}connection: close\r\ncontent-length: 0\r\n\r\n");
    stub.on("GET", "/fits").raw(head("x: y\r\n".repeat(90)));
    stub.on("GET", "/many").raw(head("x: y\r\n".repeat(101)));
    stub.on("GET", "/large")
        .raw(head(format!("x: {}\r\n", "y".repeat(70_000))));
    stub.on("GET", "/huge")
        .raw(format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(10_000_000)));
    let door = door(&[&stub]);
    assert_eq!(door.send(get(&stub, "/fits")).expect("an answer").headers.len(), 92);
    for path in ["/many", "/large", "/huge"] {
        assert_eq!(
            fault(&door, get(&stub, path)),
            ("HTTP_TOO_LARGE", Sent::Maybe),
            "{path}"
        );
    }
}

#[test]
fn redirects_are_followed_up_to_their_number() {
    let stub = HttpStub::start();
    stub.on("GET", "/a").redirect(302, "b?x=1");
    stub.on("GET", "/b").redirect(308, "/c");
    stub.on("GET", "/c").answer(200, "there");
    let door = door(&[&stub]);
    let response = door.send(get(&stub, "/a").redirects_max(2)).expect("an answer");
    assert_eq!(
        (response.text().as_ref(), response.url.as_str()),
        ("there", stub.url("/c").as_str())
    );
    assert_eq!(stub.requests()[1].query, "x=1");
    assert_eq!(
        fault(&door, get(&stub, "/a").redirects_max(1)),
        ("HTTP_REDIRECT", Sent::Maybe)
    );

    let unfollowed = door.send(get(&stub, "/a").redirects_max(0)).expect("an answer");
    assert_eq!((unfollowed.status, unfollowed.header("location")), (302, Some("b?x=1")));
}

#[test]
fn a_redirect_loop_and_a_redirect_to_nowhere_end() {
    let stub = HttpStub::start();
    stub.on("GET", "/loop").redirect(302, "/loop");
    stub.on("GET", "/nowhere").redirect(302, "https://[");
    stub.on("GET", "/file").redirect(302, "file:///etc/passwd");
    stub.on("GET", "/still").answer(302, "no location");
    let door = door(&[&stub]);
    assert_eq!(fault(&door, get(&stub, "/loop")), ("HTTP_REDIRECT", Sent::Maybe));
    assert_eq!(stub.count("GET", "/loop"), usize::from(request::REDIRECTS_DEFAULT) + 1);
    assert_eq!(fault(&door, get(&stub, "/nowhere")), ("HTTP_REDIRECT", Sent::Maybe));
    assert_eq!(fault(&door, get(&stub, "/file")), ("HTTP_BAD_URL", Sent::Maybe));
    assert_eq!(door.send(get(&stub, "/still")).expect("an answer").status, 302);
}

#[test]
fn each_redirect_is_checked_like_a_request_of_its_own() {
    let outer = HttpStub::start();
    let inner = HttpStub::start();
    let door = door_to(&["*", &outer.host()]);
    for (target, code) in [
        (inner.url("/admin"), "HTTP_PRIVATE_ADDRESS"),
        (
            format!("http://localhost:{}/admin", inner.port()),
            "HTTP_PRIVATE_ADDRESS",
        ),
        (
            format!("http://[::ffff:127.0.0.1]:{}/admin", inner.port()),
            "HTTP_PRIVATE_ADDRESS",
        ),
        (
            "http://169.254.169.254/latest/meta-data".to_owned(),
            "HTTP_PRIVATE_ADDRESS",
        ),
        (format!("http://user:key@{}/", outer.host()), "HTTP_BAD_URL"),
    ] {
        outer.on("POST", "/x").once().redirect(307, &target);
        // The server that redirected has seen the request, so nothing is certain any more.
        let request = post(&outer, "/x").redirects_max(3);
        assert_eq!(fault(&door, request), (code, Sent::Maybe), "{target}");
    }
    assert_eq!(inner.connections(), 0);

    let narrow = door_to(&[&outer.host()]);
    outer.on("GET", "/x").redirect(302, &inner.url("/admin"));
    assert_eq!(fault(&narrow, get(&outer, "/x")), ("HTTP_NOT_ALLOWED", Sent::Maybe));
}

#[test]
fn a_redirect_to_another_host_takes_no_secret_along() {
    let first = HttpStub::start();
    let second = HttpStub::start();
    first.on("GET", "/x").redirect(302, &second.url("/y"));
    second.on("GET", "/y").answer(200, "there");
    let request = get(&first, "/x")
        .header("Accept", "text/plain")
        .header("Authorization", "Bearer key")
        .header("Cookie", "id=1")
        .secret_header("X-Token", "key");
    assert_eq!(
        door(&[&first, &second]).send(request).expect("an answer").text(),
        "there"
    );

    let sent = |stub: &HttpStub, name: &str| stub.requests()[0].header(name).is_some();
    for name in ["authorization", "cookie", "x-token"] {
        assert_eq!((sent(&first, name), sent(&second, name)), (true, false), "{name}");
    }
    assert_eq!(second.requests()[0].header("accept"), Some("text/plain"));
    assert_eq!(second.requests()[0].header("referer"), None);
}

#[test]
fn a_redirect_keeps_or_drops_the_body_as_its_status_says() {
    let stub = HttpStub::start();
    stub.on("POST", "/keep").redirect(307, "/new");
    stub.on("POST", "/drop").redirect(303, "/new");
    stub.on("POST", "/new").answer(200, "posted");
    stub.on("GET", "/new").answer(200, "got");
    let door = door(&[&stub]);
    assert_eq!(
        door.send(post(&stub, "/keep").redirects_max(1))
            .expect("an answer")
            .text(),
        "posted"
    );
    assert_eq!(
        door.send(post(&stub, "/drop").redirects_max(1))
            .expect("an answer")
            .text(),
        "got"
    );
    let bodies: Vec<String> = stub.requests().iter().map(|request| request.text()).collect();
    assert_eq!(bodies, ["hello", "hello", "hello", ""]);
}

#[test]
fn the_time_limit_covers_all_redirects_together() {
    let stub = HttpStub::start();
    stub.on("GET", "/x")
        .after(Duration::from_millis(60))
        .redirect(302, "/x");
    let request = get(&stub, "/x").redirects_max(255).timeout(Duration::from_millis(200));
    assert_eq!(fault(&door(&[&stub]), request), ("HTTP_TIMEOUT", Sent::Maybe));
}

#[test]
fn no_cookie_is_kept_and_no_proxy_is_asked() {
    let stub = HttpStub::start();
    stub.on("GET", "/x")
        .header("set-cookie", "id=1; path=/")
        .answer(200, "");
    let door = door(&[&stub]);
    for _ in 0..2 {
        door.send(get(&stub, "/x")).expect("an answer");
    }
    assert!(stub.requests().iter().all(|request| request.header("cookie").is_none()));
}

#[test]
fn many_threads_share_one_door() {
    let stub = HttpStub::start();
    stub.on("GET", "/*")
        .answer_with(|request| crate::testing::http_stub::Answer::new(200, request.path.clone()));
    let door = door(&[&stub]);
    thread::scope(|scope| {
        for worker in 0..8 {
            let (door, stub) = (door.clone(), &stub);
            scope.spawn(move || {
                for n in 0..10 {
                    let path = format!("/{worker}/{n}");
                    assert_eq!(door.send(get(stub, &path)).expect("an answer").text(), path);
                }
            });
        }
    });
    assert_eq!(stub.requests().len(), 80);
    assert!(
        stub.connections() <= 16,
        "{} connections for 8 threads",
        stub.connections()
    );
}

#[test]
fn messages_and_faults_name_the_host_and_nothing_of_path_or_query() {
    let stub = HttpStub::start();
    stub.on("POST", "/hook/s3cret").cut();
    stub.on("GET", "/hook/s3cret")
        .redirect(302, "http://10.0.0.1/s3cret?key=s3cret");
    let nobody = HttpStub::nobody();
    let door = door_to(&[&stub.host(), &nobody.host()]);
    let requests = [
        post(&stub, "/hook/s3cret?key=s3cret").secret_header("X-Token", "s3cret"),
        get(&stub, "/hook/s3cret?key=s3cret"),
        request(Method::Get, &nobody.url("/hook/s3cret")),
    ];
    for request in requests {
        let fault = door.send(request).expect_err("a fault");
        let text = format!("{fault} {fault:?}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}

/// A peer that closes early may have done nothing, but nobody can know.
#[test]
fn a_connection_closed_before_a_word_is_in_doubt() {
    let (address, closing) = closes_after(1);
    let door = door_to(&[&address]);
    assert_eq!(
        fault(&door, request(Method::Post, &format!("http://{address}/"))),
        ("HTTP_CUT", Sent::Maybe)
    );
    closing.join().expect("the server");
}

/// A server that reads so many bytes of its only connection and closes it, with its address.
fn closes_after(bytes: usize) -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let closing = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.read_exact(&mut vec![0; bytes]).expect("the first bytes");
    });
    (address, closing)
}
