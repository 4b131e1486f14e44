//! `host serve`: a host that runs by itself for months.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`core`] | one turn of the host: what can go on goes on, what is due is started |
//! | [`edition`] | the playbooks, prompts and settings that new runs get, as one set |
//! | [`desk`] | the local socket, through which other commands reach the store and its runs |
//! | [`escalation`] | incidents that nobody solves in time |
//! | [`settings`] | `[serve]` in host.toml |

pub mod core;
pub mod desk;
pub mod edition;
pub mod escalation;
pub mod settings;

pub use core::{Core, Moved};
pub use edition::{Edition, Live};
pub use settings::Settings;
