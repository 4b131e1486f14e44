//! A disk for tests: it forgets what was not synced, and fails when told to.
#![expect(clippy::disallowed_methods, reason = "tests look at the clock")]

use std::io::{self, ErrorKind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use redb::StorageBackend;

/// A disk in memory; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct TestDisk(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    /// What reads see.
    live: Vec<u8>,
    /// What a power cut leaves for certain.
    durable: Vec<u8>,
    /// What came since, in order.
    pending: Vec<Change>,
    /// Writes, syncs and changes of length so far.
    operations: u64,
    /// The operation from which all fail.
    full_from: Option<u64>,
    sync_takes: std::time::Duration,
    /// Whether syncs wait until they are let go.
    is_held: bool,
    /// How many syncs wait so.
    waiting: u32,
}

#[derive(Debug)]
enum Change {
    Length(usize),
    Bytes(usize, Vec<u8>),
}

impl Change {
    fn apply(&self, disk: &mut Vec<u8>) {
        match self {
            Change::Length(length) => disk.resize(*length, 0),
            Change::Bytes(offset, bytes) => {
                let end = offset + bytes.len();
                if disk.len() < end {
                    disk.resize(end, 0);
                }
                disk[*offset..end].copy_from_slice(bytes);
            }
        }
    }
}

impl TestDisk {
    pub fn holding(bytes: Vec<u8>) -> TestDisk {
        let disk = TestDisk::default();
        disk.state().live = bytes.clone();
        disk.state().durable = bytes;
        disk
    }

    /// Fails every operation from number `operation` on, as a full disk does.
    pub fn full_from(operation: u64) -> TestDisk {
        let disk = TestDisk::default();
        disk.state().full_from = Some(operation);
        disk
    }

    /// From now on nothing fits any more.
    pub fn fill(&self) {
        self.state().full_from = Some(0);
    }

    /// Makes every sync wait until [`release`](TestDisk::release).
    pub fn hold(&self) {
        self.state().is_held = true;
    }

    pub fn release(&self) {
        self.state().is_held = false;
        self.0.1.notify_all();
    }

    /// Returns when a sync waits to be released.
    pub fn wait_for_sync(&self) {
        let state = self.0.1.wait_while(self.state(), |state| state.waiting == 0).unwrap();
        drop(state);
    }

    pub fn with_slow_sync(sync_takes: std::time::Duration) -> TestDisk {
        let disk = TestDisk::default();
        disk.state().sync_takes = sync_takes;
        disk
    }

    /// What a process that is started again finds.
    pub fn after_kill(&self) -> TestDisk {
        TestDisk::holding(self.state().live.clone())
    }

    /// What a machine that is started again finds: all that was synced, and of the rest what `keep` says, change by
    /// change.
    pub fn after_power_cut(&self, mut keep: impl FnMut() -> bool) -> TestDisk {
        let state = self.state();
        let mut bytes = state.durable.clone();
        for change in &state.pending {
            // A file system makes lengths durable with the data behind them.
            if matches!(change, Change::Length(_)) || keep() {
                change.apply(&mut bytes);
            }
        }
        TestDisk::holding(bytes)
    }

    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap()
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut state = self.state();
        state.count_operation()?;
        change.apply(&mut state.live);
        state.pending.push(change);
        Ok(())
    }
}

impl State {
    fn count_operation(&mut self) -> io::Result<()> {
        self.operations += 1;
        match self.full_from {
            Some(full_from) if self.operations >= full_from => Err(ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

impl StorageBackend for TestDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let start = offset as usize;
        let bytes = state
            .live
            .get(start..start + out.len())
            .ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::Length(len as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        let takes = self.state().sync_takes;
        std::thread::sleep(takes);
        let mut state = self.state();
        state.waiting += 1;
        self.0.1.notify_all();
        let mut state = self.0.1.wait_while(state, |state| state.is_held).unwrap();
        state.waiting -= 1;
        state.count_operation()?;
        state.durable = state.live.clone();
        state.pending.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Bytes(offset as usize, data.to_vec()))
    }
}
