//! `host serve`: a host that runs by itself for months.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`core`] | one turn of the host: what can go on goes on, what is due is started |
//! | [`host`] | the core's turns, driven by the clock; how the host ends |
//! | [`status`] | what the server says of itself, for every command |
//! | [`beat`], [`watchdog`], [`heartbeat`] | who looks on: that the loop turns, that ticks get fates, that all is well |
//! | [`edition`] | the playbooks, prompts and settings that new runs get, as one set |
//! | [`escalation`] | incidents that nobody solves in time |
//! | [`settings`] | `[serve]` in host.toml |

pub mod beat;
pub mod core;
pub mod edition;
pub mod escalation;
pub mod heartbeat;
pub mod host;
pub mod settings;
pub mod status;
pub mod watchdog;

pub use core::{Core, Moved};
pub use edition::{Edition, Live};
pub use host::{Host, ServeError, Stopped};
pub use settings::Settings;
