//! What is sent along: bytes at hand, and files that are read while they are sent.
//!
//! A file is opened before anything is sent, so one that is gone is certain to have sent nothing, and its length is said
//! beforehand. It is hashed on its way out, and its last piece is held back until the hash is that of the file which was
//! meant: a file that somebody changes in the meantime ends the exchange, and never arrives as a whole.
#![expect(clippy::disallowed_methods, reason = "this reads the files that requests carry")]

use std::collections::VecDeque;
use std::fs::File;
use std::future::Future;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use sha2::{Digest, Sha256};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::id::ContentHash;

/// How much of a file is in memory at a time.
const PIECE_BYTES: usize = 256 << 10;

/// What is sent along, piece after piece. A copy shares its bytes.
#[derive(Clone, Debug, Default)]
pub struct Body {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Bytes(Arc<Vec<u8>>),
    File(SentFile),
}

/// A file to be sent as it was when it was looked at.
#[derive(Clone, Debug)]
pub struct SentFile {
    path: PathBuf,
    /// For people.
    name: String,
    bytes: u64,
    sha256: ContentHash,
}

impl SentFile {
    /// The file at `path`, which holds what has the hash `sha256`.
    pub fn new(path: &Path, name: &str, sha256: ContentHash) -> io::Result<SentFile> {
        Ok(SentFile {
            path: path.to_owned(),
            name: name.to_owned(),
            bytes: path.metadata()?.len(),
            sha256,
        })
    }

    pub fn len(&self) -> u64 {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

impl Body {
    /// Adds bytes at the end.
    pub fn push(&mut self, bytes: impl Into<Vec<u8>>) {
        let bytes = bytes.into();
        if !bytes.is_empty() {
            self.pieces.push(Piece::Bytes(Arc::new(bytes)));
        }
    }

    /// Adds a file at the end.
    pub fn push_file(&mut self, file: SentFile) {
        self.pieces.push(Piece::File(file));
    }

    pub fn len(&self) -> u64 {
        let length = |piece: &Piece| match piece {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::File(file) => file.bytes,
        };
        self.pieces.iter().map(length).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it, unless there are files in it.
    pub fn at_hand(&self) -> Option<Vec<u8>> {
        let bytes = self.pieces.iter().map(|piece| match piece {
            Piece::Bytes(bytes) => Some(bytes.as_slice()),
            Piece::File(_) => None,
        });
        Some(bytes.collect::<Option<Vec<_>>>()?.concat())
    }

    /// Opens the files and is ready to be sent.
    pub(super) fn open(&self) -> io::Result<Pieces> {
        let open = |piece: &Piece| {
            Ok(match piece {
                Piece::Bytes(bytes) => Opened::Bytes(bytes.clone()),
                Piece::File(file) => {
                    let opened = File::open(&file.path).map_err(|error| gone(file, &error))?;
                    Opened::File(Reading {
                        opened,
                        left: file.bytes,
                        digest: Sha256::new(),
                        file: file.clone(),
                    })
                }
            })
        };
        let left = self.pieces.iter().map(open).collect::<io::Result<_>>()?;
        Ok(Pieces {
            state: State::Waiting(left),
        })
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Body {
        let mut body = Body::default();
        body.push(bytes);
        body
    }
}

impl From<String> for Body {
    fn from(text: String) -> Body {
        text.into_bytes().into()
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Body {
        text.to_owned().into()
    }
}

/// A body on its way out.
pub(super) struct Pieces {
    state: State,
}

enum State {
    Waiting(VecDeque<Opened>),
    /// A disk may be slow, and the threads of the network serve others, too.
    Reading(JoinHandle<HasRead>),
    Over,
}

/// What is left, and the next piece.
type HasRead = (VecDeque<Opened>, Option<io::Result<Vec<u8>>>);

enum Opened {
    Bytes(Arc<Vec<u8>>),
    File(Reading),
}

struct Reading {
    opened: File,
    left: u64,
    digest: Sha256,
    file: SentFile,
}

impl Stream for Pieces {
    type Item = io::Result<Vec<u8>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Vec<u8>>>> {
        loop {
            match &mut self.state {
                State::Over => return Poll::Ready(None),
                State::Waiting(left) => {
                    let left = std::mem::take(left);
                    self.state = State::Reading(spawn_blocking(move || next(left)));
                }
                State::Reading(reading) => {
                    let read = ready!(Pin::new(reading).poll(context));
                    let (left, piece) =
                        read.unwrap_or_else(|error| (VecDeque::new(), Some(Err(io::Error::other(error)))));
                    self.state = match &piece {
                        Some(Ok(_)) => State::Waiting(left),
                        _ => State::Over,
                    };
                    return Poll::Ready(piece);
                }
            }
        }
    }
}

/// The next piece, and what is left after it.
fn next(mut left: VecDeque<Opened>) -> (VecDeque<Opened>, Option<io::Result<Vec<u8>>>) {
    loop {
        let piece = match left.front_mut() {
            None => return (left, None),
            Some(Opened::Bytes(bytes)) => {
                let bytes = bytes.to_vec();
                left.pop_front();
                return (left, Some(Ok(bytes)));
            }
            Some(Opened::File(reading)) => reading.next(),
        };
        match piece.transpose() {
            Some(piece) => return (left, Some(piece)),
            None => left.pop_front(),
        };
    }
}

impl Reading {
    /// The next piece of the file; `None` at its end.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.left == 0 && !self.file.is_empty() {
            return Ok(None);
        }
        let wanted = self.left.min(PIECE_BYTES as u64);
        let mut piece = Vec::with_capacity(wanted as usize);
        let read = (&mut self.opened).take(wanted).read_to_end(&mut piece);
        read.map_err(|error| gone(&self.file, &error))?;
        self.left -= piece.len() as u64;
        self.digest.update(&piece);
        let is_short = (piece.len() as u64) < wanted;
        let is_other = self.left == 0 && {
            let digest = std::mem::take(&mut self.digest).finalize();
            ContentHash::from_digest(digest.into()) != self.file.sha256
        };
        if is_short || is_other {
            let name = &self.file.name;
            return Err(io::Error::other(format!("{name:?} was changed while it was sent")));
        }
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }
}

fn gone(file: &SentFile, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{:?} cannot be read: {error}", file.name))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn drained(body: &Body) -> io::Result<Vec<u8>> {
        let State::Waiting(mut left) = body.open()?.state else {
            panic!("nothing was read yet")
        };
        let mut all = Vec::new();
        loop {
            let (rest, piece) = next(left);
            left = rest;
            match piece {
                None => return Ok(all),
                Some(piece) => {
                    let piece = piece?;
                    assert!(piece.len() <= PIECE_BYTES, "{} bytes are in memory", piece.len());
                    all.extend(piece);
                }
            }
        }
    }

    fn file(folder: &Path, name: &str, bytes: &[u8]) -> SentFile {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        SentFile::new(&path, name, ContentHash::of(bytes)).unwrap()
    }

    #[test]
    fn bytes_and_files_come_one_after_another_as_often_as_they_are_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let large: Vec<u8> = (0..PIECE_BYTES * 2 + 7).map(|at| (at % 251) as u8).collect();
        let even = vec![3; PIECE_BYTES];
        let mut body = Body::from("a");
        body.push_file(file(folder.path(), "large", &large));
        body.push("");
        body.push_file(file(folder.path(), "empty", b""));
        body.push("b");
        body.push_file(file(folder.path(), "even", &even));
        let whole = [b"a", large.as_slice(), b"b", &even].concat();
        assert_eq!(body.len(), whole.len() as u64);
        assert!(drained(&body).unwrap() == whole && drained(&body).unwrap() == whole);
        assert_eq!(body.at_hand(), None);
        assert_eq!(Body::from("ab").at_hand().as_deref(), Some(&b"ab"[..]));
    }

    #[test]
    fn a_file_that_is_changed_meanwhile_never_arrives_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut body = Body::default();
        body.push_file(file(folder.path(), "a", b"what was meant"));
        for changed in [&b"what was MEANT"[..], b"short", b"", b"what was meant, and more"] {
            fs::write(folder.path().join("a"), changed).unwrap();
            let read = drained(&body);
            match changed.starts_with(b"what was meant") {
                // What was added is not sent.
                true => assert_eq!(read.unwrap(), b"what was meant"),
                false => assert!(
                    read.unwrap_err().to_string().contains("\"a\" was changed"),
                    "{changed:?}"
                ),
            }
        }
        fs::remove_file(folder.path().join("a")).unwrap();
        assert!(drained(&body).unwrap_err().to_string().contains("\"a\" cannot be read"));
    }
}
