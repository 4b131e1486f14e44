//! `host` runs playbooks — Rhai scripts — for people who operate content pipelines.
//!
//! Whatever a script asks of the world goes through one gate and onto one tape. The floors, top to bottom; each uses
//! only those below it:
//!
//! | floor | modules |
//! | --- | --- |
//! | edges | [`cli`], [`lsp`], [`http`], [`serve`], [`telemetry`], [`triggers`], [`app`], [`config`] |
//! | runs | [`runs`], [`report`] |
//! | namespaces | [`namespaces`] |
//! | script | [`script`] |
//! | gate | [`gate`] |
//! | record | [`journal`], [`identity`], [`effect`] |
//! | ground | [`store`], [`io`], [`id`], [`value`], [`duration`], [`digits`] |

pub mod app;
pub mod cli;
pub mod config;
pub mod digits;
pub mod duration;
pub mod effect;
pub mod gate;
pub mod http;
pub mod id;
pub mod identity;
pub mod io;
pub mod journal;
pub mod lsp;
pub mod namespaces;
pub mod report;
pub mod runs;
pub mod script;
pub mod serve;
pub mod store;
pub mod telemetry;
#[doc(hidden)]
pub mod testing;
pub mod triggers;
pub mod upkeep;
pub mod value;

/// Counts memory by thread, which is how a run is held to its share.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
