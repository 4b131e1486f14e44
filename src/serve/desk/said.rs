//! What is said about runs, over a connection of its own: a question, and either its answer or a run as it goes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::effect::{Failure, RunMode};
use crate::gate::Notice;
use crate::gate::observer::LogLevel;
use crate::id::{RunId, StepNo};
use crate::journal::{Answer, Asked, Outcome, RunError, RunRecord, Status};
use crate::runs::creation::Pinned;
use crate::runs::library::Pins;
use crate::runs::{Driven, Finished, ResumeError};
use crate::store::StoreError;
use crate::store::remote::wire::Fault;
use crate::value::{Map, Value};

/// What is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Wish {
    /// Which mode a run would have here.
    Mode,
    /// The playbook of that name, as new runs get it.
    Live {
        playbook: String,
    },
    Drive(Box<Work>),
    Cancel {
        run: RunId,
        by: String,
    },
    /// While something is driven: cancel it.
    Stop,
}

/// What is to be driven.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Work {
    Begin(Begin),
    Resume {
        run: RunId,
        by: String,
    },
    Amend(Amend),
    /// Whatever of these can go on.
    Each {
        runs: Vec<RunId>,
        by: String,
    },
}

impl Work {
    /// Who asks for it, as a journal says it.
    pub fn by(&self) -> String {
        match self {
            Work::Begin(begin) => match &begin.by {
                Some(person) => format!("by {person}"),
                None => "by hand".to_owned(),
            },
            Work::Amend(amend) => amend.by.clone(),
            Work::Resume { by, .. } | Work::Each { by, .. } => by.clone(),
        }
    }
}

/// A run that begins. The texts that it is pinned to are in the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Begin {
    pub pins: Pins,
    pub input: Value,
    /// Of the command's environment.
    pub mode: RunMode,
    pub trigger: String,
    /// The person.
    pub by: Option<String>,
    pub retry_of: Option<RunId>,
}

/// A run that goes on with another script.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Amend {
    pub run: RunId,
    pub pins: Pins,
    pub input: Map,
    pub keep: Vec<StepNo>,
    pub again: Vec<StepNo>,
    pub by: String,
}

/// What is answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Word {
    Mode(RunMode),
    Live(Option<Pins>),
    /// It is on its way, in this mode.
    Begun {
        run: Option<RunId>,
        mode: Option<RunMode>,
        /// What the mode lacks of what was asked for, in words.
        narrowed: Vec<String>,
    },
    Told(Told),
    /// So many notices were left out: nobody took them in time.
    Missed(u64),
    Ended(Box<Ended>),
    /// It was told to stop, and is not at rest yet.
    Stopping,
    Refused(Refusal),
}

/// A notice that can be kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Told {
    Asked {
        asked: Asked,
        at_ms: u64,
    },
    Progress {
        step: StepNo,
        fraction: Option<f64>,
        text: String,
    },
    Waiting {
        step: StepNo,
        why: String,
        wait_ms: u64,
    },
    Answered(Box<Answer>),
    Log {
        level: u8,
        message: String,
        fields: Value,
    },
}

const LEVELS: [LogLevel; 4] = [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error];

impl Told {
    pub fn of(notice: &Notice<'_>) -> Told {
        match notice {
            Notice::Asked { asked, at_ms } => Told::Asked {
                asked: (*asked).clone(),
                at_ms: *at_ms,
            },
            Notice::Progress { step, fraction, text } => Told::Progress {
                step: *step,
                fraction: *fraction,
                text: text.clone(),
            },
            Notice::Waiting { step, why, wait_ms } => Told::Waiting {
                step: *step,
                why: why.clone(),
                wait_ms: *wait_ms,
            },
            Notice::Answered { answer } => Told::Answered(Box::new((*answer).clone())),
            Notice::Log { level, message, fields } => Told::Log {
                level: LEVELS.iter().position(|one| one == level).unwrap_or_default() as u8,
                message: (*message).to_owned(),
                fields: (*fields).clone(),
            },
        }
    }

    pub fn notice(&self) -> Notice<'_> {
        match self {
            Told::Asked { asked, at_ms } => Notice::Asked { asked, at_ms: *at_ms },
            Told::Progress { step, fraction, text } => Notice::Progress {
                step: *step,
                fraction: *fraction,
                text: text.clone(),
            },
            Told::Waiting { step, why, wait_ms } => Notice::Waiting {
                step: *step,
                why: why.clone(),
                wait_ms: *wait_ms,
            },
            Told::Answered(answer) => Notice::Answered { answer },
            Told::Log { level, message, fields } => Notice::Log {
                level: LEVELS.get(usize::from(*level)).copied().unwrap_or(LogLevel::Error),
                message,
                fields,
            },
        }
    }
}

/// What came of what was driven.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ended {
    pub finished: Vec<Rested>,
    pub failed: Vec<(RunId, Refusal)>,
}

/// A run at rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rested {
    pub record: RunRecord,
    pub status: Status,
    pub value: Value,
    pub error: Option<RunError>,
}

impl From<Finished> for Rested {
    fn from(finished: Finished) -> Rested {
        let Outcome { status, value, error } = finished.outcome;
        Rested {
            record: finished.record,
            status,
            value,
            error,
        }
    }
}

impl From<Rested> for Finished {
    fn from(rested: Rested) -> Finished {
        let Rested {
            record,
            status,
            value,
            error,
        } = rested;
        let outcome = Outcome { status, value, error };
        Finished { record, outcome }
    }
}

impl From<Driven> for Ended {
    fn from(driven: Driven) -> Ended {
        Ended {
            finished: driven.finished.into_values().map(Rested::from).collect(),
            failed: driven
                .failed
                .into_iter()
                .map(|(run, error)| (run, error.into()))
                .collect(),
        }
    }
}

impl From<Ended> for Driven {
    fn from(ended: Ended) -> Driven {
        let finished = ended.finished.into_iter().map(Finished::from);
        let failed = ended.failed.into_iter();
        Driven {
            finished: finished
                .map(|finished| (finished.record.run, finished))
                .collect::<BTreeMap<_, _>>(),
            failed: failed.map(|(run, refusal)| (run, refusal.into())).collect(),
        }
    }
}

/// Why a run does not go on. What decides about exit codes keeps its kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Refusal {
    Busy(RunId),
    Over { run: RunId, status: Status },
    InDoubt { run: RunId, step: StepNo },
    NeedsEdit { run: RunId, code: String },
    HostChanged { run: RunId, api: u32 },
    Store(Fault),
    Other { code: String, message: String },
}

impl Refusal {
    pub fn new(code: &str, message: impl Into<String>) -> Refusal {
        Refusal::Other {
            code: code.to_owned(),
            message: message.into(),
        }
    }
}

impl From<ResumeError> for Refusal {
    fn from(error: ResumeError) -> Refusal {
        Refusal::from(&error)
    }
}

impl From<&ResumeError> for Refusal {
    fn from(error: &ResumeError) -> Refusal {
        match error {
            ResumeError::Busy(run) => Refusal::Busy(*run),
            &ResumeError::Over { run, status } => Refusal::Over { run, status },
            &ResumeError::InDoubt { run, step } => Refusal::InDoubt { run, step },
            ResumeError::NeedsEdit { run, code } => Refusal::NeedsEdit {
                run: *run,
                code: code.clone(),
            },
            &ResumeError::HostChanged { run, api } => Refusal::HostChanged { run, api },
            ResumeError::Store(error) => error.clone().into(),
            other => Refusal::new(other.code(), other.to_string()),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        Refusal::Store(error.into())
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Refusal {
        Refusal::new(&failure.code, failure.message)
    }
}

impl From<Refusal> for ResumeError {
    fn from(refusal: Refusal) -> ResumeError {
        match refusal {
            Refusal::Busy(run) => ResumeError::Busy(run),
            Refusal::Over { run, status } => ResumeError::Over { run, status },
            Refusal::InDoubt { run, step } => ResumeError::InDoubt { run, step },
            Refusal::NeedsEdit { run, code } => ResumeError::NeedsEdit { run, code },
            Refusal::HostChanged { run, api } => ResumeError::HostChanged { run, api },
            Refusal::Store(fault) => ResumeError::Store(fault.into()),
            Refusal::Other { code, message } => ResumeError::Refused(Failure::new(code, message)),
        }
    }
}

/// What `pinned` is pinned to.
pub fn pins(pinned: &Pinned) -> Pins {
    Pins {
        playbook: pinned.playbook.clone(),
        file: pinned.file.clone(),
        version: pinned.version,
        modules: pinned.modules.clone(),
    }
}
