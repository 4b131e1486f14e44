//! Secondary indexes: which are declared, which are built, and their entries.
//!
//! What is *declared* is configuration ([`Indexes`]). What is *built* stands in the store, one row per collection
//! ([`BuiltIndexes`]), and only that counts: every change of a document keeps the entries of all indexes in the row,
//! and demands that the row be as it was read; a query uses those that are ready. So a process with another
//! declaration, or one that may not write, cannot break an index.
//!
//! [`Indexes::build`] brings the row to the declaration: it first marks an index as unfinished, from which moment
//! changes keep its entries, then removes what an interrupted build left, adds the entries of all documents in bounded
//! batches, and marks it ready. A crash anywhere leaves it unfinished, and the next build begins it again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::document::{check_collection, decode};
use super::field::FieldPath;
use crate::store::keys::{self, Place, Space};
use crate::store::large::damaged;
use crate::store::order::sort_key;
use crate::store::tx::Ground;
use crate::store::{Batch, CommitNo, Durability, Precondition, Realm, StoreError, Tx};
use crate::value::{Map, Value};

/// The most indexes of one collection; each costs every change of its documents.
pub const INDEXES_PER_COLLECTION_MAX: usize = 16;

/// How many rows one batch of a build reads or deletes.
const BUILD_CHUNK: usize = 200;

/// How often a step of a build is repeated because others changed what it had read.
const BUILD_ATTEMPTS_MAX: usize = 100;

/// The declared indexes: the fields of each collection that queries may look up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indexes {
    declared: BTreeMap<String, BTreeSet<FieldPath>>,
}

/// What a build did, as `collection.field`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildReport {
    pub built: Vec<String>,
    pub dropped: Vec<String>,
}

impl Indexes {
    /// No index at all.
    pub fn none() -> Indexes {
        Indexes::default()
    }

    /// From collections and their indexed fields, as in `videos = ["status", "stats.views"]`.
    pub fn declare(declared: &BTreeMap<String, Vec<String>>) -> Result<Indexes, StoreError> {
        let mut checked = BTreeMap::new();
        for (collection, fields) in declared {
            check_collection(collection)?;
            let fields: BTreeSet<_> = fields
                .iter()
                .map(|field| FieldPath::parse(field))
                .collect::<Result<_, _>>()?;
            if fields.len() > INDEXES_PER_COLLECTION_MAX {
                let reason = format!(
                    "the collection {collection:?} declares {} indexes; at most {INDEXES_PER_COLLECTION_MAX} are allowed",
                    fields.len()
                );
                return Err(StoreError::BadQuery { reason });
            }
            checked.insert(collection.clone(), fields);
        }
        Ok(Indexes { declared: checked })
    }

    /// Brings the built indexes of `ground` to the declared ones. Costs one read per collection when they agree.
    pub fn build(ground: &Ground) -> Result<BuildReport, StoreError> {
        let mut report = BuildReport::default();
        let none = BTreeSet::new();
        let mut names: BTreeSet<String> = ground.indexes.declared.keys().cloned().collect();
        names.extend(indexed_collections(ground)?);
        for collection in names {
            let declared = ground.indexes.declared.get(&collection).unwrap_or(&none);
            build_collection(ground, &collection, declared, &mut report)?;
        }
        Ok(report)
    }
}

/// The indexes of one collection that have entries.
#[derive(Debug, Default)]
pub(super) struct BuiltIndexes {
    /// Whether each is complete.
    fields: BTreeMap<FieldPath, bool>,
    version: Option<CommitNo>,
}

impl BuiltIndexes {
    pub(super) fn read(tx: &mut Tx<'_>, collection: &str) -> Result<BuiltIndexes, StoreError> {
        let key = row_key(collection);
        let Some(row) = tx.get(&key)? else {
            return Ok(BuiltIndexes::default());
        };
        let unreadable = || damaged(keys::describe(&key), "its form is unknown");
        let Ok(Value::Map(map)) = Value::from_bytes(&row.value) else {
            return Err(unreadable());
        };
        let read_field = |(path, ready): (String, Value)| Some((FieldPath::parse(&path).ok()?, ready.as_bool()?));
        let fields = map
            .into_iter()
            .map(read_field)
            .collect::<Option<_>>()
            .ok_or_else(unreadable)?;
        Ok(BuiltIndexes {
            fields,
            version: Some(row.version),
        })
    }

    /// For a change of a document: demands that no index comes or goes before the change is made.
    pub(super) fn for_change(tx: &mut Tx<'_>, collection: &str) -> Result<BuiltIndexes, StoreError> {
        let built = BuiltIndexes::read(tx, collection)?;
        tx.batch.require(row_key(collection), built.precondition());
        Ok(built)
    }

    /// The indexes that hold every document.
    pub(super) fn ready(&self) -> impl Iterator<Item = &FieldPath> {
        self.fields.iter().filter(|(_, ready)| **ready).map(|(field, _)| field)
    }

    /// Replaces the entries of document `id` as its data change from `old` to `new`.
    pub(super) fn replace_entries(
        &self,
        tx: &mut Tx<'_>,
        collection: &str,
        id: &str,
        old: Option<&Map>,
        new: Option<&Map>,
    ) {
        for field in self.fields.keys() {
            let realm = tx.realm;
            let entry = |data: &Map| entry_key(realm, collection, field, data, id);
            let (old, new) = (old.map(entry), new.map(entry));
            if old == new {
                continue;
            }
            if let Some(old) = old {
                tx.batch.delete(old);
            }
            if let Some(new) = new {
                tx.batch.put(new, Vec::new());
            }
        }
    }

    fn precondition(&self) -> Precondition {
        self.version.map_or(Precondition::Absent, Precondition::At)
    }

    /// Writes the row back, unless it changed since it was read.
    fn save(&mut self, ground: &Ground, collection: &str, durability: Durability) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.require(row_key(collection), self.precondition());
        if self.fields.is_empty() {
            batch.delete(row_key(collection));
        } else {
            let map = self
                .fields
                .iter()
                .map(|(field, ready)| (field.as_str().to_owned(), Value::Bool(*ready)));
            batch.put(row_key(collection), Value::Map(map.collect()).to_bytes());
        }
        let commit = ground.store.commit(batch, durability)?;
        self.version = (!self.fields.is_empty()).then_some(commit);
        Ok(())
    }
}

fn row_key(collection: &str) -> Vec<u8> {
    keys::named(Space::Meta, &["indexes", collection])
}

fn entry_key(realm: Realm, collection: &str, field: &FieldPath, data: &Map, id: &str) -> Vec<u8> {
    keys::index_entry(realm, collection, field.as_str(), &sort_key(field.value(data)), id)
}

/// The collections that have built indexes.
fn indexed_collections(ground: &Ground) -> Result<Vec<String>, StoreError> {
    let range = keys::prefix_range(keys::named(Space::Meta, &["indexes"]));
    let rows = ground.store.scan(range, super::document::COLLECTIONS_MAX, false)?;
    let name = |key: &[u8]| match keys::parse(key) {
        Some(Place::Named { mut names, .. }) => names.pop(),
        _ => None,
    };
    Ok(rows.iter().filter_map(|(key, _)| name(key)).collect())
}

fn build_collection(
    ground: &Ground,
    collection: &str,
    declared: &BTreeSet<FieldPath>,
    report: &mut BuildReport,
) -> Result<(), StoreError> {
    // The realm and the time of this transaction play no part: it reads one row that has neither.
    let mut built = BuiltIndexes::read(&mut Tx::new(ground, Realm::Live, 0), collection)?;
    let unwanted: Vec<_> = built
        .fields
        .keys()
        .filter(|field| !declared.contains(*field))
        .cloned()
        .collect();
    let wanted: Vec<_> = declared
        .iter()
        .filter(|field| built.fields.get(field) != Some(&true))
        .cloned()
        .collect();
    if unwanted.is_empty() && wanted.is_empty() {
        return Ok(());
    }
    for field in wanted.iter().chain(&unwanted) {
        built.fields.insert(field.clone(), false);
    }
    built.save(ground, collection, Durability::Soon)?;
    for field in wanted.iter().chain(&unwanted) {
        delete_entries(ground, collection, field)?;
    }
    for realm in Realm::ALL {
        add_entries(ground, realm, collection, &wanted)?;
    }
    built.fields.retain(|field, _| declared.contains(field));
    built.fields.values_mut().for_each(|ready| *ready = true);
    built.save(ground, collection, Durability::Now)?;

    let told = |field: FieldPath| format!("{collection}.{}", field.as_str());
    report.built.extend(wanted.into_iter().map(told));
    report.dropped.extend(unwanted.into_iter().map(told));
    Ok(())
}

fn delete_entries(ground: &Ground, collection: &str, field: &FieldPath) -> Result<(), StoreError> {
    for realm in Realm::ALL {
        loop {
            let range = keys::prefix_range(keys::index_prefix(realm, collection, field.as_str()));
            let rows = ground.store.scan(range, BUILD_CHUNK, false)?;
            if rows.is_empty() {
                break;
            }
            let deletes = rows.into_iter().map(|(key, _)| key).collect();
            ground.store.commit(
                Batch {
                    deletes,
                    ..Batch::default()
                },
                Durability::Soon,
            )?;
        }
    }
    Ok(())
}

fn add_entries(ground: &Ground, realm: Realm, collection: &str, fields: &[FieldPath]) -> Result<(), StoreError> {
    let (mut low, high) = keys::prefix_range(keys::collection_prefix(realm, collection));
    let mut attempts = 0;
    loop {
        let tx = Tx::new(ground, realm, 0);
        let rows = ground.store.scan((low.clone(), high.clone()), BUILD_CHUNK, false)?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        let next = Bound::Excluded(last.clone());
        let mut batch = Batch::new();
        for (key, row) in rows {
            let (document, _) = decode(&tx, &key, &row)?;
            let entry = |field| entry_key(realm, collection, field, &document.data, &document.id);
            // Straight to the list: the keys differ, and looking for equal ones would cost the square of their number.
            batch.puts.extend(fields.iter().map(|field| (entry(field), Vec::new())));
            batch.require(key, Precondition::At(row.version));
        }
        match ground.store.commit(batch, Durability::Soon) {
            Ok(_) => (low, attempts) = (next, 0),
            Err(StoreError::Conflict { .. }) if attempts < BUILD_ATTEMPTS_MAX => attempts += 1,
            Err(error) => return Err(error),
        }
    }
}
