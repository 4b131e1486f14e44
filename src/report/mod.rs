//! Reading runs afterwards: the stable shapes of `--json`, and lines for people.

pub mod changes;
pub mod entries;
pub mod incident;
pub mod lines;
pub mod operation;
pub mod page;
pub mod questions;
pub mod queues;
pub mod runs;
pub mod summary;
pub mod ticks;
pub mod versions;
pub mod whatif;
pub mod why;

pub use entries::{entries, entry};
pub use summary::{plan_json, run_json, show_json};
