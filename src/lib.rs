//! `host` runs playbooks.

pub mod id;
pub mod io;
pub mod store;
#[doc(hidden)]
pub mod testing;
pub mod value;
