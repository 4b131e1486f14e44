//! Tests of playbooks: a case plays a playbook in a world of its own, and says what it expects.
//!
//! The playbook passes the real gate, is written on a real journal, over a store in memory, while time stands still and
//! chance comes from a seed. The case's script is a run too, on the same store. *Invariant:* nothing of a case is seen
//! by another, or left behind.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`setting`] | what all cases share: scripts, doors, rules |
//! | [`suite`] | which files hold which cases |
//! | [`case`] | one case: its world, and what its script says of it |
//! | [`play`] | one playbook, played in that world |
//! | [`verdict`] | what came of a case, and what is said when it failed |
//! | [`session`] | all cases, side by side, told in order |
//! | [`record`] | a test out of a recorded run |
//! | [`literal`] | values as a script writes them |
//! | [`snapshot`] | what was taken of runs, kept beside the test file |

pub mod case;
pub mod literal;
pub mod play;
pub mod record;
pub mod session;
pub mod setting;
pub mod snapshot;
pub mod suite;
pub mod verdict;

pub use session::{Options, Session};
pub use setting::Setting;
pub use suite::TestFile;
pub use verdict::{CaseResult, Complaint, Verdict};
