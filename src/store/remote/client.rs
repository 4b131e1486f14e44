//! A store that a server holds.
//!
//! What is read is asked again once over a new connection when the old one is gone: the server may have been restarted.
//! A commit is sent again only when it cannot have arrived whole; when its answer is lost, that is said
//! ([`StoreError::CommitUnknown`]), and whoever asked has to look. A scan of more than one answer takes
//! (`answer::PAGE_BYTES`) is not of one moment.

use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::wire::{Ask, HELLO_BYTES_MAX, Hello, Purpose, Reply, Server, Welcome, decode, encode, row};
use crate::io::socket::{FRAME_BYTES_MAX, Line, SocketError};
use crate::store::batch::check_limits;
use crate::store::{Batch, CommitNo, Durability, KeyRange, Row, Store, StoreError, StoreStats, VisitRow};

/// How long the greeting may take.
const HELLO_TIME: Duration = Duration::from_secs(5);

/// How long an answer may take: a slow disk has its time.
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// A store through a server's socket.
#[derive(Debug)]
pub struct RemoteStore {
    folder: PathBuf,
    server: Server,
    pub(super) line: Mutex<Option<Line>>,
    past: Mutex<Past>,
}

/// What was said by the servers before the one that is there.
#[derive(Debug, Default)]
struct Past {
    /// Which process answers now.
    boot: String,
    /// The last commit that it has answered for, and the last one of those before it.
    last: u64,
    last_before: u64,
}

/// Rows of one answer, and whether there may be more.
type Page = (Vec<(Vec<u8>, Row)>, bool);

/// How far a question came whose answer is missing.
enum Lost {
    NotSent(String),
    Sent(String),
}

impl Lost {
    fn reason(self) -> String {
        match self {
            Lost::NotSent(reason) | Lost::Sent(reason) => reason,
        }
    }
}

impl RemoteStore {
    /// The store of the data folder `folder`; `None` when nobody serves it.
    pub fn connect(folder: &Path) -> Result<Option<RemoteStore>, StoreError> {
        let Some((line, server)) = call(folder, Purpose::Store)? else {
            return Ok(None);
        };
        Ok(Some(RemoteStore {
            folder: folder.to_owned(),
            line: Mutex::new(Some(line)),
            past: Mutex::new(Past {
                boot: server.boot.clone(),
                ..Past::default()
            }),
            server,
        }))
    }

    /// Who holds the store.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Another connection to the server.
    pub fn call(&self, purpose: Purpose) -> Result<Line, StoreError> {
        let (line, _) = call(&self.folder, purpose)?.ok_or_else(gone)?;
        Ok(line)
    }

    /// Asks over the connection that there is, or over a new one.
    fn ask_once(&self, line: &mut Option<Line>, frame: &[u8]) -> Result<Result<Reply, Lost>, StoreError> {
        let open = match line.take() {
            Some(open) => open,
            None => {
                let (line, server) = call(&self.folder, Purpose::Store)?.ok_or_else(gone)?;
                self.past().meets(server.boot);
                line
            }
        };
        if let Err(error) = open.send(frame) {
            return Ok(Err(Lost::NotSent(error.to_string())));
        }
        let received = match open.receive(FRAME_BYTES_MAX, Some(ANSWER_TIME)) {
            Ok(Some(frame)) => decode(&frame),
            Ok(None) => Err(SocketError::Closed.to_string()),
            Err(error) => Err(error.to_string()),
        };
        Ok(received.map_err(Lost::Sent).inspect(|_| *line = Some(open)))
    }

    /// Asks what changes nothing.
    fn ask(&self, asked: &Ask) -> Result<Reply, StoreError> {
        let frame = encode(asked);
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let was_open = line.is_some();
        let reply = match self.ask_once(&mut line, &frame)? {
            Err(_) if was_open => self.ask_once(&mut line, &frame)?,
            reply => reply,
        };
        understood(reply.map_err(|lost| StoreError::ServerLost { reason: lost.reason() })?)
    }

    /// Asks for a change.
    fn change(&self, asked: &Ask) -> Result<Reply, StoreError> {
        let frame = encode(asked);
        StoreError::check_size("the batch", frame.len(), FRAME_BYTES_MAX)?;
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let was_open = line.is_some();
        let reply = match self.ask_once(&mut line, &frame)? {
            Err(Lost::NotSent(_)) if was_open => self.ask_once(&mut line, &frame)?,
            reply => reply,
        };
        understood(reply.map_err(|lost| match lost {
            Lost::NotSent(reason) => StoreError::ServerLost { reason },
            Lost::Sent(reason) => StoreError::CommitUnknown { reason },
        })?)
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn page(&self, range: KeyRange, limit: usize, reverse: bool) -> Result<Page, StoreError> {
        let Reply::Rows { rows, more } = self.ask(&Ask::scan(range, limit, reverse))? else {
            return Err(nonsense());
        };
        let rows = rows
            .into_iter()
            .map(|(key, value, version)| (key.0, row((value, version))));
        Ok((rows.collect(), more))
    }
}

impl Past {
    /// The server of `boot` answers from here on.
    fn meets(&mut self, boot: String) {
        if self.boot != boot {
            self.boot = boot;
            self.last_before = self.last_before.max(self.last);
        }
    }
}

/// Calls the server of `folder` and greets it.
fn call(folder: &Path, purpose: Purpose) -> Result<Option<(Line, Server)>, StoreError> {
    let refused = |reason: String| StoreError::ServerRefused { reason };
    let Some(line) = Line::to(folder).map_err(|error| refused(error.to_string()))? else {
        return Ok(None);
    };
    let lost = |error: SocketError| StoreError::ServerLost {
        reason: error.to_string(),
    };
    line.send(&encode(&Hello::of(purpose))).map_err(lost)?;
    let answered = line.receive(HELLO_BYTES_MAX, Some(HELLO_TIME)).map_err(lost)?;
    let answered = answered.ok_or_else(|| lost(SocketError::Closed))?;
    let welcome: Welcome = decode(&answered).map_err(refused)?;
    match welcome.refused {
        Some(reason) => Err(refused(reason)),
        None => Ok(Some((line, welcome.server))),
    }
}

fn gone() -> StoreError {
    StoreError::ServerLost {
        reason: "it has ended".to_owned(),
    }
}

fn nonsense() -> StoreError {
    StoreError::ServerLost {
        reason: "it answered something else than was asked".to_owned(),
    }
}

fn understood(reply: Reply) -> Result<Reply, StoreError> {
    match reply {
        Reply::Failed(fault) => Err(fault.into()),
        reply => Ok(reply),
    }
}

impl Store for RemoteStore {
    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        match self.ask(&Ask::Get(super::wire::Bytes(key.to_vec())))? {
            Reply::Row(found) => Ok(found.map(row)),
            _ => Err(nonsense()),
        }
    }

    fn scan(&self, range: KeyRange, limit: usize, reverse: bool) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        let mut range = range;
        let mut found = Vec::new();
        loop {
            let (rows, more) = self.page(range.clone(), limit - found.len(), reverse)?;
            found.extend(rows);
            match found.last() {
                Some((last, _)) if more && found.len() < limit => bound(&mut range, last.clone(), reverse),
                _ => return Ok(found),
            }
        }
    }

    fn visit(&self, range: KeyRange, visit: &mut VisitRow<'_>) -> Result<(), StoreError> {
        let mut range = range;
        loop {
            let (rows, more) = self.page(range.clone(), usize::MAX, false)?;
            for (key, row) in &rows {
                if visit(key, &row.value, row.version).is_break() {
                    return Ok(());
                }
            }
            match rows.into_iter().last() {
                Some((last, _)) if more => bound(&mut range, last, false),
                _ => return Ok(()),
            }
        }
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<CommitNo, StoreError> {
        check_limits(&batch)?;
        match self.change(&Ask::commit(batch, durability))? {
            Reply::Done(number) => {
                let mut past = self.past();
                past.last = past.last.max(number);
                Ok(CommitNo(number))
            }
            _ => Err(nonsense()),
        }
    }

    fn wait_durable(&self, commit: CommitNo) -> Result<(), StoreError> {
        let unknown = |reason: String| StoreError::CommitUnknown { reason };
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        // Not asked of another server: it cannot know what the one before it had not yet on the disk.
        if line.is_none() || commit.0 <= self.past().last_before {
            return Err(unknown("the server was lost before it was on the disk".to_owned()));
        }
        let reply = self.ask_once(&mut line, &encode(&Ask::WaitDurable(commit.0)))?;
        understood(reply.map_err(|lost| unknown(lost.reason()))?).map(drop)
    }

    fn stats(&self) -> StoreStats {
        match self.ask(&Ask::Stats) {
            Ok(Reply::Stats {
                durable_commits,
                batches,
                last_commit,
            }) => StoreStats {
                durable_commits,
                batches,
                last_commit: CommitNo(last_commit),
            },
            _ => StoreStats::default(),
        }
    }
}

/// Leaves of `range` what lies behind `last`.
fn bound(range: &mut KeyRange, last: Vec<u8>, reverse: bool) {
    match reverse {
        true => range.1 = Bound::Excluded(last),
        false => range.0 = Bound::Excluded(last),
    }
}
