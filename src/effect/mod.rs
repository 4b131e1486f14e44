//! What a script asks of the world, and what may come of it.
//!
//! An [`Effect`] is one request: a [`Declaration`], made once per function, and this call's arguments. What comes of
//! it is a value or a [`Failure`]; both are data, and mean the same when read back in a year. A [`Fault`] is what a
//! door reports to the gate: a failure with the two facts that decide whether to try again.

mod declaration;
mod failure;
mod mode;

pub use declaration::{Class, Declaration, OnUnknown};
pub use failure::{Failure, Fault, Landed};
pub use mode::{ProviderMode, RunMode};

use serde::{Deserialize, Serialize};

use crate::value::Value;

/// One request of a script, on its way to the gate.
#[derive(Clone, Debug)]
pub struct Effect<'a> {
    pub declaration: &'a Declaration,
    /// The arguments by name.
    pub args: Value,
    pub place: Place,
    /// Present on a publish: who publishes what.
    pub publication: Option<Publication>,
    /// What only one run may generate at a time, if anything.
    pub flight_key: Option<String>,
}

impl<'a> Effect<'a> {
    pub fn new(declaration: &'a Declaration, args: impl Into<Value>) -> Effect<'a> {
        Effect {
            declaration,
            args: args.into(),
            place: Place::default(),
            publication: None,
            flight_key: None,
        }
    }

    pub fn at(mut self, place: Place) -> Effect<'a> {
        self.place = place;
        self
    }

    /// Makes this a publish of `content` by `account`. `strict` turns a refusal into an error instead of a simulation.
    pub fn publishing(mut self, account: &str, content: &Value, strict: bool) -> Effect<'a> {
        let content = crate::id::ContentHash::of(&content.to_bytes());
        self.publication = Some(Publication {
            account: account.to_owned(),
            content,
            strict,
        });
        self
    }

    /// Refuses this while another run's effect holds the same key.
    pub fn single_flight(mut self, key: impl Into<String>) -> Effect<'a> {
        self.flight_key = Some(key.into());
        self
    }

    pub fn name(&self) -> &str {
        &self.declaration.name
    }
}

/// Where in a playbook an effect was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "(u32, u32, Option<String>)", from = "(u32, u32, Option<String>)")]
pub struct Place {
    /// Counted from 1; 0 when unknown.
    pub line: u32,
    /// Counted from 1; 0 when unknown.
    pub column: u32,
    /// The imported module; `None` for the playbook itself.
    pub module: Option<String>,
}

impl From<Place> for (u32, u32, Option<String>) {
    fn from(place: Place) -> Self {
        (place.line, place.column, place.module)
    }
}

impl From<(u32, u32, Option<String>)> for Place {
    fn from((line, column, module): (u32, u32, Option<String>)) -> Place {
        Place { line, column, module }
    }
}

/// Who publishes what: governance, approvals and the duplicate guard speak of this.
#[derive(Clone, Debug)]
pub struct Publication {
    pub account: String,
    pub content: crate::id::ContentHash,
    pub strict: bool,
}
