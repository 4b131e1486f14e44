//! The server's side: answers to questions about rows.
//!
//! *Output commit:* what is told is on disk before, so that nobody reads of an end that a crash takes back. Where the disk
//! takes nothing any more, what is there is told all the same: whoever asks then wants to know what has gone wrong.

use std::ops::{Bound, ControlFlow};

use super::wire::{Ask, Bytes, Reply, decode, encode};
use crate::io::socket::{FRAME_BYTES_MAX, Line, SocketError};
use crate::store::{Batch, CommitNo, Durability, KeyBounds, KeyRange, Precondition, Store, StoreError, bounds};

/// Bytes of rows in one answer, beyond which the rest has to be asked for.
const PAGE_BYTES: usize = 4 << 20;

/// Rows of one answer that come against the order of keys.
const REVERSE_ROWS: usize = 256;

/// The keys that a commit has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub put: Vec<Vec<u8>>,
    pub deleted: Vec<Vec<u8>>,
}

/// Answers what comes over `line` until the other side hangs up. `on_commit` is told of what was committed.
pub fn attend(line: &Line, store: &dyn Store, on_commit: &dyn Fn(&Written)) -> Result<(), SocketError> {
    while let Some(frame) = line.receive(FRAME_BYTES_MAX, None)? {
        let asked = decode(&frame).map_err(SocketError::Failed)?;
        drop(frame);
        line.send(&encode(&answer(store, asked, on_commit)))?;
    }
    Ok(())
}

pub fn answer(store: &dyn Store, asked: Ask, on_commit: &dyn Fn(&Written)) -> Reply {
    let answered = match asked {
        Ask::Get(key) => store.get(&key.0).map(|row| {
            let key = key.0.as_slice();
            settle(
                store,
                (Bound::Included(key), Bound::Included(key)),
                row.iter().map(|row| row.version.0),
            );
            Reply::Row(row.map(|row| (Bytes(row.value), row.version.0)))
        }),
        Ask::Scan {
            low,
            high,
            limit,
            reverse,
        } => {
            let range = (low.map(|key| key.0), high.map(|key| key.0));
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let read = match reverse {
                true => backwards(store, range.clone(), limit),
                false => forwards(store, range.clone(), limit),
            };
            read.map(|(rows, more)| {
                settle(store, bounds(&range), rows.iter().map(|(_, _, version)| *version));
                Reply::Rows { rows, more }
            })
        }
        Ask::Commit {
            puts,
            deletes,
            preconditions,
            now,
        } => {
            let precondition = |version: Option<u64>| {
                version.map_or(Precondition::Absent, |number| Precondition::At(CommitNo(number)))
            };
            // Put together by hand: `put` looks at all that is there already.
            let batch = Batch {
                puts: puts.into_iter().map(|(key, value)| (key.0, value.0)).collect(),
                deletes: deletes.into_iter().map(|key| key.0).collect(),
                preconditions: preconditions
                    .into_iter()
                    .map(|(key, version)| (key.0, precondition(version)))
                    .collect(),
                contents: Vec::new(),
            };
            let written = Written {
                put: batch.puts.iter().map(|(key, _)| key.clone()).collect(),
                deleted: batch.deletes.clone(),
            };
            let durability = if now { Durability::Now } else { Durability::Soon };
            store.commit(batch, durability).map(|CommitNo(number)| {
                on_commit(&written);
                Reply::Done(number)
            })
        }
        Ask::WaitDurable(commit) => store.wait_durable(CommitNo(commit)).map(|()| Reply::Done(commit)),
        Ask::Stats => Ok(store.stats().into()),
    };
    answered.unwrap_or_else(|error| Reply::Failed(error.into()))
}

/// Waits until the rows of these `versions`, and that there are no others in `range`, are on disk.
fn settle(store: &dyn Store, range: KeyBounds<'_>, versions: impl Iterator<Item = u64>) {
    let read = versions.max().map_or(CommitNo::default(), CommitNo);
    if let Err(error) = store.wait_durable(read.max(store.unsettled(range))) {
        tracing::debug!(%error, "what is told may not be on disk");
    }
}

/// The rows, and whether there are more.
type Page = (Vec<(Bytes, Bytes, u64)>, bool);

fn forwards(store: &dyn Store, range: KeyRange, limit: usize) -> Result<Page, StoreError> {
    let (mut rows, mut bytes, mut more) = (Vec::new(), 0, false);
    if limit > 0 {
        store.visit(range, &mut |key, value, version| {
            rows.push((Bytes(key.to_vec()), Bytes(value.to_vec()), version.0));
            bytes += key.len() + value.len();
            more = bytes >= PAGE_BYTES;
            match more || rows.len() == limit {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
    }
    Ok((rows, more))
}

fn backwards(store: &dyn Store, range: KeyRange, limit: usize) -> Result<Page, StoreError> {
    let found = store.scan(range, limit.min(REVERSE_ROWS), true)?;
    let mut more = found.len() == REVERSE_ROWS;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    for (key, row) in found {
        if bytes >= PAGE_BYTES {
            more = true;
            break;
        }
        bytes += key.len() + row.value.len();
        rows.push((Bytes(key), Bytes(row.value), row.version.0));
    }
    Ok((rows, more))
}
