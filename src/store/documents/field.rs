//! The way to a field: names with dots between them.

use crate::store::StoreError;
use crate::value::{Map, Value};

/// The longest path, in bytes.
pub const FIELD_PATH_BYTES_MAX: usize = 256;

/// A checked path such as `stats.views`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath(String);

impl FieldPath {
    pub fn parse(path: &str) -> Result<FieldPath, StoreError> {
        StoreError::check_size("the field path", path.len(), FIELD_PATH_BYTES_MAX)?;
        if path.split('.').any(str::is_empty) {
            let rule = "it needs names with single dots between them, as in \"stats.views\"";
            return Err(StoreError::BadName {
                what: "field path",
                name: path.to_owned(),
                rule,
            });
        }
        Ok(FieldPath(path.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value at the end of this path, if it leads anywhere.
    pub fn find<'a>(&self, data: &'a Map) -> Option<&'a Value> {
        let mut names = self.0.split('.');
        let first = data.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))
    }

    /// As [`find`](FieldPath::find); a missing field counts as unit.
    pub fn value<'a>(&self, data: &'a Map) -> &'a Value {
        self.find(data).unwrap_or(&Value::Unit)
    }
}
