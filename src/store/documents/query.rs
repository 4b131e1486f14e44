//! Pages of documents that match a filter, in order.
//!
//! The order is by a field's value and then by id, or by id alone; `-field` turns all of it round. Values are ordered
//! as in [`order`](crate::store::order), by the first 512 bytes of their encoding. An index changes how much is read,
//! never what is found. A page also ends when it holds [`PAGE_BYTES_MAX`]; whether more follow is told by its cursor.
//!
//! A query that reads many rows reads them in parts, so it may see commits that come in between; each document is
//! whole, and none is in a page twice.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};

use super::access::{Access, ways};
use super::cursor::{Fingerprint, Position, fingerprint, read_cursor, write_cursor};
use super::document::{Document, check_collection, decode};
use super::field::FieldPath;
use super::filter::{Filter, closest};
use super::indexes::BuiltIndexes;
use crate::store::keys::{self, Place};
use crate::store::large::damaged;
use crate::store::order::sort_key;
use crate::store::{KeyRange, StoreError, Tx};
use crate::value::{Map, Value};

/// How many documents a page has when nothing is said.
pub const LIMIT_DEFAULT: usize = 100;

/// The most documents in a page.
pub const LIMIT_MAX: usize = 10_000;

/// The most bytes of documents in a page, encoded; one document is returned whatever its size.
pub const PAGE_BYTES_MAX: usize = 64 << 20;

/// The most documents that one query looks at.
pub const EXAMINED_MAX: usize = 100_000;

/// The most documents that are counted without a condition.
pub const COUNTED_MAX: u64 = 1_000_000;

/// How many rows are read at a time, at most.
const CHUNK_MAX: usize = 256;

/// By which field, and which way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// `None` orders by id.
    pub field: Option<FieldPath>,
    pub descending: bool,
}

/// Which documents, in which order, how many, from where.
#[derive(Clone, Debug)]
pub struct Query {
    pub filter: Filter,
    pub order: Order,
    pub limit: usize,
    /// [`Page::next`] of the page before.
    pub cursor: Option<String>,
}

/// Some documents of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub documents: Vec<Document>,
    /// The cursor of the page after this, when there is more.
    pub next: Option<String>,
}

impl Default for Query {
    fn default() -> Query {
        let order = Order {
            field: None,
            descending: false,
        };
        Query {
            filter: Filter::all(),
            order,
            limit: LIMIT_DEFAULT,
            cursor: None,
        }
    }
}

impl Query {
    /// From a map with any of `where`, `order_by`, `limit` and `cursor`.
    pub fn parse(options: &Map) -> Result<Query, StoreError> {
        let mut query = Query::default();
        for (name, value) in options {
            match (name.as_str(), value) {
                (_, Value::Unit) => {}
                ("where", Value::Map(conditions)) => query.filter = Filter::parse(conditions)?,
                ("order_by", Value::Text(order)) => query.order = Order::parse(order)?,
                ("limit", Value::Int(limit)) => query.limit = checked_limit(*limit)?,
                ("cursor", Value::Text(cursor)) => query.cursor = Some(cursor.clone()),
                _ => {
                    return Err(StoreError::BadQuery {
                        reason: bad_option(name, value),
                    });
                }
            }
        }
        Ok(query)
    }

    /// What a cursor must agree with: all but the limit.
    fn fingerprint(&self, tx: &Tx<'_>, collection: &str) -> Fingerprint {
        let field = self.order.field.as_ref().map(|field| Value::from(field.as_str()));
        let parts = vec![
            tx.realm.to_string().into(),
            collection.into(),
            Value::Map(self.filter.source.clone()),
            field.into(),
            self.order.descending.into(),
        ];
        fingerprint(&Value::List(parts).to_bytes())
    }
}

impl Order {
    /// From `field` or `-field`. `id` is the document's id, not a field of its data.
    pub fn parse(text: &str) -> Result<Order, StoreError> {
        let (descending, field) = match text.strip_prefix('-') {
            Some(field) => (true, field),
            None => (false, text),
        };
        let field = if field == "id" {
            None
        } else {
            Some(FieldPath::parse(field)?)
        };
        Ok(Order { field, descending })
    }

    fn position(&self, document: &Document) -> Position {
        let sort_key = self.field.as_ref().map(|field| sort_key(field.value(&document.data)));
        Position {
            sort_key: sort_key.unwrap_or_default(),
            id: document.id.clone(),
        }
    }

    fn is_before(&self, a: &Position, b: &Position) -> bool {
        if self.descending { b < a } else { a < b }
    }
}

fn checked_limit(limit: i64) -> Result<usize, StoreError> {
    match usize::try_from(limit) {
        Ok(limit @ 1..=LIMIT_MAX) => Ok(limit),
        _ => Err(StoreError::BadQuery {
            reason: format!("the limit is {limit}; 1 to {LIMIT_MAX} are allowed"),
        }),
    }
}

fn bad_option(name: &str, value: &Value) -> String {
    let options = [
        ("where", "a map"),
        ("order_by", "a string"),
        ("limit", "an int"),
        ("cursor", "a string"),
    ];
    if let Some((_, needed)) = options.iter().find(|(known, _)| *known == name) {
        return format!("{name:?} needs {needed}, not {}", value.kind());
    }
    match closest(name, options.iter().map(|(known, _)| *known)) {
        Some(known) => format!("a query has no {name:?}; did you mean {known:?}?"),
        None => format!("a query has no {name:?}; it has where, order_by, limit and cursor"),
    }
}

/// A page of the documents of `collection` that `query` asks for.
pub fn query(tx: &mut Tx<'_>, collection: &str, query: &Query) -> Result<Page, StoreError> {
    query_within(tx, collection, query, EXAMINED_MAX)
}

/// As [`query`], with another limit on what is looked at.
pub(super) fn query_within(
    tx: &mut Tx<'_>,
    collection: &str,
    query: &Query,
    examined_max: usize,
) -> Result<Page, StoreError> {
    check_collection(collection)?;
    checked_limit(query.limit as i64)?;
    let fingerprint = query.fingerprint(tx, collection);
    let after = query
        .cursor
        .as_ref()
        .map(|cursor| read_cursor(fingerprint, cursor))
        .transpose()?;
    let reverse = query.order.descending;
    let order = query.order.field.as_ref();
    examine(
        tx,
        collection,
        &query.filter,
        order,
        examined_max,
        |tx, access, budget| {
            let in_order = access.in_order;
            let access = match &after {
                Some(position) => access.after(tx.realm, collection, position, reverse),
                None => access,
            };
            let mut best = Best::new(query);
            walk(
                tx,
                collection,
                access,
                reverse,
                budget,
                query.limit + 1,
                &mut |document, bytes| {
                    if !query.filter.matches(&document.data) {
                        return ControlFlow::Continue(());
                    }
                    let position = query.order.position(&document);
                    if after
                        .as_ref()
                        .is_some_and(|after| !query.order.is_before(after, &position))
                    {
                        return ControlFlow::Continue(());
                    }
                    best.add(position, document, bytes);
                    // What comes in order and does not fit leaves room for nothing after it.
                    if in_order && best.end.is_some() {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                },
            )?;
            Ok(best.page(fingerprint))
        },
    )
}

/// How many documents of `collection` match `filter`.
pub fn count(tx: &mut Tx<'_>, collection: &str, filter: &Filter) -> Result<u64, StoreError> {
    check_collection(collection)?;
    if filter.conditions.is_empty() {
        return count_all(tx, collection);
    }
    examine(tx, collection, filter, None, EXAMINED_MAX, |tx, access, budget| {
        let mut matching = 0;
        walk(tx, collection, access, false, budget, CHUNK_MAX, &mut |document, _| {
            matching += u64::from(filter.matches(&document.data));
            ControlFlow::Continue(())
        })?;
        Ok(matching)
    })
}

fn count_all(tx: &mut Tx<'_>, collection: &str) -> Result<u64, StoreError> {
    let mut counted = 0;
    let range = keys::prefix_range(keys::collection_prefix(tx.realm, collection));
    scan_all(tx, range, CHUNK_MAX, false, &mut |_, _, _| {
        counted += 1;
        if counted <= COUNTED_MAX {
            return Ok(ControlFlow::Continue(()));
        }
        let reason =
            format!("the collection {collection:?} has more than {COUNTED_MAX} documents; count with a condition");
        Err(StoreError::BadQuery { reason })
    })?;
    Ok(counted)
}

/// Looks at the candidates through the best way there is; where that leads past too many documents, the next.
fn examine<T>(
    tx: &mut Tx<'_>,
    collection: &str,
    filter: &Filter,
    order: Option<&FieldPath>,
    examined_max: usize,
    mut look: impl FnMut(&mut Tx<'_>, Access, usize) -> Result<T, Failure>,
) -> Result<T, StoreError> {
    let ready: Vec<_> = BuiltIndexes::read(tx, collection)?.ready().cloned().collect();
    for way in ways(tx.realm, collection, filter, order, &ready) {
        match look(tx, way, examined_max) {
            Err(Failure::TooMany) => {}
            Err(Failure::Store(error)) => return Err(error),
            Ok(found) => return Ok(found),
        }
    }
    let mut fields = filter.conditions.iter().map(|condition| &condition.field).chain(order);
    let way_out = match fields.find(|field| !ready.contains(field)) {
        Some(field) => format!("declare an index on {:?}", field.as_str()),
        None => "narrow it with a condition on an indexed field".to_owned(),
    };
    let reason = format!("the query on {collection:?} would look at more than {examined_max} documents; {way_out}");
    Err(StoreError::BadQuery { reason })
}

/// Whether a walk has shown all there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walked {
    All,
    /// It was stopped, or there was more than allowed.
    Part,
}

/// Shows each candidate of `access`, and the bytes it takes, to `visit`.
pub(super) fn walk_all(
    tx: &mut Tx<'_>,
    collection: &str,
    access: Access,
    examined_max: usize,
    visit: &mut dyn FnMut(Document, usize) -> ControlFlow<()>,
) -> Result<Walked, StoreError> {
    let mut stopped = false;
    let walked = walk(
        tx,
        collection,
        access,
        false,
        examined_max,
        CHUNK_MAX,
        &mut |document, bytes| {
            let flow = visit(document, bytes);
            stopped |= flow.is_break();
            flow
        },
    );
    match walked {
        Ok(()) if stopped => Ok(Walked::Part),
        Ok(()) => Ok(Walked::All),
        Err(Failure::TooMany) => Ok(Walked::Part),
        Err(Failure::Store(error)) => Err(error),
    }
}

/// Why candidates could not be looked at.
enum Failure {
    TooMany,
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Store(error)
    }
}

/// Shows each candidate, and the bytes it takes, to `visit` until that has enough.
fn walk(
    tx: &mut Tx<'_>,
    collection: &str,
    access: Access,
    reverse: bool,
    examined_max: usize,
    first_chunk: usize,
    visit: &mut dyn FnMut(Document, usize) -> ControlFlow<()>,
) -> Result<(), Failure> {
    let mut examined = 0;
    for range in access.ranges {
        let mut too_many = false;
        let seen_all = scan_all(tx, range, first_chunk, reverse, &mut |tx, key, row| {
            examined += 1;
            if examined > examined_max {
                too_many = true;
                return Ok(ControlFlow::Break(()));
            }
            let candidate = match &access.field {
                None => Some(decode(tx, key, row)?),
                Some(field) => follow(tx, collection, field, key)?,
            };
            Ok(match candidate {
                Some((document, bytes)) => visit(document, bytes),
                None => ControlFlow::Continue(()),
            })
        })?;
        if too_many {
            return Err(Failure::TooMany);
        }
        if !seen_all {
            break;
        }
    }
    Ok(())
}

/// The document that an index entry leads to. `None` when it changed since the entry was read; then it is found
/// through its new entry, or is no longer there.
fn follow(
    tx: &mut Tx<'_>,
    collection: &str,
    field: &FieldPath,
    entry: &[u8],
) -> Result<Option<(Document, usize)>, StoreError> {
    let (Some(Place::Index { id, .. }), Some(expected)) = (keys::parse(entry), keys::sort_key_of(entry)) else {
        return Err(damaged(keys::describe(entry), "its key is unknown"));
    };
    let key = keys::document(tx.realm, collection, &id);
    let Some(row) = tx.get(&key)? else { return Ok(None) };
    let (document, bytes) = decode(tx, &key, &row)?;
    let is_current = sort_key(field.value(&document.data)) == expected;
    Ok(is_current.then_some((document, bytes)))
}

type Visit<'a> = &'a mut dyn FnMut(&mut Tx<'_>, &[u8], &crate::store::Row) -> Result<ControlFlow<()>, StoreError>;

/// Shows each row of `range` to `visit`, reading few at first and then more at a time; returns whether all were seen.
fn scan_all(
    tx: &mut Tx<'_>,
    mut range: KeyRange,
    first_chunk: usize,
    reverse: bool,
    visit: Visit<'_>,
) -> Result<bool, StoreError> {
    let mut chunk = first_chunk.clamp(1, CHUNK_MAX);
    loop {
        let rows = tx.scan(range.clone(), chunk, reverse)?;
        for (key, row) in &rows {
            if visit(tx, key, row)?.is_break() {
                return Ok(false);
            }
        }
        match rows.into_iter().nth(chunk - 1) {
            None => return Ok(true),
            Some((last, _)) if reverse => range.1 = Bound::Excluded(last),
            Some((last, _)) => range.0 = Bound::Excluded(last),
        }
        chunk = (chunk * 2).min(CHUNK_MAX);
    }
}

/// The first documents of an order, out of those that were added.
struct Best<'a> {
    query: &'a Query,
    kept: BTreeMap<Position, (Document, usize)>,
    /// Of what is kept: a document that changes while an index is read may be met under both its values.
    ids: BTreeSet<String>,
    bytes: usize,
    /// The first position that did not fit: nothing from there on is kept, or a page would have holes.
    end: Option<Position>,
}

impl Best<'_> {
    fn new(query: &Query) -> Best<'_> {
        Best {
            query,
            kept: BTreeMap::new(),
            ids: BTreeSet::new(),
            bytes: 0,
            end: None,
        }
    }

    fn add(&mut self, position: Position, document: Document, bytes: usize) {
        if self
            .end
            .as_ref()
            .is_some_and(|end| !self.query.order.is_before(&position, end))
        {
            return;
        }
        if !self.ids.insert(document.id.clone()) {
            return;
        }
        self.bytes += bytes;
        self.kept.insert(position, (document, bytes));
        while self.kept.len() > self.query.limit || (self.bytes > PAGE_BYTES_MAX && self.kept.len() > 1) {
            let last = if self.query.order.descending {
                self.kept.pop_first()
            } else {
                self.kept.pop_last()
            };
            let Some((position, (document, bytes))) = last else {
                break;
            };
            self.ids.remove(&document.id);
            self.bytes -= bytes;
            self.end = Some(position);
        }
    }

    fn page(self, fingerprint: Fingerprint) -> Page {
        let descending = self.query.order.descending;
        let last = if descending {
            self.kept.first_key_value()
        } else {
            self.kept.last_key_value()
        };
        let next = last
            .filter(|_| self.end.is_some())
            .map(|(position, _)| write_cursor(fingerprint, position));
        let mut documents: Vec<_> = self.kept.into_values().map(|(document, _)| document).collect();
        if descending {
            documents.reverse();
        }
        Page { documents, next }
    }
}
