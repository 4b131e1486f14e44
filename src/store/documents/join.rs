//! Items, each with the documents it names.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::access::ways;
use super::cell::Cell;
use super::document::{DOCUMENT_ID_BYTES_MAX, check_collection, decode, get, stored_data};
use super::field::FieldPath;
use super::filter::Filter;
use super::group::GROUPED_MAX;
use super::indexes::BuiltIndexes;
use super::query::{EXAMINED_MAX, PAGE_BYTES_MAX, Walked, walk_all};
use super::skim::Columns;
use crate::store::large::damaged;
use crate::store::order::encode;
use crate::store::{Row, StoreError, Tx, keys};
use crate::value::{Map, Value};

/// The most items that are joined at once.
pub const JOINED_MAX: usize = 10_000;

/// The data of the documents of `collection` whose field `field`, or whose id when there is none, equals one of
/// `wanted`: a list for each, in the order of ids.
pub fn find_each(
    tx: &mut Tx<'_>,
    collection: &str,
    field: Option<&FieldPath>,
    wanted: &[Value],
) -> Result<Vec<Vec<Map>>, StoreError> {
    check_collection(collection)?;
    if wanted.len() > JOINED_MAX {
        let found = wanted.len();
        let reason = format!("{found} items are joined; at most {JOINED_MAX} are allowed: join them in parts");
        return Err(StoreError::BadQuery { reason });
    }
    let mut places = HashMap::new();
    let mut found = Found {
        documents: Vec::new(),
        bytes: 0,
    };
    let each: Vec<Option<usize>> = wanted
        .iter()
        .map(|wanted| {
            // What names nothing is joined with nothing, not with everything that has no such field.
            (!wanted.is_unit()).then(|| {
                *places.entry(encode(wanted)).or_insert_with(|| {
                    found.documents.push(Vec::new());
                    found.documents.len() - 1
                })
            })
        })
        .collect();
    match field {
        None => by_id(tx, collection, wanted, &each, &mut found)?,
        Some(field) => {
            let ready: Vec<_> = BuiltIndexes::read(tx, collection)?.ready().cloned().collect();
            if !ready.contains(field) || !by_index(tx, collection, field, wanted, &each, &ready, &mut found)? {
                found.documents.iter_mut().for_each(Vec::clear);
                by_looking(tx, collection, field, &places, &mut found)?;
            }
        }
    }
    let nothing = Vec::new();
    let of = |place: &Option<usize>| place.map_or(&nothing, |place| &found.documents[place]).clone();
    Ok(each.iter().map(of).collect())
}

struct Found {
    documents: Vec<Vec<Map>>,
    bytes: usize,
}

impl Found {
    fn add(&mut self, place: usize, data: Map, bytes: usize) -> Result<(), StoreError> {
        self.bytes += bytes;
        if self.bytes > PAGE_BYTES_MAX {
            let reason = format!("the joined documents have more than {PAGE_BYTES_MAX} bytes; join them in parts");
            return Err(StoreError::BadQuery { reason });
        }
        self.documents[place].push(data);
        Ok(())
    }
}

fn by_id(
    tx: &mut Tx<'_>,
    collection: &str,
    wanted: &[Value],
    each: &[Option<usize>],
    found: &mut Found,
) -> Result<(), StoreError> {
    for (wanted, place) in wanted.iter().zip(each) {
        let (Some(place), Some(id)) = (*place, wanted.as_str()) else {
            continue;
        };
        // What can be no id names no document.
        let can_be = !id.is_empty() && id.len() <= DOCUMENT_ID_BYTES_MAX && !id.chars().any(char::is_control);
        if !can_be || !found.documents[place].is_empty() {
            continue;
        }
        if let Some(document) = get(tx, collection, id)? {
            let bytes = Value::Map(document.data.clone()).size();
            found.add(place, document.data, bytes)?;
        }
    }
    Ok(())
}

/// Through the index of `field`, one value after the other; `false` when that leads past too many documents.
fn by_index(
    tx: &mut Tx<'_>,
    collection: &str,
    field: &FieldPath,
    wanted: &[Value],
    each: &[Option<usize>],
    ready: &[FieldPath],
    found: &mut Found,
) -> Result<bool, StoreError> {
    let mut done = vec![false; found.documents.len()];
    for (wanted, place) in wanted.iter().zip(each) {
        let Some(place) = *place else { continue };
        if std::mem::replace(&mut done[place], true) {
            continue;
        }
        let filter = Filter::parse(&Map::from([(
            field.as_str().to_owned(),
            Value::from([("eq", wanted.clone())]),
        )]))?;
        let Some(way) = ways(tx.realm, collection, &filter, None, ready).into_iter().next() else {
            return Ok(false);
        };
        let mut outcome = Ok(());
        let walked = walk_all(tx, collection, way, EXAMINED_MAX, &mut |document, bytes| {
            if filter.matches(&document.data) {
                outcome = found.add(place, document.data, bytes);
            }
            match outcome {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        })?;
        outcome?;
        if walked == Walked::Part {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Past every document of the collection, reading only that one field of each.
fn by_looking(
    tx: &mut Tx<'_>,
    collection: &str,
    field: &FieldPath,
    places: &HashMap<Vec<u8>, usize>,
    found: &mut Found,
) -> Result<(), StoreError> {
    let range = keys::prefix_range(keys::collection_prefix(tx.realm, collection));
    let content = tx.ground.content.clone();
    let ground = tx.ground;
    let (realm, now_ms) = (tx.realm, tx.now_ms);
    let mut columns = Columns::default();
    columns.column(field);
    let (mut seen, mut sort_key) = (0, Vec::new());
    let mut outcome = Ok(());
    tx.visit(range, &mut |key, row, version| {
        let mut look = || {
            seen += 1;
            if seen > GROUPED_MAX {
                let reason = format!(
                    "the collection {collection:?} has more than {GROUPED_MAX} documents; declare an index on {:?}",
                    field.as_str()
                );
                return Err(StoreError::BadQuery { reason });
            }
            let bytes = stored_data(&*content, key, row)?;
            sort_key.clear();
            let skimmed = columns.skim(&bytes, |cells| {
                cells[0].as_ref().unwrap_or(&Cell::Unit).write_order(&mut sort_key);
            });
            skimmed.map_err(|_| damaged(keys::describe(key), "it is no document"))?;
            if let Some(place) = places.get(&sort_key) {
                let value = row.to_vec();
                let (document, bytes) = decode(&Tx::new(ground, realm, now_ms), key, &Row { value, version })?;
                found.add(*place, document.data, bytes)?;
            }
            Ok(())
        };
        let looked = look();
        outcome = looked;
        match outcome {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    outcome
}
