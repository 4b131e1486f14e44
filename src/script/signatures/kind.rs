//! What kind of value something is, as far as it can be known without running.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A kind of value. [`Kind::Any`] says that nothing is known, and then nothing is held against it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Kind {
    #[default]
    Any,
    Unit,
    Bool,
    Int,
    Float,
    Text,
    Char,
    Blob,
    /// Of items of one kind.
    Array(Arc<Kind>),
    /// With its fields, where they are known.
    Map(Option<Arc<Shape>>),
    Function,
    Range,
}

/// The fields that a map may have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shape {
    /// Where it comes from, for people: `http::get`.
    pub of: String,
    pub fields: BTreeMap<String, Kind>,
    /// More names that it may have: those its description speaks of.
    pub also: Arc<std::collections::BTreeSet<String>>,
}

impl Shape {
    pub fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field) || self.also.contains(field)
    }
}

impl Kind {
    pub fn array(of: Kind) -> Kind {
        Kind::Array(Arc::new(of))
    }

    pub fn map() -> Kind {
        Kind::Map(None)
    }

    /// A parameter's kind as signatures write it.
    pub fn of_word(word: &str) -> Kind {
        match word {
            "string" => Kind::Text,
            "int" => Kind::Int,
            "float" => Kind::Float,
            "bool" => Kind::Bool,
            "char" => Kind::Char,
            "map" => Kind::map(),
            "array" => Kind::array(Kind::Any),
            "blob" => Kind::Blob,
            "FnPtr" | "function" => Kind::Function,
            _ => Kind::Any,
        }
    }

    /// As people call it.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Any => "any value",
            Kind::Unit => "()",
            Kind::Bool => "a bool",
            Kind::Int => "an int",
            Kind::Float => "a float",
            Kind::Text => "a string",
            Kind::Char => "a char",
            Kind::Blob => "a blob",
            Kind::Array(_) => "an array",
            Kind::Map(_) => "a map",
            Kind::Function => "a function",
            Kind::Range => "a range",
        }
    }

    /// Whether a value of this kind can be given where `wanted` is expected.
    pub fn fits(&self, wanted: &Kind) -> bool {
        matches!(self, Kind::Any)
            || matches!(wanted, Kind::Any)
            || std::mem::discriminant(self) == std::mem::discriminant(wanted)
    }

    /// What is known of a value that is either this or `other`.
    pub fn or(self, other: Kind) -> Kind {
        match (self, other) {
            (one, other) if one == other => one,
            (Kind::Map(_), Kind::Map(_)) => Kind::map(),
            (Kind::Array(_), Kind::Array(_)) => Kind::array(Kind::Any),
            _ => Kind::Any,
        }
    }
}
