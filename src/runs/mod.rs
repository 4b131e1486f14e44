//! The life of one run.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`runner`] | starts a script on a thread of its own and writes down how it ended |
//! | [`resume`] | goes on with a run where its journal ends |
//! | [`conductor`] | keeps runs moving until all are at rest |
//! | [`resolve`] | what people decide: resolve, cancel, retry |
//! | [`recovery`] | which runs are not over |
//! | [`judge`] | what a script's end means |
//! | [`replay`] | a recorded run once more, from its journal alone |
//! | [`plan`] | a run over an overlay: nothing leaves, nothing stays |
//! | [`pool`] | threads with large stacks, used again |
//! | [`bundle`] | an incident as one file that replays anywhere |
//! | [`library`] | playbooks and versions of them |

pub mod bundle;
pub mod conductor;
pub mod judge;
pub mod library;
pub mod plan;
pub mod pool;
pub mod recovery;
pub mod replay;
pub mod resolve;
pub mod resume;
pub mod runner;

pub use conductor::{Conductor, Driven, Task};
pub use library::Library;
pub use plan::Plan;
pub use replay::Replayed;
pub use resume::{Resume, ResumeError};
pub use runner::{Finished, Order, Runner};
