//! Rhai's values, errors and limits made ours.
//!
//! A script is deterministic because this floor makes it so: packages chosen one by one, no clock, no chance, no
//! `eval`, a fixed hashing seed, ordered maps, and whatever it asks of the world goes through the gate.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`engine`] | the per-run engine, built from modules made once |
//! | [`base`] | the language's own functions, where ours replace Rhai's |
//! | [`sorting`], [`texts`] | of these, what sorts, and what makes texts of collections |
//! | [`limits`] | every limit of a script, and the meter that watches them |
//! | [`source`] | a playbook with its imports, compiled and named by its hash |
//! | [`header`], [`inputs`] | what a playbook says of itself, and what it wants to be told |
//! | [`context`] | how a namespace's function reaches its run and the gate |
//! | [`value`] | between Rhai's values and ours |
//! | [`metrics`] | the metrics that a header declares |
//! | [`error`] | what went wrong, and where in the playbook |
//! | [`check`], [`findings`] | mistakes that show without running, and how they are told |
//! | [`mistake`] | what was probably meant where a script cannot be read |
//! | [`signatures`] | what can be called, with what, and what comes of it |
//! | [`schedule`] | what a header's schedule means |
//! | [`triggers`] | what a header says starts its playbook |
//! | [`syntax`] | the text as a tree, also while it is being typed |
//! | [`format`] | the one style of scripts |
//! | [`coverage`] | which lines of scripts were run |
//! | [`reference`] | the functions' own documentation |

pub mod base;
pub mod check;
pub mod context;
pub mod coverage;
pub mod engine;
pub mod error;
pub mod findings;
pub mod format;
pub mod header;
pub mod inputs;
pub mod limits;
pub mod metrics;
pub mod mistake;
pub mod reference;
pub mod schedule;
pub mod signatures;
mod sorting;
pub mod source;
pub mod syntax;
mod texts;
pub mod triggers;
pub mod value;

pub use context::{ContextExt, RunHandle, ScriptResult};
pub use engine::Language;
pub use error::Diagnosis;
pub use header::Header;
pub use limits::ScriptLimits;
pub use source::Script;

/// The version of what scripts see. A pure function never changes its answers within one.
pub const API_VERSION: u32 = 1;
