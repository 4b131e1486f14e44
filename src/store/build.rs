//! Makes a store's file from rows that exist already, each with the commit that wrote it: for restores and compactions.
//!
//! The file is made under a name that nobody opens, and gets its own when it is whole. It goes to the disk in parts, so that
//! no commit of another store waits behind much of it.
#![expect(clippy::disallowed_methods, reason = "the store makes its own files")]

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use redb::Database;
use redb::backends::FileBackend;

use super::engine::{EngineOptions, LAST_COMMIT_KEY, ROWS, guard};
use super::open::{builder, create_with, explain, prepare};
use super::row::write_row;
use super::{CommitNo, StoreError};

/// What gathers before it is written.
const GATHERED_BYTES: usize = 8 << 20;

/// A store that is being made.
pub struct Building {
    database: Database,
    path: PathBuf,
    gathered: Vec<(Vec<u8>, Vec<u8>)>,
    bytes: usize,
    last: CommitNo,
}

impl Building {
    /// Begins an empty store at `path`, where nothing is.
    pub fn begin(path: &Path, options: EngineOptions) -> Result<Building, StoreError> {
        let mut open = OpenOptions::new();
        let open = open.read(true).write(true).create_new(true).mode(0o600);
        let file = open.open(path).map_err(|error| StoreError::io(path, &error))?;
        let backend = FileBackend::new(file).map_err(|error| explain(path, error.into()))?;
        let database = create_with(&builder(options), backend, path)?;
        prepare(&database, path)?;
        Ok(Building {
            database,
            path: path.to_owned(),
            gathered: Vec::new(),
            bytes: 0,
            last: CommitNo::default(),
        })
    }

    /// Adds a row as it was.
    pub fn put(&mut self, key: &[u8], value: &[u8], version: CommitNo) -> Result<(), StoreError> {
        let mut stored = Vec::new();
        write_row(&mut stored, key, version, value);
        self.last = self.last.max(version);
        self.put_stored(key, stored)
    }

    /// The latest commit that has written one of the rows.
    pub fn last(&self) -> CommitNo {
        self.last
    }

    /// Adds a row in the form in which it is stored.
    pub(super) fn put_stored(&mut self, key: &[u8], stored: Vec<u8>) -> Result<(), StoreError> {
        self.bytes += key.len() + stored.len();
        self.gathered.push((key.to_vec(), stored));
        if self.bytes >= GATHERED_BYTES {
            self.write()?;
        }
        Ok(())
    }

    pub(super) fn write(&mut self) -> Result<(), StoreError> {
        let (path, database, rows) = (&self.path, &self.database, &self.gathered);
        let written = guard(path, || -> Result<(), redb::Error> {
            let transaction = database.begin_write()?;
            {
                let mut table = transaction.open_table(ROWS)?;
                for (key, stored) in rows {
                    table.insert(key.as_slice(), stored.as_slice())?;
                }
            }
            Ok(transaction.commit()?)
        })?;
        written.map_err(|error| explain(path, error))?;
        self.gathered.clear();
        self.bytes = 0;
        Ok(())
    }

    /// Writes what is left, the number of the last commit included, and closes the file. It is whole and on the disk then.
    pub fn finish(mut self, last: CommitNo) -> Result<(), StoreError> {
        let mut stored = Vec::new();
        write_row(&mut stored, LAST_COMMIT_KEY, self.last.max(last), &[]);
        self.put_stored(LAST_COMMIT_KEY, stored)?;
        let path = self.path.clone();
        let database = self.settled()?;
        guard(&path, || database.close())?.map_err(|error| explain(&path, error.into()))
    }

    /// The database, with all that was put, and no more of the disk than it needs.
    pub(super) fn settled(mut self) -> Result<Database, StoreError> {
        self.write()?;
        let Building { mut database, path, .. } = self;
        while guard(&path, || database.compact())?.map_err(|error| explain(&path, error.into()))? {}
        // So that it is opened at once after a kill, also if nobody has written to it by then.
        let closed = guard(&path, || -> Result<(), redb::Error> {
            let mut transaction = database.begin_write()?;
            transaction.set_quick_repair(true);
            Ok(transaction.commit()?)
        })?;
        closed.map_err(|error| explain(&path, error))?;
        Ok(database)
    }
}
