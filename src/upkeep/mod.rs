//! What keeps a store well: backups, what a restore begins with, checks, and giving back what is not needed any more.
//!
//! All of it is done by the process that holds the store, in small parts, and can be broken off at any time.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`chore`] | what can be asked for, and what came of it |
//! | [`check`] | is every row what it should be, and is there what it names? |
//! | [`restore`] | a backup becomes the store, and what was not over is held |
//! | [`release`] | what is held goes on |
//! | [`rota`] | backups that are made by themselves, and which of them stay |
//! | [`retention`] | what is old and nobody needs goes |
//! | [`reach`] | what rows name |
//! | [`record`] | the audit log is noted elsewhere and pruned |
//! | [`room`] | is there room on the disk for what goes on beside? |
//! | [`settings`] | `[backup]` and `[retention]` in host.toml |

pub mod check;
pub mod chore;
pub mod reach;
pub mod record;
pub mod release;
pub mod restore;
pub mod retention;
pub mod room;
pub mod rota;
pub mod settings;

#[cfg(test)]
mod check_tests;
#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod restore_tests;
#[cfg(test)]
mod retention_tests;
#[cfg(test)]
mod rota_tests;
#[cfg(test)]
mod traces_tests;

pub use chore::{Chore, Kept, Place, Tell};
pub use record::AuditSettings;
pub use settings::{BackupSettings, RetentionSettings};
