//! `host serve`: a host that runs by itself for months.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`core`] | one turn of the host: what can go on goes on, what is due is started |
//! | [`host`] | the core's turns, driven by the clock; how the host ends |
//! | [`status`] | what the server says of itself, for every command |
//! | [`banner`] | what a set makes live, said once |
//! | [`beat`], [`watchdog`], [`heartbeat`] | who looks on: that the loop turns, that ticks get fates, that all is well |
//! | [`keeper`], [`caretaker`] | backups, checks and retention: on demand, and by themselves |
//! | [`edition`] | the playbooks, prompts and settings that new runs get, as one set |
//! | [`draft`] | such a set in the making |
//! | [`reload`], [`guard`] | what is saved goes live, judged against recent runs where that is wanted |
//! | [`figures`] | how often a save went live, or did not |
//! | [`refusal`] | why a save is not taken |
//! | [`versions`] | what went live, and what did not, as rows |
//! | [`rollback`] | going back to a version |
//! | [`desk`] | the local socket, through which other commands reach the store and its runs |
//! | [`escalation`] | incidents that nobody solves in time |
//! | [`settings`] | `[serve]` in host.toml |

pub mod banner;
pub mod beat;
mod caretaker;
pub mod core;
pub mod desk;
mod draft;
pub mod edition;
mod error;
pub mod escalation;
pub mod figures;
mod guard;
pub mod heartbeat;
pub mod host;
mod judged;
pub mod keeper;
mod refusal;
pub mod reload;
pub mod rollback;
pub mod settings;
pub mod status;
pub mod versions;
pub mod watchdog;

pub use core::{Core, Moved};
pub use edition::{Edition, Live};
pub use error::ServeError;
pub use host::{Host, Stopped};
pub use reload::{Reloader, Reloading};
pub use settings::Settings;
