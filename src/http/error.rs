//! What errors of the floors below are to somebody who asks over HTTP: status, code, message.
//!
//! What lies on this side is said with its code and no more: paths and the words of the system are for the log.

use super::answer::Refusal;
use crate::app::AppError;
use crate::effect::Failure;
use crate::journal::JournalError;
use crate::journal::edition::VersionError;
use crate::journal::incident::IncidentError;
use crate::runs::ResumeError;
use crate::runs::library::LibraryError;
use crate::serve::rollback::RollbackError;
use crate::store::StoreError;

/// Something here is not as it should be.
fn ours(code: &str, error: &dyn std::fmt::Display) -> Refusal {
    tracing::error!(%error, code, "a request cannot be answered");
    Refusal {
        code: code.to_owned(),
        ..Refusal::internal()
    }
}

/// What whoever asked can mend.
fn yours(status: u16, code: &str, error: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(status, code, error.to_string())
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        let code = error.code();
        match &error {
            StoreError::Conflict { .. } | StoreError::StaleVersion { .. } => yours(409, code, &error),
            StoreError::NotFound { .. } => yours(404, code, &error),
            StoreError::TooLarge { .. } => yours(413, code, &error),
            StoreError::Refused { code, .. } if code.ends_with("_NOT_FOUND") => yours(404, code, &error),
            StoreError::Refused { .. } => yours(409, code, &error),
            StoreError::Full { .. } => {
                tracing::error!(%error, code, "a request cannot be answered");
                Refusal::new(503, code, "no room is left for the store").header("retry-after", "60")
            }
            _ if error.is_callers() => yours(422, code, &error),
            _ => ours(code, &error),
        }
    }
}

impl From<JournalError> for Refusal {
    fn from(error: JournalError) -> Refusal {
        let code = error.code().to_owned();
        match error {
            JournalError::Store(error) => error.into(),
            JournalError::NoSuchRun(_) => yours(404, &code, &error),
            JournalError::Ambiguous { .. } => yours(409, &code, &error),
            _ => ours(&code, &error),
        }
    }
}

impl From<IncidentError> for Refusal {
    fn from(error: IncidentError) -> Refusal {
        let code = error.code().to_owned();
        match error {
            IncidentError::Store(error) => error.into(),
            IncidentError::Journal(error) => error.into(),
            IncidentError::Corrupt { .. } | IncidentError::NewerFormat { .. } => ours(&code, &error),
            IncidentError::Empty(_) | IncidentError::EtaPassed(_) => yours(422, &code, &error),
            _ if code.ends_with("_NOT_FOUND") => yours(404, &code, &error),
            _ => yours(409, &code, &error),
        }
    }
}

impl From<VersionError> for Refusal {
    fn from(error: VersionError) -> Refusal {
        let code = error.code().to_owned();
        match error {
            VersionError::Store(error) => error.into(),
            _ if code.ends_with("_NOT_FOUND") => yours(404, &code, &error),
            _ if code.ends_with("_NOT_HELD") || code.ends_with("_TOO_OLD") => yours(409, &code, &error),
            _ => ours(&code, &error),
        }
    }
}

impl From<RollbackError> for Refusal {
    fn from(error: RollbackError) -> Refusal {
        let code = error.code();
        match error {
            RollbackError::Version(error) => error.into(),
            RollbackError::NoPlaybook { .. } => yours(404, code, &error),
            RollbackError::Unsaved(_) => {
                let message = format!("{error}; `force` keeps them as a version of their own, and goes back");
                Refusal::new(409, code, message)
            }
            RollbackError::File { .. } | RollbackError::Project(_) => ours(code, &error),
        }
    }
}

impl From<AppError> for Refusal {
    fn from(error: AppError) -> Refusal {
        match error {
            AppError::Store(error) => error.into(),
            AppError::Credentials(failure) => yours(409, &failure.code, &failure.message),
            other => ours(other.code(), &other),
        }
    }
}

impl From<LibraryError> for Refusal {
    fn from(error: LibraryError) -> Refusal {
        let code = error.code().to_owned();
        match error {
            LibraryError::Store(error) => error.into(),
            _ if code.ends_with("_NOT_FOUND") => yours(404, &code, &error),
            _ => yours(409, &code, &error),
        }
    }
}

/// An input that does not fit.
impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Refusal {
        Refusal::new(422, failure.code, failure.message)
    }
}

impl From<ResumeError> for Refusal {
    fn from(error: ResumeError) -> Refusal {
        let code = error.code().to_owned();
        match error {
            ResumeError::Journal(error) => error.into(),
            ResumeError::Library(error) => error.into(),
            ResumeError::Store(error) => error.into(),
            ResumeError::Refused(_) if code == "REASON_INVALID" => yours(422, &code, &error),
            _ => yours(409, &code, &error),
        }
    }
}
