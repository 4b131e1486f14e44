//! A client that sends exactly what it is told, and reads one answer at a time.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// A connection.
pub struct Client {
    pub reader: BufReader<TcpStream>,
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// In small letters; of several of one name the last.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Response {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The data of the envelope.
    #[track_caller]
    pub fn data(&self) -> Value {
        let mut json = self.json();
        assert_eq!(json["ok"], true, "{json}");
        assert_eq!(json["correlation_id"], self.headers["x-correlation-id"].as_str());
        json["data"].take()
    }

    /// The code of the envelope of an error.
    #[track_caller]
    pub fn code(&self) -> String {
        let json = self.json();
        assert_eq!(json["ok"], false, "{json}");
        assert_eq!(json["correlation_id"], self.headers["x-correlation-id"].as_str());
        assert!(json["details"].is_object() && json["message"].is_string(), "{json}");
        json["error_code"].as_str().expect("a code").to_owned()
    }

    #[track_caller]
    pub fn is(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{self:?}");
    }
}

impl Client {
    pub fn to(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("somebody listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
        Client {
            reader: BufReader::new(stream),
        }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Client {
        // Who is being turned away may be gone before all is sent.
        self.reader.get_mut().write_all(bytes.as_ref()).unwrap_or_default();
        self
    }

    /// The next answer; `None` when the server has hung up.
    pub fn receive(&mut self) -> Option<Response> {
        self.receive_of("GET")
    }

    pub fn receive_of(&mut self, method: &str) -> Option<Response> {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            match self.reader.read_line(&mut line) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no answer: {error}"),
            }
            if line.trim_end().is_empty() {
                break;
            }
            head.push(line.trim_end().to_owned());
        }
        let status: u16 = head[0].split(' ').nth(1).expect("a status").parse().expect("a number");
        let headers: BTreeMap<String, String> = head[1..]
            .iter()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers
            .get("content-length")
            .map_or(0, |length| length.parse().expect("a number"));
        let mut body = vec![0; if method == "HEAD" { 0 } else { length }];
        self.reader.read_exact(&mut body).expect("the body");
        Some(Response { status, headers, body })
    }

    /// One line of an answer that goes on.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    /// Whether the server has hung up, or does within the limit on reading.
    pub fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.reader.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

/// Asks on a connection of its own.
pub fn ask(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        head += &format!("content-length: {}\r\n", body.len());
    }
    let mut client = Client::to(address);
    client.send(format!("{head}\r\n{body}"));
    client.receive_of(method).expect("an answer")
}
