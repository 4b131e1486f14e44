//! One document: reading it, changing it.

use std::borrow::Cow;
use std::ops::Bound;

use super::indexes::BuiltIndexes;
use crate::store::content::Content;
use crate::store::keys::{self, Place};
use crate::store::large::{damaged, inline, load_bytes, store_bytes};
use crate::store::{Row, StoreError, Tx};
use crate::value::{Map, Value};

/// The longest id, in bytes.
pub const DOCUMENT_ID_BYTES_MAX: usize = 512;

/// The longest name of a collection, in bytes.
pub const COLLECTION_BYTES_MAX: usize = 64;

/// The largest document, encoded.
pub const DOCUMENT_BYTES_MAX: usize = 16 << 20;

/// The most collections that are listed.
pub const COLLECTIONS_MAX: usize = 10_000;

const FORM: u8 = 1;

/// A document as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub id: String,
    /// 1 when it was created, one more with every change. A document that is deleted and made again begins at 1.
    pub version: u64,
    pub data: Map,
}

/// The document `id`, if there is one.
pub fn get(tx: &mut Tx<'_>, collection: &str, id: &str) -> Result<Option<Document>, StoreError> {
    Ok(read(tx, collection, id)?.1)
}

/// Stores `data` as document `id`, in place of what was there; returns its new version.
pub fn put(tx: &mut Tx<'_>, collection: &str, id: &str, data: Map) -> Result<u64, StoreError> {
    let (row, old) = read(tx, collection, id)?;
    write(tx, collection, id, row, old, data)
}

/// Sets `fields` of document `id` and leaves its others; returns its new version. With `expected`, only if that is the
/// version it has.
pub fn update(
    tx: &mut Tx<'_>,
    collection: &str,
    id: &str,
    fields: Map,
    expected: Option<u64>,
) -> Result<u64, StoreError> {
    let (row, old) = read(tx, collection, id)?;
    let Some(old) = old else {
        return Err(StoreError::NotFound {
            collection: collection.to_owned(),
            id: id.to_owned(),
        });
    };
    check_version(collection, &old, expected)?;
    let mut data = old.data.clone();
    data.extend(fields);
    write(tx, collection, id, row, Some(old), data)
}

/// Deletes document `id`; returns whether it was there. With `expected`, only if that is the version it has.
pub fn delete(tx: &mut Tx<'_>, collection: &str, id: &str, expected: Option<u64>) -> Result<bool, StoreError> {
    let (row, old) = read(tx, collection, id)?;
    let key = keys::document(tx.realm, collection, id);
    tx.unchanged(&key, row.as_ref());
    let Some(old) = old else { return Ok(false) };
    check_version(collection, &old, expected)?;
    tx.batch.delete(key);
    BuiltIndexes::for_change(tx, collection)?.replace_entries(tx, collection, id, Some(&old.data), None);
    Ok(true)
}

/// The names of all collections that hold a document, in order.
pub fn collections(tx: &mut Tx<'_>) -> Result<Vec<String>, StoreError> {
    let (mut low, high) = keys::prefix_range(keys::documents_prefix(tx.realm));
    let mut names = Vec::new();
    while names.len() < COLLECTIONS_MAX {
        let rows = tx.scan((low, high.clone()), 1, false)?;
        let Some((key, _)) = rows.first() else { break };
        let Some(Place::Document { collection, .. }) = keys::parse(key) else {
            return Err(damaged(keys::describe(key), "its key is unknown"));
        };
        // On to what follows the last document of this collection.
        low = match keys::prefix_range(keys::collection_prefix(tx.realm, &collection)).1 {
            Bound::Excluded(end) => Bound::Included(end),
            bound => bound,
        };
        names.push(collection);
    }
    Ok(names)
}

/// Puts a document in as it was somewhere else, with the version it had there; it gets no index entries.
pub fn restore(tx: &mut Tx<'_>, collection: &str, document: Document) -> Result<(), StoreError> {
    check_collection(collection)?;
    check_id(&document.id)?;
    let bytes = Value::Map(document.data).to_bytes();
    let held = store_bytes(&*tx.ground.content, &mut tx.batch, &bytes)?;
    let row = [&[FORM], document.version.to_be_bytes().as_slice(), &held].concat();
    tx.batch.put(keys::document(tx.realm, collection, &document.id), row);
    Ok(())
}

pub(super) fn check_collection(name: &str) -> Result<(), StoreError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !name.is_empty() && name.len() <= COLLECTION_BYTES_MAX && name.bytes().all(allowed) {
        return Ok(());
    }
    let name = name.chars().take(100).collect();
    let rule = "it needs 1 to 64 letters, digits, \"_\" or \"-\"";
    Err(StoreError::BadName {
        what: "name of a collection",
        name,
        rule,
    })
}

fn check_id(id: &str) -> Result<(), StoreError> {
    StoreError::check_size("the id of the document", id.len(), DOCUMENT_ID_BYTES_MAX)?;
    let rule = match () {
        () if id.is_empty() => "it is empty",
        () if id.chars().any(char::is_control) => "it holds a control character",
        () => return Ok(()),
    };
    Err(StoreError::BadName {
        what: "id of a document",
        name: id.to_owned(),
        rule,
    })
}

fn check_version(collection: &str, document: &Document, expected: Option<u64>) -> Result<(), StoreError> {
    match expected {
        Some(expected) if expected != document.version => Err(StoreError::StaleVersion {
            collection: collection.to_owned(),
            id: document.id.clone(),
            expected,
            found: document.version,
        }),
        _ => Ok(()),
    }
}

fn read(tx: &mut Tx<'_>, collection: &str, id: &str) -> Result<(Option<Row>, Option<Document>), StoreError> {
    check_collection(collection)?;
    check_id(id)?;
    let key = keys::document(tx.realm, collection, id);
    let Some(row) = tx.get(&key)? else {
        return Ok((None, None));
    };
    let (document, _) = decode(tx, &key, &row)?;
    Ok((Some(row), Some(document)))
}

fn write(
    tx: &mut Tx<'_>,
    collection: &str,
    id: &str,
    row: Option<Row>,
    old: Option<Document>,
    data: Map,
) -> Result<u64, StoreError> {
    let version = old.as_ref().map_or(0, |old| old.version) + 1;
    let key = keys::document(tx.realm, collection, id);
    tx.unchanged(&key, row.as_ref());
    let old = old.map(|old| old.data);
    BuiltIndexes::for_change(tx, collection)?.replace_entries(tx, collection, id, old.as_ref(), Some(&data));
    let bytes = Value::Map(data).to_bytes();
    StoreError::check_size(&format!("the document {id:?}"), bytes.len(), DOCUMENT_BYTES_MAX)?;
    let held = store_bytes(&*tx.ground.content, &mut tx.batch, &bytes)?;
    tx.batch
        .put(key, [&[FORM], version.to_be_bytes().as_slice(), &held].concat());
    Ok(version)
}

/// The data of the document in a row, as it is encoded.
pub(super) fn stored_data<'a>(content: &dyn Content, key: &[u8], row: &'a [u8]) -> Result<Cow<'a, [u8]>, StoreError> {
    let held = row.strip_prefix(&[FORM]).and_then(|rest| rest.get(8..));
    let held = held.ok_or_else(|| damaged(keys::describe(key), "its form is unknown"))?;
    match inline(held) {
        Some(bytes) => Ok(Cow::Borrowed(bytes)),
        None => load_bytes(content, held, || keys::describe(key)).map(Cow::Owned),
    }
}

/// The document in `row`, and how many bytes it takes.
pub(super) fn decode(tx: &Tx<'_>, key: &[u8], row: &Row) -> Result<(Document, usize), StoreError> {
    let name = || keys::describe(key);
    let Some(Place::Document { id, .. }) = keys::parse(key) else {
        return Err(damaged(name(), "its key is unknown"));
    };
    let parts = row
        .value
        .strip_prefix(&[FORM])
        .and_then(|rest| rest.split_first_chunk::<8>());
    let Some((version, held)) = parts else {
        return Err(damaged(name(), "its form is unknown"));
    };
    let bytes = load_bytes(&*tx.ground.content, held, name)?;
    match Value::from_bytes(&bytes) {
        Ok(Value::Map(data)) => Ok((
            Document {
                id,
                version: u64::from_be_bytes(*version),
                data,
            },
            bytes.len(),
        )),
        Ok(other) => Err(damaged(name(), &format!("it holds {}, not a map", other.kind()))),
        Err(error) => Err(damaged(name(), &error.to_string())),
    }
}
