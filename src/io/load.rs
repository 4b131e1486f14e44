//! Many who ask a server on this machine at once, to measure it: each asks, waits for its answer, and asks again.
//!
//! One thread for all of them, and no more work on an answer than finding its end: what is left of the processors is the
//! server's. Nothing here is for talking to strangers.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use super::clock::Clock;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most that is read of an answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What came of asking.
#[derive(Debug, Default)]
pub struct Load {
    pub took: Duration,
    /// How long each answer took whose status is one of success, shortest first.
    pub each: Vec<Duration>,
    /// Others, and the first line of the last of them.
    pub refused: u64,
    pub refusal: Option<String>,
}

/// Has so many ask at once, for so long and at least once. The request with each number is made by `request`.
pub fn ask(
    address: SocketAddr,
    connections: u32,
    lasts: Duration,
    clock: &Arc<dyn Clock>,
    request: impl Fn(u64) -> String + Send + Sync + 'static,
) -> Result<Load> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
    let request = Arc::new(request);
    let begun = clock.monotonic();
    let asking = (0..u64::from(connections)).map(|first| {
        let (clock, request) = (clock.clone(), request.clone());
        runtime.spawn(async move {
            let mut load = Load::default();
            let mut line = Line::to(address).await?;
            let mut number = first;
            loop {
                let before = clock.monotonic();
                line.send(request(number).as_bytes()).await?;
                let status = line.answer().await?;
                match status.split(' ').nth(1) {
                    Some(code) if code.starts_with('2') => {
                        load.each.push(clock.monotonic().saturating_sub(before));
                    }
                    _ => {
                        load.refused += 1;
                        load.refusal = Some(status);
                    }
                }
                number += u64::from(connections);
                if clock.monotonic().saturating_sub(begun) >= lasts {
                    return Ok::<Load, Error>(load);
                }
            }
        })
    });
    let asking: Vec<_> = asking.collect();
    let mut all = Load::default();
    for one in asking {
        let one = runtime.block_on(one).map_err(Error::other)??;
        all.each.extend(one.each);
        all.refused += one.refused;
        all.refusal = one.refusal.or(all.refusal);
    }
    all.took = clock.monotonic().saturating_sub(begun);
    all.each.sort();
    Ok(all)
}

/// Connections on which something is being told, until this is dropped.
pub struct Listeners {
    runtime: Runtime,
}

impl Listeners {
    /// Opens so many, each with `request`; all of them are being told something when this returns.
    pub fn open(address: SocketAddr, count: u32, request: &'static str) -> Result<Listeners> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_io()
            .enable_time()
            .build()?;
        for _ in 0..count {
            let line = runtime.block_on(async {
                let mut line = Line::to(address).await?;
                line.send(request.as_bytes()).await?;
                let head = line.head().await?;
                match head.starts_with("HTTP/1.1 200 ") {
                    true => Ok(line),
                    false => Err(Error::other(first_line(&head))),
                }
            })?;
            // What is told is taken, and not looked at.
            runtime.spawn(async move {
                let mut line = line;
                line.read.clear();
                while line.more().await.is_ok() {
                    line.read.clear();
                }
            });
        }
        Ok(Listeners { runtime })
    }

    /// Hangs up.
    pub fn close(self) {
        self.runtime.shutdown_timeout(Duration::from_secs(1));
    }
}

/// A connection.
struct Line {
    stream: TcpStream,
    /// What came and was not looked at yet.
    read: Vec<u8>,
}

impl Line {
    async fn to(address: SocketAddr) -> Result<Line> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Line {
            stream,
            read: Vec::new(),
        })
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let mut left = bytes;
        while !left.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(left) {
                Ok(sent) => left = &left[sent..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads on.
    async fn more(&mut self) -> Result<()> {
        loop {
            self.stream.readable().await?;
            match self.stream.try_read_buf(&mut self.read) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) if self.read.len() > ANSWER_BYTES_MAX => return Err(ErrorKind::FileTooLarge.into()),
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The head of the next answer.
    async fn head(&mut self) -> Result<String> {
        let end = loop {
            let found = self.read.windows(4).position(|four| four == b"\r\n\r\n");
            match found {
                Some(at) => break at + 4,
                None => self.more().await?,
            }
        };
        let head = self.read.drain(..end).collect();
        String::from_utf8(head).map_err(|_| ErrorKind::InvalidData.into())
    }

    /// Takes the next answer whole; gives its first line.
    async fn answer(&mut self) -> Result<String> {
        let answer = async {
            let head = self.head().await?;
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let length: usize = match length.map(|(_, value)| value.trim().parse()) {
                None => 0,
                Some(length) => length.map_err(|_| Error::from(ErrorKind::InvalidData))?,
            };
            while self.read.len() < length {
                self.more().await?;
            }
            self.read.drain(..length);
            Ok(first_line(&head))
        };
        let answered = tokio::time::timeout(PATIENCE, answer).await;
        answered.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
    }
}

fn first_line(head: &str) -> String {
    head.lines().next().unwrap_or_default().chars().take(100).collect()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test is the server that is asked")]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::io::clock::SystemClock;

    #[test]
    fn answers_are_told_apart_also_where_they_come_in_pieces() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = String::new();
            let mut buffer = [0; 100];
            let mut answers = [
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel",
                "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
                "HTTP/1.1 204 No Content\r\n\r\n",
            ]
            .into_iter();
            loop {
                let count = stream.read(&mut buffer).unwrap();
                if count == 0 {
                    return asked;
                }
                asked += std::str::from_utf8(&buffer[..count]).unwrap();
                stream
                    .write_all(answers.next().unwrap_or("HTTP/1.1 500 No\r\n\r\n").as_bytes())
                    .unwrap();
                if asked == "0." {
                    std::thread::sleep(Duration::from_millis(5));
                    stream.write_all(b"lo").unwrap();
                }
            }
        });
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let load = ask(address, 1, Duration::from_millis(50), &clock, |number| {
            format!("{number}.")
        })
        .unwrap();
        let asked = server.join().unwrap();
        assert!(asked.starts_with("0.1.2."), "{asked}");
        assert_eq!(load.each.len(), 2);
        assert!(load.each[1] >= Duration::from_millis(5));
        assert_eq!(load.refused as usize, asked.matches('.').count() - 2);
    }
}
