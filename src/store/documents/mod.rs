//! Documents: maps of fields in named collections, with versions, secondary indexes and queries.
//!
//! Functions over a transaction: reads see what is committed, changes go to its batch together with the index entries
//! they need. A change demands that the document and the collection's indexes be as it read them, so of two racing
//! transactions the later is repeated. Queries demand nothing.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`document`] | get, put, update, delete, and the names that are allowed |
//! | [`indexes`] | which indexes are declared, which are built, and their entries |
//! | [`filter`] | the conditions of `where` |
//! | [`query`] | pages of documents in order; counting |
//! | [`group`] | documents in groups, and what is computed of each |
//! | [`ahead`] | reading a large collection beside looking at it |
//! | [`join`] | items, each with the documents it names |
//! | [`access`] | through which index a query reads |
//! | [`cursor`] | where the next page begins |

pub mod access;
mod aggregate;
mod ahead;
mod cell;
pub mod cursor;
pub mod document;
pub mod field;
pub mod filter;
pub mod group;
pub mod indexes;
pub mod join;
pub mod query;
mod skim;

pub use document::{Document, collections, delete, get, put, restore, update};
pub use field::FieldPath;
pub use filter::Filter;
pub use group::{Grouping, group};
pub use indexes::Indexes;
pub use join::find_each;
pub use query::{Order, Page, Query, count, query};

#[cfg(test)]
mod document_tests;
#[cfg(test)]
mod group_tests;
#[cfg(test)]
mod query_tests;
