//! The file of a backup under way: blocks are made by one thread, and hashed and written by another.
//!
//! The second waits for the disk again and again, and the first must not wait with it: it holds a look at the store. What
//! lies between the two is bounded.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use sha2::{Digest, Sha256};

use super::form::{BackupError, DIGEST_BYTES, FRAME_BYTES, checksum};
use super::seal::Lock;

/// How much is written between two syncs.
const SYNC_BYTES: u64 = 4 << 20;

/// Blocks that wait to be written: enough for what is made during a sync.
const WAITING_MAX: usize = 3;

/// Where blocks go.
pub(super) struct Output {
    to: SyncSender<Vec<u8>>,
    lock: Option<Lock>,
    /// Of the file so far, written or about to be.
    pub bytes: u64,
    /// The number of the next block.
    number: u64,
}

/// Has `make` put blocks into the empty file at `path`, which ends with the SHA-256 of them all; gives what `make` gave, and
/// that. It is on the disk then.
pub(super) fn pour<T>(
    path: &Path,
    file: &File,
    lock: Option<Lock>,
    make: impl FnOnce(&mut Output) -> Result<T, BackupError>,
) -> Result<(T, [u8; DIGEST_BYTES]), BackupError> {
    let failed = |error: io::Error| BackupError::io(path, &error);
    let (to, from) = sync_channel(WAITING_MAX);
    let (made, written) = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("backup-writer".to_owned());
        let thread = thread.spawn_scoped(scope, || write(file, from)).map_err(failed)?;
        let mut out = Output {
            to,
            lock,
            bytes: 0,
            number: 0,
        };
        let made = make(&mut out);
        // With it ends what the thread waits for.
        drop(out);
        let written = thread.join().expect("it does nothing that panics");
        Ok::<_, BackupError>((made, written))
    })?;
    // Why it could not be written is the reason; that nothing was taken any more only follows from it.
    let digest = written.map_err(failed)?;
    let made = made?;
    (&mut &*file).write_all(&digest).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    Ok((made, digest))
}

/// Writes what comes until no more does; gives the SHA-256 of it.
fn write(mut file: &File, from: Receiver<Vec<u8>>) -> io::Result<[u8; DIGEST_BYTES]> {
    let mut hasher = Sha256::new();
    let mut unsynced = 0;
    for bytes in from {
        hasher.update(&bytes);
        file.write_all(&bytes)?;
        unsynced += bytes.len() as u64;
        if unsynced >= SYNC_BYTES {
            unsynced = 0;
            file.sync_data()?;
        }
    }
    Ok(hasher.finalize().into())
}

impl Output {
    pub fn raw(&mut self, bytes: Vec<u8>) -> Result<(), BackupError> {
        self.bytes += bytes.len() as u64;
        // Whoever writes has failed, and says why.
        self.to.send(bytes).map_err(|_| BackupError::Cancelled)
    }

    /// A block as it is.
    pub fn plain(&mut self, kind: u8, body: &[u8]) -> Result<(), BackupError> {
        let mut block = Vec::with_capacity(FRAME_BYTES + body.len());
        block.push(kind);
        block.extend((body.len() as u32).to_be_bytes());
        block.extend(body);
        block.extend(checksum(kind, body).to_be_bytes());
        self.number += 1;
        self.raw(block)
    }

    /// A block that is pressed and, where there is a key, sealed.
    pub fn pressed(&mut self, kind: u8, body: &[u8]) -> Result<(), BackupError> {
        self.sealed(kind, lz4_flex::block::compress_prepend_size(body))
    }

    /// A block that is sealed, where there is a key.
    pub fn sealed(&mut self, kind: u8, mut body: Vec<u8>) -> Result<(), BackupError> {
        if let Some(lock) = &self.lock {
            lock.close(self.number, kind, &mut body);
        }
        self.plain(kind, &body)
    }
}
