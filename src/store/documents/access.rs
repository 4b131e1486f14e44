//! Through which keys a query reads.
//!
//! An access names ranges of keys that hold every document the filter can want; each document is held against the
//! filter afterwards, so an access may be too wide, never too narrow. Its candidates may come in the order asked for,
//! and then a page ends as soon as it is full.

use std::ops::Bound;

use super::cursor::Position;
use super::field::FieldPath;
use super::filter::{Condition, Filter, Operator};
use crate::store::order::SORT_KEY_BYTES_MAX;
use crate::store::{KeyRange, Realm, keys};

/// One way to read a query's candidates.
#[derive(Debug)]
pub(super) struct Access {
    /// The index that is read, or `None` for the documents themselves.
    pub(super) field: Option<FieldPath>,
    pub(super) ranges: Vec<KeyRange>,
    /// The sort key that all candidates have, if they have one.
    sort_key: Option<Vec<u8>>,
    /// Whether candidates come in the order asked for.
    pub(super) in_order: bool,
}

/// The ways to read documents of `collection` that match `filter`, in the order of the field `order` or else of their
/// ids, the most promising first. There is always one.
pub(super) fn ways(
    realm: Realm,
    collection: &str,
    filter: &Filter,
    order: Option<&FieldPath>,
    ready: &[FieldPath],
) -> Vec<Access> {
    let indexed = |operator: Operator| {
        let mut conditions = filter.conditions.iter();
        conditions.find(|condition| condition.operator == operator && ready.contains(&condition.field))
    };
    let index = |field: &FieldPath, ranges, in_order| Access {
        field: Some(field.clone()),
        ranges,
        sort_key: None,
        in_order,
    };
    let point = |field: &FieldPath, key: &Vec<u8>| {
        let key = cut(key);
        keys::index_range(realm, collection, field.as_str(), key, Some(key))
    };
    let mut ways = Vec::new();
    if let Some(Condition { field, encoded, .. }) = indexed(Operator::Eq) {
        // All of one sort key, so by id, which is also the order by this very field.
        let in_order = order.is_none_or(|order| order == field);
        let way = index(field, vec![point(field, &encoded[0])], in_order);
        ways.push(Access {
            sort_key: Some(cut(&encoded[0]).to_vec()),
            ..way
        });
    }
    if let Some(order) = order.filter(|order| ready.contains(order)) {
        ways.push(index(order, vec![bounded(realm, collection, order, filter)], true));
    }
    if let Some(Condition { field, encoded, .. }) = indexed(Operator::In) {
        let mut ranges: Vec<_> = encoded.iter().map(|key| point(field, key)).collect();
        ranges.sort_by(|a, b| start_of(a).cmp(start_of(b)));
        ranges.dedup();
        ways.push(index(field, ranges, false));
    }
    let compared = [Operator::Lt, Operator::Lte, Operator::Gt, Operator::Gte]
        .into_iter()
        .find_map(indexed);
    if let Some(Condition { field, .. }) = compared.filter(|condition| Some(&condition.field) != order) {
        ways.push(index(field, vec![bounded(realm, collection, field, filter)], false));
    }
    let all = keys::prefix_range(keys::collection_prefix(realm, collection));
    ways.push(Access {
        field: None,
        ranges: vec![all],
        sort_key: None,
        in_order: order.is_none(),
    });
    ways
}

impl Access {
    /// This access without what lies before `position`, when candidates come in order.
    pub(super) fn after(mut self, realm: Realm, collection: &str, position: &Position, reverse: bool) -> Access {
        if !self.in_order {
            return self;
        }
        for range in &mut self.ranges {
            let key = match &self.field {
                None => keys::document(realm, collection, &position.id),
                Some(field) => {
                    // In an order by id, a position has no sort key; then all candidates have the same.
                    let sort_key = self.sort_key.as_ref().unwrap_or(&position.sort_key);
                    keys::index_entry(realm, collection, field.as_str(), sort_key, &position.id)
                }
            };
            if reverse {
                range.1 = Bound::Excluded(key);
            } else {
                range.0 = Bound::Excluded(key);
            }
        }
        self
    }
}

/// The part of an index that the filter's comparisons of its field leave.
fn bounded(realm: Realm, collection: &str, field: &FieldPath, filter: &Filter) -> KeyRange {
    let of = |operators: [Operator; 2]| {
        let on_field = filter
            .conditions
            .iter()
            .filter(move |condition| condition.field == *field);
        on_field
            .filter(move |condition| operators.contains(&condition.operator))
            .map(|condition| &condition.encoded[0])
    };
    // Bounds are included even where the comparison excludes them: a longer text is cut to the same sort key.
    let low = of([Operator::Gt, Operator::Gte]).max();
    let high = of([Operator::Lt, Operator::Lte]).min();
    let range = |low: &[u8], high: Option<&[u8]>| keys::index_range(realm, collection, field.as_str(), low, high);
    match (low, high) {
        (None, None) => range(&[], None),
        (Some(low), None) => range(cut(low), None),
        // From the first of the kind that is compared with.
        (None, Some(high)) => range(&high[..1], Some(cut(high))),
        (Some(low), Some(high)) => range(cut(low), Some(cut(high))),
    }
}

fn cut(encoded: &[u8]) -> &[u8] {
    &encoded[..encoded.len().min(SORT_KEY_BYTES_MAX)]
}

fn start_of(range: &KeyRange) -> &[u8] {
    match &range.0 {
        Bound::Included(key) | Bound::Excluded(key) => key,
        Bound::Unbounded => &[],
    }
}
