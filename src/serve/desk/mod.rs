//! The socket's server side: what other commands reach the server's store and its runs through.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`open`] | takes callers, greets them, bounds them |
//! | [`said`] | what is said about runs, and in which form |
//! | [`runs`] | carries out what is asked of runs, and tells how they go |
//! | [`driver`] | what it needs of the host that it stands in |
//! | [`hands`] | that, over the crew of a host |
//! | [`look`] | what follows from a commit of others |
//! | [`keep`] | chores: backups, checks, retention |
//! | [`signed`] | who is held to account for it |
//! | [`narrow`] | the stricter of two modes |
//! | [`caller`] | the other side: asks for runs |

pub mod caller;
pub mod driver;
pub mod hands;
pub mod keep;
pub mod look;
pub mod narrow;
pub mod open;
mod runs;
pub mod said;
pub mod signed;

pub use caller::{CallError, Caller};
pub use driver::{Driver, Watch};
pub use hands::{Followed, Hands};
pub use open::{CALLERS_MAX, Desk, Opening};
