//! Backups of a store in memory, whole, cut off, altered, and with the wrong key.
#![expect(clippy::disallowed_methods, reason = "these tests damage files")]

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::form::Header;
use super::{BackupError, Key, Made, Part, Progress, Reader, write};
use crate::id::ContentHash;
use crate::store::build::Building;
use crate::store::content::{Content, FileContent};
use crate::store::engine::{Engine, EngineOptions, FORMAT};
use crate::store::keys::{Realm, kv};
use crate::store::test_ground::{Stored, all};
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
        let end = whole.len() - 80;
        for at in (0..300).chain((300..end).step_by(131)).chain(end..whole.len()) {
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

/// The blocks of a backup: where each begins, its kind and the length of its body.
fn blocks(bytes: &[u8]) -> Vec<(usize, u8, usize)> {
    let (mut at, mut found) = (10, Vec::new());
    while at + 32 < bytes.len() {
        let length = u32::from_be_bytes(bytes[at + 1..at + 5].try_into().unwrap()) as usize;
        found.push((at, bytes[at], length));
        at += 9 + length;
    }
    found
}

/// `parts` with the checksums and the digest that somebody would give it who has no key.
fn forged(head: &[u8], parts: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = head.to_vec();
    for (kind, body) in parts {
        bytes.push(*kind);
        bytes.extend((body.len() as u32).to_be_bytes());
        bytes.extend(body);
        bytes.extend(super::form::checksum(*kind, body).to_be_bytes());
    }
    let digest = *ContentHash::of(&bytes).as_bytes();
    bytes.extend(digest);
    bytes
}

#[test]
fn nobody_without_the_key_alters_a_sealed_backup_or_leaves_something_out_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (store, content) = filled(folder.path(), 1500);
    let (path, key) = (folder.path().join("a.backup"), Key::parse(SECRET).unwrap());
    made(&store, &content, &path, Some(&key)).unwrap();
    let whole = fs::read(&path).unwrap();
    let parts: Vec<(u8, Vec<u8>)> = blocks(&whole)
        .into_iter()
        .map(|(at, kind, length)| (kind, whole[at + 5..at + 5 + length].to_vec()))
        .collect();
    assert!(parts.len() > 6);
    let attempt = |parts: &[(u8, Vec<u8>)]| {
        let forged_path = folder.path().join("forged");
        fs::write(&forged_path, forged(&whole[..10], parts)).unwrap();
        read(&forged_path, Some(&key)).map(drop)
    };
    attempt(&parts).expect("the way to forge is right");
    let mut altered = parts.clone();
    let mut header: Header = rmp_serde::from_slice(&altered[0].1).unwrap();
    header.at_ms += 1;
    altered[0].1 = super::form::encode(&header);
    assert_eq!(
        attempt(&altered).unwrap_err().code(),
        "BACKUP_DAMAGED",
        "another moment"
    );
    for missing in 1..parts.len() - 1 {
        let mut cut = parts.clone();
        cut.remove(missing);
        assert_eq!(
            attempt(&cut).unwrap_err().code(),
            "BACKUP_DAMAGED",
            "without block {missing}"
        );
    }
    let trailer = super::form::Trailer::default();
    let empty = [parts[0].clone(), (super::form::TRAILER, super::form::encode(&trailer))];
    assert_eq!(attempt(&empty).unwrap_err().code(), "BACKUP_DAMAGED", "nothing in it");
}

#[test]
fn what_is_under_way_is_no_link_of_somebody_else_and_what_was_left_is_swept() {
    let folder = tempfile::tempdir().unwrap();
    let (store, content) = filled(folder.path(), 10);
    let victim = folder.path().join("victim");
    fs::write(&victim, b"precious").unwrap();
    let part = |number: u32| {
        folder
            .path()
            .join(format!(".a.backup.part-{}-{number}", std::process::id()))
    };
    std::os::unix::fs::symlink(&victim, part(0)).unwrap();
    fs::write(folder.path().join(".a.backup.part-1-0"), b"left by one that was killed").unwrap();
    fs::write(folder.path().join(".b.backup.part-1-0"), b"of another").unwrap();
    let busy = part(1);
    fs::write(&busy, b"under way").unwrap();
    let held = fs::File::open(&busy).unwrap();
    held.lock().unwrap();
    made(&store, &content, &folder.path().join("a.backup"), None).unwrap();
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    assert!(!folder.path().join(".a.backup.part-1-0").exists());
    assert!(folder.path().join(".b.backup.part-1-0").exists() && busy.exists());
    for at in ["a.backup", "content", "victim"] {
        let refused = made(&store, &content, &folder.path().join(at), None).unwrap_err();
        assert_eq!(refused.code(), "BACKUP_EXISTS", "{at}");
    }
    std::os::unix::fs::symlink(folder.path().join("nowhere"), folder.path().join("dangling")).unwrap();
    let refused = made(&store, &content, &folder.path().join("dangling"), None).unwrap_err();
    assert_eq!(refused.code(), "BACKUP_EXISTS");
}

#[test]
fn what_is_no_regular_file_is_no_backup() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(read(folder.path(), None).unwrap_err().code(), "BACKUP_UNKNOWN");
    let pipe = folder.path().join("pipe");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(
        read(&pipe, None).unwrap_err().code(),
        "BACKUP_UNKNOWN",
        "and nobody waits for its writer"
    );
    assert_eq!(read(Path::new("/dev/zero"), None).unwrap_err().code(), "BACKUP_UNKNOWN");
    assert_eq!(read(&folder.path().join("none"), None).unwrap_err().code(), "STORE_IO");
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

/// `parts` after a header, pressed as they are in a file that nobody sealed.
fn crafted(path: &Path, header: &Header, parts: &[(u8, Vec<u8>)]) {
    let head = [super::form::MAGIC.as_slice(), &super::form::FORMAT.to_be_bytes()].concat();
    let pressed = parts.iter().map(|(kind, body)| match *kind {
        super::form::TRAILER => (*kind, body.clone()),
        kind => (kind, lz4_flex::block::compress_prepend_size(body)),
    });
    let parts: Vec<(u8, Vec<u8>)> = [(super::form::HEADER, super::form::encode(header))]
        .into_iter()
        .chain(pressed)
        .collect();
    fs::write(path, forged(&head, &parts)).unwrap();
}

#[test]
fn numbers_that_no_store_has_are_damage_and_no_overflow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crafted");
    let piece = |offset: u64, total: u64| {
        let numbers = [offset.to_be_bytes(), total.to_be_bytes()].concat();
        (super::form::FILE, [[1; 32].as_slice(), &numbers, b"xy"].concat())
    };
    let row = |version: u64| {
        let sizes = [1_u32.to_be_bytes(), 0_u32.to_be_bytes()].concat();
        (
            super::form::ROWS,
            [sizes.as_slice(), &version.to_be_bytes(), b"k"].concat(),
        )
    };
    let plain = Header::default();
    let late = Header {
        last_commit: u64::MAX,
        ..Header::default()
    };
    let old = Header {
        epoch: u64::MAX,
        ..Header::default()
    };
    for (header, parts) in [
        (&plain, vec![piece(u64::MAX, u64::MAX)]),
        (&plain, vec![piece(0, u64::MAX), piece(0, u64::MAX)]),
        (&plain, vec![row(u64::MAX)]),
        (&late, vec![]),
        (&old, vec![]),
    ] {
        crafted(&path, header, &parts);
        assert_eq!(read(&path, None).unwrap_err().code(), "BACKUP_DAMAGED", "{parts:?}");
    }
    let end = super::form::Trailer {
        rows: 1,
        row_bytes: 1,
        ..super::form::Trailer::default()
    };
    let end = (super::form::TRAILER, super::form::encode(&end));
    crafted(&path, &plain, &[row(7), end]);
    assert_eq!(read(&path, None).unwrap().0.len(), 1, "the way to craft one is right");
}

#[test]
fn where_nothing_may_be_written_no_backup_is_made_and_none_is_begun() {
    let folder = tempfile::tempdir().unwrap();
    let (store, content) = filled(folder.path(), 10);
    let shut = folder.path().join("shut");
    fs::create_dir(&shut).unwrap();
    fs::set_permissions(&shut, fs::Permissions::from_mode(0o500)).unwrap();
    let is_shut = fs::write(shut.join("probe"), b"").is_err();
    // To whoever may write everywhere, the kernel's own folders are shut all the same.
    let places = is_shut
        .then_some(shut.as_path())
        .into_iter()
        .chain([Path::new("/proc"), Path::new("/sys")]);
    for place in places {
        let refused = made(&store, &content, &place.join("a.backup"), None).unwrap_err();
        assert!(
            matches!(refused.code(), "STORE_IO" | "STORE_READ_ONLY"),
            "{}: {refused}",
            place.display()
        );
        assert!(refused.to_string().contains("a.backup"), "{refused}");
    }
    fs::set_permissions(&shut, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(!shut.join("a.backup").exists());
}

#[test]
fn a_disk_that_fills_up_under_a_backup_is_said_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (store, content) = filled(folder.path(), 1500);
    // A device of its own: on it everything that is written fails as on a full disk.
    let file = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let full = super::pour::pour(Path::new("full.backup"), &file, None, |out| {
        (0..100).try_for_each(|_| out.raw(vec![7; 1 << 20]))
    });
    assert_eq!(
        full.unwrap_err().code(),
        "STORE_FULL",
        "and not that somebody broke it off"
    );
    made(&store, &content, &folder.path().join("a"), None).unwrap();
}

#[test]
fn a_backup_is_closed_to_other_users() {
    let folder = tempfile::tempdir().unwrap();
    let (store, content) = filled(folder.path(), 10);
    let path = folder.path().join("a.backup");
    made(&store, &content, &path, None).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

fn piece(content: &[u8], offset: usize, bytes: &[u8], total: usize) -> (u8, Vec<u8>) {
    let numbers = [(offset as u64).to_be_bytes(), (total as u64).to_be_bytes()].concat();
    let hash = ContentHash::of(content);
    (
        super::form::FILE,
        [hash.as_bytes().as_slice(), &numbers, bytes].concat(),
    )
}

fn row(key: &[u8]) -> Vec<u8> {
    let sizes = [(key.len() as u32).to_be_bytes(), 0_u32.to_be_bytes()].concat();
    [sizes.as_slice(), &7_u64.to_be_bytes(), key].concat()
}

fn end(rows: u64, row_bytes: u64, files: u64, file_bytes: u64) -> (u8, Vec<u8>) {
    let trailer = super::form::Trailer {
        rows,
        row_bytes,
        files,
        file_bytes,
        ..super::form::Trailer::default()
    };
    (super::form::TRAILER, super::form::encode(&trailer))
}

#[test]
fn a_backup_that_contradicts_itself_is_refused_however_right_its_checksums_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crafted");
    let rows = |keys: &[&[u8]]| {
        (
            super::form::ROWS,
            keys.iter().flat_map(|key| row(key)).collect::<Vec<u8>>(),
        )
    };
    let mut number = 0;
    let mut attempt = |parts: &[(u8, Vec<u8>)]| {
        number += 1;
        crafted(&path, &Header::default(), parts);
        let unpacked = super::unpack(
            &path,
            None,
            &folder.path().join(number.to_string()),
            EngineOptions::default(),
            &|last| last,
            &mut super::unpack::quietly,
        );
        unpacked.map(drop).map_err(|error| error.code())
    };
    let right = [
        rows(&[b"a", b"b"]),
        piece(b"xy", 0, b"x", 2),
        piece(b"xy", 1, b"y", 2),
        end(2, 2, 1, 2),
    ];
    assert_eq!(attempt(&right), Ok(()));
    let damaged = Err("BACKUP_DAMAGED");
    assert_eq!(
        attempt(&[rows(&[b"b", b"a"]), end(2, 2, 0, 0)]),
        damaged,
        "not in order"
    );
    assert_eq!(attempt(&[rows(&[b"a", b"a"]), end(2, 2, 0, 0)]), damaged, "twice");
    assert_eq!(
        attempt(&[rows(&[b"a"]), rows(&[b"a"]), end(2, 2, 0, 0)]),
        damaged,
        "in two blocks"
    );
    assert_eq!(attempt(&[rows(&[b"a"]), end(2, 2, 0, 0)]), damaged, "a row too few");
    assert_eq!(attempt(&[rows(&[b"a"]), end(1, 2, 0, 0)]), damaged, "a byte too few");
    assert_eq!(
        attempt(&[piece(b"xy", 0, b"xy", 2), end(0, 0, 2, 4)]),
        damaged,
        "a file too few"
    );
    assert_eq!(
        attempt(&[piece(b"xy", 0, b"xz", 2), end(0, 0, 1, 2)]),
        damaged,
        "another file"
    );
    assert_eq!(
        attempt(&[piece(b"xy", 1, b"y", 2), end(0, 0, 0, 0)]),
        damaged,
        "no beginning"
    );
    assert_eq!(
        attempt(&[piece(b"xy", 0, b"xyz", 2), end(0, 0, 1, 2)]),
        damaged,
        "longer than it says"
    );
    let cut = [piece(b"xy", 0, b"x", 2), end(0, 0, 1, 2)];
    assert_eq!(attempt(&cut), Err("BACKUP_CUT_OFF"), "no end of a file");
}
