//! The reverse proxies of examples/deploy/proxies in front of a host, each where it is installed: nginx, Caddy, HAProxy.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::Method;
use host::http::routes::{Doors, Found, Handler, Needs, Takes};
use host::http::{Answer, Request, Server};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::inside::Inside;

const NAME: &str = "host.example.com";
const BODY_BYTES_MAX: usize = 1 << 20;

const SETTINGS: &str =
    "[server]\nlisten = \"127.0.0.1:0\"\nhosts = [\"host.example.com\"]\ntrusted_proxies = [\"127.0.0.1\"]\n";

/// Tells what came in.
struct Echo;

impl Doors for Echo {
    fn at(&self, _: &Server, path: &str) -> Vec<(Method, Found)> {
        let echo = |_: &Server, request: &Request| {
            Ok(Answer::data(json!({
                "from": request.peer.ip().to_string(),
                "is_secure": request.is_secure,
                "bytes": request.body.len(),
                "crc": crc32fast::hash(&request.body),
                "signature": request.header("x-signature"),
            })))
        };
        let found = Found {
            quota: None,
            playbook: None,
            name: Arc::from("echo"),
            needs: Needs::Nobody,
            query: None,
            body: Takes::Bytes(None),
            params: BTreeMap::new(),
            handle: Handler::Made(Arc::new(echo)),
        };
        match path {
            "/hooks/echo" => vec![(Method::POST, found)],
            _ => Vec::new(),
        }
    }

    fn paths(&self, _: &Server) -> Map<String, Value> {
        Map::new()
    }
}

/// A proxy at work in front of a host.
struct Proxy {
    child: Child,
    plain: u16,
    tls: u16,
    _folder: TempDir,
    _host: Inside,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}

/// A port of the loopback address of IPv6 that nobody has; clients come from there, so that they are told from the proxy.
fn port() -> Option<u16> {
    let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).ok()?;
    Some(listener.local_addr().ok()?.port())
}

/// The example, with what differs here put in place.
fn put(mut text: String, places: &[(&str, String)]) -> String {
    for (there, here) in places {
        assert!(text.contains(there), "the example does not say {there:?} any more");
        text = text.replace(there, here);
    }
    text
}

/// Starts `program` with `example` and what else is in place; `None` where there is none.
fn start(program: &str, config: impl FnOnce(&TempDir, &str, u16, u16) -> (String, Vec<String>)) -> Option<Proxy> {
    let mut looked = Command::new(program);
    looked.arg("-v").stdout(Stdio::null()).stderr(Stdio::null());
    if looked.status().is_err() {
        println!("{program} is not there: its example is not tried out");
        return None;
    }
    let (Some(plain), Some(tls)) = (port(), port()) else {
        println!("there is no IPv6 here: the example of {program} is not tried out");
        return None;
    };
    let folder = TempDir::new().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
    let [cert, key] = [include_str!("tls/cert-one.pem"), include_str!("tls/key-one.pem")];
    write("cert.pem", cert);
    write("key.pem", key);
    write("both.pem", &format!("{cert}\n{key}"));
    let host = Inside::with(&[("host.toml", SETTINGS)], Some(Arc::new(Echo)));
    let (text, arguments) = config(&folder, &host.address.to_string(), plain, tls);
    write("config", &text);
    let child = Command::new(program)
        .args(arguments)
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let proxy = Proxy {
        child,
        plain,
        tls,
        _folder: folder,
        _host: host,
    };
    let give_up_at = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect((Ipv6Addr::LOCALHOST, tls)).is_err() {
        assert!(Instant::now() < give_up_at, "{program} does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(proxy)
}

struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Response {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    #[track_caller]
    fn data(&self) -> Value {
        let json: Value = serde_json::from_slice(&self.body).expect("JSON");
        assert_eq!((self.status, &json["ok"]), (200, &json!(true)), "{json}");
        json["data"].clone()
    }
}

type Tls = BufReader<StreamOwned<ClientConnection, TcpStream>>;

fn head(from: &mut impl BufRead) -> (u16, Vec<(String, String)>) {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line).expect("a line");
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let status = lines.first().and_then(|line| line.split(' ').nth(1));
    let status = status.expect("a status").parse().expect("a number");
    let headers = lines.iter().skip(1).filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    (status, headers.collect())
}

impl Proxy {
    fn connect(&self) -> Tls {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(include_bytes!("tls/ca-one.pem")).expect("a certificate");
        roots.add(authority).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = ClientConnection::new(Arc::new(config), "localhost".try_into().expect("a name"));
        let socket = TcpStream::connect((Ipv6Addr::LOCALHOST, self.tls)).expect("it listens");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
        BufReader::new(StreamOwned::new(client.expect("a client"), socket))
    }

    /// Asks on a connection that is there.
    fn ask_on(tls: &mut Tls, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {NAME}\r\n");
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        if method == "POST" {
            text += &format!("content-length: {}\r\n", body.len());
        }
        let stream = tls.get_mut();
        stream.write_all(format!("{text}\r\n").as_bytes()).expect("sent");
        // Who refuses a body hangs up before it is there.
        stream.write_all(body).unwrap_or_default();
        let (status, headers) = head(tls);
        let find = |name: &str| headers.iter().find(|(known, _)| known == name);
        let mut body = Vec::new();
        match find("content-length") {
            Some((_, length)) => {
                body = vec![0; length.parse().expect("a number")];
                tls.read_exact(&mut body).unwrap_or_default();
            }
            None => assert!(find("transfer-encoding").is_none(), "{path}: in pieces"),
        }
        Response { status, headers, body }
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        Proxy::ask_on(&mut self.connect(), method, path, headers, body)
    }

    /// All that the example promises.
    fn is_right(&self) {
        let viewer = [("role", "viewer"), ("x-correlation-id", "vid_1-a")];
        let runs = self.ask("GET", "/api/v1/runs", &viewer, b"");
        assert_eq!((runs.status, runs.header("x-correlation-id")), (200, Some("vid_1-a")));
        assert!(runs.header("strict-transport-security").is_some());
        assert_eq!(self.ask("GET", "/healthz", &[], b"").status, 200);
        for inside in ["/metrics", "/status", "/openapi.json", "/admin/monitor"] {
            let refused = self.ask("GET", inside, &viewer, b"");
            assert_eq!(
                (refused.status, refused.header("x-correlation-id")),
                (404, None),
                "{inside}"
            );
        }

        let bytes: Vec<u8> = (0..=255).chain(*b"\r\n\r\n{\"a\" :  1}\n").collect();
        let says = [
            ("x-forwarded-for", "203.0.113.66"),
            ("x-forwarded-proto", "http"),
            ("forwarded", "for=203.0.113.67"),
            ("x-signature", "sha256=00ff"),
            ("content-type", "application/json"),
        ];
        let mut tls = self.connect();
        for _ in 0..3 {
            let echo = Proxy::ask_on(&mut tls, "POST", "/hooks/echo", &says, &bytes).data();
            assert_eq!(echo["crc"], crc32fast::hash(&bytes), "the body is as it was signed");
            assert_eq!(echo["signature"], "sha256=00ff");
            assert_eq!(echo["from"], "::1", "nobody says themselves who they are");
            assert_eq!(echo["is_secure"], true);
        }
        let largest = vec![b'x'; BODY_BYTES_MAX];
        let echo = self.ask("POST", "/hooks/echo", &[], &largest).data();
        assert_eq!(echo["bytes"], BODY_BYTES_MAX);
        let larger = vec![b'x'; BODY_BYTES_MAX + 1];
        assert_eq!(self.ask("POST", "/hooks/echo", &[], &larger).status, 413);

        let mut events = self.connect();
        let asked = format!("GET /api/v1/events HTTP/1.1\r\nhost: {NAME}\r\nrole: viewer\r\n\r\n");
        events.get_mut().write_all(asked.as_bytes()).expect("sent");
        let (status, headers) = head(&mut events);
        assert_eq!(status, 200, "{headers:?}");
        let began = Instant::now();
        let mut line = String::new();
        while line.trim_end() != "retry: 2000" {
            line.clear();
            events.read_line(&mut line).expect("it is passed on at once");
        }
        assert!(began.elapsed() < Duration::from_secs(5));
    }

    /// Without TLS one is led to TLS.
    fn leads_to_tls(&self) {
        let mut plain = BufReader::new(TcpStream::connect((Ipv6Addr::LOCALHOST, self.plain)).expect("it listens"));
        let asked = format!("GET /healthz HTTP/1.1\r\nhost: {NAME}\r\nconnection: close\r\n\r\n");
        plain.get_mut().write_all(asked.as_bytes()).expect("sent");
        let (status, headers) = head(&mut plain);
        assert_eq!(status, 301);
        let led = format!("https://{NAME}/healthz");
        assert!(headers.contains(&("location".to_owned(), led)), "{headers:?}");
    }
}

#[test]
fn nginx_passes_on_what_it_should_and_nothing_else() {
    let proxy = start("nginx", |folder, host, plain, tls| {
        let at = |name: &str| folder.path().join(name).display().to_string();
        let example = put(
            include_str!("../../examples/deploy/proxies/nginx.conf").to_owned(),
            &[
                ("server 127.0.0.1:7070;", format!("server {host};")),
                ("    listen 80;\n", String::new()),
                ("    listen 443 ssl http2;\n", String::new()),
                ("listen [::]:80;", format!("listen [::1]:{plain};")),
                ("listen [::]:443 ssl http2;", format!("listen [::1]:{tls} ssl http2;")),
                ("/etc/ssl/host/cert.pem", at("cert.pem")),
                ("/etc/ssl/host/key.pem", at("key.pem")),
                ("/var/log/nginx/host.log", at("access.log")),
            ],
        );
        let folders: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {};\n", at(kind)))
            .concat();
        let text = format!(
            "daemon off; master_process off; pid {}; error_log stderr;\nevents {{}}\nhttp {{\n{folders}{example}}}\n",
            at("pid")
        );
        (text, vec!["-p".to_owned(), at(""), "-c".to_owned(), at("config")])
    });
    let Some(proxy) = proxy else { return };
    proxy.is_right();
    proxy.leads_to_tls();
}

#[test]
fn caddy_passes_on_what_it_should_and_nothing_else() {
    let proxy = start("caddy", |folder, host, _, tls| {
        let at = |name: &str| folder.path().join(name).display().to_string();
        let site = format!(
            "{{\n\tadmin off\n\tauto_https disable_redirects\n\tservers {{\n\t\tprotocols h1 h2\n\t}}\n}}\n\nhttps://{NAME}:{tls} {{\n\tbind ::1\n\ttls {} {}",
            at("cert.pem"),
            at("key.pem")
        );
        let text = put(
            include_str!("../../examples/deploy/proxies/Caddyfile").to_owned(),
            &[
                ("127.0.0.1:7070 {", format!("{host} {{")),
                ("\nhost.example.com {", format!("\n{site}")),
            ],
        );
        let words = ["run", "--config", &at("config"), "--adapter", "caddyfile"];
        // What it has to say of itself comes before the site.
        let (before, after) = text.split_once("{\n\tadmin off").expect("it was put there");
        (
            format!("{{\n\tadmin off{after}\n{}", before.replace("\n\n", "\n")),
            words.map(str::to_owned).to_vec(),
        )
    });
    let Some(proxy) = proxy else { return };
    proxy.is_right();
}

#[test]
fn haproxy_passes_on_what_it_should_and_nothing_else() {
    let proxy = start("haproxy", |folder, host, plain, tls| {
        let at = |name: &str| folder.path().join(name).display().to_string();
        let text = put(
            include_str!("../../examples/deploy/proxies/haproxy.cfg").to_owned(),
            &[
                ("server host 127.0.0.1:7070", format!("server host {host}")),
                ("bind :80\n", format!("bind [::1]:{plain}\n")),
                (
                    "bind :443 ssl crt /etc/ssl/host/both.pem",
                    format!("bind [::1]:{tls} ssl crt {}", at("both.pem")),
                ),
            ],
        );
        (text, vec!["-db".to_owned(), "-f".to_owned(), at("config")])
    });
    let Some(proxy) = proxy else { return };
    proxy.is_right();
    proxy.leads_to_tls();
}
