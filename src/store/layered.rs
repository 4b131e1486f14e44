//! Rows laid over rows: scanning changes that are kept apart from what they change.

use std::iter::Peekable;
use std::ops::ControlFlow;

use super::{CommitNo, Row, StoreError, VisitRow};

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

/// Shows the rows of a base with a layer on top, the base row by row.
pub(super) struct VisitLayered<'v, 'f> {
    layer: Peekable<std::vec::IntoIter<(Vec<u8>, Option<Row>)>>,
    visit: &'v mut VisitRow<'f>,
}

impl<'v, 'f> VisitLayered<'v, 'f> {
    /// `layer` is in ascending order.
    pub(super) fn new(layer: Layer, visit: &'v mut VisitRow<'f>) -> VisitLayered<'v, 'f> {
        VisitLayered {
            layer: layer.into_iter().peekable(),
            visit,
        }
    }

    /// The next row of the base, and what of the layer comes before it or in its place.
    pub(super) fn base(&mut self, key: &[u8], value: &[u8], version: CommitNo) -> ControlFlow<()> {
        while let Some((above, row)) = self.layer.next_if(|(above, _)| above.as_slice() <= key) {
            if let Some(row) = row {
                (self.visit)(&above, &row.value, row.version)?;
            }
            if above == key {
                return ControlFlow::Continue(());
            }
        }
        (self.visit)(key, value, version)
    }

    /// What of the layer comes after the base.
    pub(super) fn rest(self) {
        for (key, row) in self.layer {
            if row.is_some_and(|row| (self.visit)(&key, &row.value, row.version).is_break()) {
                return;
            }
        }
    }
}
