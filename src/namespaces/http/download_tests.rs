//! Downloads from a server on the loopback that cuts, lies and changes its mind.
#![expect(clippy::disallowed_methods, reason = "tests look at the files that runs leave")]

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{READS, WRITES};
use crate::id::ContentHash;
use crate::testing::http_stub::{Answer, Recorded};
use crate::testing::{HttpStub, TestHost, TestRun};
use crate::value::Value;

const BODY: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

fn live(stub: &HttpStub) -> TestHost {
    TestHost::default().host(&stub.host()).live(READS).live(WRITES)
}

fn fetched(host: &TestHost, stub: &HttpStub, options: &str) -> TestRun {
    host.run(&format!(
        r#"http::download("{}", #{{ {options} }})"#,
        stub.url("/clip.mp4?sig=1")
    ))
}

/// The bytes of the file that the run has fetched.
fn file(host: &TestHost, run: &TestRun) -> Vec<u8> {
    let name = run.value().get("name").and_then(Value::as_str).unwrap().to_owned();
    let folder = host.folder().join("runs").join(run.id().to_string());
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left there");
    fs::read(folder.join(name)).unwrap()
}

/// The first answer breaks off after ten bytes.
fn cut_once(stub: &HttpStub, etag: &str) {
    let answer = stub.on("GET", "/clip.mp4").once();
    answer.header("etag", etag).cut_after(10, BODY);
}

/// Answers as a server does that knows ranges.
fn ranged(request: &Recorded, body: &[u8], etag: &str) -> Answer {
    let from = request.header("range").and_then(|range| {
        let is_same = request.header("if-range") == Some(etag);
        range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse::<usize>()
            .ok()
            .filter(|_| is_same)
    });
    match from {
        None => Answer::new(200, body).header("etag", etag),
        Some(from) if from >= body.len() => {
            Answer::new(416, "").header("content-range", &format!("bytes */{}", body.len()))
        }
        Some(from) => {
            let range = format!("bytes {from}-{}/{}", body.len() - 1, body.len());
            Answer::new(206, &body[from..])
                .header("etag", etag)
                .header("content-range", &range)
        }
    }
}

#[test]
fn a_file_is_fetched_kept_under_its_hash_and_replayed_without_network() {
    let stub = HttpStub::start();
    stub.on("GET", "/clip.mp4")
        .header("content-type", "video/mp4")
        .answer(200, BODY);
    let host = live(&stub);
    let run = fetched(&host, &stub, "");
    let sha256 = ContentHash::of(BODY).to_string();
    let field = |name: &str| run.value().get(name).cloned().unwrap();
    assert_eq!((field("name"), field("sha256")), ("clip.mp4".into(), sha256.into()));
    assert_eq!((field("bytes"), field("resumed_at")), (Value::Int(36), Value::Int(0)));
    assert_eq!(file(&host, &run), BODY);
    assert_eq!(stub.requests()[0].header("accept-encoding"), Some("identity"));
    assert_eq!(stub.count("GET", "/clip.mp4"), 1);
}

#[test]
fn a_download_that_was_cut_goes_on_where_it_stopped() {
    let stub = HttpStub::start();
    cut_once(&stub, "\"1\"");
    stub.on("GET", "/clip.mp4")
        .answer_with(|request| ranged(request, BODY, "\"1\""));
    let host = live(&stub);
    let run = fetched(&host, &stub, "");
    assert_eq!(file(&host, &run), BODY);
    assert_eq!(run.value().get("resumed_at"), Some(&Value::Int(10)));
    let asked = &stub.requests()[1];
    assert_eq!(
        (asked.header("range"), asked.header("if-range")),
        (Some("bytes=10-"), Some("\"1\""))
    );
}

#[test]
fn a_file_that_changed_in_between_is_never_put_together_out_of_two() {
    for second in ["200", "206", "416"] {
        let stub = HttpStub::start();
        cut_once(&stub, "\"1\"");
        let other = b"ZYXWVUTSRQPONMLKJIHGFEDCBA".as_slice();
        let asked = Arc::new(AtomicUsize::new(0));
        stub.on("GET", "/clip.mp4").answer_with(move |request| {
            let is_first = asked.fetch_add(1, Ordering::SeqCst) == 0;
            match second {
                // A server that does not heed If-Range.
                "206" if is_first => Answer::new(206, &other[10..])
                    .header("etag", "\"2\"")
                    .header("content-range", "bytes 10-25/26"),
                "416" if is_first => Answer::new(416, "").header("content-range", "bytes */5"),
                _ => ranged(request, other, "\"2\""),
            }
        });
        let host = live(&stub);
        let run = fetched(&host, &stub, "");
        assert_eq!(file(&host, &run), other, "{second}");
    }
}

#[test]
fn a_server_that_sends_the_wrong_range_is_asked_anew() {
    let stub = HttpStub::start();
    cut_once(&stub, "\"1\"");
    stub.on("GET", "/clip.mp4")
        .once()
        .header("etag", "\"1\"")
        .header("content-range", "bytes 5-35/36")
        .answer(206, &BODY[5..]);
    stub.on("GET", "/clip.mp4").answer(200, BODY);
    let host = live(&stub);
    let run = fetched(&host, &stub, "");
    assert_eq!(file(&host, &run), BODY);
    assert_eq!(stub.requests()[2].header("range"), None);
}

#[test]
fn without_a_strong_validator_it_begins_anew() {
    let stub = HttpStub::start();
    cut_once(&stub, "W/\"1\"");
    stub.on("GET", "/clip.mp4").answer(200, BODY);
    let host = live(&stub);
    let run = fetched(&host, &stub, "");
    assert_eq!(file(&host, &run), BODY);
    assert_eq!(stub.requests()[1].header("range"), None);
}

#[test]
fn a_stalled_download_is_given_up_and_goes_on() {
    let stub = HttpStub::start();
    stub.on("GET", "/clip.mp4")
        .once()
        .header("etag", "\"1\"")
        .drip(12, Duration::from_millis(400), BODY);
    stub.on("GET", "/clip.mp4")
        .answer_with(|request| ranged(request, BODY, "\"1\""));
    let host = live(&stub);
    let run = fetched(&host, &stub, r#"stall: 0.15"#);
    assert_eq!(file(&host, &run), BODY);
    let attempts = &run.recorded.steps[&1].attempts;
    assert!(format!("{attempts:?}").contains("HTTP_STALLED"), "{attempts:?}");
}

#[test]
fn a_lying_length_is_found_out() {
    let stub = HttpStub::start();
    let raw = "HTTP/1.1 200 OK\r\ncontent-length: 20\r\nconnection: close\r\n\r\nshort";
    stub.on("GET", "/clip.mp4").raw(raw);
    let host = live(&stub);
    let run = fetched(&host, &stub, "");
    assert_eq!(run.failure().code, "HTTP_CUT");
    assert_eq!(stub.count("GET", "/clip.mp4"), 8);
}

#[test]
fn what_is_too_large_or_has_another_hash_is_thrown_away() {
    let stub = HttpStub::start();
    stub.on("GET", "/clip.mp4").answer(200, BODY);
    stub.on("GET", "/endless").endless(10 << 20);
    let host = live(&stub);
    let left = |run: &TestRun| {
        let folder = host.folder().join("runs").join(run.id().to_string());
        fs::read_dir(folder).map_or(0, Iterator::count)
    };
    let run = fetched(&host, &stub, "max_bytes: 35");
    assert_eq!((run.failure().code.as_str(), left(&run)), ("HTTP_TOO_LARGE", 0));
    let url = stub.url("/endless");
    let run = host.run(&format!(r#"http::download("{url}", #{{ max_bytes: 100000 }})"#));
    assert_eq!((run.failure().code.as_str(), left(&run)), ("HTTP_TOO_LARGE", 0));
    let other = ContentHash::of(b"other").to_string();
    let run = fetched(&host, &stub, &format!(r#"sha256: "{other}""#));
    assert_eq!((run.failure().code.as_str(), left(&run)), ("DOWNLOAD_CHECKSUM", 0));
    let right = ContentHash::of(BODY).to_string().to_uppercase();
    let run = fetched(&host, &stub, &format!(r#"sha256: "{right}", name: "raw.mp4""#));
    assert_eq!(run.value().get("name"), Some(&Value::from("raw.mp4")));
    assert_eq!(
        fetched(&host, &stub, r#"name: "../x""#).failure().code,
        "MEDIA_NAME_INVALID"
    );
    assert_eq!(fetched(&host, &stub, r#"sha256: "abc""#).failure().code, "BAD_OPTION");
}

#[test]
fn a_refusal_is_no_file() {
    let stub = HttpStub::start();
    stub.on("GET", "/clip.mp4").answer(403, "no");
    let run = fetched(&live(&stub), &stub, "");
    assert_eq!(
        (run.failure().code.as_str(), run.failure().status),
        ("HTTP_STATUS", Some(403))
    );
    let run = fetched(&TestHost::default(), &stub, "");
    assert_eq!(run.value().get("simulated"), Some(&Value::Bool(true)));
}

#[test]
fn a_form_with_files_arrives_as_servers_read_it() {
    let stub = HttpStub::start();
    stub.on("POST", "/upload").answer(200, "{}");
    stub.on("GET", "/clip.mp4").answer(200, BODY);
    let host = live(&stub).file("inbox/cover.png", [0x89, b'P', 0, 255]);
    let run = host.run(&format!(
        r#"
        let clip = http::download("{}");
        http::post("{}", (), #{{ multipart: [
            #{{ name: "title", value: "Three habits" }},
            #{{ name: "meta", value: #{{ n: 1 }}, content_type: "application/json" }},
            #{{ name: "cover", path: "inbox/cover.png", filename: "c\"over.png" }},
            #{{ name: "clip", path: clip }},
        ] }}).status"#,
        stub.url("/clip.mp4"),
        stub.url("/upload"),
    ));
    assert_eq!(run.value(), &Value::Int(200));
    let requests = stub.requests();
    let sent = requests.last().unwrap();
    let kind = sent.header("content-type").unwrap();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let mut expected = Vec::new();
    for (head, body) in [
        ("name=\"title\"", b"Three habits".as_slice()),
        ("name=\"meta\"\r\nContent-Type: application/json", br#"{"n":1}"#),
        (
            "name=\"cover\"; filename=\"c%22over.png\"\r\nContent-Type: image/png",
            &[0x89, b'P', 0, 255],
        ),
        ("name=\"clip\"; filename=\"clip.mp4\"\r\nContent-Type: video/mp4", BODY),
    ] {
        expected.extend(format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n").bytes());
        expected.extend_from_slice(body);
        expected.extend_from_slice(b"\r\n");
    }
    expected.extend(format!("--{boundary}--\r\n").bytes());
    assert_eq!(String::from_utf8_lossy(&sent.body), String::from_utf8_lossy(&expected));
    let refused = |options: &str| {
        host.run(&format!(
            r#"http::post("{}", (), #{{ {options} }})"#,
            stub.url("/upload")
        ))
    };
    assert_eq!(refused("multipart: []").failure().code, "BAD_OPTION");
    assert_eq!(
        refused(r#"json: 1, multipart: [#{ name: "a", value: 1 }]"#)
            .failure()
            .code,
        "BAD_OPTION"
    );
    let missing = refused(r#"multipart: [#{ name: "a", path: "inbox/none" }]"#);
    assert_eq!(missing.failure().code, "FILE_NOT_FOUND");
}
