//! The life of one run.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`runner`] | starts a script on a thread of its own and writes down how it ended |
//! | [`creation`] | runs that a trigger starts |
//! | [`reopening`] | runs that are tried again |
//! | [`resume`] | goes on with a run where its journal ends |
//! | [`conductor`] | keeps runs moving: until all are at rest, or as long as a host lives |
//! | [`resolve`] | what people decide: resolve, cancel, retry |
//! | [`edit`] | goes on with a run with another script |
//! | [`recovery`] | which runs are not over |
//! | [`judge`] | what a script's end means |
//! | [`replay`] | a recorded run once more, from its journal alone |
//! | [`whatif`] | an edited script over a recorded world |
//! | [`backtest`] | what-ifs over the history of a playbook |
//! | [`diff`] | the difference between two runs' effects |
//! | [`past`] | the store as far as a record shows it |
//! | [`subsequence`] | what two lists have in common |
//! | [`plan`] | a run over an overlay: nothing leaves, nothing stays |
//! | [`replan`] | the difference between two plans |
//! | [`session`] | lines of a script one after the other, over an overlay |
//! | [`bundle`] | an incident as one file that replays anywhere |
//! | [`pool`] | threads with large stacks, used again |
//! | [`trial`] | tests of playbooks |
//! | [`library`] | playbooks and versions of them |
//! | [`editions`] | those that a run began with, while later ones are live |

#[cfg(test)]
mod answering_tests;
pub mod backtest;
pub mod bundle;
pub mod conductor;
pub mod creation;
pub mod diff;
pub mod edit;
mod editions;
pub mod judge;
pub mod library;
mod past;
pub mod plan;
pub mod pool;
pub mod recovery;
pub mod reopening;
pub mod replan;
pub mod replay;
pub mod resolve;
pub mod resume;
pub mod runner;
pub mod session;
mod subsequence;
pub mod trial;
pub mod whatif;
#[cfg(test)]
mod whatif_tests;
#[cfg(test)]
mod whatif_wait_tests;

pub use conductor::{AtRest, Conductor, Crew, Driven, Offer, Shift, Task, What};
pub use diff::{Diff, Landing, Verdict};
pub use library::Library;
pub use plan::Plan;
pub use replay::Replayed;
pub use resume::{Resume, ResumeError};
pub use runner::{Finished, Order, Runner};
pub use whatif::{WhatIf, whatif};
