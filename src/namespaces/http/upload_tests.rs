//! Files that are sent, against a server that holds nothing either.
#![expect(
    clippy::disallowed_methods,
    reason = "tests lay files out and listen on the loopback"
)]

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread::{self, JoinHandle};

use super::{READS, WRITES};
use crate::id::ContentHash;
use crate::testing::TestHost;
use crate::value::Value;

/// What came of one connection.
#[derive(Debug, PartialEq)]
struct Came {
    /// What `Content-Length` said.
    said: u64,
    kind: String,
    key: String,
    bytes: u64,
    sha256: ContentHash,
}

/// Answers one request after another; of each but the last it takes only so many bytes, and hangs up.
fn listen(cut_after: &'static [u64]) -> (String, JoinHandle<Vec<Came>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let serve = move || {
        let mut came = Vec::new();
        for bytes_max in cut_after.iter().map(|bytes| Some(*bytes)).chain([None]) {
            came.push(take(listener.accept().unwrap().0, bytes_max));
        }
        came
    };
    (host, thread::spawn(serve))
}

fn take(stream: TcpStream, bytes_max: Option<u64>) -> Came {
    let mut reader = BufReader::new(&stream);
    let (mut said, mut kind, mut key) = (0, String::new(), String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => said = value.parse().unwrap(),
            "content-type" => kind = value.to_owned(),
            "idempotency-key" => key = value.to_owned(),
            other => assert_ne!(other, "transfer-encoding", "it comes in chunks"),
        }
    }
    let wanted = bytes_max.unwrap_or(said);
    let (sha256, bytes) = ContentHash::read(reader.by_ref().take(wanted)).unwrap();
    if bytes_max.is_none() {
        (&stream)
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .unwrap();
    }
    Came {
        said,
        kind,
        key,
        bytes,
        sha256,
    }
}

/// The body that belongs to one text and one file.
fn expected(kind: &str, name: &str, file: impl Read) -> (ContentHash, u64) {
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nHabits\r\n--{boundary}\r\n\
         Content-Disposition: form-data; name=\"clip\"; filename=\"{name}\"\r\nContent-Type: video/mp4\r\n\r\n"
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    ContentHash::read(head.as_bytes().chain(file).chain(tail.as_bytes())).unwrap()
}

fn script(host: &str, name: &str) -> String {
    format!(
        r#"http::post("http://{host}/clips", (), #{{
            multipart: [#{{ name: "title", value: "Habits" }}, #{{ name: "clip", path: "inbox/{name}" }}],
            idempotency_key_header: "Idempotency-Key", idempotency_lifetime: "24h", timeout: "10m",
        }}).status"#
    )
}

/// A file of 256 MiB without taking room on the disk.
fn large(host: &TestHost, name: &str) -> File {
    let path = host.folder().join("inbox").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = File::create(&path).unwrap();
    file.write_all(b"it begins").unwrap();
    file.set_len(256 << 20).unwrap();
    File::open(path).unwrap()
}

/// How much memory this process has had at most, in bytes.
fn memory_max() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// It runs in a process of its own, where no other test takes memory.
#[test]
#[cfg(target_os = "linux")]
fn a_file_larger_than_memory_may_be_is_sent_with_its_length_and_is_never_held() {
    const ALONE: &str = "HOST_TEST_ALONE";
    if env::var_os(ALONE).is_none() {
        let name = "a_file_larger_than_memory_may_be_is_sent_with_its_length_and_is_never_held";
        let alone = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                &format!("namespaces::http::upload_tests::{name}"),
                "--nocapture",
            ])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&alone.stdout) + String::from_utf8_lossy(&alone.stderr);
        assert!(alone.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let (server, came) = listen(&[]);
    let host = TestHost::default().host(&server).live(READS).live(WRITES);
    let file = large(&host, "long.mp4");
    host.run("1").value();
    let before = memory_max();
    let run = host.run(&script(&server, "long.mp4"));
    assert_eq!(run.value(), &Value::Int(200));
    let grown = memory_max() - before;
    assert!(grown < 40 << 20, "{grown} bytes more were held");
    let came = came.join().unwrap().remove(0);
    let (sha256, bytes) = expected(&came.kind, "long.mp4", file);
    assert!(bytes > 256 << 20);
    assert_eq!((came.said, came.bytes, came.sha256), (bytes, bytes, sha256));
}

#[test]
fn a_file_is_read_again_for_another_attempt_under_the_same_key() {
    let (server, came) = listen(&[300_000]);
    let host = TestHost::default().host(&server).live(READS).live(WRITES);
    let bytes: Vec<u8> = (0..2_000_000u32).map(|at| (at % 241) as u8).collect();
    let host = host.file("inbox/clip.mp4", &bytes);
    let run = host.run(&script(&server, "clip.mp4"));
    assert_eq!(run.value(), &Value::Int(200));
    let came = came.join().unwrap();
    assert_eq!((came[0].bytes, came[0].said), (300_000, came[1].said));
    assert_eq!((&came[0].kind, &came[0].key), (&came[1].kind, &came[1].key));
    let (sha256, bytes) = expected(&came[1].kind, "clip.mp4", bytes.as_slice());
    assert_eq!((came[1].bytes, came[1].sha256), (bytes, sha256));
}

#[test]
fn a_file_that_is_gone_is_refused_before_anything_is_sent() {
    let host = TestHost::default().host("127.0.0.1:9").live(READS).live(WRITES);
    let run = host.run(&script("127.0.0.1:9", "gone.mp4"));
    assert_eq!(run.failure().code, "FILE_NOT_FOUND");
}
