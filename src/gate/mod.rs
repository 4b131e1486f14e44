//! Every effect passes here, in one visible order: [`perform`].
//!
//! | module | the one question it answers |
//! | --- | --- |
//! | [`perform`] | in which order are the others asked? |
//! | [`tape`] | what has this run asked before, and what was the answer? |
//! | [`aligned`], [`matching`] | in a what-if, which recorded answer is this one's? |
//! | [`course`] | how does a run begin, go on and end? |
//! | [`ending`] | who is told that a run is over, and when? |
//! | [`aftermath`] | what does its end mean for others? |
//! | [`waiting`] | has come what the run waits for? |
//! | [`poll`] | has it a value by now? |
//! | [`ready`] | which runs can go on? |
//! | [`history`] | what have earlier owners done of this step? |
//! | [`recompute`] | and what must be computed anew? |
//! | [`passing`] | and what becomes of a wait there? |
//! | [`carried`] | what of an earlier script's answers does an edited one keep? |
//! | [`mode`] | is this provider live in this run? |
//! | [`governance`] | may this be published? |
//! | [`flight`] | is somebody generating the same thing already? |
//! | [`attempts`] | what comes of sending it, and of sending it again? |
//! | [`circuit`], [`rate`] | is the provider healthy, and may it be called this often? |
//! | [`backoff`] | may it be tried again, and after how long? |
//! | [`doubt`] | did a write land whose answer was lost? |
//! | [`restored`] | was it sent after the backup that the store was restored from? |
//! | [`stage`] | what stands in for the outside in a test? |
//! | [`mask`] | which parts of an outcome must nobody see? |
//! | [`panic`] | what if carrying it out fails in a way that nobody thought of? |

mod aftermath;
pub mod aligned;
pub mod attempts;
pub mod backoff;
pub mod carried;
pub mod circuit;
pub mod course;
pub mod doubt;
pub mod ending;
pub mod errand;
pub mod flight;
pub mod governance;
pub mod history;
pub mod local;
pub mod mask;
pub mod matching;
pub mod mode;
pub mod observer;
pub mod panic;
mod passing;
pub mod perform;
pub mod poll;
pub mod rate;
pub mod ready;
pub mod recompute;
mod restored;
pub mod stage;
pub mod state;
pub mod stop;
pub mod tape;
pub mod waiting;

pub use aligned::{Aligned, Given, Missing, Origin};
pub use backoff::BackoffSettings;
pub use carried::Carried;
pub use circuit::CircuitSettings;
pub use course::{Edit, Resumption, ScriptEnd};
pub use ending::Ending;
pub use errand::{Act, Errand, Sighting, Simulation};
pub use governance::Signals;
pub use local::Local;
pub use mask::Masks;
pub use matching::Sites;
pub use observer::{Lookout, Notice, Observer, Silent};
pub use perform::{How, perform};
pub use ready::{Birth, Born, Playbooks, Ready};
pub use recompute::{Past, RecordedWrite, Rendering};
pub use stage::{Reply, Rule, Stage};
pub use stop::{Halt, Stop};
pub use tape::{Beyond, Tape};
pub use waiting::{Look, Waiting};

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use crate::io::World;
use crate::journal::{Begun, Owner};
use crate::store::tx::Ground;

/// What every run of this process shares at the gate. A clone is a gate of the same process.
#[derive(Clone)]
pub struct Gate {
    pub ground: Ground,
    pub world: World,
    pub masks: Arc<Masks>,
    pub policies: Policies,
    /// This process, as the owner of runs.
    pub owner: Owner,
    /// Runs that can go on.
    pub ready: Arc<Ready>,
    /// Set to let go of every run of this process where it stands, to be gone on with by another.
    pub parks: Arc<AtomicBool>,
    /// Who watches every run of this process, once there is somebody.
    pub lookout: Arc<OnceLock<Arc<dyn Lookout>>>,
    /// Where runs that start others get playbooks from.
    pub playbooks: Arc<dyn Playbooks>,
    /// In a test: what stands in for the outside.
    pub stage: Option<Arc<Stage>>,
    /// The version of the project that the playbooks and prompts are of, under a server.
    pub edition: Option<u64>,
}

/// The rules, as configured.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    pub backoff: BackoffSettings,
    pub circuit: CircuitSettings,
    /// Requests per minute, by provider; a provider that is not listed has no limit here.
    pub per_minute: BTreeMap<String, u32>,
    pub signals: Signals,
    /// Providers that are not live now, and why: a run that began while one was live is refused it.
    pub switched_off: BTreeMap<String, String>,
}

impl Gate {
    /// A gate of a process of its own, alone on its store, where no run starts others.
    pub fn new(ground: Ground, world: World, masks: Arc<Masks>, policies: Policies) -> Gate {
        Gate {
            owner: Owner::alone(world.chance.bits()),
            ground,
            world,
            masks,
            policies,
            ready: Arc::default(),
            parks: Arc::default(),
            lookout: Arc::default(),
            playbooks: Arc::new(ready::NoPlaybooks),
            stage: None,
            edition: None,
        }
    }

    /// Who watches a run that `observer` wants to watch.
    pub(crate) fn watched(&self, begun: &Begun, again: u32, observer: Arc<dyn Observer>) -> Arc<dyn Observer> {
        match self.lookout.get() {
            Some(lookout) => lookout.watch(begun, again, observer),
            None => observer,
        }
    }

    /// The same, for runs of the process that `other` is a gate of, which has other settings.
    pub fn in_process_of(self, other: &Gate) -> Gate {
        Gate {
            owner: other.owner.clone(),
            ready: other.ready.clone(),
            parks: other.parks.clone(),
            lookout: other.lookout.clone(),
            ..self
        }
    }

    /// The same with every door shut: for replays.
    pub fn shut(&self) -> Gate {
        Gate {
            ground: self.ground.clone(),
            world: self.world.shut(),
            masks: self.masks.clone(),
            policies: self.policies.clone(),
            owner: self.owner.clone(),
            ready: Arc::default(),
            parks: Arc::default(),
            lookout: Arc::default(),
            playbooks: Arc::new(ready::NoPlaybooks),
            stage: None,
            edition: None,
        }
    }
}
