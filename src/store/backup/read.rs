//! Reads a backup, part by part, and says where it is not as it was written.
//!
//! Whoever has seen [`Part::End`] has seen the whole file, and each of its bytes was the one that was written.
#![expect(clippy::disallowed_methods, reason = "the store reads its own backups")]

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::form::{
    BODY_BYTES_MAX, BackupError, DIGEST_BYTES, FILE, FORMAT, HEADER, Header, MAGIC, ROWS, TRAILER, Trailer, checksum,
};
use super::seal::{Key, Lock};
use crate::id::ContentHash;
use crate::store::CommitNo;
use crate::store::engine::FORMAT as STORE_FORMAT;

/// Sizes before a row: key, value, version.
const ROW_HEAD_BYTES: usize = 4 + 4 + 8;

/// Hash, offset and length before a piece of a file.
const PIECE_HEAD_BYTES: usize = 32 + 8 + 8;

/// Numbers of commits end far before this; a later one leaves none to those that follow.
const COMMIT_MAX: u64 = 1 << 62;

/// What comes next in a backup.
#[derive(Debug)]
pub enum Part {
    Rows(Rows),
    /// A piece of a file, each file from its beginning.
    Piece {
        hash: ContentHash,
        offset: u64,
        /// Of the whole file.
        total: u64,
        bytes: Vec<u8>,
    },
    /// Nothing more, and all of it was right.
    End(Trailer),
}

/// The rows of one block.
#[derive(Debug)]
pub struct Rows(Vec<u8>);

impl Rows {
    /// Shows each row: key, value, commit.
    pub fn each<E>(&self, mut see: impl FnMut(&[u8], &[u8], CommitNo) -> Result<(), E>) -> Result<(), E> {
        let mut rest = self.0.as_slice();
        while let Some((key, value, version, after)) = row(rest) {
            see(key, value, version)?;
            rest = after;
        }
        Ok(())
    }
}

/// A key, its value, the commit that wrote it, and what follows.
type RowAnd<'b> = (&'b [u8], &'b [u8], CommitNo, &'b [u8]);

/// The first row of `block`, and what follows it.
fn row(block: &[u8]) -> Option<RowAnd<'_>> {
    let (head, rest) = block.split_at_checked(ROW_HEAD_BYTES)?;
    let number = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().expect("four bytes")) as usize;
    let version = u64::from_be_bytes(head[8..].try_into().expect("eight bytes"));
    let (key, rest) = rest.split_at_checked(number(0))?;
    let (value, rest) = rest.split_at_checked(number(4))?;
    Some((key, value, CommitNo(version), rest))
}

/// A backup that is read.
pub struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    hasher: Sha256,
    at: u64,
    number: u64,
    lock: Option<Lock>,
    last_key: Vec<u8>,
    counted: Trailer,
    pub header: Header,
    /// Bytes of the file.
    pub bytes: u64,
}

impl Reader {
    /// Opens the backup at `path`, and refuses what this host cannot read.
    pub fn open(path: &Path, key: Option<&Key>) -> Result<Reader, BackupError> {
        // Looked at before: to open a pipe is to wait for whoever writes to it.
        let data = std::fs::metadata(path).map_err(|error| BackupError::io(path, &error))?;
        if !data.is_file() {
            return Err(BackupError::NotOne(path.to_owned()));
        }
        let file = File::open(path).map_err(|error| BackupError::io(path, &error))?;
        let mut reader = Reader {
            path: path.to_owned(),
            file: BufReader::with_capacity(1 << 16, file),
            hasher: Sha256::new(),
            at: 0,
            number: 0,
            lock: None,
            last_key: Vec::new(),
            counted: Trailer::default(),
            header: Header::default(),
            bytes: data.len(),
        };
        reader.begin(key)?;
        Ok(reader)
    }

    fn begin(&mut self, key: Option<&Key>) -> Result<(), BackupError> {
        let mut magic = [0; MAGIC.len()];
        match self.fill(&mut magic) {
            Err(BackupError::CutOff { .. }) => return Err(BackupError::NotOne(self.path.clone())),
            filled => filled?,
        }
        if magic != *MAGIC {
            return Err(BackupError::NotOne(self.path.clone()));
        }
        let mut format = [0; 2];
        self.fill(&mut format)?;
        let format = u16::from_be_bytes(format);
        if format == 0 || format > FORMAT {
            let (path, found) = (self.path.clone(), u64::from(format));
            return Err(BackupError::Newer { path, found });
        }
        let (kind, body) = self.block()?;
        let header = rmp_serde::from_slice(&body).ok().filter(|_| kind == HEADER);
        self.header = header.ok_or_else(|| self.damaged("its header cannot be read"))?;
        if self.header.last_commit > COMMIT_MAX || self.header.epoch == u64::MAX {
            return Err(self.damaged("its header counts further than any store"));
        }
        if self.header.store_format > STORE_FORMAT {
            return Err(BackupError::NewerStore {
                path: self.path.clone(),
                found: self.header.store_format,
                known: STORE_FORMAT,
            });
        }
        self.lock = match (&self.header.sealed, key) {
            (None, _) => None,
            (Some(_), None) => return Err(BackupError::KeyMissing(self.path.clone())),
            (Some(sealed), Some(key)) => Some(key.open(sealed, &self.path)?.under(&body)),
        };
        Ok(())
    }

    /// Bytes read so far.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// What comes next. Not to be asked again after [`Part::End`].
    pub fn next_part(&mut self) -> Result<Part, BackupError> {
        let begins_at = self.at;
        let (kind, body) = self.block()?;
        match kind {
            TRAILER => {
                let body = self.opened(kind, body, begins_at)?;
                self.end(&body)
            }
            ROWS | FILE => {
                let body = self.unpressed(kind, body, begins_at)?;
                let part = match kind {
                    ROWS => self.rows(body),
                    _ => self.piece(body),
                };
                part.ok_or_else(|| self.damaged_at("a block cannot be read", begins_at))
            }
            _ => Err(self.damaged_at("a block is of no known kind", begins_at)),
        }
    }

    fn rows(&mut self, body: Vec<u8>) -> Option<Part> {
        let mut rest = body.as_slice();
        while !rest.is_empty() {
            let (key, value, CommitNo(version), after) = row(rest)?;
            let is_next = key > self.last_key.as_slice() && self.counted.files == 0;
            if !is_next || version > COMMIT_MAX {
                return None;
            }
            self.last_key.clear();
            self.last_key.extend(key);
            self.counted.rows += 1;
            self.counted.row_bytes += (key.len() + value.len()) as u64;
            rest = after;
        }
        Some(Part::Rows(Rows(body)))
    }

    fn piece(&mut self, mut body: Vec<u8>) -> Option<Part> {
        let bytes = (body.len() >= PIECE_HEAD_BYTES).then(|| body.split_off(PIECE_HEAD_BYTES))?;
        let number = |at: usize| u64::from_be_bytes(body[at..at + 8].try_into().expect("eight bytes"));
        let hash = ContentHash::from_digest(body[..32].try_into().expect("as long as a digest"));
        let (offset, total) = (number(32), number(40));
        let end = offset.checked_add(bytes.len() as u64)?;
        if offset == 0 {
            self.counted.files += 1;
            self.counted.file_bytes = self.counted.file_bytes.checked_add(total)?;
        }
        (end <= total).then_some(Part::Piece {
            hash,
            offset,
            total,
            bytes,
        })
    }

    fn end(&mut self, body: &[u8]) -> Result<Part, BackupError> {
        let trailer: Option<Trailer> = rmp_serde::from_slice(body).ok();
        let trailer = trailer.ok_or_else(|| self.damaged("its end cannot be read"))?;
        let counted = &self.counted;
        if (trailer.rows, trailer.row_bytes) != (counted.rows, counted.row_bytes)
            || (trailer.files, trailer.file_bytes) != (counted.files, counted.file_bytes)
        {
            let reason = format!(
                "it should hold {} rows and {} files, and holds {} and {}",
                trailer.rows, trailer.files, counted.rows, counted.files
            );
            return Err(self.damaged(&reason));
        }
        let digest = self.hasher.clone().finalize();
        let mut written = [0; DIGEST_BYTES];
        self.fill(&mut written)?;
        if digest.as_slice() != written {
            return Err(self.damaged("its SHA-256 is another"));
        }
        match self.file.read(&mut [0]) {
            Ok(0) => Ok(Part::End(trailer)),
            Ok(_) => Err(self.damaged("something follows its end")),
            Err(error) => Err(BackupError::io(&self.path, &error)),
        }
    }

    fn opened(&self, kind: u8, body: Vec<u8>, begins_at: u64) -> Result<Vec<u8>, BackupError> {
        match &self.lock {
            Some(lock) => lock
                .open(self.number - 1, kind, body)
                .ok_or_else(|| self.damaged_at("a block was not sealed with this key", begins_at)),
            None => Ok(body),
        }
    }

    fn unpressed(&self, kind: u8, body: Vec<u8>, begins_at: u64) -> Result<Vec<u8>, BackupError> {
        let body = self.opened(kind, body, begins_at)?;
        let size = body.first_chunk::<4>().map(|size| u32::from_le_bytes(*size) as usize);
        let body = match size {
            Some(size) if size <= BODY_BYTES_MAX => lz4_flex::block::decompress_size_prepended(&body).ok(),
            _ => None,
        };
        body.ok_or_else(|| self.damaged_at("a block cannot be unpressed", begins_at))
    }

    /// The next block, as it lies in the file.
    fn block(&mut self) -> Result<(u8, Vec<u8>), BackupError> {
        let begins_at = self.at;
        let mut head = [0; 5];
        self.fill(&mut head)?;
        let length = u32::from_be_bytes(head[1..].try_into().expect("four bytes")) as usize;
        if length > BODY_BYTES_MAX {
            return Err(self.damaged_at("a block is longer than any that is written", begins_at));
        }
        let mut body = vec![0; length];
        self.fill(&mut body)?;
        let mut sum = [0; 4];
        self.fill(&mut sum)?;
        if u32::from_be_bytes(sum) != checksum(head[0], &body) {
            return Err(self.damaged_at("the checksum of a block does not fit", begins_at));
        }
        self.number += 1;
        Ok((head[0], body))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), BackupError> {
        match self.file.read_exact(bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                let (path, at) = (self.path.clone(), self.bytes);
                return Err(BackupError::CutOff { path, at });
            }
            Err(error) => return Err(BackupError::io(&self.path, &error)),
        }
        self.hasher.update(&*bytes);
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn damaged(&self, reason: &str) -> BackupError {
        self.damaged_at(reason, self.at)
    }

    fn damaged_at(&self, reason: &str, at: u64) -> BackupError {
        BackupError::Damaged {
            path: self.path.clone(),
            at,
            reason: reason.to_owned(),
        }
    }
}
