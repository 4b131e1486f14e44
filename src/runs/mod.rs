//! The life of one run.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`runner`] | starts a script on a thread of its own and writes down how it ended |
//! | [`judge`] | what a script's end means |
//! | [`replay`] | a recorded run once more, from its journal alone |
//! | [`plan`] | a run over an overlay: nothing leaves, nothing stays |
//! | [`pool`] | threads with large stacks, used again |
//! | [`library`] | playbooks and versions of them |

pub mod judge;
pub mod library;
pub mod plan;
pub mod pool;
pub mod replay;
pub mod runner;

pub use library::Library;
pub use plan::Plan;
pub use replay::Replayed;
pub use runner::{Finished, Order, Runner};
