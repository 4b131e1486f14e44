//! `host` runs playbooks.

pub mod duration;
pub mod effect;
pub mod gate;
pub mod id;
pub mod io;
pub mod journal;
pub mod namespaces;
pub mod runs;
pub mod script;
pub mod store;
#[doc(hidden)]
pub mod testing;
pub mod value;
