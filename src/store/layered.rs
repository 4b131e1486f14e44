//! Rows laid over rows: scanning changes that are kept apart from what they change.

use super::{Row, StoreError};

/// Some keys in the order of a scan, each with its row, or with `None` when it was deleted.
pub(super) type Layer = Vec<(Vec<u8>, Option<Row>)>;

/// As much of `changes` as can matter to a scan of `limit` rows: once that many rows are in it, what comes after them
/// is beyond the end of the answer.
pub(super) fn cut_layer<'a>(changes: impl Iterator<Item = (&'a Vec<u8>, Option<&'a Row>)>, limit: usize) -> Layer {
    let mut layer = Layer::new();
    let mut rows = 0;
    for (key, row) in changes {
        if rows == limit {
            break;
        }
        rows += usize::from(row.is_some());
        layer.push((key.clone(), row.cloned()));
    }
    layer
}

/// The first `limit` rows of `base` with `layer` on top, in the order of both. `base` is asked once, for so many rows.
pub(super) fn scan_layered(
    layer: Layer,
    limit: usize,
    reverse: bool,
    base: impl FnOnce(usize) -> Result<Vec<(Vec<u8>, Row)>, StoreError>,
) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
    // Only a deletion hides a row of the base without putting another in its place.
    let deleted = layer.iter().filter(|(_, row)| row.is_none()).count();
    let mut below = base(limit.saturating_add(deleted))?.into_iter().peekable();
    if layer.is_empty() {
        return Ok(below.collect());
    }
    let comes_first = |a: &[u8], b: &[u8]| if reverse { a > b } else { a < b };
    let mut rows = Vec::new();
    for (key, row) in layer {
        while let Some(earlier) = below.next_if(|(below, _)| comes_first(below, &key)) {
            rows.push(earlier);
        }
        below.next_if(|(below, _)| *below == key);
        rows.extend(row.map(|row| (key, row)));
    }
    rows.extend(below);
    rows.truncate(limit);
    Ok(rows)
}
