//! HTTP/1.1 as far as the stub speaks it: requests in, answers and their faults out.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::Shared;
use super::script::{Answer, Manner};

const HEAD_BYTES_MAX: u64 = 256 * 1024;
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How much of an endless body is written at once.
const PIECE_BYTES: usize = 16 * 1024;

/// One request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub method: String,
    /// Without the query.
    pub path: String,
    /// What follows `?`, or nothing.
    pub query: String,
    /// In the order they came, names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The connection it came over: 1 for the first.
    pub connection: usize,
}

impl Recorded {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        (self.headers.iter())
            .find(|(present, _)| present.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `null` when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// The next request, or `None` when there is none.
pub(super) fn read_request(
    reader: &mut BufReader<&TcpStream>,
    stream: &TcpStream,
    connection: usize,
) -> io::Result<Option<Recorded>> {
    let mut head = reader.by_ref().take(HEAD_BYTES_MAX);
    let mut line = || -> io::Result<String> {
        let mut line = String::new();
        head.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let mut headers = Vec::new();
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }

    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Recorded {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: Vec::new(),
        connection,
    };
    if request.header("expect").is_some() {
        (&*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    request.body = if request
        .header("transfer-encoding")
        .is_some_and(|coding| coding.contains("chunked"))
    {
        read_chunks(reader)?
    } else {
        let length = request
            .header("content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(0);
        read_exactly(reader, length)?
    };
    Ok(Some(request))
}

fn read_chunks(reader: &mut BufReader<&TcpStream>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.by_ref().take(HEAD_BYTES_MAX).read_line(&mut size)?;
        let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
        if body.len() + size.min(BODY_BYTES_MAX) > BODY_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        body.extend(read_exactly(reader, size)?);
        read_exactly(reader, 2)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn read_exactly(reader: &mut impl Read, bytes: usize) -> io::Result<Vec<u8>> {
    if bytes > BODY_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut body = vec![0; bytes];
    reader.read_exact(&mut body)?;
    Ok(body)
}

/// Carries the answer out; returns whether the connection may be used again.
pub(super) fn write_answer(
    mut stream: &TcpStream,
    request: &Recorded,
    answer: &Answer,
    shared: &Shared,
) -> io::Result<bool> {
    let length = match answer.manner {
        Manner::Never => {
            shared.pause(Duration::from_secs(24 * 60 * 60));
            return Ok(false);
        }
        Manner::Cut => return Ok(false),
        Manner::Raw(ref bytes) => {
            stream.write_all(bytes)?;
            return Ok(false);
        }
        Manner::Endless(_) => "connection: close\r\n".to_owned(),
        _ => format!("content-length: {}\r\n", answer.body.len()),
    };
    let mut message = format!("HTTP/1.1 {} Scripted\r\n{length}", answer.status);
    for (name, value) in &answer.headers {
        message.push_str(&format!("{name}: {value}\r\n"));
    }
    message.push_str("\r\n");
    let mut message = message.into_bytes();
    let body: &[u8] = if request.method == "HEAD" { &[] } else { &answer.body };

    match answer.manner {
        Manner::CutAfter(bytes) => {
            message.extend_from_slice(&body[..bytes.min(body.len())]);
            stream.write_all(&message)?;
            Ok(false)
        }
        Manner::Drip(bytes, pause) => {
            stream.write_all(&message)?;
            for piece in body.chunks(bytes) {
                if !shared.pause(pause) {
                    return Ok(false);
                }
                stream.write_all(piece)?;
            }
            Ok(true)
        }
        Manner::Endless(bytes) => {
            stream.write_all(&message)?;
            let piece = [b'x'; PIECE_BYTES];
            let mut left = bytes;
            while left > 0 {
                let now = left.min(PIECE_BYTES as u64);
                stream.write_all(&piece[..now as usize])?;
                left -= now;
            }
            Ok(false)
        }
        _ => {
            message.extend_from_slice(body);
            stream.write_all(&message)?;
            Ok(true)
        }
    }
}
