//! Documents one at a time, and their indexes as they are built and kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::document::{Document, collections, delete, get, put, update};
use super::indexes::{BuildReport, Indexes};
use super::query::{Order, Query, query};
use super::{Filter, count};
use crate::store::engine::Engine;
use crate::store::large::INLINE_BYTES_MAX;
use crate::store::overlay::Overlay;
use crate::store::test_ground::{ground, ground_on, transact};
use crate::store::tx::Ground;
use crate::store::{Batch, CommitNo, Durability, KeyRange, Realm, Row, Store, StoreError, StoreStats, Tx, keys};
use crate::value::{Map, Value};

fn data<const N: usize>(fields: [(&str, Value); N]) -> Map {
    fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The entries of an index, as ids in its order.
fn entries(ground: &Ground, field: &str) -> Vec<String> {
    let range = keys::prefix_range(keys::index_prefix(Realm::Live, "videos", field));
    let rows = ground.store.scan(range, usize::MAX, false).unwrap();
    let id = |key: &[u8]| match keys::parse(key) {
        Some(keys::Place::Index { id, .. }) => id,
        other => panic!("{other:?}"),
    };
    rows.iter().map(|(key, _)| id(key)).collect()
}

#[test]
fn versions_count_the_changes_and_an_update_leaves_other_fields() {
    let ground = ground(&[]);
    let first = data([("title", "a".into()), ("views", 1.into())]);
    assert_eq!(
        transact(&ground, 0, |tx| put(tx, "videos", "v", first.clone())).unwrap(),
        1
    );
    let fields = data([("views", 2.into())]);
    assert_eq!(
        transact(&ground, 0, |tx| update(tx, "videos", "v", fields.clone(), Some(1))).unwrap(),
        2
    );
    let expected = Document {
        id: "v".to_owned(),
        version: 2,
        data: data([("title", "a".into()), ("views", 2.into())]),
    };
    assert_eq!(
        transact(&ground, 0, |tx| get(tx, "videos", "v")).unwrap(),
        Some(expected)
    );

    let stale = transact(&ground, 0, |tx| update(tx, "videos", "v", fields.clone(), Some(1))).unwrap_err();
    assert_eq!(stale.code(), "STORE_STALE_VERSION");
    assert!(
        stale.to_string().contains(r#""v" in "videos" has version 2, not 1"#),
        "{stale}"
    );
    assert_eq!(
        transact(&ground, 0, |tx| delete(tx, "videos", "v", Some(1))).unwrap_err(),
        stale
    );
    assert!(transact(&ground, 0, |tx| delete(tx, "videos", "v", Some(2))).unwrap());
    assert!(!transact(&ground, 0, |tx| delete(tx, "videos", "v", None)).unwrap());
    let gone = transact(&ground, 0, |tx| update(tx, "videos", "v", fields.clone(), None)).unwrap_err();
    assert_eq!(gone.code(), "STORE_NOT_FOUND");
}

#[test]
fn of_two_transactions_on_one_document_the_later_conflicts() {
    let ground = ground(&[]);
    let attempt = |title: &str| {
        let mut tx = Tx::new(&ground, Realm::Live, 0);
        put(&mut tx, "videos", "v", data([("title", title.into())])).unwrap();
        tx.batch
    };
    let (one, other) = (attempt("one"), attempt("other"));
    ground.store.commit(one, Durability::Soon).unwrap();
    let conflict = ground.store.commit(other, Durability::Soon).unwrap_err();
    assert!(
        conflict
            .to_string()
            .starts_with("document videos/v (live) was changed by another run"),
        "{conflict}"
    );
}

#[test]
fn names_from_outside_are_checked() {
    let ground = ground(&[]);
    let long = "x".repeat(65);
    for collection in ["", "a b", "a/b", "ä", long.as_str()] {
        let error = transact(&ground, 0, |tx| get(tx, collection, "v")).unwrap_err();
        assert_eq!(error.code(), "STORE_BAD_NAME", "{collection}");
    }
    for id in ["", "a\nb", "\u{85}"] {
        let error = transact(&ground, 0, |tx| put(tx, "videos", id, Map::new())).unwrap_err();
        assert_eq!(error.code(), "STORE_BAD_NAME", "{id}");
    }
    let error = transact(&ground, 0, |tx| get(tx, "videos", &"x".repeat(513))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the id of the document has 513 bytes; at most 512 are allowed"
    );
    transact(&ground, 0, |tx| put(tx, "videos", &"ü".repeat(256), Map::new())).unwrap();
    let large = data([("blob", Value::Blob(vec![0; 16 << 20]))]);
    let error = transact(&ground, 0, |tx| put(tx, "videos", "v", large.clone())).unwrap_err();
    assert_eq!(error.code(), "STORE_TOO_LARGE");
}

#[test]
fn a_large_document_is_filed_and_read_back() {
    let ground = ground(&[("videos", &["title"])]);
    Indexes::build(&ground).unwrap();
    let large = data([("title", "x".repeat(INLINE_BYTES_MAX).into())]);
    transact(&ground, 0, |tx| put(tx, "videos", "v", large.clone())).unwrap();
    assert_eq!(
        transact(&ground, 0, |tx| get(tx, "videos", "v")).unwrap().unwrap().data,
        large
    );
    assert_eq!(entries(&ground, "title"), ["v"]);
}

#[test]
fn collections_are_listed_once_each_and_by_realm() {
    let ground = ground(&[]);
    for collection in ["b", "a", "a-b", "c"] {
        for id in ["1", "2"] {
            transact(&ground, 0, |tx| put(tx, collection, id, Map::new())).unwrap();
        }
    }
    assert_eq!(transact(&ground, 0, collections).unwrap(), ["a", "a-b", "b", "c"]);
    assert_eq!(collections(&mut Tx::new(&ground, Realm::Dry, 0)).unwrap(), [""; 0]);
    assert_eq!(transact(&ground, 0, |tx| count(tx, "a", &Filter::all())).unwrap(), 2);
}

#[test]
fn entries_follow_their_documents() {
    let ground = ground(&[("videos", &["views"])]);
    Indexes::build(&ground).unwrap();
    for (id, views) in [("a", 3.into()), ("b", 1.into()), ("c", Value::Unit)] {
        transact(&ground, 0, |tx| put(tx, "videos", id, data([("views", views.clone())]))).unwrap();
    }
    assert_eq!(entries(&ground, "views"), ["c", "b", "a"]);
    transact(&ground, 0, |tx| {
        update(tx, "videos", "b", data([("views", 5.into())]), None)
    })
    .unwrap();
    transact(&ground, 0, |tx| {
        update(tx, "videos", "a", data([("title", "a".into())]), None)
    })
    .unwrap();
    transact(&ground, 0, |tx| delete(tx, "videos", "c", None)).unwrap();
    assert_eq!(entries(&ground, "views"), ["a", "b"]);
}

#[test]
fn a_build_follows_the_declaration_and_costs_nothing_when_it_did_not_change() {
    let store: Arc<dyn Store> = Arc::new(Overlay::empty());
    let plain = ground_on(store.clone(), &[]);
    for n in 0..450 {
        transact(&plain, 0, |tx| {
            put(tx, "videos", &format!("{n:03}"), data([("n", (-n).into())]))
        })
        .unwrap();
    }
    let declared = ground_on(store.clone(), &[("videos", &["n", "missing"])]);
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let expected = BuildReport {
        built: names(&["videos.missing", "videos.n"]),
        dropped: vec![],
    };
    assert_eq!(Indexes::build(&declared).unwrap(), expected);
    assert_eq!(
        entries(&declared, "n"),
        (0..450).rev().map(|n| format!("{n:03}")).collect::<Vec<_>>()
    );

    let batches = store.stats().batches;
    assert_eq!(Indexes::build(&declared).unwrap(), BuildReport::default());
    assert_eq!(store.stats().batches, batches);

    let fewer = ground_on(store.clone(), &[("videos", &["n"])]);
    let expected = BuildReport {
        built: vec![],
        dropped: names(&["videos.missing"]),
    };
    assert_eq!(Indexes::build(&fewer).unwrap(), expected);
    assert_eq!(entries(&fewer, "missing"), [""; 0]);
    assert_eq!(Indexes::build(&plain).unwrap().dropped, ["videos.n"]);
    assert_eq!(entries(&fewer, "n"), [""; 0]);
}

/// Whoever declares fewer indexes than are built still keeps them all, so no index ever lies.
#[test]
fn a_process_without_the_declaration_keeps_the_entries_all_the_same() {
    let store: Arc<dyn Store> = Arc::new(Overlay::empty());
    let declared = ground_on(store.clone(), &[("videos", &["n"])]);
    Indexes::build(&declared).unwrap();
    let plain = ground_on(store, &[]);
    transact(&plain, 0, |tx| put(tx, "videos", "v", data([("n", 1.into())]))).unwrap();
    assert_eq!(entries(&declared, "n"), ["v"]);
}

/// A store in which something happens before each commit.
struct Eventful<F> {
    store: Arc<dyn Store>,
    commits: AtomicU64,
    before_commit: F,
}

impl<F: Fn(u64) -> Result<(), StoreError> + Send + Sync> Eventful<F> {
    fn new(store: Arc<dyn Store>, before_commit: F) -> Arc<Eventful<F>> {
        Arc::new(Eventful {
            store,
            commits: AtomicU64::new(0),
            before_commit,
        })
    }
}

impl<F: Fn(u64) -> Result<(), StoreError> + Send + Sync> Store for Eventful<F> {
    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.store.get(key)
    }

    fn scan(&self, range: KeyRange, limit: usize, reverse: bool) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        self.store.scan(range, limit, reverse)
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<CommitNo, StoreError> {
        (self.before_commit)(self.commits.fetch_add(1, Ordering::Relaxed))?;
        self.store.commit(batch, durability)
    }

    fn wait_durable(&self, commit: CommitNo) -> Result<(), StoreError> {
        self.store.wait_durable(commit)
    }

    fn stats(&self) -> StoreStats {
        self.store.stats()
    }
}

#[test]
fn a_build_that_stops_after_any_commit_is_finished_by_the_next() {
    let by_n = Query {
        order: Order::parse("n").unwrap(),
        limit: 1000,
        ..Query::default()
    };
    let ids = |ground: &Ground| -> Vec<String> {
        let page = transact(ground, 0, |tx| query(tx, "videos", &by_n)).unwrap();
        page.documents.into_iter().map(|document| document.id).collect()
    };
    let mut stopped = 0;
    for commits in 0.. {
        let store: Arc<dyn Store> = Arc::new(Overlay::empty());
        let plain = ground_on(store.clone(), &[]);
        for n in 0..250 {
            transact(&plain, 0, |tx| {
                put(tx, "videos", &format!("{n:03}"), data([("n", (-n).into())]))
            })
            .unwrap();
        }
        let stopping = Eventful::new(store.clone(), move |commit| match commit {
            commit if commit < commits => Ok(()),
            _ => Err(StoreError::Io {
                path: "store".into(),
                reason: "stopped".to_owned(),
            }),
        });
        let first = Indexes::build(&ground_on(stopping, &[("videos", &["n"])]));
        // Life goes on while the index is unfinished; also one that was once declared and is forgotten.
        transact(&plain, 0, |tx| put(tx, "videos", "000", data([("n", 9.into())]))).unwrap();
        transact(&plain, 0, |tx| delete(tx, "videos", "001", None)).unwrap();
        let expected: Vec<_> = (2..250).rev().chain([0]).map(|n| format!("{n:03}")).collect();
        assert_eq!(ids(&plain), expected, "stopped after {commits} commits");

        let declared = ground_on(store, &[("videos", &["n"])]);
        Indexes::build(&declared).unwrap();
        assert_eq!(ids(&declared), expected);
        assert_eq!(entries(&declared, "n"), expected);
        if first.is_ok() {
            break;
        }
        stopped += 1;
    }
    assert!(stopped >= 4, "the build takes several commits");
}

#[test]
fn a_change_that_began_before_an_index_was_marked_is_repeated() {
    let declared = ground(&[("videos", &["n"])]);
    let mut tx = Tx::new(&declared, Realm::Live, 0);
    put(&mut tx, "videos", "v", data([("n", 1.into())])).unwrap();
    Indexes::build(&declared).unwrap();
    let conflict = declared.store.commit(tx.batch, Durability::Soon).unwrap_err();
    assert_eq!(conflict.to_string().split(" was ").next(), Some("meta indexes/videos"));
}

#[test]
fn a_document_that_changes_under_a_build_is_indexed_as_it_is() {
    for moment in 0..3 {
        let store: Arc<dyn Store> = Arc::new(Overlay::empty());
        let plain = ground_on(store.clone(), &[]);
        for id in ["a", "b"] {
            transact(&plain, 0, |tx| put(tx, "videos", id, data([("n", 1.into())]))).unwrap();
        }
        let eventful = Eventful::new(store, move |commit| match commit {
            commit if commit == moment => {
                transact(&plain, 0, |tx| put(tx, "videos", "a", data([("n", 2.into())]))).map(drop)
            }
            _ => Ok(()),
        });
        let declared = ground_on(eventful, &[("videos", &["n"])]);
        Indexes::build(&declared).unwrap();
        assert_eq!(
            entries(&declared, "n"),
            ["b", "a"],
            "changed before commit {moment} of the build"
        );
    }
}

#[test]
fn a_build_beside_busy_writers_misses_nothing() {
    let store: Arc<dyn Store> = Arc::new(Engine::in_memory().unwrap());
    let declared = ground_on(store.clone(), &[("videos", &["n"])]);
    let plain = ground_on(store, &[]);
    let write = |thread: i64, n: i64| {
        let id = format!("{:02}", n % 40);
        loop {
            match transact(&plain, 0, |tx| {
                put(tx, "videos", &id, data([("n", (thread * 1000 + n).into())]))
            }) {
                Ok(_) => return,
                Err(error) => assert_eq!(error.code(), "STORE_CONFLICT"),
            }
        }
    };
    (0..40).for_each(|n| write(0, n));
    std::thread::scope(|scope| {
        for thread in 1..3 {
            scope.spawn(move || (0..200).for_each(|n| write(thread, n)));
        }
        Indexes::build(&declared).unwrap();
    });
    let mut expected: Vec<(i64, String)> = (0..40)
        .map(|n| format!("{n:02}"))
        .map(|id| {
            let document = transact(&plain, 0, |tx| get(tx, "videos", &id)).unwrap().unwrap();
            (document.data["n"].as_int().unwrap(), id)
        })
        .collect();
    expected.sort();
    assert_eq!(
        entries(&plain, "n"),
        expected.into_iter().map(|(_, id)| id).collect::<Vec<_>>()
    );
}

#[test]
fn declarations_are_checked() {
    let declare = |collection: &str, fields: &[String]| {
        Indexes::declare(&BTreeMap::from([(collection.to_owned(), fields.to_vec())]))
            .unwrap_err()
            .code()
    };
    assert_eq!(declare("a b", &[]), "STORE_BAD_NAME");
    assert_eq!(declare("a", &["b..c".to_owned()]), "STORE_BAD_NAME");
    assert_eq!(
        declare("a", &(0..17).map(|n| format!("f{n}")).collect::<Vec<_>>()),
        "STORE_BAD_QUERY"
    );
}
