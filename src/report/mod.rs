//! Reading runs afterwards: the stable shapes of `--json`, and lines for people.

pub mod entries;
pub mod incident;
pub mod lines;
pub mod summary;
pub mod why;

pub use entries::{entries, entry};
pub use summary::{plan_json, run_json, show_json};
