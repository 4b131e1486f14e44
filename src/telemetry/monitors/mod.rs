//! Monitors: rules over the host's metrics, in `[monitors]` of host.toml, that open incidents and tell people.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`settings`] | rules and channels as host.toml has them |
//! | [`rule`] | what a rule asks of the metrics |
//! | [`state`] | how far a rule has come, as a row |
//! | [`watch`] | the turn that looks at every rule |
//! | [`notify`] | the thread that tells people |
//! | [`channel`] | one message through one door |
//!
//! *Invariant:* that a rule has fired, its incident and what people are to be told of it are one batch. So a host that ends
//! at any moment neither forgets nor repeats it; only what was on its way when it ended is told once more, under the same id.

pub mod channel;
pub mod notify;
pub mod rule;
pub mod settings;
pub mod state;
pub mod watch;

#[cfg(test)]
mod monitor_tests;

pub use settings::{Channel, Monitor};
pub use watch::Monitors;
