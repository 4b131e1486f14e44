//! TLS from files, and another certificate while the server runs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::binary::Binary;

// Made for these tests: authorities that vouch for `localhost` and nothing else, whose own keys are gone.
const ONE: [&str; 3] = [
    include_str!("tls/cert-one.pem"),
    include_str!("tls/key-one.pem"),
    include_str!("tls/ca-one.pem"),
];
const TWO: [&str; 3] = [
    include_str!("tls/cert-two.pem"),
    include_str!("tls/key-two.pem"),
    include_str!("tls/ca-two.pem"),
];

const SETTINGS: &str = "tls_cert = \"tls/cert.pem\"\ntls_key = \"tls/key.pem\"\nheader_timeout = \"1s\"";

/// What is answered to somebody who trusts `authority` alone.
fn asked(address: SocketAddr, authority: &str) -> Result<String, std::io::Error> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(authority.as_bytes()).expect("a certificate");
    roots.add(authority).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = ClientConnection::new(Arc::new(config), "localhost".try_into().expect("a name")).expect("a client");
    let socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut stream = StreamOwned::new(client, socket);
    stream.write_all(b"GET /status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_certificate_is_shown_and_another_one_as_soon_as_both_files_are_there() {
    let server = Binary::with(SETTINGS, &[("tls/cert.pem", ONE[0]), ("tls/key.pem", ONE[1])]);
    let answer = asked(server.address, ONE[2]).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    asked(server.address, TWO[2]).expect_err("it is not vouched for");
    let write = |file: &str, text: &str| std::fs::write(server.folder.path().join(file), text).expect("a file");
    // One file without the other cannot be used: the first certificate stays.
    write("tls/cert.pem", TWO[0]);
    std::thread::sleep(Duration::from_secs(6));
    asked(server.address, ONE[2]).expect("an answer");
    write("tls/key.pem", TWO[1]);
    let give_up_at = Instant::now() + Duration::from_secs(15);
    while asked(server.address, TWO[2]).is_err() {
        assert!(Instant::now() < give_up_at, "the new certificate is not shown");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn who_speaks_plainly_or_not_at_all_to_tls_is_let_go() {
    let server = Binary::with(SETTINGS, &[("tls/cert.pem", ONE[0]), ("tls/key.pem", ONE[1])]);
    for bytes in [
        &b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"[..],
        b"",
        b"\x16\x03\x01",
    ] {
        let mut socket = TcpStream::connect(server.address).expect("somebody listens");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
        socket.write_all(bytes).expect("sent");
        let mut answer = Vec::new();
        // It may be told why, in the words of TLS, or be cut off.
        if socket.read_to_end(&mut answer).is_ok() {
            assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
        }
    }
    asked(server.address, ONE[2]).expect("an answer");
}

#[test]
fn files_that_are_no_certificate_change_nothing_and_no_old_tls_is_spoken() {
    let settings = format!("{SETTINGS}\nhosts = [\"host.example.com\"]");
    let server = Binary::with(&settings, &[("tls/cert.pem", ONE[0]), ("tls/key.pem", ONE[1])]);
    let file = |name: &str| server.folder.path().join(name);
    for (name, text) in [
        ("tls/cert.pem", "no certificate"),
        ("tls/cert.pem", ""),
        (
            "tls/key.pem",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ),
    ] {
        std::fs::write(file(name), text).expect("a file");
    }
    std::fs::remove_file(file("tls/key.pem")).expect("it is there");
    std::thread::sleep(Duration::from_secs(6));
    let answer = asked(server.address, ONE[2]).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(
        !answer.contains("strict-transport-security"),
        "`localhost` is also something else's"
    );
    // A greeting of TLS 1.1, with suites of that time.
    let mut hello = vec![1, 0, 0, 43, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 4, 0xc0, 0x13, 0, 0x2f, 1, 0]);
    let length = hello.len() as u16 - 4;
    hello[2..4].copy_from_slice(&length.to_be_bytes());
    let mut record = vec![0x16, 3, 1];
    record.extend((hello.len() as u16).to_be_bytes());
    record.extend(hello);
    let mut socket = TcpStream::connect(server.address).expect("somebody listens");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
    socket.write_all(&record).expect("sent");
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).expect("it hangs up");
    // A fatal alert, and nothing that could be gone on with.
    assert_eq!(
        (answer.first(), answer.get(5), answer.len()),
        (Some(&0x15), Some(&2), 7),
        "{answer:?}"
    );
}

#[test]
fn under_its_own_name_browsers_are_told_to_come_by_tls_alone() {
    let settings = format!("{SETTINGS}\nhosts = [\"localhost\"]");
    let server = Binary::with(&settings, &[("tls/cert.pem", ONE[0]), ("tls/key.pem", ONE[1])]);
    let answer = asked(server.address, ONE[2]).expect("an answer");
    assert!(
        answer.contains("strict-transport-security: max-age=31536000\r\n"),
        "{answer}"
    );
}
