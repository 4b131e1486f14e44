//! `host serve`: a host that runs by itself for months.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`edition`] | the playbooks, prompts and settings that new runs get, as one set |
//! | [`draft`] | such a set in the making |
//! | [`reload`], [`guard`] | what is saved goes live, judged against recent runs where that is wanted |
//! | [`refusal`] | why a save is not taken |
//! | [`versions`] | what went live, and what did not, as rows |
//! | [`rollback`] | going back to a version |
//! | [`escalation`] | incidents that nobody solves in time |
//! | [`settings`] | `[serve]` in host.toml |

mod draft;
pub mod edition;
pub mod escalation;
mod guard;
mod refusal;
pub mod reload;
pub mod rollback;
pub mod settings;
pub mod versions;

pub use edition::{Edition, Live};
pub use reload::{Reloader, Reloading};
pub use settings::Settings;
