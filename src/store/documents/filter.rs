//! The conditions of `where`.
//!
//! `#{ status: "done", "stats.views": #{ gte: 1000, lt: 5000 } }`: every condition must hold. Numbers are compared as
//! numbers, whole or not. `lt`, `lte`, `gt` and `gte` hold only between values of one kind, so that no missing field is
//! ever less than 5. A missing field equals `()`; `exists` tells the two apart. `contains` looks for a text in a text,
//! an item in an array, a field in a map.

use std::cmp::Ordering;

use super::cell::Cell;
use super::field::FieldPath;
use crate::store::StoreError;
use crate::store::order::encode;
use crate::value::{Map, Value};

/// The most conditions in one `where`.
pub const CONDITIONS_MAX: usize = 32;

/// The most values after `in`.
pub const IN_VALUES_MAX: usize = 1000;

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Eq,
    Ne,
    Lt,
    Lte,
    Gt,
    Gte,
    In,
    Contains,
    Exists,
}

const OPERATORS: [(&str, Operator); 9] = [
    ("eq", Operator::Eq),
    ("ne", Operator::Ne),
    ("lt", Operator::Lt),
    ("lte", Operator::Lte),
    ("gt", Operator::Gt),
    ("gte", Operator::Gte),
    ("in", Operator::In),
    ("contains", Operator::Contains),
    ("exists", Operator::Exists),
];

/// What documents must be like.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub(super) conditions: Vec<Condition>,
    /// The `where` this came from.
    pub(super) source: Map,
}

#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) field: FieldPath,
    pub(super) operator: Operator,
    operand: Value,
    /// The operand as it sorts; for `in`, each of its values.
    pub(super) encoded: Vec<Vec<u8>>,
}

impl Filter {
    /// What every document is like.
    pub fn all() -> Filter {
        Filter::default()
    }

    /// From fields and what they must be.
    pub fn parse(source: &Map) -> Result<Filter, StoreError> {
        let mut conditions = Vec::new();
        for (path, wanted) in source {
            let field = FieldPath::parse(path)?;
            let Value::Map(operators) = wanted else {
                conditions.push(Condition::new(field, Operator::Eq, wanted)?);
                continue;
            };
            if operators.is_empty() {
                let reason = format!(
                    "the condition on {path:?} has no operator; one of {} is needed",
                    all_operators()
                );
                return Err(StoreError::BadQuery { reason });
            }
            for (name, operand) in operators {
                conditions.push(Condition::new(field.clone(), parse_operator(path, name)?, operand)?);
            }
        }
        if conditions.len() > CONDITIONS_MAX {
            let found = conditions.len();
            let reason = format!("the query has {found} conditions; at most {CONDITIONS_MAX} are allowed");
            return Err(StoreError::BadQuery { reason });
        }
        Ok(Filter {
            conditions,
            source: source.clone(),
        })
    }

    /// Whether a document with these data is wanted.
    pub fn matches(&self, data: &Map) -> bool {
        self.conditions.iter().all(|condition| condition.holds(data))
    }

    /// The fields that are looked at, once for each condition.
    pub fn paths(&self) -> impl Iterator<Item = &FieldPath> {
        self.conditions.iter().map(|condition| &condition.field)
    }

    /// As [`matches`](Filter::matches), of what was found at each of [`paths`](Filter::paths).
    pub fn holds(&self, found: &[Option<Value>]) -> bool {
        debug_assert_eq!(found.len(), self.conditions.len());
        let mut pairs = self.conditions.iter().zip(found);
        pairs.all(|(condition, found)| condition.holds_of(found.as_ref().map(Cell::of).as_ref()))
    }
}

impl Condition {
    fn new(field: FieldPath, operator: Operator, operand: &Value) -> Result<Condition, StoreError> {
        let refuse = |needed: String| {
            let (name, kind) = (name_of(operator), operand.kind());
            let reason = format!("{name:?} on {:?} needs {needed}, not {kind}", field.as_str());
            Err(StoreError::BadQuery { reason })
        };
        let encoded = match (operator, operand) {
            (Operator::In, Value::List(values)) if values.len() <= IN_VALUES_MAX => values.iter().map(encode).collect(),
            (Operator::In, _) => return refuse(format!("an array of at most {IN_VALUES_MAX} values")),
            (Operator::Exists, Value::Bool(_)) => Vec::new(),
            (Operator::Exists, _) => return refuse("true or false".to_owned()),
            _ => vec![encode(operand)],
        };
        Ok(Condition {
            field,
            operator,
            operand: operand.clone(),
            encoded,
        })
    }

    fn holds(&self, data: &Map) -> bool {
        self.holds_of(self.field.find(data).map(Cell::of).as_ref())
    }

    /// Whether this holds of a document in which its field is `found`.
    pub(super) fn holds_of(&self, found: Option<&Cell<'_>>) -> bool {
        if let (Operator::Exists, Value::Bool(wanted)) = (self.operator, &self.operand) {
            return found.is_some() == *wanted;
        }
        let found = found.unwrap_or(&Cell::Unit);
        let ordered = |accepted: fn(Ordering) -> bool| {
            let operand = Cell::of(&self.operand);
            found.is_of_kind(&operand) && accepted(found.compare(&operand))
        };
        let is = |wanted: &Value| found.compare(&Cell::of(wanted)).is_eq();
        match self.operator {
            Operator::Contains => contains(found, &self.operand),
            Operator::In => self.operand.as_list().unwrap_or_default().iter().any(is),
            Operator::Eq | Operator::Exists => is(&self.operand),
            Operator::Ne => !is(&self.operand),
            Operator::Lt => ordered(Ordering::is_lt),
            Operator::Lte => ordered(Ordering::is_le),
            Operator::Gt => ordered(Ordering::is_gt),
            Operator::Gte => ordered(Ordering::is_ge),
        }
    }
}

fn contains(found: &Cell<'_>, wanted: &Value) -> bool {
    let whole = match found {
        Cell::Text(text) => return wanted.as_str().is_some_and(|part| text.contains(part)),
        Cell::Whole(whole) => whole.as_ref(),
        _ => return false,
    };
    match (whole, wanted) {
        (Value::List(items), wanted) => {
            let wanted = Cell::of(wanted);
            items.iter().any(|item| Cell::of(item).compare(&wanted).is_eq())
        }
        (Value::Map(map), Value::Text(name)) => map.contains_key(name),
        _ => false,
    }
}

fn parse_operator(path: &str, name: &str) -> Result<Operator, StoreError> {
    if let Some((_, operator)) = OPERATORS.iter().find(|(known, _)| *known == name) {
        return Ok(*operator);
    }
    let hint = match closest(name, OPERATORS.iter().map(|(known, _)| *known)) {
        Some(known) => format!("did you mean {known:?}?"),
        None => format!("one of {} is needed", all_operators()),
    };
    let reason = format!("the condition on {path:?} has the unknown operator {name:?}; {hint}");
    Err(StoreError::BadQuery { reason })
}

fn name_of(operator: Operator) -> &'static str {
    OPERATORS
        .iter()
        .find(|(_, known)| *known == operator)
        .map_or("", |(name, _)| *name)
}

fn all_operators() -> String {
    OPERATORS.map(|(name, _)| name).join(", ")
}

/// The known name that `name` was probably meant to be.
pub(super) fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Long names are no slips, and comparing them costs the square of their length.
    let name: String = name
        .chars()
        .filter(char::is_ascii_alphabetic)
        .take(40)
        .collect::<String>()
        .to_lowercase();
    let near = known.map(|known| (strsim::jaro_winkler(&name, known), known));
    near.filter(|(nearness, _)| *nearness >= 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter<const N: usize>(conditions: [(&str, Value); N]) -> Result<Filter, StoreError> {
        let Value::Map(source) = Value::from(conditions) else {
            unreachable!()
        };
        Filter::parse(&source)
    }

    fn found(operator: &str, operand: impl Into<Value>, field: Option<Value>) -> bool {
        let data = field.map(|field| ("stats".to_owned(), Value::from([("views", field)])));
        let wanted = Value::from([(operator, operand.into())]);
        filter([("stats.views", wanted)])
            .unwrap()
            .matches(&data.into_iter().collect())
    }

    #[test]
    fn a_missing_field_equals_unit_is_less_than_nothing_and_does_not_exist() {
        assert!(found("eq", Value::Unit, None) && found("ne", 5, None));
        assert!(!found("lt", 5, None) && !found("gte", Value::from(false), None));
        assert!(found("exists", false, None) && found("exists", true, Some(Value::Unit)));
    }

    #[test]
    fn numbers_are_compared_as_numbers_and_never_with_texts() {
        assert!(found("eq", 1.0, Some(1.into())) && found("lt", 1.5, Some(1.into())));
        assert!(found("in", vec![2.into(), 1.0.into()], Some(1.into())));
        assert!(!found("gt", 1, Some("2".into())) && !found("lte", "2", Some(1.into())));
        assert!(found("ne", "1", Some(1.into())));
    }

    #[test]
    fn contains_looks_into_texts_arrays_and_maps() {
        assert!(found("contains", "lip", Some("clip".into())) && !found("contains", "x", Some("clip".into())));
        assert!(found("contains", 2.0, Some(vec![1.into(), 2.into()].into())));
        assert!(found("contains", "a", Some(Value::from([("a", Value::Unit)]))));
        assert!(!found("contains", "1", Some(1.into())));
    }

    #[test]
    fn mistakes_are_told_with_the_way_out() {
        let told = |operator, operand: Value| {
            filter([("views", Value::from([(operator, operand)]))])
                .unwrap_err()
                .to_string()
        };
        let unknown = r#"the condition on "views" has the unknown operator "#;
        assert_eq!(
            told("$gte", 1.into()),
            format!(r#"{unknown}"$gte"; did you mean "gte"?"#)
        );
        assert_eq!(
            told("contain", 1.into()),
            format!(r#"{unknown}"contain"; did you mean "contains"?"#)
        );
        assert_eq!(
            told("~", 1.into()),
            format!(r#"{unknown}"~"; one of eq, ne, lt, lte, gt, gte, in, contains, exists is needed"#)
        );
        assert_eq!(
            told("in", 1.into()),
            r#""in" on "views" needs an array of at most 1000 values, not int"#
        );
        assert_eq!(
            told("exists", 1.into()),
            r#""exists" on "views" needs true or false, not int"#
        );
        assert!(
            filter([("a..b", Value::Unit)])
                .unwrap_err()
                .to_string()
                .starts_with(r#""a..b" is no field path"#)
        );
        assert!(filter([("a", Value::Map(Map::new()))]).is_err());
    }
}
