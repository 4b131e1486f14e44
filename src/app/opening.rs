//! Opening the project's store: through the socket of a server that holds it, else its file.
//!
//! Nearly always there is no server, and asking for one costs a look at the folder. While another command has the file,
//! it is waited for a moment; that may be a server that is just starting, so each try looks for both.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::{App, AppError, STORE_FILE};
use crate::config::ConfigError;
use crate::journal::Owner;
use crate::journal::audit::{self, Act, Actor, Via};
use crate::store::content::{Content, FileContent};
use crate::store::documents::Indexes;
use crate::store::engine::{self, Compacted, Engine, FORMAT, Repaired};
use crate::store::remote::{RemoteStore, Server};
use crate::store::tx::Ground;
use crate::store::upgrade;
use crate::store::{Durability, Store, StoreError};

/// How long to wait for another command to let go of the store.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// How soon it is tried again.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

impl App {
    /// The project's store, opened for writing and made if there is none. Repairs it if its last owner was killed.
    pub fn writer(&self) -> Result<Ground, AppError> {
        let path = self.config.data().join(STORE_FILE);
        let store = self.open(|| self.open_to_write(&path))?;
        let ground = self.ground(store)?;
        // A server has built what it declares, and keeps whatever is built.
        if self.server().is_none() {
            Indexes::build(&ground)?;
        }
        Ok(ground)
    }

    /// Opens the file; that it was brought to another format is an act, directly after it.
    fn open_to_write(&self, path: &Path) -> Result<Engine, StoreError> {
        let engine = Engine::open(path, self.engine_options())?;
        if let Some(from) = engine.upgraded_from {
            let act = Act::new("store.upgrade", "store")
                .with("from", from)
                .with("to", FORMAT)
                .with("host", env!("CARGO_PKG_VERSION"));
            let actor = Actor::new("(host)", Via::Host, "");
            audit::record(&engine, Durability::Now, &actor, &act, self.clock.unix_ms())?;
        }
        Ok(engine)
    }

    /// The same for whoever is to hold the store alone: the server itself.
    pub fn holder(&self) -> Result<Ground, AppError> {
        let path = self.config.data().join(STORE_FILE);
        let store = self.patiently(|| self.open_to_write(&path))?;
        let ground = self.ground(Arc::new(store))?;
        Indexes::build(&ground)?;
        Ok(ground)
    }

    /// Checks every row of the project's store, and makes good what an owner that was killed left behind.
    pub fn repair(&self) -> Result<Repaired, AppError> {
        let path = self.config.data().join(STORE_FILE);
        self.alone("host store repair")?;
        Ok(self.patiently(|| engine::repair(&path, self.engine_options()))?)
    }

    /// Gives back what the project's store holds of the disk and does not use.
    pub fn compact(&self) -> Result<Compacted, AppError> {
        let path = self.config.data().join(STORE_FILE);
        self.alone("compacting the store")?;
        Ok(self.patiently(|| engine::compact(&path, self.engine_options()))?)
    }

    /// Brings the project's store back to the format before this host's.
    pub fn downgrade(&self) -> Result<u64, AppError> {
        let path = self.config.data().join(STORE_FILE);
        self.alone("host store downgrade")?;
        Ok(self.patiently(|| upgrade::downgrade(&path, self.engine_options()))?)
    }

    /// The project's store, only to be read. `None` when there is none yet.
    pub fn reader(&self) -> Result<Option<Ground>, AppError> {
        let path = self.config.data().join(STORE_FILE);
        match self.open(|| Engine::open_read_only(&path, self.engine_options())) {
            Ok(store) => Ok(Some(self.ground(store)?)),
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The same without patience: `None` also while another command holds it, or when it cannot be read.
    pub fn glance(&self) -> Option<Ground> {
        if let Some(server) = self.call().ok()? {
            return self.ground(server).ok();
        }
        let path = self.config.data().join(STORE_FILE);
        let store = Engine::open_read_only(&path, self.engine_options()).ok()?;
        self.ground(Arc::new(store)).ok()
    }

    /// The server through which the store was opened last, if it was.
    pub fn server(&self) -> Option<Arc<RemoteStore>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks whether a server holds the store now.
    pub fn call(&self) -> Result<Option<Arc<RemoteStore>>, StoreError> {
        let found = RemoteStore::connect(&self.config.data())?.map(Arc::new);
        *self.served.lock().unwrap_or_else(PoisonError::into_inner) = found.clone();
        Ok(found)
    }

    /// Fails while a server holds the store.
    pub(super) fn alone(&self, command: &'static str) -> Result<(), StoreError> {
        match self.call()? {
            None => Ok(()),
            Some(server) => Err(StoreError::Served {
                path: self.config.data().join(STORE_FILE),
                pid: server.server().pid,
                command,
            }),
        }
    }

    /// The store of a server, or what `open` opens.
    fn open(&self, open: impl Fn() -> Result<Engine, StoreError>) -> Result<Arc<dyn Store>, StoreError> {
        self.patiently(|| match self.call()? {
            Some(server) => Ok(server as Arc<dyn Store>),
            None => Ok(Arc::new(open()?)),
        })
    }

    /// Another command may hold the store for a moment, and a server may just be ending.
    fn patiently<T>(&self, open: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let give_up_at = self.clock.monotonic() + LOCK_WAIT;
        loop {
            match open() {
                Err(StoreError::Locked { .. } | StoreError::ServerLost { .. })
                    if self.clock.monotonic() < give_up_at =>
                {
                    self.clock.sleep(LOCK_PAUSE);
                }
                other => return other,
            }
        }
    }

    pub(super) fn content(&self) -> Arc<dyn Content> {
        Arc::new(FileContent::new(self.config.data().join("content")))
    }

    pub(super) fn ground(&self, store: Arc<dyn Store>) -> Result<Ground, AppError> {
        Ok(Ground {
            store,
            content: self.content(),
            indexes: Arc::new(self.indexes()?),
        })
    }

    pub(super) fn indexes(&self) -> Result<Indexes, ConfigError> {
        let declared = self.config.file.collections.iter();
        let declared: BTreeMap<String, Vec<String>> = declared
            .map(|(name, collection)| (name.clone(), collection.indexes.clone()))
            .collect();
        Indexes::declare(&declared).map_err(|error| ConfigError::Value {
            key: "[collections]".to_owned(),
            reason: error.to_string(),
        })
    }
}

impl RemoteStore {
    /// The server as the owner of runs.
    pub fn owner(&self) -> Owner {
        let Server { node, boot, .. } = self.server().clone();
        Owner { node, boot }
    }
}
