//! Backups of a store in memory, whole, cut off, altered, and with the wrong key.
#![expect(clippy::disallowed_methods, reason = "these tests damage files")]

use std::fs;
use std::ops::{Bound, ControlFlow};
use std::path::Path;

use super::form::Header;
use super::{BackupError, Key, Made, Part, Progress, Reader, write};
use crate::id::ContentHash;
use crate::store::build::Building;
use crate::store::content::{Content, FileContent};
use crate::store::engine::{Engine, EngineOptions, FORMAT};
use crate::store::keys::{Realm, kv};
use crate::store::{Batch, CommitNo, Durability, Store};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn filled(folder: &Path, rows: usize) -> (Engine, FileContent) {
    let store = Engine::in_memory().unwrap();
    for number in 0..rows {
        let mut batch = Batch::new();
        batch.put(kv(Realm::Live, &format!("key-{number:05}")), vec![number as u8; 3000]);
        store.commit(batch, Durability::Soon).unwrap();
    }
    let content = FileContent::new(folder.join("content"));
    content.put(&[7; 3 << 20]).unwrap();
    content.put(b"").unwrap();
    (store, content)
}

fn made(store: &dyn Store, content: &dyn Content, path: &Path, key: Option<&Key>) -> Result<Made, BackupError> {
    let header = Header {
        store_format: FORMAT,
        epoch: 1,
        ..Header::default()
    };
    let seal = key.map(|key| (key, [9; 32]));
    write(store, content, path, header, seal, &mut |_| ControlFlow::Continue(()))
}

type Stored = (Vec<u8>, Vec<u8>, CommitNo);

/// Every row and file of the backup; the error that reading it ends with.
fn read(path: &Path, key: Option<&Key>) -> Result<(Vec<Stored>, Vec<u8>), BackupError> {
    let mut reader = Reader::open(path, key)?;
    let (mut rows, mut files) = (Vec::new(), Vec::new());
    loop {
        match reader.next_part()? {
            Part::Rows(block) => block.each(|key, value, version| {
                rows.push((key.to_vec(), value.to_vec(), version));
                Ok::<(), BackupError>(())
            })?,
            Part::Piece { bytes, .. } => files.extend(bytes),
            Part::End(_) => return Ok((rows, files)),
        }
    }
}

fn all(store: &dyn Store) -> Vec<(Vec<u8>, Vec<u8>, CommitNo)> {
    let rows = store
        .scan((Bound::Unbounded, Bound::Unbounded), usize::MAX, false)
        .unwrap();
    rows.into_iter()
        .map(|(key, row)| (key, row.value, row.version))
        .collect()
}

#[test]
fn a_backup_holds_every_row_with_its_commit_and_every_file() {
    let folder = tempfile::tempdir().unwrap();
    let (store, content) = filled(folder.path(), 1500);
    for (name, key) in [("plain", None), ("sealed", Some(Key::parse(SECRET).unwrap()))] {
        let path = folder.path().join(name);
        let made = made(&store, &content, &path, key.as_ref()).unwrap();
        assert_eq!((made.trailer.rows, made.trailer.files), (1500, 2));
        assert_eq!(made.trailer.spaces["kv"], 1500);
        assert_eq!(made.bytes, path.metadata().unwrap().len());
        let (rows, files) = read(&path, key.as_ref()).unwrap();
        assert_eq!(rows, all(&store));
        assert_eq!(ContentHash::of(&files), ContentHash::of(&[7; 3 << 20]));

        let rebuilt = folder.path().join(format!("{name}.redb"));
        let mut building = Building::begin(&rebuilt, EngineOptions::default()).unwrap();
        for (key, value, version) in &rows {
            building.put(key, value, *version).unwrap();
        }
        building.finish(CommitNo(made.header.last_commit)).unwrap();
        let again = Engine::open(&rebuilt, EngineOptions::default()).unwrap();
        assert_eq!(all(&again), rows);
        assert_eq!(again.stats().last_commit, store.stats().last_commit);
    }
    let names = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names, 5, "nothing unfinished is left");
}

#[test]
fn a_backup_that_is_cut_off_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (store, content) = filled(folder.path(), 40);
    let path = folder.path().join("a.backup");
    made(&store, &content, &path, None).unwrap();
    let whole = fs::read(&path).unwrap();
    let cut = folder.path().join("cut");
    for length in (0..200).chain((200..whole.len()).step_by(97)).chain([whole.len() - 1]) {
        fs::write(&cut, &whole[..length]).unwrap();
        let code = read(&cut, None).unwrap_err().code();
        let expected = if length < 8 { "BACKUP_UNKNOWN" } else { "BACKUP_CUT_OFF" };
        assert_eq!(code, expected, "{length} of {} bytes", whole.len());
    }
}

#[test]
fn a_backup_with_any_byte_altered_or_added_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (store, content) = filled(folder.path(), 40);
    let key = Key::parse(SECRET).unwrap();
    for key in [None, Some(&key)] {
        let path = folder.path().join(format!("{}.backup", key.is_some()));
        made(&store, &content, &path, key).unwrap();
        let whole = fs::read(&path).unwrap();
        let altered = folder.path().join("altered");
        for at in (0..300).chain((300..whole.len()).step_by(131)) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x41;
            fs::write(&altered, &bytes).unwrap();
            assert!(read(&altered, key).is_err(), "byte {at}");
        }
        fs::write(&altered, [whole.as_slice(), b"x"].concat()).unwrap();
        assert_eq!(read(&altered, key).unwrap_err().code(), "BACKUP_DAMAGED");
    }
}

#[test]
fn a_sealed_backup_opens_with_its_key_alone_and_shows_nothing_of_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (store, content) = filled(folder.path(), 10);
    let path = folder.path().join("a.backup");
    made(&store, &content, &path, Some(&Key::parse(SECRET).unwrap())).unwrap();
    assert_eq!(read(&path, None).unwrap_err().code(), "BACKUP_KEY_MISSING");
    let other = Key::parse("another key that has more than 32 bytes").unwrap();
    assert_eq!(read(&path, Some(&other)).unwrap_err().code(), "BACKUP_KEY_WRONG");
    let bytes = fs::read(&path).unwrap();
    assert!(!bytes.windows(4).any(|window| window == b"key-"));
    assert_eq!(Key::parse("short").err().unwrap().code(), "BACKUP_KEY_SHORT");
}

#[test]
fn a_backup_of_a_newer_format_is_refused_before_anything_of_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (store, content) = filled(folder.path(), 1);
    let path = folder.path().join("a.backup");
    made(&store, &content, &path, None).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[9] = 2;
    fs::write(&path, bytes).unwrap();
    assert_eq!(read(&path, None).unwrap_err().code(), "BACKUP_NEWER_FORMAT");
    let newer = folder.path().join("newer");
    let header = Header {
        store_format: FORMAT + 1,
        ..Header::default()
    };
    write(&store, &content, &newer, header, None, &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    let error = read(&newer, None).unwrap_err();
    assert_eq!(error.code(), "BACKUP_NEWER_FORMAT");
    assert!(error.to_string().contains("use the newer host"), "{error}");
}

#[test]
fn a_backup_that_is_cancelled_or_has_no_room_leaves_nothing_and_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (store, content) = filled(folder.path(), 1500);
    let path = folder.path().join("a.backup");
    let stop = &mut |progress: Progress| match progress.rows > 500 {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let cancelled = write(&store, &content, &path, Header::default(), None, stop);
    assert_eq!(cancelled.unwrap_err().code(), "BACKUP_CANCELLED");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "only the content");
    fs::write(&path, b"mine").unwrap();
    assert_eq!(made(&store, &content, &path, None).unwrap_err().code(), "BACKUP_EXISTS");
    assert_eq!(fs::read(&path).unwrap(), b"mine");
}

#[test]
fn a_file_that_is_not_as_its_name_says_is_left_out_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let (store, content) = filled(folder.path(), 1);
    let hash = content.put(b"good").unwrap();
    fs::write(content.path(&hash).unwrap(), b"evil").unwrap();
    let made = made(&store, &content, &folder.path().join("a"), None).unwrap();
    assert_eq!(made.trailer.left_out, [hash.to_string()]);
    assert_eq!(made.trailer.files, 2);
}
