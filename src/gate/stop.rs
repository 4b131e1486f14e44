//! Why an effect gives no value to its script.

use crate::effect::Failure;
use crate::id::StepNo;
use crate::journal::{RunError, Status, Waits};

/// Either an error that the script may catch, or the end of its run.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    Failed(Failure),
    Halted(Halt),
}

/// Unwinds the script; it cannot be caught. While a run is halted the gate refuses every further effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Halt {
    /// The script asked something other than its journal holds.
    Nondeterminism {
        step: StepNo,
        recorded: String,
        asked: String,
    },
    /// A replay reached the end of its record.
    NotRecorded { step: StepNo, asked: String },
    /// The journal cannot be written, so nothing more may be done.
    Store(Failure),
    /// Nobody can tell whether a write landed, and a person must.
    InDoubt { step: StepNo, failure: Failure },
    /// A limit of the run is used up.
    Limit(Failure),
    /// An edited script would do again what has landed.
    Refused(Failure),
    /// Somebody cancelled the run.
    Cancelled,
    /// This process is to end: the run is let go where it stands, and another goes on with it as after a crash.
    Parked,
    /// The run waits; its thread is needed elsewhere.
    Suspended(Waits),
    /// In a replay: the run was stopped here by what its journal does not hold, such as the clock or a person.
    Recorded { status: Status, error: RunError },
}

impl Halt {
    /// The run's status after this.
    pub fn status(&self) -> Status {
        match self {
            Halt::InDoubt { .. } => Status::NeedsAttention,
            Halt::Cancelled => Status::Cancelled,
            Halt::Suspended(_) => Status::Suspended,
            Halt::Parked => Status::Running,
            Halt::Recorded { status, .. } => *status,
            _ => Status::Failed,
        }
    }

    /// The effect it came from, when it came from one.
    pub fn step(&self) -> Option<StepNo> {
        match self {
            Halt::Nondeterminism { step, .. } | Halt::NotRecorded { step, .. } | Halt::InDoubt { step, .. } => {
                Some(*step)
            }
            Halt::Recorded { error, .. } => error.step,
            Halt::Suspended(waits) => Some(waits.step),
            Halt::Store(_) | Halt::Limit(_) | Halt::Refused(_) | Halt::Cancelled | Halt::Parked => None,
        }
    }

    /// As an error for people and for the run's record.
    pub fn failure(&self) -> Failure {
        match self {
            Halt::Nondeterminism { step, recorded, asked } => Failure::new(
                "NONDETERMINISM",
                format!("step {step} of the journal is {recorded}, but the script asked for {asked}"),
            ),
            Halt::NotRecorded { step, asked } => Failure::new(
                "NOT_RECORDED",
                format!("the journal holds no answer at step {step}, where the script asked for {asked}"),
            ),
            Halt::Store(failure) | Halt::InDoubt { failure, .. } | Halt::Limit(failure) | Halt::Refused(failure) => {
                failure.clone()
            }
            Halt::Cancelled => Failure::new("CANCELLED", "the run was cancelled"),
            Halt::Parked => Failure::new(
                "PARKED",
                "the host is being stopped, and goes on with the run at its next start",
            ),
            Halt::Suspended(waits) => Failure::new("SUSPENDED", format!("the run waits for {}", waits.what)),
            Halt::Recorded { error, .. } => error.failure.clone(),
        }
    }

    /// Whether the journal alone leads a replay to the same halt.
    pub fn is_on_tape(&self) -> bool {
        match self {
            Halt::Nondeterminism { .. } | Halt::NotRecorded { .. } | Halt::InDoubt { .. } | Halt::Suspended(_) => true,
            Halt::Store(_)
            | Halt::Limit(_)
            | Halt::Refused(_)
            | Halt::Cancelled
            | Halt::Parked
            | Halt::Recorded { .. } => false,
        }
    }
}

impl From<crate::store::StoreError> for Stop {
    fn from(error: crate::store::StoreError) -> Stop {
        Stop::Halted(Halt::Store(Failure::new(error.code(), error.to_string())))
    }
}
