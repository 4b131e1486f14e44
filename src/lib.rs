//! `host` runs playbooks.

pub mod id;
pub mod io;
pub mod namespaces;
pub mod store;
pub mod value;
