//! Every effect passes here, in one visible order: [`perform`].
//!
//! | module | the one question it answers |
//! | --- | --- |
//! | [`perform`] | in which order are the others asked? |
//! | [`tape`] | what has this run asked before, and what was the answer? |
//! | [`aligned`], [`matching`] | in a what-if, which recorded answer is this one's? |
//! | [`mode`] | is this provider live in this run? |
//! | [`governance`] | may this be published? |
//! | [`flight`] | is somebody generating the same thing already? |
//! | [`attempts`] | what comes of sending it, and of sending it again? |
//! | [`circuit`], [`rate`] | is the provider healthy, and may it be called this often? |
//! | [`backoff`] | may it be tried again, and after how long? |
//! | [`doubt`] | did a write land whose answer was lost? |
//! | [`mask`] | which parts of an outcome must nobody see? |
//! | [`panic`] | what if carrying it out fails in a way that nobody thought of? |

pub mod aligned;
pub mod attempts;
pub mod backoff;
pub mod circuit;
pub mod doubt;
pub mod errand;
pub mod flight;
pub mod governance;
pub mod local;
pub mod mask;
pub mod matching;
pub mod mode;
pub mod observer;
pub mod panic;
pub mod perform;
pub mod rate;
pub mod state;
pub mod stop;
pub mod tape;

pub use aligned::{Aligned, Given, Missing, Origin, Past, Rendering};
pub use backoff::BackoffSettings;
pub use circuit::CircuitSettings;
pub use errand::{Act, Errand, Sighting, Simulation};
pub use governance::Signals;
pub use local::Local;
pub use mask::Masks;
pub use matching::Sites;
pub use observer::{Notice, Observer, Silent};
pub use perform::{How, perform};
pub use stop::{Halt, Stop};
pub use tape::{Beyond, Tape};

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::io::World;
use crate::store::tx::Ground;

/// What every run of this process shares at the gate.
pub struct Gate {
    pub ground: Ground,
    pub world: World,
    pub masks: Arc<Masks>,
    pub policies: Policies,
}

/// The rules, as configured.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    pub backoff: BackoffSettings,
    pub circuit: CircuitSettings,
    /// Requests per minute, by provider; a provider that is not listed has no limit here.
    pub per_minute: BTreeMap<String, u32>,
    pub signals: Signals,
}
