//! The store of a server, with the server in a thread.

use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::wire::{Ask, HELLO_BYTES_MAX, Hello, Reply, Server, Welcome, decode, encode};
use super::{RemoteStore, Written, attend};
use crate::io::socket::{FRAME_BYTES_MAX, Line, Listener, SocketError};
use crate::store::engine::Engine;
use crate::store::{Batch, CommitNo, Durability, Precondition, Store, StoreError};

/// Serves `store` in `folder` to one caller after another until `callers` have been there.
pub fn serve(folder: &Path, store: Arc<dyn Store>, callers: usize) -> JoinHandle<Vec<Written>> {
    let listener = Listener::in_folder(folder).unwrap();
    std::thread::spawn(move || {
        let told = Mutex::new(Vec::new());
        for _ in 0..callers {
            let line = greeted(&listener);
            let on_commit = |written: &Written| told.lock().unwrap().push(written.clone());
            attend(&line, &*store, &on_commit).unwrap_or_default();
        }
        told.into_inner().unwrap()
    })
}

/// The next caller, made welcome.
fn greeted(listener: &Listener) -> Line {
    let line = listener.accept().unwrap();
    let hello: Hello = decode(&line.receive(HELLO_BYTES_MAX, None).unwrap().unwrap()).unwrap();
    let welcome = Welcome {
        protocol: hello.protocol,
        version: hello.version.clone(),
        server: Server::default(),
        refused: hello.unfit(),
    };
    line.send(&encode(&welcome)).unwrap();
    line
}

fn folder() -> tempfile::TempDir {
    tempfile::TempDir::new().unwrap()
}

fn put(key: &str, value: impl Into<Vec<u8>>) -> Batch {
    let mut batch = Batch::new();
    batch.put(key.into(), value.into());
    batch
}

#[test]
fn large_and_many_rows_come_in_pages_and_whole() {
    let folder = folder();
    let engine = Arc::new(Engine::in_memory().unwrap());
    let serving = serve(folder.path(), engine.clone(), 1);
    let remote = RemoteStore::connect(folder.path()).unwrap().unwrap();
    for number in 0..9 {
        let value = vec![number; 2 << 20];
        remote
            .commit(put(&format!("large{number}"), value), Durability::Soon)
            .unwrap();
    }
    let mut many = Batch::new();
    for number in 0..700 {
        many.puts.push((format!("many{number:04}").into(), vec![1]));
    }
    remote.commit(many, Durability::Now).unwrap();
    let all = (Bound::Unbounded, Bound::Unbounded);
    for (limit, reverse) in [
        (usize::MAX, false),
        (usize::MAX, true),
        (5, false),
        (5, true),
        (600, true),
        (0, false),
    ] {
        let expected = engine.scan(all.clone(), limit, reverse).unwrap();
        assert_eq!(
            remote.scan(all.clone(), limit, reverse).unwrap(),
            expected,
            "{limit} {reverse}"
        );
    }
    let mut visited = 0;
    remote
        .visit(all, &mut |_, _, _| {
            visited += 1;
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(visited, 709);
    drop(remote);
    assert_eq!(serving.join().unwrap().len(), 10, "each commit is told of");
}

#[test]
fn errors_keep_their_kinds() {
    let folder = folder();
    let serving = serve(folder.path(), Arc::new(Engine::in_memory().unwrap()), 1);
    let remote = RemoteStore::connect(folder.path()).unwrap().unwrap();
    let first = remote.commit(put("a", "1"), Durability::Now).unwrap();
    let mut stale = put("a", "2");
    stale.require(b"a".to_vec(), Precondition::At(CommitNo(first.0 + 1)));
    assert_eq!(
        remote.commit(stale, Durability::Now),
        Err(StoreError::Conflict { key: b"a".to_vec() })
    );
    let large = remote.commit(put("b", vec![0; 17 << 20]), Durability::Now).unwrap_err();
    assert_eq!(large.code(), "STORE_TOO_LARGE");
    let own = remote.commit(put("\0", "x"), Durability::Now).unwrap_err();
    assert_eq!(own.code(), "STORE_BAD_NAME");
    assert_eq!(remote.get(b"a").unwrap().unwrap().value, b"1");
    drop(remote);
    serving.join().unwrap();
}

#[test]
fn what_is_read_is_asked_again_when_the_server_was_restarted() {
    let folder = folder();
    let engine = Arc::new(Engine::in_memory().unwrap());
    let listener = Listener::in_folder(folder.path()).unwrap();
    let store = engine.clone();
    let first = std::thread::spawn(move || {
        let line = greeted(&listener);
        let asked = decode(&line.receive(FRAME_BYTES_MAX, None).unwrap().unwrap()).unwrap();
        line.send(&encode(&super::answer(&*store, asked, &|_| ()))).unwrap();
        (line, listener)
    });
    let remote = RemoteStore::connect(folder.path()).unwrap().unwrap();
    remote.commit(put("a", "1"), Durability::Now).unwrap();
    drop(first.join().unwrap());
    let serving = serve(folder.path(), engine, 1);
    assert_eq!(remote.get(b"a").unwrap().unwrap().value, b"1");
    remote.commit(put("a", "2"), Durability::Now).unwrap();
    drop(remote);
    serving.join().unwrap();
}

/// Once the next server was asked, which says of what it has never heard that it is on the disk.
#[test]
fn what_a_lost_server_had_not_on_the_disk_is_not_said_to_be_there_by_the_next_one() {
    let folder = folder();
    let first = serve(folder.path(), Arc::new(Engine::in_memory().unwrap()), 1);
    let remote = RemoteStore::connect(folder.path()).unwrap().unwrap();
    let commit = remote.commit(put("a", "1"), Durability::Soon).unwrap();
    assert_eq!(remote.wait_durable(commit), Ok(()));
    remote.line.lock().unwrap().as_ref().unwrap().hang_up();
    first.join().unwrap();
    let engine = Arc::new(Engine::in_memory().unwrap());
    engine.commit(put("b", "1"), Durability::Now).unwrap();
    let next = serve(folder.path(), engine, 1);
    let lost = remote.wait_durable(commit).unwrap_err();
    assert_eq!(lost.code(), "STORE_COMMIT_UNKNOWN");
    assert_eq!(remote.get(b"a"), Ok(None), "the next one is asked for what it can know");
    drop(remote);
    next.join().unwrap();
}

#[test]
fn a_server_that_is_lost_before_it_was_asked_has_changed_nothing() {
    let folder = folder();
    let serving = serve(folder.path(), Arc::new(Engine::in_memory().unwrap()), 1);
    let remote = RemoteStore::connect(folder.path()).unwrap().unwrap();
    remote.line.lock().unwrap().as_ref().unwrap().hang_up();
    serving.join().unwrap();
    let lost = remote.commit(put("a", "1"), Durability::Now).unwrap_err();
    assert_eq!(lost.code(), "STORE_SERVER_LOST");
    assert_eq!(remote.get(b"a").unwrap_err().code(), "STORE_SERVER_LOST");
}

#[test]
fn a_commit_whose_answer_is_lost_may_have_happened_and_is_not_sent_again() {
    let folder = folder();
    let engine = Arc::new(Engine::in_memory().unwrap());
    let listener = Listener::in_folder(folder.path()).unwrap();
    let store = engine.clone();
    let dying = std::thread::spawn(move || {
        let line = greeted(&listener);
        let asked: Ask = decode(&line.receive(FRAME_BYTES_MAX, None).unwrap().unwrap()).unwrap();
        assert!(matches!(super::answer(&*store, asked, &|_| ()), Reply::Done(_)));
    });
    let remote = RemoteStore::connect(folder.path()).unwrap().unwrap();
    let lost = remote.commit(put("a", "1"), Durability::Now).unwrap_err();
    assert_eq!(lost.code(), "STORE_COMMIT_UNKNOWN");
    dying.join().unwrap();
    assert_eq!(engine.stats().batches, 1);
}

#[test]
fn another_version_of_the_program_is_told_so() {
    let folder = folder();
    let serving = serve(folder.path(), Arc::new(Engine::in_memory().unwrap()), 1);
    let line = Line::to(folder.path()).unwrap().unwrap();
    let older = Hello {
        protocol: 0,
        version: "0.0.1".to_owned(),
        ..Hello::of(super::Purpose::Store)
    };
    line.send(&encode(&older)).unwrap();
    let welcome: Welcome = decode(&line.receive(HELLO_BYTES_MAX, None).unwrap().unwrap()).unwrap();
    let refused = welcome.refused.unwrap();
    assert!(
        refused.contains("protocol 0") && refused.contains("restart the server"),
        "{refused}"
    );
    drop(line);
    serving.join().unwrap();
}

#[test]
fn garbage_ends_the_connection_and_nothing_else() {
    let (here, there) = Line::pair().unwrap();
    let serving = std::thread::spawn(move || attend(&there, &Engine::in_memory().unwrap(), &|_| ()));
    here.send(&[0xc1; 100]).unwrap();
    assert!(matches!(serving.join().unwrap(), Err(SocketError::Failed(_))));
    assert_eq!(here.receive(100, Some(Duration::from_secs(5))), Ok(None));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        drop(decode::<Ask>(&bytes));
        drop(decode::<Hello>(&bytes));
        drop(decode::<Reply>(&bytes));
    }
}
