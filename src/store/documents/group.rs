//! Documents in groups, and what is computed of each group.
//!
//! A question over a whole collection reads each document once, where it lies, and of it only the fields that are
//! asked for ([`skim`](super::skim)). Documents come in the order of their ids whatever the way they are read, so an
//! index changes how much is read and never a digit of what comes out.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::access::ways;
use super::aggregate::{Aggregate, State, parse_all};
use super::ahead;
use super::cell::Cell;
use super::document::{Document, check_collection, stored_data};
use super::field::FieldPath;
use super::filter::{Filter, closest};
use super::indexes::BuiltIndexes;
use super::query::{EXAMINED_MAX, PAGE_BYTES_MAX, Walked, walk_all};
use super::skim::Columns;
use crate::store::large::damaged;
use crate::store::{StoreError, Tx, keys};
use crate::value::{Map, Value};

/// The most documents that one question looks at.
pub const GROUPED_MAX: usize = 1_000_000;

/// The most groups, and the most that are returned.
pub const GROUPS_MAX: usize = 100_000;
pub const GROUPS_RETURNED_MAX: usize = 10_000;

/// The most fields that groups are made by, and the most aggregates.
pub const BY_MAX: usize = 8;
pub const AGGREGATES_MAX: usize = 32;

/// The most values that percentiles and distinct counts may keep.
const KEPT_MAX: usize = 1_000_000;

/// How many groups are found again without a look at all.
const RECENT: usize = 64;

/// Which documents, in which groups, and what of them.
#[derive(Clone, Debug)]
pub struct Grouping {
    filter: Filter,
    by: Vec<By>,
    aggregates: Vec<Aggregate>,
    order: Option<(String, bool)>,
    limit: Option<usize>,
    columns: Columns,
    /// The column of each of the filter's conditions.
    tested: Vec<usize>,
}

/// One field that tells groups apart.
#[derive(Clone, Debug)]
struct By {
    name: String,
    column: usize,
}

impl Grouping {
    /// From a map with any of `where`, `by`, `aggregates`, `order_by` and `limit`.
    pub fn parse(options: &Map) -> Result<Grouping, StoreError> {
        let refuse = |reason: String| Err(StoreError::BadQuery { reason });
        let mut columns = Columns::default();
        let (mut filter, mut by, mut aggregates) = (Filter::all(), Vec::new(), None);
        let (mut order, mut limit) = (None, None);
        for (name, value) in options {
            match (name.as_str(), value) {
                (_, Value::Unit) => {}
                ("where", Value::Map(conditions)) => filter = Filter::parse(conditions)?,
                ("by", value) => by = parse_by(value, &mut columns)?,
                ("aggregates", Value::Map(source)) => aggregates = Some(source),
                ("order_by", Value::Text(text)) => {
                    let descending = text.strip_prefix('-');
                    order = Some((descending.unwrap_or(text).to_owned(), descending.is_some()));
                }
                ("limit", Value::Int(wanted)) => match usize::try_from(*wanted) {
                    Ok(wanted @ 1..=GROUPS_RETURNED_MAX) => limit = Some(wanted),
                    _ => return refuse(format!("the limit is {wanted}; 1 to {GROUPS_RETURNED_MAX} are allowed")),
                },
                _ => return refuse(bad_option(name, value)),
            }
        }
        let aggregates = parse_all(aggregates, &mut columns)?;
        if aggregates.len() > AGGREGATES_MAX {
            let found = aggregates.len();
            return refuse(format!(
                "there are {found} aggregates; at most {AGGREGATES_MAX} are allowed"
            ));
        }
        let mut names: Vec<&str> = by.iter().map(|by| by.name.as_str()).collect();
        names.extend(aggregates.iter().map(|aggregate| aggregate.name.as_str()));
        if let Some((at, name)) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            let what = if at < by.len() {
                "two fields of `by`"
            } else {
                "a field of `by` and an aggregate"
            };
            return refuse(format!("{name:?} is the name of {what}; give one of them another name"));
        }
        if let Some((name, _)) = order.as_ref().filter(|(name, _)| !names.contains(&name.as_str())) {
            let known = names.join(", ");
            return refuse(format!("`order_by` names {name:?}; it can name {known}"));
        }
        let tested = filter
            .conditions
            .iter()
            .map(|condition| columns.column(&condition.field));
        let tested = tested.collect();
        Ok(Grouping {
            filter,
            by,
            aggregates,
            order,
            limit,
            columns,
            tested,
        })
    }

    /// Begins with no document seen.
    pub fn begin(&self) -> Groups<'_> {
        Groups {
            asked: self,
            places: HashMap::new(),
            groups: Vec::new(),
            key: Vec::new(),
            recent: [0; RECENT],
            kept: 0,
        }
    }

    /// The data of one item, as a grouping looks at it.
    fn cells<'a>(&self, data: &'a Map) -> Vec<Option<Cell<'a>>> {
        let mut cells = Vec::new();
        self.columns.of_map(data, &mut cells);
        cells
    }

    fn is_wanted(&self, cells: &[Option<Cell<'_>>]) -> bool {
        let mut conditions = self.filter.conditions.iter().zip(&self.tested);
        conditions.all(|(condition, column)| condition.holds_of(cells[*column].as_ref()))
    }

    /// The paths that are looked at.
    pub fn paths(&self) -> impl Iterator<Item = &FieldPath> {
        (0..self.columns.count()).map(|column| self.columns.path(column))
    }
}

fn parse_by(source: &Value, columns: &mut Columns) -> Result<Vec<By>, StoreError> {
    let refuse = |reason: String| Err(StoreError::BadQuery { reason });
    let named: Vec<(&str, &Value)> = match source {
        Value::Text(path) => vec![(path.as_str(), source)],
        Value::List(paths) => paths.iter().map(|path| (path.as_str().unwrap_or(""), path)).collect(),
        Value::Map(paths) => paths.iter().map(|(name, path)| (name.as_str(), path)).collect(),
        other => {
            let kind = other.kind();
            return refuse(format!(
                "`by` is {kind}; a field, an array of fields or a map of names to fields is expected"
            ));
        }
    };
    if named.len() > BY_MAX {
        let found = named.len();
        return refuse(format!("`by` has {found} fields; at most {BY_MAX} are allowed"));
    }
    let by = |(name, path): (&str, &Value)| match path.as_str() {
        Some(path) => Ok(By {
            name: name.to_owned(),
            column: columns.column(&FieldPath::parse(path)?),
        }),
        None => Err(StoreError::BadQuery {
            reason: format!("`by` holds {}; each of its fields is a string", path.kind()),
        }),
    };
    named.into_iter().map(by).collect()
}

fn bad_option(name: &str, value: &Value) -> String {
    let options = [
        ("where", "a map"),
        ("by", "a string, an array or a map"),
        ("aggregates", "a map"),
        ("order_by", "a string"),
        ("limit", "an int"),
    ];
    if let Some((_, needed)) = options.iter().find(|(known, _)| *known == name) {
        return format!("{name:?} needs {needed}, not {}", value.kind());
    }
    match closest(name, options.iter().map(|(known, _)| *known)) {
        Some(known) => format!("a grouping has no {name:?}; did you mean {known:?}?"),
        None => format!("a grouping has no {name:?}; it has where, by, aggregates, order_by and limit"),
    }
}

/// Groups in the making.
pub struct Groups<'q> {
    asked: &'q Grouping,
    /// By the order of what they have in common.
    places: HashMap<Vec<u8>, usize>,
    groups: Vec<Group>,
    key: Vec<u8>,
    /// Where keys like this one were last: most documents belong to few groups.
    recent: [usize; RECENT],
    kept: usize,
}

struct Group {
    key: Vec<u8>,
    common: Vec<Value>,
    states: Vec<State>,
}

impl Groups<'_> {
    /// Takes in one item, whose name is for errors.
    pub fn add(&mut self, data: &Map, name: &dyn Fn() -> String) -> Result<(), StoreError> {
        let cells = self.asked.cells(data);
        self.add_cells(&cells, name)
    }

    /// The same of what was found at each of [`Grouping::paths`].
    pub fn add_found(&mut self, found: &[Option<Value>], name: &dyn Fn() -> String) -> Result<(), StoreError> {
        let cells: Vec<_> = found.iter().map(|found| found.as_ref().map(Cell::of)).collect();
        self.add_cells(&cells, name)
    }

    fn add_cells(&mut self, cells: &[Option<Cell<'_>>], name: &dyn Fn() -> String) -> Result<(), StoreError> {
        if !self.asked.is_wanted(cells) {
            return Ok(());
        }
        let place = self.place(cells)?;
        let states = &mut self.groups[place].states;
        for (aggregate, state) in self.asked.aggregates.iter().zip(states) {
            let cell = aggregate.column.and_then(|column| cells[column].as_ref());
            match aggregate.add(state, cell) {
                Ok(kept) => self.kept += kept,
                Err(kind) => {
                    let column = aggregate.column.expect("only a field can be no number");
                    let path = self.asked.columns.path(column).as_str();
                    let reason = format!(
                        "{path:?} of {} is {kind}, and {:?} needs numbers; leave it out with where: #{{ {path:?}: #{{ gte: 0 }} }}",
                        name(),
                        aggregate.name
                    );
                    return Err(StoreError::BadQuery { reason });
                }
            }
        }
        if self.kept > KEPT_MAX {
            let reason = format!(
                "percentiles and distinct counts would keep more than {KEPT_MAX} values; narrow them with `where`"
            );
            return Err(StoreError::BadQuery { reason });
        }
        Ok(())
    }

    /// The group to which `cells` belong.
    fn place(&mut self, cells: &[Option<Cell<'_>>]) -> Result<usize, StoreError> {
        let common = |by: &By| cells[by.column].as_ref().unwrap_or(&Cell::Unit);
        self.key.clear();
        for by in &self.asked.by {
            common(by).write_order(&mut self.key);
        }
        let recent = &mut self.recent[likeness(&self.key)];
        if self.groups.get(*recent).is_some_and(|group| group.key == self.key) {
            return Ok(*recent);
        }
        if let Some(place) = self.places.get(self.key.as_slice()) {
            *recent = *place;
            return Ok(*place);
        }
        if self.groups.len() == GROUPS_MAX {
            let reason =
                format!("there are more than {GROUPS_MAX} groups; group by fewer fields, or narrow it with `where`");
            return Err(StoreError::BadQuery { reason });
        }
        self.groups.push(Group {
            key: self.key.clone(),
            common: self.asked.by.iter().map(|by| common(by).to_value()).collect(),
            states: self.asked.aggregates.iter().map(Aggregate::begin).collect(),
        });
        self.places.insert(self.key.clone(), self.groups.len() - 1);
        Ok(self.groups.len() - 1)
    }

    /// The groups, as maps of what they have in common and what was computed.
    pub fn end(mut self) -> Result<Vec<Value>, StoreError> {
        // Without a field to tell groups apart there is one, also when it is empty.
        if self.asked.by.is_empty() && self.groups.is_empty() {
            self.place(&vec![None; self.asked.columns.count()])?;
        }
        self.groups.sort_by(|a, b| a.key.cmp(&b.key));
        let mut rows = Vec::with_capacity(self.groups.len());
        for group in self.groups {
            let names = self.asked.by.iter().map(|by| by.name.clone());
            let mut row: Map = names.zip(group.common).collect();
            for (aggregate, state) in self.asked.aggregates.iter().zip(group.states) {
                row.insert(aggregate.name.clone(), aggregate.end(state)?);
            }
            rows.push(row);
        }
        if let Some((name, descending)) = &self.asked.order {
            let order = |row: &Map| row.get(name).cloned();
            let compare = |a: &Option<Value>, b: &Option<Value>| match (a, b) {
                (Some(a), Some(b)) => Cell::of(a).compare(&Cell::of(b)),
                _ => a.is_some().cmp(&b.is_some()),
            };
            rows.sort_by(|a, b| {
                let ordering = compare(&order(a), &order(b));
                if *descending { ordering.reverse() } else { ordering }
            });
        }
        match self.asked.limit {
            Some(limit) => rows.truncate(limit),
            None if rows.len() > GROUPS_RETURNED_MAX => {
                let found = rows.len();
                let reason = format!(
                    "there are {found} groups; at most {GROUPS_RETURNED_MAX} are returned: say how many with `limit`"
                );
                return Err(StoreError::BadQuery { reason });
            }
            None => {}
        }
        Ok(rows.into_iter().map(Value::Map).collect())
    }
}

/// The groups of the documents of `collection`.
pub fn group(tx: &mut Tx<'_>, collection: &str, asked: &Grouping) -> Result<Vec<Value>, StoreError> {
    check_collection(collection)?;
    let mut groups = asked.begin();
    let ready: Vec<_> = BuiltIndexes::read(tx, collection)?.ready().cloned().collect();
    for way in ways(tx.realm, collection, &asked.filter, None, &ready) {
        if way.field.is_none() {
            break;
        }
        let mut found = Vec::new();
        let mut bytes_left = PAGE_BYTES_MAX;
        let walked = walk_all(tx, collection, way, EXAMINED_MAX, &mut |document, bytes| {
            if asked.filter.matches(&document.data) {
                bytes_left = bytes_left.saturating_sub(bytes);
                found.push(document);
            }
            if bytes_left == 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        if walked == Walked::All {
            in_order(&mut found);
            for document in &found {
                groups.add(&document.data, &|| document_name(&document.id))?;
            }
            return groups.end();
        }
    }
    group_all(tx, collection, &mut groups)?;
    groups.end()
}

/// By id; a document that changes while an index is read may be met under both its values.
fn in_order(found: &mut Vec<Document>) {
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found.dedup_by(|a, b| a.id == b.id);
}

fn document_name(id: &str) -> String {
    format!("the document {id:?}")
}

/// Takes in every document of `collection`, each where it lies.
fn group_all(tx: &mut Tx<'_>, collection: &str, groups: &mut Groups<'_>) -> Result<(), StoreError> {
    let range = keys::prefix_range(keys::collection_prefix(tx.realm, collection));
    let content = tx.ground.content.clone();
    let columns = &groups.asked.columns;
    let mut seen = 0;
    let mut outcome = Ok(());
    ahead::visit(tx, range, &mut |key, row| {
        seen += 1;
        if seen > GROUPED_MAX {
            let reason = format!(
                "the collection {collection:?} has more than {GROUPED_MAX} documents; narrow it with a condition on an indexed field"
            );
            outcome = Err(StoreError::BadQuery { reason });
            return ControlFlow::Break(());
        }
        outcome = stored_data(&*content, key, row).and_then(|bytes| {
            let skimmed = columns.skim(&bytes, |cells| {
                groups.add_cells(cells, &|| match keys::parse(key) {
                    Some(keys::Place::Document { id, .. }) => document_name(&id),
                    _ => keys::describe(key),
                })
            });
            skimmed.unwrap_or_else(|_| Err(damaged(keys::describe(key), "it is no document")))
        });
        match outcome {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    outcome
}

/// A number below [`RECENT`] that is the same for the same key.
fn likeness(key: &[u8]) -> usize {
    // A text ends with two bytes that all have.
    let of = |from_end: usize| key.len().checked_sub(from_end).map_or(0, |at| usize::from(key[at]));
    (key.len() + 7 * of(3) + 31 * of(5)) % RECENT
}
